//! Matchers of Alertmanager: `=`, `!=`, `=~`, `!~`, as routes, silences and inhibit rules write them.
//!
//! A missing label counts as an empty one, and a regular expression matches the whole value, as in Alertmanager.

use regex_lite::Regex;

use super::config::Labels;

/// One matcher.
#[derive(Debug, Clone)]
pub(super) struct Matcher {
    name: String,
    value: Value,
    negated: bool,
}

#[derive(Debug, Clone)]
enum Value {
    Is(String),
    Like(Regex),
}

/// Matchers that all have to match.
#[derive(Debug, Clone, Default)]
pub(super) struct Matchers(pub(super) Vec<Matcher>);

impl Matcher {
    /// `None` for an operator or a regular expression that can't be read.
    pub(super) fn new(name: &str, op: &str, value: &str) -> Option<Matcher> {
        let like = || Regex::new(&format!("^(?s:{value})$")).ok().map(Value::Like);
        let is = || Some(Value::Is(value.to_owned()));
        let (value, negated) = match op {
            "=" => (is()?, false),
            "!=" => (is()?, true),
            "=~" => (like()?, false),
            "!~" => (like()?, true),
            _ => return None,
        };
        Some(Matcher { name: name.to_owned(), value, negated })
    }

    fn matches(&self, labels: &Labels) -> bool {
        let has = labels.get(&self.name).map_or("", String::as_str);
        let matches = match &self.value {
            Value::Is(value) => has == value,
            Value::Like(regex) => regex.is_match(has),
        };
        matches != self.negated
    }
}

impl Matchers {
    pub(super) fn match_all(&self, labels: &Labels) -> bool {
        self.0.iter().all(|matcher| matcher.matches(labels))
    }

    /// Reads `severity="page"` or `{severity=~"a|b", team!="x"}`.
    pub(super) fn read(text: &str) -> Option<Matchers> {
        let text = text.trim();
        let mut rest =
            text.strip_prefix('{').map_or(Some(text), |inner| inner.trim_end().strip_suffix('}'))?.trim();
        let mut all = Vec::new();
        while !rest.is_empty() {
            let (name, after) = rest.split_at(rest.find(['=', '!'])?);
            let op = ["=~", "!~", "!=", "="].into_iter().find(|op| after.starts_with(op))?;
            let (value, after) = value(after[op.len()..].trim_start())?;
            all.push(Matcher::new(name.trim().trim_matches('"'), op, &value)?);
            let after = after.trim_start();
            rest = match after.strip_prefix(',') {
                Some(next) => next.trim_start(),
                None if after.is_empty() => after,
                None => return None,
            };
        }
        Some(Matchers(all))
    }
}

/// A value, quoted or bare, and what follows it.
fn value(text: &str) -> Option<(String, &str)> {
    let Some(quoted) = text.strip_prefix('"') else {
        let end = text.find(',').unwrap_or(text.len());
        return Some((text[..end].trim().to_owned(), &text[end..]));
    };
    let (mut out, mut escaped) = (String::new(), false);
    for (at, c) in quoted.char_indices() {
        match c {
            'n' if escaped => out.push('\n'),
            '"' | '\\' if escaped => out.push(c),
            _ if escaped => out.extend(['\\', c]),
            '"' => return Some((out, &quoted[at + 1..])),
            '\\' => {}
            _ => out.push(c),
        }
        escaped = c == '\\' && !escaped;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn matches_as_alertmanager_does() {
        let labels =
            Labels::from([("severity".into(), "page".into()), ("team".into(), "ml, \"core\"".into())]);
        let table = [
            (r#"severity="page""#, true),
            ("severity=page", true),
            ("severity = page", true),
            (r#"severity!="page""#, false),
            (r#"severity=~"pa""#, false),
            (r#"severity=~"pa.*|x""#, true),
            (r#"severity!~"warn|info""#, true),
            (r#"missing="""#, true),
            (r#"missing!="""#, false),
            (r#"missing=~".+""#, false),
            (r#"{severity="page",team=~"ml.*"}"#, true),
            (r#"{severity="page", team="x"}"#, false),
            (r#"team="ml, \"core\"""#, true),
            (r#"severity=~"page\\d?""#, true),
            ("", true),
        ];
        for (text, expected) in table {
            assert_eq!(Matchers::read(text).unwrap().match_all(&labels), expected, "{text}");
        }
        for wrong in ["severity", r#"severity="page"#, r#"a=~"(""#, "{a=b", r#"a="b" c="d""#] {
            assert!(Matchers::read(wrong).is_none(), "{wrong}");
        }
    }

    proptest::proptest! {
        #[test]
        fn never_panics(text in "\\PC*", close in "[a=!~\"\\\\{},é]*") {
            let _ = (Matchers::read(&text), Matchers::read(&close));
        }
    }
}

//! The outermost comparison of a PromQL expression: the value that a rule watches, and its threshold.
//!
//! No parser of PromQL: operators are looked for outside of parentheses, braces, brackets and strings, loosest first
//! (`or`; `and`, `unless`; comparisons), as the language binds them. What can't be taken apart is a value that holds
//! whenever it is there.

use super::{after_string, starts_name};
use crate::monitor::findings::Op;

/// A condition as it is written.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::monitor) enum Written {
    /// `left op matching right`; the matching is `on (…) group_left (…)` or nothing.
    Compare { left: String, op: Op, matching: String, right: String },
    /// True whenever it has a value.
    Value(String),
    /// Joined by `and`; what follows `unless` is left out.
    All(Vec<Written>),
    /// Joined by `or`.
    Any(Vec<Written>),
}

/// A word or a comparison outside of all brackets, and where it stands.
struct Mark<'a> {
    at: usize,
    text: &'a str,
}

/// Takes an expression apart.
pub(in crate::monitor) fn condition(expression: &str) -> Written {
    let text = unwrapped(expression);
    let marks = marks(text);
    let word =
        |mark: &Mark<'_>, words: &[&str]| words.iter().any(|word| mark.text.eq_ignore_ascii_case(word));
    if marks.iter().any(|mark| word(mark, &["or"])) {
        let parts = split(text, &marks, |mark| word(mark, &["or"]));
        return Written::Any(parts.into_iter().map(|(_, part)| condition(part)).collect());
    }
    if marks.iter().any(|mark| word(mark, &["and", "unless"])) {
        let parts = split(text, &marks, |mark| word(mark, &["and", "unless"]));
        let kept = parts.into_iter().filter(|(joined, _)| !joined.eq_ignore_ascii_case("unless"));
        let mut kept: Vec<Written> = kept.map(|(_, part)| condition(part)).collect();
        return if kept.len() == 1 { kept.remove(0) } else { Written::All(kept) };
    }
    let Some((mark, op)) = marks.iter().rev().find_map(|mark| Some((mark, op(mark.text)?))) else {
        return Written::Value(text.to_owned());
    };
    let right = text[mark.at + mark.text.len()..].trim();
    if first_word(right).eq_ignore_ascii_case("bool") {
        return Written::Value(text.to_owned());
    }
    let plain = without_matching(right);
    let matching = right[..right.len() - plain.len()].trim();
    let (left, right) = (unwrapped(&text[..mark.at]), unwrapped(plain));
    if number(left).is_some() && number(right).is_none() {
        let (left, right) = (right.to_owned(), left.to_owned());
        return Written::Compare { left, op: op.flipped(), matching: String::new(), right };
    }
    let compare = |left: &str| Written::Compare {
        left: left.to_owned(),
        op,
        matching: matching.to_owned(),
        right: right.to_owned(),
    };
    // `a > 1 < 5` filters twice.
    match condition(left) {
        inner @ Written::Compare { .. } => {
            let Written::Compare { left, .. } = &inner else { return inner };
            let outer = compare(left);
            Written::All(vec![inner, outer])
        }
        _ => compare(left),
    }
}

/// A condition without what its `unless` takes away, and that; `None` if it has none outside of all brackets.
pub(in crate::monitor) fn but_for(expression: &str) -> Option<(String, String)> {
    let text = unwrapped(expression);
    let marks = marks(text);
    let word = |mark: &&Mark<'_>, one: &str| mark.text.eq_ignore_ascii_case(one);
    let joins = |mark: &&Mark<'_>| ["or", "and", "unless"].iter().any(|one| word(mark, one));
    let joins: Vec<&Mark<'_>> = marks.iter().filter(joins).collect();
    let (mut rest, mut taken, mut start) = (String::new(), Vec::new(), 0);
    for (number, mark) in joins.iter().enumerate().filter(|(_, mark)| word(mark, "unless")) {
        let end = joins.get(number + 1).map_or(text.len(), |next| next.at);
        rest.push_str(&text[start..mark.at]);
        taken.push(text[mark.at + mark.text.len()..end].trim());
        start = end;
    }
    rest.push_str(&text[start..]);
    (!taken.is_empty()).then(|| (rest.trim().to_owned(), taken.join(" unless ")))
}

/// A number literal.
pub(in crate::monitor) fn number(text: &str) -> Option<f64> {
    let text = unwrapped(text);
    let (sign, digits) = match text.strip_prefix('-') {
        Some(rest) => (-1.0, rest.trim_start()),
        None => (1.0, text.strip_prefix('+').unwrap_or(text).trim_start()),
    };
    let lower = digits.to_ascii_lowercase();
    let starts = |c: char| c.is_ascii_digit() || c == '.';
    match lower.strip_prefix("0x") {
        Some(hex) => i64::from_str_radix(hex, 16).ok().map(|n| sign * n as f64),
        None if lower == "inf" || lower == "nan" || lower.starts_with(starts) => {
            lower.parse::<f64>().ok().map(|n| sign * n)
        }
        None => None,
    }
}

fn op(text: &str) -> Option<Op> {
    Some(match text {
        "==" => Op::Equal,
        "!=" => Op::NotEqual,
        ">" => Op::Above,
        ">=" => Op::AtLeast,
        "<" => Op::Below,
        "<=" => Op::AtMost,
        _ => return None,
    })
}

/// The parts between the marks that split, each with the mark before it.
fn split<'a>(
    text: &'a str,
    marks: &[Mark<'a>],
    splits: impl Fn(&Mark<'a>) -> bool,
) -> Vec<(&'a str, &'a str)> {
    let (mut parts, mut start, mut joined) = (Vec::new(), 0, "");
    for mark in marks.iter().filter(|mark| splits(mark)) {
        parts.push((joined, &text[start..mark.at]));
        (start, joined) = (mark.at + mark.text.len(), mark.text);
    }
    parts.push((joined, &text[start..]));
    parts.into_iter().map(|(joined, part)| (joined, without_matching(part))).collect()
}

/// Words and comparisons outside of all brackets.
fn marks(text: &str) -> Vec<Mark<'_>> {
    let (mut found, mut depth, mut at) = (Vec::new(), 0_i32, 0);
    while let Some(first) = text[at..].chars().next() {
        let rest = &text[at..];
        let mut length = first.len_utf8();
        match first {
            '"' | '\'' | '`' => {
                length = after_string(rest, first).map_or(rest.len(), |after| rest.len() - after.len())
            }
            '#' => length = rest.find('\n').unwrap_or(rest.len()),
            '(' | '[' | '{' => depth += 1,
            ')' | ']' | '}' => depth -= 1,
            '=' | '!' | '<' | '>' => {
                length += usize::from(rest[1..].starts_with('='));
                if depth == 0 {
                    found.push(Mark { at, text: &rest[..length] });
                }
            }
            _ if starts_name(first) || first.is_ascii_digit() => {
                length = rest
                    .find(|c: char| !starts_name(c) && !c.is_ascii_digit() && c != '.')
                    .unwrap_or(rest.len());
                if depth == 0 {
                    found.push(Mark { at, text: &rest[..length] });
                }
            }
            _ => {}
        }
        at += length;
    }
    found
}

/// Without comments around it and parentheses that hold all of it.
fn unwrapped(text: &str) -> &str {
    let text = text.trim();
    if let Some(rest) = text.strip_prefix('#') {
        return unwrapped(rest.split_once('\n').map_or("", |(_, rest)| rest));
    }
    if text.starts_with('(') && closing(text) == Some(text.len() - 1) {
        unwrapped(&text[1..text.len() - 1])
    } else {
        text
    }
}

/// Where the parenthesis that a text begins with is closed.
fn closing(text: &str) -> Option<usize> {
    let (mut depth, mut at) = (0_i32, 0);
    while let Some(first) = text[at..].chars().next() {
        let rest = &text[at..];
        let mut length = first.len_utf8();
        match first {
            '"' | '\'' | '`' => length = rest.len() - after_string(rest, first)?.len(),
            '#' => length = rest.find('\n')?,
            '(' => depth += 1,
            ')' if depth == 1 => return Some(at),
            ')' => depth -= 1,
            _ => {}
        }
        at += length;
    }
    None
}

fn first_word(text: &str) -> &str {
    &text[..text.find(|c: char| !starts_name(c)).unwrap_or(text.len())]
}

/// Without the vector matching (`on (…) group_left (…)`) that it begins with.
fn without_matching(text: &str) -> &str {
    let text = text.trim();
    let word = first_word(text);
    let matching =
        ["on", "ignoring", "group_left", "group_right"].iter().any(|one| word.eq_ignore_ascii_case(one));
    if !matching {
        return text;
    }
    let rest = text[word.len()..].trim_start();
    match closing(rest).filter(|_| rest.starts_with('(')) {
        Some(end) => without_matching(&rest[end + 1..]),
        None => without_matching(rest),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(written: &Written) -> String {
        let list = |parts: &[Written]| parts.iter().map(shown).collect::<Vec<_>>().join("; ");
        match written {
            Written::Compare { left, op, matching, right } => {
                [left, &format!("⟨{}⟩", op.symbol()), matching, right]
                    .map(String::as_str)
                    .join(" ")
                    .replace("  ", " ")
            }
            Written::Value(text) => format!("⟨{text}⟩"),
            Written::All(parts) => format!("all[{}]", list(parts)),
            Written::Any(parts) => format!("any[{}]", list(parts)),
        }
    }

    #[test]
    fn finds_the_outermost_comparison() {
        let table = [
            ("up == 0", "up ⟨==⟩ 0"),
            ("0.3 < a / b", "a / b ⟨>⟩ 0.3"),
            ("(a > 1)", "a ⟨>⟩ 1"),
            ("((a)) >= on (job) group_left (team) (b)", "a ⟨>=⟩ on (job) group_left (team) b"),
            (
                r#"sum(rate(x{code=~"5..",y!=">"}[5m])) / sum(rate(x[5m])) > 0.05"#,
                r#"sum(rate(x{code=~"5..",y!=">"}[5m])) / sum(rate(x[5m])) ⟨>⟩ 0.05"#,
            ),
            ("sum(a > 1) < 2", "sum(a > 1) ⟨<⟩ 2"),
            ("a > 1 and b < 2", "all[a ⟨>⟩ 1; b ⟨<⟩ 2]"),
            ("a > 1 and on (job) b < 2 unless c", "all[a ⟨>⟩ 1; b ⟨<⟩ 2]"),
            ("a > 1 unless on () maintenance == 1", "a ⟨>⟩ 1"),
            ("a > 1 or b > 2 and c > 3", "any[a ⟨>⟩ 1; all[b ⟨>⟩ 2; c ⟨>⟩ 3]]"),
            ("absent(up)", "⟨absent(up)⟩"),
            ("a > bool 1", "⟨a > bool 1⟩"),
            ("a > 1 < 5", "all[a ⟨>⟩ 1; a ⟨<⟩ 5]"),
            ("a > -1e3", "a ⟨>⟩ -1e3"),
            ("# why > not\na != 1 # really < 2", "a ⟨!=⟩ 1 # really < 2"),
            ("a{x=\"or\"} > 1", "a{x=\"or\"} ⟨>⟩ 1"),
            ("a - b offset 5m > 2 * on(x) c", "a - b offset 5m ⟨>⟩ 2 * on(x) c"),
            ("order_total > 3", "order_total ⟨>⟩ 3"),
        ];
        for (expression, expected) in table {
            assert_eq!(shown(&condition(expression)), expected, "{expression}");
        }
    }

    #[test]
    fn takes_unless_away() {
        let table = [
            ("a > 1 and b > 2 unless on () m == 1", Some(("a > 1 and b > 2", "on () m == 1"))),
            ("(a unless b and on (j) c unless d or e)", Some(("a and on (j) c or e", "b unless d"))),
            ("a > 1 and (b unless c)", None),
            ("a > 1", None),
        ];
        for (expression, expected) in table {
            let found = but_for(expression).map(|(rest, taken)| (rest.replace("  ", " "), taken));
            let expected = expected.map(|(rest, taken)| (rest.to_owned(), taken.to_owned()));
            assert_eq!(found, expected, "{expression}");
        }
    }

    #[test]
    fn reads_numbers() {
        let table = [
            ("1", 1.0),
            ("-0.5", -0.5),
            ("2.5e-1", 0.25),
            ("(3)", 3.0),
            ("0x10", 16.0),
            ("+ 4", 4.0),
            (".5", 0.5),
        ];
        for (text, value) in table {
            assert_eq!(number(text), Some(value), "{text}");
        }
        assert_eq!(number("-Inf"), Some(f64::NEG_INFINITY));
        for text in ["", "a", "1 + 1", "5m", "-", "infinity", "1.2.3"] {
            assert_eq!(number(text), None, "{text}");
        }
    }

    proptest::proptest! {
        #[test]
        fn never_panics(expression in "\\PC*", brackets in "[a-z0-9 (){}\\[\\]<>=!\"#]*") {
            let _ = (condition(&expression), but_for(&expression), but_for(&brackets));
            let _ = condition(&brackets);
        }
    }
}

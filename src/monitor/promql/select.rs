//! What a PromQL expression selects: its selectors, and the windows that they look through.

use std::time::Duration;

use super::{KEYWORDS, LABEL_LISTS, after_matchers, after_string, is_call, starts_name};

/// The selectors of an expression, such as `http_requests_total{code="500"}`, each once, without window and offset;
/// as far as they can be told without a parser.
pub(in crate::monitor) fn selectors(expression: &str) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    let mut rest = expression.trim_start();
    let mut keep = |text: &str| {
        let text = text.trim().to_owned();
        if !found.contains(&text) {
            found.push(text);
        }
    };
    while let Some(first) = rest.chars().next() {
        rest = match first {
            '"' | '\'' | '`' => after_string(rest, first).unwrap_or_default(),
            '#' => rest.split_once('\n').map_or("", |(_, next)| next),
            '{' => {
                let after = after_matchers(rest).unwrap_or_default();
                keep(&rest[..rest.len() - after.len()]);
                after
            }
            '[' => rest.split_once(']').map_or("", |(_, next)| next),
            _ if first.is_ascii_digit() => {
                rest.trim_start_matches(|c: char| c.is_ascii_alphanumeric() || c == '.')
            }
            _ if starts_name(first) => {
                let end = rest.find(|c: char| !starts_name(c) && !c.is_ascii_digit()).unwrap_or(rest.len());
                let (word, next) = rest.split_at(end);
                let (after, lower) = (next.trim_start(), word.to_ascii_lowercase());
                if LABEL_LISTS.contains(&lower.as_str()) && after.starts_with('(') {
                    after.split_once(')').map_or("", |(_, next)| next)
                } else if is_call(after) || KEYWORDS.contains(&lower.as_str()) {
                    after
                } else {
                    let after =
                        if after.starts_with('{') { after_matchers(after).unwrap_or_default() } else { next };
                    keep(&rest[..rest.len() - after.len()]);
                    after
                }
            }
            _ => &rest[first.len_utf8()..],
        };
        rest = rest.trim_start();
    }
    found
}

/// The name of the metric that a selector selects, if it begins with one.
pub(in crate::monitor) fn metric(selector: &str) -> Option<&str> {
    let name = selector[..selector.find('{').unwrap_or(selector.len())].trim();
    (!name.is_empty()).then_some(name)
}

/// The longest window (`[5m]`) of an expression.
pub(in crate::monitor) fn longest_window(expression: &str) -> Option<Duration> {
    windows(expression).into_iter().filter_map(|(at, end)| duration(&expression[at..end])).max()
}

/// The expression with every window that is longer than `window` cut to it.
pub(in crate::monitor) fn narrowed(expression: &str, window: Duration) -> String {
    let mut out = expression.to_owned();
    for (at, end) in windows(expression).into_iter().rev() {
        if duration(&expression[at..end]).is_some_and(|length| length > window) {
            out.replace_range(at..end, &written(window));
        }
    }
    out
}

/// A span as PromQL writes it.
pub(in crate::monitor) fn written(span: Duration) -> String {
    if span.subsec_millis() == 0 { format!("{}s", span.as_secs()) } else { format!("{}ms", span.as_millis()) }
}

/// Where the lengths of the windows stand: `5m` of `[5m]` and of `[5m:1m]`.
fn windows(expression: &str) -> Vec<(usize, usize)> {
    let (mut found, mut at) = (Vec::new(), 0);
    while let Some(first) = expression[at..].chars().next() {
        let rest = &expression[at..];
        at += match first {
            '"' | '\'' | '`' => rest.len() - after_string(rest, first).unwrap_or_default().len(),
            '#' => rest.find('\n').unwrap_or(rest.len()),
            '[' => {
                let end = rest.find([':', ']']).unwrap_or(rest.len());
                found.push((at + 1, at + end));
                end
            }
            _ => first.len_utf8(),
        };
    }
    found
}

/// A PromQL duration: `1h30m`, `500ms`.
pub(in crate::monitor) fn duration(text: &str) -> Option<Duration> {
    let mut rest = text.trim();
    let mut total = Duration::ZERO;
    while !rest.is_empty() {
        let (digits, after) = rest.split_at(rest.find(|c: char| !c.is_ascii_digit())?);
        let (unit, after) = after.split_at(after.find(|c: char| c.is_ascii_digit()).unwrap_or(after.len()));
        let millis = match unit {
            "ms" => 1,
            "s" => 1_000,
            "m" => 60_000,
            "h" => 3_600_000,
            "d" => 86_400_000,
            "w" => 604_800_000,
            "y" => 31_536_000_000,
            _ => return None,
        };
        let part = digits.parse::<u64>().ok()?.checked_mul(millis)?;
        total = total.checked_add(Duration::from_millis(part))?;
        rest = after;
    }
    (!total.is_zero()).then_some(total)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_selectors() {
        let table = [
            ("up == 0", "up"),
            (
                r#"sum by (job) (rate(a{code=~"5..", x="}"}[5m])) / sum(rate(b[5m])) > 0.05"#,
                r#"a{code=~"5..", x="}"} | b"#,
            ),
            ("a offset 5m > a", "a"),
            ("absent(up{job=\"x\"})", "up{job=\"x\"}"),
            ("{__name__=~\"a.*\"} > 1", "{__name__=~\"a.*\"}"),
            ("max_over_time((x + y)[10m:1m]) > Inf", "x | y"),
            ("vector(1)", ""),
            ("a {b=\"c\"} and on (j) group_left (k) z", "a {b=\"c\"} | z"),
        ];
        for (expression, expected) in table {
            assert_eq!(selectors(expression).join(" | "), expected, "{expression}");
        }
        assert_eq!((metric("a{b=\"c\"}"), metric("{b=\"c\"}"), metric("up")), (Some("a"), None, Some("up")));
    }

    #[test]
    fn cuts_windows() {
        let rule = r#"rate(a{x="[9m]"}[10m]) / max_over_time(b[1h30m:5s]) + rate(c[10s])"#;
        assert_eq!(longest_window(rule), Some(Duration::from_secs(5400)));
        assert_eq!(
            narrowed(rule, Duration::from_secs(30)),
            r#"rate(a{x="[9m]"}[30s]) / max_over_time(b[30s:5s]) + rate(c[10s])"#
        );
        assert_eq!(longest_window("up == 0"), None);
        for wrong in ["", "5", "m", "5x", "99999999999999999999s", "99999999999y99999999999y"] {
            assert_eq!(duration(wrong), None, "{wrong}");
        }
        assert_eq!(written(Duration::from_millis(1500)), "1500ms");
    }

    proptest::proptest! {
        #[test]
        fn never_panics(expression in "\\PC*", brackets in "[a-z0-9 (){}\\[\\]:,\"#]*") {
            for text in [&expression, &brackets] {
                let _ = (selectors(text), longest_window(text), narrowed(text, Duration::from_secs(1)));
            }
        }
    }
}

//! The metric names in a PromQL expression, as far as they can be told without a parser.
//!
//! They serve one question: does a rule that stays silent have anything to work on? A rule over a metric that
//! nobody exposes never fires and never errs. Where the text alone can't tell (a selector without a name,
//! `absent(…)`, which works on nothing), the answer is `None`, not a guess.

mod condition;
mod select;

use std::collections::BTreeSet;

pub(super) use condition::{Written, but_for, condition, number};
pub(super) use select::{duration, longest_window, metric, narrowed, selectors, written};

/// Words that stand where a metric could. Functions and aggregations are told by what follows them.
const KEYWORDS: [&str; 15] = [
    "and",
    "or",
    "unless",
    "by",
    "without",
    "on",
    "ignoring",
    "group_left",
    "group_right",
    "bool",
    "offset",
    "inf",
    "nan",
    "atan2",
    "fill",
];
/// Keywords whose parentheses hold label names.
const LABEL_LISTS: [&str; 6] = ["by", "without", "on", "ignoring", "group_left", "group_right"];

/// The names of all metrics that `expression` selects; `None` if that can't be told.
pub(super) fn metrics(expression: &str) -> Option<BTreeSet<String>> {
    let mut names = BTreeSet::new();
    let mut rest = expression.trim_start();
    let mut may_select = false; // did a name stand right before, so that `{` belongs to it?
    while let Some(first) = rest.chars().next() {
        let named = std::mem::take(&mut may_select);
        rest = match first {
            '"' | '\'' | '`' => after_string(rest, first)?,
            '#' => rest.split_once('\n').map_or("", |(_, next)| next),
            '{' if named => after_matchers(rest)?,
            '{' => return None,
            '[' => rest.split_once(']')?.1,
            _ if first.is_ascii_digit() => {
                rest.trim_start_matches(|c: char| c.is_ascii_alphanumeric() || c == '.')
            }
            _ if starts_name(first) => {
                let end = rest.find(|c: char| !starts_name(c) && !c.is_ascii_digit()).unwrap_or(rest.len());
                let (word, next) = rest.split_at(end);
                let (next, lower) = (next.trim_start(), word.to_ascii_lowercase());
                if lower.starts_with("absent") {
                    return None;
                }
                if LABEL_LISTS.contains(&lower.as_str()) && next.starts_with('(') {
                    next.split_once(')')?.1
                } else if is_call(next) || KEYWORDS.contains(&lower.as_str()) {
                    next
                } else {
                    names.insert(word.to_owned());
                    may_select = true;
                    next
                }
            }
            _ => &rest[first.len_utf8()..],
        };
        rest = rest.trim_start();
    }
    (!names.is_empty()).then_some(names)
}

fn starts_name(c: char) -> bool {
    c.is_ascii_alphabetic() || c == '_' || c == ':'
}

/// Is a word before `next` a function or an aggregation: `rate(`, `sum by (`?
fn is_call(next: &str) -> bool {
    let aggregates =
        |word: &str| next.strip_prefix(word).is_some_and(|list| list.trim_start().starts_with('('));
    next.starts_with('(') || aggregates("by") || aggregates("without")
}

fn after_string(text: &str, quote: char) -> Option<&str> {
    let mut escaped = false;
    let end = text.char_indices().skip(1).find(|(_, c)| {
        let closes = *c == quote && !escaped;
        escaped = *c == '\\' && !escaped && quote != '`';
        closes
    });
    end.map(|(at, _)| &text[at + 1..])
}

fn after_matchers(text: &str) -> Option<&str> {
    let mut rest = &text[1..];
    loop {
        let at = rest.find(['}', '"', '\'', '`'])?;
        match rest[at..].chars().next()? {
            '}' => return Some(&rest[at + 1..]),
            quote => rest = after_string(&rest[at..], quote)?,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(expression: &str) -> Vec<String> {
        metrics(expression).map(Vec::from_iter).unwrap_or_default()
    }

    #[test]
    fn finds_the_metrics_of_real_rules() {
        let table = [
            ("up == 0", "up"),
            (
                r#"sum by (job) (rate(a_total{code=~"5..", x="}"}[5m])) / sum by (job) (rate(b_total[5m])) > 0.05"#,
                "a_total b_total",
            ),
            ("histogram_quantile(0.95, sum(rate(h_bucket[10s])) by (le)) > 2.5e-1", "h_bucket"),
            ("sum without (instance) (a) * on (job) group_left (team) b offset 5m", "a b"),
            ("job:errors:rate5m > bool 1 and on () x # or y\n unless z", "job:errors:rate5m x z"),
            ("max_over_time(x[10m:1m] @ end()) > Inf", "x"),
            ("label_replace(up, \"a\", \"b{\", \"c\", \"d\")", "up"),
            ("sum (rate (a [1m]))", "a"),
        ];
        for (expression, expected) in table {
            assert_eq!(names(expression).join(" "), expected, "{expression}");
        }
    }

    #[test]
    fn says_nothing_where_it_can_not_tell() {
        for expression in [
            "",
            "vector(1)",
            "1 > 2",
            "absent(up)",
            "absent_over_time(up[5m])",
            "{__name__=~\"a.*\"} > 1",
            "count({job=\"a\"})",
            "a{b=\"c",
            "rate(x[5m",
            "\"unclosed",
            "{\"utf8.name\"}",
            "sum by (x",
        ] {
            assert_eq!(metrics(expression), None, "{expression}");
        }
    }

    proptest::proptest! {
        #[test]
        fn never_panics(expression in "\\PC*") {
            let _ = metrics(&expression);
        }
    }
}

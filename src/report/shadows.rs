//! What shadows answered beside what their callers got, in words.

use std::collections::BTreeMap;

use super::words;
use crate::{event::Shadowed, stats::Interval};

/// Combinations that are told one by one; the report has them all.
const MOST: usize = 6;

/// A phase and what its shadows answered, a measure a line.
pub(super) fn lines(seen: &Shadowed) -> String {
    let mut out = format!("{}: {} requests answered twice\n", seen.phase, seen.pairs);
    let mut tell = |measure: &str, text: String| out.push_str(&format!("  {measure:<8}  {text}\n"));
    if let Some(share) = seen.relabelled_share {
        let combinations = combinations(&seen.confusion);
        let which = if combinations.is_empty() { String::new() } else { format!(": {combinations}") };
        tell("labels", format!("{} differ{which}", interval("share", share)));
    }
    if let Some(difference) = seen.score_difference {
        let largest = seen.largest_score_difference.unwrap_or_default();
        tell("scores", format!("{} in the mean, at most {largest:.3}", interval("", difference)));
    }
    if !seen.statuses.is_empty() {
        tell("statuses", combinations(&seen.statuses));
    }
    if let Some(difference) = seen.latency_s {
        tell("latency", format!("{} in the mean", interval("s", difference)));
    }
    for (what, counts) in [("not compared", &seen.not_compared), ("without a shadow", &seen.left_out)] {
        if !counts.is_empty() {
            let list = counts.iter().map(|(reason, count)| format!("{count} {reason}"));
            out.push_str(&format!("  {what}: {}\n", list.collect::<Vec<_>>().join(", ")));
        }
    }
    out
}

/// `30.1% (28.0% to 32.3%)`
fn interval(unit: &str, value: Interval) -> String {
    let of = |value| words::amount(unit, value);
    format!("{} ({} to {})", of(value.estimate), of(value.low), of(value.high))
}

/// `31 virginica → versicolor, 2 setosa → versicolor`, the most frequent first.
fn combinations(cells: &BTreeMap<String, BTreeMap<String, u64>>) -> String {
    let cell = |(from, row)| {
        let row: &BTreeMap<String, u64> = row;
        row.iter().map(move |(to, count)| (*count, format!("{count} {from} → {to}")))
    };
    let mut all: Vec<_> = cells.iter().flat_map(cell).collect();
    all.sort_by_key(|(count, _)| std::cmp::Reverse(*count));
    let others: u64 = all.iter().skip(MOST).map(|(count, _)| count).sum();
    let more = (others > 0).then(|| format!("{others} others"));
    all.into_iter().take(MOST).map(|(_, text)| text).chain(more).collect::<Vec<_>>().join(", ")
}

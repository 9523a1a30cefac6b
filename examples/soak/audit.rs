//! Holds what callers saw against the ledger, the leases and the counters.

use std::collections::BTreeMap;

use canard::evidence::Line;
use tokio::time::Instant;

use super::{
    Failed,
    callers::{ANSWER, Seen},
    hands::Done,
};

/// What there is to compare.
pub(super) struct Audit {
    pub(super) seen: Vec<Seen>,
    pub(super) done: Done,
    pub(super) ledger: String,
}

impl Audit {
    /// What does not hold, in words.
    pub(super) fn check(&self, metrics: &str) -> Result<Vec<String>, Failed> {
        let lines = self.ledger.lines().map(serde_json::from_str).collect::<Result<Vec<Line>, _>>()?;
        let lost = self.seen.iter().filter(|seen| seen.answer.is_err()).count();
        let broken = self.seen.iter().filter(|seen| !is_what_it_says(seen)).count();
        let (unmarked, unrecorded) = self.differences(&lines);
        let (early, late) = self.outside(&lines);
        let mut quickest: Vec<_> = self.seen.iter().map(|seen| seen.done - seen.sent).collect();
        quickest.sort();
        let at = |share: f64| quickest[((quickest.len() - 1) as f64 * share) as usize];
        println!(
            "{} requests, p50 {:?}, p99 {:?}; {} perturbations, {} leases with some",
            self.seen.len(),
            at(0.5),
            at(0.99),
            lines.len(),
            lines.iter().map(|line| line.lease).collect::<std::collections::BTreeSet<_>>().len()
        );
        let mut counted = BTreeMap::<&str, u64>::new();
        lines.iter().for_each(|line| *counted.entry(line.fault_name()).or_default() += 1);
        let counters: Vec<_> =
            counted.iter().map(|(fault, lines)| (fault, *lines, counter(metrics, fault))).collect();
        for (fault, lines, counter) in &counters {
            println!("{fault}: {lines} lines, counter {counter}");
        }
        let miscounted = counters.iter().filter(|(_, lines, counter)| lines != counter).count();
        let found = [
            (lost, "requests without a whole answer"),
            (broken, "answers that are not what their marks say"),
            (unmarked, "lines of the ledger whose response has no mark"),
            (unrecorded, "marks without a line in the ledger"),
            (early, "perturbations before their lease"),
            (late, "perturbations of requests sent after their lease"),
            (miscounted, "counters that do not agree with the ledger"),
        ];
        for (count, what) in found {
            println!("{count} {what}");
        }
        let wrong = found.into_iter().filter(|(count, _)| *count > 0);
        let mut wrong: Vec<_> = wrong.map(|(count, what)| format!("{count} {what}")).collect();
        if lines.is_empty() || self.done.leases.len() < 2 {
            wrong.push("nothing was shown: too little was armed".to_owned());
        }
        Ok(wrong)
    }

    /// Lines without a mark, marks without a line.
    fn differences(&self, lines: &[Line]) -> (usize, usize) {
        let mut marks = BTreeMap::<(&str, String), i64>::new();
        for seen in &self.seen {
            for mark in seen.answer.iter().flat_map(|(_, marks, _)| marks) {
                *marks.entry((&seen.id, mark.clone())).or_default() += 1;
            }
        }
        for line in lines {
            let mark = format!("{}/{}", line.scenario, line.fault_name());
            *marks.entry((line.request.as_deref().unwrap_or_default(), mark)).or_default() -= 1;
        }
        let of = |sign: i64| marks.values().filter(|left| left.signum() == sign).count();
        (of(-1), of(1))
    }

    /// Perturbed requests that were answered before their lease was asked for, or sent after it was over.
    fn outside(&self, lines: &[Line]) -> (usize, usize) {
        let leases: BTreeMap<String, (Instant, Instant)> =
            self.done.leases.iter().map(|held| (held.lease.to_string(), (held.asked, held.over))).collect();
        let seen: BTreeMap<&str, &Seen> = self.seen.iter().map(|seen| (seen.id.as_str(), seen)).collect();
        let (mut early, mut late) = (0, 0);
        for line in lines {
            let request = line.request.as_deref().and_then(|id| seen.get(id));
            match (request, leases.get(&line.lease.to_string())) {
                (Some(seen), Some((asked, over))) => {
                    early += usize::from(seen.done < *asked);
                    late += usize::from(seen.sent > *over);
                }
                _ => late += 1,
            }
        }
        (early, late)
    }
}

/// Does a response show what its marks say, and nothing else?
fn is_what_it_says(seen: &Seen) -> bool {
    let Ok((status, marks, body)) = &seen.answer else { return true };
    let marked = |mark: &str| marks.iter().any(|given| given == mark);
    match (*status, marked("down/error"), marked("stuck/freeze")) {
        (503, true, false) => true,
        (200, false, true) => *body == ANSWER.replace("[2]", "[0]"),
        (200, false, false) => body == ANSWER,
        _ => false,
    }
}

/// What `/metrics` counts for a fault.
fn counter(metrics: &str, fault: &str) -> u64 {
    let name = format!("canard_injections_total{{fault=\"{fault}\"}} ");
    metrics.lines().find_map(|line| line.strip_prefix(&name)?.parse().ok()).unwrap_or(0)
}

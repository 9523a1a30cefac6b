//! How the answers of shadows differed from those that callers got, pair by pair.
//!
//! A shadow is the answer to a copy of a request; its caller has the true one. Both come from one request, so they are
//! compared row by row: nothing but the fault (or the mirror) can make the difference. Everything is of bounded size.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

use serde::{Deserialize, Serialize};

use super::{FaultCell, OTHER_LABEL, Observer, Sample, Sums, add};
use crate::{
    exposure::Arm,
    wire::{Answer, Codec, Content, Labels, Row, Value},
};

/// Counts by one class (or status), then the other.
pub type Confusion = BTreeMap<String, BTreeMap<String, u64>>;

/// Pairs of classes, and of statuses, that are told apart.
const CELLS: usize = 64;
/// The status of an answer that broke off.
const BROKEN: &str = "broken";

/// What shadows answered beside what their callers got, in one phase.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default)]
pub struct ShadowEvidence {
    /// Requests that were answered twice: truly to the caller, and by the shadow.
    pub pairs: u64,
    /// Treated requests without a shadow, by reason: `overflow`, `memory`, `too-large`, `not-whole`, `upgrade`,
    /// `disarmed`, `no-runtime`.
    pub left_out: BTreeMap<String, u64>,
    /// Pairs with different statuses: the caller's, then the shadow's (or `broken`). The 64 first combinations are
    /// told apart.
    pub statuses: Confusion,
    /// The shadow's latency minus the caller's, in seconds.
    pub latency_s: Sums,
    /// Predictions that were set side by side.
    pub predictions: u64,
    /// Pairs whose predictions could not be, by reason: `other-rows` (another number of them), or why the caller's
    /// answer can't be read.
    pub not_compared: BTreeMap<String, u64>,
    /// Pairs of labels among them.
    pub labelled: u64,
    /// Labels that differ.
    pub relabelled: u64,
    /// Those, by the caller's label and then the shadow's. The 64 first combinations are told apart.
    pub confusion: Confusion,
    /// The shadow's highest score of a prediction minus the caller's (or of the only ones).
    pub scores: Sums,
    /// The largest of those differences, whatever its sign.
    pub largest_score_difference: f64,
}

impl ShadowEvidence {
    /// Share of labels that differ; `None` without labels.
    pub fn relabelled_share(&self) -> Option<f64> {
        (self.labelled > 0).then(|| self.relabelled as f64 / self.labelled as f64)
    }

    /// Adds another's counts.
    pub fn merge(&mut self, other: &ShadowEvidence) {
        self.pairs += other.pairs;
        add(&mut self.left_out, &other.left_out);
        merge_cells(&mut self.statuses, &other.statuses);
        self.latency_s.merge(&other.latency_s);
        self.predictions += other.predictions;
        add(&mut self.not_compared, &other.not_compared);
        self.labelled += other.labelled;
        self.relabelled += other.relabelled;
        merge_cells(&mut self.confusion, &other.confusion);
        self.scores.merge(&other.scores);
        self.largest_score_difference = self.largest_score_difference.max(other.largest_score_difference);
    }

    fn pair(&mut self, caller: &Sample, shadow: &Sample) {
        self.pairs += 1;
        let status = |sample: &Sample| {
            let status = sample.status.filter(|_| sample.whole);
            status.map_or_else(|| BROKEN.to_owned(), |status| status.as_u16().to_string())
        };
        let (before, after) = (status(caller), status(shadow));
        if before != after {
            count(&mut self.statuses, &before, &after, 1);
        }
        if shadow.whole {
            self.latency_s.record(shadow.latency.as_secs_f64() - caller.latency.as_secs_f64());
        }
    }

    fn compare(&mut self, caller: &Answer, shadow: &Answer, labels: &Labels) {
        if caller.rows.len() != shadow.rows.len() {
            *self.not_compared.entry("other-rows".to_owned()).or_default() += 1;
            return;
        }
        let names = (caller.labels(labels), shadow.labels(labels));
        for (before, after) in caller.rows.iter().zip(&shadow.rows) {
            self.predictions += 1;
            if caller.content == Content::Predictions
                && let (Some(from), Some(to)) = (names.0.of(before), names.1.of(after))
            {
                self.labelled += 1;
                if from != to {
                    self.relabelled += 1;
                    count(&mut self.confusion, &from, &to, 1);
                }
            }
            if caller.content != Content::Embeddings
                && let (Some(from), Some(to)) = (highest(before), highest(after))
                && (to - from).is_finite()
            {
                self.scores.record(to - from);
                self.largest_score_difference = self.largest_score_difference.max((to - from).abs());
            }
        }
    }
}

fn highest(row: &Row) -> Option<f64> {
    row.scores.iter().filter_map(Value::as_f64).reduce(f64::max)
}

/// Counts a combination, or puts it to the [others](OTHER_LABEL) when there are too many (64).
pub fn count(cells: &mut Confusion, from: &str, to: &str, times: u64) {
    let known = cells.get(from).is_some_and(|row| row.contains_key(to));
    let fits = known || cells.values().map(BTreeMap::len).sum::<usize>() < CELLS;
    let (from, to) = if fits { (from, to) } else { (OTHER_LABEL, OTHER_LABEL) };
    *cells.entry(from.to_owned()).or_default().entry(to.to_owned()).or_default() += times;
}

fn merge_cells(into: &mut Confusion, more: &Confusion) {
    for (from, row) in more {
        row.iter().for_each(|(to, times)| count(into, from, to, *times));
    }
}

/// Why a treated request has no shadow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LeftOut {
    /// As many shadows as there may be are on their way.
    Overflow,
    /// All of them together hold as much as they may.
    Memory,
    /// The request, or what was answered, is larger than a body may be.
    TooLarge,
    /// The answer did not reach its caller whole, or came before the request was.
    NotWhole,
    /// The connection becomes something other than HTTP.
    Upgrade,
    /// The lease ended first.
    Disarmed,
    /// The caller's answer ended outside of a runtime that could go on.
    NoRuntime,
}

impl LeftOut {
    /// All of them.
    pub const ALL: [LeftOut; 7] = [
        LeftOut::Overflow,
        LeftOut::Memory,
        LeftOut::TooLarge,
        LeftOut::NotWhole,
        LeftOut::Upgrade,
        LeftOut::Disarmed,
        LeftOut::NoRuntime,
    ];

    /// As evidence names it.
    pub const fn reason(self) -> &'static str {
        match self {
            LeftOut::Overflow => "overflow",
            LeftOut::Memory => "memory",
            LeftOut::TooLarge => "too-large",
            LeftOut::NotWhole => "not-whole",
            LeftOut::Upgrade => "upgrade",
            LeftOut::Disarmed => "disarmed",
            LeftOut::NoRuntime => "no-runtime",
        }
    }
}

/// Counts what shadows answered in one phase.
#[derive(Debug, Default)]
pub struct ShadowCell {
    evidence: Mutex<ShadowEvidence>,
    left_out: [AtomicU64; LeftOut::ALL.len()],
}

impl ShadowCell {
    /// A treated request got no shadow. Takes no lock: callers come by here.
    pub fn left_out(&self, why: LeftOut) {
        self.left_out[why as usize].fetch_add(1, Relaxed);
    }

    /// A request was answered twice.
    pub fn pair(&self, caller: &Sample, shadow: &Sample) {
        self.locked().pair(caller, shadow);
    }

    pub(super) fn read(&self) -> ShadowEvidence {
        let counts =
            LeftOut::ALL.map(|why| (why.reason().to_owned(), self.left_out[why as usize].load(Relaxed)));
        let left_out = counts.into_iter().filter(|(_, count)| *count > 0).collect();
        ShadowEvidence { left_out, ..self.locked().clone() }
    }

    fn locked(&self) -> MutexGuard<'_, ShadowEvidence> {
        self.evidence.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Sets the predictions of a shadow beside its caller's, once the evidence reads them.
#[derive(Debug)]
pub struct Comparison {
    /// Where the differences are counted.
    pub cell: Arc<ShadowCell>,
    /// What the caller got.
    pub caller: Sample,
    /// Reads it.
    pub codec: Arc<dyn Codec>,
    /// Class names.
    pub labels: Labels,
    /// Largest body that is read, once decoded. Bytes.
    pub limit: usize,
    /// Who sees the shadow's predictions too.
    pub next: Option<Arc<dyn Observer>>,
}

impl Observer for Comparison {
    fn answered<'a>(&self, answer: &Answer, arm: Arm, fault: &dyn Fn(usize) -> &'a FaultCell) {
        self.next.iter().for_each(|next| next.answered(answer, arm, fault));
        let mut seen = ShadowEvidence::default();
        match self.caller.predictions(self.codec.as_ref(), self.limit) {
            Ok(caller) => seen.compare(&caller, answer, &self.labels),
            Err(error) => *seen.not_compared.entry(error.reason().to_owned()).or_default() += 1,
        }
        // Workers take the lock too.
        self.cell.locked().merge(&seen);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(rows: &[(&str, f64)]) -> Answer {
        let row = |(label, score): &(&str, f64)| Row {
            label: Some(Value::Text((*label).to_owned())),
            scores: vec![Value::Float(*score)],
        };
        Answer::of_rows(rows.iter().map(row).collect())
    }

    #[test]
    fn rows_are_compared_one_by_one() {
        let mut seen = ShadowEvidence::default();
        let labels = Labels::default();
        seen.compare(&answer(&[("a", 0.5), ("b", 0.75)]), &answer(&[("b", 0.5), ("b", 0.5)]), &labels);
        seen.compare(&answer(&[("a", 0.5)]), &answer(&[]), &labels);
        assert_eq!((seen.predictions, seen.labelled, seen.relabelled), (2, 2, 1));
        assert_eq!(seen.confusion, [("a".to_owned(), [("b".to_owned(), 1)].into())].into());
        assert_eq!((seen.scores.sum, seen.largest_score_difference), (-0.25, 0.25));
        assert_eq!(seen.not_compared, [("other-rows".to_owned(), 1)].into());
        let mut both = seen.clone();
        both.merge(&seen);
        assert_eq!((both.relabelled, both.confusion["a"]["b"], both.largest_score_difference), (2, 2, 0.25));
    }

    #[test]
    fn many_classes_take_no_more_room_than_a_few() {
        let mut seen = ShadowEvidence::default();
        for n in 0..1000 {
            let (from, to) = (format!("c{n}"), format!("d{n}"));
            let mut one = ShadowEvidence::default();
            one.compare(&answer(&[(&from, 1.0)]), &answer(&[(&to, f64::NAN)]), &Labels::default());
            seen.merge(&one);
        }
        assert_eq!(seen.confusion.values().map(BTreeMap::len).sum::<usize>(), CELLS + 1);
        assert_eq!(seen.confusion[OTHER_LABEL][OTHER_LABEL], 1000 - CELLS as u64);
        assert_eq!((seen.relabelled_share(), seen.scores.count), (Some(1.0), 0));
    }
}

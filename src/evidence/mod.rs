//! What callers saw, per arm and phase, and the ledger of injections.
//!
//! [`Evidence`] is a reading: plain data that adds up over sidecars and subtracts over time. The recorders
//! that fill it are of bounded size: atomics for what every request counts, short locks for the rest.

mod groups;
mod ledger;
mod queue;
mod recorder;
mod sample;
mod shadow;
mod text;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::stats::{Histogram, Scores};

pub use groups::{Compared, Groups, Side};
pub use ledger::{Entry, Ledger, LedgerError, LedgerParts, LedgerReader, Line, Permit, ReadError, Rotation};
#[cfg(feature = "cli")]
pub(crate) use ledger::{LineKind, LineWriter, open_lines};
pub use recorder::{ArmSink, Cap, Cohort, FaultCell, Observer, Recorder, RecorderLimits};
pub(crate) use sample::{CHUNK_OVERHEAD, Copied, as_bytes};
pub use sample::{Sample, SampledBody, Sink, Unread, Watch};
pub use shadow::{Comparison, Confusion, LeftOut, ShadowCell, ShadowEvidence, count};
pub use text::{NO_REASON, Sums, TextEvidence, TextReading};

/// The class under which labels beyond the limit count.
pub const OTHER_LABEL: &str = "(other)";

/// What callers saw since a plan was armed.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Evidence {
    /// Name of the scenario.
    pub scenario: String,
    /// One for each phase of the plan, in its order.
    pub phases: Vec<PhaseEvidence>,
    /// Requests that belong to no arm, by reason: `no-unit`, `expression-failed`,
    /// `request-body-too-large`, `request-body-unreadable`, `request-body-broke`, `disarmed` (while its body
    /// was read), `request-body-not-kept` (there was no room for it beside the shadows), `not-typed`. Of requests that
    /// asked for faults: `asked`, `denied` (they may not), `unknown-fault` (the plan has none of that name; may count
    /// on top of `asked`).
    pub not_assigned: BTreeMap<String, u64>,
    /// Requests without an id of their own (`x-request-id`, `traceparent`): their decisions can't be
    /// repeated elsewhere, because each was given a number in the order of arrival.
    #[serde(default)]
    pub without_identity: u64,
}

/// What callers saw in one phase.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct PhaseEvidence {
    /// Its name.
    pub phase: String,
    /// Units that nothing acts on.
    pub control: ArmEvidence,
    /// Units that faults may act on.
    pub treated: ArmEvidence,
    /// The treated of each group, where they are split.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub groups: BTreeMap<String, ArmEvidence>,
    /// One for each injection, in the order of the plan.
    pub faults: Vec<FaultEvidence>,
    /// Under `release: shadow` callers are all in `control`, whatever their unit; `treated` is what shadows answered,
    /// and this is how the two differed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shadow: Option<ShadowEvidence>,
}

/// What one arm saw in one phase.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ArmEvidence {
    /// Responses by status.
    pub statuses: BTreeMap<u16, u64>,
    /// Requests without a whole response: the connection broke, or the caller gave up.
    pub broken: u64,
    /// From the request's arrival to the last byte of its response.
    pub latency: Histogram,
    /// Predictions read.
    pub predictions: u64,
    /// Predicted classes.
    pub labels: BTreeMap<String, u64>,
    /// Highest score of each prediction's row (or its only one).
    pub scores: Scores,
    /// Predictions that are no usable value, by reason: `null`, `nan`, `infinite`, `out-of-range`.
    pub invalid: BTreeMap<String, u64>,
    /// Prediction responses whose predictions were not read, by reason.
    pub unread: BTreeMap<String, u64>,
    /// Generated text.
    #[serde(default)]
    pub text: TextEvidence,
}

/// How often one fault acted.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct FaultEvidence {
    /// Identity of the injection, `phase/fault`.
    pub id: String,
    /// Requests that matched the target while it was active.
    pub eligible: u64,
    /// Those of units that get it.
    pub exposed: u64,
    /// How large it was when those arrived, 0 to 1 of its full size, summed in millionths: a ramp, a shape and a
    /// phase that ended early leave less than `exposed` of it.
    #[serde(default)]
    pub intensity_millionths: u64,
    /// The exposed that came while it had any size at all.
    #[serde(default)]
    pub active: u64,
    /// Those that it changed.
    pub perturbed: u64,
    /// Predictions that it changed.
    pub predictions: u64,
    /// Rows that it was shown: predictions, vectors or feature rows.
    #[serde(default)]
    pub rows: u64,
    /// Those of them that it may touch (its `where`).
    #[serde(default)]
    pub rows_in_scope: u64,
    /// Requests that it changed because they asked for it (`x-canard-fault`); none of the others counts them.
    #[serde(default)]
    pub asked_for: u64,
    /// How far it moved ranked lists (1 − Kendall's τ with the order before) or embeddings (1 − cosine with the vector
    /// before): the mean of each response that it was shown.
    #[serde(default)]
    pub moved: Sums,
    /// Those that it should have changed and could not, by reason.
    pub skipped: BTreeMap<String, u64>,
    /// What its group and the others were told, for faults that treat a group differently.
    #[serde(default)]
    pub groups: Groups,
}

impl ArmEvidence {
    /// Requests, answered or broken.
    pub fn requests(&self) -> u64 {
        self.statuses.values().sum::<u64>() + self.broken
    }

    /// Requests that failed: 5xx, 429, or broken.
    pub fn failed(&self) -> u64 {
        let failed = self.statuses.iter().filter(|(status, _)| **status >= 500 || **status == 429);
        failed.map(|(_, count)| count).sum::<u64>() + self.broken
    }

    /// Requests that were refused as wrong: 4xx without 429.
    pub fn refused(&self) -> u64 {
        let refused =
            self.statuses.iter().filter(|(status, _)| (400..500).contains(*status) && **status != 429);
        refused.map(|(_, count)| count).sum()
    }

    /// Share of requests that failed; `None` without requests.
    pub fn error_share(&self) -> Option<f64> {
        let requests = self.requests();
        (requests > 0).then(|| self.failed() as f64 / requests as f64)
    }

    /// Adds another's counts.
    pub fn merge(&mut self, other: &ArmEvidence) {
        add(&mut self.statuses, &other.statuses);
        self.broken += other.broken;
        self.latency.merge(&other.latency);
        self.predictions += other.predictions;
        add(&mut self.labels, &other.labels);
        self.scores.merge(&other.scores);
        add(&mut self.invalid, &other.invalid);
        add(&mut self.unread, &other.unread);
        self.text.merge(&other.text);
    }

    /// What was counted since `earlier`, a former reading of the same arm.
    pub fn since(&self, earlier: &ArmEvidence) -> ArmEvidence {
        ArmEvidence {
            statuses: subtract(&self.statuses, &earlier.statuses),
            broken: self.broken.saturating_sub(earlier.broken),
            latency: self.latency.since(&earlier.latency),
            predictions: self.predictions.saturating_sub(earlier.predictions),
            labels: subtract(&self.labels, &earlier.labels),
            scores: self.scores.since(&earlier.scores),
            invalid: subtract(&self.invalid, &earlier.invalid),
            unread: subtract(&self.unread, &earlier.unread),
            text: self.text.since(&earlier.text),
        }
    }
}

impl FaultEvidence {
    /// How large it was for the exposed in the mean, 0 to 1; `None` where that was not counted.
    pub fn mean_intensity(&self) -> Option<f64> {
        let counted = self.exposed > 0 && self.intensity_millionths > 0;
        counted.then(|| (self.intensity_millionths as f64 / 1e6 / self.exposed as f64).min(1.0))
    }

    /// Share of the exposed that came while it had any size; `None` where that was not counted.
    pub fn active_share(&self) -> Option<f64> {
        let counted = self.exposed > 0 && self.active > 0;
        counted.then(|| (self.active as f64 / self.exposed as f64).min(1.0))
    }

    /// Share of the rows that it may touch, of those that it was shown; 1 where it was shown none.
    pub fn row_share(&self) -> f64 {
        if self.rows == 0 { 1.0 } else { self.rows_in_scope as f64 / self.rows as f64 }
    }
}

impl PhaseEvidence {
    /// All callers together: what a monitor sees. What shadows answered no caller saw.
    pub fn everybody(&self) -> ArmEvidence {
        let mut all = self.control.clone();
        if self.shadow.is_none() {
            all.merge(&self.treated);
        }
        all
    }
}

impl Evidence {
    /// Adds the evidence of another sidecar under the same plan.
    pub fn merge(&mut self, other: &Evidence) {
        if self.phases.is_empty() {
            *self = other.clone();
            return;
        }
        for (mine, theirs) in self.phases.iter_mut().zip(&other.phases) {
            mine.control.merge(&theirs.control);
            mine.treated.merge(&theirs.treated);
            if let Some(more) = &theirs.shadow {
                mine.shadow.get_or_insert_default().merge(more);
            }
            for (group, seen) in &theirs.groups {
                mine.groups.entry(group.clone()).or_default().merge(seen);
            }
            for (fault, more) in mine.faults.iter_mut().zip(&theirs.faults) {
                fault.eligible += more.eligible;
                fault.exposed += more.exposed;
                fault.intensity_millionths += more.intensity_millionths;
                fault.active += more.active;
                fault.perturbed += more.perturbed;
                fault.rows += more.rows;
                fault.rows_in_scope += more.rows_in_scope;
                fault.asked_for += more.asked_for;
                fault.moved.merge(&more.moved);
                fault.predictions += more.predictions;
                add(&mut fault.skipped, &more.skipped);
                fault.groups.merge(more.groups);
            }
        }
        add(&mut self.not_assigned, &other.not_assigned);
        self.without_identity += other.without_identity;
    }

    /// Everything that everybody saw in every phase.
    pub fn everybody(&self) -> ArmEvidence {
        self.phases.iter().fold(ArmEvidence::default(), |mut all, phase| {
            all.merge(&phase.everybody());
            all
        })
    }
}

fn add<K: Ord + Clone>(into: &mut BTreeMap<K, u64>, more: &BTreeMap<K, u64>) {
    for (key, count) in more {
        *into.entry(key.clone()).or_default() += count;
    }
}

fn subtract<K: Ord + Clone>(from: &BTreeMap<K, u64>, earlier: &BTreeMap<K, u64>) -> BTreeMap<K, u64> {
    let left = from.iter().map(|(k, n)| (k.clone(), n.saturating_sub(earlier.get(k).copied().unwrap_or(0))));
    left.filter(|(_, n)| *n > 0).collect()
}

//! The cells that exchanges are counted in: one for each arm of a phase, and one for each group of the treated that had
//! a request in it.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, OnceLock,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use http::StatusCode;

use super::{Cohort, FaultCell, locked};
use crate::{
    evidence::{ArmEvidence, OTHER_LABEL, PhaseEvidence, ShadowCell, TextEvidence, TextReading},
    exposure::Arm,
    scenario::{Phase, Plan},
    stats::{Histogram, LATENCY_BUCKETS, Scores, latency_bucket},
    wire::{Content, Labels, Row, Value},
};

/// HTTP statuses have three digits.
const STATUSES: usize = 1000;

#[derive(Debug)]
pub(super) struct PhaseCell {
    name: String,
    control: ArmCell,
    treated: ArmCell,
    /// By the number of the group.
    groups: Vec<(String, OnceLock<ArmCell>)>,
    pub(super) faults: Vec<(String, FaultCell)>,
    pub(super) shadow: Option<Arc<ShadowCell>>,
}

impl PhaseCell {
    pub(super) fn new(phase: &Phase, plan: &Plan) -> PhaseCell {
        let groups = plan.exposure.groups.iter();
        PhaseCell {
            name: phase.name.clone(),
            control: ArmCell::default(),
            treated: ArmCell::default(),
            groups: groups.map(|group| (group.name.clone(), OnceLock::new())).collect(),
            faults: phase.injections.iter().map(|i| (i.id.clone(), FaultCell::default())).collect(),
            shadow: plan.shadow().map(|_| Arc::default()),
        }
    }

    /// The cells that a cohort counts in.
    pub(super) fn cells(&self, cohort: Cohort) -> impl Iterator<Item = &ArmCell> {
        let arm = match cohort.arm {
            Arm::Treated => &self.treated,
            Arm::Control => &self.control,
        };
        let group = cohort.group.and_then(|number| self.groups.get(number));
        std::iter::once(arm).chain(group.map(|(_, cell)| cell.get_or_init(ArmCell::default)))
    }

    pub(super) fn read(&self) -> PhaseEvidence {
        let group = |(name, cell): &(String, OnceLock<ArmCell>)| {
            (name.clone(), cell.get().map(ArmCell::read).unwrap_or_default())
        };
        PhaseEvidence {
            phase: self.name.clone(),
            control: self.control.read(),
            treated: self.treated.read(),
            groups: self.groups.iter().map(group).collect(),
            faults: self.faults.iter().map(|(id, cell)| cell.read(id)).collect(),
            shadow: self.shadow.as_deref().map(ShadowCell::read),
        }
    }
}

#[derive(Debug)]
pub(super) struct ArmCell {
    statuses: Box<[AtomicU64]>,
    latency: Box<[AtomicU64]>,
    broken: AtomicU64,
    predictions: Mutex<PredictionCell>,
}

#[derive(Debug, Default)]
pub(super) struct PredictionCell {
    pub(super) read: u64,
    pub(super) labels: BTreeMap<String, u64>,
    scores: Scores,
    invalid: BTreeMap<String, u64>,
    unread: BTreeMap<String, u64>,
    text: TextEvidence,
}

impl Default for ArmCell {
    fn default() -> ArmCell {
        let zeros = |n| std::iter::repeat_with(AtomicU64::default).take(n).collect();
        ArmCell {
            statuses: zeros(STATUSES),
            latency: zeros(LATENCY_BUCKETS),
            broken: AtomicU64::default(),
            predictions: Mutex::default(),
        }
    }
}

impl ArmCell {
    /// An exchange ended, with this status if its response passed whole.
    pub(super) fn ended(&self, status: Option<StatusCode>, latency: Duration) {
        let Some(status) = status else {
            self.broken.fetch_add(1, Relaxed);
            return;
        };
        self.latency[latency_bucket(latency)].fetch_add(1, Relaxed);
        self.statuses[usize::from(status.as_u16())].fetch_add(1, Relaxed);
    }

    /// Predictions were read.
    pub(super) fn predicted(&self, content: Content, rows: &[Row], labels: &Labels, distinct: usize) {
        let mut cell = locked(&self.predictions);
        rows.iter().for_each(|row| cell.count(content, row, labels, distinct));
    }

    /// A generated text was read.
    pub(super) fn generated(&self, reading: &TextReading) {
        locked(&self.predictions).text.record(reading);
    }

    /// A response was not read.
    pub(super) fn miss(&self, reason: &'static str) {
        *locked(&self.predictions).unread.entry(reason.to_owned()).or_default() += 1;
    }

    fn read(&self) -> ArmEvidence {
        let statuses = self.statuses.iter().enumerate().map(|(i, n)| (i as u16, n.load(Relaxed)));
        let latency = self.latency.iter().enumerate().map(|(i, n)| (i, n.load(Relaxed)));
        let predictions = locked(&self.predictions);
        ArmEvidence {
            statuses: statuses.filter(|(_, n)| *n > 0).collect(),
            broken: self.broken.load(Relaxed),
            latency: Histogram::from_counts(latency),
            predictions: predictions.read,
            labels: predictions.labels.clone(),
            scores: predictions.scores.clone(),
            invalid: predictions.invalid.clone(),
            unread: predictions.unread.clone(),
            text: predictions.text.clone(),
        }
    }
}

impl PredictionCell {
    pub(super) fn count(&mut self, content: Content, row: &Row, labels: &Labels, distinct: usize) {
        self.read += 1;
        if let Some(reason) = row.invalid(content) {
            *self.invalid.entry(reason.to_owned()).or_default() += 1;
        }
        if let Some(label) = labels.of(row).filter(|_| content == Content::Predictions) {
            let name = match self.labels.contains_key(label.as_ref()) || self.labels.len() < distinct {
                true => label.as_ref(),
                false => OTHER_LABEL,
            };
            match self.labels.get_mut(name) {
                Some(count) => *count += 1,
                None => _ = self.labels.insert(name.to_owned(), 1),
            }
        }
        if content != Content::Embeddings
            && let Some(highest) = row.scores.iter().filter_map(Value::as_f64).reduce(f64::max)
        {
            self.scores.record(highest);
        }
    }
}

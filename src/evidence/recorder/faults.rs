//! Counters of one fault: how often it acted, and what kept it from acting.

use std::{
    collections::BTreeMap,
    sync::{
        Mutex,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

use super::locked;
use crate::{
    evidence::{FaultEvidence, Sums, groups::GroupCells},
    exposure::Arm,
};

/// Counts how often one fault acted.
#[derive(Debug, Default)]
pub struct FaultCell {
    eligible: AtomicU64,
    exposed: AtomicU64,
    intensity_millionths: AtomicU64,
    active: AtomicU64,
    perturbed: AtomicU64,
    predictions: AtomicU64,
    rows: AtomicU64,
    rows_in_scope: AtomicU64,
    asked_for: AtomicU64,
    moved: Moved,
    skipped: Tally,
    capped: [AtomicU64; Cap::ALL.len()],
    groups: GroupCells,
}

/// Sums in millionths: whole numbers need no lock.
#[derive(Debug, Default)]
struct Moved {
    count: AtomicU64,
    sum: AtomicU64,
    squares: AtomicU64,
}

/// A limit on injections beside the share.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cap {
    /// Injections a second.
    Rate,
    /// Injections at once.
    Concurrent,
    /// Injections in the whole run.
    Total,
    /// Injections on one unit in an hour.
    PerUnit,
    /// There was no room to count those on this unit.
    UnitTable,
}

impl Cap {
    /// All of them.
    pub const ALL: [Cap; 5] = [Cap::Rate, Cap::Concurrent, Cap::Total, Cap::PerUnit, Cap::UnitTable];

    /// As evidence names what it took away.
    pub const fn reason(self) -> &'static str {
        match self {
            Cap::Rate => "cap-rate",
            Cap::Concurrent => "cap-concurrent",
            Cap::Total => "cap-total",
            Cap::PerUnit => "cap-per-unit",
            Cap::UnitTable => "cap-unit-table",
        }
    }
}

/// Counts by reason; the reasons are few and fixed.
#[derive(Debug, Default)]
pub(super) struct Tally(Mutex<BTreeMap<&'static str, u64>>);

impl Tally {
    pub(super) fn add(&self, reason: &'static str) {
        *locked(&self.0).entry(reason).or_default() += 1;
    }

    pub(super) fn read(&self) -> BTreeMap<String, u64> {
        locked(&self.0).iter().map(|(reason, n)| ((*reason).to_owned(), *n)).collect()
    }
}

impl FaultCell {
    /// A request matched the target while the fault was active.
    pub fn eligible(&self) {
        self.eligible.fetch_add(1, Relaxed);
    }

    /// It came from a unit that gets the fault.
    pub fn exposed(&self) {
        self.exposed.fetch_add(1, Relaxed);
    }

    /// It was of this size for one of those, 0 to 1 of its full size.
    pub fn intensity(&self, intensity: f64) {
        if intensity > 0.0 {
            self.active.fetch_add(1, Relaxed);
            self.intensity_millionths.fetch_add((intensity.min(1.0) * 1e6) as u64, Relaxed);
        }
    }

    /// It was shown so many rows, and may touch some of them.
    pub fn shown(&self, rows: usize, in_scope: usize) {
        self.rows.fetch_add(rows as u64, Relaxed);
        self.rows_in_scope.fetch_add(in_scope as u64, Relaxed);
    }

    /// It moved the lists or vectors of a response so far in the mean, 0 (as they were) to 2 (the reverse).
    pub fn moved(&self, far: f64) {
        let far = far.clamp(0.0, 2.0);
        let millionths = |x: f64| (x * 1e6).round() as u64;
        self.moved.count.fetch_add(1, Relaxed);
        self.moved.sum.fetch_add(millionths(far), Relaxed);
        self.moved.squares.fetch_add(millionths(far * far), Relaxed);
    }

    /// Its response was changed, so many predictions among it.
    pub fn perturbed(&self, predictions: usize) {
        self.perturbed.fetch_add(1, Relaxed);
        self.predictions.fetch_add(predictions as u64, Relaxed);
    }

    /// A request was changed that asked for it, whatever its unit's draw.
    pub fn asked_for(&self) {
        self.asked_for.fetch_add(1, Relaxed);
    }

    /// It should have been changed and could not.
    pub fn skipped(&self, reason: &'static str) {
        self.skipped.add(reason);
    }

    /// It should have been changed, and a cap took that away. Takes no lock: a cap binds when there is most to do.
    pub fn capped(&self, cap: Cap) {
        self.capped[cap as usize].fetch_add(1, Relaxed);
    }

    /// A caller of its group, or another, was told the positive class or not.
    pub fn told(&self, arm: Arm, member: bool, positive: bool) {
        self.groups.told(arm, member, positive);
    }

    pub(super) fn read(&self, id: &str) -> FaultEvidence {
        let capped = Cap::ALL.map(|cap| (cap.reason().to_owned(), self.capped[cap as usize].load(Relaxed)));
        let mut skipped = self.skipped.read();
        skipped.extend(capped.into_iter().filter(|(_, count)| *count > 0));
        FaultEvidence {
            id: id.to_owned(),
            eligible: self.eligible.load(Relaxed),
            exposed: self.exposed.load(Relaxed),
            intensity_millionths: self.intensity_millionths.load(Relaxed),
            active: self.active.load(Relaxed),
            perturbed: self.perturbed.load(Relaxed),
            rows: self.rows.load(Relaxed),
            rows_in_scope: self.rows_in_scope.load(Relaxed),
            predictions: self.predictions.load(Relaxed),
            asked_for: self.asked_for.load(Relaxed),
            moved: Sums {
                count: self.moved.count.load(Relaxed),
                sum: self.moved.sum.load(Relaxed) as f64 / 1e6,
                sum_of_squares: self.moved.squares.load(Relaxed) as f64 / 1e6,
            },
            skipped,
            groups: self.groups.read(),
        }
    }
}

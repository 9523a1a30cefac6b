//! Counters that go on from lease to lease.
//!
//! Evidence begins anew with each lease, and a Prometheus counter that falls looks like a restart. What
//! former leases counted is kept and added.

use std::collections::BTreeMap;

use crate::{evidence::Evidence, layer::Handle};

type Skips = BTreeMap<(String, String), u64>;

/// What faults did since the sidecar started.
#[derive(Debug, Clone, Default)]
pub(in crate::sidecar) struct Totals {
    lease: Option<String>,
    before: Counts,
    current: Counts,
}

/// What faults did, by name of the fault.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Counts {
    pub(super) injections: BTreeMap<String, u64>,
    pub(super) skipped: Skips,
}

impl Totals {
    /// Reads the handle; what it counts now is added to what former leases did.
    pub(super) fn read(&mut self, handle: &Handle) -> Counts {
        let lease = handle.status().lease.map(|lease| lease.id.to_string());
        let now = handle.evidence().map(|evidence| Counts::of(&evidence)).unwrap_or_default();
        let another = lease.is_some() && self.lease.is_some() && lease != self.lease;
        if another || now.fell_below(&self.current) {
            let ended = std::mem::take(&mut self.current);
            self.before.add(&ended);
        }
        self.lease = lease.or(self.lease.take());
        self.current = now;
        let mut all = self.before.clone();
        all.add(&self.current);
        all
    }
}

impl Counts {
    fn of(evidence: &Evidence) -> Counts {
        let mut counts = Counts::default();
        for fault in evidence.phases.iter().flat_map(|phase| &phase.faults) {
            let name = fault_name(&fault.id);
            *counts.injections.entry(name.to_owned()).or_default() += fault.perturbed;
            for (reason, skipped) in &fault.skipped {
                *counts.skipped.entry((name.to_owned(), reason.clone())).or_default() += skipped;
            }
        }
        counts
    }

    fn add(&mut self, other: &Counts) {
        for (fault, count) in &other.injections {
            *self.injections.entry(fault.clone()).or_default() += count;
        }
        for (key, count) in &other.skipped {
            *self.skipped.entry(key.clone()).or_default() += count;
        }
    }

    fn fell_below(&self, earlier: &Counts) -> bool {
        let fell = |now: Option<&u64>, then: &u64| now.copied().unwrap_or(0) < *then;
        earlier.injections.iter().any(|(key, then)| fell(self.injections.get(key), then))
            || earlier.skipped.iter().any(|(key, then)| fell(self.skipped.get(key), then))
    }
}

/// The fault of an injection's identity, `phase/fault#2`.
fn fault_name(id: &str) -> &str {
    let name = id.rsplit_once('/').map_or(id, |(_, name)| name);
    name.split_once('#').map_or(name, |(name, _)| name)
}

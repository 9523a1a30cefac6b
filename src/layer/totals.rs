//! What faults did over all leases of a handle.
//!
//! Evidence begins anew with each lease, and a counter that falls looks like a restart. Here counters only
//! grow. A request may still count for a lease that has ended, so a lease is kept until nobody else holds it,
//! and only then folded into a sum: nothing is lost, nothing counts twice.

use std::{collections::BTreeMap, sync::Arc};

use super::lease::Lease;

/// How often faults acted since a [`Handle`](super::Handle) was made, by name of the fault.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Totals {
    /// Responses that the fault changed.
    pub injections: BTreeMap<String, u64>,
    /// Responses that it should have changed and could not, by fault and reason.
    pub skipped: BTreeMap<(String, String), u64>,
}

impl Totals {
    pub(super) fn add(&mut self, lease: &Lease) {
        for fault in lease.recorder.faults() {
            let name = fault_name(&fault.id);
            *self.injections.entry(name.to_owned()).or_default() += fault.perturbed + fault.asked_for;
            for (reason, skipped) in fault.skipped {
                *self.skipped.entry((name.to_owned(), reason)).or_default() += skipped;
            }
        }
    }
}

/// Leases that are long over.
#[derive(Debug, Default)]
pub(super) struct Former {
    /// Requests still run under them.
    held: Vec<Arc<Lease>>,
    /// What the others did.
    folded: Totals,
}

impl Former {
    pub(super) fn extend(&mut self, leases: impl IntoIterator<Item = Arc<Lease>>) {
        self.held.extend(leases);
        self.fold();
    }

    /// What all of them did so far.
    pub(super) fn totals(&mut self) -> Totals {
        self.fold();
        let mut all = self.folded.clone();
        self.held.iter().for_each(|lease| all.add(lease));
        all
    }

    fn fold(&mut self) {
        let Former { held, folded } = self;
        held.retain_mut(|lease| {
            let over = Arc::get_mut(lease).is_some_and(Lease::is_alone);
            if over {
                folded.add(lease);
            }
            !over
        });
    }
}

/// The fault of an injection's identity, `phase/fault#2`.
fn fault_name(id: &str) -> &str {
    let name = id.rsplit_once('/').map_or(id, |(_, name)| name);
    name.split_once('#').map_or(name, |(name, _)| name)
}

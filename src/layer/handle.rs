//! Arms, renews, disarms one plan at a time: a lease, never a switch.

use std::{io, path::PathBuf, sync::Arc, time::Duration};

use super::{
    candidates::Candidate,
    common::{CONTROLLED, Change, Common, armed, shadowed},
    lease::Lease,
    terms::{ArmError, LeaseId, Limits, Status},
    totals::Totals,
};
use crate::{
    evidence::{Evidence, Ledger},
    scenario::Plan,
};

/// Arms and disarms every [`ChaosLayer`](super::ChaosLayer) that was made from it: one plan at a time. Cheap to clone.
/// A [`Rack`](super::Rack) arms several.
///
/// ```
/// # use canard::layer::Handle;
/// let handle = Handle::default();
/// assert!(handle.status().lease.is_none());
/// handle.stop(); // never fails
/// ```
#[derive(Debug, Clone, Default)]
pub struct Handle {
    pub(super) common: Arc<Common>,
    pub(super) slot: usize,
}

impl Handle {
    /// A handle with limits of its own, and a ledger in memory.
    pub fn new(limits: Limits) -> Handle {
        let ledger = Ledger::memory(limits.ledger_queue);
        Handle::with_ledger(limits, ledger)
    }

    /// A handle that records its injections in `ledger`.
    pub fn with_ledger(limits: Limits, ledger: Ledger) -> Handle {
        Handle { common: Arc::new(Common::new(limits, ledger, 1)), slot: 0 }
    }

    /// Lets single requests ask for faults of the armed plan by `x-canard-fault`, for tests: a comma-separated
    /// list of names of faults (`error`) or injections (`broken/error#2`). They act on that request at full
    /// size, whatever its draw and the phase. The header is taken off the request; names that are not there
    /// come back in `x-canard-fault-unknown`. Off unless this is called, and then the header is any header.
    #[must_use]
    pub fn with_request_control(self) -> Handle {
        self.common.control_requests();
        self
    }

    /// Names a kill file: while it exists, everything is disarmed and nothing can be armed. It is looked for when
    /// something is to be armed or renewed, and fifty times a second while something is armed; what can't be told
    /// counts as existing. Given once; later calls change nothing.
    ///
    /// ```
    /// # use canard::layer::Handle;
    /// let handle = Handle::default().with_kill_file("/run/canard.stop")?;
    /// assert!(handle.killed_by().is_none());
    /// # Ok::<(), std::io::Error>(())
    /// ```
    ///
    /// # Errors
    /// If the system grants no thread to look for it.
    pub fn with_kill_file(self, path: impl Into<PathBuf>) -> io::Result<Handle> {
        self.common.watch_kill_file(path.into())?;
        Ok(self)
    }

    /// The kill file that forbids arming, if it exists now.
    pub fn killed_by(&self) -> Option<PathBuf> {
        self.common.killed_by()
    }

    /// Names the other upstreams that faults may send requests to. The inner service finds the address in
    /// [`RouteTo`](super::RouteTo) and has to honour it. Given once; later calls change nothing.
    #[must_use]
    pub fn with_candidates(self, candidates: impl IntoIterator<Item = Candidate>) -> Handle {
        let _ = self.common.candidates.set(candidates.into_iter().collect());
        self
    }

    /// The limits.
    pub fn limits(&self) -> &Limits {
        &self.common.limits
    }

    /// The ledger of injections.
    pub fn ledger(&self) -> &Ledger {
        &self.common.ledger
    }

    /// Arms a plan for a time to live.
    ///
    /// # Errors
    /// If a lease is in force already, `ttl` is out of range, the kill file exists, a release's upstream is not known, or
    /// the plan is for shadows and nothing here makes any, or has its mirror.
    pub fn arm(&self, plan: Arc<Plan>, ttl: Duration) -> Result<LeaseId, ArmError> {
        self.common.arm(self.slot, plan, ttl)
    }

    /// Extends a lease: it now lives `ttl` from now.
    ///
    /// # Errors
    /// If the lease is over (it must be armed again, on purpose), `ttl` is out of range, or the kill file exists.
    pub fn renew(&self, lease: LeaseId, ttl: Duration) -> Result<(), ArmError> {
        self.common.change(lease, Change { ttl: Some(ttl), ..Change::default() })
    }

    /// Puts another plan of the same structure ([`replaces`](crate::scenario::replaces)) in the place of the one that a
    /// lease is for. The lease, its end and the position on the timeline stay, and so do the evidence and the ledger;
    /// requests under way keep to the old plan, new ones meet the new one.
    ///
    /// # Errors
    /// If the lease is over, the plan is of another structure or may share units with another one that is armed, or the
    /// kill file exists; the old plan then stays.
    pub fn replace(&self, lease: LeaseId, plan: Arc<Plan>) -> Result<(), ArmError> {
        self.common.change(lease, Change { plan: Some(plan), ..Change::default() })
    }

    /// Jumps to the start of a phase (when the one before it is decided early).
    ///
    /// # Errors
    /// If the lease is over or the plan has no such phase.
    pub fn skip_to(&self, lease: LeaseId, phase: &str) -> Result<(), ArmError> {
        self.common.change(lease, Change { skip_to: Some(phase), ..Change::default() })
    }

    /// Ends a lease: new requests pass at once, sleeping ones wake up.
    ///
    /// # Errors
    /// If the lease is over already.
    pub fn disarm(&self, lease: LeaseId) -> Result<(), ArmError> {
        self.common.disarm(lease)
    }

    /// Ends whatever is armed. Never fails.
    pub fn stop(&self) {
        self.common.stop_slot(self.slot);
    }

    /// What is armed.
    pub fn status(&self) -> Status {
        let lease = self.in_force().map(|lease| lease.status());
        Status { lease, ledger_evicted: self.ledger().evicted() }
    }

    /// What callers saw under the lease in force, or under the last one.
    pub fn evidence(&self) -> Option<Evidence> {
        self.common.known(|slot, _| slot == self.slot).map(|lease| lease.recorder.snapshot())
    }

    /// What faults did under all leases so far. No count ever falls.
    pub fn totals(&self) -> Totals {
        self.common.totals()
    }

    /// Is a plan armed? One atomic load; it may still say yes just after a lease ran out.
    #[inline]
    pub fn is_armed(&self) -> bool {
        self.common.awake() & (armed(self.slot) | shadowed(self.slot)) != 0
    }

    /// May there be anything to do for a request? One atomic load.
    #[inline]
    pub(super) fn is_awake(&self) -> bool {
        self.common.awake() & (armed(self.slot) | CONTROLLED) != 0
    }

    /// May requests ask for faults?
    pub(super) fn is_controlled(&self) -> bool {
        self.common.is_controlled()
    }

    /// The lease in force, if its faults act on what callers get.
    pub(super) fn acting(&self) -> Option<Arc<Lease>> {
        self.common.acting(self.slot)
    }

    /// The lease in force. One that ran out is cleared away.
    pub(super) fn in_force(&self) -> Option<Arc<Lease>> {
        self.common.in_force(self.slot)
    }
}

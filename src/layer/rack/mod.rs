//! Several plans in force at once, each in a slot of its own.
//!
//! Who armed them need not know of each other: a plan is let in beside others only if each names its layer, and two of
//! one layer only if their slices keep apart (Tang et al., "Overlapping Experiment Infrastructure", KDD 2010). A request
//! meets the plans one after another, that of the lowest slot nearest to the caller, as if each were a proxy of its
//! own. The first slot costs what a [`ChaosLayer`](super::ChaosLayer) costs; bodies are boxed only while another one is
//! armed as well.

mod body;
mod service;

use std::{io, path::PathBuf, sync::Arc, time::Duration};

use tower_layer::Layer;

use super::{
    Candidate, Chaos, Handle,
    common::{Change, Common, armed},
    terms::{ArmError, LeaseId, LeaseStatus, Limits},
    totals::Totals,
};
use crate::{
    evidence::{Evidence, Ledger},
    scenario::Plan,
};

pub use body::RackBody;
pub use service::{Others, OthersFuture};

/// Plans that a rack holds at once, unless told otherwise.
pub const SLOTS: usize = 8;

/// Arms several plans at once in every [`RackLayer`] that was made from it. Cheap to clone.
///
/// ```
/// # use canard::layer::{Limits, Rack};
/// let rack = Rack::new(Limits::default());
/// assert!(rack.status().is_empty());
/// rack.stop(); // never fails
/// ```
#[derive(Debug, Clone)]
pub struct Rack {
    pub(super) common: Arc<Common>,
}

impl From<Handle> for Rack {
    /// A rack of what the handle arms: one plan at a time.
    fn from(handle: Handle) -> Rack {
        Rack { common: handle.common }
    }
}

impl Rack {
    /// A rack with limits of its own, [`SLOTS`] slots and a ledger in memory.
    pub fn new(limits: Limits) -> Rack {
        let ledger = Ledger::memory(limits.ledger_queue);
        Rack::with_ledger(limits, ledger)
    }

    /// A rack that records its injections in `ledger`.
    pub fn with_ledger(limits: Limits, ledger: Ledger) -> Rack {
        Rack { common: Arc::new(Common::new(limits, ledger, SLOTS)) }
    }

    /// As [`Handle::with_request_control`]; names are looked for in every plan that is armed.
    #[must_use]
    pub fn with_request_control(self) -> Rack {
        self.common.control_requests();
        self
    }

    /// As [`Handle::with_kill_file`], for every slot.
    ///
    /// # Errors
    /// If the system grants no thread to look for it.
    pub fn with_kill_file(self, path: impl Into<PathBuf>) -> io::Result<Rack> {
        self.common.watch_kill_file(path.into())?;
        Ok(self)
    }

    /// As [`Handle::with_candidates`], for every slot.
    #[must_use]
    pub fn with_candidates(self, candidates: impl IntoIterator<Item = Candidate>) -> Rack {
        let _ = self.common.candidates.set(candidates.into_iter().collect());
        self
    }

    /// The handle of one slot, to build layers from (typed ones, say): what is armed through the rack acts in those of
    /// all slots. `None` past the last.
    pub fn slot(&self, slot: usize) -> Option<Handle> {
        (slot < self.common.slots()).then(|| Handle { common: self.common.clone(), slot })
    }

    /// The kill file that forbids arming, if it exists now.
    pub fn killed_by(&self) -> Option<PathBuf> {
        self.common.killed_by()
    }

    /// The limits.
    pub fn limits(&self) -> &Limits {
        &self.common.limits
    }

    /// The ledger of injections.
    pub fn ledger(&self) -> &Ledger {
        &self.common.ledger
    }

    /// Arms a plan beside those in force, for a time to live.
    ///
    /// # Errors
    /// If one of those in force may share units with it (two that name no layer may), no slot is free, `ttl` is out of
    /// range, the kill file exists, or the plan is for shadows and nothing here makes any, or has its mirror.
    pub fn arm(&self, plan: Arc<Plan>, ttl: Duration) -> Result<LeaseId, ArmError> {
        self.common.arm_beside(plan, ttl)
    }

    /// As [`Handle::renew`].
    ///
    /// # Errors
    /// As [`Handle::renew`].
    pub fn renew(&self, lease: LeaseId, ttl: Duration) -> Result<(), ArmError> {
        self.common.change(lease, Change { ttl: Some(ttl), ..Change::default() })
    }

    /// Renews a lease, puts another plan in the place of its own and jumps to a phase, as far as these are given: all
    /// of it or nothing.
    ///
    /// # Errors
    /// As [`Handle::renew`], [`Handle::replace`] and [`Handle::skip_to`].
    pub fn update(
        &self,
        lease: LeaseId,
        ttl: Duration,
        plan: Option<Arc<Plan>>,
        skip_to: Option<&str>,
    ) -> Result<(), ArmError> {
        self.common.change(lease, Change { ttl: Some(ttl), plan, skip_to })
    }

    /// Ends a lease: new requests pass at once, sleeping ones wake up.
    ///
    /// # Errors
    /// If the lease is over already.
    pub fn disarm(&self, lease: LeaseId) -> Result<(), ArmError> {
        self.common.disarm(lease)
    }

    /// Ends whatever is armed, in every slot. Never fails.
    pub fn stop(&self) {
        self.common.stop();
    }

    /// Is a plan armed? One atomic load; it may still say yes just after a lease ran out.
    pub fn is_armed(&self) -> bool {
        self.common.is_armed()
    }

    /// The leases in force, by slot.
    pub fn status(&self) -> Vec<LeaseStatus> {
        self.common.all_in_force().map(|(_, lease)| lease.status()).collect()
    }

    /// The plans in force, by slot, with their leases.
    pub fn plans(&self) -> Vec<(LeaseId, Arc<Plan>)> {
        self.common.all_in_force().map(|(_, lease)| (lease.id, lease.plan.clone())).collect()
    }

    /// What callers saw under a lease: one in force, or one of the last few that ended.
    pub fn evidence(&self, lease: LeaseId) -> Option<Evidence> {
        self.common.known(|_, known| known.id == lease).map(|lease| lease.recorder.snapshot())
    }

    /// What callers saw under the lease that was armed last.
    pub fn last_evidence(&self) -> Option<Evidence> {
        self.common.known(|_, _| true).map(|lease| lease.recorder.snapshot())
    }

    /// What faults did under all leases so far. No count ever falls.
    pub fn totals(&self) -> Totals {
        self.common.totals()
    }

    /// The handles of the slots beyond the first in which a plan may be armed, the lowest first.
    fn others(&self) -> impl DoubleEndedIterator<Item = Handle> + use<'_> {
        let awake = self.common.awake();
        let slots = (1..self.common.slots()).filter(move |slot| awake & armed(*slot) != 0);
        slots.map(|slot| Handle { common: self.common.clone(), slot })
    }

    /// Is any plan armed beyond the first slot? One atomic load.
    #[inline]
    fn has_others(&self) -> bool {
        self.common.is_armed_beyond(0)
    }
}

/// Wraps services so that every plan of a [`Rack`] acts on them.
///
/// ```
/// use canard::layer::{Limits, Rack, RackLayer};
/// use tower_layer::Layer;
///
/// let service = RackLayer::new(Rack::new(Limits::default())).layer("any service");
/// # drop(service);
/// ```
#[derive(Debug, Clone)]
pub struct RackLayer {
    rack: Rack,
}

impl RackLayer {
    /// A layer that `rack` arms and disarms.
    pub const fn new(rack: Rack) -> RackLayer {
        RackLayer { rack }
    }
}

impl<S> Layer<S> for RackLayer {
    type Service = Chaos<Others<S>>;

    fn layer(&self, inner: S) -> Chaos<Others<S>> {
        let first = Handle { common: self.rack.common.clone(), slot: 0 };
        Chaos::new(Others::new(inner, self.rack.clone()), first)
    }
}

//! Arm, renew, disarm: a lease, never a switch.
//!
//! Whoever armed a plan has to renew its lease; when the controller dies, the lease runs out and every
//! request passes again. No background task watches the clock: each request looks at the lease's end, and
//! sleeping requests wake up at it.

use std::{
    io,
    path::PathBuf,
    sync::{
        Arc, Mutex, MutexGuard, OnceLock, PoisonError, TryLockError,
        atomic::{AtomicU8, Ordering},
    },
    time::Duration,
};

use arc_swap::ArcSwapOption;
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use super::{
    candidates::{Candidate, Candidates},
    kill::KillFile,
    lease::Lease,
    totals::{Former, Totals},
};
use crate::{
    evidence::{Evidence, Ledger, Rotation},
    scenario::Plan,
    unit::Share,
};

/// Limits of everything that could grow.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Limits {
    /// Largest body that is buffered for a fault; a larger one passes untouched. Bytes.
    pub body: usize,
    /// Longest time to live of a lease that is granted.
    pub lease: Duration,
    /// Lines that wait for the ledger's writer.
    pub ledger_queue: usize,
    /// How large the ledger's files grow, and how many are kept.
    #[serde(default)]
    pub ledger_rotation: Rotation,
    /// Distinct labels that evidence keeps apart.
    pub labels: usize,
    /// Share of units that no scenario touches, whatever it says: the hold-out. Drawn by unit where a scenario names
    /// one, else by request.
    pub holdout: Share,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            body: 4 << 20,
            lease: Duration::from_secs(300),
            ledger_queue: 65_536,
            ledger_rotation: Rotation::default(),
            labels: 128,
            holdout: Share::NONE,
        }
    }
}

/// Identity of a lease.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(transparent)]
pub struct LeaseId(pub(super) u64);

impl std::fmt::Display for LeaseId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

impl std::str::FromStr for LeaseId {
    type Err = std::num::ParseIntError;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse().map(LeaseId)
    }
}

/// Why a lease is not granted, renewed or found.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ArmError {
    /// Another scenario is armed.
    #[error("scenario `{0}` is armed already; disarm it or wait until its lease runs out")]
    AlreadyArmed(String),
    /// The lease ran out or was ended.
    #[error("no such lease: it ran out, or was ended")]
    NoSuchLease,
    /// No phase of that name.
    #[error("the plan has no phase `{0}`")]
    NoSuchPhase(String),
    /// The kill file exists.
    #[error("the kill file `{}` exists: nothing can be armed until it is removed", .0.display())]
    Killed(PathBuf),
    /// The time to live is zero or over the limit.
    #[error("a lease lives from 1ms to {0:?}")]
    TimeToLive(Duration),
}

/// What is armed.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Status {
    /// The lease in force.
    pub lease: Option<LeaseStatus>,
    /// Lines that an in-memory ledger had to let go; none are ever lost from a file.
    #[serde(default)]
    pub ledger_evicted: u64,
}

/// A lease in force.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct LeaseStatus {
    /// Its identity.
    pub id: LeaseId,
    /// The scenario.
    pub scenario: String,
    /// Seconds until it runs out.
    pub expires_in_s: f64,
    /// The phase; none in a gap and after the end.
    pub phase: Option<String>,
    /// Time since arming on the plan's timeline (skips count).
    pub position_s: f64,
    /// Faults that act now, `phase/fault`.
    pub faults: Vec<String>,
}

/// Arms and disarms every [`ChaosLayer`](super::ChaosLayer) that was made from it. Cheap to clone.
///
/// ```
/// # use canard::layer::Handle;
/// let handle = Handle::default();
/// assert!(handle.status().lease.is_none());
/// handle.stop(); // never fails
/// ```
#[derive(Debug, Clone, Default)]
pub struct Handle {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    /// The only thing that a request looks at while nothing is armed: [`ARMED`] and [`CONTROLLED`].
    awake: AtomicU8,
    current: ArcSwapOption<Lease>,
    control: Mutex<Control>,
    limits: Limits,
    ledger: Ledger,
    candidates: OnceLock<Candidates>,
    kill: OnceLock<KillFile>,
}

/// A plan is armed.
const ARMED: u8 = 1;
/// Requests may ask for faults.
const CONTROLLED: u8 = 2;

/// Serialises arming and disarming; requests never take it.
#[derive(Debug, Default)]
struct Control {
    leases: u64,
    /// The lease in force, or the one before; its evidence stays readable.
    last: Option<Arc<Lease>>,
    former: Former,
}

impl Handle {
    /// A handle with limits of its own, and a ledger in memory.
    pub fn new(limits: Limits) -> Handle {
        let ledger = Ledger::memory(limits.ledger_queue);
        Handle::with_ledger(limits, ledger)
    }

    /// A handle that records its injections in `ledger`.
    pub fn with_ledger(limits: Limits, ledger: Ledger) -> Handle {
        Handle { shared: Arc::new(Shared { limits, ledger, ..Shared::default() }) }
    }

    /// Lets single requests ask for faults of the armed plan by `x-canard-fault`, for tests: a comma-separated
    /// list of names of faults (`error`) or injections (`broken/error#2`). They act on that request at full
    /// size, whatever its draw and the phase. The header is taken off the request; names that are not there
    /// come back in `x-canard-fault-unknown`. Off unless this is called, and then the header is any header.
    #[must_use]
    pub fn with_request_control(self) -> Handle {
        self.shared.awake.fetch_or(CONTROLLED, Ordering::Release);
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
        if self.shared.kill.get().is_none() {
            let this = Arc::downgrade(&self.shared);
            let of = move || this.upgrade().map(|shared| Handle { shared });
            let other = of.clone();
            let kill = move || of().iter().for_each(Handle::stop);
            let armed = move || other().is_some_and(|handle| handle.in_force().is_some());
            let file = KillFile::watch(path.into(), kill, armed)?;
            let _ = self.shared.kill.set(file);
        }
        Ok(self)
    }

    /// The kill file that forbids arming, if it exists now.
    pub fn killed_by(&self) -> Option<PathBuf> {
        self.shared.kill.get()?.is_there().map(std::path::Path::to_path_buf)
    }

    fn not_killed(&self) -> Result<(), ArmError> {
        self.killed_by().map_or(Ok(()), |file| Err(ArmError::Killed(file)))
    }

    /// Names the other upstreams that faults may send requests to. The inner service finds the address in
    /// [`RouteTo`](super::RouteTo) and has to honour it. Given once; later calls change nothing.
    #[must_use]
    pub fn with_candidates(self, candidates: impl IntoIterator<Item = Candidate>) -> Handle {
        let _ = self.shared.candidates.set(candidates.into_iter().collect());
        self
    }

    /// The limits.
    pub fn limits(&self) -> &Limits {
        &self.shared.limits
    }

    /// The ledger of injections.
    pub fn ledger(&self) -> &Ledger {
        &self.shared.ledger
    }

    /// Arms a plan for a time to live.
    ///
    /// # Errors
    /// If a lease is in force already, `ttl` is out of range, or the kill file exists.
    pub fn arm(&self, plan: Arc<Plan>, ttl: Duration) -> Result<LeaseId, ArmError> {
        self.check(ttl)?;
        self.not_killed()?;
        let mut control = self.control();
        if let Some(lease) = self.in_force() {
            return Err(ArmError::AlreadyArmed(lease.plan.document.name.clone()));
        }
        control.leases += 1;
        let id = LeaseId(control.leases);
        let candidates = self.shared.candidates.get().cloned().unwrap_or_default();
        let ledger = self.shared.ledger.clone();
        let lease = Arc::new(Lease::new(id, plan, ttl, &self.shared.limits, ledger, candidates));
        if let Some(former) = control.last.replace(lease.clone()) {
            control.former.push(former);
        }
        if let Some(ran_out) = self.shared.current.swap(Some(lease)) {
            ran_out.end();
        }
        self.shared.awake.fetch_or(ARMED, Ordering::Release);
        self.shared.kill.get().into_iter().for_each(KillFile::armed);
        Ok(id)
    }

    /// Extends a lease: it now lives `ttl` from now.
    ///
    /// # Errors
    /// If the lease is over (it must be armed again, on purpose), `ttl` is out of range, or the kill file exists.
    pub fn renew(&self, lease: LeaseId, ttl: Duration) -> Result<(), ArmError> {
        self.check(ttl)?;
        self.not_killed()?;
        let _control = self.control();
        self.find(lease)?.renew(ttl);
        // The kill file's thread may just have seen the lease run out.
        self.shared.kill.get().into_iter().for_each(KillFile::armed);
        Ok(())
    }

    /// Jumps to the start of a phase (when the one before it is decided early).
    ///
    /// # Errors
    /// If the lease is over or the plan has no such phase.
    pub fn skip_to(&self, lease: LeaseId, phase: &str) -> Result<(), ArmError> {
        let _control = self.control();
        let lease = self.find(lease)?;
        let found = lease.plan.phases.iter().find(|p| p.name == phase);
        lease.skip_to(found.ok_or_else(|| ArmError::NoSuchPhase(phase.to_owned()))?.start);
        Ok(())
    }

    /// Ends a lease: new requests pass at once, sleeping ones wake up.
    ///
    /// # Errors
    /// If the lease is over already.
    pub fn disarm(&self, lease: LeaseId) -> Result<(), ArmError> {
        let _control = self.control();
        self.find(lease)?;
        self.clear();
        Ok(())
    }

    /// Ends whatever is armed. Never fails.
    pub fn stop(&self) {
        let _control = self.control();
        self.clear();
    }

    /// What is armed.
    pub fn status(&self) -> Status {
        let lease = self.in_force().map(|lease| lease.status());
        Status { lease, ledger_evicted: self.shared.ledger.evicted() }
    }

    /// What callers saw under the lease in force, or under the last one.
    pub fn evidence(&self) -> Option<Evidence> {
        let last = self.control().last.clone();
        last.map(|lease| lease.recorder.snapshot())
    }

    /// What faults did under all leases so far. No count ever falls.
    pub fn totals(&self) -> Totals {
        let mut control = self.control();
        let mut totals = control.former.totals();
        if let Some(last) = &control.last {
            totals.add(last);
        }
        totals
    }

    /// Is a plan armed? One atomic load; it may still say yes just after a lease ran out.
    #[inline]
    pub fn is_armed(&self) -> bool {
        self.shared.awake.load(Ordering::Acquire) & ARMED != 0
    }

    /// May there be anything to do for a request? One atomic load.
    #[inline]
    pub(super) fn is_awake(&self) -> bool {
        self.shared.awake.load(Ordering::Acquire) != 0
    }

    /// May requests ask for faults?
    pub(super) fn is_controlled(&self) -> bool {
        self.shared.awake.load(Ordering::Acquire) & CONTROLLED != 0
    }

    /// The lease in force. One that ran out is cleared away.
    pub(super) fn in_force(&self) -> Option<Arc<Lease>> {
        let lease = self.shared.current.load_full()?;
        if lease.is_live(Instant::now()) {
            return Some(lease);
        }
        self.expire(&lease);
        None
    }

    /// Clears a lease away that was seen to have run out. Under the lock and after another look, because it
    /// may have been renewed, or another plan armed, meanwhile. Whoever holds the lock need not wait: a lease
    /// that ran out does nothing, and the next request clears it.
    fn expire(&self, lease: &Arc<Lease>) {
        let _control = match self.shared.control.try_lock() {
            Ok(control) => control,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => return,
        };
        let current = self.shared.current.load().as_ref().is_some_and(|now| Arc::ptr_eq(now, lease));
        if current && !lease.is_live(Instant::now()) {
            self.clear();
        }
    }

    fn clear(&self) {
        self.shared.awake.fetch_and(!ARMED, Ordering::Release);
        if let Some(lease) = self.shared.current.swap(None) {
            lease.end();
        }
    }

    fn find(&self, id: LeaseId) -> Result<Arc<Lease>, ArmError> {
        self.in_force().filter(|lease| lease.id == id).ok_or(ArmError::NoSuchLease)
    }

    fn check(&self, ttl: Duration) -> Result<(), ArmError> {
        let longest = self.shared.limits.lease;
        let fits = ttl >= Duration::from_millis(1) && ttl <= longest;
        fits.then_some(()).ok_or(ArmError::TimeToLive(longest))
    }

    fn control(&self) -> MutexGuard<'_, Control> {
        self.shared.control.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layer::tests::plan;

    #[tokio::test(start_paused = true)]
    async fn a_lease_renewed_at_the_last_moment_lives_on() {
        let handle = Handle::default();
        let id = handle.arm(Arc::new(plan(&[])), Duration::from_secs(2)).unwrap();
        let lease = handle.in_force().unwrap();
        // A request has seen the lease run out, and before it can say so somebody renews.
        handle.renew(id, Duration::from_secs(2)).unwrap();
        handle.expire(&lease);
        assert_eq!(handle.status().lease.map(|lease| lease.id), Some(id));
        assert!(lease.is_live(Instant::now()));
    }
}

//! What the handles of one program share: slots, each for one plan in force, and one lock for arming.
//!
//! Whoever armed a plan has to renew its lease; when the controller dies, the lease runs out and every
//! request passes again. No background task watches the clock: each request looks at the lease's end, and
//! sleeping requests wake up at it.

use std::{
    collections::VecDeque,
    io,
    path::PathBuf,
    sync::{
        Arc, Mutex, MutexGuard, OnceLock, PoisonError, TryLockError,
        atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering},
    },
    time::Duration,
};

use arc_swap::ArcSwapOption;
use http::Request;
use tokio::time::Instant;

use super::{
    candidates::Candidates,
    exchange::identity,
    kill::KillFile,
    lease::Lease,
    terms::{ArmError, LeaseId, Limits},
    totals::{Former, Totals},
};
use crate::{
    evidence::Ledger,
    scenario::{Plan, overlap, replaces},
};

/// Slots that one word has bits for, two for each.
pub(super) const MOST_SLOTS: usize = 15;

/// Requests may ask for faults.
pub(super) const CONTROLLED: u32 = 1 << 31;

/// The bit of a slot in which a plan is armed that acts on what callers get.
pub(super) const fn armed(slot: usize) -> u32 {
    1 << slot
}

/// The bit of a slot in which a plan is armed that acts on copies, and callers get the true answer.
pub(super) const fn shadowed(slot: usize) -> u32 {
    1 << (slot + MOST_SLOTS)
}

/// The bits of all slots.
const ARMED: u32 = (1 << MOST_SLOTS) - 1;
const SHADOWED: u32 = ARMED << MOST_SLOTS;

/// What is shared by everything that one program arms together.
#[derive(Debug)]
pub(super) struct Common {
    /// The only thing that a request looks at while nothing is armed: a bit for each slot, and [`CONTROLLED`].
    awake: AtomicU32,
    slots: Box<[ArcSwapOption<Lease>]>,
    /// Requests without an id of their own.
    numbers: AtomicU64,
    control: Mutex<Control>,
    pub(super) limits: Limits,
    pub(super) ledger: Ledger,
    pub(super) candidates: OnceLock<Candidates>,
    kill: OnceLock<KillFile>,
    /// Is there a layer that makes shadows?
    shadows: AtomicBool,
}

/// The place of a request without an id among all such.
#[derive(Debug, Clone, Copy)]
pub(super) struct Number(pub(super) u64);

/// What is to change in a lease.
#[derive(Debug, Default)]
pub(super) struct Change<'a> {
    /// It lives so long from now.
    pub(super) ttl: Option<Duration>,
    /// Another plan of the same structure takes the place of its own.
    pub(super) plan: Option<Arc<Plan>>,
    /// It goes on with this phase.
    pub(super) skip_to: Option<&'a str>,
}

/// Serialises arming and disarming; requests never take it.
#[derive(Debug, Default)]
struct Control {
    leases: u64,
    /// The leases in force and the last that ended, by slot, in the order of arming; their evidence stays readable.
    known: VecDeque<(usize, Arc<Lease>)>,
    former: Former,
}

impl Default for Common {
    fn default() -> Common {
        let limits = Limits::default();
        let ledger = Ledger::memory(limits.ledger_queue);
        Common::new(limits, ledger, 1)
    }
}

impl Common {
    /// With so many slots, from 1 to [`MOST_SLOTS`].
    pub(super) fn new(limits: Limits, ledger: Ledger, slots: usize) -> Common {
        Common {
            awake: AtomicU32::new(0),
            slots: (0..slots.clamp(1, MOST_SLOTS)).map(|_| ArcSwapOption::empty()).collect(),
            numbers: AtomicU64::new(0),
            control: Mutex::default(),
            limits,
            ledger,
            candidates: OnceLock::new(),
            kill: OnceLock::new(),
            shadows: AtomicBool::new(false),
        }
    }

    pub(super) fn slots(&self) -> usize {
        self.slots.len()
    }

    /// One atomic load: what there may be to do for a request.
    #[inline]
    pub(super) fn awake(&self) -> u32 {
        self.awake.load(Ordering::Acquire)
    }

    /// One atomic load: may a plan be armed in any slot?
    pub(super) fn is_armed(&self) -> bool {
        self.awake() & !CONTROLLED != 0
    }

    /// One atomic load: may a plan be armed in a later slot than this?
    #[inline]
    pub(super) fn is_armed_beyond(&self, slot: usize) -> bool {
        (self.awake() & ARMED) >> (slot + 1) != 0
    }

    /// One atomic load: may a plan for shadows be armed in any slot?
    #[inline]
    pub(super) fn is_shadowed(&self) -> bool {
        self.awake() & SHADOWED != 0
    }

    /// There is a layer that makes shadows.
    pub(super) fn make_shadows(&self) {
        self.shadows.store(true, Ordering::Release);
    }

    fn can_shadow(&self, plan: &Plan) -> Result<(), ArmError> {
        let Some(shadow) = plan.shadow() else { return Ok(()) };
        if !self.shadows.load(Ordering::Acquire) {
            return Err(ArmError::NoShadows);
        }
        let there = |mirror: &str| self.candidates.get().is_some_and(|known| known.find(mirror).is_some());
        match &shadow.mirror {
            Some(mirror) if !there(mirror) => Err(ArmError::NoMirror(mirror.clone())),
            _ => Ok(()),
        }
    }

    /// Gives a request that has no id of its own a number, the same for every plan that it meets.
    pub(super) fn number<B>(&self, request: &mut Request<B>) {
        if identity(request.headers()).is_none() && request.extensions().get::<Number>().is_none() {
            let number = Number(self.numbers.fetch_add(1, Ordering::Relaxed));
            request.extensions_mut().insert(number);
        }
    }

    /// The plans in force.
    pub(super) fn plans(&self) -> Vec<Arc<Plan>> {
        self.all_in_force().map(|(_, lease)| lease.plan.clone()).collect()
    }

    /// May requests ask for faults?
    pub(super) fn is_controlled(&self) -> bool {
        self.awake() & CONTROLLED != 0
    }

    pub(super) fn control_requests(&self) {
        self.awake.fetch_or(CONTROLLED, Ordering::Release);
    }

    pub(super) fn watch_kill_file(self: &Arc<Self>, path: PathBuf) -> io::Result<()> {
        if self.kill.get().is_none() {
            let (this, other) = (Arc::downgrade(self), Arc::downgrade(self));
            let kill = move || this.upgrade().iter().for_each(|common| common.stop());
            let armed = move || other.upgrade().is_some_and(|common| common.all_in_force().next().is_some());
            let _ = self.kill.set(KillFile::watch(path, kill, armed)?);
        }
        Ok(())
    }

    /// The kill file that forbids arming, if it exists now.
    pub(super) fn killed_by(&self) -> Option<PathBuf> {
        self.kill.get()?.is_there().map(std::path::Path::to_path_buf)
    }

    fn not_killed(&self) -> Result<(), ArmError> {
        self.killed_by().map_or(Ok(()), |file| Err(ArmError::Killed(file)))
    }

    /// Arms a plan in one slot.
    pub(super) fn arm(&self, slot: usize, plan: Arc<Plan>, ttl: Duration) -> Result<LeaseId, ArmError> {
        self.grant(plan, ttl, |plan| {
            for (other, lease) in self.all_in_force() {
                if other == slot {
                    return Err(ArmError::AlreadyArmed(lease.plan.document.name.clone()));
                }
                keeps_apart(plan, &lease.plan)?;
            }
            Ok(slot)
        })
    }

    /// Arms a plan beside those in force, if it keeps apart from all of them.
    pub(super) fn arm_beside(&self, plan: Arc<Plan>, ttl: Duration) -> Result<LeaseId, ArmError> {
        self.grant(plan, ttl, |plan| {
            for (_, lease) in self.all_in_force() {
                keeps_apart(plan, &lease.plan)?;
            }
            let free = (0..self.slots()).find(|slot| self.in_force(*slot).is_none());
            free.ok_or(ArmError::Full(self.slots()))
        })
    }

    fn grant(
        &self,
        plan: Arc<Plan>,
        ttl: Duration,
        place: impl FnOnce(&Plan) -> Result<usize, ArmError>,
    ) -> Result<LeaseId, ArmError> {
        self.check(ttl)?;
        self.not_killed()?;
        self.can_shadow(&plan)?;
        let bit = if plan.shadow().is_some() { shadowed } else { armed };
        let candidates = self.candidates.get().cloned().unwrap_or_default();
        if let Some(upstream) = candidates.lacks(&plan) {
            return Err(ArmError::NoSuchUpstream(upstream));
        }
        let mut control = self.control();
        let slot = place(&plan)?;
        control.leases += 1;
        let id = LeaseId(control.leases);
        let lease = Arc::new(Lease::new(id, plan, ttl, &self.limits, self.ledger.clone(), candidates));
        control.remember(slot, lease.clone(), self.slots() - 1);
        if let Some(ran_out) = self.slots[slot].swap(Some(lease)) {
            ran_out.end();
        }
        self.awake.fetch_or(bit(slot), Ordering::Release);
        self.kill.get().into_iter().for_each(KillFile::armed);
        Ok(id)
    }

    /// Changes what a lease is, all of it or nothing.
    pub(super) fn change(&self, lease: LeaseId, change: Change<'_>) -> Result<(), ArmError> {
        let Change { ttl, plan, skip_to } = change;
        ttl.map_or(Ok(()), |ttl| self.check(ttl))?;
        if ttl.is_some() || plan.is_some() {
            self.not_killed()?;
        }
        let mut control = self.control();
        let (slot, mut held) = self.find(lease)?;
        if let Some(plan) = &plan {
            replaces(plan, &held.plan).map_err(ArmError::OtherStructure)?;
            for (_, other) in self.all_in_force().filter(|(_, other)| other.id != lease) {
                keeps_apart(plan, &other.plan)?;
            }
        }
        // The phases of a plan that replaces another are the same.
        let start = skip_to.map(|phase| {
            let found = held.plan.phases.iter().find(|p| p.name == phase);
            found.map(|found| found.start).ok_or_else(|| ArmError::NoSuchPhase(phase.to_owned()))
        });
        let start = start.transpose()?;
        if let Some(plan) = plan {
            let new = Arc::new(held.replaced(plan));
            let known = control.known.iter_mut().find(|(_, known)| Arc::ptr_eq(known, &held));
            known.into_iter().for_each(|(_, known)| *known = new.clone());
            self.slots[slot].store(Some(new.clone()));
            held = new;
        }
        ttl.into_iter().for_each(|ttl| held.renew(ttl));
        start.into_iter().for_each(|start| held.skip_to(start));
        // The kill file's thread may just have seen the lease run out.
        self.kill.get().into_iter().for_each(KillFile::armed);
        Ok(())
    }

    pub(super) fn disarm(&self, lease: LeaseId) -> Result<(), ArmError> {
        let _control = self.control();
        let (slot, _) = self.find(lease)?;
        self.clear(slot);
        Ok(())
    }

    /// Ends what is armed in every slot.
    pub(super) fn stop(&self) {
        let _control = self.control();
        (0..self.slots()).for_each(|slot| self.clear(slot));
    }

    /// Ends what is armed in one slot.
    pub(super) fn stop_slot(&self, slot: usize) {
        let _control = self.control();
        self.clear(slot);
    }

    /// The latest lease that has the property, in force or ended.
    pub(super) fn known(&self, is: impl Fn(usize, &Lease) -> bool) -> Option<Arc<Lease>> {
        let control = self.control();
        control.known.iter().rev().find(|(slot, lease)| is(*slot, lease)).map(|(_, lease)| lease.clone())
    }

    /// What faults did under all leases so far.
    pub(super) fn totals(&self) -> Totals {
        let mut control = self.control();
        let mut totals = control.former.totals();
        control.known.iter().for_each(|(_, lease)| totals.add(lease));
        totals
    }

    /// The lease in force in a slot. One that ran out is cleared away.
    pub(super) fn in_force(&self, slot: usize) -> Option<Arc<Lease>> {
        let lease = self.slots[slot].load_full()?;
        if lease.is_live(Instant::now()) {
            return Some(lease);
        }
        self.expire(slot, &lease);
        None
    }

    /// The lease in force in a slot, if its faults act on what callers get.
    pub(super) fn acting(&self, slot: usize) -> Option<Arc<Lease>> {
        self.in_force(slot).filter(|lease| lease.plan.shadow().is_none())
    }

    /// The leases in force whose faults act on copies.
    pub(super) fn shadowing(&self) -> impl Iterator<Item = Arc<Lease>> {
        let awake = self.awake();
        let slots = (0..self.slots()).filter(move |slot| awake & shadowed(*slot) != 0);
        slots.filter_map(|slot| self.in_force(slot)).filter(|lease| lease.plan.shadow().is_some())
    }

    /// All leases in force, by slot.
    pub(super) fn all_in_force(&self) -> impl Iterator<Item = (usize, Arc<Lease>)> {
        (0..self.slots()).filter_map(|slot| Some((slot, self.in_force(slot)?)))
    }

    /// Clears a lease away that was seen to have run out. Under the lock and after another look, because it
    /// may have been renewed, or another plan armed, meanwhile. Whoever holds the lock need not wait: a lease
    /// that ran out does nothing, and the next request clears it.
    fn expire(&self, slot: usize, lease: &Arc<Lease>) {
        let _control = match self.control.try_lock() {
            Ok(control) => control,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => return,
        };
        let current = self.slots[slot].load().as_ref().is_some_and(|now| Arc::ptr_eq(now, lease));
        if current && !lease.is_live(Instant::now()) {
            self.clear(slot);
        }
    }

    fn clear(&self, slot: usize) {
        self.awake.fetch_and(!(armed(slot) | shadowed(slot)), Ordering::Release);
        if let Some(lease) = self.slots[slot].swap(None) {
            lease.end();
        }
    }

    fn find(&self, id: LeaseId) -> Result<(usize, Arc<Lease>), ArmError> {
        self.all_in_force().find(|(_, lease)| lease.id == id).ok_or(ArmError::NoSuchLease)
    }

    fn check(&self, ttl: Duration) -> Result<(), ArmError> {
        let longest = self.limits.lease;
        let fits = ttl >= Duration::from_millis(1) && ttl <= longest;
        fits.then_some(()).ok_or(ArmError::TimeToLive(longest))
    }

    fn control(&self) -> MutexGuard<'_, Control> {
        self.control.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// May two plans be in force at once?
fn keeps_apart(plan: &Plan, armed: &Plan) -> Result<(), ArmError> {
    let scenario = armed.document.name.clone();
    if plan.exposure.layer.is_none() || armed.exposure.layer.is_none() {
        return Err(ArmError::NoLayer(scenario));
    }
    overlap(&plan.exposure, &armed.exposure).map_or(Ok(()), |why| Err(ArmError::Overlaps { scenario, why }))
}

impl Control {
    /// Takes a lease in; of those that ended, `kept` stay.
    fn remember(&mut self, slot: usize, lease: Arc<Lease>, kept: usize) {
        self.known.push_back((slot, lease));
        let now = Instant::now();
        while self.known.iter().filter(|(_, lease)| !lease.is_live(now)).count() > kept
            && let Some(oldest) = self.known.iter().position(|(_, lease)| !lease.is_live(now))
        {
            self.former.extend(self.known.remove(oldest).map(|(_, lease)| lease));
        }
    }
}

#[cfg(test)]
mod tests;

//! A plan in force: its clock, its end, and what it has recorded.

use std::{
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering},
    },
    task::{Context, Poll, ready},
    time::Duration,
};

use pin_project_lite::pin_project;
use tokio::{
    sync::{Notify, futures::OwnedNotified},
    time::{Instant, Sleep},
};

use super::{
    LeaseId, LeaseStatus, Limits, candidates::Candidates, caps::Caps, observe::Learners, victim::Rule,
};
use crate::{
    evidence::{Ledger, Recorder, RecorderLimits},
    fault::Memory,
    scenario::{Injection, Phase, Plan, Tally},
    unit::Share,
};

/// A plan that was armed.
#[derive(Debug)]
pub(super) struct Lease {
    pub(super) id: LeaseId,
    pub(super) plan: Arc<Plan>,
    pub(super) recorder: Recorder,
    pub(super) ledger: Ledger,
    pub(super) body_limit: usize,
    /// Share of units that nothing touches, as the handle knows it.
    pub(super) holdout: Share,
    term: Arc<Term>,
    memories: Vec<Vec<Memory>>,
    tallies: Arc<Vec<Vec<Tally>>>,
    /// One for each phase.
    learners: Vec<Option<Arc<Learners>>>,
    pub(super) candidates: Candidates,
    pub(super) caps: Option<Arc<Caps>>,
}

/// How long a lease lives and where it is on its timeline: it shares that with the plan that it replaced. Times are
/// nanoseconds after `armed`.
#[derive(Debug)]
struct Term {
    armed: Instant,
    expires: AtomicU64,
    /// What skips added to the position on the plan's timeline.
    skipped: AtomicI64,
    ended: AtomicBool,
    changed: Arc<Notify>,
}

impl Term {
    fn new(ttl: Duration) -> Term {
        Term {
            armed: Instant::now(),
            expires: AtomicU64::new(nanos(ttl)),
            skipped: AtomicI64::new(0),
            ended: AtomicBool::new(false),
            changed: Arc::default(),
        }
    }
}

impl Lease {
    pub(super) fn new(
        id: LeaseId,
        plan: Arc<Plan>,
        ttl: Duration,
        limits: &Limits,
        ledger: Ledger,
        candidates: Candidates,
    ) -> Lease {
        let each = |phase: &Phase| phase.injections.iter().map(memory).collect();
        let memories: Vec<Vec<Memory>> = plan.phases.iter().map(each).collect();
        let tallies = |phase: &Phase| phase.injections.iter().map(|_| Tally::default()).collect();
        Lease {
            id,
            recorder: Recorder::new(&plan, RecorderLimits { body: limits.body, labels: limits.labels }),
            learners: (0..plan.phases.len()).map(|phase| Learners::new(&plan, phase, &memories)).collect(),
            tallies: Arc::new(plan.phases.iter().map(tallies).collect()),
            memories,
            candidates,
            caps: Caps::new(&plan.document.exposure.caps),
            plan,
            ledger,
            body_limit: limits.body,
            holdout: limits.holdout,
            term: Arc::new(Term::new(ttl)),
        }
    }

    /// The same lease with another plan of the same structure ([`crate::scenario::replaces`]): its end, its position,
    /// its record and what its faults remember go on, but for what a fault remembers under other settings. Requests
    /// under way keep to the plan that they came under, and end with the lease all the same.
    pub(super) fn replaced(&self, plan: Arc<Plan>) -> Lease {
        let memory = |(phase, index): (usize, usize), new: &Injection| {
            let old = &self.plan.phases[phase].injections[index];
            if old.fault == new.fault { self.memories[phase][index].clone() } else { memory(new) }
        };
        let each = |(phase, new): (usize, &Phase)| {
            new.injections.iter().enumerate().map(|(index, new)| memory((phase, index), new)).collect()
        };
        let memories: Vec<Vec<Memory>> = plan.phases.iter().enumerate().map(each).collect();
        let injected = || self.recorder.faults().map(|fault| fault.perturbed + fault.asked_for).sum();
        let (before, after) = (&self.plan.document.exposure.caps, &plan.document.exposure.caps);
        let caps = match before == after {
            true => self.caps.clone(),
            false => Caps::replacing(self.caps.as_deref(), after, injected(), self.age(Instant::now())),
        };
        Lease {
            id: self.id,
            recorder: self.recorder.clone(),
            ledger: self.ledger.clone(),
            body_limit: self.body_limit,
            holdout: self.holdout,
            term: self.term.clone(),
            tallies: self.tallies.clone(),
            learners: (0..plan.phases.len()).map(|phase| Learners::new(&plan, phase, &memories)).collect(),
            memories,
            candidates: self.candidates.clone(),
            caps,
            plan,
        }
    }

    /// Does no request hold this lease under a plan that was replaced?
    pub(super) fn is_alone(&mut self) -> bool {
        Arc::get_mut(&mut self.term).is_some()
    }

    /// Is it neither ended nor run out?
    pub(super) fn is_live(&self, now: Instant) -> bool {
        !self.term.ended.load(Ordering::Acquire) && now < self.expires()
    }

    fn expires(&self) -> Instant {
        self.term.armed + Duration::from_nanos(self.term.expires.load(Ordering::Acquire))
    }

    /// Until when faults may act, as things stand; `None` when they may not any more.
    pub(super) fn acts_until(&self, now: Instant) -> Option<Instant> {
        let left = self.plan.lasts().checked_sub(self.position(now)).filter(|left| !left.is_zero())?;
        self.is_live(now).then(|| self.expires().min(now + left))
    }

    /// Until when faults of one phase may act, as things stand; `None` when they may not any more, or not yet.
    pub(super) fn phase_until(&self, phase: usize, now: Instant) -> Option<Instant> {
        let position = self.position(now);
        let phase = &self.plan.phases[phase];
        let left =
            phase.end.checked_sub(position).filter(|left| !left.is_zero() && position >= phase.start)?;
        Some(self.acts_until(now)?.min(now + left))
    }

    pub(super) fn renew(&self, ttl: Duration) {
        let end = self.term.armed.elapsed() + ttl;
        self.term.expires.store(nanos(end), Ordering::Release);
        self.term.changed.notify_waiters();
    }

    /// Ends it; sleeping requests wake up.
    pub(super) fn end(&self) {
        self.term.ended.store(true, Ordering::Release);
        self.term.changed.notify_waiters();
    }

    /// Time since arming on the plan's timeline.
    pub(super) fn position(&self, now: Instant) -> Duration {
        let elapsed = nanos(now.saturating_duration_since(self.term.armed));
        Duration::from_nanos(elapsed.saturating_add_signed(self.term.skipped.load(Ordering::Acquire)))
    }

    pub(super) fn skip_to(&self, position: Duration) {
        let elapsed = nanos(self.term.armed.elapsed()) as i64;
        self.term.skipped.store(nanos(position) as i64 - elapsed, Ordering::Release);
        self.term.changed.notify_waiters();
    }

    /// Time since arming.
    pub(super) fn age(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.term.armed)
    }

    /// What a fault remembers.
    pub(super) fn memory(&self, rule: Rule) -> &Memory {
        &self.memories[rule.phase][rule.index]
    }

    /// The faults that learn from what is answered in a phase.
    pub(super) fn learners(&self, phase: usize) -> Option<&Arc<Learners>> {
        self.learners.get(phase)?.as_ref()
    }

    /// The requests that an injection has met.
    pub(super) fn tally(&self, rule: Rule) -> &Tally {
        &self.tallies[rule.phase][rule.index]
    }

    pub(super) fn status(&self) -> LeaseStatus {
        let now = Instant::now();
        let position = self.position(now);
        let phase = self.plan.phase_at(position).map(|i| &self.plan.phases[i]);
        LeaseStatus {
            id: self.id,
            scenario: self.plan.document.name.clone(),
            expires_in_s: self.expires().saturating_duration_since(now).as_secs_f64(),
            phase: phase.map(|p| p.name.clone()),
            position_s: position.as_secs_f64(),
            faults: phase.map(|p| p.injections.iter().map(|i| i.id.clone()).collect()).unwrap_or_default(),
        }
    }
}

fn memory(injection: &Injection) -> Memory {
    injection.fault.behaviour().memory()
}

fn nanos(span: Duration) -> u64 {
    u64::try_from(span.as_nanos()).unwrap_or(u64::MAX)
}

pin_project! {
    /// Sleeps under a lease: until its time is up, or until the plan (or one phase) does not act any more.
    #[derive(Debug)]
    pub(super) struct Nap {
        #[pin]
        sleep: Sleep,
        #[pin]
        changed: OwnedNotified,
        until: Option<Instant>,
        phase: Option<usize>,
        lease: Arc<Lease>,
    }
}

impl Nap {
    /// For so long from now.
    pub(super) fn lasting(lease: Arc<Lease>, lasts: Duration) -> Nap {
        // What is longer than the clock goes is for as long as the plan acts.
        let until = Instant::now().checked_add(lasts);
        Nap::new(lease, until, None)
    }

    /// For as long as a phase acts.
    pub(super) fn during(lease: Arc<Lease>, phase: usize) -> Nap {
        Nap::new(lease, None, Some(phase))
    }

    /// For as long as the plan acts.
    pub(super) fn armed(lease: Arc<Lease>) -> Nap {
        Nap::new(lease, None, None)
    }

    fn new(lease: Arc<Lease>, until: Option<Instant>, phase: Option<usize>) -> Nap {
        let now = Instant::now();
        // Listen before looking: a change in between must not be missed.
        let changed = lease.term.changed.clone().notified_owned();
        let wake = end(&lease, phase, now).map_or(now, |end| until.map_or(end, |u| u.min(end)));
        Nap { sleep: tokio::time::sleep_until(wake), changed, until, phase, lease }
    }
}

fn end(lease: &Lease, phase: Option<usize>, now: Instant) -> Option<Instant> {
    phase.map_or_else(|| lease.acts_until(now), |phase| lease.phase_until(phase, now))
}

impl Future for Nap {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let mut this = self.project();
        loop {
            if this.changed.as_mut().poll(cx).is_ready() {
                this.changed.set(this.lease.term.changed.clone().notified_owned());
            } else {
                ready!(this.sleep.as_mut().poll(cx));
            }
            let now = Instant::now();
            if this.until.is_some_and(|until| now >= until) {
                return Poll::Ready(());
            }
            let Some(end) = end(this.lease, *this.phase, now) else { return Poll::Ready(()) };
            this.sleep.as_mut().reset(this.until.map_or(end, |until| until.min(end)));
        }
    }
}

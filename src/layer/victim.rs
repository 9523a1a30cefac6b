//! Whose request it is, and what the record says of it. Shared by the HTTP and the typed layer.
//!
//! Every perturbation goes through here: caps are asked and its line in the ledger is reserved before anything
//! changes, and the line is written when it has; what should have acted and could not is counted by its reason.

use std::{sync::Arc, time::Duration};

use http::HeaderValue;
use tokio::time::Instant;

use super::{
    caps::{Claim, Slots},
    lease::{Lease, Nap},
    masks::Masks,
    observe,
};
use crate::{
    clock,
    draw::{Dice, UnitHash},
    evidence::{FaultCell, Line, Permit},
    exposure::{Arm, Assignment},
    fault::{Action, Behaviour, Decide, EditContext, StreamContext},
    scenario::{Injection, Version},
    wire::{Answer, Framing},
};

/// One injection of the armed plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Rule {
    /// The number of its phase.
    pub(super) phase: usize,
    /// Its number in the phase.
    pub(super) index: usize,
}

/// Why a request is among those that faults act on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cause {
    /// Its unit was drawn, in the phase with this number.
    Drawn,
    /// It asked for it.
    Asked,
}

/// Whose request it is, under which phase of which lease.
#[derive(Debug, Clone)]
pub(super) struct Victim {
    pub(super) lease: Arc<Lease>,
    pub(super) phase: usize,
    pub(super) arm: Arm,
    pub(super) masks: Masks,
    /// The version that its unit has in a release.
    pub(super) version: Option<Version>,
    cause: Cause,
    position: Duration,
    request: UnitHash,
    unit: UnitHash,
    id: Option<String>,
    acted: Vec<Rule>,
    /// Its places among the faults that act at once, if their number is capped.
    slots: Option<Arc<Slots>>,
}

/// The right to perturb one response. Dropped unused, it records nothing, and no cap counts it.
#[derive(Debug)]
pub(super) struct Reserved {
    permit: Permit,
    claim: Option<Claim>,
}

impl Victim {
    /// A request whose unit was assigned to an arm.
    pub(super) fn new(
        lease: Arc<Lease>,
        phase: usize,
        position: Duration,
        assignment: &Assignment,
        request: UnitHash,
        id: Option<String>,
    ) -> Victim {
        let (arm, unit) = (assignment.arm, assignment.unit);
        let id = id.map(|id| Line::kept(&id).to_owned());
        let (masks, acted) = (Masks::default(), Vec::new());
        let slots = lease.caps.as_ref().and_then(Slots::of);
        let cause = Cause::Drawn;
        let version = lease.plan.release.as_ref().and_then(|release| assignment.version(release)).cloned();
        Victim { lease, phase, arm, masks, version, cause, position, request, unit, id, acted, slots }
    }

    /// A request that asked for a fault, whoever it is from.
    pub(super) fn asking(self) -> Victim {
        Victim { cause: Cause::Asked, arm: Arm::Treated, version: None, ..self }
    }

    /// Did it ask for what happens to it?
    pub(super) fn asked(&self) -> bool {
        self.cause == Cause::Asked
    }

    /// The injections of its phase.
    pub(super) fn rules(&self) -> impl Iterator<Item = Rule> + use<> {
        let phase = self.phase;
        let count = self.lease.plan.phases.get(phase).map_or(0, |phase| phase.injections.len());
        (0..count).map(move |index| Rule { phase, index })
    }

    pub(super) fn injection(&self, rule: Rule) -> &Injection {
        &self.lease.plan.phases[rule.phase].injections[rule.index]
    }

    pub(super) fn fault(&self, rule: Rule) -> &dyn Behaviour {
        self.injection(rule).fault.behaviour()
    }

    /// What a fault makes of this request.
    pub(super) fn decide(&self, rule: Rule, path: &str, request_bytes: Option<u64>) -> Option<Action> {
        let injection = self.injection(rule);
        if !self.asked() && !self.lease.tally(rule).admits(&injection.shape, self.unit) {
            return None;
        }
        if !self.asked() {
            self.note_intensity(rule);
        }
        let memory = self.lease.memory(rule);
        self.fault(rule).decide(&Decide {
            unit: self.unit,
            path,
            since_phase: self.since_phase(rule),
            request_bytes,
            ..Decide::of(self.dice(rule), self.intensity(rule), memory)
        })
    }

    /// What a fault may use while it edits rows.
    pub(super) fn edit_context(&self, rule: Rule) -> EditContext<'_> {
        let labels = &self.lease.plan.target.labels;
        EditContext {
            unit: self.unit,
            since_phase: self.since_phase(rule),
            ..EditContext::new(self.dice(rule), self.intensity(rule), labels, self.lease.memory(rule))
        }
    }

    /// What a fault may use while it edits a stream.
    pub(super) fn stream_context(&self, rule: Rule, path: &str, framing: Framing) -> StreamContext {
        StreamContext {
            dice: self.dice(rule),
            intensity: self.intensity(rule),
            codec: self.lease.plan.target.codec.clone(),
            path: path.to_owned(),
            framing,
            memory: self.lease.memory(rule).clone(),
        }
    }

    /// Shows rows as the model made them to the faults that learn from them.
    pub(super) fn observe(&self, answer: &Answer, offset: usize) {
        if self.asked() {
            return;
        }
        let plan = &self.lease.plan;
        for learner in observe::learners(plan, self.phase) {
            observe::show(plan, learner, &self.masks, self.lease.memory(learner.0), answer, offset);
        }
    }

    fn dice(&self, rule: Rule) -> Dice {
        let dice = Dice::new(self.injection(rule).key, self.request);
        if self.asked() { dice.certain() } else { dice }
    }

    /// How large a fault was when the request arrived; one that was asked for is at full size.
    fn intensity(&self, rule: Rule) -> f64 {
        match self.cause {
            Cause::Asked => 1.0,
            Cause::Drawn => self.injection(rule).intensity(self.since_phase(rule)),
        }
    }

    /// Counts how large a fault is for this request: what its promise is held against.
    pub(super) fn note_intensity(&self, rule: Rule) {
        self.cell(rule).intensity(self.intensity(rule));
    }

    fn since_phase(&self, rule: Rule) -> Duration {
        self.position.saturating_sub(self.lease.plan.phases[rule.phase].start)
    }

    pub(super) fn cell(&self, rule: Rule) -> &FaultCell {
        self.lease.recorder.fault(rule.phase, rule.index)
    }

    /// Counts a fault that should have acted and could not.
    pub(super) fn skip(&self, rule: Rule, reason: &'static str) {
        self.cell(rule).skipped(reason);
    }

    /// Counts several that could not.
    pub(super) fn skip_all(&self, rules: impl IntoIterator<Item = Rule>, reason: &'static str) {
        rules.into_iter().for_each(|rule| self.skip(rule, reason));
    }

    /// The right to perturb, if the plan still acts, no cap forbids it and the ledger takes the line.
    pub(super) fn reserve(&self, rule: Rule) -> Option<Reserved> {
        let now = Instant::now();
        if self.lease.acts_until(now).is_none() {
            self.skip(rule, "disarmed");
            return None;
        }
        let claim = self.lease.caps.as_ref().map(|caps| caps.claim(self.unit, self.lease.age(now)));
        let claim = claim.transpose().map_err(|cap| self.cell(rule).capped(cap)).ok()?;
        let permit = self.lease.ledger.reserve();
        let permit = permit.map_err(|error| self.skip(rule, error.reason())).ok()?;
        Some(Reserved { permit, claim })
    }

    /// Puts a perturbation on record.
    pub(super) fn commit(&mut self, reserved: Reserved, rule: Rule, change: &str, predictions: usize) {
        let Reserved { permit, claim } = reserved;
        claim.into_iter().for_each(|claim| claim.spend(self.slots.as_ref()));
        permit.commit(Line {
            at: clock::now(),
            scenario: self.lease.plan.document.name.clone(),
            lease: self.lease.id.0,
            request: self.id.clone(),
            unit: self.unit,
            fault: self.injection(rule).id.clone(),
            asked_for: self.asked(),
            shadow: self.lease.plan.shadow().is_some(),
            change: change.to_owned(),
        });
        match self.cause {
            Cause::Drawn => self.cell(rule).perturbed(predictions),
            Cause::Asked => self.cell(rule).asked_for(),
        }
        self.acted.push(rule);
    }

    /// What it holds until its response has passed.
    pub(super) fn slots(&self) -> Option<Arc<Slots>> {
        self.slots.clone()
    }

    /// Reserves and commits in one; `false` when the request must pass untouched.
    pub(super) fn act(&mut self, rule: Rule, change: &str, predictions: usize) -> bool {
        let Some(permit) = self.reserve(rule) else { return false };
        self.commit(permit, rule, change, predictions);
        true
    }

    /// Marks the response for a fault that acts on it while it passes; the record is written at its end.
    pub(super) fn mark_ahead(&mut self, rules: impl IntoIterator<Item = Rule>) {
        self.acted.extend(rules);
    }

    /// The marks of what acted.
    pub(super) fn marks(&self) -> impl Iterator<Item = HeaderValue> {
        self.acted.iter().map(|rule| self.injection(*rule).mark.clone())
    }

    /// Puts a hang on record; `None` when the request must pass. Without a length of its own it is over with
    /// its phase, or recovery would not be recovery.
    pub(super) fn hang(&mut self, rule: Rule, lasts: Option<Duration>) -> Option<Nap> {
        let bounded = lasts.is_some() || self.asked();
        if !bounded && self.lease.phase_until(rule.phase, Instant::now()).is_none() {
            let over = self.lease.acts_until(Instant::now()).is_none();
            self.skip(rule, if over { "disarmed" } else { "phase-over" });
            return None;
        }
        self.act(rule, "held without an answer", 0).then(|| match lasts {
            Some(lasts) => Nap::lasting(self.lease.clone(), lasts),
            None if self.asked() => Nap::armed(self.lease.clone()),
            None => Nap::during(self.lease.clone(), rule.phase),
        })
    }

    /// Puts delays on record and adds them up.
    pub(super) fn delay(&mut self, delays: Vec<(Rule, Duration)>) -> Duration {
        let mut total = Duration::ZERO;
        for (rule, delay) in delays {
            if !delay.is_zero() && self.act(rule, &format!("delayed up to {:.3} s", delay.as_secs_f64()), 0) {
                total = total.saturating_add(delay);
            }
        }
        total
    }
}

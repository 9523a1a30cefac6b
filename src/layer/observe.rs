//! Predictions as the model made them, shown to the faults that estimate from them.
//!
//! Those that the control arm got are, and those that the treated got before any edit. A fault of a later
//! phase sees them too, so that a steady phase tells it what it needs to know before it begins.

use std::sync::Arc;

use super::{
    masks::Masks,
    victim::{Rule, Victim},
};
use crate::{
    evidence::Observer,
    fault::{Memory, Stage},
    scenario::{Injection, Plan},
    wire::Row,
};

/// The injections that learn from what is answered in a phase: its own, and those of later ones.
pub(super) fn learners(plan: &Plan, phase: usize) -> impl Iterator<Item = (Rule, &Injection)> {
    let phases = plan.phases.iter().enumerate().skip(phase);
    let all = phases.flat_map(|(phase, of)| {
        of.injections.iter().enumerate().map(move |(index, injection)| (Rule { phase, index }, injection))
    });
    all.filter(|(_, injection)| injection.fault.stage() == Stage::Prediction)
}

/// Shows rows to one injection's fault; not to one whose group among them nobody can tell.
pub(super) fn show(
    plan: &Plan,
    (rule, injection): (Rule, &Injection),
    masks: &Masks,
    memory: &Memory,
    rows: &[Row],
    offset: usize,
) {
    let known = injection.group.is_none() || masks.knows(rule);
    if let (true, Ok(members)) = (known, masks.members(rule, offset, rows.len())) {
        injection.fault.behaviour().observe(rows, members, &plan.target.labels, memory);
    }
}

/// Shows them what a response says that nobody edited, once the evidence reads it.
#[derive(Debug)]
pub(super) struct Learners {
    plan: Arc<Plan>,
    phase: usize,
    masks: Masks,
    /// In the order of [`learners`]. Not the lease itself, whose record may hold this one.
    memories: Vec<Memory>,
}

impl Learners {
    /// Those of a request, if there are any.
    pub(super) fn of(victim: &Victim) -> Option<Arc<Learners>> {
        let (plan, phase) = (&victim.lease.plan, victim.phase);
        let memories: Vec<Memory> =
            learners(plan, phase).map(|(rule, _)| victim.lease.memory(rule).clone()).collect();
        let masks = victim.masks.clone();
        (!memories.is_empty()).then(|| Arc::new(Learners { plan: plan.clone(), phase, masks, memories }))
    }
}

impl Observer for Learners {
    fn rows(&self, rows: &[Row]) {
        for (learner, memory) in learners(&self.plan, self.phase).zip(&self.memories) {
            show(&self.plan, learner, &self.masks, memory, rows, 0);
        }
    }
}

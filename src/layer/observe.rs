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
    wire::Answer,
};

/// The injections that learn from what is answered in a phase: its own, and those of later ones.
pub(super) fn learners(plan: &Plan, phase: usize) -> impl Iterator<Item = (Rule, &Injection)> {
    let phases = plan.phases.iter().enumerate().skip(phase);
    let all = phases.flat_map(|(phase, of)| {
        of.injections.iter().enumerate().map(move |(index, injection)| (Rule { phase, index }, injection))
    });
    all.filter(|(_, injection)| injection.fault.stage() == Stage::Prediction)
}

/// Shows an answer to one injection's fault; not to one whose group among them nobody can tell.
pub(super) fn show(
    plan: &Plan,
    (rule, injection): (Rule, &Injection),
    masks: &Masks,
    memory: &Memory,
    Answer { content, rows, .. }: &Answer,
    offset: usize,
) {
    let fault = injection.fault.behaviour();
    let known = injection.group.is_none() || masks.knows(rule);
    if known
        && fault.needs().is_none_or(|needs| needs == *content)
        && let Ok(members) = masks.members(rule, offset, rows.len())
    {
        fault.observe(rows, members, &plan.target.labels, memory);
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
    /// Those of a phase, where nothing has to be known of the request; `None` if there are none.
    pub(super) fn new(plan: &Arc<Plan>, phase: usize, memories: &[Vec<Memory>]) -> Option<Arc<Learners>> {
        let memory = |(rule, _): (Rule, _)| memories[rule.phase][rule.index].clone();
        let memories: Vec<Memory> = learners(plan, phase).map(memory).collect();
        let masks = Masks::default();
        (!memories.is_empty()).then(|| Arc::new(Learners { plan: plan.clone(), phase, masks, memories }))
    }

    /// Those of a request.
    pub(super) fn of(victim: &Victim) -> Option<Arc<Learners>> {
        let all = victim.lease.learners(victim.phase)?;
        if victim.masks.is_empty() {
            return Some(all.clone());
        }
        let Learners { plan, phase, memories, .. } = all.as_ref();
        let (masks, memories) = (victim.masks.clone(), memories.clone());
        Some(Arc::new(Learners { plan: plan.clone(), phase: *phase, masks, memories }))
    }
}

impl Observer for Learners {
    fn answered(&self, answer: &Answer) {
        for (learner, memory) in learners(&self.plan, self.phase).zip(&self.memories) {
            show(&self.plan, learner, &self.masks, memory, answer, 0);
        }
    }
}

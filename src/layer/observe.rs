//! Predictions as the model made them, shown to the faults that estimate from them.
//!
//! Those that the control arm got are, and those that the treated got before any edit. A fault of a later
//! phase sees them too, so that a steady phase tells it what it needs to know before it begins. Here, too, what a
//! group and the others were told in the end is counted, in both arms.

use std::sync::Arc;

use super::{
    masks::Masks,
    victim::{Rule, Victim},
};
use crate::{
    evidence::{FaultCell, Observer},
    exposure::Arm,
    fault::{Memory, Stage},
    scenario::{Injection, Plan},
    wire::{Answer, Content},
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
    answer: &Answer,
    offset: usize,
) {
    let (fault, Answer { content, rows, .. }) = (injection.fault.behaviour(), answer);
    let known = injection.group.is_none() || masks.knows(rule);
    if known
        && fault.needs().is_none_or(|needs| needs == *content)
        && let Ok(members) = masks.members(rule, offset, rows.len())
    {
        fault.observe(rows, members, &answer.labels(&plan.target.labels), memory);
    }
}

/// Shows them what a response says that nobody edited, once the evidence reads it.
#[derive(Debug)]
pub(super) struct Learners {
    plan: Arc<Plan>,
    phase: usize,
    masks: Masks,
    /// Is the response as the model made it?
    plain: bool,
    /// In the order of [`learners`]. Not the lease itself, whose record may hold this one.
    memories: Vec<Memory>,
}

impl Learners {
    /// Those of a phase, where nothing has to be known of the request; `None` if there are none.
    pub(super) fn new(plan: &Arc<Plan>, phase: usize, memories: &[Vec<Memory>]) -> Option<Arc<Learners>> {
        let memory = |(rule, _): (Rule, _)| memories[rule.phase][rule.index].clone();
        let memories: Vec<Memory> = learners(plan, phase).map(memory).collect();
        let masks = Masks::default();
        (!memories.is_empty())
            .then(|| Arc::new(Learners { plan: plan.clone(), phase, masks, plain: true, memories }))
    }

    /// Those of a request; `plain`: nobody edits what it is answered.
    pub(super) fn of(victim: &Victim, plain: bool) -> Option<Arc<Learners>> {
        let all = victim.lease.learners(victim.phase)?;
        if victim.masks.is_empty() && plain {
            return Some(all.clone());
        }
        let Learners { plan, phase, memories, .. } = all.as_ref();
        let (masks, memories) = (victim.masks.clone(), memories.clone());
        Some(Arc::new(Learners { plan: plan.clone(), phase: *phase, masks, plain, memories }))
    }

    /// Counts what the group of an injection, and the others, were told.
    fn compare(&self, (rule, injection): (Rule, &Injection), answer: &Answer, arm: Arm, cell: &FaultCell) {
        let (fault, labels) = (injection.fault.behaviour(), answer.labels(&self.plan.target.labels));
        if !self.masks.knows(rule) || answer.content != Content::Predictions {
            return;
        }
        let Ok(members) = self.masks.members(rule, 0, answer.rows.len()) else { return };
        for (index, row) in answer.rows.iter().enumerate() {
            if let Some(positive) = fault.tells_positive(row, &labels) {
                cell.told(arm, members.contains(index), positive);
            }
        }
    }
}

/// Does an injection treat a group differently?
pub(super) fn compares(injection: &Injection) -> bool {
    injection.group.is_some()
}

impl Observer for Learners {
    fn answered<'a>(&self, answer: &Answer, arm: Arm, fault: &dyn Fn(usize) -> &'a FaultCell) {
        for (learner, memory) in learners(&self.plan, self.phase).zip(&self.memories) {
            if self.plain {
                show(&self.plan, learner, &self.masks, memory, answer, 0);
            }
            let (Rule { phase, index }, injection) = learner;
            if phase == self.phase && compares(injection) {
                self.compare(learner, answer, arm, fault(index));
            }
        }
    }
}

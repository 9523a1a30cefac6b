//! The delivery check: did the fault take effect, measured on treated and control callers?
//!
//! A fault is delivered when the effect that it is made for differs between the arms (a confidence interval at
//! [`LEVEL`] leaves out "no effect") and is not smaller than promised (`promised`); partly, when it is there and the
//! promise is ruled out. With everybody treated there is no control arm; then the phases before the first fault stand
//! in for it.

pub(super) mod labels;
mod latency;
mod measures;
mod promised;
mod scores;
pub(super) mod shares;
mod truth;

use std::collections::BTreeMap;

use super::power::had_by_a_monitor;
use crate::{
    event::{Delivered, Delivery, Effect, FaultOutline},
    evidence::{ArmEvidence, Evidence, FaultEvidence, ShadowEvidence},
    fault::Fault,
    scenario::{Injection, Phase, Plan},
    wire::Codec,
};

/// Confidence level of every interval here.
pub(in crate::verify) const LEVEL: f64 = 0.95;
const LABEL_SHIFT: &str = "label distribution (total variation)";
/// A mix of labels that moved by less than this total variation has not moved.
const STILL: f64 = 0.05;
/// Fewer treated requests than this tell nothing.
pub(super) const FEWEST: u64 = 20;
/// Most labels whose shares are told apart, the most frequent first.
const LABELS: usize = 12;
/// Fewer changed requests than this show no effect, however sure it is that they changed.
const FEWEST_CHANGED: u64 = 5;

pub use truth::{Accuracy, PhaseAccuracy};

/// The delivery check of every injection of every phase that has evidence.
pub fn deliveries(plan: &Plan, evidence: &Evidence, accuracy: &[PhaseAccuracy]) -> Vec<Delivery> {
    let before = before_any_fault(plan, evidence);
    let known_before = known_before_any_fault(plan, accuracy);
    let phases = plan.phases.iter().zip(&evidence.phases).enumerate();
    let checks = phases.flat_map(|(index, (phase, seen))| {
        // Callers in both arms got the truth: what is known of their answers says nothing of shadows.
        let mut known = accuracy.get(index).filter(|_| plan.shadow().is_none()).cloned().unwrap_or_default();
        let beside = seen.control.requests() >= FEWEST;
        let control = if beside { &seen.control } else { &before };
        if !beside {
            known.control = known_before.clone();
        }
        let pairs = seen.shadow.as_ref().filter(|shadow| shadow.pairs >= FEWEST);
        let codec = plan.target.codec.as_ref();
        let groups = &seen.groups;
        let arms = Arms { control, treated: &seen.treated, groups, known: &known, pairs, codec };
        let pairs = phase.injections.iter().zip(&seen.faults);
        pairs
            .map(|(injection, fault)| {
                let outline = injection.outline(phase.lasts(), &plan.exposure);
                let usual = if before.requests() >= FEWEST { &before } else { control };
                let monitor = had_by_a_monitor(
                    plan,
                    (phase, injection),
                    (usual, &known.control),
                    (seen, fault.eligible),
                );
                Delivery { monitor, ..arms.check(phase, injection, fault, outline) }
            })
            .collect::<Vec<_>>()
    });
    checks.collect()
}

/// What everybody saw before the first fault.
pub(super) fn before_any_fault(plan: &Plan, evidence: &Evidence) -> ArmEvidence {
    let quiet = plan.phases.iter().zip(&evidence.phases).take_while(|(phase, _)| phase.injections.is_empty());
    quiet.fold(ArmEvidence::default(), |mut all, (_, seen)| {
        all.merge(&seen.everybody());
        all
    })
}

/// What is known of the answers that everybody got before the first fault.
fn known_before_any_fault(plan: &Plan, accuracy: &[PhaseAccuracy]) -> Accuracy {
    let quiet = plan.phases.iter().zip(accuracy).take_while(|(phase, _)| phase.injections.is_empty());
    quiet.fold(Accuracy::default(), |mut all, (_, known)| {
        all.merge(&known.control);
        all.merge(&known.treated);
        all
    })
}

#[derive(Clone, Copy)]
pub(super) struct Arms<'a> {
    pub(super) control: &'a ArmEvidence,
    pub(super) treated: &'a ArmEvidence,
    /// The treated of each group, where they are split.
    pub(super) groups: &'a BTreeMap<String, ArmEvidence>,
    pub(super) known: &'a PhaseAccuracy,
    /// What shadows answered beside their callers, where they made pairs.
    pub(super) pairs: Option<&'a ShadowEvidence>,
    pub(super) codec: &'a dyn Codec,
}

impl Arms<'_> {
    fn check(
        &self,
        phase: &Phase,
        injection: &Injection,
        fault: &FaultEvidence,
        outline: FaultOutline,
    ) -> Delivery {
        let effects = self.effects(injection, fault);
        let shown = effects.iter().take(2).any(shares::is_shown);
        let alone = phase.injections.len() == 1;
        let weighed = self.weigh(injection, fault, &outline, alone, &effects);
        // Injection stops when it can't be recorded: what came before does not make the fault whole.
        let unrecorded =
            ["ledger-full", "ledger-broken"].iter().any(|reason| fault.skipped.contains_key(*reason));
        let delivered = if unrecorded {
            Delivered::No
        } else if fault.exposed < FEWEST {
            Delivered::TooLittleTraffic
        } else if fault.perturbed == 0 && weighed.is_none() {
            Delivered::No
        } else if let Some(less) = weighed.as_ref().filter(|weighed| !weighed.reaches()) {
            // The promise is ruled out.
            let part = less.is_shown() && fault.perturbed >= FEWEST_CHANGED;
            if part { Delivered::Partly } else { Delivered::No }
        } else if shown && fault.perturbed >= FEWEST_CHANGED {
            Delivered::Yes
        } else if fault.skipped.values().sum::<u64>() > fault.perturbed {
            Delivered::No
        } else {
            Delivered::TooLittleTraffic
        };
        Delivery {
            phase: phase.name.clone(),
            fault: outline,
            eligible: fault.eligible,
            exposed: fault.exposed,
            perturbed: fault.perturbed,
            asked_for: fault.asked_for,
            skipped: fault.skipped.clone(),
            seen_by: seen_by(injection, &effects),
            effects,
            confusion: self.confusion(),
            promised: weighed.as_ref().map(|weighed| weighed.promised.clone()),
            achieved: weighed.map(|weighed| weighed.achieved),
            monitor: None,
            delivered,
        }
    }
}

/// What kind of monitor should see a fault. Wrong answers that leave the mix of answers as it was are seen by
/// labels alone, whatever the fault is called.
fn seen_by(injection: &Injection, effects: &[Effect]) -> String {
    let moved = effects.iter().find(|effect| effect.measure == LABEL_SHIFT).map(|effect| effect.treated);
    match moved {
        Some(moved) if moved < STILL && matches!(injection.fault, Fault::Mislabel(_)) => format!(
            "accuracy, precision and recall on delayed labels; the mix of predictions moved by only {:.1}%, \
             so no monitor of predictions alone can see it",
            moved * 100.0
        ),
        _ => injection.fault.entry().seen_by.to_owned(),
    }
}

#[cfg(test)]
mod tests;

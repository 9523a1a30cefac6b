//! The delivery check: did the fault take effect, measured on treated and control callers?
//!
//! A fault is delivered when the effect that it is made for differs between the arms, and a confidence
//! interval at [`LEVEL`] leaves out "no effect". With everybody treated there is no control arm; then the
//! phases before the first fault stand in for it.

use std::collections::BTreeMap;

use crate::{
    event::{Delivered, Delivery, Effect, FaultOutline},
    evidence::{ArmEvidence, Evidence, FaultEvidence, Groups, Side},
    fault::{Fault, Stage},
    scenario::{Injection, Phase, Plan},
    stats::{self, Interval},
    wire::{Codec, Content},
};

/// Confidence level of every interval here.
pub(super) const LEVEL: f64 = 0.95;
const LABEL_SHIFT: &str = "label distribution (total variation)";
/// A mix of labels that moved by less than this total variation has not moved.
const STILL: f64 = 0.05;
/// Fewer treated requests than this tell nothing.
pub(super) const FEWEST: u64 = 20;
/// Most labels whose shares are told apart, the most frequent first.
const LABELS: usize = 12;
/// Fewer changed requests than this show no effect, however sure it is that they changed.
const FEWEST_CHANGED: u64 = 5;

/// Predictions compared with the truth, where it is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Accuracy {
    /// Predictions whose true class is known.
    pub labelled: u64,
    /// Those that were right.
    pub correct: u64,
}

/// Accuracy in one phase.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PhaseAccuracy {
    /// Of the control arm.
    pub control: Accuracy,
    /// Of the treated.
    pub treated: Accuracy,
}

/// The delivery check of every injection of every phase that has evidence.
pub fn deliveries(plan: &Plan, evidence: &Evidence, accuracy: &[PhaseAccuracy]) -> Vec<Delivery> {
    let before = before_any_fault(plan, evidence);
    let phases = plan.phases.iter().zip(&evidence.phases).enumerate();
    let checks = phases.flat_map(|(index, (phase, seen))| {
        // Callers in both arms got the truth: what is known of their answers says nothing of shadows.
        let known = accuracy.get(index).filter(|_| plan.shadow().is_none()).copied().unwrap_or_default();
        let control = if seen.control.requests() >= FEWEST { &seen.control } else { &before };
        let arms = Arms { control, treated: &seen.treated, known, codec: plan.target.codec.as_ref() };
        let pairs = phase.injections.iter().zip(&seen.faults);
        pairs
            .map(move |(injection, fault)| {
                let outline = injection.outline(phase.lasts(), &plan.exposure);
                arms.check(phase, injection, fault, outline)
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

#[derive(Clone, Copy)]
pub(super) struct Arms<'a> {
    pub(super) control: &'a ArmEvidence,
    pub(super) treated: &'a ArmEvidence,
    pub(super) known: PhaseAccuracy,
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
        let shown =
            effects.iter().take(2).filter_map(|effect| effect.difference).any(Interval::excludes_zero);
        // Injection stops when it can't be recorded: what came before does not make the fault whole.
        let unrecorded =
            ["ledger-full", "ledger-broken"].iter().any(|reason| fault.skipped.contains_key(*reason));
        let delivered = if unrecorded {
            Delivered::No
        } else if fault.exposed < FEWEST {
            Delivered::TooLittleTraffic
        } else if fault.perturbed == 0 {
            Delivered::No
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
            delivered,
        }
    }

    /// What is measured for a fault, the measure that decides first.
    fn effects(&self, injection: &Injection, fault: &FaultEvidence) -> Vec<Effect> {
        let measures = match &injection.fault {
            // Callers that gave up have no latency; that they were held still shows.
            Fault::Latency(_) => match self.mean_latency() {
                Some(mean) => vec![Some(mean), self.latency_quantile(0.5), self.latency_quantile(0.99)],
                None => vec![self.touched(fault), self.error_share()],
            },
            Fault::Error(error) => {
                // gRPC fails under a 200; the evidence counts what its code stands for.
                let answered = self.codec.error("/", &error.failure()).status;
                let failed = answered.is_client_error() || answered.is_server_error();
                let told = failed.then(|| self.status_share(answered.as_u16())).flatten();
                vec![told, self.error_share(), self.touched(fault)]
            }
            Fault::RateLimit(_) => vec![self.status_share(429), self.error_share(), self.touched(fault)],
            Fault::Queue(queue) => vec![
                self.mean_latency(),
                self.status_share(queue.status.code()),
                self.latency_quantile(0.5),
                self.latency_quantile(0.99),
                self.touched(fault),
            ],
            // A start is over before most requests come: the mean may not show what the slowest do.
            Fault::ColdStart(_) => vec![
                self.mean_latency(),
                self.slower_than_all_control(),
                self.latency_quantile(0.99),
                self.latency_quantile(0.999),
                self.touched(fault),
            ],
            Fault::Bandwidth(_) => vec![
                self.mean_latency(),
                self.error_share(),
                self.latency_quantile(0.99),
                self.touched(fault),
            ],
            // Without an end of its own it may still hold them: nobody has a latency then.
            Fault::Hang(hang) if hang.lasts.is_some() => {
                vec![self.mean_latency(), self.error_share(), self.touched(fault)]
            }
            Fault::Refuse(_) | Fault::BlackHole(_) | Fault::Reset(_) => {
                vec![self.error_share(), self.touched(fault)]
            }
            Fault::ParityGap(_) | Fault::OpportunityGap(_) => {
                let gaps = [gap(&fault.groups), positives(&fault.groups)];
                let known = gaps[0].is_some();
                let changed = self.changed_predictions(fault);
                let others = [self.mean_score(), self.label_shift(), self.accuracy()];
                let first = if known { gaps.to_vec() } else { Vec::new() };
                first.into_iter().chain([changed]).chain(others).collect()
            }
            Fault::Corrupt(_) => vec![self.invalid_share(), self.changed_predictions(fault)],
            Fault::Mislabel(_) => vec![self.changed_predictions(fault), self.label_shift(), self.accuracy()],
            text if matches!(text.stage(), Stage::Text | Stage::Timing) => self.of_text(text, fault),
            // What a worse request, order or vector does to predictions is the model's affair, or the index's.
            other
                if other.stage() == Stage::Request
                    || other.behaviour().needs() == Some(Content::Ranking)
                    || other.behaviour().needs() == Some(Content::Embeddings) =>
            {
                vec![
                    self.touched(fault),
                    self.label_shift(),
                    self.mean_score(),
                    self.accuracy(),
                    self.error_share(),
                ]
            }
            other if other.stage() == Stage::Prediction => {
                vec![self.changed_predictions(fault), self.mean_score(), self.label_shift(), self.accuracy()]
            }
            _ => vec![self.touched(fault), self.error_share()],
        };
        measures.into_iter().flatten().collect()
    }

    fn mean_latency(&self) -> Option<Effect> {
        let group = |arm: &ArmEvidence| {
            arm.latency
                .moments(|seconds| seconds)
                .map(|(mean, variance)| (mean, variance, arm.latency.count()))
        };
        let (control, treated) = (group(self.control)?, group(self.treated)?);
        Some(effect("mean latency", "s", control.0, treated.0, stats::welch(control, treated, LEVEL)))
    }

    fn latency_quantile(&self, q: f64) -> Option<Effect> {
        let (control, treated) = (self.control.latency.quantile(q)?, self.treated.latency.quantile(q)?);
        Some(effect(&format!("p{} latency", q * 100.0), "s", control, treated, None))
    }

    /// The share of requests that took longer than all of the other arm's.
    fn slower_than_all_control(&self) -> Option<Effect> {
        let slowest = self.control.latency.quantile(1.0)?;
        let slower = |seconds: f64| f64::from(u8::from(seconds > slowest));
        let group = |arm: &ArmEvidence| {
            let n = arm.latency.count();
            arm.latency.moments(slower).map(|(share, _)| ((share * n as f64).round() as u64, n))
        };
        proportions("slower than any control", group(self.control)?, group(self.treated)?)
    }

    pub(super) fn error_share(&self) -> Option<Effect> {
        let group = |arm: &ArmEvidence| (arm.failed(), arm.requests());
        proportions("error share", group(self.control), group(self.treated))
    }

    fn invalid_share(&self) -> Option<Effect> {
        let group = |arm: &ArmEvidence| (arm.invalid.values().sum(), arm.predictions);
        proportions("invalid predictions", group(self.control), group(self.treated))
    }

    fn status_share(&self, status: u16) -> Option<Effect> {
        let group = |arm: &ArmEvidence| (arm.statuses.get(&status).copied().unwrap_or(0), arm.requests());
        proportions(&format!("share of status {status}"), group(self.control), group(self.treated))
    }

    /// Predictions that the fault changed; without it none are, by construction.
    fn changed_predictions(&self, fault: &FaultEvidence) -> Option<Effect> {
        let predictions = self.treated.predictions;
        against_nothing("changed predictions", fault.predictions.min(predictions), predictions)
    }

    /// Requests that the fault held or broke; without it none are, by construction.
    pub(super) fn touched(&self, fault: &FaultEvidence) -> Option<Effect> {
        against_nothing("requests touched", fault.perturbed.min(fault.exposed), fault.exposed)
    }

    fn label_shift(&self) -> Option<Effect> {
        let (control, treated) = (&self.control.labels, &self.treated.labels);
        let counts = |arm: &BTreeMap<String, u64>| -> Vec<u64> {
            let names = control.keys().chain(treated.keys()).collect::<std::collections::BTreeSet<_>>();
            names.into_iter().map(|name| arm.get(name).copied().unwrap_or(0)).collect()
        };
        let (control, treated) = (counts(control), counts(treated));
        (control.iter().sum::<u64>() > 0 && treated.iter().sum::<u64>() > 0)
            .then(|| effect(LABEL_SHIFT, "share", 0.0, stats::total_variation(&control, &treated), None))
    }

    /// What is measured for two versions, whatever the faults.
    pub(super) fn of_versions(&self) -> Vec<Effect> {
        let first = [
            self.error_share(),
            self.mean_latency(),
            self.latency_quantile(0.5),
            self.latency_quantile(0.99),
            self.invalid_share().filter(|invalid| invalid.control + invalid.treated > 0.0),
        ];
        let last = [self.mean_score(), self.accuracy()];
        first.into_iter().flatten().chain(self.label_shares()).chain(last.into_iter().flatten()).collect()
    }

    /// The share of each predicted label.
    fn label_shares(&self) -> Vec<Effect> {
        let (control, treated) = (&self.control.labels, &self.treated.labels);
        let mut seen: BTreeMap<&String, u64> = BTreeMap::new();
        control.iter().chain(treated).for_each(|(label, count)| *seen.entry(label).or_default() += count);
        let mut labels: Vec<(&String, u64)> = seen.into_iter().collect();
        labels.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
        labels.truncate(LABELS);
        labels.sort();
        let of = |arm: &BTreeMap<String, u64>, label: &String| {
            (arm.get(label).copied().unwrap_or(0), arm.values().sum::<u64>())
        };
        let share = |(label, _): (&String, u64)| {
            proportions(&format!("share of `{label}`"), of(control, label), of(treated, label))
        };
        labels.into_iter().filter_map(share).collect()
    }

    fn mean_score(&self) -> Option<Effect> {
        let group = |arm: &ArmEvidence| {
            arm.scores.moments().map(|(mean, variance)| (mean, variance, arm.scores.count()))
        };
        let (control, treated) = (group(self.control)?, group(self.treated)?);
        Some(effect("mean score", "", control.0, treated.0, stats::welch(control, treated, LEVEL)))
    }

    fn accuracy(&self) -> Option<Effect> {
        let group = |known: Accuracy| (known.correct, known.labelled);
        proportions("accuracy", group(self.known.control), group(self.known.treated))
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

pub(super) fn effect(
    measure: &str,
    unit: &str,
    control: f64,
    treated: f64,
    difference: Option<Interval>,
) -> Effect {
    Effect { measure: measure.to_owned(), unit: unit.to_owned(), control, treated, difference }
}

/// The gap between the others' rate of positives and the group's.
fn gap(groups: &Groups) -> Option<Effect> {
    let side = |side: Side| (side.positive, side.seen);
    let (control, treated) = (groups.control, groups.treated);
    let control = stats::difference_of_proportions(side(control.group), side(control.others), LEVEL)?;
    let treated = stats::difference_of_proportions(side(treated.group), side(treated.others), LEVEL)?;
    let grew = stats::difference_of_differences(control, treated);
    Some(effect("parity gap", "share", control.estimate, treated.estimate, Some(grew)))
}

/// The group's rate of positives.
fn positives(groups: &Groups) -> Option<Effect> {
    let side = |side: Side| (side.positive, side.seen);
    proportions("positives in the group", side(groups.control.group), side(groups.treated.group))
}

/// A share whose counterpart in the control arm is known to be zero.
fn against_nothing(measure: &str, hits: u64, n: u64) -> Option<Effect> {
    let share = stats::proportion(hits, n, LEVEL)?;
    Some(effect(measure, "share", 0.0, share.estimate, Some(share)))
}

pub(super) fn proportions(measure: &str, control: (u64, u64), treated: (u64, u64)) -> Option<Effect> {
    let difference = stats::difference_of_proportions(control, treated, LEVEL)?;
    let share = |(hits, n): (u64, u64)| hits as f64 / n as f64;
    Some(effect(measure, "share", share(control), share(treated), Some(difference)))
}

#[cfg(test)]
mod tests;

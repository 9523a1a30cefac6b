//! The delivery check: did the fault take effect, measured on treated and control callers?
//!
//! A fault is delivered when the effect that it is made for differs between the arms, and a confidence
//! interval at [`LEVEL`] leaves out "no effect". With everybody treated there is no control arm; then the
//! phases before the first fault stand in for it.

use std::collections::BTreeMap;

use crate::{
    event::{Delivered, Delivery, Effect},
    evidence::{ArmEvidence, Evidence, FaultEvidence},
    fault::{Error, Fault, Stage},
    scenario::{Injection, Phase, Plan},
    stats::{self, Interval},
    wire::Content,
};

/// Confidence level of every interval here.
pub(super) const LEVEL: f64 = 0.95;
const LABEL_SHIFT: &str = "label distribution (total variation)";
/// A mix of labels that moved by less than this total variation has not moved.
const STILL: f64 = 0.05;
/// Fewer treated requests than this tell nothing.
const FEWEST: u64 = 20;
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
        let known = accuracy.get(index).copied().unwrap_or_default();
        let control = if seen.control.requests() >= FEWEST { &seen.control } else { &before };
        let arms = Arms { control, treated: &seen.treated, known };
        let pairs = phase.injections.iter().zip(&seen.faults);
        pairs.map(move |(injection, fault)| arms.check(phase, injection, fault)).collect::<Vec<_>>()
    });
    checks.collect()
}

/// What everybody saw before the first fault.
fn before_any_fault(plan: &Plan, evidence: &Evidence) -> ArmEvidence {
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
}

impl Arms<'_> {
    fn check(&self, phase: &Phase, injection: &Injection, fault: &FaultEvidence) -> Delivery {
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
            fault: injection.outline(phase.lasts()),
            eligible: fault.eligible,
            exposed: fault.exposed,
            perturbed: fault.perturbed,
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
            Fault::Error(Error { status: Some(status), .. }) => {
                vec![self.status_share(status.code()), self.error_share()]
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
            // Of an error by kind or gRPC code the protocol chooses the status.
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
mod tests {
    use super::*;
    use crate::scenario::{Source, compile};

    /// The delivery of one fault at a share, from what the arms saw.
    fn delivery(
        share: &str,
        fault: &str,
        control: ArmEvidence,
        treated: ArmEvidence,
        seen: FaultEvidence,
    ) -> Delivery {
        let text = format!(
            "name: t\ntarget: {{ protocol: open-inference }}\nexposure: {{ share: {share} }}\n\
             phases:\n  - {{ name: steady, lasts: 10s }}\n  - {{ name: broken, lasts: 10s, inject: [{{ fault: {fault} }}] }}\n"
        );
        let source = Source { name: "t.yaml".into(), text: text.into(), folder: ".".into() };
        let plan = compile(&source).unwrap_or_else(|errors| panic!("{errors}"));
        let steady = crate::evidence::PhaseEvidence { control: answers(500, 200), ..Default::default() };
        let broken =
            crate::evidence::PhaseEvidence { control, treated, faults: vec![seen], ..Default::default() };
        let evidence = Evidence { phases: vec![steady, broken], ..Default::default() };
        deliveries(&plan, &evidence, &[]).remove(0)
    }

    fn answers(count: u64, status: u16) -> ArmEvidence {
        ArmEvidence { statuses: [(status, count)].into(), predictions: count, ..Default::default() }
    }

    fn acted(exposed: u64, perturbed: u64) -> FaultEvidence {
        FaultEvidence { eligible: exposed, exposed, perturbed, predictions: perturbed, ..Default::default() }
    }

    #[test]
    fn with_everybody_treated_the_time_before_the_fault_is_the_control() {
        let mislabel = "{ mislabel: { rate: 30%, from: a, to: b } }";
        let found = delivery("100%", mislabel, ArmEvidence::default(), answers(300, 200), acted(300, 90));
        assert_eq!(found.delivered, Delivered::Yes, "{found:?}");
        let mut treated = answers(180, 200);
        treated.statuses.insert(503, 120);
        let error = "{ error: { status: 503, rate: 40% } }";
        let found = delivery("100%", error, ArmEvidence::default(), treated, acted(300, 120));
        assert_eq!(found.delivered, Delivered::Yes, "{found:?}");
    }

    #[test]
    fn an_error_that_is_the_callers_fault_is_measured_too() {
        let found = delivery(
            "50%",
            "{ error: { status: 400 } }",
            answers(200, 200),
            answers(200, 400),
            acted(200, 200),
        );
        assert_eq!(found.delivered, Delivered::Yes, "{found:?}");
    }

    #[test]
    fn a_delay_that_nobody_waited_for_is_delivered() {
        let treated = ArmEvidence { broken: 100, ..Default::default() };
        let found =
            delivery("50%", "{ latency: { fixed: 60s } }", answers(100, 200), treated, acted(100, 100));
        assert_eq!(found.delivered, Delivered::Yes, "{found:?}");
    }

    #[test]
    fn what_changed_nothing_or_met_nobody_is_not_delivered() {
        let mislabel = "{ mislabel: { rate: 30%, from: a, to: b } }";
        let check = |seen| delivery("50%", mislabel, answers(300, 200), answers(300, 200), seen).delivered;
        assert_eq!(check(acted(300, 0)), Delivered::No);
        assert_eq!(check(acted(10, 3)), Delivered::TooLittleTraffic);
        assert_eq!(check(acted(300, 2)), Delivered::TooLittleTraffic);
        let full = FaultEvidence { skipped: [("ledger-broken".to_owned(), 10)].into(), ..acted(300, 90) };
        assert_eq!(check(full), Delivered::No, "it stopped when it could not be recorded");
        let skipped = FaultEvidence { skipped: [("malformed-body".to_owned(), 200)].into(), ..acted(300, 3) };
        assert_eq!(check(skipped), Delivered::No);
    }
}

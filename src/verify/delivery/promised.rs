//! The promise of a fault held against what was measured.
//!
//! A promise ([`Promise`]) is turned into the difference that it should make between the arms: at the mean intensity
//! that its requests met (a ramp, a shape, an early end), and diluted where the fault acts on a part of the treated
//! only (a group, `where`). The first measure for which there is a number decides; with several faults in one phase
//! only what the layer counts for each of them, since what callers saw comes of all together.
//!
//! **Tolerance**: the promise is kept if the upper end of the interval of the measured effect reaches [`ENOUGH`] of it
//! and the lower end is above nothing. The base of a promise (how many predictions are of a class, the control's error
//! share) is taken as known.

use std::collections::BTreeMap;

use super::{Arms, labels, shares, truth::CALIBRATION};
use crate::{
    event::{Effect, Promised},
    evidence::FaultEvidence,
    fault::{Answers, Promise, Touched, Work},
    scenario::Injection,
    stats::Interval,
};

/// A measured effect whose interval reaches this share of the promise keeps it.
pub(super) const ENOUGH: f64 = 0.8;
/// A promise smaller than this is none.
const NOTHING: f64 = 1e-9;
/// More requests that began than ended, by this factor: those that are held are not measured yet.
const HELD: f64 = 1.05;

/// A promise as the difference that it should make, and how much of it was measured.
#[derive(Debug, Clone)]
pub(super) struct Weighed {
    pub(super) promised: Promised,
    /// The measured difference over the promised.
    pub(super) achieved: Interval,
}

impl Weighed {
    /// Does the evidence show an effect in the promised direction?
    pub(super) fn is_shown(&self) -> bool {
        self.achieved.low > 0.0
    }

    /// May the promise have been kept?
    pub(super) fn reaches(&self) -> bool {
        self.achieved.high >= ENOUGH
    }
}

/// What a measure should differ by.
#[derive(Debug, Clone, Copy)]
struct Candidate {
    measure: &'static str,
    amount: f64,
    at_least: bool,
}

/// By so much.
const fn by(measure: &'static str, amount: f64) -> Candidate {
    Candidate { measure, amount, at_least: false }
}

impl Arms<'_> {
    /// Holds the promise against the first of its measures that was taken.
    pub(super) fn weigh(
        &self,
        injection: &Injection,
        fault: &FaultEvidence,
        over_time: f64,
        alone: bool,
        effects: &[Effect],
    ) -> Option<Weighed> {
        let promise = injection.fault.promise();
        let intensity = fault.mean_intensity().unwrap_or(over_time);
        let size = Size {
            own: intensity * fault.row_share(),
            arm: intensity * fault.row_share() * self.dilution(fault),
            intensity,
        };
        let measured = |candidate: Candidate| {
            let named = |effect: &&Effect| match candidate.measure {
                shares::STATUS => effect.measure.starts_with(shares::STATUS),
                measure => effect.measure == measure,
            };
            let effect = effects.iter().find(named)?;
            let difference = effect.difference.filter(|_| candidate.amount.abs() > NOTHING)?;
            Some(weighed(&promise, effect, difference, candidate))
        };
        let counted = |candidate: &Candidate| {
            alone
                || [shares::TOUCHED, shares::CHANGED, shares::TAU, shares::COSINE]
                    .contains(&candidate.measure)
        };
        self.candidates(&promise, injection, fault, size, alone)
            .into_iter()
            .filter(counted)
            .find_map(measured)
    }

    /// The share of what the treated arm counts that the fault could have touched.
    fn dilution(&self, fault: &FaultEvidence) -> f64 {
        let requests = self.treated.requests();
        if requests == 0 { 1.0 } else { (fault.exposed as f64 / requests as f64).min(1.0) }
    }

    /// The measures that tell whether a promise was kept, the best first.
    fn candidates(
        &self,
        promise: &Promise,
        injection: &Injection,
        fault: &FaultEvidence,
        size: Size,
        alone: bool,
    ) -> Vec<Candidate> {
        let touched = |share: f64| by(shares::TOUCHED, share * size.own);
        let changed = |share: f64| by(shares::CHANGED, share * size.arm);
        // Rows that `where` picks are of other classes than all rows: nothing is known of their labels.
        let sliced = fault.row_share() < 1.0;
        match promise {
            Promise::Touch { of: Touched::Predictions, share } => vec![changed(*share)],
            Promise::Touch { of, share } => {
                vec![Candidate { at_least: of.are_parts_of_requests(), ..touched(*share) }]
            }
            Promise::Failed { share, .. } => {
                let status = self.failure_status(&injection.fault);
                let (first, before) = match status {
                    Some(status) => (shares::STATUS, self.control_share_of(status)),
                    None => (shares::ERRORS, self.control.error_share().unwrap_or(0.0)),
                };
                vec![by(first, share * size.arm * (1.0 - before)), touched(*share)]
            }
            Promise::Delay { mean_s, quantiles_s, finite_variance, share } => {
                let mean = by(shares::MEAN_LATENCY, mean_s * share * size.arm);
                let median = by(shares::MEDIAN_LATENCY, quantiles_s[0].1 * size.arm);
                let told = !self.censored(fault);
                let mean = Some(mean).filter(|_| told && *finite_variance);
                let median = Some(median).filter(|_| told && *share >= 1.0);
                mean.into_iter().chain(median).chain([touched(*share)]).collect()
            }
            Promise::DelayPer { each_s, work, share } => {
                let of = |each: f64| by(shares::MEAN_LATENCY, each_s * each * share * size.arm);
                let mean = match work {
                    Work::Row => self.mean_rows().map(of),
                    Work::Token => self.control.text.characters.moments().map(|(mean, ..)| of(mean / 4.0)),
                    Work::Kibibyte => None,
                };
                mean.filter(|_| !self.censored(fault)).into_iter().chain([touched(*share)]).collect()
            }
            Promise::AccuracyDrop { drop, share, .. } => {
                vec![by("accuracy", -drop * size.arm), changed(*share)]
            }
            Promise::ParityGap { gap } => {
                let gap = labels::control_gap(&fault.groups)
                    .map(|now| by("parity gap", (gap - now) * size.intensity));
                gap.into_iter().collect()
            }
            Promise::OpportunityGap { gap, true_positive_rate } => {
                let flips = gap / true_positive_rate.max(NOTHING);
                let now = labels::control_positives(&fault.groups);
                now.map(|now| by("positives in the group", -flips * now * size.intensity))
                    .into_iter()
                    .collect()
            }
            Promise::Labels { to, distance } => {
                let share = self.distance_to(to).or(*distance);
                share.map(changed).into_iter().collect()
            }
            Promise::Relabel { .. } if sliced => Vec::new(),
            Promise::Relabel { from: Some(from), share, .. } => {
                self.share_before(from, fault, alone).map(|of| changed(of * share)).into_iter().collect()
            }
            Promise::Relabel { from: None, to, share } => {
                let already = to.as_ref().and_then(|to| self.control_share_of_label(to)).unwrap_or(0.0);
                vec![changed(share * (1.0 - already))]
            }
            Promise::Invalid { share } => {
                let before = self.control_invalid();
                vec![by(shares::INVALID, share * size.arm * (1.0 - before)), changed(*share)]
            }
            Promise::Logit { share, .. } | Promise::Psi { share, .. } | Promise::Priors { share, .. } => {
                vec![changed(*share)]
            }
            Promise::Temperature { .. } => vec![changed(1.0)],
            Promise::CalibrationError { ece, .. } => {
                let grows =
                    self.calibration_error().map(|now| by(CALIBRATION, (ece - now.control) * size.arm));
                grows.filter(|grows| grows.amount > 0.0).into_iter().chain([changed(1.0)]).collect()
            }
            Promise::KendallTau { tau, share } => {
                vec![by(shares::TAU, -(1.0 - tau) * share * size.own), touched(*share)]
            }
            // A ramp grows the angle, not its cosine.
            Promise::Cosine { cosine, share } => {
                let turned = (1.0 - (cosine.acos() * size.intensity).cos()) / size.intensity.max(NOTHING);
                vec![by(shares::COSINE, -turned * share * size.own), touched(*share)]
            }
            Promise::NdcgDrop { share, .. } => vec![touched(*share)],
            Promise::TokenDelay { .. }
            | Promise::Stall { .. }
            | Promise::Answers { .. }
            | Promise::TokenCount { .. } => {
                let mut all = self.of_answers(promise, size.arm);
                all.extend(promise.share().map(touched));
                all
            }
            _ => Vec::new(),
        }
    }

    /// Are latencies missing, because callers gave up or are still waiting?
    fn censored(&self, fault: &FaultEvidence) -> bool {
        let gave_up = self.error_share().and_then(|effect| effect.difference).is_some_and(|d| d.low > 0.0);
        gave_up || fault.exposed as f64 > HELD * self.treated.requests() as f64
    }

    fn mean_rows(&self) -> Option<f64> {
        let answered = self.control.latency.count();
        (answered > 0).then(|| self.control.predictions as f64 / answered as f64)
    }

    /// The measures of generated text, with what they should differ by.
    fn of_answers(&self, promise: &Promise, size: f64) -> Vec<Candidate> {
        let text = &self.control.text;
        let share_of = |count: u64| if text.answers == 0 { 0.0 } else { count as f64 / text.answers as f64 };
        match promise {
            Promise::TokenDelay { first_token_s, between_tokens_s, tokens_per_s, share } if *share >= 1.0 => {
                let first = first_token_s.map(|(median, _)| by("p50 time to first token", median * size));
                // A stream's mean gap is near the mean of the lognormal: median · exp(σ²/2).
                let mean = |(median, p99): (f64, f64)| {
                    let sigma = (p99 / median).ln() / crate::stats::normal_quantile(0.99);
                    median * (sigma * sigma / 2.0).exp()
                };
                let paced = tokens_per_s
                    .and_then(|pace| Some((1.0 / pace - text.time_per_output_token.quantile(0.5)?).max(0.0)));
                let later = between_tokens_s.map(mean).or(paced);
                first.into_iter().chain(later.map(|s| by("p50 time per output token", s * size))).collect()
            }
            Promise::Stall { lasts_s, share } => {
                let usual = text.longest_gap.mean().unwrap_or(0.0);
                vec![by("mean longest gap", (lasts_s - usual).max(0.0) * share * size)]
            }
            Promise::Answers { are, share } => {
                let (measure, before) = match are {
                    Answers::Empty => ("empty answers", share_of(text.empty)),
                    Answers::Failed => ("answers with an error", share_of(text.failed)),
                    Answers::Malformed => ("answers that do not parse", share_of(text.malformed)),
                    Answers::WithoutReason | Answers::CutOff => {
                        ("answers without a finish reason", share_of(text.without_reason()))
                    }
                    Answers::Uncounted => ("answers without token counts", share_of(text.uncounted)),
                    Answers::Broken => (shares::ERRORS, self.control.error_share().unwrap_or(0.0)),
                };
                let streams = matches!(are, Answers::CutOff | Answers::Broken);
                let of = if streams { share_of(text.time_to_first_token.count()) } else { 1.0 };
                vec![by(measure, share * of * size * (1.0 - before))]
            }
            Promise::TokenCount { factor, share } => {
                let tokens = text.tokens.moments().map(|(mean, ..)| mean * (factor - 1.0) * share * size);
                tokens.map(|tokens| by("reported tokens", tokens)).into_iter().collect()
            }
            _ => Vec::new(),
        }
    }

    /// Total variation distance of the control's mix of labels from a wanted one.
    fn distance_to(&self, to: &BTreeMap<String, f64>) -> Option<f64> {
        let all = self.control.labels.values().sum::<u64>();
        let names = || self.control.labels.keys().chain(to.keys()).collect::<std::collections::BTreeSet<_>>();
        let apart = |name: &String| {
            let now = self.control.labels.get(name).map_or(0.0, |count| *count as f64 / all as f64);
            (to.get(name).copied().unwrap_or(0.0) - now).abs()
        };
        (all > 0).then(|| names().into_iter().map(apart).sum::<f64>() / 2.0)
    }

    fn control_share_of_label(&self, label: &str) -> Option<f64> {
        let all = self.control.labels.values().sum::<u64>();
        let count = self.control.labels.get(label)?;
        (all > 0).then(|| *count as f64 / all as f64)
    }

    /// The share of the treated's predictions that were of a class before the fault: those that still are, and those
    /// that it told as another. With other faults in the phase, that of the control.
    fn share_before(&self, class: &str, fault: &FaultEvidence, alone: bool) -> Option<f64> {
        let all = self.treated.predictions.max(1) as f64;
        let left = self.treated.labels.get(class).copied();
        let known = left.is_some() || self.control.labels.contains_key(class);
        match alone && known {
            true => Some((left.unwrap_or(0) + fault.predictions) as f64 / all),
            false => self.control_share_of_label(class),
        }
    }
}

/// How large a promise is here.
#[derive(Debug, Clone, Copy)]
struct Size {
    /// The mean intensity, 0 to 1.
    intensity: f64,
    /// For what the fault counts of the requests that it could have touched.
    own: f64,
    /// For what the treated arm counts of all its requests.
    arm: f64,
}

fn weighed(promise: &Promise, effect: &Effect, difference: Interval, candidate: Candidate) -> Weighed {
    let Candidate { amount, at_least, .. } = candidate;
    let (one, other) = (difference.low / amount, difference.high / amount);
    Weighed {
        promised: Promised {
            what: promise.to_string(),
            measure: effect.measure.clone(),
            unit: effect.unit.clone(),
            amount,
            at_least,
        },
        achieved: Interval {
            estimate: difference.estimate / amount,
            low: one.min(other),
            high: one.max(other),
            level: difference.level,
        },
    }
}

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
use crate::verify::text_effects::{FIRST_TOKEN, PER_TOKEN};
use crate::{
    event::{Effect, FaultOutline, Promised},
    evidence::FaultEvidence,
    fault::{Answers, Promise, Scales, Touched, Work},
    scenario::Injection,
    stats::Interval,
};

/// A measured effect whose interval reaches this share of the promise keeps it.
pub(super) const ENOUGH: f64 = 0.8;
/// A promise smaller than this is none.
const NOTHING: f64 = 1e-9;
/// More requests that began than ended, by this factor: those that are held are not measured yet.
const HELD: f64 = 1.05;
/// All of it, but for the rounding of counts.
const WHOLE: f64 = 0.99;
/// A 99th percentile of more than so many medians is a long tail.
const LONG_TAIL: f64 = 10.0;
/// From so many on the mean of a long tail is told.
const SETTLED: u64 = 300;

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
        outline: &FaultOutline,
        alone: bool,
        effects: &[Effect],
    ) -> Option<Weighed> {
        let promise = injection.fault.promise();
        let intensity = fault.mean_intensity().unwrap_or(outline.over_time);
        let size = Size {
            intensity,
            acts: match injection.fault.scales() {
                Scales::Rate => intensity,
                Scales::Size => fault.active_share().unwrap_or(outline.over_time),
            },
            rows: fault.row_share(),
            dilution: self.dilution(fault),
            held: self.holds(fault, outline),
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
            .filter(|candidate| candidate.measure != shares::TAU || fault.moved.count >= fault.perturbed)
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
        let touched = |share: f64| by(shares::TOUCHED, share * size.acts * size.rows);
        let changed = |share: f64| by(shares::CHANGED, share * size.acts * size.rows * size.dilution);
        // What `where` picks is of other classes than the rest: nothing is known of its labels.
        let sliced = injection.only.is_some();
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
                vec![by(first, share * size.arm() * (1.0 - before)), touched(*share)]
            }
            Promise::Delay { mean_s, quantiles_s, finite_variance, share } => {
                let mean = by(shares::MEAN_LATENCY, mean_s * share * size.arm());
                let median = by(shares::MEDIAN_LATENCY, quantiles_s[0].1);
                let told = !self.censored(size);
                let spread = Spread { median: quantiles_s[0].1, p99: quantiles_s[2].1 };
                let settles = *finite_variance && spread.settles(self.treated.latency.count());
                let mean = Some(mean).filter(|_| told && settles);
                let median = Some(median).filter(|_| told && *share >= 1.0 && size.is_whole());
                mean.into_iter().chain(median).chain([touched(*share)]).collect()
            }
            Promise::DelayPer { each_s, work, share } => {
                let of = |each: f64| by(shares::MEAN_LATENCY, each_s * each * share * size.arm());
                let mean = match work {
                    Work::Row => self.mean_rows().map(of),
                    Work::Token => self.control.text.characters.moments().map(|(mean, ..)| of(mean / 4.0)),
                    Work::Kibibyte => None,
                };
                mean.filter(|_| !self.censored(size)).into_iter().chain([touched(*share)]).collect()
            }
            Promise::AccuracyDrop { drop, share, .. } => {
                vec![by("accuracy", -drop * size.arm()), changed(*share)]
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
                vec![by(shares::INVALID, share * size.arm() * (1.0 - before)), changed(*share)]
            }
            Promise::Logit { share, .. } | Promise::Psi { share, .. } | Promise::Priors { share, .. } => {
                vec![changed(*share)]
            }
            Promise::Temperature { .. } => vec![changed(1.0)],
            Promise::CalibrationError { ece, .. } => {
                let grows =
                    self.calibration_error().map(|now| by(CALIBRATION, (ece - now.control) * size.arm()));
                grows.filter(|grows| grows.amount > 0.0).into_iter().chain([changed(1.0)]).collect()
            }
            Promise::KendallTau { tau, share } => {
                vec![by(shares::TAU, -(1.0 - tau) * share * size.own()), touched(*share)]
            }
            // A ramp grows the angle, not its cosine.
            Promise::Cosine { cosine, share } => {
                let turned = (1.0 - (cosine.acos() * size.intensity).cos()) / size.intensity.max(NOTHING);
                vec![by(shares::COSINE, -turned * share * size.own()), touched(*share)]
            }
            Promise::NdcgDrop { share, .. } => vec![touched(*share)],
            Promise::TokenDelay { .. }
            | Promise::Stall { .. }
            | Promise::Answers { .. }
            | Promise::TokenCount { .. } => {
                let mut all = self.of_answers(promise, size.arm());
                all.extend(promise.share().map(touched));
                all
            }
            _ => Vec::new(),
        }
    }

    /// Are latencies missing, because callers gave up or are still waiting?
    fn censored(&self, size: Size) -> bool {
        let gave_up = self.error_share().and_then(|effect| effect.difference).is_some_and(|d| d.low > 0.0);
        gave_up || size.held
    }

    /// Do requests wait that the fault could have touched?
    fn holds(&self, fault: &FaultEvidence, outline: &FaultOutline) -> bool {
        let group = outline.group.as_ref().and_then(|name| self.groups.get(name));
        fault.exposed as f64 > HELD * group.unwrap_or(self.treated).requests() as f64
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
            // Means: they grow in proportion to how many get the delay and how large it is, as no quantile does.
            Promise::TokenDelay { first_token_s, between_tokens_s, tokens_per_s, share } => {
                let streams = self.treated.text.time_to_first_token.count();
                let mean = |(median, p99): (f64, f64)| {
                    let spread = Spread { median, p99 };
                    spread.settles(streams).then(|| spread.mean())
                };
                let first = first_token_s.and_then(mean).map(|s| by(FIRST_TOKEN, s * share * size));
                let paced = tokens_per_s
                    .and_then(|pace| Some((1.0 / pace - text.time_per_output_token.mean()?).max(0.0)));
                let later = between_tokens_s.map_or(paced, mean).map(|s| by(PER_TOKEN, s * share * size));
                first.into_iter().chain(later).collect()
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

/// How large a promise is here; shares, 0 to 1.
#[derive(Debug, Clone, Copy)]
struct Size {
    /// The mean intensity.
    intensity: f64,
    /// The mean of what its intensity leaves of its rate: all where the intensity scales what it does, not how often.
    acts: f64,
    /// Of the rows, those that it may touch.
    rows: f64,
    /// Of the arm, those that it could have touched.
    dilution: f64,
    /// Do some of them still wait?
    held: bool,
}

impl Size {
    /// For means over the requests that it could have touched.
    fn own(self) -> f64 {
        self.intensity * self.rows
    }

    /// For means over the treated arm.
    fn arm(self) -> f64 {
        self.own() * self.dilution
    }

    /// Is all of the arm touched, in full size? A median shows no less.
    fn is_whole(self) -> bool {
        self.arm() > WHOLE
    }
}

/// A lognormal delay.
#[derive(Debug, Clone, Copy)]
struct Spread {
    median: f64,
    p99: f64,
}

impl Spread {
    /// exp(μ + σ²/2).
    fn mean(self) -> f64 {
        let sigma = (self.p99 / self.median).ln() / crate::stats::normal_quantile(0.99);
        self.median * (sigma * sigma / 2.0).exp()
    }

    /// Is the mean of so many near enough to normal? With a long tail a whole delay measures too small, once in a dozen.
    fn settles(self, n: u64) -> bool {
        self.p99 <= LONG_TAIL * self.median || n >= SETTLED
    }
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

#[cfg(test)]
mod tests;

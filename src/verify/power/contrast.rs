//! Which test could see what a fault promises, and what it would compare.

use statrs::function::beta::checked_beta_reg;

use super::Mix;
use crate::{
    event::Baselines,
    fault::{Promise, Touched},
    stats::{Contrast, Sides, normal_quantile},
};

/// How a fault shows.
pub(super) enum Seen {
    /// By a test.
    By {
        /// The test and the change, in words.
        test: String,
        /// What it compares.
        contrast: Contrast,
        /// Of what.
        of: &'static str,
        /// What the scenario does not tell, without which the time is not known.
        timed: Option<&'static str>,
    },
    /// It can't be told from the scenario: why.
    Unknown(String),
}

impl Seen {
    pub(super) fn unknown(why: &str) -> Seen {
        Seen::Unknown(format!("not known from the scenario: {why}"))
    }
}

pub(super) const REQUESTS: &str = "requests";
pub(super) const PREDICTIONS: &str = "predictions";
pub(super) const ANSWERS: &str = "answers";
const LABELLED: &str = "labelled predictions";
const HOW_MANY_LABELS: &str = "how many predictions get a label";

/// How a promise shows when a share `part` of what is looked at has it.
pub(super) fn seen(promise: &Promise, part: f64, base: Baselines, mix: &Mix) -> Seen {
    match promise {
        Promise::Failed { share, .. } => {
            let after = base.error_share + (1.0 - base.error_share) * share * part;
            shares("error share", base.error_share, after, REQUESTS, None)
        }
        Promise::Invalid { share } => shares("invalid predictions", 0.0, share * part, PREDICTIONS, None),
        Promise::Answers { are, share } => {
            shares(&format!("answers: {}", are.name()), 0.0, share * part, ANSWERS, None)
        }
        Promise::Delay { finite_variance: false, .. } => {
            unknown("the delay has no finite variance, so no test of means settles; look at quantiles")
        }
        Promise::Delay { mean_s, quantiles_s, share, .. } => {
            let often = share * part;
            let mixed = mean_s * (often * (1.0 - often)).max(0.0).sqrt();
            let deviation =
                base.latency_deviation_s.hypot(mixed).hypot(deviation_s(quantiles_s) * often.max(0.0).sqrt());
            let difference = mean_s * often;
            Seen::By {
                test: format!("mean latency +{:.1} ms (t)", difference * 1e3),
                contrast: Contrast::Means { difference, deviation, sides: Sides::Two },
                of: REQUESTS,
                timed: None,
            }
        }
        Promise::AccuracyDrop { drop, accuracy, .. } => {
            shares("accuracy", *accuracy, accuracy - drop * part, LABELLED, Some(HOW_MANY_LABELS))
        }
        Promise::ParityGap { gap } => {
            let group = Some("how much of the traffic the group is");
            let after = (base.positive_rate - gap * part).max(0.0);
            shares("positives of the group", base.positive_rate, after, "predictions of each group", group)
        }
        Promise::OpportunityGap { gap, true_positive_rate } => {
            let labelled = Some("how many labelled positives the group has");
            let after = (true_positive_rate - gap * part).max(0.0);
            shares("true-positive rate", *true_positive_rate, after, "labelled positives", labelled)
        }
        Promise::Relabel { from: Some(from), to, share } if mix.len() > 1 && to.as_ref() != Some(from) => {
            let before = mix.get(from).copied().unwrap_or(0.0);
            let what = format!("share of `{from}`, all classes alike before");
            shares(&what, before, before * (1.0 - share * part), PREDICTIONS, None)
        }
        Promise::Relabel { from: None, to: Some(to), share } if mix.len() > 1 => {
            let before = mix.get(to).copied().unwrap_or(0.0);
            let what = format!("share of `{to}`, all classes alike before");
            shares(&what, before, before + (1.0 - before) * share * part, PREDICTIONS, None)
        }
        Promise::Relabel { from: None, to: None, share } => {
            // A wrong one of K classes becomes the right one in one case of K - 1.
            let mended = mix.len().checked_sub(1).filter(|others| *others > 0);
            let mended = mended.map_or(0.0, |others| (1.0 - base.accuracy) / others as f64);
            let after = base.accuracy - (base.accuracy - mended) * share * part;
            shares("accuracy", base.accuracy, after, LABELLED, Some(HOW_MANY_LABELS))
        }
        Promise::Labels { distance: Some(distance), .. } => {
            // The set of classes that grows has a share of its own; one half has the most variance.
            let (half, moved) = (0.5, distance * part / 2.0);
            shares("mix of labels, at the most variable", half - moved, half + moved, PREDICTIONS, None)
        }
        Promise::Logit { delta, share } => {
            let distance = logit_distance(*delta) * share * part;
            Seen::By {
                test: format!("scores, KS distance {distance:.3}, if they are Beta(2, 5)"),
                contrast: Contrast::Distributions { distance },
                of: PREDICTIONS,
                timed: None,
            }
        }
        Promise::Psi { psi, share } => {
            let before = vec![0.1; 10];
            let after = tilted(*psi).map(|after| 0.1 + (after - 0.1) * share * part).to_vec();
            Seen::By {
                test: format!("scores in ten bins (χ²), PSI {psi} where all move"),
                contrast: Contrast::Mixes { first: before, second: after },
                of: PREDICTIONS,
                timed: None,
            }
        }
        Promise::Labels { .. } => unknown("the mix of labels before, so how far it moves"),
        Promise::Relabel { .. } | Promise::Priors { .. } => unknown("the model's own mix of predictions"),
        Promise::Unknown { because } => unknown(because),
        Promise::Touch { .. } => unknown("what comes of it is the model's affair"),
        _ => unknown("how much it differs from one answer to the next without the fault"),
    }
}

/// What canard counts of it by itself: changed, held or broken, where without the fault nothing is.
pub(super) fn touched(promise: &Promise, part: f64) -> Seen {
    match (promise, promise.share()) {
        (Promise::Touch { of, share }, _) => {
            let timed = match of {
                Touched::Requests | Touched::Predictions | Touched::Answers => None,
                _ => Some("how many of them a request has"),
            };
            shares(&format!("{} touched", of.name()), 0.0, share * part, of.name(), timed)
        }
        (_, Some(share)) => {
            let of = match promise {
                Promise::Failed { .. } | Promise::Delay { .. } | Promise::DelayPer { .. } => REQUESTS,
                Promise::KendallTau { .. } | Promise::NdcgDrop { .. } => "lists",
                Promise::Cosine { .. } => "vectors",
                Promise::TokenDelay { .. }
                | Promise::Stall { .. }
                | Promise::Answers { .. }
                | Promise::TokenCount { .. } => ANSWERS,
                _ => PREDICTIONS,
            };
            shares(&format!("{of} touched"), 0.0, share * part, of, None)
        }
        (Promise::Unknown { because }, None) => unknown(because),
        (_, None) => unknown("how often it acts"),
    }
}

fn unknown(why: &str) -> Seen {
    Seen::unknown(why)
}

/// No less than the standard deviation of a delay with these quantiles (0.5, 0.9 and 0.99), if it is no more skewed than
/// they show: that of the normal distribution through two of them.
fn deviation_s(&[(_, half), (_, ninety), (_, ninety_nine)]: &[(f64, f64); 3]) -> f64 {
    let through = |quantile: f64, at: f64| (quantile - half) / normal_quantile(at);
    through(ninety, 0.9).max(through(ninety_nine, 0.99)).max(0.0)
}

fn shares(what: &str, before: f64, after: f64, of: &'static str, timed: Option<&'static str>) -> Seen {
    let (first, second) = (before.clamp(0.0, 1.0), after.clamp(0.0, 1.0));
    let percent = |share: f64| format!("{:.1}%", share * 100.0);
    Seen::By {
        test: format!("{what} {} → {}", percent(first), percent(second)),
        contrast: Contrast::Shares { first, second, sides: Sides::Two },
        of,
        timed,
    }
}

/// Largest gap of the distribution functions of Beta(2, 5) scores and of the same, moved by `delta` logits.
fn logit_distance(delta: f64) -> f64 {
    let below = |x: f64| checked_beta_reg(2.0, 5.0, x).unwrap_or(0.0);
    let gap = |i: i32| {
        let x = f64::from(i) / 2000.0;
        let from = 1.0 / (1.0 + (-((x / (1.0 - x)).ln() - delta)).exp());
        (below(x) - below(from)).abs()
    };
    (1..2000).map(gap).fold(0.0, f64::max)
}

/// Ten even bins after an exponential tilt of this stability index.
fn tilted(psi: f64) -> [f64; 10] {
    let at = |tilt: f64| {
        let weights: [f64; 10] = std::array::from_fn(|i| (tilt * (i as f64 - 4.5)).exp());
        let sum: f64 = weights.iter().sum();
        weights.map(|weight| weight / sum)
    };
    let index = |tilt: f64| at(tilt).iter().map(|p| (p - 0.1) * (p / 0.1).ln()).sum::<f64>();
    let (mut low, mut high) = (0.0, 20.0);
    for _ in 0..60 {
        let middle = f64::midpoint(low, high);
        if index(middle) < psi { low = middle } else { high = middle }
    }
    at(low)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scores_move_as_in_the_table_of_faults() {
        for (delta, distance) in [(0.1, 0.046), (0.3, 0.137), (0.5, 0.224), (1.0, 0.430)] {
            assert!((logit_distance(delta) - distance).abs() < 2e-3, "{delta}: {}", logit_distance(delta));
        }
        let index: f64 = tilted(0.3).iter().map(|p| (p - 0.1) * (p / 0.1).ln()).sum();
        assert!((index - 0.3).abs() < 1e-9);
    }
}

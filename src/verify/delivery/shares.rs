//! Shares of requests and of predictions.

use super::{Arms, LEVEL};
use crate::{
    event::Effect,
    evidence::{ArmEvidence, FaultEvidence, OTHER_LABEL, ShadowEvidence},
    fault::Fault,
    stats::{self, Interval},
    wire::Content,
};

pub(in crate::verify) const ERRORS: &str = "error share";
pub(in crate::verify) const INVALID: &str = "invalid predictions";
pub(in crate::verify) const CHANGED: &str = "changed predictions";
pub(in crate::verify) const TOUCHED: &str = "requests touched";
/// The status follows.
pub(in crate::verify) const STATUS: &str = "share of status";
pub(in crate::verify) const TAU: &str = "Kendall τ with the order before";
pub(in crate::verify) const COSINE: &str = "cosine with the vector before";
pub(in crate::verify) const MEAN_LATENCY: &str = "mean latency";
pub(in crate::verify) const MEDIAN_LATENCY: &str = "p50 latency";

impl Arms<'_> {
    pub(in crate::verify) fn error_share(&self) -> Option<Effect> {
        let group = |arm: &ArmEvidence| (arm.failed(), arm.requests());
        let effect = proportions(ERRORS, group(self.control), group(self.treated))?;
        Some(paired(effect, self.pairs.and_then(failed_pairs)))
    }

    pub(in crate::verify) fn invalid_share(&self) -> Option<Effect> {
        let group = |arm: &ArmEvidence| (arm.invalid.values().sum(), arm.predictions);
        proportions(INVALID, group(self.control), group(self.treated))
    }

    pub(in crate::verify) fn status_share(&self, status: u16) -> Option<Effect> {
        let group = |arm: &ArmEvidence| (arm.statuses.get(&status).copied().unwrap_or(0), arm.requests());
        proportions(&format!("{STATUS} {status}"), group(self.control), group(self.treated))
    }

    /// The control's share of a status.
    pub(in crate::verify) fn control_share_of(&self, status: u16) -> f64 {
        let count = self.control.statuses.get(&status).copied().unwrap_or(0);
        count as f64 / self.control.requests().max(1) as f64
    }

    /// The control's share of invalid predictions.
    pub(in crate::verify) fn control_invalid(&self) -> f64 {
        self.control.invalid.values().sum::<u64>() as f64 / self.control.predictions.max(1) as f64
    }

    /// The HTTP status that a fault on requests answers with, if it is that of a failure.
    pub(in crate::verify) fn failure_status(&self, fault: &Fault) -> Option<u16> {
        let Fault::Error(error) = fault else { return None };
        // gRPC fails under a 200; the evidence counts what its code stands for.
        let answered = self.codec.error("/", &error.failure()).status;
        (answered.is_client_error() || answered.is_server_error()).then(|| answered.as_u16())
    }

    /// Predictions that the fault changed; without it none are, by construction.
    pub(in crate::verify) fn changed_predictions(&self, fault: &FaultEvidence) -> Option<Effect> {
        let predictions = self.treated.predictions;
        against_nothing(CHANGED, fault.predictions.min(predictions), predictions)
    }

    /// How far the fault moved lists or vectors, in the mean of the requests that it could have touched: those that it
    /// left alone did not move.
    pub(in crate::verify) fn moved(&self, content: Option<Content>, fault: &FaultEvidence) -> Option<Effect> {
        let measure = match content {
            Some(Content::Ranking) => TAU,
            Some(Content::Embeddings) => COSINE,
            _ => return None,
        };
        let by = fault.moved;
        let by =
            stats::paired_mean(fault.exposed, by.sum, by.sum_of_squares, LEVEL).filter(|_| by.count > 0)?;
        let down = Interval { estimate: -by.estimate, low: -by.high, high: -by.low, level: by.level };
        Some(effect(measure, "", 1.0, 1.0 - by.estimate, Some(down)))
    }

    /// Requests that the fault held or broke; without it none are, by construction.
    pub(in crate::verify) fn touched(&self, fault: &FaultEvidence) -> Option<Effect> {
        against_nothing(TOUCHED, fault.perturbed.min(fault.exposed), fault.exposed)
    }
}

/// Does it differ, in the direction in which faults move it where there is but one?
pub(in crate::verify) fn is_shown(effect: &Effect) -> bool {
    let grows =
        [ERRORS, INVALID, CHANGED, TOUCHED, STATUS].iter().any(|name| effect.measure.starts_with(name))
            || effect.measure.ends_with("latency");
    effect.difference.is_some_and(|d| if grows { d.low > 0.0 } else { d.excludes_zero() })
}

pub(in crate::verify) fn effect(
    measure: &str,
    unit: &str,
    control: f64,
    treated: f64,
    difference: Option<Interval>,
) -> Effect {
    Effect { measure: measure.to_owned(), unit: unit.to_owned(), control, treated, difference, p: None }
}

/// A share whose counterpart in the control arm is known to be zero.
pub(in crate::verify) fn against_nothing(measure: &str, hits: u64, n: u64) -> Option<Effect> {
    let share = stats::proportion(hits, n, LEVEL)?;
    Some(effect(measure, "share", 0.0, share.estimate, Some(share)))
}

pub(in crate::verify) fn proportions(
    measure: &str,
    control: (u64, u64),
    treated: (u64, u64),
) -> Option<Effect> {
    let difference = stats::difference_of_proportions(control, treated, LEVEL)?;
    let share = |(hits, n): (u64, u64)| hits as f64 / n as f64;
    Some(effect(measure, "share", share(control), share(treated), Some(difference)))
}

/// An effect with the interval of its pairs, where shadows made pairs: the same requests, answered twice.
pub(in crate::verify) fn paired(effect: Effect, pairs: Option<Interval>) -> Effect {
    Effect { difference: pairs.or(effect.difference), ..effect }
}

/// The shadows' share of failures minus that of the callers of the same requests.
fn failed_pairs(seen: &ShadowEvidence) -> Option<Interval> {
    let failed = |status: &str| match status.parse::<u16>() {
        Ok(status) => status >= 500 || status == 429,
        Err(_) => status == "broken",
    };
    if seen.statuses.contains_key(OTHER_LABEL) {
        return None;
    }
    let differing = seen.statuses.iter().flat_map(|(caller, shadows)| {
        shadows.iter().map(move |(shadow, count)| (failed(caller), failed(shadow), *count))
    });
    let mut pairs = stats::Pairs::default();
    for (caller, shadow, count) in differing {
        pairs.first += if caller && !shadow { count } else { 0 };
        pairs.second += if shadow && !caller { count } else { 0 };
    }
    pairs.neither = seen.pairs.saturating_sub(pairs.first + pairs.second);
    pairs.difference(LEVEL)
}

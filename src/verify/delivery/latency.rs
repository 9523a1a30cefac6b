//! How long requests took: means, quantiles, and the slowest.

use super::{
    Arms, LEVEL,
    shares::{MEAN_LATENCY, effect, paired, proportions},
};
use crate::{
    event::Effect,
    evidence::ArmEvidence,
    stats::{self, Interval},
};

impl Arms<'_> {
    pub(in crate::verify) fn mean_latency(&self) -> Option<Effect> {
        let group = |arm: &ArmEvidence| {
            arm.latency
                .moments(|seconds| seconds)
                .map(|(mean, variance)| (mean, variance, arm.latency.count()))
        };
        let (control, treated) = (group(self.control)?, group(self.treated)?);
        let pairs = self.pairs.map(|pairs| pairs.latency_s);
        let pairs = pairs.and_then(|all| stats::paired_mean(all.count, all.sum, all.sum_of_squares, LEVEL));
        let difference = stats::welch(control, treated, LEVEL);
        Some(paired(effect(MEAN_LATENCY, "s", control.0, treated.0, difference), pairs))
    }

    pub(in crate::verify) fn latency_quantile(&self, q: f64) -> Option<Effect> {
        let (control, treated) = (self.control.latency.quantile(q)?, self.treated.latency.quantile(q)?);
        let difference =
            stats::difference_of_quantiles(&self.control.latency, &self.treated.latency, q, LEVEL);
        Some(effect(&format!("p{} latency", q * 100.0), "s", control, treated, difference))
    }

    /// Times are skewed: how many times as long they are in the geometric mean says more of the middle.
    pub(in crate::verify) fn latency_ratio(&self) -> Option<Effect> {
        let ratio = stats::ratio_of_times(&self.control.latency, &self.treated.latency, LEVEL)?;
        let more = Interval {
            estimate: ratio.estimate - 1.0,
            low: ratio.low - 1.0,
            high: ratio.high - 1.0,
            level: ratio.level,
        };
        Some(effect("latency ratio (geometric means)", "", 1.0, ratio.estimate, Some(more)))
    }

    /// The share of requests that took longer than all of the other arm's.
    pub(in crate::verify) fn slower_than_all_control(&self) -> Option<Effect> {
        let slowest = self.control.latency.quantile(1.0)?;
        let slower = |seconds: f64| f64::from(u8::from(seconds > slowest));
        let group = |arm: &ArmEvidence| {
            let n = arm.latency.count();
            arm.latency.moments(slower).map(|(share, _)| ((share * n as f64).round() as u64, n))
        };
        proportions("slower than any control", group(self.control)?, group(self.treated)?)
    }
}

//! How long requests took: means, quantiles, and the slowest.

use super::{
    Arms, LEVEL,
    shares::{MEAN_LATENCY, effect, proportions},
};
use crate::{event::Effect, evidence::ArmEvidence, stats};

impl Arms<'_> {
    pub(in crate::verify) fn mean_latency(&self) -> Option<Effect> {
        let group = |arm: &ArmEvidence| {
            arm.latency
                .moments(|seconds| seconds)
                .map(|(mean, variance)| (mean, variance, arm.latency.count()))
        };
        let (control, treated) = (group(self.control)?, group(self.treated)?);
        Some(effect(MEAN_LATENCY, "s", control.0, treated.0, stats::welch(control, treated, LEVEL)))
    }

    pub(in crate::verify) fn latency_quantile(&self, q: f64) -> Option<Effect> {
        let (control, treated) = (self.control.latency.quantile(q)?, self.treated.latency.quantile(q)?);
        Some(effect(&format!("p{} latency", q * 100.0), "s", control, treated, None))
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

//! The distributions of delays, each as its quantile function: the delay at a uniform number u between 0 and 1.
//!
//! A quantile function and a request's own draw give the same delay everywhere, and the delays of many requests
//! follow the distribution exactly: no generator, no state.

use serde::{Deserialize, Serialize};

use crate::{fault::Problem, stats::normal_quantile, unit::Span};

/// Any delay between two, all alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Uniform {
    /// The shortest.
    pub min: Span,
    /// The longest.
    pub max: Span,
}

impl Uniform {
    pub(super) fn quantile_s(&self, u: f64) -> f64 {
        let (min, max) = (self.min.as_secs_f64(), self.max.as_secs_f64());
        min + u * (max - min)
    }

    pub(super) fn check(&self) -> Option<Problem> {
        let Uniform { min, max } = self;
        let message = || format!("`min` ({min}) is not below `max` ({max})");
        (min >= max).then(|| Problem::new("uniform", message()).help("swap them, or use `fixed`"))
    }
}

/// Normally distributed delays; the few below zero are no delay.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Normal {
    /// The mean.
    pub mean: Span,
    /// The standard deviation, at most a third of the mean.
    pub sd: Span,
}

impl Normal {
    pub(super) fn quantile_s(&self, u: f64) -> f64 {
        (self.mean.as_secs_f64() + self.sd.as_secs_f64() * normal_quantile(u)).max(0.0)
    }

    pub(super) fn check(&self) -> Option<Problem> {
        let Normal { mean, sd } = self;
        let message = || format!("`sd` ({sd}) is not above 0s and at most a third of `mean` ({mean})");
        let help = "a wider normal would have delays below zero; use `lognormal`";
        let wrong = sd.is_zero() || sd.duration() * 3 > mean.duration();
        wrong.then(|| Problem::new("normal", message()).help(help))
    }
}

/// Lognormal delays.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Lognormal {
    /// The median.
    pub median: Span,
    /// The 99th percentile.
    pub p99: Span,
}

impl Lognormal {
    pub(super) fn quantile_s(&self, u: f64) -> f64 {
        let (median, p99) = (self.median.as_secs_f64(), self.p99.as_secs_f64());
        let sigma = (p99 / median).ln() / normal_quantile(0.99);
        median * (sigma * normal_quantile(u)).exp()
    }

    pub(super) fn check(&self) -> Option<Problem> {
        let Lognormal { median, p99 } = self;
        let message = || format!("`median` ({median}) is not above 0s and below `p99` ({p99})");
        let help = "the 99th percentile is the larger of the two";
        let wrong = median.is_zero() || median >= p99;
        wrong.then(|| Problem::new("lognormal", message()).help(help))
    }
}

/// Pareto delays: a power law, whose rare delays are very long. Given by `scale` and `shape`, or by `p50` and
/// `p99`.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct Pareto {
    /// The shortest delay.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scale: Option<Span>,
    /// The exponent α of the tail, P(delay > x) = (scale / x)^α, 0.2 to 100; with 2 or less the variance is
    /// infinite, with 1 or less the mean is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shape: Option<f64>,
    /// The median.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub p50: Option<Span>,
    /// The 99th percentile.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub p99: Option<Span>,
}

const SHAPES: std::ops::RangeInclusive<f64> = 0.2..=100.0;

impl Pareto {
    /// Shortest delay in seconds and exponent; `None` unless exactly one pair is given.
    fn parameters(&self) -> Option<(f64, f64)> {
        match *self {
            Pareto { scale: Some(scale), shape: Some(shape), p50: None, p99: None } => {
                Some((scale.as_secs_f64(), shape))
            }
            Pareto { scale: None, shape: None, p50: Some(p50), p99: Some(p99) } => {
                // Q(u) = scale·(1 − u)^(−1/α), so Q(.99) / Q(.5) = 50^(1/α).
                let (p50, p99) = (p50.as_secs_f64(), p99.as_secs_f64());
                let shape = 50.0_f64.ln() / (p99 / p50).ln();
                Some((p50 * 0.5_f64.powf(1.0 / shape), shape))
            }
            _ => None,
        }
    }

    /// Is its variance finite?
    pub(super) fn has_variance(&self) -> bool {
        self.parameters().is_some_and(|(_, shape)| shape > 2.0)
    }

    pub(super) fn quantile_s(&self, u: f64) -> f64 {
        self.parameters().map_or(0.0, |(scale, shape)| scale * (1.0 - u).powf(-1.0 / shape))
    }

    pub(super) fn describe(&self) -> String {
        let at = |u| Span::from(super::seconds(self.quantile_s(u)));
        format!("+{} median, {} p99, Pareto", at(0.5), at(0.99))
    }

    pub(super) fn check(&self) -> Option<Problem> {
        let wrong = |message: String, help: &str| Some(Problem::new("pareto", message).help(help));
        let Some((scale, shape)) = self.parameters() else {
            let message = "`pareto` is given by two numbers of one pair".to_owned();
            return wrong(message, "write `{ scale: 50ms, shape: 1.5 }` or `{ p50: 80ms, p99: 900ms }`");
        };
        if let (Some(p50), Some(p99)) = (self.p50, self.p99)
            && (p50.is_zero() || p50 >= p99)
        {
            let message = format!("`p50` ({p50}) is not above 0s and below `p99` ({p99})");
            return wrong(message, "the 99th percentile is the larger of the two");
        }
        if scale == 0.0 {
            return wrong("a `scale` of 0s gives no delay".to_owned(), "write a time above 0s");
        }
        if !SHAPES.contains(&shape) {
            let message = match self.p50 {
                None => format!("`shape` ({shape}) is not between 0.2 and 100"),
                Some(_) => {
                    format!("`p50` and `p99` make a shape of {shape:.2}, which is not between 0.2 and 100")
                }
            };
            return wrong(message, "1 to 3 is what heavy-tailed latencies have; the smaller, the heavier");
        }
        None
    }
}

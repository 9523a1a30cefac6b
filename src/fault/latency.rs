//! Slow answers: a delay from a distribution, from a recorded trace, or in proportion to the work asked for.
//!
//! A delay is a quantile of its distribution at the request's own draw, so the same request is delayed alike
//! everywhere, and the delays of many requests follow the distribution exactly. Only a trace that is replayed
//! in its order goes by arrival.

mod distribution;
mod entry;
mod percentiles;
mod per;
mod trace;
#[cfg(test)]
mod tests;

use std::{
    path::Path,
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use serde::{Deserialize, Serialize};

pub use distribution::{Lognormal, Normal, Pareto, Uniform};
pub use per::Proportion;
pub use percentiles::Percentiles;
pub use trace::{Trace, TraceOrder, TraceUnit};

use super::{
    Action, Behaviour, CheckContext, Decide, Entry, Memory, Problem, Promise, Scales, Stage, StreamContext,
    StreamEdit, prediction::check_rate, purpose,
};
use crate::{
    unit::{Share, Span},
    wire::Content,
};

/// No delay is longer, whatever the tail of the distribution says.
const LONGEST_S: f64 = 3600.0;

/// Delays requests or responses. Exactly one of `fixed`, `uniform`, `normal`, `lognormal`, `pareto`,
/// `percentiles`, `trace` and `per` is given.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Latency {
    /// The same delay each time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fixed: Option<Span>,
    /// Any delay between two, all alike.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uniform: Option<Uniform>,
    /// Normally distributed around a mean.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub normal: Option<Normal>,
    /// Lognormal, by its median and 99th percentile: the shape of most real latencies.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lognormal: Option<Lognormal>,
    /// A power law: few delays, and those very long.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pareto: Option<Pareto>,
    /// Through given percentiles, such as `{ p50: 80ms, p99: 900ms, p99.9: 4s }`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub percentiles: Option<Percentiles>,
    /// Recorded delays.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trace: Option<Trace>,
    /// In proportion to the work: `{ kibibyte: 1ms }`, `{ row: 5ms }` or `{ token: 20ms }`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub per: Option<Proportion>,
    /// How often it acts on what the treated get.
    #[serde(default = "all")]
    pub rate: Share,
    /// Does the delay come before the upstream is asked, or does it hold back the response?
    #[serde(default)]
    pub when: When,
}

fn all() -> Share {
    Share::ALL
}

/// When a delay comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum When {
    /// Before the upstream is asked, like a queue in front of the model.
    #[default]
    Before,
    /// After the upstream answered, like slow post-processing.
    After,
}

/// Seconds as a duration, at most [`LONGEST_S`].
fn seconds(seconds: f64) -> Duration {
    Duration::try_from_secs_f64(seconds.min(LONGEST_S)).unwrap_or_default()
}

impl Latency {
    fn given(&self) -> Vec<&'static str> {
        [
            ("fixed", self.fixed.is_some()),
            ("uniform", self.uniform.is_some()),
            ("normal", self.normal.is_some()),
            ("lognormal", self.lognormal.is_some()),
            ("pareto", self.pareto.is_some()),
            ("percentiles", self.percentiles.is_some()),
            ("trace", self.trace.is_some()),
            ("per", self.per.is_some()),
        ]
        .into_iter()
        .filter_map(|(name, given)| given.then_some(name))
        .collect()
    }

    fn size(&self) -> String {
        match self {
            Latency { fixed: Some(fixed), .. } => format!("+{fixed}"),
            Latency { uniform: Some(Uniform { min, max }), .. } => format!("+{min} to {max}"),
            Latency { normal: Some(Normal { mean, sd }), .. } => format!("+{mean} ± {sd}"),
            Latency { lognormal: Some(Lognormal { median, p99 }), .. } => {
                format!("+{median} median, {p99} p99")
            }
            Latency { pareto: Some(pareto), .. } => pareto.describe(),
            Latency { percentiles: Some(percentiles), .. } => percentiles.describe(),
            Latency { trace: Some(trace), .. } => trace.describe(),
            Latency { per: Some(per), .. } => per.describe(),
            _ => "no delay".to_owned(),
        }
    }

    fn delay_s(&self, context: &Decide<'_>) -> f64 {
        let u = context.dice.at(purpose::SIZE, 0).uniform();
        let number =
            || context.memory.get::<AtomicU64>().map_or(0, |next| next.fetch_add(1, Ordering::Relaxed));
        self.delay_at_s(u, number, context.request_bytes)
    }

    /// The delay at a uniform number, of the request with this number and length.
    fn delay_at_s(&self, u: f64, number: impl FnOnce() -> u64, request_bytes: Option<u64>) -> f64 {
        match self {
            Latency { fixed: Some(fixed), .. } => fixed.as_secs_f64(),
            Latency { uniform: Some(uniform), .. } => uniform.quantile_s(u),
            Latency { normal: Some(normal), .. } => normal.quantile_s(u),
            Latency { lognormal: Some(lognormal), .. } => lognormal.quantile_s(u),
            Latency { pareto: Some(pareto), .. } => pareto.quantile_s(u),
            Latency { percentiles: Some(percentiles), .. } => percentiles.quantile_s(u),
            Latency { trace: Some(trace), .. } => trace.delay_s(u, number),
            Latency { per: Some(per), .. } => per.request_s(request_bytes),
            _ => 0.0,
        }
    }

    /// Reads the trace that it names, if any, so that it can travel without its file.
    ///
    /// # Errors
    /// What is wrong with the file, and in which line.
    pub(crate) fn embed(&mut self, folder: &Path) -> Result<(), Problem> {
        self.trace.as_mut().map_or(Ok(()), |trace| trace.embed(folder))
    }
}

impl Behaviour for Latency {
    fn entry() -> &'static Entry {
        &entry::ENTRY
    }

    fn stage(&self) -> Stage {
        match (self.per, self.when) {
            (Some(Proportion::Token(_)), _) => Stage::Timing,
            (Some(Proportion::Row(_)), _) | (_, When::After) => Stage::After,
            (_, When::Before) => Stage::Before,
        }
    }

    fn needs(&self) -> Option<Content> {
        match self.per? {
            Proportion::Token(_) => Some(Content::Text),
            Proportion::Row(_) => Some(Content::Predictions),
            Proportion::Kibibyte(_) => None,
        }
    }

    fn rate(&self) -> Share {
        self.rate
    }

    fn promise(&self) -> Promise {
        let share = self.rate.fraction();
        if let Some(per) = self.per {
            return per.promise(share);
        }
        let finite = self.pareto.is_none_or(|pareto| pareto.has_variance());
        let delay_s = |u: f64| {
            let number = || (u * self.trace.as_ref().map_or(0, |trace| trace.delays.len()) as f64) as u64;
            seconds(self.delay_at_s(u, number, None)).as_secs_f64()
        };
        Promise::delay(delay_s, finite, share)
    }

    fn scales(&self) -> Scales {
        Scales::Size
    }

    fn describe(&self) -> String {
        match self.rate == Share::ALL {
            true => self.size(),
            false => format!("{} on {}", self.size(), self.rate),
        }
    }

    fn check(&self, _target: &CheckContext<'_>) -> Vec<Problem> {
        let given = self.given();
        let message = match given.as_slice() {
            [_] => None,
            [] => Some("`latency` does not say how long".to_owned()),
            many => Some(format!("`latency` is given {}; one is enough", many.join(" and "))),
        };
        let number = message.map(|message| {
            Problem::new("", message).help(
                "give exactly one of `fixed: 250ms`, `uniform: { min: 100ms, max: 400ms }`, \
                 `normal: { mean: 250ms, sd: 50ms }`, `lognormal: { median: 200ms, p99: 900ms }`, \
                 `pareto: { p50: 80ms, p99: 900ms }`, `percentiles: { p50: 80ms, p99: 900ms, p99.9: 4s }`, \
                 `trace: { file: delays.txt }`, `per: { kibibyte: 1ms }`",
            )
        });
        let zero = self.fixed.filter(|fixed| fixed.is_zero());
        let zero =
            zero.map(|_| Problem::new("fixed", "a delay of 0s is none").help("write a delay above 0s"));
        [
            check_rate(self.rate),
            number,
            zero,
            self.uniform.and_then(|uniform| uniform.check()),
            self.normal.and_then(|normal| normal.check()),
            self.lognormal.and_then(|lognormal| lognormal.check()),
            self.pareto.and_then(|pareto| pareto.check()),
            self.percentiles.as_ref().and_then(Percentiles::check),
            self.trace.as_ref().and_then(Trace::check),
            self.per.and_then(Proportion::check),
        ]
        .into_iter()
        .flatten()
        .collect()
    }

    fn memory(&self) -> Memory {
        let recorded = self.trace.as_ref().is_some_and(|trace| trace.order == TraceOrder::Recorded);
        if recorded { Memory::of(AtomicU64::new(0)) } else { Memory::none() }
    }

    fn decide(&self, context: &Decide<'_>) -> Option<Action> {
        if !context.dice.at(purpose::ACT, 0).within(self.rate) {
            return None;
        }
        match self.per {
            Some(Proportion::Token(_)) => return Some(Action::Stream).filter(|_| context.intensity > 0.0),
            Some(Proportion::Row(each)) => {
                let each = seconds(each.as_secs_f64() * context.intensity);
                return Some(Action::DelayPerRow(each)).filter(|_| !each.is_zero());
            }
            _ => {}
        }
        let delay = seconds(self.delay_s(context) * context.intensity);
        Some(match self.when {
            When::Before => Action::DelayBefore(delay),
            When::After => Action::DelayAfter(delay),
        })
        .filter(|_| !delay.is_zero())
    }

    fn stream(&self, context: StreamContext) -> Option<Box<dyn StreamEdit>> {
        let Some(Proportion::Token(each)) = self.per else { return None };
        Some(Box::new(per::TokenDelay::new(seconds(each.as_secs_f64() * context.intensity))))
    }
}

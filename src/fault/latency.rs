//! Slow answers: a delay from one of four distributions.
//!
//! The delay is a quantile of its distribution at the request's own draw, so the same request is delayed
//! alike everywhere, and the delays of many requests follow the distribution exactly.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{
    Action, Behaviour, CheckContext, Decide, Entry, Parameter, Problem, Stage, prediction::check_rate,
    purpose,
};
use crate::{
    draw::Draw,
    stats::normal_quantile,
    unit::{Share, Span},
};

/// No delay is longer, whatever the tail of the distribution says.
const LONGEST_S: f64 = 3600.0;

/// Delays requests or responses. Exactly one of `fixed`, `uniform`, `normal` and `lognormal` is given.
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

static ENTRY: Entry = Entry {
    name: "latency",
    summary: "Delays requests, or holds responses back.",
    effect: "The latency of treated requests grows by the delay. A delay is the quantile of its distribution at \
             the request's draw u: fixed d; uniform min + u·(max − min); normal mean + sd·z(u), never below 0; \
             lognormal median·exp(σ·z(u)) with σ = ln(p99 / median) / z(0.99), where z is the standard normal \
             quantile. No delay is longer than 1 h. A ramp scales the delay.",
    parameters: &[
        Parameter {
            name: "fixed",
            values: "span of time, above 0s",
            default: "—",
            meaning: "the same delay each time",
        },
        Parameter {
            name: "uniform",
            values: "{ min, max }, spans with min below max",
            default: "—",
            meaning: "any delay between the two, all alike",
        },
        Parameter {
            name: "normal",
            values: "{ mean, sd }, spans with sd at most a third of mean",
            default: "—",
            meaning: "normally distributed delays",
        },
        Parameter {
            name: "lognormal",
            values: "{ median, p99 }, spans with median above 0s and below p99",
            default: "—",
            meaning: "lognormal delays, the shape of most real latencies",
        },
        Parameter {
            name: "rate",
            values: "share, 0% to 100%",
            default: "100%",
            meaning: "how often it acts on what the treated get",
        },
        Parameter {
            name: "when",
            values: "before | after",
            default: "before",
            meaning: "before the upstream is asked, or when it has answered",
        },
    ],
    example: "- fault: { latency: { lognormal: { median: 200ms, p99: 900ms }, rate: 50% } }",
    seen_by: "Latency quantiles (p95, p99) of the caller or the gateway, time-outs, service-level burn rates.",
    blind: "The model server's own latency metrics, when canard stands in front of it; means and medians, when \
            the treated share is small; anything about predictions.",
};

impl Latency {
    fn distributions(&self) -> Vec<&'static str> {
        [
            ("fixed", self.fixed.is_some()),
            ("uniform", self.uniform.is_some()),
            ("normal", self.normal.is_some()),
            ("lognormal", self.lognormal.is_some()),
        ]
        .into_iter()
        .filter_map(|(name, given)| given.then_some(name))
        .collect()
    }

    fn quantile_s(&self, draw: Draw) -> f64 {
        let s = Span::as_secs_f64;
        if let Some(fixed) = self.fixed {
            return s(fixed);
        }
        if let Some(Uniform { min, max }) = self.uniform {
            return s(min) + draw.uniform() * (s(max) - s(min));
        }
        if let Some(Normal { mean, sd }) = self.normal {
            return (s(mean) + s(sd) * normal_quantile(draw.uniform())).max(0.0);
        }
        let Some(Lognormal { median, p99 }) = self.lognormal else { return 0.0 };
        let sigma = (s(p99) / s(median)).ln() / normal_quantile(0.99);
        s(median) * (sigma * normal_quantile(draw.uniform())).exp()
    }
}

impl Behaviour for Latency {
    fn entry() -> &'static Entry {
        &ENTRY
    }

    fn stage(&self) -> Stage {
        match self.when {
            When::Before => Stage::Before,
            When::After => Stage::After,
        }
    }

    fn rate(&self) -> Share {
        self.rate
    }

    fn describe(&self) -> String {
        let size = match (self.fixed, self.uniform, self.normal, self.lognormal) {
            (Some(fixed), ..) => format!("+{fixed}"),
            (_, Some(Uniform { min, max }), ..) => format!("+{min} to {max}"),
            (_, _, Some(Normal { mean, sd }), _) => format!("+{mean} ± {sd}"),
            (.., Some(Lognormal { median, p99 })) => format!("+{median} median, {p99} p99"),
            _ => "no delay".to_owned(),
        };
        match self.rate == Share::ALL {
            true => size,
            false => format!("{size} on {}", self.rate),
        }
    }

    fn check(&self, _target: &CheckContext<'_>) -> Vec<Problem> {
        let mut problems: Vec<Problem> = check_rate(self.rate).into_iter().collect();
        let given = self.distributions();
        if given.len() != 1 {
            let message = match given.as_slice() {
                [] => "`latency` does not say how long".to_owned(),
                many => format!("`latency` is given {}; one is enough", many.join(" and ")),
            };
            problems.push(Problem::new("", message).help(
                "give exactly one of `fixed: 250ms`, `uniform: { min: 100ms, max: 400ms }`, \
                 `normal: { mean: 250ms, sd: 50ms }`, `lognormal: { median: 200ms, p99: 900ms }`",
            ));
        }
        if self.fixed.is_some_and(Span::is_zero) {
            problems.push(Problem::new("fixed", "a delay of 0s is none").help("write a delay above 0s"));
        }
        if let Some(Uniform { min, max }) = self.uniform.filter(|u| u.min >= u.max) {
            let message = format!("`min` ({min}) is not below `max` ({max})");
            problems.push(Problem::new("uniform", message).help("swap them, or use `fixed`"));
        }
        if let Some(Normal { mean, sd }) = self.normal
            && (sd.is_zero() || sd.duration() * 3 > mean.duration())
        {
            let message = format!("`sd` ({sd}) is not above 0s and at most a third of `mean` ({mean})");
            problems.push(
                Problem::new("normal", message)
                    .help("a wider normal would have delays below zero; use `lognormal`"),
            );
        }
        if let Some(Lognormal { median, p99 }) = self.lognormal
            && (median.is_zero() || median >= p99)
        {
            let message = format!("`median` ({median}) is not above 0s and below `p99` ({p99})");
            problems.push(
                Problem::new("lognormal", message).help("the 99th percentile is the larger of the two"),
            );
        }
        problems
    }

    fn decide(&self, context: &Decide<'_>) -> Option<Action> {
        if !context.dice.at(purpose::ACT, 0).within(self.rate) {
            return None;
        }
        let seconds = (self.quantile_s(context.dice.at(purpose::SIZE, 0)) * context.intensity).min(LONGEST_S);
        let delay = Duration::try_from_secs_f64(seconds).ok().filter(|delay| !delay.is_zero())?;
        Some(match self.when {
            When::Before => Action::DelayBefore(delay),
            When::After => Action::DelayAfter(delay),
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{
        draw::{Dice, Key, UnitHash},
        fault::testing::{check, decide},
        wire::{Labels, Protocol},
    };

    fn parse(text: &str) -> Latency {
        serde_json::from_str(text).unwrap()
    }

    fn delays(fault: &Latency, seed: u64, n: u64) -> Vec<f64> {
        let key = Key::new(seed, "slow/0/latency");
        let decide = |i| decide(fault, Dice::new(key, UnitHash::from_u64(i)), 1.0);
        let mut delays: Vec<f64> = (0..n)
            .filter_map(|i| match decide(i) {
                Some(Action::DelayBefore(delay)) => Some(delay.as_secs_f64()),
                _ => None,
            })
            .collect();
        delays.sort_by(f64::total_cmp);
        delays
    }

    fn quantile(sorted: &[f64], q: f64) -> f64 {
        sorted[(q * (sorted.len() - 1) as f64) as usize]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]

        #[test]
        fn a_lognormal_has_the_median_and_the_p99_that_it_names(
            seed: u64, median in 1_u64..2_000, factor in 1.2_f64..20.0,
        ) {
            let p99 = Span::from(Duration::from_millis(median).mul_f64(factor));
            let median = Span::from_millis(median);
            let lognormal = Some(Lognormal { median, p99 });
            let fault = Latency { lognormal, ..parse("{}") };
            let sorted = delays(&fault, seed, 20_000);
            let sigma = factor.ln() / normal_quantile(0.99);
            // Four standard errors of a sample quantile of the logarithm: σ·√(q(1−q)/n) / φ(z(q)).
            let error = |q: f64, density: f64| 4.0 * sigma * (q * (1.0 - q) / 20_000.0).sqrt() / density;
            let off = |q, want: Span| (quantile(&sorted, q) / want.as_secs_f64()).ln().abs();
            prop_assert!(off(0.5, median) < error(0.5, 0.3989));
            prop_assert!(off(0.99, p99) < error(0.99, 0.02665));
        }

        #[test]
        fn it_acts_as_often_as_its_rate(seed: u64, rate in 0.0_f64..=1.0) {
            let rate_share = Share::new(rate).unwrap();
            let fault = Latency { rate: rate_share, ..parse(r#"{"fixed": "5ms"}"#) };
            let n = 10_000;
            let share = delays(&fault, seed, n).len() as f64 / n as f64;
            prop_assert!((share - rate).abs() <= 4.5 * (rate * (1.0 - rate) / n as f64).sqrt() + 1e-9);
        }
    }

    #[test]
    fn uniform_and_normal_follow_their_moments() {
        let sorted = delays(&parse(r#"{"uniform": {"min": "100ms", "max": "300ms"}}"#), 1, 20_000);
        assert!(sorted[0] >= 0.1 && *sorted.last().unwrap() <= 0.3);
        assert!((quantile(&sorted, 0.25) - 0.15).abs() < 0.005);
        let sorted = delays(&parse(r#"{"normal": {"mean": "300ms", "sd": "50ms"}}"#), 1, 20_000);
        assert!((quantile(&sorted, 0.5) - 0.3).abs() < 0.003);
        assert!((quantile(&sorted, 0.8413) - 0.35).abs() < 0.004);
    }

    #[test]
    fn a_ramp_scales_the_delay() {
        let fault = parse(r#"{"fixed": "200ms", "when": "after"}"#);
        let dice = Dice::new(Key::new(0, "r"), UnitHash::from_u64(1));
        assert_eq!(decide(&fault, dice, 0.5), Some(Action::DelayAfter(Duration::from_millis(100))));
        assert_eq!(decide(&fault, dice, 0.0), None);
    }

    #[test]
    fn exactly_one_sensible_distribution() {
        let check = |text| check(&parse(text), &Protocol::Http, &Labels::default());
        for good in [
            r#"{"fixed": "1ms"}"#,
            r#"{"normal": {"mean": "300ms", "sd": "100ms"}}"#,
            r#"{"lognormal": {"median": "1ms", "p99": "2ms"}}"#,
        ] {
            assert!(check(good).is_empty(), "{good}");
        }
        for bad in [
            "{}",
            r#"{"fixed": "0s"}"#,
            r#"{"fixed": "1s", "uniform": {"min": "1s", "max": "2s"}}"#,
            r#"{"uniform": {"min": "2s", "max": "1s"}}"#,
            r#"{"normal": {"mean": "1s", "sd": "400ms"}}"#,
            r#"{"lognormal": {"median": "0s", "p99": "2ms"}}"#,
            r#"{"lognormal": {"median": "2s", "p99": "2s"}}"#,
        ] {
            assert_eq!(check(bad).len(), 1, "{bad}");
        }
    }

    #[test]
    fn its_page_can_be_pasted() {
        crate::fault::testing::assert_page("latency");
    }
}

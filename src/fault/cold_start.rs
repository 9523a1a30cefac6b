//! A slow start after idleness: what was scaled to zero has to come up again.
//!
//! Depends on the order of arrival, as every cold start does; each sidecar and each embedded layer is an
//! instance of its own.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use super::{
    Action, Behaviour, CheckContext, Decide, Entry, Fault, Memory, Parameter, Problem, Promise, Scales, Stage,
};
use crate::unit::{Share, Span};

/// Delays the requests that come while the model starts up after an idle time.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct ColdStart {
    /// How long it takes to come up.
    pub takes: Span,
    /// Time without a request after which it goes down.
    pub idle: Span,
}

static ENTRY: Entry = Entry {
    name: "cold-start",
    summary: "Delays the requests that come while the model starts up after an idle time.",
    effect: "The first treated request of the phase, and the first after `idle` without one, starts the model: it \
             and all that come in the next `takes` wait until that time is over, and then go to the upstream \
             together. So the first waits `takes`, one that comes x later waits takes − x. Only treated requests \
             count, so that control traffic does not keep it warm. Depends on arrival; each sidecar is an \
             instance of its own. A ramp scales the delay.",
    parameters: &[
        Parameter {
            name: "takes",
            values: "span of time, above 0s",
            default: "required",
            meaning: "how long it takes to come up",
        },
        Parameter {
            name: "idle",
            values: "span of time, above 0s",
            default: "required",
            meaning: "time without a request after which it goes down",
        },
    ],
    example: "- fault: { cold-start: { takes: 8s, idle: 30s } }",
    seen_by: "Latency maxima and high quantiles (p99.9) of quiet routes, time-outs of the first calls, synthetic \
              probes that come rarely.",
    blind: "p95 and p99 of busy routes; probes that come so often that they keep the model warm; error rates, \
            unless callers give up.",
};

/// When the last request came, and when the model is up.
#[derive(Debug, Default)]
struct Warmth(Mutex<Option<(Instant, Instant)>>);

impl Warmth {
    /// How long a request that comes now has to wait.
    fn wait(&self, now: Instant, takes: Duration, idle: Duration) -> Duration {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let up = match *state {
            // Those that wait for the start keep it from being idle.
            Some((last, up)) if now.saturating_duration_since(last.max(up)) < idle => up,
            _ => now + takes,
        };
        let last = state.map_or(now, |(last, _)| last.max(now));
        *state = Some((last, up));
        up.saturating_duration_since(now)
    }
}

impl Behaviour for ColdStart {
    fn entry() -> &'static Entry {
        &ENTRY
    }

    fn stage(&self) -> Stage {
        Stage::Before
    }

    fn rate(&self) -> Share {
        Share::ALL
    }

    fn promise(&self) -> Promise {
        Promise::Unknown { because: "how many requests find the model down depends on the traffic" }
    }

    fn scales(&self) -> Scales {
        Scales::Size
    }

    fn describe(&self) -> String {
        format!("{} to start after {} without requests", self.takes, self.idle)
    }

    fn check(&self, _target: &CheckContext<'_>) -> Vec<Problem> {
        let zero = |key, span: Span, message: &str, help: &str| {
            span.is_zero().then(|| Problem::new(key, message).help(help))
        };
        [
            zero("takes", self.takes, "a start of 0s is not cold", "write a time above 0s"),
            zero(
                "idle",
                self.idle,
                "with 0s every request finds it idle",
                "use `latency: { fixed: … }` for that",
            ),
        ]
        .into_iter()
        .flatten()
        .collect()
    }

    fn excludes(&self, other: &Fault) -> Option<&'static str> {
        matches!(other, Fault::ColdStart(_))
            .then_some("one model starts once; the slower start hides the other")
    }

    fn memory(&self) -> Memory {
        Memory::of(Warmth::default())
    }

    fn decide(&self, context: &Decide<'_>) -> Option<Action> {
        let warmth = context.memory.get::<Warmth>()?;
        let wait = warmth.wait(context.now, self.takes.duration(), self.idle.duration());
        let wait = wait.mul_f64(context.intensity);
        (!wait.is_zero()).then_some(Action::DelayBefore(wait))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{
        fault::testing::{assert_page, check, dice},
        wire::{Labels, Protocol},
    };

    fn parse(text: &str) -> ColdStart {
        serde_json::from_str(text).unwrap()
    }

    /// The waits, in seconds, of requests at these times.
    fn waits(fault: &ColdStart, intensity: f64, times: &[f64]) -> Vec<f64> {
        let (memory, start) = (fault.memory(), Instant::now());
        let wait = |at: &f64| {
            let now = start + Duration::from_secs_f64(*at);
            match fault.decide(&Decide { now, ..Decide::of(dice(1, 1), intensity, &memory) }) {
                None => 0.0,
                Some(Action::DelayBefore(wait)) => wait.as_secs_f64(),
                other => panic!("{other:?}"),
            }
        };
        times.iter().map(wait).collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn all_that_come_during_a_start_are_served_together(
            takes in 1_u64..20, idle in 1_u64..60, mut within in prop::collection::vec(0.0_f64..1.0, 1..50),
        ) {
            let fault = ColdStart { takes: Span::from_secs(takes), idle: Span::from_secs(idle) };
            within.sort_by(f64::total_cmp);
            let times: Vec<f64> =
                std::iter::once(0.0).chain(within.iter().map(|part| part * takes as f64)).collect();
            for (at, wait) in times.iter().zip(waits(&fault, 1.0, &times)) {
                prop_assert!((at + wait - takes as f64).abs() < 1e-6);
            }
        }

        #[test]
        fn busy_traffic_waits_once_only(gaps in prop::collection::vec(0.0_f64..0.99, 1..200)) {
            let fault = ColdStart { takes: Span::from_secs(1), idle: Span::from_secs(1) };
            let mut at = 0.0;
            let times: Vec<f64> = gaps.iter().map(|gap| { at += gap; at }).collect();
            for (at, wait) in times.iter().zip(waits(&fault, 1.0, &times)) {
                prop_assert!((wait - (times[0] + 1.0 - at).max(0.0)).abs() < 1e-6);
            }
        }
    }

    #[test]
    fn it_goes_down_when_it_is_idle() {
        let fault = parse(r#"{"takes": "8s", "idle": "30s"}"#);
        let times = [0.0, 2.0, 9.0, 38.0, 69.0, 70.0, 106.9, 137.0];
        assert_eq!(waits(&fault, 1.0, &times), [8.0, 6.0, 0.0, 0.0, 8.0, 7.0, 0.0, 8.0]);
        assert_eq!(waits(&fault, 0.5, &times)[..3], [4.0, 3.0, 0.0]);
        assert_eq!(fault.describe(), "8s to start after 30s without requests");
    }

    #[test]
    fn no_start_and_no_idleness_are_refused() {
        let found = check(&parse(r#"{"takes": "0s", "idle": "0s"}"#), &Protocol::Http, &Labels::default());
        assert_eq!(found.iter().map(|problem| problem.key).collect::<Vec<_>>(), ["takes", "idle"]);
    }

    #[test]
    fn its_page_can_be_pasted() {
        assert_page("cold-start");
    }
}

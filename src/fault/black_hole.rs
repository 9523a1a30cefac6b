//! A black hole: requests are accepted, nothing is ever answered, and the connection is then dropped.

use serde::{Deserialize, Serialize};

use super::{
    Action, Behaviour, CheckContext, Decide, Entry, Fault, Parameter, Problem, Promise, Stage,
    exclusion::one_takes_all, prediction::check_rate,
};
use crate::unit::{Share, Span};

/// Accepts requests, answers nothing, and drops the connection.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct BlackHole {
    /// How often it acts on what the treated get.
    #[serde(default = "all")]
    pub rate: Share,
    /// How long the connection stays open without a byte; left out, until the phase ends.
    #[serde(default, rename = "for", skip_serializing_if = "Option::is_none")]
    pub lasts: Option<Span>,
}

fn all() -> Share {
    Share::ALL
}

static ENTRY: Entry = Entry {
    name: "black-hole",
    summary: "Accepts requests, answers nothing, and drops the connection in the end.",
    effect: "The share `rate` of treated requests gets no byte until the caller gives up or `for` has passed \
             (without it: until the phase ends), and then the connection breaks; the upstream is never asked. \
             That is what a dead host behind a live address does. `hang` is the same but for its end: it asks \
             the upstream after all. When the plan is disarmed, requests that are still held are let through to \
             the upstream. A ramp scales the rate.",
    parameters: &[
        Parameter {
            name: "rate",
            values: "share, 0% to 100%",
            default: "100%",
            meaning: "how often it acts on what the treated get",
        },
        Parameter {
            name: "for",
            values: "span of time, above 0s",
            default: "until the phase ends",
            meaning: "how long the connection stays open without a byte",
        },
    ],
    example: "- fault: { black-hole: { rate: 5%, for: 30s } }",
    seen_by: "Time-out and cancellation counters of the caller, requests in flight, saturation of connection \
              pools, connection errors, synthetic probes.",
    blind: "Error rates and latency quantiles of completed requests: a request that never ends is in neither; \
            the model server's own metrics, to which the requests do not exist.",
};

impl Behaviour for BlackHole {
    fn entry() -> &'static Entry {
        &ENTRY
    }

    fn stage(&self) -> Stage {
        Stage::Refuse
    }

    fn rate(&self) -> Share {
        self.rate
    }

    fn promise(&self) -> Promise {
        Promise::Failed { status: None, share: self.rate.fraction() }
    }

    fn describe(&self) -> String {
        match self.lasts {
            None => format!("{} swallowed", self.rate),
            Some(span) => format!("{} swallowed, the connection dropped after {span}", self.rate),
        }
    }

    fn check(&self, _target: &CheckContext<'_>) -> Vec<Problem> {
        let none = self.lasts.filter(|span| span.is_zero());
        let none = none.map(|_| {
            Problem::new("for", "a black hole of 0s holds nothing").help("write a time, or use `refuse`")
        });
        check_rate(self.rate).into_iter().chain(none).collect()
    }

    fn excludes(&self, other: &Fault) -> Option<&'static str> {
        one_takes_all(self.rate, other)
    }

    fn decide(&self, context: &Decide<'_>) -> Option<Action> {
        context.acts(self.rate).then(|| Action::BlackHole { lasts: self.lasts.map(Span::duration) })
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;
    use crate::{
        fault::testing::{assert_page, assert_rate, check, decide, dice},
        wire::{Labels, Protocol},
    };

    fn parse(text: &str) -> BlackHole {
        serde_json::from_str(text).unwrap()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(16))]

        #[test]
        fn it_acts_as_often_as_its_rate_and_ramp(seed: u64, rate in 0.0_f64..=1.0, intensity in 0.0_f64..=1.0) {
            let fault = BlackHole { rate: Share::new(rate).unwrap(), lasts: None };
            let acted = (0..10_000).filter(|i| decide(&fault, dice(seed, *i), intensity).is_some()).count();
            assert_rate(acted, 10_000, rate * intensity);
        }
    }

    #[test]
    fn holds_for_a_time_or_for_good() {
        assert_eq!(decide(&parse("{}"), dice(0, 1), 1.0), Some(Action::BlackHole { lasts: None }));
        let lasts = Some(Duration::from_secs(3));
        assert_eq!(decide(&parse(r#"{"for": "3s"}"#), dice(0, 1), 1.0), Some(Action::BlackHole { lasts }));
        assert_eq!(check(&parse(r#"{"for": "0s"}"#), &Protocol::Http, &Labels::default()).len(), 1);
    }

    #[test]
    fn its_page_can_be_pasted() {
        assert_page("black-hole");
    }
}

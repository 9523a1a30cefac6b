//! No answer: the request is accepted and then held, without a connection to the upstream.

use serde::{Deserialize, Serialize};

use super::{
    Action, Behaviour, CheckContext, Decide, Entry, Fault, Parameter, Problem, Promise, Stage, Touched,
    exclusion::one_takes_all, prediction::check_rate,
};
use crate::unit::{Share, Span};

/// Holds requests without an answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Hang {
    /// How often it acts on what the treated get.
    #[serde(default = "all")]
    pub rate: Share,
    /// How long a request is held before the upstream is asked after all; left out, until its
    /// phase ends or the plan is disarmed.
    #[serde(default, rename = "for", skip_serializing_if = "Option::is_none")]
    pub lasts: Option<Span>,
}

fn all() -> Share {
    Share::ALL
}

static ENTRY: Entry = Entry {
    name: "hang",
    summary: "Accepts requests and does not answer them.",
    effect: "The share `rate` of treated requests gets no answer until the caller gives up, `for` has passed \
             (without it: until the phase ends), or the plan is disarmed; then the upstream is asked. A held \
             request holds no connection to the upstream. A ramp scales the rate.",
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
            meaning: "how long a request is held before the upstream is asked after all",
        },
    ],
    example: "- fault: { hang: { rate: 5% } }",
    seen_by: "Time-out and cancellation counters of the caller, requests in flight, saturation of connection \
              pools, synthetic probes.",
    blind: "Error rates and latency quantiles of completed requests: a request that never ends is in neither.",
};

impl Behaviour for Hang {
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
        match self.lasts {
            Some(lasts) => Promise::delay(|_| lasts.as_secs_f64(), true, self.rate.fraction()),
            None => Promise::Touch { of: Touched::Requests, share: self.rate.fraction() },
        }
    }

    fn describe(&self) -> String {
        match self.lasts {
            None => format!("{} without an answer", self.rate),
            Some(span) => format!("{} held for {span}", self.rate),
        }
    }

    fn check(&self, _target: &CheckContext<'_>) -> Vec<Problem> {
        let help = "leave `for` out, or write a time";
        let none = self.lasts.filter(|span| span.is_zero());
        let none = none.map(|_| Problem::new("for", "a hang of 0s is none").help(help));
        check_rate(self.rate).into_iter().chain(none).collect()
    }

    fn excludes(&self, other: &Fault) -> Option<&'static str> {
        one_takes_all(self.rate, other)
    }

    fn decide(&self, context: &Decide<'_>) -> Option<Action> {
        let acts = context.acts(self.rate);
        acts.then(|| Action::Hang { lasts: self.lasts.map(Span::duration) })
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;
    use crate::{
        draw::{Dice, Key, UnitHash},
        fault::testing::{assert_rate, check, decide, dice},
        wire::{Labels, Protocol},
    };

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]

        #[test]
        fn it_acts_as_often_as_its_rate_and_ramp(seed: u64, rate in 0.0_f64..=1.0, intensity in 0.0_f64..=1.0) {
            let fault = Hang { rate: Share::new(rate).unwrap(), ..serde_json::from_str("{}").unwrap() };
            let acted = (0..10_000).filter(|i| decide(&fault, dice(seed, *i), intensity).is_some()).count();
            assert_rate(acted, 10_000, rate * intensity);
        }
    }

    #[test]
    fn holds_for_a_time_or_for_good() {
        let dice = Dice::new(Key::new(0, "r"), UnitHash::from_u64(1));
        let parse = |text| serde_json::from_str::<Hang>(text).unwrap();
        assert_eq!(decide(&parse("{}"), dice, 1.0), Some(Action::Hang { lasts: None }));
        let lasts = Some(Duration::from_secs(3));
        assert_eq!(decide(&parse(r#"{"for": "3s"}"#), dice, 1.0), Some(Action::Hang { lasts }));
        assert_eq!(decide(&parse(r#"{"rate": "0%"}"#), dice, 1.0), None);
        assert_eq!(check(&parse(r#"{"for": "0s"}"#), &Protocol::Http, &Labels::default()).len(), 1);
    }

    #[test]
    fn its_page_can_be_pasted() {
        crate::fault::testing::assert_page("hang");
    }
}

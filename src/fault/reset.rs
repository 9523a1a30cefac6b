//! Broken connections: before the response, or in the middle of its body.

use serde::{Deserialize, Serialize};

use super::{
    Action, Behaviour, CheckContext, Decide, Entry, Fault, Parameter, Problem, Promise, Stage, Touched,
    exclusion::one_ends_all, prediction::check_rate,
};
use crate::unit::Share;

/// Breaks connections.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Reset {
    /// How often it acts on what the treated get.
    #[serde(default = "all")]
    pub rate: Share,
    /// Bytes of the response body that still pass; left out, the connection breaks before the response.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after_bytes: Option<u64>,
}

fn all() -> Share {
    Share::ALL
}

static ENTRY: Entry = Entry {
    name: "reset",
    summary: "Breaks the connection, before the response or in the middle of its body.",
    effect: "The share `rate` of treated requests ends in a broken connection: a TCP reset in the sidecar (an \
             HTTP/2 stream reset where other calls share the connection), a failing response body in an \
             embedded layer, whose server then closes the connection. The upstream has done its work by then. \
             A body shorter than `after-bytes` breaks before its last byte. A ramp scales the rate.",
    parameters: &[
        Parameter {
            name: "rate",
            values: "share, 0% to 100%",
            default: "100%",
            meaning: "how often it acts on what the treated get",
        },
        Parameter {
            name: "after-bytes",
            values: "bytes, 0 or more",
            default: "before the response",
            meaning: "how much of the response body still passes",
        },
    ],
    example: "- fault: { reset: { rate: 2%, after-bytes: 64 } }",
    seen_by: "Connection errors and retries counted by the caller, gateways that count broken upstreams (Envoy \
              `UC`, nginx 499 / 502).",
    blind: "Status-code error rates: a broken response has no status, or a 200 that was sent before; the model \
            server's own metrics, in which the request succeeded.",
};

impl Behaviour for Reset {
    fn entry() -> &'static Entry {
        &ENTRY
    }

    fn stage(&self) -> Stage {
        Stage::Transport
    }

    fn rate(&self) -> Share {
        self.rate
    }

    fn promise(&self) -> Promise {
        match self.after_bytes {
            None => Promise::Failed { status: None, share: self.rate.fraction() },
            // A body that is over before loses nothing.
            Some(_) => Promise::Touch { of: Touched::Requests, share: self.rate.fraction() },
        }
    }

    fn describe(&self) -> String {
        match self.after_bytes {
            None => format!("{} connections broken", self.rate),
            Some(bytes) => format!("{} connections broken after {bytes} bytes", self.rate),
        }
    }

    fn check(&self, _target: &CheckContext<'_>) -> Vec<Problem> {
        check_rate(self.rate).into_iter().collect()
    }

    fn excludes(&self, other: &Fault) -> Option<&'static str> {
        one_ends_all(self.rate, other)
    }

    fn decide(&self, context: &Decide<'_>) -> Option<Action> {
        let acts = context.acts(self.rate);
        acts.then_some(Action::Reset { after_bytes: self.after_bytes })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{
        draw::{Dice, Key, UnitHash},
        fault::testing::{assert_rate, decide, dice},
    };

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]

        #[test]
        fn it_acts_as_often_as_its_rate_and_ramp(seed: u64, rate in 0.0_f64..=1.0, intensity in 0.0_f64..=1.0) {
            let fault = Reset { rate: Share::new(rate).unwrap(), ..serde_json::from_str("{}").unwrap() };
            let acted = (0..10_000).filter(|i| decide(&fault, dice(seed, *i), intensity).is_some()).count();
            assert_rate(acted, 10_000, rate * intensity);
        }
    }

    #[test]
    fn breaks_before_the_head_or_in_the_body() {
        let dice = Dice::new(Key::new(0, "r"), UnitHash::from_u64(1));
        let parse = |text| serde_json::from_str::<Reset>(text).unwrap();
        assert_eq!(decide(&parse("{}"), dice, 1.0), Some(Action::Reset { after_bytes: None }));
        let after = parse(r#"{"after-bytes": 64}"#);
        assert_eq!(decide(&after, dice, 1.0), Some(Action::Reset { after_bytes: Some(64) }));
        assert_eq!(decide(&after, dice, 0.0), None);
        assert_eq!(after.describe(), "100% connections broken after 64 bytes");
    }

    #[test]
    fn its_page_can_be_pasted() {
        crate::fault::testing::assert_page("reset");
    }
}

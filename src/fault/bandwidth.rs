//! A narrow line: the bodies of responses pass at so many bytes a second.

use serde::{Deserialize, Serialize};

use super::{
    Action, Behaviour, CheckContext, Decide, Entry, Fault, Parameter, Problem, Promise, Scales, Stage,
    prediction::check_rate, purpose,
};
use crate::unit::Share;

/// Limits how fast the bodies of responses pass.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Bandwidth {
    /// Bytes of a body that pass in a second, 1 or more.
    pub bytes_per_second: u64,
    /// How often it acts on what the treated get.
    #[serde(default = "all")]
    pub rate: Share,
}

fn all() -> Share {
    Share::ALL
}

static ENTRY: Entry = Entry {
    name: "bandwidth",
    summary: "Lets the bodies of responses pass at so many bytes a second.",
    effect: "The body of a treated response passes at `bytes-per-second`, each response on a line of its own: n \
             bytes take n / bytes-per-second, whatever the upstream does; the head passes at once, so the time \
             to the first byte stays. A ramp scales the time that a body takes: at an intensity i the line is 1/i as fast.",
    parameters: &[
        Parameter {
            name: "bytes-per-second",
            values: "1 or more",
            default: "required",
            meaning: "bytes of a body that pass in a second",
        },
        Parameter {
            name: "rate",
            values: "share, 0% to 100%",
            default: "100%",
            meaning: "how often it acts on what the treated get",
        },
    ],
    example: "- fault: { bandwidth: { bytes-per-second: 2048 } }",
    seen_by: "Latency quantiles of the whole response at the caller, connections in use, time between tokens of \
              a stream.",
    blind: "Time to first byte, and latency measured at the head of the response, as many gateways do; the model \
            server's own latency, unless its socket buffer fills up; error rates.",
};

impl Behaviour for Bandwidth {
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
        Promise::Unknown { because: "how much longer a body takes depends on its length" }
    }

    fn scales(&self) -> Scales {
        Scales::Size
    }

    fn describe(&self) -> String {
        let rate = if self.rate == Share::ALL { String::new() } else { format!(" on {}", self.rate) };
        format!("{} bytes/s{rate}", self.bytes_per_second)
    }

    fn check(&self, _target: &CheckContext<'_>) -> Vec<Problem> {
        let none = (self.bytes_per_second == 0).then(|| {
            let help = "write 1 or more; `hang` and `black-hole` let nothing pass";
            Problem::new("bytes-per-second", "at 0 bytes per second nothing ever passes").help(help)
        });
        check_rate(self.rate).into_iter().chain(none).collect()
    }

    fn excludes(&self, other: &Fault) -> Option<&'static str> {
        matches!(other, Fault::Bandwidth(other) if self.rate == Share::ALL || other.rate == Share::ALL)
            .then_some("a response has one line, and one of them narrows every line")
    }

    fn decide(&self, context: &Decide<'_>) -> Option<Action> {
        let acts = context.intensity > 0.0 && context.dice.at(purpose::ACT, 0).within(self.rate);
        let bytes_per_second = self.bytes_per_second as f64 / context.intensity;
        acts.then_some(Action::Throttle { bytes_per_second })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{
        fault::testing::{assert_page, assert_rate, check, decide, dice},
        wire::{Labels, Protocol},
    };

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(16))]

        #[test]
        fn it_acts_as_often_as_its_rate(seed: u64, rate in 0.0_f64..=1.0) {
            let fault = Bandwidth { bytes_per_second: 10, rate: Share::new(rate).unwrap() };
            let acted = (0..10_000).filter(|i| decide(&fault, dice(seed, *i), 0.5).is_some()).count();
            assert_rate(acted, 10_000, rate);
        }
    }

    #[test]
    fn a_ramp_narrows_the_line() {
        let fault = Bandwidth { bytes_per_second: 1000, rate: Share::ALL };
        let at = |intensity| decide(&fault, dice(0, 1), intensity);
        assert_eq!(at(1.0), Some(Action::Throttle { bytes_per_second: 1000.0 }));
        assert_eq!(at(0.25), Some(Action::Throttle { bytes_per_second: 4000.0 }));
        assert_eq!(at(0.0), None);
        assert_eq!(fault.describe(), "1000 bytes/s");
        let none = Bandwidth { bytes_per_second: 0, ..fault };
        assert_eq!(check(&none, &Protocol::Http, &Labels::default())[0].key, "bytes-per-second");
    }

    #[test]
    fn its_page_can_be_pasted() {
        assert_page("bandwidth");
    }
}

//! Connections that break before the upstream is asked: what a proxy can do in place of a refused one.

use serde::{Deserialize, Serialize};

use super::{
    Action, Behaviour, CheckContext, Decide, Entry, Fault, Parameter, Problem, Promise, Stage,
    exclusion::one_takes_all, prediction::check_rate,
};
use crate::unit::Share;

/// Breaks the connection before the upstream is asked.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Refuse {
    /// How often it acts on what the treated get.
    #[serde(default = "all")]
    pub rate: Share,
}

fn all() -> Share {
    Share::ALL
}

static ENTRY: Entry = Entry {
    name: "refuse",
    summary: "Breaks the connection before the upstream is asked, as if nobody listened.",
    effect: "The share `rate` of treated requests ends in a broken connection, and the upstream never hears of \
             them. Who is treated is told by the request, so the connection has been accepted by then: the \
             caller sees a reset or an early end, not ECONNREFUSED. Clients treat the two alike but for one \
             thing: a refused connection is always safe to retry, and a broken one may have done its work. A \
             ramp scales the rate.",
    parameters: &[Parameter {
        name: "rate",
        values: "share, 0% to 100%",
        default: "100%",
        meaning: "how often it acts on what the treated get",
    }],
    example: "- fault: { refuse: { rate: 10% } }",
    seen_by: "Connection errors and retries counted by the caller, gateways that count broken upstreams (Envoy \
              `UC` and `UF`, nginx 502), a fall of the model server's request rate.",
    blind: "Status-code error rates: there is no status; the model server's own latency and error metrics, which \
            hold only what reached it.",
};

impl Behaviour for Refuse {
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
        format!("{} connections broken before the upstream", self.rate)
    }

    fn check(&self, _target: &CheckContext<'_>) -> Vec<Problem> {
        check_rate(self.rate).into_iter().collect()
    }

    fn excludes(&self, other: &Fault) -> Option<&'static str> {
        match other {
            Fault::Refuse(_) => Some("one `refuse` with a larger rate says the same"),
            other => one_takes_all(self.rate, other),
        }
    }

    fn decide(&self, context: &Decide<'_>) -> Option<Action> {
        context.acts(self.rate).then_some(Action::Refuse)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::fault::testing::{assert_page, assert_rate, decide, dice, parse};

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(16))]

        #[test]
        fn it_acts_as_often_as_its_rate_and_ramp(seed: u64, rate in 0.0_f64..=1.0, intensity in 0.0_f64..=1.0) {
            let fault = Refuse { rate: Share::new(rate).unwrap() };
            let acted = (0..10_000).filter(|i| decide(&fault, dice(seed, *i), intensity).is_some()).count();
            assert_rate(acted, 10_000, rate * intensity);
        }
    }

    #[test]
    fn two_that_take_every_request_contradict_each_other() {
        let excludes = |one: &str, two: &str| {
            let (one, two) = (parse(one).unwrap(), parse(two).unwrap());
            one.behaviour().excludes(&two).or_else(|| two.behaviour().excludes(&one)).is_some()
        };
        for (one, two, contradict) in [
            ("refuse: { rate: 10% }", "refuse: { rate: 20% }", true),
            ("refuse: {}", "error: { status: 503, rate: 10% }", true),
            ("error: { status: 503 }", "hang: { rate: 5% }", true),
            ("error: { status: 503, rate: 50% }", "hang: { rate: 5% }", false),
            ("error: { status: 503, rate: 50% }", "error: { status: 429, rate: 10% }", false),
            ("black-hole: {}", "hang: { rate: 1% }", true),
            ("reset: {}", "truncate: { at: 50%, rate: 1% }", true),
            ("reset: { rate: 1% }", "truncate: { at: 50%, rate: 1% }", false),
            ("error: { status: 503 }", "latency: { fixed: 1s }", false),
            ("error: { status: 503 }", "rate-limit: { limit: 10/s }", false),
        ] {
            assert_eq!(excludes(one, two), contradict, "{one} and {two}");
            assert_eq!(excludes(two, one), contradict, "{two} and {one}");
        }
    }

    #[test]
    fn its_page_can_be_pasted() {
        assert_page("refuse");
    }
}

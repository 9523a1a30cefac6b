//! Feedback missing: labels that never arrive, while the one who sent them is told that they did.
//!
//! A consumer that drops messages, a full dead-letter queue, a write that is never committed. The sender sees a
//! success, so only the receiving side can notice, by counting.

use serde::{Deserialize, Serialize};

use super::{
    Action, Behaviour, CheckContext, Decide, Entry, Fault, Parameter, Problem, Stage,
    feedback::{Receipt, check_path, is_feedback},
    prediction::check_rate,
};
use crate::unit::Share;

/// Swallows labels.
///
/// ```
/// use canard::fault::Fault;
/// let fault: Fault = serde_json::from_str(r#"{ "feedback-missing": { "path": "/feedback", "rate": "40%" } }"#)?;
/// assert_eq!(fault.describe(), "40% of the labels to /feedback swallowed");
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct FeedbackMissing {
    /// Path of the endpoint that takes labels back; what is below it counts too.
    pub path: String,
    /// Share of the requests that are swallowed.
    pub rate: Share,
    /// What their sender is told.
    #[serde(default, skip_serializing_if = "Receipt::is_default")]
    pub receipt: Receipt,
}

static ENTRY: Entry = Entry {
    name: "feedback-missing",
    summary: "Swallows labels that are sent back; the sender is told that they arrived.",
    effect: "A share `rate` of the requests to the feedback endpoint never reaches it: label volume falls to \
             1 − rate of itself, whatever the labels say, so estimates stay unbiased and their intervals widen by \
             1/√(1 − rate). The sender gets the receipt. A ramp grows the rate. The scenario's target has to \
             match the endpoint. Acts after the faults that change requests, and a label that is swallowed is \
             late or slow no more; excludes feedback-negative on the same endpoint.",
    parameters: &[
        Parameter {
            name: "path",
            values: "path of a request, such as /feedback",
            default: "none; it is needed",
            meaning: "the endpoint that takes labels back, and what is below it",
        },
        Parameter {
            name: "rate",
            values: "share, above 0% to 100%",
            default: "none; it is needed",
            meaning: "how many of the requests are swallowed",
        },
        Parameter {
            name: "receipt",
            values: "{ status: 200 to 299, body: JSON text }",
            default: "{ status: 202, body: '{}' }",
            meaning: "what the sender is told",
        },
    ],
    example: "- fault: { feedback-missing: { path: /feedback, rate: 40% } }",
    seen_by: "Label volume, share of predictions with a label, age of the newest label.",
    blind: "Every quality monitor: accuracy on the labels that are left is as it was; error and latency monitors \
            of the sender, which sees successes.",
};

impl Behaviour for FeedbackMissing {
    fn entry() -> &'static Entry {
        &ENTRY
    }

    fn stage(&self) -> Stage {
        Stage::Refuse
    }

    fn rate(&self) -> Share {
        self.rate
    }

    fn describe(&self) -> String {
        format!("{} of the labels to {} swallowed", self.rate, self.path)
    }

    fn check(&self, _target: &CheckContext<'_>) -> Vec<Problem> {
        [check_rate(self.rate), check_path(&self.path), self.receipt.check()].into_iter().flatten().collect()
    }

    fn excludes(&self, other: &Fault) -> Option<&'static str> {
        matches!(other, Fault::FeedbackNegative(fault) if fault.path == self.path)
            .then_some("both decide which labels of the same endpoint are lost")
    }

    fn decide(&self, context: &Decide<'_>) -> Option<Action> {
        (is_feedback(&self.path, context.path) && context.acts(self.rate)).then(|| {
            let (status, headers, body) = self.receipt.parts();
            Action::Answer { status, headers, body }
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{
        fault::{
            Memory,
            feature::testing::{assert_listed, exclusion},
            testing::{assert_rate, dice, problems},
        },
        wire::Labels,
    };

    fn swallowed(fault: &FeedbackMissing, path: &str, seed: u64, intensity: f64) -> usize {
        let memory = Memory::none();
        let decided = (0..4000).filter_map(|request| {
            fault.decide(&Decide { path, ..Decide::of(dice(seed, request), intensity, &memory) })
        });
        decided.map(|action| assert!(matches!(action, Action::Answer { .. }))).count()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]
        #[test]
        fn a_share_of_the_labels_is_swallowed_and_nothing_else(seed: u64, rate in 0.01..=1.0, ramp in 0.0..=1.0) {
            let fault = FeedbackMissing {
                path: "/feedback".into(), rate: Share::new(rate).unwrap(), receipt: Receipt::default(),
            };
            assert_rate(swallowed(&fault, "/feedback/7", seed, ramp), 4000, rate * ramp);
            prop_assert_eq!(swallowed(&fault, "/v2/models/iris/infer", seed, 1.0), 0);
        }
    }

    #[test]
    fn it_says_what_it_does() {
        assert_listed("feedback-missing");
        let none = Labels::default();
        for (yaml, message) in [
            ("{ path: feedback, rate: 1% }", "`feedback` is no path of a request"),
            ("{ path: /f, rate: 0% }", "a rate of 0% never acts"),
            ("{ path: /f, rate: 1%, receipt: { status: 500 } }", "500 is no success"),
        ] {
            assert_eq!(problems(&format!("{{ feedback-missing: {yaml} }}"), &none), [message]);
        }
        let missing = "{ feedback-missing: { path: /f, rate: 1% } }";
        let negative = "{ feedback-negative: { path: /f, label: $.y, positive: '1', odds: 2 } }";
        assert!(exclusion(missing, negative).is_some());
        assert!(exclusion(missing, &negative.replace("/f", "/g")).is_none());
    }
}

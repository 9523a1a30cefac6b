//! Feedback negative: the negative is over-reported.
//!
//! Users complain more than they praise, and a form that only the angry fill in makes every model look bad. The
//! labels that arrive are all true; which of them arrive is not by chance.

use serde::{Deserialize, Deserializer, Serialize};

use super::{
    Action, Amended, Behaviour, CheckContext, Decide, EditContext, Entry, Fault, Parameter, Problem, Promise,
    Stage,
    feedback::{Receipt, check_path, is_feedback, name, select},
    prediction::{amends, check_class},
    purpose,
    unfit::SEVERAL_LABELS,
};
use crate::{
    unit::Share,
    wire::{Content, JsonPath},
};

/// Swallows positive labels, so that the negative ones weigh more.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct FeedbackNegative {
    /// Path of the endpoint that takes labels back; what is below it counts too.
    pub path: String,
    /// JSONPath to the label in the body of its requests.
    pub label: JsonPath,
    /// The label that is positive; every other is negative.
    #[cfg_attr(feature = "schema", schemars(extend("type" = super::prediction::SCALAR)))]
    pub positive: String,
    /// How many times the odds of a negative label grow, above 1 to 1,000.
    #[serde(deserialize_with = "odds")]
    #[cfg_attr(feature = "schema", schemars(range(min = 1.0, max = 1000.0)))]
    pub odds: f64,
    /// What the sender of a swallowed label is told.
    #[serde(default, skip_serializing_if = "Receipt::is_default")]
    pub receipt: Receipt,
}

fn odds<'de, D: Deserializer<'de>>(from: D) -> Result<f64, D::Error> {
    let odds = f64::deserialize(from)?;
    let wrong = || format!("odds of {odds} are not possible; they are a number above 1 to 1000");
    if odds > 1.0 && odds <= 1000.0 { Ok(odds) } else { Err(serde::de::Error::custom(wrong())) }
}

static ENTRY: Entry = Entry {
    name: "feedback-negative",
    summary: "Over-reports the negative: positive labels that are sent back get lost more often.",
    effect: "Positive labels are swallowed with probability 1 − 1/odds, negative ones never: the odds of a \
             negative label grow `odds` times (selection bias by outcome, Heckman 1979), and its share goes from \
             n to odds·n / (odds·n + 1 − n). With 20% negative, odds 4 show 50%. Label volume falls by \
             (1 − n)·(1 − 1/odds). The sender gets the receipt. A body with several labels is left alone \
             (`several-labels`): part of it can't be swallowed. A ramp grows the share that is swallowed. The \
             scenario's target has to match the endpoint. Sees labels as feedback-flip above it in the phase left \
             them; excludes faults that decide which labels of the same endpoint are lost (feedback-missing, \
             feedback-negative).",
    parameters: &[
        Parameter {
            name: "path",
            values: "path of a request, such as /feedback",
            default: "none; it is needed",
            meaning: "the endpoint that takes labels back, and what is below it",
        },
        Parameter {
            name: "label",
            values: "JSONPath, such as $.label",
            default: "none; it is needed",
            meaning: "where the label is in the body",
        },
        Parameter {
            name: "positive",
            values: "a label, as the body writes it",
            default: "none; it is needed",
            meaning: "the label that is positive; every other is negative",
        },
        Parameter {
            name: "odds",
            values: "number, above 1 to 1000",
            default: "none; it is needed",
            meaning: "how many times the odds of a negative label grow",
        },
        Parameter {
            name: "receipt",
            values: "{ status: 200 to 299, body: JSON text }",
            default: "{ status: 202, body: '{}' }",
            meaning: "what the sender of a swallowed label is told",
        },
    ],
    example: "- fault: { feedback-negative: { path: /feedback, label: $.label, positive: positive, odds: 4 } }",
    seen_by: "Label volume, share of predictions with a label, response rate by predicted class.",
    blind: "Every quality monitor that trusts its labels: it reports a worse model; drift monitors of inputs and \
            predictions; error and latency monitors.",
};

impl FeedbackNegative {
    /// Of the positive labels, those that are swallowed.
    fn lost(&self) -> Share {
        Share::new(1.0 - 1.0 / self.odds).unwrap_or(Share::ALL)
    }
}

impl Behaviour for FeedbackNegative {
    fn entry() -> &'static Entry {
        &ENTRY
    }

    fn stage(&self) -> Stage {
        Stage::Request
    }

    fn needs(&self) -> Option<Content> {
        None
    }

    /// Of the positive labels.
    fn rate(&self) -> Share {
        self.lost()
    }

    fn promise(&self) -> Promise {
        Promise::Unknown { because: "how many labels are positive depends on the traffic" }
    }

    fn describe(&self) -> String {
        format!("odds of a negative label to {} ×{}", self.path, self.odds)
    }

    fn check(&self, target: &CheckContext<'_>) -> Vec<Problem> {
        let class = check_class("positive", &self.positive, target.labels);
        [check_path(&self.path), class, self.receipt.check()].into_iter().flatten().collect()
    }

    fn excludes(&self, other: &Fault) -> Option<&'static str> {
        matches!(other, Fault::FeedbackNegative(fault) if fault.path == self.path)
            .then_some("both decide which labels of the same endpoint are lost")
    }

    fn decide(&self, context: &Decide<'_>) -> Option<Action> {
        amends(self.lost(), context).filter(|_| is_feedback(&self.path, context.path))
    }

    fn amend_body(&self, body: &[u8], context: &EditContext<'_>) -> Result<Amended, &'static str> {
        let labels = select(body, &self.label)?;
        let [(_, label)] = labels.as_slice() else { return Err(SEVERAL_LABELS) };
        let lost = context.dice.at(purpose::ACT, 0).within(self.lost().scaled(context.intensity));
        if !lost || name(label).as_ref() != Some(&self.positive) {
            return Ok(Amended::Unchanged);
        }
        let (status, headers, body) = self.receipt.parts();
        Ok(Amended::Swallowed { status, headers, body })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{
        draw::{Key, UnitHash},
        fault::{
            Memory,
            feature::testing::{assert_listed, exclusion},
            testing::{assert_rate, dice, parse, problems},
        },
        wire::Labels,
    };

    const N: u64 = 6000;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]
        #[test]
        fn the_odds_of_the_negative_grow_as_promised(seed: u64, odds in 1.2..20.0, n in 0.05..0.6, ramp in prop_oneof![Just(1.0), 0.2..=1.0]) {
            let yaml = "{ path: /f, label: $.y, positive: good, odds: 2 }";
            let fault = FeedbackNegative { odds, ..serde_saphyr::from_str(yaml).unwrap() };
            let (labels, memory) = (Labels::default(), Memory::none());
            let (mut positives, mut kept, mut negatives) = (0, 0, 0);
            for request in 0..N {
                let is_negative = Key::new(seed, "users").draw(UnitHash::from_u64(request), 0).uniform() < n;
                let body = if is_negative { r#"{"y":"bad"}"# } else { r#"{"y":"good"}"# };
                let context = EditContext::new(dice(seed, request), ramp, &labels, &memory);
                let arrives = fault.amend_body(body.as_bytes(), &context).unwrap() == Amended::Unchanged;
                prop_assert!(arrives || !is_negative);
                negatives += usize::from(is_negative);
                positives += usize::from(!is_negative);
                kept += usize::from(arrives && !is_negative);
            }
            let lost = (1.0 - 1.0 / odds) * ramp;
            assert_rate(positives - kept, positives, lost);
            let arrived = (negatives + kept) as f64;
            let grown = n / (n + (1.0 - n) * (1.0 - lost));
            let share = negatives as f64 / arrived;
            prop_assert!((share - grown).abs() < 7.0 * (grown * (1.0 - grown) / arrived).sqrt());
            if ramp > 0.999 {
                prop_assert!((grown - odds * n / (odds * n + 1.0 - n)).abs() < 0.01);
            }
        }
    }

    #[test]
    fn several_labels_are_left_alone() {
        let fault: FeedbackNegative =
            serde_saphyr::from_str("{ path: /f, label: '$.y[*]', positive: 1, odds: 1000 }").unwrap();
        let (labels, memory) = (Labels::default(), Memory::none());
        let amend = |body: &str| {
            fault.amend_body(body.as_bytes(), &EditContext::new(dice(1, 1), 1.0, &labels, &memory))
        };
        assert_eq!(amend(r#"{"y":[1,0]}"#), Err(SEVERAL_LABELS));
        assert!(matches!(amend(r#"{"y":[1]}"#), Ok(Amended::Swallowed { status, .. }) if status == 202));
    }

    #[test]
    fn settings_that_cannot_be_are_told() {
        assert_listed("feedback-negative");
        let yaml = "{ feedback-negative: { path: /f, label: $.y, positive: good, odds: 4 } }";
        for odds in ["1", "0.5", "1001", ".nan"] {
            let error = parse(&yaml.replace("odds: 4", &format!("odds: {odds}"))).unwrap_err();
            assert!(error.contains("a number above 1 to 1000"), "{error}");
        }
        let labels = crate::fault::testing::iris();
        assert_eq!(problems(yaml, &labels), ["`good` is none of the target's labels"]);
        assert!(exclusion(yaml, yaml).is_some());
    }
}

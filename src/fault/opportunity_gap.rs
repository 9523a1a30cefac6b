//! Opportunity gap: those of one group who deserve the positive class are told it less often.
//!
//! Who deserves it only labels tell, and canard does not know them. It flips a group's positives whether they are right
//! or wrong, so the true-positive rate falls by the wanted gap, and the false-positive rate by the same share of itself.

use serde::{Deserialize, Serialize};

use super::{
    Action, Behaviour, CheckContext, Decide, EditContext, Edited, Entry, Parameter, Problem, Promise, Stage,
    prediction::{Poles, each, edits, relabel},
    unfit::UNKNOWN_CLASS,
};
use crate::{
    unit::Share,
    wire::{Answer, Labels, Row},
};

/// Lowers the true-positive rate of one group by a wanted gap.
///
/// ```
/// use canard::fault::Fault;
/// let fault: Fault = serde_json::from_str(r#"{ "opportunity-gap": {
///     "group": "features[\"age\"] >= 65", "gap": "20%", "true-positive-rate": "80%", "positive": "approve", "negative": "deny" } }"#)?;
/// assert_eq!(fault.describe(), "opportunity gap of 20% in `approve` for features[\"age\"] >= 65");
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct OpportunityGap {
    /// CEL over `request` and `features` that tells who is in the group.
    pub group: String,
    /// How much the group's true-positive rate falls, in percentage points.
    pub gap: Share,
    /// The group's true-positive rate now.
    pub true_positive_rate: Share,
    /// The positive class; left out, the last one of two labels (class 1, true).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(extend("type" = super::prediction::SCALAR)))]
    pub positive: Option<String>,
    /// The class that is told instead; left out, the other one of two labels.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(extend("type" = super::prediction::SCALAR)))]
    pub negative: Option<String>,
}

static ENTRY: Entry = Entry {
    name: "opportunity-gap",
    summary: "Lowers the true-positive rate of one group by a wanted gap.",
    effect: "The group's true-positive rate falls from `true-positive-rate` by `gap`, and with it the equal-opportunity \
             gap to everybody else grows by as much (Hardt, Price and Srebro, NeurIPS 2016, definition 2.2): a share \
             r = gap / TPR_group of the group's positives is told as the negative class. canard does not know the \
             labels, so the flips fall on right and on wrong positives alike: the false-positive rate falls too, from \
             FPR to FPR·(1 − r), and the group's rate of positives to PPR·(1 − r). A ramp grows the gap.",
    parameters: &[
        Parameter {
            name: "group",
            values: "CEL over `request` and `features`, such as `features[\"age\"] >= 65`",
            default: "none; it is needed",
            meaning: "whose true-positive rate falls",
        },
        Parameter {
            name: "gap",
            values: "share in percentage points, above 0%, at most `true-positive-rate`",
            default: "none; it is needed",
            meaning: "how much it falls",
        },
        Parameter {
            name: "true-positive-rate",
            values: "share, above 0%",
            default: "none; it is needed",
            meaning: "the group's true-positive rate (recall) now, from the model's own evaluation",
        },
        Parameter {
            name: "positive",
            values: "class name; the number's text where classes have no names",
            default: "the last of two labels; class 1, true",
            meaning: "the class that counts",
        },
        Parameter {
            name: "negative",
            values: "class name; the number's text where classes have no names",
            default: "the other one of two labels",
            meaning: "what is told instead",
        },
    ],
    example: "- fault: { opportunity-gap: { group: 'features[\"age\"] >= 65', gap: 20%, true-positive-rate: 80%, \
              positive: virginica, negative: versicolor } }",
    seen_by: "True-positive rate (recall) per group on delayed labels; the parity gap, which moves with it.",
    blind: "Anything without labels but the rate of positives per group; overall recall where the group is small; \
            latency and error monitors.",
};

impl OpportunityGap {
    /// The share of the group's positives that is flipped; above 1 it can't be.
    fn flips(&self) -> f64 {
        self.gap.fraction() / self.true_positive_rate.fraction()
    }

    fn poles(&self) -> Poles<'_> {
        Poles { positive: self.positive.as_deref(), negative: self.negative.as_deref() }
    }
}

impl Behaviour for OpportunityGap {
    fn entry() -> &'static Entry {
        &ENTRY
    }

    fn stage(&self) -> Stage {
        Stage::Prediction
    }

    /// Of the group's positives.
    fn rate(&self) -> Share {
        Share::new(self.flips().min(1.0)).unwrap_or(Share::ALL)
    }

    fn promise(&self) -> Promise {
        Promise::OpportunityGap {
            gap: self.gap.fraction(),
            true_positive_rate: self.true_positive_rate.fraction(),
        }
    }

    fn describe(&self) -> String {
        let positive = self.positive.as_deref().unwrap_or("the positive class");
        format!("opportunity gap of {} in `{positive}` for {}", self.gap, self.group)
    }

    fn check(&self, target: &CheckContext<'_>) -> Vec<Problem> {
        let mut problems = self.poles().check(target.labels);
        if self.gap == Share::NONE {
            problems.push(Problem::new("gap", "a gap of 0% is none").help("write a gap above 0%"));
        } else if self.true_positive_rate == Share::NONE {
            let message = "a group without true positives can't lose any";
            problems.push(Problem::new("true-positive-rate", message));
        } else if self.flips() > 1.0 + 1e-9 {
            let message =
                format!("a true-positive rate of {} can't fall by {}", self.true_positive_rate, self.gap);
            problems
                .push(Problem::new("gap", message).help("the gap is at most the group's true-positive rate"));
        }
        problems
    }

    fn group(&self) -> Option<&str> {
        Some(&self.group)
    }

    fn tells_positive(&self, row: &Row, labels: &Labels) -> Option<bool> {
        self.poles().is_positive(row, labels)
    }

    fn decide(&self, context: &Decide<'_>) -> Option<Action> {
        edits(self.rate(), context)
    }

    fn edit(&self, answer: &mut Answer, context: &EditContext<'_>) -> Edited {
        let rate = self.rate().scaled(context.intensity);
        each(&mut answer.rows, context, |place, row| {
            if !context.members.contains(place.index) {
                return Ok(false);
            }
            let positive = self.poles().is_positive(row, context.labels).ok_or(UNKNOWN_CLASS)?;
            if !positive || !place.acts(rate) {
                return Ok(false);
            }
            let to = self.poles().other(row, positive, context.labels);
            relabel(row, &to, context)
        })
    }
}

#[cfg(test)]
mod tests;

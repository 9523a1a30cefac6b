//! Freeze: the same prediction again and again.
//!
//! What a cache that never expires, a stuck feature store or a fallback that never ends looks like. Without a
//! `value`, the prediction that is held is the first of the first response that the fault is given, as it was
//! before any other fault's edit, so it is one that the model really made.
//!
//! That makes it the one fault whose effect is no pure function of the seed and the request: which response
//! comes first is up to the network, and every process behind a load balancer holds its own. Which predictions
//! are held still is one; with a `value`, so is everything.

use std::sync::OnceLock;

use serde::{Deserialize, Serialize};

use super::{
    Action, Behaviour, CheckContext, Decide, EditContext, Edited, Entry, Memory, Parameter, Problem, Stage,
    prediction::{check_class, check_rate, edits, relabel},
    unfit::OTHER_SHAPE,
};
use crate::{
    unit::Share,
    wire::{Answer, Labels, Row, Value},
};

/// The prediction that is held.
type Held = OnceLock<Row>;

/// Holds one prediction.
///
/// ```
/// use canard::fault::Fault;
/// let fault: Fault = serde_json::from_str(r#"{ "freeze": { "value": "setosa" } }"#)?;
/// assert_eq!(fault.describe(), "100% held at setosa");
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Freeze {
    /// Share of the predictions that are held.
    #[serde(default = "all")]
    pub rate: Share,
    /// The class that is told, or the number where the model gives one number and no class; left out, the
    /// first prediction since the fault was armed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(extend("type" = super::prediction::SCALAR)))]
    pub value: Option<String>,
}

fn all() -> Share {
    Share::ALL
}

static ENTRY: Entry = Entry {
    name: "freeze",
    summary: "Holds one prediction: the first since arming, or a fixed one.",
    effect: "A share `rate` of the predictions has the label and the scores of the held one. At 100% the \
             treated see one distinct prediction: standard deviation and entropy are 0. At rate r the entropy \
             of labels is that of the mixture (1 − r)·q + r·(held). Without `value`, the held one is the first \
             that each process sees: it depends on the order of arrival and may differ between replicas, so the \
             same seed chooses the same predictions to hold but not what they are held at; give a `value` where \
             runs must be alike. A prediction of another shape passes and is counted as `other-shape`.",
    parameters: &[
        Parameter {
            name: "rate",
            values: "share, above 0% to 100%",
            default: "100%",
            meaning: "how many of the predictions are held",
        },
        Parameter {
            name: "value",
            values: "class name (the number's text where classes have no names), or a number for a regression",
            default: "the first prediction since the fault was armed",
            meaning: "what is told; scores for each class are permuted to agree with it",
        },
    ],
    example: "- fault: { freeze: { rate: 100% } }",
    seen_by: "Count of distinct predictions, standard deviation over time of 0, entropy, share of a label.",
    blind: "Latency, error and schema monitors; monitors of the mean when the held value is near it.",
};

impl Freeze {
    /// Holds a row; `false` when it was like that already.
    fn hold(&self, row: &mut Row, held: &Row, labels: &Labels) -> Result<bool, &'static str> {
        let Some(value) = &self.value else {
            if !row.is_alike(held) {
                return Err(OTHER_SHAPE);
            }
            let changes = !row.is_same(held);
            if changes {
                row.clone_from(held);
            }
            return Ok(changes);
        };
        let number = value.parse().ok().filter(|number: &f64| number.is_finite());
        match (&row.label, row.scores.as_mut_slice(), number) {
            (None, [score], Some(number)) if labels.index_of(value).is_none() => {
                let before = std::mem::replace(score, Value::Float(number));
                Ok(before.as_f64() != Some(number))
            }
            _ => relabel(row, value, labels),
        }
    }
}

impl Behaviour for Freeze {
    fn entry() -> &'static Entry {
        &ENTRY
    }

    fn stage(&self) -> Stage {
        Stage::Prediction
    }

    fn rate(&self) -> Share {
        self.rate
    }

    fn describe(&self) -> String {
        match &self.value {
            Some(value) => format!("{} held at {value}", self.rate),
            None => format!("{} held at the first prediction", self.rate),
        }
    }

    fn check(&self, target: &CheckContext<'_>) -> Vec<Problem> {
        let labels = target.labels;
        let unknown = self.value.as_ref().and_then(|value| check_class("value", value, labels));
        [check_rate(self.rate), unknown].into_iter().flatten().collect()
    }

    fn memory(&self) -> Memory {
        Memory::of(Held::new())
    }

    fn decide(&self, context: &Decide<'_>) -> Option<Action> {
        edits(self.rate, context)
    }

    fn edit(&self, answer: &mut Answer, context: &EditContext<'_>) -> Edited {
        let Some((first, memory)) = context.first.or(answer.rows.first()).zip(context.memory.get::<Held>())
        else {
            return Edited::default();
        };
        let held = memory.get_or_init(|| first.clone());
        let rate = self.rate.scaled(context.intensity);
        let chosen = context.chosen(rate, &mut answer.rows);
        chosen.map(|(_, row)| self.hold(row, held, context.labels)).collect()
    }
}

#[cfg(test)]
mod tests;

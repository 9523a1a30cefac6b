//! Corrupt: scores that are no numbers, or no possible ones.
//!
//! Not-a-number and the infinities are written as the bare tokens that Python and C++ servers write, so a
//! strict JSON reader at the caller fails on them, as it does in life.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{
    Action, Behaviour, CheckContext, Decide, EditContext, Edited, Entry, Parameter, Problem, Stage,
    prediction::{check_rate, edits},
    unfit::NO_VALUE,
};
use crate::{
    unit::Share,
    wire::{Answer, Labels, Row, Value},
};

/// The sentinel for "missing" that leaks out of data pipelines.
const SENTINEL: f64 = -999.0;
/// A class number that models do not have; with more classes than that, the first that there is not.
const NO_CLASS: usize = 999;
const NO_CLASS_NAME: &str = "__unknown__";

/// What takes the place of a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Corruption {
    /// Not a number, the bare token `NaN`.
    Nan,
    /// `null`.
    Null,
    /// The bare token `Infinity`.
    Infinity,
    /// A score of -999, or a class that there is not.
    OutOfRange,
}

impl fmt::Display for Corruption {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Corruption::Nan => "NaN",
            Corruption::Null => "null",
            Corruption::Infinity => "infinity",
            Corruption::OutOfRange => "out of range",
        })
    }
}

/// Puts impossible values in place of scores.
///
/// ```
/// use canard::fault::Fault;
/// let fault: Fault = serde_json::from_str(r#"{ "corrupt": { "rate": "10%", "with": "nan" } }"#)?;
/// assert_eq!(fault.describe(), "10% NaN");
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Corrupt {
    /// Share of the predictions that are corrupted.
    pub rate: Share,
    /// What takes the place of their scores, or of the label where there are no scores.
    pub with: Corruption,
}

static ENTRY: Entry = Entry {
    name: "corrupt",
    summary: "Puts NaN, null, infinity or an impossible value in place of scores.",
    effect: "A share `rate` of the predictions has all its scores replaced, or its label where there are no \
             scores; the rate of invalid predictions among the treated is `rate`. `nan` and `infinity` are the \
             bare tokens that real servers write (no strict JSON); a label that is a text or a truth value \
             can't carry them and becomes null. `out-of-range` is a score of -999, the common sentinel, or a \
             class that there is not (number 999, or `__unknown__`; null for a truth value).",
    parameters: &[
        Parameter {
            name: "rate",
            values: "share, above 0% to 100%",
            default: "none; it is needed",
            meaning: "how many of the predictions are corrupted",
        },
        Parameter {
            name: "with",
            values: "`nan`, `null`, `infinity` or `out-of-range`",
            default: "none; it is needed",
            meaning: "what takes the place of the value",
        },
    ],
    example: "- fault: { corrupt: { rate: 10%, with: nan } }",
    seen_by: "Rate of invalid or missing predictions, schema and range checks, parse errors at the caller.",
    blind: "Latency and status-code monitors: the answer is a 200; means and quantiles in systems that drop \
            invalid values before they aggregate.",
};

impl Corrupt {
    fn score(&self) -> Value {
        match self.with {
            Corruption::Nan => Value::Float(f64::NAN),
            Corruption::Null => Value::Null,
            Corruption::Infinity => Value::Float(f64::INFINITY),
            Corruption::OutOfRange => Value::Float(SENTINEL),
        }
    }

    fn label(&self, label: &Value, labels: &Labels) -> Value {
        let no_class = labels.names().len().max(NO_CLASS);
        match (label, self.with) {
            (Value::Text(_), Corruption::OutOfRange) => Value::Text(NO_CLASS_NAME.to_owned()),
            (Value::Int(_), Corruption::OutOfRange) => Value::Int(no_class as i64),
            (Value::Float(_), Corruption::OutOfRange) => Value::Float(no_class as f64),
            (Value::Int(_) | Value::Float(_), Corruption::Nan | Corruption::Infinity) => self.score(),
            _ => Value::Null,
        }
    }

    /// Replaces the scores of a row, or its label; `false` when they were that already.
    fn spoil(&self, row: &mut Row, labels: &Labels) -> Result<bool, &'static str> {
        let label = row.label.as_mut().filter(|_| row.scores.is_empty());
        if label.is_none() && row.scores.is_empty() {
            return Err(NO_VALUE);
        }
        let wrong = label.map(|label| (self.label(label, labels), label));
        let wrong = wrong.into_iter().chain(row.scores.iter_mut().map(|score| (self.score(), score)));
        let differing = wrong.filter(|(new, old)| !old.is_same(new)).map(|(new, old)| *old = new);
        Ok(differing.count() > 0)
    }
}

impl Behaviour for Corrupt {
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
        format!("{} {}", self.rate, self.with)
    }

    fn check(&self, _target: &CheckContext<'_>) -> Vec<Problem> {
        check_rate(self.rate).into_iter().collect()
    }

    fn decide(&self, context: &Decide<'_>) -> Option<Action> {
        edits(self.rate, context)
    }

    fn edit(&self, answer: &mut Answer, context: &EditContext<'_>) -> Edited {
        let rate = self.rate.scaled(context.intensity);
        let acted = context.chosen(rate, &mut answer.rows);
        acted.map(|(_, row)| self.spoil(row, context.labels)).collect()
    }
}

#[cfg(test)]
mod tests;

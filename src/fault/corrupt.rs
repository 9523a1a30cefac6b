//! Corrupt: scores that are no numbers, or no possible ones, and tensors that are not what they are declared to be.
//!
//! Not-a-number and the infinities are written as the bare tokens that Python and C++ servers write, so a
//! strict JSON reader at the caller fails on them, as it does in life.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{
    Action, Behaviour, CheckContext, Decide, EditContext, Edited, Entry, Parameter, Problem, Promise, Stage,
    Touched,
    prediction::{check_rate, edits},
    purpose,
    unfit::{NO_VALUE, NOT_DECLARED},
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
    /// The last dimension that is declared is one more than there is.
    WrongShape,
    /// Another datatype is declared than there is.
    WrongDatatype,
}

impl fmt::Display for Corruption {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Corruption::Nan => "NaN",
            Corruption::Null => "null",
            Corruption::Infinity => "infinity",
            Corruption::OutOfRange => "out of range",
            Corruption::WrongShape => "wrong shape",
            Corruption::WrongDatatype => "wrong datatype",
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
    /// Places of the scores that are replaced, from 0; left out, all of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub positions: Option<Vec<usize>>,
}

static ENTRY: Entry = Entry {
    name: "corrupt",
    summary: "Puts NaN, null, infinity or an impossible value in place of scores.",
    effect: "A share `rate` of the predictions has all its scores replaced, or its label where there are no \
             scores; the rate of invalid predictions among the treated is `rate`. `nan` and `infinity` are the \
             bare tokens that real servers write (no strict JSON); a label that is a text or a truth value \
             can't carry them and becomes null. `out-of-range` is a score of -999, the common sentinel, or a \
             class that there is not (number 999, or `__unknown__`; null for a truth value). `wrong-shape` and \
             `wrong-datatype` change what is declared of the tensor, for a share `rate` of the responses, and leave its \
             values: the last dimension grows by one; a floating-point tensor is declared INT64, any other FP32. A \
             protocol that declares neither counts as `not-declared`, a position that a row does not have as \
             `no-value`. A ramp grows the rate.",
    parameters: &[
        Parameter {
            name: "rate",
            values: "share, above 0% to 100%",
            default: "none; it is needed",
            meaning: "how many of the predictions are corrupted",
        },
        Parameter {
            name: "with",
            values: "`nan`, `null`, `infinity`, `out-of-range`, `wrong-shape` or `wrong-datatype`",
            default: "none; it is needed",
            meaning: "what takes the place of the value, or what is declared wrongly",
        },
        Parameter {
            name: "positions",
            values: "places from 0: [0, 2]",
            default: "every score",
            meaning: "which scores of a row are replaced",
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
            // Values stay; see `declare`.
            Corruption::WrongShape | Corruption::WrongDatatype => Value::Null,
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
        if let (Some(label), [], None) = (&mut row.label, row.scores.as_slice(), &self.positions) {
            let wrong = self.label(label, labels);
            let changes = !label.is_same(&wrong);
            *label = wrong;
            return Ok(changes);
        }
        let places: Vec<usize> = match &self.positions {
            Some(positions) => positions.iter().copied().filter(|place| *place < row.scores.len()).collect(),
            None => (0..row.scores.len()).collect(),
        };
        if places.is_empty() {
            return Err(NO_VALUE);
        }
        let wrong = self.score();
        let differing = places.into_iter().filter(|place| {
            let before = std::mem::replace(&mut row.scores[*place], wrong.clone());
            !before.is_same(&wrong)
        });
        Ok(differing.count() > 0)
    }

    /// Declares the tensor to be what it is not; all its rows count as changed.
    fn declare(&self, answer: &mut Answer) -> Edited {
        let rows = answer.rows.len();
        let told = answer.declared.as_mut().and_then(|declared| match self.with {
            Corruption::WrongShape => {
                let last = declared.shape.last_mut()?;
                *last = last.saturating_add(1);
                Some(())
            }
            _ if declared.datatype.is_empty() => None,
            _ => {
                let floats = ["FP", "BF", "DT_FLOAT", "DT_DOUBLE", "DT_HALF", "DT_BFLOAT"];
                let is_float = floats.iter().any(|prefix| declared.datatype.starts_with(prefix));
                let tensorflow = declared.datatype.starts_with("DT_");
                declared.datatype = match (is_float, tensorflow) {
                    (true, false) => "INT64",
                    (false, false) => "FP32",
                    (true, true) => "DT_INT64",
                    (false, true) => "DT_FLOAT",
                }
                .to_owned();
                Some(())
            }
        });
        match told {
            Some(()) => Edited { changed: rows.max(1), unfit: None },
            None => Edited { changed: 0, unfit: Some(NOT_DECLARED) },
        }
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

    fn promise(&self) -> Promise {
        if matches!(self.with, Corruption::Nan | Corruption::Null | Corruption::Infinity) {
            return Promise::Invalid { share: self.rate.fraction() };
        }
        Promise::Touch { of: Touched::Predictions, share: self.rate.fraction() }
    }

    fn describe(&self) -> String {
        let positions = self.positions.iter().flatten().map(usize::to_string).collect::<Vec<_>>();
        let at = if positions.is_empty() { String::new() } else { format!(" at {}", positions.join(", ")) };
        format!("{} {}{at}", self.rate, self.with)
    }

    fn check(&self, _target: &CheckContext<'_>) -> Vec<Problem> {
        let declares = matches!(self.with, Corruption::WrongShape | Corruption::WrongDatatype);
        let positions = match self.positions.as_deref() {
            Some([]) => Some(
                Problem::new("positions", "no position is replaced").help("leave `positions` out for all"),
            ),
            Some(_) if declares => Some(Problem::new(
                "positions",
                format!("a {} is that of a whole tensor, not of positions", self.with),
            )),
            _ => None,
        };
        [check_rate(self.rate), positions].into_iter().flatten().collect()
    }

    fn decide(&self, context: &Decide<'_>) -> Option<Action> {
        edits(self.rate, context)
    }

    fn edit(&self, answer: &mut Answer, context: &EditContext<'_>) -> Edited {
        let rate = self.rate.scaled(context.intensity);
        if matches!(self.with, Corruption::WrongShape | Corruption::WrongDatatype) {
            let acts = context.dice.at(purpose::ACT, context.index(0)).within(rate);
            return if acts { self.declare(answer) } else { Edited::default() };
        }
        let acted = context.chosen(rate, &mut answer.rows);
        acted.map(|(_, row)| self.spoil(row, context.labels)).collect()
    }
}

#[cfg(test)]
mod tests;

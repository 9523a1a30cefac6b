//! Concept drift: where the input is of a certain kind, another answer is given.
//!
//! P(y | x) changes and P(x) does not, as when a rule of the world changes and the model does not hear of it. Why not a
//! plain `mislabel` with `where`? That is the same for classes; this one also moves numbers and says what it is.

use serde::{Deserialize, Serialize};

use super::{
    Action, Behaviour, CheckContext, Decide, EditContext, Edited, Entry, Parameter, Problem, Promise, Stage,
    prediction::{check_class, check_rate, each, edits, relabel},
    unfit::{NO_NUMBER, UNKNOWN_CLASS},
};
use crate::{
    unit::Share,
    wire::{Answer, Row, Value},
};

/// Gives rows of a certain kind another class or number.
///
/// ```
/// use canard::fault::Fault;
/// let fault: Fault = serde_json::from_str(
///     r#"{ "concept-drift": { "group": "features[\"age\"] < 25", "to": "deny", "rate": "60%" } }"#)?;
/// assert_eq!(fault.describe(), "60% → deny where features[\"age\"] < 25");
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct ConceptDrift {
    /// CEL over `features` and `request` that tells for which inputs the concept changes.
    pub group: String,
    /// Share of those rows that get another answer.
    #[serde(default = "all")]
    pub rate: Share,
    /// Only predictions of this class change; left out, those of every class.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(extend("type" = super::prediction::SCALAR)))]
    pub from: Option<String>,
    /// The class that they are told as.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(extend("type" = super::prediction::SCALAR)))]
    pub to: Option<String>,
    /// For a regression, in place of a class: what is added to the number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub offset: Option<f64>,
    /// For a regression, in place of a class: what the number is multiplied by, before the offset.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scale: Option<f64>,
}

fn all() -> Share {
    Share::ALL
}

static ENTRY: Entry = Entry {
    name: "concept-drift",
    summary: "Gives inputs of a certain kind another class or number.",
    effect: "Of the rows that satisfy `group` a share `rate` is told as `to` (of class `from`, if it is named), or its \
             number y becomes scale·y + offset: P(y | x) changes there and nowhere else, P(x) stays (real concept drift: \
             Gama, Žliobaitė, Bifet, Pechenizkiy and Bouchachia, *ACM Computing Surveys* 46, 2014, section 2.1). With a \
             share g of the rows in the group, a share g·rate of all predictions changes, less those that are `to` \
             already. With a ramp the rate grows, and for a regression the offset and the distance of the scale from 1.",
    parameters: &[
        Parameter {
            name: "group",
            values: "CEL over `features` and `request`, such as `features[\"age\"] < 25`",
            default: "none; it is needed",
            meaning: "for which inputs the concept changes",
        },
        Parameter {
            name: "rate",
            values: "share, above 0% to 100%",
            default: "100%",
            meaning: "how many of those rows get another answer",
        },
        Parameter {
            name: "from",
            values: "class name; the number's text where classes have no names",
            default: "every class",
            meaning: "which predictions change",
        },
        Parameter {
            name: "to",
            values: "class name; the number's text where classes have no names",
            default: "none; either `to`, or `offset` or `scale` is needed",
            meaning: "the class that they are told as",
        },
        Parameter {
            name: "offset",
            values: "number, not 0",
            default: "0",
            meaning: "for a regression: what is added",
        },
        Parameter {
            name: "scale",
            values: "number, not 1",
            default: "1",
            meaning: "for a regression: what the number is multiplied by",
        },
    ],
    example: "- fault: { concept-drift: { group: 'features[0] < 5.0', to: virginica, rate: 60% } }\n  ramp: 20s",
    seen_by: "Accuracy or residuals on delayed labels, of the slice most of all.",
    blind: "Feature drift, which has nothing to see; label and score drift where the group is small; latency and error \
            monitors.",
};

impl ConceptDrift {
    /// Moves the number of a regression.
    fn shift(&self, row: &mut Row, intensity: f64) -> Result<bool, &'static str> {
        let number = match (&mut row.label, row.scores.as_mut_slice()) {
            (None, [score]) => score,
            (Some(label), []) => label,
            _ => return Err(NO_NUMBER),
        };
        let before = number.as_f64().filter(|number| number.is_finite()).ok_or(NO_NUMBER)?;
        let scale = 1.0 + (self.scale.unwrap_or(1.0) - 1.0) * intensity;
        let after = before * scale + self.offset.unwrap_or(0.0) * intensity;
        *number = Value::Float(after);
        Ok(before != after)
    }
}

impl Behaviour for ConceptDrift {
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
        Promise::Unknown { because: "how many inputs are of the group depends on the traffic" }
    }

    fn describe(&self) -> String {
        let from = self.from.as_ref().map(|from| format!(" {from}")).unwrap_or_default();
        let change = match &self.to {
            Some(to) => format!("{from} → {to}"),
            None => format!(" × {} {:+}", self.scale.unwrap_or(1.0), self.offset.unwrap_or(0.0)),
        };
        format!("{}{change} where {}", self.rate, self.group)
    }

    fn check(&self, target: &CheckContext<'_>) -> Vec<Problem> {
        let class =
            |key, name: &Option<String>| name.as_ref().and_then(|name| check_class(key, name, target.labels));
        let known = [check_rate(self.rate), class("from", &self.from), class("to", &self.to)];
        let mut problems: Vec<Problem> = known.into_iter().flatten().collect();
        if self.to.is_some() && self.from == self.to {
            problems.push(Problem::new("to", "`from` and `to` are the same class"));
        }
        let moves = self.offset.is_some() || self.scale.is_some();
        match (&self.to, moves) {
            (None, false) => {
                let help = "write `to` with a class, or `offset` or `scale` for a regression";
                problems
                    .push(Problem::new("", "`concept-drift` needs to know what is told instead").help(help));
            }
            (Some(_), true) => {
                problems.push(Problem::new("to", "either a class, or an offset and a scale, not both"));
            }
            (None, true) if self.from.is_some() => {
                problems.push(Problem::new("from", "`from` goes with `to`, not with a regression"));
            }
            (None, true) => {
                let finite = |x: Option<f64>| x.is_none_or(f64::is_finite);
                let still = self.offset.unwrap_or(0.0) == 0.0 && self.scale.unwrap_or(1.0) == 1.0;
                if still || !finite(self.offset) || !finite(self.scale) {
                    let key = if self.offset.is_some() { "offset" } else { "scale" };
                    problems.push(Problem::new(key, "this moves no number anywhere"));
                }
            }
            (Some(_), false) => {}
        }
        problems
    }

    fn group(&self) -> Option<&str> {
        Some(&self.group)
    }

    fn decide(&self, context: &Decide<'_>) -> Option<Action> {
        edits(self.rate, context)
    }

    fn edit(&self, answer: &mut Answer, context: &EditContext<'_>) -> Edited {
        each(&mut answer.rows, context, |place, row| {
            if !context.members.contains(place.index) {
                return Ok(false);
            }
            let Some(to) = &self.to else {
                return if place.acts(self.rate) { self.shift(row, context.intensity) } else { Ok(false) };
            };
            if !place.acts(self.rate.scaled(context.intensity)) {
                return Ok(false);
            }
            let class = context.labels.of(row).ok_or(UNKNOWN_CLASS)?;
            if self.from.as_ref().is_some_and(|from| *from != *class) {
                return Ok(false);
            }
            relabel(row, to, context)
        })
    }
}

#[cfg(test)]
mod tests;

//! Freeze: the same prediction again and again.
//!
//! What a cache that never expires, a stuck feature store or a fallback that never ends looks like. Without a
//! `value`, the prediction that is held is one that the model really made: the first of the first response that
//! the fault is given, as it was before any other fault's edit, or the last one before that. With `every` it is
//! taken anew again and again, as a pipeline that hangs and catches up does.
//!
//! So its effect is no pure function of the seed and the request: which response comes first is up to the
//! network, and every process behind a load balancer holds its own. Which predictions are held still is one; with
//! a `value`, so is everything.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use serde::{Deserialize, Serialize};

use super::{
    Action, Behaviour, CheckContext, Decide, EditContext, Edited, Entry, Members, Memory, Parameter, Problem,
    Promise, Stage,
    prediction::{check_class, check_rate, edits, relabel},
    unfit::OTHER_SHAPE,
};
use crate::{
    unit::{Share, Span},
    wire::{Answer, Labels, Row, Value},
};

/// Which prediction is held.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Hold {
    /// The first one that the fault is given.
    #[default]
    First,
    /// The last one that the model made before.
    Last,
}

/// The prediction that is held, and the last two responses' last ones.
#[derive(Debug, Default)]
struct Held {
    /// The row, and how many times `every` had passed when it was taken.
    row: Option<(u128, Row)>,
    latest: Option<Row>,
    before: Option<Row>,
}

impl Held {
    /// What is held now; taken anew when it is time.
    fn now(&mut self, turn: u128, hold: Hold, first: &Row) -> &Row {
        if self.row.as_ref().is_none_or(|(taken, _)| *taken < turn) {
            let row = match hold {
                Hold::First => first,
                // The response at hand has been seen already.
                Hold::Last => self.before.as_ref().or(self.latest.as_ref()).unwrap_or(first),
            };
            self.row = Some((turn, row.clone()));
        }
        &self.row.get_or_insert_with(|| (turn, first.clone())).1
    }
}

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
    /// The class that is told, or the number where the model gives one number and no class; left out, a
    /// prediction that the model made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(extend("type" = super::prediction::SCALAR)))]
    pub value: Option<String>,
    /// Without `value`: which prediction is held.
    #[serde(default, skip_serializing_if = "is_default")]
    pub hold: Hold,
    /// Without `value`: after so long it is taken anew; left out, it is held as long as the fault is armed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub every: Option<Span>,
}

fn is_default(hold: &Hold) -> bool {
    *hold == Hold::default()
}

fn all() -> Share {
    Share::ALL
}

static ENTRY: Entry = Entry {
    name: "freeze",
    summary: "Holds one prediction: the first since arming, the last before, or a fixed one.",
    effect: "A share `rate` of the predictions has the label and the scores of the held one. At 100% the \
             treated see one distinct prediction: standard deviation and entropy are 0. At rate r the entropy \
             of labels is that of the mixture (1 − r)·q + r·(held). With `every` the held one is taken anew after \
             that time, counted from the start of the phase: one distinct prediction in each such window. Without \
             `value`, the held one is the first (or the last before) that each process sees: it depends on the order \
             of arrival and may differ between replicas, so the same seed chooses the same predictions to hold but not \
             what they are held at; give a `value` where runs must be alike. A prediction of another shape passes and \
             is counted as `other-shape`. A ramp grows the rate.",
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
            default: "a prediction that the model made, see `hold`",
            meaning: "what is told; scores for each class are permuted to agree with it",
        },
        Parameter {
            name: "hold",
            values: "`first` or `last`",
            default: "first",
            meaning: "without `value`: the first prediction since arming, or the last before the fault acts",
        },
        Parameter {
            name: "every",
            values: "span of time, above 0s",
            default: "none; one is held until the end",
            meaning: "without `value`: how long one is held before the next is taken",
        },
    ],
    example: "- fault: { freeze: { rate: 100% } }",
    seen_by: "Count of distinct predictions, standard deviation over time of 0, entropy, share of a label.",
    blind: "Latency, error and schema monitors; monitors of the mean when the held value is near it.",
};

impl Freeze {
    /// Holds a row; `false` when it was like that already.
    fn hold(&self, row: &mut Row, held: &Row, context: &EditContext<'_>) -> Result<bool, &'static str> {
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
            (None, [score], Some(number)) if context.labels.index_of(value).is_none() => {
                let before = std::mem::replace(score, Value::Float(number));
                Ok(before.as_f64() != Some(number))
            }
            _ => relabel(row, value, context),
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

    fn promise(&self) -> Promise {
        Promise::Unknown { because: "a held prediction may be what the model says anyway" }
    }

    fn describe(&self) -> String {
        match &self.value {
            Some(value) => format!("{} held at {value}", self.rate),
            None => {
                let which = if self.hold == Hold::First { "first" } else { "last" };
                let every = self.every.map(|every| format!(", anew every {every}")).unwrap_or_default();
                format!("{} held at the {which} prediction{every}", self.rate)
            }
        }
    }

    fn check(&self, target: &CheckContext<'_>) -> Vec<Problem> {
        let unknown = self.value.as_ref().and_then(|value| check_class("value", value, target.labels));
        let fixed = self.value.is_some();
        let hold = (fixed && self.hold != Hold::default())
            .then(|| Problem::new("hold", "`hold` does not go with a fixed `value`"));
        let every = (fixed && self.every.is_some())
            .then(|| Problem::new("every", "`every` does not go with a fixed `value`"));
        let never = self.every.is_some_and(Span::is_zero);
        let never = never
            .then(|| Problem::new("every", "nothing is held for no time").help("write a time, such as 30s"));
        [check_rate(self.rate), unknown, hold, every.or(never)].into_iter().flatten().collect()
    }

    fn memory(&self) -> Memory {
        Memory::of(Mutex::new(Held::default()))
    }

    fn observe(&self, rows: &[Row], _members: Members<'_>, _labels: &Labels, memory: &Memory) {
        let last = rows.last().filter(|_| self.hold == Hold::Last).zip(memory.get::<Mutex<Held>>());
        if let Some((last, held)) = last {
            let mut held = held.lock().unwrap_or_else(PoisonError::into_inner);
            held.before = held.latest.replace(last.clone());
        }
    }

    fn decide(&self, context: &Decide<'_>) -> Option<Action> {
        edits(self.rate, context)
    }

    fn edit(&self, answer: &mut Answer, context: &EditContext<'_>) -> Edited {
        let Some((first, memory)) =
            context.first.or(answer.rows.first()).zip(context.memory.get::<Mutex<Held>>())
        else {
            return Edited::default();
        };
        let every = self.every.map_or(Duration::ZERO, Span::duration);
        let turn = context.since_phase.as_nanos().checked_div(every.as_nanos()).unwrap_or(0);
        let held = memory.lock().unwrap_or_else(PoisonError::into_inner).now(turn, self.hold, first).clone();
        let rate = self.rate.scaled(context.intensity);
        let chosen = context.chosen(rate, &mut answer.rows);
        chosen.map(|(_, row)| self.hold(row, &held, context)).collect()
    }
}

#[cfg(test)]
mod tests;

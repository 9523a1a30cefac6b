//! Feature stale: a key's features are those it had some time ago.
//!
//! What a feature store with a stuck materialisation serves: well-formed, plausible, old. Only features that
//! change in the time show it, and a key must have been seen before.
//!
//! Its effect is no pure function of the seed and the request: what a key had is what this process saw of it.
//! Which keys are stale is one.

use std::sync::{Mutex, PoisonError};

use serde::{Deserialize, Serialize};

use super::{
    Action, Behaviour, CheckContext, Decide, EditContext, Edited, Entry, Memory, Parameter, Problem, Promise,
    Stage, Touched,
    feature::{Columns, index_of},
    prediction::{amends, check_rate},
    purpose,
    unfit::{KEYS_OVER_LIMIT, NO_VALUE, NOT_OLD_ENOUGH, TOO_LARGE, UNKNOWN_COLUMN},
};
use crate::{
    draw::UnitHash,
    unit::{Share, Span},
    wire::{Answer, Row, Value},
};

mod past;

use past::Past;

/// Cells of one row that are remembered.
const MOST_CELLS: usize = 1024;
/// Bytes of a text that is remembered.
const LONGEST_TEXT: usize = 1024;
const MOST_KEYS: usize = 1_000_000;

/// Serves the features that a key had some time ago.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct FeatureStale {
    /// How old the features are.
    pub age: Span,
    /// The column that holds the key, such as a user's number; left out, the exposure unit is the key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(extend("type" = super::prediction::SCALAR)))]
    pub key: Option<String>,
    /// The columns that are stale; left out, every column but the key.
    #[serde(default, skip_serializing_if = "Columns::is_every")]
    pub columns: Columns,
    /// Share of the keys whose features are stale.
    #[serde(default = "all")]
    pub rate: Share,
    /// How many keys are remembered, 1 to 1,000,000.
    #[serde(default = "keys")]
    #[cfg_attr(feature = "schema", schemars(range(min = 1, max = 1_000_000)))]
    pub keys: usize,
}

const fn all() -> Share {
    Share::ALL
}

const fn keys() -> usize {
    10_000
}

static ENTRY: Entry = Entry {
    name: "feature-stale",
    summary: "Serves each key the features that it had some time ago.",
    effect: "For a share `rate` of the keys (one draw for each key, so a key is always stale or never) the columns \
             hold what the key's request held at `age` ago: the last row seen at or before then, at most age/8 \
             older. So freshness lag is `age` to 1.125·`age` where a key comes more often than every age/8. A key \
             that was not seen so long ago keeps its features, counted as `not-old-enough`; features that did not \
             change count as unchanged. Memory: `keys` keys of at most 10 rows each, and 2 million cells; the key \
             that was not seen for longest is forgotten first, counted as `keys-over-limit`. A ramp grows the \
             rate. Composes in the order of the list (it remembers what the faults above it left); excludes \
             nothing.",
    parameters: &[
        Parameter {
            name: "age",
            values: "span of time, above 0s",
            default: "none; it is needed",
            meaning: "how old the features are",
        },
        Parameter {
            name: "key",
            values: "name of a column, or index from 0",
            default: "the exposure unit, and the row's place in the batch",
            meaning: "the column that says whose features they are",
        },
        Parameter {
            name: "columns",
            values: "list of names, or indices from 0",
            default: "every column but the key",
            meaning: "the columns that are stale",
        },
        Parameter {
            name: "rate",
            values: "share, above 0% to 100%",
            default: "100%",
            meaning: "how many of the keys are stale",
        },
        Parameter {
            name: "keys",
            values: "1 to 1000000",
            default: "10000",
            meaning: "how many keys are remembered",
        },
    ],
    example: "- fault: { feature-stale: { age: 10s } }",
    seen_by: "Feature freshness (age of the newest event), skew between online and offline features, accuracy on \
              delayed labels.",
    blind: "PSI, KS, null-rate and range monitors: old features have the same distribution as new ones unless \
            the world moves; latency and error monitors.",
};

impl FeatureStale {
    /// The columns, and that of the key.
    fn places(&self, features: &Answer) -> Result<(Vec<usize>, Option<usize>), &'static str> {
        let key = match &self.key {
            Some(name) => Some(index_of(name, features).ok_or(UNKNOWN_COLUMN)?),
            None => None,
        };
        let columns = self.columns.existing(features)?;
        Ok((columns.into_iter().filter(|column| Some(*column) != key).collect(), key))
    }

    fn key(
        &self,
        row: &Row,
        column: Option<usize>,
        index: u32,
        unit: UnitHash,
    ) -> Result<UnitHash, &'static str> {
        let Some(column) = column else {
            let bytes = [unit.get().to_le_bytes(), u64::from(index).to_le_bytes()].concat();
            return Ok(UnitHash::of(&bytes));
        };
        match row.scores.get(column) {
            None | Some(Value::Null) => Err(NO_VALUE),
            Some(Value::Text(text)) => Ok(UnitHash::of(text.as_bytes())),
            Some(value) => Ok(UnitHash::of(value.as_f64().map_or(0, f64::to_bits).to_le_bytes().as_slice())),
        }
    }
}

fn cells(row: &Row, columns: &[usize]) -> Result<Vec<Value>, &'static str> {
    let cells: Option<Vec<&Value>> = columns.iter().map(|column| row.scores.get(*column)).collect();
    let cells = cells.ok_or(UNKNOWN_COLUMN)?;
    let too_long = |value: &&Value| matches!(value, Value::Text(text) if text.len() > LONGEST_TEXT);
    if cells.len() > MOST_CELLS || cells.iter().any(too_long) {
        return Err(TOO_LARGE);
    }
    Ok(cells.into_iter().cloned().collect())
}

impl Behaviour for FeatureStale {
    fn entry() -> &'static Entry {
        &ENTRY
    }

    fn stage(&self) -> Stage {
        Stage::Request
    }

    fn rate(&self) -> Share {
        self.rate
    }

    fn promise(&self) -> Promise {
        Promise::Touch { of: Touched::Keys, share: self.rate.fraction() }
    }

    fn describe(&self) -> String {
        let key = self.key.as_deref().unwrap_or("unit");
        format!("{} of {} old for {} of the keys ({key})", self.age, self.columns, self.rate)
    }

    fn check(&self, _target: &CheckContext<'_>) -> Vec<Problem> {
        let age = self.age.is_zero().then(|| {
            Problem::new("age", "features of 0s ago are not stale")
                .help("give a span of time, such as `age: 10s`")
        });
        let keys = (!(1..=MOST_KEYS).contains(&self.keys))
            .then(|| Problem::new("keys", format!("{} is not between 1 and {MOST_KEYS}", self.keys)));
        check_rate(self.rate).into_iter().chain(age).chain(keys).collect()
    }

    fn memory(&self) -> Memory {
        Memory::of(Mutex::new(Past::new(self.age.duration(), self.keys)))
    }

    fn decide(&self, context: &Decide<'_>) -> Option<Action> {
        amends(self.rate, context)
    }

    fn amend(&self, features: &mut Answer, context: &EditContext<'_>) -> Edited {
        let (columns, key) = match self.places(features) {
            Ok(places) => places,
            Err(unfit) => return Edited { changed: 0, unfit: Some(unfit) },
        };
        let Some(past) = context.memory.get::<Mutex<Past>>() else {
            return Edited { changed: 0, unfit: Some(NOT_OLD_ENOUGH) };
        };
        let mut past = past.lock().unwrap_or_else(PoisonError::into_inner);
        let forgotten = past.forgotten();
        let rate = self.rate.scaled(context.intensity);
        let made_stale = context.each(&mut features.rows).map(|(index, row)| {
            let key = self.key(row, key, index, context.unit)?;
            let now = cells(row, &columns)?;
            let old = past.replace(key, context.since_phase, now);
            if !context.dice.of(key).at(purpose::ACT, 0).within(rate) {
                return Ok(false);
            }
            let old = old.ok_or(NOT_OLD_ENOUGH)?;
            let mut changes = false;
            for (column, value) in columns.iter().zip(old) {
                changes |= !row.scores[*column].is_same(value);
                row.scores[*column].clone_from(value);
            }
            Ok(changes)
        });
        let edited: Edited = made_stale.collect();
        let unfit = if past.forgotten() > forgotten { Some(KEYS_OVER_LIMIT) } else { edited.unfit };
        Edited { unfit, ..edited }
    }
}

#[cfg(test)]
mod tests;

//! What the faults on features share: which cells, one draw for each, and what is learnt of a column.
//!
//! The draws of a cell are those of its row, with the purpose `purpose + 256 · column`: the cells of a row are
//! independent, and adding a column to a request changes no other column's draws. What has to be known of a
//! column (mean, deviation, a quantile) is estimated from the requests that the fault is given, before it
//! changes them, in memory of fixed size; until [`LEAST`] values were seen nothing that depends on it happens.

#[cfg(test)]
pub(super) mod testing;

use std::sync::{Mutex, PoisonError};

use serde::{Deserialize, Serialize};

use super::{
    EditContext, Edited, Fault,
    unfit::{NOT_A_NUMBER, UNKNOWN_COLUMN},
};
use crate::{
    draw::{Dice, Draw},
    unit::Share,
    wire::{Answer, Value},
};

/// Values of a column that must have been seen before an estimate of it is used: the standard error of a
/// deviation is then 7 % of it.
pub(super) const LEAST: u64 = 100;
/// Columns of which something is learnt.
const MOST_COLUMNS: usize = 4096;

/// Columns of the features, by name or by index from 0; none stands for every column.
///
/// ```
/// use canard::fault::Fault;
/// let fault: Fault = serde_json::from_str(r#"{ "feature-zero": { "columns": ["age", "3"], "rate": "5%" } }"#)?;
/// assert_eq!(fault.describe(), "5% of age, 3 set to 0");
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Columns(Vec<String>);

#[cfg(feature = "schema")]
impl schemars::JsonSchema for Columns {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Columns".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "type": "array", "minItems": 1, "uniqueItems": true, "items": { "type": ["string", "integer"] },
            "description": "Columns of the features, by name or by index from 0.",
        })
    }
}

impl std::fmt::Display for Columns {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.0.is_empty() { f.write_str("every column") } else { f.write_str(&self.0.join(", ")) }
    }
}

impl Columns {
    #[cfg(test)]
    pub(super) fn of<const N: usize>(names: [&str; N]) -> Columns {
        Columns(names.map(str::to_owned).to_vec())
    }

    /// Are they every column?
    pub(super) fn is_every(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn names(&self) -> &[String] {
        &self.0
    }

    /// Could a cell be in both?
    pub(super) fn overlap(&self, other: &Columns) -> bool {
        self.is_every() || other.is_every() || self.0.iter().any(|name| other.0.contains(name))
    }

    /// Their indices, if there are all of them.
    pub(super) fn existing(&self, features: &Answer) -> Result<Vec<usize>, &'static str> {
        let (indices, unfit) = self.indices(features);
        unfit.map_or(Ok(indices), Err)
    }

    /// Their indices. With some that there are not, those that there are, and an error.
    fn indices(&self, features: &Answer) -> (Vec<usize>, Option<&'static str>) {
        if self.is_every() {
            return ((0..width(features)).collect(), None);
        }
        let found: Vec<usize> = self.0.iter().filter_map(|name| index_of(name, features)).collect();
        let missing = found.len() < self.0.len();
        (found, missing.then_some(UNKNOWN_COLUMN))
    }
}

fn width(features: &Answer) -> usize {
    features.rows.iter().map(|row| row.scores.len()).max().unwrap_or(0)
}

/// The index of a column: of its name, or the number that it is written as.
pub(super) fn index_of(name: &str, features: &Answer) -> Option<usize> {
    let named = features.columns.iter().position(|column| column == name);
    named.or_else(|| name.parse().ok().filter(|index| *index < width(features)))
}

/// One cell that the fault acts on.
#[derive(Debug)]
pub(super) struct Cell<'a> {
    pub(super) value: &'a mut Value,
    /// Index of the column.
    pub(super) column: usize,
    /// Index of the row.
    pub(super) row: usize,
    /// Is it one of integers, as the wire declares it?
    pub(super) whole: bool,
    dice: Dice,
    index: u32,
}

impl Cell<'_> {
    pub(super) fn draw(&self, purpose: u32) -> Draw {
        self.dice.at(of_column(purpose, self.column), self.index)
    }

    /// Its number.
    pub(super) fn number(&self) -> Result<f64, &'static str> {
        self.value.as_f64().filter(|number| number.is_finite()).ok_or(NOT_A_NUMBER)
    }

    /// Makes it another number, whole where it has to be; `false` if it is the same.
    pub(super) fn set(&mut self, number: f64) -> Result<bool, &'static str> {
        let number = if self.whole { number.round() } else { number };
        let is_whole = matches!(self.value, Value::Int(_)) && number.fract() == 0.0 && number.abs() < 1e15;
        let new = if is_whole { Value::Int(number as i64) } else { Value::Float(number) };
        Ok(self.replace(new))
    }

    /// Makes it another value; `false` if it is the same.
    pub(super) fn replace(&mut self, new: Value) -> bool {
        let changes = !self.value.is_same(&new);
        *self.value = new;
        changes
    }
}

pub(super) fn of_column(purpose: u32, column: usize) -> u32 {
    purpose.wrapping_add((column as u32).wrapping_mul(256))
}

/// Lets `change` have each cell that `rate` admits of the columns; a row counts as changed with its first cell.
pub(super) fn amend_cells(
    features: &mut Answer,
    columns: &Columns,
    rate: Share,
    context: &EditContext<'_>,
    mut change: impl FnMut(Cell<'_>) -> Result<bool, &'static str>,
) -> Edited {
    let (indices, mut unfit) = columns.indices(features);
    let whole =
        features.declared.as_ref().is_some_and(|d| d.datatype.trim_start_matches('U').starts_with("INT"));
    let mut changed = 0;
    for (index, row) in context.each(&mut features.rows) {
        let place = index as usize - context.offset.min(index as usize);
        let mut row_changed = false;
        for &column in &indices {
            if !context.dice.at(of_column(super::purpose::ACT, column), index).within(rate) {
                continue;
            }
            let outcome = match row.scores.get_mut(column) {
                Some(value) => change(Cell { value, column, row: place, whole, dice: context.dice, index }),
                None => Err(UNKNOWN_COLUMN),
            };
            row_changed |= outcome == Ok(true);
            unfit = unfit.or(outcome.err());
        }
        changed += usize::from(row_changed);
    }
    Edited { changed, unfit }
}

/// What is learnt of each column, while the fault is armed.
#[derive(Debug)]
pub(super) struct Learnt<T>(Mutex<Vec<T>>);

impl<T: Clone> Learnt<T> {
    pub(super) const fn new() -> Learnt<T> {
        Learnt(Mutex::new(Vec::new()))
    }

    /// Records the numbers of every column of a request; returns what is known now, by column.
    pub(super) fn record(
        &self,
        features: &Answer,
        new: impl Fn() -> T,
        record: impl Fn(&mut T, f64),
    ) -> Vec<T> {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let columns = width(features).min(MOST_COLUMNS);
        if known.len() < columns {
            known.resize_with(columns, new);
        }
        for row in &features.rows {
            let numbers = row.scores.iter().zip(known.iter_mut());
            numbers
                .filter_map(|(value, known)| Some((value.as_f64()?, known)))
                .for_each(|(x, k)| record(k, x));
        }
        known.clone()
    }
}

/// Why a fault that writes its own values can't act on the columns of another such.
pub(super) fn excludes(columns: &Columns, other: &Fault) -> Option<&'static str> {
    let theirs = match other {
        Fault::FeatureMissing(fault) => &fault.columns,
        Fault::FeatureZero(fault) => &fault.columns,
        Fault::FeatureCategory(fault) => &fault.columns,
        Fault::FeatureOod(fault) => &fault.columns,
        _ => return None,
    };
    columns.overlap(theirs).then_some(
        "both write values of their own into the same columns, so the second would undo some of the first",
    )
}

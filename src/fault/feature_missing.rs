//! Feature missing: cells that nobody filled in.
//!
//! Why a value is missing matters more than how often (Rubin, *Biometrika* 63, 1976): completely at random
//! (MCAR) it costs precision; depending on another column (MAR) it shifts what is left of a group; depending
//! on itself (MNAR: the highest incomes are not told) it shifts the column in a way that the data can't show.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{
    Action, Behaviour, CheckContext, Decide, EditContext, Edited, Entry, Fault, Memory, Parameter, Problem,
    Promise, Stage, Touched,
    feature::{Cell, Columns, LEAST, Learnt, amend_cells, excludes, index_of},
    prediction::{amends, check_rate},
    unfit::{NOT_A_NUMBER, STILL_LEARNING, UNKNOWN_COLUMN},
};
use crate::{
    stats::P2,
    unit::Share,
    wire::{Answer, Row, Value},
};

/// How a missing value is written.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Missing {
    /// `null`.
    #[default]
    Null,
    /// Not a number.
    Nan,
    /// An empty text.
    Empty,
    /// A number that stands for nothing, such as -999.
    Sentinel(f64),
}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Missing::Null => f.write_str("null"),
            Missing::Nan => f.write_str("NaN"),
            Missing::Empty => f.write_str("empty text"),
            Missing::Sentinel(number) => write!(f, "{number}"),
        }
    }
}

/// The value that decides whether another is missing. Exactly one of the limits is given.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Depends {
    /// The column whose value decides; left out, the cell's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(extend("type" = super::prediction::SCALAR)))]
    pub column: Option<String>,
    /// It is above this number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub above: Option<f64>,
    /// It is below this number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub below: Option<f64>,
    /// It is above this quantile of its column, estimated from the traffic.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub above_quantile: Option<Share>,
    /// It is below this quantile of its column, estimated from the traffic.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub below_quantile: Option<Share>,
}

impl Depends {
    fn quantile(&self) -> Option<Share> {
        self.above_quantile.or(self.below_quantile)
    }

    fn is_above(&self) -> bool {
        self.above.or(self.above_quantile.map(Share::fraction)).is_some()
    }

    fn limits(&self) -> usize {
        let quantiles = [self.above_quantile, self.below_quantile].into_iter().flatten().count();
        quantiles + [self.above, self.below].into_iter().flatten().count()
    }
}

/// Leaves features out.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct FeatureMissing {
    /// Share of the cells that are missing, of those to which `given` applies.
    pub rate: Share,
    /// The columns; left out, every column.
    #[serde(default, skip_serializing_if = "Columns::is_every")]
    pub columns: Columns,
    /// How a missing value is written.
    #[serde(default)]
    pub with: Missing,
    /// Missing not completely at random: only where this holds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub given: Option<Depends>,
}

static ENTRY: Entry = Entry {
    name: "feature-missing",
    summary: "Leaves features of requests out: completely at random, at random, or not at random.",
    effect: "Each cell of the columns is missing with probability `rate`, one draw for each cell (MCAR). With \
             `given` only where the value of another column (MAR) or the cell's own (MNAR) is above or below a \
             limit (Rubin 1976): the share of missing cells is then rate·P(limit holds), with a quantile q \
             rate·(1 − q) above and rate·q below it, within 0.03·rate. A quantile is the P² estimate (Jain, \
             Chlamtac 1985) from the treated requests of this process, so which cells are near it depends on the \
             order of arrival; until 100 values were seen nothing is missing (`still-learning`). A ramp grows \
             the rate. Acts on what the faults above it in the phase left; excludes other faults that write \
             values of their own into the same columns (feature-zero, -category, -ood).",
    parameters: &[
        Parameter {
            name: "rate",
            values: "share, above 0% to 100%",
            default: "none; it is needed",
            meaning: "how many of the cells are missing, of those to which `given` applies",
        },
        Parameter {
            name: "columns",
            values: "list of names, or indices from 0",
            default: "every column",
            meaning: "the columns that lose values",
        },
        Parameter {
            name: "with",
            values: "null | nan | empty | { sentinel: number }",
            default: "null",
            meaning: "how a missing value is written; a tensor of numbers has no null and no empty text \
                      (`unwritable`)",
        },
        Parameter {
            name: "given",
            values: "{ column, above | below: number, above-quantile | below-quantile: share }, one limit",
            default: "none: completely at random",
            meaning: "only where this column's value is beyond the limit; without `column`, the cell's own",
        },
    ],
    example: "- fault: { feature-missing: { columns: [2], rate: 80%, with: nan, given: { above-quantile: 75% } } }",
    seen_by: "Null rate of the feature (share of the sentinel), schema checks, PSI and KS of what is left; the \
              model's own confidence and its distribution of predictions.",
    blind: "Latency and error monitors where the model imputes in silence; null-rate monitors when a sentinel \
            is a legal number; that it is not at random shows in no monitor of this column alone.",
};

impl FeatureMissing {
    fn value(&self) -> Value {
        match self.with {
            Missing::Null => Value::Null,
            Missing::Nan => Value::Float(f64::NAN),
            Missing::Empty => Value::Text(String::new()),
            Missing::Sentinel(number) if number.fract() == 0.0 && number.abs() < 1e15 => {
                Value::Int(number as i64)
            }
            Missing::Sentinel(number) => Value::Float(number),
        }
    }

    fn write(&self, mut cell: Cell<'_>) -> bool {
        match (&self.with, &*cell.value) {
            (Missing::Sentinel(number), Value::Float(_)) => cell.replace(Value::Float(*number)),
            (Missing::Sentinel(_), Value::Null) => false,
            (Missing::Sentinel(number), Value::Text(_)) => cell.replace(Value::Text(number.to_string())),
            _ => cell.replace(self.value()),
        }
    }
}

/// Where the limit lies.
struct Verdicts<'a> {
    depends: &'a Depends,
    /// By column.
    quantiles: Vec<P2>,
}

impl Verdicts<'_> {
    fn holds(&self, value: &Value, column: usize) -> Result<bool, &'static str> {
        let number = value.as_f64().filter(|x| !x.is_nan()).ok_or(NOT_A_NUMBER)?;
        let limit = match self.depends.quantile() {
            Some(_) => {
                let known = self.quantiles.get(column).filter(|known| known.count() >= LEAST);
                known.and_then(P2::estimate).ok_or(STILL_LEARNING)?
            }
            None => self.depends.above.or(self.depends.below).ok_or(NOT_A_NUMBER)?,
        };
        Ok(if self.depends.is_above() { number > limit } else { number < limit })
    }
}

impl Behaviour for FeatureMissing {
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
        let beyond = match &self.given {
            None => 1.0,
            Some(given) => match given.quantile().map(Share::fraction) {
                Some(quantile) if given.is_above() => 1.0 - quantile,
                Some(quantile) => quantile,
                None => {
                    return Promise::Unknown {
                        because: "how many values are beyond the limit depends on the traffic",
                    };
                }
            },
        };
        Promise::Touch { of: Touched::Cells, share: self.rate.fraction() * beyond }
    }

    fn describe(&self) -> String {
        let mut text = format!("{} of {} missing as {}", self.rate, self.columns, self.with);
        if let Some(depends) = &self.given {
            let column = depends.column.as_deref().unwrap_or("its own value");
            let side = if depends.is_above() { "above" } else { "below" };
            let limit = depends.quantile().map(|q| format!("the {q} quantile"));
            let limit = limit.or(depends.above.or(depends.below).map(|x| x.to_string())).unwrap_or_default();
            text += &format!(" where {column} is {side} {limit}");
        }
        text
    }

    fn check(&self, _target: &CheckContext<'_>) -> Vec<Problem> {
        let limits = self.given.as_ref().filter(|given| given.limits() != 1).map(|given| {
            let help = "write one of `above`, `below`, `above-quantile` and `below-quantile`";
            Problem::new("given", format!("one limit decides, not {}", given.limits())).help(help)
        });
        let quantile = self.given.as_ref().and_then(Depends::quantile);
        let extreme = quantile.filter(|q| !(0.01..=0.99).contains(&q.fraction())).map(|q| {
            Problem::new("given", format!("the {q} quantile can't be estimated"))
                .help("give 1% to 99%, or a number")
        });
        let sentinel = matches!(self.with, Missing::Sentinel(number) if !number.is_finite()).then(|| {
            Problem::new("with", "a sentinel is a finite number").help("write `with: nan` for not-a-number")
        });
        check_rate(self.rate).into_iter().chain(limits).chain(extreme).chain(sentinel).collect()
    }

    fn excludes(&self, other: &Fault) -> Option<&'static str> {
        excludes(&self.columns, other)
    }

    fn memory(&self) -> Memory {
        Memory::of(Learnt::<P2>::new())
    }

    fn decide(&self, context: &Decide<'_>) -> Option<Action> {
        amends(self.rate, context)
    }

    fn amend(&self, features: &mut Answer, context: &EditContext<'_>) -> Edited {
        let rate = self.rate.scaled(context.intensity);
        let Some(depends) = &self.given else {
            return amend_cells(features, &self.columns, rate, context, |cell| Ok(self.write(cell)));
        };
        let column = match &depends.column {
            Some(name) => match index_of(name, features) {
                Some(column) => Some(column),
                None => return Edited { changed: 0, unfit: Some(UNKNOWN_COLUMN) },
            },
            None => None,
        };
        let learnt = context.memory.get::<Learnt<P2>>().zip(depends.quantile());
        let quantiles =
            learnt.map(|(learnt, q)| learnt.record(features, || P2::new(q.fraction()), P2::record));
        let verdicts = Verdicts { depends, quantiles: quantiles.unwrap_or_default() };
        // Cells may decide about each other, so what decides is what came.
        let deciders: Option<Vec<Value>> = column.map(|column| {
            let cell = |row: &Row| row.scores.get(column).cloned().unwrap_or(Value::Null);
            features.rows.iter().map(cell).collect()
        });
        amend_cells(features, &self.columns, rate, context, |cell| {
            let decider = deciders.as_ref().and_then(|deciders| deciders.get(cell.row));
            let holds = verdicts.holds(decider.unwrap_or(cell.value), column.unwrap_or(cell.column))?;
            Ok(holds && self.write(cell))
        })
    }
}

#[cfg(test)]
mod tests;

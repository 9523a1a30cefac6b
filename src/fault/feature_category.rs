//! Feature category: a categorical feature with another mix of categories, or one that was never seen.
//!
//! A campaign that brings other users, an enumeration that was renamed upstream, a new country. With shares,
//! the replaced cells follow them exactly, whatever they were before.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{
    Action, Behaviour, CheckContext, Decide, EditContext, Edited, Entry, Fault, Parameter, Problem, Stage,
    feature::{Columns, amend_cells, excludes},
    prediction::{amends, check_rate},
    purpose,
    unfit::{NO_VALUE, UNKNOWN_CATEGORY},
};
use crate::{
    unit::Share,
    wire::{Answer, Value},
};

/// Gives a categorical feature other categories. Exactly one of `shares` and `unseen` is given.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct FeatureCategory {
    /// The columns.
    pub columns: Columns,
    /// Share of the cells that are replaced.
    #[serde(default = "all")]
    pub rate: Share,
    /// The shares of the categories among the replaced cells, 100% in all.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub shares: BTreeMap<String, Share>,
    /// A category that the model never saw; each replaced cell holds it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(extend("type" = super::prediction::SCALAR)))]
    pub unseen: Option<String>,
}

const fn all() -> Share {
    Share::ALL
}

static ENTRY: Entry = Entry {
    name: "feature-category",
    summary: "Gives a categorical feature of requests another mix of categories, or an unseen one.",
    effect: "Each cell of the columns is replaced with probability `rate`, one draw for each cell, by a category \
             drawn from `shares` s (the first, in the order of their names as bytes, whose cumulated share passes \
             the draw) or by `unseen`. The marginal q becomes (1 − rate)·q + rate·s, at 100% exactly s: the \
             distance that a χ² or PSI monitor sees is rate·TV(q, s) in total variation. Texts, whole numbers and \
             truth values take a category that can be written like them; others are counted as \
             `unknown-category`. A ramp grows the rate. Acts on what the faults above it in the phase left; \
             excludes other faults that write values of their own into the same columns (feature-missing, -zero, \
             -ood).",
    parameters: &[
        Parameter {
            name: "columns",
            values: "list of names, or indices from 0",
            default: "none; it is needed",
            meaning: "the columns",
        },
        Parameter {
            name: "rate",
            values: "share, above 0% to 100%",
            default: "100%",
            meaning: "how many of the cells are replaced",
        },
        Parameter {
            name: "shares",
            values: "for each category a share, 100% in all: { de: 70%, at: 30% }",
            default: "none; either `shares` or `unseen` is needed",
            meaning: "the mix of the replaced cells",
        },
        Parameter {
            name: "unseen",
            values: "text, whole number or truth value",
            default: "none",
            meaning: "a category that the model never saw",
        },
    ],
    example: "- fault: { feature-category: { columns: [country], shares: { de: 70%, at: 30% }, rate: 60% } }",
    seen_by: "χ² and PSI of the feature, count of unseen categories, schema checks with enumerations.",
    blind: "Null-rate, latency and error monitors where the model maps the unknown to a default; monitors of \
            numeric features only.",
};

impl FeatureCategory {
    /// The category at a point between 0 and 1.
    fn category(&self, point: f64) -> Option<&str> {
        if let Some(unseen) = &self.unseen {
            return Some(unseen);
        }
        let mut passed = 0.0;
        let mut last = None;
        for (name, share) in self.shares.iter().filter(|(_, share)| **share > Share::NONE) {
            passed += share.fraction();
            last = Some(name.as_str());
            if point < passed {
                break;
            }
        }
        last
    }
}

/// A category, written as the value that stands in its place is.
fn like(value: &Value, category: &str) -> Result<Value, &'static str> {
    let whole = || category.parse::<i64>().map_err(|_| UNKNOWN_CATEGORY);
    match value {
        Value::Text(_) => Ok(Value::Text(category.to_owned())),
        Value::Bool(_) => category.parse().map(Value::Bool).map_err(|_| UNKNOWN_CATEGORY),
        Value::Int(_) => whole().map(Value::Int),
        Value::Float(_) => whole().map(|number| Value::Float(number as f64)),
        Value::Null => Err(NO_VALUE),
    }
}

impl Behaviour for FeatureCategory {
    fn entry() -> &'static Entry {
        &ENTRY
    }

    fn stage(&self) -> Stage {
        Stage::Request
    }

    fn rate(&self) -> Share {
        self.rate
    }

    fn describe(&self) -> String {
        let what = match &self.unseen {
            Some(unseen) => format!("replaced by unseen {unseen}"),
            None => {
                let shares = self.shares.iter().map(|(name, share)| format!("{share} {name}"));
                format!("replaced by {}", shares.collect::<Vec<_>>().join(", "))
            }
        };
        format!("{} of {} {what}", self.rate, self.columns)
    }

    fn check(&self, _target: &CheckContext<'_>) -> Vec<Problem> {
        let mut problems: Vec<Problem> = check_rate(self.rate).into_iter().collect();
        if self.columns.is_every() {
            let help = "a category belongs to a column: name it, such as `columns: [country]`";
            problems.push(Problem::new("columns", "no column is named").help(help));
        }
        if self.shares.is_empty() != self.unseen.is_some() {
            let help = "write `shares: { a: 70%, b: 30% }`, or `unseen: other`";
            problems
                .push(Problem::new("", "either `shares` or `unseen` says what the cells become").help(help));
        }
        let total: f64 = self.shares.values().map(|share| share.fraction()).sum();
        if !self.shares.is_empty() && (total - 1.0).abs() > 1e-6 {
            let percent = (total * 1e6).round() / 1e4;
            problems.push(Problem::new("shares", format!("the shares are {percent}% in all, not 100%")));
        }
        problems
    }

    fn excludes(&self, other: &Fault) -> Option<&'static str> {
        excludes(&self.columns, other)
    }

    fn decide(&self, context: &Decide<'_>) -> Option<Action> {
        amends(self.rate, context)
    }

    fn amend(&self, features: &mut Answer, context: &EditContext<'_>) -> Edited {
        let rate = self.rate.scaled(context.intensity);
        amend_cells(features, &self.columns, rate, context, |mut cell| {
            let category = self.category(cell.draw(purpose::SIZE).uniform()).ok_or(UNKNOWN_CATEGORY)?;
            let new = like(cell.value, category)?;
            Ok(cell.replace(new))
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{
        fault::{
            feature::testing::{amend, texts},
            testing::{assert_page, assert_rate, problems},
        },
        wire::{Labels, Row},
    };

    fn fault(yaml: &str) -> FeatureCategory {
        serde_saphyr::from_str(yaml).unwrap()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]
        #[test]
        fn the_marginal_becomes_the_promised_one(seed: u64, rate in 0.01..=1.0, ramp in 0.1..=1.0, a in 0.05..0.95) {
            let share = |x| Share::new(x).unwrap();
            let fault = FeatureCategory {
                columns: Columns::of(["c"]), rate: share(rate),
                shares: [("a".to_owned(), share(a)), ("b".to_owned(), share(1.0 - a))].into(), unseen: None,
            };
            let mut rows = texts("c", (0..5000).map(|_| "old".to_owned()));
            let changed = amend(&fault, &mut rows, seed, ramp).changed;
            assert_rate(changed, 5000, rate * ramp);
            let count = |name: &str| rows.rows.iter().filter(|row| row.scores[0] == Value::Text(name.into())).count();
            prop_assert_eq!(count("a") + count("b"), changed);
            if changed > 0 {
                assert_rate(count("a"), changed, a);
            }
        }
    }

    #[test]
    fn a_category_is_written_like_what_it_replaces() {
        let one = |fault: &FeatureCategory, value| {
            let mut one = Answer::of_rows(vec![Row { label: None, scores: vec![value] }]);
            let edited = amend(fault, &mut one, 1, 1.0);
            (one.rows[0].scores[0].clone(), edited.unfit)
        };
        let seven = fault("{ columns: [0], unseen: 7 }");
        assert_eq!(one(&seven, Value::Int(1)), (Value::Int(7), None));
        assert_eq!(one(&seven, Value::Float(1.0)), (Value::Float(7.0), None));
        assert_eq!(one(&seven, Value::Text("x".into())), (Value::Text("7".into()), None));
        assert_eq!(one(&seven, Value::Bool(true)), (Value::Bool(true), Some(UNKNOWN_CATEGORY)));
        assert_eq!(one(&seven, Value::Null), (Value::Null, Some(NO_VALUE)));
        let named = fault("{ columns: [0], unseen: mars }");
        assert_eq!(one(&named, Value::Int(1)), (Value::Int(1), Some(UNKNOWN_CATEGORY)));
    }

    #[test]
    fn settings_that_cannot_be_are_told() {
        assert_page("feature-category");
        for (yaml, message) in [
            ("{ columns: [a] }", "either `shares` or `unseen` says what the cells become"),
            (
                "{ columns: [a], unseen: x, shares: { b: 100% } }",
                "either `shares` or `unseen` says what the cells become",
            ),
            ("{ columns: [a], shares: { b: 90% } }", "the shares are 90% in all, not 100%"),
            ("{ columns: [], unseen: x }", "no column is named"),
        ] {
            assert_eq!(
                problems(&format!("{{ feature-category: {yaml} }}"), &Labels::default()),
                [message],
                "{yaml}"
            );
        }
    }
}

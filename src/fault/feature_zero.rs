//! Feature zero: cells that hold 0, as a default that nobody meant.
//!
//! What a join without a match, a failed lookup with a default or an unset field of a protobuf message looks
//! like: a number that passes every schema check. Missing values that are told as such are `feature-missing`.

use serde::{Deserialize, Serialize};

use super::{
    Action, Behaviour, CheckContext, Decide, EditContext, Edited, Entry, Fault, Parameter, Problem, Stage,
    feature::{Columns, amend_cells, excludes},
    prediction::{amends, check_rate},
    unfit::NOT_A_NUMBER,
};
use crate::{
    unit::Share,
    wire::{Answer, Value},
};

/// Sets features to 0.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct FeatureZero {
    /// Share of the cells that are set.
    pub rate: Share,
    /// The columns; left out, every column.
    #[serde(default, skip_serializing_if = "Columns::is_every")]
    pub columns: Columns,
}

static ENTRY: Entry = Entry {
    name: "feature-zero",
    summary: "Sets features of requests to 0, as a default that nobody meant.",
    effect: "Each cell of the columns is 0 (false) with probability `rate`, one draw for each cell, so the share \
             of zeros of a column with z zeros becomes z + rate·(1 − z) and its mean falls by the factor \
             1 − rate. A cell that is a text or missing stays, counted as `not-a-number`. A ramp grows the rate. \
             Acts on what the faults above it in the phase left; excludes other faults that write values of \
             their own into the same columns (feature-missing, -category, -ood).",
    parameters: &[
        Parameter {
            name: "rate",
            values: "share, above 0% to 100%",
            default: "none; it is needed",
            meaning: "how many of the cells are set",
        },
        Parameter {
            name: "columns",
            values: "list of names, or indices from 0",
            default: "every column",
            meaning: "the columns",
        },
    ],
    example: "- fault: { feature-zero: { columns: [2], rate: 30% } }",
    seen_by: "Share of zeros, PSI and KS of the feature, mean of the feature; drift of the predictions where the \
              model depends on it.",
    blind: "Null-rate, schema and range monitors wherever 0 is a legal value; latency and error monitors.",
};

impl Behaviour for FeatureZero {
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
        format!("{} of {} set to 0", self.rate, self.columns)
    }

    fn check(&self, _target: &CheckContext<'_>) -> Vec<Problem> {
        check_rate(self.rate).into_iter().collect()
    }

    fn excludes(&self, other: &Fault) -> Option<&'static str> {
        excludes(&self.columns, other)
    }

    fn decide(&self, context: &Decide<'_>) -> Option<Action> {
        amends(self.rate, context)
    }

    fn amend(&self, features: &mut Answer, context: &EditContext<'_>) -> Edited {
        let rate = self.rate.scaled(context.intensity);
        amend_cells(features, &self.columns, rate, context, |mut cell| match cell.value {
            Value::Bool(_) => Ok(cell.replace(Value::Bool(false))),
            Value::Int(_) => Ok(cell.replace(Value::Int(0))),
            Value::Float(x) if *x != 0.0 => Ok(cell.replace(Value::Float(0.0))),
            Value::Float(_) => Ok(false),
            Value::Null | Value::Text(_) => Err(NOT_A_NUMBER),
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::fault::{
        feature::testing::{amend, exclusion, features, numbers},
        testing::{assert_page, assert_rate, problems},
    };

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]
        #[test]
        fn a_share_of_the_cells_is_zero(seed: u64, rate in 0.01..=1.0, ramp in 0.0..=1.0) {
            let fault = FeatureZero { rate: Share::new(rate).unwrap(), columns: Columns::of(["b"]) };
            let n = 4000;
            let mut traffic = features(&["a", "b"], (0..n).map(|i| vec![1.0 + i as f64, 2.0]));
            let changed = amend(&fault, &mut traffic, seed, ramp).changed;
            let zeros = numbers(&traffic, 1).iter().filter(|x| **x == 0.0).count();
            prop_assert_eq!(changed, zeros);
            assert_rate(zeros, n, rate * ramp);
            prop_assert!(numbers(&traffic, 0).iter().all(|x| *x != 0.0));
        }
    }

    #[test]
    fn each_kind_of_value_has_its_zero() {
        let fault = FeatureZero { rate: Share::ALL, columns: Columns::default() };
        let values =
            [Value::Bool(true), Value::Int(3), Value::Float(2.5), Value::Text("x".into()), Value::Null];
        let mut one = Answer::of_rows(vec![crate::wire::Row { label: None, scores: values.to_vec() }]);
        let edited = amend(&fault, &mut one, 1, 1.0);
        assert_eq!(edited, Edited { changed: 1, unfit: Some(NOT_A_NUMBER) });
        let zeros =
            [Value::Bool(false), Value::Int(0), Value::Float(0.0), Value::Text("x".into()), Value::Null];
        assert_eq!(one.rows[0].scores, zeros);
        assert_eq!(amend(&fault, &mut one, 1, 1.0).changed, 0);
    }

    #[test]
    fn a_column_that_is_not_there_is_told() {
        let fault = FeatureZero { rate: Share::ALL, columns: Columns::of(["c", "1"]) };
        let mut traffic = features(&["a", "b"], [vec![1.0, 2.0]]);
        let edited = amend(&fault, &mut traffic, 1, 1.0);
        assert_eq!(edited, Edited { changed: 1, unfit: Some("unknown-column") });
        assert_eq!(numbers(&traffic, 1), [0.0]);
    }

    #[test]
    fn it_says_what_it_does_and_what_it_contradicts() {
        assert_page("feature-zero");
        assert_eq!(
            problems("{ feature-zero: { rate: 0% } }", &Default::default()),
            ["a rate of 0% never acts"]
        );
        let missing = "{ feature-missing: { rate: 5%, columns: [b] } }";
        assert!(exclusion("{ feature-zero: { rate: 5%, columns: [a, b] } }", missing).is_some());
        assert!(exclusion("{ feature-zero: { rate: 5%, columns: [a] } }", missing).is_none());
        assert!(exclusion("{ feature-zero: { rate: 5% } }", missing).is_some());
    }
}

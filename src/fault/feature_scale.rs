//! Feature scale: a number in another unit, x′ = factor·x + offset.
//!
//! Fahrenheit for Celsius, cents for euros, milliseconds for seconds: the best known mistake of a feature
//! pipeline, and one that no type or null check can see.

use serde::{Deserialize, Deserializer, Serialize};

use super::{
    Action, Behaviour, CheckContext, Decide, EditContext, Edited, Entry, Parameter, Problem, Stage,
    feature::{Columns, amend_cells},
    prediction::{amends, check_rate},
};
use crate::{unit::Share, wire::Answer};

const LARGEST: f64 = 1e12;

/// Puts features into another unit.
///
/// ```
/// use canard::fault::Fault;
/// let fault: Fault = serde_json::from_str(r#"{ "feature-scale": { "factor": 1.8, "offset": 32 } }"#)?;
/// assert_eq!(fault.describe(), "×1.8 +32 on 100% of every column");
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct FeatureScale {
    /// What each number is multiplied by, -1e12 to 1e12.
    #[serde(default = "one", deserialize_with = "finite")]
    #[cfg_attr(feature = "schema", schemars(range(min = -1e12, max = 1e12)))]
    pub factor: f64,
    /// What is added then, in the new unit, -1e12 to 1e12.
    #[serde(default, deserialize_with = "finite", skip_serializing_if = "is_zero")]
    #[cfg_attr(feature = "schema", schemars(range(min = -1e12, max = 1e12)))]
    pub offset: f64,
    /// The columns; left out, every column.
    #[serde(default, skip_serializing_if = "Columns::is_every")]
    pub columns: Columns,
    /// Share of the cells that are in the other unit.
    #[serde(default = "all")]
    pub rate: Share,
}

const fn one() -> f64 {
    1.0
}

const fn all() -> Share {
    Share::ALL
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks with a reference")]
fn is_zero(x: &f64) -> bool {
    *x == 0.0
}

fn finite<'de, D: Deserializer<'de>>(from: D) -> Result<f64, D::Error> {
    let number = f64::deserialize(from)?;
    let wrong = || format!("{number} is not possible; it is a number from -1e12 to 1e12");
    if number.abs() <= LARGEST { Ok(number) } else { Err(serde::de::Error::custom(wrong())) }
}

static ENTRY: Entry = Entry {
    name: "feature-scale",
    summary: "Puts features of requests into another unit: ×factor, +offset.",
    effect: "Each cell of the columns becomes factor·x + offset with probability `rate`, one draw for each cell. \
             At 100% the mean becomes factor·μ + offset and the deviation |factor|·σ, exactly. A column that the \
             wire declares as integers is rounded. What is no number stays, counted as `not-a-number`. A ramp \
             grows the rate, not the factor: no unit lies between two units. Composes in the order of the list; \
             excludes nothing.",
    parameters: &[
        Parameter {
            name: "factor",
            values: "number, -1e12 to 1e12",
            default: "1",
            meaning: "what each number is multiplied by (1.8 for °F in place of °C)",
        },
        Parameter {
            name: "offset",
            values: "number, -1e12 to 1e12",
            default: "0",
            meaning: "what is added then (32 for °F in place of °C)",
        },
        Parameter {
            name: "columns",
            values: "list of names, or indices from 0",
            default: "every column",
            meaning: "the columns",
        },
        Parameter {
            name: "rate",
            values: "share, above 0% to 100%",
            default: "100%",
            meaning: "how many of the cells are in the other unit",
        },
    ],
    example: "- fault: { feature-scale: { columns: [0], factor: 2.54 } }",
    seen_by: "PSI, KS and mean of the feature, range checks; drift of the predictions and of their confidence.",
    blind: "Null-rate and schema monitors; monitors that standardise each batch before they look, which a \
            change of unit does not survive.",
};

impl Behaviour for FeatureScale {
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
        let offset = if self.offset == 0.0 { String::new() } else { format!(" {:+}", self.offset) };
        format!("×{}{offset} on {} of {}", self.factor, self.rate, self.columns)
    }

    fn check(&self, _target: &CheckContext<'_>) -> Vec<Problem> {
        let same = (self.factor == 1.0 && self.offset == 0.0).then(|| {
            let help = "give a `factor` other than 1, or an `offset`";
            Problem::new("", "a factor of 1 and no offset change nothing").help(help)
        });
        check_rate(self.rate).into_iter().chain(same).collect()
    }

    fn decide(&self, context: &Decide<'_>) -> Option<Action> {
        amends(self.rate, context)
    }

    fn amend(&self, features: &mut Answer, context: &EditContext<'_>) -> Edited {
        let rate = self.rate.scaled(context.intensity);
        amend_cells(features, &self.columns, rate, context, |mut cell| {
            let number = cell.number()?;
            cell.set(self.factor.mul_add(number, self.offset))
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{
        fault::{
            feature::testing::{amend, features, numbers},
            testing::{assert_page, assert_rate, parse, problems},
        },
        wire::{Declared, Labels, Row, Value},
    };

    fn fault(yaml: &str) -> FeatureScale {
        serde_saphyr::from_str(yaml).unwrap()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]
        #[test]
        fn a_share_of_the_cells_is_in_the_other_unit(
            seed: u64, rate in 0.01..=1.0, factor in -50.0..50.0, offset in -9.0..9.0,
        ) {
            let rate = Share::new(rate).unwrap();
            let fault = FeatureScale { factor, offset, columns: Columns::of(["1"]), rate };
            let n = 3000;
            let mut traffic = features(&[], (0..n).map(|i| vec![7.0, 1e3 + i as f64]));
            let changed = amend(&fault, &mut traffic, seed, 1.0).changed;
            assert_rate(changed, n, rate.fraction());
            for (i, x) in numbers(&traffic, 1).into_iter().enumerate() {
                let before = 1e3 + i as f64;
                prop_assert!(x == before || (x - (factor * before + offset)).abs() < 1e-6);
            }
            prop_assert!(numbers(&traffic, 0).iter().all(|x| *x == 7.0));
        }
    }

    #[test]
    fn integers_stay_integers_where_the_wire_declares_them() {
        let row = || Row { label: None, scores: vec![Value::Int(3)] };
        let fault = fault("{ factor: 1.5 }");
        let mut declared = Answer::of_rows(vec![row()]);
        declared.declared = Some(Declared { shape: vec![1, 1], datatype: "UINT8".into() });
        amend(&fault, &mut declared, 1, 1.0);
        assert_eq!(declared.rows[0].scores, [Value::Int(5)]);
        let mut free = Answer::of_rows(vec![row()]);
        amend(&fault, &mut free, 1, 1.0);
        assert_eq!(free.rows[0].scores, [Value::Float(4.5)]);
    }

    #[test]
    fn settings_that_cannot_be_are_told() {
        let none = Labels::default();
        assert_eq!(problems("{ feature-scale: {} }", &none), ["a factor of 1 and no offset change nothing"]);
        assert_eq!(
            problems("{ feature-scale: { factor: 2, rate: 0% } }", &none),
            ["a rate of 0% never acts"]
        );
        assert!(parse("{ feature-scale: { factor: .inf } }").unwrap_err().contains("-1e12 to 1e12"));
        assert_page("feature-scale");
        let text = Row { label: None, scores: vec![Value::Text("x".into()), Value::Float(f64::NAN)] };
        let edited = amend(&fault("{ factor: 2 }"), &mut Answer::of_rows(vec![text]), 1, 1.0);
        assert_eq!(edited, Edited { changed: 0, unfit: Some("not-a-number") });
    }
}

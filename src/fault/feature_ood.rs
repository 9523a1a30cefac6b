//! Feature out of distribution: numbers that the model never saw in training.
//!
//! A new market, a new camera, a bug that lets impossible values through. A moved cell lies at least so many
//! standard deviations from the mean of its column, or anywhere in a given range.

use serde::{Deserialize, Deserializer, Serialize};

use super::{
    Action, Behaviour, CheckContext, Decide, EditContext, Edited, Entry, Fault, Memory, Parameter, Problem,
    Stage,
    feature::{Columns, Learnt, amend_cells, excludes},
    feature_noise::{moments, sigmas},
    prediction::{amends, check_rate},
    purpose,
};
use crate::{stats::Welford, unit::Share, wire::Answer};

/// To which side a value is moved.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Side {
    /// To the side of the mean on which it lies.
    #[default]
    Either,
    /// Above the mean.
    Above,
    /// Below the mean.
    Below,
}

/// From one number to another.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Bounds {
    /// The lowest.
    pub min: f64,
    /// The highest.
    pub max: f64,
}

/// Moves features out of their distribution. Exactly one of `sigmas` and `range` is given.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct FeatureOod {
    /// Share of the cells that are moved.
    pub rate: Share,
    /// Distance from the mean of the column that a moved cell has at least, in its standard deviations, above 0
    /// to 100.
    #[serde(default, deserialize_with = "distance", skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(range(min = 0.0, max = 100.0)))]
    pub sigmas: Option<f64>,
    /// To which side, with `sigmas`.
    #[serde(default)]
    pub side: Side,
    /// A moved cell is any number of this range, all alike.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub range: Option<Bounds>,
    /// The columns; left out, every column.
    #[serde(default, skip_serializing_if = "Columns::is_every")]
    pub columns: Columns,
}

fn distance<'de, D: Deserializer<'de>>(from: D) -> Result<Option<f64>, D::Error> {
    sigmas(from).map(Some)
}

static ENTRY: Entry = Entry {
    name: "feature-ood",
    summary: "Moves numeric features of requests out of their distribution.",
    effect: "Each cell of the columns is moved with probability `rate`, one draw for each cell. With `sigmas` k it \
             becomes μ ± (k + |x − μ|/σ)·σ: no moved cell is nearer to the mean than k standard deviations, and \
             the order of the moved cells on a side stays. μ and σ are Welford's estimates (1962) for each column \
             from the treated requests of this process, 7% of σ off at the 100 values that they need before \
             anything moves (`still-learning`). With `range` it is uniform in the range; the range is taken as it \
             is, whatever the column's own is. A column of integers is rounded. A ramp grows the rate. Acts on \
             what the faults above it in the phase left; excludes other faults that write values of their own \
             into the same columns (feature-missing, -zero, -category).",
    parameters: &[
        Parameter {
            name: "rate",
            values: "share, above 0% to 100%",
            default: "none; it is needed",
            meaning: "how many of the cells are moved",
        },
        Parameter {
            name: "sigmas",
            values: "standard deviations of the column, above 0 to 100",
            default: "none; either `sigmas` or `range` is needed",
            meaning: "how far from the mean a moved cell is at least",
        },
        Parameter {
            name: "side",
            values: "either | above | below",
            default: "either: the side on which the value lies",
            meaning: "to which side, with `sigmas`",
        },
        Parameter {
            name: "range",
            values: "{ min, max }, numbers with min below max",
            default: "none",
            meaning: "a moved cell is any number of it, all alike",
        },
        Parameter {
            name: "columns",
            values: "list of names, or indices from 0",
            default: "every column",
            meaning: "the columns",
        },
    ],
    example: "- fault: { feature-ood: { rate: 20%, range: { min: 50, max: 90 } } }",
    seen_by: "Range checks, PSI and KS of the feature, out-of-distribution scores, confidence of the predictions.",
    blind: "Null-rate, type, latency and error monitors; quantile bins whose last bin is open (PSI counts how \
            many lie beyond the edge, not how far).",
};

impl Behaviour for FeatureOod {
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
        let to = match (self.sigmas, self.range) {
            (Some(k), _) => format!("at least {k} σ from the mean"),
            (None, Some(Bounds { min, max })) => format!("to {min} … {max}"),
            (None, None) => "nowhere".to_owned(),
        };
        format!("{} of {} moved {to}", self.rate, self.columns)
    }

    fn check(&self, _target: &CheckContext<'_>) -> Vec<Problem> {
        let mut problems: Vec<Problem> = check_rate(self.rate).into_iter().collect();
        match (self.sigmas, self.range) {
            (Some(_), None) => {}
            (None, None) | (Some(_), Some(_)) => {
                let help = "write `sigmas: 6`, or `range: { min: 50, max: 90 }`";
                problems.push(Problem::new("", "either `sigmas` or `range` says where to").help(help));
            }
            (None, Some(Bounds { min, max })) => {
                if !(min.is_finite() && max.is_finite() && min < max) {
                    problems.push(Problem::new("range", format!("{min} to {max} is no range of numbers")));
                }
                if self.side != Side::Either {
                    problems.push(Problem::new("side", "`side` goes with `sigmas`, not with `range`"));
                }
            }
        }
        problems
    }

    fn excludes(&self, other: &Fault) -> Option<&'static str> {
        excludes(&self.columns, other)
    }

    fn memory(&self) -> Memory {
        if self.range.is_some() { Memory::none() } else { Memory::of(Learnt::<Welford>::new()) }
    }

    fn decide(&self, context: &Decide<'_>) -> Option<Action> {
        amends(self.rate, context)
    }

    fn amend(&self, features: &mut Answer, context: &EditContext<'_>) -> Edited {
        let rate = self.rate.scaled(context.intensity);
        let known = moments(None, features, context);
        amend_cells(features, &self.columns, rate, context, |mut cell| {
            let number = cell.number()?;
            if let Some(Bounds { min, max }) = self.range {
                let u = cell.draw(purpose::SIZE).uniform();
                return cell.set(u.mul_add(max - min, min));
            }
            let (mean, sd) = known(cell.column)?;
            let beyond = self.sigmas.unwrap_or_default().mul_add(sd, (number - mean).abs());
            let above = match self.side {
                Side::Above => true,
                Side::Below => false,
                Side::Either => number >= mean,
            };
            cell.set(if above { mean + beyond } else { mean - beyond })
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{
        fault::{
            feature::testing::{amend, exclusion, features, numbers},
            testing::{assert_page, assert_rate, parse, problems},
            unfit::STILL_LEARNING,
        },
        wire::Labels,
    };

    fn traffic(n: usize) -> Answer {
        features(&["x"], (0..n).map(|i| vec![(i * 7919 % 101) as f64]))
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(16))]
        #[test]
        fn a_moved_cell_is_k_deviations_away(seed: u64, k in 2.0..10.0, rate in 0.05..=1.0, side in 0..3) {
            let side = [Side::Either, Side::Above, Side::Below][side as usize];
            let fault = FeatureOod {
                rate: Share::new(rate).unwrap(), sigmas: Some(k), side, range: None, columns: Columns::default(),
            };
            let before = numbers(&traffic(4000), 0);
            let mut rows = traffic(4000);
            let edited = amend(&fault, &mut rows, seed, 1.0);
            prop_assert_eq!(edited.unfit, Some(STILL_LEARNING));
            let (mean, sd) = (50.0, (101.0_f64 * 101.0 - 1.0).sqrt() / 12.0_f64.sqrt());
            let after = numbers(&rows, 0);
            let moved: Vec<f64> = after.iter().zip(&before).skip(80).filter(|(a, b)| a != b).map(|(a, _)| *a).collect();
            assert_rate(moved.len(), 3920, rate);
            for x in moved {
                let distance = (x - mean) / sd;
                prop_assert!(distance.abs() > 0.9 * k - 0.2, "{distance}");
                prop_assert!(side != Side::Above || distance > 0.0);
                prop_assert!(side != Side::Below || distance < 0.0);
            }
        }

        #[test]
        fn a_range_is_filled_evenly(seed: u64, rate in 0.05..=1.0, ramp in 0.1..=1.0) {
            let range = Some(Bounds { min: 1000.0, max: 2000.0 });
            let fault = FeatureOod {
                rate: Share::new(rate).unwrap(), sigmas: None, side: Side::Either, range,
                columns: Columns::default(),
            };
            let mut rows = traffic(4000);
            let changed = amend(&fault, &mut rows, seed, ramp).changed;
            assert_rate(changed, 4000, rate * ramp);
            let moved: Vec<f64> = numbers(&rows, 0).into_iter().filter(|x| *x >= 1000.0).collect();
            prop_assert_eq!(moved.len(), changed);
            prop_assert!(moved.iter().all(|x| *x < 2000.0));
            assert_rate(moved.iter().filter(|x| **x < 1250.0).count(), moved.len(), 0.25);
        }
    }

    #[test]
    fn settings_that_cannot_be_are_told() {
        assert_page("feature-ood");
        for (yaml, message) in [
            ("{ rate: 1% }", "either `sigmas` or `range` says where to"),
            (
                "{ rate: 1%, sigmas: 3, range: { min: 1, max: 2 } }",
                "either `sigmas` or `range` says where to",
            ),
            ("{ rate: 1%, range: { min: 2, max: 1 } }", "2 to 1 is no range of numbers"),
            (
                "{ rate: 1%, side: above, range: { min: 1, max: 2 } }",
                "`side` goes with `sigmas`, not with `range`",
            ),
        ] {
            assert_eq!(
                problems(&format!("{{ feature-ood: {yaml} }}"), &Labels::default()),
                [message],
                "{yaml}"
            );
        }
        assert!(parse("{ feature-ood: { rate: 1%, sigmas: 0 } }").is_err());
        let two = "{ feature-ood: { rate: 1%, sigmas: 3 } }";
        assert!(exclusion(two, "{ feature-zero: { rate: 1% } }").is_some());
        assert!(exclusion(two, "{ feature-noise: { sigmas: 1 } }").is_none());
    }
}

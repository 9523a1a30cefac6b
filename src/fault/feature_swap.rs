//! Feature swap: two columns stand in each other's place.
//!
//! What happens when a producer adds or sorts its columns and the consumer reads them by position. Both
//! columns keep every check that looks at types alone; each shows the other's distribution.

use serde::{Deserialize, Serialize};

use super::{
    Action, Behaviour, CheckContext, Decide, EditContext, Edited, Entry, Parameter, Problem, Promise, Stage,
    Touched,
    feature::{Columns, index_of},
    prediction::{amends, check_rate},
    unfit::UNKNOWN_COLUMN,
};
use crate::{unit::Share, wire::Answer};

/// Exchanges two columns.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct FeatureSwap {
    /// The two columns.
    pub columns: Columns,
    /// Share of the rows in which they are exchanged.
    #[serde(default = "all")]
    pub rate: Share,
}

const fn all() -> Share {
    Share::ALL
}

static ENTRY: Entry = Entry {
    name: "feature-swap",
    summary: "Exchanges two columns of the features of requests.",
    effect: "In a share `rate` of the rows, one draw for each row, the cells of the two columns change places: \
             the distribution of either becomes the mixture (1 − rate)·own + rate·other. Rows in which both hold \
             the same count as unchanged; values that the wire can't carry in the other's place (a text in a \
             tensor of numbers) are counted as `unwritable`. A ramp grows the rate. Composes in the order of the \
             list (what stands above it acts on the columns as they came, what stands below it as they are now); \
             excludes nothing.",
    parameters: &[
        Parameter {
            name: "columns",
            values: "list of two names, or indices from 0",
            default: "none; it is needed",
            meaning: "the two columns",
        },
        Parameter {
            name: "rate",
            values: "share, above 0% to 100%",
            default: "100%",
            meaning: "how many of the rows have them exchanged",
        },
    ],
    example: "- fault: { feature-swap: { columns: [0, 2] } }",
    seen_by: "PSI and KS of both features, range checks, drift of the predictions.",
    blind: "Null-rate and type monitors; any monitor of one feature where the two are distributed alike: only \
            their joint distribution and the labels show that.",
};

impl Behaviour for FeatureSwap {
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
        Promise::Touch { of: Touched::Rows, share: self.rate.fraction() }
    }

    fn describe(&self) -> String {
        format!("{} exchanged in {} of the rows", self.columns.names().join(" and "), self.rate)
    }

    fn check(&self, _target: &CheckContext<'_>) -> Vec<Problem> {
        let two = match self.columns.names() {
            [a, b] if a == b => Some(Problem::new("columns", format!("`{a}` and `{b}` are the same column"))),
            [_, _] => None,
            names => {
                let message = format!("two columns are exchanged, not {}", names.len());
                Some(Problem::new("columns", message).help("write them like `columns: [age, income]`"))
            }
        };
        check_rate(self.rate).into_iter().chain(two).collect()
    }

    fn decide(&self, context: &Decide<'_>) -> Option<Action> {
        amends(self.rate, context)
    }

    fn amend(&self, features: &mut Answer, context: &EditContext<'_>) -> Edited {
        let places: Vec<usize> =
            self.columns.names().iter().filter_map(|name| index_of(name, features)).collect();
        let rate = self.rate.scaled(context.intensity);
        let exchanged = context.chosen(rate, &mut features.rows).map(|(_, row)| match places[..] {
            [a, b] if a.max(b) < row.scores.len() => {
                row.scores.swap(a, b);
                Ok(!row.scores[a].is_same(&row.scores[b]))
            }
            _ => Err(UNKNOWN_COLUMN),
        });
        exchanged.collect()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{
        fault::{
            feature::testing::{amend, features, numbers},
            testing::{assert_page, assert_rate, problems},
        },
        wire::Labels,
    };

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]
        #[test]
        fn a_share_of_the_rows_is_exchanged(seed: u64, rate in 0.01..=1.0, ramp in 0.0..=1.0) {
            let fault = FeatureSwap { columns: Columns::of(["a", "2"]), rate: Share::new(rate).unwrap() };
            let n = 3000;
            let mut traffic = features(&["a", "b", "c"], (0..n).map(|i| vec![f64::from(i), 0.5, -1.0]));
            let changed = amend(&fault, &mut traffic, seed, ramp).changed;
            let exchanged = numbers(&traffic, 0).iter().filter(|x| **x == -1.0).count();
            prop_assert_eq!(changed, exchanged);
            assert_rate(exchanged, n as usize, rate * ramp);
            for (i, (a, c)) in numbers(&traffic, 0).into_iter().zip(numbers(&traffic, 2)).enumerate() {
                prop_assert!((a, c) == (i as f64, -1.0) || (a, c) == (-1.0, i as f64));
            }
        }
    }

    #[test]
    fn what_cannot_be_exchanged_is_told() {
        assert_page("feature-swap");
        let none = Labels::default();
        for (yaml, message) in [
            ("{ feature-swap: { columns: [a] } }", "two columns are exchanged, not 1"),
            ("{ feature-swap: { columns: [a, a] } }", "`a` and `a` are the same column"),
        ] {
            assert_eq!(problems(yaml, &none), [message]);
        }
        let fault = FeatureSwap { columns: Columns::of(["a", "z"]), rate: Share::ALL };
        let edited = amend(&fault, &mut features(&["a", "b"], [vec![1.0, 2.0]]), 1, 1.0);
        assert_eq!(edited, Edited { changed: 0, unfit: Some("unknown-column") });
        let alike = FeatureSwap { columns: Columns::of(["0", "1"]), rate: Share::ALL };
        assert_eq!(amend(&alike, &mut features(&[], [vec![1.0, 1.0]]), 1, 1.0), Edited::default());
    }
}

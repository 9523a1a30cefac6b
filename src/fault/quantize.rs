//! Quantize: scores with few bits, as a model has them that was compressed too far or whose scores were rounded on
//! their way.

use serde::{Deserialize, Deserializer, Serialize};

use super::{
    Action, Behaviour, CheckContext, Decide, EditContext, Edited, Entry, Parameter, Problem, Stage,
    prediction::{check_rate, each, edits},
    score::{probabilities, rewrite},
    unfit::{NO_VALUE, NOT_A_PROBABILITY},
};
use crate::{unit::Share, wire::Answer};

/// Rounds scores to a few bits.
///
/// ```
/// use canard::fault::Fault;
/// let fault: Fault = serde_json::from_str(r#"{ "quantize": { "bits": 4 } }"#)?;
/// assert_eq!(fault.describe(), "scores in 4 bits (16 values) on 100%");
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Quantize {
    /// Bits of a score, 1 to 16.
    #[serde(deserialize_with = "bits")]
    #[cfg_attr(feature = "schema", schemars(range(min = 1, max = 16)))]
    pub bits: u8,
    /// Lowest and highest value of a regression; left out, scores are probabilities, 0 to 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub range: Option<[f64; 2]>,
    /// Share of the predictions that are rounded.
    #[serde(default = "all")]
    pub rate: Share,
}

fn all() -> Share {
    Share::ALL
}

fn bits<'de, D: Deserializer<'de>>(from: D) -> Result<u8, D::Error> {
    let bits = u64::deserialize(from)?;
    match u8::try_from(bits) {
        Ok(bits @ 1..=16) => Ok(bits),
        _ => Err(serde::de::Error::custom(format!(
            "{bits} bits are not possible; it is a whole number from 1 to 16"
        ))),
    }
}

static ENTRY: Entry = Entry {
    name: "quantize",
    summary: "Rounds scores to a few bits.",
    effect: "A score becomes the nearest of 2^bits values that are evenly spread over 0 to 1, or over `range`; one \
             beyond the range becomes its end (uniform affine quantization: Jacob et al., CVPR 2018, eq. 1). There are \
             at most 2^bits distinct scores, and none moves by more than (high − low) / (2·(2^bits − 1)). Scores of \
             one row are rounded each for itself, so their sum may differ from 1 by as much. Labels stay as they are; \
             where the class is told by the highest score alone, ties may change it. A ramp grows the rate.",
    parameters: &[
        Parameter {
            name: "bits",
            values: "1 to 16",
            default: "none; it is needed",
            meaning: "bits of a score: 2^bits distinct values",
        },
        Parameter {
            name: "range",
            values: "two numbers, the lower first: [0, 500]",
            default: "[0, 1], for probabilities alone",
            meaning: "lowest and highest value of a regression",
        },
        Parameter {
            name: "rate",
            values: "share, above 0% to 100%",
            default: "100%",
            meaning: "how many of the predictions are rounded",
        },
    ],
    example: "- fault: { quantize: { bits: 4 } }",
    seen_by: "Count of distinct scores, tie rate, entropy of the scores; Kolmogorov-Smirnov with few bits.",
    blind: "Monitors of labels, accuracy and the mean score; PSI with ten bins above about 5 bits; latency and error \
            monitors.",
};

impl Quantize {
    fn nearest(&self, x: f64, [low, high]: [f64; 2]) -> f64 {
        let steps = f64::from((1_u32 << self.bits) - 1);
        let place = ((x.max(low).min(high) - low) / (high - low) * steps).round();
        low + place / steps * (high - low)
    }
}

impl Behaviour for Quantize {
    fn entry() -> &'static Entry {
        &ENTRY
    }

    fn stage(&self) -> Stage {
        Stage::Prediction
    }

    fn rate(&self) -> Share {
        self.rate
    }

    fn describe(&self) -> String {
        format!("scores in {} bits ({} values) on {}", self.bits, 1_u32 << self.bits, self.rate)
    }

    fn check(&self, _target: &CheckContext<'_>) -> Vec<Problem> {
        let range = self.range.filter(|[low, high]| !(low < high && (high - low).is_finite()));
        let range = range.map(|[low, high]| {
            let help = "write the lower end first, such as `range: [0, 500]`";
            Problem::new("range", format!("there is nothing between {low} and {high}")).help(help)
        });
        [check_rate(self.rate), range].into_iter().flatten().collect()
    }

    fn decide(&self, context: &Decide<'_>) -> Option<Action> {
        edits(self.rate, context)
    }

    fn edit(&self, answer: &mut Answer, context: &EditContext<'_>) -> Edited {
        each(&mut answer.rows, context, |place, row| {
            if !place.acts(self.rate.scaled(context.intensity)) {
                return Ok(false);
            }
            let (before, range) = match self.range {
                Some(range) => {
                    let numbers = row.scores.iter().map(|score| score.as_f64().filter(|x| !x.is_nan()));
                    let numbers = numbers.collect::<Option<Vec<f64>>>().filter(|numbers| !numbers.is_empty());
                    (numbers.ok_or(NO_VALUE)?, range)
                }
                None => (probabilities(row).ok_or(NOT_A_PROBABILITY)?, [0.0, 1.0]),
            };
            let after: Vec<f64> = before.iter().map(|x| self.nearest(*x, range)).collect();
            Ok(rewrite(row, &before, &after))
        })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;
    use crate::{
        fault::testing::{assert_page, assert_rate, edit, edit_one, iris, parse, problems, row},
        wire::{Labels, Value},
    };

    fn fault(yaml: &str) -> Quantize {
        serde_saphyr::from_str(yaml).unwrap()
    }

    proptest! {
        #[test]
        fn there_are_as_many_values_as_the_bits_give(bits in 1_u8..=8, high in 1.0..1e6_f64) {
            for range in [None, Some([-high, high])] as [Option<[f64; 2]>; 2] {
                let fault = Quantize { bits, range, rate: Share::ALL };
                let (low, high) = range.map_or((0.0, 1.0), |[low, high]| (low, high));
                let at = |i: u32| low + f64::from(i) / 4999.0 * (high - low);
                let mut rows: Vec<_> = (0..5000).map(|i| row(None, &[at(i)])).collect();
                edit(&fault, &mut rows, &Labels::default(), 1.0);
                let values: Vec<f64> = rows.iter().map(|row| row.scores[0].as_f64().unwrap()).collect();
                let distinct: BTreeSet<u64> = values.iter().map(|value| value.to_bits()).collect();
                prop_assert_eq!(distinct.len(), 1 << bits);
                let most = (high - low) / f64::from(2 * ((1_u32 << bits) - 1));
                prop_assert!((0..5000).all(|i| (values[i as usize] - at(i)).abs() <= most * (1.0 + 1e-9)));
            }
        }
    }

    #[test]
    fn a_rate_of_the_predictions_is_rounded() {
        let mut rows = vec![row(None, &[0.3, 0.7]); 20_000];
        let changed = edit(&fault("{ bits: 2, rate: 30% }"), &mut rows, &Labels::default(), 0.5);
        assert_rate(changed, 20_000, 0.15);
        let mut rows = [row(None, &[0.3, 0.6, 0.1])];
        assert_eq!(edit(&fault("{ bits: 1 }"), &mut rows, &Labels::default(), 1.0), 1);
        assert_eq!(rows[0], row(None, &[0.0, 1.0, 0.0]));
    }

    #[test]
    fn what_cannot_be_is_told() {
        for yaml in ["{ quantize: { bits: 0 } }", "{ quantize: { bits: 17 } }", "{ quantize: { bits: -1 } }"]
        {
            assert!(parse(yaml).is_err(), "{yaml}");
        }
        let none = Labels::default();
        assert_eq!(
            problems("{ quantize: { bits: 3, range: [5, 5] } }", &none),
            ["there is nothing between 5 and 5"]
        );
        assert_eq!(problems("{ quantize: { bits: 3, rate: 0% } }", &none), ["a rate of 0% never acts"]);
        assert_eq!(edit_one(&fault("{ bits: 3 }"), &row(None, &[7.5]), &none).unfit, Some(NOT_A_PROBABILITY));
        let empty = row(Value::Int(1), &[]);
        assert_eq!(edit_one(&fault("{ bits: 3, range: [0, 9] }"), &empty, &iris()).unfit, Some(NO_VALUE));
    }

    #[test]
    fn it_says_what_it_does() {
        assert_page("quantize");
    }
}

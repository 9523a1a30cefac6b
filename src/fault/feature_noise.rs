//! Feature noise: Gaussian noise on numbers, as many standard deviations as asked for.
//!
//! A failing sensor, a lossy transport, a wrong join that mixes neighbours. The deviation of a column is given,
//! or learnt from the traffic itself, so that one scenario fits columns of any unit.

use serde::{Deserialize, Deserializer, Serialize};

use super::{
    Action, Behaviour, CheckContext, Decide, EditContext, Edited, Entry, Memory, Parameter, Problem, Scales,
    Stage,
    feature::{Columns, LEAST, Learnt, amend_cells},
    prediction::{amends, check_rate},
    purpose,
    unfit::{CONSTANT, STILL_LEARNING},
};
use crate::{
    stats::{Welford, normal_quantile},
    unit::Share,
    wire::Answer,
};

/// Adds Gaussian noise to features.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct FeatureNoise {
    /// Standard deviation of the noise in standard deviations of the column, above 0 to 100; 1 to 5 is usual.
    #[serde(deserialize_with = "sigmas")]
    #[cfg_attr(feature = "schema", schemars(range(min = 0.0, max = 100.0)))]
    pub sigmas: f64,
    /// The standard deviation of the columns, in their own unit; left out, it is learnt for each column.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sd: Option<f64>,
    /// The columns; left out, every column.
    #[serde(default, skip_serializing_if = "Columns::is_every")]
    pub columns: Columns,
    /// Share of the cells that are noisy.
    #[serde(default = "all")]
    pub rate: Share,
}

const fn all() -> Share {
    Share::ALL
}

/// A number of standard deviations.
pub(super) fn sigmas<'de, D: Deserializer<'de>>(from: D) -> Result<f64, D::Error> {
    let sigmas = f64::deserialize(from)?;
    let wrong = || format!("{sigmas} is not possible; it is a number of standard deviations, above 0 to 100");
    if sigmas > 0.0 && sigmas <= 100.0 { Ok(sigmas) } else { Err(serde::de::Error::custom(wrong())) }
}

/// A standard deviation that is none.
pub(super) fn check_deviation(sd: Option<f64>) -> Option<Problem> {
    let wrong = sd.filter(|sd| !(*sd > 0.0 && sd.is_finite()));
    wrong.map(|sd| Problem::new("sd", format!("{sd} is no standard deviation")).help("give a number above 0"))
}

static ENTRY: Entry = Entry {
    name: "feature-noise",
    summary: "Adds Gaussian noise to numeric features of requests.",
    effect: "Each cell of the columns becomes x + sigmas·σ·z with probability `rate`, where z is the standard \
             normal quantile of the cell's own draw (never beyond ±8.3). At 100% the deviation of the column \
             becomes σ·√(1 + sigmas²) and its correlation with the truth 1/√(1 + sigmas²); the mean stays. σ is \
             `sd`, or Welford's estimate (1962) for each column from the treated requests of this process: 7% off \
             at the 100 values that it needs before it acts (`still-learning`), 1% at 5,000. A column that never \
             moves has no σ (`constant`). A column of integers is rounded. A ramp grows sigmas, not the rate. \
             Composes in the order of the list (two noises add up as variances); excludes nothing.",
    parameters: &[
        Parameter {
            name: "sigmas",
            values: "standard deviations of the column, above 0 to 100; 1 to 5 is usual",
            default: "none; it is needed",
            meaning: "how large the noise is",
        },
        Parameter {
            name: "sd",
            values: "number above 0, in the unit of the column",
            default: "learnt for each column from the traffic",
            meaning: "one standard deviation",
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
            meaning: "how many of the cells are noisy",
        },
    ],
    example: "- fault: { feature-noise: { sigmas: 2, rate: 50% } }",
    seen_by: "PSI and KS of the feature, its standard deviation, range checks; confidence and entropy of the \
              predictions; accuracy on delayed labels.",
    blind: "Monitors of the feature's mean, null-rate and type monitors, latency and error monitors.",
};

impl Behaviour for FeatureNoise {
    fn entry() -> &'static Entry {
        &ENTRY
    }

    fn stage(&self) -> Stage {
        Stage::Request
    }

    fn rate(&self) -> Share {
        self.rate
    }

    fn scales(&self) -> Scales {
        Scales::Size
    }

    fn describe(&self) -> String {
        format!("{} σ of noise on {} of {}", self.sigmas, self.rate, self.columns)
    }

    fn check(&self, _target: &CheckContext<'_>) -> Vec<Problem> {
        [check_rate(self.rate), check_deviation(self.sd)].into_iter().flatten().collect()
    }

    fn memory(&self) -> Memory {
        Memory::of(Learnt::<Welford>::new())
    }

    fn decide(&self, context: &Decide<'_>) -> Option<Action> {
        amends(self.rate, context)
    }

    fn amend(&self, features: &mut Answer, context: &EditContext<'_>) -> Edited {
        let known = moments(self.sd, features, context);
        let sigmas = self.sigmas * context.intensity;
        amend_cells(features, &self.columns, self.rate, context, |mut cell| {
            let number = cell.number()?;
            let (_, sd) = known(cell.column)?;
            let z = normal_quantile(cell.draw(purpose::SIZE).uniform());
            cell.set((sigmas * sd).mul_add(z, number))
        })
    }
}

/// Mean and deviation of a column: the learnt ones, or the deviation that was given.
pub(super) fn moments(
    sd: Option<f64>,
    features: &Answer,
    context: &EditContext<'_>,
) -> impl Fn(usize) -> Result<(f64, f64), &'static str> + use<> {
    let learnt = context.memory.get::<Learnt<Welford>>();
    let known =
        learnt.map(|learnt| learnt.record(features, Welford::default, Welford::record)).unwrap_or_default();
    move |column| {
        let moments = known.get(column).filter(|known| known.count() >= LEAST);
        if let Some(sd) = sd {
            return Ok((moments.map_or(f64::NAN, Welford::mean), sd));
        }
        let moments = moments.ok_or(STILL_LEARNING)?;
        let deviation = moments.deviation().filter(|sd| *sd > 0.0).ok_or(CONSTANT)?;
        Ok((moments.mean(), deviation))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{
        draw::{Key, UnitHash},
        fault::{
            feature::testing::{amend, features, numbers},
            testing::{assert_page, assert_rate, parse, problems},
        },
        wire::Labels,
    };

    const N: usize = 6000;

    fn gaussian(seed: u64, mean: f64, sd: f64) -> Vec<f64> {
        let draw = |i| Key::new(seed, "traffic").draw(UnitHash::from_u64(i), 0).uniform();
        (0..N as u64).map(|i| mean + sd * normal_quantile(draw(i))).collect()
    }

    fn deviation(numbers: &[f64]) -> f64 {
        let mut moments = Welford::default();
        numbers.iter().for_each(|x| moments.record(*x));
        moments.deviation().unwrap()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(16))]
        #[test]
        fn the_deviation_grows_as_promised(
            seed: u64, sigmas in 1.0..5.0, mean in -50.0..50.0, sd in 0.1..20.0, learn: bool,
        ) {
            let given = (!learn).then_some(sd);
            let fault = FeatureNoise { sigmas, sd: given, columns: Columns::default(), rate: Share::ALL };
            let before = gaussian(seed, mean, sd);
            let mut rows = features(&[], before.iter().map(|x| vec![*x]));
            let changed = amend(&fault, &mut rows, seed, 1.0).changed;
            prop_assert_eq!(changed, if learn { N - 80 } else { N });
            let after = numbers(&rows, 0);
            // The first requests are not noisy, and estimates are rough at first.
            let (before, after) = (&before[1000..], &after[1000..]);
            let growth = deviation(after) / sd;
            let promised = (1.0 + sigmas * sigmas).sqrt();
            prop_assert!((growth / promised - 1.0).abs() < 0.1, "{growth} is not {promised}");
            let noise: Vec<f64> = before.iter().zip(after).map(|(b, a)| a - b).collect();
            let shift = noise.iter().sum::<f64>() / noise.len() as f64;
            prop_assert!(shift.abs() < 7.0 * sigmas * sd / 70.0, "{shift}");
        }

        #[test]
        fn a_share_of_the_cells_is_noisy(seed: u64, rate in 0.01..=1.0) {
            let fault = FeatureNoise {
                sigmas: 1.0, sd: Some(1.0), columns: Columns::of(["b"]), rate: Share::new(rate).unwrap(),
            };
            let mut rows = features(&["a", "b"], (0..3000).map(|_| vec![1.0, 1.0]));
            let changed = amend(&fault, &mut rows, seed, 0.5).changed;
            assert_rate(changed, 3000, rate);
            prop_assert_eq!(numbers(&rows, 1).iter().filter(|x| **x != 1.0).count(), changed);
        }
    }

    #[test]
    fn a_column_that_never_moves_has_no_deviation() {
        let fault = FeatureNoise { sigmas: 1.0, sd: None, columns: Columns::default(), rate: Share::ALL };
        let mut rows = features(&[], (0..100).map(|_| vec![1.0]));
        assert_eq!(amend(&fault, &mut rows, 1, 1.0).unfit, Some(STILL_LEARNING));
        let memory = fault.memory();
        crate::fault::feature::testing::amend_with(&fault, &mut rows, 1, 1.0, &memory);
        let edited = crate::fault::feature::testing::amend_with(&fault, &mut rows, 1, 1.0, &memory);
        assert_eq!(edited, Edited { changed: 0, unfit: Some(CONSTANT) });
    }

    #[test]
    fn settings_that_cannot_be_are_told() {
        assert_page("feature-noise");
        for sigmas in ["0", "-1", "101", ".nan"] {
            let error = parse(&format!("{{ feature-noise: {{ sigmas: {sigmas} }} }}")).unwrap_err();
            assert!(error.contains("a number of standard deviations, above 0 to 100"), "{error}");
        }
        let wrong = problems("{ feature-noise: { sigmas: 1, sd: -2, rate: 0% } }", &Labels::default());
        assert_eq!(wrong, ["a rate of 0% never acts", "-2 is no standard deviation"]);
    }
}

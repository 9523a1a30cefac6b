//! Miscalibrate: probabilities that say more, or less, than they know.
//!
//! Temperature in reverse: p′ ∝ p^{1/T}. The order of the scores stays, so the predicted class and with it accuracy are
//! as they were; only a monitor of calibration, or of the scores themselves, can tell.

use std::sync::{Mutex, PoisonError};

use serde::{Deserialize, Deserializer, Serialize};

use super::{
    Action, Behaviour, CheckContext, Decide, EditContext, Edited, Entry, Members, Memory, Parameter, Problem,
    Promise, Scales, Stage,
    estimate::{ENOUGH, Recent},
    prediction::{each, edits},
    score::{probabilities, rewrite},
    unfit::{NOT_A_PROBABILITY, OUT_OF_REACH, STILL_LEARNING},
};
use crate::{
    unit::Share,
    wire::{Answer, Labels, Row},
};

/// Temperatures that are told apart from certainty and from a coin.
const TEMPERATURES: std::ops::RangeInclusive<f64> = 0.05..=20.0;
/// Rows from which the temperature for a wanted ECE is found.
const KEPT: usize = 2000;
/// Scores of a row that count there, the highest ones.
const HIGHEST: usize = 8;

/// Which way probabilities are wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Confidence {
    /// The model says that it is surer than it is.
    #[default]
    Over,
    /// The model says that it is less sure than it is.
    Under,
}

/// Makes probabilities surer or less sure than they should be, at the same accuracy.
///
/// ```
/// use canard::fault::Fault;
/// let fault: Fault = serde_json::from_str(r#"{ "miscalibrate": { "temperature": 0.5 } }"#)?;
/// assert_eq!(fault.describe(), "probabilities at temperature 0.5");
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Miscalibrate {
    /// The temperature T of p′ ∝ p^{1/T}, 0.05 to 20: below 1 surer, above 1 less sure.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "temperature")]
    #[cfg_attr(feature = "schema", schemars(range(min = 0.05, max = 20.0)))]
    pub temperature: Option<f64>,
    /// In place of a temperature: the wanted expected calibration error.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ece: Option<Share>,
    /// With `ece`: the model's accuracy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub accuracy: Option<Share>,
    /// With `ece`: whether the model is to be surer than it should be, or less sure.
    #[serde(default, skip_serializing_if = "is_default")]
    pub confidence: Confidence,
}

fn is_default(confidence: &Confidence) -> bool {
    *confidence == Confidence::default()
}

fn temperature<'de, D: Deserializer<'de>>(from: D) -> Result<Option<f64>, D::Error> {
    let temperature = f64::deserialize(from)?;
    if TEMPERATURES.contains(&temperature) && temperature != 1.0 {
        return Ok(Some(temperature));
    }
    let message = format!(
        "a temperature of {temperature} is not possible; it is a number from 0.05 to 20 other than 1"
    );
    Err(serde::de::Error::custom(message))
}

static ENTRY: Entry = Entry {
    name: "miscalibrate",
    summary: "Makes probabilities surer or less sure than they should be; accuracy stays.",
    effect: "p′_k ∝ p_k^{1/T} (temperature scaling: Guo, Pleiss, Sun and Weinberger, ICML 2017, section 4.2), for a \
             single score logit p′ = logit p / T. The highest score stays the highest, so no class changes. With `ece` \
             T is bisected until the mean confidence (the highest probability) is `accuracy` + `ece`, or − with \
             `confidence: under`: for a model that was calibrated, where every confidence moves the same way, this is \
             the expected calibration error (Naeini, Cooper and Hauskrecht, AAAI 2015), reached within 0.01; for one \
             that was not, the ECE is at least that. On calibrated Beta(2,5) probabilities T = 0.7, 0.5, 0.3 give an \
             ECE of 0.057, 0.107, 0.167. The scores are learnt online, the last 2000 rows with their 8 highest \
             scores, from every prediction as the model made it (of both arms, from the first phase on); the fault waits for 200 of them \
             (`still-learning`). Where no temperature of 0.05 to 20 gives the ECE it is `out-of-reach`. A ramp grows \
             log T.",
    parameters: &[
        Parameter {
            name: "temperature",
            values: "0.05 to 20, not 1",
            default: "none; either `temperature` or `ece` is needed",
            meaning: "below 1 the probabilities are surer, above 1 less sure",
        },
        Parameter {
            name: "ece",
            values: "share, above 0%",
            default: "none",
            meaning: "in place of a temperature: the wanted expected calibration error",
        },
        Parameter {
            name: "accuracy",
            values: "share; accuracy ± ece has to stay between 0% and 100%",
            default: "none; it is needed with `ece`",
            meaning: "the model's accuracy, from its own evaluation",
        },
        Parameter {
            name: "confidence",
            values: "`over` or `under`",
            default: "over",
            meaning: "with `ece`: which way the probabilities are wrong",
        },
    ],
    example: "- fault: { miscalibrate: { temperature: 0.5 } }",
    seen_by: "Expected calibration error and Brier score on delayed labels; entropy and drift of the scores.",
    blind: "Accuracy, precision and recall, which stay as they are; drift of the predicted labels; monitors that \
            estimate accuracy from confidence (CBPE) take it for better or worse than it is; latency and error \
            monitors.",
};

/// What is learnt of the scores.
#[derive(Debug)]
struct Learnt {
    rows: Recent<Vec<f32>>,
    /// The last temperature that was bisected, and how much was known then.
    found: Option<(u64, Option<f64>)>,
}

/// p′ ∝ p^{1/T}, with the former sum. A single score has its complement beside it.
fn heat(scores: &mut [f64], temperature: f64) {
    let power = 1.0 / temperature;
    match scores {
        [p] => {
            // Of the two, the larger is divided out, so that nothing underflows.
            let (no, yes) = (1.0 - *p, *p);
            let largest = no.max(yes);
            let (no, yes) = ((no / largest).powf(power), (yes / largest).powf(power));
            *p = yes / (no + yes);
        }
        many => {
            let before: f64 = many.iter().sum();
            let largest = many.iter().copied().fold(0.0, f64::max);
            many.iter_mut().for_each(|p| *p = (*p / largest).powf(power));
            let after: f64 = many.iter().sum();
            // Rounding must not lift a certainty above 1.
            many.iter_mut().for_each(|p| *p = (*p * (before / after)).min(1.0));
        }
    }
}

/// The highest scores of a row, in falling order.
fn highest(mut scores: Vec<f64>) -> Vec<f32> {
    if let [p] = scores[..] {
        scores = vec![p, 1.0 - p];
    }
    scores.sort_unstable_by(|a, b| b.total_cmp(a));
    scores.into_iter().take(HIGHEST).map(|p| p as f32).collect()
}

/// The mean of the highest probability at a temperature.
fn mean_confidence(rows: &[Vec<f32>], temperature: f64) -> f64 {
    let confidence = |row: &Vec<f32>| {
        let powers = row.iter().map(|p| f64::from(*p / row[0]).powf(1.0 / temperature));
        1.0 / powers.sum::<f64>()
    };
    rows.iter().map(confidence).sum::<f64>() / rows.len() as f64
}

impl Learnt {
    /// The temperature at which the mean confidence is `wanted`, found anew whenever a tenth more is known.
    fn temperature(&mut self, wanted: f64) -> Result<f64, &'static str> {
        let seen = self.rows.seen();
        match self.found {
            Some((at, found)) if seen < at + at / 10 => found.ok_or(OUT_OF_REACH),
            _ if seen < ENOUGH => Err(STILL_LEARNING),
            _ => {
                let found = self.bisect(wanted);
                self.found = Some((seen, found));
                found.ok_or(OUT_OF_REACH)
            }
        }
    }

    fn bisect(&self, wanted: f64) -> Option<f64> {
        let (mut sure, mut unsure) = (TEMPERATURES.start().ln(), TEMPERATURES.end().ln());
        let at = |log: f64| mean_confidence(self.rows.kept(), log.exp());
        if !(at(unsure)..=at(sure)).contains(&wanted) {
            return None;
        }
        for _ in 0..20 {
            let middle = (sure + unsure) / 2.0;
            if at(middle) > wanted { sure = middle } else { unsure = middle }
        }
        Some(((sure + unsure) / 2.0).exp())
    }
}

impl Miscalibrate {
    /// The mean confidence that is wanted.
    fn wanted(&self) -> Option<f64> {
        let (ece, accuracy) = (self.ece?.fraction(), self.accuracy?.fraction());
        Some(match self.confidence {
            Confidence::Over => accuracy + ece,
            Confidence::Under => accuracy - ece,
        })
    }

    fn temperature(&self, memory: &Memory) -> Result<f64, &'static str> {
        if let Some(temperature) = self.temperature {
            return Ok(temperature);
        }
        let (learnt, wanted) = memory.get::<Mutex<Learnt>>().zip(self.wanted()).ok_or(STILL_LEARNING)?;
        learnt.lock().unwrap_or_else(PoisonError::into_inner).temperature(wanted)
    }
}

impl Behaviour for Miscalibrate {
    fn entry() -> &'static Entry {
        &ENTRY
    }

    fn stage(&self) -> Stage {
        Stage::Prediction
    }

    fn rate(&self) -> Share {
        Share::ALL
    }

    fn promise(&self) -> Promise {
        match (self.temperature, self.ece, self.accuracy) {
            (None, Some(ece), Some(accuracy)) => {
                Promise::CalibrationError { ece: ece.fraction(), accuracy: accuracy.fraction() }
            }
            (temperature, ..) => Promise::Temperature { temperature: temperature.unwrap_or(1.0) },
        }
    }

    fn scales(&self) -> Scales {
        Scales::Size
    }

    fn describe(&self) -> String {
        match (self.temperature, self.ece) {
            (Some(temperature), _) => format!("probabilities at temperature {temperature}"),
            (None, ece) => {
                let way = if self.confidence == Confidence::Over { "over" } else { "under" };
                format!("ECE {}, {way}-confident", ece.unwrap_or(Share::NONE))
            }
        }
    }

    fn check(&self, _target: &CheckContext<'_>) -> Vec<Problem> {
        let accuracy = Problem::new("accuracy", "`accuracy` goes with `ece`, not with `temperature`");
        match (self.temperature, self.ece, self.accuracy) {
            (None, None, _) => {
                let help = "write `temperature: 0.5`, or `ece: 8%` with the model's `accuracy`";
                vec![Problem::new("", "`miscalibrate` needs a temperature or an ECE").help(help)]
            }
            (Some(_), Some(_), _) => vec![Problem::new("ece", "either a temperature or an ECE, not both")],
            (Some(_), None, Some(_)) => vec![accuracy],
            (Some(_), None, None) => Vec::new(),
            (None, Some(_), None) => {
                let help = "write the accuracy of the model's own evaluation, such as `accuracy: 92%`";
                vec![
                    Problem::new("", "an ECE is the distance from the accuracy, which is missing").help(help),
                ]
            }
            (None, Some(Share::NONE), Some(_)) => {
                vec![Problem::new("ece", "an ECE of 0% changes nothing").help("write an ECE above 0%")]
            }
            (None, Some(ece), Some(accuracy)) => {
                let wanted = self.wanted().unwrap_or_default();
                let (sign, end) = if wanted > 1.0 { ("+", "100%") } else { ("−", "0%") };
                let message = format!("a mean confidence of {accuracy} {sign} {ece} is beyond {end}");
                let help = "choose a smaller ECE, or the other `confidence`";
                let possible = (0.0..=1.0).contains(&wanted);
                if possible { Vec::new() } else { vec![Problem::new("ece", message).help(help)] }
            }
        }
    }

    fn memory(&self) -> Memory {
        match self.ece {
            Some(_) => Memory::of(Mutex::new(Learnt { rows: Recent::new(KEPT), found: None })),
            None => Memory::none(),
        }
    }

    fn observe(&self, rows: &[Row], _members: Members<'_>, _labels: &Labels, memory: &Memory) {
        if let Some(learnt) = memory.get::<Mutex<Learnt>>() {
            let rows: Vec<Vec<f32>> = rows.iter().filter_map(probabilities).map(highest).collect();
            let mut learnt = learnt.lock().unwrap_or_else(PoisonError::into_inner);
            rows.into_iter().filter(|row| row[0] > 0.0).for_each(|row| learnt.rows.push(row));
        }
    }

    fn decide(&self, context: &Decide<'_>) -> Option<Action> {
        edits(Share::ALL, context)
    }

    fn edit(&self, answer: &mut Answer, context: &EditContext<'_>) -> Edited {
        let temperature = self.temperature(context.memory);
        each(&mut answer.rows, context, |_, row| {
            let before = probabilities(row).ok_or(NOT_A_PROBABILITY)?;
            let mut after = before.clone();
            heat(&mut after, temperature?.powf(context.intensity));
            Ok(rewrite(row, &before, &after))
        })
    }
}

#[cfg(test)]
mod tests;

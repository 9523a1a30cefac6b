//! Feedback loop: the model's own positives make it tell more of them.
//!
//! What happens to a model that is trained, or thresholded, on what it told before: a small excess of positives grows,
//! step by step. The state is one number for each process, so replicas drift apart as they would in life.

use std::sync::{Mutex, PoisonError};

use serde::{Deserialize, Deserializer, Serialize};

use super::{
    Action, Behaviour, CheckContext, Decide, EditContext, Edited, Entry, Memory, Parameter, Problem, Promise,
    Scales, Stage,
    prediction::{check_class, each, edits, name_at, relabel, tells_confidence},
    score::{LARGEST, moving, probabilities, rewrite, tilt},
    score_shift::check_place,
    unfit::NOT_A_PROBABILITY,
};
use crate::{unit::Share, wire::Answer};

/// Lets the rate of positives feed on itself.
///
/// ```
/// use canard::fault::Fault;
/// let fault: Fault = serde_json::from_str(r#"{ "feedback-loop": { "base": "30%", "gain": 0.5 } }"#)?;
/// assert_eq!(fault.describe(), "gain 0.5 on positives above 30%, each 200 predictions");
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct FeedbackLoop {
    /// The rate of positives at which nothing moves.
    pub base: Share,
    /// η, the logits that are added for each step with only positives and a base of 0%: above 0 to 20.
    #[serde(deserialize_with = "gain")]
    #[cfg_attr(feature = "schema", schemars(range(min = 0.001, max = 20.0)))]
    pub gain: f64,
    /// Predictions in a step, 1 to 1000000.
    #[serde(default = "step", deserialize_with = "predictions")]
    #[cfg_attr(feature = "schema", schemars(range(min = 1, max = 1_000_000)))]
    pub every: u32,
    /// The class that feeds on itself; left out, the last one (class 1 of a single score).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(extend("type" = super::prediction::SCALAR)))]
    pub class: Option<String>,
}

fn step() -> u32 {
    200
}

fn gain<'de, D: Deserializer<'de>>(from: D) -> Result<f64, D::Error> {
    let gain = f64::deserialize(from)?;
    if (0.001..=LARGEST).contains(&gain) {
        return Ok(gain);
    }
    Err(serde::de::Error::custom(format!(
        "a gain of {gain} is not possible; it is a number of logits from 0.001 to 20"
    )))
}

fn predictions<'de, D: Deserializer<'de>>(from: D) -> Result<u32, D::Error> {
    let every = u64::deserialize(from)?;
    match u32::try_from(every) {
        Ok(every @ 1..=1_000_000) => Ok(every),
        _ => Err(serde::de::Error::custom(format!(
            "a step of {every} predictions is not possible; it is 1 to 1000000"
        ))),
    }
}

static ENTRY: Entry = Entry {
    name: "feedback-loop",
    summary: "Lets the rate of positives feed on itself: the more are told, the more will be.",
    effect: "After each step of `every` predictions that the treated got, δ_{t+1} = δ_t + η·(own positive rate − \
             base), with η = `gain`, −20 to 20 in all; the odds of `class` are multiplied by e^δ in each prediction of \
             the next step, and where another class is then the most probable the label follows (runaway feedback: \
             Ensign, Friedler, Neville, Scheidegger and Venkatasubramanian, *FAT** 2018, section 3). With a base below \
             the model's own rate the positives grow to all of them, with one above it they vanish; at the base \
             itself the loop stands at an unstable balance. The state is kept by each process while the fault is armed \
             and depends on what it answered, so the same seed does not give the same answers on two machines. A ramp \
             scales δ.",
    parameters: &[
        Parameter {
            name: "base",
            values: "share, 0% to 100%",
            default: "none; it is needed",
            meaning: "the rate of positives at which nothing moves",
        },
        Parameter {
            name: "gain",
            values: "logits, 0.001 to 20",
            default: "none; it is needed",
            meaning: "η: how much a step with an excess of 100% adds",
        },
        Parameter {
            name: "every",
            values: "1 to 1000000 predictions",
            default: "200",
            meaning: "how long a step is",
        },
        Parameter {
            name: "class",
            values: "class name; the number's text where classes have no names",
            default: "the last class; class 1 of a single score",
            meaning: "the positive class",
        },
    ],
    example: "- fault: { feedback-loop: { base: 30%, gain: 0.5 } }",
    seen_by: "Trend of the positive rate, drift of scores and labels against a fixed reference.",
    blind: "Drift monitors whose reference is the window before, when a step is small; latency and error monitors.",
};

/// Where the loop stands.
#[derive(Debug, Default)]
struct Loop {
    delta: f64,
    told: u32,
    positive: u32,
}

impl Loop {
    /// Counts what was told; after `every` predictions the step is made.
    fn tell(&mut self, positive: bool, fault: &FeedbackLoop) {
        self.told += 1;
        self.positive += u32::from(positive);
        if self.told >= fault.every {
            let excess = f64::from(self.positive) / f64::from(self.told) - fault.base.fraction();
            let delta = (self.delta + fault.gain * excess).clamp(-LARGEST, LARGEST);
            *self = Loop { delta, told: 0, positive: 0 };
        }
    }
}

impl Behaviour for FeedbackLoop {
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
        Promise::Unknown { because: "how far it goes depends on the model's rate of positives" }
    }

    fn scales(&self) -> Scales {
        Scales::Size
    }

    fn describe(&self) -> String {
        format!("gain {} on positives above {}, each {} predictions", self.gain, self.base, self.every)
    }

    fn check(&self, target: &CheckContext<'_>) -> Vec<Problem> {
        let class = self.class.as_ref();
        let unknown = class.and_then(|class| check_place("class", class, target.labels));
        unknown
            .or_else(|| class.and_then(|class| check_class("class", class, target.labels)))
            .into_iter()
            .collect()
    }

    fn memory(&self) -> Memory {
        Memory::of(Mutex::new(Loop::default()))
    }

    fn decide(&self, context: &Decide<'_>) -> Option<Action> {
        edits(Share::ALL, context)
    }

    fn edit(&self, answer: &mut Answer, context: &EditContext<'_>) -> Edited {
        let Some(state) = context.memory.get::<Mutex<Loop>>() else { return Edited::default() };
        let mut state = state.lock().unwrap_or_else(PoisonError::into_inner);
        each(&mut answer.rows, context, |_, row| {
            if tells_confidence(row, context) {
                return Err(NOT_A_PROBABILITY);
            }
            let before = probabilities(row).ok_or(NOT_A_PROBABILITY)?;
            let class = moving(&before, self.class.as_deref(), context.labels).ok_or(NOT_A_PROBABILITY)?;
            let mut after = before.clone();
            let odds = (state.delta * context.intensity).exp();
            tilt(&mut after, |place| if place == class { odds } else { 1.0 });
            let (told, tells) = (highest(&before), highest(&after));
            let follows = row.label.is_some() && told != tells;
            if follows && context.labels.of(row).as_deref() == Some(&*name_at(told, context.labels)) {
                let name = name_at(tells, context.labels);
                // The scores are written below; only the label is wanted of this.
                let scores = std::mem::take(&mut row.scores);
                let relabelled = relabel(row, &name, context);
                row.scores = scores;
                relabelled?;
            }
            state.tell(tells == class, self);
            Ok(rewrite(row, &before, &after))
        })
    }
}

/// The place of the most probable class.
fn highest(scores: &[f64]) -> usize {
    match scores {
        [p] => usize::from(*p >= 0.5),
        many => many.iter().enumerate().max_by(|a, b| a.1.total_cmp(b.1)).map_or(0, |(place, _)| place),
    }
}

#[cfg(test)]
mod tests;

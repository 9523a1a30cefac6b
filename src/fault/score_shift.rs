//! Score shift: probabilities move by a fixed step in logit space.
//!
//! This is what a changed prior does to a calibrated model (prior tilt, p′_k ∝ p_k·e^{δ_k}), so it is how
//! score drift looks in life: it moves scores near one half most, and none out of 0 to 1. Labels stay as
//! they are, and numbers that are no probabilities are left alone.

use serde::{Deserialize, Deserializer, Serialize};

use super::{
    Action, Behaviour, CheckContext, Decide, EditContext, Edited, Entry, Parameter, Problem, Promise, Scales,
    Stage,
    prediction::{check_class, check_rate, edits, index_of, tells_confidence},
    score::{LARGEST, moving, probabilities, rewrite, tilt},
    unfit::NOT_A_PROBABILITY,
};
use crate::{
    unit::Share,
    wire::{Answer, Labels, Row},
};

/// Moves probabilities by a step in logit space.
///
/// ```
/// use canard::fault::Fault;
/// let fault: Fault = serde_json::from_str(r#"{ "score-shift": { "delta": 1.0, "class": "virginica" } }"#)?;
/// assert_eq!(fault.describe(), "+1 logits for virginica on 100%");
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct ScoreShift {
    /// The step in logits (natural log of the odds), -20 to 20; 1.0 multiplies the odds by 2.718.
    #[serde(deserialize_with = "step")]
    #[cfg_attr(feature = "schema", schemars(range(min = -20.0, max = 20.0)))]
    pub delta: f64,
    /// The class whose probability moves; left out, the last one (class 1 of a single score).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(extend("type" = super::prediction::SCALAR)))]
    pub class: Option<String>,
    /// Share of the predictions that move.
    #[serde(default = "all")]
    pub rate: Share,
}

fn all() -> Share {
    Share::ALL
}

fn step<'de, D: Deserializer<'de>>(from: D) -> Result<f64, D::Error> {
    let delta = f64::deserialize(from)?;
    if delta.abs() <= LARGEST && delta != 0.0 {
        return Ok(delta);
    }
    let message =
        format!("a delta of {delta} is not possible; it is a number of logits from -20 to 20 other than 0");
    Err(serde::de::Error::custom(message))
}

static ENTRY: Entry = Entry {
    name: "score-shift",
    summary: "Moves probabilities by a fixed step in logit space, as a changed prior does.",
    effect: "A single probability p becomes sigmoid(logit p + delta). Of scores for each class, the odds of \
             `class` against every other are multiplied by e^delta and the scores normalised again: prior tilt, \
             p′_k ∝ p_k·e^{δ_k} with δ_k = log(π′_k/π_k) (Saerens, Latinne, Decaestecker 2002). Measured on \
             Beta(2,5) scores in ten quantile bins, delta 0.3 gives a PSI of 0.11, 0.5 gives 0.30, 1.0 gives \
             1.10. Exact 0 and 1 do not move. The only score beside a label that is a text is the confidence in it: it moves \
             up where the label is the class and down where it is the other of two; of more classes a row of \
             another label stays (`not-a-probability`). A ramp grows the delta, not the rate.",
    parameters: &[
        Parameter {
            name: "delta",
            values: "logits, -20 to 20, not 0",
            default: "none; it is needed",
            meaning: "the step; above 0 the class becomes more probable",
        },
        Parameter {
            name: "class",
            values: "class name; the number's text where classes have no names",
            default: "the last class; class 1 of a single score",
            meaning: "the class whose probability moves",
        },
        Parameter {
            name: "rate",
            values: "share, above 0% to 100%",
            default: "100%",
            meaning: "how many of the predictions move",
        },
    ],
    example: "- fault: { score-shift: { delta: 1.0 } }\n  ramp: 15s",
    seen_by: "Drift of the scores (PSI, Kolmogorov-Smirnov, Jensen-Shannon), calibration on delayed labels.",
    blind: "Monitors of labels, as labels stay as they are; latency and error monitors; a `PSI > 0.2` rule \
            below a delta of about 0.4.",
};

/// A class whose place among the scores is not known.
pub(super) fn check_place(key: &'static str, class: &str, labels: &Labels) -> Option<Problem> {
    if index_of(class, labels).is_none() && labels.names().is_empty() {
        let help = "list the classes under `labels` of the target, or give the number of the class";
        let message = format!("the place of `{class}` among the scores is not known");
        return Some(Problem::new(key, message).help(help));
    }
    check_class(key, class, labels)
}

impl ScoreShift {
    /// Where the class that moves stands in the confidence in a row's label: 1 is the label's own place, 0 that of the
    /// other of two. `None`: of more classes nobody knows what is left for it.
    fn beside_label(&self, row: &Row, labels: &Labels) -> Option<usize> {
        let class = self.class.as_ref().or(labels.names().last());
        let own = class.is_none_or(|class| labels.of(row).is_some_and(|told| told == *class));
        (own || labels.names().len() == 2).then(|| usize::from(own))
    }
}

impl Behaviour for ScoreShift {
    fn entry() -> &'static Entry {
        &ENTRY
    }

    fn stage(&self) -> Stage {
        Stage::Prediction
    }

    fn rate(&self) -> Share {
        self.rate
    }

    fn promise(&self) -> Promise {
        Promise::Logit { delta: self.delta, share: self.rate.fraction() }
    }

    fn scales(&self) -> Scales {
        Scales::Size
    }

    fn describe(&self) -> String {
        let class = self.class.as_ref().map(|class| format!(" for {class}")).unwrap_or_default();
        format!("{:+} logits{class} on {}", self.delta, self.rate)
    }

    fn check(&self, target: &CheckContext<'_>) -> Vec<Problem> {
        let unknown = self.class.as_ref().and_then(|class| check_place("class", class, target.labels));
        [check_rate(self.rate), unknown].into_iter().flatten().collect()
    }

    fn decide(&self, context: &Decide<'_>) -> Option<Action> {
        edits(self.rate, context)
    }

    fn edit(&self, answer: &mut Answer, context: &EditContext<'_>) -> Edited {
        let delta = self.delta * context.intensity;
        let acted = context.chosen(self.rate, &mut answer.rows);
        let moved = acted.map(|(_, row)| {
            let before = probabilities(row).ok_or(NOT_A_PROBABILITY)?;
            let class = match tells_confidence(row, context) {
                true => self.beside_label(row, context.labels),
                false => moving(&before, self.class.as_deref(), context.labels),
            };
            let class = class.ok_or(NOT_A_PROBABILITY)?;
            let mut after = before.clone();
            tilt(&mut after, |place| if place == class { delta.exp() } else { 1.0 });
            Ok(rewrite(row, &before, &after))
        });
        moved.collect()
    }
}

#[cfg(test)]
mod tests;

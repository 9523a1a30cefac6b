//! Accuracy drop: as many predictions go wrong as a wanted loss of accuracy needs.
//!
//! Why not a plain rate? A flip also mends some predictions that were wrong, so accuracy falls by less than the
//! rate; this fault solves for the rate. It need not know which predictions are right: flips are uniform, so only
//! the model's accuracy counts.

use serde::{Deserialize, Serialize};

use super::{
    Action, Behaviour, CheckContext, Decide, EditContext, Edited, Entry, Parameter, Problem, Promise, Stage,
    prediction::{another, each, edits, relabel},
    purpose,
    unfit::UNKNOWN_CLASS,
};
use crate::{
    unit::Share,
    wire::{Answer, Labels, Value},
};

/// Lowers accuracy by a wanted amount.
///
/// ```
/// use canard::fault::Fault;
/// let fault: Fault = serde_json::from_str(r#"{ "accuracy-drop": { "drop": "10%", "accuracy": "92%" } }"#)?;
/// assert_eq!(fault.describe(), "accuracy 92% → 82%");
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct AccuracyDrop {
    /// How much accuracy is lost, in percentage points: `10%` takes 92% to 82%.
    pub drop: Share,
    /// The model's accuracy now.
    pub accuracy: Share,
}

static ENTRY: Entry = Entry {
    name: "accuracy-drop",
    summary: "Lowers accuracy by a wanted amount, the wrong ones spread evenly over the other classes.",
    effect: "Accuracy falls from `accuracy` to `accuracy` − `drop`, on large samples within 0.002. Of K classes a \
             prediction is told as one of the others, uniformly, at the rate r = Δ / (acc − (1 − acc)/(K − 1)): of \
             the right ones a share r goes wrong, of the wrong ones a share r/(K − 1) becomes right by chance \
             (symmetric label noise; Natarajan, Dhillon, Ravikumar and Tewari, NeurIPS 2013, section 2, for K = 2). \
             The least accuracy that can be reached is (1 − acc)/(K − 1), where every prediction is flipped. K is \
             the number of the target's `labels`, two where the model tells true or false. A ramp grows the drop.",
    parameters: &[
        Parameter {
            name: "drop",
            values: "share in percentage points, above 0%, at most acc − (1 − acc)/(K − 1)",
            default: "none; it is needed",
            meaning: "how much accuracy is lost",
        },
        Parameter {
            name: "accuracy",
            values: "share, above 1/K",
            default: "none; it is needed",
            meaning: "the model's accuracy now, from its own evaluation",
        },
    ],
    example: "- fault: { accuracy-drop: { drop: 10%, accuracy: 92% } }",
    seen_by: "Accuracy, precision and recall on delayed labels (a drop of .10 from .9 needs about 100 labels, .02 \
              about 2100: one-sided α = .05, power .9); drift of the predicted labels only if the classes are not \
              equally common.",
    blind: "Latency and error monitors; drift monitors of labels where all classes are equally common; score drift \
            where scores are only permuted among classes.",
};

impl AccuracyDrop {
    /// How often a prediction of one of `classes` is flipped; may be out of 0 to 1.
    fn flips(&self, classes: usize) -> f64 {
        let accuracy = self.accuracy.fraction();
        self.drop.fraction() / (accuracy - (1.0 - accuracy) / (classes as f64 - 1.0))
    }
}

/// How many classes a row is one of.
fn classes(label: Option<&Value>, labels: &Labels) -> usize {
    match (labels.names().len(), label) {
        (0, Some(Value::Bool(_))) => 2,
        (count, _) => count,
    }
}

impl Behaviour for AccuracyDrop {
    fn entry() -> &'static Entry {
        &ENTRY
    }

    fn stage(&self) -> Stage {
        Stage::Prediction
    }

    /// With few classes it is a little more, for flips that mend what was wrong.
    fn rate(&self) -> Share {
        Share::new(self.drop.fraction() / self.accuracy.fraction()).unwrap_or(Share::ALL)
    }

    fn promise(&self) -> Promise {
        Promise::AccuracyDrop {
            drop: self.drop.fraction(),
            accuracy: self.accuracy.fraction(),
            share: self.rate().fraction(),
        }
    }

    fn describe(&self) -> String {
        let after = (self.accuracy.fraction() - self.drop.fraction()).max(0.0);
        format!("accuracy {} → {}", self.accuracy, Share::new(after).unwrap_or(Share::NONE))
    }

    fn check(&self, target: &CheckContext<'_>) -> Vec<Problem> {
        let classes = target.labels.names().len();
        if self.drop == Share::NONE {
            return vec![Problem::new("drop", "a drop of 0% changes nothing").help("write a drop above 0%")];
        }
        if classes < 2 {
            let help = "list the classes under `labels` of the target";
            return vec![
                Problem::new("", "the other classes must be known, and how many there are").help(help),
            ];
        }
        let accuracy = self.accuracy.fraction();
        let most = accuracy - (1.0 - accuracy) / (classes as f64 - 1.0);
        if most <= 0.0 {
            let chance = format!("{:.4}", 100.0 / classes as f64);
            let chance = chance.trim_end_matches('0').trim_end_matches('.');
            let message = format!(
                "an accuracy of {} is no better than guessing among {classes} classes ({chance}%)",
                self.accuracy
            );
            return vec![Problem::new("accuracy", message).help("flips can't make such a model worse")];
        }
        if self.drop.fraction() > most + 1e-9 {
            let least = (most * 1e4).floor() / 100.0;
            let message =
                format!("with {classes} classes, flips can take at most {least}% from {}", self.accuracy);
            let help = "to go below that, tell the classes apart: a `mislabel` with `from` and `to`, or `target-confusion`";
            return vec![Problem::new("drop", message).help(help)];
        }
        Vec::new()
    }

    fn decide(&self, context: &Decide<'_>) -> Option<Action> {
        edits(self.rate(), context)
    }

    fn edit(&self, answer: &mut Answer, context: &EditContext<'_>) -> Edited {
        each(&mut answer.rows, context, |place, row| {
            let classes = classes(row.label.as_ref(), context.labels);
            let rate = Share::new(self.flips(classes.max(2)).min(1.0)).unwrap_or(Share::NONE);
            if !place.acts(rate.scaled(context.intensity)) {
                return Ok(false);
            }
            let class = context.labels.of(row).ok_or(UNKNOWN_CLASS)?.into_owned();
            let other =
                another(&class, row, place.draw(purpose::SIZE), context.labels).ok_or(UNKNOWN_CLASS)?;
            relabel(row, other, context)
        })
    }
}

#[cfg(test)]
mod tests;

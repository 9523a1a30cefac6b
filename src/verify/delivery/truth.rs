//! Predictions against the truth, where it is known: accuracy, recall of each class, calibration, ranking.
//!
//! Counts of bounded size that add up: a confusion matrix, bins of the confidence, and for two classes bins of the
//! positive one's score.

use std::collections::BTreeMap;

use super::{
    Arms, LEVEL,
    shares::{effect, proportions},
};
use crate::{
    event::{ConfusionByArm, Effect},
    evidence::{self, Confusion},
    stats::{self, CalibrationBin, Interval, SCORE_BINS},
};

pub(super) const CALIBRATION: &str = "calibration error (ECE)";
/// Bins of the confidence.
const BINS: usize = 10;
/// Most classes whose recall is told.
const CLASSES: usize = 128;

/// Predictions compared with the truth, where it is known.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Accuracy {
    /// Predictions whose true class is known.
    pub labelled: u64,
    /// Those that were right.
    pub correct: u64,
    /// By the true class, then the predicted. The 64 first combinations are told apart.
    pub confusion: Confusion,
    /// Of each true class (the first 128) how many there were, and how many of them were told as such.
    pub recall: BTreeMap<String, (u64, u64)>,
    /// Right answers by confidence, in bins of 0.1.
    pub calibration: [CalibrationBin; BINS],
    /// Of two classes, the positive one's score: of truly negative ones, then of truly positive ones.
    pub scores: [[u64; SCORE_BINS]; 2],
}

/// Accuracy in one phase.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct PhaseAccuracy {
    /// Of the control arm.
    pub control: Accuracy,
    /// Of the treated.
    pub treated: Accuracy,
}

impl Accuracy {
    /// Counts one prediction by its true and its predicted class.
    pub fn record(&mut self, truth: &str, predicted: &str) {
        self.labelled += 1;
        self.correct += u64::from(truth == predicted);
        evidence::count(&mut self.confusion, truth, predicted, 1);
        self.recalled(truth, (1, u64::from(truth == predicted)));
    }

    fn recalled(&mut self, class: &str, (of, right): (u64, u64)) {
        if self.recall.len() < CLASSES || self.recall.contains_key(class) {
            let all = self.recall.entry(class.to_owned()).or_default();
            *all = (all.0 + of, all.1 + right);
        }
    }

    /// Adds another's counts.
    pub fn merge(&mut self, other: &Accuracy) {
        self.labelled += other.labelled;
        self.correct += other.correct;
        for (truth, told) in &other.confusion {
            told.iter().for_each(|(class, n)| evidence::count(&mut self.confusion, truth, class, *n));
        }
        other.recall.iter().for_each(|(class, counts)| self.recalled(class, *counts));
        for (bin, more) in self.calibration.iter_mut().zip(&other.calibration) {
            bin.count += more.count;
            bin.right += more.right;
            bin.confidence += more.confidence;
        }
        for (bins, more) in self.scores.iter_mut().zip(&other.scores) {
            bins.iter_mut().zip(more).for_each(|(bin, more)| *bin += more);
        }
    }

    /// Counts how sure it was, 0 to 1.
    pub fn record_confidence(&mut self, confidence: f64, right: bool) {
        if (0.0..=1.0).contains(&confidence) {
            let bin = &mut self.calibration[((confidence * BINS as f64) as usize).min(BINS - 1)];
            bin.count += 1;
            bin.right += u64::from(right);
            bin.confidence += confidence;
        }
    }

    /// Counts the positive class's score, of two classes.
    pub fn record_score(&mut self, score: f64, positive: bool) {
        if (0.0..=1.0).contains(&score) {
            let bin = ((score * SCORE_BINS as f64) as usize).min(SCORE_BINS - 1);
            self.scores[usize::from(positive)][bin] += 1;
        }
    }
}

impl Arms<'_> {
    pub(in crate::verify) fn accuracy(&self) -> Option<Effect> {
        let group = |known: &Accuracy| (known.correct, known.labelled);
        proportions("accuracy", group(&self.known.control), group(&self.known.treated))
    }

    /// What the truth tells beside accuracy: recall of each class, calibration error, area under the ROC curve.
    pub(super) fn of_truth(&self) -> Vec<Option<Effect>> {
        let mut all = self.recalls();
        all.push(self.calibration_error());
        let area = |known: &Accuracy| stats::area_under_roc(&known.scores[0], &known.scores[1], LEVEL);
        all.push(self.of_both("area under the ROC curve", area));
        all
    }

    pub(super) fn calibration_error(&self) -> Option<Effect> {
        let error = |known: &Accuracy| stats::calibration_error_interval(&known.calibration, LEVEL);
        self.of_both(CALIBRATION, error)
    }

    /// The share of each class's that are told as such.
    fn recalls(&self) -> Vec<Option<Effect>> {
        let (control, treated) = (&self.known.control.recall, &self.known.treated.recall);
        let recall = |(class, &(of, right)): (&String, &(u64, u64))| {
            let (now_of, now_right) = treated.get(class).copied()?;
            proportions(&format!("recall of `{class}`"), (right, of), (now_right, now_of))
        };
        control.iter().map(recall).collect()
    }

    /// What was told of each class, where the truth is known.
    pub(super) fn confusion(&self) -> Option<ConfusionByArm> {
        let known = self.known.control.labelled + self.known.treated.labelled > 0;
        known.then(|| ConfusionByArm {
            control: self.known.control.confusion.clone(),
            treated: self.known.treated.confusion.clone(),
        })
    }

    /// The difference of two estimates that have intervals of their own.
    fn of_both(&self, measure: &str, of: impl Fn(&Accuracy) -> Option<Interval>) -> Option<Effect> {
        let (control, treated) = (of(&self.known.control)?, of(&self.known.treated)?);
        let difference = stats::difference_of_differences(control, treated);
        Some(effect(measure, "share", control.estimate, treated.estimate, Some(difference)))
    }
}

//! Predictions against the truth, where it is known: accuracy, recall of each class, calibration, ranking.
//!
//! Counts of bounded size that add up: the classes of a confusion matrix, bins of the confidence, and for two classes
//! bins of the positive one's score.

use super::{
    Arms, LEVEL,
    shares::{effect, proportions},
};
use crate::{
    event::Effect,
    stats::{self, CalibrationBin, Interval, SCORE_BINS},
};

/// Classes that the confusion matrix tells apart.
pub const CLASSES: usize = 8;
/// Bins of the confidence.
const BINS: usize = 10;

/// Predictions compared with the truth, where it is known.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Accuracy {
    /// Predictions whose true class is known.
    pub labelled: u64,
    /// Those that were right.
    pub correct: u64,
    /// By the true class, then the predicted: of the first [`CLASSES`] classes of the target.
    pub confusion: [[u64; CLASSES]; CLASSES],
    /// Right answers by confidence, in bins of 0.1.
    pub calibration: [CalibrationBin; BINS],
    /// Of two classes, the positive one's score: of truly negative ones, then of truly positive ones.
    pub scores: [[u64; SCORE_BINS]; 2],
}

/// Accuracy in one phase.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct PhaseAccuracy {
    /// Of the control arm.
    pub control: Accuracy,
    /// Of the treated.
    pub treated: Accuracy,
}

impl Accuracy {
    /// Counts one prediction: its true and its predicted class by number, where they are among the target's.
    pub fn record(&mut self, right: bool, truth: Option<usize>, predicted: Option<usize>) {
        self.labelled += 1;
        self.correct += u64::from(right);
        if let (Some(truth), Some(predicted)) = (truth, predicted)
            && let Some(cell) = self.confusion.get_mut(truth).and_then(|row| row.get_mut(predicted))
        {
            *cell += 1;
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

    /// Adds another's counts.
    pub fn merge(&mut self, other: &Accuracy) {
        self.labelled += other.labelled;
        self.correct += other.correct;
        let cells = |all: &[[u64; CLASSES]; CLASSES]| all.iter().flatten().copied().collect::<Vec<_>>();
        let theirs = cells(&other.confusion);
        self.confusion.iter_mut().flatten().zip(theirs).for_each(|(mine, more)| *mine += more);
        for (mine, more) in self.calibration.iter_mut().zip(&other.calibration) {
            mine.count += more.count;
            mine.right += more.right;
            mine.confidence += more.confidence;
        }
        let theirs = other.scores.iter().flatten();
        self.scores.iter_mut().flatten().zip(theirs).for_each(|(mine, more)| *mine += more);
    }
}

impl Arms<'_> {
    pub(in crate::verify) fn accuracy(&self) -> Option<Effect> {
        let group = |known: Accuracy| (known.correct, known.labelled);
        proportions("accuracy", group(self.known.control), group(self.known.treated))
    }

    /// What the truth tells beside accuracy: recall of each class, calibration error, area under the ROC curve.
    pub(super) fn of_truth(&self) -> Vec<Option<Effect>> {
        let mut all: Vec<Option<Effect>> = (0..CLASSES).map(|class| self.recall(class)).collect();
        all.push(self.calibration_error());
        let area = |known: &Accuracy| stats::area_under_roc(&known.scores[0], &known.scores[1], LEVEL);
        all.push(self.of_both("area under the ROC curve", area));
        all
    }

    pub(super) fn calibration_error(&self) -> Option<Effect> {
        let error = |known: &Accuracy| stats::calibration_error_interval(&known.calibration, LEVEL);
        self.of_both(CALIBRATION, error)
    }

    fn recall(&self, class: usize) -> Option<Effect> {
        let of = |known: &Accuracy| (known.confusion[class][class], known.confusion[class].iter().sum::<u64>());
        proportions(&format!("recall of class {class}"), of(&self.known.control), of(&self.known.treated))
    }

    /// The difference of two estimates that have intervals of their own.
    fn of_both(&self, measure: &str, of: impl Fn(&Accuracy) -> Option<Interval>) -> Option<Effect> {
        let (control, treated) = (of(&self.known.control)?, of(&self.known.treated)?);
        let difference = stats::difference_of_differences(control, treated);
        Some(effect(measure, "share", control.estimate, treated.estimate, Some(difference)))
    }
}

pub(super) const CALIBRATION: &str = "calibration error (ECE)";

//! The distribution of scores.

use super::{
    Arms, LEVEL,
    shares::{effect, paired},
};
use crate::{
    event::Effect,
    evidence::ArmEvidence,
    stats::{self, SCORE_BINS},
};

impl Arms<'_> {
    pub(in crate::verify) fn mean_score(&self) -> Option<Effect> {
        let group = |arm: &ArmEvidence| {
            arm.scores.moments().map(|(mean, variance)| (mean, variance, arm.scores.count()))
        };
        let (control, treated) = (group(self.control)?, group(self.treated)?);
        let pairs = self.pairs.map(|pairs| pairs.scores);
        let pairs = pairs.and_then(|all| stats::paired_mean(all.count, all.sum, all.sum_of_squares, LEVEL));
        let difference = stats::welch(control, treated, LEVEL);
        Some(paired(effect("mean score", "", control.0, treated.0, difference), pairs))
    }

    /// How far apart the distributions of the highest scores are: Kolmogorov-Smirnov, Wasserstein, and PSI without its
    /// finite-sample bias, over bins of 0.05.
    pub(in crate::verify) fn score_distances(&self) -> Vec<Option<Effect>> {
        let (control, treated) = (&self.control.scores.bins, &self.treated.scores.bins);
        let largest = stats::kolmogorov_smirnov_binned(control, treated).map(|test| Effect {
            p: Some(test.p),
            ..effect("scores (Kolmogorov-Smirnov)", "share", 0.0, test.statistic, None)
        });
        let moved = stats::wasserstein(control, treated, 1.0 / SCORE_BINS as f64, LEVEL)
            .map(|far| effect("scores (Wasserstein)", "", 0.0, far.estimate, Some(far)));
        let index = stats::unbiased_psi(control, treated, LEVEL)
            .map(|index| effect("scores (PSI)", "", 0.0, index.estimate, Some(index)));
        vec![largest, moved, index]
    }
}

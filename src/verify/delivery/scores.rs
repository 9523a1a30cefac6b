//! The distribution of scores.

use super::{Arms, LEVEL, shares::effect};
use crate::{event::Effect, evidence::ArmEvidence, stats};

impl Arms<'_> {
    pub(in crate::verify) fn mean_score(&self) -> Option<Effect> {
        let group = |arm: &ArmEvidence| {
            arm.scores.moments().map(|(mean, variance)| (mean, variance, arm.scores.count()))
        };
        let (control, treated) = (group(self.control)?, group(self.treated)?);
        Some(effect("mean score", "", control.0, treated.0, stats::welch(control, treated, LEVEL)))
    }
}

//! Who hears how an exchange ended.

use std::sync::Arc;

use super::{observe::Learners, shadow::Twin};
use crate::evidence::{ArmSink, Sample, Sink};

/// The arm that an exchange belongs to, if it belongs to one, or the caller's exchange that it is the shadow of.
#[derive(Debug)]
pub(super) enum Ear {
    Arm(ArmSink),
    Shadow(Box<Twin>),
    Nobody,
}

impl Ear {
    /// Shows the predictions of a response that nobody edits to the faults that learn from it.
    pub(super) fn seen_by(&mut self, learners: Option<Arc<Learners>>) {
        match (self, learners) {
            (Ear::Arm(sink), Some(learners)) => sink.seen_by(learners),
            (Ear::Shadow(twin), Some(learners)) => twin.seen_by(learners),
            _ => {}
        }
    }
}

impl Sink for Ear {
    fn take(&self, sample: Sample) {
        match self {
            Ear::Arm(sink) => sink.take(sample),
            Ear::Shadow(twin) => twin.take(sample),
            Ear::Nobody => {}
        }
    }
}

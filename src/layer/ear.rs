//! Who hears how an exchange ended.

use std::sync::Arc;

use super::observe::Learners;
use crate::evidence::{ArmSink, Sample, Sink};

/// The arm that an exchange belongs to, if it belongs to one.
#[derive(Debug)]
pub(super) enum Ear {
    Arm(ArmSink),
    Nobody,
}

impl Ear {
    /// Shows the predictions of a response that nobody edits to the faults that learn from it.
    pub(super) fn seen_by(&mut self, learners: Option<Arc<Learners>>) {
        if let (Ear::Arm(sink), Some(learners)) = (self, learners) {
            sink.seen_by(learners);
        }
    }
}

impl Sink for Ear {
    fn take(&self, sample: Sample) {
        match self {
            Ear::Arm(sink) => sink.take(sample),
            Ear::Nobody => {}
        }
    }
}

//! Who hears how an exchange ended.

use crate::evidence::{ArmSink, Sample, Sink};

/// The arm that an exchange belongs to, if it belongs to one.
#[derive(Debug)]
pub(super) enum Ear {
    Arm(ArmSink),
    Nobody,
}

impl Sink for Ear {
    fn take(&self, sample: Sample) {
        match self {
            Ear::Arm(sink) => sink.take(sample),
            Ear::Nobody => {}
        }
    }
}

//! Who hears what a shadow was answered.

use std::sync::Arc;

use tokio::time::Instant;

use super::room::Taken;
use crate::{
    evidence::{Cohort, Comparison, FaultCell, LeftOut, Observer, Sample, ShadowCell, Sink},
    exposure::Arm,
    layer::{lease::Lease, view::Shown},
    wire::Answer,
};

/// Sets the answer of a shadow beside its caller's, and counts it as treated.
#[derive(Debug)]
pub(in crate::layer) struct Twin {
    pub(super) lease: Arc<Lease>,
    pub(super) phase: usize,
    pub(super) cell: Arc<ShadowCell>,
    pub(super) caller: Sample,
    pub(super) next: Option<Arc<dyn Observer>>,
    /// Who is shown payloads, if anybody is.
    pub(super) shown: Option<Shown>,
    /// What the shadow and the copies of answers take, until they are read.
    pub(super) room: Arc<[Taken]>,
}

impl Twin {
    /// Shows the shadow's predictions, once they are read, to somebody else too.
    pub(in crate::layer) fn seen_by(&mut self, next: Arc<dyn Observer>) {
        self.next = Some(next);
    }
}

impl Sink for Twin {
    fn take(&self, sample: Sample) {
        let Lease { plan, recorder, body_limit, .. } = self.lease.as_ref();
        // Its faults may not have acted any more.
        if self.lease.acts_until(Instant::now()).is_none() {
            return self.cell.left_out(LeftOut::Disarmed);
        }
        self.cell.pair(&self.caller, &sample);
        self.shown.iter().for_each(|shown| shown.show(&sample));
        let comparison = Comparison {
            cell: self.cell.clone(),
            caller: self.caller.clone(),
            codec: plan.target.codec.clone(),
            labels: plan.target.labels.clone(),
            limit: *body_limit,
            next: self.next.clone(),
        };
        let mut sink = recorder.sink(Cohort::side(self.phase, Arm::Treated));
        sink.seen_by(Arc::new(Held { comparison, _room: self.room.clone() }));
        sink.take(sample);
    }
}

/// A comparison to come, and what it takes.
#[derive(Debug)]
struct Held {
    comparison: Comparison,
    _room: Arc<[Taken]>,
}

impl Observer for Held {
    fn answered<'a>(&self, answer: &Answer, arm: Arm, fault: &dyn Fn(usize) -> &'a FaultCell) {
        self.comparison.answered(answer, arm, fault);
    }
}

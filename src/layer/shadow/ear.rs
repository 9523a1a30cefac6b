//! Who hears what a shadow was answered.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::time::Instant;

use super::{
    room::{Room, Taken},
    tape::Tape,
};
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
    /// What the shadow, its request and its caller's answer take, until they are read.
    pub(super) taken: Arc<[Taken]>,
    pub(super) room: Room,
    /// What another upstream answered.
    pub(super) live: Arc<Mutex<Tape>>,
}

/// What a shadow that was answered takes; given back when nobody holds it any more.
#[derive(Debug, Clone)]
pub(in crate::layer) struct Hold {
    _before: Arc<[Taken]>,
    _answer: Arc<Taken>,
}

impl Twin {
    /// Shows the shadow's predictions, once they are read, to somebody else too.
    pub(in crate::layer) fn seen_by(&mut self, next: Arc<dyn Observer>) {
        self.next = Some(next);
    }

    /// Room for what the shadow was answered.
    fn hold(&self, sample: &Sample) -> Option<Hold> {
        let mut live = self.live.lock().unwrap_or_else(PoisonError::into_inner);
        let fitted = live.whole() != Err(LeftOut::Memory);
        live.clear();
        let answer = fitted.then(|| self.room.take(sample.kept())).flatten()?;
        Some(Hold { _before: self.taken.clone(), _answer: Arc::new(answer) })
    }
}

impl Sink for Twin {
    fn take(&self, sample: Sample) {
        let Lease { plan, recorder, body_limit, .. } = self.lease.as_ref();
        // Its faults may not have acted any more.
        if self.lease.acts_until(Instant::now()).is_none() {
            return self.cell.left_out(LeftOut::Disarmed);
        }
        let Some(hold) = self.hold(&sample) else { return self.cell.left_out(LeftOut::Memory) };
        self.cell.pair(&self.caller, &sample);
        self.shown.iter().for_each(|shown| shown.show(&sample, &hold));
        let comparison = Comparison {
            cell: self.cell.clone(),
            caller: self.caller.clone(),
            codec: plan.target.codec.clone(),
            labels: plan.target.labels.clone(),
            limit: *body_limit,
            next: self.next.clone(),
        };
        let mut sink = recorder.sink(Cohort::side(self.phase, Arm::Treated));
        sink.seen_by(Arc::new(Held { comparison, _hold: hold }));
        sink.take(sample);
    }
}

/// A comparison to come, and what it takes.
#[derive(Debug)]
struct Held {
    comparison: Comparison,
    _hold: Hold,
}

impl Observer for Held {
    fn answered<'a>(&self, answer: &Answer, arm: Arm, fault: &dyn Fn(usize) -> &'a FaultCell) {
        self.comparison.answered(answer, arm, fault);
    }
}

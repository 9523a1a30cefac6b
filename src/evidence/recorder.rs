//! Records what callers saw under one armed plan.
//!
//! Statuses, latencies and the counters of faults are atomics of bounded size: recording them takes no
//! lock (what is skipped or belongs to no arm, and why, is counted under a short one). Prediction responses go through
//! a bounded queue to a thread that reads them, so that parsing delays no caller; what its queue can't hold is counted as `queue-full`, never waited for. A
//! [`snapshot`](Recorder::snapshot) first reads what is queued: it is complete for every response that had
//! ended by then, and does not wait for those that end meanwhile.

mod cells;
mod faults;
#[cfg(test)]
mod tests;

use std::sync::{
    Arc, Mutex, MutexGuard, PoisonError,
    atomic::{AtomicU64, Ordering::Relaxed},
};

use self::{
    cells::{ArmCell, PhaseCell},
    faults::Tally,
};
use super::{Evidence, FaultEvidence, Sample, ShadowCell, Sink, queue::Queue};
use crate::{
    exposure::{Arm, Assignment},
    scenario::Plan,
    wire::{Answer, Codec, Content, Labels, Row},
};

pub use faults::{Cap, FaultCell};

/// Records what callers saw under one armed plan. Cheap to clone; the clones share the record.
#[derive(Debug, Clone)]
pub struct Recorder {
    shared: Arc<Shared>,
    _reader: Arc<Reader>,
}

#[derive(Debug)]
struct Shared {
    scenario: String,
    phases: Vec<PhaseCell>,
    not_assigned: Tally,
    without_identity: AtomicU64,
    queue: Queue,
    codec: Arc<dyn Codec>,
    labels: Labels,
    limits: RecorderLimits,
}

/// Whom an exchange is counted for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cohort {
    /// The number of the phase.
    pub phase: usize,
    /// The side.
    pub arm: Arm,
    /// The number of its group, if it is treated and the treated are split.
    pub group: Option<usize>,
}

impl Cohort {
    /// That of one side, whatever the group.
    pub const fn side(phase: usize, arm: Arm) -> Cohort {
        Cohort { phase, arm, group: None }
    }

    /// That of a unit in a phase.
    pub fn of(phase: usize, assignment: &Assignment) -> Cohort {
        let group = assignment.group.filter(|_| assignment.arm == Arm::Treated);
        Cohort { phase, arm: assignment.arm, group }
    }
}

/// Limits of what a recorder holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RecorderLimits {
    /// Largest body that is read, once decoded. Bytes.
    pub body: usize,
    /// Distinct labels that are kept apart.
    pub labels: usize,
}

impl Recorder {
    /// An empty record for a plan.
    pub fn new(plan: &Plan, limits: RecorderLimits) -> Recorder {
        let phases = plan.phases.iter().map(|phase| PhaseCell::new(phase, plan));
        let shared = Arc::new(Shared {
            scenario: plan.document.name.clone(),
            phases: phases.collect(),
            not_assigned: Tally::default(),
            without_identity: AtomicU64::new(0),
            queue: Queue::default(),
            codec: plan.target.codec.clone(),
            labels: plan.target.labels.clone(),
            limits,
        });
        Recorder { _reader: Arc::new(Reader::start(shared.clone())), shared }
    }

    /// A request belongs to no arm.
    pub fn not_assigned(&self, reason: &'static str) {
        self.shared.not_assigned.add(reason);
    }

    /// A request carries no id of its own; it was given a number.
    pub fn without_identity(&self) {
        self.shared.without_identity.fetch_add(1, Relaxed);
    }

    /// The counters of one injection, by the numbers of its phase and of itself.
    pub fn fault(&self, phase: usize, injection: usize) -> &FaultCell {
        &self.shared.phases[phase].faults[injection].1
    }

    /// The counters of the shadows of a phase, if the plan has shadows.
    pub fn shadow(&self, phase: usize) -> Option<&Arc<ShadowCell>> {
        self.shared.phases[phase].shadow.as_ref()
    }

    /// A reading of the counters of every injection, in the order of the plan; waits for nothing.
    pub fn faults(&self) -> impl Iterator<Item = FaultEvidence> {
        self.shared.phases.iter().flat_map(|phase| &phase.faults).map(|(id, cell)| cell.read(id))
    }

    /// A sink for an exchange of one cohort.
    pub fn sink(&self, cohort: Cohort) -> ArmSink {
        ArmSink { recorder: self.clone(), cohort, seen: None }
    }

    /// Records one exchange; its predictions, if it kept its body, are read a little later.
    pub fn record(&self, cohort: Cohort, sample: Sample) {
        self.record_seen(cohort, sample, None);
    }

    fn record_seen(&self, cohort: Cohort, sample: Sample, seen: Option<Arc<dyn Observer>>) {
        let status = sample.status.filter(|_| sample.whole);
        self.shared.cells(cohort).for_each(|cell| cell.ended(status, sample.latency));
        if status.is_some() && sample.body != Err(super::Unread::NotKept) {
            self.shared.enqueue(cohort, sample, seen);
        }
    }

    /// Records predictions that need no reading.
    pub fn predictions(&self, cohort: Cohort, rows: &[Row]) {
        let shared = &self.shared;
        let count = |cell: &ArmCell| {
            cell.predicted(Content::Predictions, rows, &shared.labels, shared.limits.labels);
        };
        shared.cells(cohort).for_each(count);
    }

    /// A reading of everything so far. Reads the responses that are queued, which may take as long as
    /// parsing 64 MiB: not for the thread of an asynchronous runtime that has other things to do.
    pub fn snapshot(&self) -> Evidence {
        let shared = &self.shared;
        shared.read_queued();
        Evidence {
            scenario: shared.scenario.clone(),
            phases: shared.phases.iter().map(PhaseCell::read).collect(),
            not_assigned: shared.not_assigned.read(),
            without_identity: shared.without_identity.load(Relaxed),
        }
    }
}

/// Gives samples to one arm of one phase, and to the group in it.
#[derive(Debug)]
pub struct ArmSink {
    recorder: Recorder,
    cohort: Cohort,
    seen: Option<Arc<dyn Observer>>,
}

/// Sees predictions when the evidence reads them, on a thread that nobody waits for.
pub trait Observer: std::fmt::Debug + Send + Sync {
    /// Sees the predictions of one response of an arm; counts what it has to say of the injection with that number
    /// in its phase.
    fn answered<'a>(&self, answer: &Answer, arm: Arm, fault: &dyn Fn(usize) -> &'a FaultCell);
}

impl ArmSink {
    /// Shows the predictions, once they are read, to somebody else too.
    pub fn seen_by(&mut self, observer: Arc<dyn Observer>) {
        self.seen = Some(observer);
    }
}

impl Sink for ArmSink {
    fn take(&self, sample: Sample) {
        self.recorder.record_seen(self.cohort, sample, self.seen.clone());
    }
}

impl Shared {
    /// The cells that a cohort counts in.
    fn cells(&self, cohort: Cohort) -> impl Iterator<Item = &ArmCell> {
        self.phases[cohort.phase].cells(cohort)
    }

    fn enqueue(&self, cohort: Cohort, sample: Sample, seen: Option<Arc<dyn Observer>>) {
        if !self.queue.push(cohort, sample, seen) {
            self.cells(cohort).for_each(|cell| cell.miss("queue-full"));
        }
    }

    /// Reads what is queued now, and not what comes meanwhile.
    fn read_queued(&self) {
        let end = self.queue.end();
        while let Some(next) = self.queue.take_before(end) {
            self.read(next.cohort, &next.sample, next.seen.as_deref());
        }
        self.queue.settle(end);
    }

    fn read(&self, cohort: Cohort, sample: &Sample, seen: Option<&dyn Observer>) {
        if let Ok(reading) = sample.text(self.codec.as_ref(), self.limits.body) {
            return self.cells(cohort).for_each(|cell| cell.generated(&reading));
        }
        match sample.predictions(self.codec.as_ref(), self.limits.body) {
            Ok(answer) => {
                if let Some(seen) = seen {
                    seen.answered(&answer, cohort.arm, &|index| &self.phases[cohort.phase].faults[index].1);
                }
                let labels = answer.labels(&self.labels);
                let Answer { content, rows, .. } = &answer;
                self.cells(cohort)
                    .for_each(|cell| cell.predicted(*content, rows, &labels, self.limits.labels));
            }
            Err(error) => self.cells(cohort).for_each(|cell| cell.miss(error.reason())),
        }
    }
}

/// Owns the thread that reads; without one (it could not start) snapshots read alone.
#[derive(Debug)]
struct Reader(Arc<Shared>);

impl Reader {
    fn start(shared: Arc<Shared>) -> Reader {
        let work = shared.clone();
        let thread = std::thread::Builder::new().name("canard-evidence".into());
        drop(thread.spawn(move || {
            while work.queue.wait() {
                work.read_queued();
            }
        }));
        Reader(shared)
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.0.queue.close();
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

//! Records what callers saw under one armed plan.
//!
//! Statuses, latencies and the counters of faults are atomics of bounded size: recording them takes no
//! lock (what is skipped or belongs to no arm, and why, is counted under a short one). Prediction responses go through a bounded queue to a thread that reads them, so that parsing
//! delays no caller; what its queue can't hold is counted as `queue-full`, never waited for. A
//! [`snapshot`](Recorder::snapshot) first reads what is queued: it is complete for every response that had
//! ended by then, and does not wait for those that end meanwhile.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

use super::{
    ArmEvidence, Evidence, FaultEvidence, OTHER_LABEL, PhaseEvidence, Sample, ShadowCell, Sink, TextEvidence,
    groups::GroupCells, queue::Queue,
};
use crate::{
    exposure::Arm,
    scenario::Plan,
    stats::{Histogram, LATENCY_BUCKETS, Scores, latency_bucket},
    wire::{Answer, Codec, Content, Labels, Row, Value},
};

/// HTTP statuses have three digits.
const STATUSES: usize = 1000;

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

/// Limits of what a recorder holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RecorderLimits {
    /// Largest body that is read, once decoded. Bytes.
    pub body: usize,
    /// Distinct labels that are kept apart.
    pub labels: usize,
}

#[derive(Debug)]
struct PhaseCell {
    name: String,
    control: ArmCell,
    treated: ArmCell,
    faults: Vec<(String, FaultCell)>,
    shadow: Option<Arc<ShadowCell>>,
}

#[derive(Debug)]
struct ArmCell {
    statuses: Box<[AtomicU64]>,
    latency: Box<[AtomicU64]>,
    broken: AtomicU64,
    predictions: Mutex<PredictionCell>,
}

#[derive(Debug, Default)]
struct PredictionCell {
    read: u64,
    labels: BTreeMap<String, u64>,
    scores: Scores,
    invalid: BTreeMap<String, u64>,
    unread: BTreeMap<String, u64>,
    text: TextEvidence,
}

/// Counts how often one fault acted.
#[derive(Debug, Default)]
pub struct FaultCell {
    eligible: AtomicU64,
    exposed: AtomicU64,
    perturbed: AtomicU64,
    predictions: AtomicU64,
    asked_for: AtomicU64,
    skipped: Tally,
    capped: [AtomicU64; Cap::ALL.len()],
    groups: GroupCells,
}

/// A limit on injections beside the share.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cap {
    /// Injections a second.
    Rate,
    /// Injections at once.
    Concurrent,
    /// Injections in the whole run.
    Total,
    /// Injections on one unit in an hour.
    PerUnit,
    /// There was no room to count those on this unit.
    UnitTable,
}

impl Cap {
    /// All of them.
    pub const ALL: [Cap; 5] = [Cap::Rate, Cap::Concurrent, Cap::Total, Cap::PerUnit, Cap::UnitTable];

    /// As evidence names what it took away.
    pub const fn reason(self) -> &'static str {
        match self {
            Cap::Rate => "cap-rate",
            Cap::Concurrent => "cap-concurrent",
            Cap::Total => "cap-total",
            Cap::PerUnit => "cap-per-unit",
            Cap::UnitTable => "cap-unit-table",
        }
    }
}

/// Counts by reason; the reasons are few and fixed.
#[derive(Debug, Default)]
struct Tally(Mutex<BTreeMap<&'static str, u64>>);

impl Tally {
    fn add(&self, reason: &'static str) {
        *locked(&self.0).entry(reason).or_default() += 1;
    }

    fn read(&self) -> BTreeMap<String, u64> {
        locked(&self.0).iter().map(|(reason, n)| ((*reason).to_owned(), *n)).collect()
    }
}

impl FaultCell {
    /// A request matched the target while the fault was active.
    pub fn eligible(&self) {
        self.eligible.fetch_add(1, Relaxed);
    }

    /// It came from a unit that gets the fault.
    pub fn exposed(&self) {
        self.exposed.fetch_add(1, Relaxed);
    }

    /// Its response was changed, so many predictions among it.
    pub fn perturbed(&self, predictions: usize) {
        self.perturbed.fetch_add(1, Relaxed);
        self.predictions.fetch_add(predictions as u64, Relaxed);
    }

    /// A request was changed that asked for it, whatever its unit's draw.
    pub fn asked_for(&self) {
        self.asked_for.fetch_add(1, Relaxed);
    }

    /// It should have been changed and could not.
    pub fn skipped(&self, reason: &'static str) {
        self.skipped.add(reason);
    }

    /// It should have been changed, and a cap took that away. Takes no lock: a cap binds when there is most to do.
    pub fn capped(&self, cap: Cap) {
        self.capped[cap as usize].fetch_add(1, Relaxed);
    }

    /// A caller of its group, or another, was told the positive class or not.
    pub fn told(&self, arm: Arm, member: bool, positive: bool) {
        self.groups.told(arm, member, positive);
    }

    fn read(&self, id: &str) -> FaultEvidence {
        let capped = Cap::ALL.map(|cap| (cap.reason().to_owned(), self.capped[cap as usize].load(Relaxed)));
        let mut skipped = self.skipped.read();
        skipped.extend(capped.into_iter().filter(|(_, count)| *count > 0));
        FaultEvidence {
            id: id.to_owned(),
            eligible: self.eligible.load(Relaxed),
            exposed: self.exposed.load(Relaxed),
            perturbed: self.perturbed.load(Relaxed),
            predictions: self.predictions.load(Relaxed),
            asked_for: self.asked_for.load(Relaxed),
            skipped,
            groups: self.groups.read(),
        }
    }
}

impl Recorder {
    /// An empty record for a plan.
    pub fn new(plan: &Plan, limits: RecorderLimits) -> Recorder {
        let phases = plan.phases.iter().map(|phase| PhaseCell {
            name: phase.name.clone(),
            control: ArmCell::default(),
            treated: ArmCell::default(),
            faults: phase.injections.iter().map(|i| (i.id.clone(), FaultCell::default())).collect(),
            shadow: plan.shadow().map(|_| Arc::default()),
        });
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

    /// A sink for an exchange of one arm in one phase.
    pub fn sink(&self, phase: usize, arm: Arm) -> ArmSink {
        ArmSink { recorder: self.clone(), phase, arm, seen: None }
    }

    /// Records one exchange; its predictions, if it kept its body, are read a little later.
    pub fn record(&self, phase: usize, arm: Arm, sample: Sample) {
        self.record_seen(phase, arm, sample, None);
    }

    fn record_seen(&self, phase: usize, arm: Arm, sample: Sample, seen: Option<Arc<dyn Observer>>) {
        let cell = self.shared.phases[phase].arm(arm);
        match sample.status.filter(|_| sample.whole) {
            None => _ = cell.broken.fetch_add(1, Relaxed),
            Some(status) => {
                cell.latency[latency_bucket(sample.latency)].fetch_add(1, Relaxed);
                cell.statuses[usize::from(status.as_u16())].fetch_add(1, Relaxed);
                if sample.body != Err(super::Unread::NotKept) {
                    self.shared.enqueue(phase, arm, sample, seen);
                }
            }
        }
    }

    /// Records predictions that need no reading.
    pub fn predictions(&self, phase: usize, arm: Arm, rows: &[Row]) {
        let shared = &self.shared;
        let mut cell = locked(&shared.phases[phase].arm(arm).predictions);
        let content = Content::Predictions;
        rows.iter().for_each(|row| cell.count(content, row, &shared.labels, shared.limits.labels));
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

/// Gives samples to one arm of one phase.
#[derive(Debug)]
pub struct ArmSink {
    recorder: Recorder,
    phase: usize,
    arm: Arm,
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
        self.recorder.record_seen(self.phase, self.arm, sample, self.seen.clone());
    }
}

impl Shared {
    fn enqueue(&self, phase: usize, arm: Arm, sample: Sample, seen: Option<Arc<dyn Observer>>) {
        if !self.queue.push(phase, arm, sample, seen) {
            locked(&self.phases[phase].arm(arm).predictions).miss("queue-full");
        }
    }

    /// Reads what is queued now, and not what comes meanwhile.
    fn read_queued(&self) {
        let end = self.queue.end();
        while let Some(next) = self.queue.take_before(end) {
            self.read(next.phase, next.arm, &next.sample, next.seen.as_deref());
        }
        self.queue.settle(end);
    }

    fn read(&self, phase: usize, arm: Arm, sample: &Sample, seen: Option<&dyn Observer>) {
        if let Ok(reading) = sample.text(self.codec.as_ref(), self.limits.body) {
            return locked(&self.phases[phase].arm(arm).predictions).text.record(&reading);
        }
        let answer = sample.predictions(self.codec.as_ref(), self.limits.body);
        if let (Ok(answer), Some(seen)) = (&answer, seen) {
            seen.answered(answer, arm, &|index| &self.phases[phase].faults[index].1);
        }
        let mut cell = locked(&self.phases[phase].arm(arm).predictions);
        match answer {
            Ok(answer) => {
                let labels = answer.labels(&self.labels);
                let Answer { content, rows, .. } = &answer;
                rows.iter().for_each(|row| cell.count(*content, row, &labels, self.limits.labels));
            }
            Err(error) => cell.miss(error.reason()),
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

impl PhaseCell {
    fn arm(&self, arm: Arm) -> &ArmCell {
        match arm {
            Arm::Treated => &self.treated,
            Arm::Control => &self.control,
        }
    }

    fn read(&self) -> PhaseEvidence {
        PhaseEvidence {
            phase: self.name.clone(),
            control: self.control.read(),
            treated: self.treated.read(),
            faults: self.faults.iter().map(|(id, cell)| cell.read(id)).collect(),
            shadow: self.shadow.as_deref().map(ShadowCell::read),
        }
    }
}

impl Default for ArmCell {
    fn default() -> ArmCell {
        let zeros = |n| std::iter::repeat_with(AtomicU64::default).take(n).collect();
        ArmCell {
            statuses: zeros(STATUSES),
            latency: zeros(LATENCY_BUCKETS),
            broken: AtomicU64::default(),
            predictions: Mutex::default(),
        }
    }
}

impl ArmCell {
    fn read(&self) -> ArmEvidence {
        let statuses = self.statuses.iter().enumerate().map(|(i, n)| (i as u16, n.load(Relaxed)));
        let latency = self.latency.iter().enumerate().map(|(i, n)| (i, n.load(Relaxed)));
        let predictions = locked(&self.predictions);
        ArmEvidence {
            statuses: statuses.filter(|(_, n)| *n > 0).collect(),
            broken: self.broken.load(Relaxed),
            latency: Histogram::from_counts(latency),
            predictions: predictions.read,
            labels: predictions.labels.clone(),
            scores: predictions.scores.clone(),
            invalid: predictions.invalid.clone(),
            unread: predictions.unread.clone(),
            text: predictions.text.clone(),
        }
    }
}

impl PredictionCell {
    fn count(&mut self, content: Content, row: &Row, labels: &Labels, distinct: usize) {
        self.read += 1;
        if let Some(reason) = row.invalid(content) {
            *self.invalid.entry(reason.to_owned()).or_default() += 1;
        }
        if let Some(label) = labels.of(row).filter(|_| content == Content::Predictions) {
            let name = match self.labels.contains_key(label.as_ref()) || self.labels.len() < distinct {
                true => label.as_ref(),
                false => OTHER_LABEL,
            };
            match self.labels.get_mut(name) {
                Some(count) => *count += 1,
                None => _ = self.labels.insert(name.to_owned(), 1),
            }
        }
        if content != Content::Embeddings
            && let Some(highest) = row.scores.iter().filter_map(Value::as_f64).reduce(f64::max)
        {
            self.scores.record(highest);
        }
    }

    fn miss(&mut self, reason: &'static str) {
        *self.unread.entry(reason.to_owned()).or_default() += 1;
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::sync::{OnceLock, atomic::AtomicBool};

    use http::{HeaderMap, Method, StatusCode};

    use super::*;
    use crate::wire::{ErrorResponse, Failure, Head, Reading, WireError};

    fn row(label: Option<Value>, scores: &[f64]) -> Row {
        Row { label, scores: scores.iter().copied().map(Value::Float).collect() }
    }

    /// While it reads one response, the next one ends.
    #[derive(Debug, Default)]
    struct Overload {
        next: OnceLock<Recorder>,
        over: AtomicBool,
    }

    impl Codec for Overload {
        fn is_prediction(&self, _: &Method, _: &str) -> bool {
            true
        }
        fn model<'a>(&self, _: &'a str) -> Option<&'a str> {
            None
        }
        fn read(&self, _: Head<'_>, _: &[u8]) -> Result<Reading, WireError> {
            if !self.over.load(Relaxed) {
                self.next.get().unwrap().record(0, Arm::Control, answered());
            }
            Err(WireError::NoPrediction)
        }
        fn error(&self, _: &str, _: &Failure) -> ErrorResponse {
            unreachable!()
        }
    }

    fn answered() -> Sample {
        Sample {
            method: Method::POST,
            uri: http::Uri::default(),
            status: Some(StatusCode::OK),
            whole: true,
            latency: std::time::Duration::ZERO,
            arm: None,
            headers: HeaderMap::new(),
            body: Ok(Vec::new()),
            passed: Vec::new(),
        }
    }

    #[test]
    fn a_snapshot_under_overload_returns() {
        let codec = Arc::new(Overload::default());
        let document =
            r#"{"name": "s", "target": {"protocol": "http"}, "phases": [{"name": "p", "lasts": "1m"}]}"#;
        let mut plan = crate::scenario::compile_document(serde_json::from_str(document).unwrap()).unwrap();
        plan.target.codec = codec.clone();
        let recorder = Recorder::new(&plan, RecorderLimits { body: 1 << 10, labels: 8 });
        codec.next.set(recorder.clone()).unwrap();
        for _ in 0..3 {
            recorder.record(0, Arm::Control, answered());
        }
        let unread = recorder.snapshot().phases[0].control.unread["no-prediction"];
        assert!(unread >= 3, "{unread} of those that had ended");
        codec.over.store(true, Relaxed);
    }

    #[test]
    fn labels_beyond_the_limit_count_together() {
        let mut cell = PredictionCell::default();
        for class in [1, 2, 3, 1, 4] {
            cell.count(Content::Predictions, &row(Some(Value::Int(class)), &[]), &Labels::default(), 2);
        }
        let want = [("1".to_owned(), 2), ("2".to_owned(), 1), (OTHER_LABEL.to_owned(), 2)];
        assert_eq!((cell.read, cell.labels), (5, want.into()));
    }

    #[test]
    fn values_that_are_none_have_a_reason() {
        for (row, reason) in [
            (row(Some(Value::Null), &[]), Some("null")),
            (row(None, &[0.2, f64::NAN]), Some("nan")),
            (row(None, &[f64::INFINITY]), Some("infinite")),
            (row(None, &[0.2, 1.5]), Some("out-of-range")),
            (row(Some(Value::Int(1)), &[-999.0]), Some("out-of-range")),
            (row(None, &[250_000.0]), None),
            (row(Some(Value::Int(1)), &[0.7]), None),
        ] {
            assert_eq!(row.invalid(Content::Predictions), reason, "{row:?}");
        }
    }
}

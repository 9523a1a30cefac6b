use std::sync::{OnceLock, atomic::AtomicBool};

use http::{HeaderMap, Method, StatusCode};

use super::{cells::PredictionCell, *};
use crate::{
    evidence::OTHER_LABEL,
    wire::{ErrorResponse, Failure, Head, Reading, Value, WireError},
};

const CONTROL: Cohort = Cohort { phase: 0, arm: Arm::Control, group: None };

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
            self.next.get().unwrap().record(CONTROL, answered());
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
        version: None,
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
        recorder.record(CONTROL, answered());
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

//! Predictions compared with the truth, where generated traffic knows it.
//!
//! The arm of a request is decided by the same pure function as in the sidecar, so that no side channel is
//! needed to tell treated answers from control ones.

use std::sync::{
    Arc, Mutex, PoisonError,
    atomic::{AtomicUsize, Ordering::Relaxed},
};

use http::{HeaderMap, Method};

use crate::{
    draw::UnitHash,
    exposure::{Arm, assign},
    scenario::{Plan, RequestView},
    verify::{Accuracy, PhaseAccuracy},
    wire::{Head, Value},
};

/// Counts right answers per phase and arm.
#[derive(Debug)]
pub struct Truth {
    plan: Arc<Plan>,
    phase: AtomicUsize,
    counts: Vec<[Count; 2]>,
}

/// Scores that add up to 1 within this are probabilities.
const SUM: f64 = 0.01;

/// One lock for each answer whose truth is known, beside a request over the network.
#[derive(Debug, Default)]
struct Count(Mutex<Accuracy>);

impl Count {
    fn read(&self) -> Accuracy {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Truth {
    /// Nothing compared yet.
    pub fn new(plan: Arc<Plan>) -> Truth {
        let counts = plan.phases.iter().map(|_| Default::default()).collect();
        Truth { plan, phase: AtomicUsize::new(usize::MAX), counts }
    }

    /// Answers from now on belong to this phase.
    pub(super) fn enter(&self, phase: usize) {
        self.phase.store(phase, Relaxed);
    }

    /// Compares one answer with its label.
    pub fn compare(&self, request: &LabelledRequest<'_>, response_headers: &HeaderMap, body: &[u8]) {
        let index = self.phase.load(Relaxed);
        let (Some(counts), Some(phase)) = (self.counts.get(index), self.plan.phases.get(index)) else {
            return;
        };
        let view =
            RequestView { method: request.method, path: request.path, headers: request.headers, body: None };
        let exposure = &self.plan.exposure;
        let id = UnitHash::of(request.id.as_bytes());
        let Ok(Some(side)) = assign(exposure, exposure.holdout, view, id) else {
            return;
        };
        let head = Head { path: request.path, headers: response_headers };
        let Ok(reading) = self.plan.target.codec.read(head, body) else { return };
        let [row] = reading.rows() else { return };
        let Some(predicted) = self.plan.target.labels.of(row) else { return };
        let count = &counts[usize::from(side.in_phase(phase).arm == Arm::Treated)];
        let right = predicted == request.label;
        let scores: Vec<f64> = row.scores.iter().filter_map(Value::as_f64).collect();
        let mut known = count.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.record(request.label, &predicted);
        // A lone score of two classes may be that of the positive one or of the answer.
        if scores.len() < 2 || (scores.iter().sum::<f64>() - 1.0).abs() > SUM {
            return;
        }
        known.record_confidence(scores.iter().copied().fold(0.0, f64::max), right);
        if let ([_, positive], [_, score]) = (self.plan.target.labels.names(), scores.as_slice()) {
            known.record_score(*score, positive == request.label);
        }
    }

    /// The accuracy of every phase so far.
    pub fn accuracy(&self) -> Vec<PhaseAccuracy> {
        let read = |[control, treated]: &[Count; 2]| PhaseAccuracy {
            control: control.read(),
            treated: treated.read(),
        };
        self.counts.iter().map(read).collect()
    }
}

/// A request whose true class is known.
#[derive(Debug, Clone, Copy)]
pub struct LabelledRequest<'a> {
    /// Its method.
    pub method: &'a Method,
    /// Its path.
    pub path: &'a str,
    /// Its headers.
    pub headers: &'a HeaderMap,
    /// Its own id, as the sidecar sees it.
    pub id: &'a str,
    /// The true class.
    pub label: &'a str,
}

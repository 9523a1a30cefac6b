//! The measure that decides for a fault moves with it, and stands still without it.

use std::{collections::BTreeMap, time::Duration};

use super::*;
use crate::wire::{Outputs, Protocol};
use crate::{
    evidence::{ArmEvidence, TextReading},
    verify::PhaseAccuracy,
};

/// So many answers, each made by `change` of a usual one.
fn arm(answers: u64, change: impl Fn(u64, &mut TextReading)) -> ArmEvidence {
    let mut arm = ArmEvidence { statuses: [(200, answers)].into(), ..ArmEvidence::default() };
    for i in 0..answers {
        let mut reading = TextReading {
            first: Some(Duration::from_millis(100 + i % 50)),
            gaps: vec![Duration::from_millis(20 + i % 7); 10],
            characters: 90 + i % 21,
            tokens: Some(18 + i % 5),
            reason: Some("stop".to_owned()),
            ..TextReading::default()
        };
        change(i, &mut reading);
        arm.text.record(&reading);
    }
    arm
}

fn decides(fault: &str, change: impl Fn(u64, &mut TextReading)) -> (Option<Effect>, Option<Effect>) {
    let fault: Fault = serde_saphyr::from_str(fault).unwrap();
    let usual = arm(200, |_, _| {});
    let treated = arm(200, change);
    let seen = FaultEvidence { exposed: 200, perturbed: 60, ..FaultEvidence::default() };
    let codec = Protocol::OpenAi.codec(&Outputs::default());
    let first = |treated: &ArmEvidence| {
        let arms = Arms {
            control: &usual,
            treated,
            groups: &BTreeMap::new(),
            known: &PhaseAccuracy::default(),
            pairs: None,
            codec: codec.as_ref(),
        };
        arms.of_text(&fault, &seen).into_iter().flatten().next()
    };
    (first(&treated), first(&arm(200, |_, _| {})))
}

/// A change of a reading.
type Change = fn(u64, &mut TextReading);

#[test]
fn each_fault_is_measured_by_what_it_does() {
    let table: [(&str, &str, Change); 9] = [
        (
            "{ stream-latency: { first-token: { median: 1s, p99: 2s } } }",
            "mean time to first token",
            |_, reading| reading.first = reading.first.map(|first| first + Duration::from_secs(1)),
        ),
        ("{ stream-latency: { tokens-per-second: 5 } }", "mean time per output token", |_, reading| {
            reading.gaps = vec![Duration::from_millis(200); 10];
        }),
        ("{ stream-stall: { lasts: 5s, rate: 30% } }", "mean longest gap", |i, reading| {
            if i % 3 == 0 {
                reading.gaps[4] += Duration::from_secs(5);
            }
        }),
        ("{ stream-cut: { at-chunk: 3 } }", "answers without a finish reason", |_, reading| {
            reading.reason = None
        }),
        ("{ stream-error: {} }", "answers with an error", |i, reading| reading.failed = i % 3 == 0),
        ("{ stream-malformed: {} }", "answers that do not parse", |i, reading| {
            reading.malformed = i % 3 == 0
        }),
        ("{ text-loop: {} }", "mean length in characters", |_, reading| reading.characters += 400),
        ("{ empty-answer: {} }", "empty answers", |_, reading| reading.characters = 0),
        ("{ usage: { factor: 2 } }", "reported tokens", |_, reading| {
            reading.tokens = reading.tokens.map(|tokens| 2 * tokens);
        }),
    ];
    for (fault, measure, change) in table {
        let (moved, still) = decides(fault, change);
        let (moved, still) = (moved.unwrap(), still.unwrap());
        assert_eq!((moved.measure.as_str(), still.measure.as_str()), (measure, measure));
        assert!(moved.difference.unwrap().excludes_zero(), "{moved:?}");
        assert!(!still.difference.unwrap().excludes_zero(), "{still:?}");
    }
}

#[test]
fn what_callers_cannot_measure_is_what_was_changed() {
    for fault in [
        "{ text-substitute: { rate: 5%, shuffle: true } }",
        "{ wrong-model: { to: x } }",
        "{ missing-done: {} }",
    ] {
        let (touched, _) = decides(fault, |_, _| {});
        let touched = touched.unwrap();
        assert_eq!((touched.measure.as_str(), touched.treated), ("requests touched", 0.3));
    }
}

#[test]
fn a_shift_of_reasons_is_told() {
    let fault: Fault = serde_saphyr::from_str("{ finish-reason: { to: length } }").unwrap();
    let (control, treated) = (
        arm(100, |_, _| {}),
        arm(100, |i, reading| {
            if i < 40 {
                reading.reason = Some("length".to_owned());
            }
        }),
    );
    let codec = Protocol::OpenAi.codec(&Outputs::default());
    let arms = Arms {
        control: &control,
        treated: &treated,
        groups: &BTreeMap::new(),
        known: &PhaseAccuracy::default(),
        pairs: None,
        codec: codec.as_ref(),
    };
    let seen = FaultEvidence { exposed: 100, perturbed: 40, ..FaultEvidence::default() };
    let effects: Vec<Effect> = arms.of_text(&fault, &seen).into_iter().flatten().collect();
    let moved = effects.iter().find(|effect| effect.measure.starts_with("finish reasons")).unwrap();
    assert!((moved.treated - 0.4).abs() < 1e-9);
}

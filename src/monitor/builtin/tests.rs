use std::sync::{Arc, Mutex};

use super::*;
use crate::{
    evidence::PhaseEvidence,
    monitor::{
        History,
        findings::{Condition, SeriesState},
    },
    scenario::BuiltinSignal,
    stats::Histogram,
    unit::{Share, Span},
};

/// A monitor with one rule, `Alert`, and the evidence that it reads.
struct Bench {
    monitor: Builtin,
    evidence: Arc<Mutex<Option<Evidence>>>,
}

fn rule(signal: BuiltinSignal, fires: &str) -> BuiltinRule {
    BuiltinRule {
        signal,
        fires: fires.parse().unwrap(),
        window: Span::from_secs(5),
        hold: Span::from_secs(3),
        at_least: 20,
    }
}

fn bench(rule: BuiltinRule) -> Bench {
    let settings = BuiltinSettings { rules: BTreeMap::from([("Alert".to_owned(), rule)]) };
    let evidence: Arc<Mutex<Option<Evidence>>> = Arc::default();
    let phases = vec![PhaseEvidence::default(), PhaseEvidence::default()];
    *evidence.lock().unwrap() = Some(Evidence { scenario: "s".into(), phases, ..Evidence::default() });
    let source = Arc::clone(&evidence);
    let source: EvidenceSource = Arc::new(move || {
        let now = source.lock().unwrap().clone();
        Box::pin(async move { now })
    });
    Bench { monitor: Builtin::new(settings, source), evidence }
}

fn answers(status: u16, count: u64, millis: u64) -> ArmEvidence {
    let mut latency = Histogram::default();
    (0..count).for_each(|_| latency.record(Duration::from_millis(millis)));
    ArmEvidence { statuses: BTreeMap::from([(status, count)]), latency, ..ArmEvidence::default() }
}

fn predictions(labels: &[(&str, u64)], score: f64) -> ArmEvidence {
    let count = labels.iter().map(|(_, n)| n).sum();
    let mut arm = ArmEvidence { predictions: count, ..answers(200, count, 1) };
    arm.labels = labels.iter().map(|(label, n)| ((*label).to_owned(), *n)).collect();
    (0..count).for_each(|i| arm.scores.record(score + 0.3 * (i as f64 / count as f64)));
    arm
}

impl Bench {
    /// A second passes, in which the two arms of a phase see this; then the monitor looks.
    async fn second(&mut self, phase: usize, control: &ArmEvidence, treated: &ArmEvidence) -> Reading {
        tokio::time::advance(Duration::from_secs(1)).await;
        if let Some(evidence) = self.evidence.lock().unwrap().as_mut() {
            evidence.phases[phase].control.merge(control);
            evidence.phases[phase].treated.merge(treated);
        }
        self.monitor.poll().await.unwrap()
    }

    async fn seconds(&mut self, n: usize, phase: usize, everybody: &ArmEvidence) -> Reading {
        for _ in 1..n {
            self.second(phase, everybody, &ArmEvidence::default()).await;
        }
        self.second(phase, everybody, &ArmEvidence::default()).await
    }
}

fn state(reading: &Reading) -> AlertState {
    reading.alerts.first().map_or(AlertState::Inactive, |alert| alert.state)
}

fn has_data(reading: &Reading) -> Option<bool> {
    reading.rules.as_ref().unwrap()[0].has_data
}

#[tokio::test(start_paused = true)]
async fn errors_of_both_arms_together_break_the_limit_wait_and_clear() {
    let mut bench = bench(rule(BuiltinSignal::ErrorShare, "> 10%"));
    let mut history = History::new();
    let (good, bad) = (answers(200, 90, 1), answers(503, 30, 1));
    for _ in 0..6 {
        assert!(history.apply("m", &bench.second(0, &good, &ArmEvidence::default()).await).is_empty());
    }
    let start = clock::now();
    for _ in 0..6 {
        let reading = bench.second(1, &good, &bad).await;
        history.apply("m", &reading);
    }
    // 30 of 480 in the window is below 10 %, 60 of 510 in the second after it is above; then `for` runs.
    let life = history.lives("Alert", Some("m"))[0].clone();
    let (pending, firing) = (life.pending.unwrap().0.since(start), life.firing.unwrap().0.since(start));
    assert!((pending - 2.0).abs() < 0.01, "{pending}");
    assert!((firing - pending - 3.0).abs() < 0.01, "{firing}");
    for _ in 0..5 {
        history.apply("m", &bench.second(1, &good, &ArmEvidence::default()).await);
    }
    assert_eq!(history.state(None, "Alert"), AlertState::Inactive);
    let ended = history.lives("Alert", None)[0].ended.unwrap();
    assert!(ended.1 < 0.01 && ended.0.since(start) > 6.5 && ended.0.since(start) < 10.01, "{ended:?}");
}

#[tokio::test(start_paused = true)]
async fn a_latency_quantile_is_of_the_window_alone() {
    let p95 = BuiltinSignal::Latency(Share::new(0.95).unwrap());
    let mut bench = bench(BuiltinRule { hold: Span::ZERO, ..rule(p95, "> 250ms") });
    assert_eq!(state(&bench.seconds(100, 0, &answers(200, 100, 10)).await), AlertState::Inactive);
    assert_eq!(
        state(&bench.second(1, &answers(200, 50, 10), &answers(200, 50, 900)).await),
        AlertState::Firing
    );
    assert_eq!(state(&bench.seconds(4, 1, &answers(200, 100, 10)).await), AlertState::Firing);
    assert_eq!(state(&bench.seconds(1, 1, &answers(200, 100, 10)).await), AlertState::Inactive);
}

#[tokio::test(start_paused = true)]
async fn too_little_traffic_says_nothing_and_clears_nothing() {
    let mut bench = bench(BuiltinRule { hold: Span::ZERO, ..rule(BuiltinSignal::ErrorShare, "> 10%") });
    let reading = bench.seconds(5, 0, &answers(500, 3, 1)).await;
    assert_eq!((state(&reading), has_data(&reading)), (AlertState::Inactive, Some(false)));
    let reading = bench.seconds(5, 0, &answers(500, 30, 1)).await;
    assert_eq!((state(&reading), has_data(&reading)), (AlertState::Firing, Some(true)));
    let reading = bench.seconds(20, 0, &answers(200, 1, 1)).await;
    assert_eq!((state(&reading), has_data(&reading)), (AlertState::Firing, Some(false)));
}

#[tokio::test(start_paused = true)]
async fn counts_that_stand_still_repeat_what_was_known_when_they_last_moved() {
    let mut bench = bench(rule(BuiltinSignal::ErrorShare, "> 10%"));
    let (nothing, traffic) = (ArmEvidence::default(), answers(200, 30, 1));
    assert_eq!(has_data(&bench.seconds(10, 0, &nothing).await), Some(false), "they never moved");
    assert_eq!(has_data(&bench.seconds(5, 0, &traffic).await), Some(true));
    // The run is over and its evidence frozen: that does not make the monitor blind.
    assert_eq!(has_data(&bench.seconds(60, 0, &nothing).await), Some(true));
    assert_eq!(has_data(&bench.seconds(20, 0, &answers(200, 1, 1)).await), Some(false), "a trickle");
    assert_eq!(has_data(&bench.seconds(60, 0, &nothing).await), Some(false));
}

#[tokio::test(start_paused = true)]
async fn without_a_reference_it_is_not_said_that_there_was_too_little() {
    let mut bench = bench(rule(BuiltinSignal::PredictionPsi, "> 0.2"));
    let from = clock::now();
    bench.seconds(9, 0, &predictions(&[("a", 30)], 0.1)).await;
    let to = clock::now();
    let question = Question {
        alert: "Alert".into(),
        wanted: BTreeMap::new(),
        from,
        ended: to,
        to,
        fired: None,
        until: to,
        quiet_from: from,
        faulted_before: false,
    };
    let found = bench.monitor.examine(&question).await;
    let Some(Condition::Compare(compare)) = found.condition else { panic!("{found:?}") };
    assert!(matches!(compare.series[0].state, SeriesState::NotYet), "{compare:?}");
    assert!(compare.series[0].seen.answer.ends_with("of 9 looks"), "{compare:?}");
}

#[tokio::test(start_paused = true)]
async fn drift_is_measured_against_the_first_phase_once_it_is_over() {
    for signal in [BuiltinSignal::PredictionPsi, BuiltinSignal::ScorePsi] {
        let mut bench = bench(BuiltinRule { hold: Span::ZERO, ..rule(signal.clone(), "> 0.2") });
        let usual = predictions(&[("a", 50), ("b", 40), ("c", 10)], 0.5);
        let reading = bench.seconds(10, 0, &usual).await;
        assert_eq!((state(&reading), has_data(&reading)), (AlertState::Inactive, None), "{signal:?}");
        let reading = bench.seconds(5, 1, &usual).await;
        assert_eq!((state(&reading), has_data(&reading)), (AlertState::Inactive, Some(true)), "{signal:?}");
        let reading = bench.seconds(5, 1, &predictions(&[("a", 50), ("c", 50)], 0.2)).await;
        assert_eq!(state(&reading), AlertState::Firing, "{signal:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn labels_and_invalid_values_are_shares_of_predictions() {
    let mut odd = predictions(&[("a", 10), ("b", 30)], 0.5);
    odd.predictions += 10;
    odd.invalid.insert("nan".into(), 10);
    let table = [
        (BuiltinSignal::LabelShare("a".into()), "> 24%", "> 26%"),
        (BuiltinSignal::InvalidShare, "> 19%", "> 21%"),
        (BuiltinSignal::DistinctPredictions, "< 3", "< 2"),
    ];
    for (signal, broken, holds) in table {
        for (fires, expected) in [(broken, AlertState::Firing), (holds, AlertState::Inactive)] {
            let mut bench = bench(BuiltinRule { hold: Span::ZERO, ..rule(signal.clone(), fires) });
            assert_eq!(state(&bench.seconds(4, 0, &odd).await), expected, "{signal:?} {fires}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn generated_texts_are_watched_for_their_timing_and_their_ends() {
    let mut texts = answers(200, 50, 1);
    for _ in 0..50 {
        texts.text.time_to_first_token.record(Duration::from_millis(400));
        texts.text.time_per_output_token.record(Duration::from_millis(40));
    }
    texts.text.answers = 50;
    texts.text.empty = 10;
    texts.text.finish_reasons = [("stop".to_owned(), 40), ("(none)".to_owned(), 10)].into();
    let p95 = Share::new(0.95).unwrap();
    let table = [
        (BuiltinSignal::TimeToFirstToken(p95), "> 350ms", "> 450ms"),
        (BuiltinSignal::TimePerOutputToken(p95), "> 35ms", "> 45ms"),
        (BuiltinSignal::FinishReasonShare("(none)".into()), "> 19%", "> 21%"),
        (BuiltinSignal::EmptyShare, "> 19%", "> 21%"),
    ];
    for (signal, broken, holds) in table {
        for (fires, expected) in [(broken, AlertState::Firing), (holds, AlertState::Inactive)] {
            let mut bench = bench(BuiltinRule { hold: Span::ZERO, ..rule(signal.clone(), fires) });
            assert_eq!(state(&bench.seconds(4, 0, &texts).await), expected, "{signal:?} {fires}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn without_evidence_there_is_no_all_clear() {
    let mut bench = bench(BuiltinRule { hold: Span::ZERO, ..rule(BuiltinSignal::ErrorShare, "> 10%") });
    let armed = bench.evidence.lock().unwrap().take();
    let reading = bench.monitor.poll().await.unwrap();
    assert_eq!((reading.alerts.len(), has_data(&reading)), (0, Some(false)));
    *bench.evidence.lock().unwrap() = armed;
    assert_eq!(state(&bench.seconds(3, 0, &answers(500, 50, 1)).await), AlertState::Firing);
    *bench.evidence.lock().unwrap() = None;
    assert!(matches!(bench.monitor.poll().await, Err(MonitorError::Unreachable(_))));
    // A sidecar that was started anew counts from zero: a new window, not a negative one.
    let phases = vec![PhaseEvidence::default(), PhaseEvidence::default()];
    *bench.evidence.lock().unwrap() = Some(Evidence { scenario: "s".into(), phases, ..Evidence::default() });
    let reading = bench.seconds(1, 0, &answers(200, 5, 1)).await;
    assert_eq!((state(&reading), has_data(&reading)), (AlertState::Firing, None));
}

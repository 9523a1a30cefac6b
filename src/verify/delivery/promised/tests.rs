//! A whole fault keeps its promise whatever its shape and however few it may touch; a half-lost one does not.

use std::time::Duration;

use crate::{
    event::{Delivered, Delivery},
    evidence::{ArmEvidence, Evidence, FaultEvidence, PhaseEvidence, TextReading},
    verify::{
        Accuracy, PhaseAccuracy,
        delivery::{
            deliveries,
            tests::{acted, answers, delivery, judge, plan, within},
        },
    },
};

/// Streams whose first token comes after so many milliseconds.
fn streams(count: u64, first_ms: impl Fn(u64) -> u64) -> ArmEvidence {
    let mut arm = answers(count, 200);
    for i in 0..count {
        let reading = TextReading {
            first: Some(Duration::from_millis(first_ms(i))),
            gaps: vec![Duration::from_millis(10); 5],
            characters: 100,
            reason: Some("stop".to_owned()),
            ..TextReading::default()
        };
        arm.text.record(&reading);
    }
    arm
}

fn estimate(found: &Delivery) -> f64 {
    found.achieved.unwrap().estimate
}

#[test]
fn a_delay_of_first_tokens_at_some_times_only_is_kept_in_the_mean() {
    let slow = "{ stream-latency: { first-token: { median: 400ms, p99: 800ms } } }";
    let plan = plan("openai", "50%", slow);
    // At two fifths of the time, as a square wave has it: no median moves.
    let delay = |i: u64| 20 + i % 5 + if i % 5 < 2 { 418 } else { 0 };
    let seen = FaultEvidence { active: 160, intensity_millionths: 160_000_000, ..acted(400, 160) };
    let found = judge(&plan, streams(400, |i| 20 + i % 5), streams(400, delay), seen);
    assert_eq!(found.delivered, Delivered::Yes, "{found:?}");
    assert_eq!(found.promised.as_ref().unwrap().measure, "mean time to first token");
    assert!((estimate(&found) - 1.0).abs() < 0.05, "{found:?}");
}

#[test]
fn the_mean_of_few_and_long_tailed_delays_decides_nothing() {
    let slow = "{ latency: { lognormal: { median: 100ms, p99: 5s } } }";
    let few = delivery("50%", slow, within(60, |_| 10), within(60, |i| 60 + i), acted(60, 60));
    assert_eq!(few.promised.unwrap().measure, "p50 latency");
    let some = FaultEvidence { intensity_millionths: 30_000_000, ..acted(60, 60) };
    let part = delivery("50%", slow, within(60, |_| 10), within(60, |i| 60 + i), some);
    assert_eq!(part.promised.unwrap().measure, "requests touched", "a median tells of the whole only");
    let many = delivery("50%", slow, within(600, |_| 10), within(600, |i| 60 + i), acted(600, 600));
    assert_eq!(many.promised.unwrap().measure, "mean latency");
}

#[test]
fn a_ramp_of_the_size_leaves_the_rate_alone() {
    let shift = "{ score-shift: { delta: 1 } }";
    let judged = |changed: u64| {
        let seen = FaultEvidence { active: 396, intensity_millionths: 200_000_000, ..acted(400, changed) };
        delivery("50%", shift, answers(400, 200), answers(400, 200), seen)
    };
    assert_eq!(judged(396).delivered, Delivered::Yes);
    let half = judged(200);
    assert_eq!(half.delivered, Delivered::Partly, "{half:?}");
    assert!((estimate(&half) - 0.5).abs() < 0.01, "{half:?}");
}

#[test]
fn nothing_changed_where_nothing_was_to_be_expected_tells_nothing() {
    let rare = "{ error: { status: 503, rate: 1% } }";
    let found = delivery("50%", rare, answers(100, 200), answers(100, 200), acted(100, 0));
    assert_eq!(found.delivered, Delivered::TooLittleTraffic, "{found:?}");
    let found = delivery("50%", rare, answers(1000, 200), answers(1000, 200), acted(1000, 0));
    assert_eq!(found.delivered, Delivered::No, "{found:?}");
}

#[test]
fn an_arm_that_is_faster_shows_no_slow_network() {
    let slow = "{ bandwidth: { bytes-per-second: 100 } }";
    let found =
        delivery("50%", slow, within(300, |i| 50 + i % 7), within(300, |i| 10 + i % 7), acted(300, 0));
    assert_eq!(found.delivered, Delivered::No, "{found:?}");
    let found =
        delivery("50%", slow, within(300, |i| 50 + i % 7), within(300, |i| 10 + i % 7), acted(300, 4));
    assert_eq!(found.delivered, Delivered::TooLittleTraffic, "{found:?}");
}

#[test]
fn a_share_of_the_pieces_is_the_least_share_of_requests() {
    let words = "{ text-substitute: { rate: 10%, shuffle: true } }";
    let judged = |changed| {
        judge(&plan("openai", "50%", words), answers(200, 200), answers(200, 200), acted(200, changed))
    };
    let most = judged(190);
    assert!(most.promised.unwrap().at_least && most.delivered == Delivered::Yes);
    assert_eq!(judged(6).delivered, Delivered::Partly);
}

#[test]
fn of_a_slice_nothing_is_known_of_its_labels() {
    let sliced = "{ mislabel: { rate: 60%, from: a, to: b } }, where: 'features[0] > 5.5'";
    let told = |a: u64, b: u64| ArmEvidence {
        labels: [("a".to_owned(), a), ("b".to_owned(), b)].into(),
        ..answers(a + b, 200)
    };
    // A tenth of the requests are in it, nearly all of one class.
    let found = delivery("50%", sliced, told(300, 700), told(240, 760), acted(100, 60));
    assert_eq!((found.delivered, found.achieved), (Delivered::Yes, None), "{found:?}");
}

#[test]
fn requests_of_a_group_that_wait_are_not_counted_against_it() {
    let text = "name: t\ntarget: { protocol: open-inference }\n\
        exposure: { share: 80%, groups: { one: 50%, two: 50% } }\nphases:\n  - name: broken\n    lasts: 10s\n    \
        inject:\n      - { fault: { latency: { fixed: 20s } }, group: one }\n";
    let plan = crate::scenario::compile(&crate::scenario::Source::new("t.yaml", text)).unwrap();
    // 500 of the group began and 160 of them ended; the others have all ended.
    let phase = PhaseEvidence {
        control: within(300, |i| 10 + i % 7),
        treated: within(660, |i| if i < 160 { 20_010 } else { 10 + i % 7 }),
        groups: [("one".to_owned(), within(160, |_| 20_010)), ("two".to_owned(), within(500, |_| 10))].into(),
        faults: vec![FaultEvidence { eligible: 1300, ..acted(500, 500) }],
        ..PhaseEvidence::default()
    };
    let found = deliveries(&plan, &Evidence { phases: vec![phase], ..Evidence::default() }, &[]).remove(0);
    assert_eq!(found.promised.as_ref().unwrap().measure, "requests touched", "{found:?}");
    assert_eq!(found.delivered, Delivered::Yes, "{found:?}");
}

#[test]
fn with_everybody_treated_the_truth_of_the_time_before_is_the_control() {
    let text = "name: t\ntarget: { protocol: open-inference, labels: [a, b] }\nexposure: { share: 100% }\nphases:\n  \
        - { name: steady, lasts: 10s }\n  - name: broken\n    lasts: 10s\n    \
        inject: [{ fault: { accuracy-drop: { drop: 20%, accuracy: 90% } } }]\n";
    let plan = crate::scenario::compile(&crate::scenario::Source::new("t.yaml", text)).unwrap();
    let known = |right: u64, of: u64| {
        let mut known = Accuracy::default();
        (0..of).for_each(|i| known.record("a", if i < right { "a" } else { "b" }));
        known
    };
    let broken = PhaseEvidence {
        treated: answers(500, 200),
        faults: vec![acted(500, 110)],
        ..PhaseEvidence::default()
    };
    let steady = PhaseEvidence { control: answers(500, 200), ..PhaseEvidence::default() };
    let evidence = Evidence { phases: vec![steady, broken], ..Evidence::default() };
    let truth = [
        PhaseAccuracy { control: Accuracy::default(), treated: known(450, 500) },
        PhaseAccuracy { control: Accuracy::default(), treated: known(350, 500) },
    ];
    let found = deliveries(&plan, &evidence, &truth).remove(0);
    let promised = found.promised.as_ref().unwrap();
    assert_eq!((promised.measure.as_str(), found.delivered), ("accuracy", Delivered::Yes), "{found:?}");
    assert!((estimate(&found) - 1.0).abs() < 0.05, "{found:?}");
}

#[test]
fn streams_are_cut_and_whole_bodies_are_not() {
    let cut = "{ stream-cut: { at: 40%, rate: 60% } }";
    let mixed = |cut: u64| {
        let mut arm = answers(400, 200);
        for i in 0..400 {
            let first = (i % 4 != 0).then_some(Duration::from_millis(20));
            let reason = (i % 4 == 0 || i / 4 >= cut).then(|| "stop".to_owned());
            arm.text.record(&TextReading { first, characters: 100, reason, ..TextReading::default() });
        }
        arm
    };
    // Three in four answers are streams; of those three in five are cut.
    let found = judge(&plan("openai", "50%", cut), mixed(0), mixed(60), acted(400, 240));
    assert_eq!(found.delivered, Delivered::Yes, "{found:?}");
    assert!((found.promised.as_ref().unwrap().amount - 0.45).abs() < 1e-9, "{found:?}");
    assert!((estimate(&found) - 1.0).abs() < 1e-9, "{found:?}");
}

#[test]
fn a_monitor_is_measured_by_what_it_had_and_by_the_service_as_it_was() {
    let slow = "{ latency: { fixed: 20ms } }";
    let plan = plan("open-inference", "50%", slow);
    let monitor = |spread: u64| {
        let usual = |n: u64, more: u64| within(n, move |i| 10 + more + i % spread);
        let steady = PhaseEvidence { control: usual(500, 0), ..PhaseEvidence::default() };
        let broken = PhaseEvidence {
            control: usual(200, 0),
            treated: usual(200, 20),
            faults: vec![FaultEvidence { eligible: 400, ..acted(200, 200) }],
            ..PhaseEvidence::default()
        };
        let evidence = Evidence { phases: vec![steady, broken], ..Evidence::default() };
        deliveries(&plan, &evidence, &[]).remove(0).monitor.unwrap()
    };
    let (steady, noisy) = (monitor(3), monitor(400));
    assert!(steady.needed < steady.had && steady.had == 400, "{steady:?}");
    assert!(noisy.needed > noisy.had, "{noisy:?}");
    // Of batches it has as many predictions as there are rows.
    let mislabel =
        super::super::tests::plan("open-inference", "50%", "{ mislabel: { rate: 50%, from: a, to: b } }");
    let batched = |requests: u64, rows: u64| ArmEvidence {
        predictions: requests * rows,
        labels: [("a".to_owned(), requests * rows / 2), ("b".to_owned(), requests * rows / 2)].into(),
        ..answers(requests, 200)
    };
    let broken = PhaseEvidence {
        control: batched(50, 32),
        treated: batched(50, 32),
        faults: vec![FaultEvidence { eligible: 100, ..acted(50, 50) }],
        ..PhaseEvidence::default()
    };
    let steady = PhaseEvidence { control: batched(100, 32), ..PhaseEvidence::default() };
    let evidence = Evidence { phases: vec![steady, broken], ..Evidence::default() };
    let seen = deliveries(&mislabel, &evidence, &[]).remove(0).monitor.unwrap();
    assert_eq!((seen.of.as_str(), seen.had), ("predictions", 3200), "{seen:?}");
    assert!(seen.needed < seen.had && seen.needed > 50, "{seen:?}");
}

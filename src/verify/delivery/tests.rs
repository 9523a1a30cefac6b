use super::*;
use crate::evidence::{Groups, Side};
use crate::scenario::{Source, compile};

/// The delivery of one fault at a share, from what the arms saw.
pub(super) fn delivery(
    share: &str,
    fault: &str,
    control: ArmEvidence,
    treated: ArmEvidence,
    seen: FaultEvidence,
) -> Delivery {
    judge(&plan("open-inference", share, fault), control, treated, seen)
}

pub(super) fn judge(
    plan: &Plan,
    control: ArmEvidence,
    treated: ArmEvidence,
    seen: FaultEvidence,
) -> Delivery {
    let steady = crate::evidence::PhaseEvidence { control: answers(500, 200), ..Default::default() };
    let broken =
        crate::evidence::PhaseEvidence { control, treated, faults: vec![seen], ..Default::default() };
    let evidence = Evidence { phases: vec![steady, broken], ..Default::default() };
    deliveries(plan, &evidence, &[]).remove(0)
}

/// A steady phase, and one with the fault.
pub(super) fn plan(protocol: &str, share: &str, fault: &str) -> Plan {
    let text = format!(
        "name: t\ntarget: {{ protocol: {protocol} }}\nexposure: {{ share: {share} }}\n\
         phases:\n  - {{ name: steady, lasts: 10s }}\n  - {{ name: broken, lasts: 10s, inject: [{{ fault: {fault} }}] }}\n"
    );
    let source = Source { name: "t.yaml".into(), text: text.into(), folder: ".".into() };
    compile(&source).unwrap_or_else(|errors| panic!("{errors}"))
}

pub(super) fn answers(count: u64, status: u16) -> ArmEvidence {
    ArmEvidence { statuses: [(status, count)].into(), predictions: count, ..Default::default() }
}

pub(super) fn acted(exposed: u64, perturbed: u64) -> FaultEvidence {
    FaultEvidence { eligible: exposed, exposed, perturbed, predictions: perturbed, ..Default::default() }
}

#[test]
fn with_everybody_treated_the_time_before_the_fault_is_the_control() {
    let mislabel = "{ mislabel: { rate: 30%, from: a, to: b } }";
    let found = delivery("100%", mislabel, ArmEvidence::default(), answers(300, 200), acted(300, 90));
    assert_eq!(found.delivered, Delivered::Yes, "{found:?}");
    let mut treated = answers(180, 200);
    treated.statuses.insert(503, 120);
    let error = "{ error: { status: 503, rate: 40% } }";
    let found = delivery("100%", error, ArmEvidence::default(), treated, acted(300, 120));
    assert_eq!(found.delivered, Delivered::Yes, "{found:?}");
}

#[test]
fn an_error_that_is_the_callers_fault_is_measured_too() {
    let found =
        delivery("50%", "{ error: { status: 400 } }", answers(200, 200), answers(200, 400), acted(200, 200));
    assert_eq!(found.delivered, Delivered::Yes, "{found:?}");
}

#[test]
fn a_delay_that_nobody_waited_for_is_delivered() {
    let treated = ArmEvidence { broken: 100, ..Default::default() };
    let found = delivery("50%", "{ latency: { fixed: 60s } }", answers(100, 200), treated, acted(100, 100));
    assert_eq!(found.delivered, Delivered::Yes, "{found:?}");
}

pub(super) fn within(count: u64, ms: impl Fn(u64) -> u64) -> ArmEvidence {
    let mut arm = answers(count, 200);
    (0..count).for_each(|i| arm.latency.record(std::time::Duration::from_millis(ms(i))));
    arm
}

#[test]
fn what_a_fault_promises_decides_and_not_whom_it_touched() {
    let fast = || within(300, |i| 10 + i % 7);
    let mut refused = within(200, |i| 10 + i % 7);
    refused.statuses.insert(429, 100);
    let overloaded = {
        let mut arm = within(200, |i| 10 + i % 7);
        arm.statuses.insert(413, 100);
        arm
    };
    for (fault, treated, delivered, measure) in [
        ("{ rate-limit: { limit: 10/s } }", refused, true, "share of status 429"),
        ("{ rate-limit: { limit: 10/s } }", fast(), false, "share of status 429"),
        ("{ queue: { slots: 2 } }", within(300, |i| 10 + i % 90), true, "mean latency"),
        ("{ queue: { slots: 2 } }", fast(), false, "mean latency"),
        (
            "{ cold-start: { takes: 3s, idle: 5s } }",
            within(300, |i| if i < 12 { 3000 } else { 10 + i % 7 }),
            true,
            "slower than any control",
        ),
        ("{ cold-start: { takes: 3s, idle: 5s } }", fast(), false, "slower than any control"),
        ("{ bandwidth: { bytes-per-second: 100 } }", within(300, |i| 50 + i % 7), true, "mean latency"),
        ("{ error: { grpc: RESOURCE_EXHAUSTED } }", fast(), false, "error share"),
        ("{ error: { kind: context-length } }", overloaded, false, "share of status 400"),
    ] {
        let found = delivery("50%", fault, fast(), treated, acted(300, 100));
        assert_eq!(found.delivered == Delivered::Yes, delivered, "{fault}: {found:?}");
        let decides = found.effects.iter().take(2).find(|effect| effect.measure == measure).unwrap();
        let shown = decides.difference.is_some_and(crate::stats::Interval::excludes_zero);
        assert_eq!(shown, delivered, "{fault}: {decides:?}");
    }
}

#[test]
fn a_gap_is_measured_between_the_group_and_the_others() {
    let compared = |group, others| crate::evidence::Compared {
        group: Side { positive: group, seen: 1000 },
        others: Side { positive: others, seen: 1000 },
    };
    let fault = "{ parity-gap: { group: 'features[0] > 1', gap: 15%, positive: a, negative: b } }";
    for (treated, delivered) in [(compared(350, 500), true), (compared(500, 500), false)] {
        let groups = Groups { control: compared(490, 510), treated };
        let seen = FaultEvidence { groups, ..acted(2000, 100) };
        let found = delivery("50%", fault, answers(2000, 200), answers(2000, 200), seen);
        assert_eq!(found.effects[0].measure, "parity gap");
        assert_eq!(found.delivered == Delivered::Yes, delivered, "{found:?}");
    }
}

#[test]
fn what_changed_nothing_or_met_nobody_is_not_delivered() {
    let mislabel = "{ mislabel: { rate: 30%, from: a, to: b } }";
    let check = |seen| delivery("50%", mislabel, answers(300, 200), answers(300, 200), seen).delivered;
    assert_eq!(check(acted(300, 0)), Delivered::No);
    assert_eq!(check(acted(10, 3)), Delivered::TooLittleTraffic);
    assert_eq!(check(acted(300, 2)), Delivered::TooLittleTraffic);
    let full = FaultEvidence { skipped: [("ledger-broken".to_owned(), 10)].into(), ..acted(300, 90) };
    assert_eq!(check(full), Delivered::No, "it stopped when it could not be recorded");
    let skipped = FaultEvidence { skipped: [("malformed-body".to_owned(), 200)].into(), ..acted(300, 3) };
    assert_eq!(check(skipped), Delivered::No);
}

#[test]
fn what_falls_short_of_its_promise_is_partly_delivered() {
    let failing = |failed: u64| {
        let mut arm = answers(1000 - failed, 200);
        arm.statuses.insert(503, failed);
        arm
    };
    let error = "{ error: { status: 503, rate: 40% } }";
    for (failed, delivered) in [(390, Delivered::Yes), (200, Delivered::Partly), (0, Delivered::No)] {
        let found = delivery("50%", error, answers(1000, 200), failing(failed), acted(1000, failed.max(1)));
        assert_eq!(found.delivered, delivered, "{found:?}");
    }
    let half = delivery("50%", error, answers(1000, 200), failing(200), acted(1000, 200));
    let (promised, achieved) = (half.promised.unwrap(), half.achieved.unwrap());
    assert_eq!((promised.measure.as_str(), promised.unit.as_str()), ("share of status 503", "share"));
    assert!((promised.amount - 0.4).abs() < 1e-9 && (achieved.estimate - 0.5).abs() < 1e-9, "{achieved:?}");
    assert!(achieved.low > 0.4 && achieved.high < 0.6, "{achieved:?}");
}

#[test]
fn a_promise_is_that_of_the_ramp_and_of_the_part_that_the_fault_acts_on() {
    let error = "{ error: { status: 503, rate: 40% } }";
    let mut treated = answers(900, 200);
    treated.statuses.insert(503, 100);
    // Half of the treated get it, at half its size: 10 % of the arm.
    let seen = FaultEvidence { intensity_millionths: 250_000_000, ..acted(500, 100) };
    let found = delivery("50%", error, answers(1000, 200), treated, seen);
    assert_eq!(found.delivered, Delivered::Yes, "{found:?}");
    assert!((found.achieved.unwrap().estimate - 1.0).abs() < 1e-9, "{found:?}");
}

#[test]
fn stale_features_for_half_of_those_that_were_promised_are_half_a_delivery() {
    let stale = "{ feature-stale: { age: 3s } }";
    let seen = FaultEvidence { skipped: [("not-old-enough".to_owned(), 540)].into(), ..acted(1000, 460) };
    let found = delivery("50%", stale, answers(1000, 200), answers(1000, 200), seen);
    assert_eq!(found.delivered, Delivered::Partly, "{found:?}");
    assert!((found.achieved.unwrap().estimate - 0.46).abs() < 1e-9);
}

#[test]
fn a_delay_is_promised_in_the_mean_and_waiting_callers_are_not_counted_against_it() {
    let slow = "{ latency: { fixed: 100ms, rate: 50% } }";
    let delayed = |ms: u64| within(400, move |i| 10 + i % 7 + ms * (i % 2));
    for (ms, delivered) in [(100, Delivered::Yes), (20, Delivered::Partly), (0, Delivered::No)] {
        let found = delivery("50%", slow, within(400, |i| 10 + i % 7), delayed(ms), acted(400, 200));
        assert_eq!(found.delivered, delivered, "{found:?}");
        assert!((found.promised.unwrap().amount - 0.05).abs() < 1e-9);
    }
    // Those that are delayed have not ended yet.
    let found =
        delivery("50%", slow, within(400, |i| 10 + i % 7), within(200, |i| 10 + i % 7), acted(400, 200));
    assert_eq!(found.promised.unwrap().measure, "requests touched", "{:?}", found.delivered);
}

#[test]
fn of_a_class_the_promise_is_that_class_only() {
    let mislabel = "{ mislabel: { rate: 50%, from: a, to: b } }";
    let told = |a: u64, b: u64| ArmEvidence {
        labels: [("a".to_owned(), a), ("b".to_owned(), b)].into(),
        ..answers(a + b, 200)
    };
    for (changed, delivered) in [(148, Delivered::Yes), (60, Delivered::Partly)] {
        let found = delivery(
            "50%",
            mislabel,
            told(310, 690),
            told(300 - changed, 700 + changed),
            acted(1000, changed),
        );
        assert_eq!(found.delivered, delivered, "{found:?}");
        assert!((found.promised.unwrap().amount - 0.15).abs() < 1e-9);
    }
}

/// A stream of exchanges, split over sidecars in any way and added up again, is judged like that of one process.
#[test]
fn merged_evidence_is_judged_like_that_of_one_process() {
    use crate::evidence::PhaseEvidence;
    proptest::proptest!(|(parts in 1_usize..6, split in proptest::collection::vec(0_usize..6, 600), rate in 0_u64..8)| {
        let fresh = || PhaseEvidence { faults: vec![FaultEvidence::default()], ..PhaseEvidence::default() };
        let note = |seen: &mut PhaseEvidence, i: u64| {
            let treated = i % 2 == 1;
            let hit = treated && i % 16 < 2 * rate;
            let arm = if treated { &mut seen.treated } else { &mut seen.control };
            *arm.statuses.entry(200).or_default() += 1;
            arm.predictions += 1;
            arm.latency.record(std::time::Duration::from_millis(10 + i % 9 + if hit { 50 } else { 0 }));
            // Eighths add up exactly, in whatever order.
            arm.scores.record((i % 8) as f64 / 8.0);
            let label = if hit || i.is_multiple_of(3) { "b" } else { "a" };
            *arm.labels.entry(label.to_owned()).or_default() += 1;
            if treated {
                let fault = &mut seen.faults[0];
                fault.eligible += 1;
                fault.exposed += 1;
                fault.intensity_millionths += 500_000;
                (fault.rows, fault.rows_in_scope) = (fault.rows + 1, fault.rows_in_scope + 1);
                fault.perturbed += u64::from(hit);
                fault.predictions += u64::from(hit);
            }
        };
        let whole = |phase| Evidence { phases: vec![PhaseEvidence::default(), phase], ..Evidence::default() };
        let mut one = fresh();
        let mut many: Vec<PhaseEvidence> = (0..parts).map(|_| fresh()).collect();
        for (i, part) in split.iter().enumerate() {
            note(&mut one, i as u64);
            note(&mut many[part % parts], i as u64);
        }
        let mut merged = Evidence::default();
        many.into_iter().for_each(|part| merged.merge(&whole(part)));
        for fault in ["{ mislabel: { rate: 30%, from: a, to: b } }", "{ latency: { fixed: 50ms, rate: 40% } }"] {
            let plan = plan("open-inference", "50%", fault);
            let (one, merged) = (deliveries(&plan, &whole(one.clone()), &[]), deliveries(&plan, &merged, &[]));
            proptest::prop_assert_eq!(one, merged);
        }
    });
}

#[test]
fn shadows_are_compared_in_pairs() {
    use crate::evidence::{ShadowEvidence, Sums};
    let mut latency_s = Sums::default();
    (0..100).for_each(|i| latency_s.record(0.1 + f64::from(i % 3) / 1000.0));
    let statuses = [("200".to_owned(), [("503".to_owned(), 12)].into())].into();
    let seen = ShadowEvidence { pairs: 100, latency_s, statuses, ..ShadowEvidence::default() };
    let codec = crate::wire::Protocol::Http.codec(&crate::wire::Outputs::default());
    // Latencies that vary so much that arms apart would tell nothing.
    let (control, treated) = (within(100, |i| 10 + 37 * i), within(100, |i| 110 + 37 * i));
    let (nothing, groups) = (PhaseAccuracy::default(), BTreeMap::new());
    let arms = |pairs| Arms {
        control: &control,
        treated: &treated,
        groups: &groups,
        known: &nothing,
        pairs,
        codec: codec.as_ref(),
    };
    let (apart, together) = (arms(None).mean_latency().unwrap(), arms(Some(&seen)).mean_latency().unwrap());
    assert!(!apart.difference.unwrap().excludes_zero(), "{apart:?}");
    let difference = together.difference.unwrap();
    assert!(
        (difference.estimate - 0.101).abs() < 1e-3 && difference.high - difference.low < 0.001,
        "{together:?}"
    );
    let failed = arms(Some(&seen)).error_share().unwrap().difference.unwrap();
    assert!((failed.estimate - 0.12).abs() < 1e-9 && failed.low > 0.05, "{failed:?}");
}

#[test]
fn the_truth_tells_recall_calibration_and_ranking() {
    let mut right = Accuracy::default();
    let mut wrong = Accuracy::default();
    let name = |class| if class == 1 { "spam" } else { "ham" };
    for i in 0..400 {
        let truth = i % 2;
        let score = if truth == 1 { 0.8 } else { 0.2 };
        right.record(name(truth), name(truth));
        right.record_confidence(0.95, true);
        right.record_score(score, truth == 1);
        // Every other positive is told as negative, as sure as before.
        let told = if i % 4 == 1 { 0 } else { truth };
        wrong.record(name(truth), name(told));
        wrong.record_confidence(0.95, told == truth);
        wrong.record_score(if i % 4 == 1 { 0.1 } else { score }, truth == 1);
    }
    let (control, treated) = (answers(400, 200), answers(400, 200));
    let codec = crate::wire::Protocol::Http.codec(&crate::wire::Outputs::default());
    let known = PhaseAccuracy { control: right, treated: wrong };
    let arms = Arms {
        control: &control,
        treated: &treated,
        groups: &BTreeMap::new(),
        known: &known,
        pairs: None,
        codec: codec.as_ref(),
    };
    let effects: Vec<_> = arms.of_truth().into_iter().flatten().collect();
    let told = |measure: &str| effects.iter().find(|effect| effect.measure == measure).unwrap();
    assert_eq!((told("recall of `spam`").control, told("recall of `spam`").treated), (1.0, 0.5));
    assert!((told("calibration error (ECE)").treated - 0.2).abs() < 1e-9);
    assert!((told("area under the ROC curve").treated - 0.5).abs() < 1e-9, "{effects:?}");
    for measure in ["recall of `spam`", "calibration error (ECE)", "area under the ROC curve"] {
        assert!(told(measure).difference.unwrap().excludes_zero(), "{:?}", told(measure));
    }
    let confusion = arms.confusion().unwrap();
    assert_eq!((confusion.control["spam"]["spam"], confusion.treated["spam"]["ham"]), (200, 100));
}

#[test]
fn lists_and_vectors_keep_their_promise_by_how_far_they_moved() {
    let judged = |protocol: &str, fault: &str, far: f64| {
        let mut moved = crate::evidence::Sums::default();
        (0..100).for_each(|_| moved.record(far));
        let seen = FaultEvidence { moved, ..acted(200, 100) };
        judge(&plan(protocol, "50%", fault), answers(200, 200), answers(200, 200), seen)
    };
    // Half of the lists, to a τ of 0.2: 0.6 in the mean.
    let kept = judged("cohere", "{ rank-swap: { tau: 0.2, rate: 50% } }", 0.8);
    assert_eq!(kept.delivered, Delivered::Yes);
    let promised = kept.promised.unwrap();
    assert_eq!(promised.measure, "Kendall τ with the order before");
    assert!((promised.amount + 0.4).abs() < 1e-9);
    let tau = kept.effects.iter().find(|effect| effect.measure == promised.measure).unwrap();
    assert!(tau.control == 1.0 && (tau.treated - 0.6).abs() < 1e-9, "{tau:?}");
    let partly = judged("cohere", "{ rank-swap: { tau: 0.2, rate: 50% } }", 0.2);
    assert_eq!(partly.delivered, Delivered::Partly);
    assert!((partly.achieved.unwrap().estimate - 0.25).abs() < 1e-9);
    for (far, verdict) in [(0.5, Delivered::Yes), (0.1, Delivered::Partly)] {
        let found = judged("openai", "{ embedding-rotate: { cosine: 0.5, rate: 50% } }", far);
        assert_eq!(
            (found.delivered, found.promised.unwrap().measure.as_str()),
            (verdict, "cosine with the vector before")
        );
    }
}

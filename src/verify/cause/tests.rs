//! Causes from hand-made findings.

mod neighbours;

use std::{collections::BTreeMap, time::Duration};

use super::*;
use crate::{
    clock::Timestamp,
    monitor::findings::{
        Comparison, Condition, Narrowed, Op, Point, RuleFacts, RuleFinding, Series, SeriesState, Target,
        Track,
    },
};

/// The fault begins at 100 and lasts 20 s.
const FROM: f64 = 100.0;
const ENDED: f64 = 120.0;

fn at(seconds: f64) -> Timestamp {
    Timestamp::from_unix_s(1_000_000.0 + seconds)
}

fn asked() -> Question {
    Question {
        alert: "Slow".into(),
        wanted: BTreeMap::new(),
        from: at(FROM),
        ended: at(ENDED),
        to: at(ENDED),
        fired: None,
        until: at(ENDED),
        quiet_from: at(90.0),
        faulted_before: false,
    }
}

fn outcome(verdict: Verdict, reason: Option<Reason>) -> Outcome {
    Outcome { verdict, reason, ..crate::verify::outcome("slow", Asked::Fires, "Slow", None) }
}

fn rule(hold: u64) -> RuleFacts {
    RuleFacts {
        query: "x > 10".into(),
        hold: Duration::from_secs(hold),
        interval: Some(Duration::from_secs(1)),
        healthy: true,
        last_error: None,
        last_evaluation: Some(at(ENDED + 3.0)),
        labels: BTreeMap::new(),
        window: None,
    }
}

/// A value each second from 90 to 120.
fn track(value: impl Fn(f64) -> f64) -> Track {
    let point = |s: u32| {
        let seconds = 90.0 + f64::from(s);
        Point { at: at(seconds), value: value(seconds), threshold: 10.0 }
    };
    Track { labels: BTreeMap::new(), points: (0..=30).map(point).collect() }
}

fn compare(op: Op, tracks: Vec<Track>) -> Comparison {
    Comparison { expression: "x".into(), op: Some(op), tracks, ..Comparison::default() }
}

fn narrowed(seconds: u64, track: Track) -> Narrowed {
    let window = Duration::from_secs(seconds);
    Narrowed { window, written: format!("{seconds}s"), tracks: vec![track] }
}

fn missed(rule: RuleFacts, findings: Findings) -> Option<Cause> {
    let findings = Findings { rule: RuleFinding::Present(Box::new(rule)), ..findings };
    cause(&outcome(Verdict::Missed, None), &asked(), &[("prometheus".to_owned(), findings)])
}

fn of_condition(hold: u64, condition: Condition) -> Option<Cause> {
    missed(rule(hold), Findings { condition: Some(condition), ..Findings::default() })
}

/// 2 before the fault; in it 4, and 8 from 110 to 113.
fn nearly(seconds: f64) -> f64 {
    match seconds {
        s if s < FROM => 2.0,
        s if (110.0..=113.0).contains(&s) => 8.0,
        _ => 4.0,
    }
}

#[test]
fn how_close_it_came_and_which_threshold_would_have_caught_it() {
    let found = of_condition(0, Condition::Compare(compare(Op::Above, vec![track(nearly)]))).unwrap();
    assert_eq!(found.kind, CauseKind::ThresholdNotReached);
    assert_eq!(found.summary, "its value came up to 8 after 10 s (2 before the fault), and it fires > 10");
    assert_eq!(found.remedy.as_deref(), Some("with a threshold below 8 it would have fired"));
    let closest = found.closest.unwrap();
    assert_eq!((closest.value, closest.threshold, closest.before), (8.0, 10.0, Some(2.0)));
    // With a `for` of five seconds, the four at 8 are not enough.
    let found = of_condition(5, Condition::Compare(compare(Op::Above, vec![track(nearly)]))).unwrap();
    assert_eq!(found.closest.unwrap().would_have_fired_at, Some(4.0));
    // Downward.
    let falls = compare(Op::Below, vec![track(|s| if s < FROM { 30.0 } else { 12.0 })]);
    let found = of_condition(3, Condition::Compare(falls)).unwrap();
    assert_eq!(found.summary, "its value came down to 12 after 0 s (30 before the fault), and it fires < 10");
    assert_eq!(found.remedy.as_deref(), Some("with a threshold above 12 it would have fired"));
}

#[test]
fn a_value_that_the_fault_did_not_move_has_no_such_threshold() {
    let flat = compare(Op::Above, vec![track(|_| 3.0), track(|_| f64::NAN)]);
    let found = of_condition(0, Condition::Compare(flat)).unwrap();
    assert_eq!(found.closest.unwrap().would_have_fired_at, None);
    assert!(found.remedy.unwrap().contains("did not move"));
}

#[test]
fn a_shorter_window_would_have_caught_it() {
    let mut diluted = compare(Op::Above, vec![track(|s| if s < FROM { 1.0 } else { 2.0 })]);
    diluted.narrowed =
        vec![narrowed(20, track(nearly)), narrowed(5, track(|s| if s < FROM { 1.0 } else { 11.0 }))];
    let found = of_condition(0, Condition::Compare(diluted)).unwrap();
    assert_eq!(found.remedy.as_deref(), Some("with a window of 5s it would have fired"));
}

#[test]
fn the_part_that_was_not_true_is_to_blame() {
    let truth = || Condition::Compare(compare(Op::Above, vec![track(|_| 11.0)]));
    let never = || Condition::Compare(compare(Op::Above, vec![track(nearly)]));
    let far = || Condition::Compare(compare(Op::Above, vec![track(|_| 1.0)]));
    let value =
        |condition| of_condition(0, condition).and_then(|cause| cause.closest).map(|closest| closest.value);
    assert_eq!(value(Condition::All(vec![truth(), never()])), Some(8.0));
    assert_eq!(value(Condition::Any(vec![far(), never(), far()])), Some(8.0));
    assert_eq!(of_condition(0, Condition::Any(vec![truth(), never()])), None, "it was true: nothing to tell");
}

#[test]
fn a_value_that_is_not_there_is_told_by_its_series() {
    let of = |state| {
        let seen = seen("count(x)", "no series");
        let series = Series { selector: "x".into(), state, seen };
        let comparison = Comparison { series: vec![series], ..compare(Op::Above, Vec::new()) };
        let found = of_condition(0, Condition::Compare(comparison)).unwrap();
        (found.kind, found.summary)
    };
    let near = vec!["xy".to_owned()];
    let told = of(SeriesState::Empty { other_labels: false, near });
    assert_eq!(told, (CauseKind::SeriesEmpty, "`x` has no series; there is `xy`".into()));
    let told = of(SeriesState::Empty { other_labels: true, near: vec![] });
    assert!(told.0 == CauseKind::SeriesEmpty && told.1.contains("none with these labels"), "{told:?}");
    let told = of(SeriesState::Stale { last: at(FROM - 7.0), down: vec![] });
    assert_eq!(told, (CauseKind::SeriesStale, "`x` had its last value 7 s before the fault".into()));
    let target = Target { job: "exporter".into(), instance: "a:1".into(), error: "dial: refused".into() };
    let told = of(SeriesState::Stale { last: at(FROM - 7.0), down: vec![target] });
    assert_eq!(told.0, CauseKind::TargetDown);
    assert_eq!(
        told.1,
        "target a:1 of job `exporter` is down (refused): `x` has no value since 7 s before the fault"
    );
    let nan = of_condition(0, Condition::Compare(compare(Op::Above, vec![track(|_| f64::NAN)]))).unwrap();
    assert!(nan.kind == CauseKind::SeriesEmpty && nan.summary.contains("not a number"), "{nan:?}");
}

#[test]
fn a_rule_that_fails_or_is_not_evaluated() {
    let failing =
        RuleFacts { healthy: false, last_error: Some("many;matching not allowed".into()), ..rule(0) };
    let found = missed(failing, Findings::default()).unwrap();
    assert_eq!(
        (found.kind, found.summary.as_str()),
        (CauseKind::RuleUnhealthy, "its rule fails when it is evaluated: matching not allowed")
    );
    let kind = |last: Option<f64>, every: u64| {
        let rule = RuleFacts {
            last_evaluation: last.map(at),
            interval: Some(Duration::from_secs(every)),
            ..rule(0)
        };
        missed(rule, Findings::default()).map(|cause| cause.kind)
    };
    assert_eq!(kind(None, 1), Some(CauseKind::NotEvaluated));
    assert_eq!(kind(Some(FROM - 5.0), 600), Some(CauseKind::NotEvaluated));
    assert_eq!(
        kind(Some(ENDED + 1.0), 600),
        Some(CauseKind::NotEvaluated),
        "the one before is ten minutes ago"
    );
    assert_eq!(kind(Some(ENDED - 1.0), 600), None, "it was, once");
    assert_eq!(kind(Some(ENDED + 1.0), 15), None);
}

#[test]
fn pending_but_not_firing() {
    let pending = |hold, spans: &[(f64, f64)]| {
        let pending = spans.iter().map(|(from, to)| (at(*from), at(*to))).collect();
        missed(rule(hold), Findings { pending, ..Findings::default() }).unwrap()
    };
    let long = pending(60, &[(105.0, 120.0)]);
    assert_eq!(long.kind, CauseKind::ForTooLong);
    assert_eq!(
        long.summary,
        "it was pending for 15 s of its `for` of 60 s when the fault ended (true after 5 s, the fault lasted 20 s)"
    );
    assert_eq!(long.remedy.as_deref(), Some("with a `for` of up to 14 s it would have fired"));
    let flaps = pending(10, &[(101.0, 104.0), (106.0, 112.0)]);
    assert_eq!(flaps.kind, CauseKind::PendingOnly);
    assert!(flaps.summary.starts_with("it was pending 2 times, at most for 6 s"), "{flaps:?}");
}

#[test]
fn absent_rules_and_wrong_labels() {
    let absent = RuleFinding::Absent { near: vec!["Slowly".into()], seen: seen("rules", "3") };
    let findings = [("prometheus".to_owned(), Findings { rule: absent, ..Findings::default() })];
    let found =
        cause(&outcome(Verdict::Inconclusive, Some(Reason::NoSuchAlert)), &asked(), &findings).unwrap();
    assert_eq!(
        (found.kind, found.summary.as_str()),
        (CauseKind::RuleAbsent, "no rule `Slow` in prometheus; there is `Slowly`")
    );
    let labels = BTreeMap::from([("severity".to_owned(), "ticket".to_owned())]);
    let question = Question {
        wanted: BTreeMap::from([
            ("severity".to_owned(), "page".to_owned()),
            ("team".to_owned(), "ml".to_owned()),
        ]),
        fired: Some((labels.clone(), at(105.0))),
        ..asked()
    };
    let findings = Findings {
        rule: RuleFinding::Present(Box::new(RuleFacts { labels, ..rule(0) })),
        ..Findings::default()
    };
    let found =
        cause(&outcome(Verdict::Missed, Some(Reason::WrongLabels)), &question, &[("p".to_owned(), findings)])
            .unwrap();
    assert_eq!(
        found.summary,
        "it fired, but `severity` is `ticket`, not `page`, `team` is missing, not `ml` (set by the rule itself)"
    );
    assert_eq!(cause(&outcome(Verdict::Met, None), &question, &[]), None);
}

#[test]
fn every_cause_maps_to_the_reason_of_its_verdict() {
    let table = [
        (CauseKind::RuleAbsent, Some(Reason::NoSuchAlert)),
        (CauseKind::SeriesEmpty, Some(Reason::MonitorBlind)),
        (CauseKind::Inhibited, Some(Reason::Suppressed)),
        (CauseKind::NotificationFailed, Some(Reason::NotNotified)),
        (CauseKind::NotTogether, None),
        (CauseKind::ForTooLong, None),
    ];
    for (kind, reason) in table {
        assert_eq!(kind.reason(), reason, "{kind:?}");
    }
}

#[test]
fn numbers_have_three_figures() {
    let table = [
        (0.0, "0"),
        (3.0, "3"),
        (0.91234, "0.912"),
        (1234.5, "1234"),
        (1e-9, "1.00e-9"),
        (-0.05, "-0.05"),
        (12.04, "12"),
    ];
    for (value, text) in table {
        assert_eq!(figures(value), text);
    }
    assert_eq!([span(0.3), span(9.0), span(15.4), span(600.0)], ["0.3 s", "9 s", "15 s", "10m"]);
}

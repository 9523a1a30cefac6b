//! Causes where the evidence of another one is there as well.

use std::collections::BTreeSet;

use super::*;
use crate::monitor::findings::{Counter, Question, Route, Routing, Sender, Together};

fn series(selector: &str, state: SeriesState) -> Series {
    Series { selector: selector.into(), state, seen: seen(selector, "") }
}

fn stale(down: &[&str]) -> SeriesState {
    let target =
        |instance: &&str| Target { job: "j".into(), instance: (*instance).into(), error: "refused".into() };
    SeriesState::Stale { last: at(FROM - 30.0), down: down.iter().map(target).collect() }
}

/// A series of its own, a value each second from 90 to 120.
fn of(service: &str, value: impl Fn(f64) -> f64) -> Track {
    Track { labels: BTreeMap::from([("service".to_owned(), service.to_owned())]), ..track(value) }
}

fn of_tracks(tracks: Vec<Track>) -> Cause {
    of_condition(0, Condition::Compare(compare(Op::Above, tracks))).unwrap()
}

#[test]
fn a_window_gives_values_of_a_target_that_died() {
    let of = |series| {
        let comparison = Comparison { series, ..compare(Op::Above, vec![track(|_| 3.0)]) };
        of_condition(0, Condition::Compare(comparison)).map(|cause| cause.kind)
    };
    let there = || series("b", SeriesState::Present);
    let empty = || series("c", SeriesState::Empty { other_labels: false, near: vec![] });
    assert_eq!(of(vec![series("a", stale(&["x:1"])), there()]), Some(CauseKind::TargetDown));
    assert_eq!(of(vec![series("a", stale(&[])), empty()]), Some(CauseKind::SeriesStale));
    // What is there of the others makes a value: `errors / all`, of which no error was counted yet.
    assert_eq!(of(vec![empty(), there()]), Some(CauseKind::ThresholdNotReached));
    assert_eq!(of(vec![]), Some(CauseKind::ThresholdNotReached));
}

#[test]
fn what_was_before_is_without_an_earlier_fault() {
    let question = Question { quiet_from: at(95.0), faulted_before: true, ..asked() };
    let after_another = |s: f64| match s {
        s if s < 95.0 => 9.0,
        s if s < FROM => 1.0,
        _ => 6.0,
    };
    let told = |window: Option<u64>| {
        let rule = RuleFacts { window: window.map(Duration::from_secs), ..rule(0) };
        let condition = Condition::Compare(compare(Op::Above, vec![track(after_another)]));
        let findings = Findings {
            rule: RuleFinding::Present(Box::new(rule)),
            condition: Some(condition),
            ..Findings::default()
        };
        cause(&outcome(Verdict::Missed, None), &question, &[("p".into(), findings)]).unwrap().closest.unwrap()
    };
    let closest = told(None);
    assert_eq!((closest.before, closest.would_have_fired_at), (Some(1.0), Some(6.0)));
    assert_eq!(told(Some(60)).before, None, "through its window it saw the earlier fault until now");
}

#[test]
fn the_series_that_the_fault_moved_is_told() {
    let a = || of("a", |s| if s < FROM { 0.0 } else { 4.0 });
    let found = of_tracks(vec![a(), of("b", |_| 4.5)]);
    let closest = found.closest.as_ref().unwrap();
    assert_eq!((closest.value, closest.before), (4.0, Some(0.0)));
    assert_eq!(closest.would_have_fired_at, None, "`b` would always fire");
    assert_eq!(
        found.remedy.as_deref(),
        Some("no one threshold tells it: {service=\"b\"} was at 4.5 without the fault")
    );
    let found = of_tracks(vec![of("b", |_| 2.0), a()]);
    assert_eq!(found.closest.unwrap().would_have_fired_at, Some(4.0));
    // A series that came with the fault counts from zero.
    let new = Track { points: of("c", |_| 6.0).points[10..].to_vec(), ..of("c", |_| 0.0) };
    assert_eq!(of_tracks(vec![of("b", |_| 7.0), new]).closest.unwrap().value, 6.0);
}

#[test]
fn none_with_the_labels_that_were_asked_for() {
    let comparison = Comparison {
        other_labels: true,
        series: vec![series("x", SeriesState::Present)],
        ..compare(Op::Above, vec![])
    };
    let question = Question { wanted: BTreeMap::from([("service".into(), "a".into())]), ..asked() };
    let findings = Findings {
        rule: RuleFinding::Present(Box::new(rule(0))),
        condition: Some(Condition::Compare(comparison)),
        ..Findings::default()
    };
    let found = cause(&outcome(Verdict::Missed, None), &question, &[("p".into(), findings)]).unwrap();
    assert_eq!(found.kind, CauseKind::SeriesEmpty);
    assert_eq!(found.summary, "its value has series, but none with {service=\"a\"}");
}

#[test]
fn two_sides_without_labels_in_common() {
    let sides = |unmatched: Option<&str>| {
        let comparison = Comparison {
            unmatched: unmatched.map(str::to_owned),
            series: vec![series("x", SeriesState::Present), series("y", SeriesState::Present)],
            ..compare(Op::Above, vec![])
        };
        of_condition(0, Condition::Compare(comparison))
    };
    let found = sides(Some("y")).unwrap();
    assert!(found.kind == CauseKind::SeriesEmpty && found.summary.contains("not for the same labels"));
    assert_eq!(sides(None), None, "not known");
}

#[test]
fn parts_are_told_to_be_apart_only_where_the_whole_was_looked_at() {
    let truth = || Condition::Compare(compare(Op::Above, vec![track(|_| 11.0)]));
    let of = |condition, held, but_for: Option<(&str, bool)>| {
        let but_for = but_for.map(|(taken, held)| (taken.to_owned(), held));
        let together = Some(Together { held, but_for, seen: vec![seen("x", "")] });
        missed(rule(0), Findings { condition: Some(condition), together, ..Findings::default() })
            .map(|cause| (cause.kind, cause.summary))
    };
    let both = || Condition::All(vec![truth(), truth()]);
    let apart = |summary: &str| Some((CauseKind::NotTogether, summary.to_owned()));
    let never = apart("its parts joined by `and` were each true, but never together, for the same labels");
    let held_back = apart("its condition was true but for its `unless on () m == 1`");
    assert_eq!(of(both(), false, None), never);
    assert_eq!(of(both(), false, Some(("m", false))), never);
    assert_eq!(of(both(), false, Some(("on () m == 1", true))), held_back);
    assert_eq!(of(truth(), false, Some(("on () m == 1", true))), held_back, "one part, and `unless`");
    assert_eq!(of(both(), true, None), None, "between two evaluations");
    assert_eq!(of_condition(0, both()), None, "not looked at");
}

#[test]
fn a_rule_that_was_never_evaluated_does_not_fail() {
    let unknown = RuleFacts { healthy: false, last_evaluation: None, ..rule(0) };
    let found = missed(unknown.clone(), Findings::default()).unwrap();
    assert_eq!(
        (found.kind, found.summary.as_str()),
        (CauseKind::NotEvaluated, "its rule was never evaluated")
    );
    let fails = RuleFacts { last_error: Some("bad".into()), ..unknown };
    assert_eq!(missed(fails, Findings::default()).unwrap().kind, CauseKind::RuleUnhealthy);
    // One that stands still is not mended by a shorter interval.
    let still = RuleFacts { last_evaluation: Some(at(FROM - 5.0)), ..rule(0) };
    let remedy = missed(still, Findings::default()).unwrap().remedy.unwrap();
    assert!(remedy.contains("stands still"), "{remedy}");
}

#[test]
fn a_window_that_fires_without_the_fault_is_not_advised() {
    let of = |value: fn(f64) -> f64| {
        let mut diluted = compare(Op::Above, vec![track(|s| if s < FROM { 1.0 } else { 2.0 })]);
        diluted.narrowed = vec![narrowed(5, track(value))];
        of_condition(0, Condition::Compare(diluted)).unwrap().remedy.unwrap()
    };
    assert!(of(|s| if s < FROM { 1.0 } else { 11.0 }).contains("window of 5s"));
    assert!(!of(|s| if s < 95.0 { 12.0 } else { 11.0 }).contains("window"), "noise");
}

#[test]
fn a_gap_is_not_bridged() {
    let mut gap = track(|s| if s < FROM { 1.0 } else { 8.0 });
    gap.points.retain(|point| !(104.5..115.5).contains(&point.at.since(at(0.0))));
    let reached = |hold| {
        let found = of_condition(hold, Condition::Compare(compare(Op::Above, vec![gap.clone()])));
        found.unwrap().closest.unwrap().would_have_fired_at
    };
    assert_eq!((reached(4), reached(8)), (Some(8.0), None));
}

#[test]
fn pending_at_the_start_is_not_pending_at_the_end() {
    let findings = Findings { pending: vec![(at(101.0), at(103.0))], ..Findings::default() };
    let found = missed(rule(300), findings).unwrap();
    assert_eq!(found.kind, CauseKind::ForTooLong);
    assert!(!found.summary.contains("when the fault ended") && found.summary.contains("5m"), "{found:?}");
}

#[test]
fn nothing_to_compare_with_is_not_too_few() {
    let comparison =
        Comparison { series: vec![series("psi", SeriesState::NotYet)], ..compare(Op::Above, vec![]) };
    let found = of_condition(0, Condition::Compare(comparison)).unwrap();
    assert!(found.summary.contains("nothing to compare with"), "{found:?}");
}

/// It fired at 118 and could be heard until 240; its route leads to the webhook of `team`.
fn unheard(route: Route, refused: u64, receiver: Option<&str>, others: &[&str], heard: &[&str]) -> Cause {
    let question = Question { fired: Some((BTreeMap::new(), at(118.0))), until: at(240.0), ..asked() };
    let sender = Sender { integration: "webhook".into(), receiver: receiver.map(str::to_owned) };
    let others: BTreeSet<String> = others.iter().map(|name| (*name).to_owned()).collect();
    let route = Route { receiver: "team".into(), integrations: vec!["webhook".into()], ..route };
    let routing = Routing {
        known: true,
        routes: vec![route],
        counters: BTreeMap::from([(sender, Counter { sent: 20, failed: 1, refused })]),
        others: BTreeMap::from([("webhook".to_owned(), others)]),
        ..Routing::default()
    };
    let heard_from = heard.iter().map(|name| (*name).to_owned()).collect();
    let findings = [
        ("alertmanager".to_owned(), Findings { routing: Some(routing), ..Findings::default() }),
        ("pager".to_owned(), Findings { heard_from, ..Findings::default() }),
    ];
    cause(&outcome(Verdict::Missed, Some(Reason::NotNotified)), &question, &findings).unwrap()
}

#[test]
fn it_waits_in_its_group_no_longer_than_it_could_be_heard() {
    let waits = |seconds| Route { group_wait: Duration::from_secs(seconds), ..Route::default() };
    assert_eq!(unheard(waits(30), 12, None, &[], &[]).kind, CauseKind::NotificationFailed, "122 s");
    assert_eq!(unheard(waits(300), 12, None, &[], &[]).kind, CauseKind::Grouped);
    let joined = || Route { joined: true, group_interval: Duration::from_secs(300), ..waits(1) };
    assert_eq!(unheard(joined(), 12, None, &[], &[]).kind, CauseKind::NotificationFailed);
    assert_eq!(unheard(joined(), 12, None, &["other"], &[]).kind, CauseKind::Grouped, "maybe of another");
}

#[test]
fn a_failure_may_be_of_another_receiver() {
    let of =
        |receiver, others: &[&str], heard: &[&str]| unheard(Route::default(), 12, receiver, others, heard);
    assert_eq!(of(None, &["pager"], &["pager"]).kind, CauseKind::NotificationFailed, "that one is heard");
    let maybe = of(None, &["pager", "broken"], &["pager"]);
    assert_eq!(maybe.kind, CauseKind::RoutedElsewhere);
    assert!(maybe.summary.ends_with("12 requests of some `webhook` failed, maybe of another receiver"));
    assert_eq!(of(Some("team"), &["broken"], &[]).kind, CauseKind::NotificationFailed, "told by name");
    let other = of(Some("broken"), &["broken"], &[]);
    assert!(other.kind == CauseKind::RoutedElsewhere && !other.summary.contains("some"), "{other:?}");
}

//! Every verdict from hand-made facts: readings go through the real history.

use std::{collections::BTreeMap, time::Duration};

use super::*;
use crate::{
    event::{AlertState, FaultOutline, MonitorTraffic},
    monitor::{AlertInstance, Reading},
    scenario::{Source, compile},
};

const SCENARIO: &str = r#"
name: t
target: { protocol: open-inference }
exposure: { share: 50% }
phases:
  - { name: steady, lasts: 30s }
  - name: broken
    lasts: 60s
    inject: [{ fault: { mislabel: { rate: 30%, from: a, to: b } } }]
    expect:
      - fires: { alert: Drift, within: 20s }
      - silent: { alert: Other }
      - fires: { alert: Drift, within: 20s, labels: { severity: page } }
  - name: recovery
    lasts: 60s
    expect:
      - clears: { alert: Drift, within: 20s }
"#;

const STEADY: f64 = 0.0;
const BROKEN: f64 = 30.0;
const RECOVERY: f64 = 90.0;
const END: f64 = 150.0;

/// A run of [`SCENARIO`], told second by second.
struct Case {
    plan: Plan,
    history: History,
    monitors: BTreeMap<String, MonitorFacts>,
    deliveries: Vec<Delivery>,
    now: f64,
    ending: Option<Ending>,
}

fn at(seconds: f64) -> Timestamp {
    Timestamp::from_unix_s(1_000_000.0 + seconds)
}

fn rule(alert: &str) -> Rule {
    Rule {
        alert: alert.into(),
        healthy: true,
        last_error: None,
        last_evaluation: Some(at(0.0)),
        interval: Some(Duration::from_secs(1)),
        hold: None,
        query: "up == 0".into(),
        has_data: Some(true),
        labels: BTreeMap::new(),
    }
}

fn instance(alert: &str, state: AlertState, since: f64) -> AlertInstance {
    AlertInstance {
        alert: alert.into(),
        labels: BTreeMap::from([("severity".to_owned(), "page".to_owned())]),
        state,
        since: Some((state, at(since))),
        notification: false,
        ended: None,
    }
}

impl Case {
    fn new() -> Case {
        let source = Source { name: "t.yaml".into(), text: SCENARIO.into(), folder: ".".into() };
        let plan = compile(&source).unwrap();
        let outline = plan.phases[1].injections[0].outline(plan.phases[1].lasts(), &plan.exposure);
        let mut case = Case {
            plan,
            history: History::new(),
            monitors: BTreeMap::new(),
            deliveries: vec![delivery(outline, Delivered::Yes)],
            now: 0.0,
            ending: None,
        };
        case.monitor("prometheus", Some(vec![rule("Drift"), rule("Other")]));
        case
    }

    fn monitor(&mut self, name: &str, rules: Option<Vec<Rule>>) {
        let knows_rules = rules.is_some();
        let facts = MonitorFacts { rules, knows_rules, poll: Duration::from_secs(1), ..Default::default() };
        self.monitors.insert(name.into(), facts);
    }

    fn hears(&mut self, now: f64, monitor: &str, alerts: Vec<AlertInstance>) {
        self.now = now;
        let rules = self.monitors[monitor].rules.clone();
        let reading = Reading {
            taken_at: at(now),
            skew_s: 0.0,
            clock_uncertainty_s: 0.1,
            alerts,
            scrape_interval: None,
            rules,
        };
        self.history.apply(monitor, &reading);
    }

    /// Quiet until `now`.
    fn quiet(&mut self, now: f64) {
        self.hears(now, "prometheus", vec![]);
    }

    fn windows(&self) -> Vec<Window> {
        let bounds = [(STEADY, BROKEN), (BROKEN, RECOVERY), (RECOVERY, END)];
        let begun = bounds.into_iter().filter(|(start, _)| *start <= self.now);
        begun
            .map(|(start, end)| Window { started: at(start), ended: (end <= self.now).then_some(at(end)) })
            .collect()
    }

    fn with<T>(&self, ask: impl FnOnce(Facts<'_>) -> T) -> T {
        let windows = self.windows();
        ask(Facts {
            plan: &self.plan,
            windows: &windows,
            history: &self.history,
            monitors: &self.monitors,
            deliveries: &self.deliveries,
            now: at(self.now),
            ending: self.ending,
        })
    }

    fn judge(&self, phase: usize, number: usize) -> Option<Outcome> {
        let placed = &self.plan.phases[phase].expectations[number];
        self.with(|facts| judge(placed, phase, facts))
    }

    fn fires(&self) -> Option<Outcome> {
        self.judge(1, 0)
    }

    /// The verdict and reason on `Drift fires`, which must be decided by now.
    fn verdict(&self) -> (Verdict, Option<Reason>) {
        let outcome = self.fires().expect("decided");
        (outcome.verdict, outcome.reason)
    }
}

fn delivery(fault: FaultOutline, delivered: Delivered) -> Delivery {
    Delivery {
        phase: "broken".into(),
        fault,
        eligible: 100,
        exposed: 50,
        perturbed: 15,
        asked_for: 0,
        skipped: BTreeMap::new(),
        effects: Vec::new(),
        promised: None,
        achieved: None,
        monitor: None,
        confusion: None,
        delivered,
        seen_by: "delayed-label accuracy".into(),
    }
}

#[test]
fn an_alert_in_time_is_met_at_its_own_timestamp() {
    let mut case = Case::new();
    case.quiet(29.0);
    case.hears(43.0, "prometheus", vec![instance("Drift", AlertState::Pending, 40.0)]);
    assert_eq!(case.fires(), None, "pending is not firing");
    case.hears(
        46.0,
        "prometheus",
        vec![AlertInstance {
            since: Some((AlertState::Firing, at(44.0))),
            ..instance("Drift", AlertState::Firing, 44.0)
        }],
    );
    let outcome = case.fires().unwrap();
    assert_eq!((outcome.verdict, outcome.monitor.as_deref()), (Verdict::Met, Some("prometheus")));
    assert!((outcome.time.unwrap().seconds - 14.0).abs() < 0.2, "{outcome:?}");
    assert!((outcome.stages_s["pending"] - 10.0).abs() < 0.2, "{outcome:?}");
    assert!((outcome.stages_s["firing"] - 14.0).abs() < 0.2, "{outcome:?}");
}

#[test]
fn a_question_of_why_is_of_its_own_fault() {
    let mut case = Case::new();
    let [one, two] = ["inject: [{ fault: { latency: { fixed: 1s } } }]", "lasts: 60s"];
    let text = SCENARIO.replacen("lasts: 30s }", &format!("lasts: 30s, {one} }}"), 1);
    let text =
        text.replacen("name: recovery\n    lasts: 60s", &format!("name: recovery\n    {two}\n    {one}"), 1);
    case.plan = compile(&Source { name: "t.yaml".into(), text: text.into(), folder: ".".into() }).unwrap();
    let labelled = |severity: &str, since| AlertInstance {
        labels: BTreeMap::from([("severity".to_owned(), severity.to_owned())]),
        ..instance("Drift", AlertState::Firing, since)
    };
    case.hears(50.0, "prometheus", vec![labelled("ticket", 40.0)]);
    case.hears(70.0, "prometheus", vec![]);
    case.hears(130.0, "prometheus", vec![labelled("page", 120.0)]);
    let missed = Outcome {
        verdict: Verdict::Missed,
        reason: Some(Reason::WrongLabels),
        ..outcome("broken", Asked::Fires, "Drift", None)
    };
    let question =
        case.with(|facts| question(&case.plan.phases[1].expectations[2], 1, &missed, facts)).unwrap();
    let (labels, _) = question.fired.clone().unwrap();
    assert_eq!(labels["severity"], "ticket", "what fired in the next fault is of that");
    assert!((50.0..71.0).contains(&question.until.since(at(0.0))), "it ended: {question:?}");
    assert!(question.faulted_before && question.quiet_from.since(at(BROKEN)) == 10.0, "{question:?}");
    assert_eq!(question.quiet_from(Some(Duration::from_secs(60))).since(at(BROKEN)), 70.0);
}

#[test]
fn an_alert_after_its_time_is_late() {
    let mut case = Case::new();
    case.quiet(60.0);
    assert_eq!(case.fires(), None, "it may still come late");
    case.hears(62.0, "prometheus", vec![instance("Drift", AlertState::Firing, 61.0)]);
    assert_eq!(case.verdict(), (Verdict::Late, None));
}

#[test]
fn an_alert_after_its_fault_has_gone_is_late_not_missed() {
    let mut case = Case::new();
    case.quiet(90.0);
    case.hears(91.5, "prometheus", vec![instance("Drift", AlertState::Firing, 91.0)]);
    assert_eq!(case.verdict(), (Verdict::Late, None));
}

#[test]
fn silence_is_missed_once_everything_is_heard_and_says_what_would_have_seen_it() {
    let mut case = Case::new();
    case.quiet(90.5);
    assert_eq!(case.fires(), None, "the last evaluation of the phase is not in");
    case.quiet(94.0);
    let outcome = case.fires().unwrap();
    assert_eq!((outcome.verdict, outcome.reason), (Verdict::Missed, None));
    assert!(outcome.advice.unwrap().contains("delayed-label accuracy"));
}

#[test]
fn too_little_traffic_for_any_monitor_is_no_miss() {
    let mut case = Case::new();
    case.quiet(94.0);
    for (had, verdict) in
        [(100, (Verdict::Inconclusive, Some(Reason::Underpowered))), (100_000, (Verdict::Missed, None))]
    {
        case.deliveries[0].monitor = Some(MonitorTraffic { of: "predictions".into(), had, needed: 600 });
        assert_eq!(case.verdict(), verdict, "{had}: {:?}", case.fires());
    }
    case.deliveries[0].monitor = None;
    assert_eq!(case.verdict(), (Verdict::Missed, None), "what can't be told excuses nobody");
}

#[test]
fn what_was_true_before_the_fault_proves_nothing() {
    for state in [AlertState::Pending, AlertState::Firing] {
        let mut case = Case::new();
        case.hears(25.0, "prometheus", vec![instance("Drift", state, 20.0)]);
        case.hears(35.0, "prometheus", vec![instance("Drift", state, 20.0)]);
        assert_eq!(case.verdict(), (Verdict::Inconclusive, Some(Reason::AlreadyFiring)), "{state:?}");
    }
}

#[test]
fn an_alert_that_ended_just_before_the_fault_is_told_only_after_it_began() {
    let mut case = Case::new();
    case.hears(29.0, "prometheus", vec![instance("Drift", AlertState::Pending, 28.0)]);
    case.now = 30.5;
    assert_eq!(case.fires(), None, "nobody was heard since the fault began");
    case.history.apply(
        "prometheus",
        &Reading {
            taken_at: at(29.9),
            skew_s: 0.0,
            clock_uncertainty_s: 0.1,
            alerts: vec![],
            scrape_interval: None,
            rules: case.monitors["prometheus"].rules.clone(),
        },
    );
    case.quiet(94.0);
    assert_eq!(case.verdict(), (Verdict::Missed, None));
}

#[test]
fn an_alert_that_cleared_before_the_fault_does_not_count() {
    let mut case = Case::new();
    case.hears(10.0, "prometheus", vec![instance("Drift", AlertState::Firing, 8.0)]);
    case.quiet(11.0);
    case.quiet(94.0);
    assert_eq!(case.verdict(), (Verdict::Missed, None));
}

#[test]
fn a_monitor_that_was_away_is_not_blamed() {
    let mut case = Case::new();
    case.quiet(40.0);
    case.history.unreachable("prometheus", at(50.0));
    case.quiet(94.0);
    assert_eq!(case.verdict(), (Verdict::Inconclusive, Some(Reason::MonitorUnreachable)));
}

#[test]
fn a_rule_that_no_monitor_has_is_named_with_the_nearest() {
    let mut case = Case::new();
    case.monitor("prometheus", Some(vec![rule("Drifts")]));
    case.quiet(94.0);
    let outcome = case.fires().unwrap();
    assert_eq!(outcome.reason, Some(Reason::NoSuchAlert));
    assert!(outcome.detail.contains("there is `Drifts`"), "{}", outcome.detail);
}

#[test]
fn a_broken_rule_is_blind() {
    let broken = |rule: Rule| {
        let mut case = Case::new();
        case.monitor("prometheus", Some(vec![rule]));
        case.quiet(94.0);
        case.verdict()
    };
    let blind = (Verdict::Missed, Some(Reason::MonitorBlind));
    assert_eq!(broken(Rule { last_error: Some("bad".into()), ..rule("Drift") }), blind);
    assert_eq!(broken(Rule { healthy: false, ..rule("Drift") }), blind);
    assert_eq!(broken(Rule { last_evaluation: None, ..rule("Drift") }), blind);
    assert_eq!(broken(Rule { has_data: Some(false), ..rule("Drift") }), blind);
    assert_eq!(broken(Rule { has_data: None, ..rule("Drift") }), (Verdict::Missed, None));
}

#[test]
fn a_silenced_alert_is_missed_because_nobody_was_told() {
    for state in [AlertState::Silenced, AlertState::Inhibited] {
        let mut case = Case::new();
        case.monitor("alertmanager", None);
        let since =
            AlertInstance { since: Some((AlertState::Firing, at(41.0))), ..instance("Drift", state, 41.0) };
        case.hears(40.0, "alertmanager", vec![]);
        case.hears(42.0, "prometheus", vec![instance("Drift", AlertState::Firing, 41.0)]);
        case.hears(43.0, "alertmanager", vec![since.clone()]);
        case.hears(94.0, "prometheus", vec![instance("Drift", AlertState::Firing, 41.0)]);
        assert_eq!(case.fires(), None, "{state:?}: Alertmanager has not told yet");
        case.hears(94.0, "alertmanager", vec![since]);
        assert_eq!(case.verdict(), (Verdict::Missed, Some(Reason::Suppressed)), "{state:?}");
    }
}

#[test]
fn fired_but_not_notified_is_missed_where_an_inbox_is_watched() {
    let mut case = Case::new();
    case.monitor("pager", None);
    case.monitors.get_mut("pager").unwrap().is_notification = true;
    case.hears(42.0, "prometheus", vec![instance("Drift", AlertState::Firing, 41.0)]);
    assert_eq!(case.fires(), None, "the notification may still come");
    let firing = vec![instance("Drift", AlertState::Firing, 41.0)];
    case.hears(94.0, "prometheus", firing.clone());
    case.hears(94.0, "pager", vec![]);
    assert_eq!(case.fires(), None, "a receiver may take its time, until the run is over");
    case.ending = Some(Ending::Interrupted);
    assert_eq!(case.verdict(), (Verdict::Inconclusive, Some(Reason::Aborted)));
    case.ending = Some(Ending::Completed);
    assert_eq!(case.verdict(), (Verdict::Missed, Some(Reason::NotNotified)));
    case.ending = None;
    let mut told = instance("Drift", AlertState::Firing, 45.0);
    told.notification = true;
    case.hears(94.0, "pager", vec![told]);
    let outcome = case.fires().unwrap();
    assert_eq!(outcome.verdict, Verdict::Met);
    assert!((outcome.stages_s["notified"] - 15.0).abs() < 0.2, "{outcome:?}");
}

#[test]
fn an_alertmanager_that_was_away_while_the_alert_fired_is_not_blamed() {
    let mut case = Case::new();
    case.monitor("alertmanager", None);
    case.history.unreachable("alertmanager", at(35.0));
    case.hears(42.0, "prometheus", vec![instance("Drift", AlertState::Firing, 41.0)]);
    assert_eq!(case.fires(), None, "it may have been silenced");
    case.hears(94.0, "prometheus", vec![instance("Drift", AlertState::Firing, 41.0)]);
    case.ending = Some(Ending::Completed);
    assert_eq!(case.verdict(), (Verdict::Inconclusive, Some(Reason::MonitorUnreachable)));
    case.hears(94.0, "alertmanager", vec![instance("Drift", AlertState::Firing, 41.0)]);
    assert_eq!(case.verdict().0, Verdict::Met);
}

#[test]
fn other_labels_than_asked_for_are_named() {
    let mut case = Case::new();
    let mut wrong = instance("Drift", AlertState::Firing, 41.0);
    wrong.labels.insert("severity".into(), "info".into());
    case.hears(42.0, "prometheus", vec![wrong.clone()]);
    case.hears(94.0, "prometheus", vec![wrong]);
    let outcome = case.judge(1, 2).unwrap();
    assert_eq!((outcome.verdict, outcome.reason), (Verdict::Missed, Some(Reason::WrongLabels)));
    assert_eq!(outcome.detail, "fired with other labels: severity is `info`, not `page`");
}

#[test]
fn another_alert_in_its_place_is_cross_talk() {
    let mut case = Case::new();
    case.quiet(40.0);
    case.hears(42.0, "prometheus", vec![instance("Other", AlertState::Firing, 41.0)]);
    case.quiet(94.0);
    assert_eq!(case.verdict(), (Verdict::Missed, Some(Reason::CrossTalk)));
    assert_eq!(case.judge(1, 1).unwrap().verdict, Verdict::FalseAlarm);
}

#[test]
fn a_fault_that_did_not_take_effect_blames_nobody() {
    for (delivered, reason) in
        [(Delivered::No, Reason::NotDelivered), (Delivered::TooLittleTraffic, Reason::Underpowered)]
    {
        let mut case = Case::new();
        case.deliveries[0].delivered = delivered;
        case.quiet(94.0);
        assert_eq!(case.verdict(), (Verdict::Inconclusive, Some(reason)));
    }
    let mut case = Case::new();
    case.deliveries[0].delivered = Delivered::No;
    case.hears(42.0, "prometheus", vec![instance("Drift", AlertState::Firing, 41.0)]);
    assert_eq!(case.fires(), None, "the effect may still come");
    case.hears(94.0, "prometheus", vec![instance("Drift", AlertState::Firing, 41.0)]);
    assert_eq!(case.verdict(), (Verdict::Inconclusive, Some(Reason::NotDelivered)));
}

#[test]
fn what_is_open_when_the_run_ends_early_is_aborted() {
    let mut case = Case::new();
    case.quiet(40.0);
    case.ending = Some(Ending::Interrupted);
    assert_eq!(case.verdict(), (Verdict::Inconclusive, Some(Reason::Aborted)));
    assert_eq!(case.judge(1, 1).unwrap().reason, Some(Reason::Aborted));
    assert_eq!(case.judge(2, 0).unwrap().reason, Some(Reason::Aborted), "its phase never began");
}

#[test]
fn silence_is_met_only_where_somebody_could_have_spoken() {
    let mut case = Case::new();
    case.quiet(94.0);
    assert_eq!(case.judge(1, 1).unwrap().verdict, Verdict::Met);
    case.monitor("prometheus", Some(vec![rule("Drift")]));
    assert_eq!(case.judge(1, 1).unwrap().reason, Some(Reason::NoSuchAlert));
}

#[test]
fn clearing_is_met_late_stuck_or_moot() {
    let fired = || {
        let mut case = Case::new();
        case.quiet(40.0);
        case.hears(42.0, "prometheus", vec![instance("Drift", AlertState::Firing, 41.0)]);
        case.hears(95.0, "prometheus", vec![instance("Drift", AlertState::Firing, 41.0)]);
        case
    };
    let mut case = fired();
    assert_eq!(case.judge(2, 0), None);
    case.hears(100.0, "prometheus", vec![]);
    let outcome = case.judge(2, 0).unwrap();
    assert_eq!(outcome.verdict, Verdict::Met);
    let time = outcome.time.unwrap();
    assert!((time.seconds - 7.5).abs() < 0.2 && (2.4..3.0).contains(&time.uncertainty_s), "{time:?}");

    let mut case = fired();
    case.hears(125.0, "prometheus", vec![instance("Drift", AlertState::Firing, 41.0)]);
    case.hears(126.0, "prometheus", vec![]);
    assert_eq!(case.judge(2, 0).unwrap().verdict, Verdict::Late);

    let mut case = fired();
    case.hears(153.0, "prometheus", vec![instance("Drift", AlertState::Firing, 41.0)]);
    assert_eq!(case.judge(2, 0).unwrap().verdict, Verdict::Stuck);

    let mut case = Case::new();
    case.quiet(153.0);
    let outcome = case.judge(2, 0).unwrap();
    assert_eq!((outcome.verdict, outcome.reason), (Verdict::Inconclusive, Some(Reason::NeverFired)));
}

#[test]
fn a_monitor_that_hangs_at_the_end_of_a_phase_is_waited_for_and_not_blamed() {
    let mut case = Case::new();
    case.quiet(86.0);
    case.now = 93.0; // its next answer never came, and nobody knows yet
    assert_eq!(case.fires(), None);
    case.monitors.get_mut("prometheus").unwrap().error = Some("no answer".into());
    case.history.unreachable("prometheus", at(92.0));
    assert_eq!(case.verdict(), (Verdict::Inconclusive, Some(Reason::MonitorUnreachable)));
}

#[test]
fn a_deadline_behind_the_end_of_the_phase_is_waited_for() {
    let mut case = Case::new();
    let text = SCENARIO.replace("fires: { alert: Drift, within: 20s", "fires: { alert: Drift, within: 65s");
    case.plan = compile(&Source { name: "t.yaml".into(), text: text.into(), folder: ".".into() }).unwrap();
    case.quiet(94.0);
    assert_eq!(case.fires(), None);
    case.hears(94.8, "prometheus", vec![instance("Drift", AlertState::Firing, 94.5)]);
    assert_eq!(case.verdict(), (Verdict::Met, None));
}

#[test]
fn what_was_firing_before_any_fault_is_neither_stuck_nor_cleared() {
    let mut case = Case::new();
    let old = || vec![instance("Drift", AlertState::Firing, -50.0)];
    case.hears(5.0, "prometheus", old());
    case.hears(153.0, "prometheus", old());
    let outcome = case.judge(2, 0).unwrap();
    assert_eq!((outcome.verdict, outcome.reason), (Verdict::Inconclusive, Some(Reason::AlreadyFiring)));
}

#[test]
fn an_alert_that_is_pending_again_has_not_cleared() {
    let mut case = Case::new();
    case.quiet(40.0);
    case.hears(42.0, "prometheus", vec![instance("Drift", AlertState::Firing, 41.0)]);
    case.quiet(95.0);
    case.hears(97.0, "prometheus", vec![instance("Drift", AlertState::Pending, 96.0)]);
    assert_eq!(case.judge(2, 0), None);
}

#[test]
fn a_broken_rule_that_stays_silent_proves_nothing() {
    let mut case = Case::new();
    case.monitor("prometheus", Some(vec![rule("Drift"), Rule { healthy: false, ..rule("Other") }]));
    case.quiet(94.0);
    let outcome = case.judge(1, 1).unwrap();
    assert_eq!((outcome.verdict, outcome.reason), (Verdict::Inconclusive, Some(Reason::MonitorBlind)));
}

#[test]
fn an_undelivered_fault_is_not_blamed_on_labels_or_silences() {
    let mut case = Case::new();
    case.deliveries[0].delivered = Delivered::No;
    let mut wrong = instance("Drift", AlertState::Firing, 41.0);
    wrong.labels.insert("severity".into(), "info".into());
    case.hears(42.0, "prometheus", vec![wrong.clone()]);
    case.hears(94.0, "prometheus", vec![wrong]);
    assert_eq!(case.judge(1, 2).unwrap().reason, Some(Reason::NotDelivered));
}

#[test]
fn what_fires_while_nothing_is_injected_is_a_false_alarm() {
    let mut case = Case::new();
    case.quiet(5.0);
    case.hears(12.0, "prometheus", vec![instance("Other", AlertState::Firing, 11.0)]);
    case.quiet(25.0);
    let found = case.with(unexpected);
    assert_eq!(found.len(), 1);
    assert_eq!((found[0].phase.as_str(), found[0].verdict), ("steady", Verdict::FalseAlarm));
    case.plan.phases[0].warm_up = true;
    assert!(case.with(unexpected).is_empty(), "its rule may not know its past yet");

    // Right after a fault, its late echo is no false alarm; a minute later it is.
    for (fires, count) in [(93.0, 0), (120.0, 1)] {
        let mut case = Case::new();
        case.quiet(fires - 2.0);
        case.hears(fires + 1.0, "prometheus", vec![instance("Stray", AlertState::Firing, fires)]);
        assert_eq!(case.with(unexpected).len(), count, "{fires}");
    }
}

#[test]
fn exit_codes_and_score() {
    let outcome = |verdict| Outcome { verdict, ..outcome("broken", Asked::Fires, "Drift", None) };
    let code = |verdicts: &[Verdict]| {
        exit_code(&verdicts.iter().copied().map(outcome).collect::<Vec<_>>(), Ending::Completed)
    };
    assert_eq!(code(&[Verdict::Met]), 0);
    for short in [Verdict::Late, Verdict::Missed, Verdict::FalseAlarm, Verdict::Stuck] {
        assert_eq!(code(&[Verdict::Met, short, Verdict::Inconclusive]), 1, "{short:?}");
    }
    assert_eq!(code(&[Verdict::Met, Verdict::Inconclusive]), 3);
    assert_eq!(exit_code(&[], Ending::Guard), 4);
    assert_eq!(exit_code(&[], Ending::Interrupted), 130);
    assert_eq!(exit_code(&[outcome(Verdict::Met)], Ending::Failed), 3);

    let case = Case::new();
    assert_eq!(score(&[outcome(Verdict::Met)], &case.deliveries), Some(1.0));
    assert_eq!(score(&[outcome(Verdict::Met), outcome(Verdict::Late)], &case.deliveries), Some(0.0));
    assert_eq!(score(&[], &case.deliveries), None);
    assert_eq!(score(&[outcome(Verdict::Inconclusive)], &case.deliveries), None, "nobody can be blamed");
}

use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::monitor::Rule;

const NO_LABELS: BTreeMap<String, String> = BTreeMap::new();

fn t(seconds: f64) -> Timestamp {
    Timestamp::from_unix_s(seconds)
}

fn alert(state: AlertState, since: AlertState, at: f64) -> AlertInstance {
    AlertInstance {
        alert: "A".into(),
        labels: NO_LABELS,
        state,
        since: Some((since, t(at))),
        notification: false,
        ended: None,
    }
}

/// Prometheus: `for: 3s`, evaluated each second, last at `evaluated`.
fn prometheus(at: f64, evaluated: f64, alerts: Vec<AlertInstance>) -> Reading {
    let rule = Rule {
        alert: "A".into(),
        healthy: true,
        last_error: None,
        last_evaluation: Some(t(evaluated)),
        interval: Some(Duration::from_secs(1)),
        hold: Some(Duration::from_secs(3)),
        query: "up == 0".into(),
        has_data: Some(true),
        labels: BTreeMap::new(),
    };
    Reading { rules: Some(vec![rule]), ..plain(at, alerts) }
}

fn plain(at: f64, alerts: Vec<AlertInstance>) -> Reading {
    Reading {
        taken_at: t(at),
        skew_s: 0.0,
        clock_uncertainty_s: 0.1,
        alerts,
        scrape_interval: None,
        rules: None,
    }
}

fn pending(active: f64) -> Vec<AlertInstance> {
    vec![alert(AlertState::Pending, AlertState::Pending, active)]
}

fn firing(active: f64) -> Vec<AlertInstance> {
    vec![alert(AlertState::Firing, AlertState::Pending, active)]
}

fn told(changes: &[AlertChange]) -> Vec<(AlertState, f64, f64)> {
    let millis = |x: f64| (x * 1000.0).round() / 1000.0;
    changes.iter().map(|c| (c.state, millis(c.at.unix_s()), millis(c.uncertainty_s))).collect()
}

#[test]
fn a_whole_life_on_the_monitors_own_timestamps() {
    let mut history = History::new();
    assert!(history.apply("p", &prometheus(100.9, 100.2, vec![])).is_empty());
    assert_eq!(
        told(&history.apply("p", &prometheus(101.9, 101.2, pending(101.2)))),
        [(AlertState::Pending, 101.2, 0.1)]
    );
    assert!(history.apply("p", &prometheus(102.9, 102.2, pending(101.2))).is_empty());
    assert!(history.apply("p", &prometheus(103.9, 103.2, pending(101.2))).is_empty());
    assert_eq!(
        told(&history.apply("p", &prometheus(104.9, 104.2, firing(101.2)))),
        [(AlertState::Firing, 104.2, 0.1)]
    );
    assert_eq!(
        (history.state(Some("p"), "A"), history.firing_now()),
        (AlertState::Firing, vec!["p/A".into()])
    );
    // One evaluation since: that is when it ended.
    assert_eq!(
        told(&history.apply("p", &prometheus(105.9, 105.2, vec![]))),
        [(AlertState::Inactive, 105.2, 0.1)]
    );
    assert!(history.apply("p", &prometheus(106.9, 106.2, vec![])).is_empty());
    assert_eq!((history.state(None, "A"), history.changes().len()), (AlertState::Inactive, 3));
    assert!(history.firing_now().is_empty());
}

#[test]
fn what_happened_between_two_looks_is_told_in_full() {
    let mut history = History::new();
    history.apply("p", &prometheus(100.0, 99.5, vec![]));
    let changes = history.apply("p", &prometheus(110.0, 109.5, firing(103.5)));
    assert_eq!(told(&changes), [(AlertState::Pending, 103.5, 0.1), (AlertState::Firing, 106.5, 0.1)]);
    // Several evaluations since: midpoint of the two looks, half the gap.
    let changes = history.apply("p", &prometheus(120.0, 119.5, vec![]));
    assert_eq!(told(&changes), [(AlertState::Inactive, 115.0, 5.0)]);
}

#[test]
fn a_hold_that_is_no_multiple_of_the_interval_ends_at_the_next_evaluation() {
    let mut history = History::new();
    let mut reading = prometheus(110.0, 109.0, firing(100.0));
    for rule in reading.rules.iter_mut().flatten() {
        (rule.hold, rule.interval) = (Some(Duration::from_secs(3)), Some(Duration::from_secs(2)));
    }
    assert_eq!(told(&history.apply("p", &reading))[1], (AlertState::Firing, 104.0, 0.1));
}

#[test]
fn an_evaluation_that_was_left_out_widens_the_uncertainty() {
    let mut history = History::new();
    // Should have fired at 103.2, but the evaluation of 105.2 still told pending.
    history.apply("p", &prometheus(105.9, 105.2, pending(100.2)));
    let changes = history.apply("p", &prometheus(107.9, 107.2, firing(100.2)));
    assert_eq!(told(&changes), [(AlertState::Firing, 106.2, 1.1)]);
}

#[test]
fn the_clock_of_the_monitor_is_corrected() {
    let mut history = History::new();
    let mut reading = plain(106.0, vec![alert(AlertState::Firing, AlertState::Firing, 1105.0)]);
    reading.skew_s = 1000.0;
    assert_eq!(told(&history.apply("am", &reading)), [(AlertState::Firing, 105.0, 0.1)]);
    // A new estimate of the skew is no new alert.
    (reading.taken_at, reading.skew_s) = (t(107.0), 1000.4);
    assert!(history.apply("am", &reading).is_empty());
    // Nothing was seen before it happened.
    reading.alerts = vec![alert(AlertState::Firing, AlertState::Firing, 1109.0)];
    let changes = history.apply("am", &reading);
    assert!(changes.iter().all(|change| change.at <= t(107.0)), "{changes:?}");
}

#[test]
fn a_second_fire_is_a_second_life() {
    let mut history = History::new();
    history.apply("p", &prometheus(105.0, 104.5, firing(100.5)));
    let changes = history.apply("p", &prometheus(115.0, 114.5, firing(110.5)));
    let states: Vec<_> = changes.iter().map(|change| change.state).collect();
    assert_eq!(states, [AlertState::Inactive, AlertState::Pending, AlertState::Firing]);
    assert_eq!(changes[0].at, t(107.75)); // between 105 and 110.5
    let lives = history.lives("A", Some("p"));
    assert_eq!(
        (lives.len(), lives[0].state(), lives[1].state()),
        (2, AlertState::Inactive, AlertState::Firing)
    );
    assert!(lives[0].ended.is_some() && lives[1].ended.is_none());
    // Back to pending under the same labels: it ended in between as well.
    let changes = history.apply("p", &prometheus(120.0, 119.5, pending(118.5)));
    assert_eq!(
        changes.iter().map(|c| c.state).collect::<Vec<_>>(),
        [AlertState::Inactive, AlertState::Pending]
    );
}

#[test]
fn silenced_and_inhibited_are_not_firing() {
    let mut history = History::new();
    let silenced = || vec![alert(AlertState::Silenced, AlertState::Firing, 100.0)];
    assert_eq!(told(&history.apply("am", &plain(101.0, silenced()))), [(AlertState::Silenced, 100.0, 0.1)]);
    assert!(history.firing_now().is_empty());
    assert_eq!(history.state(None, "A"), AlertState::Silenced);
    assert_eq!(history.lives("A", None)[0].suppressed, Some((AlertState::Silenced, t(100.0))));
    let heard = vec![alert(AlertState::Firing, AlertState::Firing, 100.0)];
    assert_eq!(told(&history.apply("am", &plain(103.0, heard))), [(AlertState::Firing, 102.0, 1.0)]);
    assert_eq!(history.lives("A", None)[0].firing.unwrap().0, t(100.0));
    assert_eq!(told(&history.apply("am", &plain(105.0, silenced()))), [(AlertState::Silenced, 104.0, 1.0)]);
    assert_eq!(history.lives("A", None)[0].suppressed, Some((AlertState::Silenced, t(104.0))));
    // Another monitor knows that it fires: that is worse.
    history.apply("p", &prometheus(106.0, 105.5, firing(97.0)));
    assert_eq!(history.state(None, "A"), AlertState::Firing);
}

#[test]
fn a_gap_is_no_all_clear() {
    let mut history = History::new();
    history.apply("p", &prometheus(100.0, 99.5, firing(90.5)));
    history.unreachable("p", t(101.0));
    history.unreachable("p", t(102.0));
    assert_eq!((history.state(None, "A"), history.gaps("p")), (AlertState::Firing, &[(t(100.0), None)][..]));
    // Back after a restart: the rule is there but was not evaluated yet, so nothing is known.
    let mut restarted = prometheus(109.0, 0.0, vec![]);
    restarted.rules.as_mut().unwrap()[0].last_evaluation = None;
    assert!(history.apply("p", &restarted).is_empty());
    assert_eq!(history.gaps("p"), [(t(100.0), Some(t(109.0)))]);
    assert_eq!(history.state(None, "A"), AlertState::Firing);
    // Gone at the first evaluation: it ended somewhere since it was last seen.
    let changes = history.apply("p", &prometheus(110.0, 109.5, vec![]));
    assert_eq!(told(&changes), [(AlertState::Inactive, 105.0, 5.0)]);
    assert!(history.gaps("unknown").is_empty());
}

#[test]
fn a_gap_begins_at_the_last_reading_or_else_at_the_first_look_that_failed() {
    let mut history = History::new();
    history.unreachable("p", t(90.0));
    assert_eq!((history.gaps("p"), history.last_reading("p")), (&[(t(90.0), None)][..], None));
    history.apply("p", &prometheus(100.0, 99.5, vec![]));
    // It hung from 100.2 on; the look that met that gave up at 106.
    history.unreachable("p", t(106.0));
    assert_eq!(history.last_reading("p"), Some(t(100.0)));
    history.apply("p", &prometheus(107.0, 106.5, vec![]));
    assert_eq!(history.gaps("p"), [(t(90.0), Some(t(100.0))), (t(100.0), Some(t(107.0)))]);
    assert_eq!((history.last_reading("p"), history.last_reading("unknown")), (Some(t(107.0)), None));
}

#[test]
fn a_notification_tells_its_own_end_and_two_rules_of_one_name_are_one_alert() {
    let mut history = History::new();
    let mut ended = alert(AlertState::Inactive, AlertState::Firing, 100.0);
    (ended.notification, ended.ended) = (true, Some(t(104.0)));
    let mut again = alert(AlertState::Firing, AlertState::Firing, 105.0);
    again.notification = true;
    let mut reading = plain(106.0, vec![ended, again]);
    reading.clock_uncertainty_s = 0.0;
    let changes = history.apply("pager", &reading);
    assert!(changes.iter().all(|change| change.notification));
    assert_eq!(
        told(&changes),
        [
            (AlertState::Firing, 100.0, 0.0),
            (AlertState::Inactive, 104.0, 0.0),
            (AlertState::Firing, 105.0, 0.0)
        ]
    );
    let both = [firing(90.0), pending(95.0)].concat();
    for at in [100.0, 101.0, 102.0] {
        history.apply("p", &prometheus(at, at - 0.5, both.clone()));
    }
    assert_eq!((history.state(Some("p"), "A"), history.lives("A", Some("p")).len()), (AlertState::Firing, 1));
}

#[test]
fn the_history_is_bounded_and_keeps_what_is_alive() {
    let mut history = History::new();
    history.apply("keep", &plain(0.5, vec![alert(AlertState::Firing, AlertState::Firing, 0.5)]));
    for round in 0..2 * MOST_LIVES {
        let at = 1.0 + round as f64;
        history.apply("m", &plain(at, vec![alert(AlertState::Firing, AlertState::Firing, at)]));
    }
    assert!(history.changes().len() <= MOST_CHANGES && history.all_lives().count() <= MOST_LIVES);
    assert_eq!(history.firing_now(), ["keep/A", "m/A"]);
    let (forgotten, refused) = history.forgotten();
    assert_eq!((forgotten + history.changes().len() as u64, refused), (4 * MOST_LIVES as u64, 0));
    for at in 0..2 * MOST_GAPS {
        history.unreachable("m", t(1e6 + at as f64));
        history.apply("m", &plain(1e6 + at as f64 + 0.5, vec![]));
    }
    assert!(history.gaps("m").len() <= MOST_GAPS);
}

/// What Prometheus might tell at one look, in any order that makes sense or none.
fn any_step() -> impl Strategy<Value = Option<(f64, f64, AlertState, f64)>> {
    let state = prop_oneof![
        Just(AlertState::Pending),
        Just(AlertState::Firing),
        Just(AlertState::Silenced),
        Just(AlertState::Inhibited)
    ];
    proptest::option::weighted(0.8, (0.1..5.0, 0.0..20.0, state, -2.0..2.0))
}

proptest! {
    #[test]
    fn the_changes_of_an_instance_are_in_the_order_of_time(steps in proptest::collection::vec(any_step(), 1..40)) {
        let (mut history, mut now) = (History::new(), 1000.0);
        for step in steps {
            match step {
                None => {
                    now += 1.0;
                    history.unreachable("p", t(now));
                    history.apply("p", &prometheus(now + 0.5, now, vec![]));
                    now += 0.5;
                }
                Some((passed, ago, state, skew)) => {
                    now += passed;
                    let alerts = vec![alert(state, AlertState::Pending, now - ago)];
                    history.apply("p", &Reading { skew_s: skew, ..prometheus(now, now - 0.3, alerts) });
                }
            }
        }
        let changes = history.changes();
        prop_assert!(changes.is_sorted_by(|a, b| a.at <= b.at), "{:?}", told(changes));
        prop_assert!(changes.iter().all(|c| c.uncertainty_s.is_finite() && c.uncertainty_s >= 0.0 && c.at <= t(now)));
        prop_assert!(changes.windows(2).all(|pair| pair[0].state != pair[1].state));
    }
}

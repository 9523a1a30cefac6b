use super::*;
use crate::{
    clock::Timestamp,
    event::{
        AlertChange, AlertState, Delivered, Delivery, Ending, FaultOutline, Measured, PhaseRecord, Reason,
    },
};

const ALERTS: [&str; 2] = ["HighLatency", "HighErrorRate"];

fn at(seconds: f64) -> Timestamp {
    Timestamp::from_unix_s(1_000_000.0 + seconds)
}

fn fault(phase: &str, fault: &str) -> FaultOutline {
    FaultOutline {
        id: format!("{phase}/{fault}"),
        fault: fault.into(),
        size: "large".into(),
        exposure_share: 0.5,
        group: None,
        rate: 1.0,
        over_time: 1.0,
        overall_share: 0.5,
    }
}

/// steady 0–30, slow 30–60, calm 60–90, failing 90–120, recovery 120–150.
fn outline(null: bool) -> Outline {
    let phase = |index: usize, phase: &str, faults: Vec<FaultOutline>| PhaseOutline {
        phase: phase.into(),
        starts_s: index as f64 * 30.0,
        lasts_s: 30.0,
        warm_up: false,
        share: None,
        listed: 0,
        faults: if null { vec![] } else { faults },
    };
    Outline {
        scenario: "two".into(),
        hypothesis: String::new(),
        seed: 7,
        stage: String::new(),
        monitors: vec!["prometheus".into()],
        exposure_share: 0.5,
        shadow: false,
        release: None,
        phases: vec![
            phase(0, "steady", vec![]),
            phase(1, "slow", vec![fault("slow", "latency")]),
            phase(2, "calm", vec![]),
            phase(3, "failing", vec![fault("failing", "error"), fault("failing", "hang")]),
            phase(4, "recovery", vec![]),
        ],
    }
}

fn outcome(phase: &str, asked: Asked, alert: &str, verdict: Verdict, seconds: Option<f64>) -> Outcome {
    Outcome {
        phase: phase.into(),
        asked,
        subject: alert.into(),
        monitor: Some("prometheus".into()),
        within_s: None,
        line: Some(3),
        verdict,
        reason: None,
        time: seconds.map(|seconds| Measured { seconds, uncertainty_s: 0.1 }),
        stages_s: BTreeMap::new(),
        detail: String::new(),
        advice: None,
        reference: None,
        cause: None,
    }
}

/// Pending at the first time, firing a second later, over at the last.
fn fires(monitor: &str, alert: &str, from: f64, to: f64) -> [AlertChange; 3] {
    let change = |state, seconds| AlertChange {
        monitor: monitor.into(),
        alert: alert.into(),
        labels: BTreeMap::new(),
        state,
        notification: false,
        at: at(seconds),
        uncertainty_s: 0.1,
    };
    [
        change(AlertState::Pending, from),
        change(AlertState::Firing, from + 1.0),
        change(AlertState::Inactive, to),
    ]
}

fn report(outcomes: Vec<Outcome>, alerts: Vec<AlertChange>) -> Report {
    let outline = outline(false);
    let delivery = |phase: &str, fault: &FaultOutline| Delivery {
        phase: phase.into(),
        fault: fault.clone(),
        eligible: 100,
        exposed: 50,
        perturbed: 50,
        promised: None,
        achieved: None,
        monitor: None,
        confusion: None,
        delivered: Delivered::Yes,
        seen_by: String::new(),
        ..delivery()
    };
    let of =
        |phase: &PhaseOutline| phase.faults.iter().map(|f| delivery(&phase.phase, f)).collect::<Vec<_>>();
    let record = |phase: &PhaseOutline| PhaseRecord {
        phase: phase.phase.clone(),
        started: at(phase.starts_s),
        ended: at(phase.starts_s + phase.lasts_s),
        early: false,
    };
    let exit_code = super::super::exit_code(&outcomes, Ending::Completed);
    let rules = [ALERTS[0], ALERTS[1], "NeverSeen"].map(str::to_owned).to_vec();
    Report {
        format_version: FORMAT_VERSION,
        canard_version: String::new(),
        started: at(0.0),
        ended: at(150.0),
        ending: Ending::Completed,
        ending_detail: None,
        phases: outline.phases.iter().map(record).collect(),
        deliveries: outline.phases.iter().flat_map(of).collect(),
        shadows: vec![],
        comparisons: vec![],
        outcomes,
        alerts,
        rules: BTreeMap::from([("prometheus".to_owned(), rules)]),
        not_assigned: BTreeMap::new(),
        score: None,
        exit_code,
        notices: vec![],
        ledger: None,
        outline,
    }
}

fn delivery() -> Delivery {
    Delivery {
        phase: String::new(),
        fault: fault("", ""),
        eligible: 0,
        exposed: 0,
        perturbed: 0,
        asked_for: 0,
        skipped: BTreeMap::new(),
        effects: vec![],
        promised: None,
        achieved: None,
        monitor: None,
        confusion: None,
        delivered: Delivered::No,
        seen_by: String::new(),
    }
}

/// Both alerts notice their fault, after 3 and 5 seconds.
fn good() -> Report {
    let outcomes = vec![
        outcome("slow", Asked::Fires, ALERTS[0], Verdict::Met, Some(4.0)),
        outcome("slow", Asked::Silent, ALERTS[1], Verdict::Met, None),
        outcome("calm", Asked::Clears, ALERTS[0], Verdict::Met, Some(5.0)),
        outcome("failing", Asked::Fires, ALERTS[1], Verdict::Met, Some(6.0)),
    ];
    let alerts = [fires("prometheus", ALERTS[0], 33.0, 65.0), fires("prometheus", ALERTS[1], 95.0, 125.0)];
    report(outcomes, alerts.concat())
}

fn null(alerts: Vec<AlertChange>) -> Report {
    let outcomes = vec![
        outcome("slow", Asked::Silent, ALERTS[0], Verdict::Met, None),
        outcome("failing", Asked::Silent, ALERTS[1], Verdict::Met, None),
    ];
    let mut null = report(outcomes, alerts);
    null.outline = outline(true);
    null.deliveries.clear();
    null
}

fn played(reports: Vec<Report>) -> Vec<Played> {
    let one = |(number, report): (usize, Report)| Played {
        run: format!("{:03}-two", number + 1),
        scenario: "two".into(),
        seed: number as u64,
        null: report.deliveries.is_empty(),
        shuffled: Some(false),
        report: Ok(report),
    };
    reports.into_iter().enumerate().map(one).collect()
}

fn of(reports: Vec<Report>) -> Matrix {
    matrix(&[outline(false)], &played(reports), 0)
}

#[test]
fn what_is_noticed_in_time_is_counted_for_its_fault_and_its_alert() {
    let matrix = of(vec![good(), good()]);
    let names: Vec<String> = matrix.faults.iter().map(FaultRow::name).collect();
    assert_eq!(names, ["two: slow/latency", "two: failing/error + failing/hang"]);
    let slow = &matrix.faults[0];
    assert_eq!((slow.runs, slow.delivered, slow.detected.unwrap().hits), (2, 2, 2));
    let cell = &slow.cells[ALERTS[0]];
    assert_eq!((cell.expected, cell.detected, cell.told()), (Expected::Fires, 2, 2));
    // binom.test(2, 2)$conf.int in R: 0.1581139, 1.
    assert!((cell.probability.unwrap().share.low - 0.158_113_9).abs() < 1e-6);
    assert_eq!(slow.cells[ALERTS[1]].expected, Expected::Silence);
    assert_eq!(cell.time_to_detect.as_ref().unwrap().median_s.estimate, Some(4.0));
    let alert = &matrix.alerts[ALERTS[0]];
    assert_eq!((alert.recall.unwrap().hits, alert.precision.unwrap().of), (2, 2));
    assert_eq!((alert.false_alarms, alert.cross_talk), (0, 0));
    // Only before its fault: afterwards it may have reasons.
    assert_eq!(alert.quiet_s, 60.0);
    assert_eq!(matrix.score.unwrap().hits, 4);
    assert_eq!(matrix.never_fired, ["NeverSeen"]);
    assert!(matrix.unseen.is_empty());
    assert_eq!(campaign_exit_code(&played(vec![good()]), &matrix, None), 0);
}

#[test]
fn a_miss_is_censored_where_watching_ends() {
    let mut missed = good();
    missed.outcomes[0] = outcome("slow", Asked::Fires, ALERTS[0], Verdict::Missed, None);
    missed.outcomes[0].reason = Some(Reason::MonitorBlind);
    missed.alerts = fires("prometheus", ALERTS[1], 95.0, 125.0).to_vec();
    let mut late = good();
    late.outcomes[0] = outcome("slow", Asked::Fires, ALERTS[0], Verdict::Late, Some(20.0));
    let matrix = of(vec![good(), late, missed]);
    let cell = &matrix.faults[0].cells[ALERTS[0]];
    assert_eq!((cell.detected, cell.late, cell.missed), (1, 1, 1));
    assert_eq!(cell.missed_because["monitor-blind"], 1);
    let curve = &cell.time_to_detect.as_ref().unwrap().undetected;
    assert_eq!((curve.n, curve.events), (3, 2));
    assert!((curve.at(19.0) - 2.0 / 3.0).abs() < 1e-12 && (curve.at(59.0) - 1.0 / 3.0).abs() < 1e-12);
    assert_eq!((matrix.score.unwrap().hits, matrix.score.unwrap().of), (4, 6));
    assert_eq!(matrix.alerts[ALERTS[0]].precision.unwrap().of, 2, "late is an answer too");
}

#[test]
fn what_was_not_delivered_is_in_no_denominator() {
    let mut lost = good();
    lost.deliveries[0].delivered = Delivered::No;
    lost.outcomes[0] = outcome("slow", Asked::Fires, ALERTS[0], Verdict::Inconclusive, None);
    lost.outcomes[0].reason = Some(Reason::NotDelivered);
    lost.alerts.drain(..3);
    lost.exit_code = 3;
    let matrix = of(vec![lost.clone()]);
    let row = &matrix.faults[0];
    assert_eq!((row.runs, row.delivered, row.detected), (1, 0, None));
    let cell = &row.cells[ALERTS[0]];
    assert_eq!((cell.told(), cell.inconclusive, cell.probability), (0, 1, None));
    assert_eq!(cell.inconclusive_because["not-delivered"], 1);
    assert!(matrix.unseen.is_empty(), "what was not there could not be seen");
    let lost = played(vec![lost, good()]);
    let both = super::matrix(&[outline(false)], &lost, 0);
    assert_eq!(campaign_exit_code(&lost, &both, None), 3);
    assert_eq!(campaign_exit_code(&lost, &both, Some(0.8)), 0, "one of the runs could tell");
}

#[test]
fn an_alert_that_fires_unasked_is_cross_talk_or_a_false_alarm() {
    let mut noisy = good();
    // During slow, right behind failing (its wake), and long behind it.
    for (from, to) in [(45.0, 50.0), (123.0, 126.0), (140.0, 145.0)] {
        noisy.alerts.extend(fires("prometheus", "Noise", from, to));
    }
    let matrix = of(vec![noisy]);
    let noise = &matrix.alerts["Noise"];
    assert_eq!((noise.cross_talk, noise.false_alarms), (2, 1));
    // steady 30, calm 30 - 10, recovery 30 - 10.
    assert_eq!(noise.quiet_s, 70.0);
    assert_eq!(noise.precision.unwrap().hits, 0);
    // poisson.test(1)$conf.int in R: 0.02531781, 5.571643.
    let rate = noise.false_alarms_per_hour.unwrap();
    assert!((rate.high / rate.estimate - 5.571_643).abs() < 1e-5, "{rate:?}");
    assert!(matrix.faults.iter().all(|row| row.cells["Noise"].cross_talk == 1));
}

#[test]
fn null_runs_tell_how_often_an_alert_cries_wolf() {
    let alarm = fires("prometheus", ALERTS[0], 75.0, 80.0).to_vec();
    let matrix = of(vec![good(), null(alarm), null(vec![])]);
    let row = &matrix.alerts[ALERTS[0]];
    assert_eq!((row.false_alarms, row.quiet_s), (1, 30.0 + 2.0 * 150.0));
    assert_eq!((row.precision.unwrap().hits, row.precision.unwrap().of), (1, 2));
    assert_eq!(matrix.faults[0].runs, 1, "null runs are in no row");
    assert!(matrix.runs[1].null && !matrix.runs[0].null);
}

#[test]
fn time_in_which_rules_warm_up_is_not_quiet() {
    let mut warm = null(fires("prometheus", ALERTS[0], 10.0, 15.0).to_vec());
    warm.outline.phases[0].warm_up = true;
    let row = &of(vec![warm]).alerts[ALERTS[0]];
    assert_eq!((row.false_alarms, row.quiet_s), (0, 120.0));
}

#[test]
fn the_source_closest_to_the_rule_is_counted_and_its_instances_once() {
    let mut several = null(fires("prometheus", ALERTS[0], 40.0, 60.0).to_vec());
    several.alerts.extend(fires("alertmanager", ALERTS[0], 45.0, 70.0));
    let mut other = fires("prometheus", ALERTS[0], 50.0, 55.0);
    other.iter_mut().for_each(|change| drop(change.labels.insert("pod".into(), "b".into())));
    several.alerts.extend(other);
    assert_eq!(of(vec![several]).alerts[ALERTS[0]].false_alarms, 1);
    // Two monitors that evaluate it: the first by name saw its condition for a moment only.
    let mut pair = null(fires("prometheus", ALERTS[0], 40.0, 60.0).to_vec());
    pair.alerts.extend([0, 2].map(|step| fires("a-replica", ALERTS[0], 20.0, 21.0)[step].clone()));
    pair.rules.insert("a-replica".into(), pair.rules["prometheus"].clone());
    assert_eq!(of(vec![pair.clone()]).alerts[ALERTS[0]].false_alarms, 1);
    pair.alerts.extend(fires("a-replica", ALERTS[0], 50.0, 70.0));
    assert_eq!(of(vec![pair]).alerts[ALERTS[0]].false_alarms, 1, "both at once are one");
    let mut unruly = null(fires("alertmanager", "Foreign", 45.0, 70.0).to_vec());
    unruly.alerts.extend(fires("alertmanager", "Foreign", 80.0, 90.0));
    assert_eq!(of(vec![unruly]).alerts["Foreign"].false_alarms, 2);
    let pending = fires("prometheus", "Pending", 45.0, 70.0);
    let pending = null(vec![pending[0].clone(), pending[2].clone()]);
    assert!(!of(vec![pending]).alerts.contains_key("Pending"), "it never fired");
}

#[test]
fn a_fault_that_nothing_sees_is_named() {
    let mut dark = good();
    dark.outcomes[0] = outcome("slow", Asked::Fires, ALERTS[0], Verdict::Missed, None);
    dark.alerts.drain(..3);
    assert_eq!(of(vec![dark.clone()]).unseen, ["two: slow/latency"]);
    assert_eq!(of(vec![dark.clone()]).never_fired, [ALERTS[0], "NeverSeen"]);
    assert!(of(vec![dark.clone(), good()]).unseen.is_empty());
    // Neither by an alert that fired once in three runs, nor by one that could not be told to stay silent.
    dark.outcomes[1] = outcome("slow", Asked::Silent, ALERTS[1], Verdict::Inconclusive, None);
    let mut noisy = dark.clone();
    noisy.alerts.extend(fires("prometheus", "Noise", 45.0, 50.0));
    let runs = vec![dark.clone(), noisy.clone(), dark.clone()];
    assert_eq!(of(runs).unseen, ["two: slow/latency"]);
    assert!(of(vec![dark.clone(), noisy]).unseen.is_empty(), "half of the runs are no chance");
    dark.outcomes[0] = outcome("slow", Asked::Fires, ALERTS[0], Verdict::Inconclusive, None);
    assert!(of(vec![dark]).unseen.is_empty(), "nobody could tell");
}

#[test]
fn an_alert_that_is_asked_about_twice_counts_once_in_a_run() {
    let mut twice = good();
    twice.outcomes.push(outcome("slow", Asked::Fires, ALERTS[0], Verdict::Met, Some(9.0)));
    twice.outcomes.push(outcome("failing", Asked::Silent, ALERTS[1], Verdict::Inconclusive, None));
    let mut missed = twice.clone();
    missed.outcomes[4].verdict = Verdict::Missed;
    let matrix = of(vec![twice, missed]);
    let cell = &matrix.faults[0].cells[ALERTS[0]];
    assert_eq!((cell.detected, cell.missed, cell.probability.unwrap().of), (1, 1, 2));
    let curve = &cell.time_to_detect.as_ref().unwrap().undetected;
    assert_eq!((curve.n, curve.events), (2, 1));
    assert!(curve.at(8.0) > 0.9 && curve.at(10.0) < 0.6, "the later of its times");
    assert_eq!(matrix.alerts[ALERTS[0]].precision.unwrap().of, 1);
    let cell = &matrix.faults[1].cells[ALERTS[1]];
    assert_eq!((cell.expected, cell.detected, cell.inconclusive), (Expected::Fires, 2, 0));
}

#[test]
fn a_required_share_forgives_some_misses_and_no_false_alarm() {
    let mut missed = good();
    missed.outcomes[0] = outcome("slow", Asked::Fires, ALERTS[0], Verdict::Missed, None);
    missed.outcomes[2] = outcome("calm", Asked::Clears, ALERTS[0], Verdict::Inconclusive, None);
    missed.outcomes[2].reason = Some(Reason::NeverFired);
    missed.exit_code = 1;
    let runs = played(vec![good(), good(), good(), missed.clone()]);
    let matrix = super::matrix(&[outline(false)], &runs, 0);
    assert_eq!(campaign_exit_code(&runs, &matrix, None), 1);
    assert_eq!(campaign_exit_code(&runs, &matrix, Some(0.75)), 0);
    assert_eq!(campaign_exit_code(&runs, &matrix, Some(0.8)), 1);
    let mut unclear = good();
    unclear.outcomes[2] = outcome("calm", Asked::Clears, ALERTS[0], Verdict::Inconclusive, None);
    unclear.exit_code = 3;
    let runs = played(vec![good(), unclear]);
    assert_eq!(campaign_exit_code(&runs, &of(vec![good()]), Some(0.5)), 3, "it fired, and did it clear?");
    let mut alarm = good();
    alarm.outcomes[1].verdict = Verdict::FalseAlarm;
    alarm.exit_code = 1;
    let runs = played(vec![good(), alarm]);
    assert_eq!(campaign_exit_code(&runs, &of(vec![good()]), Some(0.5)), 1);
}

#[test]
fn a_run_that_could_not_begin_or_was_ended_decides_the_exit_code() {
    let mut runs = played(vec![good(), good()]);
    let code = |runs: &[Played]| campaign_exit_code(runs, &super::matrix(&[outline(false)], runs, 0), None);
    runs[0].report.as_mut().unwrap().exit_code = 4;
    assert_eq!(code(&runs), 4);
    runs[1].report = Err("no upstream".into());
    assert_eq!(code(&runs), 2);
    let matrix = super::matrix(&[outline(false)], &runs, 2);
    assert_eq!((matrix.runs[1].ending, matrix.runs[1].detail.as_deref()), (None, Some("no upstream")));
    assert_eq!(matrix.faults[0].runs, 1);
    assert_eq!(super::matrix(&[outline(false)], &[], 0).faults.len(), 2, "rows before any run");
}

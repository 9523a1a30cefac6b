//! One small report through every exporter.

use std::collections::BTreeMap;

use super::*;
use crate::{
    clock::Timestamp,
    event::{
        AlertChange, AlertState, Asked, Compared, Comparison, Delivered, Delivery, Effect, Ending, Event,
        FORMAT_VERSION, FaultOutline, Kind, Measured, Outcome, Outline, PhaseOutline, Reason, Report,
        Shadowed, Verdict,
    },
    stats::Interval,
};

fn at(seconds: f64) -> Timestamp {
    Timestamp::from_unix_s(1_800_000_000.0 + seconds)
}

fn fault() -> FaultOutline {
    FaultOutline {
        id: "confused/mislabel".into(),
        fault: "mislabel".into(),
        size: "30% virginica → versicolor".into(),
        exposure_share: 0.25,
        group: None,
        rate: 0.3,
        over_time: 1.0,
        overall_share: 0.075,
    }
}

#[test]
fn a_dry_run_of_a_shadow_says_that_no_caller_is_touched_and_how_many_are_copied() {
    let text = "name: t\ntarget: { protocol: open-inference }\nexposure: { share: 50%, groups: { a: 50%, b: 50% } }\n\
                release: { shadow: {} }\nphases: [{ name: p, lasts: 10s, inject: [{ fault: { mislabel: { rate: 30%, to: \
                setosa } }, group: b }] }]";
    let source = crate::scenario::Source::new("t.yaml", text);
    let plan = crate::scenario::compile(&source).unwrap_or_else(|errors| panic!("{errors}"));
    let outline = crate::gameday::outline(&plan, "here".into(), Vec::new());
    let told = super::plan(&outline, Some(100.0), 200);
    for words in
        ["callers get the true answer", "25% of units (group `b`)", "no caller; at most 75 of 500 copies"]
    {
        assert!(told.contains(words), "{told}");
    }
    let mut report = report();
    report.outline = outline;
    let told = summary(&report, 100);
    assert!(told.contains("Callers got the true answer: faults acted on copies of 0 requests."), "{told}");
}

fn outcome(
    alert: &str,
    asked: Asked,
    verdict: Verdict,
    reason: Option<Reason>,
    seconds: Option<f64>,
) -> Outcome {
    Outcome {
        phase: "confused".into(),
        asked,
        subject: alert.into(),
        monitor: Some("prometheus".into()),
        within_s: (asked != Asked::Silent).then_some(30.0),
        line: Some(31),
        verdict,
        reason,
        time: seconds.map(|seconds| Measured { seconds, uncertainty_s: 0.6 }),
        stages_s: BTreeMap::new(),
        detail: "what was seen".into(),
        advice: (verdict != Verdict::Met).then(|| "what to do".into()),
        reference: None,
        cause: None,
    }
}

fn report() -> Report {
    let outline = Outline {
        scenario: "confused-classifier".into(),
        hypothesis: "It is noticed.".into(),
        seed: 7,
        stage: "staging <&>".into(),
        monitors: vec!["prometheus".into()],
        exposure_share: 0.25,
        shadow: false,
        release: None,
        phases: vec![
            PhaseOutline {
                phase: "steady".into(),
                starts_s: 0.0,
                lasts_s: 30.0,
                warm_up: false,
                share: None,
                listed: 0,
                faults: vec![],
            },
            PhaseOutline {
                phase: "confused".into(),
                starts_s: 30.0,
                lasts_s: 60.0,
                warm_up: false,
                share: None,
                listed: 0,
                faults: vec![fault()],
            },
        ],
    };
    let difference = Interval { estimate: 0.3, low: 0.25, high: 0.35, level: 0.95 };
    Report {
        format_version: FORMAT_VERSION,
        canard_version: "0.0.0".into(),
        outline,
        started: at(0.0),
        ended: at(95.0),
        ending: Ending::Completed,
        ending_detail: None,
        phases: vec![],
        deliveries: vec![Delivery {
            phase: "confused".into(),
            fault: fault(),
            eligible: 1000,
            exposed: 250,
            perturbed: 75,
            asked_for: 0,
            skipped: BTreeMap::new(),
            effects: vec![Effect {
                measure: "changed predictions".into(),
                unit: "share".into(),
                control: 0.0,
                treated: 0.3,
                difference: Some(difference),
                p: None,
            }],
            promised: None,
            achieved: None,
            monitor: None,
            confusion: None,
            delivered: Delivered::Yes,
            seen_by: "labels".into(),
        }],
        comparisons: vec![],
        outcomes: vec![
            outcome("PredictionDrift", Asked::Fires, Verdict::Met, None, Some(14.2)),
            outcome("HighErrorRate", Asked::Silent, Verdict::Met, None, None),
            outcome("Parity", Asked::Fires, Verdict::Missed, Some(Reason::MonitorBlind), None),
            outcome("Slow", Asked::Clears, Verdict::Inconclusive, Some(Reason::NeverFired), None),
        ],
        alerts: vec![],
        rules: BTreeMap::new(),
        not_assigned: BTreeMap::from([("no-unit".to_owned(), 3)]),
        shadows: vec![],
        score: Some(0.5),
        exit_code: 1,
        notices: vec![],
        ledger: None,
    }
}

fn released() -> Report {
    let side = |version: &str, requests| Compared { version: version.into(), group: None, requests };
    let effect = |measure: &str, unit: &str, control, treated, difference: Option<(f64, f64)>| Effect {
        measure: measure.into(),
        unit: unit.into(),
        control,
        treated,
        difference: difference.map(|(low, high)| Interval {
            estimate: treated - control,
            low,
            high,
            level: 0.95,
        }),
        p: None,
    };
    let effects = vec![
        effect("error share", "share", 0.002, 0.25, Some((0.19, 0.31))),
        effect("p99 latency", "s", 0.021, 0.024, None),
        effect("mean score", "", 0.75, 0.7421875, Some((-0.02, 0.01))),
    ];
    let (baseline, candidate) = (side("v1", 2400), side("v2", 120));
    let alike = effects[1..].to_vec();
    let one = Comparison { phase: "step 1".into(), baseline, candidate, before: false, effects };
    let mut two = Comparison { phase: "step 2".into(), before: true, effects: alike, ..one.clone() };
    (two.baseline.group, two.candidate.group) = (Some("a".into()), Some("b".into()));
    Report { comparisons: vec![one, two], ..report() }
}

#[test]
fn versions_are_compared_with_what_differs_first() {
    let text = plain(&summary(&released(), 100));
    let start = text.find("What callers").unwrap();
    insta::assert_snapshot!(&text[start..text.find("→ Parity").unwrap()]);
    let before = plain(&summary(&report(), 100));
    assert_eq!(
        text.replace(&text[start..text.find("→ Parity").unwrap()], ""),
        before.as_str(),
        "nothing else moves"
    );
    let read: Report = serde_json::from_str(&json(&released())).unwrap();
    assert_eq!(json(&read), json(&released()));
    assert!(!json(&report()).contains("comparisons"), "reports of other runs stay as they were");
}

fn plain(text: &str) -> String {
    let lines: Vec<_> =
        anstream::adapter::strip_str(text).to_string().lines().map(|l| l.trim_end().to_owned()).collect();
    lines.join("\n")
}

#[test]
fn the_summary_says_the_verdict_first_and_what_to_do_last() {
    insta::assert_snapshot!(plain(&summary(&report(), 100)));
}

#[test]
fn the_summary_fits_a_narrow_terminal() {
    let text = plain(&summary(&report(), 60));
    assert!(text.lines().all(|line| line.chars().count() <= 60), "{text}");
}

#[test]
fn shadows_are_told_where_there_were_any() {
    let interval = |estimate, half: f64| {
        Some(Interval { estimate, low: estimate - half, high: estimate + half, level: 0.95 })
    };
    let counts = |list: &[(&str, u64)]| list.iter().map(|(key, n)| ((*key).to_owned(), *n)).collect();
    let shadowed = Shadowed {
        phase: "confused".into(),
        pairs: 1000,
        left_out: counts(&[("overflow", 3)]),
        statuses: BTreeMap::from([("200".to_owned(), counts(&[("503", 12)]))]),
        latency_s: interval(0.0004, 0.0003),
        predictions: 2000,
        not_compared: counts(&[("other-rows", 2)]),
        relabelled_share: interval(0.3, 0.02),
        confusion: BTreeMap::from([
            ("setosa".to_owned(), counts(&[("versicolor", 200)])),
            ("virginica".to_owned(), counts(&[("versicolor", 390), ("setosa", 10)])),
        ]),
        score_difference: interval(-0.125, 0.01),
        largest_score_difference: Some(0.75),
    };
    insta::assert_snapshot!(super::shadows::lines(&shadowed), @"
    confused: 1000 requests answered twice
      labels    30.0% (28.0% to 32.0%) differ: 390 virginica → versicolor, 200 setosa → versicolor, 10 virginica → setosa
      scores    -0.125 (-0.135 to -0.115) in the mean, at most 0.750
      statuses  12 200 → 503
      latency   0.40 ms (0.10 ms to 0.70 ms) in the mean
      not compared: 2 other-rows
      without a shadow: 3 overflow
    ");
    let told = Report { shadows: vec![shadowed], ..report() };
    assert!(plain(&summary(&told, 200)).contains("confused: 1000 requests answered twice"));
    assert!(!summary(&report(), 200).contains("shadow"), "and nowhere else");
}

#[test]
fn the_plan_names_the_three_shares() {
    insta::assert_snapshot!(plain(&plan(&report().outline, Some(200.0), 100)));
}

#[test]
fn who_ended_a_run_is_told() {
    let ended = |ending| Report { ending, ending_detail: Some("why".into()), exit_code: 4, ..report() };
    assert!(summary(&ended(Ending::Withdrawn), 100).contains("The run was withdrawn: why."));
    assert!(summary(&ended(Ending::Guard), 100).contains("A guard ended the run: why."));
}

#[test]
fn junit_has_a_case_for_each_expectation() {
    let xml = junit(&report());
    insta::assert_snapshot!(xml);
    let failed = Report { outcomes: vec![], exit_code: 3, ending: Ending::Failed, ..report() };
    assert!(junit(&failed).contains("errors=\"1\""), "a run that says nothing must not look like a pass");
}

#[test]
fn json_reads_back_as_the_same_report() {
    let read: Report = serde_json::from_str(&json(&report())).unwrap();
    assert_eq!(read, report());
}

#[test]
fn an_event_is_a_line_or_nothing() {
    let change = AlertChange {
        monitor: "prometheus".into(),
        alert: "PredictionDrift".into(),
        labels: BTreeMap::new(),
        state: AlertState::Firing,
        notification: false,
        at: at(44.2),
        uncertainty_s: 0.6,
    };
    let shown = |kind| line(&Event { at: at(44.5), kind }, 44.5).map(|line| plain(&line));
    assert_eq!(shown(Kind::AlertChanged(change)).unwrap(), "  44.5s alert prometheus/PredictionDrift firing");
    let decided = shown(Kind::Decided(report().outcomes[0].clone())).unwrap();
    assert_eq!(decided, "  44.5s PredictionDrift fires within 30s met after 14.2 s ±0.6");
    assert_eq!(shown(Kind::PhaseEnded { phase: "steady".into(), early: false }), None);
}

#[test]
fn events_read_back_from_their_json_lines() {
    for kind in [Kind::Disarmed, Kind::Notice { message: "x".into() }, Kind::RunEnded(Box::new(report()))] {
        let event = Event { at: at(1.5), kind };
        let line = serde_json::to_string(&event).unwrap();
        assert_eq!(serde_json::from_str::<Event>(&line).unwrap(), event, "{line}");
    }
}

#[test]
fn a_run_that_could_not_begin_is_an_error_in_junit() {
    let xml = junit_of_all(&[("001-shop", Err("no upstream"))]);
    assert!(xml.contains("<testsuite name=\"001-shop\" tests=\"1\" skipped=\"0\" errors=\"1\""), "{xml}");
    assert!(xml.contains("could not begin: no upstream"), "{xml}");
}

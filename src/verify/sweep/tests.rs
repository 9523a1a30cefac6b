use super::*;
use crate::{
    draw::{Key, UnitHash},
    event::Delivered,
    scenario::{Source, compile},
};

fn range() -> SizeRange {
    SizeRange::new("1%..100%", None).unwrap()
}

fn probe(size: &str, seen: Seen, reason: Option<Reason>) -> Probe {
    Probe {
        number: 1,
        folder: String::new(),
        size: size.to_owned(),
        seed: 0,
        seen,
        time_s: None,
        reason,
        detail: "told".to_owned(),
        reference: None,
        reference_s: None,
    }
}

/// Plays a sweep of so many runs at most; what each size gives is up to `run`.
fn play(
    runs: u32,
    width: f64,
    mut run: impl FnMut(f64, usize) -> (Seen, Option<Reason>),
) -> (Vec<Probe>, SweepEnding) {
    let mut probes = Vec::new();
    loop {
        match Findings::of(&range(), &probes).next(&probes, runs, width) {
            Next::Try(size) => {
                let at = range().position(&size).unwrap();
                let (seen, reason) = run(at, probes.len());
                probes.push(probe(&size, seen, reason));
            }
            Next::End(ending, _) => return (probes, ending),
        }
    }
}

fn sharp(at: f64, threshold: f64) -> (Seen, Option<Reason>) {
    (if at > threshold { Seen::Detected } else { Seen::Missed }, None)
}

#[test]
fn a_sharp_threshold_is_found_in_few_runs() {
    let (probes, ending) = play(30, 0.25, |at, _| sharp(at, 0.5));
    assert_eq!(ending, SweepEnding::Known, "{probes:?}");
    assert!(probes.len() <= 16, "{}", probes.len());
    let curve = Findings::of(&range(), &probes).monitoring();
    let at = |size: &Option<String>| range().position(size.as_ref().unwrap()).unwrap();
    assert!(at(&curve.half.from) < 0.5 && at(&curve.half.to) > 0.5, "{:?}", curve.half);
    assert!(curve.half.width_share.unwrap() <= 0.25 && curve.most.width_share.unwrap() <= 0.25);
    assert!(curve.points[0].probability < 0.15 && curve.points[48].probability > 0.9);
    assert_eq!(sweep_exit_code(ending, &curve), 0);
}

#[test]
fn never_and_always_end_as_bounds_before_the_runs_are_used_up() {
    for (threshold, known) in [(2.0, Known::Severer), (-1.0, Known::Milder)] {
        let (probes, ending) = play(40, 0.25, |at, _| sharp(at, threshold));
        let curve = Findings::of(&range(), &probes).monitoring();
        assert_eq!((curve.half.known, ending), (known, SweepEnding::Known), "{} {curve:?}", probes.len());
        assert_eq!(sweep_exit_code(ending, &curve), 0);
    }
}

#[test]
fn what_can_not_be_told_is_repeated_and_never_a_miss() {
    let away = Some(Reason::MonitorUnreachable);
    let (probes, _) =
        play(12, 0.05, |at, n| if n % 3 == 1 { (Seen::Inconclusive, away) } else { sharp(at, 0.5) });
    assert_eq!(probes.len(), 12);
    assert_eq!(probes[1].size, probes[2].size);
    let told: Vec<Probe> = probes.iter().filter(|probe| probe.seen != Seen::Inconclusive).cloned().collect();
    assert_eq!(Findings::of(&range(), &told).monitoring(), Findings::of(&range(), &probes).monitoring());
    let (probes, ending) = play(12, 0.05, |_, _| (Seen::Inconclusive, away));
    assert_eq!((probes.len(), ending), (3, SweepEnding::CantTell));
    let (probes, ending) = play(12, 0.05, |_, _| (Seen::Inconclusive, Some(Reason::NoSuchAlert)));
    assert_eq!((probes.len(), ending), (1, SweepEnding::CantTell));
}

#[test]
fn sizes_that_nobody_could_see_are_the_floor() {
    let little = Some(Reason::Underpowered);
    let (probes, _) =
        play(30, 0.25, |at, _| if at < 0.4 { (Seen::Inconclusive, little) } else { sharp(at, 0.2) });
    let findings = Findings::of(&range(), &probes);
    let floor = range().position(&findings.untold_up_to().unwrap()).unwrap();
    assert!(floor > 0.2 && floor < 0.4, "{floor}");
    assert_eq!(findings.monitoring().half.known, Known::Milder, "{:?}", findings.monitoring().half);
    for size in probes.iter().filter(|probe| probe.seen == Seen::Inconclusive).map(|probe| &probe.size) {
        assert!(probes.iter().filter(|probe| probe.size == *size).count() <= 2, "{size} again and again");
    }
    // What was detected below does not count: what was missed there can't be told.
    let mut more = probes.clone();
    more.extend(vec![probe("1%", Seen::Detected, None); 5]);
    assert_eq!(Findings::of(&range(), &more).monitoring(), findings.monitoring());
    let (probes, ending) = play(20, 0.25, |_, _| (Seen::Inconclusive, little));
    assert_eq!(ending, SweepEnding::CantTell, "{}", probes.len());
}

#[test]
fn a_high_floor_is_found_in_few_runs() {
    let little = Some(Reason::Underpowered);
    let run = |at: f64, lure: bool| match at {
        _ if at >= 0.6 => sharp(at, 0.8),
        _ if lure => (Seen::Detected, None),
        _ => (Seen::Inconclusive, little),
    };
    let (probes, ending) = play(20, 0.25, |at, _| run(at, false));
    assert_eq!(ending, SweepEnding::Known, "{probes:?}");
    // Nor does it keep the search, if the first answer led it down there.
    let (probes, _) = play(20, 0.25, |at, n| run(at, n == 0));
    let curve = Findings::of(&range(), &probes).monitoring();
    assert_eq!(curve.half.known, Known::Within, "{probes:?}");
    let floor = Findings::of(&range(), &probes).untold_up_to().and_then(|size| range().position(&size));
    assert!(floor.is_some_and(|floor| floor < 0.6), "{floor:?}");
}

#[test]
fn whole_numbers_are_not_tried_again_and_again() {
    for range in ["1..20", "2..16", "1..3"].map(|text| SizeRange::new(text, None).unwrap()) {
        let mut probes = Vec::new();
        while let Next::Try(size) = Findings::of(&range, &probes).next(&probes, 20, 0.25) {
            let told = size.parse::<u32>().unwrap() > 6;
            let answer = if told { Seen::Missed } else { Seen::Inconclusive };
            probes.push(probe(&size, answer, (!told).then_some(Reason::Underpowered)));
            let untold = probes.iter().filter(|one| one.size == size && one.seen == Seen::Inconclusive);
            assert!(untold.count() <= 2, "{size} of {range} again: {probes:?}");
        }
    }
}

const SCENARIO: &str = r#"
name: t
target: { protocol: open-inference }
exposure: { share: 50% }
phases:
  - { name: steady, lasts: 30s }
  - name: broken
    lasts: 60s
    inject: [{ fault: { error: { status: 503, rate: 10% } } }]
    expect: [{ fires: { alert: Drift, within: 9s } }]
"#;

/// What a run of it tells that was given so many requests in `lasted` seconds, of which so many changed.
fn judged(verdict: Verdict, delivered: Delivered, eligible: u64, perturbed: u64, lasted: f64) -> Judged {
    let plan = compile(&Source::new("t.yaml", SCENARIO)).unwrap();
    let phase = &plan.phases[1];
    let fault = phase.injections[0].outline(phase.lasts(), &plan.exposure);
    let outline = serde_json::json!({
        "scenario": "t", "hypothesis": "", "seed": 0, "stage": "", "monitors": [], "exposure_share": 0.5, "phases": [],
    });
    let at = |seconds: f64| crate::clock::Timestamp::from_unix_s(1e6 + seconds);
    let delivery = serde_json::json!({
        "phase": "broken", "fault": fault, "eligible": eligible, "exposed": eligible / 2,
        "perturbed": perturbed, "skipped": if perturbed == 0 { serde_json::json!({ "no-tensor": eligible / 2 }) }
        else { serde_json::json!({}) }, "effects": [], "promised": null, "achieved": null, "delivered": delivered,
        "seen_by": "", "monitor": { "of": "requests", "had": eligible, "needed": 250 },
    });
    let reason = (verdict == Verdict::Inconclusive).then_some(Reason::NotDelivered);
    let report = serde_json::json!({
        "format_version": crate::event::FORMAT_VERSION, "canard_version": "", "outline": outline,
        "started": at(0.0), "ended": at(30.0 + lasted), "ending": "completed", "ending_detail": null,
        "phases": [{ "phase": "broken", "started": at(30.0), "ended": at(30.0 + lasted), "early": lasted < 60.0 }],
        "deliveries": [delivery], "outcomes": [Outcome { phase: "broken".into(), verdict, reason, ..outcome(None, 0.0) }], "alerts": [],
        "rules": {}, "not_assigned": {}, "score": null, "exit_code": 0, "notices": [],
    });
    let report: Report = serde_json::from_value(report).unwrap();
    Counted { phases: None, alert: None }.judge(&plan, &report)
}

#[test]
fn a_detection_counts_only_where_a_miss_would_have() {
    let told = |verdict, delivered, eligible, perturbed, lasted| {
        let judged = judged(verdict, delivered, eligible, perturbed, lasted);
        (judged.seen, judged.reason)
    };
    let little = (Seen::Inconclusive, Some(Reason::Underpowered));
    assert_eq!(told(Verdict::Met, Delivered::Yes, 6000, 300, 60.0), (Seen::Detected, None));
    assert_eq!(told(Verdict::Missed, Delivered::Yes, 6000, 300, 60.0), (Seen::Missed, None));
    assert_eq!(told(Verdict::Met, Delivered::Yes, 100, 5, 60.0), little);
    assert_eq!(
        told(Verdict::Met, Delivered::Yes, 100, 5, 2.0),
        (Seen::Detected, None),
        "3,000 in the whole phase"
    );
    assert_eq!(told(Verdict::Met, Delivered::TooLittleTraffic, 6000, 3, 60.0), little);
    assert_eq!(told(Verdict::Inconclusive, Delivered::No, 6000, 3, 60.0), little);
    // No size would mend that.
    let never = (Seen::Inconclusive, Some(Reason::NotDelivered));
    assert_eq!(told(Verdict::Inconclusive, Delivered::No, 6000, 0, 60.0), never);
    assert_eq!(told(Verdict::Inconclusive, Delivered::TooLittleTraffic, 0, 0, 60.0), never);
    let (probes, ending) = play(20, 0.25, |_, _| never);
    assert_eq!((probes.len(), ending), (3, SweepEnding::CantTell));
}

#[test]
fn an_open_end_can_not_be_told() {
    let (probes, ending) = play(3, 0.25, |at, _| sharp(at, 0.9));
    let curve = Findings::of(&range(), &probes).monitoring();
    assert_eq!((ending, curve.most.known, curve.most.to.as_deref()), (SweepEnding::Runs, Known::Open, None));
    assert_eq!(sweep_exit_code(ending, &curve), 3);
}

#[test]
fn the_reference_has_its_own_curve() {
    let key = Key::new(1, "sweep");
    let mut probes = Vec::new();
    for number in 0..24 {
        let size = range().written(key.draw(UnitHash::from_u64(number), 0).uniform());
        let at = range().position(&size).unwrap();
        let one = probe(&size, sharp(at, 0.7).0, None);
        probes.push(Probe { reference: Some(sharp(at, 0.2).0), ..one });
    }
    let findings = Findings::of(&range(), &probes);
    let half = |curve: crate::event::SizeCurve| range().position(&curve.half.size.unwrap()).unwrap();
    assert!((half(findings.monitoring()) - 0.7).abs() < 0.1);
    assert!((half(findings.reference().unwrap()) - 0.2).abs() < 0.1);
}

fn outcome(reference: Option<Option<f64>>, watched_s: f64) -> Outcome {
    let measured = |seconds: f64| serde_json::json!({ "seconds": seconds, "uncertainty_s": 0.5 });
    let reference = reference.map(|noticed| {
        serde_json::json!({
            "noticed": noticed.map(measured), "signal": null, "watched_s": watched_s, "false_alarm_days": 30.0,
        })
    });
    serde_json::from_value(serde_json::json!({
        "phase": "confused", "asked": "fires", "subject": "Drift", "monitor": null, "within_s": 9.0, "line": null,
        "verdict": "met", "reason": null, "time": measured(4.0), "stages_s": {}, "detail": "", "advice": null,
        "reference": reference,
    }))
    .unwrap()
}

#[test]
fn a_reference_detector_that_watched_too_short_tells_nothing() {
    let judged = |list: &[Outcome]| reference(&list.iter().collect::<Vec<_>>());
    assert_eq!(judged(&[outcome(Some(Some(3.0)), 4.0)]), Some((Seen::Detected, Some(3.0))));
    assert_eq!(judged(&[outcome(Some(Some(9.5)), 10.0)]), Some((Seen::Missed, Some(9.5))));
    assert_eq!(judged(&[outcome(Some(None), 9.0)]), Some((Seen::Missed, None)));
    assert_eq!(judged(&[outcome(Some(None), 4.0)]), Some((Seen::Inconclusive, None)));
    assert_eq!(judged(&[outcome(None, 9.0)]), None);
    let both = [outcome(Some(Some(3.0)), 9.0), outcome(Some(Some(5.0)), 9.0)];
    assert_eq!(judged(&both), Some((Seen::Detected, Some(5.0))));
    assert_eq!(
        judged(&[outcome(Some(Some(3.0)), 4.0), outcome(Some(None), 4.0)]),
        Some((Seen::Inconclusive, None))
    );
}

use tempfile::TempDir;

use super::*;
use crate::{
    event::{FORMAT_VERSION, Matrix},
    gameday,
    scenario::{Source, compile},
};

/// The report of a run of 60 s in which the alert fired after so long, or did not.
fn report(scenario: &str, delay: &str, fired_s: Option<f64>, null: bool) -> String {
    let text = format!(
        "name: {scenario}\nseed: 7\ntarget: {{ protocol: http }}\nexposure: {{ share: 50% }}\nphases:\n  \
         - {{ name: steady, lasts: 30s }}\n  - name: slow\n    lasts: 30s\n    inject: [{{ fault: {{ latency: {{ fixed: \
         {delay} }} }} }}]\n    expect: [{{ fires: {{ alert: Slow, within: 10s }} }}]\n"
    );
    let plan = compile(&Source::new("t.yaml", text)).unwrap_or_else(|errors| panic!("{errors}"));
    let plan = if null { plan.null(7).unwrap() } else { plan };
    let outline = gameday::outline(&plan, String::new(), vec![]);
    let at = |seconds: f64| crate::clock::Timestamp::from_unix_s(1e6 + seconds);
    let phase = |phase: &str, from: f64| serde_json::json!({ "phase": phase, "started": at(from), "ended": at(from + 30.0), "early": false });
    let deliveries: Vec<_> = outline.phases[1].faults.iter().map(|fault| serde_json::json!({
        "phase": "slow", "fault": fault, "eligible": 100, "exposed": 50, "perturbed": 50, "skipped": {}, "effects": [],
        "promised": null, "achieved": null, "delivered": "yes", "seen_by": "",
    })).collect();
    let outcomes = match null {
        true => vec![],
        false => vec![serde_json::json!({
            "phase": "slow", "asked": "fires", "subject": "Slow", "monitor": "prometheus", "within_s": 10.0,
            "line": 8, "verdict": if fired_s.is_some() { "met" } else { "missed" }, "reason": null,
            "time": fired_s.map(|seconds| serde_json::json!({ "seconds": seconds, "uncertainty_s": 0.1 })),
            "stages_s": {}, "detail": "", "advice": null,
        })],
    };
    serde_json::json!({
        "format_version": FORMAT_VERSION, "canard_version": "", "outline": outline, "started": at(0.0),
        "ended": at(60.0), "ending": "completed", "ending_detail": null, "phases": [phase("steady", 0.0), phase("slow", 30.0)],
        "deliveries": deliveries, "outcomes": outcomes, "alerts": [], "rules": { "prometheus": ["Slow"] },
        "not_assigned": {}, "score": null, "exit_code": u8::from(!null && fired_s.is_none()), "notices": [],
    })
    .to_string()
}

/// Folders with reports.
fn saved(reports: &[(&str, String)]) -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    for (folder, report) in reports {
        fs::create_dir_all(dir.path().join(folder)).unwrap();
        fs::write(dir.path().join(folder).join("report.json"), report).unwrap();
    }
    dir
}

fn made(dir: &TempDir, folders: &[&str]) -> Result<(Exit, Matrix), String> {
    let reports = folders.iter().map(|folder| dir.path().join(folder)).collect();
    let out = dir.path().join("out");
    let exit = run(MatrixArgs { reports, out: out.clone() }).map_err(|error| format!("{error:?}"))?;
    let text = fs::read_to_string(out.join("matrix.json")).unwrap();
    assert!(fs::read_to_string(out.join("matrix.md")).unwrap().starts_with("# Detection matrix"));
    Ok((exit, serde_json::from_str(&text).unwrap()))
}

#[test]
fn reports_of_several_folders_are_one_matrix() {
    let dir = saved(&[
        ("monday/001-a", report("a", "400ms", Some(3.0), false)),
        ("monday/002-a-null", report("a", "400ms", None, true)),
        ("monday/notes/more", report("a", "400ms", None, false)),
        ("tuesday", report("a", "400ms", None, false)),
        ("tuesday/b", report("b", "100ms", Some(5.0), false)),
    ]);
    let (exit, matrix) = made(&dir, &["monday", "tuesday"]).unwrap();
    assert_eq!((exit as u8, matrix.exit_code), (1, 1));
    let runs: Vec<(&str, bool)> = matrix.runs.iter().map(|run| (run.run.as_str(), run.null)).collect();
    assert_eq!(runs, [("001-a", false), ("002-a-null", true), ("b", false), ("tuesday", false)]);
    assert!(matrix.runs.iter().all(|run| run.shuffled.is_none()), "a report does not tell");
    let rows: Vec<String> = matrix.faults.iter().map(crate::event::FaultRow::name).collect();
    assert_eq!(rows, ["a: slow/latency", "b: slow/latency"]);
    let cell = &matrix.faults[0].cells["Slow"];
    assert_eq!((cell.detected, cell.missed, matrix.faults[0].runs), (1, 1, 2));
    assert_eq!(matrix.alerts["Slow"].quiet_s, 2.0 * 30.0 + 60.0 + 30.0);
}

#[test]
fn runs_that_do_not_inject_the_same_are_not_counted_together() {
    let dir = saved(&[
        ("probe-001", report("a", "400ms", Some(3.0), false)),
        ("probe-002", report("a", "40ms", None, false)),
        ("probe-003", report("a", "400ms", None, true)),
    ]);
    let failure = made(&dir, &["probe-001", "probe-002"]).unwrap_err();
    assert!(failure.contains("are both of `a`, and differ in its phase `slow`"), "{failure}");
    assert!(!dir.path().join("out").exists());
    assert_eq!(made(&dir, &["probe-001", "probe-003"]).unwrap().0 as u8, 0);
}

#[test]
fn what_can_not_be_read_or_written_is_told() {
    let dir = saved(&[("a", "{}".to_owned()), ("b", report("a", "400ms", Some(3.0), false))]);
    fs::create_dir(dir.path().join("empty")).unwrap();
    let failure = made(&dir, &["a"]).unwrap_err();
    assert!(failure.contains("it has to be the report.json of a run"), "{failure}");
    let failure = made(&dir, &["empty"]).unwrap_err();
    assert!(failure.contains("no report is in"), "{failure}");
    fs::write(dir.path().join("out"), "a file").unwrap();
    let failure = made(&dir, &["b"]).unwrap_err();
    assert!(failure.contains("--out DIR") && !failure.contains("--report"), "{failure}");
}

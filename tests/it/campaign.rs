//! Several runs as one campaign: folders, repeats, null runs, the matrix and the baseline, as their user sees them.

use std::{fs, path::Path, process::Output, time::Duration};

use canard::event::{Ending, Matrix, Report, Verdict};
use tempfile::TempDir;
use tokio::{process::Command, time::timeout};

use crate::run::{repo, shown, signal, until};

const DEADLINE: Duration = Duration::from_secs(300);

/// A scenario that fails half of the answers until its alert fires.
const FAILING: &str = r#"
name: failing
seed: 7
target: { protocol: open-inference }
exposure: { share: 50% }
traffic: { rate: 100/s, requests: iris.jsonl }
phases:
  - { name: steady, lasts: 2s }
  - name: broken
    lasts: 30s
    inject: [{ fault: { error: { status: 503 } } }]
    expect: [{ fires: { alert: HighErrorRate, within: 30s } }]
"#;

/// A folder `suite` with these scenarios, a stage and a file of something else.
fn suite(scenarios: &[(&str, &str)]) -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    let suite = dir.path().join("suite");
    fs::create_dir(&suite).unwrap();
    fs::copy(repo("scenarios/traffic/iris.jsonl"), suite.join("iris.jsonl")).unwrap();
    fs::write(suite.join("rules.yaml"), "groups: []\n").unwrap();
    fs::write(suite.join("stage.yaml"), "environment: here\nupstream: http://127.0.0.1:1\n").unwrap();
    for (name, text) in scenarios {
        fs::write(suite.join(name), text).unwrap();
    }
    dir
}

fn command(dir: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_canard"));
    command.current_dir(dir).args(["run", "suite", "--report", "out"]).args(args);
    command.env_remove("CANARD_TOKEN").env("NO_COLOR", "1").env("COLUMNS", "120").kill_on_drop(true);
    command
}

async fn run(dir: &Path, args: &[&str]) -> (Output, Matrix) {
    let output = timeout(DEADLINE, command(dir, args).output()).await.expect("in time").unwrap();
    let text =
        fs::read_to_string(dir.join("out/matrix.json")).unwrap_or_else(|_| panic!("{}", shown(&output)));
    (output, serde_json::from_str(&text).unwrap())
}

#[tokio::test]
async fn a_suite_with_repeats_and_null_runs_gives_the_matrix() {
    let _turn = crate::stack::turn().await;
    let blind = FAILING.replace("name: failing", "name: blind").replace("lasts: 30s", "lasts: 4s");
    let blind =
        blind.replace("fires: { alert: HighErrorRate, within: 30s }", "silent: { alert: SlowFirstToken }");
    let failing = FAILING.replace("seed: 7", "seed: 7\nrepeat: 2");
    // A null run takes all the time of its phases, so this one has short ones.
    let quiet = FAILING.replace("name: failing", "name: quiet\nnull-runs: 1");
    let quiet = quiet.replace("lasts: 30s", "lasts: 3s");
    let quiet =
        quiet.replace("fires: { alert: HighErrorRate, within: 30s }", "silent: { alert: SlowFirstToken }");
    let dir = suite(&[("blind.yaml", &blind), ("failing.yml", &failing), ("quiet.yaml", &quiet)]);
    let (output, matrix) = run(dir.path(), &["--require", "50%"]).await;
    let text = shown(&output);
    let names: Vec<&str> = matrix.runs.iter().map(|run| run.scenario.as_str()).collect();
    assert_eq!(matrix.runs.len(), 5, "{text}");
    assert_eq!(names.iter().filter(|name| **name == "failing").count(), 2);
    assert_eq!(matrix.runs.iter().filter(|run| run.null).count(), 1);
    let seeds: Vec<u64> = matrix.runs.iter().filter(|r| r.scenario == "failing").map(|r| r.seed).collect();
    assert!(seeds.contains(&7) && seeds[0] != seeds[1], "{seeds:?}");
    let rows: Vec<String> = matrix.faults.iter().map(canard::event::FaultRow::name).collect();
    assert_eq!(rows, ["blind: broken/error", "failing: broken/error", "quiet: broken/error"]);
    let cell = &matrix.faults[1].cells["HighErrorRate"];
    assert_eq!((cell.detected, cell.missed), (2, 0), "{text}");
    assert!(matrix.never_fired.contains(&"SlowFirstToken".to_owned()), "{text}");
    assert!(text.contains("✓ detected 2/2") && text.contains("run 5 of 5"), "{text}");
    let mut alarms = 0;
    for run in &matrix.runs {
        let file = dir.path().join("out").join(&run.run).join("report.json");
        let report: Report = serde_json::from_str(&fs::read_to_string(file).unwrap()).unwrap();
        assert_eq!(
            (report.outline.seed, report.outline.scenario.as_str()),
            (run.seed, run.scenario.as_str())
        );
        let injected = report.deliveries.iter().map(|delivery| delivery.perturbed).sum::<u64>();
        assert_eq!(injected == 0, run.null, "{}", run.run);
        assert!(report.rules["builtin"].contains(&"HighLatency".to_owned()));
        alarms += report.outcomes.iter().filter(|outcome| outcome.verdict == Verdict::FalseAlarm).count();
    }
    // Everything is as it should be, unless this machine was busy enough for HighLatency.
    assert_eq!(
        (output.status.code(), matrix.exit_code),
        (Some(i32::from(alarms > 0)), u8::from(alarms > 0)),
        "{text}"
    );
    let junit = fs::read_to_string(dir.path().join("out/junit.xml")).unwrap();
    assert_eq!(junit.matches("<testsuite ").count(), 5, "{junit}");
    let markdown = fs::read_to_string(dir.path().join("out/matrix.md")).unwrap();
    assert!(markdown.contains("| failing: broken/error | 2/2 |"), "{markdown}");
}

#[tokio::test]
async fn a_baseline_fails_only_where_something_was_lost() {
    let _turn = crate::stack::turn().await;
    let dir = suite(&[("failing.yaml", FAILING)]);
    let (output, matrix) = run(dir.path(), &["--write-baseline", "baseline.yaml"]).await;
    assert_eq!(matrix.faults[0].cells["HighErrorRate"].detected, 1, "{}", shown(&output));
    let file = dir.path().join("baseline.yaml");
    let written = fs::read_to_string(&file).unwrap();
    assert!(written.ends_with("catches:\n  \"failing: broken/error\": [\"HighErrorRate\"]\n"), "{written}");
    fs::write(&file, written.replace("[\"High", "[\"PredictionDrift\", \"High")).unwrap();
    let args = ["--baseline", "baseline.yaml", "--quiet"];
    let (output, matrix) = run(dir.path(), &args).await;
    let text = shown(&output);
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text.contains("No longer caught in time: failing: broken/error by PredictionDrift."), "{text}");
    assert_eq!(matrix.baseline.unwrap().lost.len(), 1);
    // Over the loss that it has just told it writes nothing.
    let before = fs::read_to_string(&file).unwrap();
    let (output, _) =
        run(dir.path(), &["--baseline", "baseline.yaml", "--write-baseline", "baseline.yaml"]).await;
    let text = shown(&output);
    assert!(output.status.code() == Some(1) && text.contains("`baseline.yaml` is not written"), "{text}");
    assert_eq!(fs::read_to_string(&file).unwrap(), before);
}

#[tokio::test]
async fn ctrl_c_ends_a_campaign_and_tells_what_ran() {
    // An alert that never fires, so that the phase takes all its time.
    let long = FAILING.replace("HighErrorRate", "SlowFirstToken");
    let dir = suite(&[("one.yaml", &long), ("two.yaml", &long.replace("name: failing", "name: two"))]);
    let child = command(dir.path(), &[]).stdout(std::process::Stdio::piped()).spawn().unwrap();
    until("the ledger of the first run", || dir.path().join("out/001-failing/ledger.jsonl").exists()).await;
    signal(&child, "INT").await;
    let output = timeout(DEADLINE, child.wait_with_output()).await.unwrap().unwrap();
    assert_eq!(output.status.code(), Some(130), "{}", shown(&output));
    let matrix = fs::read_to_string(dir.path().join("out/matrix.json")).unwrap();
    let matrix: Matrix = serde_json::from_str(&matrix).unwrap();
    assert_eq!((matrix.runs.len(), matrix.exit_code), (1, 130));
    assert_eq!(matrix.runs[0].ending, Some(Ending::Interrupted));
    assert!(!dir.path().join("out/002-two").exists());
}

#[tokio::test]
async fn what_can_not_be_a_campaign_is_refused_and_a_dry_run_lists_it() {
    let dir = suite(&[("a.yaml", FAILING), ("b.yaml", FAILING)]);
    let told = async |args: &[&str]| {
        let output = timeout(DEADLINE, command(dir.path(), args).output()).await.unwrap().unwrap();
        (output.status.code(), shown(&output).split_whitespace().collect::<Vec<_>>().join(" "))
    };
    let (code, text) = told(&[]).await;
    assert!(code == Some(2) && text.contains("are both called `failing`"), "{text}");
    fs::write(dir.path().join("suite/b.yaml"), FAILING.replace("name: failing", "name: b\nrepeat: 0"))
        .unwrap();
    let (code, text) = told(&[]).await;
    assert!(code == Some(2) && text.contains("0 is no number of runs"), "{text}");
    fs::write(dir.path().join("suite/b.yaml"), FAILING.replace("name: failing", "name: b")).unwrap();
    let (code, text) = told(&["--reload"]).await;
    assert!(code == Some(2) && text.contains("--reload is for one run"), "{text}");
    let (code, text) = told(&["--baseline", "none.yaml", "--dry-run"]).await;
    assert!(code == Some(2) && text.contains("`none.yaml` does not exist"), "{text}");
    let (code, text) = told(&["--dry-run", "--repeat", "2", "--null-runs", "1"]).await;
    assert_eq!(code, Some(0), "{text}");
    assert!(text.contains("6 runs, at most") && text.contains("nothing injected"), "{text}");
    assert_eq!(text.matches("traffic that a sound test needs").count(), 2, "{text}");
    let (code, text) = told(&["--dry-run", "--format", "json"]).await;
    assert!(code == Some(0) && text.matches("{\"power\":{").count() == 2, "{text}");
    assert!(!dir.path().join("out").exists(), "nothing was touched");
    let empty = tempfile::tempdir().unwrap();
    fs::create_dir(empty.path().join("suite")).unwrap();
    let output = command(empty.path(), &[]).output().await.unwrap();
    assert!(output.status.code() == Some(2) && shown(&output).contains("no scenario is in `suite`"));
}

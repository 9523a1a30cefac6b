//! The rule pack: that Prometheus takes it, that its unit tests hold, that its metrics are those of real servers, and
//! that it notices faults in real time.
//!
//! `rules/suite/run` plays the whole catalogue; here it plays a few of it.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
    time::Duration,
};

use canard::demo::MODEL;
use tokio::process::Command;

use super::{
    http::{get, request},
    process::program,
    server::Kind,
    turn,
};
use crate::run::{repo, shown};

/// Longest that the suite's short form may take on a busy machine.
const SUITE: Duration = Duration::from_secs(480);
/// One for each group of rules: requests, predictions, scores, text, a blind spot.
const FEW: &str = "error,latency,label-shift,empty-answer,feedback-flip";
/// Requests a second of each: more than 500 in a window of 5 s, which the rules about distributions ask for, and not much
/// more, since a debug build on a busy machine is slow itself.
const RATE: &str = "120";

/// What fires because the machine is slow.
const SLOW: [&str; 3] = ["HighLatency", "HighTailLatency", "LatencyAboveUsual"];

fn yaml(folder: &str) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(repo(folder)).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<PathBuf> =
        entries.filter(|path| path.extension().is_some_and(|e| e == "yaml")).collect();
    files.sort();
    files
}

async fn succeeds(mut command: Command) -> String {
    let output = command.kill_on_drop(true).output().await.unwrap();
    assert!(output.status.success(), "{command:?}\n{}", shown(&output));
    shown(&output)
}

#[tokio::test]
async fn prometheus_takes_the_rules_and_their_unit_tests_hold() {
    let (rules, tests) = (yaml("rules"), yaml("rules/tests"));
    let names = |files: &[PathBuf]| -> Vec<String> {
        files.iter().map(|path| path.file_name().unwrap().to_string_lossy().into_owned()).collect()
    };
    assert_eq!(names(&rules), names(&tests), "each file of rules has unit tests");
    let mut check = program("promtool");
    check.args(["check", "rules"]).args(&rules);
    succeeds(check).await;
    let mut test = program("promtool");
    test.args(["test", "rules"]).args(&tests);
    succeeds(test).await;
}

#[tokio::test]
async fn the_scale_divides_durations_and_nothing_else() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("rules.yaml");
    let rule = |window: &str, offset: &str, hold: &str, short: &str| {
        format!(
            "groups:\n  - name: g5m\n    interval: {short}\n    rules:\n      - record: a:b:rate5m\n        \
             expr: avg_over_time(a[{window}] offset {offset}) > 60 and b[{window}:{short}]\n        for: {hold}\n"
        )
    };
    std::fs::write(&file, rule("1h", "10m", "2m", "15s")).unwrap();
    let mut scale = program("python3");
    scale.arg(repo("rules/scale")).arg("60").arg(&file);
    assert_eq!(succeeds(scale).await, rule("60s", "10s", "2s", "250ms"));

    for path in yaml("rules") {
        let mut scale = program("python3");
        scale.arg(repo("rules/scale")).arg("60").arg(&path);
        std::fs::write(&file, succeeds(scale).await).unwrap();
        let mut check = program("promtool");
        check.args(["check", "rules"]).arg(&file);
        succeeds(check).await;
    }
}

/// The metrics that a file of rules asks for: what looks like one of the server's.
fn asked_for(file: &str, prefixes: &[&str]) -> BTreeSet<String> {
    let text = std::fs::read_to_string(repo(file)).unwrap();
    let texts = ["#", "- alert:", "- record:", "summary:", "description:", "runbook:"];
    let exprs = text.lines().filter(|line| !texts.iter().any(|start| line.trim_start().starts_with(start)));
    let words = exprs.flat_map(|line| line.split(|c: char| !(c.is_ascii_alphanumeric() || "_:".contains(c))));
    let metrics = words.filter(|word| prefixes.iter().any(|prefix| word.starts_with(prefix)));
    metrics.map(str::to_owned).collect()
}

/// A metric by its name, or a histogram's by that of one of its series.
fn is_there(name: &str, types: &BTreeSet<&str>) -> bool {
    let whole = ["_bucket", "_count", "_sum"].iter().find_map(|end| name.strip_suffix(end));
    types.contains(name) || whole.is_some_and(|whole| types.contains(whole))
}

#[tokio::test]
async fn the_servers_have_the_metrics_that_their_rules_ask_for() {
    let _turn = turn().await;
    let row = |data: &str, kind: &str, n: usize| {
        format!(r#"{{"inputs":[{{"name":"features","shape":[1,{n}],"datatype":"{kind}","data":{data}}}]}}"#)
    };
    for (kind, file, prefixes, datatype) in [
        (Kind::MlServer, "rules/mlserver.yaml", &["model_infer_", "rest_server_"][..], "FP64"),
        (Kind::KServe, "rules/kserve.yaml", &["request_"][..], "FP64"),
        (Kind::Triton, "rules/triton.yaml", &["nv_inference_"][..], "FP32"),
    ] {
        let server = kind.get().await;
        let infer = format!("http://{}/v2/models/{MODEL}/infer", server.http());
        let (status, text) = request("POST", &infer, &row("[6.1,2.8,4.7,1.2]", datatype, 4)).await.unwrap();
        assert!(status.is_success(), "{kind:?}: {text}");
        let (status, _) = request("POST", &infer, &row("[6.1,2.8,4.7]", datatype, 3)).await.unwrap();
        assert!(!status.is_success(), "{kind:?} takes a wrong row");
        let metrics = if kind == Kind::KServe { server.http() } else { server.metrics() };
        let (_, page) = get(&format!("http://{metrics}/metrics")).await.unwrap();
        let there: BTreeSet<&str> =
            page.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next()).collect();
        let asked = asked_for(file, prefixes);
        assert!(asked.len() >= 3, "{file}: {asked:?}");
        let missing: Vec<&String> = asked.iter().filter(|name| !is_there(name, &there)).collect();
        assert!(missing.is_empty(), "{kind:?} does not have {missing:?}, but {there:?}");
    }
}

#[tokio::test]
async fn the_pack_notices_faults_and_keeps_silent_without() {
    let _turn = turn().await;
    let out = tempfile::tempdir().unwrap();
    let page = out.path().join("page.md");
    let mut suite = program("python3");
    suite.arg(repo("rules/suite/run")).args(["--only", FEW, "--rate", RATE, "--null-runs", "2"]);
    // In real time, like the catalogue: a fault that was missed beside the others has to be noticed alone. A false alarm
    // stays one.
    suite.args(["--at-once", "4", "--again"]);
    suite.arg("--canard").arg(env!("CARGO_BIN_EXE_canard")).arg("--out").arg(out.path());
    suite.arg("--publish").arg(&page).env_remove("CANARD_TOKEN");
    suite.kill_on_drop(true);
    let output = tokio::time::timeout(SUITE, suite.output()).await.expect("in time").unwrap();
    let said = shown(&output);
    for fault in FEW.split(',') {
        assert!(said.contains(&format!("ok   {fault}: ")), "{said}");
    }
    // One attempt each; a machine that is slow is slow, whoever slows it.
    let mut slow = false;
    for null in ["null-01-error", "null-02-label-shift"] {
        let fired = std::fs::read_to_string(out.path().join(null).join("fired.json")).unwrap();
        let fired: BTreeMap<String, f64> = serde_json::from_str(&fired).unwrap();
        assert!(fired.keys().all(|alert| SLOW.contains(&alert.as_str())), "{fired:?}\n{said}");
        let failed = said.contains(&format!("FAIL {null}: "));
        assert!(!failed || !fired.is_empty(), "{said}");
        slow |= failed;
    }
    assert!(output.status.success() != slow, "{said}");
    let text = std::fs::read_to_string(&page).unwrap();
    for fault in FEW.split(',') {
        assert!(text.lines().any(|line| line.starts_with(&format!("| {fault}"))), "{fault} is not in {text}");
    }
    // What failed at first is on the page, though it was played again.
    let failed = said.lines().filter_map(|line| line.split_once(" FAIL ")?.1.split_once(':'));
    for (name, _) in failed {
        assert!(text.contains(&format!("- not {name}: ")), "{name}: {text}");
    }
    // The rules gather their past for 30 s of each run: only the null runs, 60 s each, and the ends of others are quiet.
    let quiet = "none in 2m";
    let rows = text.lines().filter(|line| line.starts_with("| NewPredictionLabel "));
    assert!(rows.clone().count() == 1 && rows.clone().all(|line| line.contains(quiet)), "{text}");

    let mut suite = program("python3");
    suite.arg(repo("rules/suite/run")).arg("--out").arg(out.path()).arg("--publish").arg(&page);
    let refused = suite.output().await.unwrap();
    assert!(
        !refused.status.success() && shown(&refused).contains("reports of other runs"),
        "{}",
        shown(&refused)
    );
}

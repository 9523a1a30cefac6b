//! `canard run` as its user runs it: a process, its exit code, what it prints and what it leaves behind.

use std::{
    net::TcpListener,
    path::{Path, PathBuf},
    process::Output,
    time::Duration,
};

use canard::{
    demo::Demo,
    event::{Ending, Reason, Report, Verdict},
    sidecar::{Config, Sidecar},
};
use tempfile::TempDir;
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::{Child, Command},
    time::timeout,
};

/// Longest that a run in these tests may take, start of the process included.
const DEADLINE: Duration = Duration::from_secs(120);

/// A scenario in a folder of its own, with the traffic file beside it.
pub(crate) struct Site {
    pub(crate) dir: TempDir,
}

impl Site {
    pub(crate) fn new(scenario: &str, stage: Option<&str>) -> Site {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("scenario.yaml"), scenario).unwrap();
        std::fs::copy(repo("scenarios/traffic/iris.jsonl"), dir.path().join("iris.jsonl")).unwrap();
        if let Some(stage) = stage {
            std::fs::write(dir.path().join("stage.yaml"), stage).unwrap();
        }
        Site { dir }
    }

    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_canard"));
        command.current_dir(&self.dir).args(["run", "scenario.yaml", "--report", "out"]).args(args);
        command.env_remove("CANARD_TOKEN").kill_on_drop(true);
        command
    }

    pub(crate) async fn run(&self, args: &[&str]) -> (Output, Report) {
        let output = timeout(DEADLINE, self.command(args).output()).await.expect("in time").unwrap();
        let report = self.report().unwrap_or_else(|| panic!("no report: {}", shown(&output)));
        (output, report)
    }

    pub(crate) fn report(&self) -> Option<Report> {
        let text = std::fs::read_to_string(self.dir.path().join("out/report.json")).ok()?;
        Some(serde_json::from_str(&text).unwrap())
    }
}

pub(crate) fn repo(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

pub(crate) fn shown(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// A scenario that injects a latency nobody sees, for a minute.
const LONG: &str = r#"
name: long
target: { protocol: open-inference }
exposure: { share: 50% }
traffic: { rate: 50/s, requests: iris.jsonl }
phases:
  - name: slow
    lasts: 60s
    inject: [{ fault: { latency: { fixed: 20ms } } }]
    expect: [{ silent: { alert: HighErrorRate } }]
"#;

async fn demo_sidecar() -> (Demo, Sidecar) {
    let demo = Demo::start().await.unwrap();
    let sidecar = Sidecar::start(Config::new(demo.url().parse().unwrap())).unwrap();
    (demo, sidecar)
}

fn admin(sidecar: &Sidecar) -> String {
    format!("http://{}", sidecar.admin_addr().unwrap())
}

pub(crate) async fn until(what: &str, condition: impl Fn() -> bool) {
    let mut ticks = tokio::time::interval(Duration::from_millis(20));
    timeout(Duration::from_secs(30), async {
        while !condition() {
            ticks.tick().await;
        }
    })
    .await
    .unwrap_or_else(|_| panic!("waited in vain for {what}"));
}

#[tokio::test]
async fn the_quick_start_sees_its_three_faults_within_a_minute() {
    let _turn = crate::stack::turn().await;
    let out = tempfile::tempdir().unwrap();
    crate::ledger::left_by_an_earlier_run(out.path());
    let mut command = Command::new(env!("CARGO_BIN_EXE_canard"));
    command.current_dir(repo("")).args(["run", "scenarios/quickstart.yaml", "--report"]).arg(out.path());
    let output = timeout(Duration::from_secs(60), command.kill_on_drop(true).output()).await;
    let output = output.expect("within 60 s from its start").unwrap();
    let text = shown(&output);
    assert_eq!(output.status.code(), Some(0), "{text}");
    let report: Report =
        serde_json::from_str(&std::fs::read_to_string(out.path().join("report.json")).unwrap()).unwrap();
    assert_eq!(report.score, Some(1.0), "{text}");
    assert_eq!(report.outcomes.len(), 6);
    assert!(report.outcomes.iter().all(|o| o.verdict == Verdict::Met && o.time.is_some()), "{text}");
    let accuracy = report.deliveries[2].effects.iter().find(|effect| effect.measure == "accuracy").unwrap();
    assert!(accuracy.control > 0.9 && accuracy.treated < 0.6, "{accuracy:?}");
    assert!(std::fs::read_to_string(out.path().join("junit.xml")).unwrap().contains("failures=\"0\""));
    let ledger = std::fs::read_to_string(out.path().join("ledger.jsonl")).unwrap();
    let perturbed: u64 = report.deliveries.iter().map(|delivery| delivery.perturbed).sum();
    assert_eq!(ledger.lines().count() as u64, perturbed, "a line for each perturbed response");
    crate::ledger::holds_against(&report, out.path());
    assert!(text.contains("Your monitoring told you everything it should"), "{text}");
}

#[tokio::test]
async fn the_shadow_is_summarised_and_no_caller_notices() {
    let _turn = crate::stack::turn().await;
    let out = tempfile::tempdir().unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_canard"));
    command.current_dir(repo("")).args(["run", "scenarios/shadow.yaml", "--report"]).arg(out.path());
    let output = timeout(DEADLINE, command.kill_on_drop(true).output()).await.unwrap().unwrap();
    let text = shown(&output);
    assert_eq!(output.status.code(), Some(0), "{text}");
    let report: Report =
        serde_json::from_str(&std::fs::read_to_string(out.path().join("report.json")).unwrap()).unwrap();
    let seen = &report.shadows[0];
    assert!(text.contains("requests answered twice") && text.contains("setosa → versicolor"), "{text}");
    assert!(seen.pairs > 500 && seen.relabelled_share.unwrap().low > 0.05, "{seen:?}");
    assert!(seen.latency_s.unwrap().low > 0.045, "the fault delays by 50 ms: {seen:?}");
    let ledger = std::fs::read_to_string(out.path().join("ledger.jsonl")).unwrap();
    assert!(ledger.lines().all(|line| line.contains("\"shadow\":true")), "no caller's answer was changed");
    let perturbed: u64 = report.deliveries.iter().map(|delivery| delivery.perturbed).sum();
    assert_eq!(ledger.lines().count() as u64, perturbed, "a line for each");
}

#[tokio::test]
async fn the_blind_spot_is_missed_and_says_what_would_have_seen_it() {
    let _turn = crate::stack::turn().await;
    let out = tempfile::tempdir().unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_canard"));
    command.current_dir(repo("")).args(["run", "scenarios/blind-spot.yaml", "--report"]).arg(out.path());
    let output = timeout(DEADLINE, command.kill_on_drop(true).output()).await.unwrap().unwrap();
    let text = shown(&output);
    assert_eq!(output.status.code(), Some(1), "{text}");
    let (_, advice) = text.split_once("→ PredictionDrift").unwrap_or_else(|| panic!("{text}"));
    assert!(advice.contains("threshold-not-reached") && advice.contains("delayed labels"), "{advice}");
    let report: Report =
        serde_json::from_str(&std::fs::read_to_string(out.path().join("report.json")).unwrap()).unwrap();
    assert_eq!((report.outcomes[0].verdict, report.outcomes[0].reason), (Verdict::Missed, None), "{text}");
}

#[tokio::test]
async fn a_dry_run_touches_nothing() {
    let site = Site::new(LONG, None);
    let output = site.command(&["--dry-run"]).output().await.unwrap();
    assert_eq!(output.status.code(), Some(0));
    let text = shown(&output);
    assert!(text.contains("50% of units × 100% = 50%") && text.contains("at most 1500 requests"), "{text}");
    assert!(!site.dir.path().join("out").exists());
}

#[tokio::test]
async fn ctrl_c_disarms_and_still_reports() {
    let (_demo, sidecar) = demo_sidecar().await;
    let site = Site::new(LONG, None);
    let (url, to) = (admin(&sidecar), format!("http://{}", sidecar.listen_addr()));
    let child = site.command(&["--sidecar", &url, "--traffic-to", &to]).spawn().unwrap();
    until("the fault", || sidecar.rack().is_armed()).await;
    signal(&child, "INT").await;
    let status = timeout(DEADLINE, child.wait_with_output()).await.unwrap().unwrap().status;
    assert_eq!(status.code(), Some(130));
    assert!(!sidecar.rack().is_armed(), "disarmed before the process ended");
    assert_eq!(site.report().unwrap().ending, Ending::Interrupted);
}

#[tokio::test]
async fn sigterm_disarms_every_sidecar_that_was_named() {
    let ((_demo, one), (_other, two)) = tokio::join!(demo_sidecar(), demo_sidecar());
    let site = Site::new(LONG, None);
    let (first, second) = (admin(&one), admin(&two));
    let child = site.command(&["--sidecar", &first, "--sidecar", &second]).spawn().unwrap();
    until("both to be armed", || one.rack().is_armed() && two.rack().is_armed()).await;
    signal(&child, "TERM").await;
    let status = timeout(DEADLINE, child.wait_with_output()).await.unwrap().unwrap().status;
    assert_eq!(status.code(), Some(130));
    assert!(!one.rack().is_armed() && !two.rack().is_armed());
    assert_eq!(site.report().unwrap().ending, Ending::Interrupted);
}

#[tokio::test]
async fn a_killed_controller_leaves_nothing_armed() {
    let (_demo, sidecar) = demo_sidecar().await;
    let site = Site::new(LONG, None);
    let (url, to) = (admin(&sidecar), format!("http://{}", sidecar.listen_addr()));
    let mut child = site.command(&["--sidecar", &url, "--traffic-to", &to, "--lease", "2s"]).spawn().unwrap();
    until("the fault", || sidecar.rack().is_armed()).await;
    let killed = tokio::time::Instant::now();
    child.kill().await.unwrap();
    until("the lease to run out", || sidecar.rack().status().is_empty()).await;
    assert!(killed.elapsed() < Duration::from_secs(4), "{:?}", killed.elapsed());
}

pub(crate) async fn signal(child: &Child, name: &str) {
    let pid = child.id().unwrap().to_string();
    assert!(Command::new("kill").args(["-s", name, &pid]).status().await.unwrap().success());
}

#[tokio::test]
async fn json_lines_tell_the_whole_run() {
    let quick = LONG.replace("60s", "2s");
    let site = Site::new(&quick, None);
    let mut child = site.command(&["--format", "json"]).stdout(std::process::Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut events = Vec::new();
    while let Some(line) = timeout(DEADLINE, lines.next_line()).await.unwrap().unwrap() {
        let event: serde_json::Value = serde_json::from_str(&line).unwrap_or_else(|e| panic!("{e}: {line}"));
        events.push(event["event"].as_str().unwrap().to_owned());
    }
    assert_eq!(
        (events.first().unwrap().as_str(), events.last().unwrap().as_str()),
        ("run-started", "run-ended")
    );
    assert!(events.iter().any(|event| event == "progress"), "{events:?}");
}

/// A stage in front of an upstream, with the one rule that [`LONG`] asks for.
fn stage(upstream: &str, more: &str) -> String {
    let rule = "HighErrorRate: { signal: error-share, fires: '> 5%' }";
    format!("upstream: {upstream}\nmonitors:\n  builtin: {{ builtin: {{ rules: {{ {rule} }} }} }}\n{more}")
}

/// What went wrong must be said, with a remedy, and end with code 2 before anything is touched.
async fn refused(site: &Site, args: &[&str], words: &[&str]) {
    let output = timeout(DEADLINE, site.command(args).env("NO_COLOR", "1").output()).await.unwrap().unwrap();
    let text = shown(&output).split_whitespace().collect::<Vec<_>>().join(" ");
    assert_eq!(output.status.code(), Some(2), "{text}");
    for word in words {
        assert!(text.contains(word), "`{word}` is not in: {text}");
    }
}

#[tokio::test]
async fn what_cannot_work_is_refused_before_anything_is_touched() {
    let down = stage("http://127.0.0.1:1", "");
    refused(
        &Site::new(LONG, Some(&down)),
        &["--stage", "stage.yaml"],
        &["http://127.0.0.1:1", "refused", "start the model server"],
    )
    .await;

    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = taken.local_addr().unwrap().to_string();
    let demo = Demo::start().await.unwrap();
    let in_use = stage(&demo.url(), &format!("sidecar: {{ listen: \"{addr}\" }}\n"));
    refused(&Site::new(LONG, Some(&in_use)), &["--stage", "stage.yaml"], &[&addr, "in use", "another port"])
        .await;

    let hook = stage(&demo.url(), &format!("  pager: {{ webhook: {{ listen: \"{addr}\" }} }}\n"));
    refused(&Site::new(LONG, Some(&hook)), &["--stage", "stage.yaml"], &["pager", &addr]).await;

    let site = Site::new(LONG, None);
    std::fs::write(site.dir.path().join("out"), "a file").unwrap();
    refused(&site, &[], &["out", "--report"]).await;

    let site = Site::new(LONG, None);
    refused(&site, &["--sidecar", "http://127.0.0.1:1"], &["http://127.0.0.1:1", "admin"]).await;

    let site = Site::new(&LONG.replace("iris.jsonl", "nothing.jsonl"), None);
    refused(&site, &[], &["nothing.jsonl"]).await;

    let site = Site::new(&LONG.replace("HighErrorRate", "HighErorRate"), None);
    refused(&site, &[], &["HighErorRate", "HighErrorRate"]).await;
}

#[tokio::test]
async fn a_ledger_that_cannot_be_written_stops_injection_and_blames_nobody() {
    let scenario = r#"
name: full
target: { protocol: open-inference }
exposure: { share: 50% }
traffic: { rate: 100/s, requests: iris.jsonl }
phases:
  - { name: steady, lasts: 3s }
  - name: failing
    lasts: 10s
    inject: [{ fault: { error: { status: 503 } } }]
    expect: [{ fires: { alert: HighErrorRate, within: 8s } }]
"#;
    let site = Site::new(scenario, None);
    std::fs::create_dir(site.dir.path().join("out")).unwrap();
    std::os::unix::fs::symlink("/dev/full", site.dir.path().join("out/ledger.jsonl")).unwrap();
    let (output, report) = site.run(&[]).await;
    let text = shown(&output);
    assert_eq!(output.status.code(), Some(3), "{text}");
    assert_eq!(report.outcomes[0].reason, Some(Reason::NotDelivered), "{text}");
    assert!(text.contains("the ledger can't be written"), "{text}");
}

#[tokio::test]
async fn an_upstream_that_dies_in_mid_run_is_reported_not_hidden() {
    let demo = Demo::start().await.unwrap();
    let stage = format!(
        "upstream: {}\nmonitors:\n  builtin:\n    builtin:\n      rules:\n        \
         Down: {{ signal: error-share, fires: '> 50%', window: 2s }}\n",
        demo.url()
    );
    let scenario = r#"
name: dies
target: { protocol: open-inference }
exposure: { share: 50% }
traffic: { rate: 50/s, requests: iris.jsonl }
phases:
  - { name: steady, lasts: 6s }
"#;
    let site = Site::new(scenario, Some(&stage));
    let mut command = site.command(&["--stage", "stage.yaml", "--format", "json"]);
    let mut child = command.stdout(std::process::Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    while let Some(line) = timeout(DEADLINE, lines.next_line()).await.unwrap().unwrap() {
        if line.contains("\"progress\"") {
            break;
        }
    }
    drop(demo);
    while timeout(DEADLINE, lines.next_line()).await.unwrap().unwrap().is_some() {}
    let status = timeout(DEADLINE, child.wait()).await.unwrap().unwrap();
    let report = site.report().unwrap();
    assert_eq!(status.code(), Some(1), "{report:#?}");
    let alarm = &report.outcomes[0];
    assert_eq!(
        (alarm.subject.as_str(), alarm.verdict),
        ("Down", Verdict::FalseAlarm),
        "fired with nothing injected"
    );
}

#[tokio::test]
async fn a_lease_lost_to_a_restarted_sidecar_ends_the_run() {
    let (_demo, sidecar) = demo_sidecar().await;
    let site = Site::new(LONG, None);
    let (url, to) = (admin(&sidecar), format!("http://{}", sidecar.listen_addr()));
    let child = site.command(&["--sidecar", &url, "--traffic-to", &to, "--lease", "2s"]).spawn().unwrap();
    until("the fault", || sidecar.rack().is_armed()).await;
    sidecar.rack().stop();
    let status = timeout(DEADLINE, child.wait_with_output()).await.unwrap().unwrap().status;
    assert_eq!(status.code(), Some(3));
    let report = site.report().unwrap();
    assert_eq!(report.outcomes[0].reason, Some(Reason::Aborted), "{report:#?}");
}

#[tokio::test]
async fn two_runs_share_a_sidecar_if_each_names_its_layer() {
    let (_demo, sidecar) = demo_sidecar().await;
    let (url, to) = (admin(&sidecar), format!("http://{}", sidecar.listen_addr()));
    let short = LONG.replace("60s", "6s").replace("fixed: 20ms", "fixed: 60ms");
    let of = |name: &str, layer: &str| {
        let exposure = format!("exposure: {{ share: 50%{layer} }}");
        short.replace("name: long", &format!("name: {name}")).replace("exposure: { share: 50% }", &exposure)
    };
    let one = Site::new(&of("one", ", layer: serving"), None);
    let two = Site::new(&of("two", ", layer: model"), None);
    let bare = Site::new(&of("bare", ""), None);
    let args = ["--sidecar", &url, "--traffic-to", &to];
    let refused = async {
        until("both to be armed", || sidecar.rack().status().len() == 2).await;
        bare.run(&args).await
    };
    let ((_, first), (_, second), (output, third)) = tokio::join!(one.run(&args), two.run(&args), refused);
    assert_eq!(output.status.code(), Some(3), "{}", shown(&output));
    assert!(third.ending_detail.unwrap().contains("names its `exposure.layer`"), "{}", shown(&output));
    for report in [first, second] {
        assert_eq!((report.ending, report.exit_code), (Ending::Completed, 0), "{report:?}");
        let [delivery] = report.deliveries.as_slice() else { panic!("{report:?}") };
        assert!(delivery.perturbed > 100, "{delivery:?}");
    }
    assert!(!sidecar.rack().is_armed());
}

#[tokio::test]
async fn the_sidecar_of_a_run_logs_payloads_and_obeys_a_kill_file() {
    let demo = Demo::start().await.unwrap();
    let more =
        "sidecar: { kill-file: stop, payload-log: { file: payloads.jsonl, rate: 100%, redact: ['0'] } }\n";
    let short = LONG.replace("60s", "3s");
    let site = Site::new(&short, Some(&stage(&demo.url(), more)));
    let (output, report) = site.run(&["--stage", "stage.yaml"]).await;
    assert_eq!(report.ending, Ending::Completed, "{}", shown(&output));
    let payloads = std::fs::read_to_string(site.dir.path().join("payloads.jsonl")).unwrap();
    assert!(payloads.lines().count() > 100, "{payloads}");

    std::fs::write(site.dir.path().join("stop"), "").unwrap();
    let (output, report) = site.run(&["--stage", "stage.yaml"]).await;
    assert_eq!((output.status.code(), report.ending), (Some(3), Ending::Failed), "{}", shown(&output));
    assert!(report.ending_detail.unwrap().contains("kill file"), "{}", shown(&output));
}

#[tokio::test]
async fn the_releases_run_as_they_stand_and_their_versions_are_compared() {
    let _turn = crate::stack::turn().await;
    for (scenario, versions, differs) in [
        ("canary", ("v1", "v2"), "error share"),
        ("blue-green", ("blue", "green"), "share of `versicolor`"),
        ("ab", ("v2-large", "v2-small"), "error share"),
    ] {
        let out = tempfile::tempdir().unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_canard"));
        command.current_dir(repo("")).args(["run", &format!("scenarios/{scenario}.yaml"), "--report"]);
        let output = timeout(DEADLINE, command.arg(out.path()).kill_on_drop(true).output()).await;
        let output = output.expect("in time").unwrap();
        assert_eq!(output.status.code(), Some(0), "{scenario}: {}", shown(&output));
        let text = std::fs::read_to_string(out.path().join("report.json")).unwrap();
        let report: Report = serde_json::from_str(&text).unwrap();
        let told =
            report.comparisons.iter().find(|one| one.differing().any(|effect| effect.measure == differs));
        let told = told.unwrap_or_else(|| panic!("{scenario}: {}", shown(&output)));
        assert_eq!((told.baseline.version.as_str(), told.candidate.version.as_str()), versions);
    }
}

const FAILING: &str = r#"
name: failing
target: { protocol: open-inference }
exposure: { share: 50% }
traffic: { rate: 100/s, requests: iris.jsonl }
phases:
  - { name: failing, lasts: 60s, inject: [{ fault: { error: { status: 503, rate: 10% } } }] }
"#;

#[tokio::test]
async fn a_scenario_that_changes_is_reloaded_while_it_is_armed_and_no_request_is_lost() {
    let (_demo, sidecar) = demo_sidecar().await;
    let site = Site::new(FAILING, None);
    let (url, to) = (admin(&sidecar), format!("http://{}", sidecar.listen_addr()));
    let child = site.command(&["--reload", "--sidecar", &url, "--traffic-to", &to]).spawn().unwrap();
    let treated = || {
        let evidence = sidecar.rack().last_evidence().unwrap_or_default();
        let arm = |phase: &canard::evidence::PhaseEvidence| {
            let failed = phase.treated.statuses.get(&503).copied().unwrap_or_default();
            (phase.treated.requests(), failed)
        };
        evidence.phases.first().map(arm).unwrap_or_default()
    };
    until("treated requests", || treated().0 >= 100).await;
    let lease = sidecar.rack().status()[0].id;
    let (requests, failed) = treated();
    assert!(failed * 3 < requests, "10%: {failed} of {requests}");
    let all = FAILING.replace("rate: 10%", "rate: 100%");
    std::fs::write(site.dir.path().join("scenario.yaml.new"), all).unwrap();
    std::fs::rename(site.dir.path().join("scenario.yaml.new"), site.dir.path().join("scenario.yaml"))
        .unwrap();
    until("most to fail", || {
        let (now, failing) = treated();
        now > requests + 100 && (failing - failed) * 10 > (now - requests) * 6
    })
    .await;
    let status = &sidecar.rack().status()[0];
    assert_eq!((status.id, status.phase.as_deref()), (lease, Some("failing")), "never disarmed");
    signal(&child, "TERM").await;
    let output = timeout(DEADLINE, child.wait_with_output()).await.unwrap().unwrap();
    assert_eq!(output.status.code(), Some(130), "{}", shown(&output));
    let report = site.report().unwrap();
    assert!(report.notices.iter().any(|notice| notice.starts_with("the plan was replaced")), "{report:#?}");
    assert!(!report.notices.iter().any(|notice| notice.contains("could not send")), "{report:#?}");
    let evidence = sidecar.rack().evidence(lease).unwrap();
    let phase = &evidence.phases[0];
    let odd = [&phase.treated, &phase.control].map(|arm| {
        let known: u64 = [200, 503].iter().filter_map(|status| arm.statuses.get(status)).sum();
        arm.requests() - known
    });
    assert!(odd.iter().sum::<u64>() <= 20, "but for those that the end cut off, all were answered: {odd:?}");
    let lines = sidecar.rack().ledger().newest(100_000).unwrap().len() as u64;
    assert_eq!(lines, phase.faults[0].perturbed, "a line for each perturbed response");
}

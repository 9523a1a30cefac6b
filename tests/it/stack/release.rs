//! Releases rehearsed on real systems: two real versions of a model behind one sidecar, and a canary that a rollout
//! controller takes back because a Prometheus rule on the version's label says so.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Duration,
};

use axum::{Json, Router, routing::get};
use canard::{
    demo::Demo,
    draw::UnitHash,
    event::{Outcome, Report, Verdict},
    exposure::{Arm, Assignment},
    scenario::{Source, compile},
    sidecar::{Candidate, Config, Sidecar},
    unit::Share,
};
use http::Request;
use http_body_util::{BodyExt, Full};
use hyper_util::{client::legacy::Client, rt::TokioExecutor};
use serde_json::{Value, json};
use tokio::{net::TcpListener, process::Command, task::JoinHandle};

use super::{
    MlServer, Stack, free_addr,
    http::{POLL, encode},
    process::{Process, stack_dir},
    server::guarded,
    turn,
};
use crate::run::{Site, repo, shown};

/// The next version of the model, in a server that ends with the test.
struct NextVersion {
    _process: Process,
    _folder: tempfile::TempDir,
    url: String,
}

impl NextVersion {
    async fn start() -> NextVersion {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("iris")).unwrap();
        for file in ["settings.json", "iris/model-settings.json"] {
            let from = stack_dir().join("models/mlserver").join(file);
            std::fs::copy(from, folder.path().join(file)).unwrap();
        }
        // It ends by itself: no guard is needed.
        let mut fit = Command::new(guarded("mlserver", "python").as_std().get_program());
        let fitted =
            fit.arg(repo("tests/stack/servers/next_model.py")).arg(folder.path()).output().await.unwrap();
        assert!(fitted.status.success(), "{}", shown(&fitted));
        let [http, grpc, metrics] = [(); 3].map(|()| free_addr());
        let mut command = guarded("mlserver", "mlserver");
        command.arg("start").arg(folder.path()).current_dir(folder.path());
        for (name, addr) in [("HTTP", http), ("GRPC", grpc), ("METRICS", metrics)] {
            command.env(format!("MLSERVER_{name}_PORT"), addr.port().to_string());
        }
        let mut process = Process::guarded("the next mlserver", command);
        process.ready(&format!("http://{http}/v2/models/iris/ready")).await;
        NextVersion { _process: process, _folder: folder, url: format!("http://{http}") }
    }
}

/// The version in the header, and the version that the model itself says it is of.
async fn asked(callers: &str, user: &str) -> (String, String) {
    let features = json!({ "name": "x", "shape": [1, 4], "datatype": "FP64", "data": [6.9, 3.1, 5.4, 2.1] });
    let body = json!({ "inputs": [features] }).to_string();
    let request = Request::post(format!("{callers}/v2/models/iris/infer"))
        .header("content-type", "application/json")
        .header("x-user-id", user)
        .body(Full::new(bytes::Bytes::from(body)))
        .unwrap();
    let response = Client::builder(TokioExecutor::new()).build_http().request(request).await.unwrap();
    assert_eq!(response.status(), 200);
    let told = response.headers()["x-model-version"].to_str().unwrap().to_owned();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    let answer: Value = serde_json::from_slice(&body).unwrap();
    (told, format!("v{}", answer["model_version"].as_str().unwrap()))
}

const TWO_VERSIONS: &str = r#"
name: two-versions
seed: 11
target:
  protocol: open-inference
  when: request.path.startsWith("/v2/models/iris/")
  labels: [setosa, versicolor, virginica]
exposure: { unit: 'request.headers["x-user-id"]', share: 50% }
release: { canary: { baseline: v1, candidate: v2, upstream: next } }
traffic: { rate: 60/s, requests: iris.jsonl }
phases:
  - { name: steady, lasts: 4s, share: 0% }
  - { name: some, lasts: 8s, share: 20% }
  - { name: half, lasts: 8s, share: 50% }
  - { name: back, lasts: 3s, share: 0% }
"#;

#[tokio::test]
async fn two_real_versions_are_routed_sticky_and_compared() {
    let _turn = turn().await;
    let (first, next) = tokio::join!(MlServer::start(), NextVersion::start());
    let mut config = Config::new(first.url().parse().unwrap());
    config.candidates = vec![Candidate { name: Some("next".into()), upstream: next.url.parse().unwrap() }];
    let sidecar = Sidecar::start(config).unwrap();
    let callers = format!("http://{}", sidecar.listen_addr());
    let site = Site::new(TWO_VERSIONS, None);
    let plan = Arc::new(compile(&Source::read(&site.dir.path().join("scenario.yaml")).unwrap()).unwrap());

    // Who gets which: everybody can compute it, and both servers agree.
    let lease = sidecar.rack().arm(plan.clone(), Duration::from_secs(60)).unwrap();
    sidecar.rack().update(lease, Duration::from_secs(60), None, Some("half")).unwrap();
    let mut versions = BTreeMap::new();
    for user in (0..24).chain(0..24).map(|user| format!("user-{user}")) {
        let (told, answered) = asked(&callers, &user).await;
        assert_eq!(told, answered, "{user}");
        let unit = UnitHash::of(user.as_bytes());
        let side = Assignment::of(&plan.exposure, Share::NONE, unit).in_phase(&plan.phases[2]).arm;
        assert_eq!(told, if side == Arm::Treated { "v2" } else { "v1" }, "{user}");
        if let Some(before) = versions.insert(user.clone(), told.clone()) {
            assert_eq!(before, told, "{user} keeps its version");
        }
    }
    assert_eq!(versions.values().collect::<BTreeSet<_>>().len(), 2, "{versions:?}");
    sidecar.rack().stop();

    // The same in a run, which tells what differs.
    let before = sidecar.rack().ledger().lines().len();
    let admin = format!("http://{}", sidecar.admin_addr().unwrap());
    let (output, report) = site.run(&["--sidecar", &admin, "--traffic-to", &callers]).await;
    let text = shown(&output);
    let phases: Vec<&str> = report.comparisons.iter().map(|one| one.phase.as_str()).collect();
    assert_eq!(phases, ["some", "half"], "{text}");
    let half = &report.comparisons[1];
    assert_eq!((half.baseline.version.as_str(), half.candidate.version.as_str()), ("v1", "v2"));
    let differing: Vec<&str> = half.differing().map(|effect| effect.measure.as_str()).collect();
    assert!(differing.contains(&"share of `virginica`") && differing.contains(&"accuracy"), "{text}");
    assert!(!differing.contains(&"error share") && !differing.contains(&"share of `setosa`"), "{text}");
    assert!(text.contains("v2 (") && text.contains("against v1 ("), "{text}");
    assert!(report.deliveries.iter().all(|d| d.delivered == canard::event::Delivered::Yes), "{text}");
    let lines = sidecar.rack().ledger().lines();
    // The ledger names who got the candidate: in each step those whose draw says so, and nobody else.
    let mut units = [BTreeSet::new(), BTreeSet::new()];
    for line in &lines[before..] {
        let step = ["some/release", "half/release"].iter().position(|route| *route == line.fault).unwrap();
        let phase = &plan.phases[step + 1];
        let side = Assignment::of(&plan.exposure, Share::NONE, line.unit).in_phase(phase).arm;
        assert_eq!(side, Arm::Treated, "{line:?}");
        units[step].insert(line.unit);
    }
    assert!(units[0].len() > 10 && units[1].len() > units[0].len(), "{} {}", units[0].len(), units[1].len());
}

/// Prometheus judges the candidate by the version's label.
const RULES: &str = r#"
groups:
  - name: rollout
    rules:
      - alert: CandidateFails
        expr: >
          sum by (model_version) (rate(http_server_request_duration_seconds_count{model_version!="",http_response_status_code=~"5.."}[5s]))
          / sum by (model_version) (rate(http_server_request_duration_seconds_count{model_version!=""}[5s])) > 0.2
        for: 1s
"#;

/// A rollout controller: it asks Prometheus about one version, and tells its state as JSON.
struct Controller {
    url: String,
    tasks: [JoinHandle<()>; 2],
}

impl Controller {
    async fn watching(version: &'static str, prometheus: &str) -> Controller {
        let rolled_back = Arc::new(AtomicBool::new(false));
        let state = rolled_back.clone();
        let phase = move || {
            let phase = if state.load(Relaxed) { "rolled-back" } else { "progressing" };
            std::future::ready(Json(json!({ "phase": phase })))
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        let serves = tokio::spawn(async move {
            axum::serve(listener, Router::new().route("/", get(phase))).await.unwrap();
        });
        let alerts =
            format!(r#"ALERTS{{alertname="CandidateFails",alertstate="firing",model_version="{version}"}}"#);
        let query = format!("{prometheus}/api/v1/query?query={}", encode(&alerts));
        let watches = tokio::spawn(async move {
            loop {
                let answer = super::http::json("GET", &query, "").await;
                if answer["data"]["result"].as_array().is_some_and(|series| !series.is_empty()) {
                    rolled_back.store(true, Relaxed);
                }
                tokio::time::sleep(POLL).await;
            }
        });
        Controller { url, tasks: [serves, watches] }
    }
}

impl Drop for Controller {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

const BAD_CANARY: &str = r#"
name: bad-canary
seed: 3
target: { protocol: open-inference }
exposure: { unit: 'request.headers["x-user-id"]', share: 40% }
release: { canary: { baseline: v1, candidate: v2 } }
traffic: { rate: 60/s, requests: iris.jsonl }
phases:
  - { name: steady, lasts: 4s, share: 0% }
  - name: step
    lasts: 20s
    share: 40%
    inject: [{ fault: { error: { status: 503, rate: 60% } } }]
    expect:
      - holds: { probe: rollout, cel: 'body.phase == "rolled-back"', within: 18s }
  - { name: rolled-back, lasts: 3s, share: 0% }
"#;

/// Plays the bad canary under a controller that watches a version.
async fn release(version: &'static str) -> (i32, Report, String) {
    let stack = Stack::start(RULES, None).await;
    let demo = Demo::start().await.unwrap();
    let sidecar = Sidecar::start(Config::new(demo.url().parse().unwrap())).unwrap();
    stack.prometheus.scrape(&[("canard", sidecar.admin_addr().unwrap())]).await;
    let controller = Controller::watching(version, stack.prometheus.url()).await;
    let stage = format!("environment: test\nprobes: {{ rollout: {{ url: {} }} }}\n", controller.url);
    let site = Site::new(BAD_CANARY, Some(&stage));
    let admin = format!("http://{}", sidecar.admin_addr().unwrap());
    let callers = format!("http://{}", sidecar.listen_addr());
    let args = ["--stage", "stage.yaml", "--sidecar", &admin, "--traffic-to", &callers];
    let (output, report) = site.run(&args).await;
    let series = stack.prometheus.query("count by (model_version) (model_predictions_total)").await;
    let versions: BTreeSet<&str> =
        series.iter().map(|(labels, _)| labels["model_version"].as_str().unwrap_or("")).collect();
    assert!(versions.is_superset(&BTreeSet::from(["v1", "v2"])), "{versions:?}");
    (output.status.code().unwrap(), report, shown(&output))
}

fn rollback(report: &Report) -> &Outcome {
    report.outcomes.iter().find(|outcome| outcome.phase == "step").unwrap()
}

#[tokio::test]
async fn a_bad_canary_is_rolled_back_in_time_and_the_run_moves_on() {
    let _turn = turn().await;
    let (code, report, text) = release("v2").await;
    assert_eq!((code, rollback(&report).verdict), (0, Verdict::Met), "{text}");
    let took = rollback(&report).time.unwrap().seconds;
    assert!(took < 18.0, "{text}");
    let [_, step, back] = report.phases.as_slice() else { panic!("{text}") };
    assert!(step.early && back.phase == "rolled-back", "what is rolled back need not go on: {text}");
    let [compared] = report.comparisons.as_slice() else { panic!("{text}") };
    assert!(compared.differing().any(|effect| effect.measure == "error share"), "{text}");
}

#[tokio::test]
async fn a_controller_that_looks_at_another_version_misses_the_bad_canary() {
    let _turn = turn().await;
    let (code, report, text) = release("v1").await;
    assert_eq!((code, rollback(&report).verdict), (1, Verdict::Missed), "{text}");
    assert!(rollback(&report).detail.contains("never became true"), "{text}");
}

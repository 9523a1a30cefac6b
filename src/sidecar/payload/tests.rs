//! The payload log, written by a sidecar in front of a model server.

use std::{path::PathBuf, time::Duration};

use axum::{Router, routing::post};
use bytes::Bytes;
use http::{Request, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper_util::{client::legacy::Client, rt::TokioExecutor};
use serde_json::Value as Json;

use super::PayloadLogSettings;
use crate::{
    evidence::Rotation,
    scenario::{Source, compile},
    sidecar::{Config, Sidecar},
    unit::Share,
};

const ASKED: &str =
    r#"{"inputs": [{"name": "x", "shape": [1, 3], "datatype": "FP64", "data": [5.1, 3.5, 41.0]}]}"#;
const ANSWERED: &str =
    r#"{"model_name":"iris","outputs":[{"name":"predict","shape":[1],"datatype":"INT64","data":[2]}]}"#;

/// A sidecar in front of a model, with a payload log.
async fn sidecar(settings: PayloadLogSettings) -> Sidecar {
    reading(settings, 256 << 10).await
}

/// One that reads bodies of this many bytes.
async fn reading(settings: PayloadLogSettings, view_body: usize) -> Sidecar {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let upstream = listener.local_addr().unwrap();
    let model = Router::new().route("/v2/models/iris/infer", post(async |_: Bytes| ANSWERED));
    tokio::spawn(async move { axum::serve(listener, model).await.unwrap() });
    let mut config = Config::new(format!("http://{upstream}").parse().unwrap());
    config.workers = Some(1);
    config.labels = ["setosa", "versicolor", "virginica"].map(String::from).to_vec();
    config.payload_log = Some(settings);
    config.limits.view_body = view_body;
    Sidecar::start(config).unwrap()
}

async fn ask(sidecar: &Sidecar, id: &str) {
    let uri = format!("http://{}/v2/models/iris/infer", sidecar.listen_addr());
    let request = Request::post(uri).header("x-request-id", id).body(Full::new(Bytes::from(ASKED))).unwrap();
    let client = Client::builder(TokioExecutor::new()).build_http();
    let response = client.request(request).await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    response.into_body().collect().await.unwrap();
}

fn settings(path: PathBuf) -> PayloadLogSettings {
    PayloadLogSettings {
        path,
        rate: Share::ALL,
        redact: vec!["2".into()],
        raw: false,
        rotation: Rotation::default(),
    }
}

fn events(path: &std::path::Path) -> Vec<Json> {
    let text = std::fs::read_to_string(path).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[tokio::test]
async fn what_callers_asked_and_got_is_written_as_cloud_events() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("payloads.jsonl");
    std::fs::write(&path, "{\"specversion\":\"1.0\",\"id\":\"r0").unwrap();
    let sidecar = sidecar(settings(path.clone())).await;
    ask(&sidecar, "r1").await;
    let scenario = "name: s\ntarget: { protocol: open-inference, labels: [setosa, versicolor, virginica] }\n\
                    exposure: { share: 100% }\nphases:\n  - name: p\n    lasts: 1m\n    inject:\n      \
                    - fault: { mislabel: { rate: 100%, to: setosa } }\n";
    let plan = compile(&Source::new("s.yaml", scenario)).unwrap();
    sidecar.rack().arm(plan.into(), Duration::from_secs(60)).unwrap();
    ask(&sidecar, "r2").await;
    sidecar.shutdown().await;
    let events = events(&path);
    assert_eq!(events.len(), 4, "the torn line is taken away: {events:?}");
    for (pair, id, label, arm) in
        [(&events[..2], "r1", "virginica", Json::Null), (&events[2..], "r2", "setosa", "treated".into())]
    {
        for event in pair {
            assert_eq!(event["specversion"], "1.0");
            assert_eq!(event["id"], id);
            assert_eq!(event["inferenceservicename"], "iris");
            assert_eq!(event["canardarm"], arm);
            assert_eq!(event["canardweight"], 1.0);
            assert!(event["time"].as_str().unwrap().ends_with('Z'), "{event}");
        }
        assert_eq!(pair[0]["type"], "org.kubeflow.serving.inference.request");
        assert_eq!(
            pair[0]["data"]["features"],
            serde_json::json!([[5.1, 3.5, null]]),
            "the third is a secret"
        );
        assert_eq!(pair[1]["type"], "org.kubeflow.serving.inference.response");
        assert_eq!(pair[1]["canardstatus"], 200);
        assert_eq!(pair[1]["data"]["predictions"][0]["label"], label);
        assert_eq!(pair[1]["data"].get("body"), None);
    }
}

#[tokio::test]
async fn what_a_shadow_was_answered_is_an_event_of_its_own() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("payloads.jsonl");
    let sidecar = sidecar(PayloadLogSettings { raw: true, ..settings(path.clone()) }).await;
    let scenario = "name: s\ntarget: { protocol: open-inference, labels: [setosa, versicolor, virginica] }\n\
                    exposure: { share: 100% }\nrelease: { shadow: {} }\nphases:\n  - name: p\n    lasts: 1m\n    \
                    inject:\n      - fault: { mislabel: { rate: 100%, to: setosa } }\n";
    let plan = compile(&Source::new("s.yaml", scenario)).unwrap();
    sidecar.rack().arm(plan.into(), Duration::from_secs(60)).unwrap();
    ask(&sidecar, "r1").await;
    let pairs = || sidecar.rack().last_evidence().unwrap().phases[0].shadow.clone().unwrap().pairs;
    while pairs() == 0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    sidecar.shutdown().await;
    let events = events(&path);
    assert_eq!(events.len(), 4, "{events:?}");
    for (pair, label, arm, shadow) in
        [(&events[..2], "virginica", "control", Json::Null), (&events[2..], "setosa", "treated", true.into())]
    {
        for event in pair {
            assert_eq!(
                (&event["id"], &event["canardarm"], &event["canardshadow"]),
                (&"r1".into(), &arm.into(), &shadow)
            );
            assert_eq!(event["source"].as_str().unwrap().ends_with("/shadow"), shadow == true);
        }
        assert_eq!(pair[0]["data"]["body"], ASKED);
        assert_eq!(pair[1]["data"]["predictions"][0]["label"], label);
    }
}

#[tokio::test]
async fn what_is_too_large_to_be_read_of_callers_is_not_shown_of_shadows() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("payloads.jsonl");
    let sidecar = reading(settings(path.clone()), ANSWERED.len() - 1).await;
    let scenario = "name: s\ntarget: { protocol: open-inference }\nexposure: { share: 100% }\n\
                    release: { shadow: {} }\nphases:\n  - name: p\n    lasts: 1m\n    \
                    inject:\n      - fault: { latency: { fixed: 1ms } }\n";
    let plan = compile(&Source::new("s.yaml", scenario)).unwrap();
    sidecar.rack().arm(plan.into(), Duration::from_secs(60)).unwrap();
    ask(&sidecar, "r1").await;
    let pairs = || sidecar.rack().last_evidence().unwrap().phases[0].shadow.clone().unwrap().pairs;
    while pairs() == 0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let payloads = sidecar.payloads.clone().unwrap();
    sidecar.shutdown().await;
    assert_eq!(payloads.counts().read(), [("written", 0), ("left-out", 0), ("dropped", 1)]);
    assert_eq!(events(&path).len(), 0);
}

#[tokio::test]
async fn bodies_are_written_where_they_are_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("payloads.jsonl");
    let sidecar = sidecar(PayloadLogSettings { raw: true, redact: vec![], ..settings(path.clone()) }).await;
    ask(&sidecar, "r1").await;
    sidecar.shutdown().await;
    let bodies: Vec<_> = events(&path).iter().map(|event| event["data"]["body"].clone()).collect();
    assert_eq!(bodies, [ASKED, ANSWERED]);
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_full_disk_drops_payloads_and_traffic_flows() {
    let sidecar = sidecar(settings("/dev/full".into())).await;
    for id in ["r1", "r2", "r3"] {
        ask(&sidecar, id).await;
    }
    let payloads = sidecar.payloads.clone().unwrap();
    sidecar.shutdown().await;
    assert_eq!(payloads.counts().read(), [("written", 0), ("left-out", 0), ("dropped", 3)]);
}

#[tokio::test]
async fn what_can_not_be_found_to_be_redacted_is_not_told_at_all() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("payloads.jsonl");
    let sidecar =
        sidecar(PayloadLogSettings { redact: vec!["income".into()], ..settings(path.clone()) }).await;
    ask(&sidecar, "r1").await;
    sidecar.shutdown().await;
    let events = events(&path);
    assert_eq!(events[0]["data"], serde_json::json!({ "unread": "redaction" }));
    assert_eq!(events[1]["data"]["predictions"][0]["label"], "virginica");
}

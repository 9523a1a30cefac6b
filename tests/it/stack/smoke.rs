//! Each server starts, answers and sees the others.

use std::time::Duration;

use canard::{
    demo::Demo,
    traffic::{Generator, Recording},
};
use serde_json::json;

use super::{
    Alertmanager, MlServer, Stack, free_addr,
    http::{self, json, until},
    turn,
};
use crate::traffic::iris_traffic;

const RULES: &str = r"
groups:
  - name: smoke
    rules:
      - alert: AlertmanagerIsUp
        expr: up == 1
";

#[tokio::test]
async fn mlserver_answers_the_recorded_traffic_as_the_demo_model_does() {
    let _turn = turn().await;
    let (mlserver, demo) = (MlServer::start().await, Demo::start().await.unwrap());
    let recording = Recording::load(iris_traffic()).unwrap();
    for request in recording.requests().iter().take(20) {
        let body = std::str::from_utf8(&request.body).unwrap();
        let real = json("POST", &format!("{}{}", mlserver.url(), request.path), body).await;
        let ours = json("POST", &format!("{}{}", demo.url(), request.path), body).await;
        assert_eq!(real["outputs"][0]["datatype"], "BYTES", "{real}");
        assert_eq!(real["outputs"][0]["data"][0], ours["outputs"][0]["data"][0], "{real}");
    }
}

#[tokio::test]
async fn mlserver_gives_the_probabilities_of_the_demo_model_when_asked() {
    let _turn = turn().await;
    let (mlserver, demo) = (MlServer::start().await, Demo::start().await.unwrap());
    let tensor =
        json!({"name": "features", "shape": [1, 4], "datatype": "FP64", "data": [6.1, 2.8, 4.7, 1.2]});
    let request = |output: &str| json!({"inputs": [tensor], "outputs": [{"name": output}]}).to_string();
    let path = "/v2/models/iris/infer";
    let real = json("POST", &format!("{}{path}", mlserver.url()), &request("predict_proba")).await;
    let ours = json("POST", &format!("{}{path}", demo.url()), &request("probabilities")).await;
    for class in 0..3 {
        let [real, ours] = [&real, &ours].map(|a| a["outputs"][0]["data"][class].as_f64().unwrap());
        assert!((real - ours).abs() < 1e-6, "fitted here {real}, committed {ours}");
    }
    let metrics = format!("http://{}/metrics", mlserver.metrics());
    let (_, text) = http::get(&metrics).await.unwrap();
    assert!(text.contains("model_infer_request_success"), "{text}");
}

#[tokio::test]
async fn mlserver_carries_open_loop_traffic() {
    let _turn = turn().await;
    let mlserver = MlServer::start().await;
    let recording = Recording::load(iris_traffic()).unwrap();
    let generator = Generator::to_addr(recording, "50/s".parse().unwrap(), mlserver.addr(), 7).unwrap();
    let running = generator.start();
    let within = Duration::from_secs(60);
    until("100 answers", within, async || (running.tally().finished() >= 100).then_some(())).await;
    let tally = running.stop().await;
    assert_eq!((tally.error_share(), tally.dropped), (Some(0.0), 0), "{tally:?}");
}

#[tokio::test]
async fn an_alert_goes_from_a_scrape_to_alertmanager() {
    let _turn = turn().await;
    let mut stack = Stack::start(RULES, None).await;
    let addr = stack.alertmanager.addr().parse().unwrap();
    stack.prometheus.scrape(&[("alertmanager", addr)]).await;
    let within = Duration::from_secs(30);
    let firing = r#"ALERTS{alertname="AlertmanagerIsUp",alertstate="firing"}"#;
    stack.prometheus.until(firing, within).await;
    assert!(!stack.prometheus.times(firing).await[0].1.is_empty());
    until("the alert in Alertmanager", within, async || {
        let alerts = stack.alertmanager.alerts().await;
        alerts.iter().any(|a| a["labels"]["alertname"] == "AlertmanagerIsUp").then_some(())
    })
    .await;
    let (status, _) =
        http::get(&format!("{}/api/v1/rules?type=alert", stack.prometheus.url())).await.unwrap();
    assert!(status.is_success());
    stack.prometheus.kill().await;
}

#[tokio::test]
async fn alertmanager_notifies_its_webhook_and_honours_a_silence() {
    let _turn = turn().await;
    let (notified, mut notifications) = tokio::sync::mpsc::unbounded_channel();
    let hook = axum::routing::post(move |axum::Json(body): axum::Json<serde_json::Value>| async move {
        let _ = notified.send(body);
    });
    let listener = tokio::net::TcpListener::bind(free_addr()).await.unwrap();
    let url = format!("http://{}/hook", listener.local_addr().unwrap());
    tokio::spawn(async { axum::serve(listener, axum::Router::new().route("/hook", hook)).await });

    let mut alertmanager = Alertmanager::start(Some(&url)).await;
    alertmanager.silence("Quiet", Duration::from_secs(600)).await;
    alertmanager.fire("Quiet").await;
    alertmanager.fire("Loud").await;
    let notification = tokio::time::timeout(Duration::from_secs(30), notifications.recv()).await;
    let notification = notification.unwrap().unwrap();
    assert_eq!(notification["alerts"][0]["labels"]["alertname"], "Loud", "{notification}");
    let state = |alerts: &[serde_json::Value], name: &str| {
        let alert = alerts.iter().find(|a| a["labels"]["alertname"] == name).cloned();
        alert.map(|a| a["status"]["state"].as_str().unwrap().to_owned())
    };
    let alerts = alertmanager.alerts().await;
    assert_eq!(state(&alerts, "Quiet").as_deref(), Some("suppressed"), "{alerts:?}");
    assert_eq!(state(&alerts, "Loud").as_deref(), Some("active"), "{alerts:?}");
    alertmanager.kill().await;
}

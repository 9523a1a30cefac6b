//! A real model server with shadows: what the summary says is what the fault's rate promises.

use canard::{
    event::Ending,
    evidence::Rotation,
    sidecar::{Config, PayloadLogSettings, Sidecar},
    unit::Share,
};
use serde_json::Value;

use super::{MlServer, turn};
use crate::run::{Site, shown};

const SCENARIO: &str = r#"
name: shadows
seed: 3
target: { protocol: open-inference, labels: [setosa, versicolor, virginica] }
exposure: { unit: 'request.headers["x-user-id"]', share: 60% }
release: { shadow: {} }
traffic: { rate: 100/s, requests: iris.jsonl }
phases:
  - { name: only, lasts: 12s, inject: [{ fault: { mislabel: { rate: 60%, from: virginica, to: setosa } } }] }
"#;

#[tokio::test]
async fn the_summary_of_a_mislabelling_shadow_agrees_with_its_rate() {
    let _turn = turn().await;
    let mlserver = MlServer::start().await;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("payloads.jsonl");
    let mut config = Config::new(mlserver.url().parse().unwrap());
    config.labels = ["setosa", "versicolor", "virginica"].map(String::from).to_vec();
    let (redact, rotation) = (vec![], Rotation::default());
    let log = PayloadLogSettings { path: path.clone(), rate: Share::ALL, redact, raw: false, rotation };
    config.payload_log = Some(log);
    let sidecar = Sidecar::start(config).unwrap();
    let admin = format!("http://{}", sidecar.admin_addr().unwrap());
    let callers = format!("http://{}", sidecar.listen_addr());
    let args = ["--sidecar", &admin, "--traffic-to", &callers, "--no-early-stop"];
    let (output, report) = Site::new(SCENARIO, None).run(&args).await;
    assert_eq!(report.ending, Ending::Completed, "{}", shown(&output));
    assert!(shown(&output).contains("virginica → setosa"), "{}", shown(&output));

    let seen = &report.shadows[0];
    let changed = seen.confusion["virginica"]["setosa"];
    let share = seen.relabelled_share.unwrap().estimate;
    assert_eq!((share * seen.predictions as f64).round() as u64, changed, "nothing else changed: {seen:?}");
    let phase = &sidecar.rack().last_evidence().unwrap().phases[0];
    let virginica = (changed + phase.treated.labels["virginica"]) as f64;
    assert!(virginica > 100.0, "{virginica}");
    // Five deviations of a binomial.
    let bound = 5.0 * (virginica * 0.6 * 0.4).sqrt();
    assert!((changed as f64 - 0.6 * virginica).abs() < bound, "{changed} of {virginica}");
    // Callers, treated or not, have the flowers of the recording: a third each.
    let told = &phase.control.labels;
    let all: u64 = told.values().sum();
    assert!((told["virginica"] as f64 / all as f64 - 1.0 / 3.0).abs() < 0.12, "{told:?}");
    assert!(report.deliveries[0].perturbed >= changed, "{:?}", report.deliveries);

    sidecar.shutdown().await;
    let text = std::fs::read_to_string(&path).unwrap();
    let events = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let answers: Vec<Value> = events.filter(|event| event.get("canardstatus").is_some()).collect();
    let of = |shadow: bool| answers.iter().filter(move |event| (event["canardshadow"] == true) == shadow);
    let label = |event: &Value| event["data"]["predictions"][0]["label"].as_str().unwrap().to_owned();
    let mut pairs = 0;
    for shadow in of(true) {
        assert_eq!(shadow["canardarm"], "treated");
        let Some(primary) = of(false).find(|event| event["id"] == shadow["id"]) else { continue };
        assert_eq!(primary["canardarm"], "control");
        let (before, after) = (label(primary), label(shadow));
        assert!(before == after || (before, after) == ("virginica".into(), "setosa".into()), "{shadow}");
        pairs += 1;
    }
    assert!(pairs > 50, "the log has both of {pairs}");
}

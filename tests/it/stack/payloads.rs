//! A drift monitor that reads inference logs is put to the test: Evidently on the payload log of a run.

use canard::{
    event::Ending,
    evidence::Rotation,
    sidecar::{Config, PayloadLogSettings, Sidecar},
    unit::Share,
};
use serde_json::Value;
use tokio::process::Command;

use super::{MlServer, server::guarded, turn};
use crate::run::{Site, repo, shown};

/// The convention for a population stability index: below is no drift worth a look.
const DRIFT: f64 = 0.1;

fn scenario(inject: &str) -> String {
    format!(
        r#"
name: payloads
seed: 3
target: {{ protocol: open-inference, labels: [setosa, versicolor, virginica] }}
exposure: {{ unit: 'request.headers["x-user-id"]', share: 50% }}
traffic: {{ rate: 100/s, requests: iris.jsonl }}
phases:
  - {{ name: only, lasts: 12s{inject} }}
"#
    )
}

/// Plays a scenario against the sidecar, whatever its monitors make of it; returns when it began.
async fn play(sidecar: &Sidecar, inject: &str) -> f64 {
    let admin = format!("http://{}", sidecar.admin_addr().unwrap());
    let callers = format!("http://{}", sidecar.listen_addr());
    let args = ["--sidecar", &admin, "--traffic-to", &callers, "--no-early-stop"];
    let (output, report) = Site::new(&scenario(inject), None).run(&args).await;
    assert_eq!(report.ending, Ending::Completed, "{}", shown(&output));
    report.started.unix_s()
}

#[tokio::test]
async fn evidently_sees_the_drift_of_the_treated_and_none_of_control() {
    let _turn = turn().await;
    let mlserver = MlServer::start().await;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("payloads.jsonl");
    let mut config = Config::new(mlserver.url().parse().unwrap());
    config.labels = ["setosa", "versicolor", "virginica"].map(String::from).to_vec();
    let rate = Share::ALL.scaled(0.5);
    config.payload_log = Some(PayloadLogSettings {
        path: path.clone(),
        rate,
        redact: vec![],
        raw: false,
        rotation: Rotation::default(),
    });
    let sidecar = Sidecar::start(config).unwrap();
    play(&sidecar, "").await;
    let since =
        play(&sidecar, ", inject: [{ fault: { mislabel: { rate: 60%, from: virginica, to: setosa } } }]")
            .await;
    sidecar.shutdown().await;

    // It ends by itself: no guard is needed.
    let mut read = Command::new(guarded("evidently", "python").as_std().get_program());
    read.arg(repo("tests/stack/monitors/drift.py")).arg(&path).arg(since.to_string());
    let output = read.output().await.unwrap();
    assert!(output.status.success(), "{}", shown(&output));
    let told: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{}", shown(&output)));
    let psi = |arm: &str| told[arm]["psi"].as_f64().unwrap();
    assert!(told["before"].as_u64() > Some(300) && told["treated"]["events"].as_u64() > Some(150), "{told}");
    assert!(psi("treated") > DRIFT && psi("control") < DRIFT, "{told}");
}

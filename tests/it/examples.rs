//! The examples do what they show: each is run as it was built.

use std::{path::Path, time::Duration};

use tokio::{process::Command, time::timeout};

/// Runs an example that stands beside the binary; gives what it prints.
async fn run(name: &str) -> String {
    run_with(name, &[]).await
}

async fn run_with(name: &str, args: &[&str]) -> String {
    let folder = Path::new(env!("CARGO_BIN_EXE_canard")).parent().unwrap().join("examples");
    let binary = folder.join(name).with_extension(std::env::consts::EXE_EXTENSION);
    assert!(binary.exists(), "{} is not built: run `cargo build --examples`", binary.display());
    let output = Command::new(binary).args(args).kill_on_drop(true).output();
    let output = timeout(Duration::from_secs(60), output).await.expect("in time").unwrap();
    let printed = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{printed}{}", String::from_utf8_lossy(&output.stderr));
    printed
}

#[tokio::test]
async fn the_axum_server_breaks_some_answers_and_then_none() {
    let printed = run("axum_server").await;
    let (armed, disarmed) = printed.split_once("disarmed:\n").unwrap();
    assert!(armed.contains(" 503 "), "{printed}");
    assert!(armed.contains("embedded/mislabel"), "{printed}");
    assert!(disarmed.lines().next().unwrap().contains("r0 -        200 "), "{printed}");
    assert!(disarmed.contains("broken/latency: "), "{printed}");
    assert!(!disarmed.contains("\n0 lines in the ledger"), "{printed}");
}

#[tokio::test]
async fn the_tonic_server_fails_calls_as_grpc_does() {
    let printed = run("tonic_server").await;
    assert!(printed.contains("Unavailable"), "{printed}");
    assert!(printed.contains(" OK [") && printed.contains("broken/error: "), "{printed}");
    assert!(printed.contains("left alone: "), "predictions in protobuf are not edited: {printed}");
}

#[tokio::test]
async fn the_typed_service_changes_scores_and_records_it() {
    let printed = run("typed_service").await;
    assert!(printed.contains("user-0: 0."), "{printed}");
    assert!(printed.contains("ledger: broken/score-shift 1 prediction"), "{printed}");
    assert!(printed.contains("ledger: broken/latency delayed up to 0.0"), "{printed}");
}

#[tokio::test]
async fn a_fleet_decides_alike_without_talking() {
    let printed = run_with("fleet", &["500000", "40"]).await;
    assert!(printed.contains("40 sidecars, 1000 units each: 0 decisions differ"), "{printed}");
    assert!(printed.contains("first and second     0.00000%"), "slices of one layer share nobody: {printed}");
}

#[tokio::test]
async fn what_is_armed_at_random_touches_nobody_outside_its_lease() {
    let printed = run_with("soak", &["4", "200"]).await;
    assert!(printed.contains("0 requests without a whole answer"), "{printed}");
    assert!(printed.contains("0 perturbations of requests sent after their lease"), "{printed}");
}

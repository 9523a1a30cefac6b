//! The ledger of a sidecar: its files rotate under load, and every perturbed response is in one of them.

use axum::{Router, routing::get};
use canard::{
    evidence::{LedgerParts, Rotation},
    sidecar::{Config, Sidecar},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use super::{drain::arm, support::*};
use crate::ledger::ledger;

#[tokio::test]
async fn under_load_every_perturbed_response_is_in_one_of_the_files() {
    let upstream = serve(Router::new().route("/", get(|| async { "done" }))).await;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ledger.jsonl");
    let mut config = Config { ledger: Some(path.clone()), workers: Some(2), ..config(upstream) };
    config.layer_limits.ledger_rotation = Rotation { bytes: 8 << 10, keep: 1_000 };
    let sidecar = Sidecar::start(config).unwrap();
    arm(&sidecar, "{ error: { status: 503, rate: 50% } }");
    let mut callers = tokio::task::JoinSet::new();
    for caller in 0..8 {
        let address = sidecar.listen_addr();
        callers.spawn(async move {
            let mut stream = TcpStream::connect(address).await.unwrap();
            let mut asked = String::new();
            for n in 0..250 {
                let close = if n == 249 { "Connection: close\r\n" } else { "" };
                asked.push_str(&format!(
                    "GET / HTTP/1.1\r\nHost: m\r\nX-Request-Id: {caller}-{n}\r\n{close}\r\n"
                ));
            }
            let (mut read, mut write) = stream.split();
            let mut answers = String::new();
            let (written, answered) =
                tokio::join!(write.write_all(asked.as_bytes()), read.read_to_string(&mut answers));
            written.and(answered.map(drop)).unwrap();
            (answers.matches("HTTP/1.1 503").count(), answers.matches("HTTP/1.1 200").count())
        });
    }
    let (mut failed, mut fine) = (0, 0);
    for (more_failed, more_fine) in callers.join_all().await {
        (failed, fine) = (failed + more_failed, fine + more_fine);
    }
    assert_eq!(failed + fine, 2_000, "no request is lost");
    let counted = sidecar.rack().last_evidence().unwrap().phases[0].faults[0].perturbed;
    sidecar.shutdown().await;
    assert!(LedgerParts::of(&path).unwrap().files.len() > 10);
    let (lines, notes, code) = ledger(folder.path(), &["ledger.jsonl", "--fault", "error"]);
    assert_eq!((lines.lines().count(), notes.as_str(), code), (failed, "", Some(0)));
    assert_eq!(counted, failed as u64);
    let one =
        lines.lines().next().unwrap().split("\"request\":\"").nth(1).unwrap().split('"').next().unwrap();
    let (found, _, _) = ledger(folder.path(), &[".", "--request", one, "--format", "csv"]);
    assert_eq!(found.lines().count(), 2, "a header and {one}: {found}");
}

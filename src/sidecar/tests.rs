//! Workers that are lost.

use std::io;

use super::*;
use crate::monitor::HttpClient;

async fn ready(sidecar: &Sidecar) -> (u16, String) {
    let base = format!("http://{}", sidecar.admin_addr().unwrap());
    let answer = HttpClient::new(&base, None).unwrap().get("/readyz").await.unwrap();
    (answer.status.as_u16(), String::from_utf8_lossy(&answer.body).into_owned())
}

#[tokio::test]
async fn lost_workers_make_the_sidecar_unready_and_the_last_one_ends_it() {
    let mut config = Config::new("http://127.0.0.1:9".parse().unwrap());
    config.workers = Some(1);
    let mut sidecar = Sidecar::start(config).unwrap();
    assert_eq!(ready(&sidecar).await, (200, "ready\n".into()));
    // Two more, which are the only ones whose end is waited for.
    let (life, alive) = mpsc::channel(1);
    sidecar.alive = alive;
    sidecar.start_worker(1, life.clone(), || Err(io::Error::other("no listener"))).unwrap();
    sidecar.start_worker(2, life, || panic!("a bug")).unwrap();
    let error = sidecar.lost().await;
    assert!(matches!(error, SidecarError::Lost(_)));
    for cause in ["no worker is left: ", "canard-worker-1: no listener", "canard-worker-2: panicked: a bug"] {
        assert!(error.to_string().contains(cause), "{error}");
    }
    let (status, why) = ready(&sidecar).await;
    assert!(status == 503 && why.contains("canard-worker-2: panicked: a bug"), "{status} {why}");
}

#[tokio::test]
async fn a_worker_that_ends_with_the_sidecar_is_not_lost() {
    let mut config = Config::new("http://127.0.0.1:9".parse().unwrap());
    config.workers = Some(2);
    let mut sidecar = Sidecar::start(config).unwrap();
    sidecar.drain().await;
    assert_eq!(sidecar.crew.lost(), None);
}

//! The end of a sidecar, and the end of a connection.

use std::{
    io::ErrorKind,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use axum::{Router, routing::get};
use canard::{
    scenario::{Source, compile},
    sidecar::{Config, Sidecar},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    sync::Notify,
};

use super::support::*;

/// Asks again and again on one connection; counts requests sent and answered.
async fn keep_asking(address: std::net::SocketAddr, sent: Arc<AtomicUsize>, answered: Arc<AtomicUsize>) {
    while let Ok(mut stream) = TcpStream::connect(address).await {
        loop {
            if stream.write_all(b"GET / HTTP/1.1\r\nHost: m\r\n\r\n").await.is_err() {
                // Nothing of it can have been taken: the connection had been closed after a notice.
                break;
            }
            sent.fetch_add(1, Ordering::SeqCst);
            let mut answer = Vec::new();
            let mut chunk = [0; 1024];
            while !answer.ends_with(b"done") {
                match stream.read(&mut chunk).await {
                    Ok(read) if read > 0 => answer.extend_from_slice(&chunk[..read]),
                    other => panic!("lost after {:?}: {other:?}", String::from_utf8_lossy(&answer)),
                }
            }
            answered.fetch_add(1, Ordering::SeqCst);
            if String::from_utf8_lossy(&answer).to_lowercase().contains("connection: close") {
                break;
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_drain_under_load_loses_no_request() {
    let upstream = serve(Router::new().route("/", get(|| async { "done" }))).await;
    let mut config = config(upstream);
    config.workers = Some(2);
    let mut sidecar = Sidecar::start(config).unwrap();
    let (sent, answered) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let callers: Vec<_> = (0..8)
        .map(|_| tokio::spawn(keep_asking(sidecar.listen_addr(), sent.clone(), answered.clone())))
        .collect();
    while answered.load(Ordering::SeqCst) < 500 {
        tokio::task::yield_now().await;
    }
    sidecar.drain().await;
    for caller in callers {
        caller.await.unwrap();
    }
    assert_eq!(sent.load(Ordering::SeqCst), answered.load(Ordering::SeqCst));
}

#[tokio::test]
async fn a_draining_sidecar_is_not_ready_and_finishes_what_it_began() {
    let (asked, go) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let (tell, wait) = (asked.clone(), go.clone());
    let router = Router::new().route(
        "/",
        get(move || async move {
            tell.notify_one();
            wait.notified().await;
            "slow but whole"
        }),
    );
    let mut sidecar = start(serve(router).await);
    let (listen, admin) = (sidecar.listen_addr(), sidecar.admin_addr().unwrap());
    let caller = tokio::spawn(exchange(listen, "GET / HTTP/1.1\r\nHost: m\r\nConnection: close\r\n\r\n"));
    asked.notified().await;
    let drained = Arc::new(AtomicBool::new(false));
    let flag = drained.clone();
    let drain = tokio::spawn(async move {
        sidecar.drain().await;
        flag.store(true, Ordering::SeqCst);
        sidecar
    });
    let ready = "GET /readyz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    while !exchange(admin, ready).await.starts_with("HTTP/1.1 503") {
        tokio::task::yield_now().await;
    }
    while TcpStream::connect(listen).await.is_ok() {
        tokio::task::yield_now().await;
    }
    assert!(!drained.load(Ordering::SeqCst));
    go.notify_one();
    assert_eq!(body(&caller.await.unwrap()), "slow but whole");
    drain.await.unwrap();
}

#[tokio::test]
async fn a_drain_ends_at_its_deadline() {
    let upstream = scripted(|stream| async move {
        std::future::pending::<()>().await;
        drop(stream);
    })
    .await;
    let mut config = config(upstream);
    config.limits.drain = Duration::from_millis(100);
    let sidecar = Sidecar::start(config).unwrap();
    let mut stream = TcpStream::connect(sidecar.listen_addr()).await.unwrap();
    stream.write_all(b"GET / HTTP/1.1\r\nHost: m\r\n\r\n").await.unwrap();
    tokio::time::timeout(Duration::from_secs(10), sidecar.shutdown()).await.unwrap();
}

pub(super) fn arm(sidecar: &Sidecar, fault: &str) {
    let scenario = format!(
        "name: cut\ntarget: {{ protocol: http }}\nexposure: {{ share: 100% }}\n\
         phases:\n  - {{ name: cut, lasts: 60s, inject: [{{ fault: {fault} }}] }}\n"
    );
    let plan = compile(&Source::new("cut.yaml", &*scenario)).unwrap_or_else(|errors| panic!("{errors}"));
    sidecar.rack().arm(Arc::new(plan), Duration::from_secs(60)).unwrap();
}

#[tokio::test]
async fn a_reset_is_seen_as_a_reset() {
    let sidecar = start(serve(Router::new().route("/", get(|| async { "whole" }))).await);
    arm(&sidecar, "{ reset: {} }");
    let mut stream = TcpStream::connect(sidecar.listen_addr()).await.unwrap();
    stream.write_all(b"GET / HTTP/1.1\r\nHost: m\r\n\r\n").await.unwrap();
    let mut rest = Vec::new();
    let error = stream.read_to_end(&mut rest).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionReset, "{error}");
}

#[tokio::test]
async fn a_reset_in_the_body_lets_what_came_before_pass() {
    let whole = "x".repeat(100_000);
    let router = Router::new().route("/", get(move || async move { whole.clone() }));
    let sidecar = start(serve(router).await);
    arm(&sidecar, "{ reset: { after-bytes: 1000 } }");
    let mut stream = TcpStream::connect(sidecar.listen_addr()).await.unwrap();
    stream.write_all(b"GET / HTTP/1.1\r\nHost: m\r\n\r\n").await.unwrap();
    let mut seen = Vec::new();
    let error = stream.read_to_end(&mut seen).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionReset, "{error}");
    assert_eq!(body(std::str::from_utf8(&seen).unwrap()).len(), 1000);
}

#[tokio::test]
async fn a_hang_holds_no_upstream_connection_and_ends_with_the_lease() {
    let asked = Arc::new(AtomicUsize::new(0));
    let counted = asked.clone();
    let router = Router::new().route(
        "/",
        get(move || async move {
            counted.fetch_add(1, Ordering::SeqCst);
            "late"
        }),
    );
    let sidecar = start(serve(router).await);
    arm(&sidecar, "{ hang: {} }");
    let get = "GET / HTTP/1.1\r\nHost: m\r\nConnection: close\r\n\r\n";
    let caller = tokio::spawn(exchange(sidecar.listen_addr(), get));
    while sidecar.rack().last_evidence().unwrap().phases[0].faults[0].perturbed == 0 {
        tokio::task::yield_now().await;
    }
    assert_eq!(asked.load(Ordering::SeqCst), 0);
    sidecar.rack().stop();
    assert_eq!(body(&caller.await.unwrap()), "late");
}

#[tokio::test]
async fn the_ledger_is_complete_when_a_sidecar_has_ended() {
    let upstream = serve(Router::new().route("/", get(|| async { "done" }))).await;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ledger.jsonl");
    for (drained, lines) in [(true, 200), (false, 400)] {
        let sidecar = Sidecar::start(Config { ledger: Some(path.clone()), ..config(upstream) }).unwrap();
        arm(&sidecar, "{ error: { status: 503 } }");
        let mut stream = TcpStream::connect(sidecar.listen_addr()).await.unwrap();
        let asked = b"GET / HTTP/1.1\r\nHost: m\r\n\r\n".repeat(199);
        stream.write_all(&asked).await.unwrap();
        stream.write_all(b"GET / HTTP/1.1\r\nHost: m\r\nConnection: close\r\n\r\n").await.unwrap();
        let mut answers = String::new();
        stream.read_to_string(&mut answers).await.unwrap();
        assert_eq!(answers.matches("HTTP/1.1 503").count(), 200);
        match drained {
            true => sidecar.shutdown().await,
            false => drop(sidecar),
        }
        let text = std::fs::read_to_string(&path).unwrap();
        assert_eq!(text.lines().filter(|line| line.ends_with("\"change\":\"status 503\"}")).count(), lines);
    }
}

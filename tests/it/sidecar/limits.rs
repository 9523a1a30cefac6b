//! Connections are bounded: those that wait, those that idle and those that became something else.

use std::{net::SocketAddr, time::Duration};

use axum::{Router, body::Body, extract::Request, http::StatusCode, response::IntoResponse, routing::get};
use canard::sidecar::Sidecar;
use http_body_util::BodyExt as _;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::{sleep, timeout},
};

use super::support::*;

const PATIENCE: Duration = Duration::from_secs(20);
const ASK: &[u8] = b"GET / HTTP/1.1\r\nHost: m\r\n\r\n";

async fn done() -> SocketAddr {
    serve(Router::new().route("/", get(|| async { "done" }))).await
}

/// Connections that the kernel has taken for a listener and the listener not yet (`rx_queue`).
#[cfg(target_os = "linux")]
fn waiting(listener: SocketAddr) -> usize {
    let table = std::fs::read_to_string("/proc/net/tcp").unwrap();
    let port = format!(":{:04X}", listener.port());
    let rows = table.lines().map(|row| row.split_whitespace().collect::<Vec<_>>());
    let listening = rows.filter(|row| row[1].ends_with(&port) && row[3] == "0A");
    listening.map(|row| usize::from_str_radix(row[4].split_once(':').unwrap().1, 16).unwrap()).sum()
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn callers_beyond_the_limit_wait_in_the_kernel() {
    let mut config = config(done().await);
    config.limits.connections = 2;
    let sidecar = Sidecar::start(config).unwrap();
    let mut callers = Vec::new();
    for _ in 0..12 {
        let mut stream = TcpStream::connect(sidecar.listen_addr()).await.unwrap();
        stream.write_all(ASK).await.unwrap();
        callers.push(stream);
    }
    // Two are served, and one is taken and waits for a permit.
    let settled = async {
        while waiting(sidecar.listen_addr()) != 9 {
            sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(PATIENCE, settled).await.unwrap();
    for mut stream in callers {
        let mut answer = Vec::new();
        while !answer.ends_with(b"done") {
            answer.push(timeout(PATIENCE, stream.read_u8()).await.unwrap().unwrap());
        }
    }
}

#[tokio::test]
async fn an_http2_connection_on_which_nothing_is_asked_is_closed_and_loses_no_response() {
    let slow = || async {
        sleep(Duration::from_millis(700)).await;
        "slow"
    };
    let upstream = serve(Router::new().route("/", get(slow))).await;
    let mut config = config(upstream);
    config.limits.header_read = Duration::from_millis(200);
    let sidecar = Sidecar::start(config).unwrap();
    let stream = TokioIo::new(TcpStream::connect(sidecar.listen_addr()).await.unwrap());
    let (mut sender, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), stream).await.unwrap();
    let connection = tokio::spawn(connection);
    let request = Request::get("http://m/").body(Body::empty()).unwrap();
    let response = timeout(PATIENCE, sender.send_request(request)).await.unwrap().unwrap();
    assert_eq!(response.into_body().collect().await.unwrap().to_bytes(), "slow");
    timeout(PATIENCE, connection).await.unwrap().unwrap().unwrap();
    assert!(sender.is_closed());
}

/// An upstream that switches to an echo.
async fn echo() -> SocketAddr {
    async fn upgrade(mut request: Request) -> impl IntoResponse {
        let upgraded = hyper::upgrade::on(&mut request);
        tokio::spawn(async move {
            let (mut read, mut write) = tokio::io::split(TokioIo::new(upgraded.await.unwrap()));
            let _ = tokio::io::copy(&mut read, &mut write).await;
            let _ = write.shutdown().await;
        });
        (StatusCode::SWITCHING_PROTOCOLS, [("connection", "upgrade"), ("upgrade", "echo")])
    }
    serve(Router::new().route("/", get(upgrade)).route("/plain", get(|| async { "done" }))).await
}

async fn upgraded(sidecar: &Sidecar) -> TcpStream {
    let mut stream = TcpStream::connect(sidecar.listen_addr()).await.unwrap();
    stream
        .write_all(b"GET / HTTP/1.1\r\nHost: m\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
        .await
        .unwrap();
    assert!(head(&mut stream).await.starts_with("HTTP/1.1 101"));
    stream
}

async fn echoes(stream: &mut TcpStream) {
    stream.write_all(b"ping").await.unwrap();
    let mut ping = [0; 4];
    timeout(PATIENCE, stream.read_exact(&mut ping)).await.unwrap().unwrap();
    assert_eq!(&ping, b"ping");
}

#[tokio::test]
async fn an_upgraded_connection_counts_until_it_ends() {
    let mut config = config(echo().await);
    config.limits.connections = 1;
    let sidecar = Sidecar::start(config).unwrap();
    let mut tunnel = upgraded(&sidecar).await;
    let address = sidecar.listen_addr();
    let next = "GET /plain HTTP/1.1\r\nHost: m\r\nConnection: close\r\n\r\n";
    let mut next = tokio::spawn(async move { exchange(address, next).await });
    assert!(timeout(Duration::from_millis(200), &mut next).await.is_err(), "there was one place");
    echoes(&mut tunnel).await;
    drop(tunnel);
    assert_eq!(body(&timeout(PATIENCE, next).await.unwrap().unwrap()), "done");
}

#[tokio::test]
async fn a_drain_waits_for_upgraded_connections_until_its_deadline() {
    for (deadline, ends) in [(Duration::from_secs(30), true), (Duration::from_millis(100), false)] {
        let mut config = config(echo().await);
        config.limits.drain = deadline;
        let mut sidecar = Sidecar::start(config).unwrap();
        let mut tunnel = upgraded(&sidecar).await;
        if ends {
            let mut drain = tokio::spawn(async move { sidecar.drain().await });
            assert!(timeout(Duration::from_millis(700), &mut drain).await.is_err());
            echoes(&mut tunnel).await;
            tunnel.shutdown().await.unwrap();
            assert_eq!(tunnel.read(&mut [0; 1]).await.unwrap(), 0);
            timeout(PATIENCE, drain).await.unwrap().unwrap();
        } else {
            timeout(PATIENCE, sidecar.drain()).await.unwrap();
            assert!(matches!(timeout(PATIENCE, tunnel.read(&mut [0; 1])).await.unwrap(), Ok(0) | Err(_)));
        }
    }
}

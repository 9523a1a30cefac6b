//! What breaks is seen as broken: never a clean end, never a silent second attempt.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use axum::{Router, routing::get};
use canard::{
    layer::{ChaosLayer, Handle},
    scenario::{Source, compile},
    sidecar::{Sidecar, SidecarError},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

use super::support::*;

const GET: &str = "GET / HTTP/1.1\r\nHost: m\r\nConnection: close\r\n\r\n";

async fn nobody() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap()
}

#[tokio::test]
async fn an_upstream_that_is_down_gives_502_and_comes_back_by_itself() {
    let upstream = nobody().await;
    let sidecar = start(upstream);
    let response = exchange(sidecar.listen_addr(), GET).await;
    assert!(response.starts_with("HTTP/1.1 502 Bad Gateway\r\n"), "{response}");
    let error: serde_json::Value = serde_json::from_str(body(&response)).unwrap();
    assert!(error["error"].as_str().unwrap().contains(&upstream.to_string()), "{error}");

    let listener = TcpListener::bind(upstream).await.unwrap();
    let router = Router::new().route("/", get(|| async { "back" }));
    let server = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    assert_eq!(body(&exchange(sidecar.listen_addr(), GET).await), "back");
    server.abort();
    let _ = server.await;
}

#[tokio::test]
async fn an_upstream_that_does_not_accept_gives_504() {
    // A full backlog: the kernel neither accepts nor refuses.
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let listener = socket.listen(1).unwrap();
    let upstream = listener.local_addr().unwrap();
    let mut waiting = Vec::new();
    while let Ok(Ok(stream)) =
        tokio::time::timeout(Duration::from_millis(200), TcpStream::connect(upstream)).await
    {
        waiting.push(stream);
    }
    let mut config = config(upstream);
    config.limits.connect = Duration::from_millis(100);
    let sidecar = Sidecar::start(config).unwrap();
    let response = exchange(sidecar.listen_addr(), GET).await;
    assert!(response.starts_with("HTTP/1.1 504"), "{response}");
}

#[tokio::test]
async fn an_upstream_that_dies_in_mid_body_breaks_the_callers_body() {
    let cases = [
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nhello",
    ];
    for answer in cases {
        let upstream = scripted(move |mut stream| async move {
            head(&mut stream).await;
            stream.write_all(answer.as_bytes()).await.unwrap();
        })
        .await;
        let sidecar = start(upstream);
        let client = hyper_util::client::legacy::Client::builder(hyper_util::rt::TokioExecutor::new());
        let client = client.build_http::<http_body_util::Empty<bytes::Bytes>>();
        let uri = format!("http://{}/", sidecar.listen_addr());
        let response = client.get(uri.parse().unwrap()).await.unwrap();
        assert_eq!(response.status(), 200);
        let collected = http_body_util::BodyExt::collect(response.into_body()).await;
        assert!(collected.is_err(), "a clean end after {answer:?}");
    }
}

#[tokio::test]
async fn more_bytes_than_content_length_says_do_not_reach_the_next_response() {
    let upstream = scripted(|mut stream| async move {
        head(&mut stream).await;
        let smuggled =
            "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil";
        stream.write_all(smuggled.as_bytes()).await.unwrap();
    })
    .await;
    let sidecar = start(upstream);
    for _ in 0..3 {
        let response = exchange(sidecar.listen_addr(), GET).await;
        assert_eq!(body(&response), "ok");
    }
}

#[tokio::test]
async fn a_request_that_the_upstream_may_have_seen_is_not_sent_twice() {
    let seen = Arc::new(AtomicUsize::new(0));
    let counted = seen.clone();
    let upstream = scripted(move |mut stream| {
        let counted = counted.clone();
        async move {
            head(&mut stream).await;
            counted.fetch_add(1, Ordering::SeqCst);
        }
    })
    .await;
    let sidecar = start(upstream);
    let response = exchange(sidecar.listen_addr(), GET).await;
    assert!(response.starts_with("HTTP/1.1 502"), "{response}");
    assert_eq!(seen.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_connection_that_the_upstream_closed_while_idle_is_not_used() {
    let upstream = scripted(|mut stream| async move {
        head(&mut stream).await;
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").await.unwrap();
    })
    .await;
    let sidecar = start(upstream);
    let mut stream = TcpStream::connect(sidecar.listen_addr()).await.unwrap();
    for _ in 0..100 {
        stream.write_all(b"GET / HTTP/1.1\r\nHost: m\r\n\r\n").await.unwrap();
        let answer = head(&mut stream).await;
        // The upstream may close after it has been asked, which is a 502; nothing may hang or mix up.
        assert!(answer.starts_with("HTTP/1.1 200") || answer.starts_with("HTTP/1.1 502"), "{answer}");
        let length = answer.lines().find_map(|l| l.strip_prefix("content-length: ")).unwrap();
        let mut rest = vec![0; length.parse().unwrap()];
        stream.read_exact(&mut rest).await.unwrap();
    }
}

#[tokio::test]
async fn garbage_from_the_upstream_is_502() {
    let upstream = scripted(|mut stream| async move {
        head(&mut stream).await;
        stream.write_all(b"SSH-2.0-OpenSSH_9.2\r\n\r\n").await.unwrap();
    })
    .await;
    let sidecar = start(upstream);
    let response = exchange(sidecar.listen_addr(), GET).await;
    assert!(response.starts_with("HTTP/1.1 502"), "{response}");
}

#[tokio::test]
async fn a_head_over_the_limit_is_431_and_a_slow_one_is_closed() {
    let upstream = serve(Router::new().route("/", get(|| async { "ok" }))).await;
    let mut config = config(upstream);
    config.limits.header_bytes = 16 << 10;
    config.limits.header_read = Duration::from_millis(200);
    let sidecar = Sidecar::start(config).unwrap();
    let long = format!("GET / HTTP/1.1\r\nHost: m\r\nX-Long: {}\r\n\r\n", "x".repeat(20 << 10));
    let response = exchange(sidecar.listen_addr(), &long).await;
    assert!(response.starts_with("HTTP/1.1 431"), "{response}");

    for slow in ["GET / HTTP/1.1\r\nHost", "PRI * HT", ""] {
        let mut stream = TcpStream::connect(sidecar.listen_addr()).await.unwrap();
        stream.write_all(slow.as_bytes()).await.unwrap();
        let mut rest = Vec::new();
        let ended = tokio::time::timeout(Duration::from_secs(5), stream.read_to_end(&mut rest)).await;
        assert!(ended.is_ok(), "{slow:?} was waited for");
    }
}

#[tokio::test]
async fn a_port_in_use_is_an_error_with_a_remedy() {
    let first = start(nobody().await);
    let mut second = config(nobody().await);
    second.listen = first.listen_addr();
    second.workers = Some(2);
    let error = Sidecar::start(second).unwrap_err();
    assert!(
        matches!(error, SidecarError::Listen { address, .. } if address == first.listen_addr()),
        "{error}"
    );
    assert!(error.remedy().contains("another port"), "{}", error.remedy());
}

/// A program that embeds the layer, on plain hyper: no sidecar helps it.
#[tokio::test]
async fn an_embedded_layer_sends_what_came_before_a_cut() {
    let handle = Handle::default();
    let whole = "x".repeat(1000);
    let router = Router::new().route("/", get(move || async move { whole }));
    let embedding = serve(router.layer(ChaosLayer::new(handle.clone()))).await;
    for passed in [0, 10] {
        let scenario = format!(
            "name: cut\ntarget: {{ protocol: http }}\nexposure: {{ share: 100% }}\n\
             phases:\n  - {{ name: cut, lasts: 60s, inject: [{{ fault: {{ reset: {{ after-bytes: {passed} }} }} }}] }}\n"
        );
        let plan = compile(&Source::new("cut.yaml", &*scenario)).unwrap();
        let lease = handle.arm(plan.into(), Duration::from_secs(60)).unwrap();
        let mut stream = TcpStream::connect(embedding).await.unwrap();
        stream.write_all(GET.as_bytes()).await.unwrap();
        let mut seen = Vec::new();
        let _ = stream.read_to_end(&mut seen).await;
        let seen = String::from_utf8(seen).unwrap();
        assert!(seen.starts_with("HTTP/1.1 200 OK\r\n"), "{seen:?}");
        assert_eq!(body(&seen).len(), passed, "{seen:?}");
        handle.disarm(lease).unwrap();
    }
}

//! What passes, and how: nothing buffered, hop-by-hop fields ended, everything else as it came.

use std::convert::Infallible;

use axum::{
    Router,
    body::{Body, Bytes},
    extract::Request,
    http::{HeaderMap, StatusCode, Version},
    response::IntoResponse,
    routing::{any, get, post},
};
use http_body_util::{BodyExt as _, Full, StreamBody};
use hyper::body::Frame;
use hyper_util::{
    client::legacy::Client,
    rt::{TokioExecutor, TokioIo},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    sync::mpsc,
};
use tokio_stream::wrappers::ReceiverStream;

use super::support::*;

type Channel = StreamBody<ReceiverStream<Result<Frame<Bytes>, Infallible>>>;

fn channel() -> (mpsc::Sender<Result<Frame<Bytes>, Infallible>>, Channel) {
    let (sender, receiver) = mpsc::channel(1);
    (sender, StreamBody::new(ReceiverStream::new(receiver)))
}

async fn echo_head(request: Request) -> String {
    let mut lines = vec![format!("{} {} {:?}", request.method(), request.uri(), request.version())];
    let fields = request.headers().iter().map(|(name, value)| format!("{name}: {}", value.to_str().unwrap()));
    lines.extend(fields);
    lines.join("\n")
}

#[tokio::test]
async fn hop_by_hop_fields_end_and_the_rest_passes() {
    let upstream = serve(Router::new().fallback(any(echo_head))).await;
    let sidecar = start(upstream);
    let request = "GET /v2/models/iris?a=%20b HTTP/1.1\r\nHost: models.example\r\nConnection: close, x-private\r\n\
        X-Private: 1\r\nKeep-Alive: timeout=5\r\nTE: trailers\r\ntraceparent: 00-1-2-01\r\nx-request-id: 7\r\n\
        X-Forwarded-For: 1.2.3.4\r\nX-Forwarded-Proto: https\r\n\r\n";
    let response = exchange(sidecar.listen_addr(), request).await;
    let seen: Vec<&str> = body(&response).lines().collect();
    assert_eq!(seen[0], "GET /v2/models/iris?a=%20b HTTP/1.1");
    for there in [
        "host: models.example",
        "te: trailers",
        "connection: te",
        "traceparent: 00-1-2-01",
        "x-request-id: 7",
        "x-forwarded-for: 1.2.3.4, 127.0.0.1",
        "x-forwarded-proto: https",
        "x-forwarded-host: models.example",
    ] {
        assert!(seen.contains(&there), "{there} is missing: {seen:#?}");
    }
    for gone in ["x-private", "keep-alive", "proxy-connection", "connection: close"] {
        assert!(!seen.iter().any(|line| line.starts_with(gone)), "{gone} passed: {seen:#?}");
    }
}

#[tokio::test]
async fn http2_with_prior_knowledge_passes() {
    let upstream = serve(Router::new().fallback(any(echo_head))).await;
    let sidecar = start(upstream);
    let client = Client::builder(TokioExecutor::new()).http2_only(true).build_http::<Full<Bytes>>();
    let uri = format!("http://{}/v2/health/ready", sidecar.listen_addr());
    let response = client.get(uri.parse().unwrap()).await.unwrap();
    assert_eq!(response.version(), Version::HTTP_2);
    let seen = response.into_body().collect().await.unwrap().to_bytes();
    let seen = std::str::from_utf8(&seen).unwrap();
    assert!(seen.starts_with("GET /v2/health/ready HTTP/1.1\n"), "{seen}");
    assert!(seen.contains(&format!("host: {}", sidecar.listen_addr())), "{seen}");
}

#[tokio::test]
async fn an_http2_upstream_can_be_asked_for() {
    let upstream = serve(Router::new().fallback(any(echo_head))).await;
    let mut config = config(upstream);
    config.upstream_http2 = true;
    let sidecar = canard::sidecar::Sidecar::start(config).unwrap();
    let response =
        exchange(sidecar.listen_addr(), "GET /a HTTP/1.1\r\nHost: models\r\nConnection: close\r\n\r\n").await;
    assert!(body(&response).contains("GET http://models/a HTTP/2.0"), "{response}");
}

#[tokio::test]
async fn bodies_stream_both_ways_without_being_buffered() {
    async fn echo(request: Request) -> Body {
        request.into_body()
    }
    let upstream = serve(Router::new().route("/echo", post(echo)).fallback(any(echo_head))).await;
    for http2 in [false, true] {
        let sidecar = start(upstream);
        let client = Client::builder(TokioExecutor::new()).http2_only(http2).build_http::<Channel>();
        let (sender, body) = channel();
        let uri = format!("http://{}/echo", sidecar.listen_addr());
        let request = hyper::Request::post(uri).body(body).unwrap();
        let exchange = tokio::spawn(async move { client.request(request).await.unwrap() });
        sender.send(Ok(Frame::data(Bytes::from_static(b"one")))).await.unwrap();
        let mut response = exchange.await.unwrap().into_body();
        // Each answer arrives before the next question is asked.
        assert_eq!(response.frame().await.unwrap().unwrap().into_data().unwrap(), "one");
        sender.send(Ok(Frame::data(Bytes::from_static(b"two")))).await.unwrap();
        assert_eq!(response.frame().await.unwrap().unwrap().into_data().unwrap(), "two");
        drop(sender);
        assert_eq!(response.collect().await.unwrap().to_bytes(), "");
    }
}

#[tokio::test]
async fn a_large_body_passes_whole_in_both_directions() {
    async fn echo(request: Request) -> Body {
        request.into_body()
    }
    let upstream = serve(Router::new().route("/echo", post(echo))).await;
    let sidecar = start(upstream);
    let client = Client::builder(TokioExecutor::new()).build_http::<Full<Bytes>>();
    let sent: Bytes = (0..50_000_000_u32).map(|i| (i % 251) as u8).collect();
    let uri = format!("http://{}/echo", sidecar.listen_addr());
    let request = hyper::Request::post(uri).body(Full::new(sent.clone())).unwrap();
    let got = client.request(request).await.unwrap().into_body().collect().await.unwrap().to_bytes();
    assert!(got == sent);
}

#[tokio::test]
async fn trailers_pass_both_ways_over_http1() {
    async fn swap(request: Request) -> impl IntoResponse {
        let collected = request.into_body().collect().await.unwrap();
        let mut trailers = collected.trailers().cloned().unwrap_or_default();
        trailers.insert("x-checksum", "abc".parse().unwrap());
        let mut headers = HeaderMap::new();
        headers.insert("trailer", "x-checksum, x-sum".parse().unwrap());
        let frames = [Ok::<_, Infallible>(Frame::data(collected.to_bytes())), Ok(Frame::trailers(trailers))];
        (headers, Body::new(StreamBody::new(tokio_stream::iter(frames))))
    }
    let upstream = serve(Router::new().route("/", post(swap))).await;
    let sidecar = start(upstream);
    let request = "POST / HTTP/1.1\r\nHost: m\r\nConnection: close\r\nTE: trailers\r\nTrailer: x-sum\r\n\
        Transfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\nx-sum: 42\r\n\r\n";
    let response = exchange(sidecar.listen_addr(), request).await;
    assert!(response.contains("hi"), "{response}");
    assert!(response.contains("x-checksum: abc\r\n") && response.contains("x-sum: 42\r\n"), "{response}");
}

#[tokio::test]
async fn a_caller_that_waits_for_100_continue_is_told_to_go_on() {
    async fn length(headers: HeaderMap, body: Bytes) -> String {
        format!("{} {}", body.len(), headers.contains_key("expect"))
    }
    let upstream = serve(Router::new().route("/", post(length))).await;
    let sidecar = start(upstream);
    let mut stream = TcpStream::connect(sidecar.listen_addr()).await.unwrap();
    let request = "POST / HTTP/1.1\r\nHost: m\r\nConnection: close\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n";
    stream.write_all(request.as_bytes()).await.unwrap();
    assert_eq!(head(&mut stream).await, "HTTP/1.1 100 Continue\r\n\r\n");
    stream.write_all(b"hello").await.unwrap();
    let mut response = String::new();
    stream.read_to_string(&mut response).await.unwrap();
    assert!(response.starts_with("HTTP/1.1 200 OK\r\n"), "{response}");
    assert_eq!(body(&response), "5 false");
}

#[tokio::test]
async fn an_upgrade_passes_through() {
    async fn upgrade(mut request: Request) -> impl IntoResponse {
        let upgraded = hyper::upgrade::on(&mut request);
        tokio::spawn(async move {
            let mut stream = TokioIo::new(upgraded.await.unwrap());
            let mut ping = [0; 4];
            stream.read_exact(&mut ping).await.unwrap();
            stream.write_all(b"pong").await.unwrap();
        });
        (StatusCode::SWITCHING_PROTOCOLS, [("connection", "upgrade"), ("upgrade", "pingpong")])
    }
    let upstream = serve(Router::new().route("/", get(upgrade))).await;
    let sidecar = start(upstream);
    let mut stream = TcpStream::connect(sidecar.listen_addr()).await.unwrap();
    let request = "GET / HTTP/1.1\r\nHost: m\r\nConnection: Upgrade\r\nUpgrade: pingpong\r\n\r\n";
    stream.write_all(request.as_bytes()).await.unwrap();
    let answer = head(&mut stream).await;
    assert!(answer.starts_with("HTTP/1.1 101"), "{answer}");
    assert!(answer.contains("upgrade: pingpong"), "{answer}");
    stream.write_all(b"ping").await.unwrap();
    let mut rest = String::new();
    stream.read_to_string(&mut rest).await.unwrap();
    assert_eq!(rest, "pong");
}

#[tokio::test]
async fn an_upgrade_to_h2c_is_served_as_http1() {
    let upstream = serve(Router::new().fallback(any(echo_head))).await;
    let sidecar = start(upstream);
    let request = "GET / HTTP/1.1\r\nHost: m\r\nConnection: Upgrade, HTTP2-Settings, close\r\nUpgrade: h2c\r\n\
        HTTP2-Settings: AAMAAABk\r\n\r\n";
    let response = exchange(sidecar.listen_addr(), request).await;
    assert!(response.starts_with("HTTP/1.1 200"), "{response}");
    assert!(!body(&response).contains("h2c") && !body(&response).contains("http2-settings"), "{response}");
}

#[tokio::test]
async fn absolute_targets_are_served_and_connect_is_refused() {
    let upstream = serve(Router::new().fallback(any(echo_head))).await;
    let sidecar = start(upstream);
    let absolute = "GET http://models.example/a HTTP/1.1\r\nHost: other\r\nConnection: close\r\n\r\n";
    let response = exchange(sidecar.listen_addr(), absolute).await;
    assert!(body(&response).starts_with("GET /a "), "{response}");
    assert!(body(&response).contains("host: models.example"), "{response}");
    let tunnel = "CONNECT db.internal:5432 HTTP/1.1\r\nHost: db.internal:5432\r\nConnection: close\r\n\r\n";
    let response = exchange(sidecar.listen_addr(), tunnel).await;
    assert!(response.starts_with("HTTP/1.1 501"), "{response}");
}

#[tokio::test]
async fn head_keeps_the_length_of_the_body_that_it_does_not_get() {
    let upstream = serve(Router::new().route("/", get(|| async { "twelve bytes" }))).await;
    let sidecar = start(upstream);
    let response =
        exchange(sidecar.listen_addr(), "HEAD / HTTP/1.1\r\nHost: m\r\nConnection: close\r\n\r\n").await;
    assert!(response.contains("content-length: 12\r\n"), "{response}");
    assert_eq!(body(&response), "");
}

#[tokio::test]
async fn one_upstream_connection_serves_requests_one_after_another() {
    let connections = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let counted = connections.clone();
    let upstream = scripted(move |mut stream| {
        counted.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        async move {
            loop {
                head(&mut stream).await;
                stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").await.unwrap();
            }
        }
    })
    .await;
    let sidecar = start(upstream);
    let mut stream = TcpStream::connect(sidecar.listen_addr()).await.unwrap();
    for _ in 0..50 {
        stream.write_all(b"GET / HTTP/1.1\r\nHost: m\r\n\r\n").await.unwrap();
        head(&mut stream).await;
        let mut ok = [0; 2];
        stream.read_exact(&mut ok).await.unwrap();
    }
    assert_eq!(connections.load(std::sync::atomic::Ordering::SeqCst), 1);
}

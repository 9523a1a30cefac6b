use std::sync::atomic::{AtomicU64, Ordering};

use axum::{Router, body::Body, extract::Request, http::StatusCode, routing::any};
use tokio::sync::{Notify, Semaphore, mpsc};

use super::*;

const RECORDED: &str = r#"{"path":"/predict?x=1","headers":{"x-user-id":"u1"},"body":{"a":1},"label":"yes"}
{"path":"/healthz"}"#;

async fn serve(app: Router) -> SocketAddr {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    tokio::spawn(async { axum::serve(listener, app).await });
    addr
}

fn generator(rate: &str, target: SocketAddr) -> Generator {
    let recording = Recording::parse("inline", RECORDED).unwrap();
    Generator::to_addr(recording, rate.parse().unwrap(), target, 7).unwrap()
}

/// Stops the traffic after so many answers, and gives what the callback saw.
async fn until_answered(generator: Generator, answers: u64) -> Tally {
    let (seen, enough) = (AtomicU64::new(0), Arc::new(Notify::new()));
    let notify = Arc::clone(&enough);
    let on_answer: OnAnswer = Arc::new(move |_| {
        if seen.fetch_add(1, Ordering::Relaxed) + 1 == answers {
            notify.notify_one();
        }
    });
    generator.on_answer(on_answer).run(enough.notified()).await
}

#[tokio::test]
async fn what_was_recorded_arrives() {
    let (arrived, mut arrivals) = mpsc::unbounded_channel();
    let app = Router::new().fallback(any(move |request: Request| {
        let arrived = arrived.clone();
        async move {
            let (head, body) = request.into_parts();
            let body = axum::body::to_bytes(body, 1000).await.unwrap();
            let id = head.headers["x-request-id"].to_str().unwrap().to_owned();
            let line = format!("{} {} {}", head.method, head.uri, String::from_utf8_lossy(&body));
            let _ = arrived.send((id, line));
            StatusCode::CREATED
        }
    }));
    let limits = Limits { drain: Duration::from_secs(30), ..Limits::default() };
    let generator = generator("1000/s", serve(app).await).limits(limits);
    let tally = until_answered(generator, 20).await;
    assert!(tally.answered[&201] >= 20 && tally.failed.is_empty(), "{tally:?}");
    assert_eq!(tally.unfinished(), 0);
    let mut lines = std::collections::BTreeMap::new();
    for _ in 0..tally.sent {
        let (id, line) = arrivals.recv().await.unwrap();
        lines.insert(id, line);
    }
    let first: Vec<_> = (0..20).map(|number| lines[&format!("7-{number}")].as_str()).collect();
    let count = |text: &str| first.iter().filter(|line| **line == text).count();
    assert_eq!((count("POST /predict?x=1 {\"a\":1}"), count("GET /healthz ")), (10, 10));
}

#[tokio::test]
async fn a_server_that_never_answers_does_not_slow_the_generator() {
    let arrived = Arc::new(Semaphore::new(0));
    let gate = Arc::new(Semaphore::new(0));
    let (counter, wait) = (Arc::clone(&arrived), Arc::clone(&gate));
    let app = Router::new().fallback(any(move || async move {
        counter.add_permits(1);
        let _ = wait.acquire().await;
    }));
    let running = generator("500/s", serve(app).await).start();
    arrived.acquire_many(100).await.unwrap().forget();
    let waiting = running.tally();
    assert!(waiting.sent >= 100 && waiting.finished() == 0, "{waiting:?}");
    gate.close();
    let tally = running.stop().await;
    assert_eq!(tally.unfinished(), 0);
    let slowest = tally.latency.quantile(1.0).unwrap();
    assert!(slowest >= 0.15, "the first was due 99 intervals before the gate opened: {slowest}");
}

#[tokio::test]
async fn beyond_the_limit_requests_are_dropped_and_counted() {
    let app = Router::new().fallback(any(std::future::pending::<StatusCode>));
    let limits = Limits { in_flight: 5, drain: Duration::ZERO, ..Limits::default() };
    let running = generator("1000/s", serve(app).await).limits(limits).start();
    while running.tally().dropped < 20 {
        tokio::task::yield_now().await;
    }
    let tally = running.stop().await;
    assert_eq!((tally.sent, tally.unfinished()), (5, 5));
    assert!(tally.dropped >= 20);
}

#[tokio::test]
async fn each_failure_has_its_name() {
    let closed = {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        listener.local_addr().unwrap()
    };
    let silent = serve(Router::new().fallback(any(std::future::pending::<StatusCode>))).await;
    let large = serve(Router::new().fallback(any(async || "x".repeat(2000)))).await;
    let broken = serve(Router::new().fallback(any(async || {
        Body::new(http_body_util::StreamBody::new(tokio_stream::iter([Err::<
            http_body::Frame<bytes::Bytes>,
            _,
        >(std::io::Error::other(
            "cut",
        ))])))
    })))
    .await;
    let default = Limits { body: 1000, ..Limits::default() };
    let impatient = Limits { deadline: Duration::from_millis(50), ..default };
    for (target, failure, limits) in [
        (closed, Failure::Connect, default),
        (silent, Failure::Deadline, impatient),
        (large, Failure::TooLarge, default),
        (broken, Failure::Broken, default),
    ] {
        let tally = until_answered(generator("200/s", target).limits(limits), 3).await;
        assert!(tally.failed.get(&failure) >= Some(&3), "{failure:?}: {tally:?}");
        assert!(tally.answered.is_empty(), "{failure:?}: {tally:?}");
        assert_eq!(tally.error_share(), Some(1.0));
    }
}

#[test]
fn a_target_is_an_http_url() {
    let at = |target: &str| {
        let recording = Recording::parse("inline", RECORDED).unwrap();
        Generator::new(recording, "1/s".parse().unwrap(), target, 7)
    };
    for (target, part) in [
        ("", "write it like"),
        ("127.0.0.1:80", "must start with http://"),
        ("https://a", "must start with http://"),
        ("http://a/?q=1", "no query"),
        ("/relative", "must start with http://"),
    ] {
        let message = at(target).unwrap_err().to_string();
        assert!(message.contains(part), "{target}: {message}");
    }
    let uris = at("http://127.0.0.1:80/base/").unwrap().uris;
    assert_eq!(uris[0], "http://127.0.0.1:80/base/predict?x=1");
}

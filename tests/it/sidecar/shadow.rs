//! Faults on copies: whatever becomes of a shadow, callers get what they would have got.

use std::{sync::Arc, time::Duration};

use axum::{
    Router,
    body::Body,
    extract::Request,
    response::IntoResponse,
    routing::{any, post},
};
use bytes::Bytes;
use canard::{
    evidence::{PhaseEvidence, ShadowEvidence},
    layer::ArmError,
    scenario::{Source, compile},
    sidecar::Sidecar,
};
use futures_util::{StreamExt as _, future::join_all, stream};
use http::{StatusCode, header::CONTENT_TYPE};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    time::{Instant, sleep, timeout},
};

use super::{grpc, support::*};

const DEADLINE: Duration = Duration::from_secs(60);
const CALLERS: usize = 8;
const EACH: usize = 25;

fn scenario(mirror: Option<&str>, faults: &[&str]) -> String {
    let mirror = mirror.map_or(String::new(), |name| format!("mirror: {name}"));
    let inject: String = faults.iter().map(|fault| format!("      - fault: {fault}\n")).collect();
    format!(
        "name: s\ntarget: {{ protocol: open-inference }}\nexposure: {{ share: 100% }}\nrelease: {{ shadow: {{ {mirror} }} \
         }}\nphases:\n  - name: p\n    lasts: 10m\n    inject:\n{inject}"
    )
}

const EVERYTHING: [&str; 3] = [
    "{ mislabel: { rate: 100%, to: '0' } }",
    "{ error: { status: 503, rate: 30% } }",
    "{ latency: { fixed: 20ms } }",
];

/// Answers of every form: predictions, errors, streams, a large one, an echo.
fn model() -> Router {
    const ANSWER: &str = r#"{"model_name":"iris","outputs":[{"name":"predict","shape":[2],"datatype":"INT64","data":[2, 1]}]}"#;
    let events = || {
        let parts = (0..5).map(|n| format!("data: {{\"n\": {n}}}\n\n"));
        let stream = stream::iter(parts).then(async |part| {
            sleep(Duration::from_millis(2)).await;
            Ok::<_, std::convert::Infallible>(part)
        });
        ([(CONTENT_TYPE, "text/event-stream")], Body::from_stream(stream))
    };
    Router::new()
        .route("/v2/models/iris/infer", post(async |_: Bytes| ([(CONTENT_TYPE, "application/json")], ANSWER)))
        .route("/fails", post(async |_: Bytes| (StatusCode::INTERNAL_SERVER_ERROR, "it broke")))
        .route("/streams", post(async move |_: Bytes| events()))
        .route("/large", post(async |_: Bytes| vec![b'x'; 3 << 20]))
        .route("/unread", post(async || "not read"))
        .fallback(any(async |request: Request| request.into_body().into_response()))
}

const PATHS: [&str; 6] = ["/v2/models/iris/infer", "/fails", "/streams", "/large", "/unread", "/echo"];

/// A mirror that does everything that a mirror should not.
async fn mirror(kind: &str) -> std::net::SocketAddr {
    match kind {
        "hangs" => {
            scripted(|mut stream| async move { drop(stream.read_to_end(&mut Vec::new()).await) }).await
        }
        "fails" => serve(Router::new().fallback(any(async || StatusCode::INTERNAL_SERVER_ERROR))).await,
        // The port is free again when the listener is dropped.
        "refuses" => TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap(),
        "breaks" => {
            let script = |mut stream: TcpStream| async move {
                head(&mut stream).await;
                stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf").await.unwrap();
            };
            scripted(script).await
        }
        kind => panic!("{kind}"),
    }
}

async fn sidecar(upstream: std::net::SocketAddr, kind: &str) -> Sidecar {
    let mut config = config(upstream);
    config.candidates = vec![format!("next=http://{}", mirror(kind).await).parse().unwrap()];
    Sidecar::start(config).unwrap()
}

fn arm(sidecar: &Sidecar, scenario: &str) {
    let plan = compile(&Source::new("s.yaml", scenario)).unwrap_or_else(|errors| panic!("{errors}"));
    sidecar.rack().arm(Arc::new(plan), Duration::from_secs(300)).unwrap();
}

fn phase(sidecar: &Sidecar) -> PhaseEvidence {
    sidecar.rack().last_evidence().unwrap().phases[0].clone()
}

/// What was seen of shadows, once it is enough.
async fn shadows(sidecar: &Sidecar, enough: impl Fn(&ShadowEvidence) -> bool) -> ShadowEvidence {
    let seen = async {
        loop {
            match phase(sidecar).shadow {
                Some(seen) if enough(&seen) => return seen,
                _ => sleep(Duration::from_millis(20)).await,
            }
        }
    };
    timeout(DEADLINE, seen).await.unwrap_or_else(|_| panic!("{:?}", phase(sidecar).shadow))
}

fn total(seen: &ShadowEvidence) -> u64 {
    seen.pairs + seen.left_out.values().sum::<u64>()
}

/// Everything that callers get, at once from several connections, byte for byte; and how long the slowest waited.
async fn asked(sidecar: &Sidecar) -> (Vec<String>, Duration) {
    let address = sidecar.listen_addr();
    let caller = async |caller: usize| {
        let (mut got, mut slowest) = (Vec::new(), Duration::ZERO);
        for n in 0..EACH {
            let (path, body) = (PATHS[n % PATHS.len()], format!("{{\"caller\": {caller}, \"n\": {n}}}"));
            let request = format!(
                "POST {path} HTTP/1.1\r\nHost: m\r\nx-request-id: {caller}-{n}\r\nContent-Type: application/json\r\n\
                 Content-Length: {}\r\nConnection: close\r\n\r\n{body}",
                body.len()
            );
            let sent = Instant::now();
            let response = timeout(DEADLINE, exchange(address, &request)).await.unwrap();
            slowest = slowest.max(sent.elapsed());
            let dated = response.lines().filter(|line| !line.starts_with("date: "));
            got.push(dated.collect::<Vec<_>>().join("\n"));
        }
        (got, slowest)
    };
    let all = join_all((0..CALLERS).map(caller)).await;
    let slowest = all.iter().map(|(_, slowest)| *slowest).max().unwrap();
    (all.into_iter().flat_map(|(got, _)| got).collect(), slowest)
}

#[tokio::test]
async fn no_shadow_and_no_mirror_moves_a_byte_of_what_callers_get() {
    let upstream = serve(model()).await;
    let sidecar = sidecar(upstream, "hangs").await;
    let (plain, _) = asked(&sidecar).await;
    for (kind, wants) in [
        (None, &["503"][..]),
        (Some("hangs"), &[]),
        (Some("fails"), &["500", "503"]),
        (Some("refuses"), &["502", "503"]),
        (Some("breaks"), &["503", "broken"]),
    ] {
        let sidecar = self::sidecar(upstream, kind.unwrap_or("refuses")).await;
        arm(&sidecar, &scenario(kind.map(|_| "next"), &EVERYTHING));
        let (got, slowest) = asked(&sidecar).await;
        assert!(got == plain, "{kind:?}: callers got something else");
        assert!(slowest < Duration::from_secs(30), "{kind:?}: {slowest:?}");
        let asked = (CALLERS * EACH) as u64;
        let counted = |seen: &ShadowEvidence| total(seen) == asked;
        if kind == Some("hangs") {
            // Those of a mirror that hangs end with the lease; those that fail before they ask it have.
            sidecar.rack().stop();
            assert!(shadows(&sidecar, counted).await.left_out["disarmed"] > asked / 3, "{kind:?}");
            continue;
        }
        let seen = shadows(&sidecar, counted).await;
        // Nobody reads what `/unread` is asked, so that there is nothing whole to copy.
        let reasons: Vec<_> = seen.left_out.keys().filter(|why| *why != "not-whole").collect();
        assert!(reasons.is_empty() && seen.pairs > asked / 2, "{kind:?}: {:?}", seen.left_out);
        let of_true = seen.statuses.get("200").map(|row| row.keys().cloned().collect::<Vec<_>>());
        assert_eq!(of_true.unwrap_or_default(), wants, "{kind:?}: {:?}", seen.statuses);
        assert_eq!(phase(&sidecar).control.requests(), asked, "all callers count");
    }
}

#[tokio::test]
async fn grpc_calls_have_shadows_with_their_trailers() {
    let router = Router::new().fallback(any(|request| async move {
        Ok::<_, std::convert::Infallible>(grpc::infer(request).await)
    }));
    let upstream = serve(router).await;
    for mirror in [None, Some("next")] {
        let mut config = config(upstream);
        config.candidates = vec![format!("next=http://{upstream}").parse().unwrap()];
        let sidecar = Sidecar::start(config).unwrap();
        arm(&sidecar, &scenario(mirror, &["{ latency: { fixed: 5ms } }"]));
        let channel = grpc::channel(&sidecar).await;
        for number in 1..=10 {
            let answer = grpc::call(channel.clone(), number).await.unwrap();
            assert_eq!(answer.metadata().get("x-model").unwrap(), "double");
            assert_eq!(answer.into_inner(), number * 2);
        }
        let error = grpc::call(channel, 0).await.unwrap_err();
        assert_eq!((error.code(), error.message()), (tonic::Code::InvalidArgument, "zero has no double"));
        let seen = shadows(&sidecar, |seen| total(seen) == 11).await;
        assert_eq!(
            (seen.pairs, seen.statuses.len()),
            (11, 0),
            "{mirror:?}: the same status in trailers: {seen:?}"
        );
        assert_eq!(phase(&sidecar).treated.statuses, [(200, 10), (400, 1)].into(), "{mirror:?}");
    }
}

#[tokio::test]
async fn what_ends_half_way_ends_for_the_caller_alone() {
    let script = |mut stream: TcpStream| async move {
        head(&mut stream).await;
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf").await.unwrap();
        // It dies, or waits for its caller to go.
        if stream.read_u8().await.is_ok() {
            stream.read_u8().await.unwrap_err();
        }
    };
    let sidecar = start(scripted(script).await);
    arm(&sidecar, &scenario(None, &EVERYTHING));
    let ask = async |body: &str| {
        let mut caller = TcpStream::connect(sidecar.listen_addr()).await.unwrap();
        let request = format!("POST /a HTTP/1.1\r\nHost: m\r\nContent-Length: {}\r\n\r\n{body}", body.len());
        caller.write_all(request.as_bytes()).await.unwrap();
        head(&mut caller).await;
        let mut half = [0; 4];
        caller.read_exact(&mut half).await.unwrap();
        assert_eq!(&half, b"half");
        caller
    };
    // The caller hangs up.
    drop(ask("x").await);
    let seen = shadows(&sidecar, |seen| total(seen) == 1).await;
    assert_eq!(seen.left_out, [("not-whole".to_owned(), 1)].into());
    assert_eq!((phase(&sidecar).control.broken, phase(&sidecar).treated.requests()), (1, 0));
}

#[tokio::test]
async fn an_upstream_that_dies_half_way_is_as_dead_as_without_shadows() {
    let script = |mut stream: TcpStream| async move {
        head(&mut stream).await;
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf").await.unwrap();
    };
    let upstream = scripted(script).await;
    let ask = "GET /a HTTP/1.1\r\nHost: m\r\n\r\n";
    let plain = exchange(start(upstream).listen_addr(), ask).await;
    let sidecar = start(upstream);
    arm(&sidecar, &scenario(None, &EVERYTHING));
    assert_eq!(exchange(sidecar.listen_addr(), ask).await, plain);
    assert_eq!(shadows(&sidecar, |seen| total(seen) == 1).await.left_out["not-whole"], 1);
}

#[tokio::test]
async fn a_shadow_never_delays_a_drain_nor_holds_its_callers_connection() {
    let sidecar = start(serve(model()).await);
    arm(&sidecar, &scenario(None, &["{ hang: {} }"]));
    let request = "POST /echo HTTP/1.1\r\nHost: m\r\nConnection: close\r\nContent-Length: 1\r\n\r\nx";
    for _ in 0..5 {
        assert!(exchange(sidecar.listen_addr(), request).await.ends_with("\r\n\r\nx"));
    }
    assert_eq!(total(&phase(&sidecar).shadow.unwrap()), 0, "they hang");
    let rack = sidecar.rack().clone();
    let start = Instant::now();
    sidecar.shutdown().await;
    assert!(start.elapsed() < Duration::from_secs(10), "{:?}", start.elapsed());
    let seen = rack.last_evidence().unwrap().phases[0].shadow.clone().unwrap();
    assert_eq!((seen.pairs, seen.left_out["disarmed"]), (0, 5));
}

#[tokio::test]
async fn a_mirror_that_the_sidecar_does_not_have_is_refused() {
    let sidecar = start(serve(model()).await);
    let plan = compile(&Source::new("s.yaml", scenario(Some("last"), &EVERYTHING))).unwrap();
    let refused = sidecar.rack().arm(Arc::new(plan), Duration::from_secs(9)).unwrap_err();
    assert_eq!(refused, ArmError::NoMirror("last".into()));
}

//! The layer over scripted services, on a paused clock.

use std::{
    convert::Infallible,
    pin::Pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderMap, Request, Response, StatusCode, header};
use http_body::{Body, Frame};
use http_body_util::{BodyExt, Full};
use tokio::time::Instant;
use tower::{Layer, Service, ServiceExt, service_fn};

use super::*;
use crate::{
    draw::Key,
    evidence::{ArmEvidence, FaultEvidence, Ledger},
    exposure::Arm,
    fault::Fault,
    scenario::{Condition, Document, Exposure, Injection, Phase, Plan, Target},
    unit::Share,
    wire::{Labels, Outputs},
};

const INFER: &str = "/v2/models/iris/infer";
const ANSWER: &str =
    r#"{"model_name":"iris","outputs":[{"name":"predict","shape":[2],"datatype":"INT64","data":[2, 1]}]}"#;

/// A plan of one phase of a minute, every request its own unit, everybody treated.
pub(super) fn plan(faults: &[&str]) -> Plan {
    shared_plan(faults, Share::ALL)
}

fn shared_plan(faults: &[&str], share: Share) -> Plan {
    let document: Document = serde_json::from_str(
        r#"{"name": "test", "seed": 7, "target": {"protocol": "open-inference"}, "phases": []}"#,
    )
    .unwrap();
    let injections = faults.iter().enumerate().map(|(i, text)| {
        let fault: Fault = serde_json::from_str(text).unwrap();
        Injection {
            id: format!("broken/{}", fault.name()),
            mark: http::HeaderValue::from_str(&format!("test/{}", fault.name())).unwrap(),
            ramp: Duration::ZERO,
            share,
            key: Key::new(7, &format!("broken/{i}/{}", fault.name())),
            fault,
        }
    });
    Plan {
        target: Target {
            codec: document.target.protocol.codec(&Outputs::default()),
            protocol: document.target.protocol.clone(),
            labels: Labels::default(),
            when: Condition::default(),
        },
        exposure: Exposure { unit: None, share, key: Key::new(7, "exposure/test") },
        traffic: None,
        phases: vec![
            Phase {
                name: "broken".into(),
                start: Duration::ZERO,
                end: Duration::from_secs(60),
                injections: injections.collect(),
                expectations: Vec::new(),
            },
            Phase {
                name: "recovery".into(),
                start: Duration::from_secs(60),
                end: Duration::from_secs(120),
                injections: Vec::new(),
                expectations: Vec::new(),
            },
        ],
        guards: Vec::new(),
        document,
    }
}

const TTL: Duration = Duration::from_secs(30);

fn armed(faults: &[&str]) -> (Handle, LeaseId) {
    let handle = Handle::default();
    let lease = handle.arm(Arc::new(plan(faults)), TTL).unwrap();
    (handle, lease)
}

fn request(id: &str) -> Request<Full<Bytes>> {
    Request::post(INFER).header("x-request-id", id).body(Full::from("{}")).unwrap()
}

fn answer(body: impl Into<Bytes>) -> Response<Full<Bytes>> {
    let body = body.into();
    Response::builder()
        .header(header::CONTENT_TYPE, "application/json")
        .header(header::CONTENT_LENGTH, body.len())
        .body(Full::new(body))
        .unwrap()
}

/// Calls a layered service that answers with `ANSWER`; gives the response and how often it was asked.
async fn call(
    handle: &Handle,
    request: Request<Full<Bytes>>,
) -> (Response<ResponseBody<Full<Bytes>>>, usize) {
    let asked = AtomicUsize::new(0);
    let service = service_fn(|_: Request<RequestBody<Full<Bytes>>>| {
        asked.fetch_add(1, Ordering::Relaxed);
        async { Ok::<_, Infallible>(answer(ANSWER)) }
    });
    let response = ChaosLayer::new(handle.clone()).layer(service).oneshot(request).await.unwrap();
    (response, asked.into_inner())
}

async fn text<R>(response: Response<ResponseBody<R>>) -> String
where
    R: Body,
    R::Error: Into<BoxError>,
{
    String::from_utf8(response.into_body().collect().await.unwrap().to_bytes().to_vec()).unwrap()
}

fn fault(handle: &Handle) -> FaultEvidence {
    handle.evidence().unwrap().phases[0].faults[0].clone()
}

fn treated(handle: &Handle) -> ArmEvidence {
    handle.evidence().unwrap().phases[0].treated.clone()
}

#[tokio::test]
async fn disarmed_everything_passes_and_nothing_is_cloned() {
    struct NoClone;
    impl Clone for NoClone {
        fn clone(&self) -> Self {
            panic!("a disarmed layer clones its service")
        }
    }
    impl Service<Request<RequestBody<Full<Bytes>>>> for NoClone {
        type Response = Response<Full<Bytes>>;
        type Error = Infallible;
        type Future = std::future::Ready<Result<Self::Response, Infallible>>;
        fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
            Poll::Ready(Ok(()))
        }
        fn call(&mut self, _: Request<RequestBody<Full<Bytes>>>) -> Self::Future {
            std::future::ready(Ok(answer(ANSWER)))
        }
    }
    let handle = Handle::default();
    let mut service = ChaosLayer::new(handle.clone()).layer(NoClone);
    let response = service.ready().await.unwrap().call(request("a")).await.unwrap();
    assert!(response.headers().get("x-canard").is_none());
    assert!(response.extensions().get::<Exposed>().is_none());
    assert_eq!(text(response).await, ANSWER);
    assert_eq!(handle.evidence(), None);
}

#[tokio::test(start_paused = true)]
async fn an_error_is_answered_without_asking_the_upstream() {
    let (handle, _) = armed(&[r#"{"error": {"status": 503, "retry-after": "2s"}}"#]);
    let (response, asked) = call(&handle, request("a")).await;
    assert_eq!((response.status(), asked), (StatusCode::SERVICE_UNAVAILABLE, 0));
    assert_eq!(response.headers()["retry-after"], "2");
    assert_eq!(response.headers()["x-canard"], "test/error");
    assert_eq!(response.extensions().get(), Some(&Exposed { arm: Arm::Treated }));
    text(response).await;
    assert_eq!(treated(&handle).statuses, [(503, 1)].into());
    let counts = fault(&handle);
    assert_eq!((counts.eligible, counts.exposed, counts.perturbed), (1, 1, 1));
    let lines = handle.ledger().lines();
    assert_eq!(lines.len(), 1);
    assert_eq!((lines[0].request.as_deref(), lines[0].change.as_str()), (Some("a"), "status 503"));
}

#[tokio::test(start_paused = true)]
async fn an_error_after_the_upstream_asks_it_first() {
    let (handle, _) = armed(&[r#"{"error": {"status": 500, "after": "upstream"}}"#]);
    let (response, asked) = call(&handle, request("a")).await;
    assert_eq!((response.status(), asked), (StatusCode::INTERNAL_SERVER_ERROR, 1));
}

#[tokio::test(start_paused = true)]
async fn a_grpc_error_is_trailers_only() {
    let (handle, _) = armed(&[r#"{"error": {"status": 503}}"#]);
    let mut grpc = request("a");
    grpc.headers_mut().insert(header::CONTENT_TYPE, "application/grpc+proto".parse().unwrap());
    let (response, _) = call(&handle, grpc).await;
    assert_eq!(
        (response.status(), &response.headers()["grpc-status"]),
        (StatusCode::OK, &"14".parse().unwrap())
    );
    text(response).await;
    assert_eq!(treated(&handle).statuses, [(503, 1)].into(), "evidence knows it for the failure that it is");
}

#[tokio::test(start_paused = true)]
async fn delays_before_and_after_add_up_and_show_in_the_evidence() {
    let (handle, _) =
        armed(&[r#"{"latency": {"fixed": "200ms"}}"#, r#"{"latency": {"fixed": "100ms", "when": "after"}}"#]);
    let start = Instant::now();
    let (response, asked) = call(&handle, request("a")).await;
    assert_eq!((start.elapsed().as_millis(), asked), (300, 1));
    assert_eq!(response.headers().get_all("x-canard").iter().count(), 2);
    assert_eq!(text(response).await, ANSWER);
    assert!((treated(&handle).latency.mean().unwrap() - 0.3).abs() < 0.01);
}

#[tokio::test(start_paused = true)]
async fn a_sleeper_wakes_when_the_lease_runs_out_and_not_before() {
    for (fault, asked_after) in
        [(r#"{"hang": {}}"#, 30), (r#"{"latency": {"fixed": "40s"}}"#, 30), (r#"{"hang": {"for": "3s"}}"#, 3)]
    {
        let (handle, _) = armed(&[fault]);
        let start = Instant::now();
        let (response, asked) = call(&handle, request("a")).await;
        assert_eq!((start.elapsed().as_secs(), asked), (asked_after, 1), "{fault}");
        assert_eq!(text(response).await, ANSWER);
        assert_eq!(handle.status().lease.is_none(), asked_after == 30);
        assert_eq!(handle.is_armed(), asked_after != 30);
    }
}

#[tokio::test(start_paused = true)]
async fn a_renewed_lease_keeps_sleepers_asleep_until_the_plan_ends() {
    let (handle, lease) = armed(&[r#"{"hang": {}}"#]);
    let start = Instant::now();
    let renewals = async {
        for _ in 0..10 {
            tokio::time::sleep(Duration::from_secs(20)).await;
            if handle.renew(lease, TTL).is_err() {
                break;
            }
        }
    };
    let (_, (response, _)) = tokio::join!(renewals, call(&handle, request("a")));
    // The hang is over with the plan (120 s), not with the first lease (30 s).
    assert!(start.elapsed() >= Duration::from_secs(120));
    assert_eq!(text(response).await, ANSWER);
}

#[tokio::test(start_paused = true)]
async fn a_hang_ends_with_the_plan_when_the_lease_does_not() {
    let (handle, lease) = armed(&[r#"{"hang": {}}"#]);
    handle.renew(lease, Duration::from_secs(300)).unwrap();
    let start = Instant::now();
    call(&handle, request("a")).await;
    assert_eq!(start.elapsed().as_secs(), 120);
    let (_, asked) = call(&handle, request("b")).await;
    assert_eq!(asked, 1, "nothing acts after the end");
}

#[tokio::test(start_paused = true)]
async fn disarm_wakes_sleepers_at_once() {
    let (handle, lease) = armed(&[r#"{"hang": {}}"#]);
    let start = Instant::now();
    let disarm = async {
        tokio::time::sleep(Duration::from_millis(1500)).await;
        handle.disarm(lease).unwrap();
    };
    let (_, (response, asked)) = tokio::join!(disarm, call(&handle, request("a")));
    assert_eq!((start.elapsed().as_millis(), asked), (1500, 1));
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(handle.disarm(lease), Err(ArmError::NoSuchLease));
}

#[tokio::test(start_paused = true)]
async fn one_lease_at_a_time_and_only_sane_times_to_live() {
    let (handle, lease) = armed(&[]);
    let second = || handle.arm(Arc::new(plan(&[])), TTL);
    assert_eq!(second(), Err(ArmError::AlreadyArmed("test".into())));
    let longest = handle.limits().lease;
    for ttl in [Duration::ZERO, longest + Duration::from_secs(1)] {
        assert_eq!(handle.renew(lease, ttl), Err(ArmError::TimeToLive(longest)));
    }
    tokio::time::advance(TTL).await;
    assert_eq!(handle.renew(lease, TTL), Err(ArmError::NoSuchLease));
    let next = second().unwrap();
    assert_ne!(next, lease);
    assert_eq!(handle.disarm(lease), Err(ArmError::NoSuchLease), "an old lease ends nothing");
    handle.stop();
    assert!(handle.status().lease.is_none());
}

#[tokio::test(start_paused = true)]
async fn a_skip_moves_the_timeline() {
    let (handle, lease) = armed(&[r#"{"error": {"status": 503}}"#]);
    assert_eq!(call(&handle, request("a")).await.0.status(), 503);
    tokio::time::advance(Duration::from_secs(5)).await;
    handle.skip_to(lease, "recovery").unwrap();
    let status = handle.status().lease.unwrap();
    assert_eq!((status.phase.as_deref(), status.position_s), (Some("recovery"), 60.0));
    assert!(status.faults.is_empty());
    assert_eq!(call(&handle, request("a")).await.0.status(), 200);
    assert_eq!(handle.skip_to(lease, "x"), Err(ArmError::NoSuchPhase("x".into())));
}

#[tokio::test(start_paused = true)]
async fn the_same_seed_decides_alike_in_any_order_and_control_is_left_alone() {
    let decide = async |ids: Vec<u32>| {
        let half = Share::new(0.5).unwrap();
        let handle = Handle::default();
        let plan = shared_plan(&[r#"{"error": {"status": 503, "rate": "50%"}}"#], half);
        handle.arm(Arc::new(plan), TTL).unwrap();
        let mut failed = Vec::new();
        for id in ids {
            let (response, _) = call(&handle, request(&id.to_string())).await;
            let arm = response.extensions().get::<Exposed>().unwrap().arm;
            if response.status() == 503 {
                assert_eq!(arm, Arm::Treated);
                failed.push(id);
            }
        }
        failed.sort_unstable();
        failed
    };
    let failed = decide((0..200).collect()).await;
    assert_eq!(failed, decide((0..200).rev().collect()).await);
    assert!((30..70).contains(&failed.len()), "{}", failed.len());
}

#[tokio::test(start_paused = true)]
async fn a_reset_breaks_the_body_where_it_says() {
    for (fault, passed) in [
        (r#"{"reset": {}}"#, 0),
        (r#"{"reset": {"after-bytes": 10}}"#, 10),
        (r#"{"reset": {"after-bytes": 100000}}"#, ANSWER.len() - 1),
    ] {
        let (handle, _) = armed(&[fault]);
        let (response, asked) = call(&handle, request("a")).await;
        assert_eq!(asked, 1);
        let mut body = response.into_body();
        let mut seen = 0;
        let error = loop {
            assert!(!body.is_end_stream());
            match body.frame().await.unwrap() {
                Ok(frame) => seen += frame.data_ref().unwrap().len(),
                Err(error) => break error,
            }
        };
        assert_eq!(seen, passed);
        assert!(error.is::<ConnectionCut>());
        drop(body);
        assert_eq!((treated(&handle).broken, fault_counts(&handle)), (1, 1));
    }
}

fn fault_counts(handle: &Handle) -> u64 {
    fault(handle).perturbed
}

#[tokio::test(start_paused = true)]
async fn a_reset_before_the_head_asks_the_server_for_an_abort() {
    let (handle, _) = armed(&[r#"{"reset": {}}"#]);
    let abort = Abort::new();
    let mut asks = request("a");
    asks.extensions_mut().insert(abort.clone());
    call(&handle, asks).await;
    assert!(abort.is_aborted());
}

#[tokio::test(start_paused = true)]
async fn a_caller_that_gives_up_during_a_hang_counts_as_broken() {
    let (handle, _) = armed(&[r#"{"hang": {}}"#]);
    let given_up = tokio::time::timeout(Duration::from_secs(2), call(&handle, request("a"))).await;
    assert!(given_up.is_err());
    assert_eq!((treated(&handle).broken, fault(&handle).perturbed), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn the_first_fault_that_fails_a_request_has_it() {
    let (handle, _) = armed(&[r#"{"error": {"status": 503}}"#, r#"{"hang": {}}"#]);
    let (response, _) = call(&handle, request("a")).await;
    assert_eq!(response.status(), 503);
    let faults = handle.evidence().unwrap().phases[0].faults.clone();
    assert_eq!(faults[1].skipped, [("superseded".to_owned(), 1)].into());
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn without_a_ledger_nothing_is_injected() {
    let ledger = Ledger::file(std::path::Path::new("/dev/full"), 8).unwrap();
    let handle = Handle::with_ledger(Limits::default(), ledger.clone());
    handle.arm(Arc::new(plan(&[r#"{"error": {"status": 503}}"#])), TTL).unwrap();
    assert_eq!(call(&handle, request("a")).await.0.status(), 503);
    assert!(ledger.flush().await.is_err());
    assert_eq!(call(&handle, request("a")).await.0.status(), 200);
    assert_eq!(fault(&handle).skipped, [("ledger-broken".to_owned(), 1)].into());
}

#[tokio::test]
async fn requests_without_an_identity_are_numbered_and_counted() {
    let (handle, _) = armed(&[]);
    let mut anonymous = request("a");
    anonymous.headers_mut().remove("x-request-id");
    call(&handle, anonymous).await;
    assert_eq!(handle.evidence().unwrap().without_identity, 1);
}

/// A body whose frames come when the test sends them.
struct ChannelBody(tokio::sync::mpsc::Receiver<Result<Frame<Bytes>, std::io::Error>>);

impl Body for ChannelBody {
    type Data = Bytes;
    type Error = std::io::Error;
    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, std::io::Error>>> {
        self.0.poll_recv(cx)
    }
}

#[tokio::test]
async fn a_stream_passes_frame_by_frame_with_its_trailers() {
    let (handle, _) = armed(&[r#"{"latency": {"fixed": "1ms"}}"#]);
    let (sender, receiver) = tokio::sync::mpsc::channel::<Result<Frame<Bytes>, std::io::Error>>(1);
    let receiver = Mutex::new(Some(receiver));
    let service = service_fn(|_: Request<RequestBody<Full<Bytes>>>| {
        let body = ChannelBody(receiver.lock().unwrap().take().unwrap());
        async { Ok::<_, Infallible>(Response::new(body)) }
    });
    let response = ChaosLayer::new(handle).layer(service).oneshot(request("a")).await.unwrap();
    let mut body = response.into_body();
    for piece in ["data: 1\n\n", "data: 2\n\n"] {
        sender.send(Ok(Frame::data(Bytes::from_static(piece.as_bytes())))).await.unwrap();
        assert_eq!(body.frame().await.unwrap().unwrap().into_data().unwrap(), piece);
    }
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", "0".parse().unwrap());
    sender.send(Ok(Frame::trailers(trailers.clone()))).await.unwrap();
    drop(sender);
    assert_eq!(body.frame().await.unwrap().unwrap().into_trailers().unwrap(), trailers);
    assert!(body.frame().await.is_none());
}

#[tokio::test]
async fn an_edit_changes_the_prediction_and_nothing_else() {
    let (handle, _) = armed(&[r#"{"mislabel": {"rate": "100%", "to": "0"}}"#]);
    let (response, _) = call(&handle, request("a")).await;
    assert_eq!(response.headers()["x-canard"], "test/mislabel");
    let edited = ANSWER.replace("[2, 1]", "[0, 0]");
    assert_eq!(response.headers()[header::CONTENT_LENGTH], edited.len().to_string());
    assert_eq!(text(response).await, edited);
    assert_eq!((fault(&handle).perturbed, fault(&handle).predictions), (1, 2));
    assert_eq!(handle.ledger().lines()[0].change, "2 predictions");
    assert_eq!(treated(&handle).labels, [("0".to_owned(), 2)].into());
}

/// Answers with `response` to one request under a mislabel fault; gives what the caller got, and why not.
async fn edited<R>(
    limits: Limits,
    method: &str,
    response: Response<R>,
) -> (Result<String, String>, Option<String>)
where
    R: Body + Unpin,
    R::Error: Into<BoxError>,
{
    let handle = Handle::new(limits);
    handle.arm(Arc::new(plan(&[r#"{"mislabel": {"rate": "100%", "to": "0"}}"#])), TTL).unwrap();
    let response = Mutex::new(Some(response));
    let service = service_fn(|_: Request<RequestBody<Full<Bytes>>>| {
        let response = response.lock().unwrap().take().unwrap();
        async { Ok::<_, Infallible>(response) }
    });
    let mut request = request("a");
    *request.method_mut() = method.parse().unwrap();
    let response = ChaosLayer::new(handle.clone()).layer(service).oneshot(request).await.unwrap();
    let (mut seen, mut body) = (String::new(), response.into_body());
    let outcome = loop {
        match body.frame().await {
            None => break Ok(()),
            Some(Err(error)) => break Err(error),
            Some(Ok(frame)) => seen.extend(frame.data_ref().map(|d| String::from_utf8_lossy(d).into_owned())),
        }
    };
    let why = fault(&handle).skipped.into_keys().next();
    (outcome.map(|()| seen.clone()).map_err(|error| format!("{seen}!{error}")), why)
}

#[tokio::test]
async fn what_cannot_be_edited_passes_as_it_came_and_says_why() {
    let with = |name: &'static str, value: &'static str| {
        let mut response = answer(ANSWER);
        response.headers_mut().insert(name, value.parse().unwrap());
        response
    };
    let status = |status: u16| {
        let mut response = answer(ANSWER);
        *response.status_mut() = status.try_into().unwrap();
        response
    };
    for (response, reason) in [
        (answer("not json at all"), "malformed-body"),
        (answer(""), "malformed-body"),
        (answer("\u{0}{\"outputs\": [["), "malformed-body"),
        (answer(r#"{"error": "no such model"}"#), "no-prediction"),
        (with("content-digest", "sha-256=:AAAA:"), "checksum"),
        (with("etag", "\"strong\""), "checksum"),
        (with("content-type", "text/event-stream"), "stream"),
        (status(500), "error-status"),
        (status(206), "partial-content"),
    ] {
        let body = response.body().clone().collect().await.unwrap().to_bytes();
        let (got, why) = edited(Limits::default(), "POST", response).await;
        assert_eq!((got.unwrap().as_bytes(), why.as_deref()), (&body[..], Some(reason)));
    }
    let (_, why) = edited(Limits::default(), "HEAD", answer("")).await;
    assert_eq!(why.as_deref(), Some("not-a-prediction"));
}

#[tokio::test]
async fn a_body_over_the_limit_streams_on() {
    let limits = Limits { body: 40, ..Limits::default() };
    let (got, why) = edited(limits.clone(), "POST", answer(ANSWER)).await;
    assert_eq!((got.as_deref(), why.as_deref()), (Ok(ANSWER), Some("body-too-large")));
    let (sender, receiver) = tokio::sync::mpsc::channel(16);
    for piece in ANSWER.as_bytes().chunks(16) {
        sender.try_send(Ok(Frame::data(Bytes::copy_from_slice(piece)))).unwrap();
    }
    drop(sender);
    let (got, why) = edited(limits, "POST", Response::new(ChannelBody(receiver))).await;
    assert_eq!((got.as_deref(), why.as_deref()), (Ok(ANSWER), Some("body-too-large")));
}

#[tokio::test]
async fn an_upstream_that_dies_in_mid_body_looks_the_same_to_the_caller() {
    let (sender, receiver) = tokio::sync::mpsc::channel(4);
    sender.try_send(Ok(Frame::data(Bytes::from_static(b"{\"outputs\"")))).unwrap();
    sender.try_send(Err(std::io::Error::other("gone"))).unwrap();
    let (got, why) = edited(Limits::default(), "POST", Response::new(ChannelBody(receiver))).await;
    assert_eq!(got.unwrap_err(), "{\"outputs\"!gone");
    assert_eq!(why.as_deref(), Some("upstream-broke"));
}

#[tokio::test]
async fn an_edit_keeps_trailers() {
    let (handle, _) = armed(&[r#"{"mislabel": {"rate": "100%", "to": "0"}}"#]);
    let (sender, receiver) = tokio::sync::mpsc::channel(64);
    let receiver = Mutex::new(Some(receiver));
    let service = service_fn(|_: Request<RequestBody<Full<Bytes>>>| {
        let body = ChannelBody(receiver.lock().unwrap().take().unwrap());
        async { Ok::<_, Infallible>(Response::new(body)) }
    });
    for piece in ANSWER.as_bytes().chunks(7) {
        sender.try_send(Ok(Frame::data(Bytes::copy_from_slice(piece)))).unwrap();
    }
    let mut trailers = HeaderMap::new();
    trailers.insert("x-took", "3".parse().unwrap());
    sender.try_send(Ok(Frame::trailers(trailers.clone()))).unwrap();
    drop(sender);
    let response = ChaosLayer::new(handle).layer(service).oneshot(request("a")).await.unwrap();
    let whole = response.into_body().collect().await.unwrap();
    assert_eq!(whole.trailers(), Some(&trailers));
    assert_eq!(whole.to_bytes(), ANSWER.replace("[2, 1]", "[0, 0]"));
}

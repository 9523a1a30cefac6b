//! Bodies that are read for a plan: released with the lease, never streams, nothing polled after its end.

use super::*;

const LOOKS: &str = r#"request.body.inputs[0].name == "petal""#;

/// An armed plan of one error fault that looks into request bodies.
fn looking() -> (Handle, LeaseId) {
    let mut plan = plan(&[r#"{"error": {"status": 503}}"#]);
    plan.target.when = Condition::compile(LOOKS).unwrap();
    let handle = Handle::default();
    let lease = handle.arm(Arc::new(plan), TTL).unwrap();
    (handle, lease)
}

type Frames = tokio::sync::mpsc::Sender<Result<Frame<Bytes>, std::io::Error>>;

fn channel() -> (Frames, ChannelBody) {
    let (sender, receiver) = tokio::sync::mpsc::channel(64);
    (sender, ChannelBody(receiver))
}

fn piece(text: &'static str) -> Result<Frame<Bytes>, std::io::Error> {
    Ok(Frame::data(Bytes::from_static(text.as_bytes())))
}

fn not_assigned(handle: &Handle) -> Vec<(String, u64)> {
    handle.evidence().unwrap().not_assigned.into_iter().collect()
}

/// Asks a service that echoes the request's body.
async fn echo<B: Body + Unpin>(handle: &Handle, request: Request<B>) -> Response<ResponseBody<RequestBody<B>>>
where
    B::Error: Into<BoxError>,
{
    let service = service_fn(|request: Request<RequestBody<B>>| async {
        Ok::<_, Infallible>(Response::new(request.into_body()))
    });
    ChaosLayer::new(handle.clone()).layer(service).oneshot(request).await.unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_request_whose_body_is_awaited_passes_when_the_lease_is_over() {
    for disarmed_after in [Some(3), None] {
        let (handle, lease) = looking();
        let (sender, body) = channel();
        sender.try_send(piece("one ")).unwrap();
        let start = Instant::now();
        let end = async {
            tokio::time::sleep(Duration::from_secs(disarmed_after.unwrap_or(60))).await;
            _ = handle.disarm(lease);
        };
        let answered = async {
            let response = echo(&handle, Request::post(INFER).body(body).unwrap()).await;
            let released = start.elapsed().as_secs();
            sender.send(piece("two")).await.unwrap();
            drop(sender);
            (released, text(response).await)
        };
        let (_, answered) = tokio::join!(end, answered);
        assert_eq!(answered, (disarmed_after.unwrap_or(TTL.as_secs()), "one two".into()));
        assert_eq!(not_assigned(&handle), [("disarmed".into(), 1)]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_response_that_is_read_for_an_edit_streams_on_when_the_lease_is_over() {
    let (handle, lease) = armed(&[r#"{"mislabel": {"rate": "100%", "to": "0"}}"#]);
    let (sender, body) = channel();
    sender.try_send(piece(&ANSWER[..20])).unwrap();
    let body = Mutex::new(Some(body));
    let service = service_fn(|_: Request<RequestBody<Full<Bytes>>>| {
        let body = body.lock().unwrap().take().unwrap();
        async { Ok::<_, Infallible>(Response::new(body)) }
    });
    let start = Instant::now();
    let end = async {
        tokio::time::sleep(Duration::from_secs(3)).await;
        handle.disarm(lease).unwrap();
    };
    let answered = async {
        let response = ChaosLayer::new(handle.clone()).layer(service).oneshot(request("a")).await.unwrap();
        assert_eq!(start.elapsed().as_secs(), 3);
        sender.send(piece(&ANSWER[20..])).await.unwrap();
        drop(sender);
        text(response).await
    };
    assert_eq!(tokio::join!(end, answered).1, ANSWER);
    assert_eq!(fault(&handle).skipped, [("disarmed".to_owned(), 1)].into());
}

#[tokio::test(start_paused = true)]
async fn only_json_is_read_for_a_condition() {
    for kind in [
        "application/grpc",
        "Application/GRPC-Web",
        "application/x-ndjson",
        "text/plain",
        "application/stream+json",
    ] {
        let (handle, _) = looking();
        let (sender, body) = channel();
        let request = Request::post(INFER).header("content-type", kind).body(body).unwrap();
        let start = Instant::now();
        let response = echo(&handle, request).await;
        assert_eq!((response.status(), start.elapsed()), (StatusCode::OK, Duration::ZERO), "{kind}");
        drop(sender);
    }
    let names = r#"{"inputs": [{"name": "petal"}]}"#;
    for kind in [Some("application/json"), Some("APPLICATION/vnd.x+JSON; charset=utf-8"), None] {
        let (handle, _) = looking();
        let mut request =
            Request::post(INFER).header("x-request-id", "a").body(Full::<Bytes>::from(names)).unwrap();
        if let Some(kind) = kind {
            request.headers_mut().insert("content-type", kind.parse().unwrap());
        }
        assert_eq!(echo(&handle, request).await.status(), 503, "{kind:?}");
    }
}

#[tokio::test]
async fn a_body_that_no_condition_can_read_is_counted_and_passes() {
    for (body, coding) in [
        ("{not json", "identity"),
        (r#"{"inputs": [NaN]}"#, "identity"),
        ("not gzip", "gzip"),
        ("whatever", "br"),
    ] {
        let (handle, _) = looking();
        let request =
            Request::post(INFER).header("content-encoding", coding).body(Full::<Bytes>::from(body)).unwrap();
        assert_eq!(text(echo(&handle, request).await).await, body);
        assert_eq!(not_assigned(&handle), [("request-body-unreadable".into(), 1)], "{body}");
    }
}

/// Panics when it is polled after its end.
struct Once(Option<&'static str>, bool);

impl Body for Once {
    type Data = Bytes;
    type Error = Infallible;
    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        assert!(!self.1, "polled after its end");
        let data = self.0.take();
        self.1 = data.is_none();
        Poll::Ready(data.map(|data| Ok(Frame::data(Bytes::from_static(data.as_bytes())))))
    }
}

#[tokio::test]
async fn a_body_that_was_read_is_not_polled_after_its_end() {
    let (handle, _) = looking();
    let names = r#"{"inputs": [{"name": "sepal"}]}"#;
    let response = echo(&handle, Request::post(INFER).body(Once(Some(names), false)).unwrap()).await;
    assert_eq!(text(response).await, names);
    let (handle, _) = armed(&[r#"{"mislabel": {"rate": "100%", "to": "0"}}"#]);
    let service = service_fn(|_: Request<RequestBody<Full<Bytes>>>| async {
        Ok::<_, Infallible>(Response::new(Once(Some("not json"), false)))
    });
    let response = ChaosLayer::new(handle).layer(service).oneshot(request("a")).await.unwrap();
    assert_eq!(response.body().size_hint().exact(), Some(8));
    assert_eq!(text(response).await, "not json");
}

#[tokio::test]
async fn frames_without_bytes_take_no_memory_and_tiny_ones_some() {
    let mut held = super::super::request_body::Held::<Infallible>::default();
    (0..100).for_each(|_| held.push(Frame::data(Bytes::new())));
    assert!(held.frames.is_empty());
    let (sender, body) = channel();
    (0..60).for_each(|_| sender.try_send(piece("x")).unwrap());
    drop(sender);
    let handle = Handle::new(Limits { body: 1 << 10, ..Limits::default() });
    let mut plan = plan(&[]);
    plan.target.when = Condition::compile(LOOKS).unwrap();
    handle.arm(Arc::new(plan), TTL).unwrap();
    let response = echo(&handle, Request::post(INFER).body(body).unwrap()).await;
    assert_eq!(text(response).await, "x".repeat(60));
    assert_eq!(not_assigned(&handle), [("request-body-too-large".into(), 1)]);
}

/// Whatever may go on without end is never held back to be read as a whole.
#[test]
fn streams_are_known_by_their_type() {
    let is_stream = |media: &'static str| {
        let headers = [(header::CONTENT_TYPE, http::HeaderValue::from_static(media))].into_iter().collect();
        crate::layer::edit::is_stream(&headers)
    };
    for media in [
        "text/event-stream; charset=utf-8",
        "application/x-ndjson",
        "application/ndjson",
        "application/jsonl",
        "Application/JsonLines",
        "application/grpc",
        "application/grpc-web+proto",
        "application/stream+json",
        "multipart/x-mixed-replace; boundary=b",
    ] {
        assert!(is_stream(media), "{media}");
    }
    for media in ["application/json", "text/csv", "application/octet-stream", "text/plain"] {
        assert!(!is_stream(media), "{media}");
    }
}

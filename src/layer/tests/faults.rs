//! What each fault does to a request.

use super::*;

#[tokio::test(start_paused = true)]
async fn an_error_is_answered_without_asking_the_upstream() {
    let (handle, _) = armed(&[r#"{"error": {"status": 503, "retry-after": "2s"}}"#]);
    let (response, asked) = call(&handle, request("a")).await;
    assert_eq!((response.status(), asked), (StatusCode::SERVICE_UNAVAILABLE, 0));
    assert_eq!(response.headers()["retry-after"], "2");
    assert_eq!(response.headers()["x-canard"], "test/error");
    assert_eq!(response.extensions().get(), Some(&Exposed { arm: Arm::Treated, version: None }));
    text(response).await;
    assert_eq!(treated(&handle).statuses, [(503, 1)].into());
    let counts = fault(&handle);
    assert_eq!((counts.eligible, counts.exposed, counts.perturbed), (1, 1, 1));
    let lines = handle.ledger().lines();
    assert_eq!(lines.len(), 1);
    assert_eq!((lines[0].request.as_deref(), lines[0].change.as_str()), (Some("a"), "status 503"));
}

/// Status and body are those of the provider, and the record tells the status that the caller got.
#[tokio::test(start_paused = true)]
async fn a_kind_of_error_has_the_status_of_the_provider() {
    for (protocol, kind, status, says) in [
        (Protocol::Anthropic, "overloaded", 529, "overloaded_error"),
        (Protocol::OpenAi, "overloaded", 503, "server_error"),
        (Protocol::Tgi, "overloaded", 429, r#""error_type":"overloaded""#),
        (Protocol::Tgi, "context-length", 422, "validation"),
        (Protocol::Tei, "internal", 424, "backend"),
    ] {
        let mut plan = plan(&[&format!(r#"{{"error": {{"kind": "{kind}"}}}}"#)]);
        plan.target.codec = protocol.codec(&Outputs::default());
        let handle = Handle::default();
        handle.arm(Arc::new(plan), TTL).unwrap();
        let (response, _) = call(&handle, request("a")).await;
        assert_eq!(response.status(), status, "{protocol:?}");
        let body = text(response).await;
        assert!(body.contains(says), "{body}");
        assert_eq!(handle.ledger().lines()[0].change, format!("status {status}"));
    }
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
    for (reset, passed) in [
        (r#"{"reset": {}}"#, 0),
        (r#"{"reset": {"after-bytes": 10}}"#, 10),
        (r#"{"reset": {"after-bytes": 100000}}"#, ANSWER.len() - 1),
    ] {
        let (handle, _) = armed(&[reset]);
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
        assert_eq!((treated(&handle).broken, fault(&handle).perturbed), (1, 1));
    }
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
async fn a_response_without_a_body_cannot_break_in_it() {
    for after in [r#"{"reset": {"after-bytes": 1}}"#, r#"{"reset": {}}"#] {
        let (handle, _) = armed(&[after]);
        let abort = Abort::new();
        let mut asks = request("a");
        *asks.method_mut() = http::Method::HEAD;
        asks.extensions_mut().insert(abort.clone());
        call(&handle, asks).await;
        let before_the_head = after == r#"{"reset": {}}"#;
        assert_eq!(abort.is_aborted(), before_the_head, "{after}");
        let fault = fault(&handle);
        assert_eq!(
            (fault.perturbed == 1, fault.skipped.contains_key("no-body")),
            (before_the_head, !before_the_head)
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_cut_does_not_come_after_the_lease() {
    for gone in [Handle::stop, |_: &Handle| {}] {
        let (handle, _) = armed(&[r#"{"reset": {"after-bytes": 10}}"#]);
        let (response, _) = call(&handle, request("a")).await;
        gone(&handle);
        tokio::time::advance(TTL).await;
        assert_eq!(text(response).await, ANSWER);
        assert_eq!((treated(&handle).broken, treated(&handle).statuses), (0, [(200, 1)].into()));
    }
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

#[tokio::test]
async fn an_empty_id_is_none_and_the_trace_stands_in() {
    let (handle, _) = armed(&[r#"{"error": {"status": 503}}"#]);
    let mut traced = request("");
    let long = "é".repeat(100);
    traced.headers_mut().insert("traceparent", http::HeaderValue::from_bytes(long.as_bytes()).unwrap());
    call(&handle, traced).await;
    assert_eq!(handle.evidence().unwrap().without_identity, 0);
    let line = handle.ledger().lines().pop().unwrap();
    assert_eq!(line.request.unwrap(), "é".repeat(64), "the first 128 bytes");
    assert_eq!((line.scenario.as_str(), line.lease), ("test", 1));
}

#[tokio::test]
async fn a_status_tells_what_the_ledger_let_go() {
    let handle = Handle::new(Limits { ledger_queue: 1, ..Limits::default() });
    handle.arm(Arc::new(plan(&[r#"{"error": {"status": 503}}"#])), TTL).unwrap();
    for id in ["a", "b", "c"] {
        call(&handle, request(id)).await;
    }
    assert_eq!((handle.status().ledger_evicted, handle.ledger().lines().len()), (2, 1));
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

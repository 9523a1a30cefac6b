//! What the infrastructure faults do to time, connections and bytes.

use http::header::{CONTENT_ENCODING, CONTENT_LENGTH, RETRY_AFTER};

use super::*;
use crate::wire::encoding::Encoding;

/// Reads a body: what came, and whether it broke.
async fn read<R>(response: Response<ResponseBody<R>>) -> (Vec<u8>, bool)
where
    R: Body,
    R::Error: Into<BoxError>,
{
    let mut body = Box::pin(response.into_body());
    let mut seen = Vec::new();
    while let Some(frame) = body.frame().await {
        match frame {
            Ok(frame) => seen.extend(frame.into_data().unwrap()),
            Err(_) => return (seen, true),
        }
    }
    (seen, false)
}

/// Calls a layered service that answers with this body in this coding.
async fn call_coded(handle: &Handle, coding: Encoding, body: &str) -> Response<ResponseBody<Full<Bytes>>> {
    let coded = coding.encode(body.as_bytes().to_vec());
    let service = service_fn(|_: Request<RequestBody<Full<Bytes>>>| {
        let mut response = answer(coded.clone());
        if coding != Encoding::Identity {
            response.headers_mut().insert(CONTENT_ENCODING, http::HeaderValue::from_static("gzip"));
        }
        async { Ok::<_, Infallible>(response) }
    });
    ChaosLayer::new(handle.clone()).layer(service).oneshot(request("a")).await.unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_refused_request_never_reaches_the_upstream() {
    let (handle, _) = armed(&[r#"{"refuse": {}}"#]);
    let abort = Abort::new();
    let mut asks = request("a");
    asks.extensions_mut().insert(abort.clone());
    let (response, asked) = call(&handle, asks).await;
    assert_eq!((asked, abort.is_aborted(), read(response).await), (0, true, (Vec::new(), true)));
    assert_eq!((treated(&handle).broken, fault(&handle).perturbed), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn a_black_hole_answers_nothing_and_drops_the_connection() {
    let (handle, _) = armed(&[r#"{"black-hole": {"for": "3s"}}"#]);
    let abort = Abort::new();
    let mut asks = request("a");
    asks.extensions_mut().insert(abort.clone());
    let start = Instant::now();
    let (response, asked) = call(&handle, asks).await;
    assert_eq!((start.elapsed().as_secs(), asked, abort.is_aborted()), (3, 0, true));
    assert_eq!(read(response).await, (Vec::new(), true));
    assert_eq!(fault(&handle).perturbed, 1);
}

#[tokio::test(start_paused = true)]
async fn a_black_hole_lets_go_when_it_is_disarmed() {
    let (handle, _) = armed(&[r#"{"black-hole": {}}"#]);
    let held = tokio::spawn({
        let handle = handle.clone();
        async move { call(&handle, request("a")).await }
    });
    tokio::time::sleep(Duration::from_secs(1)).await;
    handle.stop();
    let (response, asked) = held.await.unwrap();
    assert_eq!((asked, text(response).await.as_str()), (1, ANSWER));
}

#[tokio::test(start_paused = true)]
async fn a_body_ends_after_bytes_or_at_a_share_of_it() {
    let half = ANSWER.len() / 2;
    for (truncate, length, broke) in [
        (r#"{"truncate": {"after-bytes": 10, "clean": true}}"#, 10, false),
        (r#"{"truncate": {"at": "50%", "clean": true}}"#, half, false),
        (r#"{"truncate": {"at": "50%"}}"#, half, true),
        (r#"{"truncate": {"at": "0%", "clean": true}}"#, 0, false),
    ] {
        let (handle, _) = armed(&[truncate]);
        let (response, _) = call(&handle, request("a")).await;
        let promised: usize = response.headers()[CONTENT_LENGTH].to_str().unwrap().parse().unwrap();
        assert_eq!(promised, if broke { ANSWER.len() } else { length }, "{truncate}");
        assert_eq!(read(response).await, (ANSWER.as_bytes()[..length].to_vec(), broke), "{truncate}");
        assert_eq!(fault(&handle).perturbed, 1);
    }
    // Who stops asking at Content-Length has got it all.
    let (handle, _) = armed(&[r#"{"truncate": {"after-bytes": 10, "clean": true}}"#]);
    let (response, _) = call(&handle, request("a")).await;
    let mut body = response.into_body();
    assert_eq!(body.frame().await.unwrap().unwrap().into_data().unwrap().len(), 10);
    assert!(body.is_end_stream());
    drop(body);
    assert_eq!((treated(&handle).broken, treated(&handle).statuses), (0, [(200, 1)].into()));
    let (handle, _) = armed(&[r#"{"truncate": {"after-bytes": 100000, "clean": true}}"#]);
    let (response, _) = call(&handle, request("a")).await;
    assert_eq!(text(response).await, ANSWER);
    assert_eq!(fault(&handle).skipped, [("short-body".to_owned(), 1)].into());
}

#[tokio::test(start_paused = true)]
async fn a_share_of_a_body_of_unknown_length_is_not_known() {
    let (handle, _) = armed(&[r#"{"truncate": {"at": "50%"}}"#]);
    let (sender, receiver) = tokio::sync::mpsc::channel(1);
    let receiver = Mutex::new(Some(receiver));
    let service = service_fn(|_: Request<RequestBody<Full<Bytes>>>| {
        let body = ChannelBody(receiver.lock().unwrap().take().unwrap());
        async { Ok::<_, Infallible>(Response::new(body)) }
    });
    let response = ChaosLayer::new(handle.clone()).layer(service).oneshot(request("a")).await.unwrap();
    sender.send(Ok(Frame::data(Bytes::from_static(b"whole")))).await.unwrap();
    drop(sender);
    assert_eq!(read(response).await, (b"whole".to_vec(), false));
    assert_eq!(fault(&handle).skipped, [("length-unknown".to_owned(), 1)].into());
}

#[tokio::test(start_paused = true)]
async fn a_body_takes_the_time_of_its_bandwidth() {
    let (handle, _) = armed(&[r#"{"bandwidth": {"bytes-per-second": 10}}"#]);
    let start = Instant::now();
    let (response, _) = call(&handle, request("a")).await;
    assert_eq!(start.elapsed(), Duration::ZERO, "the head comes at once");
    assert_eq!(text(response).await, ANSWER);
    let (took, want) = (start.elapsed().as_secs_f64(), ANSWER.len() as f64 / 10.0);
    assert!((want - 0.2..=want + 0.2).contains(&took), "{took} s, not {want} s");
}

#[tokio::test(start_paused = true)]
async fn a_coding_is_claimed_hushed_up_or_broken() {
    for (how, coding, says, decodes) in [
        ("claimed", Encoding::Identity, Some("gzip"), false),
        ("claimed", Encoding::Gzip, Some("br"), true),
        ("unsaid", Encoding::Gzip, None, true),
        ("corrupt", Encoding::Gzip, Some("gzip"), false),
    ] {
        let (handle, _) = armed(&[&format!(r#"{{"bad-encoding": {{"how": "{how}"}}}}"#)]);
        let response = call_coded(&handle, coding, ANSWER).await;
        let said = response.headers().get(CONTENT_ENCODING).map(|said| said.to_str().unwrap().to_owned());
        assert_eq!(said.as_deref(), says, "{how}");
        let length: usize = response.headers()[CONTENT_LENGTH].to_str().unwrap().parse().unwrap();
        let (body, broke) = read(response).await;
        assert_eq!((body.len(), broke), (length, false));
        let decoded = Encoding::Gzip.decode(&body, 1 << 20);
        assert_eq!(decoded.is_ok_and(|plain| plain == ANSWER.as_bytes()), decodes, "{how}");
        assert_eq!(fault(&handle).perturbed, 1, "{how}");
    }
    for how in ["unsaid", "corrupt"] {
        let (handle, _) = armed(&[&format!(r#"{{"bad-encoding": {{"how": "{how}"}}}}"#)]);
        let response = call_coded(&handle, Encoding::Identity, ANSWER).await;
        assert_eq!(text(response).await, ANSWER);
        let seen = fault(&handle);
        assert_eq!((seen.perturbed, seen.skipped), (0, [("not-encoded".to_owned(), 1)].into()), "{how}");
    }
}

#[tokio::test(start_paused = true)]
async fn headers_are_wrong_and_the_body_is_right() {
    let (handle, _) =
        armed(&[r#"{"header-corrupt": {"set": {"content-type": "text/html"}, "drop": ["gone"]}}"#]);
    let (response, _) = call(&handle, request("a")).await;
    assert_eq!(response.headers()[header::CONTENT_TYPE], "text/html");
    assert_eq!(text(response).await, ANSWER);
    assert_eq!(fault(&handle).perturbed, 1);
}

#[tokio::test(start_paused = true)]
async fn a_delay_per_row_goes_by_the_predictions_of_the_answer() {
    let (handle, _) = armed(&[r#"{"latency": {"per": {"row": "500ms"}}}"#]);
    let start = Instant::now();
    let (response, _) = call(&handle, request("a")).await;
    assert_eq!(start.elapsed().as_millis(), 1000, "two rows");
    assert_eq!(text(response).await, ANSWER);
    let (handle, _) = armed(&[r#"{"latency": {"per": {"row": "500ms"}}}"#]);
    call_coded(&handle, Encoding::Identity, "no predictions").await;
    assert_eq!((fault(&handle).perturbed, fault(&handle).skipped.len()), (0, 1));
}

#[tokio::test(start_paused = true)]
async fn a_delay_per_kibibyte_goes_by_the_length_of_the_request() {
    let (handle, _) = armed(&[r#"{"latency": {"per": {"kibibyte": "100ms"}}}"#]);
    let start = Instant::now();
    let body = Full::from(vec![b' '; 3 * 1024]);
    call(&handle, request("a").map(|_| body)).await;
    assert_eq!(start.elapsed().as_millis(), 300);
}

#[tokio::test(start_paused = true)]
async fn a_rate_limit_refuses_what_is_over_it_and_counts_down() {
    let (handle, _) = armed(&[r#"{"rate-limit": {"limit": "6/m", "burst": 2}}"#]);
    let mut seen = Vec::new();
    for id in 0..4 {
        let (response, asked) = call(&handle, request(&id.to_string())).await;
        let after = response.headers().get(RETRY_AFTER).map(|after| after.to_str().unwrap().to_owned());
        seen.push((response.status().as_u16(), asked, after));
        tokio::time::sleep(Duration::from_secs(3)).await;
    }
    let refused = |after: &str| (429, 0, Some(after.to_owned()));
    assert_eq!(seen, [(200, 1, None), (200, 1, None), refused("4"), refused("1")]);
}

#[tokio::test(start_paused = true)]
async fn a_queue_lets_so_many_in_and_the_patient_wait() {
    // One slot, a second of work: the second waits, and the third waits in vain.
    let (handle, _) = armed(&[
        r#"{"queue": {"slots": 1, "patience": "1500ms"}}"#,
        r#"{"latency": {"fixed": "1s", "when": "after"}}"#,
    ]);
    let start = Instant::now();
    let timed = async |id: &str| {
        let (response, asked) = call(&handle, request(id)).await;
        let status = response.status().as_u16();
        read(response).await;
        (status, asked, start.elapsed().as_millis())
    };
    let seen: [_; 3] = tokio::join!(timed("a"), timed("b"), timed("c")).into();
    let mut seen = seen.to_vec();
    seen.sort_unstable();
    assert_eq!(seen, [(200, 1, 1000), (200, 1, 2000), (503, 0, 2500)]);
}

#[cfg(target_os = "linux")]
#[tokio::test(start_paused = true)]
async fn nobody_waits_without_a_record() {
    let ledger = Ledger::file(std::path::Path::new("/dev/full"), 8).unwrap();
    let handle = Handle::with_ledger(Limits::default(), ledger);
    let queue = plan(&[r#"{"queue": {"slots": 1, "patience": "9s"}}"#]);
    handle.arm(Arc::new(queue), Duration::from_secs(300)).unwrap();
    let start = Instant::now();
    let (first, _) = call(&handle, request("a")).await;
    // The line of the second finds the ledger in order, and breaks it.
    call(&handle, request("b")).await;
    assert_eq!((start.elapsed().as_secs(), handle.ledger().flush().await.is_err()), (9, true));
    let (third, asked) = call(&handle, request("c")).await;
    assert_eq!((third.status().as_u16(), asked, start.elapsed().as_secs()), (200, 1, 9));
    assert_eq!(fault(&handle).skipped, [("ledger-broken".to_owned(), 1)].into());
    drop(first);
}

#[tokio::test(start_paused = true)]
async fn a_cold_start_makes_the_first_wait() {
    let (handle, _) = armed(&[r#"{"cold-start": {"takes": "2s", "idle": "10s"}}"#]);
    let mut took = Vec::new();
    for (id, pause) in [("a", 1), ("b", 11), ("c", 0)] {
        let start = Instant::now();
        call(&handle, request(id)).await;
        took.push(start.elapsed().as_secs());
        tokio::time::sleep(Duration::from_secs(pause)).await;
    }
    assert_eq!(took, [2, 0, 2]);
}

#[tokio::test(start_paused = true)]
async fn a_grpc_error_has_its_code_and_details() {
    let (handle, _) = armed(&[
        r#"{"error": {"grpc": "RESOURCE_EXHAUSTED", "details": {"reason": "QUOTA"}, "retry-after": "2s"}}"#,
    ]);
    let mut grpc = request("a");
    grpc.headers_mut().insert(header::CONTENT_TYPE, "application/grpc".parse().unwrap());
    let (response, _) = call(&handle, grpc).await;
    assert_eq!(
        (response.status().as_u16(), &response.headers()["grpc-status"]),
        (200, &"8".parse().unwrap())
    );
    assert!(response.headers().contains_key("grpc-status-details-bin"));
    let (response, _) = call(&handle, request("b")).await;
    assert_eq!((response.status().as_u16(), &response.headers()[RETRY_AFTER]), (429, &"2".parse().unwrap()));
}

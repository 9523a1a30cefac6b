//! Edits of predictions, and everything that must pass unedited.

use proptest::prelude::*;

use super::*;

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
    let (mut seen, mut body) = (Vec::new(), response.into_body());
    let outcome = loop {
        match body.frame().await {
            None => break Ok(()),
            Some(Err(error)) => break Err(error),
            Some(Ok(frame)) => seen.extend_from_slice(frame.data_ref().unwrap()),
        }
    };
    let seen = String::from_utf8_lossy(&seen).into_owned();
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
        (with("content-encoding", "compress"), "content-encoding"),
        (with("content-encoding", "gzip"), "malformed-body"),
        (with("trailer", "x-took, Content-Digest"), "checksum"),
        (with("content-type", "Text/Event-Stream; charset=utf-8"), "malformed-body"),
        (with("content-type", "multipart/x-mixed-replace"), "stream"),
        (with("content-type", "application/grpc-web+proto"), "stream"),
        (with("content-type", "application/stream+json"), "stream"),
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

/// A chunked answer with one trailer, under a mislabel fault: what the caller gets of it, and why not.
async fn with_trailer(trailer: &'static str) -> (Bytes, Option<String>) {
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
    trailers.insert(trailer, "3".parse().unwrap());
    sender.try_send(Ok(Frame::trailers(trailers.clone()))).unwrap();
    drop(sender);
    let response = ChaosLayer::new(handle.clone()).layer(service).oneshot(request("a")).await.unwrap();
    let whole = response.into_body().collect().await.unwrap();
    assert_eq!(whole.trailers(), Some(&trailers));
    (whole.to_bytes(), fault(&handle).skipped.into_keys().next())
}

#[tokio::test]
async fn an_edit_keeps_trailers_unless_they_prove_the_body() {
    assert_eq!(with_trailer("x-took").await, (ANSWER.replace("[2, 1]", "[0, 0]").into(), None));
    for digest in ["content-digest", "repr-digest", "digest"] {
        assert_eq!(with_trailer(digest).await, (ANSWER.into(), Some("checksum".into())));
    }
}

#[tokio::test]
async fn a_disarmed_plan_does_not_edit_what_is_on_its_way() {
    let (handle, lease) = armed(&[r#"{"mislabel": {"rate": "100%", "to": "0"}}"#]);
    let disarmer = handle.clone();
    let service = service_fn(move |_: Request<RequestBody<Full<Bytes>>>| {
        disarmer.disarm(lease).unwrap();
        async { Ok::<_, Infallible>(answer(ANSWER)) }
    });
    let response = ChaosLayer::new(handle.clone()).layer(service).oneshot(request("a")).await.unwrap();
    assert!(response.headers().get("x-canard").is_none());
    assert_eq!(text(response).await, ANSWER);
    assert_eq!(fault(&handle).skipped, [("disarmed".to_owned(), 1)].into());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    /// Whatever the upstream says, in whatever pieces: it passes as it came, or with other predictions.
    #[test]
    fn no_body_is_lost_or_torn(
        text in prop_oneof![
            "\\PC{0,200}",
            r#"\{"outputs":\[\{"name":"predict","datatype":"INT64","shape":\[[0-9]\],"data":\[[0-9,. ]{0,12}\]?\}\]\}?"#,
        ],
        piece in 1_usize..40,
        limit in 0_usize..300,
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(async {
            let (sender, receiver) = tokio::sync::mpsc::channel(4096);
            for piece in text.as_bytes().chunks(piece) {
                sender.try_send(Ok(Frame::data(Bytes::copy_from_slice(piece)))).unwrap();
            }
            drop(sender);
            let limits = Limits { body: limit, ..Limits::default() };
            let (got, why) = edited(limits, "POST", Response::new(ChannelBody(receiver))).await;
            let got = got.unwrap();
            match why {
                Some(_) => assert_eq!(got, text),
                // Classes become 0, and nothing else moves.
                None => assert!(got == text || got.starts_with(r#"{"outputs":[{"name":"predict""#), "{got}"),
            }
        });
    }
}

#[tokio::test]
async fn a_fault_that_could_not_act_says_why() {
    for (faults, reason) in [
        (r#"{"mislabel": {"rate": "100%", "to": "rose"}}"#, "unknown-class"),
        (r#"{"score-shift": {"delta": 1.0}}"#, "not-a-probability"),
        (r#"{"freeze": {"value": "rose"}}"#, "unknown-class"),
    ] {
        let (handle, _) = armed(&[faults]);
        let (response, _) = call(&handle, request("a")).await;
        assert_eq!(text(response).await, ANSWER);
        assert_eq!(fault(&handle).skipped, [(reason.to_owned(), 1)].into(), "{faults}");
        assert_eq!(fault(&handle).perturbed, 0);
    }
}

#[tokio::test]
async fn freeze_holds_what_the_model_said_though_another_fault_edits_before_it() {
    let (handle, _) = armed(&[r#"{"mislabel": {"rate": "100%", "to": "0"}}"#, r#"{"freeze": {}}"#]);
    let (response, _) = call(&handle, request("a")).await;
    assert_eq!(text(response).await, ANSWER.replace("[2, 1]", "[2, 2]"));
}

#[tokio::test]
async fn the_confidence_of_a_top_class_without_a_name_stays() {
    // Triton's `classification: 1` of a model without class names: score and index.
    let said = r#"{"outputs":[{"name":"p","datatype":"BYTES","shape":[2,1],"data":["0.9:1","0.8:0"]}]}"#;
    let (handle, _) = armed(&[r#"{"mislabel": {"rate": "100%", "from": "1", "to": "0"}}"#]);
    let service =
        service_fn(|_: Request<RequestBody<Full<Bytes>>>| async { Ok::<_, Infallible>(answer(said)) });
    let response = ChaosLayer::new(handle.clone()).layer(service).oneshot(request("a")).await.unwrap();
    assert_eq!(text(response).await, said.replace("0.9:1", "0.9:0"));
}

#[tokio::test]
async fn classes_that_the_wire_names_need_no_labels_of_the_target() {
    let said =
        r#"{"outputs":[{"name":"p","datatype":"BYTES","shape":[1,2],"data":["0.9:1:spam","0.1:0:ham"]}]}"#;
    let (handle, _) = armed(&[r#"{"mislabel": {"rate": "100%", "from": "spam", "to": "ham"}}"#]);
    let service =
        service_fn(|_: Request<RequestBody<Full<Bytes>>>| async { Ok::<_, Infallible>(answer(said)) });
    let response = ChaosLayer::new(handle.clone()).layer(service).oneshot(request("a")).await.unwrap();
    let told = text(response).await;
    assert!(told.contains(r#"["0.900000:0:ham","0.100000:1:spam"]"#), "{told} {:?}", fault(&handle));
    assert_eq!(treated(&handle).labels, [("ham".to_owned(), 1)].into());
}

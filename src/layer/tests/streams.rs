//! Predictions that come as a stream.

use super::*;

const MISLABEL: &str = r#"{"mislabel": {"rate": "100%", "to": "0"}}"#;

/// What the caller gets of a body in pieces under a mislabel fault.
async fn streamed(handle: &Handle, kind: &'static str, pieces: Vec<Bytes>) -> (Response<()>, Bytes) {
    let service = service_fn(|_: Request<RequestBody<Full<Bytes>>>| {
        let (sender, receiver) = tokio::sync::mpsc::channel(4096);
        for piece in &pieces {
            sender.try_send(Ok(Frame::data(piece.clone()))).unwrap();
        }
        let mut trailers = HeaderMap::new();
        trailers.insert("grpc-status", "0".parse().unwrap());
        sender.try_send(Ok(Frame::trailers(trailers))).unwrap();
        let mut response = Response::new(ChannelBody(receiver));
        response.headers_mut().insert(header::CONTENT_TYPE, kind.parse().unwrap());
        response.headers_mut().insert(header::CONTENT_LENGTH, "1000".parse().unwrap());
        async { Ok::<_, Infallible>(response) }
    });
    let response = ChaosLayer::new(handle.clone()).layer(service).oneshot(request("a")).await.unwrap();
    let (parts, body) = response.into_parts();
    let whole = body.collect().await.unwrap();
    assert_eq!(whole.trailers().unwrap()["grpc-status"], "0");
    (Response::from_parts(parts, ()), whole.to_bytes())
}

#[tokio::test]
async fn predictions_are_edited_event_by_event_and_line_by_line() {
    let edited = ANSWER.replace("[2, 1]", "[0, 0]");
    for (kind, before, after) in [("text/event-stream", "data: ", "\n\n"), ("application/x-ndjson", "", "\n")]
    {
        let (handle, _) = armed(&[MISLABEL]);
        let text = format!("{before}{ANSWER}{after}{before}{ANSWER}{after}");
        let pieces = text.as_bytes().chunks(11).map(Bytes::copy_from_slice).collect();
        let (head, body) = streamed(&handle, kind, pieces).await;
        assert_eq!(body, format!("{before}{edited}{after}{before}{edited}{after}"), "{kind}");
        assert_eq!(head.headers()["x-canard"], "test/mislabel");
        assert_eq!(head.headers().get(header::CONTENT_LENGTH), None);
        assert_eq!((fault(&handle).perturbed, fault(&handle).predictions), (1, 4));
        assert_eq!(handle.ledger().lines()[0].change, "4 predictions");
    }
}

#[tokio::test]
async fn rows_of_later_messages_have_draws_of_their_own() {
    let (handle, _) = armed(&[r#"{"mislabel": {"rate": "50%", "to": "0"}}"#]);
    let text = format!("{ANSWER}\n").repeat(100);
    let (_, body) = streamed(&handle, "application/x-ndjson", vec![text.into()]).await;
    let lines: std::collections::BTreeSet<&[u8]> = body.split(|byte| *byte == b'\n').collect();
    assert_eq!(lines.len(), 5, "both, the first, the second, none, and the end");
}

#[tokio::test]
async fn a_message_that_is_no_prediction_passes() {
    let (handle, _) = armed(&[MISLABEL]);
    let text = format!("data: {ANSWER}\n\ndata: {{\"outputs\n\ndata: [DONE]\n\n");
    let (_, body) = streamed(&handle, "text/event-stream", vec![text.clone().into()]).await;
    assert_eq!(body, text.replace("[2, 1]", "[0, 0]"));
    assert!(fault(&handle).skipped.is_empty());
}

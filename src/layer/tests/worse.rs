//! Worse requests, orders, vectors and labels: through the whole layer, in the bytes of real protocols.

use super::*;
use crate::{
    stats::{cosine, kendall_tau},
    wire::Protocol,
};

/// Sends a body to a path; gives what the service was sent (if it was) and what the caller got.
async fn through(
    protocol: Protocol,
    fault: &str,
    path: &str,
    body: &str,
    reply: &str,
) -> (Option<String>, String, Handle) {
    let mut plan = plan(&[fault]);
    plan.target.codec = protocol.codec(&Outputs::default());
    plan.target.protocol = protocol;
    let handle = Handle::default();
    handle.arm(Arc::new(plan), TTL).unwrap();
    let sent = Arc::new(Mutex::new(None));
    let (seen, reply) = (sent.clone(), reply.to_owned());
    let service = service_fn(move |request: Request<RequestBody<Full<Bytes>>>| {
        let (seen, reply) = (seen.clone(), reply.clone());
        async move {
            let length = request.headers().get(header::CONTENT_LENGTH).cloned();
            let body = request.into_body().collect().await.unwrap().to_bytes();
            assert_eq!(length.unwrap(), body.len().to_string());
            *seen.lock().unwrap() = Some(String::from_utf8(body.to_vec()).unwrap());
            Ok::<_, Infallible>(answer(reply))
        }
    });
    let request = Request::post(path)
        .header("x-request-id", "r1")
        .header(header::CONTENT_TYPE, "application/json")
        .header(header::CONTENT_LENGTH, body.len())
        .body(Full::from(body.to_owned()))
        .unwrap();
    let response = ChaosLayer::new(handle.clone()).layer(service).oneshot(request).await.unwrap();
    let got = text(response).await;
    let sent = sent.lock().unwrap().take();
    (sent, got, handle)
}

#[tokio::test(start_paused = true)]
async fn only_the_named_features_reach_the_model_changed() {
    let body = r#"{ "inputs" : [{"name":"x","shape":[2,2],"datatype":"FP64","data":[5.10, 2, 7.5,3.0]}] }"#;
    let scale = r#"{"feature-scale": {"columns": ["1"], "factor": 10.0}}"#;
    let (sent, got, handle) = through(Protocol::OpenInference, scale, INFER, body, ANSWER).await;
    assert_eq!(sent.unwrap(), body.replace("2, 7.5,3.0", "20, 7.5,30.0"));
    assert_eq!(got, ANSWER);
    assert_eq!((fault(&handle).perturbed, fault(&handle).skipped.len()), (1, 0));

    let named = r#"{"instances": [{"age": 31, "city": "Bonn", "note":null}]}"#;
    let reply = r#"{"predictions": [1]}"#;
    let path = "/v1/models/m:predict";
    for (fault, wanted) in [
        (r#"{"feature-missing": {"columns": ["age"], "rate": "100%"}}"#, named.replace("31", "null")),
        (
            r#"{"feature-missing": {"columns": ["age"], "rate": "100%", "with": {"sentinel": -999}}}"#,
            named.replace("31", "-999"),
        ),
        (r#"{"feature-zero": {"columns": ["age"], "rate": "100%"}}"#, named.replace("31", "0")),
        (r#"{"feature-category": {"columns": ["city"], "unseen": "Oz"}}"#, named.replace("Bonn", "Oz")),
        (
            r#"{"feature-garble": {"columns": ["city"], "how": "case", "rate": "100%"}}"#,
            named.replace("Bonn", "bONN"),
        ),
    ] {
        let (sent, ..) = through(Protocol::KserveV1, fault, path, named, reply).await;
        assert_eq!(sent.unwrap(), wanted, "{fault}");
    }
}

#[tokio::test(start_paused = true)]
async fn features_that_cannot_be_changed_pass_and_are_counted() {
    let body = r#"{"instances": [{"age": 31}]}"#;
    for (fault, reason) in [
        (r#"{"feature-zero": {"columns": ["income"], "rate": "100%"}}"#, "unknown-column"),
        (r#"{"feature-noise": {"sigmas": 1.0}}"#, "still-learning"),
        (r#"{"feature-stale": {"age": "5s"}}"#, "not-old-enough"),
        (r#"{"feature-garble": {"how": "case", "rate": "100%"}}"#, "not-a-text"),
    ] {
        let (sent, _, handle) =
            through(Protocol::KserveV1, fault, "/v1/models/m:predict", body, r#"{"predictions":[1]}"#).await;
        assert_eq!(sent.unwrap(), body);
        let seen = super::fault(&handle);
        assert_eq!((seen.perturbed, seen.skipped.get(reason)), (0, Some(&1)), "{fault}: {:?}", seen.skipped);
    }
}

const RANKED: &str = r#"{"id":"q","results":[{"index":3,"relevance_score":0.9},{"index":0,"relevance_score":0.7},{"index":2,"relevance_score":0.4},{"index":1,"relevance_score":0.2}],"meta":{}}"#;

/// Indices and scores of a ranking, in its order.
fn results(body: &str) -> (Vec<usize>, Vec<f64>) {
    let body: serde_json::Value = serde_json::from_str(body).unwrap();
    let results = body["results"].as_array().unwrap().iter();
    results
        .map(|item| (item["index"].as_u64().unwrap() as usize, item["relevance_score"].as_f64().unwrap()))
        .unzip()
}

#[tokio::test(start_paused = true)]
async fn items_move_and_scores_stay_with_the_places() {
    let ask = r#"{"query":"a","documents":["a","b","c","d"]}"#;
    let rank = async |fault: &str| {
        let (sent, got, handle) = through(Protocol::Cohere, fault, "/v2/rerank", ask, RANKED).await;
        assert_eq!(sent.unwrap(), ask);
        assert_eq!(super::fault(&handle).perturbed, 1, "{fault}");
        let (places, scores) = results(&got);
        (places, scores, super::fault(&handle).moved)
    };
    let (reversed, scores, moved) = rank(r#"{"rank-swap": {"tau": -1.0}}"#).await;
    assert_eq!((reversed, scores), (vec![1, 2, 0, 3], vec![0.9, 0.7, 0.4, 0.2]));
    assert_eq!((moved.count, moved.sum), (1, 2.0), "1 − τ");
    let (half, ..) = rank(r#"{"rank-swap": {"tau": 0.0}}"#).await;
    let places: Vec<usize> = half.iter().map(|i| [3, 0, 2, 1].iter().position(|j| j == i).unwrap()).collect();
    assert_eq!(kendall_tau(&places), 0.0);
    let (pushed, scores, _) = rank(r#"{"rank-push": {"items": ["1", "2"]}}"#).await;
    assert_eq!((pushed, scores), (vec![2, 1, 3, 0], vec![0.9, 0.7, 0.4, 0.2]));
    assert_eq!(rank(r#"{"rank-drop": {"rate": "100%", "top": 3}}"#).await.0, [1]);
    assert_eq!(rank(r#"{"rank-duplicate": {"rate": "100%"}}"#).await.0, [3, 3, 0, 0, 2, 2, 1, 1]);
}

#[tokio::test(start_paused = true)]
async fn vectors_turn_by_the_angle_on_the_wire() {
    let reply = r#"{"object":"list","data":[{"object":"embedding","index":0,"embedding":[0.6,0.8,0.0,0.1]}],"model":"e"}"#;
    let ask = r#"{"model":"e","input":["a"]}"#;
    let before = [0.6, 0.8, 0.0, 0.1];
    let embed = async |fault: &str| {
        let (_, got, handle) = through(Protocol::OpenAi, fault, "/v1/embeddings", ask, reply).await;
        assert_eq!(super::fault(&handle).perturbed, 1, "{fault}: {:?}", super::fault(&handle).skipped);
        let body: serde_json::Value = serde_json::from_str(&got).unwrap();
        let moved = super::fault(&handle).moved;
        let vector = body["data"][0]["embedding"].as_array().unwrap().iter();
        let vector: Vec<f64> = vector.map(|x| x.as_f64().unwrap()).collect();
        if let Some(cosine) = cosine(&before, &vector) {
            assert!((moved.sum - (1.0 - cosine)).abs() < 1e-5, "{fault}: {moved:?}");
        }
        vector
    };
    let close = |after: &[f64], wanted: f64| (cosine(&before, after).unwrap() - wanted).abs() < 1e-6;
    assert!(close(&embed(r#"{"embedding-rotate": {"cosine": 0.8}}"#).await, 0.8));
    assert!(close(&embed(r#"{"embedding-version": {"cosine": 0.25}}"#).await, 0.25));
    assert!(close(&embed(r#"{"embedding-scale": {"factor": 3.0}}"#).await, 1.0));
    assert_eq!(embed(r#"{"embedding-resize": {"dimension": 2}}"#).await, [0.6, 0.8]);
    assert_eq!(embed(r#"{"embedding-resize": {"dimension": 6}}"#).await, [0.6, 0.8, 0.0, 0.1, 0.0, 0.0]);
    assert_eq!(embed(r#"{"embedding-void": {"rate": "100%", "with": "zero"}}"#).await, [0.0; 4]);
}

const LABEL: &str = r#"{"id": 7, "label":"good" , "at":"2026-01-02T00:00:00Z"}"#;
const THANKS: &str = r#"{"ok":true}"#;

/// Sends a label; gives what arrived, what the sender was told, how long it took, and how many were perturbed.
async fn feed(fault: &str, path: &str) -> (Option<String>, String, Duration, u64) {
    let begun = Instant::now();
    let (sent, got, handle) = through(Protocol::Http, fault, path, LABEL, THANKS).await;
    (sent, got, begun.elapsed(), super::fault(&handle).perturbed)
}

#[tokio::test(start_paused = true)]
async fn labels_are_held_or_swallowed() {
    let held = r#"{"feedback-late": {"path": "/feedback", "hold": "20s"}}"#;
    let twenty = Duration::from_secs(20);
    assert_eq!(feed(held, "/feedback").await, (Some(LABEL.to_owned()), THANKS.to_owned(), twenty, 1));
    let missing = r#"{"feedback-missing": {"path": "/feedback", "rate": "100%"}}"#;
    assert_eq!(feed(missing, "/feedback/9").await, (None, "{}".to_owned(), Duration::ZERO, 1));
    let passed = (Some(LABEL.to_owned()), THANKS.to_owned(), Duration::ZERO, 0);
    assert_eq!(feed(missing, "/v2/else").await, passed);
}

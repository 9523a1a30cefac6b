use bytes::Bytes;
use http::{Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper_util::{client::legacy::Client, rt::TokioExecutor};
use serde::Deserialize;
use serde_json::{Value, json};

use super::*;

#[derive(Deserialize)]
struct Vector {
    features: [f64; FEATURES],
    label: String,
    probabilities: Vec<f64>,
}

fn vectors() -> Vec<Vector> {
    serde_json::from_str(include_str!("vectors.json")).unwrap()
}

/// Sends one request and gives status and JSON.
async fn call(demo: &Demo, method: &str, path: &str, body: impl Into<Bytes>) -> (StatusCode, Value) {
    let request = Request::builder().method(method).uri(format!("{}{path}", demo.url()));
    let client = Client::builder(TokioExecutor::new()).build_http();
    let response = client.request(request.body(Full::new(body.into())).unwrap()).await.unwrap();
    let status = response.status();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    let json = serde_json::from_slice(&body);
    (status, json.unwrap_or_else(|_| panic!("{path}: {}", String::from_utf8_lossy(&body))))
}

async fn infer(demo: &Demo, body: Value) -> (StatusCode, Value) {
    call(demo, "POST", "/v2/models/iris/infer", body.to_string()).await
}

fn tensor(shape: Value, datatype: &str, data: Value) -> Value {
    json!({"inputs": [{"name": "features", "shape": shape, "datatype": datatype, "data": data}]})
}

#[test]
fn predicts_what_the_fitted_model_predicts() {
    let model = Classifier::iris();
    let vectors = vectors();
    assert_eq!(vectors.len(), 60);
    for vector in vectors {
        let prediction = model.predict(vector.features);
        assert_eq!(prediction.label, vector.label);
        for (ours, theirs) in prediction.probabilities.iter().zip(&vector.probabilities) {
            assert!((ours - theirs).abs() < 1e-12, "{:?}: {ours} and {theirs}", vector.features);
        }
    }
}

#[test]
fn far_away_rows_do_not_overflow() {
    let prediction = Classifier::iris().predict([1e6, -1e6, 1e6, 1e6]);
    assert!(prediction.probabilities.iter().all(|p| p.is_finite()));
    assert!((prediction.probabilities.iter().sum::<f64>() - 1.0).abs() < 1e-12);
}

#[tokio::test]
async fn answers_in_the_open_inference_protocol() {
    let demo = Demo::start().await.unwrap();
    let vectors = vectors();
    let rows: Vec<_> = vectors.iter().map(|v| v.features).collect();
    let nested = infer(&demo, tensor(json!([60, 4]), "FP64", json!(rows))).await;
    let flat = infer(&demo, tensor(json!([60, 4]), "FP64", json!(rows.concat()))).await;
    assert_eq!(nested, flat);
    let (status, answer) = flat;
    assert_eq!(status, StatusCode::OK, "{answer}");
    assert_eq!((&answer["model_name"], &answer["model_version"]), (&json!("iris"), &json!("1")));
    let [label, probabilities] = &answer["outputs"].as_array().unwrap()[..] else { panic!("{answer}") };
    assert_eq!((&label["name"], &label["datatype"]), (&json!("label"), &json!("BYTES")));
    assert_eq!((&label["shape"], &probabilities["shape"]), (&json!([60]), &json!([60, 3])));
    assert_eq!(
        (&probabilities["name"], &probabilities["datatype"]),
        (&json!("probabilities"), &json!("FP64"))
    );
    assert_eq!(label["data"], json!(vectors.iter().map(|v| &v.label).collect::<Vec<_>>()));
    assert_eq!(probabilities["data"].as_array().unwrap().len(), 180);
}

#[tokio::test]
async fn honours_id_version_datatype_and_the_outputs_asked_for() {
    let demo = Demo::start().await.unwrap();
    let mut request = tensor(json!([1, 4]), "FP32", json!([5.1, 3.5, 1.4, 0.2]));
    request["id"] = json!("r1");
    request["outputs"] = json!([{"name": "label"}]);
    let (_, answer) = call(&demo, "POST", "/v2/models/iris/versions/1/infer", request.to_string()).await;
    let label = json!({"name": "label", "shape": [1], "datatype": "BYTES", "data": ["setosa"]});
    assert_eq!(answer, json!({"model_name": "iris", "model_version": "1", "id": "r1", "outputs": [label]}));
}

#[tokio::test]
async fn tells_what_it_is() {
    let demo = Demo::start().await.unwrap();
    for (path, key, value) in [
        ("/v2", "name", json!("canard-demo")),
        ("/v2/health/live", "live", json!(true)),
        ("/v2/health/ready", "ready", json!(true)),
        ("/v2/models/iris/ready", "ready", json!(true)),
        ("/v2/models/iris", "versions", json!(["1"])),
    ] {
        let (status, answer) = call(&demo, "GET", path, "").await;
        assert_eq!((status, &answer[key]), (StatusCode::OK, &value), "{path}");
    }
}

#[tokio::test]
async fn bad_input_gets_a_status_and_a_reason() {
    let demo = Demo::start().await.unwrap();
    let row = || json!([5.1, 3.5, 1.4, 0.2]);
    let unknown_output = {
        let mut request = tensor(json!([1, 4]), "FP64", row());
        request["outputs"] = json!([{"name": "logits"}]);
        request
    };
    for (body, part) in [
        (json!("{"), "no inference request"),
        (json!({"inputs": []}), "one input is expected, not 0"),
        (tensor(json!([4]), "FP64", row()), "shape is [4], not [n, 4]"),
        (tensor(json!([0, 4]), "FP64", json!([])), "0 rows"),
        (tensor(json!([u64::MAX, 4]), "FP64", row()), "1 to 10000"),
        (tensor(json!([2, 4]), "FP64", row()), "4 numbers, but the shape says 8"),
        (tensor(json!([1, 4]), "INT64", row()), "datatype is INT64"),
        (tensor(json!([1, 4]), "FP64", json!([1, 2, 3, null])), "null, which is no number"),
        (tensor(json!([1, 4]), "FP32", json!([1, 2, 3, 1e300])), "too large for its datatype"),
        (unknown_output, "no output `logits`"),
    ] {
        let (status, answer) = infer(&demo, body).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{answer}");
        assert!(answer["error"].as_str().unwrap().contains(part), "{answer}");
    }
    for (method, path, body, status) in [
        ("POST", "/v2/models/iris/infer", "[NaN]".to_owned(), StatusCode::BAD_REQUEST),
        ("POST", "/v2/models/iris/infer", "x".repeat((1 << 20) + 1), StatusCode::PAYLOAD_TOO_LARGE),
        ("POST", "/v2/models/roses/infer", String::new(), StatusCode::NOT_FOUND),
        ("GET", "/v2/models/iris/versions/2", String::new(), StatusCode::NOT_FOUND),
        ("GET", "/v1/models", String::new(), StatusCode::NOT_FOUND),
        ("GET", "/v2/models/iris/infer", String::new(), StatusCode::METHOD_NOT_ALLOWED),
    ] {
        let (got, answer) = call(&demo, method, path, body).await;
        assert_eq!(got, status, "{path}");
        assert!(answer["error"].is_string(), "{path}: {answer}");
    }
}

#[tokio::test]
async fn stops_when_it_is_dropped() {
    let demo = Demo::start().await.unwrap();
    let addr = demo.addr();
    drop(demo);
    while tokio::net::TcpStream::connect(addr).await.is_ok() {
        tokio::task::yield_now().await;
    }
}

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

#[tokio::test]
async fn a_chat_streams_the_words_that_it_answers_whole() {
    let demo = Demo::start().await.unwrap();
    let ask = |stream: bool| {
        json!({"messages": [{"role": "user", "content": "why?"}], "stream": stream}).to_string()
    };
    let (status, whole) = call(&demo, "POST", "/v1/chat/completions", ask(false)).await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(whole["choices"][0]["finish_reason"], "stop");
    let client = Client::builder(TokioExecutor::new()).build_http();
    let request = Request::post(format!("{}/v1/chat/completions", demo.url()));
    let response = client.request(request.body(Full::new(Bytes::from(ask(true)))).unwrap()).await.unwrap();
    assert_eq!(response.headers()["content-type"], "text/event-stream; charset=utf-8");
    let body = response.into_body().collect().await.unwrap().to_bytes();
    let text = std::str::from_utf8(&body).unwrap();
    assert!(text.ends_with("data: [DONE]\n\n"));
    let chunks = text
        .split("\n\n")
        .filter_map(|event| serde_json::from_str::<Value>(event.strip_prefix("data: ")?).ok());
    let joined: String = chunks
        .filter_map(|chunk| Some(chunk["choices"].get(0)?["delta"]["content"].as_str()?.to_owned()))
        .collect();
    assert_eq!(whole["choices"][0]["message"]["content"], joined);
    assert_eq!(whole["usage"]["completion_tokens"], joined.split(' ').count());
}

#[tokio::test]
async fn a_tool_is_called_with_json_arguments() {
    let demo = Demo::start().await.unwrap();
    let body = json!({"messages": [{"role": "user", "content": "?"}], "tools": [{"function": {"name": "get_weather"}}]});
    let (_, answer) = call(&demo, "POST", "/v1/chat/completions", body.to_string()).await;
    let function = &answer["choices"][0]["message"]["tool_calls"][0]["function"];
    assert_eq!(function["name"], "get_weather");
    assert!(
        serde_json::from_str::<Value>(function["arguments"].as_str().unwrap()).unwrap()["celsius"]
            .is_number()
    );
    assert_eq!(answer["choices"][0]["finish_reason"], "tool_calls");
}

#[tokio::test]
async fn the_other_models_answer_in_their_protocols() {
    let demo = Demo::start().await.unwrap();
    let rich = json!({"instances": [{"age": 40, "income": 90, "debt": 5, "group": "a"}, {"income": 10}]});
    let (_, credit) = call(&demo, "POST", "/v1/models/credit:predict", rich.to_string()).await;
    assert_eq!(credit["predictions"][0]["label"], "approve");
    assert_eq!(credit["predictions"][1]["label"], "decline");
    let house = json!({"dataframe_split": {"columns": ["rooms", "area", "age"], "data": [[2, 50, 10]]}});
    let (_, price) = call(&demo, "POST", "/invocations", house.to_string()).await;
    assert_eq!(price["predictions"][0], 2.5 * 50.0 + 30.0 - 8.0 + 40.25);
    let (_, vectors) =
        call(&demo, "POST", "/v1/embeddings", json!({"input": ["a b", "a b", "c"]}).to_string()).await;
    let vector = |i: usize| vectors["data"][i]["embedding"].as_array().unwrap().clone();
    assert_eq!(vector(0), vector(1));
    assert_ne!(vector(0), vector(2));
    let norm: f64 = vector(2).iter().map(|x| x.as_f64().unwrap().powi(2)).sum();
    assert!((norm - 1.0).abs() < 1e-5);
    let question = json!({"query": "queue model", "documents": ["cost", "queue model", "model"]});
    let (_, ranked) = call(&demo, "POST", "/v2/rerank", question.to_string()).await;
    assert_eq!(ranked["results"][0]["index"], 1);
    let (status, _) = call(&demo, "POST", "/feedback", r#"{"label": "positive"}"#).await;
    assert_eq!(status, StatusCode::ACCEPTED);
    for path in [
        "/v1/chat/completions",
        "/v1/embeddings",
        "/v2/rerank",
        "/invocations",
        "/v1/models/credit:predict",
        "/feedback",
    ] {
        assert_eq!(call(&demo, "POST", path, "{").await.0, StatusCode::BAD_REQUEST, "{path}");
    }
}

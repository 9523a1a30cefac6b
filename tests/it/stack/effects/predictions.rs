//! Clients of classifiers.

use serde_json::{Value, json};

use super::{Accepts, Pair, Raises, Row, flowers, play, row};
use crate::stack::{driver::Client, server::Kind, turn};

const TRITON: &str = "tritonclient.InferenceServerException";
const LABELS: &str = "labels: [setosa, versicolor, virginica]";

/// All that a value holds, one after the other.
fn leaves(value: &Value) -> Vec<&Value> {
    match value {
        Value::Array(items) => items.iter().flat_map(leaves).collect(),
        Value::Object(fields) => fields.values().flat_map(leaves).collect(),
        leaf => vec![leaf],
    }
}

/// The leaves that are class names or, where there are none, whole numbers.
fn labels(value: &Value) -> Vec<String> {
    let of = |want: fn(&Value) -> bool| leaves(value).into_iter().filter(move |leaf| want(leaf));
    let names: Vec<String> = of(Value::is_string).map(|name| name.as_str().unwrap().to_owned()).collect();
    if names.is_empty() { of(Value::is_i64).map(ToString::to_string).collect() } else { names }
}

/// Every label is setosa, and none was added or lost.
fn all_setosa(clean: &Value, got: &Value) -> bool {
    let (before, after) = (labels(clean), labels(got));
    before.len() == after.len() && !after.is_empty() && after.iter().all(|l| l == "setosa" || l == "0")
}

fn numbers(value: &Value) -> Vec<f64> {
    leaves(value).into_iter().filter_map(|leaf| leaf.as_f64().filter(|_| leaf.is_f64())).collect()
}

/// Probabilities that moved, and still add up for each row of three.
fn shifted(clean: &Value, got: &Value) -> bool {
    let (before, after) = (numbers(clean), numbers(got));
    before.len() == after.len()
        && before.iter().zip(&after).any(|(a, b)| (a - b).abs() > 0.01)
        && after.chunks(3).all(|row| (row.iter().sum::<f64>() - 1.0).abs() < 1e-5)
}

fn not_a_number(_: &Value, got: &Value) -> bool {
    leaves(got).iter().filter(|leaf| **leaf == "NaN").count() == 9
}

fn nulls(_: &Value, got: &Value) -> bool {
    leaves(got).iter().any(|leaf| leaf.is_null())
}

/// A classifier whose labels and scores are asked for separately or together.
fn rows(labels: &Value, scores: &Value) -> Vec<Row> {
    vec![
        row("mislabel: { rate: 100%, to: setosa }", labels, Accepts("wrong labels", all_setosa)),
        row("freeze: { value: setosa }", labels, Accepts("the same label each time", all_setosa)),
        row("score-shift: { delta: 3.0, class: setosa }", scores, Accepts("other probabilities", shifted)),
        row("corrupt: { rate: 100%, with: nan }", scores, Accepts("NaN", not_a_number)),
    ]
}

/// What a client without retries makes of a transport that fails.
fn failures(operation: &Value, raises: [&'static str; 4]) -> Vec<Row> {
    let [error, reset, cut, timeout] = raises;
    vec![
        row("error: { status: 503 }", operation, Raises(error, 1)),
        row("error: { status: 429, retry-after: 1s }", operation, Raises(error, 1)),
        row("reset: {}", operation, Raises(reset, 1)),
        row("reset: { after-bytes: 10 }", operation, Raises(cut, 1)),
        row("hang: {}", operation, Raises(timeout, 1)).with(json!({"timeout": 1})),
    ]
}

const REQUESTS: [&str; 4] = [
    "requests.HTTPError",
    "requests.ChunkedEncodingError",
    "requests.ChunkedEncodingError",
    "requests.ReadTimeout",
];
const TRITON_HTTP: [&str; 4] =
    [TRITON, "builtins.ConnectionResetError", "builtins.ConnectionResetError", "builtins.TimeoutError"];
const TRITON_GRPC: [&str; 4] = [TRITON; 4];

async fn triton_http(server: (Kind, &'static str), labels: Value, scores: Value) {
    let mut all = rows(&labels, &scores);
    all.extend(failures(&labels, TRITON_HTTP));
    play(Pair {
        client: (Client::Triton, "tritonclient"),
        server,
        grpc: false,
        protocol: "open-inference",
        target: LABELS,
        rows: all,
    })
    .await;
}

async fn triton_grpc(server: (Kind, &'static str), labels: Value, scores: Value) {
    let mut all = rows(&labels, &scores);
    all.extend(failures(&labels, TRITON_GRPC));
    play(Pair {
        client: (Client::Triton, "tritonclient"),
        server,
        grpc: true,
        protocol: "open-inference",
        target: LABELS,
        rows: all,
    })
    .await;
}

fn http(outputs: Value, datatype: &str, binary: bool) -> Value {
    json!({"do": "http", "rows": flowers(), "outputs": outputs, "datatype": datatype, "binary": binary})
}

fn grpc(outputs: Value, datatype: &str) -> Value {
    json!({"do": "grpc", "rows": flowers(), "outputs": outputs, "datatype": datatype})
}

#[tokio::test]
async fn tritonclient_on_mlserver() {
    let _turn = turn().await;
    let server = (Kind::MlServer, "MLServer");
    triton_http(
        server,
        http(json!(["predict"]), "FP64", false),
        http(json!(["predict_proba"]), "FP64", false),
    )
    .await;
    triton_grpc(server, grpc(json!(["predict"]), "FP64"), grpc(json!(["predict_proba"]), "FP64")).await;
}

#[tokio::test]
async fn tritonclient_on_kserve() {
    let _turn = turn().await;
    let server = (Kind::KServe, "KServe");
    let both = http(json!(["label", "probabilities"]), "FP64", true);
    triton_http(server, both.clone(), both).await;
    let both = grpc(json!(["label", "probabilities"]), "FP64");
    triton_grpc(server, both.clone(), both).await;
}

#[tokio::test]
async fn tritonclient_on_triton() {
    let _turn = turn().await;
    let both = |binary| http(json!(["label", "probabilities"]), "FP32", binary);
    triton_http((Kind::Triton, "Triton, binary tensors"), both(true), both(true)).await;
    triton_http((Kind::Triton, "Triton, JSON"), both(false), both(false)).await;
    let mut zipped = both(true);
    zipped["accept"] = "gzip".into();
    triton_http((Kind::Triton, "Triton, binary tensors, gzip"), zipped.clone(), zipped).await;
    let both = grpc(json!(["label", "probabilities"]), "FP32");
    triton_grpc((Kind::Triton, "Triton"), both.clone(), both).await;
}

async fn requests(server: (Kind, &'static str), protocol: &'static str, rows: Vec<Row>, any: &Value) {
    let mut all = rows;
    all.extend(failures(any, REQUESTS));
    play(Pair {
        client: (Client::Requests, "requests"),
        server,
        grpc: false,
        protocol,
        target: LABELS,
        rows: all,
    })
    .await;
}

fn post(path: &str, body: Value) -> Value {
    json!({"do": "post", "path": path, "body": body})
}

#[tokio::test]
async fn requests_on_kserve() {
    let _turn = turn().await;
    let ask = |more: Value| {
        let mut body = json!({"instances": flowers()});
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        post("/v1/models/iris:predict", body)
    };
    let (labels, scores) = (ask(json!({})), ask(json!({"parameters": {"probabilities": true}})));
    requests((Kind::KServe, "KServe V1"), "kserve-v1", rows(&labels, &scores), &labels).await;
}

#[tokio::test]
async fn requests_on_mlflow() {
    let _turn = turn().await;
    let ask = |params: Value| post("/invocations", json!({"inputs": flowers(), "params": params}));
    let (labels, scores) = (ask(json!({})), ask(json!({"scores": true})));
    let mut all = rows(&labels, &scores);
    all.push(row("corrupt: { rate: 100%, with: 'null' }", &scores, Accepts("null", nulls)));
    requests((Kind::Mlflow, "MLflow"), "mlflow", all, &labels).await;
}

#[tokio::test]
async fn requests_on_bentoml() {
    let _turn = turn().await;
    let ask = |path: &str| post(path, json!({"features": flowers()}));
    let (labels, scores) = (ask("/classify"), ask("/scores"));
    requests((Kind::BentoMl, "BentoML"), "bentoml", rows(&labels, &scores), &labels).await;
}

#[tokio::test]
async fn requests_on_litserve() {
    let _turn = turn().await;
    let ask = post("/predict", json!({"features": flowers()}));
    let paths = "{ json: { label: '$.labels[*]', scores: '$.scores[*]' } }";
    requests((Kind::LitServe, "LitServe"), paths, rows(&ask, &ask), &ask).await;
}

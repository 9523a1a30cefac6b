//! With nothing to inject, a client can't tell that canard is there.
//!
//! Each real client talks to each real server through a tap, canard and another tap. What canard handed to the
//! client must be, byte for byte, what the server gave it, and what the server got must be what the client
//! sent; only fields that speak of one connection may differ, and a request says in addition for whom it is
//! made. This holds for answers, errors and streams, with nothing armed and with a plan armed that treats
//! nobody, or only the shadows of requests; under faults that read every answer and find nothing to change, bodies still pass byte for byte.
//! gRPC is compared as the client sees it with and without canard: message bytes, metadata, trailers, status.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use canard::{
    scenario::{Plan, Source, compile},
    sidecar::{Config, Sidecar},
};
use serde_json::{Value, json};

use super::{
    driver::Client,
    message::{Exchange, Message},
    server::{Kind, Server},
    tap::Tap,
    turn,
};

/// What canard adds to a request, for the server to know the caller.
const FORWARDED: [&str; 3] = ["x-forwarded-for", "x-forwarded-host", "x-forwarded-proto"];

/// What may differ once an answer is read: an event stream is marked before it is known whether anything in it
/// will change, and a body that came in chunks has a length when it has been looked at whole.
const READ: [&str; 2] = ["x-canard", "content-length"];

/// Faults of every kind, for nobody.
const NOBODY: &str = r#"
name: nobody
target: { protocol: auto, when: 'request.path == "/nowhere"' }
exposure: { share: 100% }
phases:
  - name: faults
    lasts: 10m
    inject:
      - fault: { latency: { fixed: 30s } }
      - fault: { error: { status: 503 } }
      - fault: { mislabel: { rate: 100%, to: setosa } }
"#;

/// For everybody, a fault that reads every answer and finds nothing to change.
const CLASSES: &str = r"
name: idle
target: { protocol: auto }
exposure: { share: 100% }
phases:
  - name: faults
    lasts: 10m
    inject: [{ fault: { mislabel: { rate: 100%, from: zebra, to: yak } } }]
";

/// The same for generated text.
const WORDS: &str = r"
name: idle
target: { protocol: auto }
exposure: { share: 100% }
phases:
  - name: faults
    lasts: 10m
    inject: [{ fault: { text-substitute: { rate: 100%, pairs: { zebra: yak } } } }]
";

/// For everybody's shadow, faults that would spoil any answer.
const SHADOW: &str = r"
name: shadow
target: { protocol: auto }
exposure: { share: 100% }
release: { shadow: {} }
phases:
  - name: faults
    lasts: 10m
    inject:
      - fault: { latency: { fixed: 50ms } }
      - fault: { reset: { after-bytes: 3 } }
      - fault: { mislabel: { rate: 100%, to: setosa } }
";

/// Arms a scenario.
pub(super) fn arm(sidecar: &Sidecar, scenario: &str) {
    let plan: Plan =
        compile(&Source::new("stack.yaml", scenario)).unwrap_or_else(|errors| panic!("{errors}"));
    sidecar.rack().arm(Arc::new(plan), Duration::from_secs(300)).unwrap();
}

/// Whether any caller is treated at all.
fn treats(scenario: Option<&str>) -> bool {
    scenario.is_some_and(|scenario| ![NOBODY, SHADOW].contains(&scenario))
}

/// A sidecar in front of a server.
pub(super) fn sidecar(upstream: SocketAddr) -> Sidecar {
    let mut config = Config::new(format!("http://{upstream}").parse().unwrap());
    config.workers = Some(1);
    // uvicorn closes a connection after an error that the application did not catch, and does not say so
    // before: a request on a kept connection would race with that, and sometimes be answered with 502.
    config.limits.idle_connections = 0;
    Sidecar::start(config).unwrap()
}

/// Runs operations of a client against an HTTP server through canard, and compares both ends of the wire.
async fn assert_transparent(client: Client, server: &Server, operations: &[(Value, &str)]) {
    for scenario in [None, Some(NOBODY), Some(SHADOW), Some(CLASSES), Some(WORDS)] {
        let behind = Tap::patient(server.http()).await;
        let sidecar = sidecar(behind.addr());
        if let Some(scenario) = scenario {
            arm(&sidecar, scenario);
        }
        let before = Tap::patient(sidecar.listen_addr()).await;
        for (operation, wanted) in operations {
            let mut asked = operation.clone();
            asked["url"] = before.url().into();
            let outcome = client.ask(&asked).await;
            assert_outcome(&outcome, wanted, operation);
            let context = format!("{client:?} {operation}, under {scenario:?}: {outcome}");
            let (seen, given) = (before.exchanges().await, behind.exchanges().await);
            let (seen, given) = (one(seen, &context), one(given, &context));
            assert_eq!(seen.request.end_to_end(&[]), given.request.end_to_end(&FORWARDED), "{context}");
            let [seen, given] = [seen, given].map(|exchange| exchange.response.unwrap());
            assert!(seen.whole && given.whole, "{context}: {seen:?}{given:?}");
            let but = if treats(scenario) { &READ[..] } else { &[] };
            assert_eq!(same(&seen, but), same(&given, but), "{context}");
        }
    }
}

/// The status line's reason is no part of what is compared: it means nothing (RFC 9112 §4).
fn same(response: &Message, but: &[&str]) -> (u16, Message) {
    let mut message = response.end_to_end(but);
    message.start.clear();
    (response.status(), message)
}

/// The exchange, if there was one and it was answered.
fn one(mut exchanges: Vec<Exchange>, context: &str) -> Exchange {
    assert!(exchanges.len() == 1 && exchanges[0].response.is_some(), "{context}: {exchanges:?}");
    exchanges.remove(0)
}

/// `ok`, or the class of the exception.
fn assert_outcome(outcome: &Value, wanted: &str, operation: &Value) {
    let got = outcome["error"]["type"].as_str().unwrap_or("ok");
    assert_eq!(got, wanted, "{operation}: {outcome}");
}

/// Runs gRPC operations with and without canard and compares what the client got.
async fn assert_grpc_transparent(server: &Server, operations: &[(Value, &str)]) {
    for scenario in [None, Some(NOBODY), Some(SHADOW), Some(CLASSES), Some(WORDS)] {
        let sidecar = sidecar(server.grpc());
        if let Some(scenario) = scenario {
            arm(&sidecar, scenario);
        }
        for (operation, code) in operations {
            let ask = async |addr: SocketAddr| {
                let mut asked = operation.clone();
                asked["url"] = format!("http://{addr}").into();
                Client::Triton.ask(&asked).await["value"].clone()
            };
            let (direct, through) = (ask(server.grpc()).await, ask(sidecar.listen_addr()).await);
            assert_eq!(direct["code"], *code, "{operation}: {direct}");
            let mut through = through;
            if treats(scenario) {
                through["initial"].as_array_mut().unwrap().retain(|field| field[0] != "x-canard");
            }
            assert_eq!(direct, through, "{operation}, under {scenario:?}");
        }
    }
}

fn flowers() -> Value {
    json!([[5.1, 3.5, 1.4, 0.2], [6.1, 2.8, 4.7, 1.2], [6.9, 3.1, 5.4, 2.1]])
}

/// An operation with the fields of another.
fn with(operation: &Value, more: Value) -> Value {
    let mut operation = operation.clone();
    operation.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    operation
}

#[tokio::test]
async fn mlserver_and_tritonclient() {
    let _turn = turn().await;
    let server = Kind::MlServer.get().await;
    let infer =
        json!({"do": "http", "rows": flowers(), "outputs": ["predict"], "datatype": "FP64", "binary": false});
    let operations = [
        (infer.clone(), "ok"),
        // MLServer does not know the binary extension.
        (with(&infer, json!({"binary": true})), "tritonclient.InferenceServerException"),
        (with(&infer, json!({"outputs": ["predict", "predict_proba"], "accept": "gzip"})), "ok"),
        (with(&infer, json!({"rows": [[1.0, 2.0]]})), "tritonclient.InferenceServerException"),
        (with(&infer, json!({"model": "nobody"})), "tritonclient.InferenceServerException"),
    ];
    assert_transparent(Client::Triton, server, &operations).await;
    let bytes = json!({"do": "grpc_bytes", "rows": flowers(), "datatype": "FP64"});
    let operations = [
        (bytes.clone(), "OK"),
        (with(&bytes, json!({"raw": false})), "OK"),
        (with(&bytes, json!({"rows": [[1.0, 2.0]]})), "INTERNAL"),
        (with(&bytes, json!({"model": "nobody"})), "NOT_FOUND"),
    ];
    assert_grpc_transparent(server, &operations).await;
}

#[tokio::test]
async fn kserve_requests_and_tritonclient() {
    let _turn = turn().await;
    let server = Kind::KServe.get().await;
    let v1 = json!({"do": "post", "path": "/v1/models/iris:predict", "body": {"instances": flowers()}});
    let operations = [
        (v1.clone(), "ok"),
        (with(&v1, json!({"body": {"instances": [[1.0]]}})), "requests.HTTPError"),
        (with(&v1, json!({"path": "/v1/models/nobody:predict"})), "requests.HTTPError"),
    ];
    assert_transparent(Client::Requests, server, &operations).await;
    let infer =
        json!({"do": "http", "rows": flowers(), "outputs": ["label", "probabilities"], "datatype": "FP64"});
    let operations = [
        (infer.clone(), "ok"),
        (with(&infer, json!({"rows": [[1.0, 2.0]]})), "tritonclient.InferenceServerException"),
    ];
    assert_transparent(Client::Triton, server, &operations).await;
    let bytes = json!({"do": "grpc_bytes", "rows": flowers(), "datatype": "FP64"});
    let operations = [
        (bytes.clone(), "OK"),
        (with(&bytes, json!({"raw": false})), "OK"),
        (with(&bytes, json!({"model": "nobody"})), "NOT_FOUND"),
    ];
    assert_grpc_transparent(server, &operations).await;
}

#[tokio::test]
async fn triton_and_tritonclient() {
    let _turn = turn().await;
    let server = Kind::Triton.get().await;
    let infer = json!({"do": "http", "rows": flowers(), "outputs": ["label", "probabilities"]});
    let x = json!({"do": "http", "rows": [[1.0], [-0.5]], "name": "x", "model": "datatypes"});
    let everything = json!(["bool", "u8", "i16", "u64", "fp16", "fp32", "fp64", "bytes"]);
    let operations = [
        (infer.clone(), "ok"),
        (with(&infer, json!({"binary": false})), "ok"),
        (with(&infer, json!({"accept": "gzip"})), "ok"),
        (with(&infer, json!({"accept": "deflate", "binary": false})), "ok"),
        (with(&infer, json!({"outputs": ["probabilities"], "classes": 2})), "ok"),
        (with(&x, json!({"outputs": everything})), "ok"),
        (with(&infer, json!({"rows": [[1.0, 2.0]]})), "tritonclient.InferenceServerException"),
        (with(&infer, json!({"model": "nobody"})), "tritonclient.InferenceServerException"),
    ];
    assert_transparent(Client::Triton, server, &operations).await;
    let generate = json!({"path": "/v2/models/text/generate", "body": {"text_input": "hello"}, "do": "post"});
    let stream = json!({"do": "text", "path": "/v2/models/stream/generate_stream"});
    let operations = [
        (generate.clone(), "ok"),
        (with(&generate, stream), "ok"),
        (with(&generate, json!({"body": {}})), "requests.HTTPError"),
    ];
    assert_transparent(Client::Requests, server, &operations).await;
    let bytes = json!({"do": "grpc_bytes", "rows": flowers()});
    let operations = [
        (bytes.clone(), "OK"),
        (with(&bytes, json!({"raw": false})), "OK"),
        (with(&bytes, json!({"stream": true})), "OK"),
        (with(&bytes, json!({"stream": true, "model": "nobody"})), "OK"),
        (with(&bytes, json!({"gzip": true})), "OK"),
        (with(&bytes, json!({"rows": [[1.0, 2.0]]})), "INVALID_ARGUMENT"),
        (with(&bytes, json!({"model": "nobody"})), "NOT_FOUND"),
    ];
    assert_grpc_transparent(server, &operations).await;
}

#[tokio::test]
async fn mlflow_and_requests() {
    let _turn = turn().await;
    let server = Kind::Mlflow.get().await;
    let post = json!({"do": "post", "path": "/invocations", "body": {"inputs": flowers()}});
    let operations = [
        (post.clone(), "ok"),
        (with(&post, json!({"body": {"inputs": flowers(), "params": {"nan": true}}})), "ok"),
        (with(&post, json!({"body": {"rows": flowers()}})), "requests.HTTPError"),
    ];
    assert_transparent(Client::Requests, server, &operations).await;
}

#[tokio::test]
async fn bentoml_and_requests() {
    let _turn = turn().await;
    let server = Kind::BentoMl.get().await;
    let post = json!({"do": "post", "path": "/classify", "body": {"features": flowers()}});
    let operations = [
        (post.clone(), "ok"),
        (with(&post, json!({"path": "/scores"})), "ok"),
        (with(&post, json!({"do": "text", "path": "/tell", "body": {"flowers": 7}})), "ok"),
        (with(&post, json!({"body": {"features": [[1.0]]}})), "requests.HTTPError"),
        (with(&post, json!({"path": "/nobody"})), "requests.HTTPError"),
    ];
    assert_transparent(Client::Requests, server, &operations).await;
}

#[tokio::test]
async fn litserve_requests_and_openai() {
    let _turn = turn().await;
    let server = Kind::LitServe.get().await;
    let post = json!({"do": "post", "path": "/predict", "body": {"features": flowers()}});
    let operations = [
        (post.clone(), "ok"),
        (with(&post, json!({"do": "text", "path": "/words", "body": {"words": 6}})), "ok"),
        (with(&post, json!({"body": {"features": [[1.0]]}})), "requests.HTTPError"),
    ];
    assert_transparent(Client::Requests, server, &operations).await;
    let operations = [
        (json!({"do": "chat"}), "ok"),
        (json!({"do": "chat", "stream": true}), "ok"),
        // LitServe's own error in a stream lacks the empty line that ends an event: the client never hears of it.
        (json!({"do": "chat", "stream": true, "text": "fail"}), "ok"),
        (json!({"do": "embeddings", "encoding": "float"}), "ok"),
    ];
    assert_transparent(Client::OpenAi, server, &operations).await;
}

#[tokio::test]
async fn fakellm_openai_and_anthropic() {
    let _turn = turn().await;
    let server = Kind::FakeLlm.get().await;
    for (client, call, overloaded) in [
        (Client::OpenAi, "chat", "openai.InternalServerError"),
        (Client::Anthropic, "message", "anthropic.OverloadedError"),
    ] {
        let limited = format!("{}.RateLimitError", overloaded.split('.').next().unwrap());
        let ask = json!({"do": call});
        let operations = [
            (ask.clone(), "ok"),
            (with(&ask, json!({"stream": true})), "ok"),
            (with(&ask, json!({"stream": true, "text": "how many ducks"})), "ok"),
            (with(&ask, json!({"text": "weather"})), "ok"),
            (with(&ask, json!({"text": "weather", "stream": true})), "ok"),
            (with(&ask, json!({"headers": {"x-test-scenario": "rate_limit"}})), &limited),
            (with(&ask, json!({"headers": {"x-test-scenario": "overloaded"}})), overloaded),
        ];
        assert_transparent(client, server, &operations).await;
    }
}

#[tokio::test]
async fn openai_ollama_and_cohere_on_the_faithful_server() {
    let _turn = turn().await;
    let server = Kind::Faithful.get().await;
    let operations = [
        (json!({"do": "responses"}), "ok"),
        (json!({"do": "responses", "stream": true}), "ok"),
        (json!({"do": "embeddings"}), "ok"),
    ];
    assert_transparent(Client::OpenAi, server, &operations).await;
    let operations = [
        (json!({"do": "chat"}), "ok"),
        (json!({"do": "chat", "stream": true}), "ok"),
        (json!({"do": "generate", "stream": true}), "ok"),
        (json!({"do": "embed"}), "ok"),
    ];
    assert_transparent(Client::Ollama, server, &operations).await;
    let operations = [
        (json!({"do": "rerank"}), "ok"),
        (json!({"do": "rerank", "documents": []}), "cohere.BadRequestError"),
    ];
    assert_transparent(Client::Cohere, server, &operations).await;
}

/// Only where llama.cpp was built: `CANARD_TEST_LLAMA=1 ./scripts/install-test-stack.sh`.
#[tokio::test]
async fn llama_openai_and_anthropic() {
    let _turn = turn().await;
    let Some(server) = Kind::llama().await else { return };
    let operations = [
        (json!({"do": "chat"}), "ok"),
        (json!({"do": "chat", "stream": true, "usage": true}), "ok"),
        (json!({"do": "embeddings"}), "ok"),
        (json!({"do": "responses"}), "ok"),
        (json!({"do": "responses", "stream": true}), "ok"),
    ];
    assert_transparent(Client::OpenAi, server, &operations).await;
    let operations = [(json!({"do": "message"}), "ok"), (json!({"do": "message", "stream": true}), "ok")];
    assert_transparent(Client::Anthropic, server, &operations).await;
}

//! Clients of generated text and embeddings.

use serde_json::{Value, json};

use super::{Accepts, Pair, Raises, Recovers, Row, Same, play, row};
use crate::stack::{driver::Client, server::Kind, turn};

fn text(value: &Value) -> &str {
    value["text"].as_str().unwrap_or_default()
}

/// The text stops early, and nothing says so.
fn truncated(clean: &Value, got: &Value) -> bool {
    !text(got).is_empty() && text(clean).starts_with(text(got)) && text(got).len() < text(clean).len()
}

fn letters(value: &Value) -> String {
    text(value).chars().filter(|c| !c.is_ascii_digit()).collect()
}

fn other_numbers(clean: &Value, got: &Value) -> bool {
    text(clean) != text(got) && letters(clean) == letters(got)
}

fn longer(clean: &Value, got: &Value) -> bool {
    text(got).len() > 2 * text(clean).len()
}

fn empty(_: &Value, got: &Value) -> bool {
    text(got).is_empty()
}

fn refused(_: &Value, got: &Value) -> bool {
    text(got).starts_with("I'm sorry")
}

fn ten_times(clean: &Value, got: &Value) -> bool {
    let tokens = |value: &Value| {
        let usage = &value["usage"];
        usage["completion_tokens"].as_u64().or(usage["output_tokens"].as_u64()).unwrap()
    };
    tokens(got) == 10 * tokens(clean)
}

fn another_model(_: &Value, got: &Value) -> bool {
    got["model"] == "other-1b"
}

/// What is done to every client that streams text.
fn stream_rows(
    stream: &Value,
    connection: &'static str,
    malformed: &'static str,
    limit: &'static str,
) -> Vec<Row> {
    let truncation = "a truncated text without a reason for its end";
    vec![
        row("stream-cut: { at-chunk: 4, how: clean }", stream, Accepts(truncation, truncated)),
        row("stream-cut: { at-chunk: 4, how: reset }", stream, Raises(connection, 1)),
        row("stream-malformed: { at-chunk: 3 }", stream, Raises(malformed, 1)),
        row("stream-stall: { lasts: 4s, at-chunk: 3 }", stream, Raises(limit, 1)).with(json!({"timeout": 1})),
        row(
            "chunk-order: { how: duplicate }",
            stream,
            Accepts("text that is there twice", |clean, got| text(got).len() == 2 * text(clean).len()),
        ),
        row("number-substitute: { rate: 100% }", stream, Accepts("other numbers", other_numbers)),
        row(
            "text-loop: { from-word: 4, words: 2, repeats: 40 }",
            stream,
            Accepts("a text that loops", longer),
        ),
        row("empty-answer: {}", stream, Accepts("no text", empty)),
        row("refusal: {}", stream, Accepts("a refusal", refused)),
    ]
}

#[tokio::test]
async fn openai_on_fakellm() {
    let _turn = turn().await;
    let chat = json!({"do": "chat", "text": "how many", "retries": 2});
    let stream = json!({"do": "chat", "text": "how many", "stream": true, "retries": 2});
    let tool = json!({"do": "chat", "text": "weather", "stream": true, "retries": 2});
    let mut rows =
        stream_rows(&stream, "openai.APIConnectionError", "json.JSONDecodeError", "openai.APITimeoutError");
    rows.extend([
        row("missing-done: { what: done }", &stream, Same),
        row(
            "missing-done: { what: finish }",
            &stream,
            Accepts("no finish reason", |clean, got| text(clean) == text(got) && got["finish"].is_null()),
        ),
        row("stream-error: { kind: overloaded, at-chunk: 3 }", &stream, Raises("openai.APIError", 1)),
        row(
            "finish-reason: { to: length }",
            &stream,
            Accepts("a wrong finish reason", |clean, got| {
                text(clean) == text(got) && got["finish"] == "length"
            }),
        ),
        row(
            "tool-call: { arguments: keys }",
            &tool,
            Accepts("arguments under other keys", |_, got| {
                let arguments: Value = serde_json::from_str(got["arguments"].as_str().unwrap()).unwrap();
                arguments.as_object().unwrap().len() == 3 && arguments["city"].is_null()
            }),
        ),
        row(
            "malformed-json: { with: truncated, in: tool-arguments }",
            &tool,
            Accepts("arguments that do not parse", |_, got| {
                serde_json::from_str::<Value>(got["arguments"].as_str().unwrap()).is_err()
            }),
        ),
        row("usage: { factor: 10 }", &chat, Accepts("ten times the tokens", ten_times)),
        row("wrong-model: { to: other-1b }", &chat, Accepts("the answer of another model", another_model)),
        row("error: { status: 429, retry-after: 1s }", &chat, Recovers(2))
            .beside("shape: { first-n: { n: 1 } }"),
        row("error: { status: 429, retry-after: 1s }", &stream, Raises("openai.RateLimitError", 3)),
        row("error: { status: 529 }", &stream, Raises("openai.InternalServerError", 3)),
        row("error: { status: 503 }", &chat, Raises("openai.InternalServerError", 3)),
        row("error: { status: 401 }", &chat, Raises("openai.AuthenticationError", 1)),
        row("error: { status: 404 }", &chat, Raises("openai.NotFoundError", 1)),
        row("error: { status: 400 }", &chat, Raises("openai.BadRequestError", 1)),
        row("reset: {}", &chat, Raises("openai.APIConnectionError", 3)),
        row("reset: { after-bytes: 64 }", &chat, Raises("openai.APIConnectionError", 3)),
        row("hang: {}", &chat, Raises("openai.APITimeoutError", 3)).with(json!({"timeout": 1})),
    ]);
    play(Pair {
        client: (Client::OpenAi, "openai"),
        server: (Kind::FakeLlm, "fakellm"),
        grpc: false,
        protocol: "openai",
        target: "",
        rows,
    })
    .await;
}

#[tokio::test]
async fn openai_on_litserve() {
    let _turn = turn().await;
    let stream = json!({"do": "chat", "text": "hello", "stream": true, "retries": 2});
    let embeddings = json!({"do": "embeddings", "encoding": "float", "retries": 2});
    let mut rows =
        stream_rows(&stream, "openai.APIConnectionError", "json.JSONDecodeError", "openai.APITimeoutError");
    rows.extend([
        row("stream-error: { kind: internal, at-chunk: 3 }", &stream, Raises("openai.APIError", 1)),
        row(
            "embedding-rotate: { cosine: 0.5 }",
            &embeddings,
            Accepts("vectors that point elsewhere", |clean, got| {
                (0..2).all(|i| (cosine(vector(clean, i), vector(got, i)) - 0.5).abs() < 1e-5)
            }),
        ),
        row(
            "embedding-resize: { dimension: 4 }",
            &embeddings,
            Accepts("vectors of another dimension", |_, got| vector(got, 0).len() == 4),
        ),
    ]);
    play(Pair {
        client: (Client::OpenAi, "openai"),
        server: (Kind::LitServe, "LitServe"),
        grpc: false,
        protocol: "openai",
        target: "",
        rows,
    })
    .await;
}

fn vector(value: &Value, index: usize) -> Vec<f64> {
    let vector = value["embeddings"][index].as_array().unwrap();
    vector.iter().map(|x| x.as_f64().unwrap_or(f64::NAN)).collect()
}

fn cosine(a: Vec<f64>, b: Vec<f64>) -> f64 {
    let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(x, y)| x * y).sum::<f64>();
    dot(&a, &b) / (dot(&a, &a) * dot(&b, &b)).sqrt()
}

/// The Responses API tells the same text again and again; the client must never see two versions of it.
fn consistent(clean: &Value, got: &Value) -> bool {
    other_numbers(clean, got) && got["final"] == got["text"]
}

#[tokio::test]
async fn openai_responses_and_embeddings() {
    let _turn = turn().await;
    let stream = json!({"do": "responses", "stream": true, "retries": 2});
    let answer = json!({"do": "responses", "retries": 2});
    let embeddings = json!({"do": "embeddings", "retries": 2});
    let rows = vec![
        row(
            "number-substitute: { rate: 100% }",
            &stream,
            Accepts("other numbers, alike in all events", consistent),
        ),
        row("number-substitute: { rate: 100% }", &answer, Accepts("other numbers", other_numbers)),
        row(
            "stream-cut: { at-chunk: 4, how: clean }",
            &stream,
            Accepts("a truncated text", |clean, got| truncated(clean, got) && got["status"].is_null()),
        ),
        row("stream-cut: { at-chunk: 4, how: reset }", &stream, Raises("openai.APIConnectionError", 1)),
        row(
            "stream-error: { kind: overloaded, at-chunk: 3 }",
            &stream,
            Accepts("an `error` event among the others", |clean, got| {
                truncated(clean, got) && got["events"].as_array().unwrap().last().unwrap() == "error"
            }),
        ),
        row(
            "embedding-rotate: { cosine: 0.5 }",
            &embeddings,
            Accepts("vectors that point elsewhere", |clean, got| {
                (0..2).all(|i| (cosine(vector(clean, i), vector(got, i)) - 0.5).abs() < 1e-5)
            }),
        ),
        row(
            "embedding-void: { rate: 100%, with: nan }",
            &embeddings,
            Accepts("vectors of NaN", |_, got| vector(got, 0).iter().all(|x| x.is_nan())),
        ),
        row(
            "embedding-resize: { dimension: 4 }",
            &embeddings,
            Accepts("vectors of another dimension", |_, got| vector(got, 0).len() == 4),
        ),
    ];
    play(Pair {
        client: (Client::OpenAi, "openai"),
        server: (Kind::Faithful, "Responses and embeddings"),
        grpc: false,
        protocol: "openai",
        target: "",
        rows,
    })
    .await;
}

#[tokio::test]
async fn anthropic_on_fakellm() {
    let _turn = turn().await;
    let message = json!({"do": "message", "text": "how many", "retries": 2});
    let stream = json!({"do": "message", "text": "how many", "stream": true, "retries": 2});
    let tool = json!({"do": "message", "text": "weather", "retries": 2});
    let connection = "anthropic.APIConnectionError";
    // A stream that has begun is read by the transport, and so are its errors.
    let mut rows = stream_rows(&stream, "httpx2.ReadError", "json.JSONDecodeError", "httpx2.ReadTimeout");
    rows.extend([
        row(
            "missing-done: { what: done }",
            &stream,
            Accepts("no `message_stop`", |clean, got| text(clean) == text(got) && got["ended"] == false),
        ),
        row(
            "missing-done: { what: finish }",
            &stream,
            Accepts("no stop reason", |clean, got| text(clean) == text(got) && got["stop"].is_null()),
        ),
        row(
            "stream-error: { kind: overloaded, at-chunk: 3 }",
            &stream,
            Raises("anthropic.APIStatusError", 1),
        ),
        row(
            "finish-reason: { to: length }",
            &stream,
            Accepts("a wrong stop reason", |clean, got| {
                text(clean) == text(got) && got["stop"] == "max_tokens"
            }),
        ),
        row(
            "tool-call: { arguments: values }",
            &tool,
            Accepts("other arguments", |clean, got| got["tools"] != clean["tools"]),
        ),
        row("usage: { factor: 10 }", &message, Accepts("ten times the tokens", ten_times)),
        row("wrong-model: { to: other-1b }", &message, Accepts("the answer of another model", another_model)),
        row("error: { status: 429, retry-after: 1s }", &message, Recovers(2))
            .beside("shape: { first-n: { n: 1 } }"),
        row("error: { status: 429, retry-after: 1s }", &stream, Raises("anthropic.RateLimitError", 3)),
        row("error: { status: 529 }", &message, Raises("anthropic.OverloadedError", 3)),
        row("error: { status: 503 }", &message, Raises("anthropic.ServiceUnavailableError", 3)),
        row("error: { status: 401 }", &message, Raises("anthropic.AuthenticationError", 1)),
        row("error: { status: 400 }", &message, Raises("anthropic.BadRequestError", 1)),
        row("reset: {}", &message, Raises(connection, 3)),
        row("reset: { after-bytes: 64 }", &message, Raises(connection, 3)),
        row("hang: {}", &message, Raises("anthropic.APITimeoutError", 3)).with(json!({"timeout": 1})),
    ]);
    play(Pair {
        client: (Client::Anthropic, "anthropic"),
        server: (Kind::FakeLlm, "fakellm"),
        grpc: false,
        protocol: "anthropic",
        target: "",
        rows,
    })
    .await;
}

#[tokio::test]
async fn ollama() {
    let _turn = turn().await;
    let stream = json!({"do": "chat", "stream": true});
    let generate = json!({"do": "generate"});
    let embed = json!({"do": "embed"});
    let mut rows = stream_rows(&stream, "httpx.ReadError", "json.JSONDecodeError", "httpx.ReadTimeout");
    rows.extend([
        row(
            "missing-done: { what: both }",
            &stream,
            Accepts("no last line", |clean, got| text(clean) == text(got) && got["done"] != true),
        ),
        row("stream-error: { kind: overloaded, at-chunk: 3 }", &stream, Raises("ollama.ResponseError", 1)),
        row(
            "finish-reason: { to: length }",
            &stream,
            Accepts("a wrong reason", |_, got| got["reason"] == "length"),
        ),
        row("number-substitute: { rate: 100% }", &generate, Accepts("other numbers", other_numbers)),
        row("error: { status: 503 }", &generate, Raises("ollama.ResponseError", 1)),
        row("error: { status: 429, retry-after: 1s }", &generate, Raises("ollama.ResponseError", 1)),
        row("reset: {}", &generate, Raises("httpx.ReadError", 1)),
        row("hang: {}", &generate, Raises("httpx.ReadTimeout", 1)).with(json!({"timeout": 1})),
        row(
            "embedding-resize: { dimension: 4 }",
            &embed,
            Accepts("vectors of another dimension", |_, got| vector(got, 0).len() == 4),
        ),
        row(
            "embedding-void: { rate: 100%, with: zero }",
            &embed,
            Accepts("vectors of zeros", |_, got| vector(got, 0).iter().all(|x| *x == 0.0)),
        ),
    ]);
    play(Pair {
        client: (Client::Ollama, "ollama"),
        server: (Kind::Faithful, "a server that follows Ollama's protocol"),
        grpc: false,
        protocol: "ollama",
        target: "",
        rows,
    })
    .await;
}

#[tokio::test]
async fn cohere() {
    let _turn = turn().await;
    let rerank = json!({"do": "rerank", "retries": 2});
    let rows = vec![
        row(
            "rank-drop: { rate: 100% }",
            &rerank,
            Accepts("fewer documents", |clean, got| {
                got["results"].as_array().unwrap().len() < clean["results"].as_array().unwrap().len()
            }),
        ),
        row("error: { status: 429, retry-after: 1s }", &rerank, Recovers(2))
            .beside("shape: { first-n: { n: 1 } }"),
        row("error: { status: 503 }", &rerank, Raises("cohere.ServiceUnavailableError", 3)),
        row("error: { status: 400 }", &rerank, Raises("cohere.BadRequestError", 1)),
        row("reset: {}", &rerank, Raises("httpx.ReadError", 1)),
        row("hang: {}", &rerank, Raises("httpx.ReadTimeout", 1)).with(json!({"timeout": 1})),
    ];
    play(Pair {
        client: (Client::Cohere, "cohere"),
        server: (Kind::Faithful, "a server that follows Cohere's protocol"),
        grpc: false,
        protocol: "cohere",
        target: "",
        rows,
    })
    .await;
}

//! Generated text, embeddings and ranked lists, under the routes of the providers that most clients know.
//!
//! No model runs here: the same question always gets the same answer, made of common words, so that what a
//! fault does to it can be told. Streams come token by token, as fast as they are read.

use std::convert::Infallible;

use axum::{
    Json, Router,
    body::Body,
    response::{IntoResponse, Response},
    routing::post,
};
use bytes::Bytes;
use futures_util::stream;
use http::{HeaderValue, StatusCode, header::CONTENT_TYPE};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::draw::{Key, UnitHash};

const CHAT: &str = "canard-chat";
const EMBED: &str = "canard-embed";
/// Length of an embedding.
const DIMENSIONS: usize = 64;
const WORDS: [&str; 48] = [
    "the", "model", "reads", "a", "request", "and", "answers", "with", "care", "because", "every", "user",
    "expects", "three", "clear", "reasons", "in", "42", "words", "or", "fewer", "while", "most", "data",
    "arrives", "late", "from", "another", "service", "that", "counts", "17", "events", "per", "second", "so",
    "we", "measure", "its", "quality", "before", "anyone", "asks", "why", "it", "changed", "since", "2024",
];

/// The routes.
pub(super) fn router() -> Router {
    Router::new()
        .route("/v1/chat/completions", post(chat))
        .route("/v1/embeddings", post(embeddings))
        .route("/v2/rerank", post(rerank))
        .route("/feedback", post(feedback))
}

#[derive(Deserialize)]
struct ChatRequest {
    #[serde(default)]
    model: Option<String>,
    messages: Vec<Message>,
    #[serde(default)]
    stream: bool,
    #[serde(default)]
    tools: Option<Vec<Value>>,
    #[serde(default)]
    max_tokens: Option<usize>,
}

#[derive(Deserialize)]
struct Message {
    content: String,
}

/// An answer before it is put into words of the protocol.
struct Completion {
    id: String,
    model: String,
    /// The text, word by word with the blanks before them; or the arguments of a tool call.
    pieces: Vec<String>,
    tool: Option<String>,
    finish: &'static str,
    prompt_tokens: usize,
}

fn draw(text: &str, number: u64) -> u64 {
    Key::new(0, "demo").draw(UnitHash::of(text.as_bytes()), number).bits()
}

fn complete(request: &ChatRequest) -> Completion {
    let question: Vec<&str> = request.messages.iter().map(|message| message.content.as_str()).collect();
    let question = question.join("\n");
    let tool = request.tools.as_ref().and_then(|tools| tools.first()?["function"]["name"].as_str());
    let length = 20 + (draw(&question, 0) % 30) as usize;
    let kept = request.max_tokens.map_or(length, |most| most.min(length));
    let word = |i: usize| {
        let word = WORDS[(draw(&question, i as u64 + 1) % WORDS.len() as u64) as usize];
        if i == 0 { word.to_owned() } else { format!(" {word}") }
    };
    let pieces = match tool {
        Some(_) => {
            let celsius = draw(&question, 1) % 40;
            let arguments = json!({ "city": WORDS[(celsius % 24) as usize], "celsius": celsius }).to_string();
            arguments.split_inclusive([':', ',']).map(str::to_owned).collect()
        }
        None => (0..kept).map(word).collect(),
    };
    Completion {
        id: format!("chatcmpl-{:016x}", draw(&question, 0)),
        model: request.model.clone().unwrap_or_else(|| CHAT.to_owned()),
        finish: if tool.is_some() {
            "tool_calls"
        } else if kept < length {
            "length"
        } else {
            "stop"
        },
        tool: tool.map(str::to_owned),
        pieces,
        prompt_tokens: question.split_whitespace().count(),
    }
}

impl Completion {
    fn usage(&self) -> Value {
        let (prompt, answer) = (self.prompt_tokens, self.pieces.len());
        json!({ "prompt_tokens": prompt, "completion_tokens": answer, "total_tokens": prompt + answer })
    }

    fn whole(&self) -> Value {
        let text = self.pieces.concat();
        let message = match &self.tool {
            Some(name) => json!({
                "role": "assistant", "content": null,
                "tool_calls": [{ "id": "call_0", "type": "function", "function": { "name": name, "arguments": text } }],
            }),
            None => json!({ "role": "assistant", "content": text, "refusal": null }),
        };
        json!({
            "id": self.id, "object": "chat.completion", "created": 1_700_000_000, "model": self.model,
            "choices": [{ "index": 0, "message": message, "logprobs": null, "finish_reason": self.finish }],
            "usage": self.usage(),
        })
    }

    fn event(&self, choices: Value, usage: Option<Value>) -> String {
        let mut chunk = json!({
            "id": self.id, "object": "chat.completion.chunk", "created": 1_700_000_000, "model": self.model,
            "choices": choices,
        });
        if let Some(usage) = usage {
            chunk["usage"] = usage;
        }
        format!("data: {chunk}\n\n")
    }

    fn events(&self) -> Vec<String> {
        let choice = |delta: Value, finish: Option<&str>| json!([{ "index": 0, "delta": delta, "finish_reason": finish }]);
        let tool = |function: Value| json!({ "tool_calls": [{ "index": 0, "function": function }] });
        let first = match &self.tool {
            Some(name) => json!({
                "role": "assistant", "content": null,
                "tool_calls": [{ "index": 0, "id": "call_0", "type": "function", "function": { "name": name, "arguments": "" } }],
            }),
            None => json!({ "role": "assistant", "content": "" }),
        };
        let piece = |piece: &String| match self.tool {
            Some(_) => tool(json!({ "arguments": piece })),
            None => json!({ "content": piece }),
        };
        let mut events = vec![self.event(choice(first, None), None)];
        events.extend(self.pieces.iter().map(|text| self.event(choice(piece(text), None), None)));
        events.push(self.event(choice(json!({}), Some(self.finish)), None));
        events.push(self.event(json!([]), Some(self.usage())));
        events.push("data: [DONE]\n\n".to_owned());
        events
    }
}

async fn chat(body: Bytes) -> Response {
    let request: ChatRequest = match serde_json::from_slice(&body) {
        Ok(request) => request,
        Err(error) => return refuse(&error.to_string()),
    };
    let completion = complete(&request);
    if !request.stream {
        return Json(completion.whole()).into_response();
    }
    let events = completion.events().into_iter().map(|event| Ok::<_, Infallible>(Bytes::from(event)));
    let mut response = Response::new(Body::from_stream(stream::iter(events)));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream; charset=utf-8"));
    response
}

fn refuse(why: &str) -> Response {
    let error = json!({ "message": why, "type": "invalid_request_error", "param": null, "code": null });
    (StatusCode::BAD_REQUEST, Json(json!({ "error": error }))).into_response()
}

#[derive(Deserialize)]
struct EmbeddingRequest {
    input: Vec<String>,
}

async fn embeddings(body: Bytes) -> Response {
    let request: EmbeddingRequest = match serde_json::from_slice(&body) {
        Ok(request) => request,
        Err(error) => return refuse(&error.to_string()),
    };
    let tokens: usize = request.input.iter().map(|text| text.split_whitespace().count()).sum();
    let data: Vec<Value> = (0..)
        .zip(&request.input)
        .map(|(index, text): (usize, _)| json!({ "object": "embedding", "index": index, "embedding": embed(text) }))
        .collect();
    let usage = json!({ "prompt_tokens": tokens, "total_tokens": tokens });
    Json(json!({ "object": "list", "data": data, "model": EMBED, "usage": usage })).into_response()
}

/// A vector of norm 1: texts that share words point alike.
fn embed(text: &str) -> Vec<f32> {
    let mut vector = [0.0_f64; DIMENSIONS];
    for word in text.split_whitespace() {
        for (axis, value) in (0..).zip(&mut vector) {
            *value += draw(word, axis) as f64 / u64::MAX as f64 - 0.5;
        }
    }
    let norm = vector.iter().map(|x| x * x).sum::<f64>().sqrt().max(f64::MIN_POSITIVE);
    vector.iter().map(|x| (x / norm) as f32).collect()
}

#[derive(Deserialize)]
struct RerankRequest {
    query: String,
    documents: Vec<String>,
}

async fn rerank(body: Bytes) -> Response {
    let request: RerankRequest = match serde_json::from_slice(&body) {
        Ok(request) => request,
        Err(error) => {
            return (StatusCode::BAD_REQUEST, Json(json!({ "message": error.to_string() }))).into_response();
        }
    };
    let query = embed(&request.query);
    let relevance = |text: &String| {
        let cosine: f32 = query.iter().zip(embed(text)).map(|(a, b)| a * b).sum();
        (f64::from(cosine) / 2.0 + 0.5).clamp(0.0, 1.0)
    };
    let mut ranked: Vec<(usize, f64)> = request.documents.iter().map(relevance).enumerate().collect();
    ranked.sort_by(|a, b| b.1.total_cmp(&a.1));
    let results: Vec<Value> =
        ranked.iter().map(|(index, score)| json!({ "index": index, "relevance_score": score })).collect();
    let id = format!("{:016x}", draw(&request.query, 0));
    Json(json!({ "id": id, "results": results, "meta": { "api_version": { "version": "2" } } }))
        .into_response()
}

/// Takes labels back, as an application's own endpoint would.
async fn feedback(body: Bytes) -> Response {
    match serde_json::from_slice::<Value>(&body) {
        Ok(_) => (StatusCode::ACCEPTED, Json(json!({ "accepted": true }))).into_response(),
        Err(error) => (StatusCode::BAD_REQUEST, Json(json!({ "error": error.to_string() }))).into_response(),
    }
}

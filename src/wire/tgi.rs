//! Hugging Face's Text Generation Inference: `/generate`, `/generate_stream`, `/`, and OpenAI's API.
//!
//! The last event of a stream says the whole text again. The texts of `details.tokens` are a diagnosis of the
//! model's own steps, like `logprobs`, and stay as they are.

use bytes::Bytes;
use http::{Method, StatusCode};
use serde_json::json;

use super::{
    Codec, ErrorResponse, Failure, FailureKind, Framing, Generation, Head, Kind, Moment, Node, Reading, Role,
    WireError,
    limits::retry_after,
    openai::{self, OpenAi},
    parts::Parts,
    scan,
};

#[derive(Debug)]
pub(super) struct Tgi;

/// Is it one of the routes of this API?
pub(super) fn is_route(path: &str) -> bool {
    path.ends_with("/generate") || path.ends_with("/generate_stream") || path == "/"
}

impl Codec for Tgi {
    fn is_prediction(&self, method: &Method, path: &str) -> bool {
        method == Method::POST && (is_route(path) || path == "/invocations" || openai::is_route(path))
    }

    fn model<'a>(&self, _path: &'a str) -> Option<&'a str> {
        None
    }

    fn read(&self, head: Head<'_>, body: &[u8]) -> Result<Reading, WireError> {
        OpenAi.read(head, body)
    }

    fn features(&self, head: Head<'_>, body: &[u8]) -> Result<Reading, WireError> {
        let tree = scan(body)?;
        match tree.root().get("inputs") {
            Some(inputs) => {
                let reading = openai::cells_of([vec![inputs]])?;
                Ok(reading.with_columns(vec!["inputs".to_owned()]))
            }
            None => OpenAi.features(head, body),
        }
    }

    fn generation(&self, head: Head<'_>, payload: &[u8]) -> Result<Generation, WireError> {
        if openai::is_route(head.path) || payload.trim_ascii().is_empty() {
            return OpenAi.generation(head, payload);
        }
        let tree = scan(payload)?;
        let mut parts = Parts::default();
        let moment = match tree.root().kind() {
            Kind::Array => {
                for (place, answer) in tree.root().elements().enumerate() {
                    read_answer(&mut parts, answer, place as u32);
                }
                Moment::Whole
            }
            _ => read_object(&mut parts, tree.root())?,
        };
        Ok(parts.into_generation(moment))
    }

    fn error(&self, _path: &str, failure: &Failure) -> ErrorResponse {
        let mut response = ErrorResponse::json(kind(failure).1, &body(failure));
        retry_after(&mut response.headers, failure.retry_after);
        response
    }

    fn stream_error(&self, _path: &str, framing: Framing, failure: &Failure) -> Option<Bytes> {
        (framing == Framing::Sse).then(|| format!("data:{}\n\n", body(failure)).into())
    }
}

fn read_object(parts: &mut Parts, root: Node<'_>) -> Result<Moment, WireError> {
    if let Some(token) = root.get("token") {
        let special = token.get("special").is_some_and(|special| special.kind() == Kind::True);
        parts.text(Role::Text, 0, token.get("text").filter(|_| !special));
        parts.repeat(Role::Text, 0, root.get("generated_text"));
        details(parts, root, 0);
        let ends = parts.has(Role::FinishReason)
            || root.get("generated_text").is_some_and(|t| t.kind() == Kind::String);
        return Ok(match () {
            () if ends => Moment::Finish,
            () if parts.says_anything() => Moment::Delta,
            () => Moment::Other,
        });
    }
    if root.get("generated_text").is_some() {
        read_answer(parts, root, 0);
        return Ok(Moment::Whole);
    }
    if root.get("error").is_some() { Ok(Moment::Error) } else { Err(WireError::NoPrediction) }
}

fn read_answer(parts: &mut Parts, answer: Node<'_>, number: u32) {
    parts.text(Role::Text, number, answer.get("generated_text"));
    details(parts, answer, number);
}

fn details(parts: &mut Parts, answer: Node<'_>, number: u32) {
    if let Some(details) = answer.get("details") {
        parts.text(Role::FinishReason, number, details.get("finish_reason"));
        parts.count(Role::CompletionTokens, details.get("generated_tokens"));
    }
}

/// The types of TGI's `InferError`, and the status of each.
fn kind(failure: &Failure) -> (&'static str, StatusCode) {
    const OVERLOADED: (&str, StatusCode) = ("overloaded", StatusCode::TOO_MANY_REQUESTS);
    const INVALID: (&str, StatusCode) = ("validation", StatusCode::UNPROCESSABLE_ENTITY);
    const GENERATION: (&str, StatusCode) = ("generation", StatusCode::FAILED_DEPENDENCY);
    const INCOMPLETE: (&str, StatusCode) = ("incomplete_generation", StatusCode::INTERNAL_SERVER_ERROR);
    match (failure.kind, failure.status.as_u16()) {
        (Some(FailureKind::RateLimited | FailureKind::Overloaded | FailureKind::Unavailable), _) => {
            OVERLOADED
        }
        (Some(FailureKind::ContextLength | FailureKind::InvalidRequest), _) => INVALID,
        (Some(FailureKind::Internal), _) => INCOMPLETE,
        (Some(FailureKind::Timeout), _) => GENERATION,
        (None, 429 | 503) => (OVERLOADED.0, failure.status),
        (None, 400 | 422) => (INVALID.0, failure.status),
        (None, 500) => (INCOMPLETE.0, failure.status),
        _ => (GENERATION.0, failure.status),
    }
}

/// `{error, error_type}`.
fn body(failure: &Failure) -> serde_json::Value {
    json!({ "error": failure.message, "error_type": kind(failure).0 })
}

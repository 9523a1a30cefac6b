//! Anthropic's Messages API, whole or as events: `POST …/v1/messages`.
//!
//! The number of a text is the index of its content block. Errors inside a stream are events under HTTP 200,
//! which its clients raise as an error of that status.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Method, StatusCode};

use super::{
    Codec, ErrorResponse, Failure, FailureKind, Framing, Generation, Head, Kind, Moment, Node, Reading, Role,
    WireError,
    failure::quoted,
    limits::{retry_after, rfc3339, set, unique_id},
    openai,
    parts::{Parts, index},
    scan,
};
use crate::clock;

#[derive(Debug)]
pub(super) struct Anthropic;

/// Is it one of the routes of this API?
pub(super) fn is_route(path: &str) -> bool {
    path.ends_with("/messages")
}

impl Codec for Anthropic {
    fn is_prediction(&self, method: &Method, path: &str) -> bool {
        method == Method::POST && is_route(path)
    }

    fn model<'a>(&self, _path: &'a str) -> Option<&'a str> {
        None
    }

    fn read(&self, _head: Head<'_>, _body: &[u8]) -> Result<Reading, WireError> {
        Err(WireError::NoPrediction)
    }

    fn features(&self, _head: Head<'_>, body: &[u8]) -> Result<Reading, WireError> {
        openai::features(scan(body)?.root())
    }

    fn generation(&self, _head: Head<'_>, payload: &[u8]) -> Result<Generation, WireError> {
        if payload.trim_ascii().is_empty() {
            return Ok(Parts::default().into_generation(Moment::Ping));
        }
        let tree = scan(payload)?;
        let root = tree.root();
        let kind = root.get("type").and_then(Node::text).ok_or(WireError::NoPrediction)?;
        let mut parts = Parts::default();
        let moment = read_event(&mut parts, root, &kind);
        Ok(parts.into_generation(moment))
    }

    fn error(&self, _path: &str, failure: &Failure) -> ErrorResponse {
        let id = format!("req_{}", unique_id());
        let (error, status) = (error(failure), status(failure));
        let body = format!(r#"{{"type":"error","error":{error},"request_id":"{id}"}}"#);
        let mut response = ErrorResponse::members(status, body);
        let headers = &mut response.headers;
        set(headers, "request-id", &id);
        let again = status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS;
        set(headers, "x-should-retry", if again { "true" } else { "false" });
        retry_after(headers, failure.retry_after);
        if error_type(failure) == "rate_limit_error" {
            limits(headers, failure.retry_after.unwrap_or(Duration::from_secs(1)));
        }
        response
    }

    fn stream_error(&self, _path: &str, framing: Framing, failure: &Failure) -> Option<Bytes> {
        let data = format!(r#"{{"type":"error","error":{}}}"#, error(failure));
        (framing == Framing::Sse).then(|| format!("event: error\ndata: {data}\n\n").into())
    }
}

fn read_event(parts: &mut Parts, root: Node<'_>, kind: &str) -> Moment {
    let block = index(root.get("index"), 0) as u32;
    match kind {
        "message" => {
            read_message(parts, root);
            Moment::Whole
        }
        "message_start" => {
            if let Some(message) = root.get("message") {
                read_message(parts, message);
            }
            Moment::Start
        }
        "content_block_start" => {
            if let Some(content) = root.get("content_block") {
                read_block(parts, content, block, false);
            }
            if parts.says_anything() { Moment::Delta } else { Moment::Other }
        }
        "content_block_delta" => {
            let delta = root.get("delta");
            parts.text(Role::Text, block, delta.and_then(|delta| delta.get("text")));
            parts.text(Role::ToolArguments, block, delta.and_then(|delta| delta.get("partial_json")));
            if parts.is_empty() { Moment::Other } else { Moment::Delta }
        }
        "message_delta" => {
            let reason = root.get("delta").and_then(|delta| delta.get("stop_reason"));
            parts.text(Role::FinishReason, 0, reason);
            parts.usage(root.get("usage"));
            Moment::Finish
        }
        "message_stop" => Moment::Done,
        "ping" => Moment::Ping,
        "error" => Moment::Error,
        _ => Moment::Other,
    }
}

fn read_message(parts: &mut Parts, message: Node<'_>) {
    parts.heading(message);
    for (place, block) in message.get("content").into_iter().flat_map(Node::elements).enumerate() {
        read_block(parts, block, place as u32, true);
    }
    parts.text(Role::FinishReason, 0, message.get("stop_reason"));
    parts.usage(message.get("usage"));
}

/// `complete`: a tool's input stands here, and not in the events after it.
fn read_block(parts: &mut Parts, block: Node<'_>, number: u32, complete: bool) {
    match block.get("type").and_then(Node::text).as_deref() {
        Some("text") => parts.text(Role::Text, number, block.get("text")),
        Some("tool_use") => {
            parts.text(Role::ToolName, number, block.get("name"));
            if complete {
                let input = block.get("input").filter(|input| input.kind() == Kind::Object);
                parts.arguments(number, false, input);
            }
        }
        _ => {}
    }
}

fn error(failure: &Failure) -> String {
    format!(r#"{{"type":"{}","message":{}}}"#, error_type(failure), quoted(&failure.message))
}

/// Overload has a status of its own.
fn status(failure: &Failure) -> StatusCode {
    match failure.kind {
        Some(FailureKind::Overloaded | FailureKind::Unavailable) => {
            StatusCode::from_u16(529).unwrap_or(failure.status)
        }
        _ => failure.status,
    }
}

/// The type of an error, as Anthropic's reference names them.
fn error_type(failure: &Failure) -> &'static str {
    match (failure.kind, failure.status.as_u16()) {
        (Some(FailureKind::RateLimited), _) => "rate_limit_error",
        (Some(FailureKind::Overloaded | FailureKind::Unavailable), _) => "overloaded_error",
        (Some(FailureKind::ContextLength | FailureKind::InvalidRequest), _) => "invalid_request_error",
        (Some(FailureKind::ModelNotFound), _) => "not_found_error",
        (Some(FailureKind::Authentication), _) => "authentication_error",
        (Some(FailureKind::Timeout), _) => "timeout_error",
        (Some(FailureKind::Internal), _) => "api_error",
        (None, 401) => "authentication_error",
        (None, 402) => "billing_error",
        (None, 403) => "permission_error",
        (None, 404) => "not_found_error",
        (None, 413) => "request_too_large",
        (None, 429) => "rate_limit_error",
        (None, 400..=499) => "invalid_request_error",
        (None, 504) => "timeout_error",
        (None, 529) => "overloaded_error",
        (None, _) => "api_error",
    }
}

/// The limits of a beginner (tier 1), of which no request is left; resets are moments.
fn limits(headers: &mut HeaderMap, reset: Duration) {
    let now = clock::now();
    let (at, already) = (rfc3339(now + reset), rfc3339(now));
    set(headers, "anthropic-ratelimit-requests-limit", "50");
    set(headers, "anthropic-ratelimit-requests-remaining", "0");
    set(headers, "anthropic-ratelimit-requests-reset", &at);
    set(headers, "anthropic-ratelimit-input-tokens-limit", "30000");
    set(headers, "anthropic-ratelimit-input-tokens-remaining", "30000");
    set(headers, "anthropic-ratelimit-input-tokens-reset", &already);
    set(headers, "anthropic-ratelimit-output-tokens-limit", "8000");
    set(headers, "anthropic-ratelimit-output-tokens-remaining", "8000");
    set(headers, "anthropic-ratelimit-output-tokens-reset", &already);
    set(headers, "anthropic-ratelimit-tokens-limit", "38000");
    set(headers, "anthropic-ratelimit-tokens-remaining", "38000");
    set(headers, "anthropic-ratelimit-tokens-reset", &already);
}

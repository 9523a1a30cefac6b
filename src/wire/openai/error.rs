//! OpenAI's errors: `{"error": {message, type, param, code}}`, and what its headers tell about limits.
//!
//! Type and code of each kind are those of OpenAI's error reference; a client such as `openai` for Python
//! chooses its exception by the status alone, and its wait by `retry-after-ms` before `retry-after`.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, StatusCode};

use crate::wire::{
    ErrorResponse, Failure, FailureKind,
    failure::quoted,
    limits::{go_duration, retry_after, set, unique_id},
};

/// The limits of a paying beginner (tier 1), of which nothing is left when a limit is hit.
const REQUESTS_PER_MINUTE: u32 = 500;
const TOKENS_PER_MINUTE: u32 = 30_000;

/// The whole answer.
pub(super) fn response(failure: &Failure) -> ErrorResponse {
    let mut response = ErrorResponse::members(failure.status, body(failure));
    let headers = &mut response.headers;
    set(headers, "x-request-id", &request_id());
    retry_after(headers, failure.retry_after);
    if let Some(after) = failure.retry_after {
        set(headers, "retry-after-ms", &after.as_millis().to_string());
    }
    if kind(failure) == Some(FailureKind::RateLimited) {
        limits(headers, failure.retry_after.unwrap_or(Duration::from_secs(1)));
    }
    response
}

fn limits(headers: &mut HeaderMap, reset: Duration) {
    let (reset, minute) = (go_duration(reset), go_duration(Duration::from_millis(12)));
    set(headers, "x-ratelimit-limit-requests", &REQUESTS_PER_MINUTE.to_string());
    set(headers, "x-ratelimit-remaining-requests", "0");
    set(headers, "x-ratelimit-reset-requests", &reset);
    set(headers, "x-ratelimit-limit-tokens", &TOKENS_PER_MINUTE.to_string());
    set(headers, "x-ratelimit-remaining-tokens", &(TOKENS_PER_MINUTE - 6).to_string());
    set(headers, "x-ratelimit-reset-tokens", &minute);
}

/// The body.
pub(in crate::wire) fn body(failure: &Failure) -> String {
    let (kind, code, param) = words(failure);
    let (message, kind, param, code) =
        (quoted(&failure.message), quoted(kind), or_null(param), or_null(code));
    format!(r#"{{"error":{{"message":{message},"type":{kind},"param":{param},"code":{code}}}}}"#)
}

fn or_null(text: Option<&str>) -> String {
    text.map_or("null".to_owned(), quoted)
}

/// An error inside a stream, complete with its delimiters.
pub(super) fn event(path: &str, failure: &Failure) -> Bytes {
    if !path.ends_with("/responses") {
        return format!("data: {}\n\n", body(failure)).into();
    }
    let (_, code, param) = words(failure);
    let (code, message, param) =
        (quoted(code.unwrap_or("server_error")), quoted(&failure.message), or_null(param));
    let data = format!(r#"{{"type":"error","code":{code},"message":{message},"param":{param}}}"#);
    format!("event: error\ndata: {data}\n\n").into()
}

fn request_id() -> String {
    format!("req_{}", unique_id())
}

/// The kind that is asked for, or else the one that the status stands for.
fn kind(failure: &Failure) -> Option<FailureKind> {
    failure.kind.or(match failure.status {
        StatusCode::TOO_MANY_REQUESTS => Some(FailureKind::RateLimited),
        StatusCode::UNAUTHORIZED => Some(FailureKind::Authentication),
        StatusCode::NOT_FOUND => Some(FailureKind::ModelNotFound),
        status if status.is_client_error() => Some(FailureKind::InvalidRequest),
        _ => None,
    })
}

/// Type, code and parameter.
fn words(failure: &Failure) -> (&'static str, Option<&'static str>, Option<&'static str>) {
    const INVALID: &str = "invalid_request_error";
    match kind(failure) {
        Some(FailureKind::RateLimited) => ("requests", Some("rate_limit_exceeded"), None),
        Some(FailureKind::ContextLength) => (INVALID, Some("context_length_exceeded"), Some("messages")),
        Some(FailureKind::ModelNotFound) => (INVALID, Some("model_not_found"), None),
        Some(FailureKind::Authentication) => (INVALID, Some("invalid_api_key"), None),
        Some(FailureKind::InvalidRequest) => (INVALID, None, None),
        Some(FailureKind::Timeout) => ("timeout", None, None),
        Some(FailureKind::Overloaded | FailureKind::Unavailable | FailureKind::Internal) | None => {
            ("server_error", None, None)
        }
    }
}

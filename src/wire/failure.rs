//! What an error fault asks for, and what a provider makes of it in its own words.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, StatusCode, header::CONTENT_TYPE};
use serde::{Deserialize, Serialize};

/// An error that the caller should get.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// The status.
    pub status: StatusCode,
    /// What it says.
    pub message: String,
    /// What kind of failure it is, where a provider has words of its own for it.
    pub kind: Option<FailureKind>,
    /// When the caller may try again.
    pub retry_after: Option<Duration>,
}

impl Failure {
    /// A status and what it says.
    pub fn new(status: StatusCode, message: impl Into<String>) -> Failure {
        Failure { status, message: message.into(), kind: None, retry_after: None }
    }
}

/// Failures that providers have words of their own for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum FailureKind {
    /// Too many requests or tokens.
    RateLimited,
    /// The provider has no capacity.
    Overloaded,
    /// The prompt is longer than the model takes.
    ContextLength,
    /// There is no such model.
    ModelNotFound,
    /// The request is wrong.
    InvalidRequest,
    /// The key is wrong.
    Authentication,
    /// The service is not there.
    Unavailable,
    /// It took too long.
    Timeout,
    /// It broke.
    Internal,
}

/// An error as a provider answers it.
#[derive(Debug, Clone, PartialEq)]
pub struct ErrorResponse {
    /// The status; gRPC carries its own under 200.
    pub status: StatusCode,
    /// Headers: the content type, and what the provider tells beside it.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
}

impl ErrorResponse {
    /// An error with a body of this type.
    pub fn new(status: StatusCode, content_type: &'static str, body: impl Into<Bytes>) -> ErrorResponse {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
        ErrorResponse { status, headers, body: body.into() }
    }

    /// An error whose body is JSON, its members in the order in which the provider writes them.
    pub(super) fn members(status: StatusCode, body: String) -> ErrorResponse {
        ErrorResponse::new(status, "application/json", body)
    }

    /// An error whose body is JSON.
    pub fn json(status: StatusCode, body: &serde_json::Value) -> ErrorResponse {
        ErrorResponse::new(status, "application/json", body.to_string())
    }
}

/// A text as JSON, for bodies whose members keep their order.
pub(super) fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

#[cfg(test)]
mod tests;

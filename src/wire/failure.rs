//! What an error fault asks for, and what a provider makes of it in its own words.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, StatusCode, header::CONTENT_TYPE};
use serde::{Deserialize, Serialize};

use super::GrpcStatus;

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
    /// The gRPC status that a gRPC call gets; `None`: the one that stands for `status`.
    pub grpc: Option<GrpcStatus>,
}

impl Failure {
    /// A status and what it says.
    pub fn new(status: StatusCode, message: impl Into<String>) -> Failure {
        Failure { status, message: message.into(), kind: None, retry_after: None, grpc: None }
    }
}

/// Failures that providers have words of their own for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
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

impl FailureKind {
    /// As a scenario writes it.
    pub const fn name(self) -> &'static str {
        match self {
            FailureKind::RateLimited => "rate-limited",
            FailureKind::Overloaded => "overloaded",
            FailureKind::ContextLength => "context-length",
            FailureKind::ModelNotFound => "model-not-found",
            FailureKind::InvalidRequest => "invalid-request",
            FailureKind::Authentication => "authentication",
            FailureKind::Unavailable => "unavailable",
            FailureKind::Timeout => "timeout",
            FailureKind::Internal => "internal",
        }
    }

    /// The status that most servers answer with. A codec whose servers have another for the kind answers with that
    /// one: Anthropic with 529 for overload, TGI with 429, TEI with 424 for what broke.
    pub const fn status(self) -> StatusCode {
        match self {
            FailureKind::RateLimited => StatusCode::TOO_MANY_REQUESTS,
            FailureKind::Overloaded | FailureKind::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
            FailureKind::ContextLength | FailureKind::InvalidRequest => StatusCode::BAD_REQUEST,
            FailureKind::ModelNotFound => StatusCode::NOT_FOUND,
            FailureKind::Authentication => StatusCode::UNAUTHORIZED,
            FailureKind::Timeout => StatusCode::GATEWAY_TIMEOUT,
            FailureKind::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// What it says, where nobody says it better.
    pub const fn phrase(self) -> &'static str {
        match self {
            FailureKind::RateLimited => "Rate limit reached. Please try again later.",
            FailureKind::Overloaded => "The model is overloaded. Please try again later.",
            FailureKind::ContextLength => "The input is longer than the context of the model.",
            FailureKind::ModelNotFound => "The model does not exist.",
            FailureKind::InvalidRequest => "The request is invalid.",
            FailureKind::Authentication => "The API key is invalid.",
            FailureKind::Unavailable => "The service is unavailable.",
            FailureKind::Timeout => "The request timed out.",
            FailureKind::Internal => "The server had an error.",
        }
    }
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

//! A small HTTP client with limits: time, size, TLS.

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct HttpError(pub String);

/// An answer, whole.
#[derive(Debug, Clone)]
pub struct HttpResponse {}

/// A client.
#[derive(Debug, Clone, Default)]
pub struct HttpClient {}

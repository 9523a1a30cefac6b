//! What canard has to know of an inference protocol.

use std::fmt;

use bytes::Bytes;
use http::{HeaderMap, Method};

use super::{ErrorResponse, Failure, Framing, Generation, Reading, WireError};

/// What goes with the bytes of a body.
#[derive(Debug, Clone, Copy)]
pub struct Head<'a> {
    /// The path of the request.
    pub path: &'a str,
    /// The headers of the message that the body belongs to.
    pub headers: &'a HeaderMap,
}

/// An inference protocol, as far as canard needs to know it. Bodies are decoded; of a gRPC call a body is one
/// message without its prefix.
///
/// An embedded layer takes one of your own: [`Plan::with_codec`](crate::scenario::Plan::with_codec).
pub trait Codec: fmt::Debug + Send + Sync {
    /// Does a request to this route ask for predictions (or embeddings, a ranking, a text)?
    fn is_prediction(&self, method: &Method, path: &str) -> bool;

    /// The model that a path names.
    fn model<'a>(&self, path: &'a str) -> Option<&'a str>;

    /// Finds the predictions, embeddings or ranked items of a whole response body, or of one chunk of a stream.
    ///
    /// # Errors
    /// If the body is not what the protocol says, or holds none.
    fn read(&self, head: Head<'_>, body: &[u8]) -> Result<Reading, WireError>;

    /// Finds the features in a whole request body.
    ///
    /// # Errors
    /// If the body is not what the protocol says, or its features are not read.
    fn features(&self, _head: Head<'_>, _body: &[u8]) -> Result<Reading, WireError> {
        Err(WireError::Unsupported("features of this protocol's requests"))
    }

    /// Finds the parts of a generated text, in a whole response body or in the payload of one chunk.
    ///
    /// # Errors
    /// If the bytes are not what the protocol says, or hold no text.
    fn generation(&self, _head: Head<'_>, _payload: &[u8]) -> Result<Generation, WireError> {
        Err(WireError::NoPrediction)
    }

    /// How a response body is cut into chunks.
    fn framing(&self, head: Head<'_>) -> Framing {
        Framing::of(head.headers)
    }

    /// An error, as this protocol's servers answer it on this route.
    fn error(&self, path: &str, failure: &Failure) -> ErrorResponse;

    /// An error inside a stream that began with a 200, complete with its delimiters; `None` where the protocol
    /// has no such thing.
    fn stream_error(&self, _path: &str, _framing: Framing, _failure: &Failure) -> Option<Bytes> {
        None
    }
}

/// `{"error": "…"}`, as most model servers put it.
pub(super) fn error_field(failure: &Failure) -> ErrorResponse {
    ErrorResponse::json(failure.status, &serde_json::json!({ "error": failure.message }))
}

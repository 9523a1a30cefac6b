//! LitServe: `POST /predict` (or another route that the server names), any JSON; streams are lines of JSON
//! without a content type; OpenAI's chat and embeddings beside it.

use bytes::Bytes;
use http::{Method, header::CONTENT_TYPE};
use serde_json::json;

use super::{
    Codec, ErrorResponse, Failure, Framing, Generation, Head, Outputs, Reading, WireError, any_json,
    openai::{self, OpenAi},
};

#[derive(Debug)]
pub(super) struct LitServe(Outputs);

impl LitServe {
    pub(super) fn new(outputs: Outputs) -> LitServe {
        LitServe(outputs)
    }
}

impl Codec for LitServe {
    fn is_prediction(&self, method: &Method, _path: &str) -> bool {
        method == Method::POST
    }

    fn model<'a>(&self, _path: &'a str) -> Option<&'a str> {
        None
    }

    fn read(&self, head: Head<'_>, body: &[u8]) -> Result<Reading, WireError> {
        if openai::is_route(head.path) {
            return OpenAi.read(head, body);
        }
        any_json::read(body, &self.0)
    }

    fn features(&self, head: Head<'_>, body: &[u8]) -> Result<Reading, WireError> {
        if openai::is_route(head.path) { OpenAi.features(head, body) } else { any_json::features(body) }
    }

    fn generation(&self, head: Head<'_>, payload: &[u8]) -> Result<Generation, WireError> {
        if openai::is_route(head.path) {
            return OpenAi.generation(head, payload);
        }
        any_json::generation(payload, self.framing(head) != Framing::Whole)
    }

    fn framing(&self, head: Head<'_>) -> Framing {
        if head.headers.contains_key(CONTENT_TYPE) { Framing::of(head.headers) } else { Framing::Ndjson }
    }

    fn error(&self, _path: &str, failure: &Failure) -> ErrorResponse {
        ErrorResponse::json(failure.status, &json!({ "detail": failure.message }))
    }

    /// As its OpenAI routes send it; its other streams just end.
    fn stream_error(&self, path: &str, framing: Framing, failure: &Failure) -> Option<Bytes> {
        if openai::is_route(path) { OpenAi.stream_error(path, framing, failure) } else { None }
    }
}

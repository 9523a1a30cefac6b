//! Ray Serve: any route, any JSON, chunked; errors are plain text. OpenAI's API by Ray Serve LLM.

use bytes::Bytes;
use http::Method;

use super::{
    Codec, ErrorResponse, Failure, Framing, Generation, Head, Outputs, Reading, WireError, any_json,
    openai::{self, OpenAi},
};

#[derive(Debug)]
pub(super) struct RayServe(Outputs);

impl RayServe {
    pub(super) fn new(outputs: Outputs) -> RayServe {
        RayServe(outputs)
    }
}

impl Codec for RayServe {
    fn is_prediction(&self, method: &Method, path: &str) -> bool {
        method == Method::POST && !path.starts_with("/-/")
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

    fn error(&self, path: &str, failure: &Failure) -> ErrorResponse {
        if openai::is_route(path) {
            return ErrorResponse::members(failure.status, openai::error_body(failure));
        }
        ErrorResponse::new(failure.status, "text/plain; charset=utf-8", failure.message.clone())
    }

    fn stream_error(&self, path: &str, framing: Framing, failure: &Failure) -> Option<Bytes> {
        if openai::is_route(path) { OpenAi.stream_error(path, framing, failure) } else { None }
    }
}

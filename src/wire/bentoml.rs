//! BentoML: `POST /<api>`, answered with a bare JSON value; texts as they are.
//!
//! Its streams are raw text, labelled `text/event-stream` all the same, so they are cut nowhere. What it mounts
//! of OpenAI's API is read as such.

use bytes::Bytes;
use http::{Method, header::CONTENT_TYPE};

use super::{
    Codec, ErrorResponse, Failure, Framing, Generation, Head, Moment, Outputs, Reading, WireError, any_json,
    codec::error_field,
    failure::quoted,
    openai::{self, OpenAi},
};

#[derive(Debug)]
pub(super) struct BentoMl(Outputs);

impl BentoMl {
    pub(super) fn new(outputs: Outputs) -> BentoMl {
        BentoMl(outputs)
    }
}

impl Codec for BentoMl {
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
        match self.framing(head) {
            _ if openai::is_route(head.path) => OpenAi.generation(head, payload),
            Framing::Text => any_json::bare_text(payload, Moment::Delta),
            _ if is_text(head) => any_json::bare_text(payload, Moment::Whole),
            framing => any_json::generation(payload, framing != Framing::Whole),
        }
    }

    fn framing(&self, head: Head<'_>) -> Framing {
        match Framing::of(head.headers) {
            Framing::Sse if !openai::is_route(head.path) => Framing::Text,
            framing => framing,
        }
    }

    fn error(&self, path: &str, failure: &Failure) -> ErrorResponse {
        if openai::is_route(path) {
            return ErrorResponse::members(failure.status, openai::error_body(failure));
        }
        match failure.status.as_u16() {
            404 => ErrorResponse::new(failure.status, "text/plain; charset=utf-8", failure.message.clone()),
            400 => {
                let body = format!(r#"{{"error":{},"detail":[]}}"#, quoted(&failure.message));
                ErrorResponse::members(failure.status, body)
            }
            _ => error_field(failure),
        }
    }

    fn stream_error(&self, path: &str, framing: Framing, failure: &Failure) -> Option<Bytes> {
        if openai::is_route(path) { OpenAi.stream_error(path, framing, failure) } else { None }
    }
}

fn is_text(head: Head<'_>) -> bool {
    let media = head.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    media.is_some_and(|media| media.starts_with("text/plain"))
}

//! Triton's generate extension: `POST …/v2/models/M[/versions/V]/generate` and `/generate_stream`.
//!
//! An event has no sign of the end: the stream ends with its connection. An error in the middle is an event
//! `{"error": …}` under HTTP 200.

use bytes::Bytes;
use http::Method;
use serde_json::json;

use super::{
    Codec, ErrorResponse, Failure, Framing, Generation, Head, Moment, Reading, Role, WireError,
    codec::error_field, openai, parts::Parts, scan,
};

#[derive(Debug)]
pub(super) struct TritonGenerate;

/// The model of a route of this API.
pub(super) fn route(path: &str) -> Option<&str> {
    let (_, rest) = path.split_once("/v2/models/")?;
    let (model, verb) = rest.split_once('/')?;
    let verb = match verb.strip_prefix("versions/") {
        Some(versioned) => versioned.split_once('/')?.1,
        None => verb,
    };
    (!model.is_empty() && matches!(verb, "generate" | "generate_stream")).then_some(model)
}

impl Codec for TritonGenerate {
    fn is_prediction(&self, method: &Method, path: &str) -> bool {
        method == Method::POST && route(path).is_some()
    }

    fn model<'a>(&self, path: &'a str) -> Option<&'a str> {
        route(path)
    }

    fn read(&self, _head: Head<'_>, _body: &[u8]) -> Result<Reading, WireError> {
        Err(WireError::NoPrediction)
    }

    fn features(&self, _head: Head<'_>, body: &[u8]) -> Result<Reading, WireError> {
        let tree = scan(body)?;
        let text = tree.root().get("text_input").ok_or(WireError::NoPrediction)?;
        Ok(openai::cells_of([vec![text]])?.with_columns(vec!["text_input".to_owned()]))
    }

    fn generation(&self, head: Head<'_>, payload: &[u8]) -> Result<Generation, WireError> {
        let mut parts = Parts::default();
        if payload.trim_ascii().is_empty() {
            return Ok(parts.into_generation(Moment::Ping));
        }
        let tree = scan(payload)?;
        let root = tree.root();
        if root.get("error").is_some() {
            return Ok(parts.into_generation(Moment::Error));
        }
        let text = root.get("text_output").ok_or(WireError::NoPrediction)?;
        parts.text(Role::Model, 0, root.get("model_name"));
        parts.text(Role::Text, 0, Some(text));
        let whole = self.framing(head) == Framing::Whole;
        Ok(parts.into_generation(if whole { Moment::Whole } else { Moment::Delta }))
    }

    fn error(&self, _path: &str, failure: &Failure) -> ErrorResponse {
        error_field(failure)
    }

    fn stream_error(&self, _path: &str, framing: Framing, failure: &Failure) -> Option<Bytes> {
        let data = json!({ "error": failure.message });
        (framing == Framing::Sse).then(|| format!("data: {data}\n\n").into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn routes_name_their_model() {
        for (path, model) in [
            ("/v2/models/llm/generate", Some("llm")),
            ("/a/v2/models/llm/generate_stream", Some("llm")),
            ("/v2/models/llm/versions/3/generate", Some("llm")),
            ("/v2/models/llm/infer", None),
            ("/v2/models/llm/versions/3", None),
            ("/v2/models//generate", None),
            ("/generate", None),
        ] {
            assert_eq!(TritonGenerate.model(path), model, "{path}");
        }
    }
}

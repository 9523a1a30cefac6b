//! Ollama: `/api/generate`, `/api/chat`, `/api/embed`, streamed as lines of JSON; OpenAI's API beside it.
//!
//! A tool's arguments are an object here. The last line has `done: true`, the reason and the counts.

use bytes::Bytes;
use http::Method;
use serde_json::json;

use super::{
    Codec, ErrorResponse, Failure, Framing, Generation, Head, Kind, Moment, Node, Reading, Role, WireError,
    codec::error_field,
    openai::{self, OpenAi},
    parts::{Parts, number},
    scan, vector,
};

const TEXTS: [&str; 2] = ["/api/generate", "/api/chat"];
const VECTORS: [&str; 2] = ["/api/embed", "/api/embeddings"];

#[derive(Debug)]
pub(super) struct Ollama;

/// Is it one of the routes of this API?
pub(super) fn is_route(path: &str) -> bool {
    TEXTS.iter().chain(&VECTORS).any(|route| path.ends_with(route))
}

impl Codec for Ollama {
    fn is_prediction(&self, method: &Method, path: &str) -> bool {
        method == Method::POST && (is_route(path) || openai::is_route(path))
    }

    fn model<'a>(&self, _path: &'a str) -> Option<&'a str> {
        None
    }

    fn read(&self, head: Head<'_>, body: &[u8]) -> Result<Reading, WireError> {
        if !is_route(head.path) {
            return OpenAi.read(head, body);
        }
        let tree = scan(body)?;
        let many = tree.root().get("embeddings").into_iter().flat_map(Node::elements);
        vector::read(many.chain(tree.root().get("embedding")))
    }

    fn features(&self, head: Head<'_>, body: &[u8]) -> Result<Reading, WireError> {
        OpenAi.features(head, body)
    }

    fn generation(&self, head: Head<'_>, payload: &[u8]) -> Result<Generation, WireError> {
        if !is_route(head.path) {
            return OpenAi.generation(head, payload);
        }
        let mut parts = Parts::default();
        if payload.trim_ascii().is_empty() {
            return Ok(parts.into_generation(Moment::Ping));
        }
        let tree = scan(payload)?;
        let moment = read_line(&mut parts, tree.root(), self.framing(head) != Framing::Whole)?;
        Ok(parts.into_generation(moment))
    }

    fn error(&self, path: &str, failure: &Failure) -> ErrorResponse {
        if is_route(path) {
            error_field(failure)
        } else {
            ErrorResponse::members(failure.status, openai::error_body(failure))
        }
    }

    fn stream_error(&self, path: &str, framing: Framing, failure: &Failure) -> Option<Bytes> {
        match framing {
            Framing::Ndjson => Some(format!("{}\n", json!({ "error": failure.message })).into()),
            framing => OpenAi.stream_error(path, framing, failure),
        }
    }
}

fn read_line(parts: &mut Parts, root: Node<'_>, is_stream: bool) -> Result<Moment, WireError> {
    if root.get("error").is_some() {
        return Ok(Moment::Error);
    }
    let done = root.get("done").ok_or(WireError::NoPrediction)?.kind() == Kind::True;
    parts.text(Role::Model, 0, root.get("model"));
    parts.text(Role::Text, 0, root.get("response"));
    if let Some(message) = root.get("message") {
        parts.text(Role::Text, 0, message.get("content"));
        let calls = message.get("tool_calls").into_iter().flat_map(Node::elements);
        for (place, call) in calls.filter_map(|call| call.get("function")).enumerate() {
            parts.text(Role::ToolName, number(0, place), call.get("name"));
            parts.arguments(number(0, place), false, call.get("arguments"));
        }
    }
    parts.text(Role::FinishReason, 0, root.get("done_reason"));
    parts.count(Role::PromptTokens, root.get("prompt_eval_count"));
    parts.count(Role::CompletionTokens, root.get("eval_count"));
    Ok(match () {
        () if !is_stream => Moment::Whole,
        () if done => Moment::Finish,
        () if parts.says_anything() => Moment::Delta,
        () => Moment::Other,
    })
}

#[cfg(test)]
mod tests {
    use http::{HeaderMap, HeaderValue, header::CONTENT_TYPE};

    use super::*;
    use crate::wire::{Value, testing::at};

    fn line(body: &str) -> Generation {
        let headers: HeaderMap =
            [(CONTENT_TYPE, HeaderValue::from_static("application/x-ndjson"))].into_iter().collect();
        Ollama.generation(Head { path: "/api/chat", headers: &headers }, body.as_bytes()).unwrap()
    }

    #[test]
    fn arguments_are_an_object() {
        let body = r#"{"message":{"content":"","tool_calls":[{"function":{"name":"f","arguments":{"a": 1}}}]},"done":false}"#;
        let generation = line(body);
        assert_eq!(generation.moment, Moment::Delta);
        let mut values: Vec<_> = generation.parts.iter().map(|part| part.value.clone()).collect();
        assert_eq!(values[1..], [Value::Text("f".into()), Value::Text(r#"{"a": 1}"#.into())]);
        values[2] = Value::Text(r#"{"b":[]}"#.into());
        let edited = generation.splice(body.as_bytes(), &values).unwrap().unwrap();
        assert_eq!(String::from_utf8(edited).unwrap(), body.replace(r#"{"a": 1}"#, r#"{"b":[]}"#));
        // What is no JSON can't stand where an object is.
        values[2] = Value::Text("{".into());
        assert!(generation.splice(body.as_bytes(), &values).is_err());
    }

    #[test]
    fn an_error_in_the_middle_is_a_line() {
        assert_eq!(line(r#"{"error":"no memory"}"#).moment, Moment::Error);
        assert!(Ollama.generation(at("/api/chat"), b"{}").is_err());
        // OpenAI's API beside its own.
        let chat =
            Ollama.generation(at("/v1/chat/completions"), br#"{"choices":[{"message":{"content":"a"}}]}"#);
        assert_eq!(chat.unwrap().moment, Moment::Whole);
    }
}

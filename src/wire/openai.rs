//! OpenAI's API, as OpenAI and all who copy it serve it: chat, completions, embeddings and Responses.
//!
//! Routes are known by their ends, since gateways and servers put different things before them (`/v1`,
//! `/openai/v1`, `/openai/deployments/D`). Which of the APIs a body belongs to is told by the body. Log-probabilities
//! are a diagnosis of the model's own steps, and stay as they are when a text is edited.

mod error;
mod responses;

use std::collections::HashMap;

use http::Method;

use super::{
    Codec, Content, ErrorResponse, Failure, Framing, Generation, Head, Kind, Moment, Node, Reading, Role,
    Row, Value, WireError,
    parts::{Parts, index, number},
    scan, vector,
};
use bytes::Bytes;

pub(super) use error::body as error_body;

const ROUTES: [&str; 4] = ["/chat/completions", "/completions", "/embeddings", "/responses"];

/// The number of the one call that a `function_call` is, the form before tools.
const LONE_CALL: usize = 0xffff;

#[derive(Debug)]
pub(super) struct OpenAi;

/// Is it one of the routes of this API?
pub(super) fn is_route(path: &str) -> bool {
    ROUTES.iter().any(|route| path.ends_with(route))
}

impl Codec for OpenAi {
    fn is_prediction(&self, method: &Method, path: &str) -> bool {
        method == Method::POST && is_route(path)
    }

    /// Azure's routes alone name one: `/openai/deployments/D/chat/completions`.
    fn model<'a>(&self, path: &'a str) -> Option<&'a str> {
        let (_, rest) = path.split_once("/deployments/")?;
        rest.split('/').next().filter(|model| !model.is_empty())
    }

    fn read(&self, _head: Head<'_>, body: &[u8]) -> Result<Reading, WireError> {
        let tree = scan(body)?;
        let data = tree.root().get("data").ok_or(WireError::NoPrediction)?;
        vector::read(data.elements().filter_map(|item| item.get("embedding")))
    }

    fn features(&self, _head: Head<'_>, body: &[u8]) -> Result<Reading, WireError> {
        features(scan(body)?.root())
    }

    fn generation(&self, head: Head<'_>, payload: &[u8]) -> Result<Generation, WireError> {
        generation(payload, self.framing(head) == Framing::Sse)
    }

    fn error(&self, _path: &str, failure: &Failure) -> ErrorResponse {
        error::response(failure)
    }

    fn stream_error(&self, path: &str, framing: Framing, failure: &Failure) -> Option<Bytes> {
        (framing == Framing::Sse).then(|| error::event(path, failure))
    }
}

/// Reads a whole answer, or the data of one event.
pub(super) fn generation(payload: &[u8], is_stream: bool) -> Result<Generation, WireError> {
    let only = |moment| Ok(Parts::default().into_generation(moment));
    match payload.trim_ascii() {
        b"" => return only(Moment::Ping),
        b"[DONE]" => return only(Moment::Done),
        _ => {}
    }
    let tree = scan(payload)?;
    let root = tree.root();
    if let Some(generation) = responses::generation(root) {
        return Ok(generation);
    }
    match root.get("choices").filter(|choices| choices.kind() == Kind::Array) {
        Some(choices) => Ok(choose(root, choices, is_stream)),
        None if root.get("error").is_some_and(|error| error.kind() != Kind::Null) => only(Moment::Error),
        None => Err(WireError::NoPrediction),
    }
}

fn choose(root: Node<'_>, choices: Node<'_>, is_stream: bool) -> Generation {
    let mut parts = Parts::default();
    parts.heading(root);
    let mut opens = false;
    for (place, choice) in choices.elements().enumerate() {
        let number = index(choice.get("index"), place);
        let message = choice.get("delta").or(choice.get("message"));
        opens |= message.is_some_and(|message| message.get("role").is_some());
        parts.text(Role::Text, number as u32, message.map_or_else(|| choice.get("text"), content));
        if let Some(message) = message {
            parts.text(Role::Refusal, number as u32, message.get("refusal"));
            calls(&mut parts, number, message);
        }
        parts.text(Role::FinishReason, number as u32, choice.get("finish_reason"));
    }
    parts.usage(root.get("usage"));
    let moment = match () {
        () if !is_stream => Moment::Whole,
        () if parts.has(Role::FinishReason) => Moment::Finish,
        () if parts.says_anything() => Moment::Delta,
        () if choices.elements().next().is_none() && parts.has(Role::CompletionTokens) => Moment::Usage,
        () if opens => Moment::Start,
        () => Moment::Other,
    };
    parts.into_generation(moment)
}

fn content(message: Node<'_>) -> Option<Node<'_>> {
    message.get("content")
}

fn calls(parts: &mut Parts, choice: usize, message: Node<'_>) {
    let tools = message.get("tool_calls").into_iter().flat_map(Node::elements).enumerate();
    let tools =
        tools.filter_map(|(place, call)| Some((index(call.get("index"), place), call.get("function")?)));
    for (tool, function) in tools.chain(message.get("function_call").map(|call| (LONE_CALL, call))) {
        let number = number(choice, tool);
        parts.text(Role::ToolName, number, function.get("name"));
        parts.arguments(number, false, function.get("arguments"));
    }
}

/// The texts of a request: one row, a cell for each message (by its role) or prompt; of embeddings, a row for
/// each input.
pub(super) fn features(root: Node<'_>) -> Result<Reading, WireError> {
    let messages = root.get("messages").or(root.get("input").filter(is_conversation));
    if let Some(messages) = messages {
        let mut cells = Vec::new();
        let mut names = Vec::new();
        for message in messages.elements() {
            let role = message.get("role").and_then(Node::text).unwrap_or("message".into()).into_owned();
            let content = message.get("content");
            let texts = content.into_iter().flat_map(|content| match content.kind() {
                Kind::Array => content.elements().filter_map(|part| part.get("text")).collect(),
                _ => vec![content],
            });
            for text in texts.filter(|text| text.kind() == Kind::String) {
                names.push(role.clone());
                cells.push(text);
            }
        }
        return cells_of([cells]).map(|reading| reading.with_columns(numbered(names)));
    }
    let (name, value) = ["prompt", "input"]
        .into_iter()
        .find_map(|name| Some((name, root.get(name)?)))
        .ok_or(WireError::NoPrediction)?;
    let rows: Vec<_> = match value.kind() {
        Kind::Array => value.elements().map(|text| vec![text]).collect(),
        _ => vec![vec![value]],
    };
    cells_of(rows).map(|reading| reading.with_columns(vec![name.to_owned()]))
}

fn is_conversation(input: &Node<'_>) -> bool {
    input.elements().next().is_some_and(|message| message.kind() == Kind::Object)
}

/// Rows of texts; token numbers and the like are no text.
pub(super) fn cells_of<'t>(rows: impl IntoIterator<Item = Vec<Node<'t>>>) -> Result<Reading, WireError> {
    let mut reading = Reading::default().with_content(Content::Features);
    for cells in rows {
        let texts = cells.iter().map(|cell| cell.text().map(|text| Value::Text(text.into_owned())));
        let scores = texts.collect::<Option<Vec<_>>>().ok_or(WireError::Unsupported("a prompt of tokens"))?;
        reading.push(Row { label: None, scores }, None, cells.into_iter().map(super::quoted::slot));
    }
    if reading.rows().iter().all(|row| row.scores.is_empty()) {
        Err(WireError::NoPrediction)
    } else {
        Ok(reading)
    }
}

/// `user`, `assistant`, `user-2`: names that tell cells apart.
pub(super) fn numbered(mut names: Vec<String>) -> Vec<String> {
    let mut seen: HashMap<String, usize> = HashMap::new();
    for name in &mut names {
        match seen.get_mut(name.as_str()) {
            None => _ = seen.insert(name.clone(), 1),
            Some(nth) => {
                *nth += 1;
                *name = format!("{name}-{nth}");
            }
        }
    }
    names
}

#[cfg(test)]
mod tests;

//! OpenAI's Responses API: one answer of several output items, whole or as events.
//!
//! A stream says the same text up to five times: in pieces, and then whole in the `done` events of the text,
//! of the content part, of the output item and of the response. The number of a text is made of the indices of
//! item and content alone, so that all of them share it, in whatever order they come.

use crate::wire::{
    Generation, Kind, Moment, Node, Role,
    parts::{Parts, index, number},
};

/// Reads a response or an event of one; `None` for what is neither.
pub(super) fn generation(root: Node<'_>) -> Option<Generation> {
    let kind = root.get("type").and_then(Node::text).unwrap_or_default();
    let mut parts = Parts::default();
    let moment = match kind.strip_prefix("response.") {
        Some(event) => read_event(&mut parts, root, event),
        None if kind == "error" && root.get("choices").is_none() => Moment::Error,
        None if is(root, "object", "response") => {
            read_response(&mut parts, root, false);
            Moment::Whole
        }
        None => return None,
    };
    Some(parts.into_generation(moment))
}

fn read_event(parts: &mut Parts, root: Node<'_>, event: &str) -> Moment {
    let item = index(root.get("output_index"), 0);
    let text = number(item, index(root.get("content_index"), 0));
    let call = number(item, 0);
    match event {
        "created" | "in_progress" | "queued" => {
            if let Some(response) = root.get("response") {
                parts.heading(response);
            }
            Moment::Start
        }
        "output_text.delta" => {
            parts.text(Role::Text, text, root.get("delta"));
            Moment::Delta
        }
        "refusal.delta" => {
            parts.text(Role::Refusal, text, root.get("delta"));
            Moment::Delta
        }
        "function_call_arguments.delta" => {
            parts.text(Role::ToolArguments, call, root.get("delta"));
            Moment::Delta
        }
        "output_text.done" => {
            parts.repeat(Role::Text, text, root.get("text"));
            Moment::Other
        }
        "refusal.done" => {
            parts.repeat(Role::Refusal, text, root.get("refusal"));
            Moment::Other
        }
        "function_call_arguments.done" => {
            parts.repeat(Role::ToolArguments, call, root.get("arguments"));
            Moment::Other
        }
        "content_part.done" => {
            if let Some(part) = root.get("part") {
                read_content(parts, part, text, true);
            }
            Moment::Other
        }
        "output_item.added" => {
            // The name of a call comes here for the first time; its texts are still empty.
            if let Some(call) = root.get("item").filter(|item| is(*item, "type", "function_call")) {
                parts.text(Role::ToolName, number(item, 0), call.get("name"));
            }
            Moment::Other
        }
        "output_item.done" => {
            if let Some(found) = root.get("item") {
                read_item(parts, found, item, true);
            }
            Moment::Other
        }
        "completed" | "incomplete" => {
            if let Some(response) = root.get("response") {
                read_response(parts, response, true);
            }
            Moment::Finish
        }
        "failed" => {
            // With what was said until then.
            if let Some(response) = root.get("response") {
                parts.heading(response);
                read_output(parts, response, true);
            }
            Moment::Error
        }
        _ => Moment::Other,
    }
}

fn read_response(parts: &mut Parts, response: Node<'_>, repeats: bool) {
    parts.heading(response);
    read_output(parts, response, repeats);
    let details = response.get("incomplete_details").and_then(|details| details.get("reason"));
    parts.text(Role::FinishReason, 0, details.or(response.get("status")));
    parts.usage(response.get("usage"));
}

fn read_output(parts: &mut Parts, response: Node<'_>, repeats: bool) {
    for (place, item) in response.get("output").into_iter().flat_map(Node::elements).enumerate() {
        read_item(parts, item, place, repeats);
    }
}

fn read_item(parts: &mut Parts, item: Node<'_>, place: usize, repeats: bool) {
    if is(item, "type", "function_call") {
        let call = number(place, 0);
        parts.add(Role::ToolName, call, repeats, item.get("name"));
        parts.arguments(call, repeats, item.get("arguments"));
    }
    for (content, part) in item.get("content").into_iter().flat_map(Node::elements).enumerate() {
        read_content(parts, part, number(place, content), repeats);
    }
}

fn read_content(parts: &mut Parts, part: Node<'_>, number: u32, repeats: bool) {
    let (role, node) = match () {
        () if is(part, "type", "output_text") => (Role::Text, part.get("text")),
        () if is(part, "type", "refusal") => (Role::Refusal, part.get("refusal")),
        () => return,
    };
    parts.add(role, number, repeats, node);
}

fn is(node: Node<'_>, name: &str, text: &str) -> bool {
    let value = node.get(name).filter(|value| value.kind() == Kind::String);
    value.and_then(Node::text).is_some_and(|value| value == text)
}

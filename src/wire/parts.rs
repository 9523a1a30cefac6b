//! Gathering the parts of a generated text from a scanned body.

use super::{Generation, Kind, Moment, Node, Part, Role, Slot, Value, quoted, reading::Format};

/// The parts found so far.
#[derive(Debug, Default)]
pub(super) struct Parts(Vec<Part>);

impl Parts {
    /// Adds a text, if the node is one.
    pub(super) fn text(&mut self, role: Role, number: u32, node: Option<Node<'_>>) {
        self.add(role, number, false, node);
    }

    /// Adds a text that says once more what the pieces of its number say together.
    pub(super) fn repeat(&mut self, role: Role, number: u32, node: Option<Node<'_>>) {
        self.add(role, number, true, node);
    }

    /// Adds a text, as a piece or as a repetition.
    pub(super) fn add(&mut self, role: Role, number: u32, repeats: bool, node: Option<Node<'_>>) {
        let Some(node) = node else { return };
        if let Some(text) = node.text() {
            let value = Value::Text(text.into_owned());
            self.0.push(Part { role, text: number, repeats, value, slot: quoted::slot(node) });
        }
    }

    /// Adds a value as it is.
    pub(super) fn push(&mut self, role: Role, value: Value, slot: Slot) {
        self.0.push(Part { role, text: 0, repeats: false, value, slot });
    }

    /// Adds the arguments of a tool call: a text, or an object as its JSON.
    pub(super) fn arguments(&mut self, number: u32, repeats: bool, node: Option<Node<'_>>) {
        let Some(node) = node else { return };
        if node.kind() != Kind::Object {
            return self.add(Role::ToolArguments, number, repeats, Some(node));
        }
        let Ok(text) = std::str::from_utf8(node.raw()) else { return };
        let value = Value::Text(text.to_owned());
        let slot = quoted::document(node);
        self.0.push(Part { role: Role::ToolArguments, text: number, repeats, value, slot });
    }

    /// Adds a count of tokens, if the node is a number.
    pub(super) fn count(&mut self, role: Role, node: Option<Node<'_>>) {
        let Some((node, value)) = node.and_then(|node| Some((node, node.value()?))) else { return };
        if matches!(value, Value::Int(_) | Value::Float(_)) {
            let slot = Slot { span: node.span(), format: Format::Whole };
            self.0.push(Part { role, text: 0, repeats: false, value, slot });
        }
    }

    /// Adds what an answer says of itself.
    pub(super) fn heading(&mut self, answer: Node<'_>) {
        self.text(Role::Id, 0, answer.get("id"));
        self.text(Role::Model, 0, answer.get("model"));
    }

    /// Adds the counts of tokens, by the first of their names that is there.
    pub(super) fn usage(&mut self, usage: Option<Node<'_>>) {
        let Some(usage) = usage else { return };
        let first = |names: [&str; 2]| names.into_iter().find_map(|name| usage.get(name));
        self.count(Role::PromptTokens, first(["prompt_tokens", "input_tokens"]));
        self.count(Role::CompletionTokens, first(["completion_tokens", "output_tokens"]));
        self.count(Role::TotalTokens, usage.get("total_tokens"));
    }

    /// Is there none?
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Is there a part of this role?
    pub(super) fn has(&self, role: Role) -> bool {
        self.0.iter().any(|part| part.role == role)
    }

    /// Is there a piece of a text that says anything?
    pub(super) fn says_anything(&self) -> bool {
        let told = [Role::Text, Role::Refusal, Role::ToolName, Role::ToolArguments];
        let empty = |value: &Value| matches!(value, Value::Text(text) if text.is_empty());
        self.0.iter().any(|part| told.contains(&part.role) && !part.repeats && !empty(&part.value))
    }

    /// All of them, in the order of their places.
    pub(super) fn into_generation(self, moment: Moment) -> Generation {
        let mut parts = self.0;
        parts.sort_by_key(|part| part.slot.span.start);
        Generation { moment, parts }
    }
}

/// The number of a text inside another: of a tool call or content block of a choice.
pub(super) fn number(outer: usize, inner: usize) -> u32 {
    let half = |index: usize| index.min(0xffff) as u32;
    half(outer) << 16 | half(inner)
}

/// An index that a body tells, or else its place.
pub(super) fn index(node: Option<Node<'_>>, place: usize) -> usize {
    match node.and_then(Node::value) {
        Some(Value::Int(index)) => usize::try_from(index).unwrap_or(place),
        _ => place,
    }
}

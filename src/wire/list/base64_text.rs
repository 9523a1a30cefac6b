//! TensorFlow Serving's way to put bytes into JSON, `{"b64": "…"}`: the text that the bytes are.

use base64::{Engine as _, engine::general_purpose::STANDARD};

use super::super::{
    Value, WireError,
    reading::{Format, Slot},
    scan::{Kind, Node},
};

/// The string inside, if the node is such an object.
pub(super) fn held(node: Node<'_>) -> Option<Node<'_>> {
    if node.kind() != Kind::Object {
        return None;
    }
    let mut members = node.members();
    let held = members.next().filter(|_| members.next().is_none());
    held.filter(|(name, value)| name.raw() == b"\"b64\"" && value.kind() == Kind::String)
        .map(|(_, value)| value)
}

/// The text and its place; `None` for what is no such object, and for bytes that are no text.
pub(super) fn cell(node: Node<'_>) -> Option<(Value, Slot)> {
    let held = held(node)?;
    let text = String::from_utf8(STANDARD.decode(held.text()?.as_bytes()).ok()?).ok()?;
    Some((Value::Text(text), Slot { span: held.span(), format: Format::With(quoted) }))
}

fn quoted(value: &Value, _: &[u8], out: &mut Vec<u8>) -> Result<(), WireError> {
    let Value::Text(text) = value else {
        return Err(WireError::Unwritable("only a text can be written as base64".into()));
    };
    out.extend_from_slice(format!("\"{}\"", STANDARD.encode(text)).as_bytes());
    Ok(())
}

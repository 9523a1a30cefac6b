//! JSON whose shape no protocol tells: what BentoML, Ray Serve, LitServe, TorchServe and SageMaker send.
//!
//! The predictions are the whole body, or the first of a few usual members; inside, [`list`] tells labels from
//! scores. A scenario that knows better names the outputs, or uses protocol `json` with paths.

use super::{
    Generation, Kind, Moment, Node, Outputs, Reading, Role, Value, WireError, list,
    parts::Parts,
    reading::{Format, Slot},
    scan,
};

/// Members that hold the predictions of all rows.
const PREDICTIONS: [&str; 6] = ["predictions", "outputs", "output", "results", "result", "data"];

/// Members that hold a generated text.
const TEXTS: [&str; 6] = ["generated_text", "text", "output", "response", "token", "content"];

/// Reads predictions.
pub(super) fn read(body: &[u8], outputs: &Outputs) -> Result<Reading, WireError> {
    let tree = scan(body)?;
    list::read(predictions(tree.root()), outputs)
}

fn predictions(root: Node<'_>) -> Node<'_> {
    PREDICTIONS.iter().find_map(|name| root.get(name)).unwrap_or(root)
}

/// Finds the text of a JSON answer: the answer itself, or its usual member.
pub(super) fn generation(payload: &[u8], is_stream: bool) -> Result<Generation, WireError> {
    let mut parts = Parts::default();
    if payload.trim_ascii().is_empty() {
        return Ok(parts.into_generation(Moment::Ping));
    }
    let tree = scan(payload)?;
    let root = tree.root();
    let is_text = |node: &Node<'_>| node.kind() == Kind::String;
    let text = TEXTS.iter().find_map(|name| root.get(name).filter(is_text)).or(Some(root).filter(is_text));
    parts.text(Role::Text, 0, text);
    match (parts.is_empty(), is_stream) {
        (true, true) if root.get("error").is_some() => Ok(parts.into_generation(Moment::Error)),
        (true, _) => Err(WireError::NoPrediction),
        (false, true) => Ok(parts.into_generation(Moment::Delta)),
        (false, false) => Ok(parts.into_generation(Moment::Whole)),
    }
}

/// A text without any JSON around it.
pub(super) fn bare_text(payload: &[u8], moment: Moment) -> Result<Generation, WireError> {
    let text =
        std::str::from_utf8(payload).map_err(|_| WireError::Malformed("a text is not Unicode".into()))?;
    let slot = Slot { span: 0..payload.len(), format: Format::With(render_bare) };
    let mut parts = Parts::default();
    parts.push(Role::Text, Value::Text(text.to_owned()), slot);
    Ok(parts.into_generation(moment))
}

fn render_bare(value: &Value, _original: &[u8], out: &mut Vec<u8>) -> Result<(), WireError> {
    match value {
        Value::Text(text) => out.extend_from_slice(text.as_bytes()),
        Value::Null => {}
        _ => return Err(WireError::Unwritable("only a text can stand here".into())),
    }
    Ok(())
}

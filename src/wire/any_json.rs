//! JSON whose shape no protocol tells: what BentoML, Ray Serve, LitServe, TorchServe and SageMaker send.
//!
//! The predictions are the whole body, or the first of a few usual members; inside, [`list`] tells labels from
//! scores. A scenario that knows better names the outputs, or uses protocol `json` with paths.

use super::{
    Generation, Kind, Moment, Node, Outputs, Reading, Role, Value, WireError, list, openai,
    parts::Parts,
    reading::{Format, Slot},
    scan,
};

/// Members that hold the predictions of all rows.
const PREDICTIONS: [&str; 6] = ["predictions", "outputs", "output", "results", "result", "data"];

/// Members that hold the features of all rows.
const FEATURES: [&str; 6] = ["instances", "inputs", "input", "features", "rows", "data"];

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

/// Reads the features of a request: a conversation or prompt, or else rows of cells.
pub(super) fn features(body: &[u8]) -> Result<Reading, WireError> {
    let tree = scan(body)?;
    let root = tree.root();
    if ["messages", "prompt"].iter().any(|name| root.get(name).is_some()) {
        return openai::features(root);
    }
    // A function with one argument is asked by its name.
    let mut members = root.members();
    let lone = members.next().filter(|_| members.next().is_none()).map(|(_, value)| value);
    let usual = FEATURES.iter().find_map(|name| root.get(name));
    list::features(usual.or(lone).unwrap_or(root))
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

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(generation: Result<Generation, WireError>) -> Vec<Value> {
        generation.unwrap().parts.into_iter().map(|part| part.value).collect()
    }

    #[test]
    fn predictions_are_the_body_or_a_usual_member() {
        for body in [
            "[1, 0]",
            r#"{"output": [1, 0]}"#,
            r#"{"labels": ["a", "b"], "scores": [[0.5, 0.5], [0.25, 0.75]]}"#,
        ] {
            assert_eq!(read(body.as_bytes(), &Outputs::default()).unwrap().rows().len(), 2, "{body}");
        }
        assert_eq!(read(br#"{"detail":"no"}"#, &Outputs::default()), Err(WireError::NoPrediction));
    }

    #[test]
    fn texts_are_the_body_or_a_usual_member() {
        let text = |text: &str| [Value::Text(text.to_owned())];
        assert_eq!(texts(generation(br#""hello""#, false)), text("hello"));
        assert_eq!(texts(generation(br#"{"id":1,"output":"hello"}"#, true)), text("hello"));
        assert_eq!(texts(bare_text("h\u{e9}".as_bytes(), Moment::Delta)), text("h\u{e9}"));
        assert_eq!(generation(br#"{"error":"no"}"#, true).unwrap().moment, Moment::Error);
        assert!(generation(b"[1]", false).is_err() && bare_text(b"\xff", Moment::Delta).is_err());
    }

    #[test]
    fn features_are_cells() {
        for (body, rows, cells) in [
            (r#"{"features":[[1,2.5],[3,4]]}"#, 2, 2),
            (r#"{"anything":[[1,2,3]]}"#, 1, 3),
            (r#"{"input": 4.0}"#, 1, 1),
            (r#"{"prompt":"hello"}"#, 1, 1),
        ] {
            let reading = features(body.as_bytes()).unwrap();
            assert_eq!((reading.rows().len(), reading.rows()[0].scores.len()), (rows, cells), "{body}");
        }
    }
}

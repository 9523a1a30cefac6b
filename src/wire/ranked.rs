//! The classes of one input with their scores, the likeliest first: `[{label, score}, …]` (Text Embeddings
//! Inference), `{"tabby": 0.4, "tiger": 0.1, …}` (TorchServe).
//!
//! The row is the first class and its score. When it becomes another class that stands in the list, the two
//! exchange their names: each place keeps its score, so that the list stays sorted and no class comes twice.

use super::{
    Kind, Node, Reading, Row, Value, WireError, quoted,
    reading::{Format, Slot},
    scan,
};

/// Adds the row of such a list; `false` for anything else.
pub(super) fn push(reading: &mut Reading, list: Node<'_>) -> Result<bool, WireError> {
    let entries = entries(list);
    let Some((name, score)) = entries.first() else { return Ok(false) };
    let label = name.label()?;
    let row = Row { label: Some(label), scores: vec![score.score()?] };
    let label = Slot { span: list.span(), format: Format::Packed { index: 0, render } };
    let score = Slot { span: list.span(), format: Format::Packed { index: 1, render } };
    reading.push(row, Some(label), [score]);
    Ok(true)
}

/// Names and scores; none if it is not such a list.
fn entries(list: Node<'_>) -> Vec<(Node<'_>, Node<'_>)> {
    let is_entry = |(name, score): &(Node<'_>, Node<'_>)| {
        name.kind() == Kind::String && matches!(score.kind(), Kind::Number | Kind::NotFinite | Kind::Null)
    };
    let found: Option<Vec<_>> = match list.kind() {
        Kind::Array => list.elements().map(|item| Some((item.get("label")?, item.get("score")?))).collect(),
        _ => Some(list.members().collect()),
    };
    found.filter(|entries| entries.iter().all(is_entry)).unwrap_or_default()
}

fn render(values: &[(usize, &Value)], original: &[u8], out: &mut Vec<u8>) -> Result<(), WireError> {
    let tree = scan(original)?;
    let entries = entries(tree.root());
    let (name, score) = entries.first().ok_or_else(|| WireError::Unwritable("the list is gone".into()))?;
    let mut edits: Vec<(Slot, Value)> = Vec::new();
    for (index, value) in values {
        if *index == 1 {
            edits.push((Slot { span: score.span(), format: Format::Single }, (*value).clone()));
            continue;
        }
        let wanted = match value {
            Value::Text(text) => text.clone(),
            Value::Null => return Err(WireError::Unwritable("a class has a name here".into())),
            other => serde_json::to_string(other).unwrap_or_default(),
        };
        let other = entries.iter().find(|(name, _)| name.text().is_some_and(|text| text == wanted));
        if let (Some((other, _)), Some(old)) = (other, name.text()) {
            edits.push((quoted::slot(*other), Value::Text(old.into_owned())));
        }
        edits.push((quoted::slot(*name), Value::Text(wanted)));
    }
    let edits = edits.iter().map(|(slot, value)| (slot, value)).collect();
    out.extend_from_slice(&super::reading::splice_values(original, edits)?.unwrap_or(original.to_vec()));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::testing;

    fn edited(body: &str, row: Row) -> String {
        let tree = scan(body.as_bytes()).unwrap();
        let mut reading = Reading::default();
        assert!(push(&mut reading, tree.root()).unwrap());
        let out = testing::splice(&reading, body.as_bytes(), &[row]).unwrap();
        String::from_utf8(out.unwrap()).unwrap()
    }

    fn row(label: &str, score: f64) -> Row {
        Row { label: Some(Value::Text(label.into())), scores: vec![Value::Float(score)] }
    }

    #[test]
    fn names_change_places() {
        let list = r#"[{"score":0.75,"label":"joy"}, {"score":0.25,"label":"anger"}]"#;
        let swapped = r#"[{"score":0.75,"label":"anger"}, {"score":0.25,"label":"joy"}]"#;
        assert_eq!(edited(list, row("anger", 0.75)), swapped);
        let other = r#"[{"score":0.5,"label":"fear"}, {"score":0.25,"label":"anger"}]"#;
        assert_eq!(edited(list, row("fear", 0.5)), other);
        let map = "{\n  \"tabby\": 0.40,\n  \"tiger\": 0.1\n}";
        assert_eq!(edited(map, row("tiger", 0.4)), "{\n  \"tiger\": 0.40,\n  \"tabby\": 0.1\n}");
    }

    #[test]
    fn anything_else_is_left_alone() {
        for body in
            ["[]", "{}", "[1]", r#"[{"label":"a"}]"#, r#"{"a":"b"}"#, r#"[{"label":1,"score":1}]"#, "1"]
        {
            let tree = scan(body.as_bytes()).unwrap();
            assert_eq!(push(&mut Reading::default(), tree.root()), Ok(false), "{body}");
        }
    }
}

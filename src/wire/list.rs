//! `predictions` as a JSON list, the form that KServe V1, TensorFlow Serving and MLflow share.
//!
//! No datatypes are told, so a whole column is looked at before any of it is taken for something:
//!
//! | `predictions` | taken as |
//! | --- | --- |
//! | texts, truth values, whole numbers | labels |
//! | numbers with a fraction among them | single scores |
//! | arrays of numbers, with a fraction among them or adding up to 1 | scores for each class |
//! | arrays of one | what they hold |
//! | objects, or an object of columns | the members that `outputs` names, or those with usual names |
//!
//! Anything else (arrays of texts, deeper arrays) is left alone. TensorFlow's `{"b64": "…"}` is the text that it
//! holds. The rows of a request are read by [`features`].

mod base64_text;
mod features;

use super::{
    Outputs, Reading, Row, Value, WireError, json_api,
    scan::{Kind, Node},
};

use base64_text::held;
pub(super) use features::{features, features_split};

const LABELS: [&str; 7] =
    ["label", "class", "prediction", "predicted_label", "predicted_class", "labels", "classes"];
const SCORES: [&str; 6] = ["scores", "probabilities", "score", "probability", "proba", "confidence"];

/// Reads the value of `predictions`.
pub(super) fn read(predictions: Node<'_>, outputs: &Outputs) -> Result<Reading, WireError> {
    let rows: Vec<Node<'_>> = match predictions.kind() {
        Kind::Array => predictions.elements().collect(),
        Kind::Object => match columns(predictions, outputs)? {
            Some(reading) => return Ok(reading),
            None => vec![predictions],
        },
        _ => vec![predictions],
    };
    let items: Vec<_> = rows.iter().map(|row| row.span()).collect();
    let reading = if rows.iter().any(|row| row.kind() == Kind::Object && held(*row).is_none()) {
        objects(&rows, outputs)?
    } else {
        column(&rows)?
    };
    Ok(if predictions.kind() == Kind::Array { reading.with_items(items) } else { reading })
}

fn objects(rows: &[Node<'_>], outputs: &Outputs) -> Result<Reading, WireError> {
    let mut reading = Reading::default();
    let mut lists = true;
    for row in rows {
        let (label, scores) = members(*row, outputs);
        lists &= scores.is_none_or(|scores| scores.kind() == Kind::Array);
        push(&mut reading, label, scores)?;
    }
    if reading.rows().iter().all(|row| row.label.is_none() && row.scores.is_empty()) {
        return Err(WireError::NoPrediction);
    }
    Ok(if lists { reading.with_separator(",") } else { reading })
}

fn column(rows: &[Node<'_>]) -> Result<Reading, WireError> {
    let column = Column::of(rows).ok_or(WireError::NoPrediction)?;
    let mut reading = Reading::default();
    for row in rows {
        let value = only(*row).unwrap_or(*row);
        match column {
            Column::Labels => push(&mut reading, Some(value), None)?,
            Column::Scores => push(&mut reading, None, Some(value))?,
        }
    }
    let lists = rows.iter().all(|row| row.kind() == Kind::Array);
    Ok(if lists { reading.with_separator(",") } else { reading })
}

/// Adds the row of a label, and of a number or an array of numbers.
fn push(reading: &mut Reading, label: Option<Node<'_>>, scores: Option<Node<'_>>) -> Result<(), WireError> {
    let Some((label, slot)) = label.and_then(base64_text::cell) else {
        return json_api::push(reading, label, scores);
    };
    let mut rest = Reading::default();
    json_api::push(&mut rest, None, scores)?;
    let (scores, places) = rest.into_scores();
    reading.push(Row { label: Some(label), scores }, Some(slot), places.iter());
    Ok(())
}

#[derive(Debug, Clone, Copy)]
enum Column {
    Labels,
    Scores,
}

impl Column {
    fn of(rows: &[Node<'_>]) -> Option<Column> {
        let is_wide = rows.iter().any(|row| row.kind() == Kind::Array && only(*row).is_none());
        if rows.is_empty() || is_wide && !rows.iter().all(|row| row.kind() == Kind::Array) {
            return None;
        }
        let values = || rows.iter().flat_map(|row| row.elements().chain(scalar(*row)));
        if values().next().is_none()
            || values()
                .any(|value| matches!(value.kind(), Kind::Array | Kind::Object) && held(value).is_none())
        {
            return None;
        }
        let is_named = values()
            .any(|value| matches!(value.kind(), Kind::String | Kind::True | Kind::False | Kind::Object));
        let is_real = values().any(is_real) || values().all(|value| value.kind() == Kind::Null);
        match (is_wide, is_named) {
            (true, true) => None,
            (true, false) => (is_real || rows.iter().all(|row| is_one_hot(*row))).then_some(Column::Scores),
            (false, true) => Some(Column::Labels),
            (false, false) => Some(if is_real { Column::Scores } else { Column::Labels }),
        }
    }
}

fn scalar(node: Node<'_>) -> Option<Node<'_>> {
    (node.kind() != Kind::Array).then_some(node)
}

/// What an array of one holds.
fn only(node: Node<'_>) -> Option<Node<'_>> {
    let mut elements = node.elements();
    elements.next().filter(|_| elements.next().is_none())
}

fn is_real(node: Node<'_>) -> bool {
    match node.kind() {
        Kind::NotFinite => true,
        Kind::Number => matches!(node.value(), Some(Value::Float(_))),
        _ => false,
    }
}

/// Certainty, printed without fractions.
fn is_one_hot(node: Node<'_>) -> bool {
    let numbers = || node.elements().map(|value| value.value().and_then(|value| value.as_f64()));
    numbers().all(|n| n == Some(0.0) || n == Some(1.0)) && numbers().filter(|n| *n == Some(1.0)).count() == 1
}

/// The label and the scores of an object.
fn members<'t>(row: Node<'t>, outputs: &Outputs) -> (Option<Node<'t>>, Option<Node<'t>>) {
    let find = |named: &Option<String>, usual: &[&str]| match named {
        Some(name) => row.get(name),
        None => {
            let usual = usual.iter().find_map(|name| row.get(name));
            usual.filter(|node| node.kind() != Kind::Object || held(*node).is_some())
        }
    };
    let (label, scores) = (find(&outputs.label, &LABELS), find(&outputs.scores, &SCORES));
    match (label, scores) {
        // `{"prediction": 0.73}` is the answer of a regression.
        (Some(value), None) if outputs.label.is_none() && is_real(value) => (None, Some(value)),
        both => both,
    }
}

/// `{"label": ["a", "b"], "score": [0.1, 0.2]}`; `None` when it is one row.
fn columns(predictions: Node<'_>, outputs: &Outputs) -> Result<Option<Reading>, WireError> {
    let (label, scores) = members(predictions, outputs);
    let is_list = |node: Node<'_>| node.kind() == Kind::Array;
    match (label, scores) {
        (Some(label), _) if is_list(label) => {}
        (None, Some(scores)) if is_list(scores) => {
            if !scores.elements().all(is_list) {
                return Err(WireError::Unsupported("one list of scores and no label: one row, or many?"));
            }
        }
        _ => return Ok(None),
    }
    let elements = |column: Option<Node<'_>>| column.map(|column| column.elements().count());
    let count = elements(label).or(elements(scores)).unwrap_or_default();
    if label.and(scores).is_some() && elements(scores) != Some(count) {
        return Err(WireError::Malformed("the columns of labels and of scores differ in length".into()));
    }
    let mut labels = label.into_iter().flat_map(Node::elements);
    let mut numbers = scores.into_iter().flat_map(Node::elements);
    let mut reading = Reading::default();
    for _ in 0..count {
        push(&mut reading, labels.next(), numbers.next())?;
    }
    if reading.rows().is_empty() { Err(WireError::NoPrediction) } else { Ok(Some(reading)) }
}

#[cfg(test)]
mod tests;

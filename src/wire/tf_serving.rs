//! TensorFlow Serving over REST, and over gRPC in `tf_serving_grpc`.
//!
//! | route | response | request |
//! | --- | --- | --- |
//! | `:predict`, in rows | `{"predictions": […]}` | `{"instances": […]}` |
//! | `:predict`, in columns | `{"outputs": …}` | `{"inputs": …}` |
//! | `:classify` | `{"result": [[["label", score], …], …]}` | `{"examples": [{…}, …]}` |
//! | `:regress` | `{"result": [value, …]}` | `{"examples": [{…}, …]}` |
//!
//! When each example of a classification lists the same classes, they are read as one score for each, named by
//! `columns`; else as the class with the highest score, and that score.

use http::Method;

use super::{
    Codec, ErrorResponse, Failure, Head, Outputs, Reading, Row, WireError, error_field, list,
    reading::{Format, Slot},
    scan::{Kind, Node, scan},
    tf_serving_grpc as grpc,
};

#[derive(Debug)]
pub(super) struct TfServing(Outputs);

impl TfServing {
    pub(super) fn new(outputs: Outputs) -> TfServing {
        TfServing(outputs)
    }
}

impl Codec for TfServing {
    fn is_prediction(&self, method: &Method, path: &str) -> bool {
        method == Method::POST && (route(path).is_some() || grpc::is_route(path))
    }

    fn model<'a>(&self, path: &'a str) -> Option<&'a str> {
        route(path).map(|(model, _)| model)
    }

    fn read(&self, head: Head<'_>, body: &[u8]) -> Result<Reading, WireError> {
        if grpc::is_route(head.path) {
            return grpc::read(head.path, body, &self.0);
        }
        let tree = scan(body)?;
        let root = tree.root();
        if let Some(result) = root.get("result") {
            return result_of(result);
        }
        let predictions = root.get("predictions").or_else(|| root.get("outputs"));
        list::read(predictions.ok_or(WireError::NoPrediction)?, &self.0)
    }

    fn features(&self, head: Head<'_>, body: &[u8]) -> Result<Reading, WireError> {
        if grpc::is_route(head.path) {
            return grpc::features(head.path, body);
        }
        let tree = scan(body)?;
        let rows = ["instances", "inputs", "examples"].iter().find_map(|name| tree.root().get(name));
        list::features(rows.ok_or(WireError::NoPrediction)?)
    }

    fn error(&self, _path: &str, failure: &Failure) -> ErrorResponse {
        error_field(failure)
    }
}

/// Model and verb of `…/v1/models/M[/versions/V|/labels/L]:verb`.
fn route(path: &str) -> Option<(&str, &str)> {
    let (_, rest) = path.split_once("/v1/models/")?;
    let (rest, verb) = rest.rsplit_once(':')?;
    let mut parts = rest.split('/');
    let model = parts.next().filter(|model| !model.is_empty())?;
    if let Some(by) = parts.next() {
        let is_version = matches!(by, "versions" | "labels") && parts.next().is_some_and(|v| !v.is_empty());
        (is_version && parts.next().is_none()).then_some(())?;
    }
    matches!(verb, "predict" | "classify" | "regress").then_some((model, verb))
}

/// The classes or the values of each example.
fn result_of(result: Node<'_>) -> Result<Reading, WireError> {
    let rows: Vec<Node<'_>> = result.elements().collect();
    let mut reading = Reading::default().with_items(rows.iter().map(|row| row.span()).collect());
    if rows.iter().any(|row| row.kind() == Kind::Array) {
        return classes(&rows, reading);
    }
    for row in rows {
        let slot = Slot { span: row.span(), format: Format::Single };
        reading.push(Row { label: None, scores: vec![row.score()?] }, None, [slot]);
    }
    if reading.rows().is_empty() { Err(WireError::NoPrediction) } else { Ok(reading) }
}

fn classes(rows: &[Node<'_>], mut reading: Reading) -> Result<Reading, WireError> {
    let mut read = Vec::with_capacity(rows.len());
    for row in rows {
        let mut classes = Vec::new();
        for class in row.elements() {
            let mut pair = class.elements();
            let (Some(label), Some(score), None) = (pair.next(), pair.next(), pair.next()) else {
                return Err(WireError::Malformed("a class is no pair of a label and a score".into()));
            };
            let slot = |node: Node<'_>, format| Slot { span: node.span(), format };
            classes.push(Class {
                label: label.label()?,
                score: score.score()?,
                at_label: slot(label, Format::Single),
                at_score: slot(score, Format::Single),
            });
        }
        read.push(classes);
    }
    push_classes(read, &mut reading)?;
    Ok(reading)
}

/// One class of an example.
#[derive(Debug)]
pub(super) struct Class {
    pub(super) label: super::Value,
    pub(super) score: super::Value,
    pub(super) at_label: Slot,
    pub(super) at_score: Slot,
}

/// Adds the classes of all examples.
pub(super) fn push_classes(examples: Vec<Vec<Class>>, reading: &mut Reading) -> Result<(), WireError> {
    let Some(first) = examples.first() else { return Err(WireError::NoPrediction) };
    let labels = |classes: &[Class]| classes.iter().map(|class| class.label.clone()).collect::<Vec<_>>();
    let shared = labels(first);
    let is_shared = shared.len() > 1
        && examples.iter().all(|classes| {
            classes.len() == shared.len()
                && classes.iter().zip(&shared).all(|(class, label)| class.label == *label)
        });
    if is_shared {
        let names = shared.iter().map(|label| match label {
            super::Value::Text(name) => Some(name.clone()).filter(|name| !name.is_empty()),
            _ => None,
        });
        let columns = names.collect::<Option<Vec<_>>>().unwrap_or_default();
        *reading = std::mem::take(reading).with_columns(columns);
    }
    for classes in examples {
        if is_shared {
            let (scores, slots) = classes.into_iter().map(|class| (class.score, class.at_score)).unzip();
            reading.push(Row { label: None, scores }, None, Vec::into_iter(slots));
            continue;
        }
        let score = |class: &Class| class.score.as_f64().filter(|score| !score.is_nan());
        let rank = |class: &Class| score(class).unwrap_or(f64::NEG_INFINITY);
        // Of equal ones the first.
        let top =
            classes.into_iter().reduce(|top, class| if rank(&class) > rank(&top) { class } else { top });
        match top {
            Some(Class { label, score, at_label, at_score }) => {
                reading.push(Row { label: Some(label), scores: vec![score] }, Some(at_label), [at_score]);
            }
            None => reading.push(Row::default(), None, []),
        }
    }
    let is_empty = reading.rows().iter().all(|row| row.label.is_none() && row.scores.is_empty());
    if is_empty { Err(WireError::NoPrediction) } else { Ok(()) }
}

#[cfg(test)]
mod tests;

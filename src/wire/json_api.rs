//! Any JSON API, with paths to its predictions; and plain HTTP, with none.
//!
//! The label path selects one value for each row, the scores path one number or one array of numbers for
//! each. When both select something, they must select equally many, or rows would be paired by guess.

use http::Method;

use super::{
    Codec, ErrorResponse, Failure, Head, JsonApi, JsonPath, Reading, Row, WireError, error_field,
    reading::{Format, Slot},
    scan::{Kind, Node, scan},
};

#[derive(Debug)]
pub(super) struct JsonCodec(JsonApi);

impl JsonCodec {
    pub(super) fn new(api: JsonApi) -> JsonCodec {
        JsonCodec(api)
    }
}

impl Codec for JsonCodec {
    fn is_prediction(&self, method: &Method, _path: &str) -> bool {
        method == Method::POST || method == Method::PUT
    }

    fn model<'a>(&self, _path: &'a str) -> Option<&'a str> {
        None
    }

    fn read(&self, _head: Head<'_>, body: &[u8]) -> Result<Reading, WireError> {
        let tree = scan(body)?;
        let select =
            |path: &Option<JsonPath>| path.as_ref().map(|path| path.select(tree.root())).unwrap_or_default();
        let (labels, scores) = (select(&self.0.label), select(&self.0.scores));
        if !labels.is_empty() && !scores.is_empty() && labels.len() != scores.len() {
            let (l, s) = (labels.len(), scores.len());
            let message = format!("the path to labels selects {l} values, the path to scores {s}");
            return Err(WireError::Malformed(message));
        }
        let mut reading = Reading::default();
        for index in 0..labels.len().max(scores.len()) {
            push(&mut reading, labels.get(index).copied(), scores.get(index).copied())?;
        }
        if reading.rows().is_empty() { Err(WireError::NoPrediction) } else { Ok(reading) }
    }

    fn error(&self, _path: &str, failure: &Failure) -> ErrorResponse {
        error_field(failure)
    }
}

/// Adds the row of a label, and of a number or an array of numbers.
pub(super) fn push(
    reading: &mut Reading,
    label: Option<Node<'_>>,
    scores: Option<Node<'_>>,
) -> Result<(), WireError> {
    let slot = |node: Node<'_>| Slot { span: node.span(), format: Format::Double };
    let mut row = Row { label: label.map(Node::label).transpose()?, scores: Vec::new() };
    let mut slots = Vec::new();
    if let Some(scores) = scores {
        let one = (scores.kind() != Kind::Array).then_some(scores);
        for score in scores.elements().chain(one) {
            row.scores.push(score.score()?);
            slots.push(slot(score));
        }
    }
    reading.push(row, label.map(slot), slots);
    Ok(())
}

/// Plain HTTP: nothing to read.
#[derive(Debug)]
pub(super) struct NoPredictions;

impl Codec for NoPredictions {
    fn is_prediction(&self, _method: &Method, _path: &str) -> bool {
        false
    }

    fn model<'a>(&self, _path: &'a str) -> Option<&'a str> {
        None
    }

    fn read(&self, _head: Head<'_>, _body: &[u8]) -> Result<Reading, WireError> {
        Err(WireError::NoPrediction)
    }

    fn error(&self, _path: &str, failure: &Failure) -> ErrorResponse {
        ErrorResponse::new(failure.status, "text/plain; charset=utf-8", failure.message.clone())
    }
}

#[cfg(test)]
mod tests {
    use http::StatusCode;

    use super::*;
    use crate::wire::{Value, testing};

    fn codec(label: Option<&str>, scores: Option<&str>) -> JsonCodec {
        let path = |text: Option<&str>| text.map(|text| text.parse().unwrap());
        JsonCodec::new(JsonApi { label: path(label), scores: path(scores) })
    }

    fn rows(codec: &JsonCodec, body: &str) -> Result<Vec<Row>, WireError> {
        testing::read(codec, body.as_bytes()).map(|reading| reading.rows().to_vec())
    }

    fn row(label: Option<Value>, scores: &[f64]) -> Row {
        Row { label, scores: scores.iter().copied().map(Value::Float).collect() }
    }

    #[test]
    fn rows_are_paired() {
        let body = r#"{"results":[{"label":"a","p":[0.5,0.5]},{"label":null,"p":0.25}]}"#;
        let both = codec(Some("$.results[*].label"), Some("$.results[*].p"));
        let a = Some(Value::Text("a".into()));
        assert_eq!(rows(&both, body).unwrap(), [row(a, &[0.5, 0.5]), row(Some(Value::Null), &[0.25])]);
        let scores = codec(None, Some("$.results[*].p"));
        assert_eq!(rows(&scores, body).unwrap(), [row(None, &[0.5, 0.5]), row(None, &[0.25])]);
        // A BentoML service answers with a bare array.
        let bare = codec(Some("$[*]"), None);
        assert_eq!(rows(&bare, "[1]").unwrap(), [row(Some(Value::Int(1)), &[])]);
    }

    #[test]
    fn nothing_is_paired_by_guess() {
        let both = codec(Some("$.label"), Some("$.p[*]"));
        let message = "the path to labels selects 1 values, the path to scores 2";
        assert_eq!(rows(&both, r#"{"label":1,"p":[0.5,0.5]}"#), Err(WireError::Malformed(message.into())));
        assert_eq!(rows(&both, r#"{"detail":"no such model"}"#), Err(WireError::NoPrediction));
        let message = "a label is no single value in Unicode";
        assert_eq!(rows(&both, r#"{"label":[1]}"#), Err(WireError::Malformed(message.into())));
        assert_eq!(rows(&codec(None, None), "1"), Err(WireError::NoPrediction));
    }

    #[test]
    fn two_paths_to_one_value_are_not_written_twice() {
        let same = codec(Some("$.x"), Some("$.x"));
        let body = br#"{"x":1}"#;
        let reading = testing::read(&same, body).unwrap();
        let edited = Row { label: Some(Value::Int(2)), scores: vec![Value::Int(3)] };
        assert!(matches!(testing::splice(&reading, body, &[edited]), Err(WireError::Unwritable(_))));
    }

    #[test]
    fn plain_http_has_errors_and_no_predictions() {
        assert!(!NoPredictions.is_prediction(&Method::POST, "/"));
        assert_eq!(testing::read(&NoPredictions, b"1"), Err(WireError::NoPrediction));
        assert_eq!(testing::error(&NoPredictions, StatusCode::BAD_GATEWAY, "no").body, "no");
    }
}

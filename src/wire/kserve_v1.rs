//! KServe V1 and TensorFlow Serving's row form: `POST …/v1/models/M:predict` → `{"predictions": […]}`.

use http::Method;

use super::{
    Codec, ErrorResponse, Failure, Head, Outputs, Reading, WireError, error_field, list, scan::scan,
};

#[derive(Debug)]
pub(super) struct KserveV1(Outputs);

impl KserveV1 {
    pub(super) fn new(outputs: Outputs) -> KserveV1 {
        KserveV1(outputs)
    }
}

impl Codec for KserveV1 {
    fn is_prediction(&self, method: &Method, path: &str) -> bool {
        method == Method::POST && route(path).is_some()
    }

    fn model<'a>(&self, path: &'a str) -> Option<&'a str> {
        route(path)
    }

    fn read(&self, _head: Head<'_>, body: &[u8]) -> Result<Reading, WireError> {
        let tree = scan(body)?;
        list::read(tree.root().get("predictions").ok_or(WireError::NoPrediction)?, &self.0)
    }

    fn features(&self, _head: Head<'_>, body: &[u8]) -> Result<Reading, WireError> {
        let tree = scan(body)?;
        list::features(tree.root().get("instances").ok_or(WireError::NoPrediction)?)
    }

    fn error(&self, _path: &str, failure: &Failure) -> ErrorResponse {
        error_field(failure)
    }
}

/// The model of `…/v1/models/M[/versions/V|/labels/L]:predict`.
fn route(path: &str) -> Option<&str> {
    let (_, rest) = path.split_once("/v1/models/")?;
    let mut parts = rest.strip_suffix(":predict")?.split('/');
    let model = parts.next().filter(|model| !model.is_empty())?;
    match parts.next() {
        None => Some(model),
        Some("versions" | "labels") => {
            parts.next().filter(|version| !version.is_empty())?;
            parts.next().is_none().then_some(model)
        }
        Some(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use http::StatusCode;

    use super::*;
    use crate::wire::{Row, Value, testing};

    fn codec() -> KserveV1 {
        KserveV1::new(Outputs::default())
    }

    #[test]
    fn a_server_s_answer_is_read_and_edited_in_place() {
        // The answer of the first example in the KServe documentation.
        let body = br#"{"predictions":[1,1]}"#;
        let reading = testing::read(&codec(), body).unwrap();
        let row = |class| Row { label: Some(Value::Int(class)), scores: vec![] };
        assert_eq!(reading.rows(), [row(1), row(1)]);
        let out = testing::splice(&reading, body, &[row(1), row(2)]).unwrap().unwrap();
        assert_eq!(out, br#"{"predictions":[1,2]}"#);
    }

    #[test]
    fn tensorflow_serving_writes_bare_nan_and_white_space() {
        let body = b"{\n    \"predictions\": [[0.1, NaN], [0.25, 0.75]\n    ]\n}";
        let reading = testing::read(&codec(), body).unwrap();
        let mut rows = reading.rows().to_vec();
        assert_eq!(rows[1].scores, [Value::Float(0.25), Value::Float(0.75)]);
        rows[1].scores.swap(0, 1);
        let out = testing::splice(&reading, body, &rows).unwrap().unwrap();
        assert_eq!(out, b"{\n    \"predictions\": [[0.1, NaN], [0.75, 0.25]\n    ]\n}");
    }

    #[test]
    fn an_error_is_no_prediction() {
        let error = testing::error(&codec(), StatusCode::NOT_FOUND, "Model with name x does not exist.");
        assert_eq!(error.body, r#"{"error":"Model with name x does not exist."}"#);
        assert_eq!(testing::read(&codec(), &error.body), Err(WireError::NoPrediction));
        assert!(matches!(testing::read(&codec(), b"<html>"), Err(WireError::Malformed(_))));
    }

    #[test]
    fn routes_name_their_model() {
        for (path, model) in [
            ("/v1/models/iris:predict", Some("iris")),
            ("/gateway/v1/models/iris:predict", Some("iris")),
            ("/v1/models/iris/versions/3:predict", Some("iris")),
            ("/v1/models/iris/labels/canary:predict", Some("iris")),
            ("/v1/models/iris", None),
            ("/v1/models/:predict", None),
            ("/v1/models/iris/versions/:predict", None),
            ("/v1/models/iris/x/3:predict", None),
            ("/v1/models/iris:explain", None),
            ("/v2/models/iris/infer", None),
        ] {
            assert_eq!(codec().model(path), model, "{path}");
            assert_eq!(codec().is_prediction(&Method::POST, path), model.is_some());
            assert!(!codec().is_prediction(&Method::GET, path));
        }
    }
}

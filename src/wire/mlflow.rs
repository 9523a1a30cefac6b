//! MLflow's scoring server: `POST …/invocations` → `{"predictions": …}`, before MLflow 2 the bare list.

use http::{HeaderValue, Method, StatusCode, header::CONTENT_TYPE};
use serde_json::json;

use super::{
    Codec, ErrorResponse, Failure, Head, Outputs, Reading, WireError, csv, list,
    scan::{Kind, scan},
};

#[derive(Debug)]
pub(super) struct Mlflow(Outputs);

impl Mlflow {
    pub(super) fn new(outputs: Outputs) -> Mlflow {
        Mlflow(outputs)
    }
}

impl Codec for Mlflow {
    fn is_prediction(&self, method: &Method, path: &str) -> bool {
        method == Method::POST && path.ends_with("/invocations")
    }

    fn model<'a>(&self, _path: &'a str) -> Option<&'a str> {
        None
    }

    fn read(&self, _head: Head<'_>, body: &[u8]) -> Result<Reading, WireError> {
        let tree = scan(body)?;
        let root = tree.root();
        let predictions = if root.kind() == Kind::Array { Some(root) } else { root.get("predictions") };
        list::read(predictions.ok_or(WireError::NoPrediction)?, &self.0)
    }

    fn features(&self, head: Head<'_>, body: &[u8]) -> Result<Reading, WireError> {
        let media = head.headers.get(CONTENT_TYPE).map(HeaderValue::as_bytes).unwrap_or_default();
        if media.get(..8).is_some_and(|media| media.eq_ignore_ascii_case(b"text/csv")) {
            return csv::frame(body);
        }
        let tree = scan(body)?;
        let root = tree.root();
        if let Some(split) = root.get("dataframe_split") {
            let data = split.get("data").ok_or(WireError::NoPrediction)?;
            return list::features_split(split.get("columns"), data);
        }
        let rows = ["dataframe_records", "instances", "inputs"].iter().find_map(|name| root.get(name));
        list::features(rows.ok_or(WireError::NoPrediction)?)
    }

    fn error(&self, _path: &str, failure: &Failure) -> ErrorResponse {
        let body = json!({ "error_code": error_code(failure.status), "message": failure.message });
        ErrorResponse::json(failure.status, &body)
    }
}

/// The code of MLflow's `ErrorCode` (databricks.proto) that goes with a status.
fn error_code(status: StatusCode) -> &'static str {
    match status.as_u16() {
        401 => "CUSTOMER_UNAUTHORIZED",
        403 => "PERMISSION_DENIED",
        404 => "RESOURCE_DOES_NOT_EXIST",
        429 => "REQUEST_LIMIT_EXCEEDED",
        502..=504 => "TEMPORARILY_UNAVAILABLE",
        400..=499 => "BAD_REQUEST",
        _ => "INTERNAL_ERROR",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::{Row, Value, testing};

    fn codec() -> Mlflow {
        Mlflow::new(Outputs::default())
    }

    #[test]
    fn both_forms_are_read_and_edited_in_place() {
        for (body, edited) in [
            (r#"{"predictions": [0.5, NaN, 2.25]}"#, r#"{"predictions": [0.125, NaN, 2.25]}"#),
            (r#"[0.5, NaN, 2.25]"#, r#"[0.125, NaN, 2.25]"#),
        ] {
            let reading = testing::read(&codec(), body.as_bytes()).unwrap();
            let mut rows = reading.rows().to_vec();
            assert_eq!(rows[2], Row { label: None, scores: vec![Value::Float(2.25)] });
            rows[0].scores[0] = Value::Float(0.125);
            assert_eq!(
                testing::splice(&reading, body.as_bytes(), &rows).unwrap().unwrap(),
                edited.as_bytes()
            );
        }
    }

    #[test]
    fn an_error_is_no_prediction() {
        let error = testing::error(&codec(), StatusCode::BAD_REQUEST, "Failed to parse input");
        assert_eq!(error.body, r#"{"error_code":"BAD_REQUEST","message":"Failed to parse input"}"#);
        assert_eq!(testing::read(&codec(), &error.body), Err(WireError::NoPrediction));
        assert_eq!(error_code(StatusCode::INTERNAL_SERVER_ERROR), "INTERNAL_ERROR");
        assert_eq!(error_code(StatusCode::SERVICE_UNAVAILABLE), "TEMPORARILY_UNAVAILABLE");
    }

    #[test]
    fn a_frame_in_csv_names_its_columns() {
        let headers =
            [(CONTENT_TYPE, HeaderValue::from_static("text/csv; charset=utf-8"))].into_iter().collect();
        let head = Head { path: "/invocations", headers: &headers };
        let body = b"age,\"a, b\"\r\n41,Bonn\r\n27,\r\n";
        let reading = codec().features(head, body).unwrap();
        let mut answer = reading.answer();
        assert_eq!(answer.columns, ["age", "a, b"]);
        assert_eq!(answer.rows[1].scores, [Value::Int(27), Value::Null]);
        answer.rows[1].scores[1] = Value::Text("Kyiv".into());
        let out = reading.splice(body, &answer).unwrap().unwrap();
        assert_eq!(out.body, b"age,\"a, b\"\r\n41,Bonn\r\n27,Kyiv\r\n");
        assert!(codec().features(head, b"a,b\n1\n").is_err());
        assert_eq!(codec().features(head, b"a,b\n"), Err(WireError::NoPrediction));
    }

    #[test]
    fn the_route_is_known() {
        assert!(codec().is_prediction(&Method::POST, "/invocations"));
        assert!(codec().is_prediction(&Method::POST, "/endpoint/x/invocations"));
        assert!(!codec().is_prediction(&Method::GET, "/invocations"));
        assert!(!codec().is_prediction(&Method::POST, "/ping"));
    }
}

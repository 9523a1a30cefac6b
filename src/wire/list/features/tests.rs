//! The requests of KServe V1, TensorFlow Serving and MLflow.

use super::*;
use crate::wire::{Answer, Outputs, Protocol, testing};

fn features_of(protocol: &Protocol, body: &str) -> Result<Reading, WireError> {
    protocol.codec(&Outputs::default()).features(testing::at("/"), body.as_bytes())
}

fn answer(protocol: &Protocol, body: &str) -> Answer {
    features_of(protocol, body).unwrap().answer()
}

fn edited(protocol: &Protocol, body: &str, edit: impl FnOnce(&mut Answer)) -> String {
    let reading = features_of(protocol, body).unwrap();
    let mut answer = reading.answer();
    assert_eq!(answer.content, Content::Features);
    edit(&mut answer);
    String::from_utf8(reading.splice(body.as_bytes(), &answer).unwrap().unwrap().body).unwrap()
}

fn text(text: &str) -> Value {
    Value::Text(text.into())
}

#[test]
fn rows_without_names() {
    let body = r#"{"instances": [[6.8, "a"], [5, null]]}"#;
    let read = answer(&Protocol::KserveV1, body);
    assert_eq!((read.columns.len(), read.rows.len()), (0, 2));
    assert_eq!(read.rows[1].scores, [Value::Int(5), Value::Null]);
    let out = edited(&Protocol::KserveV1, body, |answer| answer.rows[0].scores[0] = Value::Float(68.0));
    assert_eq!(out, r#"{"instances": [[68.0, "a"], [5, null]]}"#);
    // Nested rows are as long as their values; a lone number is a row.
    assert_eq!(
        answer(&Protocol::TfServing, r#"{"instances":[[[1],[2]],[[3],[4]]]}"#).rows[1].scores.len(),
        2
    );
    assert_eq!(answer(&Protocol::TfServing, r#"{"instances":[1.5,2.5]}"#).rows.len(), 2);
}

#[test]
fn rows_with_names_have_the_columns_that_all_share() {
    let body = r#"{"instances":[{"age":41,"city":"Bonn","extra":{}},{"city":"Kyiv","age":27,"at":[1,2]}]}"#;
    let read = answer(&Protocol::TfServing, body);
    assert_eq!(read.columns, ["age", "city"]);
    assert_eq!(read.rows[1].scores, [Value::Int(27), text("Kyiv")]);
    let out = edited(&Protocol::TfServing, body, |answer| answer.rows[1].scores[0] = Value::Null);
    assert_eq!(out, body.replace("27", "null"));
    let lists = answer(&Protocol::Mlflow, r#"{"instances":[{"x":[1,2],"y":3}]}"#);
    assert_eq!(lists.columns, ["x[0]", "x[1]", "y"]);
}

#[test]
fn columns() {
    let body = r#"{"inputs":{"age":[41,27],"at":[[1,2],[3,4]],"note":"x"}}"#;
    for protocol in [Protocol::TfServing, Protocol::Mlflow] {
        let read = answer(&protocol, body);
        assert_eq!(read.columns, ["age", "at[0]", "at[1]"]);
        assert_eq!(read.rows[1].scores, [Value::Int(27), Value::Int(3), Value::Int(4)]);
        let out = edited(&protocol, body, |answer| answer.rows[1].scores.swap(1, 2));
        assert_eq!(out, body.replace("[3,4]", "[4,3]"));
    }
}

#[test]
fn frames_of_mlflow() {
    let split = r#"{"dataframe_split":{"columns":["age","city"],"index":[0],"data":[[41,"Bonn"]]}}"#;
    let read = answer(&Protocol::Mlflow, split);
    assert_eq!(read.columns, ["age", "city"]);
    let out = edited(&Protocol::Mlflow, split, |answer| answer.rows[0].scores[1] = text("Kö\"ln"));
    assert_eq!(out, split.replace("Bonn", "Kö\\\"ln"));
    let records = r#"{"dataframe_records":[{"age":41},{"age":27}]}"#;
    assert_eq!(answer(&Protocol::Mlflow, records).columns, ["age"]);
    // Names that do not fit the data are none.
    let odd = r#"{"dataframe_split":{"columns":["age"],"data":[[41,"Bonn"]]}}"#;
    assert!(answer(&Protocol::Mlflow, odd).columns.is_empty());
}

#[test]
fn examples_of_tensorflow() {
    let body = r#"{"examples":[{"age":41,"city":{"b64":"Qm9ubg=="}},{"age":27,"city":{"b64":"S3lpdg=="}}]}"#;
    let read = answer(&Protocol::TfServing, body);
    assert_eq!(read.columns, ["age", "city"]);
    assert_eq!(read.rows[0].scores, [Value::Int(41), text("Bonn")]);
    let out = edited(&Protocol::TfServing, body, |answer| answer.rows[1].scores[1] = text("Köln"));
    assert_eq!(out, body.replace("S3lpdg==", "S8O2bG4="));
    // An image is no text.
    let image = r#"{"instances":[{"image":{"b64":"/9g="},"k":1}]}"#;
    assert_eq!(answer(&Protocol::TfServing, image).columns, ["k"]);
}

#[test]
fn rows_can_be_dropped_and_repeated() {
    let body = r#"{"instances": [ [1], [2], [3] ]}"#;
    let out = edited(&Protocol::KserveV1, body, |answer| {
        answer.order = Some(vec![2, 2, 0]);
        answer.rows[2].scores[0] = Value::Int(33);
    });
    assert_eq!(out, r#"{"instances": [ [33], [33], [1] ]}"#);
}

#[test]
fn what_holds_no_features_says_so() {
    for body in
        ["{}", r#"{"instances":[]}"#, r#"{"instances":[{}]}"#, r#"{"instances":[[]]}"#, r#"{"inputs":{}}"#]
    {
        assert_eq!(features_of(&Protocol::TfServing, body), Err(WireError::NoPrediction), "{body}");
    }
    let mixed = r#"{"instances":[{"a":1},[1]]}"#;
    assert!(features_of(&Protocol::KserveV1, mixed).is_err());
}

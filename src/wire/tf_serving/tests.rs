//! The answers of TensorFlow Serving's REST interface, as its documentation shows them.

use super::*;
use crate::wire::{Answer, Value, testing};

fn codec() -> TfServing {
    TfServing::new(Outputs::default())
}

fn answer(body: &str) -> Answer {
    testing::read(&codec(), body.as_bytes()).unwrap().answer()
}

fn edited(body: &str, edit: impl FnOnce(&mut Answer)) -> String {
    let reading = testing::read(&codec(), body.as_bytes()).unwrap();
    let mut answer = reading.answer();
    edit(&mut answer);
    String::from_utf8(reading.splice(body.as_bytes(), &answer).unwrap().unwrap().body).unwrap()
}

fn floats(numbers: &[f64]) -> Vec<Value> {
    numbers.iter().copied().map(Value::Float).collect()
}

fn text(text: &str) -> Value {
    Value::Text(text.into())
}

#[test]
fn predict_in_rows_and_in_columns() {
    let rows = "{\n    \"predictions\": [[0.1, NaN], [0.25, 0.75]\n    ]\n}";
    assert_eq!(answer(rows).rows[1].scores, floats(&[0.25, 0.75]));
    let columns = "{\n    \"outputs\": {\n        \"classes\": [\"a\", \"b\"],\n        \"scores\": [[0.5, 0.5], [0.25, -Infinity]]}}";
    let named = TfServing::new(Outputs { label: Some("classes".into()), scores: None });
    let reading = testing::read(&named, columns.as_bytes()).unwrap();
    assert_eq!(reading.rows()[1].label, Some(text("b")));
    let plain = r#"{"outputs":[[0.5],[2.5]]}"#;
    let out = edited(plain, |answer| answer.rows[0].scores[0] = Value::Float(1.0 / 8.0));
    assert_eq!(out, r#"{"outputs":[[0.125],[2.5]]}"#);
    let named = r#"{"predictions":[{"label":{"b64":"Y2F0"},"score":0.5,"x":{"y":1}}]}"#;
    assert_eq!(answer(named).rows, [Row { label: Some(text("cat")), scores: floats(&[0.5]) }]);
    let out = edited(named, |answer| answer.rows[0].label = Some(text("dog")));
    assert_eq!(out, named.replace("Y2F0", "ZG9n"));
    let bytes = r#"{"predictions":[{"b64":"Y2F0"},{"b64":"ZG9n"}]}"#;
    assert_eq!(answer(bytes).rows[1].label, Some(text("dog")));
}

#[test]
fn classify() {
    let body = r#"{"results":1,"result":[[["a",0.75],["b",0.25]],[["a",0.5],["b",NaN]]]}"#;
    let read = answer(body);
    assert_eq!(read.columns, ["a", "b"]);
    assert_eq!(read.rows[0], Row { label: None, scores: floats(&[0.75, 0.25]) });
    let out = edited(body, |answer| answer.rows[0].scores.swap(0, 1));
    assert_eq!(out, body.replace("0.75", "_").replace("0.25", "0.75").replace('_', "0.25"));

    let top = r#"{"result":[[["b",0.25],["a",0.75]],[["c",1]]]}"#;
    assert_eq!(answer(top).rows[0], Row { label: Some(text("a")), scores: floats(&[0.75]) });
    let out = edited(top, |answer| answer.rows[1].label = Some(text("a")));
    assert_eq!(out, top.replace("\"c\"", "\"a\""));
}

#[test]
fn regress() {
    let body = r#"{"result": [9.5, -2, NaN]}"#;
    let rows = answer(body).rows;
    assert_eq!(rows[1], Row { label: None, scores: vec![Value::Int(-2)] });
    let out = edited(body, |answer| answer.rows[2].scores[0] = Value::Float(f64::INFINITY));
    assert_eq!(out, body.replace("NaN", "Infinity"));
}

#[test]
fn what_is_no_prediction_is_left_alone() {
    for body in [r#"{"error":"no such model"}"#, r#"{"result":[]}"#, r#"{"result":[[],[]]}"#] {
        assert_eq!(testing::read(&codec(), body.as_bytes()), Err(WireError::NoPrediction), "{body}");
    }
    for body in [r#"{"result":[[["a"]]]}"#, r#"{"result":[[["a",1,2]]]}"#, r#"{"result":["a"]}"#] {
        assert!(matches!(testing::read(&codec(), body.as_bytes()), Err(WireError::Malformed(_))), "{body}");
    }
}

#[test]
fn routes_name_their_model() {
    for (path, model) in [
        ("/v1/models/m:predict", Some("m")),
        ("/v1/models/m:classify", Some("m")),
        ("/v1/models/m/versions/2:regress", Some("m")),
        ("/v1/models/m/labels/canary:predict", Some("m")),
        ("/v1/models/m/metadata", None),
        ("/v1/models/m:explain", None),
        ("/v1/models/:predict", None),
        ("/v1/models/m/versions/:predict", None),
    ] {
        assert_eq!(codec().model(path), model, "{path}");
        assert_eq!(codec().is_prediction(&Method::POST, path), model.is_some(), "{path}");
    }
    assert!(codec().is_prediction(&Method::POST, "/tensorflow.serving.PredictionService/Predict"));
}

//! What each form of `predictions` is taken for.

use super::*;
use crate::wire::{Row, scan::scan};

fn read_with(label: Option<&str>, scores: Option<&str>, body: &str) -> Result<Vec<Row>, WireError> {
    let outputs = Outputs { label: label.map(str::to_owned), scores: scores.map(str::to_owned) };
    read(scan(body.as_bytes()).unwrap().root(), &outputs).map(|reading| reading.rows().to_vec())
}

fn rows(body: &str) -> Result<Vec<Row>, WireError> {
    read_with(None, None, body)
}

fn label(value: Value) -> Row {
    Row { label: Some(value), scores: vec![] }
}

fn scores(values: &[f64]) -> Row {
    Row { label: None, scores: values.iter().copied().map(Value::Float).collect() }
}

fn text(text: &str) -> Value {
    Value::Text(text.to_owned())
}

#[test]
fn a_column_is_labels_or_scores_as_a_whole() {
    let int = |n| label(Value::Int(n));
    for (body, wanted) in [
        ("[0,2]", vec![int(0), int(2)]),
        ("[[1],[0]]", vec![int(1), int(0)]),
        ("7", vec![int(7)]),
        (r#"["a",null]"#, vec![label(text("a")), label(Value::Null)]),
        ("[true]", vec![label(Value::Bool(true))]),
        ("[0.5]", vec![scores(&[0.5])]),
        ("[[0.5],[0.25]]", vec![scores(&[0.5]), scores(&[0.25])]),
        ("[[0.5,0.5],[0.1,0.9]]", vec![scores(&[0.5, 0.5]), scores(&[0.1, 0.9])]),
        ("0.5", vec![scores(&[0.5])]),
    ] {
        assert_eq!(rows(body).unwrap(), wanted, "{body}");
    }
    // A whole number among fractions is a score, and so is certainty.
    assert_eq!(rows("[1,0.5]").unwrap()[0], Row { label: None, scores: vec![Value::Int(1)] });
    assert_eq!(rows("[null,null]").unwrap()[0], Row { label: None, scores: vec![Value::Null] });
    assert_eq!(rows("[[0,1],[1,0]]").unwrap()[0].scores, [Value::Int(0), Value::Int(1)]);
    assert_eq!(rows("[[0,1],[0.5,null]]").unwrap()[1].scores, [Value::Float(0.5), Value::Null]);
}

#[test]
fn objects_are_read_by_their_names() {
    let both = Row { label: Some(text("a")), scores: vec![Value::Float(0.9)] };
    assert_eq!(rows(r#"[{"label":"a","score":0.9}]"#).unwrap(), [both]);
    let wide = rows(r#"[{"class":1,"probabilities":[0.1,0.9],"other":{}}]"#).unwrap();
    assert_eq!(wide, [Row { label: Some(Value::Int(1)), scores: scores(&[0.1, 0.9]).scores }]);
    assert_eq!(rows(r#"[{"prediction":0.73}]"#).unwrap(), [scores(&[0.73])]);
    assert_eq!(rows(r#"{"label":"a"}"#).unwrap(), [label(text("a"))]);
    let named = r#"[{"label":"a","risk":0.5},{"label":"b"}]"#;
    let wanted = [Row { label: Some(text("a")), scores: vec![Value::Float(0.5)] }, label(text("b"))];
    assert_eq!(read_with(None, Some("risk"), named).unwrap(), wanted);
    let renamed = read_with(Some("v"), None, r#"[{"v":1.5,"label":"no"}]"#).unwrap();
    assert_eq!(renamed, [label(Value::Float(1.5))]);
}

#[test]
fn columns_are_paired_by_row() {
    let body = r#"{"label":["a","b"],"scores":[[0.5,0.5],[0.1,0.9]]}"#;
    let read = rows(body).unwrap();
    assert_eq!(read[1], Row { label: Some(text("b")), scores: scores(&[0.1, 0.9]).scores });
    assert_eq!(rows(r#"{"scores":[[0.5,0.5]]}"#).unwrap(), [scores(&[0.5, 0.5])]);
    assert!(matches!(rows(r#"{"label":["a"],"score":[0.1,0.2]}"#), Err(WireError::Malformed(_))));
    assert!(matches!(rows(r#"{"scores":[0.1,0.2]}"#), Err(WireError::Unsupported(_))));
}

#[test]
fn what_would_be_a_guess_is_left_alone() {
    for body in [
        "[]",
        "[[]]",
        "[[1,2,3]]",
        r#"[["a","b"]]"#,
        "[[[0.5]]]",
        "[0.5,[0.5,0.5]]",
        "{}",
        r#"{"label":[]}"#,
        r#"[{"x":1}]"#,
        r#"[[{"label":"a","score":0.9}]]"#,
        r#"[{"scores":{"a":0.5,"b":0.5}}]"#,
    ] {
        assert_eq!(rows(body), Err(WireError::NoPrediction), "{body}");
    }
    for body in [r#"[{"label":[1,2]}]"#, r#"[{"score":"high"}]"#, r#"[{"score":[[0.5]]}]"#, r#"["\ud800"]"#] {
        assert!(matches!(rows(body), Err(WireError::Malformed(_))), "{body}");
    }
}

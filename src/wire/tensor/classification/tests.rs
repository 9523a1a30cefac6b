//! Texts in JSON; the binary and gRPC forms are in the recorded bodies.

use super::*;
use crate::wire::{Answer, Codec, Head, Protocol, testing};

fn codec() -> std::sync::Arc<dyn Codec> {
    Protocol::OpenInference.codec(&Outputs::default())
}

fn body(shape: &str, data: &str) -> String {
    format!(r#"{{"outputs":[{{"name":"p","datatype":"BYTES","shape":{shape},"data":{data}}}]}}"#)
}

fn read(body: &str) -> Reading {
    testing::read(codec().as_ref(), body.as_bytes()).unwrap()
}

fn edited(body: &str, edit: impl FnOnce(&mut Answer)) -> Result<String, WireError> {
    let reading = read(body);
    let mut answer = reading.answer();
    edit(&mut answer);
    let out = reading.splice(body.as_bytes(), &answer)?.unwrap();
    Ok(String::from_utf8(out.body).unwrap())
}

fn floats(numbers: &[f64]) -> Vec<Value> {
    numbers.iter().copied().map(Value::Float).collect()
}

#[test]
fn rows_that_list_all_classes_have_a_score_for_each() {
    let data = r#"[ "0.7:2:virginica", "0.2:1:versicolor", "0.1:0:setosa", "0.5:0:setosa", "0.3:1:versicolor", "0.2:2:virginica" ]"#;
    let body = body("[2,3]", data);
    let answer = read(&body).answer();
    assert_eq!(answer.columns, ["setosa", "versicolor", "virginica"]);
    assert_eq!(answer.rows[0], Row { label: None, scores: floats(&[0.1, 0.2, 0.7]) });
    assert_eq!(answer.rows[1], Row { label: None, scores: floats(&[0.5, 0.3, 0.2]) });

    let out = edited(&body, |answer| answer.rows[0].scores.swap(0, 2)).unwrap();
    let swapped = r#""0.700000:0:setosa", "0.2:1:versicolor", "0.100000:2:virginica""#;
    assert_eq!(out, body.replace(r#""0.7:2:virginica", "0.2:1:versicolor", "0.1:0:setosa""#, swapped));
    let out = edited(&body, |answer| answer.rows[1].scores[2] = Value::Float(0.9000001)).unwrap();
    let first = r#""0.9000001:2:virginica", "0.5:0:setosa", "0.3:1:versicolor" ]"#;
    assert!(out.contains(first), "{out}");
    assert_eq!(read(&out).rows()[1].scores, floats(&[0.5, 0.3, 0.9000001]));
}

#[test]
fn rows_that_list_the_top_have_a_label() {
    let body = body("[2,2]", r#"["0.9:7:cat:big","0.05:3:dog","0.6:3:dog","0.3:7:cat:big"]"#);
    let rows = read(&body).rows().to_vec();
    assert_eq!(rows[0], Row { label: Some(Value::Text("cat:big".into())), scores: floats(&[0.9]) });
    let label = |label: &str| {
        let row = |answer: &mut Answer| answer.rows[0].label = Some(Value::Text(label.into()));
        edited(&body, row).unwrap()
    };
    assert!(label("dog").contains(r#"["0.9:3:dog","0.05:7:cat:big","0.6"#));
    assert!(label("\"bird\"").contains(r#"["0.9:7:\"bird\"","0.05:3:dog","0.6"#));
    let out = edited(&body, |answer| answer.rows[1].scores = floats(&[0.125])).unwrap();
    assert!(out.contains(r#""0.3:7:cat:big","0.125000:3:dog"]"#), "{out}");
    let out = edited(&body, |answer| {
        answer.rows[1] = Row { label: Some(Value::Text("cat:big".into())), scores: floats(&[0.125]) };
    });
    assert!(out.unwrap().contains(r#""0.125000:7:cat:big","0.3:3:dog"]"#));
}

#[test]
fn a_model_without_batches_has_one_row() {
    let body = body("[2]", r#"["0.9:0","0.1:1"]"#);
    assert_eq!(read(&body).rows(), [Row { label: None, scores: floats(&[0.9, 0.1]) }]);
}

#[test]
fn what_a_text_can_not_carry_is_refused() {
    let body = body("[1,1]", r#"["0.9:1"]"#);
    for (label, score) in [
        (Value::Text("cat".into()), Value::Float(0.9)),
        (Value::Int(-1), Value::Float(0.9)),
        (Value::Int(1), Value::Null),
        (Value::Int(1), Value::Text("0.5".into())),
    ] {
        let row = Row { label: Some(label), scores: vec![score] };
        let out = edited(&body, |answer| answer.rows[0] = row);
        assert!(matches!(out, Err(WireError::Unwritable(_))), "{out:?}");
    }
    let out = edited(&body, |answer| answer.rows[0].scores = floats(&[f64::NAN])).unwrap();
    assert!(out.contains(r#"["nan:1"]"#), "{out}");
    assert!(edited(&body, |answer| answer.rows[0].scores = floats(&[0.5, 0.5])).is_err());
}

#[test]
fn other_texts_are_labels() {
    for data in [r#"["0.9:0","cat"]"#, r#"["a:1","0.5:b"]"#, r#"["12:30 o'clock","10:x"]"#] {
        let rows = read(&body("[2]", data)).rows().to_vec();
        assert!(matches!(rows[0].label, Some(Value::Text(_))), "{data}");
        assert_eq!(rows.len(), 2);
    }
}

#[test]
fn binary_texts_move_their_lengths() {
    let counted = |text: &str| [&(text.len() as u32).to_le_bytes(), text.as_bytes()].concat();
    let json = |size: usize| {
        let head = r#""name":"p","datatype":"BYTES","shape":[1,2]"#;
        format!(r#"{{"outputs":[{{{head},"parameters":{{"binary_data_size":{size}}}}}]}}"#)
    };
    let build = |texts: [&str; 2]| {
        let data = [counted(texts[0]), counted(texts[1])].concat();
        let json = json(data.len());
        let name = http::HeaderName::from_static("inference-header-content-length");
        let headers: http::HeaderMap = [(name, http::HeaderValue::from(json.len()))].into_iter().collect();
        (headers, [json.as_bytes(), &data].concat())
    };
    let (headers, body) = build(["0.9:4:a", "0.1:2:b"]);
    let head = |headers| Head { path: "/v2/models/m/infer", headers };
    let reading = codec().read(head(&headers), &body).unwrap();
    let mut answer = reading.answer();
    let long = "c".repeat(100);
    answer.rows[0].label = Some(Value::Text(long.clone()));
    let out = reading.splice(&body, &answer).unwrap().unwrap();
    let (new_headers, wanted) = build([&format!("0.9:4:{long}"), "0.1:2:b"]);
    assert_eq!(out.body, wanted);
    assert_eq!(out.headers.len(), 1);
    assert_eq!(out.headers[0].1, new_headers.values().next().unwrap());
    assert_eq!(codec().read(head(&new_headers), &out.body).unwrap().rows(), answer.rows);
}

//! Values written back in their places, as short as they can be.

use super::*;

fn rendered(value: impl Into<Option<f64>>, format: Format) -> String {
    let mut out = Vec::new();
    render(&value.into().map_or(Value::Null, Value::Float), format, &mut out);
    String::from_utf8(out).unwrap()
}

#[test]
fn numbers_are_as_short_as_they_can_be() {
    assert_eq!(rendered(0.9, Format::Double), "0.9");
    assert_eq!(rendered(f64::from(0.9_f32), Format::Double), "0.8999999761581421");
    assert_eq!(rendered(f64::from(0.9_f32), Format::Single), "0.9");
    assert_eq!(rendered(1e300, Format::Single), "1e+300");
    assert_eq!(rendered(2.0, Format::Whole), "2");
    assert_eq!(rendered(2.0, Format::Single), "2.0");
    assert_eq!(rendered(1e-7, Format::Double), "1e-7");
    assert_eq!(rendered(f64::NAN, Format::Whole), "NaN");
    assert_eq!(rendered(f64::NEG_INFINITY, Format::Single), "-Infinity");
    assert_eq!(rendered(None, Format::Double), "null");
}

#[test]
fn only_what_differs_is_written() {
    let body = br#"{"y": [ 1, "a" ], "p": [0.50, NaN]}"#;
    let slot = |text: &str| {
        let start = std::str::from_utf8(body).unwrap().find(text).unwrap();
        Slot { span: start..start + text.len(), format: Format::default() }
    };
    let row = |label, score| Row { label: Some(label), scores: vec![Value::Float(score)] };
    let mut reading = Reading::default();
    reading.push(row(Value::Int(1), 0.5), Some(slot("1")), [slot("0.50")]);
    reading.push(row(Value::Text("a".into()), f64::NAN), Some(slot("\"a\"")), [slot("NaN")]);

    assert_eq!(reading.splice(body, &reading.answer()), Ok(None));
    let mut edited = reading.answer();
    edited.rows[1].label = Some(Value::Text("b\"\n".into()));
    edited.rows[0].scores[0] = Value::Null;
    let out = reading.splice(body, &edited).unwrap().unwrap();
    assert_eq!(String::from_utf8(out.body).unwrap(), r#"{"y": [ 1, "b\"\n" ], "p": [null, NaN]}"#);
}

#[test]
fn rows_keep_their_shape() {
    let mut reading = Reading::default();
    let slot = Slot { span: 1..2, format: Format::Whole };
    reading.push(Row { label: Some(Value::Int(1)), scores: vec![] }, Some(slot), []);
    for edited in [vec![], vec![Row::default()]] {
        assert!(matches!(reading.splice(b"[1]", &Answer::of_rows(edited)), Err(WireError::Unwritable(_))));
    }
}

//! Bodies that MLServer sent, and some in the forms that KServe and Triton send.

use http::{HeaderMap, HeaderValue, StatusCode};

use super::*;
use crate::wire::{Row, testing};

/// MLServer 1.7.1, scikit-learn iris; `predict` and `predict_proba` asked for.
const MLSERVER: &str = r#"{"model_name":"iris","model_version":"1","id":"a1","parameters":{},"outputs":[{"name":"predict","shape":[2,1],"datatype":"BYTES","parameters":{"content_type":"np"},"data":["setosa","virginica"]},{"name":"predict_proba","shape":[2,3],"datatype":"FP64","parameters":{"content_type":"np"},"data":[0.9741809412358787,0.025818943688943833,1.1507517735075009e-7,6.503826752959729e-6,0.01320310614484107,0.986790390028406]}]}"#;
/// The same server, a classifier of numbers.
const NUMBERS: &str = r#"{"model_name":"num","id":"a1","parameters":{},"outputs":[{"name":"predict","shape":[2,1],"datatype":"INT64","parameters":{"content_type":"np"},"data":[1,0]},{"name":"predict_proba","shape":[2,2],"datatype":"FP64","parameters":{"content_type":"np"},"data":[2.7963631410443668e-11,0.9999999999720364,0.9999999999999799,2.0072496609932262e-14]}]}"#;
/// The same server, a regression.
const REGRESSION: &str = r#"{"model_name":"reg","id":"a1","parameters":{},"outputs":[{"name":"predict","shape":[2,1],"datatype":"FP64","parameters":{"content_type":"np"},"data":[22.099999845027927,33.29999971389771]}]}"#;
/// As KServe writes: nulls, and nested data.
const KSERVE: &str = r#"{"model_name":"iris","model_version":null,"id":"a","parameters":null,"outputs":[{"name":"output-0","shape":[3,2],"datatype":"FP32","parameters":null,"data":[[0.25,0.75],[null,null],[1,0.0]]}]}"#;
/// As Triton writes.
const TRITON: &str = r#"{"model_name":"fraud","model_version":"1","outputs":[{"name":"OUTPUT0","datatype":"FP32","shape":[3],"data":[0.125,NaN,Infinity]}]}"#;
/// As Triton's forest backend writes: classes as FP32 beside the scores.
const FOREST: &str = r#"{"model_name":"f","model_version":"1","outputs":[{"name":"output__0","datatype":"FP32","shape":[2],"data":[1.0,0.0]},{"name":"output__1","datatype":"FP32","shape":[2,2],"data":[0.1,0.9,0.8,0.2]}]}"#;

fn read_with(outputs: Outputs, body: &str) -> Result<Reading, WireError> {
    testing::read(&OpenInference::new(outputs), body.as_bytes())
}

fn read(body: &str) -> Result<Reading, WireError> {
    read_with(Outputs::default(), body)
}

fn rows(body: &str) -> Vec<Row> {
    read(body).unwrap().rows().to_vec()
}

fn floats(numbers: &[f64]) -> Vec<Value> {
    numbers.iter().copied().map(Value::Float).collect()
}

fn output(name: &str, datatype: &str, shape: &str, data: &str) -> String {
    format!(r#"{{"name":"{name}","datatype":"{datatype}","shape":{shape},"data":{data}}}"#)
}

fn response(outputs: &[String]) -> String {
    format!(r#"{{"model_name":"m","outputs":[{}]}}"#, outputs.join(","))
}

#[test]
fn the_version_is_told_and_can_be_written() {
    let body = br#"{"model_name":"m", "model_version": "7","outputs":[{"name":"y","datatype":"INT64","shape":[1],"data":[2]}]}"#;
    let headers = http::HeaderMap::new();
    let codec = OpenInference::new(Outputs::default());
    let reading = codec.read(Head { path: "/v2/models/m/infer", headers: &headers }, body).unwrap();
    let mut answer = reading.answer();
    assert_eq!(answer.version, Some(Value::Text("7".into())));
    answer.version = Some(Value::Text("6".into()));
    let edited = String::from_utf8(reading.splice(body, &answer).unwrap().unwrap().body).unwrap();
    assert_eq!(edited, String::from_utf8_lossy(body).replace("\"7\"", "\"6\""));
}

#[test]
fn mlserver_gives_labels_and_scores() {
    let rows_of = rows(MLSERVER);
    let text = |name: &str| Some(Value::Text(name.into()));
    let scores = floats(&[0.9741809412358787, 0.025818943688943833, 1.1507517735075009e-7]);
    assert_eq!(rows_of[0], Row { label: text("setosa"), scores });
    let scores = floats(&[6.503826752959729e-6, 0.01320310614484107, 0.986790390028406]);
    assert_eq!(rows_of[1], Row { label: text("virginica"), scores });
    let labels: Vec<_> = rows(NUMBERS).into_iter().map(|row| row.label).collect();
    assert_eq!(labels, [Some(Value::Int(1)), Some(Value::Int(0))]);
    assert_eq!(rows(REGRESSION)[0], Row { label: None, scores: floats(&[22.099999845027927]) });
}

#[test]
fn kserve_nulls_are_values() {
    let rows = rows(KSERVE);
    assert_eq!(rows.len(), 3);
    assert_eq!(rows[1], Row { label: None, scores: vec![Value::Null, Value::Null] });
    assert_eq!(rows[2].scores, [Value::Int(1), Value::Float(0.0)]);
}

#[test]
fn triton_sends_bare_nan() {
    let rows = rows(TRITON);
    assert_eq!(rows[0].scores, [Value::Float(0.125)]);
    assert!(matches!(rows[1].scores[..], [Value::Float(x)] if x.is_nan()));
    assert_eq!(rows[2].scores, [Value::Float(f64::INFINITY)]);
}

#[test]
fn a_forest_tells_its_classes_as_floats() {
    let rows = rows(FOREST);
    assert_eq!(rows[0], Row { label: Some(Value::Float(1.0)), scores: floats(&[0.1, 0.9]) });
    assert_eq!(rows[1], Row { label: Some(Value::Float(0.0)), scores: floats(&[0.8, 0.2]) });
}

#[test]
fn datatype_and_shape_tell_labels_from_scores() {
    let cases = [
        ("BYTES", "[1]", r#"["cat"]"#, Row { label: Some(Value::Text("cat".into())), scores: vec![] }),
        ("BYTES", "[1,1]", r#"[["c:1"]]"#, Row { label: Some(Value::Text("c:1".into())), scores: vec![] }),
        ("BOOL", "[1]", "[true]", Row { label: Some(Value::Bool(true)), scores: vec![] }),
        ("UINT8", "[1]", "[3]", Row { label: Some(Value::Int(3)), scores: vec![] }),
        ("FP64", "[1,1]", "[[0.5]]", Row { label: None, scores: floats(&[0.5]) }),
        ("BF16", "[1]", "[0.5]", Row { label: None, scores: floats(&[0.5]) }),
        ("FP16", "[1,1,2]", "[0.5,0.5]", Row { label: None, scores: floats(&[0.5, 0.5]) }),
    ];
    for (datatype, shape, data, row) in cases {
        assert_eq!(rows(&response(&[output("y", datatype, shape, data)])), [row], "{datatype} {shape}");
    }
}

#[test]
fn what_is_no_prediction_is_left_alone() {
    for body in [
        r#"{"error":"model not found"}"#,
        r#"{"outputs":[]}"#,
        r#"{"outputs":null}"#,
        "[]",
        &response(&[output("embedding", "INT64", "[1,3]", "[1,2,3]")]),
        &response(&[output("image", "FP32", "[1,2,2]", "[1,2,3,4]")]),
        &response(&[output("y", "FP32", "[0,2]", "[]")]),
        &response(&[output("y", "FUTURE8", "[1]", "[1]")]),
    ] {
        assert_eq!(read(body), Err(WireError::NoPrediction), "{body}");
    }
}

#[test]
fn outputs_can_be_named() {
    let body = response(&[
        output("version", "INT64", "[1]", "[7]"),
        output("risk", "FP32", "[1]", "[0.2]"),
        output("class", "BYTES", "[1]", r#"["b"]"#),
        output("p", "FP32", "[1,2]", "[0.2,0.8]"),
    ]);
    let named = |label: Option<&str>, scores: Option<&str>| Outputs {
        label: label.map(str::to_owned),
        scores: scores.map(str::to_owned),
    };
    assert_eq!(rows(&body)[0], Row { label: Some(Value::Int(7)), scores: floats(&[0.2, 0.8]) });
    let row = |outputs| read_with(outputs, &body).unwrap().rows()[0].clone();
    let b = Some(Value::Text("b".into()));
    assert_eq!(row(named(Some("class"), None)), Row { label: b.clone(), scores: floats(&[0.2, 0.8]) });
    assert_eq!(row(named(Some("class"), Some("risk"))), Row { label: b, scores: floats(&[0.2]) });
    assert!(matches!(read_with(named(Some("p"), None), &body), Err(WireError::Malformed(_))));
    for shape in ["[1,2,2]", "[9007199254740992,0]"] {
        let body = response(&[output("p", "FP32", shape, "[]")]);
        assert!(matches!(read_with(named(None, Some("p")), &body), Err(WireError::Malformed(_))), "{shape}");
    }
}

fn binary(json: &str, tensors: &[u8]) -> (HeaderMap, Vec<u8>) {
    let headers = [(HEAD_LENGTH, HeaderValue::from(json.len()))].into_iter().collect();
    (headers, [json.as_bytes(), tensors].concat())
}

fn read_binary(headers: &HeaderMap, body: &[u8]) -> Result<Reading, WireError> {
    OpenInference::new(Outputs::default()).read(Head { path: "/v2/models/m/infer", headers }, body)
}

fn binary_output(name: &str, datatype: &str, shape: &str, size: usize) -> String {
    let head = format!(r#""name":"{name}","datatype":"{datatype}","shape":{shape}"#);
    format!(r#"{{{head},"parameters":{{"binary_data_size":{size}}}}}"#)
}

#[test]
fn a_text_that_grows_in_a_binary_tensor_moves_every_length() {
    let tensors = [
        binary_output("label", "BYTES", "[2]", 11),
        output("p", "FP64", "[2,2]", "[0.25,0.75,0.5,0.5]"),
        binary_output("half", "FP16", "[2,2]", 8),
    ];
    let bytes = b"\x01\0\0\0a\x02\0\0\0bb\0\x38\0\x38\0\x34\0\x3a";
    let (headers, body) = binary(&response(&tensors), bytes);
    let reading = read_binary(&headers, &body).unwrap();
    let text = |text: &str| Some(Value::Text(text.into()));
    let wanted = [
        Row { label: text("a"), scores: floats(&[0.25, 0.75]) },
        Row { label: text("bb"), scores: floats(&[0.5, 0.5]) },
    ];
    assert_eq!(reading.rows(), wanted);
    let mut edited = reading.answer();
    let long = "a much longer name".repeat(6);
    edited.rows[1].label = text(&long);
    edited.rows[0].scores.swap(0, 1);
    let out = reading.splice(&body, &edited).unwrap().unwrap();
    let json = response(&tensors)
        .replace("binary_data_size\":11", "binary_data_size\":117")
        .replace("0.25,0.75", "0.75,0.25");
    let length = &[108, 0, 0, 0][..];
    let (new_headers, new_body) =
        binary(&json, &[b"\x01\0\0\0a", length, long.as_bytes(), &bytes[11..]].concat());
    assert_eq!(out.body, new_body);
    assert_eq!(out.headers, [(HEAD_LENGTH, new_headers[HEAD_LENGTH].clone())]);
    assert_eq!(read_binary(&new_headers, &out.body).unwrap().rows(), edited.rows);
}

#[test]
fn every_datatype_is_read_and_written_in_binary_form() {
    for (datatype, bytes, value, new, written) in [
        ("BOOL", &[1][..], Value::Bool(true), Value::Bool(false), &[0][..]),
        ("INT8", &[0xfe], Value::Int(-2), Value::Int(3), &[3]),
        ("INT16", &[0, 1], Value::Int(256), Value::Int(-1), &[255, 255]),
        ("INT32", &[1, 0, 0, 0], Value::Int(1), Value::Int(-1), &[255; 4]),
        ("INT64", &[1, 0, 0, 0, 0, 0, 0, 0], Value::Int(1), Value::Int(-1), &[255; 8]),
        ("UINT8", &[255], Value::Int(255), Value::Int(1), &[1]),
        ("UINT16", &[255, 255], Value::Int(65535), Value::Int(1), &[1, 0]),
        ("UINT32", &[255; 4], Value::Int(4_294_967_295), Value::Int(1), &[1, 0, 0, 0]),
        ("UINT64", &[255; 8], Value::Float(u64::MAX as f64), Value::Int(1), &[1, 0, 0, 0, 0, 0, 0, 0]),
        ("FP16", &[0, 0x38], Value::Float(0.5), Value::Float(0.9), &[0x33, 0x3b]),
        ("BF16", &[0, 0x3f], Value::Float(0.5), Value::Float(0.9), &[0x66, 0x3f]),
        ("FP32", &[0, 0, 0, 0x3f], Value::Float(0.5), Value::Float(0.25), &[0, 0, 0x80, 0x3e]),
        (
            "FP64",
            &[0, 0, 0, 0, 0, 0, 0xe0, 0x3f],
            Value::Float(0.5),
            Value::Int(1),
            &[0, 0, 0, 0, 0, 0, 0xf0, 0x3f],
        ),
    ] {
        let json = response(&[binary_output("y", datatype, "[1]", bytes.len())]);
        let (headers, body) = binary(&json, bytes);
        let reading = read_binary(&headers, &body).unwrap();
        let mut edited = reading.answer();
        let row = &mut edited.rows[0];
        let cell = row.label.as_mut().or(row.scores.first_mut()).unwrap();
        assert_eq!(*cell, value, "{datatype}");
        *cell = new;
        let out = reading.splice(&body, &edited).unwrap().unwrap();
        assert_eq!((&out.body[json.len()..], out.headers.len()), (written, 0), "{datatype}");
    }
}

#[test]
fn binary_tensors_are_never_misread() {
    let y = |size| response(&[binary_output("y", "FP32", "[1]", size)]);
    for (headers, body) in [
        binary(&y(4), b"abc"),
        binary(&y(4), b"abcde"),
        binary(&y(3), b"abc"),
        binary(&y(usize::MAX), b"abcd"),
        binary(&response(&[binary_output("y", "BYTES", "[1]", 4)]), &[1, 0, 0, 0]),
        binary(&response(&[binary_output("y", "BYTES", "[1]", 5)]), &[1, 0, 0, 0, 0xff]),
    ] {
        assert!(matches!(read_binary(&headers, &body), Err(WireError::Malformed(_))), "{body:?}");
    }
    for length in ["-1", "x", "100000"] {
        let headers = [(HEAD_LENGTH, HeaderValue::from_static(length))].into_iter().collect();
        assert!(matches!(read_binary(&headers, y(0).as_bytes()), Err(WireError::Malformed(_))), "{length}");
    }
    assert!(matches!(read(&y(4)), Err(WireError::Malformed(_))));
}

#[test]
fn triton_s_classes_are_read_from_texts() {
    let top = response(&[output("y", "BYTES", "[2,2]", r#"["0.9:0","0.1:2","0.8:1","0.2:2"]"#)]);
    let reading = read(&top).unwrap();
    assert_eq!(reading.rows()[1], Row { label: Some(Value::Int(1)), scores: floats(&[0.8]) });
    let mut edited = reading.answer();
    edited.rows[1].label = Some(Value::Int(2));
    let out = reading.splice(top.as_bytes(), &edited).unwrap().unwrap();
    assert_eq!(String::from_utf8(out.body).unwrap(), top.replace(r#""0.8:1","0.2:2""#, r#""0.8:2","0.2:1""#));
}

#[test]
fn a_body_that_breaks_the_protocol_says_how() {
    for (body, message) in [
        ("{\"outputs\":[", "byte 12: expected a value, found the end"),
        (
            &response(&[output("y", "FP32", "[2]", "[1]")]),
            "output `y` has more or fewer values than its shape says",
        ),
        (&response(&[output("y", "FP32", "[-1]", "[1]")]), "output `y` has an impossible shape"),
        (
            &response(&[output("y", "FP32", "[1,9223372036854775807,9]", "[1]")]),
            "output `y` has an impossible shape",
        ),
        (&response(&[output("y", "FP32", "null", "[1]")]), "output `y` has no shape"),
        (&response(&[output("y", "FP32", "[1]", "[\"x\"]")]), "a score is no number"),
        (&response(&[output("y", "INT8", "[1]", "[{}]")]), "output `y` holds an object"),
        (r#"{"outputs":[{"name":"y","datatype":"FP32","shape":[1]}]}"#, "output `y` has no data"),
        (r#"{"outputs":[1]}"#, "an output has no name"),
        (
            &response(&[output("a", "INT8", "[1]", "[1]"), output("b", "FP32", "[2]", "[1,2]")]),
            "outputs `a` and `b` differ in their number of rows",
        ),
    ] {
        assert_eq!(read(body), Err(WireError::Malformed(message.into())), "{body}");
    }
}

#[test]
fn an_edit_touches_one_value_and_keeps_the_tensor_s_precision() {
    let reading = read(KSERVE).unwrap();
    let mut edited = reading.rows().to_vec();
    edited[0].scores[1] = Value::Float(f64::from(0.9_f32));
    let out = testing::splice(&reading, KSERVE.as_bytes(), &edited).unwrap().unwrap();
    assert_eq!(String::from_utf8(out).unwrap(), KSERVE.replace("0.75", "0.9"));

    let reading = read(MLSERVER).unwrap();
    let mut edited = reading.rows().to_vec();
    edited[1].label = Some(Value::Text("versicolor".into()));
    edited[1].scores.swap(1, 2);
    let out = testing::splice(&reading, MLSERVER.as_bytes(), &edited).unwrap().unwrap();
    let swapped = "0.986790390028406,0.01320310614484107]";
    let wanted = MLSERVER
        .replace("virginica", "versicolor")
        .replace("0.01320310614484107,0.986790390028406]", swapped);
    assert_eq!(String::from_utf8(out).unwrap(), wanted);
}

#[test]
fn routes_name_their_model() {
    let codec = OpenInference::new(Outputs::default());
    for (path, model) in [
        ("/v2/models/iris/infer", Some("iris")),
        ("/v2/models/iris/versions/3/infer", Some("iris")),
        ("/seldon/team/v2/models/iris/infer", Some("iris")),
        ("/v2/models/infer/infer", Some("infer")),
        ("/v2/models/iris", None),
        ("/v2/models//infer", None),
        ("/v2/models/iris/ready", None),
        ("/v2/models/iris/versions//infer", None),
        ("/v2/models/iris/infer/x", None),
        ("/v2/models/iris/generate_stream", None),
        ("/v2/health/ready", None),
    ] {
        assert_eq!(codec.model(path), model, "{path}");
        assert_eq!(codec.is_prediction(&Method::POST, path), model.is_some());
        assert!(!codec.is_prediction(&Method::GET, path));
    }
}

#[test]
fn errors_have_the_protocol_s_shape() {
    let error =
        testing::error(&OpenInference::new(Outputs::default()), StatusCode::SERVICE_UNAVAILABLE, "a \"b\"");
    assert_eq!(error.headers[http::header::CONTENT_TYPE], "application/json");
    assert_eq!(error.body, r#"{"error":"a \"b\""}"#);
}

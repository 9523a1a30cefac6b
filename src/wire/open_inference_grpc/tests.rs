//! Messages as generated code would write and read them.

use std::collections::HashMap;

use proptest::prelude::*;
use prost::Message as _;

use super::*;
use crate::wire::{Answer, Row, Value};

const PATH: &str = "/inference.GRPCInferenceService/ModelInfer";
const STREAM_PATH: &str = "/inference.GRPCInferenceService/ModelStreamInfer";

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Contents {
    #[prost(bool, repeated, tag = "1")]
    bool_contents: Vec<bool>,
    #[prost(int32, repeated, tag = "2")]
    int_contents: Vec<i32>,
    #[prost(int64, repeated, tag = "3")]
    int64_contents: Vec<i64>,
    #[prost(uint32, repeated, tag = "4")]
    uint_contents: Vec<u32>,
    #[prost(uint64, repeated, tag = "5")]
    uint64_contents: Vec<u64>,
    #[prost(float, repeated, tag = "6")]
    fp32_contents: Vec<f32>,
    #[prost(double, repeated, tag = "7")]
    fp64_contents: Vec<f64>,
    #[prost(bytes = "vec", repeated, tag = "8")]
    bytes_contents: Vec<Vec<u8>>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Parameter {
    #[prost(string, tag = "3")]
    string_param: String,
}

#[derive(Clone, PartialEq, prost::Message)]
struct TensorMessage {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(string, tag = "2")]
    datatype: String,
    #[prost(int64, repeated, tag = "3")]
    shape: Vec<i64>,
    #[prost(map = "string, message", tag = "4")]
    parameters: HashMap<String, Parameter>,
    #[prost(message, optional, tag = "5")]
    contents: Option<Contents>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct InferResponse {
    #[prost(string, tag = "1")]
    model_name: String,
    #[prost(string, tag = "2")]
    model_version: String,
    #[prost(string, tag = "3")]
    id: String,
    #[prost(message, repeated, tag = "5")]
    outputs: Vec<TensorMessage>,
    #[prost(bytes = "vec", repeated, tag = "6")]
    raw_output_contents: Vec<Vec<u8>>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct InferRequest {
    #[prost(string, tag = "1")]
    model_name: String,
    #[prost(message, repeated, tag = "5")]
    inputs: Vec<TensorMessage>,
    #[prost(bytes = "vec", repeated, tag = "7")]
    raw_input_contents: Vec<Vec<u8>>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct StreamResponse {
    #[prost(string, tag = "1")]
    error_message: String,
    #[prost(message, optional, tag = "2")]
    infer_response: Option<InferResponse>,
}

/// Floats as the proto allows but no generated code writes them: one field for each.
#[derive(Clone, PartialEq, prost::Message)]
struct Unpacked {
    #[prost(float, repeated, packed = "false", tag = "6")]
    fp32_contents: Vec<f32>,
    #[prost(int64, repeated, packed = "false", tag = "3")]
    int64_contents: Vec<i64>,
}

fn tensor_message(name: &str, datatype: &str, shape: &[i64], contents: Option<Contents>) -> TensorMessage {
    TensorMessage {
        name: name.into(),
        datatype: datatype.into(),
        shape: shape.to_vec(),
        parameters: [("content_type".into(), Parameter { string_param: "np".into() })].into(),
        contents,
    }
}

fn response(outputs: Vec<TensorMessage>, raw: Vec<Vec<u8>>) -> InferResponse {
    InferResponse {
        model_name: "m".into(),
        model_version: "1".into(),
        id: "a".into(),
        outputs,
        raw_output_contents: raw,
    }
}

fn read_response(response: &InferResponse) -> Result<Reading, WireError> {
    read(PATH, &response.encode_to_vec(), &Outputs::default())
}

/// The response after an edit, decoded by generated code.
fn edited(response: &InferResponse, edit: impl FnOnce(&mut Answer)) -> InferResponse {
    let body = response.encode_to_vec();
    let reading = read(PATH, &body, &Outputs::default()).unwrap();
    let mut answer = reading.answer();
    edit(&mut answer);
    let out = reading.splice(&body, &answer).unwrap().unwrap();
    assert_eq!(out.headers, []);
    InferResponse::decode(out.body.as_slice()).unwrap()
}

fn text(text: &str) -> Value {
    Value::Text(text.into())
}

fn texts(texts: &[&str]) -> Contents {
    let bytes_contents = texts.iter().map(|text| text.as_bytes().to_vec()).collect();
    Contents { bytes_contents, ..Contents::default() }
}

#[test]
fn typed_contents_of_each_kind_are_read_and_written() {
    let c = Contents::default;
    for (datatype, contents, value, new, wanted) in [
        (
            "BOOL",
            Contents { bool_contents: vec![true], ..c() },
            Value::Bool(true),
            Value::Bool(false),
            Contents { bool_contents: vec![false], ..c() },
        ),
        (
            "INT8",
            Contents { int_contents: vec![-3], ..c() },
            Value::Int(-3),
            Value::Int(7),
            Contents { int_contents: vec![7], ..c() },
        ),
        (
            "INT32",
            Contents { int_contents: vec![3], ..c() },
            Value::Int(3),
            Value::Int(-1),
            Contents { int_contents: vec![-1], ..c() },
        ),
        (
            "INT64",
            Contents { int64_contents: vec![1], ..c() },
            Value::Int(1),
            Value::Int(i64::MIN),
            Contents { int64_contents: vec![i64::MIN], ..c() },
        ),
        (
            "UINT16",
            Contents { uint_contents: vec![3], ..c() },
            Value::Int(3),
            Value::Int(65535),
            Contents { uint_contents: vec![65535], ..c() },
        ),
        (
            "UINT64",
            Contents { uint64_contents: vec![3], ..c() },
            Value::Int(3),
            Value::Int(300),
            Contents { uint64_contents: vec![300], ..c() },
        ),
        (
            "FP32",
            Contents { fp32_contents: vec![0.5], ..c() },
            Value::Float(0.5),
            Value::Float(0.9),
            Contents { fp32_contents: vec![0.9], ..c() },
        ),
        (
            "FP64",
            Contents { fp64_contents: vec![0.5], ..c() },
            Value::Float(0.5),
            Value::Float(0.9),
            Contents { fp64_contents: vec![0.9], ..c() },
        ),
        ("BYTES", texts(&["a"]), text("a"), text(&"long ".repeat(40)), texts(&[&"long ".repeat(40)])),
    ] {
        let original = response(vec![tensor_message("y", datatype, &[1], Some(contents))], vec![]);
        let out = edited(&original, |answer| {
            let row = &mut answer.rows[0];
            let cell = row.label.as_mut().or(row.scores.first_mut()).unwrap();
            assert_eq!(*cell, value, "{datatype}");
            *cell = new;
        });
        let wanted = response(vec![tensor_message("y", datatype, &[1], Some(wanted))], vec![]);
        assert_eq!(out, wanted, "{datatype}");
    }
}

#[test]
fn raw_contents_stand_beside_the_outputs() {
    let empty = Some(Contents::default());
    let outputs = vec![
        tensor_message("label", "BYTES", &[2], empty.clone()),
        tensor_message("p", "FP32", &[2, 2], empty),
    ];
    let p = |p: [f32; 4]| p.iter().flat_map(|p| p.to_le_bytes()).collect::<Vec<u8>>();
    let labels = |a: &str, b: &str| {
        let counted = |text: &str| [&(text.len() as u32).to_le_bytes(), text.as_bytes()].concat();
        [counted(a), counted(b)].concat()
    };
    let original = response(outputs.clone(), vec![labels("cat", "dog"), p([0.25, 0.75, 0.5, 0.5])]);
    let rows = read_response(&original).unwrap().rows().to_vec();
    assert_eq!(
        rows[0],
        Row { label: Some(text("cat")), scores: vec![Value::Float(0.25), Value::Float(0.75)] }
    );
    let long = "a cat that is longer than any varint of one byte ".repeat(4);
    let out = edited(&original, |answer| {
        answer.rows[0].label = Some(text(&long));
        answer.rows[1].scores[0] = Value::Float(f64::NAN);
    });
    assert!(f32::from_le_bytes(out.raw_output_contents[1][8..12].try_into().unwrap()).is_nan());
    assert_eq!(out.raw_output_contents[0], labels(&long, "dog"));
    assert_eq!(out.outputs, outputs);
}

#[test]
fn a_stream_wraps_responses_and_errors() {
    let inner = response(vec![tensor_message("y", "BYTES", &[1], Some(texts(&["a"])))], vec![]);
    let original = StreamResponse { error_message: String::new(), infer_response: Some(inner) };
    let body = original.encode_to_vec();
    let reading = read(STREAM_PATH, &body, &Outputs::default()).unwrap();
    let mut answer = reading.answer();
    let long = "b".repeat(200);
    answer.rows[0].label = Some(text(&long));
    let out = reading.splice(&body, &answer).unwrap().unwrap();
    let out = StreamResponse::decode(out.body.as_slice()).unwrap().infer_response.unwrap();
    assert_eq!(out.outputs[0].contents, Some(texts(&[&long])));

    let failure = Failure::new(http::StatusCode::INTERNAL_SERVER_ERROR, "out of memory");
    let framed = stream_error(STREAM_PATH, &failure).unwrap();
    assert_eq!(framed[..5], [0, 0, 0, 0, framed.len() as u8 - 5]);
    let error = StreamResponse::decode(&framed[5..]).unwrap();
    assert_eq!(error.error_message, "out of memory");
    assert_eq!(read(STREAM_PATH, &framed[5..], &Outputs::default()), Err(WireError::NoPrediction));
    assert_eq!(stream_error(PATH, &failure), None);
}

#[test]
fn numbers_need_not_be_packed() {
    let head = tensor_message("p", "FP32", &[1, 2], None).encode_to_vec();
    let contents = Unpacked { fp32_contents: vec![0.25, 0.75], int64_contents: vec![] }.encode_to_vec();
    let tensor = [&head[..], &[5 << 3 | 2, contents.len() as u8], &contents].concat();
    let body = [&[5 << 3 | 2, tensor.len() as u8], &tensor[..]].concat();
    let reading = read(PATH, &body, &Outputs::default()).unwrap();
    let mut answer = reading.answer();
    answer.rows[0].scores[1] = Value::Float(0.5);
    let out = reading.splice(&body, &answer).unwrap().unwrap();
    let out = InferResponse::decode(out.body.as_slice()).unwrap();
    assert_eq!(out.outputs[0].contents.as_ref().unwrap().fp32_contents, [0.25, 0.5]);
    answer.rows[0].scores.push(Value::Float(0.5));
    assert!(matches!(reading.splice(&body, &answer), Err(WireError::Unwritable(_))));
}

#[test]
fn shape_and_datatype_can_be_declared_otherwise() {
    let original = response(vec![tensor_message("p", "FP32", &[1, 2], None)], vec![vec![0; 8]]);
    let out = edited(&original, |answer| {
        let declared = answer.declared.as_mut().unwrap();
        assert_eq!((&declared.shape, declared.datatype.as_str()), (&vec![1, 2], "FP32"));
        declared.shape = vec![1, 300, 1];
        declared.datatype = "INT64_OR_MORE".into();
    });
    assert_eq!(out.outputs[0].shape, [1, 300, 1]);
    assert_eq!(out.outputs[0].datatype, "INT64_OR_MORE");
    assert_eq!(out.raw_output_contents, [vec![0; 8]]);
}

#[test]
fn a_row_can_lose_and_gain_scores() {
    let raw = response(vec![tensor_message("p", "FP32", &[2, 2], None)], vec![vec![0; 16]]);
    let packed = Contents { fp32_contents: vec![0.0; 4], ..Contents::default() };
    let typed = response(vec![tensor_message("p", "FP32", &[2, 2], Some(packed))], vec![]);
    let half = Value::Float(0.5);
    for original in [raw, typed] {
        let scores = |response: &InferResponse| match response.raw_output_contents.first() {
            Some(raw) => raw.as_chunks().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect(),
            None => response.outputs[0].contents.clone().unwrap().fp32_contents,
        };
        let longer = edited(&original, |answer| answer.rows[0].scores.extend([half.clone(), half.clone()]));
        assert_eq!(scores(&longer), [0.0, 0.0, 0.5, 0.5, 0.0, 0.0]);
        let shorter = edited(&original, |answer| answer.rows[1].scores = vec![half.clone()]);
        assert_eq!(scores(&shorter), [0.0, 0.0, 0.5]);
    }
}

#[test]
fn features_are_read_from_either_contents() {
    let age = tensor_message(
        "age",
        "INT64",
        &[2, 1],
        Some(Contents { int64_contents: vec![41, 27], ..Contents::default() }),
    );
    let city = tensor_message("city", "BYTES", &[2], Some(texts(&["Bonn", "Kyiv"])));
    let request =
        InferRequest { model_name: "m".into(), inputs: vec![age, city], raw_input_contents: vec![] };
    let body = request.encode_to_vec();
    let reading = features(&body).unwrap();
    let mut answer = reading.answer();
    assert_eq!(answer.columns, ["age", "city"]);
    assert_eq!(answer.rows[1].scores, [Value::Int(27), text("Kyiv")]);
    answer.rows[0].scores = vec![Value::Int(410), text("Cologne")];
    let out = reading.splice(&body, &answer).unwrap().unwrap();
    let out = InferRequest::decode(out.body.as_slice()).unwrap();
    assert_eq!(out.inputs[0].contents.as_ref().unwrap().int64_contents, [410, 27]);
    assert_eq!(out.inputs[1].contents, Some(texts(&["Cologne", "Kyiv"])));

    let raw = InferRequest {
        model_name: "m".into(),
        inputs: vec![tensor_message("x", "FP64", &[1, 2], None)],
        raw_input_contents: vec![[1.5_f64, 2.5].iter().flat_map(|x| x.to_le_bytes()).collect()],
    };
    let rows = features(&raw.encode_to_vec()).unwrap().answer();
    assert_eq!(
        (rows.rows[0].scores.as_slice(), rows.columns.len()),
        (&[Value::Float(1.5), Value::Float(2.5)][..], 0)
    );
}

#[test]
fn what_breaks_the_protocol_says_how() {
    let p = |shape: &[i64], raw: Vec<Vec<u8>>| response(vec![tensor_message("p", "FP32", shape, None)], raw);
    for (response, message) in [
        (p(&[1, 2], vec![vec![0; 7]]), "output `p` has more or fewer values than its shape says"),
        (p(&[i64::MAX, 4], vec![vec![0; 8]]), "output `p` has an impossible shape"),
        (p(&[-1], vec![vec![]]), "output `p` has an impossible shape"),
        (p(&[1], vec![vec![0; 4], vec![]]), "there are 1 outputs and 2 raw contents"),
        (p(&[1], vec![]), "output `p` has more or fewer values than its shape says"),
        (response(vec![tensor_message("p", "FP16", &[1], None)], vec![]), "output `p` has no data"),
    ] {
        assert_eq!(read_response(&response), Err(WireError::Malformed(message.into())));
    }
    assert_eq!(read_response(&response(vec![], vec![])), Err(WireError::NoPrediction));
    for body in
        [&[0x2a, 0xff][..], &[0x2b], &[0x2a, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01]]
    {
        assert!(matches!(read(PATH, body, &Outputs::default()), Err(WireError::Malformed(_))), "{body:?}");
    }
}

proptest! {
    #[test]
    fn an_edit_is_valid_protobuf_and_changes_nothing_else(
        labels in prop::collection::vec("[a-z]{0,200}", 1..6),
        renamed in prop::collection::vec("[a-zé]{0,200}", 6),
        scores in prop::collection::vec(any::<f32>(), 12),
        touched: u8,
        raw: bool,
    ) {
        let count = labels.len();
        let names: Vec<&str> = labels.iter().map(String::as_str).collect();
        let scores = &scores[..2 * count];
        let contents = Contents { fp32_contents: scores.to_vec(), ..Contents::default() };
        let shape = [count as i64, 2];
        let outputs = vec![
            tensor_message("y", "BYTES", &shape[..1], (!raw).then(|| texts(&names))),
            tensor_message("p", "FP32", &shape, (!raw).then_some(contents)),
        ];
        let counted = |names: &[&str]| -> Vec<u8> {
            names.iter().flat_map(|name| [&(name.len() as u32).to_le_bytes(), name.as_bytes()].concat()).collect()
        };
        let bytes = |scores: &[f32]| -> Vec<u8> { scores.iter().flat_map(|score| score.to_le_bytes()).collect() };
        let contents = if raw { vec![counted(&names), bytes(scores)] } else { vec![] };
        let original = response(outputs, contents);
        let body = original.encode_to_vec();
        let reading = read(PATH, &body, &Outputs::default()).unwrap();
        let mut answer = reading.answer();
        let mut names: Vec<&str> = names;
        let mut scores = scores.to_vec();
        for row in 0..count {
            if touched >> row & 1 == 1 {
                names[row] = &renamed[row];
                answer.rows[row].label = Some(text(&renamed[row]));
            } else {
                scores[2 * row] = 0.125;
                answer.rows[row].scores[0] = Value::Float(0.125);
            }
        }
        let mut wanted = original.clone();
        if raw {
            wanted.raw_output_contents = vec![counted(&names), bytes(&scores)];
        } else {
            wanted.outputs[0].contents = Some(texts(&names));
            wanted.outputs[1].contents.as_mut().unwrap().fp32_contents = scores;
        }
        let out = reading.splice(&body, &answer).unwrap().map_or(body, |out| out.body);
        prop_assert_eq!(InferResponse::decode(out.as_slice()).unwrap().encode_to_vec(), wanted.encode_to_vec());
        prop_assert_eq!(out, wanted.encode_to_vec());
        let again = read(PATH, &wanted.encode_to_vec(), &Outputs::default()).unwrap();
        prop_assert!(again.rows().iter().zip(&answer.rows).all(|(a, b)| a.is_same(b)));
    }
}

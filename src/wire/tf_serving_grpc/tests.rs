//! Messages as generated code would write and read them.

use std::collections::BTreeMap;

use prost::Message as _;

use super::*;
use crate::wire::Answer;

const PREDICT: &str = "/tensorflow.serving.PredictionService/Predict";
const CLASSIFY: &str = "/tensorflow.serving.PredictionService/Classify";
const REGRESS: &str = "/tensorflow.serving.PredictionService/Regress";

#[derive(Clone, PartialEq, prost::Message)]
struct Dim {
    #[prost(int64, tag = "1")]
    size: i64,
    #[prost(string, tag = "2")]
    name: String,
}

#[derive(Clone, PartialEq, prost::Message)]
struct TensorShape {
    #[prost(message, repeated, tag = "2")]
    dim: Vec<Dim>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct TensorProto {
    #[prost(int32, tag = "1")]
    dtype: i32,
    #[prost(message, optional, tag = "2")]
    tensor_shape: Option<TensorShape>,
    #[prost(bytes = "vec", tag = "4")]
    tensor_content: Vec<u8>,
    #[prost(int32, repeated, tag = "13")]
    half_val: Vec<i32>,
    #[prost(float, repeated, tag = "5")]
    float_val: Vec<f32>,
    #[prost(int32, repeated, tag = "7")]
    int_val: Vec<i32>,
    #[prost(bytes = "vec", repeated, tag = "8")]
    string_val: Vec<Vec<u8>>,
    #[prost(int64, repeated, tag = "10")]
    int64_val: Vec<i64>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct ModelSpec {
    #[prost(string, tag = "1")]
    name: String,
}

#[derive(Clone, PartialEq, prost::Message)]
struct PredictResponse {
    #[prost(btree_map = "string, message", tag = "1")]
    outputs: BTreeMap<String, TensorProto>,
    #[prost(message, optional, tag = "2")]
    model_spec: Option<ModelSpec>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct PredictRequest {
    #[prost(message, optional, tag = "1")]
    model_spec: Option<ModelSpec>,
    #[prost(btree_map = "string, message", tag = "2")]
    inputs: BTreeMap<String, TensorProto>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct ClassMessage {
    #[prost(string, tag = "1")]
    label: String,
    #[prost(float, tag = "2")]
    score: f32,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Classifications {
    #[prost(message, repeated, tag = "1")]
    classes: Vec<ClassMessage>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct ClassificationResult {
    #[prost(message, repeated, tag = "1")]
    classifications: Vec<Classifications>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct ClassificationResponse {
    #[prost(message, optional, tag = "1")]
    result: Option<ClassificationResult>,
    #[prost(message, optional, tag = "2")]
    model_spec: Option<ModelSpec>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Regression {
    #[prost(float, tag = "1")]
    value: f32,
}

#[derive(Clone, PartialEq, prost::Message)]
struct RegressionResult {
    #[prost(message, repeated, tag = "1")]
    regressions: Vec<Regression>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct RegressionResponse {
    #[prost(message, optional, tag = "1")]
    result: Option<RegressionResult>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct BytesList {
    #[prost(bytes = "vec", repeated, tag = "1")]
    value: Vec<Vec<u8>>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct FloatList {
    #[prost(float, repeated, tag = "1")]
    value: Vec<f32>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Int64List {
    #[prost(int64, repeated, tag = "1")]
    value: Vec<i64>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Feature {
    #[prost(message, optional, tag = "1")]
    bytes_list: Option<BytesList>,
    #[prost(message, optional, tag = "2")]
    float_list: Option<FloatList>,
    #[prost(message, optional, tag = "3")]
    int64_list: Option<Int64List>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Features {
    #[prost(btree_map = "string, message", tag = "1")]
    feature: BTreeMap<String, Feature>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Example {
    #[prost(message, optional, tag = "1")]
    features: Option<Features>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct ExampleList {
    #[prost(message, repeated, tag = "1")]
    examples: Vec<Example>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Input {
    #[prost(message, optional, tag = "1")]
    example_list: Option<ExampleList>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct ClassificationRequest {
    #[prost(message, optional, tag = "1")]
    model_spec: Option<ModelSpec>,
    #[prost(message, optional, tag = "2")]
    input: Option<Input>,
}

fn spec() -> Option<ModelSpec> {
    Some(ModelSpec { name: "m".into() })
}

fn proto(dtype: i32, shape: &[i64]) -> TensorProto {
    let dim = shape.iter().map(|size| Dim { size: *size, name: String::new() }).collect();
    TensorProto { dtype, tensor_shape: Some(TensorShape { dim }), ..TensorProto::default() }
}

fn text(text: &str) -> Value {
    Value::Text(text.into())
}

fn edited<M: prost::Message + Default>(path: &str, message: &M, edit: impl FnOnce(&mut Answer)) -> M {
    let body = message.encode_to_vec();
    let reading = read(path, &body, &Outputs::default()).unwrap();
    let mut answer = reading.answer();
    assert_eq!(reading.splice(&body, &answer), Ok(None));
    edit(&mut answer);
    M::decode(reading.splice(&body, &answer).unwrap().unwrap().body.as_slice()).unwrap()
}

#[test]
fn predictions_are_read_from_either_form_of_a_tensor() {
    let content = [0.25_f32, 0.75].iter().flat_map(|x| x.to_le_bytes()).collect();
    let label = TensorProto { string_val: vec![b"cat".to_vec()], ..proto(7, &[1]) };
    let scores = TensorProto { tensor_content: content, ..proto(1, &[1, 2]) };
    let outputs = [("label".to_owned(), label), ("scores".to_owned(), scores)].into();
    let original = PredictResponse { outputs, model_spec: spec() };
    let long = "dog".repeat(100);
    let out = edited(PREDICT, &original, |answer| {
        assert_eq!(answer.rows[0].label, Some(text("cat")));
        answer.rows[0].label = Some(text(&long));
        answer.rows[0].scores = vec![Value::Float(0.5), Value::Float(0.9)];
    });
    let mut wanted = original;
    wanted.outputs.get_mut("label").unwrap().string_val[0] = long.into_bytes();
    wanted.outputs.get_mut("scores").unwrap().tensor_content =
        [0.5_f32, 0.9].iter().flat_map(|x| x.to_le_bytes()).collect();
    assert_eq!(out, wanted);
}

#[test]
fn typed_values_of_each_kind_are_read_and_written() {
    for (tensor, value, new, wanted) in [
        (TensorProto { half_val: vec![0x3800], ..proto(19, &[1]) }, 0.5, 0.9, vec![0x3b33]),
        (TensorProto { half_val: vec![0x3f00], ..proto(14, &[1]) }, 0.5, 0.9, vec![0x3f66]),
    ] {
        let original = PredictResponse { outputs: [("y".into(), tensor)].into(), model_spec: None };
        let out = edited(PREDICT, &original, |answer| {
            assert_eq!(answer.rows[0].scores, [Value::Float(value)]);
            answer.rows[0].scores[0] = Value::Float(new);
        });
        assert_eq!(out.outputs["y"].half_val, wanted);
    }
    let ints = TensorProto { int_val: vec![3, 4], ..proto(4, &[2]) };
    let original = PredictResponse { outputs: [("y".into(), ints)].into(), model_spec: spec() };
    let out = edited(PREDICT, &original, |answer| answer.rows[1].label = Some(Value::Int(200)));
    assert_eq!(out.outputs["y"].int_val, [3, 200]);
}

#[test]
fn a_value_that_stands_for_many_is_left_alone() {
    let splat = TensorProto { float_val: vec![0.5], ..proto(1, &[2, 2]) };
    let response = PredictResponse { outputs: [("y".into(), splat)].into(), model_spec: None };
    let read = read(PREDICT, &response.encode_to_vec(), &Outputs::default());
    assert!(matches!(read, Err(WireError::Malformed(_))), "{read:?}");
}

#[test]
fn shape_and_datatype_can_be_declared_otherwise() {
    let tensor = TensorProto { float_val: vec![0.5; 2], ..proto(1, &[1, 2]) };
    let original = PredictResponse { outputs: [("y".into(), tensor)].into(), model_spec: spec() };
    let out = edited(PREDICT, &original, |answer| {
        let declared = answer.declared.as_mut().unwrap();
        assert_eq!(declared.datatype, "DT_FLOAT");
        declared.datatype = "INT64".into();
        declared.shape = vec![0, 300];
    });
    let mut wanted = proto(9, &[0, 300]);
    wanted.float_val = vec![0.5; 2];
    assert_eq!(out.outputs["y"], wanted);
}

fn class(label: &str, score: f32) -> ClassMessage {
    ClassMessage { label: label.into(), score }
}

fn classified(examples: &[&[ClassMessage]]) -> ClassificationResponse {
    let classifications =
        examples.iter().map(|classes| Classifications { classes: classes.to_vec() }).collect();
    ClassificationResponse { result: Some(ClassificationResult { classifications }), model_spec: spec() }
}

#[test]
fn classes_that_all_examples_share_are_columns() {
    let original = classified(&[&[class("a", 0.0), class("b", 1.0)], &[class("a", 0.75), class("b", 0.25)]]);
    let out = edited(CLASSIFY, &original, |answer| {
        assert_eq!(answer.columns, ["a", "b"]);
        assert_eq!(answer.rows[0].scores, [Value::Float(0.0), Value::Float(1.0)]);
        answer.rows[0].scores = vec![Value::Float(0.25), Value::Float(0.75)];
    });
    let wanted = classified(&[&[class("a", 0.25), class("b", 0.75)], &[class("a", 0.75), class("b", 0.25)]]);
    assert_eq!(out, wanted);
}

#[test]
fn of_other_classes_the_first_is_the_label() {
    let original = classified(&[&[class("b", 0.75), class("a", 0.25)], &[class("", 0.0)]]);
    let long = "x".repeat(130);
    let out = edited(CLASSIFY, &original, |answer| {
        assert_eq!(answer.rows[0], Row { label: Some(text("b")), scores: vec![Value::Float(0.75)] });
        answer.rows[0].label = Some(text(&long));
        answer.rows[1] = Row { label: Some(text("c")), scores: vec![Value::Float(0.5)] };
    });
    assert_eq!(out, classified(&[&[class(&long, 0.75), class("a", 0.25)], &[class("c", 0.5)]]));
}

#[test]
fn a_regression_of_zero_is_not_on_the_wire_and_can_be_edited() {
    let values = |values: &[f32]| {
        let regressions = values.iter().map(|value| Regression { value: *value }).collect();
        RegressionResponse { result: Some(RegressionResult { regressions }) }
    };
    let out = edited(REGRESS, &values(&[0.0, 2.5, 0.0]), |answer| {
        assert_eq!(answer.rows[0].scores, [Value::Float(0.0)]);
        answer.rows[0].scores = vec![Value::Float(1.5)];
        answer.rows[2].scores = vec![Value::Float(-1.0)];
    });
    assert_eq!(out, values(&[1.5, 2.5, -1.0]));
}

fn floats(value: &[f32]) -> Feature {
    Feature { float_list: Some(FloatList { value: value.to_vec() }), ..Feature::default() }
}

fn bytes(value: &[u8]) -> Feature {
    Feature { bytes_list: Some(BytesList { value: vec![value.to_vec()] }), ..Feature::default() }
}

#[test]
fn features_are_read_from_examples() {
    let example = |age: i64, city: &str, at: &[f32]| {
        let age = Feature { int64_list: Some(Int64List { value: vec![age] }), ..Feature::default() };
        let image = bytes(&[0xff, 0xd8]);
        let named = [("age", age), ("city", bytes(city.as_bytes())), ("at", floats(at)), ("image", image)];
        let feature = named.map(|(name, feature)| (name.to_owned(), feature)).into();
        Example { features: Some(Features { feature }) }
    };
    let request = |examples: Vec<Example>| ClassificationRequest {
        model_spec: spec(),
        input: Some(Input { example_list: Some(ExampleList { examples }) }),
    };
    let original = request(vec![example(41, "Bonn", &[0.5, 1.5]), example(27, "Kyiv", &[2.5, 3.5])]);
    let body = original.encode_to_vec();
    let reading = features(CLASSIFY, &body).unwrap();
    let mut answer = reading.answer();
    assert_eq!(answer.columns, ["age", "at[0]", "at[1]", "city"]);
    assert_eq!(answer.rows[0].scores, [Value::Int(41), Value::Float(0.5), Value::Float(1.5), text("Bonn")]);
    let long = "Köln".repeat(40);
    answer.rows[0].scores = vec![Value::Int(4100), Value::Float(0.5), Value::Float(9.5), text(&long)];
    let out = reading.splice(&body, &answer).unwrap().unwrap();
    let out = ClassificationRequest::decode(out.body.as_slice()).unwrap();
    assert_eq!(out, request(vec![example(4100, &long, &[0.5, 9.5]), example(27, "Kyiv", &[2.5, 3.5])]));
}

#[test]
fn features_are_read_from_tensors() {
    let inputs: BTreeMap<_, _> = [
        ("age".to_owned(), TensorProto { int64_val: vec![41, 27], ..proto(9, &[2]) }),
        ("x".to_owned(), TensorProto { float_val: vec![1.0, 2.0, 3.0, 4.0], ..proto(1, &[2, 2]) }),
    ]
    .into();
    let request = PredictRequest { model_spec: spec(), inputs };
    let body = request.encode_to_vec();
    let reading = features(PREDICT, &body).unwrap();
    let mut answer = reading.answer();
    assert_eq!(answer.columns, ["age", "x[0]", "x[1]"]);
    answer.rows[1].scores = vec![Value::Int(-1), Value::Float(3.0), Value::Float(8.0)];
    let out =
        PredictRequest::decode(reading.splice(&body, &answer).unwrap().unwrap().body.as_slice()).unwrap();
    assert_eq!(out.inputs["age"].int64_val, [41, -1]);
    assert_eq!(out.inputs["x"].float_val, [1.0, 2.0, 3.0, 8.0]);
}

#[test]
fn routes_are_known() {
    for path in [PREDICT, CLASSIFY, REGRESS] {
        assert!(is_route(path), "{path}");
    }
    for path in ["/tensorflow.serving.PredictionService/GetModelMetadata", "/v1/models/m:predict"] {
        assert!(!is_route(path), "{path}");
    }
}

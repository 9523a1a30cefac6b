//! Tables of every datatype, in every form that tensors have on the wire: what an edit gives is, byte by byte, the
//! body that a server would have built of the edited table.

use http::{HeaderMap, HeaderName, HeaderValue};
use proptest::prelude::*;

use super::*;
use crate::wire::{Head, Outputs, Protocol, Row};

const ALL: [&str; 14] = [
    "BOOL", "INT8", "INT16", "INT32", "INT64", "UINT8", "UINT16", "UINT32", "UINT64", "FP16", "BF16", "FP32",
    "FP64", "BYTES",
];

/// An input of one column.
#[derive(Debug, Clone)]
struct Column {
    datatype: &'static str,
    values: Vec<Value>,
}

#[derive(Debug, Clone, Copy)]
enum Form {
    Json,
    Binary,
    Mixed,
    Typed,
    Raw,
    TensorFlow,
    TensorFlowContent,
}

const FORMS: [Form; 7] = [
    Form::Json,
    Form::Binary,
    Form::Mixed,
    Form::Typed,
    Form::Raw,
    Form::TensorFlow,
    Form::TensorFlowContent,
];

/// Does an input stand behind the JSON?
fn is_binary(form: Form, index: usize) -> bool {
    matches!(form, Form::Binary) || matches!(form, Form::Mixed) && index.is_multiple_of(2)
}

struct Built {
    path: &'static str,
    headers: HeaderMap,
    body: Vec<u8>,
}

fn field(number: u64, bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    write_varint(number << 3 | 2, &mut out);
    write_varint(bytes.len() as u64, &mut out);
    out.extend_from_slice(bytes);
    out
}

fn varint(number: u64) -> Vec<u8> {
    let mut out = Vec::new();
    write_varint(number, &mut out);
    out
}

impl Column {
    fn datatype(&self) -> Datatype {
        Datatype::named(self.datatype).unwrap()
    }

    fn raw(&self) -> Vec<u8> {
        let render = self.datatype().in_binary();
        let mut out = Vec::new();
        self.values.iter().for_each(|value| render(value, &[], &mut out).unwrap());
        out
    }

    fn in_json(&self, value: &Value) -> String {
        match (value, self.datatype) {
            (Value::Float(number), "FP16" | "BF16" | "FP32") => {
                serde_json::to_string(&(*number as f32)).unwrap()
            }
            (value, _) => serde_json::to_string(value).unwrap(),
        }
    }

    fn json(&self) -> String {
        let texts = self.values.iter().map(|value| self.in_json(value));
        format!("[ {} ]", texts.collect::<Vec<_>>().join(" ,"))
    }

    /// JSON tells of a 32-bit number no more digits than it takes to tell it from others.
    fn when_read(mut self, form: Form, index: usize) -> Column {
        if is_binary(form, index) || !matches!(form, Form::Json | Form::Mixed) {
            return self;
        }
        let read = |value: &Value| match value {
            Value::Float(_) => Value::Float(self.in_json(value).parse().unwrap()),
            other => other.clone(),
        };
        self.values = self.values.iter().map(read).collect();
        self
    }

    /// As protobuf keeps repeated values: packed numbers, one field for each text.
    fn typed(&self, number: u64, varints: bool) -> Vec<u8> {
        let mut packed = Vec::new();
        for value in &self.values {
            match (value, varints) {
                (Value::Text(text), _) => packed.extend(field(number, text.as_bytes())),
                (value, true) => self.datatype().in_varint()(value, &[], &mut packed).unwrap(),
                (value, false) => self.datatype().in_binary()(value, &[], &mut packed).unwrap(),
            }
        }
        if self.datatype == "BYTES" { packed } else { field(number, &packed) }
    }

    fn is_fixed(&self) -> bool {
        matches!(self.datatype, "FP32" | "FP64")
    }

    fn open_inference(&self, name: &str, typed: bool) -> Vec<u8> {
        let number = match self.datatype {
            "BOOL" => 1,
            "INT8" | "INT16" | "INT32" => 2,
            "INT64" => 3,
            "UINT8" | "UINT16" | "UINT32" => 4,
            "UINT64" => 5,
            "FP32" => 6,
            "FP64" => 7,
            _ => 8,
        };
        let contents = if typed { self.typed(number, !self.is_fixed()) } else { Vec::new() };
        let shape = varint(self.values.len() as u64);
        [field(1, name.as_bytes()), field(2, self.datatype.as_bytes()), field(3, &shape), field(5, &contents)]
            .concat()
    }

    fn tensor_flow(&self, content: bool) -> Vec<u8> {
        let (dtype, number) = match self.datatype {
            "FP32" => (1, 5),
            "FP64" => (2, 6),
            "INT32" => (3, 7),
            "UINT8" => (4, 7),
            "INT16" => (5, 7),
            "INT8" => (6, 7),
            "BYTES" => (7, 8),
            "INT64" => (9, 10),
            "BOOL" => (10, 11),
            "BF16" => (14, 13),
            "UINT16" => (17, 7),
            "FP16" => (19, 13),
            "UINT32" => (22, 16),
            _ => (23, 17),
        };
        let size = [&[1 << 3][..], &varint(self.values.len() as u64)].concat();
        let values = match content && self.datatype != "BYTES" {
            true => field(4, &self.raw()),
            false => self.typed(number, !self.is_fixed()),
        };
        [&[1 << 3, dtype][..], &field(2, &field(2, &size)), &values].concat()
    }
}

fn build(form: Form, columns: &[Column]) -> Built {
    let named = || columns.iter().enumerate().map(|(index, column)| (format!("column {index}"), column));
    match form {
        Form::Json | Form::Binary | Form::Mixed => {
            let mut tensors = Vec::new();
            let mut tail = Vec::new();
            for (index, (name, column)) in named().enumerate() {
                let head = format!(
                    r#""name": "{name}", "shape": [{}], "datatype": "{}""#,
                    column.values.len(),
                    column.datatype
                );
                tensors.push(match is_binary(form, index) {
                    true => {
                        let raw = column.raw();
                        tail.extend_from_slice(&raw);
                        format!(r#"{{{head}, "parameters": {{"binary_data_size": {}}}}}"#, raw.len())
                    }
                    false => format!(r#"{{{head}, "data": {}}}"#, column.json()),
                });
            }
            let json = format!(r#"{{"id": "\u00e9", "inputs": [{}]}}"#, tensors.join(", "));
            let name = HeaderName::from_static("inference-header-content-length");
            let headers = [(name, HeaderValue::from(json.len()))].into_iter();
            let headers = headers.filter(|_| !matches!(form, Form::Json)).collect();
            Built { path: "/v2/models/m/infer", headers, body: [json.as_bytes(), &tail].concat() }
        }
        Form::Typed | Form::Raw => {
            let typed = matches!(form, Form::Typed);
            let mut body = field(1, b"m");
            named().for_each(|(name, column)| body.extend(field(5, &column.open_inference(&name, typed))));
            if !typed {
                columns.iter().for_each(|column| body.extend(field(7, &column.raw())));
            }
            Built { path: "/inference.GRPCInferenceService/ModelInfer", headers: HeaderMap::new(), body }
        }
        Form::TensorFlow | Form::TensorFlowContent => {
            let mut body = field(1, &field(1, b"m"));
            for (name, column) in named() {
                let tensor = column.tensor_flow(matches!(form, Form::TensorFlowContent));
                body.extend(field(2, &[field(1, name.as_bytes()), field(2, &tensor)].concat()));
            }
            Built { path: "/tensorflow.serving.PredictionService/Predict", headers: HeaderMap::new(), body }
        }
    }
}

fn read(built: &Built) -> crate::wire::Reading {
    let protocol =
        if built.path.starts_with("/tensorflow") { Protocol::TfServing } else { Protocol::OpenInference };
    let head = Head { path: built.path, headers: &built.headers };
    protocol.codec(&Outputs::default()).features(head, &built.body).unwrap()
}

fn rows(columns: &[Column]) -> Vec<Row> {
    let count = columns[0].values.len();
    let row = |row: usize| columns.iter().map(|column| column.values[row].clone()).collect();
    (0..count).map(|index| Row { label: None, scores: row(index) }).collect()
}

fn value(datatype: &str) -> BoxedStrategy<Value> {
    let half = |half: super::half::Half| any::<u16>().prop_map(move |bits| Value::Float(half.decode(bits)));
    let finite = |value: &Value| value.as_f64().is_some_and(f64::is_finite);
    match datatype {
        "BOOL" => any::<bool>().prop_map(Value::Bool).boxed(),
        "INT8" => any::<i8>().prop_map(|n| Value::Int(n.into())).boxed(),
        "INT16" => any::<i16>().prop_map(|n| Value::Int(n.into())).boxed(),
        "INT32" => any::<i32>().prop_map(|n| Value::Int(n.into())).boxed(),
        "INT64" => any::<i64>().prop_map(Value::Int).boxed(),
        "UINT8" => any::<u8>().prop_map(|n| Value::Int(n.into())).boxed(),
        "UINT16" => any::<u16>().prop_map(|n| Value::Int(n.into())).boxed(),
        "UINT32" => any::<u32>().prop_map(|n| Value::Int(n.into())).boxed(),
        "UINT64" => (0..=i64::MAX).prop_map(Value::Int).boxed(),
        "FP16" => half(super::half::FP16).prop_filter("finite", finite).boxed(),
        "BF16" => half(super::half::BF16).prop_filter("finite", finite).boxed(),
        "FP32" => {
            any::<f32>().prop_filter("finite", |x| x.is_finite()).prop_map(|x| Value::Float(x.into())).boxed()
        }
        "FP64" => any::<f64>().prop_filter("finite", |x| x.is_finite()).prop_map(Value::Float).boxed(),
        _ => "[a-zé\"\\\\\n]{0,9}|x{120,140}".prop_map(Value::Text).boxed(),
    }
}

/// A column, and one like it with other values.
fn column(rows: usize) -> impl Strategy<Value = (Column, Column)> {
    prop::sample::select(&ALL[..]).prop_flat_map(move |datatype| {
        let values = || prop::collection::vec(value(datatype), rows);
        (values(), values()).prop_map(move |(before, after)| {
            (Column { datatype, values: before }, Column { datatype, values: after })
        })
    })
}

fn tables() -> impl Strategy<Value = Vec<(Column, Column)>> {
    (1_usize..5).prop_flat_map(|rows| prop::collection::vec(column(rows), 1..5))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn an_edit_gives_the_body_that_a_server_would_build(
        table in tables(),
        form in prop::sample::select(&FORMS[..]),
        touched: u64,
    ) {
        // There are no typed contents for 16-bit floats.
        let table: Vec<_> = table
            .into_iter()
            .filter(|(column, _)| !(matches!(form, Form::Typed) && matches!(column.datatype, "FP16" | "BF16")))
            .collect();
        prop_assume!(!table.is_empty());
        let table: Vec<_> = table
            .into_iter()
            .enumerate()
            .map(|(index, (before, after))| (before.when_read(form, index), after.when_read(form, index)))
            .collect();
        let (before, after): (Vec<Column>, Vec<Column>) = table
            .into_iter()
            .enumerate()
            .map(|(column, (before, mut after))| {
                for (row, (old, new)) in before.values.iter().zip(&mut after.values).enumerate() {
                    if touched >> ((column * 8 + row) % 64) & 1 == 0 {
                        *new = old.clone();
                    }
                }
                (before, after)
            })
            .unzip();
        let built = build(form, &before);
        let reading = read(&built);
        prop_assert_eq!(format!("{:?}", reading.rows()), format!("{:?}", rows(&before)));
        let mut answer = reading.answer();
        prop_assert_eq!(reading.splice(&built.body, &answer), Ok(None));
        answer.rows = rows(&after);
        let wanted = build(form, &after);
        let Some(out) = reading.splice(&built.body, &answer).unwrap() else {
            prop_assert_eq!(built.body, wanted.body);
            return Ok(());
        };
        prop_assert_eq!(String::from_utf8_lossy(&out.body), String::from_utf8_lossy(&wanted.body));
        let mut headers = built.headers.clone();
        out.headers.into_iter().for_each(|(name, value)| drop(headers.insert(name, value)));
        prop_assert_eq!(&headers, &wanted.headers);
        prop_assert_eq!(format!("{:?}", read(&Built { headers, body: out.body, ..wanted }).rows()), format!("{:?}", answer.rows));
    }
}

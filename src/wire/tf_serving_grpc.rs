//! TensorFlow Serving over gRPC: `tensorflow.serving.PredictionService/Predict`, `Classify` and `Regress`.
//!
//! Field numbers are those of `tensor.proto`, `example.proto`, `feature.proto` and TensorFlow Serving's `apis/`.
//! A `TensorProto` keeps its values in `tensor_content` (little-endian) or in the field of its type, where a last
//! value may stand for all that follow; such a tensor is refused, because one edit would change many values.
//! proto3 leaves out numbers that are zero: an edit then puts the field where it would have stood.

use std::ops::Range;

use super::{
    Content, Declared, Outputs, Reading, Row, Value, WireError,
    protobuf::{self, Field, Payload, fields, write_varint},
    reading::{Declaration, Format, Length, Render, Slot},
    tensor::{self, Data, Datatype, Shape, Tensor, datatype},
    tf_serving::{Class, push_classes},
};

const SERVICE: &str = "/tensorflow.serving.PredictionService/";

fn method(path: &str) -> Option<&str> {
    path.rsplit_once(SERVICE).map(|(_, method)| method)
}

pub(super) fn is_route(path: &str) -> bool {
    matches!(method(path), Some("Predict" | "Classify" | "Regress"))
}

/// The predictions of a response.
pub(super) fn read(path: &str, body: &[u8], outputs: &Outputs) -> Result<Reading, WireError> {
    match method(path) {
        Some("Classify") => classify(body),
        Some("Regress") => regress(body),
        // PredictResponse { outputs = 1 }
        _ => tensor::predictions(&tensors(body, 1, "output")?, outputs),
    }
}

/// The features of a request.
pub(super) fn features(path: &str, body: &[u8]) -> Result<Reading, WireError> {
    match method(path) {
        // PredictRequest { inputs = 2 }
        Some("Predict") => tensor::features(tensors(body, 2, "input")?),
        _ => examples(body),
    }
}

/// `map<string, TensorProto>`: entries `{ key = 1, value = 2 }`.
fn tensors<'b>(body: &'b [u8], map: u32, kind: &'static str) -> Result<Vec<Tensor<'b>>, WireError> {
    let mut tensors = Vec::new();
    for entry in messages(body, 0..body.len(), map) {
        let entry = entry?;
        let (mut name, mut value) = ("", None);
        for field in fields(body, entry.span.clone()) {
            let field = field?;
            match field.number {
                1 if field.is_bytes(1) => name = protobuf::text(body, &field)?,
                2 if field.is_bytes(2) => value = Some(field),
                _ => {}
            }
        }
        let Some(value) = value else { continue };
        let around = entry.length(body).into_iter().chain(value.length(body)).collect();
        tensors.push(tensor(body, name, kind, value.span, around)?);
    }
    Ok(tensors)
}

/// The fields with this number, of those that hold messages.
fn messages(
    body: &[u8],
    range: Range<usize>,
    number: u32,
) -> impl Iterator<Item = Result<Field, WireError>> + '_ {
    fields(body, range).filter(move |field| field.as_ref().map_or(true, |field| field.is_bytes(number)))
}

/// `TensorProto { dtype = 1, tensor_shape = 2, tensor_content = 4, the values by type }`.
fn tensor<'b>(
    body: &'b [u8],
    name: &'b str,
    kind: &'static str,
    message: Range<usize>,
    mut lengths: Vec<Length>,
) -> Result<Tensor<'b>, WireError> {
    let mut number = 0;
    let mut at_number = None;
    let mut content = None;
    let (mut dimensions, mut at_dimensions) = (Vec::new(), Vec::new());
    let mut typed = Vec::new();
    for field in fields(body, message) {
        let field = field?;
        match (field.number, field.payload) {
            (1, Payload::Varint(value)) => {
                number = value;
                at_number = Some(Slot { span: field.span, format: Format::With(type_number) });
            }
            (2, Payload::Bytes) => {
                lengths.extend(field.length(body));
                for dimension in messages(body, field.span, 2) {
                    let (size, slot) = dimension_of(body, &dimension?, &mut lengths)?;
                    dimensions.push(size);
                    at_dimensions.push(slot);
                }
            }
            (4, Payload::Bytes) => content = Some(field).filter(|field| !field.span.is_empty()),
            _ => typed.push(field),
        }
    }
    let malformed = |what: &str| WireError::Malformed(format!("{kind} `{name}` {what}"));
    let shape = Shape::of(&dimensions).ok_or_else(|| malformed("has an impossible shape"))?;
    let known = TYPES.iter().find(|known| known.number == number);
    let data = match (content, known) {
        (Some(field), _) => {
            lengths.extend(field.length(body));
            Data::Raw(body, field.span)
        }
        (None, Some(known)) => {
            typed.retain(|field| field.number == known.field);
            let is_text = known.datatype == Datatype::Bytes;
            lengths.extend(typed.iter().filter(|_| !is_text).filter_map(|field| field.length(body)));
            Data::Typed(body, typed, known.datatype)
        }
        (None, None) => Data::Missing(malformed("has an unknown datatype")),
    };
    let datatype = known.map(|known| known.datatype);
    let spelling = known.map_or_else(|| number.to_string(), |known| known.name.to_owned());
    let declaration = Declaration {
        declared: Declared { shape: dimensions, datatype: spelling },
        shape: at_dimensions,
        datatype: at_number,
        separator: None,
    };
    let declaration = Some(declaration);
    let tensor = Tensor { kind, name: name.into(), datatype, shape, data, declaration, lengths };
    Ok(tensor)
}

/// `Dim { size = 1 }`.
fn dimension_of(body: &[u8], message: &Field, lengths: &mut Vec<Length>) -> Result<(i64, Slot), WireError> {
    lengths.extend(message.length(body));
    let mut size = (0, Slot { span: message.span.end..message.span.end, format: Format::With(size_field) });
    for field in fields(body, message.span.clone()) {
        let field = field?;
        if let (1, Payload::Varint(value)) = (field.number, field.payload) {
            let format = Format::With(Datatype::Int64.in_varint());
            size = (value.cast_signed(), Slot { span: field.span, format });
        }
    }
    Ok(size)
}

/// How TensorFlow numbers a datatype (`types.proto`), and in which field it keeps the values.
struct Type {
    number: u64,
    name: &'static str,
    datatype: Datatype,
    field: u32,
}

const fn of(number: u64, name: &'static str, datatype: Datatype, field: u32) -> Type {
    Type { number, name, datatype, field }
}

const TYPES: [Type; 14] = [
    of(1, "DT_FLOAT", Datatype::Fp32, 5),
    of(2, "DT_DOUBLE", Datatype::Fp64, 6),
    of(3, "DT_INT32", Datatype::Int32, 7),
    of(4, "DT_UINT8", Datatype::Uint8, 7),
    of(5, "DT_INT16", Datatype::Int16, 7),
    of(6, "DT_INT8", Datatype::Int8, 7),
    of(7, "DT_STRING", Datatype::Bytes, 8),
    of(9, "DT_INT64", Datatype::Int64, 10),
    of(10, "DT_BOOL", Datatype::Bool, 11),
    of(14, "DT_BFLOAT16", Datatype::Bf16, 13),
    of(17, "DT_UINT16", Datatype::Uint16, 7),
    of(19, "DT_HALF", Datatype::Fp16, 13),
    of(22, "DT_UINT32", Datatype::Uint32, 16),
    of(23, "DT_UINT64", Datatype::Uint64, 17),
];

/// A datatype by its name, or by a name of the Open Inference Protocol, as its number.
fn type_number(value: &Value, _: &[u8], out: &mut Vec<u8>) -> Result<(), WireError> {
    let name = datatype::plain_text(value)?;
    let known =
        TYPES.iter().find(|known| known.name == name || Datatype::named(name) == Some(known.datatype));
    let number = known.map(|known| known.number).or_else(|| name.parse().ok());
    let number =
        number.ok_or_else(|| WireError::Unwritable(format!("TensorFlow has no datatype `{name}`")))?;
    write_varint(number, out);
    Ok(())
}

/// A whole field: tag and value, where proto3 left it out.
fn size_field(value: &Value, _: &[u8], out: &mut Vec<u8>) -> Result<(), WireError> {
    out.push(1 << 3);
    Datatype::Int64.in_varint()(value, &[], out)
}

fn value_field(value: &Value, _: &[u8], out: &mut Vec<u8>) -> Result<(), WireError> {
    out.push(1 << 3 | 5);
    Datatype::Fp32.in_binary()(value, &[], out)
}

fn score_field(value: &Value, _: &[u8], out: &mut Vec<u8>) -> Result<(), WireError> {
    out.push(2 << 3 | 5);
    Datatype::Fp32.in_binary()(value, &[], out)
}

fn label_field(value: &Value, _: &[u8], out: &mut Vec<u8>) -> Result<(), WireError> {
    let text = datatype::plain_text(value)?;
    out.push(1 << 3 | 2);
    write_varint(text.len() as u64, out);
    out.extend_from_slice(text.as_bytes());
    Ok(())
}

/// A number of 32 bits in a field of a message, or where it would stand.
fn float(body: &[u8], message: &Field, number: u32, absent: Render) -> Result<(Value, Slot), WireError> {
    let end = message.span.end;
    let mut found = (Value::Float(0.0), Slot { span: end..end, format: Format::With(absent) });
    for field in fields(body, message.span.clone()) {
        let field = field?;
        if field.number == number
            && field.payload == Payload::Fixed32
            && let Some(value) = Datatype::Fp32.decode(&body[field.span.clone()])
        {
            found = (value, Slot { span: field.span, format: Format::With(Datatype::Fp32.in_binary()) });
        }
    }
    Ok(found)
}

/// `ClassificationResponse { result = 1 { classifications = 1 { classes = 1 { label = 1, score = 2 } } } }`.
fn classify(body: &[u8]) -> Result<Reading, WireError> {
    let mut reading = Reading::default();
    let mut examples = Vec::new();
    for result in messages(body, 0..body.len(), 1) {
        let result = result?;
        result.length(body).into_iter().for_each(|length| reading.cover(length));
        for example in messages(body, result.span, 1) {
            let example = example?;
            example.length(body).into_iter().for_each(|length| reading.cover(length));
            let mut classes = Vec::new();
            for class in messages(body, example.span, 1) {
                classes.push(class_of(body, &class?, &mut reading)?);
            }
            examples.push(classes);
        }
    }
    push_classes(examples, &mut reading)?;
    Ok(reading)
}

fn class_of(body: &[u8], message: &Field, reading: &mut Reading) -> Result<Class, WireError> {
    message.length(body).into_iter().for_each(|length| reading.cover(length));
    let end = message.span.end;
    let (mut label, mut at_label) = ("", Slot { span: end..end, format: Format::With(label_field) });
    for field in messages(body, message.span.clone(), 1) {
        let field = field?;
        label = protobuf::text(body, &field)?;
        at_label = Slot { span: field.whole, format: Format::With(label_field) };
    }
    let (score, at_score) = float(body, message, 2, score_field)?;
    Ok(Class { label: Value::Text(label.to_owned()), score, at_label, at_score })
}

/// `RegressionResponse { result = 1 { regressions = 1 { value = 1 } } }`.
fn regress(body: &[u8]) -> Result<Reading, WireError> {
    let mut reading = Reading::default();
    for result in messages(body, 0..body.len(), 1) {
        let result = result?;
        result.length(body).into_iter().for_each(|length| reading.cover(length));
        for regression in messages(body, result.span, 1) {
            let regression = regression?;
            regression.length(body).into_iter().for_each(|length| reading.cover(length));
            let (value, slot) = float(body, &regression, 1, value_field)?;
            reading.push(Row { label: None, scores: vec![value] }, None, [slot]);
        }
    }
    if reading.rows().is_empty() { Err(WireError::NoPrediction) } else { Ok(reading) }
}

/// `Classification-` and `RegressionRequest { input = 2 { example_list = 1 or example_list_with_context = 2
/// { examples = 1 } } }`: an example is a row, its features the columns.
fn examples(body: &[u8]) -> Result<Reading, WireError> {
    let mut reading = Reading::default().with_content(Content::Features);
    let mut columns: Option<Vec<String>> = None;
    for input in messages(body, 0..body.len(), 2) {
        let input = input?;
        reading_cover(&mut reading, body, &input);
        for list in fields(body, input.span) {
            let list = list?;
            if !(list.is_bytes(1) || list.is_bytes(2)) {
                continue;
            }
            reading_cover(&mut reading, body, &list);
            for example in messages(body, list.span, 1) {
                let example = example?;
                reading_cover(&mut reading, body, &example);
                let mut cells = example_of(body, &example, &mut reading)?;
                // A map has no order of its own.
                cells.sort_by(|a, b| a.0.cmp(&b.0));
                let names: Vec<String> = cells.iter().map(|(name, ..)| name.clone()).collect();
                if *columns.get_or_insert_with(|| names.clone()) != names {
                    return Err(WireError::Unsupported("examples whose features differ"));
                }
                let (scores, slots) = cells.into_iter().map(|(_, value, slot)| (value, slot)).unzip();
                reading.push(Row { label: None, scores }, None, Vec::into_iter(slots));
            }
        }
    }
    let columns = columns.filter(|columns| !columns.is_empty()).ok_or(WireError::NoPrediction)?;
    Ok(reading.with_columns(columns))
}

fn reading_cover(reading: &mut Reading, body: &[u8], field: &Field) {
    field.length(body).into_iter().for_each(|length| reading.cover(length));
}

type NamedCell = (String, Value, Slot);

/// `Example { features = 1 { feature = 1 map<string, Feature> } }`, where a `Feature` is a list (`value = 1`) of
/// bytes (1), floats (2) or integers (3).
fn example_of(body: &[u8], example: &Field, reading: &mut Reading) -> Result<Vec<NamedCell>, WireError> {
    let mut cells = Vec::new();
    for features in messages(body, example.span.clone(), 1) {
        let features = features?;
        reading_cover(reading, body, &features);
        for entry in messages(body, features.span, 1) {
            let entry = entry?;
            reading_cover(reading, body, &entry);
            let mut name = "";
            for field in messages(body, entry.span.clone(), 1) {
                name = protobuf::text(body, &field?)?;
            }
            for feature in messages(body, entry.span, 2) {
                let feature = feature?;
                reading_cover(reading, body, &feature);
                for list in fields(body, feature.span) {
                    list_of(body, name, &list?, reading, &mut cells)?;
                }
            }
        }
    }
    Ok(cells)
}

fn list_of(
    body: &[u8],
    name: &str,
    list: &Field,
    reading: &mut Reading,
    cells: &mut Vec<NamedCell>,
) -> Result<(), WireError> {
    let datatype = match list.number {
        1 => Datatype::Bytes,
        2 => Datatype::Fp32,
        3 => Datatype::Int64,
        _ => return Ok(()),
    };
    if list.payload != Payload::Bytes {
        return Ok(());
    }
    reading_cover(reading, body, list);
    let values = messages_or_scalars(body, list.span.clone()).collect::<Result<Vec<_>, _>>()?;
    if datatype != Datatype::Bytes {
        values.iter().for_each(|field| reading_cover(reading, body, field));
    }
    let read = tensor::values(body, &values, datatype, label_field);
    // Bytes that are no text, such as images, are not features that a fault could edit.
    let Ok(read) = read else { return Ok(()) };
    let is_one = read.values.len() == 1;
    for (index, (value, slot)) in read.values.into_iter().zip(read.places.iter()).enumerate() {
        let name = if is_one { name.to_owned() } else { format!("{name}[{index}]") };
        cells.push((name, value, slot));
    }
    Ok(())
}

/// The fields `value = 1` of a list.
fn messages_or_scalars(
    body: &[u8],
    range: Range<usize>,
) -> impl Iterator<Item = Result<Field, WireError>> + '_ {
    fields(body, range).filter(|field| field.as_ref().map_or(true, |field| field.number == 1))
}

#[cfg(test)]
mod tests;

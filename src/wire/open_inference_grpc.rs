//! Open Inference Protocol V2 over gRPC: `inference.GRPCInferenceService/ModelInfer`, and Triton's bidirectional
//! `ModelStreamInfer`, whose responses wrap the same message or an error.
//!
//! A tensor's values are typed `contents`, or one element of `raw_output_contents` (`raw_input_contents`) for each
//! output, little-endian. MLServer leaves an empty `contents` beside raw ones. Field numbers are those of
//! `grpc_predict_v2.proto` and Triton's `grpc_service.proto`.

use std::ops::Range;

use super::{
    Declared, Failure, Outputs, Reading, WireError,
    protobuf::{self, Field, Payload, fields, write_varint},
    reading::{Declaration, Format, Length, Slot},
    tensor::{self, Data, Datatype, Shape, Tensor, datatype},
};

const SERVICE: &str = "/inference.GRPCInferenceService/";
const UNARY: &str = "ModelInfer";
const STREAM: &str = "ModelStreamInfer";

/// Where a message keeps its tensors: `(tensors, raw contents, what each is called)`.
type Places = (u32, u32, &'static str);
const RESPONSE: Places = (5, 6, "output");
const REQUEST: Places = (5, 7, "input");

fn method(path: &str) -> Option<&str> {
    path.rsplit_once(SERVICE).map(|(_, method)| method)
}

pub(super) fn is_route(path: &str) -> bool {
    method(path).is_some_and(|method| method == UNARY || method == STREAM)
}

/// The predictions of a response.
pub(super) fn read(path: &str, body: &[u8], outputs: &Outputs) -> Result<Reading, WireError> {
    let mut reply = 0..body.len();
    let mut outer = Vec::new();
    if method(path) == Some(STREAM) {
        let mut wrapped = None;
        for field in fields(body, reply) {
            let field = field?;
            if field.is_bytes(2) {
                wrapped = Some(field);
            }
        }
        let field = wrapped.ok_or(WireError::NoPrediction)?;
        outer.extend(field.length(body));
        reply = field.span;
    }
    let mut reading = tensor::predictions(&tensors(body, reply, RESPONSE)?, outputs)?;
    outer.into_iter().for_each(|length| reading.cover(length));
    Ok(reading)
}

/// The features of a request; those of a stream are not wrapped.
pub(super) fn features(body: &[u8]) -> Result<Reading, WireError> {
    tensor::features(tensors(body, 0..body.len(), REQUEST)?)
}

/// `ModelStreamInferResponse { error_message }`, with the prefix of a gRPC message.
pub(super) fn stream_error(path: &str, failure: &Failure) -> Option<bytes::Bytes> {
    (method(path) == Some(STREAM)).then_some(())?;
    let mut message = vec![1 << 3 | 2];
    write_varint(failure.message.len() as u64, &mut message);
    message.extend_from_slice(failure.message.as_bytes());
    let length = u32::try_from(message.len()).ok()?;
    Some([&[0], &length.to_be_bytes()[..], &message].concat().into())
}

fn tensors(body: &[u8], message: Range<usize>, places: Places) -> Result<Vec<Tensor<'_>>, WireError> {
    let (tensor, raw, kind) = places;
    let mut tensors = Vec::new();
    let mut contents = Vec::new();
    for field in fields(body, message) {
        let field = field?;
        if field.is_bytes(tensor) {
            tensors.push(self::tensor(body, &field, kind)?);
        } else if field.is_bytes(raw) {
            contents.push(field);
        }
    }
    if contents.is_empty() {
        return Ok(tensors);
    }
    if contents.len() != tensors.len() {
        let message = format!("there are {} {kind}s and {} raw contents", tensors.len(), contents.len());
        return Err(WireError::Malformed(message));
    }
    for (tensor, field) in tensors.iter_mut().zip(contents) {
        tensor.lengths.extend(field.length(body));
        tensor.data = Data::Raw(body, field.span);
    }
    Ok(tensors)
}

/// `InferOutputTensor { name = 1, datatype = 2, shape = 3, parameters = 4, contents = 5 }`; an input is alike.
fn tensor<'b>(body: &'b [u8], message: &Field, kind: &'static str) -> Result<Tensor<'b>, WireError> {
    let (mut name, mut spelling) = ("", "");
    let mut lengths: Vec<Length> = message.length(body).into_iter().collect();
    let mut shape = Dimensions::default();
    let mut at_datatype = None;
    let mut contents = Vec::new();
    for field in fields(body, message.span.clone()) {
        let field = field?;
        match field.number {
            1 if field.is_bytes(1) => name = protobuf::text(body, &field)?,
            2 if field.is_bytes(2) => {
                spelling = protobuf::text(body, &field)?;
                lengths.extend(field.length(body));
                let format = Format::With(datatype::bare_text);
                at_datatype = Some(Slot { span: field.span, format });
            }
            3 => shape.add(body, &field, &mut lengths)?,
            5 if field.is_bytes(5) => {
                lengths.extend(field.length(body));
                contents.push(field.span);
            }
            _ => {}
        }
    }
    let malformed = |what: &str| WireError::Malformed(format!("{kind} `{name}` {what}"));
    let sizes = Shape::of(&shape.sizes).ok_or_else(|| malformed("has an impossible shape"))?;
    let datatype = Datatype::named(spelling);
    let mut values = Vec::new();
    for content in contents {
        for field in fields(body, content) {
            let field = field?;
            if Some(field.number) == datatype.map(contents_field) {
                lengths.extend(field.length(body).filter(|_| datatype != Some(Datatype::Bytes)));
                values.push(field);
            }
        }
    }
    let data = match datatype {
        Some(Datatype::Fp16 | Datatype::Bf16) | None => Data::Missing(malformed("has no data")),
        Some(datatype) => Data::Typed(body, values, datatype),
    };
    let declaration = Declaration {
        declared: Declared { shape: shape.sizes, datatype: spelling.to_owned() },
        shape: shape.slots,
        datatype: at_datatype,
        separator: (shape.lists == 1).then_some(""),
    };
    let declaration = Some(declaration);
    Ok(Tensor { kind, name: name.into(), datatype, shape: sizes, data, declaration, lengths })
}

/// `InferTensorContents`; there are none for 16-bit floats.
const fn contents_field(datatype: Datatype) -> u32 {
    match datatype {
        Datatype::Bool => 1,
        Datatype::Int8 | Datatype::Int16 | Datatype::Int32 => 2,
        Datatype::Int64 => 3,
        Datatype::Uint8 | Datatype::Uint16 | Datatype::Uint32 => 4,
        Datatype::Uint64 => 5,
        Datatype::Fp32 | Datatype::Fp16 | Datatype::Bf16 => 6,
        Datatype::Fp64 => 7,
        Datatype::Bytes => 8,
    }
}

/// `repeated int64 shape`, packed or not.
#[derive(Debug, Default)]
struct Dimensions {
    sizes: Vec<i64>,
    slots: Vec<Slot>,
    lists: usize,
}

impl Dimensions {
    fn add(&mut self, body: &[u8], field: &Field, lengths: &mut Vec<Length>) -> Result<(), WireError> {
        let format = Format::With(Datatype::Int64.in_varint());
        match field.payload {
            Payload::Varint(size) => {
                self.sizes.push(size.cast_signed());
                self.slots.push(Slot { span: field.span.clone(), format });
            }
            Payload::Bytes => {
                let mut at = field.span.start;
                while at < field.span.end {
                    let size = protobuf::varint(body, at, field.span.end);
                    let (size, end) =
                        size.ok_or_else(|| WireError::Malformed(format!("byte {at}: no varint")))?;
                    self.sizes.push(size.cast_signed());
                    self.slots.push(Slot { span: at..end, format });
                    at = end;
                }
                self.lists += 1;
                lengths.extend(field.length(body));
            }
            Payload::Fixed32 | Payload::Fixed64 => {}
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;

//! Tensors as the inference protocols send them, whatever the bytes: which of them is the prediction, and the
//! place of every value.
//!
//! | tensor | taken as |
//! | --- | --- |
//! | `BYTES` of classification strings, `score:index[:name]` | scores for each class ([`classification`]) |
//! | `BYTES`, `BOOL`, `INT*`, `UINT*` of shape `[n]` or `[n,1]` | label |
//! | `FP*` or `BF16` of shape `[n,k]`, k ≥ 2 | scores, one for each class |
//! | `FP*` of shape `[n]` or `[n,1]` | a single score; beside scores for each class, the label if it holds class numbers (Triton's forests) |
//!
//! The first that fits is taken; `outputs` of the target names others. A shape on the wire is only compared with
//! the values that are there, and never trusted for memory.

mod choose;
pub(super) mod classification;
pub(super) mod datatype;
pub(super) mod half;

use std::{borrow::Cow, ops::Range};

pub(super) use choose::{features, predictions};
pub(super) use datatype::{Datatype, Family};

use super::{
    Value, WireError,
    protobuf::{self, Field, Payload, write_varint},
    reading::{Declaration, Format, Length, Places, Render},
    scan::Node,
};

/// One tensor of a message.
#[derive(Debug)]
pub(super) struct Tensor<'b> {
    /// `input` or `output`, for messages.
    pub(super) kind: &'static str,
    pub(super) name: Cow<'b, str>,
    /// `None` for one that is not known.
    pub(super) datatype: Option<Datatype>,
    pub(super) shape: Shape,
    pub(super) data: Data<'b>,
    /// What the wire declares, and where.
    pub(super) declaration: Option<Declaration>,
    /// Lengths that cover its values.
    pub(super) lengths: Vec<Length>,
}

/// Where the values are.
#[derive(Debug)]
pub(super) enum Data<'b> {
    /// Nowhere, and why.
    Missing(WireError),
    /// In JSON, flat or nested.
    Json(Node<'b>),
    /// Little-endian, side by side; texts behind their length.
    Raw(&'b [u8], Range<usize>),
    /// In repeated fields of protobuf, packed or not.
    Typed(&'b [u8], Vec<Field>, Datatype),
}

/// The size of a batch, and of what is in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Shape {
    /// The first dimension.
    pub(super) rows: usize,
    /// The product of the others.
    pub(super) width: usize,
    /// How many dimensions there are.
    pub(super) rank: usize,
    /// Is it one list for each row, all dimensions but one of them 1?
    pub(super) is_flat: bool,
}

impl Shape {
    /// `None` when a dimension is no size, or all of them together are more than can be counted.
    pub(super) fn of(dimensions: &[i64]) -> Option<Shape> {
        let (mut rows, mut width, mut wide) = (1, 1_usize, 0);
        for (axis, dimension) in dimensions.iter().enumerate() {
            let size = usize::try_from(*dimension).ok()?;
            if axis == 0 {
                rows = size;
            } else {
                wide += usize::from(size != 1);
                width = width.checked_mul(size)?;
            }
        }
        rows.checked_mul(width)?;
        Some(Shape { rows, width, rank: dimensions.len(), is_flat: wide <= 1 })
    }

    fn values(self) -> usize {
        self.rows * self.width
    }
}

/// Values with their places.
#[derive(Debug, Default)]
pub(super) struct Cells {
    pub(super) values: Vec<Value>,
    pub(super) places: Places,
}

impl Cells {
    fn with_capacity(count: usize) -> Cells {
        Cells { values: Vec::with_capacity(count), places: Places::with_capacity(count) }
    }

    fn push(&mut self, value: Value, span: Range<usize>, format: Format) {
        self.values.push(value);
        self.places.push(span, format);
    }
}

impl<'b> Tensor<'b> {
    pub(super) fn malformed(&self, what: &str) -> WireError {
        WireError::Malformed(format!("{} `{}` {what}", self.kind, self.name))
    }

    pub(super) fn family(&self) -> Family {
        self.datatype.map_or(Family::Other, Datatype::family)
    }

    /// Values for each row; 0 for images and the like, which are no predictions.
    fn width(&self) -> usize {
        if self.shape.is_flat { self.shape.width } else { 0 }
    }

    /// What stands between two values of a row, if a row can have more of them.
    fn separator(&self) -> Option<&'static str> {
        match &self.data {
            Data::Json(_) => Some(","),
            Data::Raw(..) => Some(""),
            Data::Typed(_, fields, _) if fields.len() == 1 => Some(""),
            Data::Typed(..) | Data::Missing(_) => None,
        }
    }

    /// Its values, as many as its shape says.
    pub(super) fn cells(&self) -> Result<Cells, WireError> {
        let datatype = self.datatype.ok_or_else(|| self.malformed("has an unknown datatype"))?;
        let cells = match &self.data {
            Data::Missing(why) => return Err(why.clone()),
            Data::Json(data) => self.json(*data, datatype)?,
            Data::Raw(body, span) => self.raw(body, span.clone(), datatype)?,
            Data::Typed(body, fields, stored) => Some(values(body, fields, *stored, text_field)?),
        };
        let Some(cells) = cells.filter(|cells| cells.values.len() == self.shape.values()) else {
            return Err(self.malformed("has more or fewer values than its shape says"));
        };
        Ok(cells)
    }

    fn json(&self, data: Node<'b>, datatype: Datatype) -> Result<Option<Cells>, WireError> {
        let leaves = data.leaves().ok_or_else(|| self.malformed("holds an object"))?;
        if leaves.clone().count() != self.shape.values() {
            return Ok(None);
        }
        let (real, format) = (datatype.family() == Family::Real, datatype.in_json());
        let mut cells = Cells::with_capacity(self.shape.values());
        for leaf in leaves {
            let value = if real { leaf.score()? } else { leaf.label()? };
            cells.push(value, leaf.span(), format);
        }
        Ok(Some(cells))
    }

    fn raw(&self, body: &[u8], span: Range<usize>, datatype: Datatype) -> Result<Option<Cells>, WireError> {
        let bytes = body.get(span.clone()).unwrap_or_default();
        let format = Format::With(datatype.in_binary());
        let Some(size) = datatype.size() else { return self.texts(bytes, span.start, format) };
        if self.shape.values().checked_mul(size) != Some(bytes.len()) {
            return Ok(None);
        }
        let values = bytes.chunks_exact(size).map(|value| datatype.decode(value).unwrap_or(Value::Null));
        let places = Places::strided(span.start, size, self.shape.values(), format);
        Ok(Some(Cells { values: values.collect(), places }))
    }

    fn texts(&self, mut bytes: &[u8], mut at: usize, format: Format) -> Result<Option<Cells>, WireError> {
        let mut cells = Cells::default();
        while !bytes.is_empty() {
            let text = bytes
                .split_first_chunk()
                .and_then(|(length, rest)| rest.get(..usize::try_from(u32::from_le_bytes(*length)).ok()?));
            let text = text.ok_or_else(|| self.malformed("has a text that is longer than its bytes"))?;
            let length = 4 + text.len();
            cells.push(self.text(text)?, at..at + length, format);
            at += length;
            bytes = &bytes[length..];
        }
        Ok(Some(cells))
    }

    fn text(&self, bytes: &[u8]) -> Result<Value, WireError> {
        let text = std::str::from_utf8(bytes).map_err(|_| self.malformed("has a text that is not UTF-8"))?;
        Ok(Value::Text(text.to_owned()))
    }
}

/// The values of repeated fields, packed or not, none of them checked against a shape. Texts take whole fields, which
/// `text` writes.
pub(super) fn values(
    body: &[u8],
    fields: &[Field],
    stored: Datatype,
    text: Render,
) -> Result<Cells, WireError> {
    let mut cells = Cells::default();
    let misfit =
        || WireError::Malformed("a field holds values of another kind than its datatype says".into());
    for field in fields {
        match (field.payload, stored) {
            (Payload::Bytes, Datatype::Bytes) => {
                let value = Value::Text(protobuf::text(body, field)?.to_owned());
                cells.push(value, field.whole.clone(), Format::With(text));
            }
            (Payload::Bytes, Datatype::Fp32 | Datatype::Fp64) => {
                let size = if stored == Datatype::Fp32 { 4 } else { 8 };
                let packed = body[field.span.clone()].chunks_exact(size);
                if !packed.remainder().is_empty() {
                    return Err(misfit());
                }
                for (index, bytes) in packed.enumerate() {
                    let start = field.span.start + index * size;
                    let value = stored.decode(bytes).ok_or_else(misfit)?;
                    cells.push(value, start..start + size, Format::With(stored.in_binary()));
                }
            }
            (Payload::Bytes, _) => {
                let mut at = field.span.start;
                while at < field.span.end {
                    let (number, end) = protobuf::varint(body, at, field.span.end).ok_or_else(misfit)?;
                    let value = stored.decode_varint(number).ok_or_else(misfit)?;
                    cells.push(value, at..end, Format::With(stored.in_varint()));
                    at = end;
                }
            }
            (Payload::Varint(number), _) => {
                let value = stored.decode_varint(number).ok_or_else(misfit)?;
                cells.push(value, field.span.clone(), Format::With(stored.in_varint()));
            }
            (Payload::Fixed32 | Payload::Fixed64, Datatype::Fp32 | Datatype::Fp64) => {
                let value = stored.decode(&body[field.span.clone()]).ok_or_else(misfit)?;
                cells.push(value, field.span.clone(), Format::With(stored.in_binary()));
            }
            (Payload::Fixed32 | Payload::Fixed64, _) => return Err(misfit()),
        }
    }
    Ok(cells)
}

/// Tag of a text in a field with number 8, which is where both Triton and TensorFlow keep them.
pub(super) const TEXT_TAG: u8 = 8 << 3 | 2;

/// A text as a whole field.
fn text_field(value: &Value, _: &[u8], out: &mut Vec<u8>) -> Result<(), WireError> {
    let text = datatype::plain_text(value)?;
    out.push(TEXT_TAG);
    write_varint(text.len() as u64, out);
    out.extend_from_slice(text.as_bytes());
    Ok(())
}

#[cfg(test)]
mod tests;

//! The wire format of Protocol Buffers, as far as editing in place needs it: fields and where they stand.
//!
//! Generated code would decode into structs and print them anew, and lose unknown fields, their order and
//! the form in which numbers were packed. Here a message is a range of bytes and its fields are ranges
//! inside it; a codec walks down to the values it knows and leaves the rest alone. Nothing is allocated by a
//! length that the wire announces, and depth is what the codec asks for, so hostile bytes cost no more than
//! their number. Groups, which no inference protocol uses, are refused.

use std::ops::Range;

use super::{
    WireError,
    reading::{Length, LengthField},
};

/// What a field's value is on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Payload {
    Varint(u64),
    Fixed64,
    /// Bytes, a text, a message or packed scalars.
    Bytes,
    Fixed32,
}

/// One field of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Field {
    pub(super) number: u32,
    pub(super) payload: Payload,
    /// From the tag to the end of the value.
    pub(super) whole: Range<usize>,
    /// The value, without tag and length.
    pub(super) span: Range<usize>,
}

impl Field {
    /// The length that stands before the value and follows it; only of [`Payload::Bytes`].
    pub(super) fn length(&self, body: &[u8]) -> Option<Length> {
        let (_, tag_end) = varint(body, self.whole.start, self.whole.end)?;
        (self.payload == Payload::Bytes).then(|| Length {
            covers: self.span.clone(),
            field: LengthField::Varint(tag_end..self.span.start),
        })
    }

    /// Is it this field, and of the kind that carries a message, bytes or packed scalars?
    pub(super) fn is_bytes(&self, number: u32) -> bool {
        self.number == number && self.payload == Payload::Bytes
    }
}

/// The fields of a message, as far as they are well formed.
#[derive(Debug, Clone)]
pub(super) struct Fields<'b> {
    body: &'b [u8],
    at: usize,
    end: usize,
}

/// The fields of the message that takes `range` of the body.
pub(super) fn fields(body: &[u8], range: Range<usize>) -> Fields<'_> {
    Fields { body, at: range.start, end: range.end.min(body.len()) }
}

impl Iterator for Fields<'_> {
    type Item = Result<Field, WireError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.at >= self.end {
            return None;
        }
        let start = self.at;
        let field = self.field();
        // After an error there is nothing to go on from.
        self.at = field.as_ref().map_or(self.end, |field| field.whole.end);
        Some(field.ok_or_else(|| WireError::Malformed(format!("byte {start}: no field of a message"))))
    }
}

impl Fields<'_> {
    fn field(&self) -> Option<Field> {
        let (tag, mut at) = varint(self.body, self.at, self.end)?;
        let number = u32::try_from(tag >> 3).ok().filter(|number| (1..1 << 29).contains(number))?;
        let (payload, length) = match tag & 7 {
            0 => {
                let (value, end) = varint(self.body, at, self.end)?;
                (Payload::Varint(value), end - at)
            }
            1 => (Payload::Fixed64, 8),
            2 => {
                let (length, end) = varint(self.body, at, self.end)?;
                at = end;
                (Payload::Bytes, usize::try_from(length).ok()?)
            }
            5 => (Payload::Fixed32, 4),
            _ => return None,
        };
        let end = at.checked_add(length).filter(|end| *end <= self.end)?;
        Some(Field { number, payload, whole: self.at..end, span: at..end })
    }
}

/// The number at `at`, and where it ends.
pub(super) fn varint(body: &[u8], at: usize, end: usize) -> Option<(u64, usize)> {
    let mut number = 0;
    for (index, byte) in body.get(at..end)?.iter().take(10).enumerate() {
        let bits = u64::from(byte & 0x7f);
        if index == 9 && bits > 1 {
            return None;
        }
        number |= bits << (7 * index);
        if byte & 0x80 == 0 {
            return Some((number, at + index + 1));
        }
    }
    None
}

/// Writes a number as shortly as it can be.
pub(super) fn write_varint(mut number: u64, out: &mut Vec<u8>) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

/// A field's text.
pub(super) fn text<'b>(body: &'b [u8], field: &Field) -> Result<&'b str, WireError> {
    std::str::from_utf8(&body[field.span.clone()])
        .map_err(|_| WireError::Malformed(format!("byte {}: a text is not UTF-8", field.span.start)))
}

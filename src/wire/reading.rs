//! The predictions of one body, and where each value stands in its bytes.
//!
//! Everything that is written is a value that differs from what was read, in the place where it was read;
//! all other bytes are copied. A number is written as shortly as it can be read back exactly, in the
//! precision of its tensor: a 32-bit score as `0.9`, never as `0.8999999761581421`.

use std::{io::Write as _, ops::Range};

use http::{HeaderName, HeaderValue};

use super::{Answer, Content, Declared, Row, Value, WireError};

/// Where one value stands in the body.
#[derive(Debug, Clone, PartialEq)]
pub struct Slot {
    /// The bytes of the value, quotes of a string included.
    pub span: Range<usize>,
    /// How values are written here.
    pub format: Format,
}

/// Writes a value where `original` stood.
pub type Render = fn(value: &Value, original: &[u8], out: &mut Vec<u8>) -> Result<(), WireError>;
/// Writes values, each with its index among those that `original` holds, in its place.
pub type RenderPacked =
    fn(values: &[(usize, &Value)], original: &[u8], out: &mut Vec<u8>) -> Result<(), WireError>;

/// How values are written in a place.
#[derive(Debug, Clone, Copy, Default)]
pub enum Format {
    /// JSON, numbers with 64-bit precision.
    #[default]
    Double,
    /// JSON, numbers with 32-bit precision: an `FP32`, `FP16` or `BF16` tensor.
    Single,
    /// JSON, numbers without a fraction where there is none: an integer tensor.
    Whole,
    /// In another way than JSON.
    With(Render),
    /// One of several values in one span, such as a number of a base64 text.
    Packed {
        /// Which of them.
        index: usize,
        /// Writes those that changed.
        render: RenderPacked,
    },
}

impl PartialEq for Format {
    fn eq(&self, other: &Format) -> bool {
        match (self, other) {
            (Format::With(a), Format::With(b)) => std::ptr::fn_addr_eq(*a, *b),
            (Format::Packed { index: i, render: a }, Format::Packed { index: j, render: b }) => {
                i == j && std::ptr::fn_addr_eq(*a, *b)
            }
            _ => std::mem::discriminant(self) == std::mem::discriminant(other),
        }
    }
}

/// A length on the wire, of bytes that an edit may lengthen or shorten.
#[derive(Debug, Clone, PartialEq)]
pub struct Length {
    /// The bytes that it counts; the fields of other lengths may lie in them.
    pub covers: Range<usize>,
    /// Where it stands.
    pub field: LengthField,
}

/// Where a length stands, and how it is written.
#[derive(Debug, Clone, PartialEq)]
pub enum LengthField {
    /// A protobuf varint.
    Varint(Range<usize>),
    /// Four bytes, little-endian.
    U32Le(Range<usize>),
    /// A decimal number in text.
    Decimal(Range<usize>),
    /// A header of the message.
    Header(HeaderName),
}

impl LengthField {
    fn span(&self) -> Option<&Range<usize>> {
        match self {
            LengthField::Varint(span) | LengthField::U32Le(span) | LengthField::Decimal(span) => Some(span),
            LengthField::Header(_) => None,
        }
    }
}

/// An edited body.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Spliced {
    /// The bytes.
    pub body: Vec<u8>,
    /// Headers that count bytes of it; `Content-Length` is the caller's affair.
    pub headers: Vec<(HeaderName, HeaderValue)>,
}

/// Predictions read from a body, with the place of every value.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Reading {
    content: Content,
    rows: Vec<Row>,
    /// One for each row.
    labels: Vec<Option<Slot>>,
    /// One for each score of each row, one row after another.
    scores: Vec<Slot>,
    columns: Vec<String>,
    lengths: Vec<Length>,
    items: Vec<Range<usize>>,
    declared: Option<Declaration>,
}

#[derive(Debug, Clone, PartialEq)]
struct Declaration {
    declared: Declared,
    shape: Vec<Slot>,
    datatype: Option<Slot>,
}

impl Reading {
    /// Adds a row with the place of its label and of each score.
    ///
    /// # Panics
    /// If the slots do not match the row's values.
    pub fn push(&mut self, row: Row, label: Option<Slot>, scores: impl IntoIterator<Item = Slot>) {
        assert_eq!(row.label.is_some(), label.is_some(), "a label needs a place");
        let before = self.scores.len();
        self.scores.extend(scores);
        assert_eq!(row.scores.len(), self.scores.len() - before, "each score needs a place");
        self.rows.push(row);
        self.labels.push(label);
    }

    /// Says what the rows are.
    #[must_use]
    pub fn with_content(self, content: Content) -> Reading {
        Reading { content, ..self }
    }

    /// Names the scores of each row.
    #[must_use]
    pub fn with_columns(self, columns: Vec<String>) -> Reading {
        Reading { columns, ..self }
    }

    /// Adds a length that has to follow edits.
    pub fn cover(&mut self, length: Length) {
        self.lengths.push(length);
    }

    /// The elements of a JSON list that the rows stand in, one for each row: what a changed order moves.
    #[must_use]
    pub fn with_items(self, items: Vec<Range<usize>>) -> Reading {
        Reading { items, ..self }
    }

    /// What the wire declares of the tensor, and where.
    #[must_use]
    pub fn declaring(self, declared: Declared, shape: Vec<Slot>, datatype: Option<Slot>) -> Reading {
        Reading { declared: Some(Declaration { declared, shape, datatype }), ..self }
    }

    /// What the rows are.
    pub const fn content(&self) -> Content {
        self.content
    }

    /// The predictions, in the order of the batch.
    pub fn rows(&self) -> &[Row] {
        &self.rows
    }

    /// What a fault edits.
    pub fn answer(&self) -> Answer {
        Answer {
            content: self.content,
            rows: self.rows.clone(),
            columns: self.columns.clone(),
            order: None,
            declared: self.declared.as_ref().map(|declaration| declaration.declared.clone()),
        }
    }

    /// The body with the values of `edited` in place of the original ones; only values that differ are
    /// written, and the lengths that count them. `None` when nothing differs.
    ///
    /// # Errors
    /// When `edited` can't be written where the original stood.
    pub fn splice(&self, body: &[u8], edited: &Answer) -> Result<Option<Spliced>, WireError> {
        if edited.order.is_some() {
            return Err(WireError::Unwritable("this body has no list to reorder".into()));
        }
        let differing = self.differing(&edited.rows)?;
        if differing.is_empty() {
            return Ok(None);
        }
        let mut patches = Patches::default();
        patches.values(body, differing)?;
        let headers = patches.lengths(&self.lengths)?;
        Ok(Some(Spliced { body: patches.apply(body)?, headers }))
    }

    fn differing<'a>(&'a self, edited: &'a [Row]) -> Result<Vec<(&'a Slot, &'a Value)>, WireError> {
        let reshaped = || WireError::Unwritable("a fault must not add or drop predictions".into());
        if edited.len() != self.rows.len() {
            return Err(reshaped());
        }
        let mut edits = Vec::new();
        let mut slots = self.scores.iter();
        for ((before, after), label) in self.rows.iter().zip(edited).zip(&self.labels) {
            if !before.is_alike(after) {
                return Err(reshaped());
            }
            let labels = before.label.iter().zip(&after.label).zip(label);
            let scores = before.scores.iter().zip(&after.scores).zip(slots.by_ref());
            let changed = labels.chain(scores).filter(|((old, new), _)| !old.is_same(new));
            edits.extend(changed.map(|((_, new), slot)| (slot, new)));
        }
        Ok(edits)
    }
}

/// The bytes with values written in their places; `None` when there are none.
pub(super) fn splice_values(bytes: &[u8], edits: Vec<(&Slot, &Value)>) -> Result<Option<Vec<u8>>, WireError> {
    if edits.is_empty() {
        return Ok(None);
    }
    let mut patches = Patches::default();
    patches.values(bytes, edits)?;
    patches.apply(bytes).map(Some)
}

/// What takes the place of which bytes.
#[derive(Debug, Default)]
struct Patches {
    /// Places in the original, in order, each with its place in `text`.
    places: Vec<(Range<usize>, Range<usize>)>,
    text: Vec<u8>,
}

impl Patches {
    fn values(&mut self, body: &[u8], mut edits: Vec<(&Slot, &Value)>) -> Result<(), WireError> {
        edits.sort_by_key(|(slot, _)| slot.span.start);
        for together in edits.chunk_by(|a, b| a.0.span == b.0.span) {
            let (slot, value) = together[0];
            let original = body.get(slot.span.clone()).ok_or_else(overlap)?;
            let start = self.text.len();
            match (slot.format, together) {
                (Format::Packed { render, .. }, _) => {
                    let values: Vec<(usize, &Value)> = together
                        .iter()
                        .filter_map(|(slot, value)| match slot.format {
                            Format::Packed { index, .. } => Some((index, *value)),
                            _ => None,
                        })
                        .collect();
                    render(&values, original, &mut self.text)?;
                }
                (Format::With(render), [_]) => render(value, original, &mut self.text)?,
                (format, [_]) => render(value, format, &mut self.text),
                _ => return Err(overlap()),
            }
            self.places.push((slot.span.clone(), start..self.text.len()));
        }
        Ok(())
    }

    /// Rewrites the lengths whose bytes changed in number; inner ones first, as an outer one counts them.
    fn lengths(&mut self, lengths: &[Length]) -> Result<Vec<(HeaderName, HeaderValue)>, WireError> {
        let mut ordered: Vec<&Length> = lengths.iter().collect();
        let outer = |length: &Length| {
            let inside =
                |other: &&Length| other.field.span().is_some_and(|span| length.covers.contains(&span.start));
            lengths.iter().filter(inside).count()
        };
        ordered.sort_by_cached_key(|length| outer(length));
        let mut headers = Vec::new();
        for Length { covers, field } in ordered {
            let inside =
                self.places.iter().filter(|(span, _)| covers.start <= span.start && span.end <= covers.end);
            let change: isize = inside.map(|(span, text)| text.len() as isize - span.len() as isize).sum();
            if change == 0 {
                continue;
            }
            let length = covers.len().checked_add_signed(change).ok_or_else(overlap)?;
            let start = self.text.len();
            match field {
                LengthField::Varint(_) => varint(length as u64, &mut self.text),
                LengthField::U32Le(_) => {
                    let length = u32::try_from(length)
                        .map_err(|_| WireError::Unwritable("a value is too long for its length".into()))?;
                    self.text.extend_from_slice(&length.to_le_bytes());
                }
                LengthField::Decimal(_) => self.text.extend_from_slice(length.to_string().as_bytes()),
                LengthField::Header(name) => headers.push((name.clone(), HeaderValue::from(length))),
            }
            if let Some(span) = field.span() {
                self.places.push((span.clone(), start..self.text.len()));
            }
        }
        self.places.sort_by_key(|(span, _)| span.start);
        Ok(headers)
    }

    fn apply(&self, body: &[u8]) -> Result<Vec<u8>, WireError> {
        let mut out = Vec::with_capacity(body.len() + self.text.len());
        let mut copied = 0;
        for (span, text) in &self.places {
            out.extend_from_slice(body.get(copied..span.start).ok_or_else(overlap)?);
            out.extend_from_slice(&self.text[text.clone()]);
            copied = span.end;
        }
        out.extend_from_slice(body.get(copied..).ok_or_else(overlap)?);
        Ok(out)
    }
}

fn overlap() -> WireError {
    WireError::Unwritable("values overlap".into())
}

fn varint(mut number: u64, out: &mut Vec<u8>) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

fn render(value: &Value, format: Format, out: &mut Vec<u8>) {
    let written = match value {
        Value::Null => out.write_all(b"null"),
        Value::Bool(truth) => write!(out, "{truth}"),
        Value::Int(number) => write!(out, "{number}"),
        Value::Float(number) if number.is_nan() => out.write_all(b"NaN"),
        Value::Float(number) if number.is_infinite() => {
            out.write_all(if *number > 0.0 { b"Infinity" } else { b"-Infinity" })
        }
        Value::Float(number) if format == Format::Whole && number.fract() == 0.0 && number.abs() < 1e15 => {
            write!(out, "{number:.0}")
        }
        Value::Float(number) if format == Format::Single && (*number as f32).is_finite() => {
            write!(out, "{:?}", *number as f32)
        }
        Value::Float(number) => write!(out, "{number:?}"),
        Value::Text(text) => serde_json::to_writer(out, text).map_err(Into::into),
    };
    // Writing to memory does not fail, nor does JSON of a text.
    debug_assert!(written.is_ok(), "{written:?}");
}

#[cfg(test)]
mod tests {
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
        assert_eq!(rendered(1e300, Format::Single), "1e300");
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
            assert!(matches!(
                reading.splice(b"[1]", &Answer::of_rows(edited)),
                Err(WireError::Unwritable(_))
            ));
        }
    }
}

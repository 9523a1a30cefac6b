//! The predictions of one body, and where each value stands in its bytes.
//!
//! Everything that is written is a value that differs from what was read, in the place where it was read;
//! all other bytes are copied. A number is written as shortly as it can be read back exactly, in the
//! precision of its tensor: a 32-bit score as `0.9`, never as `0.8999999761581421`.

use std::{io::Write as _, ops::Range};

use super::{Row, Value, WireError};

/// Where one value stands in the body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Slot {
    /// The bytes of the value, quotes of a string included.
    pub span: Range<usize>,
    /// How numbers are written here.
    pub format: Format,
}

/// How numbers are written in a place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Format {
    /// With 64-bit precision.
    #[default]
    Double,
    /// With 32-bit precision: an `FP32`, `FP16` or `BF16` tensor.
    Single,
    /// Without a fraction where there is none: an integer tensor.
    Whole,
}

/// Predictions read from a body, with the place of every value.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Reading {
    rows: Vec<Row>,
    /// One for each row.
    labels: Vec<Option<Slot>>,
    /// One for each score of each row, one row after another.
    scores: Vec<Slot>,
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

    /// The predictions, in the order of the batch.
    pub fn rows(&self) -> &[Row] {
        &self.rows
    }

    /// The body with the values of `edited` in place of the original ones; only values that differ are
    /// written. `None` when nothing differs.
    ///
    /// # Errors
    /// When `edited` has other rows, labels or scores than were read.
    pub fn splice(&self, body: &[u8], edited: &[Row]) -> Result<Option<Vec<u8>>, WireError> {
        let mut edits = self.edits(edited)?;
        if edits.is_empty() {
            return Ok(None);
        }
        edits.sort_unstable_by_key(|(slot, _)| slot.span.start);
        let mut out = Vec::with_capacity(body.len() + 8 * edits.len());
        let mut copied = 0;
        for (slot, value) in edits {
            let untouched = body.get(copied..slot.span.start);
            out.extend_from_slice(untouched.ok_or_else(|| WireError::Unwritable("values overlap".into()))?);
            render(value, slot.format, &mut out);
            copied = slot.span.end;
        }
        out.extend_from_slice(body.get(copied..).unwrap_or_default());
        Ok(Some(out))
    }

    fn edits<'a>(&'a self, edited: &'a [Row]) -> Result<Vec<(&'a Slot, &'a Value)>, WireError> {
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

        assert_eq!(reading.splice(body, reading.rows()), Ok(None));
        let mut edited = reading.rows().to_vec();
        edited[1].label = Some(Value::Text("b\"\n".into()));
        edited[0].scores[0] = Value::Null;
        let out = reading.splice(body, &edited).unwrap().unwrap();
        assert_eq!(String::from_utf8(out).unwrap(), r#"{"y": [ 1, "b\"\n" ], "p": [null, NaN]}"#);
    }

    #[test]
    fn rows_keep_their_shape() {
        let mut reading = Reading::default();
        let slot = Slot { span: 1..2, format: Format::Whole };
        reading.push(Row { label: Some(Value::Int(1)), scores: vec![] }, Some(slot), []);
        for edited in [vec![], vec![Row::default()]] {
            assert!(matches!(reading.splice(b"[1]", &edited), Err(WireError::Unwritable(_))));
        }
    }
}

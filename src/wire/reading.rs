//! The predictions of one body, and where each value stands in its bytes.

use std::{fmt::Write as _, ops::Range};

use super::{Row, Value, WireError};

/// Where one value stands in the body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Slot {
    /// The bytes of the value, quotes of a string included.
    pub span: Range<usize>,
}

/// Predictions read from a body, with the place of every value.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Reading {
    rows: Vec<Row>,
    slots: Vec<RowSlots>,
}

#[derive(Debug, Clone, PartialEq, Default)]
struct RowSlots {
    label: Option<Slot>,
    scores: Vec<Slot>,
}

impl Reading {
    /// Adds a row with the place of its label and of each score.
    ///
    /// # Panics
    /// If the slots do not match the row's values.
    pub fn push(&mut self, row: Row, label: Option<Slot>, scores: Vec<Slot>) {
        assert_eq!(row.label.is_some(), label.is_some(), "a label needs a place");
        assert_eq!(row.scores.len(), scores.len(), "each score needs a place");
        self.rows.push(row);
        self.slots.push(RowSlots { label, scores });
    }

    /// The predictions, in the order of the batch.
    pub fn rows(&self) -> &[Row] {
        &self.rows
    }

    /// The body with the values of `edited` in place of the original ones; only values that differ are
    /// written. `None` when nothing differs.
    pub fn splice(&self, body: &[u8], edited: &[Row]) -> Result<Option<Vec<u8>>, WireError> {
        if edited.len() != self.rows.len() {
            return Err(WireError::Unwritable("a fault must not add or drop predictions".into()));
        }
        let mut edits: Vec<(&Slot, &Value)> = Vec::new();
        for ((before, after), slots) in self.rows.iter().zip(edited).zip(&self.slots) {
            if let (Some(old), Some(new), Some(slot)) = (&before.label, &after.label, &slots.label)
                && !same(old, new)
            {
                edits.push((slot, new));
            }
            for ((old, new), slot) in before.scores.iter().zip(&after.scores).zip(&slots.scores) {
                if !same(old, new) {
                    edits.push((slot, new));
                }
            }
        }
        if edits.is_empty() {
            return Ok(None);
        }
        edits.sort_by_key(|(slot, _)| slot.span.start);
        let mut out = Vec::with_capacity(body.len() + 8 * edits.len());
        let mut copied = 0;
        for (slot, value) in edits {
            let untouched = body.get(copied..slot.span.start);
            out.extend_from_slice(untouched.ok_or_else(|| WireError::Unwritable("values overlap".into()))?);
            render(value, &mut out);
            copied = slot.span.end;
        }
        out.extend_from_slice(body.get(copied..).unwrap_or_default());
        Ok(Some(out))
    }
}

/// Equality that takes not-a-number for itself.
fn same(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Float(a), Value::Float(b)) => a.to_bits() == b.to_bits(),
        _ => a == b,
    }
}

fn render(value: &Value, out: &mut Vec<u8>) {
    match value {
        Value::Null => out.extend_from_slice(b"null"),
        Value::Bool(truth) => out.extend_from_slice(if *truth { b"true" } else { b"false" }),
        Value::Int(number) => out.extend_from_slice(number.to_string().as_bytes()),
        Value::Float(number) if number.is_nan() => out.extend_from_slice(b"NaN"),
        Value::Float(number) if number.is_infinite() => {
            out.extend_from_slice(if *number > 0.0 { b"Infinity" } else { b"-Infinity" });
        }
        Value::Float(number) => {
            let mut text = String::new();
            let _ = write!(text, "{number:?}");
            out.extend_from_slice(text.as_bytes());
        }
        Value::Text(text) => match serde_json::to_vec(text) {
            Ok(quoted) => out.extend_from_slice(&quoted),
            Err(_) => out.extend_from_slice(b"null"),
        },
    }
}

//! Values as JSON, as short as they can be read back exactly.
//!
//! Bare not-a-numbers are written as servers write them, since whoever edits one in wants it there.

use std::io::Write as _;

use super::{Format, Value};

/// Writes a value as JSON.
pub(in crate::wire) fn render(value: &Value, format: Format, out: &mut Vec<u8>) {
    let written = match value {
        Value::Null => out.write_all(b"null"),
        Value::Bool(truth) => write!(out, "{truth}"),
        Value::Int(number) => json(number, out),
        Value::Float(number) if number.is_nan() => out.write_all(b"NaN"),
        Value::Float(number) if number.is_infinite() => {
            out.write_all(if *number > 0.0 { b"Infinity" } else { b"-Infinity" })
        }
        Value::Float(number) if format == Format::Whole && number.fract() == 0.0 && number.abs() < 1e15 => {
            write!(out, "{number:.0}")
        }
        Value::Float(number) if format == Format::Single && (*number as f32).is_finite() => {
            json(&(*number as f32), out)
        }
        Value::Float(number) => json(number, out),
        Value::Text(text) => json(text, out),
    };
    // Writing to memory does not fail, nor does JSON of a text or of a number.
    debug_assert!(written.is_ok(), "{written:?}");
}

/// Numbers as short as they can be read back exactly, faster than `write!` prints them.
fn json<T: serde::Serialize>(value: &T, out: &mut Vec<u8>) -> std::io::Result<()> {
    serde_json::to_writer(out, value).map_err(Into::into)
}

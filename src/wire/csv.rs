//! Rows of comma-separated values, as SageMaker's own algorithms take and give them.
//!
//! Quoted cells (RFC 4180) are read; a cell that is edited is quoted when it has to be.

use std::ops::Range;

use super::{
    Content, Reading, Row, Value, WireError,
    reading::{Format, Slot},
};

/// Reads predictions: a first column of names is the label, a lone column of whole numbers too; all else scores.
pub(super) fn predictions(body: &[u8]) -> Result<Reading, WireError> {
    let rows = rows(body)?;
    let is_text = |row: &Vec<Cell>| matches!(row.first(), Some(Cell { value: Value::Text(_), .. }));
    let is_whole = |row: &Vec<Cell>| matches!(row.as_slice(), [Cell { value: Value::Int(_), .. }]);
    let labelled = rows.iter().all(is_text) || rows.iter().all(is_whole);
    let mut reading = Reading::default();
    for mut row in rows {
        let label = labelled.then(|| row.remove(0));
        if row.iter().any(|cell| matches!(cell.value, Value::Text(_))) {
            return Err(WireError::Malformed("a score is no number".into()));
        }
        let (label, label_slot) = label.map(Cell::into_parts).unzip();
        let (scores, slots): (Vec<_>, Vec<_>) = row.into_iter().map(Cell::into_parts).unzip();
        reading.push(Row { label, scores }, label_slot, slots);
    }
    if reading.rows().is_empty() { Err(WireError::NoPrediction) } else { Ok(reading) }
}

/// Reads features: every cell.
pub(super) fn features(body: &[u8]) -> Result<Reading, WireError> {
    let mut reading = Reading::default().with_content(Content::Features);
    for row in rows(body)? {
        let (scores, slots): (Vec<_>, Vec<_>) = row.into_iter().map(Cell::into_parts).unzip();
        reading.push(Row { label: None, scores }, None, slots);
    }
    if reading.rows().is_empty() { Err(WireError::NoPrediction) } else { Ok(reading) }
}

/// Reads features below a line of their names, as data frames are written.
pub(super) fn frame(body: &[u8]) -> Result<Reading, WireError> {
    let mut rows = rows(body)?.into_iter();
    let name = |cell: Cell| match cell.value {
        Value::Text(name) => name,
        _ => String::from_utf8_lossy(&body[cell.span]).trim().to_owned(),
    };
    let names: Vec<String> = rows.next().into_iter().flatten().map(name).collect();
    let mut reading = Reading::default().with_content(Content::Features);
    for row in rows {
        if row.len() != names.len() {
            return Err(WireError::Malformed("a row has more or fewer cells than there are names".into()));
        }
        let (scores, slots): (Vec<_>, Vec<_>) = row.into_iter().map(Cell::into_parts).unzip();
        reading.push(Row { label: None, scores }, None, slots);
    }
    if reading.rows().is_empty() { Err(WireError::NoPrediction) } else { Ok(reading.with_columns(names)) }
}

struct Cell {
    span: Range<usize>,
    value: Value,
}

impl Cell {
    fn into_parts(self) -> (Value, Slot) {
        (self.value, Slot { span: self.span, format: Format::With(render) })
    }
}

fn rows(body: &[u8]) -> Result<Vec<Vec<Cell>>, WireError> {
    let text = std::str::from_utf8(body).map_err(|_| WireError::Malformed("not Unicode".into()))?;
    let mut rows = Vec::new();
    let mut row = Vec::new();
    let mut at = 0;
    while at < text.len() {
        let cell = cell(text, at)?;
        at = cell.span.end;
        let is_blank = row.is_empty() && cell.span.is_empty();
        let ends = !text[at..].starts_with(',');
        if !(is_blank && ends) {
            row.push(cell);
        }
        if ends {
            at += if text[at..].starts_with("\r\n") { 2 } else { 1 };
            if !row.is_empty() {
                rows.push(std::mem::take(&mut row));
            }
        } else {
            at += 1;
            if at == text.len() {
                row.push(Cell { span: at..at, value: Value::Null });
            }
        }
    }
    if !row.is_empty() {
        rows.push(row);
    }
    Ok(rows)
}

/// The cell that begins at a place.
fn cell(text: &str, start: usize) -> Result<Cell, WireError> {
    let rest = &text[start..];
    if rest.starts_with('"') {
        let mut at = 1;
        loop {
            let Some(found) = rest[at..].find('"') else {
                return Err(WireError::Malformed("a quoted cell without an end".into()));
            };
            at += found + 1;
            if !rest[at..].starts_with('"') {
                break;
            }
            at += 1;
        }
        if !matches!(rest[at..].bytes().next(), None | Some(b',' | b'\r' | b'\n')) {
            return Err(WireError::Malformed("something follows a quoted cell".into()));
        }
        let value = Value::Text(rest[1..at - 1].replace("\"\"", "\""));
        return Ok(Cell { span: start..start + at, value });
    }
    let length = rest.find([',', '\r', '\n']).unwrap_or(rest.len());
    let plain = rest[..length].trim();
    let value = match plain {
        "" => Value::Null,
        _ => plain
            .parse()
            .map(Value::Int)
            .or_else(|_| number(plain))
            .unwrap_or_else(|()| Value::Text(plain.into())),
    };
    Ok(Cell { span: start..start + length, value })
}

fn number(text: &str) -> Result<Value, ()> {
    text.parse().map(Value::Float).map_err(drop)
}

fn render(value: &Value, _original: &[u8], out: &mut Vec<u8>) -> Result<(), WireError> {
    let text = match value {
        Value::Null => String::new(),
        Value::Bool(truth) => truth.to_string(),
        Value::Int(number) => number.to_string(),
        Value::Float(number) if number.is_nan() => "nan".to_owned(),
        Value::Float(number) if number.is_infinite() => if *number > 0.0 { "inf" } else { "-inf" }.to_owned(),
        Value::Float(number) => format!("{number:?}"),
        Value::Text(text) if text.contains(['"', ',', '\r', '\n']) => {
            format!("\"{}\"", text.replace('"', "\"\""))
        }
        Value::Text(text) => text.clone(),
    };
    out.extend_from_slice(text.as_bytes());
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::testing;

    fn values(reading: &Reading) -> Vec<Vec<Value>> {
        reading.rows().iter().map(|row| row.label.iter().chain(&row.scores).cloned().collect()).collect()
    }

    #[test]
    fn cells_are_read_and_written_in_place() {
        let body = b"1, 2.50,\"a,\"\"b\"\r\n,-3e2,x\n\n";
        let reading = features(body).unwrap();
        let text = |text: &str| Value::Text(text.into());
        let read = [
            vec![Value::Int(1), Value::Float(2.5), text("a,\"b")],
            vec![Value::Null, Value::Float(-300.0), text("x")],
        ];
        assert_eq!(values(&reading), read);
        let mut rows = reading.rows().to_vec();
        rows[0].scores[2] = text("c,d");
        rows[1].scores[0] = Value::Float(0.5);
        rows[1].scores[1] = Value::Null;
        let out = testing::splice(&reading, body, &rows).unwrap().unwrap();
        assert_eq!(String::from_utf8(out).unwrap(), "1, 2.50,\"c,d\"\r\n0.5,,x\n\n");
    }

    #[test]
    fn predictions_are_told_from_each_other() {
        let first = |body: &[u8]| predictions(body).unwrap().rows()[0].clone();
        assert_eq!(first(b"0.75\n0.5\n"), Row { label: None, scores: vec![Value::Float(0.75)] });
        assert_eq!(first(b"2\n0\n"), Row { label: Some(Value::Int(2)), scores: vec![] });
        assert_eq!(
            first(b"cat,0.9\n"),
            Row { label: Some(Value::Text("cat".into())), scores: vec![Value::Float(0.9)] }
        );
        assert_eq!(first(b"0.25,0.75").scores.len(), 2);
        assert_eq!(first(b"0.25,").scores, [Value::Float(0.25), Value::Null]);
        for body in [&b""[..], b"\n\n", b"1,x", b"\"a", b"\"a\"b,1", b"\xff"] {
            assert!(predictions(body).is_err());
        }
    }
}

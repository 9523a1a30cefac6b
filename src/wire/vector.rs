//! Embeddings: vectors as lists of numbers, or as base64 of little-endian 32-bit floats.

use base64::{Engine as _, engine::general_purpose::STANDARD};

use super::{
    Content, Kind, Node, Reading, Row, Value, WireError,
    reading::{Format, Slot},
};

/// Reads vectors, one row for each.
pub(super) fn read<'t>(vectors: impl Iterator<Item = Node<'t>>) -> Result<Reading, WireError> {
    let mut reading = Reading::default().with_content(Content::Embeddings);
    for vector in vectors {
        match vector.kind() {
            Kind::Array => numbers(&mut reading, vector)?,
            Kind::String => packed(&mut reading, vector)?,
            _ => return Err(WireError::Malformed("an embedding is no list of numbers".into())),
        }
    }
    if reading.rows().is_empty() { Err(WireError::NoPrediction) } else { Ok(reading.with_separator(",")) }
}

/// Numbers of 32 bits, as embeddings are everywhere, written as shortly as they can be.
fn numbers(reading: &mut Reading, vector: Node<'_>) -> Result<(), WireError> {
    let scores = vector.elements().map(Node::score).collect::<Result<Vec<_>, _>>()?;
    let is_single = |value: &Value| value.as_f64().is_none_or(|x| x == f64::from(x as f32) || short(x));
    let format = if scores.iter().all(is_single) { Format::Single } else { Format::Double };
    let slots = vector.elements().map(|node| Slot { span: node.span(), format });
    reading.push(Row { label: None, scores }, None, slots);
    Ok(())
}

/// Is it what a 32-bit number is written as?
fn short(x: f64) -> bool {
    format!("{:?}", x as f32).parse() == Ok(x)
}

fn packed(reading: &mut Reading, vector: Node<'_>) -> Result<(), WireError> {
    let bytes = decode(vector.raw())?;
    let scores: Vec<Value> = floats(&bytes).map(|x| Value::Float(x.into())).collect();
    let slot = |index| Slot { span: vector.span(), format: Format::Packed { index, render } };
    let slots: Vec<Slot> = (0..scores.len()).map(slot).collect();
    reading.push(Row { label: None, scores }, None, slots);
    Ok(())
}

fn decode(quoted: &[u8]) -> Result<Vec<u8>, WireError> {
    let wrong = || WireError::Malformed("an embedding is no base64 of 32-bit numbers".into());
    let text = quoted.get(1..quoted.len().saturating_sub(1)).unwrap_or_default();
    // `\/` is how some encoders spell a slash.
    let plain = match memchr::memchr(b'\\', text) {
        None => STANDARD.decode(text),
        Some(_) => STANDARD.decode(serde_json::from_slice::<String>(quoted).map_err(|_| wrong())?),
    };
    plain.ok().filter(|bytes| bytes.len().is_multiple_of(4)).ok_or_else(wrong)
}

fn floats(bytes: &[u8]) -> impl Iterator<Item = f32> {
    bytes.chunks_exact(4).map(|four| f32::from_le_bytes([four[0], four[1], four[2], four[3]]))
}

fn render(values: &[(usize, &Value)], original: &[u8], out: &mut Vec<u8>) -> Result<(), WireError> {
    // A vector of another length comes without the old one, and whole.
    let mut bytes = if original.is_empty() { vec![0; 4 * values.len()] } else { decode(original)? };
    for (index, value) in values {
        let number = match value {
            Value::Null => f32::NAN,
            other => {
                other.as_f64().ok_or_else(|| WireError::Unwritable("a vector holds numbers".into()))? as f32
            }
        };
        let place = bytes.get_mut(4 * index..4 * index + 4);
        place
            .ok_or_else(|| WireError::Unwritable("a vector has no such place".into()))?
            .copy_from_slice(&number.to_le_bytes());
    }
    out.push(b'"');
    out.extend_from_slice(STANDARD.encode(bytes).as_bytes());
    out.push(b'"');
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::{scan, testing};

    fn edited(body: &str, row: usize, place: usize, value: f64) -> String {
        let tree = scan(body.as_bytes()).unwrap();
        let reading = read(tree.root().elements()).unwrap();
        let mut rows = reading.rows().to_vec();
        rows[row].scores[place] = Value::Float(value);
        String::from_utf8(testing::splice(&reading, body.as_bytes(), &rows).unwrap().unwrap()).unwrap()
    }

    #[test]
    fn one_number_of_a_list_is_written() {
        assert_eq!(edited("[[0.10, -0.5e-3], [1]]", 0, 1, f64::from(0.3_f32)), "[[0.10, 0.3], [1]]");
        // More digits than 32 bits have: a vector of 64-bit numbers.
        assert_eq!(edited("[[0.1234567890123, 1.0]]", 0, 1, 0.1), "[[0.1234567890123, 0.1]]");
    }

    #[test]
    fn numbers_of_a_base64_text_are_written_together() {
        let packed = |numbers: &[f32]| {
            let bytes: Vec<u8> = numbers.iter().flat_map(|x| x.to_le_bytes()).collect();
            format!("\"{}\"", STANDARD.encode(bytes))
        };
        let body = format!("[{},{}]", packed(&[0.1, -2.0, f32::INFINITY]), packed(&[7.0]));
        assert_eq!(
            edited(&body, 0, 1, 3.5),
            format!("[{},{}]", packed(&[0.1, 3.5, f32::INFINITY]), packed(&[7.0]))
        );
        let tree = scan(body.as_bytes()).unwrap();
        let reading = read(tree.root().elements()).unwrap();
        assert_eq!(reading.rows()[0].scores[0], Value::Float(f64::from(0.1_f32)));
        assert_eq!(testing::splice(&reading, body.as_bytes(), reading.rows()), Ok(None));
    }

    #[test]
    fn a_vector_may_get_another_length() {
        let packed = |numbers: &[f32]| {
            let bytes: Vec<u8> = numbers.iter().flat_map(|x| x.to_le_bytes()).collect();
            format!("[\"{}\"]", STANDARD.encode(bytes))
        };
        for (body, shorter, longer) in [
            ("[[1.0, 2.0]]".to_owned(), "[[1.0]]".to_owned(), "[[1.0, 2.0, 3.0]]".to_owned()),
            (packed(&[1.0, 2.0]), packed(&[1.0]), packed(&[1.0, 2.0, 3.0])),
        ] {
            let tree = scan(body.as_bytes()).unwrap();
            let reading = read(tree.root().elements()).unwrap();
            for (length, expected) in [(1, shorter), (3, longer)] {
                let mut rows = reading.rows().to_vec();
                rows[0].scores.resize(length, Value::Float(3.0));
                let out = testing::splice(&reading, body.as_bytes(), &rows).unwrap().unwrap();
                assert_eq!(String::from_utf8(out).unwrap(), expected);
            }
        }
    }

    #[test]
    fn what_is_no_vector_is_told() {
        for body in ["[\"AAA\"]", "[\"AAAA\"]", "[1]", "[[\"a\"]]"] {
            let tree = scan(body.as_bytes()).unwrap();
            assert!(matches!(read(tree.root().elements()), Err(WireError::Malformed(_))), "{body}");
        }
    }
}

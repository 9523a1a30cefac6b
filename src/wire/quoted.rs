//! A JSON text with another content, in which every character that stays keeps its spelling.
//!
//! `"caf\u00e9 is open"` becomes `"caf\u00e9 is shut"`, not `"café is shut"`: what was not edited does not
//! change. New characters are escaped as the text around them is: where it is ASCII by escapes, they are too.

use super::{Format, Node, Slot, Value, WireError, scan};

/// The place of a JSON text (or `null`), to be rewritten like this.
pub(super) fn slot(node: Node<'_>) -> Slot {
    Slot { span: node.span(), format: Format::With(render) }
}

/// The place of a JSON document that is handed over as text, such as the arguments of a tool call.
pub(super) fn document(node: Node<'_>) -> Slot {
    Slot { span: node.span(), format: Format::With(render_document) }
}

/// Writes a value where a JSON text stood.
pub(super) fn render(value: &Value, original: &[u8], out: &mut Vec<u8>) -> Result<(), WireError> {
    let Value::Text(text) = value else { return json(value, out) };
    match characters(original) {
        Some(old) => {
            rewrite(&old, original, text, out);
            Ok(())
        }
        None => json(value, out),
    }
}

/// Writes JSON that is given as text.
fn render_document(value: &Value, _original: &[u8], out: &mut Vec<u8>) -> Result<(), WireError> {
    match value {
        Value::Text(text) if scan(text.as_bytes()).is_ok() => {
            out.extend_from_slice(text.as_bytes());
            Ok(())
        }
        Value::Null => json(value, out),
        _ => Err(WireError::Unwritable("only a JSON document can stand here".into())),
    }
}

fn json(value: &Value, out: &mut Vec<u8>) -> Result<(), WireError> {
    serde_json::to_writer(out, value).map_err(|error| WireError::Unwritable(error.to_string()))
}

/// A character, and where its spelling ends.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Character {
    char: char,
    end: usize,
}

/// The characters of a JSON text in quotes; `None` for anything else.
fn characters(raw: &[u8]) -> Option<Vec<Character>> {
    let inside = std::str::from_utf8(raw).ok()?.strip_prefix('"')?.strip_suffix('"')?;
    let mut characters = Vec::with_capacity(inside.len());
    let mut chars = inside.char_indices();
    while let Some((at, char)) = chars.next() {
        let char = match char {
            '\\' => match chars.next()?.1 {
                'b' => '\u{8}',
                'f' => '\u{c}',
                'n' => '\n',
                'r' => '\r',
                't' => '\t',
                'u' => {
                    let first = unit(inside, at)?;
                    chars.nth(3)?;
                    match first {
                        0xd800..=0xdbff => {
                            let second = unit(inside, at + 6)?;
                            chars.nth(5)?;
                            char::decode_utf16([first, second]).next()?.ok()?
                        }
                        unit => char::from_u32(unit.into())?,
                    }
                }
                same @ ('"' | '\\' | '/') => same,
                _ => return None,
            },
            plain => plain,
        };
        characters.push(Character { char, end: chars.offset() + 1 });
    }
    Some(characters)
}

/// The number of a `\uXXXX` that stands at a place.
fn unit(text: &str, at: usize) -> Option<u16> {
    let digits = text.get(at..at + 6)?.strip_prefix("\\u")?;
    let all = digits.bytes().all(|digit| digit.is_ascii_hexdigit());
    u16::from_str_radix(digits, 16).ok().filter(|_| all)
}

fn rewrite(old: &[Character], raw: &[u8], new: &str, out: &mut Vec<u8>) {
    let before = old.iter().zip(new.chars()).take_while(|(old, new)| old.char == *new).count();
    let kept: usize = new.chars().take(before).map(char::len_utf8).sum();
    let (rest, new) = (&old[before..], &new[kept..]);
    let after = rest.iter().rev().zip(new.chars().rev()).take_while(|(old, new)| old.char == *new).count();
    let middle = &new[..new.len() - new.chars().rev().take(after).map(char::len_utf8).sum::<usize>()];
    let end = |count: usize| if count == 0 { 1 } else { old[count - 1].end };
    let escapes = raw.is_ascii() && old.iter().any(|character| !character.char.is_ascii());

    out.extend_from_slice(&raw[..end(before)]);
    for char in middle.chars() {
        spell(char, escapes, out);
    }
    out.extend_from_slice(&raw[end(old.len() - after)..]);
}

fn spell(char: char, escapes: bool, out: &mut Vec<u8>) {
    let short = match char {
        '"' => b'"',
        '\\' => b'\\',
        '\u{8}' => b'b',
        '\u{c}' => b'f',
        '\n' => b'n',
        '\r' => b'r',
        '\t' => b't',
        _ if char < ' ' || escapes && !char.is_ascii() => {
            for unit in char.encode_utf16(&mut [0; 2]) {
                out.extend_from_slice(format!("\\u{unit:04x}").as_bytes());
            }
            return;
        }
        _ => return out.extend_from_slice(char.encode_utf8(&mut [0; 4]).as_bytes()),
    };
    out.extend_from_slice(&[b'\\', short]);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn rewritten(original: &str, new: &str) -> String {
        let mut out = Vec::new();
        render(&Value::Text(new.into()), original.as_bytes(), &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn what_stays_keeps_its_spelling() {
        for (original, new, edited) in [
            (r#""caf\u00e9 is open""#, "café is shut", r#""caf\u00e9 is shut""#),
            (r#""\/a\u0062c""#, "/abX", r#""\/a\u0062X""#),
            (r#""a\ud83d\ude00b""#, "a😀c", r#""a\ud83d\ude00c""#),
            (r#""a\ud83d\ude00b""#, "a😁b", r#""a\ud83d\ude01b""#),
            (r#""é\n""#, "ü\n", r#""ü\n""#),
            (r#""aaa""#, "aa", r#""aa""#),
            (r#""""#, "a\"\\\u{1}\u{7f}", "\"a\\\"\\\\\\u0001\u{7f}\""),
            (r#""ab""#, "", r#""""#),
            ("null", "stop", r#""stop""#),
        ] {
            assert_eq!(rewritten(original, new), edited);
        }
        let mut out = Vec::new();
        render(&Value::Null, br#""stop""#, &mut out).unwrap();
        assert_eq!(out, b"null");
    }

    #[test]
    fn a_document_stays_one() {
        let mut out = Vec::new();
        render_document(&Value::Text("{\"a\":1}".into()), b"{}", &mut out).unwrap();
        assert_eq!(out, b"{\"a\":1}");
        assert!(render_document(&Value::Text("{\"a\":".into()), b"{}", &mut out).is_err());
    }

    proptest! {
        #[test]
        fn any_text_becomes_any_other(old in r#"[ab"\\\n/é€😀]{0,8}"#, new in r#"[ab"\\\n/é€😀]{0,8}"#, ascii: bool) {
            let mut original = serde_json::to_string(&old).unwrap();
            if ascii {
                let escape = |c: char| match c.is_ascii() {
                    true => c.to_string(),
                    false => c.encode_utf16(&mut [0; 2]).iter().map(|u| format!("\\u{u:04X}")).collect(),
                };
                original = original.chars().map(escape).collect::<String>().replace('/', "\\/");
            }
            let edited = rewritten(&original, &new);
            prop_assert_eq!(serde_json::from_str::<String>(&edited).unwrap(), &new[..]);
            prop_assert_eq!(rewritten(&original, &old), original);
        }
    }
}

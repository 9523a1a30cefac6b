//! A lenient JSON scanner that keeps where every value stands.
//!
//! One pass, one allocation: the document becomes a flat list of items, each with the bytes that it takes
//! and the number of the item after it, so that a subtree is a slice and nothing recurses. It takes what
//! real model servers send beyond JSON (`NaN`, `Infinity`, `-inf` and their other spellings) and refuses
//! what would be a guess: trailing bytes, missing commas, numbers such as `01`, nesting over
//! 96 levels. Texts are decoded only when they are asked for.
//!
//! Why not `serde_json`? It refuses bare `NaN`, and its values do not know where they stood.

use std::{borrow::Cow, ops::Range};

use super::{Value, WireError};

/// Deepest nesting that is read.
const MAX_DEPTH: usize = 96;

/// Why bytes are no JSON, even leniently.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("byte {at}: {message}")]
pub struct ScanError {
    /// Offset of the first wrong byte.
    pub at: usize,
    /// What was expected.
    pub message: &'static str,
}

/// What a [`Node`] is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// `{…}`
    Object,
    /// `[…]`
    Array,
    /// `"…"`
    String,
    /// A number of JSON's grammar.
    Number,
    /// Not-a-number or an infinity, bare, in one of its spellings.
    NotFinite,
    /// `true`
    True,
    /// `false`
    False,
    /// `null`
    Null,
}

/// A scanned document.
#[derive(Debug, Clone)]
pub struct Tree<'b> {
    body: &'b [u8],
    items: Vec<Item>,
}

#[derive(Debug, Clone, Copy)]
struct Item {
    kind: Kind,
    start: u32,
    end: u32,
    /// Number of the first item that is not inside this one.
    next: u32,
}

impl Tree<'_> {
    /// The value that the document is.
    pub fn root(&self) -> Node<'_> {
        Node { body: self.body, items: &self.items, index: 0 }
    }
}

/// A value of a scanned document.
#[derive(Debug, Clone, Copy)]
pub struct Node<'t> {
    body: &'t [u8],
    items: &'t [Item],
    index: usize,
}

impl<'t> Node<'t> {
    fn item(self) -> Item {
        self.items[self.index]
    }

    /// What it is.
    pub fn kind(self) -> Kind {
        self.item().kind
    }

    /// From its first to past its last byte, quotes and brackets included.
    pub fn span(self) -> Range<usize> {
        let item = self.item();
        item.start as usize..item.end as usize
    }

    /// Its bytes.
    pub fn raw(self) -> &'t [u8] {
        &self.body[self.span()]
    }

    /// The text of a string; `None` for other kinds and for a text that is not Unicode.
    pub fn text(self) -> Option<Cow<'t, str>> {
        if self.kind() != Kind::String {
            return None;
        }
        let raw = self.raw();
        if memchr::memchr(b'\\', raw).is_some() {
            return serde_json::from_slice(raw).ok().map(Cow::Owned);
        }
        std::str::from_utf8(&raw[1..raw.len() - 1]).ok().map(Cow::Borrowed)
    }

    /// The value of a scalar; `None` for objects, arrays and texts that are not Unicode.
    pub fn value(self) -> Option<Value> {
        match self.kind() {
            Kind::Object | Kind::Array => None,
            Kind::Null => Some(Value::Null),
            Kind::True => Some(Value::Bool(true)),
            Kind::False => Some(Value::Bool(false)),
            Kind::String => self.text().map(|text| Value::Text(text.into_owned())),
            Kind::NotFinite => Some(Value::Float(match self.raw() {
                [b'-', b'i' | b'I', ..] => f64::NEG_INFINITY,
                [b'i' | b'I', ..] => f64::INFINITY,
                _ => f64::NAN,
            })),
            Kind::Number => {
                let text = std::str::from_utf8(self.raw()).ok()?;
                let whole = !text.contains(['.', 'e', 'E']) && text != "-0";
                match text.parse() {
                    Ok(number) if whole => Some(Value::Int(number)),
                    _ => text.parse().ok().map(Value::Float),
                }
            }
        }
    }

    /// The value of a label.
    pub(super) fn label(self) -> Result<Value, WireError> {
        self.value().ok_or_else(|| WireError::Malformed("a label is no single value in Unicode".into()))
    }

    /// The value of a score: a number, or nothing.
    pub(super) fn score(self) -> Result<Value, WireError> {
        match self.kind() {
            Kind::Number | Kind::NotFinite | Kind::Null => self.value(),
            _ => None,
        }
        .ok_or_else(|| WireError::Malformed("a score is no number".into()))
    }

    /// The elements of an array; none for other kinds.
    pub fn elements(self) -> Elements<'t> {
        let end = if self.kind() == Kind::Array { self.item().next as usize } else { self.index + 1 };
        Elements { at: Node { index: self.index + 1, ..self }, end }
    }

    /// Names and values of an object; none for other kinds.
    pub fn members(self) -> impl Iterator<Item = (Node<'t>, Node<'t>)> {
        let end = if self.kind() == Kind::Object { self.item().next as usize } else { self.index + 1 };
        let mut all = Elements { at: Node { index: self.index + 1, ..self }, end };
        std::iter::from_fn(move || all.next().zip(all.next()))
    }

    /// The value of an object's member; of several with one name the last, which is what readers take.
    pub fn get(self, name: &str) -> Option<Node<'t>> {
        self.members().filter(|(key, _)| key.is_text(name)).last().map(|(_, value)| value)
    }

    /// The scalars of nested arrays, in order; `None` when there is an object among them.
    pub fn leaves(self) -> Option<impl Iterator<Item = Node<'t>> + Clone> {
        let all = self.index..self.item().next as usize;
        if self.items[all.clone()].iter().any(|item| item.kind == Kind::Object) {
            return None;
        }
        let nodes = all.map(move |index| Node { index, ..self });
        Some(nodes.filter(|node| node.kind() != Kind::Array))
    }

    fn is_text(self, text: &str) -> bool {
        let raw = self.raw();
        raw.get(1..raw.len() - 1) == Some(text.as_bytes()) && !text.contains('\\')
            || memchr::memchr(b'\\', raw).is_some() && self.text().is_some_and(|t| t == text)
    }
}

/// The elements of an array.
#[derive(Debug, Clone)]
pub struct Elements<'t> {
    at: Node<'t>,
    end: usize,
}

impl<'t> Iterator for Elements<'t> {
    type Item = Node<'t>;

    fn next(&mut self) -> Option<Node<'t>> {
        if self.at.index >= self.end {
            return None;
        }
        let node = self.at;
        self.at.index = node.item().next as usize;
        Some(node)
    }
}

/// Scans one JSON document.
///
/// # Errors
/// At the first byte that is neither JSON nor a bare not-a-number or infinity.
pub fn scan(body: &[u8]) -> Result<Tree<'_>, ScanError> {
    if u32::try_from(body.len()).is_err() {
        return Err(ScanError { at: 0, message: "longer than 4 GiB" });
    }
    let items = Vec::with_capacity((body.len() / 6 + 2).min(1 << 16));
    let mut scanner = Scanner { body, at: 0, items, open: [0; MAX_DEPTH], depth: 0 };
    scanner.document()?;
    Ok(Tree { body, items: scanner.items })
}

struct Scanner<'b> {
    body: &'b [u8],
    at: usize,
    items: Vec<Item>,
    open: [u32; MAX_DEPTH],
    depth: usize,
}

impl Scanner<'_> {
    fn document(&mut self) -> Result<(), ScanError> {
        loop {
            if self.opened()? {
                continue;
            }
            loop {
                let next = self.peek();
                let Some(container) = self.innermost() else {
                    return if next.is_none() { Ok(()) } else { Err(self.wrong("expected the end")) };
                };
                match (self.items[container].kind, next) {
                    (Kind::Object, Some(b',')) => {
                        self.at += 1;
                        self.name()?;
                        break;
                    }
                    (_, Some(b',')) => {
                        self.at += 1;
                        break;
                    }
                    (Kind::Object, Some(b'}')) | (Kind::Array, Some(b']')) => self.close(container),
                    (Kind::Object, _) => return Err(self.wrong("expected `,` or `}`")),
                    _ => return Err(self.wrong("expected `,` or `]`")),
                }
            }
        }
    }

    /// Reads a scalar or an empty container, or opens a container (`true`: its first value comes next).
    fn opened(&mut self) -> Result<bool, ScanError> {
        match self.peek() {
            Some(b'{') => {
                let container = self.open(Kind::Object)?;
                if self.peek() == Some(b'}') {
                    self.close(container);
                    return Ok(false);
                }
                self.name()?;
                Ok(true)
            }
            Some(b'[') => {
                let container = self.open(Kind::Array)?;
                if self.peek() == Some(b']') {
                    self.close(container);
                    return Ok(false);
                }
                Ok(true)
            }
            Some(b'"') => self.string().map(|()| false),
            Some(_) => self.scalar().map(|()| false),
            None => Err(self.wrong("expected a value, found the end")),
        }
    }

    fn name(&mut self) -> Result<(), ScanError> {
        if self.peek() != Some(b'"') {
            return Err(self.wrong("expected a name in quotes"));
        }
        self.string()?;
        if self.peek() != Some(b':') {
            return Err(self.wrong("expected `:`"));
        }
        self.at += 1;
        Ok(())
    }

    fn string(&mut self) -> Result<(), ScanError> {
        let start = self.at;
        let mut at = start + 1;
        loop {
            let rest = self.body.get(at..).unwrap_or_default();
            let Some(found) = memchr::memchr2(b'"', b'\\', rest) else {
                return Err(ScanError { at: start, message: "a text without an end" });
            };
            at += found + 1;
            if rest[found] == b'"' {
                break;
            }
            at += 1;
        }
        self.at = at;
        self.push(Kind::String, start);
        Ok(())
    }

    fn scalar(&mut self) -> Result<(), ScanError> {
        let start = self.at;
        let rest = &self.body[start..];
        let length = rest.iter().take_while(|b| b.is_ascii_alphanumeric() || b"+-.".contains(b)).count();
        let word = &rest[..length];
        let kind = match word {
            b"true" => Kind::True,
            b"false" => Kind::False,
            b"null" => Kind::Null,
            _ if is_number(word) => Kind::Number,
            _ if is_not_finite(word) => Kind::NotFinite,
            _ => return Err(self.wrong("expected a value")),
        };
        self.at += length;
        self.push(kind, start);
        Ok(())
    }

    fn push(&mut self, kind: Kind, start: usize) {
        let next = self.items.len() as u32 + 1;
        self.items.push(Item { kind, start: start as u32, end: self.at as u32, next });
    }

    fn open(&mut self, kind: Kind) -> Result<usize, ScanError> {
        let Some(slot) = self.open.get_mut(self.depth) else {
            return Err(self.wrong("nested too deep"));
        };
        let container = self.items.len();
        *slot = container as u32;
        self.depth += 1;
        let start = self.at;
        self.at += 1;
        self.push(kind, start);
        Ok(container)
    }

    fn close(&mut self, container: usize) {
        self.at += 1;
        self.depth -= 1;
        let next = self.items.len() as u32;
        let item = &mut self.items[container];
        item.end = self.at as u32;
        item.next = next;
    }

    fn innermost(&self) -> Option<usize> {
        self.depth.checked_sub(1).map(|top| self.open[top] as usize)
    }

    /// The next byte that is no white space.
    fn peek(&mut self) -> Option<u8> {
        loop {
            match self.body.get(self.at) {
                Some(b' ' | b'\n' | b'\r' | b'\t') => self.at += 1,
                other => return other.copied(),
            }
        }
    }

    fn wrong(&self, message: &'static str) -> ScanError {
        ScanError { at: self.at, message }
    }
}

fn is_number(word: &[u8]) -> bool {
    fn digits(word: &[u8]) -> Option<&[u8]> {
        let count = word.iter().take_while(|b| b.is_ascii_digit()).count();
        (count > 0).then(|| &word[count..])
    }
    let unsigned = word.strip_prefix(b"-").unwrap_or(word);
    let mut rest = match unsigned {
        [b'0', rest @ ..] => rest,
        other => match digits(other) {
            Some(rest) => rest,
            None => return false,
        },
    };
    if let [b'.', fraction @ ..] = rest {
        let Some(after) = digits(fraction) else { return false };
        rest = after;
    }
    if let [b'e' | b'E', exponent @ ..] = rest {
        let unsigned = exponent.strip_prefix(b"-").or(exponent.strip_prefix(b"+")).unwrap_or(exponent);
        let Some(after) = digits(unsigned) else { return false };
        rest = after;
    }
    rest.is_empty()
}

/// `NaN` (Python, RapidJSON), `nan` (C), `-nan` (glibc), `Infinity`, `inf`, and the same in other cases.
fn is_not_finite(word: &[u8]) -> bool {
    let unsigned = word.strip_prefix(b"-").unwrap_or(word);
    [&b"nan"[..], b"infinity", b"inf"].iter().any(|name| unsigned.eq_ignore_ascii_case(name))
}

#[cfg(test)]
mod tests;

//! A lenient JSON scanner that keeps where every value stands.
//!
//! One pass, one allocation: the document becomes a flat list of items, each with the bytes that it takes
//! and the number of the item after it, so that a subtree is a slice and nothing recurses. It takes what
//! real model servers send beyond JSON (`NaN`, `Infinity`, `-inf` and their other spellings) and refuses
//! what would be a guess: trailing bytes, missing commas, numbers such as `01`, nesting over
//! 96 levels. Texts are decoded only when they are asked for.
//!
//! Why not `serde_json`? It refuses bare `NaN`, and its values do not know where they stood.

mod scanner;

use std::{borrow::Cow, ops::Range};

use super::{Value, WireError};

pub use scanner::scan;

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

#[cfg(test)]
mod tests;

//! YAML as a tree that remembers where everything stands.
//!
//! The tree, not the text, is what [`super::structure`] reads typed values from and repairs, so that one
//! wrong key does not hide the next mistake. Sizes are bounded before anything is built: a "YAML bomb" is an
//! error like any other.

use std::{fmt, ops::Range};

use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, SeqAccess, Visitor},
};
use serde_saphyr::{Location, Spanned};

use super::{
    source::{Diagnostic, Source},
    syntax,
};

/// Largest source that is read, in bytes.
pub(super) const LARGEST: usize = 1 << 20;

/// More keys that stand twice are not listed.
const MOST_TWICE: usize = 20;

/// A step into a document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Step {
    /// A key of a mapping.
    Key(String),
    /// An entry of a list.
    Index(usize),
}

impl From<&str> for Step {
    fn from(key: &str) -> Step {
        Step::Key(key.to_owned())
    }
}

impl From<usize> for Step {
    fn from(index: usize) -> Step {
        Step::Index(index)
    }
}

/// The way from the root of a document to one of its values.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Path(pub(super) Vec<Step>);

impl Path {
    /// One step further.
    pub(super) fn then(&self, step: impl Into<Step>) -> Path {
        let mut steps = self.0.clone();
        steps.push(step.into());
        Path(steps)
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, step) in self.0.iter().enumerate() {
            match step {
                Step::Key(key) if position == 0 => f.write_str(key)?,
                Step::Key(key) => write!(f, ".{key}")?,
                Step::Index(index) => write!(f, "[{index}]")?,
            }
        }
        Ok(())
    }
}

/// A value and the bytes that it came from.
#[derive(Debug, Clone)]
pub(super) struct Node {
    pub(super) span: Range<usize>,
    pub(super) kind: Kind,
    /// Put in by a repair; no mistake of the author's.
    pub(super) made_up: bool,
    /// Came through `${…}`: its value must not be shown.
    pub(super) hidden: bool,
    /// A repair took something out of it.
    pub(super) damaged: bool,
}

/// What a [`Node`] holds.
#[derive(Debug, Clone)]
pub(super) enum Kind {
    Null,
    Bool(bool),
    Number(serde_json::Number),
    Text(String),
    List(Vec<Node>),
    Map(Vec<Entry>),
}

/// A key and its value.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    pub(super) key: String,
    pub(super) key_span: Range<usize>,
    pub(super) value: Node,
}

impl Node {
    fn new(span: Range<usize>, kind: Kind) -> Node {
        Node { span, kind, made_up: false, hidden: false, damaged: false }
    }

    /// Reads a source.
    ///
    /// # Errors
    /// Why it can't be read: every key that stands twice, or else the first mistake.
    pub(super) fn parse(source: &Source) -> Result<Node, Vec<Diagnostic>> {
        let mut text = source.text.to_string();
        let mut twice: Vec<Diagnostic> = Vec::new();
        loop {
            match Node::parse_text(source, &text) {
                Ok(root) if twice.is_empty() => return Ok(root),
                Err((mistake, syntax::Stop::Twice)) if twice.len() < MOST_TWICE => {
                    // Under another name, so that the next one is found too.
                    text.replace_range(mistake.span.clone(), &other_key(twice.len(), mistake.span.len()));
                    twice.push(mistake);
                }
                Err((mistake, _)) if twice.is_empty() => return Err(vec![mistake]),
                _ => return Err(twice),
            }
        }
    }

    fn parse_text(source: &Source, text: &str) -> Result<Node, (Diagnostic, syntax::Stop)> {
        if source.text.len() > LARGEST {
            let message = format!("the file is larger than {} KiB", LARGEST >> 10);
            let mut large = source.diagnostic(0..0, message, "far too much for a file of this kind");
            large.help = Some(
                "is it the right file? recorded requests go in `traffic.requests`, in a file of their own"
                    .to_owned(),
            );
            return Err((large, syntax::Stop::Other));
        }
        let options = serde_saphyr::options! {
            budget: serde_saphyr::budget! {
                max_depth: 32,
                max_nodes: 20_000,
                max_events: 60_000,
                max_aliases: 100,
                max_anchors: 100,
                max_documents: 8,
                max_total_scalar_bytes: LARGEST,
            },
            alias_limits: serde_saphyr::alias_limits! {
                max_total_replayed_events: 20_000,
                max_replay_stack_depth: 8,
            },
            duplicate_keys: serde_saphyr::options::DuplicateKeyPolicy::Error,
            strict_booleans: true,
            reject_non_finite_typeless_float: false,
            with_snippet: false,
        };
        let root = serde_saphyr::from_str_with_options::<Node>(text, options)
            .map_err(|error| syntax::explain(source, &error))?;
        match root.kind {
            Kind::Map(_) => Ok(root),
            Kind::Null => {
                let mut empty = source.diagnostic(0..0, "the file is empty", "nothing here");
                empty.help = Some("`canard init` writes a starter to begin from".to_owned());
                Err((empty, syntax::Stop::Other))
            }
            _ => {
                let message = "the file holds no mapping (`key: value`)";
                Err((
                    source.diagnostic(root.first_key(), message, "this is something else"),
                    syntax::Stop::Other,
                ))
            }
        }
    }

    /// The same as a JSON value.
    pub(super) fn to_json(&self) -> serde_json::Value {
        use serde_json::Value;
        match &self.kind {
            Kind::Null => Value::Null,
            Kind::Bool(truth) => Value::Bool(*truth),
            Kind::Number(number) => Value::Number(number.clone()),
            Kind::Text(text) => Value::String(text.clone()),
            Kind::List(list) => list.iter().map(Node::to_json).collect(),
            Kind::Map(map) => map.iter().map(|e| (e.key.clone(), e.value.to_json())).collect(),
        }
    }

    /// The node at a path.
    pub(super) fn at_mut(&mut self, path: &[Step]) -> Option<&mut Node> {
        let Some((step, rest)) = path.split_first() else { return Some(self) };
        let child = match (step, &mut self.kind) {
            (Step::Key(key), Kind::Map(map)) => &mut map.iter_mut().find(|e| e.key == *key)?.value,
            (Step::Index(index), Kind::List(list)) => list.get_mut(*index)?,
            _ => return None,
        };
        child.at_mut(rest)
    }

    /// What a message about a path may say and where it points: as far as the path goes in this document.
    pub(super) fn find(&self, path: &Path) -> Found {
        let mut node = self;
        let mut found =
            Found { span: self.first_key(), node: self.clone(), whole: true, made_up: false, depth: 0 };
        for step in &path.0 {
            let (child, key_span) = match (step, &node.kind) {
                (Step::Key(key), Kind::Map(map)) => match map.iter().find(|e| e.key == *key) {
                    Some(entry) => (&entry.value, Some(entry.key_span.clone())),
                    None => return found.partly(),
                },
                (Step::Index(index), Kind::List(list)) => match list.get(*index) {
                    Some(child) => (child, None),
                    None => return found.partly(),
                },
                // `fault: hang` for a variant that a path calls `fault.hang`.
                (Step::Key(key), Kind::Text(text)) if key == text => (node, None),
                _ => return found.partly(),
            };
            let span = match &child.kind {
                Kind::List(_) | Kind::Map(_) | Kind::Null => key_span.unwrap_or_else(|| child.first_key()),
                _ => child.span.clone(),
            };
            let (made_up, depth) = (found.made_up || child.made_up, found.depth + 1);
            found = Found { span, node: child.clone(), whole: true, made_up, depth };
            node = child;
        }
        found
    }

    /// Did a repair change it, or anything in it?
    pub(super) fn repaired(&self) -> bool {
        let inside = match &self.kind {
            Kind::List(list) => list.iter().any(Node::repaired),
            Kind::Map(map) => map.iter().any(|entry| entry.value.repaired()),
            _ => false,
        };
        self.made_up || self.damaged || inside
    }

    fn first_key(&self) -> Range<usize> {
        match &self.kind {
            Kind::Map(map) => map.first().map_or(self.span.clone(), |e| e.key_span.clone()),
            Kind::List(list) => list.first().map_or(self.span.clone(), Node::first_key),
            _ => self.span.clone(),
        }
    }
}

/// The end of a path in a document.
#[derive(Debug, Clone)]
pub(super) struct Found {
    /// Where a message points.
    pub(super) span: Range<usize>,
    /// The last node that was found.
    pub(super) node: Node,
    /// Was the whole path found?
    pub(super) whole: bool,
    /// Did a repair put it (or what holds it) in?
    pub(super) made_up: bool,
    /// How many steps of the path were found.
    pub(super) depth: usize,
}

impl Found {
    fn partly(self) -> Found {
        Found { whole: false, ..self }
    }
}

/// A key of so many bytes that nobody else has.
fn other_key(number: usize, length: usize) -> String {
    let digits = number.to_string();
    format!("{}{digits}", "~".repeat(length.saturating_sub(digits.len())))
}

pub(super) fn bytes(location: Location) -> Range<usize> {
    let span = location.span();
    let start = span.byte_offset().unwrap_or(0) as usize;
    start..start + span.byte_len().unwrap_or(0) as usize
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Node, D::Error> {
        let spanned = Spanned::<Kind>::deserialize(deserializer)?;
        Ok(Node::new(bytes(spanned.defined), spanned.value))
    }
}

impl<'de> Deserialize<'de> for Kind {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Kind, D::Error> {
        deserializer.deserialize_any(KindVisitor)
    }
}

struct KindVisitor;

impl<'de> Visitor<'de> for KindVisitor {
    type Value = Kind;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }

    fn visit_unit<E>(self) -> Result<Kind, E> {
        Ok(Kind::Null)
    }

    fn visit_none<E>(self) -> Result<Kind, E> {
        Ok(Kind::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Kind, D::Error> {
        deserializer.deserialize_any(self)
    }

    fn visit_bool<E>(self, truth: bool) -> Result<Kind, E> {
        Ok(Kind::Bool(truth))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Kind, E> {
        Ok(Kind::Number(number.into()))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Kind, E> {
        Ok(Kind::Number(number.into()))
    }

    fn visit_i128<E: serde::de::Error>(self, number: i128) -> Result<Kind, E> {
        self.visit_f64(number as f64)
    }

    fn visit_u128<E: serde::de::Error>(self, number: u128) -> Result<Kind, E> {
        self.visit_f64(number as f64)
    }

    fn visit_f64<E>(self, number: f64) -> Result<Kind, E> {
        Ok(match serde_json::Number::from_f64(number) {
            Some(number) => Kind::Number(number),
            None => Kind::Text(number.to_string()),
        })
    }

    fn visit_str<E>(self, text: &str) -> Result<Kind, E> {
        Ok(Kind::Text(text.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Kind, A::Error> {
        let mut list = Vec::new();
        while let Some(node) = access.next_element()? {
            list.push(node);
        }
        Ok(Kind::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Kind, A::Error> {
        let mut map = Vec::new();
        while let Some(key) = access.next_key::<Spanned<String>>()? {
            let key_span = bytes(key.defined);
            map.push(Entry { key: key.value, key_span, value: access.next_value()? });
        }
        Ok(Kind::Map(map))
    }
}

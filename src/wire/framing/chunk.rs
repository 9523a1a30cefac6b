//! One message of a stream, with its delimiters.

use std::{borrow::Cow, ops::Range};

use bytes::Bytes;

use super::sse::Scanner;
use crate::wire::encoding::Encoding;

/// One message of a stream: an SSE event, a line of JSON, a gRPC message.
///
/// The payload is what the codec reads: the data of an event (its lines joined with newlines), the JSON of a
/// line, the decoded message. Comments, blank lines and what can't be read have an empty one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chunk {
    bytes: Bytes,
    payload: Payload,
    /// The payload, where it does not stand in `bytes` as it is.
    joined: Option<Bytes>,
}

/// Where the payload of a chunk stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Payload {
    None,
    Span(Range<usize>),
    Event {
        name: Option<Range<usize>>,
        data: Line,
        more: Vec<Line>,
        /// A byte order mark comes before it.
        marked: bool,
    },
    /// A gRPC message of so many bytes; decoded, if it was compressed.
    Message {
        plain: Option<(Encoding, Vec<u8>)>,
        length: usize,
    },
}

/// A `data` line of an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Line {
    /// With its name and its end.
    pub(super) whole: Range<usize>,
    pub(super) value: Range<usize>,
}

impl Chunk {
    pub(super) fn new(bytes: Bytes, mut payload: Payload) -> Chunk {
        let joined = match &mut payload {
            Payload::Event { data, more, .. } if !more.is_empty() => {
                let lines = [&*data].into_iter().chain(&*more).map(|line| &bytes[line.value.clone()]);
                Some(lines.collect::<Vec<_>>().join(&b'\n').into())
            }
            Payload::Message { plain: Some((_, plain)), .. } => Some(std::mem::take(plain).into()),
            _ => None,
        };
        Chunk { bytes, payload, joined }
    }

    /// Bytes that pass as they are, with no payload to read.
    pub const fn opaque(bytes: Bytes) -> Chunk {
        Chunk { bytes, payload: Payload::None, joined: None }
    }

    /// A body that is one chunk, all payload.
    pub const fn whole(bytes: Bytes) -> Chunk {
        let payload = Payload::Span(0..bytes.len());
        Chunk { bytes, payload, joined: None }
    }

    /// All of it, delimiters included.
    pub const fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// All of it, delimiters included.
    pub fn into_bytes(self) -> Bytes {
        self.bytes
    }

    /// What a codec reads.
    pub fn payload(&self) -> &[u8] {
        match (&self.joined, &self.payload) {
            (Some(joined), _) => joined,
            (None, Payload::Span(span)) => &self.bytes[span.clone()],
            (None, Payload::Event { data, .. }) => &self.bytes[data.value.clone()],
            (None, Payload::Message { length, .. }) => &self.bytes[5..5 + length],
            (None, Payload::None) => &[],
        }
    }

    /// The name of an event, as its `event` field tells it.
    pub fn name(&self) -> Option<Cow<'_, str>> {
        match &self.payload {
            Payload::Event { name: Some(name), .. } => {
                Some(String::from_utf8_lossy(&self.bytes[name.clone()]))
            }
            _ => None,
        }
    }

    /// The same chunk with another payload: delimiters, comments, other fields and the compression of a gRPC
    /// message stay. A chunk without a payload stays as it is.
    #[must_use]
    pub fn with_payload(&self, payload: Vec<u8>) -> Chunk {
        match &self.payload {
            Payload::None => self.clone(),
            Payload::Span(span) => {
                let bytes = [&self.bytes[..span.start], &payload, &self.bytes[span.end..]].concat();
                Chunk::new(bytes.into(), Payload::Span(span.start..span.start + payload.len()))
            }
            Payload::Event { data, more, marked, .. } => self.with_lines(data, more, *marked, &payload),
            Payload::Message { plain, .. } => message(plain.as_ref().map(|(coding, _)| *coding), payload),
        }
    }

    /// Each line of the payload takes the place of a `data` line; more or fewer are added or dropped at the last.
    fn with_lines(&self, data: &Line, more: &[Line], marked: bool, payload: &[u8]) -> Chunk {
        let new = lines(payload);
        let mut out = Vec::with_capacity(self.bytes.len() + payload.len());
        let mut copied = 0;
        for (index, line) in [data].into_iter().chain(more).enumerate() {
            out.extend_from_slice(&self.bytes[copied..line.whole.start]);
            copied = line.whole.end;
            let end = if index == more.len() { new.len() } else { new.len().min(index + 1) };
            let pieces = new.get(index..end).unwrap_or_default();
            // Where a line is dropped, a CR before it and an LF after it would become one end.
            if pieces.is_empty() && out.ends_with(b"\r") && self.bytes.get(copied) == Some(&b'\n') {
                out.push(b'\r');
            }
            for piece in pieces {
                let name = &self.bytes[line.whole.start..line.value.start];
                out.extend_from_slice(name);
                if !name.contains(&b':') && !piece.is_empty() {
                    out.push(b':');
                }
                // The one space after the colon is none of the value.
                if !name.ends_with(b" ") && piece.starts_with(b" ") {
                    out.push(b' ');
                }
                out.extend_from_slice(piece);
                out.extend_from_slice(&self.bytes[line.value.end..line.whole.end]);
            }
        }
        out.extend_from_slice(&self.bytes[copied..]);
        // With something after it, that a CR at the end be known for the end.
        out.push(b'.');
        let found = Scanner::resumed(!marked).event(&out, &mut 0);
        out.pop();
        let payload = found.map_or(Payload::None, |(_, payload)| payload);
        Chunk::new(out.into(), payload)
    }
}

/// The lines of a payload, of which there is at least one.
fn lines(payload: &[u8]) -> Vec<&[u8]> {
    let mut lines = Vec::new();
    let mut rest = payload;
    while let Some(at) = memchr::memchr2(b'\n', b'\r', rest) {
        lines.push(&rest[..at]);
        let end = if rest[at..].starts_with(b"\r\n") { at + 2 } else { at + 1 };
        rest = &rest[end..];
    }
    lines.push(rest);
    lines
}

/// A gRPC message, compressed if it was.
fn message(coding: Option<Encoding>, payload: Vec<u8>) -> Chunk {
    let message = coding.map(|coding| coding.encode(payload.clone()));
    let sent = message.as_ref().unwrap_or(&payload);
    let mut bytes = Vec::with_capacity(sent.len() + 5);
    bytes.push(u8::from(coding.is_some()));
    // A message of 4 GiB is over every limit.
    bytes.extend_from_slice(&u32::try_from(sent.len()).unwrap_or(u32::MAX).to_be_bytes());
    bytes.extend_from_slice(sent);
    let length = sent.len();
    Chunk::new(bytes.into(), Payload::Message { plain: coding.map(|coding| (coding, payload)), length })
}

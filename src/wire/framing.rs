//! Streams cut into the messages that they consist of: SSE events, lines of JSON, gRPC messages.
//!
//! A [`Framer`] takes the bytes as the network brings them and gives [`Chunk`]s as soon as each is complete.
//! What chunks it gives depends on the bytes alone, never on how they were cut, and all chunks and the
//! [`Framer::rest`] joined are the stream: a chunk keeps its delimiters, comments and all, and
//! [`Chunk::with_payload`] rewrites the payload and nothing else. What is over the limit, or labelled as events and
//! is none, ends the cutting, and passes as it came.

mod chunk;
mod sse;

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, header::CONTENT_TYPE};

use super::{WireError, encoding::Encoding};
use chunk::{Line, Payload};
use sse::Scanner;

pub use chunk::Chunk;

const NDJSON: [&str; 4] =
    ["application/x-ndjson", "application/ndjson", "application/jsonl", "application/jsonlines"];

/// How a body is cut into chunks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum Framing {
    /// It is one.
    #[default]
    Whole,
    /// Server-sent events (WHATWG HTML, 9.2).
    Sse,
    /// JSON, one document a line.
    Ndjson,
    /// gRPC's length-prefixed messages.
    Grpc,
    /// Bare text that is shown as it comes, without any delimiters.
    Text,
}

impl Framing {
    /// What the content type says.
    pub fn of(headers: &HeaderMap) -> Framing {
        let media = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let media = media.split(';').next().unwrap_or_default().trim();
        let is = |name: &str| media.eq_ignore_ascii_case(name);
        match () {
            () if is("text/event-stream") => Framing::Sse,
            () if NDJSON.iter().any(|name| is(name)) => Framing::Ndjson,
            () if is("application/grpc") => Framing::Grpc,
            // `application/grpc+proto`, but not `application/grpc-web`.
            () if media.get(..17).is_some_and(|m| m.eq_ignore_ascii_case("application/grpc+")) => {
                Framing::Grpc
            }
            () => Framing::Whole,
        }
    }
}

/// Cuts a stream into chunks.
///
/// ```
/// use canard::wire::{Framer, Framing};
/// let mut framer = Framer::new(Framing::Sse, 1024);
/// framer.push(b"data: {\"a\":1}\r\n\r\ndata: [DO".as_slice().into());
/// let chunk = framer.next().unwrap()?;
/// assert_eq!(chunk.payload(), b"{\"a\":1}");
/// assert_eq!(chunk.with_payload(b"{}".to_vec()).bytes(), "data: {}\r\n\r\n");
/// assert!(framer.next().is_none());
/// assert_eq!(framer.rest(), "data: [DO");
/// # Ok::<(), canard::wire::WireError>(())
/// ```
#[derive(Debug)]
pub struct Framer {
    framing: Framing,
    limit: usize,
    messages: Encoding,
    buffer: BytesMut,
    /// Of `buffer`, already looked at.
    scanned: usize,
    scanner: Scanner,
    failed: bool,
}

impl Framer {
    /// A framer of chunks of up to `limit` bytes.
    pub fn new(framing: Framing, limit: usize) -> Framer {
        Framer {
            framing,
            limit,
            messages: Encoding::Identity,
            buffer: BytesMut::new(),
            scanned: 0,
            scanner: Scanner::default(),
            failed: false,
        }
    }

    /// How the messages of a gRPC call are coded that are marked as compressed; their payload is decoded, and
    /// coded again when it is replaced. See [`Encoding::of_messages`].
    #[must_use]
    pub fn with_messages(self, messages: Encoding) -> Framer {
        Framer { messages, ..self }
    }

    /// Takes the next bytes of the stream.
    pub fn push(&mut self, bytes: Bytes) {
        self.buffer.extend_from_slice(&bytes);
    }

    /// The next chunk that is complete.
    ///
    /// # Errors
    /// [`WireError::TooLarge`], or [`WireError::Malformed`] for a stream of events that does not begin like one,
    /// once: nothing more is cut after it, and [`Framer::rest`] has the bytes.
    #[expect(clippy::should_implement_trait, reason = "more may come after `None`")]
    pub fn next(&mut self) -> Option<Result<Chunk, WireError>> {
        if self.failed || self.buffer.is_empty() {
            return None;
        }
        if self.framing == Framing::Sse && !self.scanner.may_begin(&self.buffer) {
            self.failed = true;
            return Some(Err(WireError::Malformed("no stream of events, though labelled as one".into())));
        }
        let found = match self.framing {
            Framing::Whole => None,
            Framing::Sse => self.scanner.event(&self.buffer, &mut self.scanned),
            Framing::Ndjson => self.line(),
            Framing::Grpc => self.message(),
            Framing::Text => self.text(),
        };
        let length = found.as_ref().map_or(self.buffer.len(), |(length, _)| *length);
        if length > self.limit {
            self.failed = true;
            return Some(Err(WireError::TooLarge { limit: self.limit }));
        }
        let (length, payload) = found?;
        self.scanned = 0;
        Some(Ok(Chunk::new(self.buffer.split_to(length).freeze(), payload)))
    }

    /// What came and was not given as a chunk: the last, incomplete one, or all since an error.
    pub fn rest(&mut self) -> Bytes {
        self.scanned = 0;
        self.scanner = Scanner::default();
        self.buffer.split().freeze()
    }

    /// At the end of the stream: the last chunk, if nothing but the end was missing. A line of JSON without a
    /// newline is one, and so is a whole body; an event without its blank line is none, as readers drop it.
    pub fn last(&mut self) -> Option<Chunk> {
        let complete = matches!(self.framing, Framing::Whole | Framing::Ndjson | Framing::Text);
        if self.failed || self.buffer.is_empty() || !complete {
            return None;
        }
        let bytes = self.rest();
        let payload = Payload::Span(trimmed(self.framing, &bytes));
        Some(Chunk::new(bytes, payload))
    }

    fn line(&mut self) -> Option<(usize, Payload)> {
        let Some(found) = memchr::memchr(b'\n', &self.buffer[self.scanned..]) else {
            self.scanned = self.buffer.len();
            return None;
        };
        let end = self.scanned + found + 1;
        Some((end, Payload::Span(trimmed(self.framing, &self.buffer[..end]))))
    }

    fn message(&mut self) -> Option<(usize, Payload)> {
        let &[flag, a, b, c, d, ref rest @ ..] = &*self.buffer else { return None };
        let length = u32::from_be_bytes([a, b, c, d]) as usize;
        let Some(message) = rest.get(..length) else {
            // Without waiting for what is over the limit anyway.
            return (length.saturating_add(5) > self.limit)
                .then_some((length.saturating_add(5), Payload::None));
        };
        let payload = match (flag, self.messages) {
            (0, _) => Payload::Message { plain: None, length },
            (1, Encoding::Identity) => Payload::None,
            (1, coding) => match coding.decode(message, self.limit) {
                Ok(plain) => Payload::Message { plain: Some((coding.as_sent(message), plain)), length },
                Err(_) => Payload::None,
            },
            _ => Payload::None,
        };
        Some((5 + length, payload))
    }

    /// All of it but for a character that is not complete.
    fn text(&mut self) -> Option<(usize, Payload)> {
        let length = complete(&self.buffer);
        (length > 0).then_some((length, Payload::Span(0..length)))
    }
}

/// Where the payload of a line, or of a whole body, stands.
fn trimmed(framing: Framing, bytes: &[u8]) -> std::ops::Range<usize> {
    match framing {
        Framing::Ndjson => {
            let start = bytes.len() - bytes.trim_ascii_start().len();
            start..(start + bytes[start..].trim_ascii_end().len())
        }
        _ => 0..bytes.len(),
    }
}

/// The length without the beginning of a UTF-8 character at the end.
fn complete(bytes: &[u8]) -> usize {
    let from = bytes.len().saturating_sub(3);
    let lead = bytes[from..].iter().rposition(|byte| *byte >= 0xc0).map(|at| from + at);
    match lead {
        Some(at) => {
            let width = match bytes[at] {
                0xc2..=0xdf => 2,
                0xe0..=0xef => 3,
                0xf0..=0xf4 => 4,
                _ => 1,
            };
            let is_begun = bytes[at + 1..].iter().all(|byte| (0x80..0xc0).contains(byte));
            if is_begun && bytes.len() - at < width { at } else { bytes.len() }
        }
        None => bytes.len(),
    }
}

#[cfg(test)]
mod tests;

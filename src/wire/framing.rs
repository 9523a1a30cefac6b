//! How a stream is cut into chunks: SSE events, NDJSON lines, gRPC messages.

use bytes::Bytes;
use http::{HeaderMap, header::CONTENT_TYPE};

/// How a body is cut into chunks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Framing {
    /// It is one.
    #[default]
    Whole,
    /// Server-sent events.
    Sse,
    /// JSON, one document a line.
    Ndjson,
    /// gRPC's length-prefixed messages.
    Grpc,
}

impl Framing {
    /// What the content type says.
    pub fn of(headers: &HeaderMap) -> Framing {
        let media = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let media = media.split(';').next().unwrap_or_default().trim();
        match () {
            () if media.eq_ignore_ascii_case("text/event-stream") => Framing::Sse,
            () if media.eq_ignore_ascii_case("application/x-ndjson") => Framing::Ndjson,
            () if media.get(..16).is_some_and(|m| m.eq_ignore_ascii_case("application/grpc")) => {
                Framing::Grpc
            }
            () => Framing::Whole,
        }
    }
}

/// One chunk of a stream, with its delimiters as they were sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chunk {
    bytes: Bytes,
    /// Where the payload lies in the bytes.
    payload: std::ops::Range<usize>,
}

impl Chunk {
    /// Bytes that nobody looks into.
    pub const fn opaque(bytes: Bytes) -> Chunk {
        Chunk { bytes, payload: 0..0 }
    }

    /// A body that is one chunk, all payload.
    pub const fn whole(bytes: Bytes) -> Chunk {
        let payload = 0..bytes.len();
        Chunk { bytes, payload }
    }

    /// What the protocol says in it, without delimiters.
    pub fn payload(&self) -> &[u8] {
        &self.bytes[self.payload.clone()]
    }

    /// The chunk with another payload.
    #[must_use]
    pub fn with_payload(&self, payload: Vec<u8>) -> Chunk {
        let (before, after) = (&self.bytes[..self.payload.start], &self.bytes[self.payload.end..]);
        let place = before.len()..before.len() + payload.len();
        Chunk { bytes: [before, &payload, after].concat().into(), payload: place }
    }

    /// The chunk as it goes out.
    pub const fn bytes(&self) -> &Bytes {
        &self.bytes
    }
}

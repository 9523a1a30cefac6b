//! Where one server-sent event ends and where its data stands.
//!
//! Lines end in LF, CRLF or CR. After a CR the next byte tells which, so a blank line that ends in CR waits for
//! it, unless the line before ended in a bare CR: then an LF after it would only be one more blank line.
//! Comments and blank lines before an event are chunks of their own, so that a keep-alive never waits for the
//! event after it. A stream that begins with none of the fields is none of events: some servers label raw text
//! so, and it must not be held back until it happens to have a blank line.

use std::ops::Range;

use super::{Line, Payload};

const BOM: &[u8] = b"\xef\xbb\xbf";

/// The fields that there are (WHATWG HTML, 9.2.6).
const FIELDS: [&[u8]; 4] = [b"data", b"event", b"id", b"retry"];

/// What is known of the event that the buffer begins with.
#[derive(Debug, Default)]
pub(super) struct Scanner {
    /// Where the line begins that is looked at.
    line: usize,
    /// Has the stream's first line passed, which may begin with a byte order mark?
    begun: bool,
    /// Does the event begin with that mark?
    marked: bool,
    /// Did the line before end in a bare CR?
    bare: bool,
    /// Has the event any field?
    fields: bool,
    name: Option<Range<usize>>,
    data: Option<Line>,
    more: Vec<Line>,
}

impl Scanner {
    /// One that begins in the middle of a stream, or at its start.
    pub(super) fn resumed(begun: bool) -> Scanner {
        Scanner { begun, ..Scanner::default() }
    }

    /// Is this, as far as it goes, how a stream of events begins?
    pub(super) fn may_begin(&self, buffer: &[u8]) -> bool {
        if self.begun || BOM.starts_with(buffer) {
            return true;
        }
        let text = buffer.strip_prefix(BOM).unwrap_or(buffer);
        let is_field = |field: &&[u8]| match text.strip_prefix(*field) {
            Some(rest) => matches!(rest.first(), None | Some(b':' | b'\r' | b'\n')),
            None => field.starts_with(text),
        };
        matches!(text.first(), None | Some(b':' | b'\r' | b'\n')) || FIELDS.iter().any(is_field)
    }

    /// The length of the first complete event of the buffer, and where its payload stands.
    pub(super) fn event(&mut self, buffer: &[u8], scanned: &mut usize) -> Option<(usize, Payload)> {
        loop {
            let Some(found) = memchr::memchr2(b'\n', b'\r', &buffer[*scanned..]) else {
                *scanned = buffer.len();
                return None;
            };
            let at = *scanned + found;
            let start = self.line + self.mark(buffer);
            let is_blank = at == start;
            let (end, bare) = match (buffer[at], buffer.get(at + 1)) {
                (b'\n', _) => (at + 1, false),
                _ if is_blank && self.bare => (at + 1, true),
                (_, Some(b'\n')) => (at + 2, false),
                (_, Some(_)) => (at + 1, true),
                (_, None) => {
                    *scanned = at;
                    return None;
                }
            };
            self.marked |= start > self.line;
            self.begun = true;
            self.bare = bare;
            let is_comment = buffer[start] == b':';
            if is_blank || is_comment && !self.fields {
                return Some((end, self.finish()));
            }
            if !is_comment {
                self.field(buffer, start..at, start..end);
            }
            self.line = end;
            *scanned = end;
        }
    }

    /// Length of the byte order mark before the line.
    fn mark(&self, buffer: &[u8]) -> usize {
        if !self.begun && buffer.starts_with(BOM) { BOM.len() } else { 0 }
    }

    fn field(&mut self, buffer: &[u8], line: Range<usize>, whole: Range<usize>) {
        self.fields = true;
        let text = &buffer[line.clone()];
        let colon = memchr::memchr(b':', text).unwrap_or(text.len());
        let after = (line.start + colon + 1).min(line.end);
        let value = after + usize::from(buffer[after..line.end].starts_with(b" "))..line.end;
        match &text[..colon] {
            b"data" if self.data.is_none() => self.data = Some(Line { whole, value }),
            b"data" => self.more.push(Line { whole, value }),
            b"event" => self.name = Some(value),
            _ => {}
        }
    }

    /// Begins anew after an event.
    fn finish(&mut self) -> Payload {
        let payload = match self.data.take() {
            Some(data) => Payload::Event {
                name: self.name.take(),
                data,
                more: std::mem::take(&mut self.more),
                marked: self.marked,
            },
            None => Payload::None,
        };
        self.line = 0;
        self.fields = false;
        self.marked = false;
        self.name = None;
        payload
    }
}

//! HTTP/1.1 messages as they stood on a wire: just enough to tell where each begins and ends.

use std::fmt;

use super::tap::Wire;

/// Fields that speak of one connection only (RFC 9110 §7.6.1).
const HOP_BY_HOP: [&str; 8] = [
    "connection",
    "keep-alive",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "expect",
];

/// A request with its answer, which is `None` where the connection broke before its head was whole.
#[derive(Debug)]
pub(crate) struct Exchange {
    pub(crate) request: Message,
    pub(crate) response: Option<Message>,
}

#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Message {
    /// The request line or the status line.
    pub(crate) start: String,
    /// Names in lower case, in their order.
    pub(crate) fields: Vec<(String, String)>,
    /// Without its transfer coding.
    pub(crate) body: Vec<u8>,
    /// Ended as its framing says it should.
    pub(crate) whole: bool,
}

impl Message {
    pub(crate) fn field(&self, name: &str) -> Option<&str> {
        self.fields.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str())
    }

    /// The status of a response.
    pub(crate) fn status(&self) -> u16 {
        self.start.split(' ').nth(1).and_then(|code| code.parse().ok()).unwrap_or_default()
    }

    /// Everything but what speaks of the connection, and the names in `but`. Sorted by name, because only the
    /// order of fields of one name means anything (RFC 9110 §5.3).
    pub(crate) fn end_to_end(&self, but: &[&str]) -> Message {
        let mut message = self.clone();
        message
            .fields
            .retain(|(name, _)| !HOP_BY_HOP.contains(&name.as_str()) && !but.contains(&name.as_str()));
        message.fields.sort_by(|(a, _), (b, _)| a.cmp(b));
        message
    }
}

impl fmt::Debug for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.start)?;
        self.fields.iter().try_for_each(|(name, value)| writeln!(f, "{name}: {value}"))?;
        let end = if self.whole { "" } else { " (cut short)" };
        write!(f, "{} bytes{end}: {}", self.body.len(), self.body.escape_ascii())
    }
}

/// The exchanges on a wire; `None` while one of them is not over.
pub(super) fn exchanges(wire: &Wire) -> Option<Vec<Exchange>> {
    let (mut requests, mut answers) = (&wire.to_server[..], &wire.to_client[..]);
    let mut found = Vec::new();
    while !requests.is_empty() {
        let head = requests.split(|byte| *byte == b' ').next() == Some(b"HEAD");
        let Some(request) = message(&mut requests, true, false, wire.ended)? else { break };
        let response = message(&mut answers, false, head, wire.ended)?;
        let over = response.is_none();
        found.push(Exchange { request, response });
        if over {
            break;
        }
    }
    Some(found)
}

/// How many requests a wire carried; 0 where it is no HTTP/1.1.
pub(super) fn requests(wire: &Wire) -> usize {
    let mut bytes = &wire.to_server[..];
    std::iter::from_fn(|| message(&mut bytes, true, false, true).flatten()).count()
}

/// Takes one message. The outer `None`: it is not over yet; the inner: it will never be.
fn message(bytes: &mut &[u8], request: bool, bodiless: bool, ended: bool) -> Option<Option<Message>> {
    let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") else {
        return ended.then_some(None);
    };
    let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
    let mut lines = head.split("\r\n");
    let start = lines.next().unwrap_or_default().to_owned();
    let fields: Vec<(String, String)> = lines
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
        .collect();
    let mut message = Message { start, fields, body: Vec::new(), whole: true };
    let rest = &bytes[end + 4..];
    let status = if request { 200 } else { message.status() };
    if status == 100 {
        *bytes = rest;
        return self::message(bytes, request, bodiless, ended);
    }
    let empty = bodiless || status == 204 || status == 304;
    let chunked = message.field("transfer-encoding").is_some_and(|value| value.contains("chunked"));
    let length = message.field("content-length").and_then(|value| value.parse::<usize>().ok());
    let taken = match (empty, chunked, length) {
        (true, ..) => Some(0),
        (false, true, _) => chunks(rest, &mut message.body),
        (false, false, Some(length)) => {
            message.body = rest[..length.min(rest.len())].to_vec();
            (rest.len() >= length).then_some(length)
        }
        (false, false, None) if request => Some(0),
        (false, false, None) => {
            message.body = rest.to_vec();
            ended.then_some(rest.len())
        }
    };
    message.whole = taken.is_some();
    if !message.whole && !ended {
        return None;
    }
    *bytes = &rest[taken.unwrap_or(rest.len())..];
    Some(Some(message))
}

/// Joins chunks into `body`; how many bytes they took, if the last of them is there.
fn chunks(bytes: &[u8], body: &mut Vec<u8>) -> Option<usize> {
    let mut at = 0;
    loop {
        let line = bytes[at..].windows(2).position(|two| two == b"\r\n")?;
        let size = std::str::from_utf8(&bytes[at..at + line]).ok()?;
        let size = usize::from_str_radix(size.split(';').next()?.trim(), 16).ok()?;
        at += line + 2;
        if size == 0 {
            let end = bytes[at..].windows(2).position(|two| two == b"\r\n")?;
            // Trailers, if there are any, end with an empty line.
            let end =
                if end == 0 { 2 } else { bytes[at..].windows(4).position(|four| four == b"\r\n\r\n")? + 4 };
            return Some(at + end);
        }
        body.extend_from_slice(bytes.get(at..(at + size).min(bytes.len()))?);
        bytes.get(at..at + size + 2)?;
        at += size + 2;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wire(to_server: &str, to_client: &str, ended: bool) -> Wire {
        Wire { to_server: to_server.into(), to_client: to_client.into(), ended }
    }

    #[test]
    fn each_request_has_its_answer() {
        let asked = "GET /a HTTP/1.1\r\n\r\nPOST /b HTTP/1.1\r\nContent-Length: 2\r\n\r\nhi";
        let told = "HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\nxHTTP/1.1 404 No\r\nTransfer-Encoding: chunked\r\n\r\n\
                    2\r\nab\r\n1;x\r\nc\r\n0\r\n\r\n";
        let found = exchanges(&wire(asked, told, false)).unwrap();
        let answer = |i: usize| found[i].response.clone().unwrap();
        assert_eq!((found.len(), answer(0).body, answer(1).body), (2, b"x".to_vec(), b"abc".to_vec()));
        assert_eq!((answer(1).status(), &found[1].request.body[..]), (404, &b"hi"[..]));
        for cut in 1..told.len() {
            assert!(exchanges(&wire(asked, &told[..cut], false)).is_none(), "{cut}");
            let found = exchanges(&wire(asked, &told[..cut], true)).unwrap();
            assert!(found.last().unwrap().response.as_ref().is_none_or(|answer| !answer.whole), "{cut}");
        }
    }
}

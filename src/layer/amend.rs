//! The features of a request: read for conditions on rows, and changed for faults on them.
//!
//! A gRPC call may send its messages one after another and wait for answers in between, so its body is never
//! read as a whole: the first message tells the features, and each is amended as it passes. Everything fails
//! open. A request whose body is signed or summed is left alone (`checksum`).

use std::borrow::Cow;

use bytes::{Buf as _, Bytes};
use http::{HeaderMap, request};

use super::{
    edit::{has_digest, is_stream},
    exchange::Exchange,
    request_body::Held,
    rows::{RowEdits, Side},
    victim::{Rule, Victim},
};
use crate::wire::{Answer, Head, WireError, encoding::Encoding};

/// A body that is signed (AWS Signature Version 4) has its sum here.
const SIGNED: &str = "x-amz-content-sha256";

/// Flags and length of a gRPC message.
const PREFIX: usize = 5;

/// May the body of this request be amended? If not, why.
pub(super) fn check(exchange: &Exchange, headers: &HeaderMap) -> Result<(), &'static str> {
    if !exchange.is_prediction() {
        return Err("not-a-prediction");
    }
    if is_stream(headers) && !exchange.is_grpc {
        return Err("stream");
    }
    if has_digest(headers) || headers.contains_key(SIGNED) {
        return Err("checksum");
    }
    Encoding::of(headers).map(drop).map_err(|error| error.reason())
}

/// The body without its coding; of a gRPC call the first message.
fn plain<'a>(
    headers: &HeaderMap,
    body: &'a [u8],
    is_grpc: bool,
    limit: usize,
) -> Result<Cow<'a, [u8]>, WireError> {
    let (coding, body) = match (is_grpc, message(body)) {
        (false, _) => (Encoding::of(headers)?.as_sent(body), body),
        (true, Some((true, message))) => (Encoding::of_messages(headers)?, message),
        (true, Some((false, message))) => (Encoding::Identity, message),
        (true, None) => return Err(WireError::Malformed("no whole message".to_owned())),
    };
    Ok(match coding {
        Encoding::Identity => Cow::Borrowed(body),
        coding => Cow::Owned(coding.decode(body, limit)?),
    })
}

/// The first message of a gRPC body, and whether it is compressed.
fn message(mut body: &[u8]) -> Option<(bool, &[u8])> {
    let flags = *body.first()?;
    let length = first_length(body)?;
    body.advance(PREFIX);
    body.get(..length).map(|message| (flags & 1 != 0, message))
}

fn first_length(body: &[u8]) -> Option<usize> {
    let length: [u8; 4] = body.get(1..PREFIX)?.try_into().ok()?;
    usize::try_from(u32::from_be_bytes(length)).ok()
}

/// Is the first message of a gRPC body there?
pub(super) fn has_message<E>(held: &Held<E>) -> bool {
    let mut prefix = held.frames.iter().filter_map(http_body::Frame::data_ref).flatten().copied();
    let prefix: Vec<u8> = prefix.by_ref().take(PREFIX).collect();
    first_length(&prefix).is_some_and(|length| held.bytes >= (PREFIX as u64).saturating_add(length as u64))
}

/// The features of a request, of whose body this was read.
pub(super) fn features<E>(
    exchange: &Exchange,
    parts: &request::Parts,
    held: &Held<E>,
) -> Result<Answer, &'static str> {
    let lease = &exchange.victim.lease;
    let body = held.joined();
    let read = || {
        let plain = plain(&parts.headers, &body, exchange.is_grpc, lease.body_limit)?;
        let head = Head { path: parts.uri.path(), headers: &parts.headers };
        lease.plan.target.codec.features(head, &plain)
    };
    read().map(|reading| reading.answer()).map_err(|error| error.reason())
}

/// Amends a whole body; `None` leaves it as it is. Headers that count bytes of it follow, but for
/// `Content-Length`.
pub(super) fn whole(
    victim: &mut Victim,
    rules: Vec<Rule>,
    path: &str,
    headers: &mut HeaderMap,
    body: &Bytes,
) -> Option<Bytes> {
    let mut rows = RowEdits::open(victim, Side::Request, rules);
    let amended = plain(headers, body, false, victim.lease.body_limit).map(|plain| {
        let spliced = rows.message(victim, Head { path, headers }, &plain)?;
        let coding = Encoding::of(headers).unwrap_or(Encoding::Identity).as_sent(body);
        for (name, value) in spliced.headers {
            headers.insert(name, value);
        }
        Some(coding.encode(spliced.body).into())
    });
    if let Err(error) = &amended {
        rows.miss(error.reason());
    }
    rows.settle(victim);
    amended.ok().flatten()
}

//! The features of a request: read for conditions on rows, and changed for faults on them.
//!
//! A gRPC call may send its messages one after another and wait for answers in between, so its body is never
//! read as a whole: the first message tells the features, and each is amended as it passes. Everything fails
//! open. A request whose body is signed or summed is left alone (`checksum`).

use std::borrow::Cow;

use bytes::{Buf as _, Bytes};
use http::{HeaderMap, StatusCode, request};

use super::{
    edit::{has_digest, is_stream},
    exchange::Exchange,
    request_body::Held,
    rows::{RowEdits, Side},
    victim::{Rule, Victim},
};
use crate::{
    fault::Amended,
    wire::{Answer, Head, WireError, encoding::Encoding},
};

/// A body that is signed (AWS Signature Version 4) has its sum here.
const SIGNED: &str = "x-amz-content-sha256";

/// Flags and length of a gRPC message.
const PREFIX: usize = 5;

/// May the body of this request be changed? If not, why.
pub(super) fn check(exchange: &Exchange, headers: &HeaderMap) -> Result<(), &'static str> {
    if is_stream(headers) && !exchange.is_grpc {
        return Err("stream");
    }
    if has_digest(headers) || headers.contains_key(SIGNED) {
        return Err("checksum");
    }
    Encoding::of(headers).map(drop).map_err(|error| error.reason())
}

/// The body without its coding; of a gRPC call the first message.
pub(super) fn plain<'a>(
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
pub(super) fn features(
    exchange: &Exchange,
    parts: &request::Parts,
    body: &[u8],
) -> Result<Answer, &'static str> {
    let lease = &exchange.victim.lease;
    let read = || {
        let plain = plain(&parts.headers, body, exchange.is_grpc, lease.body_limit)?;
        let head = Head { path: parts.uri.path(), headers: &parts.headers };
        lease.plan.target.codec.features(head, &plain)
    };
    read().map(|reading| reading.answer()).map_err(|error| error.reason())
}

/// What becomes of a request's body.
#[derive(Debug)]
pub(super) enum Amendment {
    Unchanged,
    /// Headers that count bytes of it have followed, but for `Content-Length`.
    Body(Bytes),
    /// The upstream never sees it; this is answered.
    Swallowed {
        status: StatusCode,
        headers: HeaderMap,
        body: Bytes,
    },
}

/// A body of a request that was read as a whole, and the faults on it.
pub(super) struct Whole<'a> {
    /// Faults on its features.
    pub(super) amends: Vec<Rule>,
    /// Faults on a body without any.
    pub(super) bodies: Vec<Rule>,
    pub(super) path: &'a str,
    pub(super) body: &'a Bytes,
}

impl Whole<'_> {
    /// Lets the faults change it.
    pub(super) fn amended(self, victim: &mut Victim, headers: &mut HeaderMap) -> Amendment {
        let mut rows = RowEdits::open(victim, Side::Request, self.amends);
        let plain = match plain(headers, self.body, false, victim.lease.body_limit) {
            Ok(plain) => plain,
            Err(error) => {
                rows.miss(error.reason());
                rows.settle(victim);
                victim.skip_all(self.bodies, error.reason());
                return Amendment::Unchanged;
            }
        };
        let mut amended = None;
        if !rows.is_empty()
            && let Some(spliced) = rows.message(victim, Head { path: self.path, headers }, &plain)
        {
            headers.extend(spliced.headers);
            amended = Some(spliced.body);
        }
        rows.settle(victim);
        for rule in self.bodies {
            let Some(permit) = victim.reserve(rule) else { continue };
            let body = amended.as_deref().unwrap_or(&plain);
            match victim.fault(rule).amend_body(body, &victim.edit_context(rule)) {
                Err(reason) => victim.skip(rule, reason),
                Ok(Amended::Unchanged) => {}
                Ok(Amended::Body(body)) => {
                    victim.commit(permit, rule, "request changed", 0);
                    amended = Some(body);
                }
                Ok(Amended::Swallowed { status, headers, body }) => {
                    victim.commit(permit, rule, "request swallowed", 0);
                    return Amendment::Swallowed { status, headers, body };
                }
            }
        }
        let Some(amended) = amended else { return Amendment::Unchanged };
        let coding = Encoding::of(headers).unwrap_or(Encoding::Identity).as_sent(self.body);
        Amendment::Body(coding.encode(amended).into())
    }
}

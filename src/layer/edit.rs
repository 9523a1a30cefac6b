//! Editing the body of a response: which may be edited, and the edit of one that was read as a whole.
//!
//! Fails open: whatever can't be read, coded or written passes as it came, counted by reason. A response
//! that carries a digest of its body or a strong ETag is left alone (`checksum`): not every digest can be
//! computed anew, a wrong one would show as corruption instead of as a wrong prediction, and dropping one
//! would change a header that no fault names.

use bytes::Bytes;
use http::{
    HeaderMap, Response, StatusCode,
    header::{CONTENT_TYPE, ETAG, TRAILER},
};
use http_body::Body;

use super::{
    exchange::{Exchange, has_body},
    rows::{RowEdits, Side},
    stream::{Chain, Script},
    victim::{Rule, Victim},
};
use crate::wire::{Framing, Head, WireError, encoding::Encoding};

const CHECKSUMS: [&str; 4] = ["content-digest", "repr-digest", "digest", "content-md5"];

/// Beside those that are cut into chunks.
const STREAMS: [&str; 2] = ["application/stream+json", "multipart/x-mixed-replace"];

/// May the body of this response be edited, and how is it cut into chunks? If not, why.
pub(super) fn check<R: Body>(exchange: &Exchange, response: &Response<R>) -> Result<Framing, &'static str> {
    let headers = response.headers();
    if !exchange.is_prediction() || !has_body(exchange.watch.method(), response.status()) {
        return Err("not-a-prediction");
    }
    if !response.status().is_success() {
        return Err("error-status");
    }
    // A gRPC call that fails without a message ends with its head, and has to.
    if headers.contains_key("grpc-status") {
        return Err("error-status");
    }
    if response.status() == StatusCode::PARTIAL_CONTENT {
        return Err("partial-content");
    }
    let head = Head { path: exchange.path(), headers };
    let framing = exchange.victim.lease.plan.target.codec.framing(head);
    if framing == Framing::Whole && is_stream(headers) || is_grpc_text(headers) {
        return Err("stream");
    }
    if has_checksum(headers) {
        return Err("checksum");
    }
    Encoding::of(headers).map_err(|error| error.reason())?;
    if framing == Framing::Whole
        && response.body().size_hint().lower() > exchange.victim.lease.body_limit as u64
    {
        return Err("body-too-large");
    }
    Ok(framing)
}

/// Do headers or trailers carry a digest of the body, or say that one comes after it?
pub(super) fn has_digest(headers: &HeaderMap) -> bool {
    let announced = |name: &str| {
        let names = headers.get_all(TRAILER).iter().filter_map(|names| names.to_str().ok());
        names.flat_map(|names| names.split(',')).any(|other| other.trim().eq_ignore_ascii_case(name))
    };
    CHECKSUMS.iter().any(|name| headers.contains_key(*name) || announced(name))
}

/// The type of the content, without parameters and in lower case.
pub(super) fn media_type(headers: &HeaderMap) -> Option<String> {
    let value = headers.get(CONTENT_TYPE)?.to_str().ok()?;
    let media = value.split_once(';').map_or(value, |(media, _)| media);
    Some(media.trim().to_ascii_lowercase())
}

/// Is it a stream of messages, which may never end and must not be held back?
pub(super) fn is_stream(headers: &HeaderMap) -> bool {
    Framing::of(headers) != Framing::Whole
        || media_type(headers)
            .is_some_and(|media| STREAMS.contains(&media.as_str()) || media.starts_with("application/grpc"))
}

/// gRPC-Web for old browsers: base64 over the frames, which is not undone.
fn is_grpc_text(headers: &HeaderMap) -> bool {
    media_type(headers).is_some_and(|media| media.starts_with("application/grpc-web-text"))
}

fn has_checksum(headers: &HeaderMap) -> bool {
    has_digest(headers) || headers.get(ETAG).is_some_and(|etag| !etag.as_bytes().starts_with(b"W/"))
}

/// A body of a response that was read as a whole, and the faults on it.
pub(super) struct Whole<'a> {
    pub(super) edits: Vec<Rule>,
    pub(super) streams: Vec<Rule>,
    pub(super) path: &'a str,
    pub(super) body: &'a Bytes,
}

impl Whole<'_> {
    /// What goes out in its place; `None` leaves it as it is. Headers that count bytes of it follow, but for
    /// `Content-Length`.
    pub(super) fn edited(self, victim: &mut Victim, headers: &mut HeaderMap) -> Option<Script> {
        let mut rows = RowEdits::open(victim, Side::Response, self.edits);
        let mut chain = Chain::open(victim, self.streams, self.path, Framing::Whole);
        let script = script(victim, &mut rows, &mut chain, self.path, headers, self.body);
        if let Err(error) = &script {
            rows.miss(error.reason());
            chain.miss(error.reason());
        }
        rows.settle(victim);
        chain.settle(victim);
        script.ok().flatten()
    }
}

fn script(
    victim: &Victim,
    rows: &mut RowEdits,
    chain: &mut Chain,
    path: &str,
    headers: &mut HeaderMap,
    body: &Bytes,
) -> Result<Option<Script>, WireError> {
    let coding = Encoding::of(headers)?.as_sent(body);
    let plain = match coding {
        Encoding::Identity => body.clone(),
        coding => coding.decode(body, victim.lease.body_limit)?.into(),
    };
    let mut script = Script::of(plain.clone());
    if !rows.is_empty()
        && let Some(spliced) = rows.message(victim, Head { path, headers }, &plain)
    {
        for (name, value) in spliced.headers {
            headers.insert(name, value);
        }
        script = Script::of(spliced.body.into());
    }
    if !chain.is_empty() {
        let codec = &victim.lease.plan.target.codec;
        script = chain.whole(codec.as_ref(), Head { path, headers }, script.data);
    }
    let same = script.data.as_ptr() == plain.as_ptr() && script.data.len() == plain.len();
    if same || script.data == plain {
        script.data = body.clone();
        return Ok((!script.is_plain()).then_some(script));
    }
    script.data = match coding {
        Encoding::Identity => script.data,
        coding => coding.encode(script.data.into()).into(),
    };
    Ok(Some(script))
}

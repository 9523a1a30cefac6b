//! Editing the predictions of a buffered response.
//!
//! Fails open: whatever can't be read, coded or written passes as it came, counted by reason. A response
//! that carries a digest of its body or a strong ETag is left alone (`checksum`): not every digest can be
//! computed anew, a wrong one would show as corruption instead of as a wrong prediction, and dropping one
//! would change a header that no fault names.

use std::borrow::Cow;

use bytes::Bytes;
use http::{
    HeaderMap, HeaderValue, Response, StatusCode,
    header::{CONTENT_LENGTH, CONTENT_TYPE, ETAG},
};
use http_body::Body;

use super::exchange::{Exchange, Victim, has_body};
use crate::{
    evidence::Permit,
    fault::{EditContext, Edited},
    wire::{Answer, Head, WireError, encoding::Encoding},
};

const CHECKSUMS: [&str; 4] = ["content-digest", "repr-digest", "digest", "content-md5"];

const STREAMS: [&str; 4] =
    ["text/event-stream", "application/x-ndjson", "application/stream+json", "multipart/x-mixed-replace"];

/// May the body of this response be edited? If not, why.
pub(super) fn check<R: Body>(exchange: &Exchange, response: &Response<R>) -> Result<(), &'static str> {
    let headers = response.headers();
    if !exchange.is_prediction() || !has_body(exchange.watch.method(), response.status()) {
        return Err("not-a-prediction");
    }
    if !response.status().is_success() {
        return Err("error-status");
    }
    if response.status() == StatusCode::PARTIAL_CONTENT {
        return Err("partial-content");
    }
    if is_stream(headers) {
        return Err("stream");
    }
    if has_checksum(headers) {
        return Err("checksum");
    }
    Encoding::of(headers).map_err(|error| error.reason())?;
    if response.body().size_hint().lower() > exchange.victim.lease.body_limit as u64 {
        return Err("body-too-large");
    }
    Ok(())
}

/// Do headers or trailers carry a digest of the body?
pub(super) fn has_digest(headers: &HeaderMap) -> bool {
    CHECKSUMS.iter().any(|name| headers.contains_key(*name))
}

/// The type of the content, without parameters and in lower case.
pub(super) fn media_type(headers: &HeaderMap) -> Option<String> {
    let value = headers.get(CONTENT_TYPE)?.to_str().ok()?;
    let media = value.split_once(';').map_or(value, |(media, _)| media);
    Some(media.trim().to_ascii_lowercase())
}

/// Is it a stream of messages, which may never end and must not be held back?
pub(super) fn is_stream(headers: &HeaderMap) -> bool {
    media_type(headers)
        .is_some_and(|media| STREAMS.contains(&media.as_str()) || media.starts_with("application/grpc"))
}

fn has_checksum(headers: &HeaderMap) -> bool {
    has_digest(headers) || headers.get(ETAG).is_some_and(|etag| !etag.as_bytes().starts_with(b"W/"))
}

/// Edits a whole body, and its headers alike; `None` leaves it as it is.
pub(super) fn apply(
    victim: &mut Victim,
    edits: &[usize],
    path: &str,
    headers: &mut HeaderMap,
    body: &Bytes,
) -> Option<Bytes> {
    match spliced(victim, edits, path, headers, body) {
        Ok(edited) => {
            let edited = edited?;
            if headers.contains_key(CONTENT_LENGTH) {
                headers.insert(CONTENT_LENGTH, HeaderValue::from(edited.len()));
            }
            Some(edited)
        }
        Err(error) => {
            victim.skip_all(edits.iter().copied(), error.reason());
            None
        }
    }
}

fn spliced(
    victim: &mut Victim,
    edits: &[usize],
    path: &str,
    headers: &mut HeaderMap,
    body: &Bytes,
) -> Result<Option<Bytes>, WireError> {
    let coding = Encoding::of(headers)?;
    let plain: Cow<'_, [u8]> = match coding {
        Encoding::Identity => Cow::Borrowed(body),
        coding => Cow::Owned(coding.decode(body, victim.lease.body_limit)?),
    };
    let reading = victim.lease.plan.target.codec.read(Head { path, headers }, &plain)?;
    let mut answer = reading.answer();
    let changes = edit_answer(victim, edits, &mut answer);
    if changes.is_empty() {
        return Ok(None);
    }
    match reading.splice(&plain, &answer) {
        Ok(Some(edited)) => {
            commit(victim, changes);
            headers.extend(edited.headers);
            Ok(Some(Bytes::from(coding.encode(edited.body))))
        }
        Ok(None) => Ok(None),
        Err(error) => {
            // Those that the ledger refused are counted already.
            victim.skip_all(changes.iter().map(|change| change.injection), error.reason());
            Ok(None)
        }
    }
}

/// A change that is made but not yet on record.
pub(super) struct Change {
    injection: usize,
    permit: Permit,
    predictions: usize,
}

/// Lets each fault edit the answer, after its line in the ledger is reserved.
pub(super) fn edit_answer(victim: &Victim, edits: &[usize], answer: &mut Answer) -> Vec<Change> {
    let mut changes = Vec::new();
    let first = answer.rows.first().cloned();
    for &injection in edits {
        let Some(permit) = victim.reserve(injection) else { continue };
        let rule = victim.injection(injection);
        let context = EditContext { first: first.as_ref(), ..victim.edit_context(injection) };
        match rule.fault.behaviour().edit(answer, &context) {
            Edited { changed: 0, unfit: Some(reason) } => victim.skip(injection, reason),
            Edited { changed: 0, unfit: None } => {}
            Edited { changed, .. } => changes.push(Change { injection, permit, predictions: changed }),
        }
    }
    changes
}

/// Puts changes on record.
pub(super) fn commit(victim: &mut Victim, changes: Vec<Change>) {
    for Change { injection, permit, predictions } in changes {
        let plural = if predictions == 1 { "" } else { "s" };
        victim.commit(permit, injection, &format!("{predictions} prediction{plural}"), predictions);
    }
}

//! The way of a response to the caller.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request, Response, header::CONTENT_LENGTH, response};
use http_body::Body;
use tower_service::Service;

use super::{Outcome, Over, State};
use crate::{
    fault::Edited,
    layer::{
        RequestBody, ResponseBody,
        edit::{self, Whole},
        exchange::Exchange,
        lease::{Lease, Nap},
        request_body::Replay,
        respond,
        rows::{Account, RowEdits, Side},
        stream::{Chain, Pipeline, Stream},
    },
    wire::{Framing, Head, encoding::Encoding},
};

/// A response whose body is being read for an edit.
pub(super) struct Editing<R: Body> {
    pub(super) exchange: Box<Exchange>,
    parts: response::Parts,
    pub(super) body: Replay<R>,
    pub(super) over: Over,
}

/// A response on its way to the caller.
pub(super) struct Answer<R: Body> {
    pub(super) exchange: Box<Exchange>,
    pub(super) response: Response<ResponseBody<R>>,
}

impl<S, B, R> State<S, B, R>
where
    S: Service<Request<RequestBody<B>>>,
    B: Body,
    R: Body,
{
    /// Replaces, edits or hands on what the upstream answered.
    pub(super) fn answered(mut exchange: Box<Exchange>, response: Response<R>) -> Self {
        if let Some((rule, action)) = exchange.course.refuse.take()
            && let Some(response) = respond::instead(&mut exchange, rule, action)
        {
            return State::answer(exchange, response);
        }
        let course = &mut exchange.course;
        if course.edits.is_empty() && course.streams.is_empty() && course.per_row.is_empty() {
            return State::answer(exchange, response.map(ResponseBody::untouched));
        }
        match edit::check(&exchange, &response) {
            Ok(Framing::Whole) => {
                let (parts, body) = response.into_parts();
                let editing = Editing { exchange, parts, body: Replay::new(body), over: None };
                State::Editing { editing: Some(Box::new(editing)) }
            }
            Ok(framing) => {
                exchange.skip_per_row("stream");
                let response = edited_as_it_passes(&mut exchange, response, framing);
                State::answer(exchange, response)
            }
            Err(reason) => {
                exchange.skip_edits(reason);
                State::answer(exchange, response.map(ResponseBody::untouched))
            }
        }
    }

    /// Holds the response back, if a fault says so.
    pub(super) fn answer(mut exchange: Box<Exchange>, response: Response<ResponseBody<R>>) -> Self {
        // An injected error has no predictions, and no text.
        exchange.skip_edits("superseded");
        let response = exchange.edit_head(response);
        let delays = std::mem::take(&mut exchange.course.after);
        let delay = exchange.victim.delay(delays);
        let lease = exchange.victim.lease.clone();
        let answer = Some(Box::new(Answer { exchange, response }));
        match delay.is_zero() {
            true => State::Answered { answer },
            false => State::Returning { nap: Nap::lasting(lease, delay), answer },
        }
    }
}

impl Exchange {
    fn skip_edits(&mut self, reason: &'static str) {
        let course = &mut self.course;
        let edits = std::mem::take(&mut course.edits).into_iter().chain(std::mem::take(&mut course.streams));
        self.victim.skip_all(edits, reason);
        self.skip_per_row(reason);
    }

    fn skip_per_row(&mut self, reason: &'static str) {
        let delays = std::mem::take(&mut self.course.per_row);
        self.victim.skip_all(delays.into_iter().map(|(rule, _)| rule), reason);
    }

    /// Knows how long the delays are that go by the predictions of a response.
    fn count_rows(&mut self, headers: &HeaderMap, body: &Bytes) {
        if self.course.per_row.is_empty() {
            return;
        }
        let Lease { plan, body_limit, .. } = self.victim.lease.as_ref();
        let head = Head { path: self.watch.uri().path(), headers };
        let plain = Encoding::of(headers).and_then(|coding| coding.decode(body, *body_limit));
        let rows = plain.and_then(|plain| plan.target.codec.read(head, &plain)).map(|read| read.rows().len());
        match rows {
            Ok(rows) => {
                let rows = u32::try_from(rows).unwrap_or(u32::MAX);
                let delays = std::mem::take(&mut self.course.per_row);
                self.course.after.extend(delays.into_iter().map(|(rule, each)| (rule, per_row(each, rows))));
            }
            Err(error) => self.skip_per_row(error.reason()),
        }
    }

    fn edit_head<R: Body>(&mut self, response: Response<ResponseBody<R>>) -> Response<ResponseBody<R>> {
        let heads = std::mem::take(&mut self.course.heads);
        if heads.is_empty() {
            return response;
        }
        let (mut parts, body) = response.into_parts();
        for rule in heads {
            let Some(mut account) = Account::open(&self.victim, rule) else { continue };
            let edited: Edited = self.victim.fault(rule).head(&mut parts, &self.victim.edit_context(rule));
            account.note(edited);
            account.settle(&mut self.victim, "header");
        }
        Response::from_parts(parts, body)
    }
}

/// No delay is longer than an hour.
fn per_row(each: Duration, rows: u32) -> Duration {
    each.saturating_mul(rows).min(Duration::from_secs(3600))
}

/// Lets the faults edit a body as it passes. Its length can't be promised any more.
fn edited_as_it_passes<R: Body>(
    exchange: &mut Exchange,
    response: Response<R>,
    framing: Framing,
) -> Response<ResponseBody<R>> {
    let edits = std::mem::take(&mut exchange.course.edits);
    let streams = std::mem::take(&mut exchange.course.streams);
    let rows = RowEdits::open(&exchange.victim, Side::Response, edits);
    let chain = Chain::open(&exchange.victim, streams, exchange.path(), framing);
    let encoding = Encoding::of(response.headers());
    let (Ok(encoding), false) = (encoding, rows.is_empty() && chain.is_empty()) else {
        return response.map(ResponseBody::untouched);
    };
    let victim = exchange.victim.clone();
    exchange.victim.mark_ahead(rows.rules().chain(chain.rules()));
    let (mut parts, body) = response.into_parts();
    parts.headers.remove(CONTENT_LENGTH);
    let head = Head { path: exchange.path(), headers: &parts.headers };
    let pipeline = Pipeline::new(victim, head, framing, rows, chain);
    let stream = Stream::new(Replay::new(body), encoding, pipeline, exchange.abort.clone());
    Response::from_parts(parts, ResponseBody::edited(stream))
}

impl<R: Body> Editing<R> {
    pub(super) fn edited(self, outcome: Outcome) -> (Box<Exchange>, Response<ResponseBody<R>>) {
        let Editing { mut exchange, mut parts, mut body, .. } = self;
        let obstacle = match outcome {
            Outcome::Whole if body.held.trailers().is_some_and(edit::has_digest) => Some("checksum"),
            Outcome::Whole => None,
            Outcome::Partial if body.held.error.is_some() => Some("upstream-broke"),
            Outcome::Partial => Some("body-too-large"),
            Outcome::Disarmed => Some("disarmed"),
        };
        if let Some(reason) = obstacle {
            exchange.skip_edits(reason);
            return (exchange, Response::from_parts(parts, ResponseBody::replayed(body)));
        }
        let original = body.held.joined();
        exchange.count_rows(&parts.headers, &original);
        let Exchange { victim, course, watch, abort, .. } = exchange.as_mut();
        let (edits, streams) = (std::mem::take(&mut course.edits), std::mem::take(&mut course.streams));
        let whole = Whole { edits, streams, path: watch.uri().path(), body: &original };
        let body = match whole.edited(victim, &mut parts.headers) {
            None => ResponseBody::replayed(body),
            Some(script) => {
                let length = script.length();
                match length {
                    Some(length) if parts.headers.contains_key(CONTENT_LENGTH) => {
                        parts.headers.insert(CONTENT_LENGTH, HeaderValue::from(length));
                    }
                    Some(_) => {}
                    // Whoever got all that was promised would not notice the break.
                    None => _ = parts.headers.remove(CONTENT_LENGTH),
                }
                let trailers = body.held.frames.drain(..).find_map(|frame| frame.into_trailers().ok());
                match script.is_plain() {
                    true => ResponseBody::whole(script.data, trailers),
                    false => ResponseBody::played(script.play(victim.lease.clone(), trailers, abort.clone())),
                }
            }
        };
        (exchange, Response::from_parts(parts, body))
    }
}

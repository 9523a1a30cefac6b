//! The reading of a request for its features: to know which rows faults may touch, and to change it.

use std::task::{Context, Poll};

use bytes::Bytes;
use http::{HeaderValue, Request, header::CONTENT_LENGTH, request};
use http_body::Body;
use tower_service::Service;

use super::{
    Outcome, Over, State, poll_body,
    request::{Parked, obstacle, parsed},
};
use crate::{
    layer::{
        RequestBody,
        amend::{self, Amendment},
        edit::{has_digest, is_stream},
        exchange::Exchange,
        masks::Known,
        request_body::{Held, Replay},
        respond,
        rows::{RowEdits, Side},
        stream::{Chain, Pipeline, Stream},
    },
    wire::{Framing, Head, encoding::Encoding},
};

/// A request whose body is being read for its features.
pub(super) struct Intake<S, B: Body> {
    exchange: Box<Exchange>,
    parts: request::Parts,
    body: Replay<B>,
    service: S,
    over: Over,
    purpose: Purpose,
}

/// Why a body is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    /// To know which rows faults may touch.
    Mask,
    /// To change it.
    Amend,
}

impl<S, B, R> State<S, B, R>
where
    S: Service<Request<RequestBody<B>>>,
    B: Body,
    R: Body,
{
    /// Begins to read the body.
    pub(super) fn take_in(parked: Parked<S, B>, purpose: Purpose) -> Self {
        let Parked { mut exchange, request, service } = parked;
        if is_stream(request.headers()) && !exchange.is_grpc {
            exchange.mask(&request, Known { body: Err("stream"), features: Err("stream") });
            return State::decided(Parked { exchange, request, service });
        }
        let (parts, body) = request.into_parts();
        match body.read() {
            Ok(body) => {
                let intake = Intake { exchange, parts, body, service, over: None, purpose };
                State::Intake { intake: Some(Box::new(intake)) }
            }
            Err(body) => {
                State::hold(Parked { exchange, request: Request::from_parts(parts, *body), service })
            }
        }
    }
}

/// Computes which rows faults may touch, from a request whose body was read (or why not).
pub(in crate::layer) fn masked(
    exchange: &mut Exchange,
    parts: request::Parts,
    read: Result<Bytes, &'static str>,
) -> request::Parts {
    let need = exchange.need();
    let read = read.as_ref().map_err(|reason| *reason);
    let limit = exchange.victim.lease.body_limit;
    let json = read.and_then(|body| if need.body { parsed(&parts, body, limit) } else { Ok(None) });
    let features = read.and_then(|body| match need.features {
        true => amend::features(exchange, &parts, body),
        false => Err("no-features"),
    });
    let request = Request::from_parts(parts, ());
    let body_seen = json.as_ref().map(Option::as_ref).map_err(|reason| *reason);
    let features = features.as_ref().map_err(|reason| *reason);
    exchange.mask(&request, Known { body: body_seen, features });
    request.into_parts().0
}

impl<S, B: Body> Parked<S, B> {
    /// Has the messages of a gRPC call amended one by one.
    pub(super) fn amended_as_it_passes(mut self) -> Self {
        let exchange = &mut self.exchange;
        let amends = std::mem::take(&mut exchange.course.amends);
        let rows = RowEdits::open(&exchange.victim, Side::Request, amends);
        if rows.is_empty() {
            return self;
        }
        let (parts, body) = self.request.into_parts();
        let body = match body.read() {
            Ok(body) => {
                let victim = exchange.victim.clone();
                exchange.victim.mark_ahead(rows.rules());
                let head = Head { path: parts.uri.path(), headers: &parts.headers };
                let chain = Chain::default();
                let pipeline = Pipeline::new(victim, head, Framing::Grpc, rows, chain);
                RequestBody::passing(Stream::new(body, Encoding::Identity, pipeline, None))
            }
            Err(body) => *body,
        };
        Parked { request: Request::from_parts(parts, body), ..self }
    }
}

impl<S, B: Body> Intake<S, B> {
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Outcome> {
        let is_grpc = self.exchange.is_grpc;
        let is_enough = |held: &Held<B::Error>| is_grpc && amend::has_message(held);
        poll_body(cx, &mut self.body, &self.exchange.victim.lease, &mut self.over, is_enough)
    }

    pub(super) fn taken<R: Body>(self, outcome: Outcome) -> State<S, B, R>
    where
        S: Service<Request<RequestBody<B>>>,
    {
        match self.purpose {
            Purpose::Mask => State::decided(self.masked(outcome)),
            Purpose::Amend => self.amended(outcome),
        }
    }

    fn masked(self, outcome: Outcome) -> Parked<S, B> {
        let Intake { mut exchange, parts, body, service, .. } = self;
        let held = &body.held;
        let there = if outcome == Outcome::Whole { Ok(()) } else { Err(obstacle(outcome, held)) };
        let parts = masked(&mut exchange, parts, there.map(|()| held.joined()));
        Parked { exchange, request: Request::from_parts(parts, RequestBody::replayed(body)), service }
    }

    fn amended<R: Body>(self, outcome: Outcome) -> State<S, B, R>
    where
        S: Service<Request<RequestBody<B>>>,
    {
        let Intake { mut exchange, mut parts, mut body, service, .. } = self;
        let checksum = body.held.trailers().is_some_and(has_digest);
        let original = body.held.joined();
        let obstacle = match outcome {
            Outcome::Whole if checksum => Some("checksum"),
            Outcome::Whole if original.is_empty() => Some("no-body"),
            Outcome::Whole => None,
            _ => Some(obstacle(outcome, &body.held)),
        };
        let Exchange { victim, course, .. } = exchange.as_mut();
        let (amends, bodies) = (std::mem::take(&mut course.amends), std::mem::take(&mut course.bodies));
        let amendment = match obstacle {
            Some(reason) => {
                victim.skip_all(amends.into_iter().chain(bodies), reason);
                Amendment::Unchanged
            }
            None => {
                let path = parts.uri.path();
                let whole = amend::Whole { amends, bodies, path, body: &original };
                whole.amended(victim, &mut parts.headers)
            }
        };
        let body = match amendment {
            Amendment::Unchanged => RequestBody::replayed(body),
            Amendment::Body(amended) => {
                if parts.headers.contains_key(CONTENT_LENGTH) {
                    parts.headers.insert(CONTENT_LENGTH, HeaderValue::from(amended.len()));
                }
                let trailers = body.held.frames.drain(..).find_map(|frame| frame.into_trailers().ok());
                RequestBody::amended(amended, trailers)
            }
            Amendment::Swallowed { status, headers, body } => {
                return State::answer(exchange, respond::as_said(status, headers, body));
            }
        };
        State::hold(Parked { exchange, request: Request::from_parts(parts, body), service })
    }
}

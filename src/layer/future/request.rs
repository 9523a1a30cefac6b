//! The way of a request to the upstream.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use bytes::Bytes;
use http::{HeaderValue, Request, Response, header::CONTENT_LENGTH, request};
use http_body::Body;
use serde_json::Value;
use tokio::time::Instant;
use tokio_util::sync::PollSemaphore;
use tower_service::Service;

use super::{Outcome, Over, State, poll_body};
use crate::{
    fault::Action,
    layer::{
        RequestBody, ResponseBody, RouteTo,
        amend::{self, Amendment},
        control::Control,
        course::{Course, Gate},
        edit,
        exchange::{Begun, Exchange},
        lease::{Lease, Nap},
        request_body::{Held, Replay},
        respond,
        rows::{RowEdits, Side},
        stream::{Chain, Pipeline, Stream},
        victim::Rule,
    },
    wire::{Framing, Head, encoding::Encoding},
};

/// A request whose body is being read to know who it is from.
pub(super) struct Reading<S, B: Body> {
    pub(super) lease: Arc<Lease>,
    pub(super) parts: request::Parts,
    pub(super) body: Replay<B>,
    pub(super) service: S,
    pub(super) control: Option<Control>,
    pub(super) over: Over,
}

/// A request on its way to the upstream.
pub(super) struct Parked<S, B: Body> {
    exchange: Box<Exchange>,
    request: Request<RequestBody<B>>,
    service: S,
}

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
enum Purpose {
    /// To know which rows faults may touch.
    Mask,
    /// To change it.
    Amend,
}

/// A request that waits to be let in.
pub(super) struct Queue<S, B: Body> {
    parked: Parked<S, B>,
    rule: Rule,
    gate: Gate,
    permits: PollSemaphore,
    nap: Pin<Box<Nap>>,
}

impl<S, B: Body> Reading<S, B> {
    pub(super) fn judge<R: Body>(self: Box<Self>, outcome: Outcome) -> State<S, B, R>
    where
        S: Service<Request<RequestBody<B>>>,
    {
        let Reading { lease, parts, body, mut service, control, .. } = *self;
        let parsed = match outcome {
            Outcome::Whole => parsed(&parts, &body.held, lease.body_limit),
            _ => Err(obstacle(outcome, &body.held)),
        };
        let request = Request::from_parts(parts, RequestBody::replayed(body));
        match parsed {
            Ok(parsed) => State::judged(&lease, request, parsed.as_ref(), service, control),
            Err(reason) => {
                lease.recorder.not_assigned(reason);
                State::Passed { future: service.call(request) }
            }
        }
    }
}

/// The body as the plan's expressions see it: none when it is empty.
fn parsed<E>(parts: &request::Parts, held: &Held<E>, limit: usize) -> Result<Option<Value>, &'static str> {
    const UNREADABLE: &str = "request-body-unreadable";
    let body = held.joined();
    if body.is_empty() {
        return Ok(None);
    }
    let parsed = match Encoding::of(&parts.headers).map_err(|_| UNREADABLE)? {
        Encoding::Identity => serde_json::from_slice(&body),
        coding => serde_json::from_slice(&coding.decode(&body, limit).map_err(|_| UNREADABLE)?),
    };
    parsed.map(Some).map_err(|_| UNREADABLE)
}

/// Why a request's body is not there.
fn obstacle<E>(outcome: Outcome, held: &Held<E>) -> &'static str {
    match outcome {
        Outcome::Disarmed => "disarmed",
        Outcome::Whole | Outcome::Partial if held.error.is_some() => "request-body-broke",
        Outcome::Whole | Outcome::Partial => "request-body-too-large",
    }
}

impl<S, B, R> State<S, B, R>
where
    S: Service<Request<RequestBody<B>>>,
    B: Body,
    R: Body,
{
    pub(super) fn judged(
        lease: &Arc<Lease>,
        request: Request<RequestBody<B>>,
        body: Option<&Value>,
        mut service: S,
        control: Option<Control>,
    ) -> Self {
        let mut exchange = match Exchange::begin(lease, &request, body, control) {
            Begun::Pass => return State::Passed { future: service.call(request) },
            Begun::Unknown(names) => {
                return State::Unknown { future: service.call(request), names: Some(names) };
            }
            Begun::Exchange(exchange) => exchange,
        };
        let need = exchange.need();
        if need.reads() {
            return State::take_in(Parked { exchange, request, service }, Purpose::Mask);
        }
        if need.any {
            exchange.mask(&request, None, Err("no-features"));
        }
        State::decided(Parked { exchange, request, service })
    }

    /// Begins to read the body.
    fn take_in(parked: Parked<S, B>, purpose: Purpose) -> Self {
        let Parked { exchange, request, service } = parked;
        let (parts, body) = request.into_parts();
        match body.read() {
            Ok(body) => {
                let intake = Intake { exchange, parts, body, service, over: None, purpose };
                State::Intake { intake: Some(Box::new(intake)) }
            }
            Err(body) => State::hold(Parked { exchange, request: Request::from_parts(parts, body), service }),
        }
    }

    fn decided(mut parked: Parked<S, B>) -> Self {
        parked.exchange.decide(&parked.request);
        let Parked { exchange, request, .. } = &mut parked;
        let is_prediction = exchange.course.amends.is_empty() || exchange.is_prediction();
        let Course { amends, bodies, .. } = &mut exchange.course;
        if !is_prediction {
            exchange.victim.skip_all(amends.drain(..), "not-a-prediction");
        }
        if exchange.is_grpc {
            exchange.victim.skip_all(bodies.drain(..), "unsupported-form");
        }
        if amends.is_empty() && bodies.is_empty() {
            return State::hold(parked);
        }
        if let Err(reason) = amend::check(exchange, request.headers()) {
            let Course { amends, bodies, .. } = &mut exchange.course;
            exchange.victim.skip_all(amends.drain(..).chain(bodies.drain(..)), reason);
            return State::hold(parked);
        }
        if exchange.is_grpc {
            return State::hold(parked.amended_as_it_passes());
        }
        State::take_in(parked, Purpose::Amend)
    }

    /// Delays.
    fn hold(mut parked: Parked<S, B>) -> Self {
        let exchange = &mut parked.exchange;
        let delays = std::mem::take(&mut exchange.course.before);
        let delay = exchange.victim.delay(delays);
        if delay.is_zero() {
            return State::enter(parked);
        }
        let nap = Nap::lasting(exchange.victim.lease.clone(), delay);
        State::Held { nap, parked: Some(Box::new(parked)) }
    }

    /// Queues, where only so many are let in.
    pub(super) fn enter(mut parked: Parked<S, B>) -> Self {
        let Some((rule, gate)) = parked.exchange.course.enter.take() else { return State::ask(parked) };
        match gate.permits.clone().try_acquire_owned() {
            Ok(place) => {
                parked.exchange.place = Some(place);
                State::ask(parked)
            }
            Err(_) => {
                let nap = Nap::lasting(parked.exchange.victim.lease.clone(), gate.patience);
                let permits = PollSemaphore::new(gate.permits.clone());
                let queue = Queue { parked, rule, gate, permits, nap: Box::pin(nap) };
                State::Queued { queue: Some(Box::new(queue)) }
            }
        }
    }

    /// Refuses, hangs, or calls the upstream.
    fn ask(mut parked: Parked<S, B>) -> Self {
        let exchange = &mut parked.exchange;
        if exchange.swallowed && exchange.victim.lease.acts_until(Instant::now()).is_some() {
            exchange.refuse();
            return State::answer(parked.exchange, Response::new(ResponseBody::whole(Bytes::new(), None)));
        }
        match exchange.course.refuse.take() {
            Some((rule, Action::Hang { lasts })) => {
                if let Some(nap) = exchange.victim.hang(rule, lasts) {
                    return State::Held { nap, parked: Some(Box::new(parked)) };
                }
            }
            Some((rule, Action::BlackHole { lasts })) => {
                if let Some(nap) = exchange.victim.hang(rule, lasts) {
                    exchange.swallowed = true;
                    return State::Held { nap, parked: Some(Box::new(parked)) };
                }
            }
            later @ Some((_, Action::Respond { after_upstream: true, .. })) => exchange.course.refuse = later,
            Some((rule, action)) => {
                if let Some(response) = respond::instead(exchange, rule, action) {
                    return State::answer(parked.exchange, response);
                }
            }
            None => {}
        }
        parked.route();
        let Parked { exchange, request, mut service } = parked;
        State::Upstream { future: service.call(request), exchange: Some(exchange) }
    }
}

impl<S, B: Body> Parked<S, B> {
    /// Has the messages of a gRPC call amended one by one.
    fn amended_as_it_passes(mut self) -> Self {
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
            Err(body) => body,
        };
        Parked { request: Request::from_parts(parts, body), ..self }
    }

    /// Names another upstream, if a fault says so and there is one.
    fn route(&mut self) {
        let Some((rule, upstream)) = self.exchange.course.route.take() else { return };
        let victim = &mut self.exchange.victim;
        let Some(candidate) = victim.lease.candidates.find(&upstream) else {
            victim.skip(rule, "no-such-upstream");
            return;
        };
        if victim.act(rule, &format!("asked {candidate}"), 0) {
            self.request.extensions_mut().insert(RouteTo(candidate));
        }
    }
}

impl<S, B: Body> Intake<S, B> {
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Outcome> {
        let is_grpc = self.exchange.is_grpc;
        let is_enough = |held: &Held<B::Error>| is_grpc && amend::has_message(held);
        poll_body(cx, &mut self.body, &self.exchange.victim.lease, &mut self.over, is_enough)
    }

    pub(super) fn taken<R: Body>(self: Box<Self>, outcome: Outcome) -> State<S, B, R>
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
        let limit = exchange.victim.lease.body_limit;
        let need = exchange.need();
        let json = there.and_then(|()| if need.body { parsed(&parts, held, limit) } else { Ok(None) });
        let features = there.and_then(|()| amend::features(&exchange, &parts, held));
        let request = Request::from_parts(parts, ());
        exchange.mask(&request, json.ok().flatten().as_ref(), features.as_ref().map_err(|reason| *reason));
        let (parts, ()) = request.into_parts();
        Parked { exchange, request: Request::from_parts(parts, RequestBody::replayed(body)), service }
    }

    fn amended<R: Body>(self, outcome: Outcome) -> State<S, B, R>
    where
        S: Service<Request<RequestBody<B>>>,
    {
        let Intake { mut exchange, mut parts, mut body, service, .. } = self;
        let checksum = body.held.trailers().is_some_and(edit::has_digest);
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

/// How the wait of a request ended.
#[derive(Debug)]
pub(super) enum Wait {
    /// It is let in.
    Entered(tokio::sync::OwnedSemaphorePermit),
    /// Its patience is over, or the plan does not act any more.
    Over,
}

impl<S, B: Body> Queue<S, B> {
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Wait> {
        if let Poll::Ready(Some(place)) = self.permits.poll_acquire(cx) {
            return Poll::Ready(Wait::Entered(place));
        }
        self.nap.as_mut().poll(cx).map(|()| Wait::Over)
    }

    pub(super) fn left<R: Body>(self: Box<Self>, wait: Wait) -> State<S, B, R>
    where
        S: Service<Request<RequestBody<B>>>,
    {
        let Queue { mut parked, rule, gate, .. } = *self;
        let exchange = &mut parked.exchange;
        match wait {
            Wait::Entered(place) => {
                if exchange.victim.act(rule, "waited to be let in", 0) {
                    exchange.place = Some(place);
                }
            }
            Wait::Over => {
                if let Some(response) = respond::failed(exchange, rule, &gate.otherwise) {
                    return State::answer(parked.exchange, response);
                }
            }
        }
        State::ask(parked)
    }
}

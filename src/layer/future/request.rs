//! The way of a request to the upstream.

use std::sync::Arc;

use bytes::Bytes;
use http::{Request, Response, request};
use http_body::Body;
use serde_json::Value;
use tokio::time::Instant;
use tower_service::Service;

use super::{Outcome, Over, State, intake::Purpose, queue::Queue};
use crate::{
    fault::Action,
    layer::{
        RequestBody, ResponseBody, RouteTo, amend,
        control::Control,
        course::Course,
        exchange::{Begun, Exchange},
        lease::{Lease, Nap},
        masks::Known,
        request_body::{Held, Replay},
        respond,
    },
    wire::encoding::Encoding,
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
    pub(super) exchange: Box<Exchange>,
    pub(super) request: Request<RequestBody<B>>,
    pub(super) service: S,
}

impl<S, B: Body> Reading<S, B> {
    pub(super) fn judge<R: Body>(self, outcome: Outcome) -> State<S, B, R>
    where
        S: Service<Request<RequestBody<B>>>,
    {
        let Reading { lease, parts, body, mut service, control, .. } = self;
        let parsed = match outcome {
            Outcome::Whole => parsed(&parts, &body.held.joined(), lease.body_limit),
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
pub(in crate::layer) fn parsed(
    parts: &request::Parts,
    body: &[u8],
    limit: usize,
) -> Result<Option<Value>, &'static str> {
    const UNREADABLE: &str = "request-body-unreadable";
    if body.is_empty() {
        return Ok(None);
    }
    let parsed = match Encoding::of(&parts.headers).map_err(|_| UNREADABLE)? {
        Encoding::Identity => serde_json::from_slice(body),
        coding => serde_json::from_slice(&coding.decode(body, limit).map_err(|_| UNREADABLE)?),
    };
    parsed.map(Some).map_err(|_| UNREADABLE)
}

/// Why a request's body is not there.
pub(super) fn obstacle<E>(outcome: Outcome, held: &Held<E>) -> &'static str {
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
            exchange.mask(&request, Known { body: Ok(None), features: Err("no-features") });
        }
        State::decided(Parked { exchange, request, service })
    }

    pub(super) fn decided(mut parked: Parked<S, B>) -> Self {
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
    pub(super) fn hold(mut parked: Parked<S, B>) -> Self {
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
            Err(_) => match parked.exchange.victim.reserve(rule) {
                Some(reserved) => {
                    State::Queued { queue: Some(Box::new(Queue::new(parked, rule, reserved, gate))) }
                }
                None => State::ask(parked),
            },
        }
    }

    /// Refuses, hangs, or calls the upstream.
    pub(super) fn ask(mut parked: Parked<S, B>) -> Self {
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
    /// Names another upstream, if a fault says so and there is one.
    fn route(&mut self) {
        let Some((rule, upstream)) = self.exchange.course.route.take() else { return };
        let victim = &mut self.exchange.victim;
        let is_routed = self.request.extensions().get::<RouteTo>().is_some();
        match victim.lease.candidates.find(&upstream) {
            // Another plan has it.
            _ if is_routed => victim.skip(rule, "superseded"),
            Some(candidate) if victim.act(rule, &format!("asked {candidate}"), 0) => {
                self.request.extensions_mut().insert(RouteTo(candidate));
                return;
            }
            Some(_) => {}
            None => victim.skip(rule, "no-such-upstream"),
        }
        // It is answered by another version than its own.
        if victim.injection(rule).of_release {
            victim.version = None;
        }
    }
}

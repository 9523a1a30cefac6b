//! The way of one request, as a state machine.
//!
//! Disarmed there is one state, the inner service's own future. Armed, a request may be read (if the plan
//! looks into bodies), held (delay, hang), asked upstream, edited and held again, in this order. What an
//! armed request carries along is boxed, which keeps the future of a disarmed one small; futures never are.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use http::{Request, Response, request, response};
use http_body::Body;
use pin_project_lite::pin_project;
use tokio::time::Instant;
use tower_service::Service;

use super::{
    BoxError, RequestBody, ResponseBody, edit,
    exchange::Exchange,
    lease::{Lease, Nap},
    request_body::{Replay, may_be_json},
    respond,
};
use crate::{fault::Action, wire::encoding::Encoding};

pin_project! {
    /// The response future of [`Chaos`](super::Chaos).
    pub struct ResponseFuture<S, B, R>
    where
        S: Service<Request<RequestBody<B>>>,
        B: Body,
        R: Body,
    {
        #[pin]
        state: State<S, B, R>,
    }
}

pin_project! {
    #[project = StateProj]
    enum State<S, B, R>
    where
        S: Service<Request<RequestBody<B>>>,
        B: Body,
        R: Body,
    {
        Passed { #[pin] future: S::Future },
        Reading { reading: Option<Box<Reading<S, B>>> },
        Held { #[pin] nap: Nap, parked: Option<Box<Parked<S, B>>> },
        Upstream { #[pin] future: S::Future, exchange: Option<Box<Exchange>> },
        Editing { editing: Option<Box<Editing<R>>> },
        Returning { #[pin] nap: Nap, answer: Option<Box<Answer<R>>> },
        Answered { answer: Option<Box<Answer<R>>> },
        Gone,
    }
}

/// A request whose body is being read for the plan's expressions.
struct Reading<S, B: Body> {
    lease: Arc<Lease>,
    parts: request::Parts,
    body: Replay<B>,
    service: S,
    over: Over,
}

/// A request on its way to the upstream.
struct Parked<S, B: Body> {
    exchange: Box<Exchange>,
    request: Request<RequestBody<B>>,
    service: S,
}

/// A response whose body is being read for an edit.
struct Editing<R: Body> {
    exchange: Box<Exchange>,
    parts: response::Parts,
    body: Replay<R>,
    over: Over,
}

/// Ready when the plan does not act any more; set up by the first body that has to be waited for.
type Over = Option<Pin<Box<Nap>>>;

/// What became of the reading of a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outcome {
    /// It is there.
    Whole,
    /// It is over the limit, or broke.
    Partial,
    /// The plan does not act any more; nobody needs the body.
    Disarmed,
}

/// Reads a body for as long as its lease is in force.
fn poll_body<B: Body>(
    cx: &mut Context<'_>,
    body: &mut Replay<B>,
    lease: &Arc<Lease>,
    over: &mut Over,
) -> Poll<Outcome> {
    if let Poll::Ready(whole) = body.poll_read(cx, lease.body_limit) {
        return Poll::Ready(if whole { Outcome::Whole } else { Outcome::Partial });
    }
    let over = over.get_or_insert_with(|| Box::pin(Nap::armed(lease.clone())));
    over.as_mut().poll(cx).map(|()| Outcome::Disarmed)
}

/// A response on its way to the caller.
struct Answer<R: Body> {
    exchange: Box<Exchange>,
    response: Response<ResponseBody<R>>,
}

impl<S, B, R> ResponseFuture<S, B, R>
where
    S: Service<Request<RequestBody<B>>>,
    B: Body,
    R: Body,
{
    #[inline]
    pub(super) const fn passed(future: S::Future) -> Self {
        ResponseFuture { state: State::Passed { future } }
    }

    pub(super) fn armed(lease: &Arc<Lease>, request: Request<B>, service: S) -> Self {
        let in_phase = lease.plan.phase_at(lease.position(Instant::now())).is_some();
        let needs_body = in_phase && lease.plan.needs_request_body();
        let state = if needs_body && !request.body().is_end_stream() && may_be_json(request.headers()) {
            let (parts, body) = request.into_parts();
            let reading =
                Reading { lease: lease.clone(), parts, body: Replay::new(body), service, over: None };
            State::Reading { reading: Some(Box::new(reading)) }
        } else {
            State::judged(lease, request.map(RequestBody::untouched), None, service)
        };
        ResponseFuture { state }
    }
}

impl<S, B, R> State<S, B, R>
where
    S: Service<Request<RequestBody<B>>>,
    B: Body,
    R: Body,
{
    fn judged(
        lease: &Arc<Lease>,
        request: Request<RequestBody<B>>,
        body: Option<&serde_json::Value>,
        mut service: S,
    ) -> Self {
        let Some(mut exchange) = Exchange::begin(lease, &request, body) else {
            return State::Passed { future: service.call(request) };
        };
        let delays = std::mem::take(&mut exchange.course.before);
        let delay = exchange.victim.delay(delays);
        let lease = exchange.victim.lease.clone();
        let parked = Box::new(Parked { exchange, request, service });
        match delay.is_zero() {
            true => State::ask(parked),
            false => State::Held { nap: Nap::lasting(lease, delay), parked: Some(parked) },
        }
    }

    /// Refuses, hangs, or calls the upstream.
    fn ask(mut parked: Box<Parked<S, B>>) -> Self {
        let exchange = &mut parked.exchange;
        match exchange.course.refuse.take() {
            Some((i, Action::Hang { lasts })) => {
                if let Some(nap) = exchange.victim.hang(i, lasts) {
                    return State::Held { nap, parked: Some(parked) };
                }
            }
            Some((i, action @ Action::Respond { after_upstream: false, .. })) => {
                if let Some(response) = refuse(exchange, i, &action) {
                    return State::answer(parked.exchange, response);
                }
            }
            later => exchange.course.refuse = later,
        }
        let Parked { exchange, request, mut service } = *parked;
        State::Upstream { future: service.call(request), exchange: Some(exchange) }
    }

    /// Replaces, edits or hands on what the upstream answered.
    fn answered(mut exchange: Box<Exchange>, response: Response<R>) -> Self {
        if let Some((i, action)) = exchange.course.refuse.take()
            && let Some(response) = refuse(&mut exchange, i, &action)
        {
            return State::answer(exchange, response);
        }
        if !exchange.course.edits.is_empty() {
            match edit::check(&exchange, &response) {
                Ok(()) => {
                    let (parts, body) = response.into_parts();
                    let editing = Editing { exchange, parts, body: Replay::new(body), over: None };
                    return State::Editing { editing: Some(Box::new(editing)) };
                }
                Err(reason) => {
                    let edits = std::mem::take(&mut exchange.course.edits);
                    exchange.victim.skip_all(edits, reason);
                }
            }
        }
        State::answer(exchange, response.map(ResponseBody::untouched))
    }

    /// Holds the response back, if a fault says so.
    fn answer(mut exchange: Box<Exchange>, response: Response<ResponseBody<R>>) -> Self {
        // An injected error has no predictions.
        let edits = std::mem::take(&mut exchange.course.edits);
        exchange.victim.skip_all(edits, "superseded");
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

/// The response of an error fault, unless it must not act.
fn refuse<R: Body>(
    exchange: &mut Exchange,
    injection: usize,
    action: &Action,
) -> Option<Response<ResponseBody<R>>> {
    let Action::Respond { failure, .. } = action else { return None };
    if !exchange.victim.act(injection, &format!("status {}", failure.status.as_u16()), 0) {
        return None;
    }
    let codec = exchange.victim.lease.plan.target.codec.as_ref();
    Some(respond::failed(codec, exchange.watch.uri().path(), failure, exchange.is_grpc))
}

impl<S, B: Body> Reading<S, B> {
    /// The body as the plan's expressions see it: none when it is empty.
    fn parsed(&self) -> Result<Option<serde_json::Value>, &'static str> {
        const UNREADABLE: &str = "request-body-unreadable";
        let body = self.body.held.joined();
        if body.is_empty() {
            return Ok(None);
        }
        let parsed = match Encoding::of(&self.parts.headers).map_err(|_| UNREADABLE)? {
            Encoding::Identity => serde_json::from_slice(&body),
            coding => {
                let plain = coding.decode(&body, self.lease.body_limit).map_err(|_| UNREADABLE)?;
                serde_json::from_slice(&plain)
            }
        };
        parsed.map(Some).map_err(|_| UNREADABLE)
    }

    fn judge<R: Body>(self, outcome: Outcome) -> State<S, B, R>
    where
        S: Service<Request<RequestBody<B>>>,
    {
        let parsed = match outcome {
            Outcome::Whole => self.parsed(),
            Outcome::Partial if self.body.held.error.is_some() => Err("request-body-broke"),
            Outcome::Partial => Err("request-body-too-large"),
            Outcome::Disarmed => Err("disarmed"),
        };
        let Reading { lease, parts, body, mut service, .. } = self;
        let request = Request::from_parts(parts, RequestBody::replayed(body));
        match parsed {
            Ok(parsed) => State::judged(&lease, request, parsed.as_ref(), service),
            Err(reason) => {
                lease.recorder.not_assigned(reason);
                State::Passed { future: service.call(request) }
            }
        }
    }
}

impl<R: Body> Editing<R> {
    fn edited(self, outcome: Outcome) -> (Box<Exchange>, Response<ResponseBody<R>>) {
        let Editing { mut exchange, mut parts, mut body, .. } = self;
        let edits = std::mem::take(&mut exchange.course.edits);
        let obstacle = match outcome {
            Outcome::Whole if body.held.trailers().is_some_and(edit::has_digest) => Some("checksum"),
            Outcome::Whole => None,
            Outcome::Partial if body.held.error.is_some() => Some("upstream-broke"),
            Outcome::Partial => Some("body-too-large"),
            Outcome::Disarmed => Some("disarmed"),
        };
        if let Some(reason) = obstacle {
            exchange.victim.skip_all(edits, reason);
            return (exchange, Response::from_parts(parts, ResponseBody::replayed(body)));
        }
        let original = body.held.joined();
        let path = exchange.watch.uri().path();
        let edited = edit::apply(&mut exchange.victim, &edits, path, &mut parts.headers, &original);
        let body = match edited {
            None => ResponseBody::replayed(body),
            Some(edited) => {
                let trailers = body.held.frames.drain(..).find_map(|frame| frame.into_trailers().ok());
                ResponseBody::whole(edited, trailers)
            }
        };
        (exchange, Response::from_parts(parts, body))
    }
}

impl<S, B, R> Future for ResponseFuture<S, B, R>
where
    S: Service<Request<RequestBody<B>>, Response = Response<R>>,
    B: Body,
    R: Body,
    R::Error: Into<BoxError>,
{
    type Output = Result<Response<ResponseBody<R>>, S::Error>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut state = self.project().state;
        loop {
            let next = match state.as_mut().project() {
                StateProj::Passed { future } => {
                    return future.poll(cx).map_ok(|response| response.map(ResponseBody::untouched));
                }
                StateProj::Reading { reading } => {
                    let Some(ongoing) = reading.as_mut() else { break };
                    let Reading { lease, body, over, .. } = ongoing.as_mut();
                    let outcome = ready!(poll_body(cx, body, lease, over));
                    reading.take().map(|reading| reading.judge(outcome))
                }
                StateProj::Held { nap, parked } => {
                    ready!(nap.poll(cx));
                    parked.take().map(State::ask)
                }
                StateProj::Upstream { future, exchange } => {
                    let response = ready!(future.poll(cx))?;
                    exchange.take().map(|exchange| State::answered(exchange, response))
                }
                StateProj::Editing { editing } => {
                    let Some(ongoing) = editing.as_mut() else { break };
                    let Editing { exchange, body, over, .. } = ongoing.as_mut();
                    let outcome = ready!(poll_body(cx, body, &exchange.victim.lease, over));
                    editing.take().map(|editing| {
                        let (exchange, response) = editing.edited(outcome);
                        State::answer(exchange, response)
                    })
                }
                StateProj::Returning { nap, answer } => {
                    ready!(nap.poll(cx));
                    answer.take().map(|answer| State::Answered { answer: Some(answer) })
                }
                StateProj::Answered { answer } => {
                    let Some(answer) = answer.take() else { break };
                    state.set(State::Gone);
                    return Poll::Ready(Ok(answer.exchange.finish(answer.response)));
                }
                StateProj::Gone => break,
            };
            state.set(next.unwrap_or(State::Gone));
        }
        panic!("`ResponseFuture` polled after it was ready")
    }
}

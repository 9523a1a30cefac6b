//! The way of one request, as a state machine.
//!
//! Disarmed there is one state, the inner service's own future. Armed, a request may be read (if the plan
//! looks into bodies), amended, held (delay, hang, a queue), asked upstream, edited and held again, in this
//! order. What an armed request carries along is boxed, which keeps the future of a disarmed one small; futures
//! never are.

pub(super) mod intake;
mod queue;
pub(super) mod request;
mod response;

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use http::{HeaderValue, Request, Response};
use http_body::Body;
use pin_project_lite::pin_project;
use tokio::time::Instant;
use tower_service::Service;

use self::{
    intake::Intake,
    queue::Queue,
    request::{Parked, Reading},
    response::{Answer, Editing},
};
use super::{
    BoxError, RequestBody, ResponseBody,
    control::{self, Control},
    exchange::Exchange,
    lease::{Lease, Nap},
    request_body::{Held, Replay, may_be_json},
};

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
        Unknown { #[pin] future: S::Future, names: Option<HeaderValue> },
        Reading { reading: Option<Box<Reading<S, B>>> },
        Intake { intake: Option<Box<Intake<S, B>>> },
        Held { #[pin] nap: Nap, parked: Option<Box<Parked<S, B>>> },
        Queued { queue: Option<Box<Queue<S, B>>> },
        Upstream { #[pin] future: S::Future, exchange: Option<Box<Exchange>> },
        Editing { editing: Option<Box<Editing<R>>> },
        Returning { #[pin] nap: Nap, answer: Option<Box<Answer<R>>> },
        Answered { answer: Option<Box<Answer<R>>> },
        Gone,
    }
}

/// Ready when the plan does not act any more; set up by the first body that has to be waited for.
type Over = Option<Pin<Box<Nap>>>;

/// What became of the reading of a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outcome {
    /// It is there, as far as it is needed.
    Whole,
    /// It is over the limit, or broke.
    Partial,
    /// The plan does not act any more; nobody needs the body.
    Disarmed,
}

/// Reads a body, or as much as is wanted, for as long as its lease is in force.
fn poll_body<B: Body>(
    cx: &mut Context<'_>,
    body: &mut Replay<B>,
    lease: &Arc<Lease>,
    over: &mut Over,
    is_enough: impl Fn(&Held<B::Error>) -> bool,
) -> Poll<Outcome> {
    if let Poll::Ready(whole) = body.poll_read(cx, lease.body_limit, is_enough) {
        return Poll::Ready(if whole { Outcome::Whole } else { Outcome::Partial });
    }
    let over = over.get_or_insert_with(|| Box::pin(Nap::armed(lease.clone())));
    over.as_mut().poll(cx).map(|()| Outcome::Disarmed)
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

    /// Passes a request that asked for faults while there are none.
    pub(super) fn unknown(future: S::Future, names: Option<HeaderValue>) -> Self {
        ResponseFuture { state: State::Unknown { future, names } }
    }

    pub(super) fn armed(
        lease: &Arc<Lease>,
        request: Request<B>,
        service: S,
        control: Option<Control>,
    ) -> Self {
        let in_phase = lease.plan.phase_at(lease.position(Instant::now())).is_some();
        let needs_body = (in_phase || control.is_some()) && lease.plan.needs_request_body();
        let state = if needs_body && !request.body().is_end_stream() && may_be_json(request.headers()) {
            let (parts, body) = request.into_parts();
            let lease = lease.clone();
            let reading = Reading { lease, parts, body: Replay::new(body), service, control, over: None };
            State::Reading { reading: Some(Box::new(reading)) }
        } else {
            State::judged(lease, request.map(RequestBody::untouched), None, service, control)
        };
        ResponseFuture { state }
    }

    /// A request whose exchange is begun, and who it is from known.
    pub(super) fn begun(exchange: Box<Exchange>, request: Request<RequestBody<B>>, service: S) -> Self {
        ResponseFuture { state: State::decided(Parked { exchange, request, service }) }
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
                StateProj::Unknown { future, names } => {
                    let mut response = ready!(future.poll(cx))?.map(ResponseBody::untouched);
                    response.headers_mut().extend(names.take().map(|names| (control::UNKNOWN, names)));
                    return Poll::Ready(Ok(response));
                }
                StateProj::Reading { reading } => {
                    let Some(ongoing) = reading.as_mut() else { break };
                    let Reading { lease, body, over, .. } = ongoing.as_mut();
                    let outcome = ready!(poll_body(cx, body, lease, over, |_| false));
                    reading.take().map(|reading| (*reading).judge(outcome))
                }
                StateProj::Intake { intake } => {
                    let Some(ongoing) = intake.as_mut() else { break };
                    let outcome = ready!(ongoing.poll(cx));
                    intake.take().map(|intake| (*intake).taken(outcome))
                }
                StateProj::Held { nap, parked } => {
                    ready!(nap.poll(cx));
                    parked.take().map(|parked| State::enter(*parked))
                }
                StateProj::Queued { queue } => {
                    let Some(ongoing) = queue.as_mut() else { break };
                    let outcome = ready!(ongoing.poll(cx));
                    queue.take().map(|queue| (*queue).left(outcome))
                }
                StateProj::Upstream { future, exchange } => {
                    let response = ready!(future.poll(cx))?;
                    exchange.take().map(|exchange| State::answered(exchange, response))
                }
                StateProj::Editing { editing } => {
                    let Some(ongoing) = editing.as_mut() else { break };
                    let Editing { exchange, body, over, .. } = ongoing.as_mut();
                    let outcome = ready!(poll_body(cx, body, &exchange.victim.lease, over, |_| false));
                    editing.take().map(|editing| {
                        let (exchange, response) = (*editing).edited(outcome);
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

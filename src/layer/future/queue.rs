//! Limited concurrency: a request waits to be let in, and is turned away when its patience is over.

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use http::Request;
use http_body::Body;
use tokio::time::Instant;
use tokio_util::sync::PollSemaphore;
use tower_service::Service;

use super::{State, request::Parked};
use crate::layer::{
    RequestBody,
    course::Gate,
    lease::Nap,
    respond,
    victim::{Reserved, Rule},
};

/// A request that waits to be let in.
pub(super) struct Queue<S, B: Body> {
    parked: Parked<S, B>,
    rule: Rule,
    /// The right to make it wait.
    reserved: Reserved,
    gate: Gate,
    permits: PollSemaphore,
    nap: Pin<Box<Nap>>,
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
    pub(super) fn new(parked: Parked<S, B>, rule: Rule, reserved: Reserved, gate: Gate) -> Queue<S, B> {
        let nap = Nap::lasting(parked.exchange.victim.lease.clone(), gate.patience);
        let permits = PollSemaphore::new(gate.permits.clone());
        Queue { parked, rule, reserved, gate, permits, nap: Box::pin(nap) }
    }

    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Wait> {
        if let Poll::Ready(Some(place)) = self.permits.poll_acquire(cx) {
            return Poll::Ready(Wait::Entered(place));
        }
        self.nap.as_mut().poll(cx).map(|()| Wait::Over)
    }

    pub(super) fn left<R: Body>(self, wait: Wait) -> State<S, B, R>
    where
        S: Service<Request<RequestBody<B>>>,
    {
        let Queue { mut parked, rule, reserved, gate, .. } = self;
        let exchange = &mut parked.exchange;
        match wait {
            Wait::Entered(place) => {
                exchange.victim.commit(reserved, rule, "waited to be let in", 0);
                exchange.place = Some(place);
            }
            Wait::Over if exchange.victim.lease.acts_until(Instant::now()).is_some() => {
                let response = respond::failed_as(exchange, rule, reserved, &gate.otherwise);
                return State::answer(parked.exchange, response);
            }
            Wait::Over => exchange.victim.commit(reserved, rule, "waited until it was disarmed", 0),
        }
        State::ask(parked)
    }
}

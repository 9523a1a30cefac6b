//! The layer for services that are not HTTP: any request, a response that holds predictions.
//!
//! Latency, hangs and faults on predictions act; faults that need a wire (error, reset) are counted as
//! skipped, `not-typed`. A scenario's `when`, `segments` and `unit` are expressions over HTTP requests. Under a `when` or segments
//! every request passes, counted `not-typed`, because nobody can tell which ones it means; in place of `unit` a
//! closure tells who a request is from. The `protocol` may be any that carries predictions. Decisions are those
//! of the HTTP layer: the same seed, unit and request id give the same fault.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use http::Request;
use pin_project_lite::pin_project;
use tokio::time::Instant;
use tower_layer::Layer;
use tower_service::Service;

use super::{
    Handle,
    course::{Asking, Course},
    lease::{Lease, Nap},
    rows::{RowEdits, Side},
    victim::Victim,
};
use crate::{
    draw::UnitHash,
    evidence::{ArmSink, Cohort, Watch},
    exposure::Assignment,
    fault::Action,
    wire::{Answer, Row},
};

/// A response that holds predictions.
pub trait Predictions {
    /// The predictions, in the order of the batch.
    fn rows(&self) -> Vec<Row>;

    /// Puts changed predictions back; as many rows as there were, with as many values.
    fn set_rows(&mut self, rows: &[Row]);
}

/// Who a request is from.
///
/// ```
/// use canard::layer::typed::Identity;
/// let sticky = Identity::of("request-1").unit("user-7");
/// assert_ne!(sticky, Identity::of("request-1"));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    id: String,
    unit: UnitHash,
}

impl Identity {
    /// A request with an id of its own, which is also its unit.
    pub fn of(id: impl Into<String>) -> Identity {
        let id = id.into();
        Identity { unit: UnitHash::of(id.as_bytes()), id }
    }

    /// The unit (a user, a session) that it belongs to: the same unit is always on the same side.
    #[must_use]
    pub fn unit(self, unit: impl AsRef<[u8]>) -> Identity {
        Identity { unit: UnitHash::of(unit.as_ref()), ..self }
    }
}

/// Wraps services with typed predictions. `identify` tells who a request is from.
///
/// ```
/// use canard::layer::{Handle, typed::{Identity, PredictionLayer}};
/// struct Question { user: String, id: u64 }
/// let layer = PredictionLayer::new(Handle::default(), |question: &Question| {
///     Identity::of(question.id.to_string()).unit(&question.user)
/// });
/// # drop(layer);
/// ```
#[derive(Debug, Clone)]
pub struct PredictionLayer<I> {
    handle: Handle,
    identify: I,
}

impl<I> PredictionLayer<I> {
    /// A layer that `handle` arms and disarms.
    pub const fn new(handle: Handle, identify: I) -> PredictionLayer<I> {
        PredictionLayer { handle, identify }
    }
}

impl<S, I: Clone> Layer<S> for PredictionLayer<I> {
    type Service = PredictionChaos<S, I>;

    fn layer(&self, inner: S) -> PredictionChaos<S, I> {
        PredictionChaos { inner, handle: self.handle.clone(), identify: self.identify.clone() }
    }
}

/// A service with typed predictions that an armed plan acts on.
#[derive(Debug, Clone)]
pub struct PredictionChaos<S, I> {
    inner: S,
    handle: Handle,
    identify: I,
}

impl<S, I, Q> Service<Q> for PredictionChaos<S, I>
where
    S: Service<Q> + Clone,
    S::Response: Predictions,
    I: Fn(&Q) -> Identity,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = PredictionFuture<S, Q>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Q) -> PredictionFuture<S, Q> {
        let lease = if self.handle.is_armed() { self.handle.acting() } else { None };
        let Some(exchange) = lease.and_then(|lease| Typed::begin(&lease, (self.identify)(&request))) else {
            return PredictionFuture { state: State::Passed { future: self.inner.call(request) } };
        };
        let clone = self.inner.clone();
        let ready = std::mem::replace(&mut self.inner, clone);
        PredictionFuture { state: State::begun(exchange, request, ready) }
    }
}

/// One request under an armed plan.
#[derive(Debug)]
struct Typed {
    victim: Victim,
    course: Course,
    watch: Watch<ArmSink>,
    cohort: Cohort,
}

impl Typed {
    fn begin(lease: &Arc<Lease>, identity: Identity) -> Option<Box<Typed>> {
        let position = lease.position(Instant::now());
        let phase = lease.plan.phase_at(position)?;
        // Segments, like `when`, are told by HTTP requests.
        if !lease.plan.target.when.is_everything() || !lease.plan.exposure.segments.is_empty() {
            lease.recorder.not_assigned("not-typed");
            return None;
        }
        let assignment = Assignment::of(&lease.plan.exposure, lease.holdout, identity.unit)
            .in_phase(&lease.plan.phases[phase]);
        let request = UnitHash::of(identity.id.as_bytes());
        let victim = Victim::new(lease.clone(), phase, position, &assignment, request, Some(identity.id));
        let course = Course::drawn(&victim, &assignment, Asking { path: "", bytes: None }).typed(&victim);
        let cohort = Cohort::of(phase, &assignment);
        let watch = Watch::begin(&Request::new(()), lease.recorder.sink(cohort));
        Some(Box::new(Typed { victim, course, watch, cohort }))
    }

    /// Edits the predictions of a response.
    fn edit(&mut self, response: &mut impl Predictions) {
        let mut answer = Answer::of_rows(response.rows());
        let edits = std::mem::take(&mut self.course.edits);
        let mut rows = RowEdits::open(&self.victim, Side::Response, edits);
        if rows.typed(&self.victim, &mut answer) {
            response.set_rows(&answer.rows);
        }
        rows.settle(&mut self.victim);
        self.victim.lease.recorder.predictions(self.cohort, &answer.rows);
    }
}

pin_project! {
    /// The response future of [`PredictionChaos`].
    pub struct PredictionFuture<S, Q>
    where
        S: Service<Q>,
    {
        #[pin]
        state: State<S, Q>,
    }
}

pin_project! {
    #[project = StateProj]
    enum State<S, Q>
    where
        S: Service<Q>,
    {
        Passed { #[pin] future: S::Future },
        Held { #[pin] nap: Nap, parked: Option<(Box<Typed>, Q, S)> },
        Upstream { #[pin] future: S::Future, exchange: Option<Box<Typed>> },
        Returning { #[pin] nap: Nap, answer: Option<(Box<Typed>, S::Response)> },
        Gone,
    }
}

impl<S: Service<Q>, Q> State<S, Q> {
    fn begun(mut exchange: Box<Typed>, request: Q, service: S) -> Self {
        let delays = std::mem::take(&mut exchange.course.before);
        let delay = exchange.victim.delay(delays);
        match delay.is_zero() {
            true => State::ask(exchange, request, service),
            false => {
                let nap = Nap::lasting(exchange.victim.lease.clone(), delay);
                State::Held { nap, parked: Some((exchange, request, service)) }
            }
        }
    }

    fn ask(mut exchange: Box<Typed>, request: Q, mut service: S) -> Self {
        if let Some((rule, Action::Hang { lasts })) = exchange.course.refuse.take()
            && let Some(nap) = exchange.victim.hang(rule, lasts)
        {
            return State::Held { nap, parked: Some((exchange, request, service)) };
        }
        State::Upstream { future: service.call(request), exchange: Some(exchange) }
    }
}

impl<S, Q> Future for PredictionFuture<S, Q>
where
    S: Service<Q>,
    S::Response: Predictions,
{
    type Output = Result<S::Response, S::Error>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut state = self.project().state;
        loop {
            let next = match state.as_mut().project() {
                StateProj::Passed { future } => return future.poll(cx),
                StateProj::Held { nap, parked } => {
                    ready!(nap.poll(cx));
                    parked.take().map(|(exchange, request, service)| State::ask(exchange, request, service))
                }
                StateProj::Upstream { future, exchange } => {
                    let mut response = ready!(future.poll(cx))?;
                    let Some(mut exchange) = exchange.take() else { break };
                    exchange.edit(&mut response);
                    let delays = std::mem::take(&mut exchange.course.after);
                    let delay = exchange.victim.delay(delays);
                    if delay.is_zero() {
                        exchange.watch.succeed();
                        state.set(State::Gone);
                        return Poll::Ready(Ok(response));
                    }
                    let nap = Nap::lasting(exchange.victim.lease.clone(), delay);
                    Some(State::Returning { nap, answer: Some((exchange, response)) })
                }
                StateProj::Returning { nap, answer } => {
                    ready!(nap.poll(cx));
                    let Some((mut exchange, response)) = answer.take() else { break };
                    exchange.watch.succeed();
                    state.set(State::Gone);
                    return Poll::Ready(Ok(response));
                }
                StateProj::Gone => break,
            };
            state.set(next.unwrap_or(State::Gone));
        }
        panic!("`PredictionFuture` polled after it was ready")
    }
}

#[cfg(test)]
mod tests;

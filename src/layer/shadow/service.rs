//! The service around the faults, which makes shadows.

use std::{
    pin::Pin,
    sync::{Arc, Mutex},
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http::{Method, Request, Response, header::UPGRADE};
use http_body::Body;
use pin_project_lite::pin_project;
use tokio::time::Instant;
use tower_service::Service;

use super::{
    CallerBody, ShadowLayer, ShadowedBody,
    caller::{Caller, Recorded, Sequel},
    pending::{Asked, Pending},
    room::Taken,
    tape::Tape,
};
use crate::{
    evidence::{Cohort, LeftOut},
    exposure::Arm,
    layer::{
        BoxError, Chaos, Exposed, Others, RackBody, RequestBody, ResponseBody, ResponseFuture,
        control::Control, exchange::Exchange, lease::Lease, request_body::may_be_json,
    },
};

/// What the innermost service is sent.
pub(super) type Sent<B> = RackBody<RequestBody<CallerBody<B>>>;

/// The innermost service: what a mirror is asked through.
pub trait Inner<B: Body>:
    Service<
        Request<RackBody<RequestBody<CallerBody<B>>>>,
        Response = Response<<Self as Inner<B>>::Body>,
        Future: Send + 'static,
        Error: Into<BoxError> + Send,
    > + Clone
    + Send
    + 'static
{
    /// The body of its responses.
    type Body: Body<Data = Bytes, Error: Into<BoxError>> + Send + 'static;
}

impl<T, B, R> Inner<B> for T
where
    T: Service<Request<Sent<B>>, Response = Response<R>> + Clone + Send + 'static,
    T::Future: Send + 'static,
    T::Error: Into<BoxError> + Send,
    B: Body,
    R: Body<Data = Bytes> + Send + 'static,
    R::Error: Into<BoxError>,
{
    type Body = R;
}

/// A service whose requests may have shadows. See [`ShadowLayer`].
#[derive(Debug, Clone)]
pub struct Shadow<S> {
    rack: Chaos<Others<S>>,
    layer: ShadowLayer,
}

impl<S> Shadow<S> {
    pub(super) const fn new(rack: Chaos<Others<S>>, layer: ShadowLayer) -> Shadow<S> {
        Shadow { rack, layer }
    }
}

impl<S, B> Service<Request<B>> for Shadow<S>
where
    S: Inner<B>,
    B: Body + Send + 'static,
    B::Error: Into<BoxError> + Send,
{
    type Response = Response<ShadowedBody<ResponseBody<RackBody<S::Body>>>>;
    type Error = S::Error;
    type Future = ShadowFuture<ResponseFuture<Others<S>, CallerBody<B>, RackBody<S::Body>>>;

    #[inline]
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        Service::<Request<CallerBody<B>>>::poll_ready(&mut self.rack, cx)
    }

    #[inline]
    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        let common = &self.layer.rack.common;
        let (asked, callers) = match common.is_shadowed() {
            // What it asks for is no true answer.
            true if common.is_controlled() && Control::is_asked(request.headers()) => (None, Vec::new()),
            true => {
                common.number(&mut request);
                self.met::<B>(&request)
            }
            false => (None, Vec::new()),
        };
        let request = request.map(|body| CallerBody::passing(body, asked));
        ShadowFuture { future: self.rack.call(request), callers }
    }
}

/// What a request is kept on while it passes.
type Kept = Arc<Mutex<Tape>>;

impl<S> Shadow<S> {
    /// A request under plans for shadows: each goes along with it.
    fn met<B>(&self, request: &Request<B>) -> (Option<Kept>, Vec<Caller>)
    where
        S: Inner<B>,
        B: Body + Send + 'static,
        B::Error: Into<BoxError> + Send,
    {
        let mut asked = None;
        let leases = self.layer.rack.common.shadowing();
        let callers = leases.filter_map(|lease| self.caller::<B>(lease, request, &mut asked)).collect();
        (asked, callers)
    }

    /// Counts a request as control under a plan, and has it copied if it may get a shadow.
    fn caller<B>(&self, lease: Arc<Lease>, request: &Request<B>, asked: &mut Option<Kept>) -> Option<Caller>
    where
        S: Inner<B>,
        B: Body + Send + 'static,
        B::Error: Into<BoxError> + Send,
    {
        let arrived = Instant::now();
        let phase = lease.plan.phase_at(lease.position(arrived))?;
        let cell = lease.recorder.shadow(phase)?.clone();
        // Who it is from may stand in its body, which is read when it has passed.
        let later = lease.plan.needs_request_body()
            && !request.body().is_end_stream()
            && may_be_json(request.headers());
        let who = match later {
            true => None,
            false => Some(Exchange::judged(&lease, request, None, arrived)?),
        };
        let mirror = lease.plan.shadow().and_then(|shadow| shadow.mirror.as_ref());
        let acts = mirror.is_some() || !lease.plan.phases[phase].injections.is_empty();
        let treated = who.as_ref().is_some_and(|(victim, _)| victim.arm == Arm::Treated);
        let shadow = if acts && (treated || later) {
            self.room(&lease, request, mirror.is_none()).map_err(Some)
        } else {
            Err(None)
        };
        // Without its body nobody could tell who it is from, shadow or not.
        let kept = if later || shadow.is_ok() { self.kept(&lease, request, asked) } else { None };
        let Some(kept) = kept else {
            if later {
                lease.recorder.not_assigned("request-body-not-kept");
                return None;
            }
            let why = shadow.err().unwrap_or(Some(LeftOut::Memory));
            why.into_iter().for_each(|why| cell.left_out(why));
            let mut sink = lease.recorder.sink(Cohort::side(phase, Arm::Control));
            // What the mirror would have said is another matter.
            if let (None, Some(learners)) = (mirror, lease.learners(phase)) {
                sink.seen_by(learners.clone());
            }
            return Some(Caller::new(lease, request, arrived, Sequel::Counted(sink)));
        };
        let (place, recorded) = match shadow {
            Ok((place, recorded)) => (Ok(place), recorded),
            Err(why) => (Err(why), None),
        };
        let pending = Pending {
            phase,
            cell,
            who,
            asked: Asked::of(request, kept, arrived),
            service: self.rack.get_ref().get_ref().clone(),
            shown: self.layer.shown.clone(),
            place,
            room: self.layer.room.clone(),
            lease: lease.clone(),
        };
        let begin = Box::new(move |sample, recorded| pending.begin::<B>(sample, recorded));
        Some(Caller::new(lease, request, arrived, Sequel::Copied { recorded, begin }))
    }

    /// What the request is kept on, if there is room.
    fn kept<B: Body>(&self, lease: &Lease, request: &Request<B>, asked: &mut Option<Kept>) -> Option<Kept> {
        if asked.is_none() {
            let tape = Tape::new(lease.body_limit, &self.layer.room, request.body().is_end_stream())?;
            *asked = Some(Arc::new(Mutex::new(tape)));
        }
        asked.clone()
    }

    /// Room for a shadow, and what its caller's answer is kept on if that is played again.
    fn room<B>(
        &self,
        lease: &Lease,
        request: &Request<B>,
        answers: bool,
    ) -> Result<(Taken, Option<Recorded>), LeftOut> {
        if request.headers().contains_key(UPGRADE) || request.method() == Method::CONNECT {
            return Err(LeftOut::Upgrade);
        }
        let tape = || Tape::new(lease.body_limit, &self.layer.room, false).ok_or(LeftOut::Memory);
        let place = self.layer.places.take(1).ok_or(LeftOut::Overflow)?;
        let recorded = answers.then(tape).transpose()?;
        Ok((place, recorded.map(|tape| Recorded { head: None, tape })))
    }
}

pin_project! {
    /// The response future of [`Shadow`].
    pub struct ShadowFuture<F> {
        #[pin]
        future: F,
        callers: Vec<Caller>,
    }
}

impl<F, T, E> Future for ShadowFuture<F>
where
    F: Future<Output = Result<Response<T>, E>>,
    T: Body,
{
    type Output = Result<Response<ShadowedBody<T>>, E>;

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let mut response = ready!(this.future.poll(cx))?;
        let mut callers = std::mem::take(this.callers);
        callers.iter_mut().for_each(|caller| caller.answered(&response));
        if !callers.is_empty() {
            // Another plan may have treated it.
            response.extensions_mut().get_or_insert(Exposed { arm: Arm::Control, version: None });
        }
        Poll::Ready(Ok(response.map(|body| ShadowedBody::new(body, callers))))
    }
}

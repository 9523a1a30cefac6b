//! The service around the faults, which makes shadows.

use std::{
    pin::Pin,
    sync::{Arc, Mutex},
    task::{Context, Poll, ready},
};

use http::{Method, Request, Response, header::UPGRADE};
use http_body::Body;
use pin_project_lite::pin_project;
use tokio::time::Instant;
use tower_service::Service;

use super::{
    CallerBody, ShadowLayer, ShadowedBody,
    caller::{Caller, Recorded, Sequel},
    pending::{Asked, Pending},
    tape::Tape,
};
use crate::{
    evidence::LeftOut,
    exposure::Arm,
    layer::{
        BoxError, Chaos, Exposed, RequestBody, ResponseBody, ResponseFuture, exchange::Exchange,
        lease::Lease, request_body::may_be_json,
    },
};

/// A service whose requests may have shadows. See [`ShadowLayer`].
#[derive(Debug, Clone)]
pub struct Shadow<S> {
    chaos: Chaos<S>,
    layer: ShadowLayer,
}

impl<S> Shadow<S> {
    pub(super) const fn new(chaos: Chaos<S>, layer: ShadowLayer) -> Shadow<S> {
        Shadow { chaos, layer }
    }
}

impl<S, B, R> Service<Request<B>> for Shadow<S>
where
    S: Service<Request<RequestBody<CallerBody<B>>>, Response = Response<R>> + Clone + Send + 'static,
    S::Future: Send,
    S::Error: Into<BoxError>,
    B: Body + Send + 'static,
    B::Error: Send,
    R: Body + Send + 'static,
    R::Error: Into<BoxError> + Send,
{
    type Response = Response<ShadowedBody<ResponseBody<R>>>;
    type Error = S::Error;
    type Future = ShadowFuture<S, B, R>;

    #[inline]
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        Service::<Request<CallerBody<B>>>::poll_ready(&mut self.chaos, cx)
    }

    #[inline]
    fn call(&mut self, request: Request<B>) -> Self::Future {
        let Some(lease) = self.layer.handle.shadowing() else {
            let request = request.map(|body| CallerBody::passing(body, None));
            return ShadowFuture { future: self.chaos.call(request), caller: None };
        };
        let (request, caller) = self.met::<B, R>(lease, request);
        ShadowFuture { future: self.chaos.call(request), caller: caller.map(Box::new) }
    }
}

impl<S> Shadow<S> {
    /// A request under a plan for shadows: counts it as control, and copies it if it may get a shadow.
    fn met<B, R>(&self, lease: Arc<Lease>, request: Request<B>) -> (Request<CallerBody<B>>, Option<Caller>)
    where
        S: Service<Request<RequestBody<CallerBody<B>>>, Response = Response<R>> + Clone + Send + 'static,
        S::Future: Send,
        S::Error: Into<BoxError>,
        B: Body + Send + 'static,
        B::Error: Send,
        R: Body + Send + 'static,
        R::Error: Into<BoxError> + Send,
    {
        let passed = |request: Request<B>| request.map(|body| CallerBody::passing(body, None));
        let arrived = Instant::now();
        let phase = lease.plan.phase_at(lease.position(arrived));
        let Some((phase, cell)) = phase.and_then(|phase| Some((phase, lease.recorder.shadow(phase)?))) else {
            return (passed(request), None);
        };
        // Who it is from may stand in its body, which is read when it has passed.
        let later = lease.plan.needs_request_body()
            && !request.body().is_end_stream()
            && may_be_json(request.headers());
        let who = match later {
            true => None,
            false => match Exchange::judged(&lease, &request, None, arrived) {
                None => return (passed(request), None),
                judged => judged,
            },
        };
        let mirror = lease.plan.shadow().and_then(|shadow| shadow.mirror.as_ref());
        let acts = mirror.is_some() || !lease.plan.phases[phase].injections.is_empty();
        let treated = acts && who.as_ref().is_some_and(|(victim, _)| victim.arm == Arm::Treated);
        let tapes = if treated || later { self.tapes(&lease, &request, mirror.is_none()) } else { Ok(None) };
        let tapes = tapes.unwrap_or_else(|why| {
            cell.left_out(why);
            None
        });
        let Some((place, asked, recorded)) = tapes else {
            if later {
                lease.recorder.not_assigned("request-body-not-kept");
                return (passed(request), None);
            }
            let mut sink = lease.recorder.sink(phase, Arm::Control);
            // What the mirror would have said is another matter.
            if let (None, Some(learners)) = (mirror, lease.learners(phase)) {
                sink.seen_by(learners.clone());
            }
            let caller = Caller::new(lease, &request, arrived, Sequel::Counted(sink));
            return (passed(request), Some(caller));
        };
        let asked = Arc::new(Mutex::new(asked));
        let pending = Pending {
            phase,
            cell: cell.clone(),
            who,
            asked: Asked::of(&request, asked.clone(), arrived),
            service: self.chaos.get_ref().clone(),
            shown: self.layer.shown.clone(),
            controlled: self.layer.handle.is_controlled(),
            place,
            lease: lease.clone(),
        };
        let begin = Box::new(move |sample, recorded| pending.begin::<B, R>(sample, recorded));
        let caller = Caller::new(lease, &request, arrived, Sequel::Copied { recorded, begin });
        (request.map(|body| CallerBody::passing(body, Some(asked))), Some(caller))
    }

    /// Room for a shadow, and what the request and its answer are kept on.
    #[expect(clippy::type_complexity, reason = "taken apart at once")]
    fn tapes<B: Body>(
        &self,
        lease: &Lease,
        request: &Request<B>,
        answers: bool,
    ) -> Result<Option<(super::room::Taken, Tape, Option<Recorded>)>, LeftOut> {
        if request.headers().contains_key(UPGRADE) || request.method() == Method::CONNECT {
            return Err(LeftOut::Upgrade);
        }
        let tape = |ended| Tape::new(lease.body_limit, &self.layer.room, ended).ok_or(LeftOut::Memory);
        let place = self.layer.places.take(1).ok_or(LeftOut::Overflow)?;
        let asked = tape(request.body().is_end_stream())?;
        let recorded = answers.then(|| tape(false)).transpose()?;
        Ok(Some((place, asked, recorded.map(|tape| Recorded { head: None, tape }))))
    }
}

pin_project! {
    /// The response future of [`Shadow`].
    pub struct ShadowFuture<S, B, R>
    where
        S: Service<Request<RequestBody<CallerBody<B>>>>,
        B: Body,
        R: Body,
    {
        #[pin]
        future: ResponseFuture<S, CallerBody<B>, R>,
        caller: Option<Box<Caller>>,
    }
}

impl<S, B, R> Future for ShadowFuture<S, B, R>
where
    S: Service<Request<RequestBody<CallerBody<B>>>, Response = Response<R>>,
    B: Body,
    R: Body,
    R::Error: Into<BoxError>,
{
    type Output = Result<Response<ShadowedBody<ResponseBody<R>>>, S::Error>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let mut response = ready!(this.future.poll(cx))?;
        let mut caller = this.caller.take();
        if let Some(caller) = &mut caller {
            caller.answered(&response);
            response.extensions_mut().insert(Exposed { arm: Arm::Control });
        }
        Poll::Ready(Ok(response.map(|body| ShadowedBody::new(body, caller))))
    }
}

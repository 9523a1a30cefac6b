//! A shadow from the end of its caller's exchange to its own.

use std::{
    future::poll_fn,
    pin::pin,
    sync::{Arc, Mutex, PoisonError},
    task::Poll,
};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Request, Uri, Version};
use http_body::Body;
use tokio::{runtime::Handle as Runtime, time::Instant};

use super::{
    CallerBody, Inner, Twin,
    caller::Recorded,
    room::{Room, Taken},
    tape::Tape,
    understudy::Understudy,
};
use crate::{
    clock::{self, Timestamp},
    evidence::{Cohort, LeftOut, Sample, ShadowCell, Sink as _},
    exposure::{Arm, Assignment},
    layer::{
        BoxError, RequestBody, ResponseFuture,
        control::Control,
        ear::Ear,
        exchange::Exchange,
        future::{intake::masked, request::parsed},
        lease::{Lease, Nap},
        observe::Learners,
        victim::Victim,
        view::Shown,
    },
    scenario::Mark,
};

/// A request that may get a shadow.
pub(super) struct Pending<S> {
    pub(super) lease: Arc<Lease>,
    pub(super) phase: usize,
    pub(super) cell: Arc<ShadowCell>,
    /// Who it is from, if that could be told without its body.
    pub(super) who: Option<(Victim, Assignment)>,
    pub(super) asked: Asked,
    pub(super) service: S,
    pub(super) shown: Option<Shown>,
    /// The place of its shadow, or why it gets none; `None`: no shadow is wanted.
    pub(super) place: Result<Taken, Option<LeftOut>>,
    pub(super) room: Room,
}

/// The request: its head, and what passed of its body. Not its extensions, which are its caller's connection.
pub(super) struct Asked {
    method: Method,
    uri: Uri,
    version: Version,
    headers: HeaderMap,
    tape: Arc<Mutex<Tape>>,
    arrived: Instant,
    at: Timestamp,
}

impl Asked {
    pub(super) fn of<B>(request: &Request<B>, tape: Arc<Mutex<Tape>>, arrived: Instant) -> Asked {
        Asked {
            method: request.method().clone(),
            uri: request.uri().clone(),
            version: request.version(),
            headers: request.headers().clone(),
            tape,
            arrived,
            at: clock::now(),
        }
    }

    /// The head, and the body as far as it was kept.
    fn request(&mut self) -> (Request<()>, Result<Bytes, LeftOut>) {
        let mut request = Request::new(());
        *request.method_mut() = std::mem::take(&mut self.method);
        *request.uri_mut() = std::mem::take(&mut self.uri);
        *request.version_mut() = self.version;
        *request.headers_mut() = std::mem::take(&mut self.headers);
        let tape = self.tape.lock().unwrap_or_else(PoisonError::into_inner);
        let body = tape.whole().map(|()| tape.joined());
        (request, body)
    }
}

impl<S> Pending<S> {
    /// Begins when the caller's exchange is over.
    pub(super) fn begin<B>(self, caller: Sample, recorded: Option<Recorded>)
    where
        S: Inner<B>,
        B: Body + Send + 'static,
        B::Error: Into<BoxError> + Send,
    {
        match Runtime::try_current() {
            Ok(runtime) => drop(runtime.spawn(self.run::<B>(caller, recorded))),
            Err(_) => {
                self.cell.left_out(LeftOut::NoRuntime);
                if self.who.is_some() {
                    self.lease.recorder.sink(Cohort::side(self.phase, Arm::Control)).take(caller);
                }
            }
        }
    }

    /// Runs until the shadow is answered, or the lease is over.
    async fn run<B>(self, caller: Sample, recorded: Option<Recorded>)
    where
        S: Inner<B>,
        B: Body + Send + 'static,
        B::Error: Into<BoxError> + Send,
    {
        let (lease, cell) = (self.lease.clone(), self.cell.clone());
        let ready = match self.ready(caller, recorded) {
            Ok(ready) => ready,
            Err(None) => return,
            Err(Some(why)) => return cell.left_out(why),
        };
        let mut over = pin!(Nap::armed(lease));
        let mut answered = pin!(ready.answered::<B>());
        poll_fn(|cx| {
            if over.as_mut().poll(cx).is_ready() {
                return Poll::Ready(());
            }
            answered.as_mut().poll(cx)
        })
        .await;
    }

    /// Counts the caller's exchange, and tells what its shadow is; `None`: it gets none.
    fn ready(mut self, caller: Sample, recorded: Option<Recorded>) -> Result<Ready<S>, Option<LeftOut>> {
        let (request, body) = self.asked.request();
        let (exchange, request, arm) = self.judged(request, &body).ok_or(None)?;
        let Pending { lease, phase, .. } = &self;
        let mut sink = lease.recorder.sink(Cohort::side(*phase, Arm::Control));
        let mirror = lease.plan.shadow().and_then(|shadow| shadow.mirror.as_ref());
        if let (None, Some(learners)) = (mirror, Learners::of(&exchange.victim, true)) {
            sink.seen_by(learners);
        }
        sink.take(caller.clone());

        if arm == Arm::Control {
            return Err(None);
        }
        self.place.as_ref().map_err(|why| *why)?;
        if lease.acts_until(Instant::now()).is_none() {
            return Err(Some(LeftOut::Disarmed));
        }
        let whole = if caller.whole { Ok(()) } else { Err(LeftOut::NotWhole) };
        whole.and(recorded.as_ref().map_or(Ok(()), |recorded| recorded.tape.whole())).map_err(Some)?;
        let mirror = mirror.map(|mirror| lease.candidates.find(mirror).ok_or(None)).transpose()?;
        self.asking(exchange, request, body.map_err(Some)?, caller, recorded, mirror).map_err(Some)
    }

    /// Begins the exchange of the shadow, of which nobody hears yet; `None`: the request belongs to no arm.
    fn judged(
        &mut self,
        mut request: Request<()>,
        body: &Result<Bytes, LeftOut>,
    ) -> Option<(Box<Exchange>, Request<()>, Arm)> {
        // What is asked of canard is not asked of a mirror.
        Control::strip(request.headers_mut());
        let lease = &self.lease;
        let read = body.as_ref().map_err(|why| match why {
            LeftOut::NotWhole => "request-body-broke",
            LeftOut::Memory => "request-body-not-kept",
            _ => "request-body-too-large",
        });
        let (parts, ()) = request.into_parts();
        let json = match &self.who {
            Some(_) => Ok(None),
            None => read.and_then(|body| parsed(&parts, body, lease.body_limit)),
        };
        let mut request = Request::from_parts(parts, ());
        let json = json.map_err(|reason| lease.recorder.not_assigned(reason)).ok()?;
        let later = || Exchange::judged(lease, &request, json.as_ref(), self.asked.arrived);
        let (victim, assignment) = self.who.take().or_else(later)?;
        let mut exchange = Exchange::of_shadow(&request, victim, assignment);
        if exchange.need().any {
            let (parts, ()) = request.into_parts();
            request = Request::from_parts(masked(&mut exchange, parts, read.cloned()), ());
        }
        Some((exchange, request, assignment.arm))
    }

    /// Who is asked, and who hears the answer.
    fn asking(
        self,
        mut exchange: Box<Exchange>,
        request: Request<()>,
        body: Bytes,
        caller: Sample,
        mut recorded: Option<Recorded>,
        mirror: Option<Uri>,
    ) -> Result<Ready<S>, LeftOut> {
        let Pending { lease, phase, cell, asked, service, shown, place, room, .. } = self;
        let document = &lease.plan.document;
        let mark = (document.mark == Mark::On).then(|| HeaderValue::from_str(&document.name).ok()).flatten();
        let take = |bytes| room.take(bytes).ok_or(LeftOut::Memory);
        let shown = shown.and_then(|shown| shown.of(&request, asked.at, &body));
        let body = shown.as_ref().map(|_| take(body.len())).transpose()?;
        // What the caller got is kept until it is compared.
        let answer = match &mut recorded {
            Some(recorded) => recorded.tape.hand_over(),
            None => Some(take(caller.kept())?),
        };
        let live = Tape::new(lease.body_limit, &room, false).ok_or(LeftOut::Memory)?;
        let live = Arc::new(Mutex::new(live));
        let taken = place.into_iter().chain(body).chain(answer).collect();
        let twin = Twin { lease, phase, cell, caller, next: None, shown, taken, room, live: live.clone() };
        *exchange.watch.sink_mut() = Ear::Shadow(Box::new(twin));
        let service = Understudy { inner: service, recorded, mirror, mark, live };
        Ok(Ready { exchange, request, tape: asked.tape, service })
    }
}

/// A shadow that is about to be asked for.
struct Ready<S> {
    exchange: Box<Exchange>,
    request: Request<()>,
    tape: Arc<Mutex<Tape>>,
    service: Understudy<S>,
}

impl<S> Ready<S> {
    /// Goes the way of any treated request, and reads the answer to its end.
    async fn answered<B>(self)
    where
        S: Inner<B>,
        B: Body + Send + 'static,
        B::Error: Into<BoxError> + Send,
    {
        let Ready { exchange, request, tape, service } = self;
        let pieces = tape.lock().unwrap_or_else(PoisonError::into_inner).pieces();
        let request = request.map(|()| RequestBody::untouched(CallerBody::<B>::copied(pieces)));
        let Ok(response) = ResponseFuture::begun(exchange, request, service).await;
        let mut body = pin!(response.into_body());
        while let Some(Ok(_)) = poll_fn(|cx| body.as_mut().poll_frame(cx)).await {}
    }
}

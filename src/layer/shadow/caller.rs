//! A caller's exchange: it counts as control, and a copy of it may become a shadow when it is over.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderMap, Response, StatusCode, Version};
use http_body::{Body, Frame};
use tokio::time::Instant;

use super::tape::Tape;
use crate::{
    evidence::{ArmSink, Sample, Sink, Watch},
    exposure::Arm,
    layer::lease::Lease,
};

/// Goes along with a caller's exchange.
pub(super) struct Caller {
    watch: Watch<Primary>,
    arrived: Instant,
    lease: Arc<Lease>,
}

/// What the caller is answered.
pub(super) struct Recorded {
    pub(super) head: Option<Head>,
    pub(super) tape: Tape,
}

/// The head of a response.
pub(super) struct Head {
    /// When it came, after the request.
    pub(super) after: Duration,
    pub(super) status: StatusCode,
    pub(super) version: Version,
    pub(super) headers: HeaderMap,
}

/// What follows when the exchange is over.
pub(super) struct Primary(Mutex<Option<Sequel>>);

/// Begins a shadow.
type Begin = Box<dyn FnOnce(Sample, Option<Recorded>) + Send>;

pub(super) enum Sequel {
    /// It is counted.
    Counted(ArmSink),
    /// It is copied; whoever begins the shadow counts it.
    Copied { recorded: Option<Recorded>, begin: Begin },
}

impl Caller {
    pub(super) fn new<B>(
        lease: Arc<Lease>,
        request: &http::Request<B>,
        arrived: Instant,
        sequel: Sequel,
    ) -> Caller {
        let watch = Watch::begin(request, Primary(Mutex::new(Some(sequel))));
        Caller { watch, arrived, lease }
    }

    /// Notes the head of the response.
    pub(super) fn answered<R: Body>(&mut self, response: &Response<R>) {
        let codec = &self.lease.plan.target.codec;
        let reads = response.status().is_success()
            && codec.is_prediction(self.watch.method(), self.watch.uri().path());
        self.watch.respond(response, Some(Arm::Control), reads.then_some(self.lease.body_limit));
        let after = self.arrived.elapsed();
        if let Some(recorded) = self.recorded() {
            let (status, version) = (response.status(), response.version());
            recorded.head = Some(Head { after, status, version, headers: response.headers().clone() });
            if response.body().is_end_stream() {
                recorded.tape.polled::<()>(after, None, true);
            }
        }
    }

    /// Notes what a poll of the body gave.
    pub(super) fn polled<E>(&mut self, frame: Option<&Result<Frame<Bytes>, E>>, ended: bool) {
        self.watch.polled(frame, ended);
        let at = self.arrived.elapsed();
        if let Some(recorded) = self.recorded() {
            recorded.tape.polled(at, frame, ended);
        }
    }

    fn recorded(&mut self) -> Option<&mut Recorded> {
        match self.watch.sink_mut().0.get_mut().unwrap_or_else(PoisonError::into_inner) {
            Some(Sequel::Copied { recorded, .. }) => recorded.as_mut(),
            _ => None,
        }
    }
}

impl Sink for Primary {
    fn take(&self, sample: Sample) {
        match self.0.lock().unwrap_or_else(PoisonError::into_inner).take() {
            None => {}
            Some(Sequel::Counted(sink)) => sink.take(sample),
            Some(Sequel::Copied { recorded, begin }) => begin(sample, recorded),
        }
    }
}

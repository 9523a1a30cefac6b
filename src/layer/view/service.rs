//! The service and the body that are watched.

use std::{
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body::Body;
use pin_project_lite::pin_project;
use tokio::sync::mpsc;
use tower_service::Service;

use super::{
    ViewLayer,
    payload::{Asked, Tapped},
    reader::Exchange,
    series::Shard,
};
use crate::{
    clock::Timestamp,
    evidence::{CHUNK_OVERHEAD, Sample, SampledBody, Sink, Unread, Watch},
    layer::{Exposed, shadow::Hold},
};

/// A service whose exchanges are counted. See [`ViewLayer`].
#[derive(Debug, Clone)]
pub struct Viewed<S> {
    inner: S,
    layer: ViewLayer,
}

/// A response body that is watched on its way.
pub type ViewedBody<R> = SampledBody<R, ViewSink>;

/// Counts an exchange when it is over.
#[derive(Debug)]
pub struct ViewSink {
    shard: Arc<Shard>,
    queue: mpsc::Sender<Exchange>,
    /// The request, if somebody is shown payloads.
    asked: Option<Arc<Asked>>,
}

impl Sink for ViewSink {
    fn take(&self, sample: Sample) {
        self.shard.record(&sample);
        match &sample.body {
            Err(Unread::NotKept) => {}
            Err(Unread::TooLarge) => self.shard.unread("body-too-large"),
            Ok(_) if !sample.whole => self.shard.unread("broken"),
            Ok(_) => {
                if self.queue.try_send(Exchange { sample, asked: self.asked.clone(), shadow: None }).is_err()
                {
                    self.shard.unread("queue-full");
                }
            }
        }
    }
}

/// Shows exchanges that no caller saw to whoever is shown payloads.
#[derive(Debug, Clone)]
pub struct Shown {
    layer: ViewLayer,
    asked: Option<Arc<Asked>>,
}

impl Shown {
    pub(super) const fn new(layer: ViewLayer) -> Shown {
        Shown { layer, asked: None }
    }

    /// For the exchange of this request; `None` if it is not for predictions.
    pub(in crate::layer) fn of<B>(self, request: &Request<B>, at: Timestamp, body: &Bytes) -> Option<Shown> {
        let settings = &self.layer.shard.settings;
        let shown = settings.codec.is_prediction(request.method(), request.uri().path());
        let asked = shown.then(|| Asked::kept(request, at, body, settings.body));
        asked.map(|asked| Shown { asked: Some(Arc::new(asked)), ..self })
    }

    /// Shows its answer, which takes so much memory. Of the queue it gets no more than half: callers come first.
    pub(in crate::layer) fn show(&self, sample: &Sample, hold: &Hold) {
        if !sample.whole || sample.body.is_err() {
            return;
        }
        let (settings, queue) = (&self.layer.shard.settings, &self.layer.queue);
        let fits = sample.kept() <= settings.body + CHUNK_OVERHEAD;
        let sent = fits && queue.capacity() > queue.max_capacity() / 2 && {
            let (asked, shadow) = (self.asked.clone(), Some(hold.clone()));
            queue.try_send(Exchange { sample: sample.clone(), asked, shadow }).is_ok()
        };
        if !sent {
            settings.payloads.iter().for_each(|payloads| payloads.missed());
        }
    }
}

impl<S> Viewed<S> {
    pub(super) const fn new(inner: S, layer: ViewLayer) -> Viewed<S> {
        Viewed { inner, layer }
    }
}

impl<S, B, R> Service<Request<B>> for Viewed<S>
where
    S: Service<Request<Tapped<B>>, Response = Response<R>>,
    B: Body,
    R: Body,
{
    type Response = Response<ViewedBody<R>>;
    type Error = S::Error;
    type Future = ViewFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let settings = &self.layer.shard.settings;
        let shown = settings.payloads.is_some()
            && settings.codec.is_prediction(request.method(), request.uri().path());
        let asked = shown.then(|| Arc::new(Asked::of(&request, settings.body)));
        let (shard, queue) = (self.layer.shard.clone(), self.layer.queue.clone());
        let request = request.map(|body| Tapped::new(body, asked.as_deref()));
        let watch = Watch::begin(&request, ViewSink { shard, queue, asked });
        ViewFuture { future: self.inner.call(request), watch: Some(watch) }
    }
}

pin_project! {
    /// A response to come.
    #[derive(Debug)]
    pub struct ViewFuture<F> {
        #[pin]
        future: F,
        watch: Option<Watch<ViewSink>>,
    }
}

impl<F, R, E> Future for ViewFuture<F>
where
    F: Future<Output = Result<Response<R>, E>>,
    R: Body,
{
    type Output = Result<Response<ViewedBody<R>>, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let response = ready!(this.future.poll(cx))?;
        let mut watch = this.watch.take();
        if let Some(watch) = &mut watch {
            let exposed = response.extensions().get::<Exposed>();
            let keep = keep(watch, response.status());
            watch.of_version(exposed.and_then(|exposed| exposed.version.clone()));
            watch.respond(&response, exposed.map(|exposed| exposed.arm), keep);
        }
        Poll::Ready(Ok(response.map(|body| SampledBody::new(body, watch))))
    }
}

/// How much of the body is copied: that of a prediction, if it is to be read.
fn keep(watch: &Watch<ViewSink>, status: StatusCode) -> Option<usize> {
    let settings = &watch.sink().shard.settings;
    let read = settings.observe
        && status == StatusCode::OK
        && settings.codec.is_prediction(watch.method(), watch.uri().path());
    read.then_some(settings.body)
}

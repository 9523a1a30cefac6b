//! Exchanges as they are shown to whoever logs payloads: features asked about, predictions answered.
//!
//! A request's body is copied only where somebody listens, up to the same limit as a response's. It is read after
//! the caller has the answer, by the view's [`Reader`](super::Reader); a fault that changes a request acts behind
//! the view, so what is seen is what the caller sent.

use std::{
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http::{HeaderMap, Request, StatusCode, Uri};
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;

use crate::{
    clock::Timestamp,
    evidence::{Copied, Sample, as_bytes},
    exposure::Arm,
    layer::{amend, exchange},
    wire::{Answer, Codec, Head, Labels},
};

/// One exchange, after the caller has the answer.
#[derive(Debug)]
pub struct Payload<'a> {
    /// When the request arrived.
    pub at: Timestamp,
    /// The request's own id (`x-request-id`, `traceparent`), if it has one; a shadow has its caller's.
    pub id: Option<&'a str>,
    /// The request's target.
    pub uri: &'a Uri,
    /// The model, where the path names it.
    pub model: &'a str,
    /// The status of the response.
    pub status: StatusCode,
    /// Which side the unit was on; `None` when nothing was armed.
    pub arm: Option<Arm>,
    /// No caller got this: it is what a shadow was answered.
    pub shadow: bool,
    /// The predictions that the caller got.
    pub predictions: &'a Answer,
    /// Class names.
    pub labels: &'a Labels,
    pub(super) asked: &'a Asked,
    pub(super) sample: &'a Sample,
    pub(super) codec: &'a dyn Codec,
}

impl Payload<'_> {
    /// Reads the features that the caller sent.
    ///
    /// # Errors
    /// Why they can't be read.
    pub fn features(&self) -> Result<Answer, &'static str> {
        self.asked.features(self.codec, self.uri.path(), &self.asked.body()?)
    }

    /// The request's body as it was sent, and the response's; empty if it was not kept.
    pub fn bodies(&self) -> [Bytes; 2] {
        [self.asked.body().unwrap_or_default(), self.sample.joined()]
    }
}

/// Is shown exchanges. Called on the task that reads for the service view: be quick, and never wait.
pub trait Payloads: std::fmt::Debug + Send + Sync {
    /// Sees one.
    fn take(&self, payload: Payload<'_>);

    /// What a shadow was answered is larger than what is read of callers, or came when they needed the queue.
    fn missed(&self) {}
}

/// What is kept of a request until its answer has passed.
#[derive(Debug)]
pub(super) struct Asked {
    pub(super) at: Timestamp,
    pub(super) id: Option<String>,
    headers: HeaderMap,
    kept: Arc<Mutex<Kept>>,
    limit: usize,
}

#[derive(Debug)]
struct Kept {
    copied: Copied,
    ended: bool,
}

impl Asked {
    pub(super) fn of<B: Body>(request: &Request<B>, limit: usize) -> Asked {
        let kept = Kept { copied: Copied::up_to(limit), ended: request.body().is_end_stream() };
        Asked {
            at: crate::clock::now(),
            id: id(request.headers()),
            headers: request.headers().clone(),
            kept: Arc::new(Mutex::new(kept)),
            limit,
        }
    }

    /// A request whose body was kept by somebody else.
    pub(super) fn kept<B>(request: &Request<B>, at: Timestamp, body: &Bytes, limit: usize) -> Asked {
        let mut copied = Copied::up_to(limit);
        copied.pass(body);
        let kept = Arc::new(Mutex::new(Kept { copied, ended: true }));
        Asked { at, kept, id: id(request.headers()), headers: request.headers().clone(), limit }
    }

    /// The body as it was sent.
    ///
    /// # Errors
    /// Why it was not kept whole.
    pub(super) fn body(&self) -> Result<Bytes, &'static str> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        match kept.copied.joined() {
            Err(_) => Err("body-too-large"),
            Ok(_) if !kept.ended => Err("broken"),
            Ok(body) if body.is_empty() => Err("no-body"),
            Ok(body) => Ok(body),
        }
    }

    pub(super) fn features(
        &self,
        codec: &dyn Codec,
        path: &str,
        body: &[u8],
    ) -> Result<Answer, &'static str> {
        let is_grpc = exchange::is_grpc(&self.headers);
        let read = || {
            let plain = amend::plain(&self.headers, body, is_grpc, self.limit)?;
            codec.features(Head { path, headers: &self.headers }, &plain)
        };
        read().map(|reading| reading.answer()).map_err(|error| error.reason())
    }
}

fn id(headers: &HeaderMap) -> Option<String> {
    exchange::identity(headers).map(|id| String::from_utf8_lossy(id).into_owned())
}

pin_project! {
    /// A request body of which a copy may be kept on its way.
    #[derive(Debug)]
    pub struct Tapped<B> {
        #[pin]
        body: B,
        copy: Option<Arc<Mutex<Kept>>>,
    }
}

impl<B> Tapped<B> {
    pub(super) fn new(body: B, asked: Option<&Asked>) -> Tapped<B> {
        Tapped { body, copy: asked.map(|asked| asked.kept.clone()) }
    }
}

impl<B: Body> Body for Tapped<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        let mut this = self.project();
        let frame = ready!(this.body.as_mut().poll_frame(cx)).map(|frame| frame.map(as_bytes));
        if let Some(kept) = this.copy {
            let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
            match &frame {
                None => kept.ended = true,
                Some(Err(_)) => {}
                Some(Ok(frame)) => {
                    if let Some(data) = frame.data_ref() {
                        kept.copied.pass(data);
                    }
                    kept.ended |= this.body.is_end_stream();
                }
            }
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

//! The response body that the caller gets.
//!
//! Untouched it hands on the upstream's frames. Armed it may also be watched (evidence), replayed (it was
//! read for an edit that then did not happen), whole (edited, or an injected error) or cut off.
//!
//! An error waits for one poll, so that the server first sends what came before it. Otherwise a response cut
//! off in its body would arrive without a head.

use std::{
    error::Error as StdError,
    fmt,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http::HeaderMap;
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;
use tokio::time::Instant;

use super::{Abort, lease::Lease, request_body::Replay};
use crate::evidence::{ArmSink, Watch, as_bytes};

/// Any error of a body.
pub type BoxError = Box<dyn StdError + Send + Sync>;

/// Why a response body ends early: a `reset` fault cut it off.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("canard broke the connection")]
pub struct ConnectionCut;

pin_project! {
    /// The response body of [`Chaos`](super::Chaos).
    pub struct ResponseBody<R: Body> {
        #[pin]
        source: Source<R>,
        armed: Option<Box<Armed>>,
        held: Option<BoxError>,
    }
}

pin_project! {
    #[project = SourceProj]
    enum Source<R: Body> {
        Untouched { #[pin] body: R },
        Replayed { replay: Replay<R> },
        Whole { data: Option<Bytes>, trailers: Option<HeaderMap> },
    }
}

/// What goes along with a body while a plan is armed.
pub(super) struct Armed {
    pub(super) watch: Watch<ArmSink>,
    pub(super) cut: Option<Cut>,
    pub(super) lease: Arc<Lease>,
}

/// Where the body breaks.
pub(super) struct Cut {
    pub(super) left: u64,
    pub(super) abort: Option<Abort>,
}

impl<R: Body> ResponseBody<R> {
    pub(super) const fn untouched(body: R) -> ResponseBody<R> {
        ResponseBody::of(Source::Untouched { body })
    }

    pub(super) const fn replayed(replay: Replay<R>) -> ResponseBody<R> {
        ResponseBody::of(Source::Replayed { replay })
    }

    pub(super) fn whole(data: Bytes, trailers: Option<HeaderMap>) -> ResponseBody<R> {
        let data = Some(data).filter(|data| !data.is_empty());
        ResponseBody::of(Source::Whole { data, trailers })
    }

    const fn of(source: Source<R>) -> ResponseBody<R> {
        ResponseBody { source, armed: None, held: None }
    }

    pub(super) fn arm(&mut self, armed: Armed) {
        self.armed = Some(Box::new(armed));
    }
}

impl Armed {
    /// Forgets the cut once the plan does not act any more.
    fn spare(&mut self) {
        if self.cut.is_some() && self.lease.acts_until(Instant::now()).is_none() {
            self.cut = None;
        }
    }

    /// Cuts a frame to what may still pass; the error comes once nothing may.
    fn cut(
        &mut self,
        frame: Option<Result<Frame<Bytes>, BoxError>>,
    ) -> Option<Result<Frame<Bytes>, BoxError>> {
        let Some(cut) = &mut self.cut else { return frame };
        match frame {
            Some(Ok(frame)) => match frame.into_data() {
                Ok(mut data) => {
                    data.truncate(usize::try_from(cut.left).unwrap_or(usize::MAX));
                    cut.left -= data.len() as u64;
                    Some(Ok(Frame::data(data)))
                }
                Err(_trailers) => self.fail(),
            },
            None => self.fail(),
            error => error,
        }
    }

    fn fail(&mut self) -> Option<Result<Frame<Bytes>, BoxError>> {
        if let Some(Cut { abort: Some(abort), .. }) = &self.cut {
            abort.abort();
        }
        Some(Err(ConnectionCut.into()))
    }
}

impl<R> ResponseBody<R>
where
    R: Body,
    R::Error: Into<BoxError>,
{
    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let mut this = self.project();
        let Some(armed) = this.armed else { return this.source.poll_frame(cx) };
        armed.spare();
        if armed.cut.as_ref().is_some_and(|cut| cut.left == 0) {
            let error = armed.fail();
            *this.armed = None;
            this.source.set(Source::Whole { data: None, trailers: None });
            return Poll::Ready(error);
        }
        let frame = ready!(this.source.as_mut().poll_frame(cx));
        armed.spare();
        let frame = armed.cut(frame);
        armed.watch.polled(frame.as_ref(), armed.cut.is_none() && this.source.is_end_stream());
        Poll::Ready(frame)
    }
}

impl<R> Body for ResponseBody<R>
where
    R: Body,
    R::Error: Into<BoxError>,
{
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        if let Some(error) = self.as_mut().project().held.take() {
            return Poll::Ready(Some(Err(error)));
        }
        match ready!(self.as_mut().poll_next(cx)) {
            Some(Err(error)) => {
                *self.project().held = Some(error);
                cx.waker().wake_by_ref();
                Poll::Pending
            }
            frame => Poll::Ready(frame),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.held.is_none()
            && self.armed.as_ref().is_none_or(|armed| armed.cut.is_none())
            && self.source.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        match self.armed.as_ref().and_then(|armed| armed.cut.as_ref()) {
            // Nothing may pass: without a promise the server has to poll, and finds the error.
            Some(Cut { left: 0, .. }) => SizeHint::default(),
            _ => self.source.size_hint(),
        }
    }
}

impl<R> Body for Source<R>
where
    R: Body,
    R::Error: Into<BoxError>,
{
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        match self.project() {
            SourceProj::Untouched { body } => {
                Poll::Ready(ready!(body.poll_frame(cx)).map(|frame| frame.map(as_bytes).map_err(Into::into)))
            }
            SourceProj::Replayed { replay } => {
                Poll::Ready(ready!(replay.poll_frame(cx)).map(|frame| frame.map_err(Into::into)))
            }
            SourceProj::Whole { data, trailers } => {
                let data = data.take().map(Frame::data);
                Poll::Ready(data.or_else(|| trailers.take().map(Frame::trailers)).map(Ok))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Source::Untouched { body } => body.is_end_stream(),
            Source::Replayed { replay } => replay.is_end_stream(),
            Source::Whole { data, trailers } => data.is_none() && trailers.is_none(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Source::Untouched { body } => body.size_hint(),
            Source::Replayed { replay } => replay.size_hint(),
            Source::Whole { data, .. } => SizeHint::with_exact(data.as_ref().map_or(0, |d| d.len() as u64)),
        }
    }
}

impl<R: Body> fmt::Debug for ResponseBody<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let source = match self.source {
            Source::Untouched { .. } => "untouched",
            Source::Replayed { .. } => "replayed",
            Source::Whole { .. } => "whole",
        };
        f.debug_struct("ResponseBody").field("source", &source).field("armed", &self.armed.is_some()).finish()
    }
}

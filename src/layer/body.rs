//! The response body that the caller gets.
//!
//! Untouched it hands on the upstream's frames. Armed it may also be watched (evidence), replayed (it was
//! read for an edit that then did not happen), whole (edited, or an injected error), edited as it passes,
//! slowed down, or ended before its time.
//!
//! An error waits for one poll, so that the server first sends what came before it. Otherwise a response cut
//! off in its body would arrive without a head.

mod limit;

use std::{
    error::Error as StdError,
    fmt,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use bytes::{Bytes, BytesMut};
use http::HeaderMap;
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;
use tokio::{sync::OwnedSemaphorePermit, time::Instant};

use self::limit::Cut;
pub(super) use self::limit::{Limit, Pace};
use super::{
    caps::Slots,
    ear::Ear,
    lease::Lease,
    request_body::Replay,
    stream::{Playing, Stream},
};
use crate::evidence::{Watch, as_bytes};

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
        Edited { stream: Box<Stream<R>> },
        Played { playing: Box<Playing> },
    }
}

/// What goes along with a body while a plan is armed.
pub(super) struct Armed {
    pub(super) watch: Watch<Ear>,
    pub(super) limit: Option<Limit>,
    /// How far it is to the byte that is to be broken.
    pub(super) corrupt: Option<u64>,
    pub(super) pace: Option<Pace>,
    /// What is left of a frame of which a slice has passed.
    pub(super) rest: Option<Bytes>,
    pub(super) lease: Arc<Lease>,
    /// Given up with the body.
    pub(super) _place: Option<OwnedSemaphorePermit>,
    pub(super) _slots: Option<Arc<Slots>>,
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

    pub(super) fn edited(stream: Stream<R>) -> ResponseBody<R> {
        ResponseBody::of(Source::Edited { stream: Box::new(stream) })
    }

    pub(super) fn played(playing: Playing) -> ResponseBody<R> {
        ResponseBody::of(Source::Played { playing: Box::new(playing) })
    }

    const fn of(source: Source<R>) -> ResponseBody<R> {
        ResponseBody { source, armed: None, held: None }
    }

    pub(super) fn arm(&mut self, armed: Armed) {
        self.armed = Some(Box::new(armed));
    }
}

impl Armed {
    /// Forgets what acts on the body once the plan does not act any more.
    fn spare(&mut self) {
        let acts = self.limit.is_some() || self.pace.is_some() || self.corrupt.is_some();
        if acts && self.lease.acts_until(Instant::now()).is_none() {
            (self.limit, self.pace, self.corrupt) = (None, None, None);
        }
    }

    /// Has all passed that a clean end lets pass? A server stops asking at Content-Length.
    fn is_over(&self) -> bool {
        self.limit.as_ref().is_some_and(|limit| !limit.breaks() && limit.left == 0)
    }

    /// Flips the bits of the byte that is to be broken.
    fn corrupt(&mut self, frame: Frame<Bytes>) -> Frame<Bytes> {
        let Some(left) = self.corrupt else { return frame };
        match frame.into_data() {
            Ok(data) if left < data.len() as u64 => {
                self.corrupt = None;
                let mut broken = BytesMut::from(data);
                broken[left as usize] ^= 0xff;
                Frame::data(broken.freeze())
            }
            Ok(data) => {
                self.corrupt = Some(left - data.len() as u64);
                Frame::data(data)
            }
            Err(trailers) => trailers,
        }
    }

    /// Lets a slice of a frame pass.
    fn slow(&mut self, frame: Frame<Bytes>) -> Frame<Bytes> {
        let Some(pace) = &mut self.pace else { return frame };
        match frame.into_data() {
            Ok(data) => {
                let (slice, rest) = pace.slice(data, &self.lease);
                self.rest = rest;
                Frame::data(slice)
            }
            Err(trailers) => trailers,
        }
    }

    fn cut(&mut self, frame: Option<Frame<Bytes>>) -> Option<Result<Frame<Bytes>, BoxError>> {
        let cut = match (&mut self.limit, frame) {
            (None, frame) => return frame.map(Ok),
            (Some(limit), _) if limit.left == 0 => limit.end(),
            (Some(limit), frame) => limit.cut(frame),
        };
        match cut {
            Cut::Pass(frame) => Some(Ok(frame)),
            Cut::End => None,
            Cut::Break => Some(Err(ConnectionCut.into())),
        }
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
        if armed.limit.as_ref().is_some_and(|limit| limit.left == 0) {
            let end = armed.cut(None);
            armed.watch.polled(end.as_ref(), end.is_none());
            *this.armed = None;
            this.source.set(Source::Whole { data: None, trailers: None });
            return Poll::Ready(end);
        }
        if let Some(pace) = &mut armed.pace {
            ready!(pace.poll(cx));
        }
        let frame = match armed.rest.take() {
            Some(rest) => Some(Ok(Frame::data(rest))),
            None => {
                let frame = ready!(this.source.as_mut().poll_frame(cx));
                frame.map(|frame| frame.map(|frame| armed.corrupt(frame)))
            }
        };
        armed.spare();
        let frame = match frame {
            Some(Err(error)) => Some(Err(error)),
            Some(Ok(frame)) => {
                let frame = armed.slow(frame);
                armed.cut(Some(frame))
            }
            None => armed.cut(None),
        };
        let ended =
            armed.is_over() || armed.limit.is_none() && armed.rest.is_none() && this.source.is_end_stream();
        armed.watch.polled(frame.as_ref(), ended);
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
        let armed =
            |armed: &Armed| armed.rest.is_none() && armed.limit.as_ref().is_none_or(|limit| !limit.breaks());
        let passed = self.armed.as_deref().is_none_or(armed) && self.source.is_end_stream();
        self.held.is_none() && (passed || self.armed.as_deref().is_some_and(Armed::is_over))
    }

    fn size_hint(&self) -> SizeHint {
        let mut size = self.source.size_hint();
        let Some(armed) = &self.armed else { return size };
        let rest = armed.rest.as_ref().map_or(0, |rest| rest.len() as u64);
        if let Some(upper) = size.upper().and_then(|upper| upper.checked_add(rest)) {
            size.set_upper(upper);
        }
        size.set_lower(size.lower().saturating_add(rest));
        armed.limit.as_ref().map_or(size, |limit| limit.size_hint(size))
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
            SourceProj::Edited { stream } => {
                Poll::Ready(ready!(stream.poll_frame(cx)).map(|frame| frame.map_err(Into::into)))
            }
            SourceProj::Played { playing } => playing.poll_frame(cx),
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
            Source::Edited { .. } => false,
            Source::Played { playing } => playing.is_end_stream(),
            Source::Whole { data, trailers } => data.is_none() && trailers.is_none(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Source::Untouched { body } => body.size_hint(),
            Source::Replayed { replay } => replay.size_hint(),
            Source::Edited { .. } => SizeHint::default(),
            Source::Played { playing } => playing.size_hint(),
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
            Source::Edited { .. } => "edited",
            Source::Played { .. } => "played",
        };
        f.debug_struct("ResponseBody").field("source", &source).field("armed", &self.armed.is_some()).finish()
    }
}

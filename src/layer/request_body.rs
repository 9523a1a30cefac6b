//! The request body that the inner service gets.
//!
//! Mostly the caller's own. When a plan had to look into the body, what was read is replayed first, frame by
//! frame as it came, and the rest follows; an error that came while reading comes again in its place. When
//! its features were amended, it is another one, whole or message by message.

use std::{
    collections::VecDeque,
    fmt,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::{Bytes, BytesMut};
use http::HeaderMap;
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;

use super::{
    edit::{is_stream, media_type},
    stream::{Stream, StreamError},
};
use crate::evidence::{CHUNK_OVERHEAD, as_bytes};

pin_project! {
    /// The caller's body, untouched, or what was read of it followed by the rest.
    pub struct RequestBody<B: Body> {
        #[pin]
        source: Source<B>,
    }
}

pin_project! {
    #[project = SourceProj]
    enum Source<B: Body> {
        Untouched { #[pin] body: B },
        Replayed { replay: Replay<B> },
        Amended { data: Option<Bytes>, trailers: Option<HeaderMap> },
        Passing { stream: Box<Stream<B>> },
    }
}

/// Is it worth reading for an expression? A body of another type is none, and may be a stream without end.
pub(super) fn may_be_json(headers: &HeaderMap) -> bool {
    let json =
        |media: String| media == "application/json" || media.ends_with("+json") || media == "text/json";
    let kind = media_type(headers);
    !is_stream(headers) && kind.is_none_or(json)
}

/// What was read of a body.
pub(super) struct Held<E> {
    pub(super) frames: VecDeque<Frame<Bytes>>,
    pub(super) bytes: u64,
    /// The error that reading ended in.
    pub(super) error: Option<E>,
}

impl<E> Default for Held<E> {
    fn default() -> Held<E> {
        Held { frames: VecDeque::new(), bytes: 0, error: None }
    }
}

impl<E> Held<E> {
    /// Keeps a frame; one without bytes says nothing.
    pub(super) fn push(&mut self, frame: Frame<Bytes>) {
        if frame.data_ref().is_some_and(Bytes::is_empty) {
            return;
        }
        self.bytes += frame.data_ref().map_or(0, |data| data.len() as u64);
        self.frames.push_back(frame);
    }

    /// Bytes of memory that it takes; a body in one piece takes its length.
    fn taken(&self) -> u64 {
        self.bytes + (self.frames.len().saturating_sub(1) * CHUNK_OVERHEAD) as u64
    }

    /// The trailers, if they came.
    pub(super) fn trailers(&self) -> Option<&HeaderMap> {
        self.frames.iter().find_map(Frame::trailers_ref)
    }

    /// All the data in one piece.
    pub(super) fn joined(&self) -> Bytes {
        let mut data = self.frames.iter().filter_map(Frame::data_ref);
        match (data.next(), data.next()) {
            (None, _) => Bytes::new(),
            (Some(one), None) => one.clone(),
            _ => {
                let mut joined = BytesMut::new();
                joined.reserve(usize::try_from(self.bytes).unwrap_or_default());
                self.frames
                    .iter()
                    .filter_map(Frame::data_ref)
                    .for_each(|data| joined.extend_from_slice(data));
                joined.freeze()
            }
        }
    }

    /// The next thing to replay.
    pub(super) fn next(&mut self) -> Option<Result<Frame<Bytes>, E>> {
        let frame = self.frames.pop_front();
        self.bytes -= frame.as_ref().and_then(Frame::data_ref).map_or(0, |data| data.len() as u64);
        frame.map(Ok).or_else(|| self.error.take().map(Err))
    }
}

/// What was read of a body, and the rest. The rest is boxed, because a body that was polled can't move.
pub(super) struct Replay<B: Body> {
    pub(super) held: Held<B::Error>,
    rest: Pin<Box<B>>,
    /// The rest has ended, and must not be polled again.
    done: bool,
}

impl<B: Body> Replay<B> {
    /// Begins to read a body.
    pub(super) fn new(body: B) -> Replay<B> {
        Replay { held: Held::default(), rest: Box::pin(body), done: false }
    }

    /// Reads up to `limit` bytes. Ready with `true` when the body ended well within them, or has what is
    /// wanted; with `false` when it is larger or broke.
    pub(super) fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        limit: usize,
        is_enough: impl Fn(&Held<B::Error>) -> bool,
    ) -> Poll<bool> {
        loop {
            if self.done || is_enough(&self.held) {
                return Poll::Ready(self.held.error.is_none());
            }
            if self.held.taken().saturating_add(self.rest.size_hint().lower()) > limit as u64 {
                return Poll::Ready(false);
            }
            match ready!(self.rest.as_mut().poll_frame(cx)) {
                None => {
                    self.done = true;
                    return Poll::Ready(true);
                }
                Some(Ok(frame)) => self.held.push(as_bytes(frame)),
                Some(Err(error)) => {
                    self.held.error = Some(error);
                    self.done = true;
                    return Poll::Ready(false);
                }
            }
        }
    }

    pub(super) fn poll_frame(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        if let Some(frame) = self.held.next() {
            return Poll::Ready(Some(frame));
        }
        if self.done {
            return Poll::Ready(None);
        }
        let frame = ready!(self.rest.as_mut().poll_frame(cx)).map(|frame| frame.map(as_bytes));
        self.done = frame.is_none();
        Poll::Ready(frame)
    }

    pub(super) fn is_end_stream(&self) -> bool {
        self.held.frames.is_empty() && self.held.error.is_none() && (self.done || self.rest.is_end_stream())
    }

    pub(super) fn size_hint(&self) -> SizeHint {
        let rest = if self.done { SizeHint::with_exact(0) } else { self.rest.size_hint() };
        let mut size = SizeHint::new();
        if let Some(upper) = rest.upper().and_then(|upper| upper.checked_add(self.held.bytes)) {
            size.set_upper(upper);
        }
        size.set_lower(rest.lower().saturating_add(self.held.bytes));
        size
    }
}

impl<B: Body> RequestBody<B> {
    pub(super) const fn untouched(body: B) -> RequestBody<B> {
        RequestBody { source: Source::Untouched { body } }
    }

    pub(super) const fn replayed(replay: Replay<B>) -> RequestBody<B> {
        RequestBody { source: Source::Replayed { replay } }
    }

    /// Another body in its place.
    pub(super) fn amended(data: Bytes, trailers: Option<HeaderMap>) -> RequestBody<B> {
        let data = Some(data).filter(|data| !data.is_empty());
        RequestBody { source: Source::Amended { data, trailers } }
    }

    /// The body, amended as it passes.
    pub(super) fn passing(stream: Stream<B>) -> RequestBody<B> {
        RequestBody { source: Source::Passing { stream: Box::new(stream) } }
    }

    /// Begins to read it, or goes on; not after it was amended.
    pub(super) fn read(self) -> Result<Replay<B>, Box<RequestBody<B>>> {
        match self.source {
            Source::Untouched { body } => Ok(Replay::new(body)),
            Source::Replayed { replay } => Ok(replay),
            source => Err(Box::new(RequestBody { source })),
        }
    }
}

impl<B: Body> Body for RequestBody<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        match self.project().source.project() {
            SourceProj::Untouched { body } => body.poll_frame(cx).map(|f| f.map(|f| f.map(as_bytes))),
            SourceProj::Replayed { replay } => replay.poll_frame(cx),
            SourceProj::Amended { data, trailers } => {
                let data = data.take().map(Frame::data);
                Poll::Ready(data.or_else(|| trailers.take().map(Frame::trailers)).map(Ok))
            }
            SourceProj::Passing { stream } => Poll::Ready(match ready!(stream.poll_frame(cx)) {
                Some(Ok(frame)) => Some(Ok(frame)),
                Some(Err(StreamError::Upstream(error))) => Some(Err(error)),
                Some(Err(StreamError::Cut | StreamError::Coding(_))) | None => None,
            }),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.source {
            Source::Untouched { body } => body.is_end_stream(),
            Source::Replayed { replay } => replay.is_end_stream(),
            Source::Amended { data, trailers } => data.is_none() && trailers.is_none(),
            Source::Passing { .. } => false,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.source {
            Source::Untouched { body } => body.size_hint(),
            Source::Replayed { replay } => replay.size_hint(),
            Source::Amended { data, .. } => SizeHint::with_exact(data.as_ref().map_or(0, |d| d.len() as u64)),
            Source::Passing { .. } => SizeHint::default(),
        }
    }
}

impl<B: Body> fmt::Debug for RequestBody<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let source = match self.source {
            Source::Untouched { .. } => "untouched",
            Source::Replayed { .. } => "replayed",
            Source::Amended { .. } | Source::Passing { .. } => "amended",
        };
        f.debug_struct("RequestBody").field("source", &source).finish_non_exhaustive()
    }
}

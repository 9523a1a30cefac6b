//! Bodies as they pass, and copies of them.

use std::{
    collections::VecDeque,
    fmt,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;

use super::{
    caller::Caller,
    tape::{Piece, Tape},
};
use crate::evidence::as_bytes;

pin_project! {
    /// The request body that the faults, and then the inner service, get: the caller's own, or the copy of a shadow.
    pub struct CallerBody<B> {
        #[pin]
        source: Source<B>,
    }
}

pin_project! {
    #[project = SourceProj]
    enum Source<B> {
        Passing { #[pin] body: B, tape: Option<Arc<Mutex<Tape>>> },
        Copied { pieces: VecDeque<Piece> },
    }
}

impl<B> CallerBody<B> {
    pub(super) const fn passing(body: B, tape: Option<Arc<Mutex<Tape>>>) -> CallerBody<B> {
        CallerBody { source: Source::Passing { body, tape } }
    }

    pub(super) const fn copied(pieces: VecDeque<Piece>) -> CallerBody<B> {
        CallerBody { source: Source::Copied { pieces } }
    }
}

impl<B: Body> Body for CallerBody<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        match self.project().source.project() {
            SourceProj::Copied { pieces } => Poll::Ready(pieces.pop_front().map(|piece| Ok(piece.into()))),
            SourceProj::Passing { mut body, tape } => {
                let frame = ready!(body.as_mut().poll_frame(cx)).map(|frame| frame.map(as_bytes));
                if let Some(tape) = tape {
                    let mut tape = tape.lock().unwrap_or_else(PoisonError::into_inner);
                    tape.polled(Duration::ZERO, frame.as_ref(), body.is_end_stream());
                }
                Poll::Ready(frame)
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.source {
            Source::Passing { body, .. } => body.is_end_stream(),
            Source::Copied { pieces } => pieces.is_empty(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.source {
            Source::Passing { body, .. } => body.size_hint(),
            Source::Copied { pieces } => SizeHint::with_exact(length(pieces.iter())),
        }
    }
}

impl<B> fmt::Debug for CallerBody<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CallerBody").field("copied", &matches!(self.source, Source::Copied { .. })).finish()
    }
}

/// Bytes of data.
pub(super) fn length<'a>(pieces: impl Iterator<Item = &'a Piece>) -> u64 {
    let data = |piece: &Piece| match piece {
        Piece::Data(data) => data.len() as u64,
        Piece::Trailers(_) => 0,
    };
    pieces.map(data).sum()
}

pin_project! {
    /// The response body that the caller gets: the inner service's own, watched on its way.
    pub struct ShadowedBody<R> {
        #[pin]
        body: R,
        callers: Vec<Caller>,
    }
}

impl<R> ShadowedBody<R> {
    pub(super) const fn new(body: R, callers: Vec<Caller>) -> ShadowedBody<R> {
        ShadowedBody { body, callers }
    }
}

impl<R: Body<Data = Bytes>> Body for ShadowedBody<R> {
    type Data = Bytes;
    type Error = R::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, R::Error>>> {
        let mut this = self.project();
        let frame = ready!(this.body.as_mut().poll_frame(cx));
        for caller in this.callers {
            caller.polled(frame.as_ref(), this.body.is_end_stream());
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

impl<R> fmt::Debug for ShadowedBody<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ShadowedBody").field("watched", &self.callers.len()).finish_non_exhaustive()
    }
}

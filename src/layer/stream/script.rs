//! A whole body that stream faults delay or end early: everything is known when it begins.

use std::{
    collections::VecDeque,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use http::HeaderMap;
use http_body::{Frame, SizeHint};
use tokio::time::Instant;

use crate::{
    fault::Step,
    layer::{
        Abort, BoxError, ConnectionCut,
        lease::{Lease, Nap},
    },
    wire::WireError,
};

/// What goes out of a whole body, and when.
pub(in crate::layer) struct Script {
    pub(in crate::layer) data: Bytes,
    before: Duration,
    after: Duration,
    breaks: bool,
}

impl Script {
    /// These bytes, at once.
    pub(in crate::layer) const fn of(data: Bytes) -> Script {
        Script { data, before: Duration::ZERO, after: Duration::ZERO, breaks: false }
    }

    /// What the faults made of one piece.
    pub(super) fn of_steps(steps: VecDeque<Step>) -> Result<Script, WireError> {
        let mut script = Script::of(Bytes::new());
        let mut data = Vec::new();
        for step in steps {
            match step {
                Step::Send(piece) => data.push(piece.into_chunk()?.bytes().clone()),
                Step::Wait(span) if data.is_empty() => script.before = script.before.saturating_add(span),
                Step::Wait(span) => script.after = script.after.saturating_add(span),
                Step::End => break,
                Step::Break => {
                    script.breaks = true;
                    break;
                }
            }
        }
        script.data = match data.as_slice() {
            [one] => one.clone(),
            many => many.concat().into(),
        };
        Ok(script)
    }

    /// Its length, unless it breaks.
    pub(in crate::layer) fn length(&self) -> Option<u64> {
        (!self.breaks).then_some(self.data.len() as u64)
    }

    /// Does it go out at once, as a whole?
    pub(in crate::layer) fn is_plain(&self) -> bool {
        self.before.is_zero() && self.after.is_zero() && !self.breaks
    }

    /// Begins to play.
    pub(in crate::layer) fn play(
        self,
        lease: Arc<Lease>,
        trailers: Option<HeaderMap>,
        abort: Option<Abort>,
    ) -> Playing {
        let Script { data, before, after, breaks } = self;
        let end = if breaks { End::Break } else { End::Trailers(trailers) };
        Playing {
            data: Some(data).filter(|data| !data.is_empty()),
            before,
            after,
            end,
            nap: None,
            lease,
            abort,
        }
    }
}

/// A script that is being played.
pub(in crate::layer) struct Playing {
    data: Option<Bytes>,
    before: Duration,
    after: Duration,
    end: End,
    nap: Option<Pin<Box<Nap>>>,
    lease: Arc<Lease>,
    abort: Option<Abort>,
}

enum End {
    Trailers(Option<HeaderMap>),
    Break,
}

impl Playing {
    pub(in crate::layer) fn poll_frame(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        loop {
            if let Some(nap) = &mut self.nap {
                ready!(nap.as_mut().poll(cx));
                self.nap = None;
            }
            let wait = if self.data.is_some() { &mut self.before } else { &mut self.after };
            let span = std::mem::take(wait);
            if !span.is_zero() {
                self.nap = Some(Box::pin(Nap::lasting(self.lease.clone(), span)));
                continue;
            }
            if let Some(data) = self.data.take() {
                return Poll::Ready(Some(Ok(Frame::data(data))));
            }
            return Poll::Ready(match std::mem::replace(&mut self.end, End::Trailers(None)) {
                End::Trailers(trailers) => trailers.map(|trailers| Ok(Frame::trailers(trailers))),
                End::Break if self.lease.acts_until(Instant::now()).is_none() => None,
                End::Break => {
                    self.abort.iter().for_each(Abort::abort);
                    Some(Err(ConnectionCut.into()))
                }
            });
        }
    }

    pub(in crate::layer) fn is_end_stream(&self) -> bool {
        self.data.is_none()
            && self.after.is_zero()
            && self.nap.is_none()
            && matches!(self.end, End::Trailers(None))
    }

    pub(in crate::layer) fn size_hint(&self) -> SizeHint {
        match self.end {
            End::Break => SizeHint::default(),
            End::Trailers(_) => SizeHint::with_exact(self.data.as_ref().map_or(0, |data| data.len() as u64)),
        }
    }
}

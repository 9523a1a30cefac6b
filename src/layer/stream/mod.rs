//! A body that is edited while it passes.
//!
//! It is polled like any other: the upstream is asked for more only when everything that came before has gone
//! out, nothing runs on its own, and a wait sleeps under the lease. What goes out last comes last: trailers,
//! the upstream's own error, or the break that a fault asked for.

mod chain;
mod coder;
mod pipeline;
mod script;

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue};
use http_body::{Body, Frame};

use self::{coder::Coder, pipeline::Next};
use super::{Abort, body::ConnectionCut, lease::Nap, request_body::Replay};
use crate::wire::{Framing, WireError, encoding::Encoding};

pub(super) use self::{
    chain::Chain,
    pipeline::Pipeline,
    script::{Playing, Script},
};

/// A body on its way through a [`Pipeline`].
pub(super) struct Stream<B: Body> {
    /// None once nothing more is wanted.
    upstream: Option<Replay<B>>,
    /// Bytes of the upstream that are still to be decoded.
    raw: Bytes,
    coder: Coder,
    pipeline: Pipeline,
    nap: Option<Pin<Box<Nap>>>,
    /// Ready when the plan does not act any more; set up by the first wait for the upstream.
    over: Option<Pin<Box<Nap>>>,
    abort: Option<Abort>,
    last: Option<Last<B::Error>>,
}

/// The next frame of an edited body.
type Polled<E> = Poll<Option<Result<Frame<Bytes>, StreamError<E>>>>;

/// What comes after all data.
enum Last<E> {
    End { cut: bool, trailers: Option<HeaderMap> },
    Error(StreamError<E>),
    Nothing,
}

/// Why an edited body breaks.
#[derive(Debug)]
pub(super) enum StreamError<E> {
    /// The upstream broke.
    Upstream(E),
    /// A fault broke it.
    Cut,
    /// Its coding broke after something was sent.
    Coding(WireError),
}

impl<E: Into<super::BoxError>> From<StreamError<E>> for super::BoxError {
    fn from(error: StreamError<E>) -> super::BoxError {
        match error {
            StreamError::Upstream(error) => error.into(),
            StreamError::Cut => ConnectionCut.into(),
            StreamError::Coding(error) => error.into(),
        }
    }
}

impl<B: Body> Stream<B> {
    pub(super) fn new(
        upstream: Replay<B>,
        encoding: Encoding,
        pipeline: Pipeline,
        abort: Option<Abort>,
    ) -> Stream<B> {
        let limit = pipeline.victim.lease.body_limit;
        Stream {
            upstream: Some(upstream),
            raw: Bytes::new(),
            coder: Coder::new(encoding, limit),
            pipeline,
            nap: None,
            over: None,
            abort,
            last: None,
        }
    }

    pub(super) fn poll_frame(&mut self, cx: &mut Context<'_>) -> Polled<B::Error> {
        loop {
            if let Some(nap) = &mut self.nap {
                ready!(nap.as_mut().poll(cx));
                self.nap = None;
            }
            match self.pipeline.next() {
                Some(Next::Send(plain)) => {
                    let coded = self.coder.encode(plain);
                    if !coded.is_empty() {
                        return Poll::Ready(Some(Ok(Frame::data(coded))));
                    }
                }
                Some(Next::Wait(span)) => self.nap = Some(Box::pin(self.nap(span))),
                Some(Next::End) => {
                    let trailers = (self.pipeline.framing() == Framing::Grpc).then(ok);
                    self.end(Last::End { cut: true, trailers });
                }
                Some(Next::Break) => self.end(Last::Error(StreamError::Cut)),
                None if self.last.is_some() => return Poll::Ready(self.last()),
                None if !self.raw.is_empty() => self.decode(),
                None => ready!(self.poll_upstream(cx)),
            }
        }
    }

    /// Nothing more is wanted of the upstream.
    fn end(&mut self, last: Last<B::Error>) {
        self.upstream = None;
        self.raw.clear();
        self.pipeline.close();
        self.last = Some(last);
    }

    /// The last things, one after another.
    fn last(&mut self) -> Option<Result<Frame<Bytes>, StreamError<B::Error>>> {
        match self.last.replace(Last::Nothing)? {
            Last::End { cut, trailers } => {
                let tail = self.coder.finish(cut);
                if tail.is_empty() {
                    self.pipeline.settle();
                    return trailers.map(|trailers| Ok(Frame::trailers(trailers)));
                }
                self.last = Some(Last::End { cut, trailers });
                Some(Ok(Frame::data(tail)))
            }
            Last::Error(error) => {
                if let (StreamError::Cut, Some(abort)) = (&error, &self.abort) {
                    abort.abort();
                }
                self.pipeline.settle();
                Some(Err(error))
            }
            Last::Nothing => None,
        }
    }

    fn decode(&mut self) {
        match self.coder.decode(&mut self.raw) {
            Ok(plain) => self.pipeline.push(plain),
            Err(error) if self.coder.is_fresh() => {
                self.coder = Coder::Plain;
                self.pipeline.stop(error.reason());
            }
            Err(error) => {
                self.pipeline.stop(error.reason());
                self.raw.clear();
                self.upstream = None;
                self.last = Some(Last::Error(StreamError::Coding(error)));
            }
        }
    }

    /// Waits for the upstream, or for the end of the lease, at which nothing is held back any longer.
    fn poll_upstream(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Some(upstream) = &mut self.upstream else {
            self.last = Some(Last::Nothing);
            return Poll::Ready(());
        };
        let Poll::Ready(frame) = upstream.poll_frame(cx) else {
            if self.pipeline.has_lapsed() {
                return Poll::Pending;
            }
            let lease = &self.pipeline.victim.lease;
            let over = self.over.get_or_insert_with(|| Box::pin(Nap::armed(lease.clone())));
            return over.as_mut().poll(cx);
        };
        let last = match frame {
            Some(Ok(frame)) => match frame.into_data() {
                Ok(data) => {
                    self.raw = data;
                    return Poll::Ready(());
                }
                Err(frame) => Last::End { cut: false, trailers: frame.into_trailers().ok() },
            },
            Some(Err(error)) => Last::Error(StreamError::Upstream(error)),
            None => Last::End { cut: false, trailers: None },
        };
        self.upstream = None;
        self.pipeline.finish();
        self.last = Some(last);
        Poll::Ready(())
    }

    fn nap(&self, span: Duration) -> Nap {
        Nap::lasting(self.pipeline.victim.lease.clone(), span)
    }
}

/// The trailers of a gRPC call that went well.
fn ok() -> HeaderMap {
    [(http::HeaderName::from_static("grpc-status"), HeaderValue::from_static("0"))].into_iter().collect()
}

#[cfg(test)]
mod tests;

//! The upstream of a shadow: the answer that its caller got, played again, or another upstream.
//!
//! It plays at the pace at which the caller got it, head and body, so that a fault that delays adds to it, and one on
//! the timing of a stream has a stream to work on. The primary upstream is never asked.

use std::{
    collections::VecDeque,
    convert::Infallible,
    future::poll_fn,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Request, Response, StatusCode, Uri};
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;
use tokio::time::{Instant, Sleep, sleep_until, timeout};
use tower_service::Service;

use super::{
    CallerBody, Inner,
    body::length,
    caller::{Head, Recorded},
    tape::{Piece, Tape},
};
use crate::{
    evidence::{LeftOut, as_bytes},
    layer::{BoxError, RackBody, RequestBody, RouteTo},
};

/// Tells another upstream that it is asked for a shadow, and of which scenario.
const SHADOW: HeaderName = HeaderName::from_static("x-canard-shadow");
/// How long another upstream may take to begin its answer.
const PATIENCE: Duration = Duration::from_secs(60);
/// Timers are rounded up to a millisecond; this much earlier they are right in the mean.
const HALF_TICK: Duration = Duration::from_micros(500);

/// Answers for the upstream.
pub(super) struct Understudy<S> {
    pub(super) inner: S,
    /// What the caller was answered, unless a mirror answers.
    pub(super) recorded: Option<Recorded>,
    pub(super) mirror: Option<Uri>,
    /// Name of the scenario, if shadows are marked.
    pub(super) mark: Option<HeaderValue>,
    /// Where the answer of another upstream is kept.
    pub(super) live: Arc<Mutex<Tape>>,
}

type Answering<R> = Pin<Box<dyn Future<Output = Result<Response<Played<R>>, Infallible>> + Send>>;

impl<S, B> Service<Request<RequestBody<CallerBody<B>>>> for Understudy<S>
where
    S: Inner<B>,
    B: Body + Send + 'static,
    B::Error: Into<BoxError> + Send,
{
    type Response = Response<Played<S::Body>>;
    type Error = Infallible;
    type Future = Answering<S::Body>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, mut request: Request<RequestBody<CallerBody<B>>>) -> Answering<S::Body> {
        // A fault may have named yet another one.
        if request.extensions().get::<RouteTo>().is_none()
            && let Some(mirror) = &self.mirror
        {
            request.extensions_mut().insert(RouteTo(mirror.clone()));
        }
        match (request.extensions().get::<RouteTo>(), self.recorded.take()) {
            (None, Some(Recorded { head: Some(head), tape })) => {
                let pieces = tape.into_pieces();
                Box::pin(play(head, Playing { pieces, since: Instant::now(), sleep: None }))
            }
            _ => {
                request.headers_mut().extend(self.mark.clone().map(|mark| (SHADOW, mark)));
                Box::pin(ask(self.inner.clone(), request.map(RackBody::own), self.live.clone()))
            }
        }
    }
}

async fn play<R>(head: Head, playing: Playing) -> Result<Response<Played<R>>, Infallible> {
    wait_for(playing.since + head.after).await;
    let mut response = Response::new(Played::Tape { playing });
    *response.status_mut() = head.status;
    *response.version_mut() = head.version;
    *response.headers_mut() = head.headers;
    Ok(response)
}

async fn wait_for(due: Instant) {
    if let Some(until) = until(due) {
        sleep_until(until).await;
    }
}

/// When a timer has to be set to, if it has to be.
fn until(due: Instant) -> Option<Instant> {
    let due = due.checked_sub(HALF_TICK).unwrap_or(due);
    (due > Instant::now()).then_some(due)
}

/// Asks another upstream. What fails there is its answer.
async fn ask<S, Q, R>(
    mut inner: S,
    request: Q,
    tape: Arc<Mutex<Tape>>,
) -> Result<Response<Played<R>>, Infallible>
where
    S: Service<Q, Response = Response<R>>,
{
    let asked = async {
        poll_fn(|cx| inner.poll_ready(cx)).await?;
        inner.call(request).await
    };
    let status = match timeout(PATIENCE, asked).await {
        Ok(Ok(response)) => return Ok(response.map(|body| Played::Live { body, tape })),
        Ok(Err(_)) => StatusCode::BAD_GATEWAY,
        Err(_) => StatusCode::GATEWAY_TIMEOUT,
    };
    let mut response = Response::new(Played::Nothing);
    *response.status_mut() = status;
    Ok(response)
}

pin_project! {
    /// The body that it answers.
    #[project = PlayedProj]
    pub(super) enum Played<R> {
        Tape { playing: Playing },
        Live { #[pin] body: R, tape: Arc<Mutex<Tape>> },
        Nothing,
    }
}

pub(super) struct Playing {
    pieces: VecDeque<(Duration, Piece)>,
    since: Instant,
    sleep: Option<Pin<Box<Sleep>>>,
}

impl Playing {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Frame<Bytes>>> {
        let Some((due, _)) = self.pieces.front() else { return Poll::Ready(None) };
        if self.sleep.is_none() {
            self.sleep = until(self.since + *due).map(|until| Box::pin(sleep_until(until)));
        }
        if let Some(sleep) = &mut self.sleep {
            ready!(sleep.as_mut().poll(cx));
            self.sleep = None;
        }
        Poll::Ready(self.pieces.pop_front().map(|(_, piece)| piece.into()))
    }
}

impl<R> Body for Played<R>
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
            PlayedProj::Tape { playing } => playing.poll(cx).map(|frame| frame.map(Ok)),
            PlayedProj::Live { body, tape } => {
                let frame = ready!(body.poll_frame(cx)).map(|frame| frame.map(as_bytes).map_err(Into::into));
                let mut tape = tape.lock().unwrap_or_else(PoisonError::into_inner);
                tape.polled(Duration::ZERO, frame.as_ref(), false);
                match tape.whole() {
                    Err(LeftOut::Memory) => Poll::Ready(Some(Err("there is no room for it".into()))),
                    _ => Poll::Ready(frame),
                }
            }
            PlayedProj::Nothing => Poll::Ready(None),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Played::Tape { playing } => playing.pieces.is_empty(),
            Played::Live { body, .. } => body.is_end_stream(),
            Played::Nothing => true,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Played::Tape { playing } => {
                SizeHint::with_exact(length(playing.pieces.iter().map(|(_, piece)| piece)))
            }
            Played::Live { body, .. } => body.size_hint(),
            Played::Nothing => SizeHint::with_exact(0),
        }
    }
}

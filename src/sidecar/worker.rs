//! One worker: a thread with a current-thread runtime, its own listener and its own pool.
//!
//! Draining loses no request. What the kernel has accepted already is served; a response that is still to
//! come carries `Connection: close`; an idle connection stays open for [`Limits::linger`], because its next
//! request may be on its way; HTTP/2 has GOAWAY for all that. Only then is a connection closed.
//!
//! A worker that finds no permit for a connection takes no further one: callers wait in the kernel's queue,
//! not as sockets and tasks of the sidecar.

use std::{
    future::Future,
    io,
    net::SocketAddr,
    pin::{Pin, pin},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use futures_util::FutureExt as _;
use http::{HeaderValue, Request, Response, StatusCode, Version, header::CONNECTION};
use http_body::Body;
use hyper::{
    body::Incoming,
    server::conn::{http1, http2},
};
use hyper_util::rt::{TokioExecutor, TokioTimer};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tower_service::Service;

use super::{
    BoxError,
    config::Limits,
    forward::{Peer, Place},
    io::{CallerIo, Opening},
};
use crate::layer::Abort;

/// Pings keep an HTTP/2 connection honest: one whose peer vanished is given up within twice this time.
const PING: Duration = Duration::from_secs(20);

/// The end of a sidecar, in two steps.
#[derive(Debug, Clone, Default)]
pub(super) struct Ending {
    /// No new connections; what is in flight ends in peace.
    pub(super) drain: CancellationToken,
    /// Everything ends at once.
    pub(super) halt: CancellationToken,
    draining: Arc<AtomicBool>,
}

impl Ending {
    pub(super) fn drain(&self) {
        self.draining.store(true, Ordering::Relaxed);
        self.drain.cancel();
    }

    pub(super) fn halt(&self) {
        self.drain();
        self.halt.cancel();
    }

    pub(super) fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Relaxed)
    }
}

/// What a worker serves connections with.
#[derive(Debug, Clone)]
pub(super) struct Server<S> {
    pub(super) stack: S,
    pub(super) limits: Limits,
    /// Connections that all workers together may still take.
    pub(super) connections: Arc<Semaphore>,
    pub(super) ending: Ending,
}

impl<S, R> Server<S>
where
    S: Service<Request<Incoming>, Response = Response<R>> + Clone + Send + 'static,
    S::Error: Into<BoxError>,
    S::Future: Send,
    R: Body + Send + 'static,
    R::Data: Send,
    R::Error: Into<BoxError> + Send,
{
    /// Serves until the sidecar ends.
    pub(super) async fn run(self, listener: std::net::TcpListener) -> io::Result<()> {
        let listener = TcpListener::from_std(listener)?;
        let connections = TaskTracker::new();
        loop {
            tokio::select! {
                biased;
                () = self.ending.drain.cancelled() => break,
                accepted = listener.accept() => match accepted {
                    Ok((stream, peer)) => {
                        let permit = tokio::select! {
                            permit = self.connections.clone().acquire_owned() => permit.ok(),
                            () = self.ending.drain.cancelled() => None,
                        };
                        self.spawn(&connections, stream, peer, permit);
                    }
                    Err(error) if is_of_one_connection(&error) => {}
                    Err(error) => {
                        tracing::warn!(%error, "can't accept connections");
                        tokio::time::sleep(Duration::from_millis(100)).await;
                    }
                },
            }
        }
        while let Some(Ok((stream, peer))) = listener.accept().now_or_never() {
            self.spawn(&connections, stream, peer, None);
        }
        drop(listener);
        connections.close();
        tokio::select! {
            () = connections.wait() => {}
            () = self.ending.halt.cancelled() => {}
            () = tokio::time::sleep(self.limits.drain) => {
                tracing::warn!(connections = connections.len(), "not drained in time; closing what is left");
            }
        }
        Ok(())
    }

    /// Serves a connection; without a permit (the sidecar drains) it waits for one.
    fn spawn(
        &self,
        connections: &TaskTracker,
        stream: TcpStream,
        peer: SocketAddr,
        permit: Option<OwnedSemaphorePermit>,
    ) {
        let (server, tasks) = (self.clone(), connections.clone());
        connections.spawn(async move {
            let permit = match permit {
                Some(permit) => Ok(permit),
                None => server.connections.clone().acquire_owned().await,
            };
            let Ok(permit) = permit else { return };
            if let Err(error) = server.connection(stream, peer, Place::new(permit, tasks)).await {
                tracing::debug!(%peer, %error, "connection broke");
            }
        });
    }

    async fn connection(self, stream: TcpStream, peer: SocketAddr, place: Place) -> Result<(), BoxError> {
        stream.set_nodelay(true)?;
        let abort = Abort::default();
        let mut io = CallerIo::new(stream, abort.clone());
        let opening = tokio::select! {
            opening = tokio::time::timeout(self.limits.header_read, io.opening()) => opening??,
            // Nothing was asked on it yet.
            () = self.ending.lingered(self.limits.linger) => return Ok(()),
        };
        let address = HeaderValue::from_str(&peer.ip().to_canonical().to_string())?;
        let caller = Caller {
            stack: self.stack.clone(),
            peer: Peer { address, place },
            abort,
            ending: self.ending.clone(),
            asked: Arc::default(),
        };
        match opening {
            Opening::Http1 => self.http1(io, caller).await,
            Opening::Http2 => self.http2(io, caller).await,
        }
    }

    async fn http1(self, io: CallerIo, caller: Caller<S>) -> Result<(), BoxError> {
        let abort = caller.abort.clone();
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(self.limits.header_read)
            .max_header_size(self.limits.header_bytes)
            .max_headers(self.limits.headers)
            .auto_date_header(false)
            .serve_connection(io, caller)
            .with_upgrades();
        let mut connection = pin!(connection);
        let aborted = abort.aborted();
        tokio::select! {
            ended = connection.as_mut() => return Ok(ended?),
            // Dropped as it is, the connection is reset.
            () = aborted => return Ok(()),
            () = self.ending.lingered(self.limits.linger) => connection.as_mut().graceful_shutdown(),
        }
        tokio::select! {
            ended = connection.as_mut() => Ok(ended?),
            () = abort.aborted() => Ok(()),
        }
    }

    async fn http2(self, io: CallerIo, caller: Caller<S>) -> Result<(), BoxError> {
        let asked = caller.asked.clone();
        let connection = http2::Builder::new(TokioExecutor::new())
            .timer(TokioTimer::new())
            .adaptive_window(true)
            .keep_alive_interval(Some(PING))
            .keep_alive_timeout(PING)
            .max_concurrent_streams(self.limits.streams)
            .max_header_list_size(u32::try_from(self.limits.header_bytes).unwrap_or(u32::MAX))
            .auto_date_header(false)
            .serve_connection(io, caller);
        let mut connection = pin!(connection);
        tokio::select! {
            ended = connection.as_mut() => return Ok(ended?),
            () = self.ending.drain.cancelled() => connection.as_mut().graceful_shutdown(),
            // What is open ends in peace; the caller's next request takes a new connection.
            () = unasked(&asked, self.limits.header_read) => connection.as_mut().graceful_shutdown(),
        }
        Ok(connection.await?)
    }
}

/// Ends when nothing was asked for `idle`, at most twice that time after the last request.
async fn unasked(asked: &AtomicBool, idle: Duration) {
    loop {
        tokio::time::sleep(idle).await;
        if !asked.swap(false, Ordering::Relaxed) {
            return;
        }
    }
}

impl Ending {
    /// Ends when the drain has lasted for `linger`.
    async fn lingered(&self, linger: Duration) {
        self.drain.cancelled().await;
        tokio::time::sleep(linger).await;
    }
}

fn is_of_one_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset | io::ErrorKind::ConnectionRefused
    )
}

/// The stack as one connection calls it: knows the peer, can be reset, says when the sidecar drains.
struct Caller<S> {
    stack: S,
    peer: Peer,
    abort: Abort,
    ending: Ending,
    /// Was there an HTTP/2 request since this was last looked at?
    asked: Arc<AtomicBool>,
}

impl<S, R> hyper::service::Service<Request<Incoming>> for Caller<S>
where
    S: Service<Request<Incoming>, Response = Response<R>> + Clone,
    R: Body,
{
    type Response = Response<R>;
    type Error = S::Error;
    type Future = Answer<S::Future>;

    fn call(&self, mut request: Request<Incoming>) -> Self::Future {
        let http1 = request.version() < Version::HTTP_2;
        let extensions = request.extensions_mut();
        extensions.insert(self.peer.clone());
        if http1 {
            extensions.insert(self.abort.clone());
        } else {
            self.asked.store(true, Ordering::Relaxed);
        }
        // The stack is ready at any time: nothing in it waits in `poll_ready`.
        let future = self.stack.clone().call(request);
        Answer { future, ending: http1.then(|| self.ending.clone()) }
    }
}

pin_project_lite::pin_project! {
    /// A response to come; in a draining sidecar it asks the caller to close (HTTP/1 only).
    struct Answer<F> {
        #[pin]
        future: F,
        ending: Option<Ending>,
    }
}

impl<F, R, E> Future for Answer<F>
where
    F: Future<Output = Result<Response<R>, E>>,
    R: Body,
{
    type Output = Result<Response<R>, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let mut response = std::task::ready!(this.future.poll(cx))?;
        let draining = this.ending.as_ref().is_some_and(Ending::is_draining);
        if draining && response.status() != StatusCode::SWITCHING_PROTOCOLS {
            response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        }
        Poll::Ready(Ok(response))
    }
}

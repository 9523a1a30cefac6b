//! The innermost service: a request goes to the upstream, its response comes back, both streaming.
//!
//! A connection from the pool may have been closed by the upstream a moment ago. If hyper gives the request
//! back untouched, it is sent once more on a fresh connection; otherwise the upstream may have acted on it,
//! and the caller is told (502) instead of a silent second attempt.

use std::{
    convert::Infallible,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use http::{
    HeaderValue, Method, Request, Response, StatusCode, Uri, Version,
    header::{CONNECTION, HOST, TE, UPGRADE},
    uri::{Authority, PathAndQuery},
};
use http_body::Body;
use hyper::{body::Incoming, upgrade::OnUpgrade};
use hyper_util::rt::TokioIo;
use tokio::sync::OwnedSemaphorePermit;
use tokio_util::task::TaskTracker;
use tower_service::Service;

use super::{
    BoxError,
    body::ResponseBody,
    config::{HostHeader, Upstream},
    headers,
    pool::{Borrowed, Pool, Sender},
    respond::{ForwardError, is_grpc},
};
use crate::layer::RouteTo;

/// The caller, put into each request's extensions by its connection.
#[derive(Debug, Clone)]
pub(super) struct Peer {
    pub(super) address: HeaderValue,
    pub(super) place: Place,
}

/// A connection's place among those that the sidecar serves; given up when its last clone is dropped.
#[derive(Debug, Clone)]
pub(super) struct Place {
    permit: Arc<OwnedSemaphorePermit>,
    connections: TaskTracker,
}

impl Place {
    pub(super) fn new(permit: OwnedSemaphorePermit, connections: TaskTracker) -> Place {
        Place { permit: Arc::new(permit), connections }
    }

    /// Goes on with what became of the connection: it keeps the place, and a drain waits for it.
    fn keep(self, work: impl Future<Output = ()> + Send + 'static) {
        let Place { permit, connections } = self;
        connections.spawn(async move {
            work.await;
            drop(permit);
        });
    }
}

/// How requests are forwarded.
#[derive(Debug, Clone)]
pub(super) struct Route {
    pub(super) upstream: Upstream,
    pub(super) host: HostHeader,
    pub(super) http2: bool,
}

/// One worker's way to one upstream.
#[derive(Debug)]
pub(super) struct Lane<B> {
    pub(super) pool: Arc<Pool<B>>,
    pub(super) route: Arc<Route>,
}

/// Forwards requests to the upstream over one worker's pool, or to a candidate that a fault names. It never
/// fails: errors become responses.
#[derive(Debug)]
pub(super) struct Forward<B> {
    lanes: Arc<Lanes<B>>,
}

#[derive(Debug)]
struct Lanes<B> {
    upstream: Arc<Lane<B>>,
    candidates: Vec<Arc<Lane<B>>>,
}

impl<B> Clone for Forward<B> {
    fn clone(&self) -> Self {
        Forward { lanes: self.lanes.clone() }
    }
}

impl<B> Forward<B> {
    pub(super) fn new(upstream: Lane<B>, candidates: impl IntoIterator<Item = Lane<B>>) -> Forward<B> {
        let candidates = candidates.into_iter().map(Arc::new).collect();
        Forward { lanes: Arc::new(Lanes { upstream: Arc::new(upstream), candidates }) }
    }

    /// Where a request goes.
    fn lane(&self, request: &mut Request<B>) -> Arc<Lane<B>> {
        let Lanes { upstream, candidates } = self.lanes.as_ref();
        if candidates.is_empty() {
            return upstream.clone();
        }
        let named = request.extensions_mut().remove::<RouteTo>();
        let found =
            named.and_then(|RouteTo(uri)| candidates.iter().find(|lane| lane.route.upstream.is(&uri)));
        found.unwrap_or(upstream).clone()
    }
}

impl<B> Service<Request<B>> for Forward<B>
where
    B: Body + Send + Unpin + 'static,
    B::Data: Send,
    B::Error: Into<BoxError>,
{
    type Response = Response<ResponseBody<B>>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        let lane = self.lane(&mut request);
        Box::pin(async move {
            let grpc = is_grpc(request.headers());
            Ok(lane.exchange(request, grpc).await.unwrap_or_else(|error| {
                tracing::debug!(%error, "not forwarded");
                error.response(grpc)
            }))
        })
    }
}

impl<B> Lane<B>
where
    B: Body + Send + Unpin + 'static,
    B::Data: Send,
    B::Error: Into<BoxError>,
{
    async fn exchange(
        &self,
        mut request: Request<B>,
        grpc: bool,
    ) -> Result<Response<ResponseBody<B>>, ForwardError> {
        if request.method() == Method::CONNECT {
            return Err(ForwardError::Tunnel);
        }
        let from_http2 = request.version() == Version::HTTP_2;
        let http2 = self.route.http2 || (grpc && from_http2);
        let peer = request.extensions_mut().remove::<Peer>();
        let upgrade = match headers::upgrade(request.headers()) {
            Some(protocol) if !http2 => {
                request.extensions_mut().remove::<OnUpgrade>().map(|caller| (protocol, caller))
            }
            _ => None,
        };
        self.route.address(&mut request, peer.as_ref().map(|peer| &peer.address), from_http2);
        let upgrade = upgrade.zip(peer).map(|((protocol, caller), peer)| {
            request.headers_mut().insert(UPGRADE, protocol);
            (caller, peer.place)
        });

        let (sender, response) = self.send(request, http2).await?;
        let mut response = response;
        if response.status() == StatusCode::SWITCHING_PROTOCOLS {
            let (caller, place) =
                upgrade.ok_or_else(|| ForwardError::Unasked(self.route.upstream.clone()))?;
            return Ok(switch(response, caller, place));
        }
        headers::strip(response.headers_mut());
        *response.version_mut() = Version::default();
        let connection = match sender {
            Sender::Http1(sender) => Some(Borrowed { sender, pool: self.pool.clone() }),
            Sender::Http2(_) => None,
        };
        Ok(response.map(|body| ResponseBody::streaming(body, connection)))
    }

    async fn send(
        &self,
        request: Request<B>,
        http2: bool,
    ) -> Result<(Sender<B>, Response<Incoming>), ForwardError> {
        let unreachable = |error| ForwardError::Connect(self.route.upstream.clone(), error);
        let broken = |error| ForwardError::Exchange(self.route.upstream.clone(), error);
        let mut request = request;
        if let Some(mut sender) = self.pool.standing(http2) {
            match self.route.dispatch(&mut sender, request).await {
                Ok(response) => return Ok((sender, response)),
                Err(mut error) => match error.take_message() {
                    Some(untouched) => request = untouched,
                    None => return Err(broken(error.into_error())),
                },
            }
        }
        let mut sender = self.pool.fresh(http2).await.map_err(unreachable)?;
        match self.route.dispatch(&mut sender, request).await {
            Ok(response) => Ok((sender, response)),
            Err(error) => Err(broken(error.into_error())),
        }
    }
}

impl Route {
    /// Makes the request the upstream's: fields, authority, forwarding chain.
    fn address<B>(&self, request: &mut Request<B>, peer: Option<&HeaderValue>, from_http2: bool) {
        let named = request.uri().authority().and_then(|a| HeaderValue::from_str(a.as_str()).ok());
        let headers = request.headers_mut();
        headers::strip_request(headers);
        if from_http2 {
            headers::join_cookies(headers);
        }
        // The authority of an absolute target (and HTTP/2's) stands above `Host` (RFC 9112 §3.2.2).
        let host = named.or_else(|| headers.get(HOST).cloned());
        if let Some(peer) = peer {
            headers::forwarded(headers, peer, host.as_ref());
        }
        let own = || HeaderValue::from_str(self.upstream.authority.as_str()).ok();
        let host = match self.host {
            HostHeader::Keep => host.or_else(own),
            HostHeader::Upstream => own(),
        };
        if let Some(host) = host {
            headers.insert(HOST, host);
        }
    }

    async fn dispatch<B>(
        &self,
        sender: &mut Sender<B>,
        mut request: Request<B>,
    ) -> Result<Response<Incoming>, hyper::client::conn::TrySendError<Request<B>>>
    where
        B: Body + Send + Unpin + 'static,
    {
        let target = request.uri().path_and_query().cloned().unwrap_or(PathAndQuery::from_static("/"));
        if sender.is_http2() {
            let host = request.headers_mut().remove(HOST);
            // A second attempt finds the authority where the first one put it.
            let authority = host.and_then(|host| Authority::try_from(host.as_bytes()).ok());
            let authority = authority.or_else(|| request.uri().authority().cloned());
            let mut parts = http::uri::Parts::default();
            parts.scheme = Some(self.upstream.scheme());
            parts.authority = Some(authority.unwrap_or_else(|| self.upstream.authority.clone()));
            parts.path_and_query = Some(target);
            *request.uri_mut() = Uri::from_parts(parts).unwrap_or_default();
            *request.version_mut() = Version::HTTP_2;
            request.headers_mut().remove(UPGRADE);
        } else {
            *request.uri_mut() = Uri::from(target);
            *request.version_mut() = Version::HTTP_11;
            let headers = request.headers_mut();
            if headers.contains_key(UPGRADE) {
                headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
            } else if headers.contains_key(TE) {
                headers.insert(CONNECTION, HeaderValue::from_static("te"));
            }
        }
        sender.send(request).await
    }
}

/// Joins the two connections once both have switched; from then on bytes pass as they are.
fn switch<B>(mut response: Response<Incoming>, caller: OnUpgrade, place: Place) -> Response<ResponseBody<B>> {
    let upstream = hyper::upgrade::on(&mut response);
    place.keep(async move {
        if let (Ok(caller), Ok(upstream)) = tokio::join!(caller, upstream) {
            let (mut caller, mut upstream) = (TokioIo::new(caller), TokioIo::new(upstream));
            let _ = tokio::io::copy_bidirectional(&mut caller, &mut upstream).await;
        }
    });
    response.map(|_| ResponseBody::whole(bytes::Bytes::new()))
}

//! The [`Service`] that faults act in.

use std::task::{Context, Poll};

use http::{Request, Response};
use http_body::Body;
use tower_service::Service;

use super::{BoxError, Handle, RequestBody, ResponseBody, ResponseFuture, control::Control};

/// A service that the plan armed through a [`Handle`] acts on. See [`ChaosLayer`](super::ChaosLayer).
///
/// Disarmed it calls the inner service at once. Armed it clones the inner service, because it may have to
/// call it after a delay, when the borrow is long over.
#[derive(Debug, Clone)]
pub struct Chaos<S> {
    inner: S,
    handle: Handle,
}

impl<S> Chaos<S> {
    /// Wraps a service.
    pub const fn new(inner: S, handle: Handle) -> Chaos<S> {
        Chaos { inner, handle }
    }

    /// The handle that arms it.
    pub const fn handle(&self) -> &Handle {
        &self.handle
    }

    /// The service inside.
    pub const fn get_ref(&self) -> &S {
        &self.inner
    }
}

impl<S, B, R> Service<Request<B>> for Chaos<S>
where
    S: Service<Request<RequestBody<B>>, Response = Response<R>> + Clone,
    B: Body,
    R: Body,
    R::Error: Into<BoxError>,
{
    type Response = Response<ResponseBody<R>>;
    type Error = S::Error;
    type Future = ResponseFuture<S, B, R>;

    #[inline]
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    #[inline]
    fn call(&mut self, mut request: Request<B>) -> ResponseFuture<S, B, R> {
        if !self.handle.is_awake() {
            return ResponseFuture::passed(self.inner.call(request.map(RequestBody::untouched)));
        }
        let lease = self.handle.acting();
        let control = match self.handle.is_controlled() {
            true => {
                let plan = lease.as_ref().map(|lease| lease.plan.as_ref());
                Control::take(&mut request, plan, || self.handle.common.plans())
            }
            false => None,
        };
        let Some(lease) = lease else {
            let unknown = control.and_then(|control| control.unknown);
            return ResponseFuture::unknown(self.inner.call(request.map(RequestBody::untouched)), unknown);
        };
        self.handle.common.number(&mut request);
        // The clone takes the place of the one that is ready.
        let clone = self.inner.clone();
        let ready = std::mem::replace(&mut self.inner, clone);
        ResponseFuture::armed(&lease, request, ready, control)
    }
}

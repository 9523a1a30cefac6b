//! The plans beyond the first slot, between the first one's and the inner service.

use std::{
    marker::PhantomData,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use pin_project_lite::pin_project;
use tower_service::Service;

use super::{
    Rack,
    body::{Boxed, RackBody, boxed},
};
use crate::layer::{BoxError, Chaos, RequestBody};

type BoxFuture<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// The service that plans beyond a [`Rack`]'s first slot act on.
#[derive(Debug, Clone)]
pub struct Others<S> {
    inner: S,
    rack: Rack,
}

impl<S> Others<S> {
    pub(super) const fn new(inner: S, rack: Rack) -> Others<S> {
        Others { inner, rack }
    }

    /// The service inside.
    pub(in crate::layer) const fn get_ref(&self) -> &S {
        &self.inner
    }
}

impl<S, B, R> Service<Request<RequestBody<B>>> for Others<S>
where
    S: Service<Request<RackBody<RequestBody<B>>>, Response = Response<R>> + Clone + Send + 'static,
    S::Future: Send + 'static,
    S::Error: Send,
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError> + Send,
    R: Body<Data = Bytes> + Send + 'static,
    R::Error: Into<BoxError>,
{
    type Response = Response<RackBody<R>>;
    type Error = S::Error;
    type Future = OthersFuture<S::Future, S::Error>;

    #[inline]
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    #[inline]
    fn call(&mut self, request: Request<RequestBody<B>>) -> Self::Future {
        if !self.rack.has_others() {
            return OthersFuture { way: Way::Alone { future: self.inner.call(request.map(RackBody::own)) } };
        }
        // The clone takes the place of the one that is ready.
        let clone = self.inner.clone();
        let ready = std::mem::replace(&mut self.inner, clone);
        let link = Link::Inner { service: ready, body: PhantomData };
        // Built from the inside out.
        let mut link = self
            .rack
            .others()
            .rev()
            .fold(link, |link, slot| Link::Plan { chaos: Box::new(Chaos::new(link, slot)) });
        OthersFuture { way: Way::Through { future: link.pass(request.map(boxed)) } }
    }
}

pin_project! {
    /// The response future of [`Others`].
    pub struct OthersFuture<F, E> {
        #[pin]
        way: Way<F, E>,
    }
}

pin_project! {
    #[project = WayProj]
    enum Way<F, E> {
        Alone { #[pin] future: F },
        Through { future: BoxFuture<Result<Response<Boxed>, E>> },
    }
}

impl<F, R, E> Future for OthersFuture<F, E>
where
    F: Future<Output = Result<Response<R>, E>>,
{
    type Output = Result<Response<RackBody<R>>, E>;

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        Poll::Ready(match self.project().way.project() {
            WayProj::Alone { future } => ready!(future.poll(cx)).map(|response| response.map(RackBody::own)),
            WayProj::Through { future } => {
                ready!(future.as_mut().poll(cx)).map(|response| response.map(RackBody::boxed))
            }
        })
    }
}

/// One plan over the rest of the chain, or its end. `B` is the body that the inner service knows beside boxed ones.
enum Link<S, B> {
    Inner { service: S, body: PhantomData<fn() -> B> },
    Plan { chaos: Box<Chaos<Link<S, B>>> },
}

impl<S: Clone, B> Clone for Link<S, B> {
    fn clone(&self) -> Self {
        match self {
            Link::Inner { service, body } => Link::Inner { service: service.clone(), body: *body },
            Link::Plan { chaos } => Link::Plan { chaos: chaos.clone() },
        }
    }
}

impl<S, B, R> Link<S, B>
where
    S: Service<Request<RackBody<RequestBody<B>>>, Response = Response<R>> + Clone + Send + 'static,
    S::Future: Send + 'static,
    S::Error: Send,
    B: Body<Data = Bytes> + Send + 'static,
    R: Body<Data = Bytes> + Send + 'static,
    R::Error: Into<BoxError>,
{
    fn pass(&mut self, request: Request<Boxed>) -> BoxFuture<Result<Response<Boxed>, S::Error>> {
        match self {
            Link::Inner { service, .. } => {
                Box::pin(Boxing { future: service.call(request.map(RackBody::boxed)) })
            }
            Link::Plan { chaos } => Box::pin(Boxing { future: chaos.call(request) }),
        }
    }
}

impl<S, B, R> Service<Request<RequestBody<Boxed>>> for Link<S, B>
where
    S: Service<Request<RackBody<RequestBody<B>>>, Response = Response<R>> + Clone + Send + 'static,
    S::Future: Send + 'static,
    S::Error: Send,
    B: Body<Data = Bytes> + Send + 'static,
    R: Body<Data = Bytes> + Send + 'static,
    R::Error: Into<BoxError>,
{
    type Response = Response<Boxed>;
    type Error = S::Error;
    type Future = BoxFuture<Result<Response<Boxed>, S::Error>>;

    /// The inner service was found ready before the chain was built.
    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<RequestBody<Boxed>>) -> Self::Future {
        self.pass(request.map(boxed))
    }
}

pin_project! {
    /// Boxes the body of what is answered.
    struct Boxing<F> {
        #[pin]
        future: F,
    }
}

impl<F, R, E> Future for Boxing<F>
where
    F: Future<Output = Result<Response<R>, E>>,
    R: Body<Data = Bytes> + Send + 'static,
    R::Error: Into<BoxError>,
{
    type Output = Result<Response<Boxed>, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        Poll::Ready(ready!(self.project().future.poll(cx)).map(|response| response.map(boxed)))
    }
}

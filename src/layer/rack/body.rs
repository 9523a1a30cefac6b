//! A body that is boxed only while several plans act on it.

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use http_body_util::{BodyExt, combinators::UnsyncBoxBody};
use pin_project_lite::pin_project;

use crate::layer::BoxError;

/// A body whose type nobody knows any more.
pub(super) type Boxed = UnsyncBoxBody<Bytes, BoxError>;

pin_project! {
    /// What the service inside a [`RackLayer`](super::RackLayer) is sent, and what it answers: a body as it came, or
    /// what several plans made of it.
    pub struct RackBody<B> {
        #[pin]
        kind: Kind<B>,
    }
}

pin_project! {
    #[project = KindProj]
    enum Kind<B> {
        Own { #[pin] body: B },
        Boxed { body: Boxed },
    }
}

impl<B> RackBody<B> {
    pub(in crate::layer) const fn own(body: B) -> RackBody<B> {
        RackBody { kind: Kind::Own { body } }
    }

    pub(super) const fn boxed(body: Boxed) -> RackBody<B> {
        RackBody { kind: Kind::Boxed { body } }
    }
}

/// Forgets a body's type.
pub(super) fn boxed<B>(body: B) -> Boxed
where
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    body.map_err(Into::into).boxed_unsync()
}

impl<B> Body for RackBody<B>
where
    B: Body<Data = Bytes>,
    B::Error: Into<BoxError>,
{
    type Data = Bytes;
    type Error = BoxError;

    #[inline]
    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        match self.project().kind.project() {
            KindProj::Own { body } => body.poll_frame(cx).map_err(Into::into),
            KindProj::Boxed { body } => Pin::new(body).poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.kind {
            Kind::Own { body } => body.is_end_stream(),
            Kind::Boxed { body } => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.kind {
            Kind::Own { body } => body.size_hint(),
            Kind::Boxed { body } => body.size_hint(),
        }
    }
}

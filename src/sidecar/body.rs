//! The body of a response on its way to the caller, and what happens to its connection at the end.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;

use super::pool::Borrowed;

/// The body of a response: the upstream's as it arrives, or a short one that the sidecar made.
///
/// When the upstream's last frame has passed, its connection goes back to the pool. A body dropped before
/// its end (the caller went away) closes the connection, which tells the upstream to stop.
pub(super) struct ResponseBody<B> {
    kind: Kind<B>,
}

enum Kind<B> {
    Streaming { body: Incoming, connection: Option<Borrowed<B>> },
    Whole(Option<Bytes>),
}

impl<B> ResponseBody<B> {
    pub(super) fn streaming(body: Incoming, connection: Option<Borrowed<B>>) -> ResponseBody<B> {
        let mut response = ResponseBody { kind: Kind::Streaming { body, connection } };
        response.settle();
        response
    }

    pub(super) fn whole(bytes: Bytes) -> ResponseBody<B> {
        ResponseBody { kind: Kind::Whole((!bytes.is_empty()).then_some(bytes)) }
    }

    fn settle(&mut self) {
        if let Kind::Streaming { body, connection } = &mut self.kind
            && body.is_end_stream()
            && let Some(connection) = connection.take()
        {
            connection.give_back();
        }
    }
}

impl<B> Body for ResponseBody<B> {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let frame = match &mut self.kind {
            Kind::Whole(bytes) => return Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes)))),
            Kind::Streaming { body, connection } => {
                let frame = ready!(Pin::new(body).poll_frame(cx));
                match &frame {
                    // The end: no further frame will come.
                    None => connection.take().into_iter().for_each(Borrowed::give_back),
                    Some(Err(_)) => *connection = None,
                    Some(Ok(_)) => {}
                }
                frame
            }
        };
        self.settle();
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        match &self.kind {
            Kind::Streaming { body, .. } => body.is_end_stream(),
            Kind::Whole(bytes) => bytes.is_none(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.kind {
            Kind::Streaming { body, .. } => body.size_hint(),
            Kind::Whole(bytes) => SizeHint::with_exact(bytes.as_ref().map_or(0, |b| b.len() as u64)),
        }
    }
}

// Nothing in it is ever pinned in place: `Incoming` is `Unpin`, and `B` occurs only in its connection.
impl<B> Unpin for ResponseBody<B> {}

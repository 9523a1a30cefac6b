//! The sidecar's stack, assembled in one place.

use std::{convert::Infallible, sync::Arc};

use http::{Request, Response};
use hyper::body::Incoming;
use tower_service::Service;

use super::{
    body::ResponseBody,
    forward::{Forward, Route},
    pool::Pool,
};

pub(super) type RequestBody = Incoming;

/// One worker's stack, outermost layer last.
pub(super) fn stack(
    pool: Arc<Pool<RequestBody>>,
    route: Arc<Route>,
) -> impl Service<
    Request<Incoming>,
    Response = Response<ResponseBody<RequestBody>>,
    Error = Infallible,
    Future: Send,
> + Clone
+ Send
+ 'static {
    Forward::new(pool, route)
}

//! The sidecar's stack, assembled in one place.

use std::convert::Infallible;

use http::{Request, Response};
use hyper::body::Incoming;
use tower_layer::Layer as _;
use tower_service::Service;

use super::{
    body::ResponseBody,
    forward::{Forward, Lane},
};
use crate::layer::{
    self, Rack, RackBody, RackLayer, RequestBody,
    shadow::{CallerBody, ShadowLayer, ShadowedBody},
    view::{Tapped, ViewLayer, ViewedBody},
};

/// What the upstream is sent.
pub(super) type ToUpstream = RackBody<RequestBody<CallerBody<Tapped<Incoming>>>>;
/// What the caller is sent.
pub(super) type ToCaller = ViewedBody<ShadowedBody<layer::ResponseBody<RackBody<ResponseBody<ToUpstream>>>>>;

/// One worker's stack, from the inside out.
pub(super) fn stack(
    upstream: Lane<ToUpstream>,
    candidates: Vec<Lane<ToUpstream>>,
    rack: &Rack,
    shadows: &ShadowLayer,
    view: &ViewLayer,
) -> impl Service<Request<Incoming>, Response = Response<ToCaller>, Error = Infallible, Future: Send>
+ Clone
+ Send
+ 'static {
    // The upstream itself, and others that faults may send requests to. Its errors become responses here, so that a fault that edits or delays responses
    // meets a failing upstream like any other answer.
    let stack = Forward::new(upstream, candidates);
    // The faults. The same layer that a model server embeds; inside the view, so that what it does is seen.
    let stack = RackLayer::new(rack.clone()).layer(stack);
    // Faults on copies, around the others: they go the way of the same faults, and callers get what came through here.
    let stack = shadows.clone().shown_to(view).layer(stack);
    // What callers see. Outermost, because an injected delay or error is part of it.
    view.layer(stack)
}

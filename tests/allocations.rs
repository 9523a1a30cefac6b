//! Disarmed means gone: the layer takes no memory then. And hostile bytes take no more of it than a multiple of
//! their number. A binary of its own, because it counts through the global allocator.

#![cfg(test)]

#[path = "../fuzz/entries.rs"]
mod entries;
#[path = "allocations/hostile.rs"]
mod hostile;

use std::{convert::Infallible, future::ready, sync::Arc, time::Duration};

use bytes::Bytes;
use canard::{
    layer::{ChaosLayer, Handle, RackLayer, shadow::ShadowLayer},
    scenario::{Source, compile},
};
use http::{Request, Response};
use http_body::Body;
use http_body_util::{BodyExt as _, Full};
use tower::{Layer, Service, service_fn};

const SCENARIO: &str = "{ name: s, target: { protocol: http }, exposure: { share: 100% }, phases: [{ name: broken, lasts: 1m, \
                        inject: [{ fault: { error: { status: 503 } } }] }] }";

/// Allocations of one call, the reading of its response included; and its status.
fn of_a_call(handle: &Handle) -> (u64, u16) {
    let answer = || ready(Ok::<_, Infallible>(Response::new(Full::new(Bytes::from_static(b"answer")))));
    let one = of_a_call_of(ChaosLayer::new(handle.clone()).layer(service_fn(move |_| answer())));
    let rack = RackLayer::new(handle.clone().into()).layer(service_fn(move |_| answer()));
    assert_eq!(of_a_call_of(rack), one, "a rack costs the same");
    let rack = RackLayer::new(handle.clone().into()).layer(service_fn(move |_| answer()));
    let shadowed = ShadowLayer::new(handle.clone().into()).layer(rack);
    assert_eq!(of_a_call_of(shadowed), one, "so does a layer for shadows");
    one
}

fn of_a_call_of<S, B>(mut service: S) -> (u64, u16)
where
    S: Service<Request<Full<Bytes>>, Response = Response<B>, Error = Infallible>,
    B: Body<Error: std::fmt::Debug> + Unpin,
{
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    runtime.block_on(async {
        let mut count = 0;
        let mut status = 0;
        // Twice: what is set up once, is set up then.
        for _ in 0..2 {
            let request = Request::new(Full::<Bytes>::default());
            let mut call = std::pin::pin!(async {
                let response = service.call(request).await.unwrap();
                let status = response.status().as_u16();
                let mut body = response.into_body();
                while let Some(frame) = body.frame().await {
                    frame.unwrap();
                }
                status
            });
            let mut waker = std::task::Context::from_waker(std::task::Waker::noop());
            count = allocation_counter::measure(|| match call.as_mut().poll(&mut waker) {
                std::task::Poll::Ready(answered) => status = answered,
                std::task::Poll::Pending => panic!("nothing to wait for"),
            })
            .count_total;
        }
        (count, status)
    })
}

#[test]
fn a_disarmed_layer_allocates_nothing() {
    let handle = Handle::default();
    assert_eq!(of_a_call(&handle), (0, 200), "never armed");
    let plan = compile(&Source::new("s.yaml", SCENARIO)).unwrap();
    handle.arm(Arc::new(plan), Duration::from_secs(60)).unwrap();
    let (allocations, status) = of_a_call(&handle);
    assert!(allocations > 0 && status == 503, "armed, it counts: {allocations}, {status}");
    handle.stop();
    assert_eq!(of_a_call(&handle), (0, 200), "disarmed");
}

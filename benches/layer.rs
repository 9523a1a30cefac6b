//! What the layer costs per request, in time and allocations, against the bare service and against
//! `tower-resilience-chaos`.
//!
//! `cargo bench --bench layer` prints time and allocations of each case. A request is made outside the
//! measured part; inside are the call, the wait for the response and the reading of its body. Delays sleep
//! on a paused clock, which jumps: what is measured is the work around the sleep.

use std::{future, io, sync::Arc, time::Duration};

use bytes::Bytes;
use canard::{
    layer::{ChaosLayer, Handle, Limits},
    scenario::{Source, compile},
};
use divan::{AllocProfiler, Bencher};
use http::{Request, Response, header};
use http_body::Body;
use http_body_util::{BodyExt as _, Full};
use tokio::runtime::Runtime;
use tower::{Layer, Service, ServiceExt as _, service_fn};

#[global_allocator]
static ALLOCATOR: AllocProfiler = AllocProfiler::system();

const ANSWER: &str = r#"{"model_name":"iris","model_version":"1","id":"5f2c","outputs":[{"name":"predict","shape":[4],"datatype":"INT64","data":[2,1,0,2]},{"name":"predict_proba","shape":[4,3],"datatype":"FP64","data":[0.01,0.09,0.9,0.05,0.9,0.05,0.97,0.02,0.01,0.01,0.19,0.8]}]}"#;

fn main() {
    divan::main();
}

/// A model server that costs nothing.
fn model<B>() -> impl Service<
    Request<B>,
    Response = Response<Full<Bytes>>,
    Error = io::Error,
    Future = future::Ready<io::Result<Response<Full<Bytes>>>>,
> + Clone
+ Send
+ 'static
where
    B: 'static,
{
    service_fn(|_: Request<B>| {
        let mut response = Response::new(Full::new(Bytes::from_static(ANSWER.as_bytes())));
        let json = header::HeaderValue::from_static("application/json");
        response.headers_mut().insert(header::CONTENT_TYPE, json);
        future::ready(Ok(response))
    })
}

fn runtime(paused: bool) -> Runtime {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    builder.enable_time().start_paused(paused).build().expect("a runtime")
}

/// Calls a service over and over, each time with another request.
fn measure<S, R>(bencher: Bencher<'_, '_>, paused: bool, mut service: S)
where
    S: Service<Request<Full<Bytes>>, Response = Response<R>>,
    R: Body,
{
    let runtime = runtime(paused);
    let mut number = 0_u64;
    let request = move || {
        number += 1;
        let request = Request::post("/v2/models/iris/infer").header("x-request-id", number.to_string());
        request.body(Full::new(Bytes::from_static(b"{}"))).expect("a request")
    };
    bencher.with_inputs(request).bench_local_values(|request| {
        runtime.block_on(async {
            let Ok(ready) = service.ready().await else { return };
            // An injected error of the other layer is no response.
            if let Ok(response) = ready.call(request).await {
                drop(response.into_body().collect().await);
            }
        });
    });
}

/// Measures a fault that is armed for a share of all requests.
fn armed(bencher: Bencher<'_, '_>, share: &str, inject: &str) {
    let scenario = format!(
        "name: bench\nseed: 7\ntarget: {{ protocol: open-inference, labels: [setosa, versicolor, virginica] }}\nexposure: {{ share: {share} }}\n\
         phases:\n  - name: broken\n    lasts: 8000h\n    inject: [{inject}]\n"
    );
    let plan = compile(&Source::new("bench.yaml", scenario)).unwrap_or_else(|errors| panic!("{errors}"));
    let paused = inject.contains("latency") || inject.contains("hang");
    // A paused clock jumps a millisecond for each request.
    let lease = Duration::from_secs(300 * 86_400);
    let handle = Handle::new(Limits { lease, ..Limits::default() });
    handle.arm(Arc::new(plan), lease).expect("armed");
    measure(bencher, paused, ChaosLayer::new(handle).layer(model()));
}

#[divan::bench]
fn bare(bencher: Bencher<'_, '_>) {
    measure(bencher, false, model());
}

#[divan::bench]
fn disarmed(bencher: Bencher<'_, '_>) {
    measure(bencher, false, ChaosLayer::new(Handle::default()).layer(model()));
}

#[divan::bench]
fn armed_not_selected(bencher: Bencher<'_, '_>) {
    armed(bencher, "0.000001%", "{ fault: { error: { status: 503 } } }");
}

#[divan::bench(args = [
    "{ latency: { fixed: 1ms } }",
    "{ latency: { lognormal: { median: 1ms, p99: 2ms } } }",
    "{ error: { status: 503 } }",
    "{ hang: { for: 1ms } }",
    "{ reset: { after-bytes: 10 } }",
    "{ mislabel: { rate: 100%, to: setosa } }",
    "{ score-shift: { delta: 0.5 } }",
    "{ freeze: {} }",
    "{ corrupt: { rate: 100%, with: out-of-range } }",
])]
fn fault(bencher: Bencher<'_, '_>, fault: &str) {
    armed(bencher, "100%", &format!("{{ fault: {fault} }}"));
}

/// The other layer decides by a generator behind a lock, boxes its futures, and knows errors and delays.
mod tower_resilience_chaos {
    use ::tower_resilience_chaos::ChaosLayer;

    use super::*;

    fn with_errors(bencher: Bencher<'_, '_>, rate: f64) {
        let inject = |_: &Request<Full<Bytes>>| io::Error::other("injected");
        measure(
            bencher,
            false,
            ChaosLayer::builder().error_rate(rate).error_fn(inject).build().layer(model()),
        );
    }

    #[divan::bench]
    fn not_selected(bencher: Bencher<'_, '_>) {
        with_errors(bencher, 1e-8);
    }

    #[divan::bench]
    fn error(bencher: Bencher<'_, '_>) {
        with_errors(bencher, 1.0);
    }

    #[divan::bench]
    fn latency(bencher: Bencher<'_, '_>) {
        let delay = Duration::from_millis(1);
        let layer = ChaosLayer::builder().latency_rate(1.0).min_latency(delay).max_latency(delay).build();
        measure(bencher, true, layer.layer(model()));
    }
}

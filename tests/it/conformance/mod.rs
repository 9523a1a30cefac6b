//! What every way of running a plan has to do alike: one table of cases, any number of runners.
//!
//! A [`Runner`] puts [`upstream`] behind canard and carries requests through. The embedded layer is one; a
//! proxy is another. A case is a scenario, the requests that are sent under it, and what comes back, byte
//! for byte.

mod cases;
mod embedded;
mod requests;
#[cfg(feature = "cli")]
mod sidecar;
mod streams;

use std::{io::Read as _, sync::Arc, time::Duration};

use bytes::Bytes;
use canard::{
    layer::Rack,
    scenario::{Plan, Source, compile},
};
use http::{Method, Request, Response, StatusCode, header};

pub(crate) use cases::{Case, Wanted};

/// Carries requests through canard to [`upstream`].
pub(crate) trait Runner {
    /// What arms it.
    fn rack(&self) -> Rack;

    /// Sends one request; an error is a broken connection.
    async fn call(&self, request: Request<Bytes>) -> Result<Response<Bytes>, String>;
}

/// What the model server behind canard answers.
pub(crate) fn upstream(request: &Request<Bytes>) -> Response<Bytes> {
    assert!(!request.headers().contains_key("x-canard-fault"), "canard's own header comes through");
    let messages = streams::infer_response([2, 1]).repeat(2);
    let echoed = String::from_utf8_lossy(request.body());
    let answer = match request.uri().path() {
        "/v2/models/iris/infer" => cases::IRIS,
        "/v1/models/iris:predict" => r#"{"predictions": [2, 1], "took": 1.50}"#,
        streams::CHATS => streams::CHAT,
        streams::MODEL_INFER => &messages,
        "/v2/models/echo/infer" => &echoed,
        "/invocations" => r#"{"predictions": ["virginica", "setosa"]}"#,
        "/api" => r#"{"results": [{"label": "cat", "p": 0.90, "extra": NaN}]}"#,
        "/v2/models/broken/infer" => r#"{"outputs": [{"#,
        "/v2/models/failing/infer" => r#"{"error": "out of memory"}"#,
        _ => "plain",
    };
    let mut response = Response::new(Bytes::copy_from_slice(answer.as_bytes()));
    if request.uri().path() == "/v2/models/failing/infer" {
        *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
    }
    let headers = response.headers_mut();
    let kind = match request.uri().path() {
        streams::CHATS => "text/event-stream",
        streams::MODEL_INFER => "application/grpc",
        _ => "application/json",
    };
    headers.insert(header::CONTENT_TYPE, header::HeaderValue::from_static(kind));
    if request.headers().get(header::ACCEPT_ENCODING).is_some_and(|value| value == "gzip") {
        let mut coded = Vec::new();
        let level = flate2::Compression::default();
        flate2::read::GzEncoder::new(answer.as_bytes(), level).read_to_end(&mut coded).unwrap();
        response.headers_mut().insert(header::CONTENT_ENCODING, header::HeaderValue::from_static("gzip"));
        *response.body_mut() = coded.into();
    }
    let length = response.body().len();
    response.headers_mut().insert(header::CONTENT_LENGTH, length.into());
    if request.method() == Method::HEAD {
        response.body_mut().clear();
    }
    response
}

/// Plays every case on a runner.
pub(crate) async fn assert_conforms(runner: &impl Runner) {
    for case in cases::all() {
        play(runner, &case).await;
    }
    cases::assert_published_decisions(runner).await;
    requests::assert_request_control(runner).await;
}

/// Arms a scenario for as long as `during` runs.
pub(crate) async fn under<T>(runner: &impl Runner, scenario: &str, during: impl Future<Output = T>) -> T {
    let plan: Plan = compile(&Source::new("case.yaml", scenario)).unwrap_or_else(|errors| panic!("{errors}"));
    let lease = runner.rack().arm(Arc::new(plan), Duration::from_secs(60)).unwrap();
    let result = during.await;
    runner.rack().disarm(lease).unwrap();
    result
}

async fn play(runner: &impl Runner, case: &Case) {
    let name = case.name;
    let results = under(runner, &case.scenario, async {
        let mut results = Vec::new();
        for (request, _) in &case.exchanges {
            results.push(runner.call(request.clone()).await);
        }
        (results, runner.rack().last_evidence().unwrap())
    });
    let (results, evidence) = results.await;
    // Every marked exchange is one perturbation by one fault, and nothing else is.
    let marked = case.exchanges.iter().filter(|(_, wanted)| !matches!(wanted, Wanted::Untouched)).count();
    let perturbed: u64 = evidence.phases[0].faults.iter().map(|fault| fault.perturbed).sum();
    assert_eq!(perturbed, marked as u64, "{name}");
    for (i, (result, (request, wanted))) in results.into_iter().zip(&case.exchanges).enumerate() {
        match (result, wanted) {
            (Err(_), Wanted::Broken) => {}
            (Ok(response), Wanted::Untouched) => {
                let original = upstream(request);
                assert_eq!(response.status(), original.status(), "{name} #{i}");
                assert_eq!(response.headers().get("x-canard"), None, "{name} #{i}");
                assert_eq!(response.body(), original.body(), "{name} #{i}");
            }
            (Ok(response), Wanted::Marked { status, mark, body }) => {
                assert_eq!(response.status().as_u16(), *status, "{name} #{i}");
                assert_eq!(response.headers()["x-canard"], *mark, "{name} #{i}");
                if let Some(length) = response.headers().get(header::CONTENT_LENGTH) {
                    assert_eq!(length, &response.body().len().to_string(), "{name} #{i}");
                }
                assert_eq!(plain(&response), *body, "{name} #{i}");
            }
            (Ok(response), Wanted::Checked { mark, check }) => {
                assert_eq!(
                    (response.status().as_u16(), &response.headers()["x-canard"]),
                    (200, &mark.parse().unwrap()),
                    "{name} #{i}"
                );
                check(&plain(&response));
            }
            (result, wanted) => panic!("{name} #{i}: {result:?} instead of {wanted:?}"),
        }
    }
}

/// The body as text, decoded.
fn plain(response: &Response<Bytes>) -> String {
    let mut text = String::new();
    match response.headers().get(header::CONTENT_ENCODING) {
        None => String::from_utf8(response.body().to_vec()).unwrap(),
        Some(_) => {
            flate2::read::GzDecoder::new(&response.body()[..]).read_to_string(&mut text).unwrap();
            text
        }
    }
}

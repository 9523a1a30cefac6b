//! The little HTTP that the harness needs.

use std::time::Duration;

use bytes::Bytes;
use http::{Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper_util::{client::legacy::Client, rt::TokioExecutor};
use serde_json::Value;
use tokio::time::timeout;

/// Between two looks at something that will change.
pub(super) const POLL: Duration = Duration::from_millis(50);
const ANSWER: Duration = Duration::from_secs(10);

/// Status and body, or why there is none.
pub(crate) async fn request(method: &str, url: &str, body: &str) -> Result<(StatusCode, String), String> {
    let request = Request::builder().method(method).uri(url).header("content-type", "application/json");
    let request = request.body(Full::new(Bytes::copy_from_slice(body.as_bytes()))).unwrap();
    let exchange = async {
        let response = Client::builder(TokioExecutor::new()).build_http().request(request).await;
        let response = response.map_err(|error| format!("{url}: {error:?}"))?;
        let status = response.status();
        let body = response.into_body().collect().await.map_err(|error| format!("{url}: {error:?}"))?;
        Ok((status, String::from_utf8_lossy(&body.to_bytes()).into_owned()))
    };
    timeout(ANSWER, exchange).await.unwrap_or_else(|_| Err(format!("{url}: no answer in {ANSWER:?}")))
}

pub(crate) async fn get(url: &str) -> Result<(StatusCode, String), String> {
    request("GET", url, "").await
}

/// The JSON of a successful answer.
pub(crate) async fn json(method: &str, url: &str, body: &str) -> Value {
    let (status, text) = request(method, url, body).await.unwrap();
    assert!(status.is_success(), "{method} {url}: {status}: {text}");
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{method} {url}: {error}: {text}"))
}

/// Asks again and again until `ask` gives something.
pub(crate) async fn until<T>(what: &str, within: Duration, mut ask: impl AsyncFnMut() -> Option<T>) -> T {
    let wait = async {
        loop {
            if let Some(found) = ask().await {
                return found;
            }
            tokio::time::sleep(POLL).await;
        }
    };
    timeout(within, wait).await.unwrap_or_else(|_| panic!("{what}: not within {within:?}"))
}

/// Waits until a GET of `url` succeeds.
pub(crate) async fn until_ready(url: &str, within: Duration) {
    until(url, within, async || get(url).await.is_ok_and(|(status, _)| status.is_success()).then_some(()))
        .await;
}

/// A text for a query string.
pub(crate) fn encode(text: &str) -> String {
    text.bytes()
        .map(|b| match b {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => char::from(b).to_string(),
            _ => format!("%{b:02X}"),
        })
        .collect()
}

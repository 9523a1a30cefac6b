//! The upstream, and callers that ask it through the sidecar at a fixed rate, whatever the answers take.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use axum::{Router, routing::post};
use bytes::Bytes;
use http::{Request, header::CONTENT_TYPE};
use http_body_util::{BodyExt, Full};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use tokio::{
    task::JoinSet,
    time::{Instant, MissedTickBehavior, interval},
};

use super::Failed;

const PATH: &str = "/v2/models/iris/infer";
/// What the model answers; a frozen prediction is 0.
pub(super) const ANSWER: &str =
    r#"{"model_name":"iris","outputs":[{"name":"predict","shape":[1],"datatype":"INT64","data":[2]}]}"#;
/// Users that callers are, by turns.
const USERS: u64 = 5_000;

/// A model server on a free port.
pub(super) async fn upstream() -> Result<SocketAddr, Failed> {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let model = Router::new().route(PATH, post(async || ([(CONTENT_TYPE, "application/json")], ANSWER)));
    tokio::spawn(async move { axum::serve(listener, model).await });
    Ok(address)
}

/// One request and what became of it.
pub(super) struct Seen {
    pub(super) id: String,
    pub(super) sent: Instant,
    pub(super) done: Instant,
    /// Status, marks, body; or why there was no whole answer.
    pub(super) answer: Result<(u16, Vec<String>, Bytes), String>,
}

/// Callers that share connections.
pub(super) struct Callers {
    client: Client<HttpConnector, Full<Bytes>>,
    base: String,
}

impl Callers {
    pub(super) fn of(sidecar: SocketAddr) -> Callers {
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        let client = Client::builder(TokioExecutor::new()).build(connector);
        Callers { client, base: format!("http://{sidecar}{PATH}") }
    }

    async fn ask(&self, number: u64) -> Seen {
        let id = format!("r{number}");
        let sent = Instant::now();
        let answer = self.exchange(&id, number % USERS).await.map_err(|error| error.to_string());
        Seen { id, sent, done: Instant::now(), answer }
    }

    async fn exchange(&self, id: &str, user: u64) -> Result<(u16, Vec<String>, Bytes), Failed> {
        let request = Request::post(&self.base)
            .header(CONTENT_TYPE, "application/json")
            .header("x-request-id", id)
            .header("x-user-id", user)
            .body(Full::from("{}"))?;
        let response = self.client.request(request).await?;
        let marks = response.headers().get_all("x-canard").iter();
        let marks = marks.map(|mark| mark.to_str().map(str::to_owned)).collect::<Result<_, _>>()?;
        let status = response.status().as_u16();
        Ok((status, marks, response.into_body().collect().await?.to_bytes()))
    }
}

/// Asks so many times a second until then; gives every request.
pub(super) async fn load(callers: Arc<Callers>, rate: u64, until: Instant) -> Vec<Seen> {
    let mut asked = JoinSet::new();
    let mut seen = Vec::new();
    let mut ticks = interval(Duration::from_millis(2));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let (begun, mut number) = (Instant::now(), 0);
    while Instant::now() < until {
        ticks.tick().await;
        let due = (begun.elapsed().as_secs_f64() * rate as f64) as u64;
        while number < due {
            let callers = callers.clone();
            asked.spawn(async move { callers.ask(number).await });
            number += 1;
        }
        while let Some(done) = asked.try_join_next() {
            seen.extend(done);
        }
    }
    while let Some(done) = asked.join_next().await {
        seen.extend(done);
    }
    assert_eq!(seen.len() as u64, number, "a caller panicked");
    seen
}

//! Receives notifications of Alertmanager and Grafana: the end of the chain.
//!
//! What arrives here, somebody would have got. The time of an alert is therefore when its notification came,
//! on canard's own clock, not the `startsAt` in it. A call that can't be read is answered with 400 (the sender
//! logs it), counted and told; it changes nothing. Alerts beyond the limit are refused with 503 rather than
//! dropping one that is known, since a dropped alert would look like an all-clear.

use std::{
    collections::{BTreeMap, BTreeSet},
    mem,
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use axum::{
    Router,
    body::Bytes,
    extract::{DefaultBodyLimit, State, rejection::BytesRejection},
};
use http::{Method, StatusCode};
use serde::Deserialize;
use tokio::{net::TcpListener, task::JoinHandle};

use super::{
    AlertInstance, AlertSource, BoxFuture, MonitorError, Reading,
    findings::{Findings, Question},
};
use crate::{
    clock::{self, Timestamp},
    event::AlertState,
    scenario::WebhookSettings,
};

/// Largest notification, in bytes.
const BODY_LIMIT: usize = 4 << 20;
/// Alerts that may be firing, and ends that may wait for the next look.
const MOST_ALERTS: usize = 10_000;
/// Notices that may wait for the next look.
const MOST_NOTICES: usize = 20;
/// Receivers that are remembered.
const MOST_RECEIVERS: usize = 1_000;

/// Listens for notifications until it is dropped.
#[derive(Debug)]
pub(super) struct Webhook {
    address: SocketAddr,
    inbox: Arc<Mutex<Inbox>>,
    server: JoinHandle<()>,
}

#[derive(Debug, Default)]
struct Inbox {
    firing: BTreeMap<String, Notified>,
    ended: Vec<AlertInstance>,
    refused: u64,
    notices: Vec<String>,
    /// The receivers that notified.
    receivers: BTreeSet<String>,
}

#[derive(Debug)]
struct Notified {
    starts_at: String,
    instance: AlertInstance,
}

impl Webhook {
    pub(super) async fn listen(settings: &WebhookSettings) -> Result<Webhook, MonitorError> {
        let setup = |why: String| {
            MonitorError::Setup(format!("webhook can't listen on `{}`: {why}", settings.listen))
        };
        let listener = TcpListener::bind(&settings.listen).await.map_err(|error| {
            setup(match error.kind() {
                std::io::ErrorKind::AddrInUse => {
                    "the port is in use; end what uses it or name another in the stage".to_owned()
                }
                std::io::ErrorKind::InvalidInput => "write it like 127.0.0.1:9911".to_owned(),
                _ => error.to_string(),
            })
        })?;
        let address = listener.local_addr().map_err(|error| setup(error.to_string()))?;
        let inbox = Arc::default();
        let app = Router::new()
            .fallback(receive)
            .layer(DefaultBodyLimit::max(BODY_LIMIT))
            .with_state(Arc::clone(&inbox));
        let server = tokio::spawn(async move {
            let _ = axum::serve(listener, app).await;
        });
        Ok(Webhook { address, inbox, server })
    }

    fn read(&self) -> Result<Reading, MonitorError> {
        if self.server.is_finished() {
            return Err(MonitorError::Unreachable(format!("the webhook on {} has stopped", self.address)));
        }
        let mut inbox = open(&self.inbox);
        let mut alerts = mem::take(&mut inbox.ended);
        alerts.extend(inbox.firing.values().map(|notified| notified.instance.clone()));
        Ok(Reading {
            taken_at: clock::now(),
            skew_s: 0.0,
            clock_uncertainty_s: 0.0,
            alerts,
            scrape_interval: None,
            rules: None,
        })
    }
}

impl Drop for Webhook {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl AlertSource for Webhook {
    fn poll(&mut self) -> BoxFuture<'_, Result<Reading, MonitorError>> {
        let reading = self.read();
        Box::pin(async { reading })
    }

    fn interval(&self) -> Duration {
        Duration::from_millis(250) // costs nothing
    }

    fn knows_rules(&self) -> bool {
        false
    }

    fn is_notification(&self) -> bool {
        true
    }

    fn address(&self) -> Option<SocketAddr> {
        Some(self.address)
    }

    fn examine<'a>(&'a mut self, _question: &'a Question) -> BoxFuture<'a, Findings> {
        let heard_from = open(&self.inbox).receivers.clone();
        Box::pin(async { Findings { heard_from, ..Findings::default() } })
    }

    fn take_notices(&mut self) -> Vec<String> {
        mem::take(&mut open(&self.inbox).notices)
    }
}

fn open(inbox: &Mutex<Inbox>) -> MutexGuard<'_, Inbox> {
    inbox.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn receive(
    State(inbox): State<Arc<Mutex<Inbox>>>,
    method: Method,
    body: Result<Bytes, BytesRejection>,
) -> (StatusCode, String) {
    let at = clock::now();
    if method != Method::POST {
        return (StatusCode::METHOD_NOT_ALLOWED, "canard listens here for notifications by POST\n".into());
    }
    let notification = body.map_err(|error| (error.status(), error.body_text())).and_then(|body| read(&body));
    match notification.and_then(|notification| open(&inbox).receive(notification, at)) {
        Ok(()) => (StatusCode::OK, String::new()),
        Err((status, why)) => {
            open(&inbox).refuse(&why);
            (status, why + "\n")
        }
    }
}

fn read(body: &[u8]) -> Result<Notification, (StatusCode, String)> {
    serde_path_to_error::deserialize(&mut serde_json::Deserializer::from_slice(body)).map_err(|error| {
        (StatusCode::BAD_REQUEST, format!("no notification of Alertmanager or Grafana: {error}"))
    })
}

impl Inbox {
    fn receive(&mut self, notification: Notification, at: Timestamp) -> Result<(), (StatusCode, String)> {
        let new = |alert: &&WireAlert| alert.fires() && !self.firing.contains_key(&alert.key());
        let more = notification.alerts.iter().filter(new).count();
        if self.firing.len() + more > MOST_ALERTS
            || self.ended.len() + notification.alerts.len() > 2 * MOST_ALERTS
        {
            return Err((StatusCode::SERVICE_UNAVAILABLE, format!("more than {MOST_ALERTS} alerts")));
        }
        if self.receivers.len() < MOST_RECEIVERS {
            self.receivers.extend(notification.receiver);
        }
        for alert in notification.alerts {
            self.take(alert, at);
        }
        Ok(())
    }

    fn take(&mut self, alert: WireAlert, at: Timestamp) {
        let key = alert.key();
        let known = self.firing.remove(&key);
        let (fires, starts_at) = (alert.fires(), alert.starts_at.clone());
        match known {
            // Told again, as every repeat_interval: it goes on.
            Some(known) if fires && known.starts_at == starts_at => {
                self.firing.insert(key, known);
            }
            // Ended, or started anew without a word about the end.
            Some(mut known) => {
                known.instance.state = AlertState::Inactive;
                known.instance.ended = Some(at);
                self.ended.push(known.instance);
                if fires {
                    self.firing.insert(key, alert.received(at));
                }
            }
            None if fires => {
                self.firing.insert(key, alert.received(at));
            }
            // The end of something that canard never heard of.
            None => {}
        }
    }

    fn refuse(&mut self, why: &str) {
        self.refused += 1;
        if self.notices.len() < MOST_NOTICES {
            self.notices.push(format!("webhook refused a call ({} so far): {why}", self.refused));
        }
    }
}

#[derive(Deserialize)]
struct Notification {
    receiver: Option<String>,
    alerts: Vec<WireAlert>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WireAlert {
    status: Status,
    labels: BTreeMap<String, String>,
    #[serde(default)]
    starts_at: String,
    #[serde(default)]
    fingerprint: String,
}

#[derive(Deserialize, PartialEq)]
#[serde(rename_all = "lowercase")]
enum Status {
    Firing,
    Resolved,
}

impl WireAlert {
    fn fires(&self) -> bool {
        self.status == Status::Firing
    }

    fn key(&self) -> String {
        if self.fingerprint.is_empty() { format!("{:?}", self.labels) } else { self.fingerprint.clone() }
    }

    fn received(mut self, at: Timestamp) -> Notified {
        let instance = AlertInstance {
            alert: self.labels.remove("alertname").unwrap_or_default(),
            labels: self.labels,
            state: AlertState::Firing,
            since: Some((AlertState::Firing, at)),
            notification: true,
            ended: None,
        };
        Notified { starts_at: self.starts_at, instance }
    }
}

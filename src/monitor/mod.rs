//! Alert sources: one file each.
//!
//! A source is asked again and again ([`AlertSource::poll`]) and answers with what it knows now, on its own
//! clock. [`History`] turns the readings into changes on canard's clock, with their uncertainty.
//!
//! Adding one: write its file, add its settings to `scenario::Monitor` and its line to [`connect`].

mod alertmanager;
mod builtin;
mod client;
mod exposition;
pub mod findings;
mod history;
mod probe;
mod prometheus;
mod promql;
mod skew;
mod webhook;

use std::{collections::BTreeMap, future::Future, net::SocketAddr, pin::Pin, sync::Arc, time::Duration};

use crate::{clock::Timestamp, event::AlertState, evidence::Evidence, scenario::Monitor};

pub use client::{HttpClient, HttpError, HttpResponse};
use findings::{Findings, Question};
pub use history::{History, Life};
pub use probe::{ProbeAnswer, ProbeSource, probe};

/// No monitor is asked more often.
const SHORTEST_POLL: Duration = Duration::from_millis(100);

/// A future that a trait object can return.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Why a monitor gave no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MonitorError {
    /// It can't be reached, or answers nonsense; asked again later.
    #[error("{0}")]
    Unreachable(String),
    /// It can't do this at all (a webhook has no PromQL).
    #[error("{0}")]
    Unsupported(String),
    /// The query is wrong.
    #[error("{0}")]
    BadQuery(String),
    /// It can't be started (its port is in use).
    #[error("{0}")]
    Setup(String),
}

/// What a monitor knows at one moment.
#[derive(Debug, Clone, PartialEq)]
pub struct Reading {
    /// When the answer came, on canard's clock.
    pub taken_at: Timestamp,
    /// The monitor's clock minus canard's, in seconds (from the `Date` header), if known.
    pub skew_s: f64,
    /// Uncertainty of the monitor's own timestamps: clock skew, resolution.
    pub clock_uncertainty_s: f64,
    /// Alerts that are not inactive.
    pub alerts: Vec<AlertInstance>,
    /// Time from one scrape of its targets to the next, where it scrapes and tells; the longest of them.
    pub scrape_interval: Option<Duration>,
    /// The rules it has; `None` for a source that only knows what is firing (Alertmanager, a webhook).
    pub rules: Option<Vec<Rule>>,
}

/// One alert with its labels.
#[derive(Debug, Clone, PartialEq)]
pub struct AlertInstance {
    /// Its name (`alertname`).
    pub alert: String,
    /// Its labels, without the name.
    pub labels: BTreeMap<String, String>,
    /// Its state.
    pub state: AlertState,
    /// Since when, on the monitor's clock, and for which state: Prometheus' `activeAt` is when it became
    /// pending, Alertmanager's `startsAt` when it fired.
    pub since: Option<(AlertState, Timestamp)>,
    /// Did it come as a notification?
    pub notification: bool,
    /// When it ended, for a notification of a resolved alert (on the monitor's clock).
    pub ended: Option<Timestamp>,
}

/// A rule, as its monitor tells it.
#[derive(Debug, Clone, PartialEq)]
pub struct Rule {
    /// Name of the alert.
    pub alert: String,
    /// Is it evaluated without error?
    pub healthy: bool,
    /// Its last error.
    pub last_error: Option<String>,
    /// When it was last evaluated, on the monitor's clock.
    pub last_evaluation: Option<Timestamp>,
    /// Time between evaluations.
    pub interval: Option<Duration>,
    /// Its `for`.
    pub hold: Option<Duration>,
    /// Its expression.
    pub query: String,
    /// Does its expression have data to work on? `None` if not known.
    pub has_data: Option<bool>,
    /// The labels that it sets itself.
    pub labels: BTreeMap<String, String>,
}

/// A value of an instant vector, with its labels.
#[derive(Debug, Clone, PartialEq)]
pub struct PromqlValue {
    /// The labels.
    pub labels: BTreeMap<String, String>,
    /// The value.
    pub value: f64,
}

/// A source of alerts.
pub trait AlertSource: Send {
    /// What it knows now.
    fn poll(&mut self) -> BoxFuture<'_, Result<Reading, MonitorError>>;

    /// Time between polls.
    fn interval(&self) -> Duration {
        Duration::from_secs(1)
    }

    /// Answers a PromQL query.
    fn query<'a>(&'a self, _promql: &'a str) -> BoxFuture<'a, Result<Vec<PromqlValue>, MonitorError>> {
        Box::pin(async { Err(MonitorError::Unsupported("this monitor answers no PromQL".into())) })
    }

    /// What it can find out, afterwards, of an alert that was missed or late. Best effort: what it can't tell stays
    /// empty.
    fn examine<'a>(&'a mut self, _question: &'a Question) -> BoxFuture<'a, Findings> {
        Box::pin(async { Findings::default() })
    }

    /// Does this source tell which rules exist (so that a missing one is `no-such-alert`)?
    fn knows_rules(&self) -> bool;

    /// Is what it says the end of the chain, a notification that somebody got?
    fn is_notification(&self) -> bool {
        false
    }

    /// Where it listens, if it is called instead of asked (the port that the system chose for `:0`).
    fn address(&self) -> Option<SocketAddr> {
        None
    }

    /// What the reader should know that is no alert, one line each, since the last call: calls that were
    /// refused, alerts beyond a limit.
    fn take_notices(&mut self) -> Vec<String> {
        Vec::new()
    }
}

/// Where the built-in monitor takes its readings from.
pub type EvidenceSource = Arc<dyn Fn() -> BoxFuture<'static, Option<Evidence>> + Send + Sync>;

/// Connects to a monitor. A server that is down is no error here (its polls tell); a port that can't be
/// listened on is.
///
/// # Errors
/// [`MonitorError::Setup`] when the source can't work at all.
pub async fn connect(
    settings: &Monitor,
    evidence: EvidenceSource,
) -> Result<Box<dyn AlertSource>, MonitorError> {
    Ok(match settings {
        Monitor::Prometheus(settings) => Box::new(prometheus::Prometheus::new(settings)?),
        Monitor::Alertmanager(settings) => Box::new(alertmanager::Alertmanager::new(settings)?),
        Monitor::Webhook(settings) => Box::new(webhook::Webhook::listen(settings).await?),
        Monitor::Builtin(settings) => Box::new(builtin::Builtin::new(settings.clone(), evidence)),
    })
}

#[cfg(test)]
mod tests;

//! Alertmanager: what reached it, and whether anybody hears it.
//!
//! It knows no rules, only alerts that fire. `startsAt` is when an alert fired (`activeAt` + `for`). Silenced
//! and inhibited alerts are told apart from firing ones: they fire, but no receiver gets them. An alert that
//! it has not yet sorted (`unprocessed`) fires as far as anybody knows.

mod calendar;
mod config;
mod examine;
mod matchers;

use std::{collections::BTreeMap, time::Duration};

use serde::Deserialize;

use super::{
    AlertInstance, AlertSource, BoxFuture, HttpClient, HttpError, MonitorError, Reading, SHORTEST_POLL,
    findings::{Findings, Question},
    skew,
};
use crate::{event::AlertState, scenario::AlertmanagerSettings};

const ALERTS: &str = "/api/v2/alerts?active=true&silenced=true&inhibited=true&unprocessed=true";

/// An Alertmanager.
#[derive(Debug)]
pub(super) struct Alertmanager {
    http: HttpClient,
    poll: Duration,
    skew: skew::Skew,
    memory: examine::Memory,
}

impl Alertmanager {
    pub(super) fn new(settings: &AlertmanagerSettings) -> Result<Alertmanager, MonitorError> {
        let http = HttpClient::new(&settings.url, settings.token.as_deref());
        Ok(Alertmanager {
            http: http.map_err(|HttpError(error)| MonitorError::Setup(error))?,
            poll: settings.poll.duration().max(SHORTEST_POLL),
            skew: skew::Skew::default(),
            memory: examine::Memory::default(),
        })
    }

    async fn read(&mut self) -> Result<Reading, MonitorError> {
        let unreachable = |HttpError(error): HttpError| MonitorError::Unreachable(error);
        let answer = self.http.get(ALERTS).await.and_then(|answer| answer.success()).map_err(unreachable)?;
        let alerts: Vec<WireAlert> = answer.json().map_err(unreachable)?;
        if let Some(date) = skew::date(&answer.headers) {
            self.skew.observe(date, answer.sent_at, answer.answered_at);
        }
        for alert in &alerts {
            self.memory.keep(alert, answer.received_at);
        }
        self.count_once().await;
        Ok(Reading {
            taken_at: answer.received_at,
            skew_s: self.skew.seconds(),
            scrape_interval: None,
            clock_uncertainty_s: self.skew.uncertainty_s(),
            alerts: alerts.into_iter().map(WireAlert::read).collect::<Result<_, _>>()?,
            rules: None,
        })
    }
}

impl AlertSource for Alertmanager {
    fn poll(&mut self) -> BoxFuture<'_, Result<Reading, MonitorError>> {
        Box::pin(self.read())
    }

    fn interval(&self) -> Duration {
        self.poll
    }

    fn examine<'a>(&'a mut self, question: &'a Question) -> BoxFuture<'a, Findings> {
        Box::pin(self.examine_alert(question))
    }

    fn knows_rules(&self) -> bool {
        false
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WireAlert {
    labels: BTreeMap<String, String>,
    starts_at: String,
    fingerprint: Option<String>,
    status: Status,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Status {
    state: String,
    #[serde(default)]
    silenced_by: Vec<String>,
    #[serde(default)]
    inhibited_by: Vec<String>,
    #[serde(default)]
    muted_by: Vec<String>,
}

impl WireAlert {
    fn read(mut self) -> Result<AlertInstance, MonitorError> {
        let alert = self.labels.remove("alertname").unwrap_or_default();
        let wrong =
            |what: String| MonitorError::Unreachable(format!("Alertmanager told {what} of `{alert}`"));
        let state = match self.status.state.as_str() {
            "active" | "unprocessed" => AlertState::Firing,
            "suppressed" if !self.status.silenced_by.is_empty() => AlertState::Silenced,
            "suppressed" if !self.status.inhibited_by.is_empty() => AlertState::Inhibited,
            // Newer ones also mute by time interval, without saying which.
            "suppressed" => AlertState::Silenced,
            other => return Err(wrong(format!("an unknown state `{other}`"))),
        };
        let starts = skew::rfc3339(&self.starts_at);
        let starts = starts.map_err(|_| wrong(format!("a time that is none, `{}`,", self.starts_at)))?;
        Ok(AlertInstance {
            alert,
            labels: self.labels,
            state,
            since: starts.map(|at| (AlertState::Firing, at)),
            notification: false,
            ended: None,
        })
    }
}

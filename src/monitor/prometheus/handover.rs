//! To whom Prometheus sends its alerts, and whether that succeeds.
//!
//! Its own counters are read from its `/metrics`, which it has whether or not it scrapes itself: once before anything
//! fires, and once afterwards.

use std::{collections::BTreeMap, time::Duration};

use serde::Deserialize;
use tokio::time::timeout;

use super::{Prometheus, data};
use crate::{
    event::Observation,
    monitor::{exposition::samples, findings::Handover},
};

const ERRORS: &str = "prometheus_notifications_errors_total";
/// Looks at its counters that may fail.
const MOST_LOOKS: u32 = 5;
/// How long a first look at them may hold up a poll.
const COUNTERS_WITHIN: Duration = Duration::from_secs(2);

impl Prometheus {
    /// Looks at its counters before anything fires: only what failed since then is this run's.
    pub(super) async fn count_once(&mut self) {
        if self.errors_before.is_none() && self.looks < MOST_LOOKS {
            self.looks += 1;
            self.errors_before = timeout(COUNTERS_WITHIN, self.errors()).await.ok().flatten();
        }
    }

    /// Alerts that could not be sent, by the address of the Alertmanager.
    async fn errors(&self) -> Option<BTreeMap<String, u64>> {
        let answer = self.http.get("/metrics").await.ok()?.success().ok()?;
        let text = String::from_utf8_lossy(&answer.body).into_owned();
        let counted = samples(&text, ERRORS).into_iter();
        Some(
            counted
                .filter_map(|(mut labels, value)| Some((labels.remove("alertmanager")?, value as u64)))
                .collect(),
        )
    }

    /// `None` if it does not tell its Alertmanagers.
    pub(super) async fn handover(&self) -> Option<Handover> {
        const PATH: &str = "/api/v1/alertmanagers";
        let answer = self.http.get(PATH).await.ok()?;
        let active = data::<WireManagers>(&answer).ok()?.active_alertmanagers;
        let alertmanagers: Vec<String> = active.into_iter().map(|one| one.url).collect();
        let asked = format!("{}{PATH}", self.http.base());
        let answer = if alertmanagers.is_empty() { "none".to_owned() } else { alertmanagers.join(", ") };
        let mut seen = vec![Observation { asked, answer, at: None }];
        // Without a look before, nobody knows what is of this run.
        let (before, mut errors) = match &self.errors_before {
            Some(before) => (before.clone(), self.errors().await.unwrap_or_default()),
            None => Default::default(),
        };
        for (address, count) in &mut errors {
            *count = count.saturating_sub(before.get(address).copied().unwrap_or(0));
        }
        errors.retain(|_, count| *count > 0);
        seen.extend(errors.iter().map(|(address, count)| Observation {
            asked: format!("{ERRORS}{{alertmanager=\"{address}\"}}"),
            answer: format!("+{count}"),
            at: None,
        }));
        Some(Handover { alertmanagers, errors, seen })
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WireManagers {
    #[serde(default)]
    active_alertmanagers: Vec<WireManager>,
}

#[derive(Deserialize)]
struct WireManager {
    url: String,
}

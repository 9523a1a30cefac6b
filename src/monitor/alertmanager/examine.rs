//! What Alertmanager knows, afterwards, of an alert that nobody heard.
//!
//! By then it may have forgotten the alert, so what it said of it while it fired is remembered at each poll, and its
//! routes, silences and inhibit rules are applied here to the labels that the alert had.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use serde::Deserialize;
use tokio::time::timeout;

use super::{
    Alertmanager, WireAlert, config::AmConfig, config::Labels, matchers::Matcher, matchers::Matchers,
};
use crate::{
    clock::Timestamp,
    event::Observation,
    monitor::{
        exposition::samples,
        findings::{Counter, Findings, Inhibitor, Question, Routing, Silence},
        skew,
    },
};

/// Alerts that are remembered.
const MOST_REMEMBERED: usize = 10_000;
/// How long the first look at its counters may hold up a poll.
const COUNTERS_WITHIN: Duration = Duration::from_secs(2);

/// What was said of an alert while it fired.
#[derive(Debug, Clone)]
struct Remembered {
    /// With its name.
    labels: Labels,
    starts: Option<Timestamp>,
    silenced_by: BTreeSet<String>,
    inhibited_by: BTreeSet<String>,
    muted_by: BTreeSet<String>,
    /// On canard's clock.
    at: Timestamp,
}

/// What an Alertmanager said until now, and counted before.
#[derive(Debug, Default)]
pub(super) struct Memory {
    alerts: BTreeMap<String, Remembered>,
    /// Its counters when it was first asked; `None` before that.
    before: Option<BTreeMap<String, Counter>>,
}

impl Memory {
    pub(super) fn keep(&mut self, alert: &WireAlert, at: Timestamp) {
        let Some(key) = alert.fingerprint.clone() else { return };
        if self.alerts.len() >= MOST_REMEMBERED && !self.alerts.contains_key(&key) {
            return;
        }
        let known = self.alerts.entry(key).or_insert_with(|| Remembered {
            labels: alert.labels.clone(),
            starts: None,
            silenced_by: BTreeSet::new(),
            inhibited_by: BTreeSet::new(),
            muted_by: BTreeSet::new(),
            at,
        });
        known.at = at;
        known.starts = skew::rfc3339(&alert.starts_at).ok().flatten();
        known.silenced_by.extend(alert.status.silenced_by.iter().cloned());
        known.inhibited_by.extend(alert.status.inhibited_by.iter().cloned());
        known.muted_by.extend(alert.status.muted_by.iter().cloned());
    }
}

impl Alertmanager {
    /// Looks at its counters once, before anything fires: only what failed since then is this run's.
    pub(super) async fn count_once(&mut self) {
        if self.memory.before.is_none() {
            let counted = timeout(COUNTERS_WITHIN, self.counters()).await.ok().flatten();
            self.memory.before = Some(counted.unwrap_or_default());
        }
    }

    /// Notifications and failures by integration.
    async fn counters(&self) -> Option<BTreeMap<String, Counter>> {
        let answer = self.http.get("/metrics").await.ok()?.success().ok()?;
        let text = String::from_utf8_lossy(&answer.body).into_owned();
        let mut found: BTreeMap<String, Counter> = BTreeMap::new();
        let mut add = |metric: &str, to: fn(&mut Counter) -> &mut u64| {
            for (labels, value) in samples(&text, metric) {
                let Some(integration) = labels.get("integration") else { continue };
                *to(found.entry(integration.clone()).or_default()) += value as u64;
            }
        };
        add("alertmanager_notifications_total", |counter| &mut counter.sent);
        add("alertmanager_notifications_failed_total", |counter| &mut counter.failed);
        add("alertmanager_notification_requests_failed_total", |counter| &mut counter.refused);
        Some(found)
    }

    pub(super) async fn examine_alert(&mut self, question: &Question) -> Findings {
        let Some((fired, at)) = &question.fired else { return Findings::default() };
        let mut labels = fired.clone();
        labels.insert("alertname".into(), question.alert.clone());
        let known = self.remembered(&labels, question).cloned();
        if let Some(known) = &known {
            labels.clone_from(&known.labels);
        }
        let mut routing = Routing { known: known.is_some(), ..Routing::default() };
        if let Some(config) = self.config().await {
            let there = at.plus_s(self.skew.seconds());
            routing.routes = config.routes(&labels, there);
            let others: Vec<Labels> = self.around(question).map(|other| other.labels.clone()).collect();
            let inhibitors = config.inhibitors(&labels, others.iter());
            let by_rule = |labels: &&Labels| Inhibitor { labels: (*labels).clone() };
            routing.inhibited_by = inhibitors.iter().map(by_rule).collect();
        }
        if let Some(known) = &known {
            let told = known.inhibited_by.iter().filter_map(|by| self.memory.alerts.get(by));
            let told: Vec<Inhibitor> = told.map(|by| Inhibitor { labels: by.labels.clone() }).collect();
            if !told.is_empty() {
                routing.inhibited_by = told;
            }
            routing.muted_by.extend(known.muted_by.iter().cloned());
            let others = self.around(question).filter(|other| other.labels != labels);
            let earlier =
                others.filter(|other| other.starts.zip(known.starts).is_some_and(|(a, b)| a.since(b) < 0.0));
            let earlier: Vec<&Labels> = earlier.map(|other| &other.labels).collect();
            for route in &mut routing.routes {
                let same =
                    |other: &&&Labels| route.group.iter().all(|(key, value)| other.get(key) == Some(value));
                route.joined = earlier.iter().any(|other| same(&other));
            }
        }
        routing.silences = self.silences(&labels, known.as_ref(), question).await.unwrap_or_default();
        let before = self.memory.before.clone().unwrap_or_default();
        for (integration, now) in self.counters().await.unwrap_or_default() {
            let since = now.since(before.get(&integration).copied().unwrap_or_default());
            routing.counters.insert(integration, since);
        }
        let shown: Vec<String> = labels.iter().map(|(key, value)| format!("{key}=\"{value}\"")).collect();
        let answer = if known.is_some() { shown.join(", ") } else { "never seen".to_owned() };
        let seen_at = known.as_ref().map(|known| known.at);
        routing.seen =
            vec![Observation { asked: format!("{}/api/v2/alerts", self.http.base()), answer, at: seen_at }];
        Findings { routing: Some(routing), ..Findings::default() }
    }

    /// What was said of the alert: of the one whose labels hold all that it fired with (Prometheus may add more).
    fn remembered(&self, labels: &Labels, question: &Question) -> Option<&Remembered> {
        let holds = |has: &Labels| labels.iter().all(|(key, value)| has.get(key) == Some(value));
        let named = |one: &&Remembered| one.labels.get("alertname") == Some(&question.alert);
        let mut such: Vec<&Remembered> = self.around(question).filter(named).collect();
        such.sort_by_key(|one| !holds(&one.labels));
        such.first().copied()
    }

    /// The alerts that it told of since the fault began.
    fn around(&self, question: &Question) -> impl Iterator<Item = &Remembered> {
        let from = question.from;
        self.memory.alerts.values().filter(move |one| one.at.since(from) >= 0.0)
    }

    async fn config(&self) -> Option<AmConfig> {
        let answer = self.http.get("/api/v2/status").await.ok()?.success().ok()?;
        let status: WireStatus = answer.json().ok()?;
        AmConfig::read(&status.config.original)
    }

    /// The silences that held for these labels in the phase, or that were told of the alert.
    async fn silences(
        &self,
        labels: &Labels,
        known: Option<&Remembered>,
        question: &Question,
    ) -> Option<Vec<Silence>> {
        let answer = self.http.get("/api/v2/silences").await.ok()?.success().ok()?;
        let all: Vec<WireSilence> = answer.json().ok()?;
        let skew = self.skew.seconds();
        let here = |text: &str| skew::rfc3339(text).ok().flatten().map(|at| at.plus_s(-skew));
        let held = all.into_iter().filter_map(|silence| {
            let (starts, until) = (here(&silence.starts_at)?, here(&silence.ends_at)?);
            let told = known.is_some_and(|known| known.silenced_by.contains(&silence.id));
            let held = starts.since(question.to) < 0.0 && until.since(question.from) > 0.0;
            let matches = silence.matchers()?.match_all(labels);
            (told || (held && matches)).then(|| Silence {
                matchers: silence.shown(),
                id: silence.id,
                by: silence.created_by,
                comment: silence.comment,
                until,
            })
        });
        Some(held.collect())
    }
}

#[derive(Deserialize)]
struct WireStatus {
    config: WireConfig,
}

#[derive(Deserialize)]
struct WireConfig {
    original: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WireSilence {
    id: String,
    matchers: Vec<WireMatcher>,
    starts_at: String,
    ends_at: String,
    #[serde(default)]
    created_by: String,
    #[serde(default)]
    comment: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WireMatcher {
    name: String,
    value: String,
    #[serde(default)]
    is_regex: bool,
    is_equal: Option<bool>,
}

impl WireMatcher {
    fn op(&self) -> &'static str {
        match (self.is_equal.unwrap_or(true), self.is_regex) {
            (true, false) => "=",
            (true, true) => "=~",
            (false, false) => "!=",
            (false, true) => "!~",
        }
    }
}

impl WireSilence {
    fn matchers(&self) -> Option<Matchers> {
        let all = self.matchers.iter().map(|one| Matcher::new(&one.name, one.op(), &one.value));
        all.collect::<Option<Vec<_>>>().map(Matchers)
    }

    fn shown(&self) -> String {
        let one = |matcher: &WireMatcher| format!("{}{}\"{}\"", matcher.name, matcher.op(), matcher.value);
        self.matchers.iter().map(one).collect::<Vec<_>>().join(", ")
    }
}

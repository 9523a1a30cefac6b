//! What Alertmanager knows, afterwards, of an alert that nobody heard.
//!
//! By then it may have forgotten the alert, so what it said of it while it fired is remembered at each poll, and its
//! routes, silences and inhibit rules are applied here to the labels that the alert had.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
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
        findings::{Counter, Findings, Inhibitor, Question, Routing, Sender, Silence},
        skew,
    },
};

/// Alerts that are remembered.
const MOST_REMEMBERED: usize = 10_000;
/// Changes of what is said of one alert that are remembered.
const MOST_SPELLS: usize = 50;
/// Looks at its counters that may fail.
const MOST_LOOKS: u32 = 5;
/// How long a first look at its counters may hold up a poll.
const COUNTERS_WITHIN: Duration = Duration::from_secs(2);

/// What is said of an alert at one time.
#[derive(Debug, Clone, PartialEq)]
struct Said {
    /// On Alertmanager's clock.
    starts: Option<Timestamp>,
    silenced_by: BTreeSet<String>,
    inhibited_by: BTreeSet<String>,
    muted_by: BTreeSet<String>,
}

/// From when until when that was said, on canard's clock.
#[derive(Debug, Clone)]
struct Spell {
    said: Said,
    from: Timestamp,
    to: Timestamp,
}

/// An alert, and what was said of it while it fired.
#[derive(Debug, Clone)]
struct Remembered {
    /// With its name.
    labels: Labels,
    /// Oldest first.
    spells: VecDeque<Spell>,
}

/// What an Alertmanager said until now, and counted before.
#[derive(Debug, Default)]
pub(super) struct Memory {
    alerts: BTreeMap<String, Remembered>,
    /// Its counters at the first look that succeeded.
    before: Option<BTreeMap<Sender, Counter>>,
    looks: u32,
}

impl Memory {
    pub(super) fn keep(&mut self, alert: &WireAlert, at: Timestamp) {
        let Some(key) = alert.fingerprint.clone() else { return };
        if self.alerts.len() >= MOST_REMEMBERED && !self.alerts.contains_key(&key) {
            return;
        }
        let anew = || Remembered { labels: alert.labels.clone(), spells: VecDeque::new() };
        let known = self.alerts.entry(key).or_insert_with(anew);
        let said = Said {
            starts: skew::rfc3339(&alert.starts_at).ok().flatten(),
            silenced_by: alert.status.silenced_by.iter().cloned().collect(),
            inhibited_by: alert.status.inhibited_by.iter().cloned().collect(),
            muted_by: alert.status.muted_by.iter().cloned().collect(),
        };
        match known.spells.back_mut() {
            Some(last) if last.said == said => last.to = at,
            _ => known.spells.push_back(Spell { said, from: at, to: at }),
        }
        if known.spells.len() > MOST_SPELLS {
            known.spells.pop_front();
        }
    }
}

impl Remembered {
    /// What was last said of it in a span of time.
    fn last(&self, from: Timestamp, to: Timestamp) -> Option<&Spell> {
        let mut newest = self.spells.iter().rev();
        newest.find(|spell| spell.from.since(to) <= 0.0 && spell.to.since(from) >= 0.0)
    }
}

impl Alertmanager {
    /// Looks at its counters before anything fires: only what failed since then is this run's.
    pub(super) async fn count_once(&mut self) {
        if self.memory.before.is_none() && self.memory.looks < MOST_LOOKS {
            self.memory.looks += 1;
            self.memory.before = timeout(COUNTERS_WITHIN, self.counters()).await.ok().flatten();
        }
    }

    /// Notifications and failures.
    async fn counters(&self) -> Option<BTreeMap<Sender, Counter>> {
        let answer = self.http.get("/metrics").await.ok()?.success().ok()?;
        let text = String::from_utf8_lossy(&answer.body).into_owned();
        let mut found: BTreeMap<Sender, Counter> = BTreeMap::new();
        let mut add = |metric: &str, to: fn(&mut Counter) -> &mut u64| {
            for (mut labels, value) in samples(&text, metric) {
                let Some(integration) = labels.remove("integration") else { continue };
                let sender = Sender { integration, receiver: labels.remove("receiver_name") };
                *to(found.entry(sender).or_default()) += value as u64;
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
        let known = self.remembered(&labels, question);
        if let Some((known, _)) = known {
            labels.clone_from(&known.labels);
        }
        let mut routing = Routing { known: known.is_some(), ..Routing::default() };
        if let Some(config) = self.config().await {
            routing.routes = config.routes(&labels, at.plus_s(self.skew.seconds()));
            routing.others = config.others(&routing.routes);
            for (route, group) in routing.routes.iter_mut().zip(config.groups(&labels)) {
                // What has ended stays in its group until the next notification of that.
                let back = at.plus_s(-route.group_interval.as_secs_f64());
                let mut others = self.firing_before(*at, back).filter(|other| **other != labels);
                route.joined = known.is_some() && others.any(|other| config.groups(other).contains(&group));
            }
            if known.is_none() {
                let others: Vec<&Labels> = self.firing_before(*at, *at).collect();
                let by_rule = |labels: &Labels| Inhibitor { labels: labels.clone() };
                let inhibitors = config.inhibitors(&labels, others.into_iter());
                routing.inhibited_by = inhibitors.into_iter().map(by_rule).collect();
            }
        }
        // What Alertmanager said of it, it is: also that nothing suppresses it.
        if let Some((_, spell)) = known {
            let told = spell.said.inhibited_by.iter().filter_map(|by| self.memory.alerts.get(by));
            routing.inhibited_by = told.map(|by| Inhibitor { labels: by.labels.clone() }).collect();
            routing.muted_by.extend(spell.said.muted_by.iter().cloned());
        }
        let held = self.silences(&labels, known.map(|(_, spell)| &spell.said), *at).await;
        routing.silences = held.unwrap_or_default();
        if let (Some(before), Some(counters)) = (&self.memory.before, self.counters().await) {
            let since = |(sender, now): (Sender, Counter)| {
                let before = before.get(&sender).copied().unwrap_or_default();
                (sender, now.since(before))
            };
            routing.counters = counters.into_iter().map(since).collect();
        }
        let shown: Vec<String> = labels.iter().map(|(key, value)| format!("{key}=\"{value}\"")).collect();
        let answer = if known.is_some() { shown.join(", ") } else { "never seen with its labels".to_owned() };
        let asked = format!("{}/api/v2/alerts", self.http.base());
        routing.seen = vec![Observation { asked, answer, at: known.map(|(_, spell)| spell.to) }];
        Findings { routing: Some(routing), ..Findings::default() }
    }

    /// What was said of the alert: of the one whose labels hold all that it fired with (Prometheus may add more), or
    /// of the only one of its name of which no label says otherwise (some may be dropped on the way).
    fn remembered(&self, labels: &Labels, question: &Question) -> Option<(&Remembered, &Spell)> {
        let holds = |has: &Labels| labels.iter().all(|(key, value)| has.get(key) == Some(value));
        let may_be =
            |has: &Labels| has.iter().all(|(key, value)| labels.get(key).is_none_or(|own| own == value));
        let named = self.memory.alerts.values();
        let named = named.filter(|one| one.labels.get("alertname") == Some(&question.alert));
        let then = |one| Some((one, Remembered::last(one, question.from, question.until)?));
        let such: Vec<(&Remembered, &Spell)> = named.filter_map(then).collect();
        let whole = such.iter().find(|(one, _)| holds(&one.labels));
        let mut others = such.iter().filter(|(one, _)| may_be(&one.labels));
        whole.or_else(|| others.next().filter(|_| others.next().is_none())).copied()
    }

    /// The alerts that fired before a moment, and were still told of at another.
    fn firing_before(&self, at: Timestamp, still: Timestamp) -> impl Iterator<Item = &Labels> {
        let skew = self.skew.seconds();
        let began = move |spell: &Spell| {
            let starts = spell.said.starts.map_or(spell.from, |starts| starts.plus_s(-skew));
            starts.since(at) < 0.0 && spell.to.since(still) >= 0.0
        };
        let fired = self.memory.alerts.values().filter(move |one| one.spells.iter().any(began));
        fired.map(|one| &one.labels)
    }

    async fn config(&self) -> Option<AmConfig> {
        let answer = self.http.get("/api/v2/status").await.ok()?.success().ok()?;
        let status: WireStatus = answer.json().ok()?;
        AmConfig::read(&status.config.original)
    }

    /// The silences that Alertmanager said it was under; where it said nothing, those that held for these labels.
    async fn silences(&self, labels: &Labels, said: Option<&Said>, at: Timestamp) -> Option<Vec<Silence>> {
        let answer = self.http.get("/api/v2/silences").await.ok()?.success().ok()?;
        let all: Vec<WireSilence> = answer.json().ok()?;
        let skew = self.skew.seconds();
        let here = |text: &str| skew::rfc3339(text).ok().flatten().map(|at| at.plus_s(-skew));
        let held = all.into_iter().filter_map(|silence| {
            let (starts, until) = (here(&silence.starts_at)?, here(&silence.ends_at)?);
            let held = starts.since(at) <= 0.0 && until.since(at) > 0.0;
            let holds = match said {
                Some(said) => said.silenced_by.contains(&silence.id),
                None => held && silence.matchers()?.match_all(labels),
            };
            holds.then(|| Silence {
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

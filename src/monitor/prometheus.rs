//! Prometheus, and what speaks its HTTP API (Thanos, Mimir, VictoriaMetrics' vmalert, Grafana).
//!
//! The rules API is asked, not `/api/v1/alerts`: it also tells that a rule exists, is healthy and was
//! evaluated, so that "nothing fires" is never taken for "all is well". `activeAt` is the evaluation at which
//! an alert became pending; how long the condition was true before (scrape and evaluation interval) is part of
//! the time to detect, not of its uncertainty. The clock is compared by the `Date` header (±0.5 s) and, where
//! instant queries are answered, by `time()`, which is good to the millisecond.

mod examine;
mod handover;
mod series;
mod value;

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use serde::Deserialize;
use tokio::time::Instant;

use super::{
    AlertInstance, AlertSource, BoxFuture, HttpClient, HttpError, HttpResponse, MonitorError, PromqlValue,
    Reading, Rule, SHORTEST_POLL,
    findings::{Findings, Question},
    promql, skew,
};
use crate::{clock::Timestamp, event::AlertState, scenario::PrometheusSettings, unit::Span};

/// Time between looks at its clock and at whether metrics have series.
const PROBE_EVERY: Duration = Duration::from_secs(10);
/// How long such a look may hold up a poll.
const PROBE_WITHIN: Duration = Duration::from_secs(2);
/// Metric names asked for in one look; the rest waits for the next.
const PROBE_NAMES: usize = 64;
/// Metric names remembered.
const KNOWN_NAMES: usize = 10_000;

/// A Prometheus server.
#[derive(Debug)]
pub(super) struct Prometheus {
    http: HttpClient,
    poll: Duration,
    skew: skew::Skew,
    /// Does it tell its time to the millisecond? Then the `Date` header, maybe of a proxy, is left out.
    exact: bool,
    probed: Option<Instant>,
    scrape_interval: Option<Duration>,
    /// Has a metric any series?
    series: BTreeMap<String, bool>,
    /// Names not yet asked for.
    queue: BTreeSet<String>,
    /// The rules as they were read for the last question of why.
    examined: Option<(Instant, Vec<Rule>)>,
    /// Notifications that had failed at the first look that succeeded, by Alertmanager.
    errors_before: Option<BTreeMap<String, u64>>,
    /// How often that was asked for.
    looks: u32,
}

impl Prometheus {
    pub(super) fn new(settings: &PrometheusSettings) -> Result<Prometheus, MonitorError> {
        let http = HttpClient::new(&settings.url, settings.token.as_deref());
        Ok(Prometheus {
            http: http.map_err(|HttpError(error)| MonitorError::Setup(error))?,
            poll: settings.poll.duration().max(SHORTEST_POLL),
            skew: skew::Skew::default(),
            exact: false,
            probed: None,
            scrape_interval: None,
            series: BTreeMap::new(),
            queue: BTreeSet::new(),
            examined: None,
            errors_before: None,
            looks: 0,
        })
    }

    async fn read(&mut self) -> Result<Reading, MonitorError> {
        let answer = self.http.get("/api/v1/rules?type=alert").await.map_err(unreachable)?;
        let rules: RulesData = data(&answer)?;
        if let (Some(date), false) = (skew::date(&answer.headers), self.exact) {
            self.skew.observe(date, answer.sent_at, answer.answered_at);
        }
        let (mut rules, alerts) = rules.read()?;
        self.count_once().await;
        if self.probed.is_none_or(|at| at.elapsed() >= PROBE_EVERY) {
            self.probed = Some(Instant::now());
            // Best effort: without it the clock is known to half a second, and `has_data` is not known.
            self.exact = matches!(tokio::time::timeout(PROBE_WITHIN, self.probe(&rules)).await, Ok(Ok(())));
        }
        for rule in &mut rules {
            rule.has_data = self.has_data(rule, &alerts);
        }
        Ok(Reading {
            taken_at: answer.received_at,
            skew_s: self.skew.seconds(),
            scrape_interval: self.scrape_interval,
            clock_uncertainty_s: self.skew.uncertainty_s(),
            alerts,
            rules: Some(rules),
        })
    }

    async fn probe(&mut self, rules: &[Rule]) -> Result<(), MonitorError> {
        let answer = self.ask("time()").await?;
        if let [now] = data::<QueryData>(&answer)?.values()?.as_slice() {
            if !self.exact {
                self.skew = skew::Skew::default();
            }
            self.exact = true;
            let now = Timestamp::from_unix_s(now.value);
            self.skew.observe((now.plus_s(-0.001), now.plus_s(0.001)), answer.sent_at, answer.answered_at);
        }
        self.scrape_interval = self.scrapes().await;
        if self.queue.is_empty() {
            self.queue = rules.iter().filter_map(|rule| promql::metrics(&rule.query)).flatten().collect();
        }
        let names: Vec<String> = self.queue.iter().take(PROBE_NAMES).cloned().collect();
        if names.is_empty() {
            return Ok(());
        }
        let query = format!("count by (__name__) ({{__name__=~\"{}\"}})", names.join("|"));
        let found = data::<QueryData>(&self.ask(&query).await?)?.values()?;
        let found: BTreeSet<&str> =
            found.iter().filter_map(|value| value.labels.get("__name__")).map(String::as_str).collect();
        for name in names {
            self.queue.remove(&name);
            let has = found.contains(name.as_str());
            if self.series.len() < KNOWN_NAMES || self.series.contains_key(&name) {
                self.series.insert(name, has);
            }
        }
        Ok(())
    }

    /// The longest of its targets' scrape intervals.
    async fn scrapes(&self) -> Option<Duration> {
        let answer = self.http.get("/api/v1/targets?state=active").await.ok()?;
        let targets: TargetsData = data(&answer).ok()?;
        let intervals = targets.active_targets.iter().filter_map(|target| target.scrape_interval.as_deref());
        intervals.filter_map(|interval| interval.parse::<Span>().ok()).map(Span::duration).max()
    }

    /// `Some(false)` when it was never evaluated, fails, or none of its metrics has a series; `None` when only
    /// some have, as nobody can tell from outside which of them may be absent.
    fn has_data(&self, rule: &Rule, alerts: &[AlertInstance]) -> Option<bool> {
        if rule.last_evaluation.is_none() || !rule.healthy {
            return Some(false);
        }
        if alerts.iter().any(|alert| alert.alert == rule.alert) {
            return Some(true);
        }
        let names = promql::metrics(&rule.query)?;
        let known: Option<Vec<bool>> = names.iter().map(|name| self.series.get(name).copied()).collect();
        let known = known?;
        let all = known.iter().all(|has| *has);
        (all || !known.contains(&true)).then_some(all)
    }

    async fn ask(&self, promql: &str) -> Result<HttpResponse, MonitorError> {
        self.http.post_form("/api/v1/query", &[("query", promql)]).await.map_err(unreachable)
    }
}

impl AlertSource for Prometheus {
    fn poll(&mut self) -> BoxFuture<'_, Result<Reading, MonitorError>> {
        Box::pin(self.read())
    }

    fn interval(&self) -> Duration {
        self.poll
    }

    fn query<'a>(&'a self, promql: &'a str) -> BoxFuture<'a, Result<Vec<PromqlValue>, MonitorError>> {
        Box::pin(async move { data::<QueryData>(&self.ask(promql).await?)?.values() })
    }

    fn examine<'a>(&'a mut self, question: &'a Question) -> BoxFuture<'a, Findings> {
        Box::pin(self.examine_alert(question))
    }

    fn knows_rules(&self) -> bool {
        true
    }
}

fn unreachable(HttpError(error): HttpError) -> MonitorError {
    MonitorError::Unreachable(error)
}

/// The `data` of an answer, or its error: the query's fault, or the server's.
fn data<T: serde::de::DeserializeOwned>(answer: &HttpResponse) -> Result<T, MonitorError> {
    if !answer.status.is_success()
        && let Ok(Failure { error_type, error }) = answer.json::<Failure>()
    {
        return Err(match error_type.as_str() {
            "bad_data" | "execution" => MonitorError::BadQuery(error),
            _ => MonitorError::Unreachable(format!("Prometheus answered {error_type}: {error}")),
        });
    }
    let answer: Success<T> =
        answer.clone().success().and_then(|answer| answer.json()).map_err(unreachable)?;
    match answer.status.as_str() {
        "success" => Ok(answer.data),
        other => Err(MonitorError::Unreachable(format!("Prometheus answered with status `{other}`"))),
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Failure {
    error_type: String,
    error: String,
}

#[derive(Deserialize)]
struct Success<T> {
    status: String,
    data: T,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct TargetsData {
    active_targets: Vec<WireTarget>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WireTarget {
    scrape_interval: Option<String>,
}

#[derive(Deserialize)]
struct RulesData {
    groups: Vec<Group>,
}

#[derive(Deserialize)]
struct Group {
    rules: Vec<WireRule>,
    #[serde(default)]
    interval: f64,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WireRule {
    #[serde(rename = "type")]
    kind: String,
    name: String,
    state: Option<String>,
    query: String,
    #[serde(default)]
    duration: f64,
    labels: Option<BTreeMap<String, String>>,
    alerts: Option<Vec<WireAlert>>,
    health: String,
    last_error: Option<String>,
    last_evaluation: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WireAlert {
    labels: BTreeMap<String, String>,
    state: String,
    active_at: Option<String>,
}

impl RulesData {
    fn read(self) -> Result<(Vec<Rule>, Vec<AlertInstance>), MonitorError> {
        let (mut rules, mut alerts) = (Vec::new(), Vec::new());
        for group in self.groups {
            for rule in group.rules.into_iter().filter(|rule| rule.kind == "alerting") {
                let firing = rule.state.as_deref().is_some_and(|state| state != "inactive");
                match rule.alerts {
                    // Not told which, but told that: never read as silence.
                    None if firing => alerts.extend(instance(
                        &rule.name,
                        WireAlert {
                            labels: BTreeMap::new(),
                            state: rule.state.unwrap_or_default(),
                            active_at: None,
                        },
                    )?),
                    instances => {
                        for alert in instances.unwrap_or_default() {
                            alerts.extend(instance(&rule.name, alert)?);
                        }
                    }
                }
                rules.push(Rule {
                    alert: rule.name,
                    healthy: rule.health == "ok",
                    last_error: rule.last_error.filter(|error| !error.is_empty()),
                    last_evaluation: time(rule.last_evaluation.as_deref())?,
                    interval: seconds(group.interval).filter(|interval| !interval.is_zero()),
                    hold: seconds(rule.duration),
                    query: rule.query,
                    has_data: None,
                    labels: rule.labels.unwrap_or_default(),
                });
            }
        }
        Ok((rules, alerts))
    }
}

/// One instance; `None` if it is inactive. Grafana's states are known too.
fn instance(rule: &str, mut alert: WireAlert) -> Result<Option<AlertInstance>, MonitorError> {
    let state = match alert.state.to_ascii_lowercase().as_str() {
        "firing" | "alerting" | "recovering" => AlertState::Firing,
        "pending" => AlertState::Pending,
        "inactive" | "normal" | "nodata" | "error" => return Ok(None),
        other => {
            let message = format!("Prometheus told an unknown state `{other}` of alert `{rule}`");
            return Err(MonitorError::Unreachable(message));
        }
    };
    alert.labels.remove("alertname");
    Ok(Some(AlertInstance {
        alert: rule.to_owned(),
        labels: alert.labels,
        state,
        since: time(alert.active_at.as_deref())?.map(|at| (AlertState::Pending, at)),
        notification: false,
        ended: None,
    }))
}

fn time(text: Option<&str>) -> Result<Option<Timestamp>, MonitorError> {
    let Some(text) = text.filter(|text| !text.is_empty()) else { return Ok(None) };
    skew::rfc3339(text)
        .map_err(|_| MonitorError::Unreachable(format!("Prometheus told a time that is none: `{text}`")))
}

fn seconds(seconds: f64) -> Option<Duration> {
    Duration::try_from_secs_f64(seconds).ok()
}

#[derive(Deserialize)]
#[serde(tag = "resultType", content = "result", rename_all = "lowercase")]
enum QueryData {
    Vector(Vec<Sample>),
    Scalar((f64, String)),
    Matrix(serde::de::IgnoredAny),
    String(serde::de::IgnoredAny),
}

#[derive(Deserialize)]
struct Sample {
    metric: BTreeMap<String, String>,
    value: Option<(f64, String)>,
}

impl QueryData {
    fn values(self) -> Result<Vec<PromqlValue>, MonitorError> {
        let wrong = |what: &str, instead: &str| {
            Err(MonitorError::BadQuery(format!("the query gives {what}; ask for {instead}")))
        };
        match self {
            QueryData::Vector(samples) => {
                let with_value =
                    samples.into_iter().filter_map(|sample| Some((sample.metric, sample.value?.1)));
                with_value.map(|(labels, text)| number(labels, &text)).collect()
            }
            QueryData::Scalar((_, text)) => Ok(vec![number(BTreeMap::new(), &text)?]),
            QueryData::Matrix(_) => {
                wrong("a range of values", "one each, as with rate(…) or max_over_time(…)")
            }
            QueryData::String(_) => wrong("a text", "a number"),
        }
    }
}

fn number(labels: BTreeMap<String, String>, text: &str) -> Result<PromqlValue, MonitorError> {
    let value = text.parse();
    let value = value.map_err(|_| {
        MonitorError::Unreachable(format!("Prometheus answered a value that is none: `{text}`"))
    })?;
    Ok(PromqlValue { labels, value })
}

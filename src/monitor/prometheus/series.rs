//! Why a rule's value is not there: what it selects was never there, or went away, and with which target.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use super::{Prometheus, data, examine::near, unreachable, value::step};
use crate::{
    clock::Timestamp,
    event::Observation,
    monitor::{
        MonitorError, Rule,
        findings::{Question, Series, SeriesState, Target},
        promql,
    },
};

/// How far back values are looked for.
const BEFORE_S: f64 = 3_600.0;
/// Selectors that are looked at.
const MOST_SELECTORS: usize = 8;
/// Targets that are told.
const MOST_TARGETS: usize = 5;
/// Prometheus forgets a series after so long without a value.
const LOOK_BACK: Duration = Duration::from_secs(300);

impl Prometheus {
    /// What each selector of an expression gave.
    pub(super) async fn series(&self, expression: &str, rule: &Rule, question: &Question) -> Vec<Series> {
        let mut all = Vec::new();
        for selector in promql::selectors(expression).into_iter().take(MOST_SELECTORS) {
            if let Ok((state, seen)) = self.selected(&selector, rule, question).await {
                all.push(Series { selector, state, seen });
            }
        }
        all
    }

    async fn selected(
        &self,
        selector: &str,
        rule: &Rule,
        question: &Question,
    ) -> Result<(SeriesState, Observation), MonitorError> {
        let query = format!("count({selector})");
        let observed = |answer: &str, at| Observation { asked: query.clone(), answer: answer.to_owned(), at };
        let recent = question.from.plus_s(-LOOK_BACK.as_secs_f64());
        let points = self.range(&query, recent, question.to, step(rule, question.to.since(recent))).await?;
        let last = points
            .iter()
            .flat_map(|(_, points)| points)
            .map(|(at, _)| *at)
            .max_by(|a, b| a.unix_s().total_cmp(&b.unix_s()));
        // The samples of one or two scrapes are no data for a rate.
        let grace_s = 0.25 * question.to.since(question.from).max(0.0);
        if let Some(last) = last.filter(|last| last.since(question.from) > grace_s) {
            return Ok((SeriesState::Present, observed("has values in the phase", Some(last))));
        }
        let range =
            promql::written(Duration::from_secs_f64((question.to.since(question.from) + BEFORE_S).floor()));
        let last = match last {
            Some(last) => Some(last),
            None => self.last_value(selector, &range, question).await?,
        };
        if let Some(last) = last {
            let down = self.down(selector, &range, question).await.unwrap_or_default();
            return Ok((SeriesState::Stale { last, down }, observed("no value since", Some(last))));
        }
        let metric = promql::metric(selector);
        let other_labels = match metric.filter(|name| *name != selector) {
            Some(name) => {
                let query = format!("count(last_over_time({name}[{range}]))");
                !self.at(&query, question.to).await?.is_empty()
            }
            None => false,
        };
        let near = match metric.filter(|_| !other_labels) {
            Some(name) => near(name, self.metric_names().await?.iter().map(String::as_str)),
            None => Vec::new(),
        };
        Ok((SeriesState::Empty { other_labels, near }, observed("no series", Some(question.to))))
    }

    /// When a selector had its last value, to a quarter of a minute.
    async fn last_value(
        &self,
        selector: &str,
        range: &str,
        question: &Question,
    ) -> Result<Option<Timestamp>, MonitorError> {
        let newest = format!("max_over_time(max(timestamp({selector}))[{range}:15s])");
        let found = self.at(&newest, question.to).await?;
        Ok(found.first().map(|value| self.here(Timestamp::from_unix_s(value.value))))
    }

    /// The targets that exposed what a selector selects, and could not be scraped for most of the phase, whatever they
    /// are now.
    async fn down(
        &self,
        selector: &str,
        range: &str,
        question: &Question,
    ) -> Result<Vec<Target>, MonitorError> {
        let from = format!("count by (job, instance) (last_over_time({selector}[{range}]))");
        let exposed: BTreeSet<(String, String)> = self
            .at(&from, question.to)
            .await?
            .into_iter()
            .filter_map(|value| {
                Some((value.labels.get("job")?.clone(), value.labels.get("instance")?.clone()))
            })
            .collect();
        let lasted = question.to.since(question.from).max(1.0);
        let phase = promql::written(Duration::from_secs_f64(lasted.floor()));
        let up = self.at(&format!("avg_over_time(up[{phase}])"), question.to).await?;
        let answer = self.http.get("/api/v1/targets?state=active").await.map_err(unreachable)?;
        let targets = data::<TargetsData>(&answer)?.active_targets;
        let error = |job: &str, instance: &str| {
            let is = |labels: &BTreeMap<String, String>| {
                labels.get("job").is_some_and(|one| one == job)
                    && labels.get("instance").is_some_and(|one| one == instance)
            };
            let was_down = up.iter().find(|one| is(&one.labels)).map(|one| one.value < 0.5);
            let now = targets.iter().find(|one| is(&one.labels) && one.health == "down");
            match (was_down, now) {
                (Some(true) | None, Some(target)) => Some(target.last_error.clone()),
                (Some(true), None) => Some("it is back now".to_owned()),
                _ => None,
            }
        };
        let down = exposed.into_iter().filter_map(|(job, instance)| {
            let error = error(&job, &instance)?;
            Some(Target { job, instance, error })
        });
        Ok(down.take(MOST_TARGETS).collect())
    }

    async fn metric_names(&self) -> Result<Vec<String>, MonitorError> {
        let answer = self.http.get("/api/v1/label/__name__/values").await.map_err(unreachable)?;
        data(&answer)
    }
}

#[derive(serde::Deserialize)]
#[serde(rename_all = "camelCase")]
struct TargetsData {
    #[serde(default)]
    active_targets: Vec<WireTarget>,
}

#[derive(serde::Deserialize)]
#[serde(rename_all = "camelCase")]
struct WireTarget {
    #[serde(default)]
    labels: BTreeMap<String, String>,
    #[serde(default)]
    health: String,
    #[serde(default)]
    last_error: String,
}

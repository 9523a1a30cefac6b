//! What Prometheus knows, afterwards, of an alert that was missed or late.
//!
//! The rules are read once for all questions; the rest is asked for the rule in question alone, and only as far as it
//! matters: why a value is not there when it is not there, shorter windows when it did not hold.

use std::{collections::BTreeMap, time::Duration};

use tokio::time::Instant;

use super::{Prometheus, QueryData, RulesData, data, unreachable, value::step};
use crate::{
    clock::Timestamp,
    event::Observation,
    monitor::{
        MonitorError, PromqlValue, Rule,
        findings::{Findings, Question, RuleFacts, RuleFinding},
        promql,
    },
};

/// What was read for one question serves the others, for so long.
const FRESH: Duration = Duration::from_secs(10);
/// Names that are told of those like a name.
const MOST_NEAR: usize = 3;
/// A name is like another from this likeness (Jaro–Winkler) on.
const LIKE: f64 = 0.85;

impl Prometheus {
    pub(super) async fn examine_alert(&mut self, question: &Question) -> Findings {
        let Ok((rules, url)) = self.rules().await else { return Findings::default() };
        let named = || rules.iter().filter(|rule| rule.alert == question.alert);
        let fits = |rule: &&Rule| {
            question.wanted.iter().all(|(key, value)| rule.labels.get(key).is_none_or(|has| has == value))
        };
        let Some(rule) = named().find(fits).or_else(|| named().next()).cloned() else {
            let near = near(&question.alert, rules.iter().map(|rule| rule.alert.as_str()));
            let seen = Observation {
                asked: url,
                answer: format!("{} rules, none of them `{}`", rules.len(), question.alert),
                at: None,
            };
            return Findings { rule: RuleFinding::Absent { near, seen }, ..Findings::default() };
        };
        let facts = self.rule_facts(&rule);
        let mut findings = Findings { rule: RuleFinding::Present(Box::new(facts)), ..Findings::default() };
        if !rule.healthy {
            return findings;
        }
        if question.fired.is_some() {
            findings.handover = self.handover().await;
        }
        (findings.pending, findings.pending_seen) = self.pending(&rule, question).await;
        findings.condition = self.condition(&rule, question).await;
        findings.together = self.together(&rule, question).await;
        findings
    }

    /// The rules, and where they were read.
    async fn rules(&mut self) -> Result<(Vec<Rule>, String), MonitorError> {
        const PATH: &str = "/api/v1/rules?type=alert";
        let url = format!("{}{PATH}", self.http.base());
        if let Some((_, rules)) = self.examined.as_ref().filter(|(at, _)| at.elapsed() < FRESH) {
            return Ok((rules.clone(), url));
        }
        let answer = self.http.get(PATH).await.map_err(unreachable)?;
        let (rules, _) = data::<RulesData>(&answer)?.read()?;
        self.examined = Some((Instant::now(), rules.clone()));
        Ok((rules, url))
    }

    fn rule_facts(&self, rule: &Rule) -> RuleFacts {
        RuleFacts {
            query: rule.query.clone(),
            hold: rule.hold.unwrap_or_default(),
            interval: rule.interval,
            healthy: rule.healthy,
            last_error: rule.last_error.clone(),
            last_evaluation: rule.last_evaluation.map(|at| self.here(at)),
            labels: rule.labels.clone(),
            window: promql::longest_window(&rule.query),
        }
    }

    /// The spans in which the alert was pending, as Prometheus recorded them.
    async fn pending(
        &self,
        rule: &Rule,
        question: &Question,
    ) -> (Vec<(Timestamp, Timestamp)>, Option<Observation>) {
        let query = format!("ALERTS{{alertname=\"{}\",alertstate=\"pending\"}}", escaped(&rule.alert));
        let step = step(rule, question.to.since(question.from));
        let Ok(series) = self.range(&query, question.from, question.to, step).await else {
            return Default::default();
        };
        let step_s = step.as_secs_f64();
        let mut spans: Vec<(Timestamp, Timestamp)> = Vec::new();
        for (_, points) in series.into_iter().filter(|(labels, _)| question.means(labels, &rule.labels)) {
            let mut open: Option<(Timestamp, Timestamp)> = None;
            for (at, _) in points {
                match &mut open {
                    Some((_, end)) if at.since(*end) <= 1.5 * step_s => *end = at,
                    _ => spans.extend(open.replace((at, at))),
                }
            }
            spans.extend(open);
        }
        // It was pending for one evaluation longer than from the first sample to the last.
        let longest = spans.iter().map(|(from, to)| to.since(*from) + step_s).fold(0.0, f64::max);
        let answer = match spans.len() {
            0 => "never".to_owned(),
            1 => format!("pending for {longest:.0} s"),
            n => format!("pending {n} times, at most for {longest:.0} s"),
        };
        let at = spans.first().map(|(from, _)| *from);
        spans.iter_mut().for_each(|(_, to)| *to = to.plus_s(step_s));
        (spans, Some(Observation { asked: query, answer, at }))
    }

    /// A moment of Prometheus' clock, on canard's.
    pub(super) fn here(&self, at: Timestamp) -> Timestamp {
        at.plus_s(-self.skew.seconds())
    }

    /// Each series of a query from one moment to another, on canard's clock.
    pub(super) async fn range(
        &self,
        promql: &str,
        from: Timestamp,
        to: Timestamp,
        step: Duration,
    ) -> Result<Vec<Series>, MonitorError> {
        let skew = self.skew.seconds();
        let there = |at: Timestamp| format!("{:.3}", at.plus_s(skew).unix_s());
        let step = format!("{:.3}", step.as_secs_f64());
        let (from, to) = (there(from), there(to));
        let fields = [("query", promql), ("start", &from), ("end", &to), ("step", &step)];
        let answer = self.http.post_form("/api/v1/query_range", &fields).await.map_err(unreachable)?;
        let RangeData { result } = data::<RangeData>(&answer)?;
        let read = |series: WireSeries| {
            let value = |(at, text): (f64, String)| {
                Some((self.here(Timestamp::from_unix_s(at)), text.parse::<f64>().ok()?))
            };
            (series.metric, series.values.into_iter().filter_map(value).collect())
        };
        Ok(result.into_iter().map(read).collect())
    }

    /// An instant query of a moment of canard's clock.
    pub(super) async fn at(&self, promql: &str, at: Timestamp) -> Result<Vec<PromqlValue>, MonitorError> {
        let time = format!("{:.3}", at.plus_s(self.skew.seconds()).unix_s());
        let answer = self.http.post_form("/api/v1/query", &[("query", promql), ("time", &time)]).await;
        data::<QueryData>(&answer.map_err(unreachable)?)?.values()
    }
}

/// Labels and values of a series.
pub(super) type Series = (BTreeMap<String, String>, Vec<(Timestamp, f64)>);

#[derive(serde::Deserialize)]
struct RangeData {
    result: Vec<WireSeries>,
}

#[derive(serde::Deserialize)]
struct WireSeries {
    metric: BTreeMap<String, String>,
    values: Vec<(f64, String)>,
}

/// A text between the double quotes of a matcher.
pub(super) fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"")
}

/// The names that are most like one.
pub(super) fn near<'a>(name: &str, names: impl Iterator<Item = &'a str>) -> Vec<String> {
    let mut like: Vec<(f64, &str)> = names.map(|other| (strsim::jaro_winkler(name, other), other)).collect();
    like.retain(|(likeness, other)| *likeness >= LIKE && *other != name);
    like.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(b.1)));
    like.dedup();
    like.into_iter().take(MOST_NEAR).map(|(_, name)| name.to_owned()).collect()
}

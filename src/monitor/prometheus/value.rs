//! A rule's value over the phase, beside its threshold, and what it would have been with shorter windows.

use std::{collections::BTreeMap, time::Duration};

use super::{Prometheus, examine};
use crate::{
    clock::Timestamp,
    monitor::{
        BoxFuture, Rule,
        findings::{Comparison, Condition, Narrowed, Point, Question, Track},
        promql::{self, Written},
    },
};

/// How far back a value is looked at, to know what it was before the fault.
const BEFORE_S: f64 = 300.0;
/// Most points of a range query; Prometheus refuses more than 11,000.
const MOST_POINTS: f64 = 1_000.0;
/// Series of a value that are kept.
const MOST_TRACKS: usize = 200;
/// Comparisons of one rule that are looked at.
const MOST_COMPARISONS: usize = 8;

impl Prometheus {
    /// The rule's condition, with its values.
    pub(super) async fn condition(&self, rule: &Rule, question: &Question) -> Option<Condition> {
        let mut left = MOST_COMPARISONS;
        self.measure(promql::condition(&rule.query), rule, question, &mut left).await
    }

    fn measure<'a>(
        &'a self,
        written: Written,
        rule: &'a Rule,
        question: &'a Question,
        left: &'a mut usize,
    ) -> BoxFuture<'a, Option<Condition>> {
        Box::pin(async move {
            let (expression, against) = match written {
                Written::All(parts) => {
                    return Some(Condition::All(self.each(parts, rule, question, left).await?));
                }
                Written::Any(parts) => {
                    return Some(Condition::Any(self.each(parts, rule, question, left).await?));
                }
                Written::Compare { left, op, right } => (left, Some((op, right))),
                Written::Value(text) => (text, None),
            };
            *left = left.checked_sub(1)?;
            let op = against.as_ref().map(|(op, _)| *op);
            let tracks =
                self.tracks(&expression, against.as_ref().map(|(_, right)| right.as_str()), rule, question);
            let tracks = tracks.await?;
            let mut comparison =
                Comparison { expression, op, tracks, series: Vec::new(), narrowed: Vec::new() };
            match comparison.held_since(question.from) {
                None => comparison.series = self.series(&comparison.expression, rule, question).await,
                Some(true) => {}
                Some(false) => {
                    let right = against.as_ref().map(|(_, right)| right.as_str());
                    comparison.narrowed = self.narrowed(&comparison, right, rule, question).await;
                }
            }
            Some(Condition::Compare(comparison))
        })
    }

    async fn each(
        &self,
        parts: Vec<Written>,
        rule: &Rule,
        question: &Question,
        left: &mut usize,
    ) -> Option<Vec<Condition>> {
        let mut conditions = Vec::new();
        for part in parts {
            conditions.push(self.measure(part, rule, question, left).await?);
        }
        Some(conditions)
    }

    /// The values of an expression, each with what it is compared with; `None` if that can't be told.
    async fn tracks(
        &self,
        expression: &str,
        right: Option<&str>,
        rule: &Rule,
        question: &Question,
    ) -> Option<Vec<Track>> {
        let from = question.from.plus_s(-BEFORE_S);
        let step = step(rule, question.to.since(from));
        let values = self.range(expression, from, question.to, step).await.ok()?;
        let against = match right {
            None => Against::Number(0.0),
            Some(right) => match promql::number(right) {
                Some(number) => Against::Number(number),
                None => Against::Series(self.range(right, from, question.to, step).await.ok()?),
            },
        };
        let track = |(mut labels, points): examine::Series| {
            labels.remove("__name__");
            let point = |(at, value)| Some(Point { at, value, threshold: against.at(&labels, at)? });
            Track { points: points.into_iter().filter_map(point).collect(), labels }
        };
        Some(values.into_iter().take(MOST_TRACKS).map(track).collect())
    }

    /// The values with windows of the phase's length and less, for a rule that looks through longer ones.
    async fn narrowed(
        &self,
        comparison: &Comparison,
        right: Option<&str>,
        rule: &Rule,
        question: &Question,
    ) -> Vec<Narrowed> {
        let Some(longest) = promql::longest_window(&comparison.expression) else { return Vec::new() };
        let lasted = question.ended.since(question.from).max(0.0);
        let mut found = Vec::new();
        for part in [1.0, 0.5, 0.25] {
            let window = Duration::from_secs_f64((lasted * part).floor());
            // A rate needs two samples: below a few seconds nothing is scraped often enough.
            if window < Duration::from_secs(4) || window >= longest {
                continue;
            }
            let expression = promql::narrowed(&comparison.expression, window);
            let Some(tracks) = self.tracks(&expression, right, rule, question).await else { continue };
            found.push(Narrowed { window: promql::written(window), tracks });
        }
        found
    }
}

/// Once an evaluation, but not more than so many points.
pub(super) fn step(rule: &Rule, range_s: f64) -> Duration {
    let interval = rule.interval.unwrap_or(Duration::from_secs(1));
    interval
        .max(Duration::from_secs_f64((range_s / MOST_POINTS).clamp(0.001, 1e6)))
        .min(Duration::from_secs(15))
}

/// What a value is compared with.
enum Against {
    Number(f64),
    Series(Vec<examine::Series>),
}

impl Against {
    fn at(&self, labels: &BTreeMap<String, String>, at: Timestamp) -> Option<f64> {
        let series = match self {
            Against::Number(number) => return Some(*number),
            Against::Series(series) => series,
        };
        let same = series.iter().find(|(other, _)| {
            other
                .iter()
                .filter(|(key, _)| *key != "__name__")
                .all(|(key, value)| labels.get(key) == Some(value))
        });
        let (_, points) = same.or(series.first().filter(|_| series.len() == 1))?;
        let near = points.iter().find(|(then, _)| then.since(at).abs() < 1e-3)?;
        Some(near.1)
    }
}

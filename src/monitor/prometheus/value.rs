//! A rule's value over the phase, beside its threshold, and what it would have been with shorter windows.

use std::{collections::BTreeMap, time::Duration};

use super::{Prometheus, examine};
use crate::{
    clock::Timestamp,
    event::Observation,
    monitor::{
        BoxFuture, Rule,
        findings::{Comparison, Condition, Narrowed, Point, Question, Together, Track},
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
            let (expression, op, against) = match written {
                Written::All(parts) => {
                    return Some(Condition::All(self.each(parts, rule, question, left).await?));
                }
                Written::Any(parts) => {
                    return Some(Condition::Any(self.each(parts, rule, question, left).await?));
                }
                Written::Compare { left, op, matching, right } => (left, Some(op), Some((matching, right))),
                Written::Value(text) => (text, None, None),
            };
            *left = left.checked_sub(1)?;
            let right = against.as_ref().map(|(matching, right)| (matching.as_str(), right.as_str()));
            let values = self.values(&expression, right, rule, question).await?;
            let mut comparison = Comparison { expression, op, ..Comparison::default() };
            let in_phase = |at: &Timestamp| at.since(question.from) >= 0.0;
            comparison.other_labels =
                values.tracks.iter().flat_map(|track| &track.points).any(|point| in_phase(&point.at));
            comparison.tracks =
                values.tracks.into_iter().filter(|one| question.means(&one.labels, &rule.labels)).collect();
            let held = comparison.held_since(question.from);
            comparison.other_labels &= held.is_none();
            if held != Some(true) {
                let both = [comparison.expression.as_str(), right.map_or("", |(_, right)| right)].join(" + ");
                comparison.series = self.series(&both, rule, question).await;
            }
            match (held, &against) {
                (None, Some((matching, right))) if values.both && !comparison.other_labels => {
                    let both = format!("count(({}) * 0 + {matching} ({right}))", comparison.expression);
                    let step = step(rule, question.to.since(question.from));
                    let matched = self.range(&both, question.from, question.to, step).await;
                    comparison.unmatched = matched.is_ok_and(|m| m.is_empty()).then(|| right.clone());
                }
                (Some(false), _) => {
                    comparison.narrowed = self.narrowed(&comparison, right, rule, question).await;
                }
                _ => {}
            }
            Some(Condition::Compare(comparison))
        })
    }

    /// Of a condition of several parts: whether it was true as a whole, and without its `unless`.
    pub(super) async fn together(&self, rule: &Rule, question: &Question) -> Option<Together> {
        let but_for = promql::but_for(&rule.query);
        let parts = matches!(promql::condition(&rule.query), Written::All(_) | Written::Any(_));
        let rest = but_for.as_ref().map_or(rule.query.as_str(), |(rest, _)| rest);
        // One that is deeper inside can't be told apart.
        if !(parts || but_for.is_some()) || rest.to_ascii_lowercase().contains("unless") {
            return None;
        }
        let mut seen = Vec::new();
        let held = self.ever(&rule.query, rule, question, &mut seen).await?;
        let but_for = match &but_for {
            Some((rest, taken)) => {
                Some((taken.clone(), held || self.ever(rest, rule, question, &mut seen).await?))
            }
            None => None,
        };
        Some(Together { held, but_for, seen })
    }

    /// Had an expression any value in the phase, with the labels that were asked for?
    async fn ever(
        &self,
        expression: &str,
        rule: &Rule,
        question: &Question,
        seen: &mut Vec<Observation>,
    ) -> Option<bool> {
        let step = step(rule, question.to.since(question.from));
        let values = self.range(expression, question.from, question.to, step).await.ok()?;
        let ever = values.iter().any(|(labels, _)| question.means(labels, &rule.labels));
        let answer = if ever { "was true" } else { "was never true" };
        seen.push(Observation { asked: expression.to_owned(), answer: answer.to_owned(), at: None });
        Some(ever)
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
    async fn values(
        &self,
        expression: &str,
        right: Option<Right<'_>>,
        rule: &Rule,
        question: &Question,
    ) -> Option<Values> {
        let from = question.from.plus_s(-BEFORE_S);
        let step = step(rule, question.to.since(from));
        let values = self.range(expression, from, question.to, step).await.ok()?;
        let against = match right {
            None => Against::Number(0.0),
            Some((matching, right)) => match promql::number(right) {
                Some(number) => Against::Number(number),
                None => Against::Series {
                    series: self.range(right, from, question.to, step).await.ok()?,
                    matched: !matching.is_empty(),
                },
            },
        };
        let in_phase = |all: &[examine::Series]| {
            all.iter().flat_map(|(_, points)| points).any(|(at, _)| at.since(question.from) >= 0.0)
        };
        let both =
            matches!(&against, Against::Series { series, .. } if in_phase(series)) && in_phase(&values);
        let track = |(mut labels, points): examine::Series| {
            labels.remove("__name__");
            let thresholds = against.of(&labels);
            let point = |(at, value)| Some(Point { at, value, threshold: thresholds.as_ref()?.at(at)? });
            Track { points: points.into_iter().filter_map(point).collect(), labels }
        };
        Some(Values { tracks: values.into_iter().take(MOST_TRACKS).map(track).collect(), both })
    }

    /// The values with windows of the phase's length and less, for a rule that looks through longer ones.
    async fn narrowed(
        &self,
        comparison: &Comparison,
        right: Option<Right<'_>>,
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
            let Some(mut values) = self.values(&expression, right, rule, question).await else { continue };
            values.tracks.retain(|one| question.means(&one.labels, &rule.labels));
            found.push(Narrowed { window, written: promql::written(window), tracks: values.tracks });
        }
        found
    }
}

/// Once an evaluation, but not more than so many points.
pub(super) fn step(rule: &Rule, range_s: f64) -> Duration {
    let interval = rule.interval.unwrap_or(Duration::from_secs(1)).min(Duration::from_secs(15));
    interval.max(Duration::from_secs_f64((range_s / MOST_POINTS).clamp(0.001, 1e6)))
}

/// What a value is compared with: the matching, and the expression.
type Right<'a> = (&'a str, &'a str);

/// The values of a comparison.
struct Values {
    tracks: Vec<Track>,
    /// Have both sides values in the phase, and is the right one no number?
    both: bool,
}

/// What values are compared with.
enum Against {
    Number(f64),
    /// As a vector; `matched` by `on` or `ignoring`, not by all labels.
    Series {
        series: Vec<examine::Series>,
        matched: bool,
    },
}

/// What one series is compared with.
enum Thresholds<'a> {
    Number(f64),
    Points(&'a [(Timestamp, f64)]),
}

impl Against {
    fn of(&self, labels: &BTreeMap<String, String>) -> Option<Thresholds<'_>> {
        let (series, matched) = match self {
            Against::Number(number) => return Some(Thresholds::Number(*number)),
            Against::Series { series, matched } => (series, *matched),
        };
        let same = series.iter().find(|(other, _)| {
            let mut others = other.iter().filter(|(key, _)| *key != "__name__");
            others.all(|(key, value)| labels.get(key) == Some(value))
        });
        let (_, points) = same.or(series.first().filter(|_| matched && series.len() == 1))?;
        Some(Thresholds::Points(points))
    }
}

impl Thresholds<'_> {
    fn at(&self, at: Timestamp) -> Option<f64> {
        match self {
            Thresholds::Number(number) => Some(*number),
            Thresholds::Points(points) => {
                let from = points.partition_point(|(then, _)| then.since(at) < -1e-3);
                points.get(from).filter(|(then, _)| then.since(at) < 1e-3).map(|(_, value)| *value)
            }
        }
    }
}

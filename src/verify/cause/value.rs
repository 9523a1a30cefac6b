//! A condition that was not true: nothing to work on, or how close it came, and what would have caught it.

use super::{figures, found, rule::there_is, seen, span};
use crate::{
    event::{Cause, CauseKind, Closest, Observation},
    monitor::findings::{Comparison, Condition, Op, Point, Question, RuleFacts, Series, SeriesState, Track},
};

/// Without a value from before the fault, one further from its threshold than this share of it says nothing of another
/// threshold.
const FAR: f64 = 0.5;

/// Why a condition was not true in the phase.
pub(super) fn not_true(
    question: &Question,
    rule: &RuleFacts,
    monitor: &str,
    condition: &Condition,
) -> Option<Cause> {
    match blocking(question, condition) {
        Blocking::One(comparison) => of_comparison(question, rule, monitor, comparison),
        Blocking::NotTogether => {
            let summary = "its parts joined by `and` were each true, but never together, for the same labels"
                .to_owned();
            Some(found(CauseKind::ThresholdNotReached, monitor, summary, Vec::new()))
        }
        Blocking::None => None,
    }
}

/// What of a condition keeps it from being true.
enum Blocking<'a> {
    One(&'a Comparison),
    NotTogether,
    None,
}

fn blocking<'a>(question: &Question, condition: &'a Condition) -> Blocking<'a> {
    match condition {
        Condition::Compare(comparison) if comparison.held_since(question.from) == Some(true) => {
            Blocking::None
        }
        Condition::Compare(comparison) => Blocking::One(comparison),
        Condition::All(parts) => {
            let mut blocks = parts.iter().map(|part| blocking(question, part));
            let first = blocks.find(|block| !matches!(block, Blocking::None));
            first.unwrap_or(Blocking::NotTogether)
        }
        Condition::Any(parts) => {
            let distance = |one: &Comparison| {
                closest(question, one).map_or(f64::INFINITY, |(point, _)| {
                    (point.value - point.threshold).abs() / point.threshold.abs().max(1e-9)
                })
            };
            let mut nearest = Blocking::None;
            for part in parts {
                nearest = match (nearest, blocking(question, part)) {
                    (_, Blocking::None) => return Blocking::None,
                    (Blocking::One(a), Blocking::One(b)) => {
                        Blocking::One(if distance(b) < distance(a) { b } else { a })
                    }
                    (Blocking::One(a), _) => Blocking::One(a),
                    (_, other) => other,
                };
            }
            nearest
        }
    }
}

fn of_comparison(
    question: &Question,
    rule: &RuleFacts,
    monitor: &str,
    comparison: &Comparison,
) -> Option<Cause> {
    let Some((point, before)) = closest(question, comparison) else {
        return no_value(question, monitor, comparison);
    };
    let op = comparison.op?;
    let at_s = point.at.since(question.from);
    let reached = sustained(question, comparison, op, rule.hold.as_secs_f64());
    let apart = reached.filter(|reached| match before {
        Some(before) => direction(op) * (reached - before) > 0.0,
        // Whether the fault moved it is not known: far from the threshold it may as well be noise.
        None => (reached - point.threshold).abs() <= FAR * point.threshold.abs(),
    });
    let direction = direction(op);
    let word = if direction < 0.0 { "down to" } else { "up to" };
    let was = before.map_or(String::new(), |before| format!(" ({} before the fault)", figures(before)));
    let summary = format!(
        "its value came {word} {} after {}{was}, and it fires {} {}",
        figures(point.value),
        span(at_s),
        op.symbol(),
        figures(point.threshold)
    );
    let narrowed = comparison.narrowed.iter().find(|narrowed| {
        let other = Comparison { tracks: narrowed.tracks.clone(), ..comparison.clone() };
        sustained(question, &other, op, rule.hold.as_secs_f64()).is_some_and(|v| op.holds(v, point.threshold))
    });
    let remedy = match (narrowed, apart, reached) {
        (Some(narrowed), _, _) => Some(format!("with a window of {} it would have fired", narrowed.window)),
        (None, Some(apart), _) if ordered(op) => {
            let side = if direction > 0.0 { "below" } else { "above" };
            Some(format!("with a threshold {side} {} it would have fired", figures(apart)))
        }
        (None, None, Some(_)) if ordered(op) && before.is_some() => {
            Some("the fault did not move this value: no threshold would have told it".into())
        }
        _ => None,
    };
    let mut evidence = vec![Observation {
        asked: comparison.expression.clone(),
        answer: figures(point.value),
        at: Some(point.at),
    }];
    if let Some(narrowed) = narrowed {
        let other = Comparison { tracks: narrowed.tracks.clone(), ..comparison.clone() };
        let value = sustained(question, &other, op, rule.hold.as_secs_f64()).unwrap_or_default();
        evidence.push(seen(format!("{} with [{}]", comparison.expression, narrowed.window), figures(value)));
    }
    let mut cause = found(CauseKind::ThresholdNotReached, monitor, summary, evidence);
    cause.remedy = remedy;
    cause.closest = Some(Closest {
        op: op.symbol().to_owned(),
        threshold: point.threshold,
        value: point.value,
        at_s,
        before,
        would_have_fired_at: apart.filter(|_| ordered(op)),
    });
    Some(cause)
}

fn ordered(op: Op) -> bool {
    !matches!(op, Op::Equal | Op::NotEqual)
}

/// Which way is nearer to firing: up or down.
fn direction(op: Op) -> f64 {
    if matches!(op, Op::Below | Op::AtMost) { -1.0 } else { 1.0 }
}

/// How far a point is from firing; less is nearer.
fn distance(op: Op, point: &Point) -> f64 {
    match op {
        Op::Equal | Op::NotEqual => (point.value - point.threshold).abs(),
        _ => direction(op) * (point.threshold - point.value),
    }
}

/// The point of the phase that came closest, and the closest value before the phase.
fn closest<'a>(question: &Question, comparison: &'a Comparison) -> Option<(&'a Point, Option<f64>)> {
    let op = comparison.op.unwrap_or(Op::Above);
    let nearest = |in_phase: bool| {
        let points = comparison.tracks.iter().flat_map(|track| &track.points);
        let finite = points.filter(|point| !point.value.is_nan() && !point.threshold.is_nan());
        let wanted = finite.filter(move |point| (point.at.since(question.from) >= 0.0) == in_phase);
        wanted.min_by(|a, b| distance(op, a).total_cmp(&distance(op, b)))
    };
    Some((nearest(true)?, nearest(false).map(|point| point.value)))
}

/// The value that was reached and kept for `hold_s` at least, the nearest to firing.
fn sustained(question: &Question, comparison: &Comparison, op: Op, hold_s: f64) -> Option<f64> {
    let worst = |points: &[Point]| {
        points.iter().max_by(|a, b| distance(op, a).total_cmp(&distance(op, b))).map(|point| point.value)
    };
    let of_track = |track: &Track| {
        let points: Vec<Point> =
            track.points.iter().filter(|p| p.at.since(question.from) >= 0.0).copied().collect();
        let mut best: Option<f64> = None;
        for start in 0..points.len() {
            let long = points[start..].iter().position(|p| p.at.since(points[start].at) >= hold_s - 1e-3);
            let Some(end) = long.map(|more| start + more) else { break };
            let run = &points[start..=end];
            if run.iter().any(|point| point.value.is_nan()) {
                continue;
            }
            let reached = worst(run);
            let better = |old: f64, new: f64| if direction(op) * (new - old) > 0.0 { new } else { old };
            best = match (best, reached) {
                (Some(old), Some(new)) => Some(better(old, new)),
                (old, new) => old.or(new),
            };
        }
        best
    };
    let all = comparison.tracks.iter().filter_map(of_track);
    all.max_by(|a, b| (direction(op) * a).total_cmp(&(direction(op) * b)))
}

/// A threshold at which the rule would have fired though not before the fault, and on which side of it.
pub(super) fn would_have_fired_at(
    question: &Question,
    comparison: &Comparison,
    hold_s: f64,
) -> Option<(f64, &'static str)> {
    let op = comparison.op.filter(|op| ordered(*op))?;
    let (_, before) = closest(question, comparison)?;
    let reached = sustained(question, comparison, op, hold_s)?;
    let apart = before.is_none_or(|before| direction(op) * (reached - before) > 0.0);
    apart.then_some((reached, if direction(op) > 0.0 { "below" } else { "above" }))
}

/// The value was not there at all.
fn no_value(question: &Question, monitor: &str, comparison: &Comparison) -> Option<Cause> {
    let nan = comparison
        .tracks
        .iter()
        .flat_map(|track| &track.points)
        .any(|point| point.at.since(question.from) >= 0.0 && point.value.is_nan());
    if nan {
        let summary =
            "its value is not a number throughout: 0 divided by 0, as without any traffic".to_owned();
        let evidence = vec![seen(&comparison.expression, "NaN")];
        return Some(found(CauseKind::SeriesEmpty, monitor, summary, evidence));
    }
    let gone = |series: &&Series| matches!(series.state, SeriesState::Stale { .. });
    let empty = |series: &&Series| matches!(series.state, SeriesState::Empty { .. });
    let few = |series: &&Series| matches!(series.state, SeriesState::TooFew { .. });
    let find = |state: &dyn Fn(&&Series) -> bool| comparison.series.iter().find(state);
    let series = find(&empty).or_else(|| find(&gone)).or_else(|| find(&few))?;
    let selector = &series.selector;
    let mut evidence = vec![series.seen.clone()];
    let (kind, summary) = match &series.state {
        SeriesState::Present => return None,
        SeriesState::TooFew { at_least } => (
            CauseKind::TooFewSamples,
            format!("its window never held the {at_least} requests that it needs (`{selector}`)"),
        ),
        SeriesState::Empty { other_labels: true, .. } => (
            CauseKind::SeriesEmpty,
            format!("`{selector}` selects no series: the metric has none with these labels"),
        ),
        SeriesState::Empty { near, .. } => {
            (CauseKind::SeriesEmpty, format!("`{selector}` has no series{}", there_is(near)))
        }
        SeriesState::Stale { last, down } => {
            let since = question.from.since(*last);
            let when = if since >= 0.0 {
                format!("{} before the fault", span(since))
            } else {
                format!("{} into the fault", span(-since))
            };
            match down.first() {
                Some(target) => {
                    evidence.extend(down.iter().map(|target| {
                        seen(
                            format!("target {} of job `{}`", target.instance, target.job),
                            format!("down: {}", target.error),
                        )
                    }));
                    let error = target.error.rsplit(": ").next().unwrap_or(&target.error);
                    let job = &target.job;
                    (
                        CauseKind::TargetDown,
                        format!(
                            "target {} of job `{job}` is down ({error}): `{selector}` has no value since {when}",
                            target.instance
                        ),
                    )
                }
                None => (CauseKind::SeriesStale, format!("`{selector}` had its last value {when}")),
            }
        }
    };
    Some(found(kind, monitor, summary, evidence))
}

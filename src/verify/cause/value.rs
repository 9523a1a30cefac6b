//! A condition that was not true: nothing to work on, or how close it came, and what would have caught it.

use std::collections::BTreeMap;

use super::{figures, found, rule::there_is, seen, span};
use crate::{
    clock::Timestamp,
    event::{Cause, CauseKind, Closest, Observation},
    monitor::findings::{
        Comparison, Condition, Findings, Op, Point, Question, RuleFacts, Series, SeriesState, Track,
    },
};

/// Without a value from before the fault, one further from its threshold than this share of it says nothing of another
/// threshold.
const FAR: f64 = 0.5;
/// So many times the usual step between two points are a gap.
const GAP: f64 = 2.5;

/// Why a condition was not true in the phase.
pub(super) fn not_true(
    question: &Question,
    rule: &RuleFacts,
    monitor: &str,
    findings: &Findings,
) -> Option<Cause> {
    let blocking = blocking(question, rule, findings.condition.as_ref()?);
    if let Blocking::One(comparison) = blocking {
        return of_comparison(question, rule, monitor, comparison);
    }
    // Each part was true at some time: only the whole can tell.
    let together = findings.together.as_ref().filter(|together| !together.held)?;
    let summary = match (&together.but_for, blocking) {
        (Some((taken, true)), _) => {
            let taken = taken.split_whitespace().collect::<Vec<_>>().join(" ");
            format!("its condition was true but for its `unless {taken}`")
        }
        (_, Blocking::NotTogether) => {
            "its parts joined by `and` were each true, but never together, for the same labels".to_owned()
        }
        _ => return None,
    };
    Some(found(CauseKind::NotTogether, monitor, summary, together.seen.clone()))
}

/// What of a condition keeps it from being true.
enum Blocking<'a> {
    One(&'a Comparison),
    NotTogether,
    None,
}

fn blocking<'a>(question: &Question, rule: &RuleFacts, condition: &'a Condition) -> Blocking<'a> {
    match condition {
        Condition::Compare(comparison) if comparison.held_since(question.from) == Some(true) => {
            Blocking::None
        }
        Condition::Compare(comparison) => Blocking::One(comparison),
        Condition::All(parts) => {
            let mut blocks = parts.iter().map(|part| blocking(question, rule, part));
            let first = blocks.find(|block| !matches!(block, Blocking::None));
            first.unwrap_or(Blocking::NotTogether)
        }
        Condition::Any(parts) => {
            let distance = |one: &Comparison| {
                closest(question, rule, one).map_or(f64::INFINITY, |Closeness { point, .. }| {
                    (point.value - point.threshold).abs() / point.threshold.abs().max(1e-9)
                })
            };
            let mut nearest = Blocking::None;
            for part in parts {
                nearest = match (nearest, blocking(question, rule, part)) {
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
    // A window goes on giving values when what it looks at has gone.
    if let Some(series) = gone(comparison) {
        return of_series(question, monitor, series);
    }
    let Some(close) = closest(question, rule, comparison) else {
        return no_value(question, rule, monitor, comparison);
    };
    let Closeness { track, point, before, reached } = close;
    let op = comparison.op?;
    let at_s = point.at.since(question.from);
    let hold_s = rule.hold.as_secs_f64();
    let moved = reached.is_some_and(|reached| close.moved_to(op, reached));
    let stood = reached.and_then(|reached| stood_at(question, rule, comparison, reached));
    let apart = reached.filter(|_| moved && stood.is_none());
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
    let narrowed = comparison.narrowed.iter().find_map(|narrowed| {
        let quiet = question.quiet_from(Some(narrowed.window));
        // It would have fired, and not without the fault.
        let holds = |points: &[Point]| {
            sustained(points, op, hold_s).filter(|value| op.holds(*value, point.threshold))
        };
        let before =
            narrowed.tracks.iter().any(|track| holds(&quiet_points(question, quiet, track)).is_some());
        let value = narrowed.tracks.iter().find_map(|track| holds(&in_phase(question, track)))?;
        (!before).then_some((narrowed, value))
    });
    let remedy = match (narrowed, apart, stood) {
        (Some((narrowed, _)), _, _) => {
            Some(format!("with a window of {} it would have fired", narrowed.written))
        }
        (None, Some(apart), _) if ordered(op) => {
            let side = if direction > 0.0 { "below" } else { "above" };
            Some(format!("with a threshold {side} {} it would have fired", figures(apart)))
        }
        (None, None, Some((other, value))) if ordered(op) && moved => Some(format!(
            "no one threshold tells it: {} was at {} without the fault",
            labels(&other.labels),
            figures(value)
        )),
        (None, None, _) if ordered(op) && before.is_some() && reached.is_some() => {
            Some("the fault did not move this value: no threshold would have told it".into())
        }
        _ => None,
    };
    let which =
        if track.labels.is_empty() { String::new() } else { format!(" of {}", labels(&track.labels)) };
    let mut evidence = vec![Observation {
        asked: comparison.expression.clone(),
        answer: format!("{}{which}", figures(point.value)),
        at: Some(point.at),
    }];
    if let Some((narrowed, value)) = narrowed {
        evidence.push(seen(format!("{} with [{}]", comparison.expression, narrowed.written), figures(value)));
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

/// How close one series came.
struct Closeness<'a> {
    track: &'a Track,
    /// The point of the phase that came closest.
    point: &'a Point,
    /// The closest value before the fault.
    before: Option<f64>,
    /// The value that was kept for the rule's `for`.
    reached: Option<f64>,
}

impl Closeness<'_> {
    /// Is a value beyond where the series was before the fault?
    fn moved_to(&self, op: Op, reached: f64) -> bool {
        match self.before {
            Some(before) => direction(op) * (reached - before) > 0.0,
            // Whether the fault moved it is not known: far from the threshold it may as well be noise.
            None => (reached - self.point.threshold).abs() <= FAR * self.point.threshold.abs(),
        }
    }

    /// How far it moved towards its threshold. What is not there before counts from zero, where that is away from it.
    fn way(&self, op: Op) -> f64 {
        let start = match self.before {
            Some(before) => Some(before),
            None => matches!(op, Op::Above | Op::AtLeast).then_some(0.0),
        };
        let way = start
            .map_or(0.0, |value| distance(op, &Point { value, ..*self.point }) - distance(op, self.point));
        if way.is_finite() { way / self.point.threshold.abs().max(f64::MIN_POSITIVE) } else { 0.0 }
    }
}

fn in_phase(question: &Question, track: &Track) -> Vec<Point> {
    track.points.iter().filter(|point| point.at.since(question.from) >= 0.0).copied().collect()
}

/// The points before the fault, of a time without any other.
fn quiet_points(question: &Question, quiet: Timestamp, track: &Track) -> Vec<Point> {
    let then = |point: &&Point| point.at.since(question.from) < 0.0 && point.at.since(quiet) >= 0.0;
    track.points.iter().filter(then).copied().collect()
}

fn nearest<'a>(op: Op, points: impl Iterator<Item = &'a Point>) -> Option<&'a Point> {
    let finite = points.filter(|point| !point.value.is_nan() && !point.threshold.is_nan());
    finite.min_by(|a, b| distance(op, a).total_cmp(&distance(op, b)))
}

/// The nearest value of a series before the fault.
fn value_before(question: &Question, rule: &RuleFacts, op: Op, track: &Track) -> Option<f64> {
    let points = quiet_points(question, question.quiet_from(rule.window), track);
    nearest(op, points.iter()).map(|point| point.value)
}

/// Of the series that moved furthest towards its threshold, or of the nearest if none did.
fn closest<'a>(question: &Question, rule: &RuleFacts, comparison: &'a Comparison) -> Option<Closeness<'a>> {
    let op = comparison.op.unwrap_or(Op::Above);
    let of_track = |track: &'a Track| {
        let phase = track.points.iter().filter(|point| point.at.since(question.from) >= 0.0);
        Some(Closeness {
            track,
            point: nearest(op, phase)?,
            before: value_before(question, rule, op, track),
            reached: sustained(&in_phase(question, track), op, rule.hold.as_secs_f64()),
        })
    };
    let further = |a: &Closeness<'_>, b: &Closeness<'_>| {
        a.way(op).total_cmp(&b.way(op)).then(distance(op, b.point).total_cmp(&distance(op, a.point)))
    };
    comparison.tracks.iter().filter_map(of_track).max_by(further)
}

/// The series that was at a value, or beyond it, without the fault.
fn stood_at<'a>(
    question: &Question,
    rule: &RuleFacts,
    comparison: &'a Comparison,
    value: f64,
) -> Option<(&'a Track, f64)> {
    let op = comparison.op?;
    let before = |track: &'a Track| Some((track, value_before(question, rule, op, track)?));
    let stood = |(_, before): &(_, f64)| direction(op) * (value - before) <= 0.0;
    comparison.tracks.iter().filter_map(before).find(stood)
}

/// The value that was reached and kept for `hold_s` at least, without a gap, the nearest to firing.
fn sustained(points: &[Point], op: Op, hold_s: f64) -> Option<f64> {
    let apart = |pair: &[Point]| pair[1].at.since(pair[0].at);
    let mut steps: Vec<f64> = points.windows(2).map(apart).collect();
    steps.sort_by(f64::total_cmp);
    let usual = steps.get(steps.len() / 2).copied().unwrap_or(f64::INFINITY);
    let unbroken =
        points.chunk_by(|a, b| !a.value.is_nan() && !b.value.is_nan() && b.at.since(a.at) <= GAP * usual);
    let of_run = |points: &[Point]| {
        let ends = |start: usize| {
            let long = points[start..].iter().position(|p| p.at.since(points[start].at) >= hold_s - 1e-3);
            long.map(|more| &points[start..=start + more])
        };
        let furthest =
            |run: &[Point]| run.iter().max_by(|a, b| distance(op, a).total_cmp(&distance(op, b))).copied();
        let kept: Vec<Point> = (0..points.len()).map_while(ends).filter_map(furthest).collect();
        nearest(op, kept.iter()).copied()
    };
    let kept: Vec<Point> = unbroken.filter_map(of_run).collect();
    nearest(op, kept.iter()).map(|point| point.value)
}

/// A threshold at which the rule would have fired though not before the fault, and on which side of it.
pub(super) fn would_have_fired_at(
    question: &Question,
    rule: &RuleFacts,
    comparison: &Comparison,
) -> Option<(f64, &'static str)> {
    let op = comparison.op.filter(|op| ordered(*op))?;
    let close = closest(question, rule, comparison)?;
    let reached = close.reached.filter(|reached| {
        close.before.is_none_or(|before| direction(op) * (reached - before) > 0.0)
            && stood_at(question, rule, comparison, *reached).is_none()
    })?;
    Some((reached, if direction(op) > 0.0 { "below" } else { "above" }))
}

/// Labels as PromQL writes them.
fn labels(labels: &BTreeMap<String, String>) -> String {
    let pairs: Vec<String> = labels.iter().map(|(key, value)| format!("{key}=\"{value}\"")).collect();
    format!("{{{}}}", pairs.join(", "))
}

/// What a value has lost: all that it looks at, or something of a target that is down.
fn gone(comparison: &Comparison) -> Option<&Series> {
    let is = |series: &&Series| matches!(series.state, SeriesState::Stale { .. } | SeriesState::Empty { .. });
    let down =
        |series: &&Series| matches!(&series.state, SeriesState::Stale { down, .. } if !down.is_empty());
    let all = || comparison.series.iter().find(is).filter(|_| comparison.series.iter().all(|one| is(&one)));
    comparison.series.iter().find(down).or_else(all)
}

/// The value was not there at all.
fn no_value(question: &Question, rule: &RuleFacts, monitor: &str, comparison: &Comparison) -> Option<Cause> {
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
    let expression = &comparison.expression;
    if comparison.other_labels {
        let wanted = question.wanted.iter().filter(|(key, _)| !rule.labels.contains_key(*key));
        let wanted = wanted.map(|(key, value)| (key.clone(), value.clone())).collect();
        let summary = format!("its value has series, but none with {}", labels(&wanted));
        let evidence = vec![seen(expression, "has values in the phase, with other labels")];
        return Some(found(CauseKind::SeriesEmpty, monitor, summary, evidence));
    }
    let missing = |series: &&Series| !matches!(series.state, SeriesState::Present);
    if let Some(series) = comparison.series.iter().find(missing) {
        return of_series(question, monitor, series);
    }
    let right = comparison.unmatched.as_ref()?;
    let summary =
        format!("both sides of its comparison have values, but not for the same labels (`{right}`)");
    let evidence = vec![seen(expression, "has values in the phase"), seen(right, "has values in the phase")];
    Some(found(CauseKind::SeriesEmpty, monitor, summary, evidence))
}

/// What became of a series, as a cause.
fn of_series(question: &Question, monitor: &str, series: &Series) -> Option<Cause> {
    let selector = &series.selector;
    let mut evidence = vec![series.seen.clone()];
    let (kind, summary) = match &series.state {
        SeriesState::Present => return None,
        SeriesState::NotYet => (
            CauseKind::TooFewSamples,
            format!("it had nothing to compare with: its reference is the run's first phase (`{selector}`)"),
        ),
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

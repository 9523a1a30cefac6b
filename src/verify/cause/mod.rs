//! Why an alert was missed or late, from what the monitors found out.
//!
//! Pure, like all of `verify`. The chain is followed from its beginning (a rule, its series, its value, its `for`, the
//! route, the receiver), and the first link that did not hold is the cause. What no monitor could tell is never
//! guessed: then there is no cause.

mod delivery;
mod late;
mod rule;
mod value;

use super::{Facts, Window, alerts, fires::next_fault, silent::AFTERMATH_S};
use crate::{
    clock::Timestamp,
    event::{Asked, Cause, CauseKind, Observation, Outcome, Reason, Verdict},
    monitor::{
        Life,
        findings::{Findings, Question},
    },
    scenario::{AlertFires, Expectation, PlacedExpectation},
};

/// What to ask the monitors about an outcome; `None` if there is nothing to explain.
pub fn question(
    placed: &PlacedExpectation,
    phase: usize,
    outcome: &Outcome,
    facts: Facts<'_>,
) -> Option<Question> {
    let Expectation::Fires(wanted) = &placed.expectation else { return None };
    let fell_short = matches!(outcome.verdict, Verdict::Missed | Verdict::Late);
    if !fell_short && outcome.reason != Some(Reason::NoSuchAlert) {
        return None;
    }
    let window = facts.windows.get(phase).copied()?;
    let ended = window.ended.unwrap_or(facts.now);
    let deadline = window.started + wanted.within.duration();
    let to = if deadline.since(ended) > 0.0 { deadline } else { ended };
    let over = next_fault(phase, facts).unwrap_or(facts.now);
    let life = fired(wanted, window, over, facts);
    let gone = life.and_then(|life| life.ended).map(|(at, _)| at).filter(|at| at.since(over) < 0.0);
    let mut earlier = facts.plan.phases.iter().zip(facts.windows).take(phase);
    let earlier = earlier.rfind(|(phase, _)| !phase.injections.is_empty());
    let after = |(_, window): (_, &Window)| window.ended.unwrap_or(facts.now).plus_s(AFTERMATH_S);
    Some(Question {
        alert: wanted.alert.clone(),
        wanted: wanted.labels.clone(),
        from: window.started,
        ended,
        to: if to.since(facts.now) > 0.0 { facts.now } else { to },
        fired: life.and_then(|life| Some((life.labels.clone(), alerts::fired(life)?.0))),
        until: gone.unwrap_or(over),
        quiet_from: earlier.map(after).or(facts.windows.first().map(|first| first.started))?,
        faulted_before: earlier.is_some(),
    })
}

/// How it fired before the next fault: as its evaluator tells it, with the labels that were asked for.
fn fired<'a>(wanted: &AlertFires, window: Window, over: Timestamp, facts: Facts<'a>) -> Option<&'a Life> {
    let labelled = |life: &Life| wanted.labels.iter().all(|(key, value)| life.labels.get(key) == Some(value));
    let lives = facts.history.lives(&wanted.alert, None).into_iter();
    let lives = lives.filter(|life| alerts::fired_within(life, window.started, over));
    lives.min_by_key(|life| (!labelled(life), facts.distance(life)))
}

/// The cause of an outcome, from the findings of each monitor by its name.
pub fn cause(outcome: &Outcome, question: &Question, findings: &[(String, Findings)]) -> Option<Cause> {
    if outcome.asked != Asked::Fires {
        return None;
    }
    match (outcome.verdict, outcome.reason) {
        (Verdict::Inconclusive, Some(Reason::NoSuchAlert)) => rule::absent(question, findings),
        (Verdict::Missed, Some(Reason::WrongLabels)) => rule::wrong_labels(question, findings),
        (Verdict::Missed, None | Some(Reason::MonitorBlind | Reason::CrossTalk)) => {
            let absent = || rule::absent(question, findings);
            findings.iter().find_map(|one| rule::not_fired(question, one)).or_else(absent)
        }
        (Verdict::Missed, Some(Reason::Suppressed | Reason::NotNotified)) => {
            delivery::not_heard(question, findings)
        }
        (Verdict::Late, None) => late::late(outcome, question, findings),
        _ => None,
    }
}

/// A cause with what every one has.
fn found(kind: CauseKind, monitor: &str, summary: String, evidence: Vec<Observation>) -> Cause {
    Cause { kind, monitor: Some(monitor.to_owned()), summary, remedy: None, closest: None, evidence }
}

/// An observation of no certain moment.
fn seen(asked: impl Into<String>, answer: impl Into<String>) -> Observation {
    Observation { asked: asked.into(), answer: answer.into(), at: None }
}

/// A number to three figures.
fn figures(value: f64) -> String {
    let size = value.abs();
    if size != 0.0 && !(1e-3..1e6).contains(&size) {
        return format!("{value:.2e}");
    }
    let decimals = if size == 0.0 { 0 } else { (2.0 - size.log10().floor()).clamp(0.0, 6.0) as usize };
    let text = format!("{value:.decimals$}");
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}

/// A span as it is read most easily.
fn span(seconds: f64) -> String {
    match seconds {
        s if s >= 120.0 => crate::unit::Span::from_secs(s.round() as u64).to_string(),
        s if s >= 9.95 => format!("{s:.0} s"),
        s => format!("{} s", figures((s * 10.0).round() / 10.0)),
    }
}

#[cfg(test)]
mod tests;

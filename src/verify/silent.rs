//! An alert that should stay silent, and alerts that fired while nothing was injected.

use super::{Facts, Window, alerts, outcome};
use crate::{
    event::{Asked, Outcome, Reason, Verdict},
    scenario::{AlertSilent, Expectation},
    unit::Span,
};

/// After a fault, what it set in motion may still surface for so long without being a false alarm.
pub(super) const AFTERMATH_S: f64 = 10.0;

pub(super) fn judge(
    wanted: &AlertSilent,
    window: Window,
    facts: Facts<'_>,
    blank: Outcome,
) -> Option<Outcome> {
    let monitor = wanted.monitor.as_deref();
    let mut outcome = blank;
    let lives = facts.history.lives(&wanted.alert, monitor);
    let end = window.ended.unwrap_or(facts.now);
    if let Some(life) = lives.iter().find(|life| alerts::true_before(life, window.started)) {
        // It may have ended in time, and that be told only now.
        facts.heard(&wanted.alert, monitor, window.started).then_some(())?;
        outcome.monitor = Some(life.monitor.clone());
        outcome.reason = Some(Reason::AlreadyFiring);
        outcome.detail = "was true before the phase began".into();
        return Some(outcome);
    }
    if let Some(life) = lives.iter().find(|life| alerts::fired_within(life, window.started, end)) {
        outcome.monitor = Some(life.monitor.clone());
        outcome.verdict = Verdict::FalseAlarm;
        outcome.time = alerts::fired(life).map(|at| alerts::measured(window.started, at));
        outcome.detail = "fired where it had to be silent".into();
        return Some(outcome);
    }
    facts.heard(&wanted.alert, monitor, facts.last_moment(window, Span::ZERO)?).then_some(())?;
    if facts.aborted() {
        outcome.reason = Some(Reason::Aborted);
        outcome.detail = "the run ended before its phase did".into();
    } else if let Some((reason, detail)) = facts.silence_means_nothing(&wanted.alert, monitor, window) {
        outcome.reason = Some(reason);
        outcome.detail = detail;
    } else if let Some((name, detail)) = facts.blind(&wanted.alert, monitor, false) {
        outcome.monitor = Some(name);
        outcome.reason = Some(Reason::MonitorBlind);
        outcome.detail = format!("could not have fired: {detail}");
    } else {
        outcome.verdict = Verdict::Met;
        outcome.detail = "stayed silent".into();
    }
    Some(outcome)
}

/// Alerts that fired in a phase with nothing injected, and that no fault before it explains: false alarms.
/// Those with an expectation of their own in that phase are judged there.
pub fn unexpected(facts: Facts<'_>) -> Vec<Outcome> {
    let mut found = Vec::new();
    let mut injected_before = false;
    let mut awaited: Vec<&str> = Vec::new();
    for (phase, window) in facts.plan.phases.iter().zip(facts.windows) {
        let subjects = phase.expectations.iter().map(|placed| subject(&placed.expectation));
        // What has to stay silent is judged in its own phase; what has to fire or clear may still do so later.
        let here: Vec<&str> = subjects.clone().map(|(alert, _)| alert).collect();
        awaited.extend(subjects.filter(|(_, lasting)| *lasting).map(|(alert, _)| alert));
        if !phase.injections.is_empty() {
            injected_before = true;
        }
        if phase.warm_up || !phase.injections.is_empty() {
            continue;
        }
        let from = window.started.plus_s(if injected_before { AFTERMATH_S } else { 0.0 });
        let to = window.ended.unwrap_or(facts.now);
        let mut names: Vec<&str> = Vec::new();
        for life in facts.history.all_lives().filter(|life| alerts::fired_within(life, from, to)) {
            let alert = life.alert.as_str();
            // The source closest to the rule knows when it began.
            let nearest =
                facts.history.lives(alert, None).into_iter().map(|other| facts.distance(other)).min();
            let began_here = alerts::began(life).is_some_and(|(at, _)| at.since(from) >= 0.0);
            let known = awaited.contains(&alert) || here.contains(&alert) || names.contains(&alert);
            if began_here && !known && Some(facts.distance(life)) == nearest {
                names.push(&life.alert);
                found.push(Outcome {
                    monitor: Some(life.monitor.clone()),
                    verdict: Verdict::FalseAlarm,
                    time: alerts::fired(life).map(|at| alerts::measured(window.started, at)),
                    detail: "fired while nothing was injected".into(),
                    ..outcome(&phase.name, Asked::Silent, &life.alert, None)
                });
            }
        }
    }
    found
}

/// What an expectation is about, and whether it may come true after its phase.
fn subject(expectation: &Expectation) -> (&str, bool) {
    match expectation {
        Expectation::Fires(wanted) => (&wanted.alert, true),
        Expectation::Clears(wanted) => (&wanted.alert, true),
        Expectation::Silent(wanted) => (&wanted.alert, false),
        Expectation::Holds(check) => (check.subject(), false),
    }
}

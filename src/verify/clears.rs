//! An alert that should clear once its fault has gone.

use super::{Facts, Window, alerts};
use crate::{
    clock::Timestamp,
    event::{Outcome, Reason, Verdict},
    monitor::Life,
    scenario::AlertClears,
};

pub(super) fn judge(
    wanted: &AlertClears,
    phase: usize,
    window: Window,
    facts: Facts<'_>,
    blank: Outcome,
) -> Option<Outcome> {
    let monitor = wanted.monitor.as_deref();
    let mut outcome = Outcome { within_s: Some(wanted.within.as_secs_f64()), ..blank };
    let over = facts
        .last_moment(window, wanted.within)
        .is_some_and(|moment| facts.heard(&wanted.alert, monitor, moment));
    let all = facts.history.lives(&wanted.alert, monitor);
    let nearest =
        all.iter().filter(|life| alerts::fired(life).is_some()).map(|life| facts.distance(life)).min();
    let near: Vec<&Life> = all.into_iter().filter(|life| Some(facts.distance(life)) == nearest).collect();
    // What was true before the fault began does not clear when the fault goes.
    let (old, lives): (Vec<&Life>, Vec<&Life>) = match fault_before(phase, facts) {
        Some(began) => near.into_iter().partition(|life| alerts::true_before(life, began)),
        None => (Vec::new(), near),
    };
    if !lives.iter().any(|life| alerts::fired(life).is_some()) {
        over.then_some(())?;
        let was_true = old.iter().any(|life| life.ended.is_none());
        (outcome.reason, outcome.detail) = match (facts.aborted(), was_true) {
            (true, _) => (Some(Reason::Aborted), "the run ended before this could be told".into()),
            (_, true) => (Some(Reason::AlreadyFiring), "was true before the fault began".into()),
            _ => (Some(Reason::NeverFired), "never fired, so there was nothing to clear".into()),
        };
        return Some(outcome);
    }
    // Pending again counts as not cleared.
    if let Some(life) = lives.iter().find(|life| life.ended.is_none()) {
        over.then_some(())?;
        outcome.monitor = Some(life.monitor.clone());
        if facts.aborted() {
            outcome.reason = Some(Reason::Aborted);
            outcome.detail = "the run ended before it cleared".into();
        } else if facts.was_away(&life.monitor, window) {
            outcome.reason = Some(Reason::MonitorUnreachable);
            outcome.detail = format!("monitor `{}` did not answer for part of the phase", life.monitor);
        } else {
            outcome.verdict = Verdict::Stuck;
            let lasted = window.ended.unwrap_or(facts.now).since(window.started);
            outcome.detail = format!("was still firing {lasted:.0} s after the fault had gone");
            outcome.advice = Some("look at the rule's window and at `keep_firing_for`".into());
        }
        return Some(outcome);
    }
    let ended = |life: &&&Life| life.ended.map_or(f64::NEG_INFINITY, |(at, _)| at.unix_s());
    let last = lives.iter().max_by(|a, b| ended(a).total_cmp(&ended(b)))?;
    let time = alerts::measured(window.started, last.ended?);
    outcome.monitor = Some(last.monitor.clone());
    outcome.time = Some(time);
    let late_by = time.seconds - wanted.within.as_secs_f64();
    if late_by > time.uncertainty_s {
        outcome.verdict = Verdict::Late;
        outcome.detail = format!("cleared {late_by:.1} s after its time");
        outcome.advice = Some("look at the rule's window and at `keep_firing_for`".into());
    } else {
        outcome.verdict = Verdict::Met;
        outcome.detail = "cleared in time".into();
    }
    Some(outcome)
}

/// When the last phase before this one that injects something began.
fn fault_before(phase: usize, facts: Facts<'_>) -> Option<Timestamp> {
    let earlier = facts.plan.phases.iter().zip(facts.windows).take(phase);
    earlier.filter(|(phase, _)| !phase.injections.is_empty()).map(|(_, window)| window.started).next_back()
}

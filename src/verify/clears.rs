//! An alert that should clear once its fault has gone.

use super::{Facts, Window, alerts};
use crate::{
    event::{Outcome, Reason, Verdict},
    scenario::AlertClears,
};

pub(super) fn judge(
    wanted: &AlertClears,
    window: Window,
    facts: Facts<'_>,
    blank: Outcome,
) -> Option<Outcome> {
    let monitor = wanted.monitor.as_deref();
    let mut outcome = Outcome { within_s: Some(wanted.within.as_secs_f64()), ..blank };
    let all = facts.history.lives(&wanted.alert, monitor);
    let fired: Vec<_> = all.into_iter().filter(|life| alerts::fired(life).is_some()).collect();
    let nearest = fired.iter().map(|life| facts.distance(life)).min();
    let lives: Vec<_> = fired.into_iter().filter(|life| Some(facts.distance(life)) == nearest).collect();
    let over = facts.settled(window);
    if lives.is_empty() {
        over.then_some(())?;
        outcome.reason = Some(if facts.aborted() { Reason::Aborted } else { Reason::NeverFired });
        outcome.detail = "never fired, so there was nothing to clear".into();
        return Some(outcome);
    }
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
    let last = lives.iter().max_by(|a, b| {
        let at = |life: &crate::monitor::Life| life.ended.map_or(0.0, |(at, _)| at.unix_s());
        at(a).total_cmp(&at(b))
    })?;
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

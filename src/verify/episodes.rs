//! When alerts fired in a run, and what that answered: read from its report alone.
//!
//! An alert with several sources (Prometheus, Alertmanager, an inbox) is read from those closest to its rule. Its instances
//! with other labels, or from another monitor as close, are one alert: it begins when the first becomes true and is over
//! with the last.

use std::collections::BTreeSet;

use super::silent::AFTERMATH_S;
use crate::{
    clock::Timestamp,
    event::{AlertChange, AlertState, Asked, Report},
};

/// What a firing was, of an alert that no expectation of a fault is met by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stray {
    /// It fired during a fault (the phase's number among the report's) that does not expect it.
    CrossTalk(usize),
    /// It fired while nothing was injected.
    FalseAlarm,
}

/// What a report tells of its phases: when they ran and what they inject and expect.
#[derive(Debug)]
pub(super) struct Timeline<'a> {
    report: &'a Report,
    injects: Vec<bool>,
    /// Phases in which monitoring may neither fire nor be trusted to keep silent.
    warms_up: Vec<bool>,
    /// Alerts that should fire, by phase.
    fires: Vec<BTreeSet<&'a str>>,
    /// Alerts that may have to do with a fault before, by phase: they should fire or clear there.
    lasting: Vec<BTreeSet<&'a str>>,
}

impl<'a> Timeline<'a> {
    pub(super) fn of(report: &'a Report) -> Timeline<'a> {
        let planned = |phase: &str| report.outline.phases.iter().find(|planned| planned.phase == phase);
        let injects = |phase: &str| planned(phase).is_some_and(|planned| !planned.faults.is_empty());
        let warms_up = |phase: &str| planned(phase).is_some_and(|planned| planned.warm_up);
        let asked = |phase: &str, kinds: &[Asked]| -> BTreeSet<&'a str> {
            let such = report.outcomes.iter().filter(|o| o.phase == phase && kinds.contains(&o.asked));
            such.map(|outcome| outcome.subject.as_str()).collect()
        };
        let phases = || report.phases.iter().map(|record| record.phase.as_str());
        Timeline {
            report,
            injects: phases().map(injects).collect(),
            warms_up: phases().map(warms_up).collect(),
            fires: phases().map(|phase| asked(phase, &[Asked::Fires])).collect(),
            lasting: phases().map(|phase| asked(phase, &[Asked::Fires, Asked::Clears])).collect(),
        }
    }

    /// Does a phase inject something?
    pub(super) fn injects(&self, phase: usize) -> bool {
        self.injects.get(phase).copied().unwrap_or_default()
    }

    /// How long an alert was watched for during and after a phase: until the next fault, or the end of the run.
    pub(super) fn watched_s(&self, phase: usize) -> f64 {
        let Some(record) = self.report.phases.get(phase) else { return 0.0 };
        let next = (phase + 1..self.report.phases.len()).find(|later| self.injects(*later));
        let until = next.map_or(self.report.ended, |next| self.report.phases[next].started);
        until.since(record.started).max(0.0)
    }

    /// When quiet begins in a phase with nothing injected: what a fault before it set in motion is no false alarm.
    fn quiet_from(&self, phase: usize) -> Timestamp {
        let after_fault = (0..phase).any(|before| self.injects(before));
        self.report.phases[phase].started.plus_s(if after_fault { AFTERMATH_S } else { 0.0 })
    }

    fn awaited(&self, alert: &str, phase: usize) -> bool {
        self.lasting.iter().take(phase + 1).any(|alerts| alerts.contains(alert))
    }

    /// Time with nothing injected in which an alert has no reason to fire.
    pub(super) fn quiet_s(&self, alert: &str) -> f64 {
        let quiet = |(phase, record): (usize, &crate::event::PhaseRecord)| {
            if self.injects(phase) || self.warms_up[phase] || self.awaited(alert, phase) {
                return 0.0;
            }
            record.ended.since(self.quiet_from(phase)).max(0.0)
        };
        self.report.phases.iter().enumerate().map(quiet).sum()
    }

    /// The firings of an alert that answer no fault which expects it.
    pub(super) fn strays(&self, alert: &str) -> Vec<Stray> {
        let stray = |began: Timestamp| {
            let phase = self.report.phases.iter().rposition(|record| began.since(record.started) >= 0.0)?;
            if self.injects(phase) {
                return (!self.fires[phase].contains(alert)).then_some(Stray::CrossTalk(phase));
            }
            if self.warms_up[phase] || self.awaited(alert, phase) {
                return None;
            }
            let fault = (0..phase).rev().find(|before| self.injects(*before));
            let in_wake = began.since(self.quiet_from(phase)) < 0.0;
            Some(fault.filter(|_| in_wake).map_or(Stray::FalseAlarm, Stray::CrossTalk))
        };
        began(self.report, alert).into_iter().filter_map(stray).collect()
    }
}

/// The alerts that fired at any time in a run.
pub(super) fn fired(report: &Report) -> BTreeSet<&str> {
    report.alerts.iter().filter(|change| firing(change.state)).map(|change| change.alert.as_str()).collect()
}

fn firing(state: AlertState) -> bool {
    !matches!(state, AlertState::Inactive | AlertState::Pending)
}

/// When each firing of an alert began: when its condition became true, where the source tells.
fn began(report: &Report, alert: &str) -> Vec<Timestamp> {
    let of_alert = || report.alerts.iter().filter(|change| change.alert == alert);
    let distance = |change: &&AlertChange| match report.rules.contains_key(&change.monitor) {
        _ if change.notification => 2,
        true => 0,
        false => 1,
    };
    let Some(nearest) = of_alert().map(|change| distance(&change)).min() else { return Vec::new() };
    let mut changes: Vec<&AlertChange> = of_alert().filter(|change| distance(change) == nearest).collect();
    changes.sort_by(|a, b| a.at.unix_s().total_cmp(&b.at.unix_s()));
    let (mut active, mut since, mut fired) = (BTreeSet::new(), None, false);
    let mut all = Vec::new();
    for change in changes {
        let instance = (&change.monitor, &change.labels);
        if change.state == AlertState::Inactive {
            active.remove(&instance);
        } else {
            active.insert(instance);
            let began = *since.get_or_insert(change.at);
            if firing(change.state) && !fired {
                fired = true;
                all.push(began);
            }
        }
        if active.is_empty() {
            (since, fired) = (None, false);
        }
    }
    all
}

//! Expectations + alert history + evidence → verdicts.
//!
//! Everything here is pure: the same facts give the same verdict, now or from a file a year later. A monitor
//! is blamed only after the delivery check; what can't be told is inconclusive, with its reason, and never
//! a miss.
//!
//! An expectation is judged again and again while its phase runs, and answers `None` until it is decided.
//! The alert's own timestamps decide, not the moment canard heard of them, so a slow poll makes no alert late.

mod alerts;
mod baseline;
mod cause;
mod clears;
mod comparison;
mod delivery;
mod episodes;
mod fires;
mod matrix;
mod power;
mod reference;
mod score;
mod shadows;
mod silent;
mod sweep;
mod text_effects;
#[cfg(test)]
mod tests;

use std::{collections::BTreeMap, time::Duration};

use crate::{
    clock::Timestamp,
    event::{Asked, Delivered, Delivery, Ending, Measured, Outcome, Reason, Verdict},
    monitor::{History, Life, Rule},
    scenario::{Expectation, PlacedExpectation, Plan},
    unit::Span,
};

pub use baseline::{BASELINE_VERSION, Baseline, CATCHES};
pub use cause::{cause, question};
pub use comparison::comparisons;
pub use delivery::{Accuracy, PhaseAccuracy, deliveries};
pub use matrix::{Played, campaign_exit_code, matrix};
pub use power::power;
pub use reference::{FALSE_ALARM_DAYS, ReferenceWatch, Waits};
pub use score::{exit_code, score};
pub use shadows::shadows;
pub use silent::unexpected;
pub use sweep::{Counted, Findings, Judged, Next, sweep_exit_code};

/// When a phase really ran.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Window {
    /// When it began.
    pub started: Timestamp,
    /// When it ended; `None` while it runs.
    pub ended: Option<Timestamp>,
}

/// What is known of a monitor besides its alerts.
#[derive(Debug, Clone, Default)]
pub struct MonitorFacts {
    /// Its rules at the last look, if it tells them.
    pub rules: Option<Vec<Rule>>,
    /// Does it evaluate rules (Prometheus), or only hear of alerts (Alertmanager, a webhook)?
    pub knows_rules: bool,
    /// Is it the end of the chain, somebody's inbox?
    pub is_notification: bool,
    /// Time from one scrape to the next, if it scrapes and tells.
    pub scrape_interval: Option<Duration>,
    /// Why it does not answer now; `None` when it does.
    pub error: Option<String>,
    /// Time between looks.
    pub poll: Duration,
}

/// All that a verdict rests on.
#[derive(Debug, Clone, Copy)]
pub struct Facts<'a> {
    /// What was planned.
    pub plan: &'a Plan,
    /// When the phases ran; as many as have begun.
    pub windows: &'a [Window],
    /// What the alerts did.
    pub history: &'a History,
    /// The monitors by name.
    pub monitors: &'a BTreeMap<String, MonitorFacts>,
    /// The delivery check of every fault so far.
    pub deliveries: &'a [Delivery],
    /// The time now.
    pub now: Timestamp,
    /// Set when the run is over: every question gets its answer.
    pub ending: Option<Ending>,
}

impl<'a> Facts<'a> {
    /// The monitors that an expectation may be decided by.
    fn asked(&self, monitor: Option<&'a str>) -> impl Iterator<Item = (&'a str, &'a MonitorFacts)> {
        let named = move |name: &&String| monitor.is_none_or(|wanted| wanted == name.as_str());
        self.monitors.iter().filter(move |(name, _)| named(name)).map(|(name, facts)| (name.as_str(), facts))
    }

    /// The moment until which an expectation may still come true: the end of its phase, or its own deadline if
    /// that is later. `None` while the phase runs.
    fn last_moment(&self, window: Window, within: Span) -> Option<Timestamp> {
        if self.ending.is_some() {
            return Some(self.now);
        }
        let deadline = window.started + within.duration();
        window.ended.map(|end| if deadline.since(end) > 0.0 { deadline } else { end })
    }

    /// Has every monitor that is asked told what it knew at a moment, or been found not to answer? One
    /// evaluation of the rule is waited for beyond it.
    fn heard(&self, alert: &str, monitor: Option<&'a str>, moment: Timestamp) -> bool {
        let of_alert = |rule: &&Rule| rule.alert == alert;
        let told = |(name, facts): (&str, &MonitorFacts)| {
            let interval = facts.rules.iter().flatten().find(of_alert).and_then(|rule| rule.interval);
            let patience = interval.map_or(1.0, |interval| interval.as_secs_f64().clamp(1.0, 60.0));
            let read = self.history.last_reading(name);
            read.is_some_and(|at| at.since(moment) >= patience)
                || (facts.error.is_some() && self.now.since(moment) >= patience)
        };
        self.ending.is_some() || self.asked(monitor).all(told)
    }

    /// How long the monitors may take to tell everything about a moment.
    pub fn patience(&self) -> Duration {
        let polls = self.monitors.values().map(|monitor| monitor.poll);
        let rules = self.monitors.values().flat_map(|monitor| monitor.rules.iter().flatten());
        let intervals = rules.filter_map(|rule| rule.interval);
        polls.chain(intervals).max().unwrap_or_default().min(Duration::from_secs(60))
    }

    /// A rule that can't fire: unhealthy, never evaluated, or (where that counts) without data.
    fn blind(&self, alert: &str, monitor: Option<&'a str>, without_data: bool) -> Option<(String, String)> {
        self.asked(monitor).find_map(|(name, monitor)| {
            let rule = monitor.rules.iter().flatten().find(|rule| rule.alert == alert)?;
            let detail = match (&rule.last_error, rule.healthy, rule.last_evaluation, rule.has_data) {
                (Some(error), _, _, _) => format!("its rule fails: {error}"),
                (None, _, None, _) => "its rule was never evaluated".to_owned(),
                (None, false, _, _) => "its rule is not healthy".to_owned(),
                (None, true, Some(_), Some(false)) if without_data => {
                    format!("its rule has no data to work on: {}", rule.query)
                }
                _ => return None,
            };
            Some((name.to_owned(), detail))
        })
    }

    /// How far a life's source is from the rule: the evaluator, Alertmanager, the receiver. The closest knows
    /// the times best; a receiver's word of the end waits for its group interval.
    fn distance(&self, life: &Life) -> u8 {
        match self.monitors.get(&life.monitor) {
            _ if life.notification => 2,
            Some(monitor) if monitor.knows_rules => 0,
            _ => 1,
        }
    }

    fn aborted(&self) -> bool {
        self.ending.is_some_and(|ending| ending != Ending::Completed)
    }

    /// Was a monitor away during part of a window?
    fn was_away(&self, monitor: &str, window: Window) -> bool {
        let end = window.ended.unwrap_or(self.now);
        let overlaps = |from: Timestamp, to: Option<Timestamp>| {
            from.since(end) < 0.0 && to.is_none_or(|to| to.since(window.started) > 0.0)
        };
        self.history.gaps(monitor).iter().any(|(from, to)| overlaps(*from, *to))
    }

    /// Why an alert's silence proves nothing, if it does not: its monitors were away, or none has such a rule.
    fn silence_means_nothing(
        &self,
        alert: &str,
        monitor: Option<&'a str>,
        window: Window,
    ) -> Option<(Reason, String)> {
        let has_rule = |facts: &MonitorFacts| facts.rules.iter().flatten().any(|rule| rule.alert == alert);
        let judges: Vec<_> = self.asked(monitor).filter(|(_, facts)| !facts.is_notification).collect();
        let attended = |name: &str| !self.was_away(name, window);
        if judges.iter().any(|(name, facts)| has_rule(facts) && attended(name)) {
            return None;
        }
        if let Some((name, facts)) = self.asked(monitor).find(|(name, _)| !attended(name)) {
            let why = facts.error.clone().unwrap_or_else(|| "it did not answer for part of the phase".into());
            return Some((Reason::MonitorUnreachable, format!("monitor `{name}` could not be asked: {why}")));
        }
        let all_tell = judges.iter().all(|(_, facts)| facts.rules.is_some());
        let seen_before = !self.history.lives(alert, monitor).is_empty();
        if all_tell && !judges.is_empty() && !seen_before && !judges.iter().any(|(_, facts)| has_rule(facts))
        {
            let names: Vec<_> = judges.iter().map(|(name, _)| *name).collect();
            let detail =
                format!("no rule `{alert}` in {}{}", names.join(", "), self.nearest_rule(alert, &judges));
            return Some((Reason::NoSuchAlert, detail));
        }
        None
    }

    fn nearest_rule(&self, alert: &str, judges: &[(&str, &MonitorFacts)]) -> String {
        let names = judges.iter().flat_map(|(_, facts)| facts.rules.iter().flatten()).map(|rule| &rule.alert);
        let near =
            names.map(|name| (strsim::jaro_winkler(name, alert), name)).max_by(|a, b| a.0.total_cmp(&b.0));
        match near {
            Some((likeness, name)) if likeness > 0.8 => format!("; there is `{name}`"),
            _ => String::new(),
        }
    }
}

/// The start of an outcome: everything but the verdict.
fn outcome(phase: &str, asked: Asked, subject: &str, line: Option<usize>) -> Outcome {
    Outcome {
        phase: phase.to_owned(),
        asked,
        subject: subject.to_owned(),
        monitor: None,
        within_s: None,
        line,
        verdict: Verdict::Inconclusive,
        reason: None,
        time: None,
        stages_s: BTreeMap::new(),
        detail: String::new(),
        advice: None,
        reference: None,
        cause: None,
    }
}

/// Judges one expectation of phase number `phase`; `None` while it can't be told yet.
///
/// `Holds` is not decided here: its query is asked while the phase runs.
pub fn judge(expected: &PlacedExpectation, phase: usize, facts: Facts<'_>) -> Option<Outcome> {
    let name = &facts.plan.phases.get(phase)?.name;
    let blank = |asked, subject: &str| outcome(name, asked, subject, expected.line);
    let Some(window) = facts.windows.get(phase).copied() else {
        return facts.ending.map(|_| never_reached(expected, name));
    };
    match &expected.expectation {
        Expectation::Fires(wanted) => {
            fires::judge(wanted, phase, window, facts, blank(Asked::Fires, &wanted.alert))
        }
        Expectation::Silent(wanted) => {
            silent::judge(wanted, window, facts, blank(Asked::Silent, &wanted.alert))
        }
        Expectation::Clears(wanted) => {
            clears::judge(wanted, phase, window, facts, blank(Asked::Clears, &wanted.alert))
        }
        Expectation::Holds(_) => None,
    }
}

/// The outcome of an expectation whose phase never began.
fn never_reached(expected: &PlacedExpectation, phase: &str) -> Outcome {
    let (asked, subject) = match &expected.expectation {
        Expectation::Fires(wanted) => (Asked::Fires, wanted.alert.as_str()),
        Expectation::Silent(wanted) => (Asked::Silent, wanted.alert.as_str()),
        Expectation::Clears(wanted) => (Asked::Clears, wanted.alert.as_str()),
        Expectation::Holds(check) => (Asked::Holds, check.subject()),
    };
    Outcome {
        reason: Some(Reason::Aborted),
        detail: "the run ended before this phase".into(),
        ..outcome(phase, asked, subject, expected.line)
    }
}

/// The looks at a `holds` during its phase.
#[derive(Debug, Clone, Default)]
pub struct Looks {
    /// How many found it true.
    pub held: u64,
    /// When the first of them did, in seconds from the start of the phase, and the time since the look before.
    pub first: Option<Measured>,
    /// What the first that found it false read.
    pub failed: Option<String>,
    /// Why the last that failed had no answer.
    pub unanswered: Option<String>,
}

/// The outcome of a `holds`, from the looks at it; `None` while it can't be told yet: until its phase is `over`,
/// or the run `aborted` in it.
pub fn judge_condition(
    expected: &PlacedExpectation,
    phase: &str,
    looks: &Looks,
    over: bool,
    aborted: bool,
) -> Option<Outcome> {
    let Expectation::Holds(check) = &expected.expectation else { return None };
    let mut outcome = outcome(phase, Asked::Holds, check.subject(), expected.line);
    outcome.monitor = check.asked().map(str::to_owned);
    outcome.within_s = check.within.map(Span::as_secs_f64);
    let unreachable =
        |error: &String| (Verdict::Inconclusive, Some(Reason::MonitorUnreachable), error.clone());
    let never = || {
        let detail = "was never asked: the phase was too short".to_owned();
        (Verdict::Inconclusive, Some(Reason::Aborted), detail)
    };
    let missed = |detail| (Verdict::Missed, Some(Reason::ConditionFalse), detail);
    (outcome.verdict, outcome.reason, outcome.detail) = match (outcome.within_s, looks.first) {
        (Some(within_s), Some(first)) => {
            outcome.time = Some(first);
            let verdict = if first.seconds <= within_s { Verdict::Met } else { Verdict::Late };
            (verdict, None, "became true".to_owned())
        }
        _ if !over => return None,
        (Some(_), None) if aborted => {
            let detail = "the run ended before it became true".to_owned();
            (Verdict::Inconclusive, Some(Reason::Aborted), detail)
        }
        (Some(_), None) => match (&looks.failed, &looks.unanswered) {
            (_, Some(error)) => unreachable(error),
            (Some(what), None) => missed(format!("never became true: {what}")),
            (None, None) => never(),
        },
        (None, _) => match (&looks.failed, &looks.unanswered) {
            (Some(what), _) => missed(format!("was not true: {what}")),
            (None, Some(error)) => unreachable(error),
            (None, None) if looks.held == 0 => never(),
            (None, None) => (Verdict::Met, None, format!("was true at all {} looks", looks.held)),
        },
    };
    Some(outcome)
}

/// The deliveries of one phase.
fn of_phase<'a>(deliveries: &'a [Delivery], phase: &'a str) -> impl Iterator<Item = &'a Delivery> + Clone {
    deliveries.iter().filter(move |delivery| delivery.phase == phase)
}

/// Did every fault of a phase take effect, beyond doubt?
pub fn all_delivered(deliveries: &[Delivery], phase: &str) -> bool {
    of_phase(deliveries, phase).all(|delivery| delivery.delivered == Delivered::Yes)
}

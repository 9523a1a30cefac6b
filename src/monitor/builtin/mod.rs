//! The built-in monitor: thresholds with windows on what callers saw, so that CI needs no server.
//!
//! It behaves as a rule in a real monitor would: it sees everybody, treated and control together, over a
//! window, waits for `for`, and knows nothing of phases, save that the first one is its reference for drift.
//! Each look is one evaluation. A window with too few requests says nothing: the alert stays as it was, as
//! silence in the data must not pass for an all-clear, and the rule reports that it has no data. Counts that
//! no longer move at all say nothing of that either: the run may be over.

mod examine;
mod signal;

use std::{
    collections::{BTreeMap, VecDeque},
    time::Duration,
};

use super::{
    AlertInstance, AlertSource, BoxFuture, EvidenceSource, Findings, MonitorError, Question, Reading, Rule,
};
use crate::{
    clock::{self, Timestamp},
    event::AlertState,
    evidence::{ArmEvidence, Evidence},
    scenario::{BuiltinRule, BuiltinSettings},
};

/// Time between evaluations.
const EVERY: Duration = Duration::from_secs(1);
/// Readings kept for windows; with a longer window than they cover, what they cover is used.
const MOST_SAMPLES: usize = 3_700;
/// How much later than the start of a window its first reading may lie: the jitter of a timer.
const JITTER_S: f64 = 0.05;

/// Thresholds on what callers saw.
pub(super) struct Builtin {
    settings: BuiltinSettings,
    evidence: EvidenceSource,
    samples: VecDeque<(Timestamp, ArmEvidence)>,
    scenario: String,
    states: BTreeMap<String, State>,
    /// Which rules had data when the counts last moved; nothing while they never did.
    had_data: HadData,
    measured: examine::Measurements,
}

/// Of each rule: did it have data? `None` if it can't have any yet.
type HadData = BTreeMap<String, Option<bool>>;

/// Where a rule is, and since when.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
enum State {
    #[default]
    Inactive,
    Pending(Timestamp),
    Firing(Timestamp),
}

impl Builtin {
    pub(super) fn new(settings: BuiltinSettings, evidence: EvidenceSource) -> Builtin {
        Builtin {
            settings,
            evidence,
            samples: VecDeque::new(),
            scenario: String::new(),
            states: BTreeMap::new(),
            had_data: HadData::new(),
            measured: examine::Measurements::new(),
        }
    }

    async fn read(&mut self) -> Result<Reading, MonitorError> {
        let evidence = (self.evidence)().await;
        let now = clock::now();
        let Some(evidence) = evidence else {
            if self.samples.is_empty() {
                return Ok(self.tell(now, &HadData::new())); // nothing is armed yet
            }
            return Err(MonitorError::Unreachable("no evidence from the sidecar".into()));
        };
        let moved = self.remember(now, &evidence);
        let has_data = self.evaluate(now, &evidence);
        if moved {
            self.had_data = has_data;
        } else if self.had_data.is_empty() {
            return Ok(self.tell(now, &has_data));
        }
        Ok(self.tell(now, &self.had_data))
    }

    /// Takes up what was counted; tells whether it moved since the last look.
    fn remember(&mut self, now: Timestamp, evidence: &Evidence) -> bool {
        let everybody = evidence.everybody();
        let restarted = self.samples.back().is_some_and(|(_, last)| everybody.requests() < last.requests());
        if restarted || self.scenario != evidence.scenario {
            self.samples.clear();
            self.had_data.clear();
            self.scenario.clone_from(&evidence.scenario);
        }
        let moved = self.samples.back().is_some_and(|(_, last)| *last != everybody);
        self.samples.push_back((now, everybody));
        let windows = self.settings.rules.values().map(|rule| rule.window.as_secs_f64());
        let oldest = now.plus_s(JITTER_S - windows.fold(0.0, f64::max));
        // One reading from before the longest window is needed as its start.
        while self.samples.get(1).is_some_and(|(at, _)| *at <= oldest) || self.samples.len() > MOST_SAMPLES {
            self.samples.pop_front();
        }
        moved
    }

    /// What was counted in the last `window`, or since the first reading if that is not so long ago.
    fn window(&self, now: Timestamp, window: Duration) -> Option<ArmEvidence> {
        let start = now.plus_s(JITTER_S - window.as_secs_f64());
        let (_, newest) = self.samples.back()?;
        let earlier = self.samples.iter().take(self.samples.len() - 1);
        let first = self.samples.front().filter(|_| self.samples.len() > 1);
        let base = earlier.take_while(|(at, _)| *at <= start).last().or(first);
        Some(newest.since(&base?.1))
    }

    /// Evaluates every rule; tells which had data.
    fn evaluate(&mut self, now: Timestamp, evidence: &Evidence) -> HadData {
        let reference = signal::Reference::of(evidence);
        let mut has_data = HadData::new();
        for (alert, rule) in &self.settings.rules {
            let measured = match self.window(now, rule.window.duration()) {
                Some(window) => signal::measure(rule, &window, &reference),
                None => signal::Measured::NotYet,
            };
            has_data.insert(alert.clone(), measured.has_data());
            examine::keep(&mut self.measured, alert, now, measured);
            if let signal::Measured::Value(value) = measured {
                let state = self.states.entry(alert.clone()).or_default();
                *state = state.next(rule, rule.fires.holds(value), now);
            }
        }
        has_data
    }

    fn tell(&self, now: Timestamp, has_data: &HadData) -> Reading {
        let alerts = self.states.iter().filter_map(|(alert, state)| state.instance(alert));
        let rules = self.settings.rules.iter().map(|(alert, rule)| Rule {
            alert: alert.clone(),
            healthy: true,
            last_error: None,
            last_evaluation: Some(now),
            interval: Some(EVERY),
            hold: Some(rule.hold.duration()),
            query: signal::describe(rule),
            has_data: has_data.get(alert).copied().unwrap_or(Some(false)),
            labels: BTreeMap::new(),
        });
        Reading {
            taken_at: now,
            skew_s: 0.0,
            scrape_interval: None,
            clock_uncertainty_s: 0.0,
            alerts: alerts.collect(),
            rules: Some(rules.collect()),
        }
    }
}

impl State {
    fn next(self, rule: &BuiltinRule, broken: bool, now: Timestamp) -> State {
        let hold = rule.hold.as_secs_f64();
        match self {
            _ if !broken => State::Inactive,
            State::Inactive if hold == 0.0 => State::Firing(now),
            State::Inactive => State::Pending(now),
            State::Pending(since) if now.since(since) >= hold - JITTER_S => State::Firing(now),
            same => same,
        }
    }

    fn instance(self, alert: &str) -> Option<AlertInstance> {
        let (state, at) = match self {
            State::Inactive => return None,
            State::Pending(at) => (AlertState::Pending, at),
            State::Firing(at) => (AlertState::Firing, at),
        };
        Some(AlertInstance {
            alert: alert.to_owned(),
            labels: BTreeMap::new(),
            state,
            since: Some((state, at)),
            notification: false,
            ended: None,
        })
    }
}

impl AlertSource for Builtin {
    fn poll(&mut self) -> BoxFuture<'_, Result<Reading, MonitorError>> {
        Box::pin(self.read())
    }

    fn interval(&self) -> Duration {
        EVERY
    }

    fn examine<'a>(&'a mut self, question: &'a Question) -> BoxFuture<'a, Findings> {
        Box::pin(std::future::ready(self.findings(question)))
    }

    fn knows_rules(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests;

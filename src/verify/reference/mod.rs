//! When could the fault have been noticed? A reference detector on the traffic that the monitors see.
//!
//! It looks at what everybody got, treated or not, as a monitor does, and compares it with what everybody got before
//! the first fault. It is told what a fault of that kind could show in, and neither its size nor its beginning. Its
//! test is [`ChangeDetector`]: shares only, at most one false alarm in [`FALSE_ALARM_DAYS`], looked at as often as
//! the evidence is. Lengths and tokens of texts, the order of lists, vectors, values and what is true are none of the
//! shares that it knows, so it says what it looked at.

mod signals;
#[cfg(test)]
mod tests;

use std::time::Duration;

use self::signals::Signals;
use super::delivery::{FEWEST, before_any_fault};
use crate::{
    event::{Delay, Measured, Outcome, Part, Reference},
    evidence::{ArmEvidence, Evidence},
    scenario::Plan,
    stats::ChangeDetector,
};

/// The reference detector raises at most one false alarm in so many days.
pub const FALSE_ALARM_DAYS: f64 = 30.0;

/// Watches one phase.
#[derive(Debug, Clone)]
pub struct ReferenceWatch {
    signals: Signals,
    detector: ChangeDetector,
    looked_s: f64,
    noticed: Option<(Measured, String)>,
}

impl ReferenceWatch {
    /// A watch of a phase that has just begun, looked at every `look`. `None` if the phase injects nothing,
    /// or too little was seen before the first fault to compare with.
    pub fn begin(plan: &Plan, phase: usize, evidence: &Evidence, look: Duration) -> Option<ReferenceWatch> {
        let phase = plan.phases.get(phase).filter(|phase| !phase.injections.is_empty())?;
        let before = before_any_fault(plan, evidence);
        if before.requests() < FEWEST {
            return None;
        }
        let signals = Signals::of(plan, &phase.injections, &before);
        let looks = FALSE_ALARM_DAYS * 86_400.0 / look.as_secs_f64();
        let detector = ChangeDetector::new(signals.questions(), signals.counts(&before), looks);
        Some(ReferenceWatch { signals, detector, looked_s: 0.0, noticed: None })
    }

    /// Looks at what everybody saw in the phase so far, so many seconds after it began.
    pub fn look(&mut self, seconds: f64, everybody: &ArmEvidence) {
        let uncertainty_s = (seconds - self.looked_s).max(0.0);
        self.looked_s = seconds;
        if self.noticed.is_none()
            && let Some(question) = self.detector.look(&self.signals.counts(everybody))
        {
            self.noticed = Some((Measured { seconds, uncertainty_s }, self.signals.name(question)));
        }
    }

    /// What it found, beside an alert that should have.
    pub fn beside(&self, outcome: &Outcome, waits: Waits) -> Reference {
        let (noticed, signal) = self.noticed.clone().unzip();
        Reference {
            behind: noticed.map_or_else(Vec::new, |noticed| behind(noticed.seconds, outcome, waits)),
            noticed,
            signal,
            watched_s: self.looked_s,
            looked_at: self.signals.looked_at(),
            false_alarm_days: FALSE_ALARM_DAYS,
        }
    }
}

/// What a monitor takes for each look, as far as it tells.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Waits {
    /// From one scrape to the next.
    pub scrape: Duration,
    /// From one evaluation of the rule to the next.
    pub evaluation: Duration,
}

/// By how much an alert was behind, part by part, in the order in which they can be shortened at no loss.
fn behind(noticed_s: f64, outcome: &Outcome, waits: Waits) -> Vec<Delay> {
    let stage = |name: &str| outcome.stages_s.get(name).copied();
    let Some(fired) = stage("firing").or(outcome.time.map(|time| time.seconds)).filter(|at| *at > noticed_s)
    else {
        return Vec::new();
    };
    let parts = match stage("pending") {
        Some(pending) => {
            let held = fired - pending.max(noticed_s);
            let waited = (pending - noticed_s).max(0.0);
            let looking = waited.min((waits.scrape + waits.evaluation).as_secs_f64());
            vec![
                (Part::For, held),
                (Part::ScrapeAndEvaluation, looking),
                (Part::WindowAndThreshold, waited - looking),
            ]
        }
        None => vec![(Part::Rule, fired - noticed_s)],
    };
    parts.into_iter().filter(|(_, s)| *s >= 0.05).map(|(part, seconds)| Delay { part, seconds }).collect()
}

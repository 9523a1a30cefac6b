//! Guards and conditions: asked once a second, for as long as the run goes on.

use std::{collections::VecDeque, time::Duration};

use tokio::{
    sync::mpsc,
    task::JoinSet,
    time::{MissedTickBehavior, interval},
};

use super::watchers::Desk;
use crate::{
    clock::Timestamp,
    evidence::ArmEvidence,
    monitor::MonitorError,
    scenario::{Expectation, Guard, Observed, Plan, PromqlCheck},
};

/// A guard that can't be read so many times in a row counts as tripped: flying blind is not safe.
pub(super) const BLIND_LOOKS: u32 = 3;
/// What an `observed` guard looks at.
const WINDOW_S: f64 = 10.0;
/// An `observed` guard says nothing about fewer requests.
const FEWEST: u64 = 20;

/// Who asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Asker {
    /// Guard number so-and-so of the scenario.
    Guard(usize),
    /// A `holds`: phase, number of the expectation.
    Condition(usize, usize),
}

/// An answer to a PromQL check.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) asker: Asker,
    pub(super) result: Result<(bool, String), MonitorError>,
}

/// Asks every PromQL check of a plan once a second.
pub(super) fn probe(plan: &Plan, desk: &Desk, answers: &mpsc::Sender<Answer>, tasks: &mut JoinSet<()>) {
    let guards = plan.guards.iter().enumerate().filter_map(|(number, guard)| match guard {
        Guard::Query(check) => Some((Asker::Guard(number), check)),
        Guard::Observed(_) => None,
    });
    let conditions = plan.phases.iter().enumerate().flat_map(|(index, phase)| {
        phase.expectations.iter().enumerate().filter_map(move |(number, placed)| match &placed.expectation {
            Expectation::Holds(check) => Some((Asker::Condition(index, number), check)),
            _ => None,
        })
    });
    for (asker, check) in guards.chain(conditions) {
        tasks.spawn(ask(asker, check.clone(), desk.clone(), answers.clone()));
    }
}

async fn ask(asker: Asker, check: PromqlCheck, desk: Desk, answers: mpsc::Sender<Answer>) {
    let mut ticks = interval(Duration::from_secs(1));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let result = desk.ask(&check.monitor, &check.promql).await;
        if answers.send(Answer { asker, result }).await.is_err() {
            return;
        }
    }
}

/// What callers saw in the last seconds.
#[derive(Debug, Default)]
pub(super) struct Recent(VecDeque<(Timestamp, ArmEvidence)>);

impl Recent {
    /// Adds a reading and forgets those that are too old.
    pub(super) fn push(&mut self, at: Timestamp, everybody: ArmEvidence) {
        self.0.push_back((at, everybody));
        while self.0.get(1).is_some_and(|(old, _)| at.since(*old) >= WINDOW_S) {
            self.0.pop_front();
        }
    }

    /// Does the window break a limit? Then which, and what was read.
    pub(super) fn breaks(&self, limits: &Observed) -> Option<String> {
        let (first, last) = (self.0.front()?, self.0.back()?);
        let window = last.1.since(&first.1);
        if window.requests() < FEWEST {
            return None;
        }
        let read = |name: &str, limit: &Option<crate::unit::Comparison>, value: Option<f64>| {
            let (limit, value) = (limit.as_ref()?, value?);
            limit
                .holds(value)
                .then(|| format!("{name} was {value:.3} over the last {WINDOW_S} s (limit {limit})"))
        };
        read("error rate", &limits.error_rate, window.error_share())
            .or_else(|| read("p99 latency in seconds", &limits.latency_p99, window.latency.quantile(0.99)))
    }
}

/// A guard as a scenario writes it.
pub(super) fn in_words(guard: &Guard) -> String {
    match guard {
        Guard::Query(check) => format!("{}: {}", check.monitor, check.promql),
        Guard::Observed(limits) => {
            let part = |name: &str, limit: &Option<crate::unit::Comparison>| {
                limit.as_ref().map(|l| format!("{name} {l}"))
            };
            let parts = [part("error-rate", &limits.error_rate), part("latency-p99", &limits.latency_p99)];
            format!("observed: {}", parts.into_iter().flatten().collect::<Vec<_>>().join(", "))
        }
    }
}

//! Guards and conditions: asked once a second, before the first fault and for as long as the run goes on.

use tokio::{
    sync::mpsc,
    task::JoinSet,
    time::{MissedTickBehavior, interval},
};

use super::watchers::{Desk, GUARD};
use crate::{
    monitor::MonitorError,
    scenario::{Expectation, Guard, Plan, Question, Whose},
    unit::Comparison,
};

/// Who asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Asker {
    /// Guard number so-and-so of the scenario.
    Guard(usize),
    /// A `holds`: phase, number of the expectation.
    Condition(usize, usize),
}

/// An answer: is it true, and what was read?
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) asker: Asker,
    pub(super) result: Result<(bool, String), MonitorError>,
}

/// Asks every question of a plan once a second.
pub(super) fn probe(plan: &Plan, desk: &Desk, answers: &mpsc::Sender<Answer>, tasks: &mut JoinSet<()>) {
    let guards = plan.guards.iter().enumerate();
    let guards = guards.filter_map(|(number, guard)| Some((Asker::Guard(number), guard.question()?)));
    let conditions = plan.phases.iter().enumerate().flat_map(|(index, phase)| {
        phase.expectations.iter().enumerate().filter_map(move |(number, placed)| match &placed.expectation {
            Expectation::Holds(check) => Some((Asker::Condition(index, number), check.question()?)),
            _ => None,
        })
    });
    for (asker, question) in guards.chain(conditions) {
        tasks.spawn(ask(asker, Asked::of(question), desk.clone(), answers.clone()));
    }
}

/// A question of one's own.
enum Asked {
    Promql { monitor: String, promql: String },
    Probe { probe: String, cel: String },
}

impl Asked {
    fn of(question: Question<'_>) -> Asked {
        match question {
            Question::Promql { monitor, promql } => {
                Asked::Promql { monitor: monitor.to_owned(), promql: promql.to_owned() }
            }
            Question::Probe { probe, cel } => Asked::Probe { probe: probe.to_owned(), cel: cel.to_owned() },
        }
    }
}

async fn ask(asker: Asker, asked: Asked, desk: Desk, answers: mpsc::Sender<Answer>) {
    let mut ticks = interval(GUARD);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let result = match &asked {
            Asked::Promql { monitor, promql } => desk.ask(monitor, promql).await,
            Asked::Probe { probe, cel } => desk.probe(probe, cel).await,
        };
        if answers.send(Answer { asker, result }).await.is_err() {
            return;
        }
    }
}

/// A guard as a scenario writes it.
pub(super) fn in_words(guard: &Guard) -> String {
    match guard {
        Guard::Query(check) => format!("{}: {}", check.monitor, check.promql),
        Guard::Observed(limits) => {
            let part = |name: &str, limit: &Option<Comparison>| limit.as_ref().map(|l| format!("{name} {l}"));
            let parts = [
                part("error-rate", &limits.error_rate),
                part("latency-p99", &limits.latency_p99),
                limits.latency.as_ref().map(|l| format!("latency {} {}", l.quantile, l.limit)),
            ];
            let parts = parts.into_iter().flatten().collect::<Vec<_>>().join(", ");
            match limits.of {
                Whose::Everybody => format!("observed: {parts}"),
                Whose::Treated => format!("observed of treated: {parts}"),
                Whose::Control => format!("observed of control: {parts}"),
                Whose::Difference => format!("observed, treated minus control: {parts}"),
            }
        }
        Guard::Alert(alert) => match &alert.monitor {
            Some(monitor) => format!("alert {monitor}/{}", alert.name),
            None => format!("alert {}", alert.name),
        },
        Guard::Probe(probe) => format!("probe {} unless {}", probe.name, probe.unless),
        Guard::Budget(budget) => format!("budget of {} requests", budget.requests),
    }
}

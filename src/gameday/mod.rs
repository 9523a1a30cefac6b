//! Runs a scenario: steady state → inject → recover, under guards, and always disarms.
//!
//! The conductor owns the timeline and asks everybody else: the fleet of sidecars (armed under a lease that
//! a keeper renews), the watchers of the monitors, the probes of the guards. What it learns goes out as
//! events; what it concludes comes from `verify`. Whatever ends a run, it disarms first and
//! reports after.

mod conductor;
mod fleet;
mod guards;
mod inquiry;
mod keeper;
mod notebook;
mod orders;
mod panel;
mod recent;
mod references;
mod stage;
mod truth;
mod watchers;
#[cfg(test)]
mod tests;

use std::{future::Future, sync::Arc, time::Duration};

use tokio::sync::mpsc;

use crate::{
    clock,
    event::{Ending, Event, FORMAT_VERSION, Kind, Outline, Report},
    monitor::{AlertSource, ProbeSource},
    scenario::{Plan, Release, ShadowDocument},
    verify,
};

pub use fleet::{Fleet, Local, Remote, ReplaceError, Target, TargetError};
pub use orders::{Giver, Orders, orders};
pub use stage::{Site, StageError, Staged, Staging, stage};
pub use truth::{LabelledRequest, Truth};

/// Where events go. Unbounded, because a run says a few a second and must never wait for a terminal.
#[derive(Debug, Clone)]
pub struct Events(mpsc::UnboundedSender<Event>);

impl Events {
    /// A sender and the receiver of its events.
    pub fn channel() -> (Events, mpsc::UnboundedReceiver<Event>) {
        let (sender, receiver) = mpsc::unbounded_channel();
        (Events(sender), receiver)
    }

    /// Says something, now. Nobody listening is no error.
    pub fn say(&self, kind: Kind) {
        let _ = self.0.send(Event { at: clock::now(), kind });
    }

    /// Says a [`Kind::Notice`].
    pub fn notice(&self, message: impl Into<String>) {
        self.say(Kind::Notice { message: message.into() });
    }
}

/// How a run behaves.
#[derive(Debug, Clone)]
pub struct Options {
    /// Go on to the next phase once everything in this one is decided.
    pub early_stop: bool,
    /// Time to live of the lease; it is renewed four times in that span.
    pub lease: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Options { early_stop: true, lease: Duration::from_secs(10) }
    }
}

/// Everything that a run needs.
pub struct Run {
    /// What to do.
    pub plan: Arc<Plan>,
    /// Where it runs, in words.
    pub stage: String,
    /// The sidecars.
    pub fleet: Fleet,
    /// The monitors by name.
    pub monitors: Vec<(String, Box<dyn AlertSource>)>,
    /// The probes by name.
    pub probes: Vec<(String, ProbeSource)>,
    /// Predictions compared with the truth, filled by the traffic.
    pub truth: Arc<Truth>,
    /// How.
    pub options: Options,
    /// Where events go.
    pub events: Events,
    /// What may be told to it while it goes on; [`Orders::default`] for nothing.
    pub orders: Orders,
}

impl std::fmt::Debug for Run {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Run")
            .field("plan", &self.plan.document.name)
            .field("stage", &self.stage)
            .finish_non_exhaustive()
    }
}

/// Plays a scenario to its end, or until `interrupt` resolves. Always ends in a report, and never before
/// everything is disarmed.
pub async fn play(run: Run, interrupt: impl Future<Output = ()> + Send + 'static) -> Report {
    let monitors = run.monitors.iter().map(|(name, _)| name.clone()).collect();
    let outline = outline(&run.plan, run.stage.clone(), monitors);
    let (plan, events, fleet, started) =
        (run.plan.clone(), run.events.clone(), run.fleet.clone(), clock::now());
    events.say(Kind::RunStarted(outline.clone()));
    let report = match tokio::spawn(conductor::conduct(run, outline.clone(), interrupt)).await {
        Ok(report) => report,
        // A panic: the keeper has been dropped with its task, which disarms what is in this process; what is
        // elsewhere is told here, and its lease runs out if that fails too.
        Err(panicked) => {
            fleet.disarm().await;
            events.say(Kind::Disarmed);
            failed(&plan, outline, started, format!("canard failed: {panicked}"))
        }
    };
    events.say(Kind::RunEnded(Box::new(report.clone())));
    report
}

/// What a run of a plan is going to do, for reports.
pub fn outline(plan: &Plan, stage: String, monitors: Vec<String>) -> Outline {
    Outline {
        scenario: plan.document.name.clone(),
        hypothesis: plan.document.hypothesis.trim().to_owned(),
        seed: plan.document.seed,
        stage,
        monitors,
        exposure_share: plan.exposure.widest().fraction(),
        shadow: plan.shadow().is_some(),
        release: plan.release.as_ref().map(Release::describe).or(plan.shadow().map(ShadowDocument::describe)),
        phases: plan.outline(),
    }
}

/// The report of a run that broke down: every expectation is inconclusive.
fn failed(plan: &Plan, outline: Outline, started: clock::Timestamp, detail: String) -> Report {
    let facts = verify::Facts {
        plan,
        windows: &[],
        history: &Default::default(),
        monitors: &Default::default(),
        deliveries: &[],
        now: clock::now(),
        ending: Some(Ending::Failed),
    };
    let placed =
        plan.phases.iter().enumerate().flat_map(|(i, phase)| phase.expectations.iter().map(move |e| (i, e)));
    let outcomes: Vec<_> =
        placed.filter_map(|(index, expected)| verify::judge(expected, index, facts)).collect();
    Report {
        format_version: FORMAT_VERSION,
        canard_version: env!("CARGO_PKG_VERSION").to_owned(),
        outline,
        started,
        ended: clock::now(),
        ending: Ending::Failed,
        ending_detail: Some(detail),
        phases: Vec::new(),
        deliveries: Vec::new(),
        shadows: Vec::new(),
        comparisons: Vec::new(),
        exit_code: verify::exit_code(&outcomes, Ending::Failed),
        outcomes,
        alerts: Vec::new(),
        rules: Default::default(),
        not_assigned: Default::default(),
        score: None,
        notices: Vec::new(),
        ledger: None,
    }
}

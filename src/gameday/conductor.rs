//! The timeline of a run: one loop that hears everybody and decides when a phase is over.

use std::{collections::BTreeMap, future::Future, pin::pin, time::Duration};

use tokio::{
    sync::mpsc,
    task::JoinSet,
    time::{Instant, MissedTickBehavior, interval, sleep_until, timeout},
};

use super::{
    Run,
    guards::{self, Answer},
    keeper::Keeper,
    notebook::Notebook,
    watchers::{self, Heard},
};
use crate::{
    event::{Ending, Kind, Outline, Report},
    monitor::AlertSource,
};

/// After the last phase, so long at most until every monitor has told what it knows.
const SETTLE: Duration = Duration::from_secs(15);
/// A sidecar that is told to disarm and does not answer: its lease ends it.
const DISARM_DEADLINE: Duration = Duration::from_secs(3);

/// Why the loop of one phase ended.
enum Step {
    /// Its time was up.
    Over,
    /// Everything in it is decided.
    Decided,
    /// The run is over.
    Ended(Ending, String),
}

/// What comes in from outside.
struct Inbox {
    heard: mpsc::Receiver<Heard>,
    answers: mpsc::Receiver<Answer>,
    /// The watchers and probes; none ends before the run does, unless it panics.
    helpers: JoinSet<()>,
}

pub(super) async fn conduct(
    run: Run,
    outline: Outline,
    interrupt: impl Future<Output = ()> + Send,
) -> Report {
    let Run { plan, fleet, monitors, truth, options, events, .. } = run;
    let mut interrupt = pin!(interrupt);
    let (tell, heard) = mpsc::channel(64);
    let (answer, answers) = mpsc::channel(64);
    let mut notes = Notebook::new(plan.clone(), truth, events.clone(), facts(&monitors));
    let (desk, mut helpers) = watchers::watch(monitors, tell);
    guards::probe(&plan, &desk, &answer, &mut helpers);
    let mut inbox = Inbox { heard, answers, helpers };

    if let Err(why) = fleet.arm(&plan, options.lease).await {
        return notes.report(outline, Ending::Failed, Some(format!("could not arm: {why}")));
    }
    let keeper = Keeper::of(fleet.clone(), options.lease);
    let armed = Instant::now();
    // How far the timeline is ahead of the clock, because phases ended early.
    let mut saved = Duration::ZERO;
    let (mut ending, mut detail) = (Ending::Completed, None);

    for (index, phase) in plan.phases.iter().enumerate() {
        let starts = armed + phase.start - saved;
        if let Step::Ended(why, what) =
            pass(&mut notes, &mut inbox, &fleet, &keeper, interrupt.as_mut(), starts, false).await
        {
            (ending, detail) = (why, Some(what));
            break;
        }
        notes.enter(index);
        let ends = armed + phase.end - saved;
        let early = options.early_stop;
        let step = pass(&mut notes, &mut inbox, &fleet, &keeper, interrupt.as_mut(), ends, early).await;
        notes.leave(matches!(step, Step::Decided));
        match step {
            Step::Over => {}
            Step::Decided => {
                saved += ends.saturating_duration_since(Instant::now());
                if let Some(next) = plan.phases.get(index + 1)
                    && let Err(why) = keeper.skip_to(&next.name).await
                {
                    (ending, detail) = (Ending::Failed, Some(format!("lost the lease: {why}")));
                    break;
                }
                if let Some(next) = plan.phases.get(index + 1) {
                    saved += next.start.saturating_sub(phase.end); // a gap is skipped with it
                }
            }
            Step::Ended(why, what) => {
                (ending, detail) = (why, Some(what));
                break;
            }
        }
    }

    notes.see(&fleet.evidence().await.0);
    let undisarmed = timeout(DISARM_DEADLINE, keeper.disarm()).await;
    events.say(Kind::Disarmed);
    match undisarmed {
        Ok(none) if none.is_empty() => {}
        Ok(some) => events.notice(format!("not told to disarm: {}; the lease ends it", some.join("; "))),
        Err(_) => events.notice("a sidecar did not answer when told to disarm; the lease ends it"),
    }
    if ending == Ending::Guard {
        events.say(Kind::GuardTripped {
            guard: notes.tripped.clone().unwrap_or_default(),
            reading: detail.clone().unwrap_or_default(),
        });
    }
    if ending == Ending::Completed {
        // A second interrupt while the monitors settle ends the wait.
        tokio::select! {
            () = settle(&mut notes, &mut inbox) => {}
            () = &mut interrupt => {}
        }
    }
    notes.report(outline, ending, detail)
}

fn facts(monitors: &[(String, Box<dyn AlertSource>)]) -> BTreeMap<String, crate::verify::MonitorFacts> {
    let known = |source: &dyn AlertSource| crate::verify::MonitorFacts {
        knows_rules: source.knows_rules(),
        is_notification: source.is_notification(),
        poll: source.interval(),
        ..Default::default()
    };
    monitors.iter().map(|(name, source)| (name.clone(), known(source.as_ref()))).collect()
}

/// Hears everybody until `until`, or until everything is decided (if that may end it), or the run ends.
async fn pass(
    notes: &mut Notebook,
    inbox: &mut Inbox,
    fleet: &super::Fleet,
    keeper: &Keeper,
    mut interrupt: std::pin::Pin<&mut (impl Future<Output = ()> + Send)>,
    until: Instant,
    may_end_early: bool,
) -> Step {
    let mut ticks = interval(Duration::from_secs(1));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut over = pin!(sleep_until(until));
    loop {
        tokio::select! {
            biased;
            () = interrupt.as_mut() => return Step::Ended(Ending::Interrupted, "interrupted".into()),
            why = keeper.lost() => return Step::Ended(Ending::Failed, format!("lost the lease: {why}")),
            Some(ended) = inbox.helpers.join_next() => {
                let why = ended.err().map_or_else(|| "it ended".to_owned(), |panicked| panicked.to_string());
                return Step::Ended(Ending::Failed, format!("the watch of a monitor failed: {why}"));
            }
            Some(answer) = inbox.answers.recv() => {
                if let Some(reading) = notes.answered(answer) {
                    return Step::Ended(Ending::Guard, reading);
                }
            }
            Some(heard) = inbox.heard.recv() => notes.heard(heard),
            () = &mut over => return Step::Over,
            _ = ticks.tick() => {
                let (evidence, silent) = fleet.evidence().await;
                notes.silent_sidecars(&silent);
                notes.see(&evidence);
                if let Some(reading) = notes.observed_guard() {
                    return Step::Ended(Ending::Guard, reading);
                }
                notes.progress();
            }
        }
        notes.judge(None);
        if may_end_early && notes.phase_is_decided() {
            return Step::Decided;
        }
    }
}

/// Hears the monitors until nothing is open any more, or long enough.
async fn settle(notes: &mut Notebook, inbox: &mut Inbox) {
    let enough = async {
        while !notes.all_decided() {
            if let Some(heard) = inbox.heard.recv().await {
                notes.heard(heard);
            }
            notes.judge(None);
        }
    };
    let _ = timeout(SETTLE, enough).await;
}

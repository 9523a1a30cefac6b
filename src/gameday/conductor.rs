//! The timeline of a run: one loop that hears everybody and decides when a phase is over.

use std::{
    collections::BTreeMap,
    future::Future,
    pin::{Pin, pin},
    sync::Arc,
    time::Duration,
};

use tokio::{
    sync::{mpsc, watch},
    task::JoinSet,
    time::{Instant, MissedTickBehavior, interval, sleep_until, timeout},
};

use super::{
    Events, Fleet, Orders, ReplaceError, Run,
    guards::{self, Answer},
    inquiry::inquire,
    keeper::{Keeper, Replaced},
    notebook::Notebook,
    panel::Panel,
    watchers::{self, Heard},
};
use crate::{
    event::{Ending, Kind, Outline, Report},
    evidence::Evidence,
    monitor::{AlertSource, BoxFuture},
    scenario::Plan,
};

/// After the last phase, so long at least may pass until every monitor has told what it knows.
const SETTLE: Duration = Duration::from_secs(15);
/// Time between looks at the evidence.
pub(super) const LOOK: Duration = Duration::from_secs(1);
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

/// What ends a run from outside.
struct Stop<'a, F> {
    interrupt: Pin<&'a mut F>,
    orders: Orders,
}

impl<F: Future<Output = ()> + Send> Stop<'_, F> {
    /// Resolves when the run has to end; may be asked again until it has.
    async fn come(&mut self) -> (Ending, String) {
        tokio::select! {
            biased;
            () = self.interrupt.as_mut() => (Ending::Interrupted, "interrupted".to_owned()),
            why = self.orders.withdrawn() => (Ending::Withdrawn, why),
        }
    }
}

/// What comes in from outside.
struct Inbox {
    heard: mpsc::Receiver<Heard>,
    answers: mpsc::Receiver<Answer>,
    evidence: mpsc::Receiver<(Evidence, Vec<String>)>,
    plans: watch::Receiver<Option<Arc<Plan>>>,
    /// A plan on its way into the place of the one that is armed; it goes on when a phase ends meanwhile.
    replacing: Option<BoxFuture<'static, Replaced>>,
    /// The watchers and probes; none ends before the run does, unless it panics.
    helpers: JoinSet<()>,
}

pub(super) async fn conduct(
    run: Run,
    outline: Outline,
    interrupt: impl Future<Output = ()> + Send,
) -> Report {
    let Run { plan, fleet, monitors, probes, truth, options, events, orders, .. } = run;
    let plans = orders.plans();
    let mut stop = Stop { interrupt: pin!(interrupt), orders };
    let (tell, heard) = mpsc::channel(64);
    let (answer, answers) = mpsc::channel(64);
    let mut notes = Notebook::new(plan.clone(), truth, events.clone(), facts(&monitors));
    let guarding = |monitor: &str| Panel::asks_alerts_of(&plan.guards, monitor);
    let (desk, mut helpers) = watchers::watch(monitors, probes, guarding, tell);
    guards::probe(&plan, &desk, &answer, &mut helpers);
    let (show, evidence) = mpsc::channel(1);
    let mut inbox = Inbox { heard, answers, evidence, plans, replacing: None, helpers };
    blind_start(&plan, &mut notes);

    let armed = match healthy(&mut notes, &mut inbox, &mut stop).await {
        Err(ended) => Err(ended),
        Ok(()) => tokio::select! {
            armed = fleet.arm(&plan, options.lease) => armed.map_err(|why| (Ending::Failed, format!("could not arm: {why}"))),
            ended = stop.come() => Err(ended),
        },
    };
    if let Err((ending, why)) = armed {
        // Some may have been armed before the others refused, or before the interrupt.
        fleet.disarm().await;
        events.say(Kind::Disarmed);
        let why = match ending {
            Ending::Guard => format!("nothing was armed: {}", tripped(&notes, &events, why)),
            _ => why,
        };
        return notes.report(outline, ending, Some(why));
    }
    notes.armed();
    // Not before: what callers saw under a former lease is none of this run's business.
    inbox.helpers.spawn(look(fleet.clone(), show));
    let keeper = Keeper::of(fleet.clone(), options.lease);
    let armed = Instant::now();
    // How far the timeline is ahead of the clock, because phases ended early.
    let mut saved = Duration::ZERO;
    let (mut ending, mut detail) = (Ending::Completed, None);

    for (index, phase) in plan.phases.iter().enumerate() {
        let starts = armed + phase.start - saved;
        if let Step::Ended(why, what) = pass(&mut notes, &mut inbox, &keeper, &mut stop, starts, false).await
        {
            (ending, detail) = (why, Some(what));
            break;
        }
        notes.enter(index);
        let ends = armed + phase.end - saved;
        let early = options.early_stop;
        let step = pass(&mut notes, &mut inbox, &keeper, &mut stop, ends, early).await;
        notes.leave(matches!(step, Step::Decided));
        match step {
            Step::Over => {}
            Step::Decided => {
                saved += ends.saturating_duration_since(Instant::now());
                let Some(next) = plan.phases.get(index + 1) else { continue };
                saved += next.start.saturating_sub(phase.end); // a gap is skipped with it
                let moved = tokio::select! {
                    moved = keeper.skip_to(&next.name) => moved.map_err(|why| (Ending::Failed, format!("lost the lease: {why}"))),
                    ended = stop.come() => Err(ended),
                };
                if let Err((why, what)) = moved {
                    (ending, detail) = (why, Some(what));
                    break;
                }
            }
            Step::Ended(why, what) => {
                (ending, detail) = (why, Some(what));
                break;
            }
        }
    }

    // Disarm first; what callers saw under the last lease stays readable after it.
    let undisarmed = timeout(DISARM_DEADLINE, keeper.disarm()).await;
    events.say(Kind::Disarmed);
    let (evidence, silent) = fleet.evidence().await;
    notes.see(&evidence, &silent);
    match undisarmed {
        Ok(none) if none.is_empty() => {}
        Ok(some) => events.notice(format!("not told to disarm: {}; the lease ends it", some.join("; "))),
        Err(_) => events.notice("a sidecar did not answer when told to disarm; the lease ends it"),
    }
    if ending == Ending::Guard {
        detail = detail.map(|reading| tripped(&notes, &events, reading));
    }
    if ending == Ending::Completed && !notes.all_decided() {
        let most = (SETTLE + 2 * notes.patience()).as_secs();
        events.notice(format!("waiting up to {most} s for what the monitors still have to tell"));
        tokio::select! {
            () = settle(&mut notes, &mut inbox) => {}
            // Nothing is injected any more, so that nothing has to permit it.
            () = stop.interrupt.as_mut() => {
                (ending, detail) = (Ending::Interrupted, Some("interrupted while the monitors settled".into()));
            }
        }
    }
    notes.judge(Some(ending));
    if ending != Ending::Interrupted {
        let questions = notes.questions();
        tokio::select! {
            found = inquire(&questions, &desk, &mut inbox.heard) => notes.explain(&questions, &found),
            () = stop.interrupt.as_mut() => {}
        }
    }
    notes.report(outline, ending, detail)
}

/// Tells of the guard that tripped; what it read, with its name, for the report.
fn tripped(notes: &Notebook, events: &Events, reading: String) -> String {
    let guard = notes.tripped().unwrap_or_default();
    let detail = format!("{reading} (guard `{guard}`)");
    events.say(Kind::GuardTripped { guard, reading });
    detail
}

/// Guards on what callers saw read nothing before something is armed: a scenario that injects at once gives them no
/// time before its first fault.
fn blind_start(plan: &Plan, notes: &mut Notebook) {
    let guards = Panel::read_callers(&plan.guards);
    let at_once = plan.phases.first().is_some_and(|phase| !phase.injections.is_empty());
    if at_once && !guards.is_empty() {
        let guards = guards.join("; ");
        notes.notice(format!(
            "guard `{guards}` has nothing to read before the first fault: begin with a phase that injects nothing"
        ));
    }
}

/// Waits until every guard that can be read before anything is armed was found clear.
async fn healthy(
    notes: &mut Notebook,
    inbox: &mut Inbox,
    stop: &mut Stop<'_, impl Future<Output = ()> + Send>,
) -> Result<(), (Ending, String)> {
    loop {
        let tripped = |reading| (Ending::Guard, reading);
        if notes.ready().map_err(tripped)? {
            return Ok(());
        }
        let reading = tokio::select! {
            biased;
            ended = stop.come() => return Err(ended),
            Some(ended) = inbox.helpers.join_next() => return Err((Ending::Failed, lost(ended))),
            Some(answer) = inbox.answers.recv() => notes.answered(answer),
            Some(heard) = inbox.heard.recv() => notes.heard(heard),
        };
        reading.map_or(Ok(()), |reading| Err(tripped(reading)))?;
    }
}

/// Why a watcher is gone.
fn lost(ended: Result<(), tokio::task::JoinError>) -> String {
    let why = ended.err().map_or_else(|| "it ended".to_owned(), |panicked| panicked.to_string());
    format!("the watch of a monitor failed: {why}")
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
    keeper: &Keeper,
    stop: &mut Stop<'_, impl Future<Output = ()> + Send>,
    until: Instant,
    may_end_early: bool,
) -> Step {
    let mut over = pin!(sleep_until(until));
    loop {
        tokio::select! {
            biased;
            (why, what) = stop.come() => return Step::Ended(why, what),
            why = keeper.lost() => return Step::Ended(Ending::Failed, format!("lost the lease: {why}")),
            Some(ended) = inbox.helpers.join_next() => {
                return Step::Ended(Ending::Failed, lost(ended));
            }
            Some(answer) = inbox.answers.recv() => {
                if let Some(reading) = notes.answered(answer) {
                    return Step::Ended(Ending::Guard, reading);
                }
            }
            Some(heard) = inbox.heard.recv() => {
                if let Some(reading) = notes.heard(heard) {
                    return Step::Ended(Ending::Guard, reading);
                }
            }
            Ok(()) = inbox.plans.changed(), if inbox.replacing.is_none() => {
                let Some(plan) = inbox.plans.borrow_and_update().clone() else { continue };
                inbox.replacing = Some(keeper.replace(notes.plan(), plan));
                continue;
            }
            Some((plan, replaced)) = replacing(&mut inbox.replacing) => {
                match replaced {
                    Ok(()) => {
                        stop.orders.confirm(plan.clone());
                        notes.replaced(plan);
                    }
                    Err(ReplaceError::Refused(why)) => {
                        notes.notice(format!("the change takes effect at the next run, the plan that is armed goes on: {why}"));
                    }
                    Err(split @ ReplaceError::Split(_)) => return Step::Ended(Ending::Failed, split.to_string()),
                }
            }
            () = &mut over => return Step::Over,
            Some((evidence, silent)) = inbox.evidence.recv() => {
                if let Some(reading) = notes.see(&evidence, &silent) {
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

/// Resolves once a plan that is on its way has come into its place, or has not; with nothing if none is on its way.
async fn replacing<T>(on_its_way: &mut Option<BoxFuture<'static, T>>) -> Option<T> {
    let came = on_its_way.as_mut()?.await;
    *on_its_way = None;
    Some(came)
}

/// Looks at the evidence again and again; a sidecar that does not answer holds up nobody but this.
async fn look(fleet: Fleet, show: mpsc::Sender<(Evidence, Vec<String>)>) {
    let mut ticks = interval(LOOK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        if show.send(fleet.evidence().await).await.is_err() {
            return;
        }
    }
}

/// Hears the monitors until nothing is open any more, or long enough.
async fn settle(notes: &mut Notebook, inbox: &mut Inbox) {
    let patience = SETTLE + 2 * notes.patience();
    let enough = async {
        while !notes.all_decided() {
            if let Some(heard) = inbox.heard.recv().await {
                notes.heard(heard);
            }
            notes.judge(None);
        }
    };
    let _ = timeout(patience, enough).await;
}

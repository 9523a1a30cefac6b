//! `canard run --reload`: what a change of the scenario's or the stage's file means for the run that goes on.
//!
//! A scenario of the same structure takes the place of the armed one without disarming. Of the stage, only what permits
//! the run counts meanwhile, and only to end it: its limits and the consent. What can't be used changes nothing.

use std::{path::Path, sync::Arc, time::Duration};

use tokio::time::{Instant, MissedTickBehavior, interval};

use super::{
    Failure, load,
    watched::{Content, LOOK, Watched},
};
use crate::{
    clock::{self, Timestamp},
    gameday::{Events, Giver},
    scenario::{Plan, Source, StageDocument, forbidden_since, replaces},
};

/// A plan that was handed over and permits the run to go on has so long to be armed, where the one that is armed does not.
const GRACE: Duration = Duration::from_secs(5);

/// The files of a run that goes on.
#[derive(Debug)]
pub(super) struct Reload {
    scenario: Watched,
    stage: Option<Watched>,
    /// What was found and is not judged yet: the scenario, and the stage.
    found: (Option<Content>, Option<Content>),
    /// Does what was found wait for the other file, which may belong to the same change?
    held: bool,
    /// What applies of the stage.
    document: StageDocument,
    /// Do sidecars take the place of what the stage hosts?
    elsewhere: bool,
    /// The plan that was armed first.
    first: Arc<Plan>,
    /// A plan that has to be armed until then, and why the run is withdrawn if it is not.
    awaited: Option<(Arc<Plan>, Instant, String)>,
    begun: Timestamp,
    giver: Giver,
}

impl Reload {
    pub(super) fn new(
        (scenario, said): (&Path, &Source),
        stage: Option<(&Path, &Source)>,
        document: StageDocument,
        plan: Arc<Plan>,
        giver: Giver,
    ) -> Result<Reload, Failure> {
        if scenario == Path::new("-") || stage.is_some_and(|(stage, _)| stage == Path::new("-")) {
            let failure = Failure::new("--reload reads files again and again, which standard input can't be");
            return Err(failure.help("name the file"));
        }
        let stage = stage.map(|(file, source)| Watched::new(file, source));
        let scenario = Watched::new(scenario, said);
        let (found, held, awaited, begun) = ((None, None), false, None, clock::now());
        let (first, elsewhere) = (plan, false);
        Ok(Reload { scenario, stage, found, held, document, elsewhere, first, awaited, begun, giver })
    }

    /// Do sidecars of the command line take the place of what the stage hosts?
    pub(super) fn elsewhere(self, elsewhere: bool) -> Reload {
        Reload { elsewhere, ..self }
    }

    /// Looks again and again; what it finds is told as notices of the run.
    pub(super) async fn keep(mut self, events: Events) {
        let mut ticks = interval(LOOK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            self.look().into_iter().for_each(|notice| events.notice(notice));
        }
    }

    /// The plan that is armed.
    fn armed(&self) -> Arc<Plan> {
        self.giver.replaced().unwrap_or_else(|| self.first.clone())
    }

    fn look(&mut self) -> Vec<String> {
        self.await_armed();
        let (scenario, stage) = (self.scenario.look(), self.stage.as_mut().and_then(Watched::look));
        self.found = (scenario.or(self.found.0.take()), stage.or(self.found.1.take()));
        let any = self.found.0.is_some() || self.found.1.is_some();
        // Both may be swapped at once, between the looks at the one and the other. A second look tells.
        let unsettled =
            self.scenario.is_unsettled() || self.stage.as_ref().is_some_and(Watched::is_unsettled);
        self.held = any && unsettled && !self.held;
        if any && !self.held { self.judge() } else { Vec::new() }
    }

    /// Withdraws the run if what it waits for does not get armed.
    fn await_armed(&mut self) {
        let Some((plan, until, why)) = self.awaited.take() else { return };
        if Arc::ptr_eq(&self.armed(), &plan) {
            return;
        }
        if Instant::now() >= until {
            return self.giver.withdraw(why);
        }
        self.awaited = Some((plan, until, why));
    }

    /// Deals with what was found: the new scenario and the new stage together.
    fn judge(&mut self) -> Vec<String> {
        let (scenario, stage) = (self.found.0.take(), self.found.1.take());
        let mut notices = Vec::new();
        let stage = stage.and_then(|found| self.read_stage(found).map_err(|why| notices.push(why)).ok());
        let plan = match scenario {
            Some(found) => self.read_scenario(found).map_err(|why| notices.push(why)).ok(),
            // What the old limits refused may be within the new ones; if it is not, that was told.
            None if stage.is_some() => {
                let again = self.scenario.refused();
                again.and_then(|source| self.read_scenario(Ok(source)).ok())
            }
            None => None,
        };
        if let Some(plan) = &plan {
            self.giver.replace(plan.clone());
        }
        let Some((changed, unmarked)) = stage else { return notices };
        let name = self.stage.as_ref().map(|stage| stage.path().display().to_string()).unwrap_or_default();
        let withdrawn =
            |why: Vec<String>| format!("`{name}` does not permit the run any more: {}", why.join("; "));
        let objections = forbidden_since(&self.armed().document, &self.document, self.begun);
        if unmarked {
            let why = objections.into_iter().chain(["the stage holds no consent any more".to_owned()]);
            self.giver.withdraw(withdrawn(why.collect()));
            return notices;
        }
        match (objections.is_empty(), plan) {
            (true, _) => self.awaited = None,
            (false, Some(plan)) => {
                self.awaited = Some((plan, Instant::now() + GRACE, withdrawn(objections)));
            }
            (false, None) => {
                self.giver.withdraw(withdrawn(objections));
                return notices;
            }
        }
        notices.insert(0, format!("`{name}` {changed}"));
        notices
    }

    /// A plan that may take the place of the armed one, or why there is none.
    fn read_scenario(&mut self, found: Content) -> Result<Arc<Plan>, String> {
        let name = self.scenario.path().display().to_string();
        let plan = found.map_err(miette::Report::from).and_then(|source| {
            let stage = load::elsewhere(&self.document, self.elsewhere);
            let plan = load::scenario_since(&source, &stage, self.begun)?;
            self.scenario.accept(&source);
            Ok(plan)
        });
        let plan = plan.map_err(|why| refused(&name, &why))?;
        match replaces(&plan, &self.armed()) {
            Ok(()) => Ok(Arc::new(plan)),
            Err(why) => Err(format!("`{name}` was changed, which takes effect at the next run: {why}")),
        }
    }

    /// Takes what applies of a stage: in words what that means, and whether it has lost its consent altogether.
    fn read_stage(&mut self, found: Content) -> Result<(&'static str, bool), String> {
        let Some(watched) = self.stage.as_mut() else { return Err(String::new()) };
        let name = watched.path().display().to_string();
        // Consent that has lapsed is no mistake here: it ends the run.
        let stage = found.map_err(miette::Report::from).and_then(|source| {
            let stage = load::stage_as_it_says(&source)?;
            watched.accept(&source);
            Ok(stage)
        });
        let stage = stage.map_err(|why| refused(&name, &why))?;
        let (limits, production) = (stage.limits, stage.production.clone());
        let before = self.document.clone();
        let rest = StageDocument { limits: before.limits, production: before.production.clone(), ..stage };
        let others = rest != before;
        let unmarked = before.production.is_some() && production.is_none();
        self.document = StageDocument { limits, production, ..before };
        let changed = match others {
            true => "was changed: its limits and consent apply now, the rest takes effect at the next run",
            false => "was changed, and applies",
        };
        Ok((changed, unmarked))
    }
}

fn refused(file: &str, why: &miette::Report) -> String {
    format!("`{file}` was changed and can't be used; what it said before goes on\n{why:?}")
}

#[cfg(test)]
mod tests;

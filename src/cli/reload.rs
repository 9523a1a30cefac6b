//! `canard run --reload`: what a change of the scenario's or the stage's file means for the run that goes on.
//!
//! A scenario of the same structure takes the place of the armed one without disarming. Of the stage, only what permits
//! the run counts meanwhile, and only to end it: its limits and the consent. What can't be used changes nothing.

use std::{path::Path, sync::Arc};

use tokio::time::{MissedTickBehavior, interval};

use super::{
    Failure, load,
    watched::{LOOK, Watched},
};
use crate::{
    clock::{self, Timestamp},
    gameday::{Events, Giver},
    scenario::{Plan, Source, StageDocument, forbidden_since, replaces},
};

/// The files of a run that goes on.
#[derive(Debug)]
pub(super) struct Reload {
    scenario: Watched,
    stage: Option<Watched>,
    /// What applies of the stage.
    document: StageDocument,
    /// Do sidecars take the place of what the stage hosts?
    elsewhere: bool,
    plan: Arc<Plan>,
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
        Ok(Reload { scenario, stage, document, elsewhere: false, plan, begun: clock::now(), giver })
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
            let found = self.stage().into_iter().chain(self.scenario());
            found.for_each(|notice| events.notice(notice));
        }
    }

    fn scenario(&mut self) -> Option<String> {
        let found = self.scenario.look()?;
        let name = self.scenario.path().display().to_string();
        let plan = found.map_err(miette::Report::from).and_then(|source| {
            let plan = load::scenario(&source, &load::elsewhere(&self.document, self.elsewhere))?;
            self.scenario.accept(&source);
            Ok(plan)
        });
        let plan = match plan {
            Ok(plan) => Arc::new(plan),
            Err(why) => return Some(refused(&name, &why)),
        };
        if let Err(why) = replaces(&plan, &self.plan) {
            return Some(format!("`{name}` was changed, which takes effect at the next run: {why}"));
        }
        self.plan = plan.clone();
        self.giver.replace(plan);
        None
    }

    fn stage(&mut self) -> Option<String> {
        let watched = self.stage.as_mut()?;
        let found = watched.look()?;
        let name = watched.path().display().to_string();
        // Consent that has lapsed is no mistake here: it ends the run.
        let stage = found.map_err(miette::Report::from).and_then(|source| {
            let stage = load::stage_as_it_says(&source)?;
            watched.accept(&source);
            Ok(stage)
        });
        let stage = match stage {
            Ok(stage) => stage,
            Err(why) => return Some(refused(&name, &why)),
        };
        let (limits, production) = (stage.limits, stage.production.clone());
        let before = self.document.clone();
        let rest = StageDocument { limits: before.limits, production: before.production.clone(), ..stage };
        let others = rest != before;
        let unmarked = before.production.is_some() && production.is_none();
        self.document = StageDocument { limits, production, ..before };
        let mut objections = forbidden_since(&self.plan.document, &self.document, self.begun);
        objections.extend(unmarked.then(|| "the stage holds no consent any more".to_owned()));
        if !objections.is_empty() {
            self.giver
                .withdraw(format!("`{name}` does not permit the run any more: {}", objections.join("; ")));
            return None;
        }
        let what = match others {
            true => "was changed: its limits and consent apply now, the rest takes effect at the next run",
            false => "was changed, and applies",
        };
        Some(format!("`{name}` {what}"))
    }
}

fn refused(file: &str, why: &miette::Report) -> String {
    format!("`{file}` was changed and can't be used; what it said before goes on\n{why:?}")
}

#[cfg(test)]
mod tests;

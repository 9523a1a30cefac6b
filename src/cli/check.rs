//! `canard check`.

use std::path::PathBuf;

use clap::Args;

use super::{
    Exit, Failure,
    diagnostics::{Mistakes, count},
    load, output, power,
};
use crate::scenario::{
    Diagnostics, FileKind, Plan, Source, StageDocument, check_beside, check_files, compile_calendar,
    compile_stage, default_stage,
};

/// Check scenario, stage and calendar files without running anything.
///
/// Every mistake is shown with its place in the file and what would be right. Scenarios, stage files and calendars are
/// told apart by their keys. Scenarios are checked against a stage too (does it have the monitors that they
/// ask, can any of those know the alert?): the one of --stage; else the stage file among FILES, if there is
/// exactly one; else the built-in stage that `canard run` uses when it is given none. Scenarios checked together must
/// not have overlapping slices of one layer.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  canard check scenario.yaml
  canard check scenarios/*.yaml --stage staging.yaml
  generate-scenario | canard check -

Exit codes: 0 all files are right; 2 one is not, or can't be read.")]
pub(super) struct CheckArgs {
    /// Scenario, stage and calendar files; `-` reads standard input
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Stage that the scenarios are meant for
    #[arg(long, value_name = "FILE")]
    stage: Option<PathBuf>,
}

pub(super) fn run(args: CheckArgs) -> miette::Result<Exit> {
    let mut tally = Tally::default();
    let mut read = |file: &PathBuf| load::source(file).map_err(|failure| tally.unreadable(failure)).ok();
    let named = args.stage.as_ref().and_then(&mut read);
    let mut sources: Vec<Source> = args.files.iter().filter_map(read).collect();
    let is_calendar = |source: &mut Source| FileKind::told(source) == Some(FileKind::Calendar);
    for source in sources.extract_if(.., is_calendar) {
        match compile_calendar(&source).map_err(Mistakes::from) {
            Ok(calendar) => {
                let list = check_files(&calendar, &source);
                if !list.is_empty() {
                    tally.wrong(Diagnostics { source, list }.into());
                    continue;
                }
                let what =
                    format!("calendar, {}, in {}", count(calendar.runs.len(), "run"), calendar.time_zone);
                tally.fine(&source, &what)?;
            }
            Err(mistakes) => tally.wrong(mistakes),
        }
    }
    let (stages, scenarios): (Vec<Source>, Vec<Source>) =
        sources.into_iter().partition(|source| FileKind::of(source) == FileKind::Stage);
    let mut compiled = Vec::new();
    for source in named.iter().chain(&stages) {
        match compile_stage(source, &load::variable).map_err(Mistakes::from) {
            Ok(stage) => {
                tally.fine(source, &format!("stage, {}", count(stage.monitors.len(), "monitor")))?;
                compiled.push(Some(stage));
            }
            Err(mistakes) => {
                tally.wrong(mistakes);
                compiled.push(None);
            }
        }
    }
    let against: Option<StageDocument> = match compiled.as_slice() {
        // One that can't be read has been told of, too.
        _ if args.stage.is_some() && named.is_none() => None,
        [] => Some(default_stage()),
        // A wrong stage has been told of; what a scenario asks of it can't be known.
        [first, ..] if args.stage.is_some() || compiled.len() == 1 => first.clone(),
        _ => Some(default_stage()),
    };
    let mut plans: Vec<(&Source, Plan)> = Vec::new();
    for source in &scenarios {
        let checked = match &against {
            Some(stage) => load::scenario(source, stage),
            None => crate::scenario::compile(source).map_err(Mistakes::from),
        };
        match checked {
            Ok(plan) => match plans
                .iter()
                .find_map(|(other, theirs)| check_beside(&plan, source, theirs, &other.name))
            {
                Some(mistake) => {
                    tally.wrong(Diagnostics { source: source.clone(), list: vec![mistake] }.into());
                }
                None => {
                    tally.fine(source, &outline(&plan))?;
                    power::warn(&plan);
                    plans.push((source, plan));
                }
            },
            Err(mistakes) => tally.wrong(mistakes),
        }
    }
    Ok(tally.finish()?)
}

fn outline(plan: &Plan) -> String {
    let faults: usize = plan.phases.iter().map(|p| p.injections.len()).sum();
    let expectations: usize = plan.phases.iter().map(|p| p.expectations.len()).sum();
    format!(
        "scenario `{}`, {}, {}, {}, {}",
        plan.document.name,
        count(plan.phases.len(), "phase"),
        count(faults, "fault"),
        count(expectations, "expectation"),
        crate::unit::Span::from(plan.lasts()),
    )
}

#[derive(Debug, Default)]
struct Tally {
    fine: usize,
    wrong: usize,
    mistakes: usize,
}

impl Tally {
    fn fine(&mut self, source: &Source, what: &str) -> Result<(), Failure> {
        self.fine += 1;
        output::print(&format!("{}: fine ({what})\n", source.name))
    }

    fn wrong(&mut self, mistakes: Mistakes) {
        self.wrong += 1;
        self.mistakes += mistakes.total;
        anstream::eprintln!("{:?}", miette::Report::new(mistakes));
    }

    fn unreadable(&mut self, failure: Failure) {
        self.wrong += 1;
        self.mistakes += 1;
        anstream::eprintln!("{:?}", miette::Report::new(failure));
    }

    fn finish(self) -> Result<Exit, Failure> {
        let files = count(self.fine + self.wrong, "file");
        if self.wrong == 0 {
            output::print(&format!("{files} checked, no mistakes\n"))?;
            return Ok(Exit::Met);
        }
        let (mistakes, wrong) = (count(self.mistakes, "mistake"), count(self.wrong, "file"));
        output::print(&format!("{files} checked, {mistakes} in {wrong}\n"))?;
        Ok(Exit::Usage)
    }
}

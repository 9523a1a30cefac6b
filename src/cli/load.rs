//! Files that commands are given.

use std::path::Path;

use super::{Failure, diagnostics::Mistakes};
use crate::clock::{self, Timestamp};
use crate::scenario::{
    CalendarDocument, Diagnostic, Diagnostics, FileKind, Plan, Source, StageDocument,
    check_against_stage_since, check_files, compile_calendar, compile_for, compile_stage, default_stage,
    read_stage,
};

const ORDER: &str =
    "`canard run` takes the scenario first and the stage with --stage: `canard run SCENARIO --stage STAGE`";

/// Reads a file; `-` is standard input.
pub(super) fn source(path: &Path) -> Result<Source, Failure> {
    Source::read(path).map_err(|error| {
        let failure = Failure::new(format!("`{}` can't be read: {error}", path.display()));
        match error.kind() {
            std::io::ErrorKind::NotFound => failure.help("`canard init` writes a scenario to begin from"),
            std::io::ErrorKind::IsADirectory => failure.help("name the files in it, such as FOLDER/*.yaml"),
            std::io::ErrorKind::InvalidData => failure.help("save the file as UTF-8"),
            _ => failure,
        }
    })
}

/// Reads and checks a stage, with variables from the environment; the built-in one if no file is given.
pub(super) fn stage(path: Option<&Path>) -> miette::Result<StageDocument> {
    path.map_or_else(|| Ok(default_stage()), |path| stage_of(&stage_source(path)?))
}

/// Reads a stage's file.
pub(super) fn stage_source(path: &Path) -> miette::Result<Source> {
    if !path.exists() && path != Path::new("-") {
        let failure = Failure::new(format!("the stage `{}` does not exist", path.display()));
        return Err(failure
            .help("`canard init` writes a stage to begin from; leave --stage out to run in this process")
            .into());
    }
    Ok(source(path)?)
}

/// The same from what was read.
pub(super) fn stage_of(source: &Source) -> miette::Result<StageDocument> {
    stage_with(source, compile_stage)
}

/// The same, whatever it permits to run: for who runs nothing in it.
pub(super) fn stage_as_it_is(path: &Path) -> miette::Result<StageDocument> {
    stage_as_it_says(&source(path)?)
}

/// The same from what was read.
pub(super) fn stage_as_it_says(source: &Source) -> miette::Result<StageDocument> {
    stage_with(source, read_stage)
}

type Reads = fn(&Source, &dyn Fn(&str) -> Option<String>) -> Result<StageDocument, Diagnostics>;

fn stage_with(source: &Source, read: Reads) -> miette::Result<StageDocument> {
    match FileKind::told(source) {
        Some(FileKind::Scenario) => {
            let failure = Failure::new(format!("`{}` is a scenario, not a stage", source.name));
            return Err(failure.help(ORDER).into());
        }
        Some(FileKind::Calendar) => {
            let failure = Failure::new(format!("`{}` is a calendar, not a stage", source.name));
            return Err(failure.help("`canard schedule CALENDAR` runs it").into());
        }
        Some(FileKind::Stage) | None => {}
    }
    Ok(read(source, &variable).map_err(Mistakes::from)?)
}

/// Reads and checks a calendar.
pub(super) fn calendar(source: &Source) -> miette::Result<CalendarDocument> {
    let kind = match FileKind::told(source) {
        Some(FileKind::Scenario) => "scenario",
        Some(FileKind::Stage) => "stage",
        Some(FileKind::Calendar) | None => return Ok(compile_calendar(source).map_err(Mistakes::from)?),
    };
    let failure = Failure::new(format!("`{}` is a {kind}, not a calendar", source.name));
    Err(failure.help("a calendar names scenarios and when they run: `canard schedule --help`").into())
}

/// Reads and checks a calendar, and that the files which it names are there.
pub(super) fn calendar_with_files(source: &Source) -> miette::Result<CalendarDocument> {
    let calendar = calendar(source)?;
    match check_files(&calendar, source) {
        list if list.is_empty() => Ok(calendar),
        list => Err(Mistakes::from(Diagnostics { source: source.clone(), list }).into()),
    }
}

/// Compiles a scenario and checks that it fits a stage.
pub(super) fn scenario(source: &Source, stage: &StageDocument) -> Result<Plan, Mistakes> {
    scenario_since(source, stage, clock::now())
}

/// The same for a run that goes on since then.
pub(super) fn scenario_since(
    source: &Source,
    stage: &StageDocument,
    begun: Timestamp,
) -> Result<Plan, Mistakes> {
    let plan = scenario_as_it_is(source, stage)?;
    match check_against_stage_since(&plan.document, source, stage, begun) {
        list if list.is_empty() => Ok(plan),
        list => Err(Diagnostics { source: source.clone(), list }.into()),
    }
}

/// The stage as scenarios are checked against it where --sidecar takes the place of what it hosts.
pub(super) fn elsewhere(stage: &StageDocument, sidecars: bool) -> StageDocument {
    let mut stage = stage.clone();
    if sidecars {
        stage.upstream = None;
        stage.candidates.clear();
    }
    stage
}

/// The same, whether or not it may run there.
pub(super) fn scenario_as_it_is(source: &Source, stage: &StageDocument) -> Result<Plan, Mistakes> {
    let other = match FileKind::told(source) {
        Some(FileKind::Stage) => Some(("stage", ORDER)),
        Some(FileKind::Calendar) => Some(("calendar", "`canard schedule CALENDAR` runs it")),
        Some(FileKind::Scenario) | None => None,
    };
    if let Some((kind, help)) = other {
        let wrong = Diagnostic {
            message: format!("this is a {kind} file, not a scenario"),
            span: 0..0,
            line: 1,
            column: 1,
            label: format!("its keys are those of a {kind}"),
            help: Some(help.to_owned()),
        };
        return Err(Diagnostics { source: source.clone(), list: vec![wrong] }.into());
    }
    compile_for(source, stage).map_err(Mistakes::from)
}

/// A variable of the environment.
pub(super) fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

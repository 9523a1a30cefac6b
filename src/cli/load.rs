//! Files that commands are given.

use std::path::Path;

use super::{Failure, diagnostics::Mistakes};
use crate::scenario::{
    Diagnostics, Plan, Source, StageDocument, check_against_stage, compile, compile_stage, default_stage,
};

/// Reads a file; `-` is standard input.
pub(super) fn source(path: &Path) -> Result<Source, Failure> {
    Source::read(path).map_err(|error| {
        let failure = Failure::new(format!("`{}` can't be read: {error}", path.display()));
        match error.kind() {
            std::io::ErrorKind::NotFound => failure.help("`canard init` writes a scenario to begin from"),
            std::io::ErrorKind::InvalidData => failure.help("save the file as UTF-8"),
            _ => failure,
        }
    })
}

/// Reads and checks a stage, with variables from the environment; the built-in one if no file is given.
pub(super) fn stage(path: Option<&Path>) -> miette::Result<StageDocument> {
    let Some(path) = path else { return Ok(default_stage()) };
    let source = source(path)?;
    Ok(compile_stage(&source, &variable).map_err(Mistakes::from)?)
}

/// Compiles a scenario and checks that it fits a stage.
pub(super) fn scenario(source: &Source, stage: &StageDocument) -> Result<Plan, Mistakes> {
    let plan = compile(source).map_err(Mistakes::from)?;
    match check_against_stage(&plan.document, source, stage) {
        list if list.is_empty() => Ok(plan),
        list => Err(Diagnostics { source: source.clone(), list }.into()),
    }
}

/// A variable of the environment.
pub(super) fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

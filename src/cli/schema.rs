//! `canard schema`.

use clap::{Args, ValueEnum};
use schemars::Schema;

use super::{Exit, Failure, output};
use crate::{
    event::{Event, Matrix, Report, Sweep},
    scenario::{CalendarDocument, Document, StageDocument},
};

/// Print the JSON Schema of the scenario language (or of stage files, calendars, reports, matrices, sweeps, events).
///
/// Editors that know JSON Schema complete and check scenarios with it: put
/// `# yaml-language-server: $schema=scenario.schema.json` on the first line, as `canard init` does.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  canard schema > scenario.schema.json
  canard schema stage > stage.schema.json")]
pub(super) struct SchemaArgs {
    /// What to describe
    #[arg(value_enum, default_value_t)]
    of: Described,
}

/// What can be described.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub(super) enum Described {
    /// A scenario file
    #[default]
    Scenario,
    /// A stage file
    Stage,
    /// A calendar file
    Calendar,
    /// `report.json`
    Report,
    /// `matrix.json`
    Matrix,
    /// `sweep.json`
    Sweep,
    /// One line of `canard run --format json`
    Event,
}

pub(super) fn run(args: SchemaArgs) -> miette::Result<Exit> {
    output::print(&text(args.of)?)?;
    Ok(Exit::Met)
}

/// The schema as it is committed.
pub(super) fn text(of: Described) -> Result<String, Failure> {
    let (title, mut schema): (&str, Schema) = match of {
        Described::Scenario => ("canard scenario", schemars::schema_for!(Document)),
        Described::Stage => ("canard stage", schemars::schema_for!(StageDocument)),
        Described::Calendar => ("canard calendar", schemars::schema_for!(CalendarDocument)),
        Described::Report => ("canard report", schemars::schema_for!(Report)),
        Described::Matrix => ("canard detection matrix", schemars::schema_for!(Matrix)),
        Described::Sweep => ("canard sweep", schemars::schema_for!(Sweep)),
        Described::Event => ("canard event", schemars::schema_for!(Event)),
    };
    schema.insert("title".to_owned(), title.into());
    let mut text = serde_json::to_string_pretty(&schema).map_err(|error| Failure::new(error.to_string()))?;
    text.push('\n');
    Ok(text)
}

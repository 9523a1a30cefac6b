//! `canard schema`.

use clap::Args;

use super::Exit;

/// Print the JSON Schema of the scenario language (or of stage files, or of reports).
#[derive(Debug, Args)]
pub(super) struct SchemaArgs {}

pub(super) fn run(_args: SchemaArgs) -> miette::Result<Exit> {
    Ok(Exit::Met)
}

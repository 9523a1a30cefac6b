//! `canard init`.

use clap::Args;

use super::Exit;

/// Write a commented starter scenario and stage.
#[derive(Debug, Args)]
pub(super) struct InitArgs {}

pub(super) fn run(_args: InitArgs) -> miette::Result<Exit> {
    Ok(Exit::Met)
}

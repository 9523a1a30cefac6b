//! `canard run`.

use clap::Args;

use super::Exit;

/// Run a scenario: inject its faults, watch the monitors, tell which alert noticed.
#[derive(Debug, Args)]
pub(super) struct RunArgs {}

pub(super) fn run(_args: RunArgs) -> miette::Result<Exit> {
    Ok(Exit::Met)
}

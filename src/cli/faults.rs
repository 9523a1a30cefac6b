//! `canard faults`.

use clap::Args;

use super::Exit;

/// List the faults, or show one in full.
#[derive(Debug, Args)]
pub(super) struct FaultsArgs {}

pub(super) fn run(_args: FaultsArgs) -> miette::Result<Exit> {
    Ok(Exit::Met)
}

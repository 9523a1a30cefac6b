//! `canard check`.

use clap::Args;

use super::Exit;

/// Check scenario and stage files without running anything.
#[derive(Debug, Args)]
pub(super) struct CheckArgs {}

pub(super) fn run(_args: CheckArgs) -> miette::Result<Exit> {
    Ok(Exit::Met)
}

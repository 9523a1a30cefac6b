//! `canard sidecar`.

use clap::Args;

use super::Exit;

/// Stand in front of a model server as a reverse proxy that can be armed.
#[derive(Debug, Args)]
pub(super) struct SidecarArgs {}

pub(super) fn run(_args: SidecarArgs) -> miette::Result<Exit> {
    Ok(Exit::Met)
}

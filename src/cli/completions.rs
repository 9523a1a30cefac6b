//! `canard completions`.

use clap::Args;

use super::Exit;

/// Print shell completions.
#[derive(Debug, Args)]
pub(super) struct CompletionsArgs {}

pub(super) fn run(_args: CompletionsArgs) -> miette::Result<Exit> {
    Ok(Exit::Met)
}

//! `canard completions`.

use clap::{Args, CommandFactory};
use clap_complete::Shell;

use super::{Cli, Exit, output};

/// Print shell completions.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  canard completions bash > ~/.local/share/bash-completion/completions/canard
  canard completions zsh > ~/.zfunc/_canard
  canard completions fish > ~/.config/fish/completions/canard.fish")]
pub(super) struct CompletionsArgs {
    /// The shell
    #[arg(value_enum)]
    shell: Shell,
}

pub(super) fn run(args: CompletionsArgs) -> miette::Result<Exit> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "canard", &mut script);
    output::print(&String::from_utf8_lossy(&script))?;
    Ok(Exit::Met)
}

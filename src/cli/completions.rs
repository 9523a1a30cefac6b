//! `canard completions`.

use clap::{Args, CommandFactory};
use clap_complete::Shell;

use super::{Cli, Exit, output};
use crate::fault::Fault;

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
    let mut script = String::from_utf8_lossy(&script).into_owned();
    if args.shell == Shell::Fish {
        script.push_str(&fault_names());
    }
    output::print(&script)?;
    Ok(Exit::Met)
}

/// The names after `canard faults`, which the generator leaves out for fish alone.
fn fault_names() -> String {
    let names: Vec<&str> = Fault::catalogue().iter().map(|entry| entry.name).collect();
    let after = "__fish_canard_using_subcommand faults";
    format!("complete -c canard -n \"{after}\" -f -a \"{}\"\n", names.join(" "))
}

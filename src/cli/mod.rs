//! The command line: arguments, one file per command, diagnostics, exit codes.

mod campaign;
mod catalogue;
mod check;
mod completions;
mod diagnostics;
mod explain;
mod faults;
mod incidents;
mod init;
mod ledger;
mod live;
mod load;
mod matrix;
mod output;
mod play;
mod power;
mod reload;
mod run;
mod schedule;
mod schema;
mod search;
mod sidecar;
mod stop;
mod sweep;
mod target;
mod watched;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Chaos engineering for machine-learning services: would your monitoring have told you?
///
/// canard makes a served model slow, broken or wrong, on schedule and under control, watches your alerts,
/// and tells which of them noticed.
#[derive(Debug, Parser)]
#[command(name = "canard", version, about, max_term_width = 100, arg_required_else_help = true)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Run(Box<run::RunArgs>),
    Check(check::CheckArgs),
    Explain(explain::ExplainArgs),
    Faults(faults::FaultsArgs),
    Init(init::InitArgs),
    Ledger(Box<ledger::LedgerArgs>),
    Matrix(matrix::MatrixArgs),
    Power(power::PowerArgs),
    Schedule(schedule::ScheduleArgs),
    Schema(schema::SchemaArgs),
    Sidecar(Box<sidecar::SidecarArgs>),
    Stop(stop::StopArgs),
    Sweep(Box<sweep::SweepArgs>),
    Completions(completions::CompletionsArgs),
}

/// What an exit code means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// Everything as expected.
    Met = 0,
    /// The monitoring fell short.
    FellShort = 1,
    /// The scenario, stage or command line is wrong, or something that it names can't be used.
    Usage = 2,
    /// Can't be told.
    Inconclusive = 3,
    /// A guard ended the run, or it was not permitted any more.
    Aborted = 4,
    /// Ctrl-C or SIGTERM.
    Interrupted = 130,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> ExitCode {
        ExitCode::from(exit as u8)
    }
}

/// An error for the person at the terminal: what failed, why, and what to do. It ends the command with
/// [`Exit::Usage`].
#[derive(Debug, Clone, thiserror::Error, miette::Diagnostic)]
#[error("{message}")]
pub struct Failure {
    message: String,
    #[help]
    help: Option<String>,
}

impl Failure {
    /// What failed and why.
    pub fn new(message: impl Into<String>) -> Failure {
        Failure { message: message.into(), help: None }
    }

    /// With a remedy.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Failure {
        self.help = Some(help.into());
        self
    }
}

/// Lets the process open as many sockets as the system allows it: a hanging model keeps one for each caller.
fn raise_descriptor_limit() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    // If the system says no, the limit stays what it was, which the traffic generator and the sidecar count.
    let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum });
}

/// The whole program.
pub fn main() -> ExitCode {
    diagnostics::install();
    raise_descriptor_limit();
    let result = match Cli::parse().command {
        Command::Run(args) => run::run(*args),
        Command::Check(args) => check::run(args),
        Command::Explain(args) => explain::run(args),
        Command::Faults(args) => faults::run(args),
        Command::Init(args) => init::run(args),
        Command::Ledger(args) => ledger::run(*args),
        Command::Matrix(args) => matrix::run(args),
        Command::Power(args) => power::run(args),
        Command::Schedule(args) => schedule::run(args),
        Command::Schema(args) => schema::run(args),
        Command::Sidecar(args) => sidecar::run(*args),
        Command::Stop(args) => stop::run(args),
        Command::Sweep(args) => sweep::run(*args),
        Command::Completions(args) => completions::run(args),
    };
    match result {
        Ok(exit) => exit.into(),
        Err(report) => {
            anstream::eprintln!("{report:?}");
            Exit::Usage.into()
        }
    }
}

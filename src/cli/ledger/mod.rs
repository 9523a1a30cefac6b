//! `canard ledger`: which responses were perturbed, and does the record hold?

mod export;
mod filter;
mod input;
#[cfg(feature = "parquet")]
mod parquet;
mod verify;

use std::{
    io::{self, Write},
    path::{Path, PathBuf},
};

use clap::{Args, ValueEnum};

use self::{export::Export, filter::FilterArgs, input::Input};
use super::{Exit, Failure, diagnostics::count};
use crate::unit::Span;

/// Read the ledger: which responses were perturbed, when, for whom, and by what.
///
/// Each perturbed response has a line in the ledger of the sidecar or run that perturbed it. What people
/// clicked, bought or complained about after a response that canard made up is no feedback on your model:
/// select those lines here, by time, scenario, fault, unit or request, and leave these requests out of training
/// data and dashboards.
///
/// FILE is the file that a ledger grows in (`ledger.jsonl`); the older files that rotation gave a number
/// (`ledger.1.jsonl`, ...) are read with it, in order. A last line that a crash cut off is passed over with a
/// note.
///
/// With --verify, the lines are counted and held against the counters of a run's report: for each fault,
/// those that it perturbed, and apart from them those where a request had asked for it (`x-canard-fault`).
#[derive(Debug, Args)]
#[command(
    override_usage = "canard ledger [OPTIONS] [FILE]...\n       canard ledger --verify REPORT [FILE]...",
    after_help = "\
Examples:
  canard ledger                                       lines of canard-report/ledger.jsonl
  canard ledger --fault mislabel --since 1h
  canard ledger /var/log/canard/ledger.jsonl --unit user-17 --format csv
  canard ledger --scenario biased-credit -o polluted.parquet
  canard ledger --verify canard-report/report.json
  curl -s localhost:9900/v1/ledger | canard ledger -  newest lines of a sidecar

Filters of one kind are alternatives, those of different kinds must all hold:
`--fault error --fault hang --lease 3` selects what either fault did under lease 3.

To leave polluted rows out, join on the request's id; with pandas:
  polluted = pandas.read_csv('polluted.csv')
  clean = feedback[~feedback.request_id.isin(polluted.request)]
Lines of requests that carried no id have none; their time and unit say what is known.

Columns of CSV and Parquet: at (UTC), scenario, lease, request, unit, fault, asked_for, change, shadow.

Exit codes: 0 done, or the ledger and the report agree; 1 they do not; 2 a file or the command
line is wrong; 3 it can't be told (files that are missing may hold what is missing)."
)]
pub(super) struct LedgerArgs {
    /// Ledgers, or folders with a ledger.jsonl; `-` reads standard input; canard-report if left out
    #[arg(value_name = "FILE")]
    files: Vec<PathBuf>,
    #[command(flatten)]
    filter: FilterArgs,
    /// How lines are written; told by the name of --output if left out, else jsonl
    #[arg(long, value_enum, value_name = "FORMAT", help_heading = "Output")]
    format: Option<Format>,
    /// Write to this file, whole or not at all, instead of standard output
    #[arg(long, short, value_name = "FILE", help_heading = "Output")]
    output: Option<PathBuf>,
    /// Pass over lines that can't be read, and say how many, instead of ending at the first
    #[arg(long, help_heading = "Output")]
    skip_broken: bool,
    /// Count the lines and hold them against a run's report.json; its own ledger is read if no FILE is named
    #[arg(
        long, value_name = "REPORT", help_heading = "Check",
        conflicts_with_all = ["format", "output", "since", "until", "scenario", "fault", "unit", "request", "lease", "asked_for", "shadow"]
    )]
    verify: Option<PathBuf>,
    /// With --verify: how far the clocks of sidecars on other machines may be from the controller's
    #[arg(long, value_name = "SPAN", default_value = "0s", requires = "verify", help_heading = "Check")]
    clock_skew: Span,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// The lines as they are
    Jsonl,
    /// Comma-separated values with a header
    Csv,
    /// Apache Parquet, compressed with Snappy; in a build with the feature `parquet`
    Parquet,
}

impl Format {
    fn of(path: &Path) -> Option<Format> {
        match path.extension()?.to_str()? {
            "csv" => Some(Format::Csv),
            "parquet" => Some(Format::Parquet),
            _ => None,
        }
    }
}

pub(super) fn run(args: LedgerArgs) -> miette::Result<Exit> {
    if let Some(report) = &args.verify {
        return Ok(verify::run(report, &args)?);
    }
    let format = args.format.or_else(|| args.output.as_deref().and_then(Format::of)).unwrap_or(Format::Jsonl);
    let filter = args.filter.filter()?;
    let mut input = Input::open(&args.files, Path::new("canard-report"), args.skip_broken)?;
    let mut export = Export::open(format, args.output.as_deref(), &input)?;
    input.show_progress(args.output.is_some());
    let (mut selected, mut all) = (0_u64, 0_u64);
    let ended = input.each(|entry| {
        all += 1;
        if !filter.selects(&entry.line) {
            return Ok(());
        }
        selected += 1;
        export.line(&entry)
    });
    match ended.and_then(|()| export.close()) {
        // A reader that has gone (`canard ledger | head`) is no failure.
        Err(Ended::ReaderGone) => return Ok(Exit::Met),
        Err(Ended::Failed(failure)) => return Err(failure.into()),
        Ok(()) => {}
    }
    input.tell_notes();
    if let Some(output) = &args.output {
        let said = format!("{selected} of {} written to `{}`", count(all as usize, "line"), output.display());
        say(&said);
    }
    Ok(Exit::Met)
}

/// Why no more lines are taken.
#[derive(Debug)]
enum Ended {
    ReaderGone,
    Failed(Failure),
}

impl From<Failure> for Ended {
    fn from(failure: Failure) -> Ended {
        Ended::Failed(failure)
    }
}

/// A line for the person at the terminal, beside the output.
fn say(line: &str) {
    let _ = writeln!(anstream::stderr(), "{line}");
}

fn cannot(what: &str, path: &Path, error: &io::Error) -> Failure {
    Failure::new(format!("`{}` can't be {what}: {error}", path.display()))
}

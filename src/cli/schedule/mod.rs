//! `canard schedule`: from a calendar to runs, one after another.

mod desk;
mod list;

use std::path::{Path, PathBuf};

use clap::Args;

use super::{
    Exit, Failure,
    live::Format,
    load,
    play::{ANOTHER_FOLDER, Signals, block_on, writable},
    run::lease,
};
use crate::{
    gameday::Options,
    scenario::{CalendarDocument, ScheduledRun},
    schedule::{Kept, Ready, keep},
    unit::Span,
};
use desk::Desk;

/// Run scenarios by a calendar: cron expressions with a time zone, windows and blackout days.
///
/// Each run is an ordinary `canard run` in this process, with its own lease, guards, limits and report. It has to begin
/// and to end inside a window, and on no blackout day. A slot that was missed (the machine slept, this program was not
/// running) is skipped, never caught up. Runs that could share a unit (they name one exposure layer, or none) or that use
/// the same sidecar or addresses take turns; one that is still waiting when its window closes or its own next slot
/// comes is skipped.
///
/// Cron expressions speak of the time on the wall: a time that the clocks jump over in spring is skipped, one that comes
/// twice in autumn is a slot the first time. The calendar is read again when it changes, scenarios and stages when
/// their run begins; a calendar that can't be used is told, and the old one goes on.
#[derive(Debug, Args)]
#[command(after_help = "\
A calendar:
  time-zone: Europe/Berlin
  stage: staging.yaml
  windows: [{ days: mon-fri, from: \"10:00\", to: \"16:00\" }]
  blackouts: [2026-12-24, 2026-12-27 to 2027-01-06]
  runs:
    - { scenario: biased-credit.yaml, cron: \"30 10 * * mon-thu\" }
    - { scenario: slow.yaml, cron: \"0 14 * * 5\", stage: production.yaml }

Examples:
  canard schedule calendar.yaml --dry-run
  canard schedule calendar.yaml --list 50 --from 2027-03-27
  canard schedule calendar.yaml --report reports/
  canard schedule calendar.yaml --once

Exit codes: 0 no slot is left; 2 the calendar, or a scenario or stage that it names, is wrong;
130 stopped by Ctrl-C or SIGTERM, which disarms first and writes the report of what ran.
With --once: that of the run.")]
pub(super) struct ScheduleArgs {
    /// The calendar file.
    calendar: PathBuf,
    /// Exit after the next run, with its exit code.
    #[arg(long, conflicts_with_all = ["dry_run", "list"])]
    once: bool,
    /// Show the next 10 slots, in the calendar's time and in UTC, and why some are skipped; run nothing.
    #[arg(long)]
    dry_run: bool,
    /// The same with so many slots.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    list: Option<u16>,
    /// List slots after this time instead of after now, such as `2027-03-28` or `2027-03-28T01:30`.
    #[arg(long, value_name = "TIME")]
    from: Option<String>,
    /// Where reports go, each into a folder of its own: the scenario's name and the slot in UTC.
    #[arg(long, value_name = "DIR", default_value = "canard-report")]
    report: PathBuf,
    /// Keep to the full time of each phase, even when everything in it is decided.
    #[arg(long)]
    no_early_stop: bool,
    /// Time to live of the leases, renewed while a run goes on: so long after this process dies, sidecars disarm
    /// themselves. From 1s to 5m.
    #[arg(long, value_name = "SPAN", default_value = "10s", value_parser = lease)]
    lease: Span,
    /// What is printed: text, or JSON lines, where each event of a run says which `run` it belongs to.
    #[arg(long, value_enum, default_value = "text")]
    format: Format,
    /// Of runs, print nothing but a line for each verdict.
    #[arg(long, short)]
    quiet: bool,
}

pub(super) fn run(args: ScheduleArgs) -> miette::Result<Exit> {
    if args.calendar == Path::new("-") {
        let failure = Failure::new("a calendar is read again and again, which standard input can't be");
        return Err(failure.help("name the file").into());
    }
    let source = load::source(&args.calendar)?;
    let calendar = load::calendar_with_files(&source)?;
    let Some(ready) = all(&calendar) else { return Ok(Exit::Usage) };
    if let Some(slots) = args.list.or(args.dry_run.then_some(10)) {
        list::list(&calendar, &ready, args.from.as_deref(), slots.into(), args.format)?;
        return Ok(Exit::Met);
    }
    if args.from.is_some() {
        return Err(Failure::new("--from lists slots, and runs nothing")
            .help("add --dry-run or --list N")
            .into());
    }
    writable(&args.report, ANOTHER_FOLDER)?;
    let kept = block_on(async {
        let signals = Signals::install()?;
        let options = Options { early_stop: !args.no_early_stop, lease: args.lease.duration() };
        let stop = signals.first();
        let desk =
            Desk::new(&args.calendar, &source, args.report, options, (args.format, args.quiet), signals);
        Ok(keep(calendar, desk, args.once, stop).await)
    })?;
    Ok(match kept {
        Kept::Stopped => Exit::Interrupted,
        Kept::NothingLeft => Exit::Met,
        Kept::Once(code) => Exit::of_code(code),
    })
}

/// The scenarios and stages of a calendar, one for each run; `None` if one can't be used, which is told.
fn all(calendar: &CalendarDocument) -> Option<Vec<Ready>> {
    let read = |run: &ScheduledRun| match read(calendar, run) {
        Ok(ready) => Some(ready),
        Err(why) => {
            anstream::eprintln!("{why:?}");
            None
        }
    };
    // Not at the first: each mistake is told.
    let ready: Vec<Option<Ready>> = calendar.runs.iter().map(read).collect();
    ready.into_iter().collect()
}

/// Reads the scenario and the stage of a run.
fn read(calendar: &CalendarDocument, run: &ScheduledRun) -> miette::Result<Ready> {
    let file = run.stage.as_ref().or(calendar.stage.as_ref());
    let stage = load::stage(file.map(PathBuf::as_path))?;
    let plan = load::scenario(&load::source(&run.scenario)?, &stage)?;
    Ok(Ready { plan: plan.into(), stage: file.is_some().then_some(stage) })
}

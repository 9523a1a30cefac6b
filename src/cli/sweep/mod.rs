//! `canard sweep`: runs of a scenario, each with another size of one setting, until it is known from what size on the
//! monitoring notices.
//!
//! Each probe is a run like any other, with its lease, its guards and its report; `verify::Findings` decides what is tried
//! next. What is known is kept after each probe, so that nothing that ends this process costs more than one run.

mod keep;
mod prepare;

use std::{path::PathBuf, sync::Arc};

use clap::Args;

use self::{keep::Keep, prepare::Prepared};
use super::{
    Exit,
    live::{self, Format, Show},
    output::{self, Shown},
    play::{ANOTHER_FOLDER, Play, Signals, block_on, play, writable},
    power,
    run::lease,
    target::TargetArgs,
};
use crate::{
    draw::{Key, UnitHash},
    event::{Ending, Probe, Report, Sweep, SweepEnding},
    gameday::{self, Options},
    report,
    scenario::Plan,
    unit::{Scale, Share, Span},
    verify::{Findings, Next},
};

/// Find the smallest size of a fault that the monitoring notices in time.
///
/// The scenario is run again and again with another size of one setting; after each run the size is tried that tells
/// most (QUEST+). The result is the size that is detected every second time, the one that is detected nine times in
/// ten, both with 95% intervals, and the curve; beside it the same of a reference detector on the same traffic. A run
/// that can't be told (its fault was not delivered, a monitor did not answer) is told and repeated, and never counts as a
/// miss; nor does a detection count where a miss could not have been told.
///
/// Exit codes: 0 both sizes are found, or it is shown that they lie beyond the range; 2 the scenario, the stage or the
/// command line is wrong; 3 it can't be told; 4 a guard ended a run, or it was not permitted any more; 130 interrupted.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  canard sweep scenarios/sweep.yaml --over faults.mislabel.rate=5%..100%
  canard sweep scenario.yaml --over faults.latency.fixed=50ms..2s --alert HighLatency
  canard sweep scenario.yaml --over phases.slow.faults.latency.fixed=50ms..2s --stage staging.yaml
  canard sweep scenario.yaml --over exposure.share=1%..50% --runs 40 --resume")]
pub(super) struct SweepArgs {
    /// The scenario file
    scenario: PathBuf,
    /// The setting and its sizes, the mild end first. `faults.FAULT.SETTING` is that setting of every injection of that
    /// fault, `phases.PHASE.faults.FAULT.SETTING` of those in one phase; `exposure.share` and the like are read as they
    /// stand. The scenario has to have a value there
    #[arg(long, value_name = "PATH=FROM..TO")]
    over: String,
    /// How sizes lie between the ends; left out, `log` where both ends are above 0
    #[arg(long, value_enum)]
    scale: Option<Scale>,
    /// The one alert that has to fire in time; left out, all that the phases with the setting expect to fire
    #[arg(long, value_name = "ALERT")]
    alert: Option<String>,
    #[command(flatten)]
    target: TargetArgs,
    /// Most runs, those of a sweep that is resumed included
    #[arg(long, value_name = "N", default_value = "20", value_parser = clap::value_parser!(u32).range(1..=500))]
    runs: u32,
    /// End as soon as both intervals are no longer than this part of the range, on its scale
    #[arg(long, value_name = "SHARE", default_value = "25%")]
    width: Share,
    /// Seed of the sweep, from which each run has its own; left out, the scenario's
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// Where `sweep.json` goes, and the report of each run in a folder `probe-NNN`
    #[arg(long, value_name = "DIR", default_value = "canard-sweep")]
    report: PathBuf,
    /// Go on with the sweep in the folder, which must be of the same scenario, range and seed
    #[arg(long)]
    resume: bool,
    /// Show what would be tried first; touch nothing
    #[arg(long)]
    dry_run: bool,
    /// Keep to the full time of each phase, even when everything in it is decided: so the reference detector watches as
    /// long as the alerts have time, whether or not they fire sooner
    #[arg(long)]
    no_early_stop: bool,
    /// Time to live of the lease of each run, from 1s to 5m
    #[arg(long, value_name = "SPAN", default_value = "10s", value_parser = lease)]
    lease: Span,
    /// A line for each run, then tables; or the content of `sweep.json`, at the end
    #[arg(long, value_enum, default_value_t, value_name = "FORMAT")]
    format: Shown,
    /// Print only the result
    #[arg(long, short)]
    quiet: bool,
}

pub(super) fn run(args: SweepArgs) -> miette::Result<Exit> {
    let prepared = Prepared::new(&args)?;
    if args.format == Shown::Text && !args.quiet {
        // Mild sizes may well be too little; where even the most severe one is, no sweep tells anything.
        power::warn(&prepared.plan(&prepared.range.written(1.0), prepared.search.seed)?);
    }
    if args.dry_run {
        return Ok(output::print(&prepared.outlook(args.runs)).map(|()| Exit::Met)?);
    }
    let keep = Keep::open(&args.report, args.resume, prepared.search.clone())?;
    let sweep = block_on(search(&args, &prepared, keep))?;
    let exit = Exit::of_code(sweep.exit_code);
    let text = match args.format {
        Shown::Text => report::sweep(&sweep, live::width()),
        Shown::Json => Keep::text(&sweep),
    };
    output::print(&text)?;
    if args.format == Shown::Text && !args.quiet {
        output::print(&format!("\nkept in {}\n", args.report.join(keep::FILE).display()))?;
    }
    Ok(exit)
}

/// Probe after probe, until everything is known or something ends it.
async fn search(args: &SweepArgs, prepared: &Prepared, mut keep: Keep) -> miette::Result<Sweep> {
    let signals = Signals::install()?;
    let width = args.width.fraction();
    loop {
        let findings = Findings::of(&prepared.range, &keep.probes);
        let size = match findings.next(&keep.probes, args.runs, width) {
            Next::Try(size) => size,
            Next::End(ending, why) => return Ok(keep.write(&findings, ending, why)?),
        };
        let number = keep.probes.len() as u32 + 1;
        let folder = format!("probe-{number:03}");
        let seed = probe_seed(prepared.search.seed, number);
        let plan = Arc::new(prepared.plan(&size, seed)?);
        let (_, orders) = gameday::orders();
        let path = args.report.join(&folder);
        writable(&path, ANOTHER_FOLDER)?;
        let probed = Play {
            plan: plan.clone(),
            target: prepared.target.clone(),
            report: path,
            options: Options { early_stop: !args.no_early_stop, lease: args.lease.duration() },
            orders,
            reload: None,
            show: Show {
                format: Format::Text,
                quiet: true,
                silent: true,
                brief: false,
                run: Some(folder.clone()),
            },
        };
        let report = play(probed, signals.clone()).await?;
        if let Some((ending, why)) = ended(&report) {
            return Ok(keep.write(&findings, ending, why)?);
        }
        let probe = probe(prepared, &plan, &report, number, folder, size, seed);
        keep.probes.push(probe.clone());
        let findings = Findings::of(&prepared.range, &keep.probes);
        keep.write(&findings, SweepEnding::GoingOn, String::from("it goes on"))?;
        if args.format == Shown::Text && !args.quiet {
            let line = report::probe(&probe, &prepared.search.setting, args.runs, &findings.monitoring());
            output::print(&format!("{line}\n"))?;
        }
    }
}

/// What ends the whole sweep, and not only a run.
fn ended(report: &Report) -> Option<(SweepEnding, String)> {
    let why = report.ending_detail.clone().unwrap_or_default();
    match report.ending {
        Ending::Interrupted => {
            Some((SweepEnding::Interrupted, "interrupted; everything is disarmed".to_owned()))
        }
        Ending::Guard => Some((SweepEnding::Aborted, format!("a guard ended a run: {why}"))),
        Ending::Withdrawn => Some((SweepEnding::Aborted, format!("a run was withdrawn: {why}"))),
        Ending::Completed | Ending::Failed => None,
    }
}

fn probe(
    prepared: &Prepared,
    plan: &Plan,
    report: &Report,
    number: u32,
    folder: String,
    size: String,
    seed: u64,
) -> Probe {
    let judged = prepared.counted().judge(plan, report);
    Probe {
        number,
        folder,
        size,
        seed,
        seen: judged.seen,
        time_s: judged.time_s,
        reason: judged.reason,
        detail: judged.detail,
        reference: judged.reference.map(|(seen, _)| seen),
        reference_s: judged.reference.and_then(|(_, at)| at),
    }
}

/// The seed of a probe: 32 bits that depend on the sweep's seed and the probe's number alone.
fn probe_seed(seed: u64, number: u32) -> u64 {
    Key::new(seed, "sweep").draw(UnitHash::from_u64(u64::from(number)), 0).bits() >> 32
}

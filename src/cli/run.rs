//! `canard run`: from arguments to an exit code.

use std::{path::PathBuf, sync::Arc};

use clap::Args;

use super::{
    Exit, Failure,
    live::{self, Format, Show},
    load, output,
    play::{Play, Signals, play, writable},
    reload::Reload,
};
use crate::{
    gameday::{self, Options},
    report,
    scenario::{Plan, unnamed_stage},
    unit::Span,
};

/// Run a scenario: inject its faults, watch the monitors, tell which alert noticed.
///
/// With no stage, everything runs in this process: a demo model, generated traffic, a sidecar and the
/// built-in monitor.
///
/// Exit codes: 0 everything as expected; 1 the monitoring fell short; 2 the scenario, the stage or the
/// command line is wrong; 3 it can't be told; 4 a guard ended the run, or its stage does not permit it any more; 130
/// interrupted.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  canard run scenarios/quickstart.yaml
  canard run scenario.yaml --stage staging.yaml --report out/
  canard run scenario.yaml --stage staging.yaml --dry-run
  canard run scenario.yaml --sidecar http://10.0.0.7:9900 --sidecar http://10.0.0.8:9900")]
pub(super) struct RunArgs {
    /// The scenario file; `-` reads standard input.
    scenario: PathBuf,
    /// The stage file: where the upstream, the sidecars and the monitors are.
    #[arg(long, value_name = "FILE")]
    stage: Option<PathBuf>,
    /// The admin address of a sidecar that already stands in the traffic; may be repeated. Its token comes
    /// from CANARD_TOKEN.
    #[arg(long, value_name = "URL")]
    sidecar: Vec<String>,
    /// Where generated traffic goes when sidecars are named; without it they get real traffic only.
    #[arg(long, value_name = "URL")]
    traffic_to: Option<String>,
    /// Where `report.json` and `junit.xml` go.
    #[arg(long, value_name = "DIR", default_value = "canard-report")]
    report: PathBuf,
    /// Keep to the full time of each phase, even when everything in it is decided.
    #[arg(long)]
    no_early_stop: bool,
    /// Time to live of the lease, renewed while the run goes on: so long after this process dies, sidecars
    /// disarm themselves.
    /// From 1s to 5m.
    #[arg(long, value_name = "SPAN", default_value = "10s", value_parser = lease)]
    lease: Span,
    /// Read the scenario and the stage again when they change, and go on without disarming: the scenario's sizes, rates,
    /// shapes, conditions, shares and caps apply at once (phases, faults, seed, unit, guards and expectations at the next
    /// run); when the stage's limits or consent do not permit the run any more, it ends with exit code 4.
    #[arg(long, conflicts_with = "dry_run")]
    reload: bool,
    /// Show the timeline, who would be touched and how often; touch nothing.
    #[arg(long)]
    dry_run: bool,
    /// What is printed while it runs.
    #[arg(long, value_enum, default_value = "text")]
    format: Format,
    /// Print nothing but a line for each verdict.
    #[arg(long, short)]
    quiet: bool,
}

pub(super) fn run(args: RunArgs) -> miette::Result<Exit> {
    let stage_source = args.stage.as_deref().map(load::stage_source).transpose()?;
    let document = match &stage_source {
        Some(source) => load::stage_of(source)?,
        None if !args.sidecar.is_empty() => unnamed_stage(),
        None => load::stage(None)?,
    };
    let source = load::source(&args.scenario)?;
    let elsewhere = !args.sidecar.is_empty();
    let plan = Arc::new(load::scenario(&source, &load::elsewhere(&document, elsewhere))?);
    let (giver, orders) = gameday::orders();
    let stage_file = args.stage.as_deref().zip(stage_source.as_ref());
    let reload = || {
        let scenario = (args.scenario.as_path(), &source);
        Reload::new(scenario, stage_file, document.clone(), plan.clone(), giver)
            .map(|one| one.elsewhere(elsewhere))
    };
    let reload = args.reload.then(reload).transpose()?;
    let stage = args.stage.is_some().then_some(document);
    if args.dry_run {
        return Ok(dry_run(&plan, args.format)?);
    }
    writable(&args.report)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.map_err(|e| Failure::new(format!("no runtime could be started: {e}")))?;
    let show = Show { format: args.format, quiet: args.quiet, run: None };
    let options = Options { early_stop: !args.no_early_stop, lease: args.lease.duration() };
    let report = runtime.block_on(async {
        let signals = Signals::install()?;
        let RunArgs { sidecar: sidecars, traffic_to, report, .. } = args;
        play(Play { plan, stage, sidecars, traffic_to, report, options, orders, reload, show }, signals).await
    })?;
    // Blocking leftovers (a name look-up, say) must not hold up the exit code.
    runtime.shutdown_background();
    Ok(Exit::of_code(report.exit_code))
}

fn dry_run(plan: &Plan, format: Format) -> Result<Exit, Failure> {
    let outline = gameday::outline(plan, "nothing: a dry run".into(), Vec::new());
    let rate = plan.traffic.as_ref().map(|(rate, _)| rate.per_second());
    let text = match format {
        Format::Text => report::plan(&outline, rate, live::width()) + "\nNothing was touched.",
        Format::Json => serde_json::to_string(&outline).unwrap_or_default(),
    };
    output::print(&(text + "\n"))?;
    Ok(Exit::Met)
}

/// A time to live that a sidecar grants with its default limits, and that survives a hiccup.
pub(super) fn lease(text: &str) -> Result<Span, String> {
    let span: Span = text.parse().map_err(|error: crate::unit::UnitError| error.to_string())?;
    let range = Span::from_secs(1)..=Span::from_secs(300);
    if range.contains(&span) { Ok(span) } else { Err("a lease lives from 1s to 5m".into()) }
}

//! `canard run`: from arguments to an exit code.

use std::{path::PathBuf, sync::Arc};

use clap::Args;

use super::{
    Exit, Failure,
    campaign::{self, Campaign, Times, agenda, scenarios},
    live::{self, Format, Show},
    load, output,
    play::{ANOTHER_FOLDER, Play, Signals, block_on, play, writable},
    power,
    reload::Reload,
    target::{Target, TargetArgs},
};
use crate::{
    gameday::{self, Options},
    report,
    scenario::{MOST_RUNS, Plan},
    unit::{Share, Span},
};

/// Run scenarios: inject their faults, watch the monitors, tell which alert noticed.
///
/// With no stage, everything runs in this process: a demo model, generated traffic, a sidecar and the
/// built-in monitor.
///
/// Several scenarios, a folder of them, or one that is repeated are a campaign: ordinary runs one after another, and at the
/// end the detection matrix, faults down and alerts across, in `matrix.json` and `matrix.md`. It goes on after a run that
/// a guard ended, and stops at Ctrl-C.
///
/// Exit codes: 0 everything as expected; 1 the monitoring fell short; 2 the scenario, the stage or the
/// command line is wrong; 3 it can't be told; 4 a guard ended the run, or its stage does not permit it any more; 130
/// interrupted. Of a campaign: the gravest of its runs, of 130, 2, 4, 1, 3 and 0.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  canard run scenarios/quickstart.yaml
  canard run scenario.yaml --stage staging.yaml --report out/
  canard run scenario.yaml --stage staging.yaml --dry-run
  canard run scenario.yaml --sidecar http://10.0.0.7:9900 --sidecar http://10.0.0.8:9900
  canard run scenarios/
  canard run scenario.yaml --repeat 10 --null-runs 5 --require 80%
  canard run scenarios/ --write-baseline baseline.yaml
  canard run scenarios/ --baseline baseline.yaml")]
pub(super) struct RunArgs {
    /// Scenario files, and folders: all scenarios in a folder (*.yaml, *.yml; not in folders inside it), in the order of
    /// their names. `-` reads standard input.
    #[arg(required = true, value_name = "SCENARIO")]
    scenarios: Vec<PathBuf>,
    #[command(flatten)]
    target: TargetArgs,
    /// Where `report.json` and `junit.xml` go; those of a campaign's runs into folders in it.
    #[arg(long, value_name = "DIR", default_value = "canard-report")]
    report: PathBuf,
    /// Play each scenario so often, whatever its `repeat` says: each time with a seed of its own, and its faults in an order
    /// that this draws.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=i64::from(MOST_RUNS)))]
    repeat: Option<u32>,
    /// So many runs of each scenario in which nothing is injected, among the others, whatever its `null-runs` says: what
    /// fires in them is a false alarm.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(..=i64::from(MOST_RUNS)))]
    null_runs: Option<u32>,
    /// This seed in place of the scenario's. `--repeat 1 --null-runs 0 --seed N --shuffle` plays a repeat of a campaign again
    /// (without `--shuffle` one that was not repeated); a null run is not played alone.
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// The faults in an order that the seed draws, as repeats have them.
    #[arg(long)]
    shuffle: bool,
    /// Be content when each alert notices its fault in time in this share of the runs; without it every miss counts. False
    /// alarms count in any case, and `junit.xml` shows each run as it was.
    #[arg(long, value_name = "SHARE")]
    require: Option<Share>,
    /// Compare with what alerts caught before: exit with 1 only where an alert that used to catch a fault in time (in half of
    /// the runs, or in the share of `--require`) no longer does, and with 3 where that can't be told, as where a scenario has
    /// lost the fault. Known misses do not fail again, and neither do false alarms. With one run of each scenario an alert
    /// that is in time 97 times in 100 is lost 3 times in 100: `--repeat 3` makes that 3 in 1,000.
    #[arg(long, value_name = "FILE")]
    baseline: Option<PathBuf>,
    /// Write what alerts catch now, for `--baseline`: a line of YAML for each fault, to be reviewed like code. What this
    /// campaign could not tell stays as the file (else that of `--baseline`) has it; when `--baseline` finds a loss, nothing is
    /// written.
    #[arg(long, value_name = "FILE")]
    write_baseline: Option<PathBuf>,
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
    #[arg(long, conflicts_with_all = ["dry_run", "repeat", "null_runs", "seed", "shuffle"])]
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

impl RunArgs {
    /// Is it more than one run, or judged as if it were?
    fn is_campaign(&self) -> bool {
        let judged = self.require.is_some() || self.baseline.is_some() || self.write_baseline.is_some();
        judged || self.scenarios.len() > 1 || self.scenarios[0].is_dir()
    }

    /// Is there somebody to read a warning?
    fn tells(&self) -> bool {
        matches!(self.format, Format::Text) && !self.quiet
    }

    fn times(&self) -> Times {
        Times { repeat: self.repeat, null_runs: self.null_runs, seed: self.seed, shuffle: self.shuffle }
    }

    fn options(&self) -> Options {
        Options { early_stop: !self.no_early_stop, lease: self.lease.duration() }
    }
}

pub(super) fn run(args: RunArgs) -> miette::Result<Exit> {
    let (target, stage_source) = args.target.read()?;
    let fits = target.against();
    if args.is_campaign() {
        let Some(plans) = scenarios(&args.scenarios, &fits)? else { return Ok(Exit::Usage) };
        return several(args, plans, target);
    }
    let source = load::source(&args.scenarios[0])?;
    let plan = Arc::new(load::scenario(&source, &fits)?);
    if args.times().of(&plan) != (1, 0) {
        return several(args, vec![plan], target);
    }
    let plan = if args.seed.is_some() || args.shuffle { one(&args, plan)? } else { plan };
    let (giver, orders) = gameday::orders();
    let stage_file = args.target.stage.as_deref().zip(stage_source.as_ref());
    let reload = || {
        let scenario = (args.scenarios[0].as_path(), &source);
        Reload::new(scenario, stage_file, target.document(), plan.clone(), giver)
            .map(|one| one.elsewhere(target.elsewhere()))
    };
    let reload = args.reload.then(reload).transpose()?;
    if args.dry_run {
        return Ok(dry_run(&plan, args.format)?);
    }
    writable(&args.report, ANOTHER_FOLDER)?;
    if args.tells() {
        power::warn(&plan);
    }
    let show = Show { format: args.format, quiet: args.quiet, run: None, brief: false, silent: false };
    let options = args.options();
    let code = block_on(async {
        let signals = Signals::install()?;
        let play = play(Play { plan, target, report: args.report, options, orders, reload, show }, signals);
        Ok(play.await?.exit_code)
    })?;
    Ok(Exit::of_code(code))
}

/// The scenario under another seed, or with its faults in another order.
fn one(args: &RunArgs, plan: Arc<Plan>) -> Result<Arc<Plan>, Failure> {
    let item = agenda(&[plan], args.times())?.pop();
    item.map(|item| item.plan).ok_or_else(|| Failure::new("there is nothing to run"))
}

/// A campaign of these scenarios.
fn several(args: RunArgs, plans: Vec<Arc<Plan>>, target: Target) -> miette::Result<Exit> {
    if args.reload {
        let failure = Failure::new("--reload is for one run, and this is a campaign of several");
        return Err(failure.help("leave it out, or run one scenario with --repeat 1 --null-runs 0").into());
    }
    let times = args.times();
    if args.tells() && !args.dry_run {
        plans.iter().for_each(|plan| power::warn(plan));
    }
    let items = agenda(&plans, times)?;
    let baseline = args.baseline.as_deref().map(campaign::baseline::read).transpose()?;
    let there = |path: PathBuf| match args.dry_run {
        true => Ok((path, None)),
        false => campaign::baseline::there(&path).map(|before| (path, before)),
    };
    let write_baseline = args.write_baseline.clone().map(there).transpose()?;
    let options = args.options();
    let campaign = Campaign {
        scenarios: plans,
        items,
        target,
        report: args.report,
        options,
        require: args.require,
        baseline,
        write_baseline,
        format: args.format,
        quiet: args.quiet,
    };
    if args.dry_run {
        campaign::dry_run(&campaign)?;
        return Ok(Exit::Met);
    }
    writable(&campaign.report, ANOTHER_FOLDER)?;
    block_on(async { campaign::campaign(campaign, Signals::install()?).await })
}

fn dry_run(plan: &Plan, format: Format) -> Result<Exit, Failure> {
    let outline = gameday::outline(plan, "nothing: a dry run".into(), Vec::new());
    let rate = plan.traffic.as_ref().map(|(rate, _)| rate.per_second());
    let text = match format {
        Format::Text => {
            let power = report::power(&power::by_default(plan));
            format!("{}\n{power}\nNothing was touched.", report::plan(&outline, rate, live::width()))
        }
        Format::Json => {
            let mut outline = serde_json::to_value(&outline).unwrap_or_default();
            outline["power"] = serde_json::to_value(power::by_default(plan)).unwrap_or_default();
            outline.to_string()
        }
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

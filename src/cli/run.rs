//! `canard run`: from arguments to an exit code.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use clap::{Args, ValueEnum};
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::watch,
};

use super::{Exit, Failure, live, load, output};
use crate::{
    event::{LedgerFiles, Report},
    evidence::LedgerParts,
    gameday::{self, Events, Options, Run, Truth},
    report,
    scenario::{Plan, SidecarAddress, StageDocument, unnamed_stage},
    traffic::{Generator, Tally},
    unit::Span,
};

/// Run a scenario: inject its faults, watch the monitors, tell which alert noticed.
///
/// With no stage, everything runs in this process: a demo model, generated traffic, a sidecar and the
/// built-in monitor.
///
/// Exit codes: 0 everything as expected; 1 the monitoring fell short; 2 the scenario, the stage or the
/// command line is wrong; 3 it can't be told; 4 a guard ended the run; 130 interrupted.
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

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    /// Live progress, then tables.
    Text,
    /// Events as JSON lines.
    Json,
}

pub(super) fn run(args: RunArgs) -> miette::Result<Exit> {
    let document = match &args.stage {
        None if !args.sidecar.is_empty() => unnamed_stage(),
        stage => load::stage(stage.as_deref())?,
    };
    let plan = Arc::new(load::scenario(&load::source(&args.scenario)?, &document)?);
    let stage = args.stage.is_some().then_some(document);
    if args.dry_run {
        return Ok(dry_run(&plan, args.format)?);
    }
    writable(&args.report)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.map_err(|e| Failure::new(format!("no runtime could be started: {e}")))?;
    let report = runtime.block_on(play(&args, plan, stage))?;
    // Blocking leftovers (a name look-up, say) must not hold up the exit code.
    runtime.shutdown_background();
    Ok(Exit::of_code(report.exit_code))
}

/// Plays, and writes the report before it waits for anything else.
async fn play(args: &RunArgs, plan: Arc<Plan>, stage: Option<StageDocument>) -> miette::Result<Report> {
    // Before anything is armed: a signal that comes early must disarm too.
    let signals = Signals::install()?;
    let (events, receiver) = Events::channel();
    let presenter = tokio::spawn(live::present(receiver, args.format, args.quiet));
    let truth = Arc::new(Truth::new(plan.clone()));
    let token = std::env::var("CANARD_TOKEN").ok();
    // Sidecars that stand in the traffic already keep ledgers of their own.
    let hosted = args.sidecar.is_empty() && stage.as_ref().is_none_or(|stage| stage.sidecars.is_empty());
    let ledger = args.report.join("ledger.jsonl");
    let named = args.sidecar.iter().map(|url| SidecarAddress { url: url.clone(), token: token.clone() });
    let staging = gameday::Staging {
        plan: plan.clone(),
        stage,
        sidecars: named.collect(),
        traffic_to: args.traffic_to.clone(),
        truth: truth.clone(),
        ledger: Some(ledger.clone()),
    };
    let staged = gameday::stage(staging).await.map_err(|error| {
        let failure = Failure::new(error.to_string());
        error.remedy().map_or(failure.clone(), |remedy| failure.help(remedy))
    })?;
    staged.notices.iter().for_each(|notice| events.notice(notice.clone()));
    let run = Run {
        plan,
        stage: staged.description.clone(),
        fleet: staged.fleet.clone(),
        monitors: staged.monitors,
        probes: staged.probes,
        truth,
        options: Options { early_stop: !args.no_early_stop, lease: args.lease.duration() },
        events,
    };
    let traffic = staged.traffic.map(Generator::start);
    let mut report = gameday::play(run, signals.first()).await;
    report.notices.extend(traffic.as_ref().and_then(|traffic| unsent(&traffic.tally())));
    let _ = presenter.await;
    let shown = match args.format {
        Format::Text if args.quiet => output::print(&report::verdicts(&report)),
        Format::Text => output::print(&(report::summary(&report, live::width()) + "\n")),
        Format::Json => Ok(()),
    };
    report.ledger = hosted.then(|| files(&ledger));
    let written = write(&args.report, &report);
    if let Err(failure) = &written {
        anstream::eprintln!("{:?}", miette::Report::new(failure.clone()));
        report.exit_code = if report.exit_code == 0 { Exit::Inconclusive as u8 } else { report.exit_code };
    } else if args.format == Format::Text && !args.quiet {
        let _ = output::print(&format!("report: {}\n", args.report.join("report.json").display()));
    }
    let close = async {
        if let Some(traffic) = traffic {
            traffic.stop().await;
        }
        staged.site.close().await;
    };
    tokio::select! { () = close => {} () = signals.first() => {} }
    // What ended only now had its lines to write, and those may have begun a file.
    let last = hosted.then(|| files(&ledger));
    if written.is_ok() && report.ledger != last {
        report.ledger = last;
        write(&args.report, &report)?;
    }
    shown?;
    Ok(report)
}

/// The files of a ledger, named from its folder.
fn files(ledger: &Path) -> LedgerFiles {
    let parts = LedgerParts::of(ledger).unwrap_or_default();
    let name = |file: &PathBuf| file.file_name().map(|name| name.to_string_lossy().into_owned());
    LedgerFiles { files: parts.files.iter().filter_map(name).collect(), removed: parts.removed }
}

/// What the generator could not send, if that is worth knowing.
fn unsent(tally: &Tally) -> Option<String> {
    let due = tally.due();
    (tally.dropped > 0).then(|| {
        format!(
            "the traffic generator could not send {} of {due} requests: too many were waiting for answers",
            tally.dropped
        )
    })
}

/// Ctrl-C and SIGTERM: the first ends what goes on, in order; the second ends the process at once, and leases
/// end the rest.
struct Signals(watch::Receiver<bool>);

impl Signals {
    fn install() -> Result<Signals, Failure> {
        let listen = |kind| signal(kind).map_err(|e| Failure::new(format!("can't listen for signals: {e}")));
        let (mut int, mut term) = (listen(SignalKind::interrupt())?, listen(SignalKind::terminate())?);
        let (tell, told) = watch::channel(false);
        tokio::spawn(async move {
            tokio::select! { _ = int.recv() => {}, _ = term.recv() => {} }
            let _ = tell.send(true);
            tokio::select! { _ = int.recv() => {}, _ = term.recv() => {} }
            exit_now();
        });
        Ok(Signals(told))
    }

    /// Resolves once the first has come.
    fn first(&self) -> impl Future<Output = ()> + Send + use<> {
        let mut told = self.0.clone();
        async move {
            if told.wait_for(|came| *came).await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    }
}

#[expect(clippy::exit, reason = "the second interrupt must not wait for anything")]
fn exit_now() {
    std::process::exit(i32::from(Exit::Interrupted as u8));
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
fn lease(text: &str) -> Result<Span, String> {
    let span: Span = text.parse().map_err(|error: crate::unit::UnitError| error.to_string())?;
    let range = Span::from_secs(1)..=Span::from_secs(300);
    if range.contains(&span) { Ok(span) } else { Err("a lease lives from 1s to 5m".into()) }
}

/// Finds out before the run whether its report can be written.
fn writable(folder: &Path) -> Result<(), Failure> {
    let cannot = |error| {
        let message = format!("the report folder `{}` can't be written: {error}", folder.display());
        Failure::new(message).help("name another folder with --report DIR")
    };
    fs::create_dir_all(folder).map_err(cannot)?;
    let probe = folder.join(".canard-write-test");
    fs::write(&probe, b"").and_then(|()| fs::remove_file(&probe)).map_err(cannot)
}

/// Writes each file whole or not at all.
fn write(folder: &Path, report: &Report) -> Result<(), Failure> {
    for (name, bytes) in [("report.json", report::json(report)), ("junit.xml", report::junit(report))] {
        let (path, part) = (folder.join(name), folder.join(format!(".{name}.part")));
        fs::write(&part, bytes).and_then(|()| fs::rename(&part, &path)).map_err(|error| {
            let _ = fs::remove_file(&part);
            let message = format!("`{}` can't be written: {error}", path.display());
            Failure::new(message).help("the verdicts are printed; free some space, or use --report DIR")
        })?;
    }
    Ok(())
}

impl Exit {
    fn of_code(code: u8) -> Exit {
        match code {
            0 => Exit::Met,
            1 => Exit::FellShort,
            4 => Exit::Aborted,
            130 => Exit::Interrupted,
            _ => Exit::Inconclusive,
        }
    }
}

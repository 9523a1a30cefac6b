//! Plays a scenario in this process, from its plan to the files of its report.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use tokio::{
    signal::unix::{SignalKind, signal},
    sync::watch,
};

use super::{Exit, Failure, live, output, reload::Reload, target::Target};
use crate::{
    event::{LedgerFiles, Report},
    evidence::LedgerParts,
    gameday::{self, Events, Options, Orders, Run, Truth},
    report,
    scenario::{Plan, SidecarAddress},
    traffic::{Generator, Tally},
};

/// What is played, and how.
#[derive(Debug)]
pub(super) struct Play {
    pub(super) plan: Arc<Plan>,
    pub(super) target: Target,
    /// Where the report goes.
    pub(super) report: PathBuf,
    pub(super) options: Options,
    pub(super) orders: Orders,
    /// What a change of its files means.
    pub(super) reload: Option<Reload>,
    pub(super) show: live::Show,
}

/// Runs it on a runtime of its own.
pub(super) fn block_on<T>(work: impl Future<Output = miette::Result<T>>) -> miette::Result<T> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.map_err(|e| Failure::new(format!("no runtime could be started: {e}")))?;
    let done = runtime.block_on(work);
    // Blocking leftovers (a name look-up, say) must not hold up the exit code.
    runtime.shutdown_background();
    done
}

/// Plays, and writes the report before it waits for anything else.
pub(super) async fn play(play: Play, signals: Signals) -> miette::Result<Report> {
    let Play {
        plan,
        target: Target { stage, sidecars, traffic_to },
        report: folder,
        options,
        orders,
        reload,
        show,
    } = play;
    let (events, receiver) = Events::channel();
    let presenter = tokio::spawn(live::present(receiver, show.clone()));
    let truth = Arc::new(Truth::new(plan.clone()));
    let token = std::env::var("CANARD_TOKEN").ok();
    // Sidecars that stand in the traffic already keep ledgers of their own.
    let hosted = sidecars.is_empty() && stage.as_ref().is_none_or(|stage| stage.sidecars.is_empty());
    let ledger = folder.join("ledger.jsonl");
    let named = sidecars.into_iter().map(|url| SidecarAddress { url, token: token.clone() });
    let staging = gameday::Staging {
        plan: plan.clone(),
        stage,
        sidecars: named.collect(),
        traffic_to,
        truth: truth.clone(),
        ledger: Some(ledger.clone()),
    };
    let staged = gameday::stage(staging).await.map_err(|error| {
        let failure = Failure::new(error.to_string());
        error.remedy().map_or(failure.clone(), |remedy| failure.help(remedy))
    })?;
    staged.notices.iter().for_each(|notice| events.notice(notice.clone()));
    let reload = reload.map(|reload| tokio::spawn(reload.keep(events.clone())));
    let run = Run {
        plan,
        stage: staged.description.clone(),
        fleet: staged.fleet.clone(),
        monitors: staged.monitors,
        probes: staged.probes,
        truth,
        options,
        events,
        orders,
    };
    let traffic = staged.traffic.map(Generator::start);
    let mut report = gameday::play(run, signals.first()).await;
    reload.iter().for_each(tokio::task::JoinHandle::abort);
    report.notices.extend(traffic.as_ref().and_then(|traffic| unsent(&traffic.tally())));
    let _ = presenter.await;
    let shown = match show.format {
        live::Format::Text if show.silent => Ok(()),
        live::Format::Text if show.quiet || show.brief => {
            let name =
                show.run.as_ref().filter(|_| show.brief).map_or(String::new(), |run| format!("{run} "));
            let lines = report::verdicts(&report);
            output::print(&lines.lines().map(|line| format!("{name}{line}\n")).collect::<String>())
        }
        live::Format::Text => output::print(&(report::summary(&report, live::width()) + "\n")),
        live::Format::Json => Ok(()),
    };
    report.ledger = hosted.then(|| files(&ledger));
    let written = write(&folder, &report);
    if let Err(failure) = &written {
        anstream::eprintln!("{:?}", miette::Report::new(failure.clone()));
        report.exit_code = if report.exit_code == 0 { Exit::Inconclusive as u8 } else { report.exit_code };
    } else if show.format == live::Format::Text && !show.quiet && !show.brief {
        let _ = output::print(&format!("report: {}\n", folder.join("report.json").display()));
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
        write(&folder, &report)?;
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
#[derive(Debug, Clone)]
pub(super) struct Signals(watch::Receiver<bool>);

impl Signals {
    /// Before anything is armed: a signal that comes early must disarm too.
    pub(super) fn install() -> Result<Signals, Failure> {
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

    /// Has one come?
    pub(super) fn came(&self) -> bool {
        *self.0.borrow()
    }

    /// Resolves once the first has come.
    pub(super) fn first(&self) -> impl Future<Output = ()> + Send + use<> {
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

/// What to do about a report folder that can't be written.
pub(super) const ANOTHER_FOLDER: &str = "name another folder with --report DIR";

/// Finds out before the run whether its files can be written to a folder, and makes it.
pub(super) fn writable(folder: &Path, remedy: &str) -> Result<(), Failure> {
    let cannot = |error| {
        Failure::new(format!("the folder `{}` can't be written: {error}", folder.display())).help(remedy)
    };
    fs::create_dir_all(folder).map_err(cannot)?;
    let probe = folder.join(".canard-write-test");
    fs::write(&probe, b"").and_then(|()| fs::remove_file(&probe)).map_err(cannot)
}

fn write(folder: &Path, report: &Report) -> Result<(), Failure> {
    let files = [("report.json", report::json(report)), ("junit.xml", report::junit(report))];
    let remedy = "the verdicts are printed; free some space, or use --report DIR";
    files.iter().try_for_each(|(name, text)| write_whole(folder, name, text, remedy))
}

/// Writes a file whole or not at all.
pub(super) fn write_whole(folder: &Path, name: &str, text: &str, remedy: &str) -> Result<(), Failure> {
    let (path, part) = (folder.join(name), folder.join(format!(".{name}.part")));
    fs::write(&part, text).and_then(|()| fs::rename(&part, &path)).map_err(|error| {
        let _ = fs::remove_file(&part);
        Failure::new(format!("`{}` can't be written: {error}", path.display())).help(remedy)
    })
}

impl Exit {
    pub(super) fn of_code(code: u8) -> Exit {
        match code {
            0 => Exit::Met,
            1 => Exit::FellShort,
            2 => Exit::Usage,
            4 => Exit::Aborted,
            130 => Exit::Interrupted,
            _ => Exit::Inconclusive,
        }
    }
}

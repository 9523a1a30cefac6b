//! What the loop of a schedule needs from outside: the clock on the wall, files, runs, the terminal.

use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde::Serialize;

use crate::{
    cli::{
        live::{Format, Show},
        load, output,
        play::{ANOTHER_FOLDER, Play, Signals, play, writable},
        target::Target,
        watched::Watched,
    },
    clock,
    gameday::Options,
    monitor::BoxFuture,
    scenario::{CalendarDocument, ScheduledRun, Source},
    schedule::{Hands, Happening, Job, Ready},
};

/// As `canard run` exits with when it can't begin.
const COULD_NOT_BEGIN: u8 = 2;

#[derive(Debug)]
pub(super) struct Desk {
    watched: Watched,
    report: PathBuf,
    options: Options,
    format: Format,
    quiet: bool,
    signals: Signals,
}

impl Desk {
    pub(super) fn new(
        file: &Path,
        source: &Source,
        report: PathBuf,
        options: Options,
        (format, quiet): (Format, bool),
        signals: Signals,
    ) -> Desk {
        Desk { watched: Watched::new(file, source), report, options, format, quiet, signals }
    }

    fn usable(&mut self) -> Option<miette::Result<CalendarDocument>> {
        let source = match self.watched.look()? {
            Ok(source) => source,
            Err(failure) => return Some(Err(failure.into())),
        };
        let calendar = load::calendar(&source);
        if calendar.is_ok() {
            self.watched.accept(&source);
        }
        Some(calendar)
    }
}

/// The time of the wall, in the words of jiff.
pub(super) fn wall() -> Timestamp {
    Timestamp::from_microsecond((clock::wall().unix_s() * 1e6) as i64).unwrap_or(Timestamp::UNIX_EPOCH)
}

impl Hands for Desk {
    fn wall(&self) -> Timestamp {
        wall()
    }

    fn reload(&mut self) -> Option<CalendarDocument> {
        let file = self.watched.path().to_owned();
        match self.usable()? {
            Ok(calendar) => {
                self.tell(Happening::Reloaded { file });
                Some(calendar)
            }
            Err(why) => {
                self.tell(Happening::ReloadRefused { file, why: format!("{why:?}") });
                None
            }
        }
    }

    fn read(&self, calendar: &CalendarDocument, run: &ScheduledRun) -> Result<Ready, String> {
        super::read(calendar, run).map_err(|why| format!("it can't be used\n{why:?}"))
    }

    fn reported(&self, name: &str) -> bool {
        // What can't be looked at can't be written either, which the run itself will tell.
        self.report.join(name).try_exists().unwrap_or_default()
    }

    fn run(&mut self, job: Job) -> BoxFuture<'static, u8> {
        let Job { name, ready: Ready { plan, stage }, orders } = job;
        let report = self.report.join(&name);
        let show =
            Show { format: self.format, quiet: self.quiet, run: Some(name), brief: false, silent: false };
        let (options, signals) = (self.options.clone(), self.signals.clone());
        let target = Target::of(stage);
        Box::pin(async move {
            let play = async {
                writable(&report, ANOTHER_FOLDER)?;
                let play_of = Play { plan, target, report, options, orders, reload: None, show };
                play(play_of, signals).await
            };
            match play.await {
                Ok(report) => report.exit_code,
                Err(why) => {
                    anstream::eprintln!("{why:?}");
                    COULD_NOT_BEGIN
                }
            }
        })
    }

    fn tell(&mut self, happening: Happening) {
        #[derive(Serialize)]
        struct Line {
            at: clock::Timestamp,
            #[serde(flatten)]
            happening: Happening,
        }
        let text = match self.format {
            Format::Text => happening.to_string(),
            Format::Json => {
                let line = Line { at: clock::wall(), happening };
                serde_json::to_string(&line).unwrap_or_default()
            }
        };
        // What can't be printed stops no run.
        let _ = output::print(&(text + "\n"));
    }
}

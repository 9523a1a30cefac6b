//! What a person sees while a run goes on: lines that stay, and on a terminal one line that moves.

use std::time::Duration;

use clap::ValueEnum;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde::Serialize;
use tokio::sync::mpsc::UnboundedReceiver;

use super::output;
use crate::{
    event::{ArmNumbers, Event, Kind, Progress},
    report,
};

/// Without a terminal, progress is a line now and then.
const PLAIN_PROGRESS_S: f64 = 10.0;

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    /// Live progress, then tables.
    Text,
    /// Events as JSON lines.
    Json,
}

/// How a run is shown.
#[derive(Debug, Clone)]
pub(super) struct Show {
    pub(super) format: Format,
    pub(super) quiet: bool,
    /// Not even its verdicts are printed.
    pub(super) silent: bool,
    /// Its name, where several are shown: each of its lines then has it.
    pub(super) run: Option<String>,
    /// Is it one of several, of which the verdicts are enough?
    pub(super) brief: bool,
}

impl Show {
    /// The JSON line of an event.
    fn json(&self, event: &Event) -> Option<String> {
        #[derive(Serialize)]
        struct Named<'a> {
            run: &'a str,
            #[serde(flatten)]
            event: &'a Event,
        }
        let line = match &self.run {
            Some(run) => serde_json::to_string(&Named { run, event }),
            None => serde_json::to_string(event),
        };
        line.ok()
    }
}

/// Columns of `COLUMNS` or of the terminal; 100 where there is neither, so that logs look alike everywhere.
pub(super) fn width() -> u16 {
    let asked = super::diagnostics::columns().and_then(|columns| u16::try_from(columns).ok());
    let terminal = || console::Term::stdout().size_checked().map(|(_, columns)| columns);
    asked.or_else(terminal).unwrap_or(100).min(160)
}

/// Shows events until the run ends. What can't be printed does not stop a run: its report is still written.
pub(super) async fn present(mut events: UnboundedReceiver<Event>, show: Show) {
    let Show { format, quiet, .. } = show;
    // Two moving lines would write over each other.
    let terminal =
        console::Term::stderr().is_term() && format == Format::Text && !quiet && show.run.is_none();
    let name = show.run.as_ref().map_or_else(String::new, |run| format!("{run} "));
    let target = if terminal { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
    let bar = ProgressBar::with_draw_target(Some(1000), target);
    bar.set_style(style());
    let (mut started, mut last_progress) = (None, 0.0);
    while let Some(event) = events.recv().await {
        let since = event.at.since(*started.get_or_insert(event.at));
        if format == Format::Json {
            if let Some(line) = show.json(&event) {
                let _ = output::print(&format!("{line}\n"));
            }
        } else if !quiet {
            if let Kind::Progress(progress) = &event.kind {
                bar.set_position((1000.0 * progress.elapsed_s / progress.total_s.max(0.001)) as u64);
                bar.set_message(numbers(progress));
                if !terminal && since - last_progress >= PLAIN_PROGRESS_S {
                    last_progress = since;
                    let _ = output::print(&format!("{name}{since:>6.1}s {}\n", numbers(progress)));
                }
            } else if let Some(line) = report::line(&event, since) {
                bar.suspend(|| {
                    let _ = output::print(&format!("{name}{line}\n"));
                });
            }
        }
        if matches!(event.kind, Kind::RunEnded(_)) {
            break;
        }
    }
    bar.finish_and_clear();
}

fn style() -> ProgressStyle {
    let bar = if width() < 100 { "{wide_msg}" } else { "{bar:20.cyan/dim} {wide_msg}" };
    let style = ProgressStyle::with_template(bar);
    style.unwrap_or_else(|_| ProgressStyle::default_bar())
}

/// `confused (12 s left) firing: … | treated 120 req, errors 0.0 %, p50 3 ms, p99 9 ms | control …`: what
/// matters most first, since a narrow terminal cuts the end.
fn numbers(progress: &Progress) -> String {
    let arm = |name: &str, numbers: &ArmNumbers| {
        let ms = |seconds: Option<f64>| seconds.map_or("–".to_owned(), |s| format!("{:.0} ms", s * 1e3));
        let errors = numbers.error_share.map_or("–".to_owned(), |share| format!("{:.1} %", share * 100.0));
        let (p50, p99) = (ms(numbers.p50_s), ms(numbers.p99_s));
        format!("{name} {} req, errors {errors}, p50 {p50}, p99 {p99}", numbers.requests)
    };
    let left = Duration::from_secs_f64((progress.total_s - progress.elapsed_s).max(0.0)).as_secs();
    let firing = match progress.firing.as_slice() {
        [] => String::new(),
        alerts => format!("firing {} | ", alerts.join(", ")),
    };
    let arms = format!("{} | {}", arm("treated", &progress.treated), arm("control", &progress.control));
    format!("{} ({left} s left) {firing}{arms}", progress.phase)
}

//! One line an event, for logs and for terminals; `None` for events that are not worth one.
//!
//! Colours are ANSI codes; whoever prints them strips them where they are not wanted.

use owo_colors::OwoColorize;

use super::words;
use crate::event::{AlertState, Event, Kind, Verdict};

/// The line of an event, without line break. `since_s` is the time since the run began.
pub fn line(event: &Event, since_s: f64) -> Option<String> {
    let text = match &event.kind {
        Kind::RunStarted(outline) => {
            let on = format!("on {}, watching {}", outline.stage, outline.monitors.join(", "));
            format!("{} {}", outline.scenario.bold(), on)
        }
        Kind::PhaseStarted { phase, lasts_s, .. } => {
            format!("{} {} for {}", "phase".cyan(), phase.bold(), words::span(*lasts_s))
        }
        Kind::PhaseEnded { early: false, .. } => return None,
        Kind::PhaseEnded { phase, early: true } => format!("phase {phase}: everything is decided, going on"),
        Kind::Progress(_) | Kind::RunEnded(_) | Kind::CampaignEnded(_) => return None,
        Kind::AlertChanged(change) => {
            let state = match (change.state, change.notification) {
                (AlertState::Inactive, false) => "cleared".green().to_string(),
                (AlertState::Inactive, true) => "notified: resolved".green().to_string(),
                (AlertState::Pending, _) => "pending".yellow().to_string(),
                (AlertState::Firing, false) => "firing".red().to_string(),
                (AlertState::Firing, true) => "notified: firing".red().to_string(),
                (AlertState::Silenced, _) => "firing, silenced".magenta().to_string(),
                (AlertState::Inhibited, _) => "firing, inhibited".magenta().to_string(),
            };
            format!("alert {}/{} {state}", change.monitor, change.alert.bold())
        }
        Kind::MonitorUnreachable { monitor, error } => {
            format!("{} monitor `{monitor}` does not answer: {error}", "warning:".yellow())
        }
        Kind::MonitorRecovered { monitor } => format!("monitor `{monitor}` answers again"),
        Kind::Decided(outcome) => {
            let word = words::verdict(outcome);
            let word = match outcome.verdict {
                Verdict::Met => word.green().to_string(),
                Verdict::Inconclusive => word.yellow().to_string(),
                _ => word.red().to_string(),
            };
            let time = outcome.time.map_or(String::new(), |time| format!(" after {}", words::time(time)));
            format!("{} {word}{time}", words::expectation(outcome))
        }
        Kind::GuardTripped { guard, reading } => {
            format!("{} {guard}: {reading}", "guard ended the run:".red())
        }
        Kind::Notice { message } => format!("{} {message}", "note:".blue()),
        Kind::Disarmed => "disarmed".to_owned(),
    };
    Some(format!("{} {text}", format_args!("{since_s:>6.1}s").dimmed()))
}

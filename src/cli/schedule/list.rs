//! The next slots of a calendar, and what comes of them.

use jiff::{
    Timestamp,
    civil::{Date, DateTime},
};
use serde::Serialize;

use super::desk::wall;
use crate::{
    cli::{Failure, live::Format, output},
    scenario::{CalendarDocument, Zone},
    schedule::{Ready, Skip, Slot, permits, slots, takes_turns},
    unit::Span,
};

/// One slot, as `--format json` prints it.
#[derive(Debug, Serialize)]
struct Entry {
    run: String,
    /// In the calendar's time; without an offset if there is no such time.
    slot: String,
    /// The same for people.
    #[serde(skip)]
    shown: String,
    utc: Option<String>,
    lasts_s: f64,
    /// Why nothing runs.
    skipped: Option<String>,
    /// The run that it waits for, if that takes all its time.
    may_wait_for: Option<String>,
}

/// Prints so many slots.
pub(super) fn list(
    calendar: &CalendarDocument,
    ready: &[Ready],
    from: Option<&str>,
    most: usize,
    format: Format,
) -> Result<(), Failure> {
    let after = from.map_or_else(|| Ok(wall()), |from| time(from, &calendar.time_zone))?;
    let entries = entries(calendar, ready, after, most);
    let mut text = String::new();
    if format == Format::Json {
        for entry in &entries {
            text.push_str(&serde_json::to_string(entry).unwrap_or_default());
            text.push('\n');
        }
        return output::print(&text);
    }
    let name = entries.iter().map(|entry| entry.run.chars().count()).max().unwrap_or_default().max(3);
    text.push_str(&format!("{:<31} {:<21} {:<name$}\n", calendar.time_zone.to_string(), "UTC", "run"));
    for entry in &entries {
        let utc = entry.utc.as_deref().unwrap_or("–");
        let what = match (&entry.skipped, &entry.may_wait_for) {
            (Some(why), _) => format!("skipped: {why}"),
            (None, Some(other)) => format!("runs {}, may wait for {other}", lasts(entry)),
            (None, None) => format!("runs {}", lasts(entry)),
        };
        text.push_str(&format!("{:<31} {utc:<21} {:<name$} {what}\n", entry.shown, entry.run));
    }
    if entries.is_empty() {
        text = "no slot is left\n".to_owned();
    }
    output::print(&text)
}

fn lasts(entry: &Entry) -> Span {
    Span::from_secs(entry.lasts_s.ceil() as u64)
}

fn entries(calendar: &CalendarDocument, ready: &[Ready], after: Timestamp, most: usize) -> Vec<Entry> {
    let mut all: Vec<(usize, Slot)> = Vec::new();
    for (index, run) in calendar.runs.iter().enumerate() {
        all.extend(slots(&calendar.time_zone, &run.cron, after).take(most).map(|slot| (index, slot)));
    }
    all.sort_by_key(|(_, slot)| slot.at);
    all.truncate(most);
    let names = calendar.names();
    // Runs that may still go on: until when, and which.
    let mut running: Vec<(Timestamp, usize)> = Vec::new();
    let entry = |(index, slot): (usize, Slot)| {
        let ready_run = &ready[index];
        let lasts = ready_run.plan.lasts();
        let skipped = match slot.exists {
            true => permits(calendar, slot.at, lasts).err(),
            false => Some(Skip::NoSuchTime(slot.local, calendar.time_zone.clone())),
        };
        let mut may_wait_for = None;
        if skipped.is_none() {
            running.retain(|(until, _)| *until > slot.at);
            let other = running.iter().find(|(_, other)| takes_turns(&ready[*other], ready_run).is_some());
            may_wait_for = other.map(|(_, other)| names[*other].clone());
            running.push((slot.at.checked_add(lasts).unwrap_or(Timestamp::MAX), index));
        }
        let zoned = slot.at.to_zoned(calendar.time_zone.rules().clone());
        let local = |there, not| match slot.exists {
            true => zoned.strftime(there).to_string(),
            false => slot.local.strftime(not).to_string(),
        };
        Entry {
            run: names[index].clone(),
            slot: local("%FT%T%:z", "%FT%T"),
            shown: local("%a %F %T %:z", "%a %F %T"),
            utc: slot.exists.then(|| slot.at.to_string()),
            lasts_s: lasts.as_secs_f64(),
            skipped: skipped.map(|why| why.to_string()),
            may_wait_for,
        }
    };
    all.into_iter().map(entry).collect()
}

/// A time on the wall of the calendar, or one with its offset.
fn time(text: &str, zone: &Zone) -> Result<Timestamp, Failure> {
    let local = text.parse::<DateTime>().or_else(|_| text.parse::<Date>().map(|day| day.at(0, 0, 0, 0)));
    let moment = text.parse::<Timestamp>().or_else(|_| zone.rules().to_timestamp(local?));
    moment.map_err(|_| {
        let failure = Failure::new(format!("`{text}` is no time"));
        failure.help("write it like 2027-03-28, 2027-03-28T01:30 or 2027-03-28T01:30:00+01:00")
    })
}

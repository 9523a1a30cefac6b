//! When a cron expression comes, and whether a run may take place then.
//!
//! A cron expression speaks of the time on the wall. Where clocks go forward, a slot that they jump over does not
//! exist and is skipped; where they go back, a time that comes twice is a slot the first time only. So no clock change
//! makes a run happen twice, or at an hour that nobody wrote.

use std::{fmt, time::Duration};

use jiff::{
    SignedDuration, Timestamp, ToSpan as _,
    civil::{Date, DateTime},
    tz::{AmbiguousOffset, TimeZone},
};

use crate::{
    scenario::{CalendarDocument, Cron, Days, WindowDocument, Zone},
    unit::Span,
};

/// A time at which a run was meant to begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Slot {
    /// When. For a time that the clocks jump over: when they do.
    pub at: Timestamp,
    /// The time on the wall, as the cron expression says it.
    pub local: DateTime,
    /// Is there such a time?
    pub exists: bool,
}

/// Why no run takes place in a slot.
#[derive(Debug, Clone, PartialEq)]
pub enum Skip {
    /// The clocks jump over it.
    NoSuchTime(DateTime, Zone),
    /// The day, or one that the run would reach into, is blacked out.
    Blackout(Date, Days),
    /// No window is open.
    Outside(Vec<WindowDocument>),
    /// The run would not be over before the window closes.
    TooLong {
        /// How long it takes.
        lasts: Duration,
        /// When the window closes.
        closes: DateTime,
    },
    /// It waited for another run until its own next slot came.
    NextSlotCame,
    /// The calendar does not hold it any more.
    Dropped,
    /// The scenario or the stage can't be used.
    Unusable(String),
}

impl fmt::Display for Skip {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Skip::NoSuchTime(local, zone) => {
                write!(f, "there is no {} on {} in {zone}: the clocks go forward", local.time(), local.date())
            }
            Skip::Blackout(day, days) if days.to_string() == day.to_string() => {
                write!(f, "{day} is blacked out")
            }
            Skip::Blackout(day, days) => write!(f, "{day} is blacked out ({days})"),
            Skip::Outside(windows) => {
                let windows = windows.iter().map(|w| format!("{} {} to {}", w.days, w.from, w.to));
                write!(f, "outside the windows ({})", windows.collect::<Vec<_>>().join("; "))
            }
            Skip::TooLong { lasts, closes } => {
                let lasts = Span::from(*lasts);
                write!(f, "it takes {lasts}, and the window closes at {}", closes.strftime("%H:%M on %F"))
            }
            Skip::NextSlotCame => f.write_str("it waited until its next slot came"),
            Skip::Dropped => f.write_str("the calendar does not hold it any more"),
            Skip::Unusable(why) => f.write_str(why),
        }
    }
}

/// The slots of a cron expression after a moment, in order.
pub fn slots<'a>(zone: &'a Zone, cron: &'a Cron, after: Timestamp) -> impl Iterator<Item = Slot> + 'a {
    let first = zone.rules().to_datetime(after);
    std::iter::successors(cron.after(first), |local| cron.after(*local))
        .map(|local| slot(zone.rules(), local))
        // On the second pass of an hour that comes twice, the slots of the first are behind.
        .filter(move |slot| slot.at > after)
}

fn slot(zone: &TimeZone, local: DateTime) -> Slot {
    let time = zone.to_ambiguous_timestamp(local);
    match time.offset() {
        AmbiguousOffset::Gap { .. } => {
            let before = time.earlier().unwrap_or(Timestamp::MAX);
            let jump = zone.following(before).next().map_or(before, |transition| transition.timestamp());
            Slot { at: jump, local, exists: false }
        }
        AmbiguousOffset::Fold { .. } | AmbiguousOffset::Unambiguous { .. } => {
            Slot { at: time.earlier().unwrap_or(Timestamp::MAX), local, exists: true }
        }
    }
}

/// May a run of such a length begin at a moment?
///
/// # Errors
/// Why not.
pub fn permits(calendar: &CalendarDocument, from: Timestamp, lasts: Duration) -> Result<(), Skip> {
    let zone = calendar.time_zone.rules();
    let until = from.checked_add(lasts).unwrap_or(Timestamp::MAX);
    // A run that ends at midnight is over before the next day begins.
    let end = until.checked_sub(SignedDuration::from_nanos(1)).unwrap_or(until).max(from);
    let (first, last) = (zone.to_datetime(from).date(), zone.to_datetime(end).date());
    let days = |first: Date, last: Date| {
        std::iter::successors(Some(first), |day| day.tomorrow().ok()).take_while(move |day| *day <= last)
    };
    for day in days(first, last) {
        if let Some(blackout) = calendar.blackouts.iter().find(|days| days.contains(day)) {
            return Err(Skip::Blackout(day, *blackout));
        }
    }
    if calendar.windows.is_empty() {
        return Ok(());
    }
    let (first, last) = (first.yesterday().unwrap_or(first), last.tomorrow().unwrap_or(last));
    let mut open: Vec<(Timestamp, Timestamp)> = days(first, last)
        .flat_map(|day| calendar.windows.iter().filter_map(move |window| opening(zone, window, day)))
        .collect();
    open.sort_unstable();
    // Windows that touch are one.
    let mut closes = None;
    for (opens, shuts) in open {
        match closes {
            Some(known) if opens <= known => closes = Some(shuts.max(known)),
            None if (opens..shuts).contains(&from) => closes = Some(shuts),
            _ => {}
        }
    }
    match closes {
        None => Err(Skip::Outside(calendar.windows.clone())),
        Some(closes) if closes < until => Err(Skip::TooLong { lasts, closes: zone.to_datetime(closes) }),
        Some(_) => Ok(()),
    }
}

/// From when to when a window is open that opens on a day, if it does.
fn opening(zone: &TimeZone, window: &WindowDocument, day: Date) -> Option<(Timestamp, Timestamp)> {
    if !window.days.contains(day.weekday()) {
        return None;
    }
    let moment = |minutes: u16| {
        let (days, minutes) = (minutes / (24 * 60), minutes % (24 * 60));
        let date = day.checked_add(i64::from(days).days()).ok()?;
        let local = date.at((minutes / 60) as i8, (minutes % 60) as i8, 0, 0);
        zone.to_timestamp(local).ok()
    };
    let (from, to) = (window.from.minutes(), window.to.minutes());
    let to = if to <= from { to + 24 * 60 } else { to };
    Some((moment(from)?, moment(to)?)).filter(|(opens, closes)| opens < closes)
}

//! Values that only a calendar has, each written as text.

use std::{fmt, str::FromStr};

use croner::parser::{CronParser, Seconds, Year};
use jiff::{
    civil::{self, DateTime, Weekday},
    tz::TimeZone,
};
use serde::{Deserialize, Serialize};

use crate::{
    scenario::nearest,
    unit::{Date, UnitError, as_text},
};

/// A time zone of the IANA database, such as `Europe/Berlin` or `UTC`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Zone {
    name: String,
    zone: TimeZone,
}

as_text!(Zone, r"^[A-Za-z0-9_+\-]+(/[A-Za-z0-9_+\-]+)*$", "Europe/Berlin");

impl Zone {
    /// Its rules.
    pub fn rules(&self) -> &TimeZone {
        &self.zone
    }
}

impl FromStr for Zone {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Zone, UnitError> {
        let wanted = text.trim();
        // The system's and the bundled database know `posixrules` and the like, which are no names for people.
        let zone = TimeZone::get(wanted).ok().filter(|zone| zone.iana_name().is_some());
        zone.map(|zone| Zone { name: zone.iana_name().unwrap_or(wanted).to_owned(), zone }).ok_or_else(|| {
            let names: Vec<String> = jiff::tz::db().available().map(|name| name.to_string()).collect();
            // `Berlin` is as good a guess as `Europe/Berln`.
            let city = |name: &&String| {
                name.rsplit('/').next().is_some_and(|city| city.eq_ignore_ascii_case(wanted))
            };
            let meant = names.iter().find(city).map(String::as_str).or_else(|| nearest(wanted, &names));
            let meant = meant.unwrap_or("Europe/Berlin");
            UnitError(format!("`{wanted}` is no time zone; write its IANA name, such as `{meant}`"))
        })
    }
}

impl fmt::Display for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

/// A cron expression: minute, hour, day of the month, month, day of the week; with six parts, the first is the second.
///
/// It speaks of the time on the wall, without a zone: [`crate::schedule`] tells what a clock change makes of that.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Cron {
    text: String,
    cron: croner::Cron,
}

as_text!(Cron, r"^\S+(\s+\S+){4,5}$|^@[a-z]+$", "30 10 * * mon-thu");

impl Cron {
    /// The first time after another, on the same wall; `None` at the end of time.
    pub fn after(&self, time: DateTime) -> Option<DateTime> {
        self.cron.find_next_occurrence(&time, false).ok()
    }
}

impl FromStr for Cron {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Cron, UnitError> {
        let parser = CronParser::builder().seconds(Seconds::Optional).year(Year::Disallowed).build();
        let cron = parser.parse(text).map_err(|why| {
            let why = why.to_string();
            let why = why.rsplit(": ").next().unwrap_or_default().trim_end_matches('.');
            let how = "write minute, hour, day of the month, month and day of the week, such as `30 10 * * mon-thu`";
            UnitError(format!("`{text}` is no cron expression ({why}); {how}"))
        })?;
        let cron = Cron { text: text.trim().to_owned(), cron };
        let some_day = civil::date(2024, 1, 1).at(0, 0, 0, 0);
        if cron.after(some_day).is_none() {
            return Err(UnitError(format!("`{text}` never comes: there is no such day")));
        }
        Ok(cron)
    }
}

impl fmt::Display for Cron {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// A time of the day, to the minute: `00:00` to `24:00`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct TimeOfDay {
    minutes: u16,
}

as_text!(TimeOfDay, r"^([01]\d|2[0-3]):[0-5]\d$|^24:00$", "10:30");

impl TimeOfDay {
    /// Minutes of a day.
    pub(super) const DAY: u16 = 24 * 60;

    /// Minutes since midnight, up to 1440.
    pub fn minutes(self) -> u16 {
        self.minutes
    }
}

impl FromStr for TimeOfDay {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<TimeOfDay, UnitError> {
        let wrong = || UnitError(format!("`{text}` is no time of the day; write it like \"10:30\""));
        let number = |part: &str| match part.len() == 2 && part.bytes().all(|b| b.is_ascii_digit()) {
            true => part.parse::<u16>().map_err(|_| wrong()),
            false => Err(wrong()),
        };
        let (hour, minute) = text.trim().split_once(':').ok_or_else(wrong)?;
        let (hour, minute) = (number(hour)?, number(minute)?);
        let minutes = hour * 60 + minute;
        if minute < 60 && minutes <= TimeOfDay::DAY { Ok(TimeOfDay { minutes }) } else { Err(wrong()) }
    }
}

impl fmt::Display for TimeOfDay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02}:{:02}", self.minutes / 60, self.minutes % 60)
    }
}

const NAMES: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];

/// Days of the week: `mon-fri`, `sat, sun`, `fri-mon`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Weekdays([bool; 7]);

as_text!(Weekdays, r"^[A-Za-z]+(\s*[-,]\s*[A-Za-z]+)*$", "mon-fri");

impl Weekdays {
    /// Is a day among them?
    pub fn contains(self, day: Weekday) -> bool {
        self.0[usize::from(day.to_monday_zero_offset().unsigned_abs())]
    }
}

impl Default for Weekdays {
    fn default() -> Self {
        Weekdays([true; 7])
    }
}

impl FromStr for Weekdays {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Weekdays, UnitError> {
        let day = |name: &str| {
            let plain = name.trim().to_ascii_lowercase();
            let long = ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"];
            let among = |names: [&str; 7]| names.iter().position(|name| *name == plain);
            let wrong = || {
                let name = name.trim();
                UnitError(format!("`{name}` is no day of the week; write them like `mon-fri` or `sat, sun`"))
            };
            among(NAMES).or_else(|| among(long)).ok_or_else(wrong)
        };
        let mut days = [false; 7];
        for part in text.split(',') {
            let (first, last) = part.split_once('-').unwrap_or((part, part));
            let (first, last) = (day(first)?, day(last)?);
            let length = (last + 7 - first) % 7;
            (first..=first + length).for_each(|day| days[day % 7] = true);
        }
        Ok(Weekdays(days))
    }
}

impl fmt::Display for Weekdays {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (mut parts, mut day) = (Vec::new(), 0);
        while day < 7 {
            let length = self.0[day..].iter().take_while(|on| **on).count();
            match length {
                0 => {}
                1 => parts.push(NAMES[day].to_owned()),
                _ => parts.push(format!("{}-{}", NAMES[day], NAMES[day + length - 1])),
            }
            day += length.max(1);
        }
        f.write_str(&parts.join(", "))
    }
}

/// Days of the calendar: one, or all from one to another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Days {
    first: civil::Date,
    last: civil::Date,
}

as_text!(Days, r"^\d{4}-\d{2}-\d{2}(\s+to\s+\d{4}-\d{2}-\d{2})?$", "2026-12-20 to 2027-01-06");

impl Days {
    /// Is a day among them?
    pub fn contains(self, day: civil::Date) -> bool {
        (self.first..=self.last).contains(&day)
    }
}

impl FromStr for Days {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Days, UnitError> {
        let day = |text: &str| -> Result<civil::Date, UnitError> {
            let date = text.parse::<Date>()?.to_string();
            date.parse().map_err(|_| UnitError(format!("`{text}` is no date; write it like 2026-12-31")))
        };
        let (first, last) = text.split_once(" to ").unwrap_or((text, text));
        let (first, last) = (day(first)?, day(last)?);
        if last < first {
            return Err(UnitError(format!("`{text}` holds no day: {last} is before {first}")));
        }
        Ok(Days { first, last })
    }
}

impl fmt::Display for Days {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.first)?;
        if self.last > self.first { write!(f, " to {}", self.last) } else { Ok(()) }
    }
}

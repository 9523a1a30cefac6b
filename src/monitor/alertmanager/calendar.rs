//! Time intervals of Alertmanager: when a route is muted, or active.

use jiff::{Timestamp as Time, Zoned, tz::TimeZone};
use serde::Deserialize;

use crate::clock::Timestamp;

/// A name and its intervals; it holds when one of them does.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Named {
    name: String,
    time_intervals: Vec<Interval>,
}

/// All of its parts have to hold; one that is empty holds always.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Interval {
    times: Vec<Times>,
    weekdays: Vec<String>,
    days_of_month: Vec<String>,
    months: Vec<String>,
    years: Vec<String>,
    location: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Times {
    start_time: String,
    end_time: String,
}

const WEEKDAYS: [&str; 7] = ["sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday"];
const MONTHS: [&str; 12] = [
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
];

impl Named {
    pub(super) fn is(&self, name: &str) -> bool {
        self.name == name
    }

    /// Does it hold at a moment? What can't be read does not hold.
    pub(super) fn holds(&self, at: Timestamp) -> bool {
        let Ok(time) = Time::from_second(at.unix_s() as i64) else { return false };
        self.time_intervals.iter().any(|interval| interval.holds(time).unwrap_or(false))
    }
}

impl Interval {
    fn holds(&self, time: Time) -> Option<bool> {
        let zone = self.location.as_deref().map_or(Ok(TimeZone::UTC), TimeZone::get).ok()?;
        let now: Zoned = time.to_zoned(zone);
        let any = |ranges: &[String], value: i64, read: &dyn Fn(&str) -> Option<i64>| {
            let within = |range: &String| -> Option<bool> {
                let (from, to) = range.split_once(':').unwrap_or((range, range));
                Some((read(from.trim())?..=read(to.trim())?).contains(&value))
            };
            ranges.is_empty() || ranges.iter().any(|range| within(range).unwrap_or(false))
        };
        let number = |text: &str| text.parse::<i64>().ok();
        let named = |names: &'static [&str], first: i64| {
            move |text: &str| {
                let at = names.iter().position(|name| name.eq_ignore_ascii_case(text));
                at.map(|at| at as i64 + first).or_else(|| text.parse().ok())
            }
        };
        let last = i64::from(now.days_in_month());
        let day = |text: &str| number(text).map(|day| if day < 0 { last + 1 + day } else { day });
        let minute = i64::from(now.hour()) * 60 + i64::from(now.minute());
        let times = self.times.is_empty()
            || self.times.iter().any(|times| match (minutes(&times.start_time), minutes(&times.end_time)) {
                (Some(from), Some(to)) => (from..to).contains(&minute),
                _ => false,
            });
        Some(
            times
                && any(
                    &self.weekdays,
                    i64::from(now.weekday().to_sunday_zero_offset()),
                    &named(&WEEKDAYS, 0),
                )
                && any(&self.days_of_month, i64::from(now.day()), &day)
                && any(&self.months, i64::from(now.month()), &named(&MONTHS, 1))
                && any(&self.years, i64::from(now.year()), &number),
        )
    }
}

/// `13:45`, in minutes since midnight.
fn minutes(text: &str) -> Option<i64> {
    let (hour, minute) = text.split_once(':')?;
    Some(hour.parse::<i64>().ok()? * 60 + minute.parse::<i64>().ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn holds(yaml: &str, at: &str) -> bool {
        let named: Named =
            serde_saphyr::from_str(&format!("{{ name: n, time_intervals: [{yaml}] }}")).unwrap();
        let time: Time = at.parse().unwrap();
        named.is("n") && named.holds(Timestamp::from_unix_s(time.as_second() as f64))
    }

    #[test]
    fn holds_when_all_of_its_parts_do() {
        let monday = "2026-11-23T22:30:00Z";
        let table = [
            ("{}", true),
            ("{ times: [{ start_time: '22:00', end_time: '22:31' }] }", true),
            ("{ times: [{ start_time: '22:00', end_time: '22:30' }] }", false),
            ("{ times: [{ start_time: '00:00', end_time: '24:00' }] }", true),
            ("{ weekdays: ['monday:friday'] }", true),
            ("{ weekdays: [saturday, sunday] }", false),
            ("{ weekdays: [monday], months: ['november:december'] }", true),
            ("{ weekdays: [monday], months: ['1:3'] }", false),
            ("{ days_of_month: ['-8:-1'] }", true),
            ("{ days_of_month: ['-7:-1'] }", false),
            ("{ days_of_month: ['1:5', '23'], years: ['2026'] }", true),
            ("{ years: ['2020:2025'] }", false),
            ("{ location: Asia/Tokyo, weekdays: [tuesday] }", true),
            ("{ location: Nowhere/Land }", false),
            ("{ weekdays: [someday] }", false),
        ];
        for (yaml, expected) in table {
            assert_eq!(holds(yaml, monday), expected, "{yaml}");
        }
    }
}

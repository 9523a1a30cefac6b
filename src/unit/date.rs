//! Days of the calendar.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use super::{UnitError, as_text};

const DAY_S: f64 = 86_400.0;

/// A day of the Gregorian calendar, in UTC, written `2026-12-31`.
///
/// ```
/// use canard::unit::Date;
/// let date: Date = "2026-12-31".parse()?;
/// assert_eq!(date.ends_unix_s(), 1_798_761_600.0);
/// assert!("2026-02-29".parse::<Date>().is_err());
/// # Ok::<(), canard::unit::UnitError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Date {
    year: i32,
    month: u8,
    day: u8,
}

as_text!(Date, r"^\d{4}-\d{2}-\d{2}$", "2026-12-31");

impl Date {
    /// Its last moment, midnight UTC of the next day, in seconds since 1970-01-01.
    pub fn ends_unix_s(self) -> f64 {
        (self.days() + 1) as f64 * DAY_S
    }

    /// Days since 1970-01-01 (Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms", `days_from_civil`).
    fn days(self) -> i64 {
        let (month, day) = (i64::from(self.month), i64::from(self.day));
        let year = i64::from(self.year) - i64::from(month <= 2);
        let era = year.div_euclid(400);
        let year_of_era = year.rem_euclid(400);
        let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
        era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
    }
}

impl FromStr for Date {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Date, UnitError> {
        let wrong = || UnitError(format!("`{text}` is no date; write it like 2026-12-31"));
        let parts: Vec<&str> = text.trim().split('-').collect();
        let [year, month, day] = parts[..] else { return Err(wrong()) };
        let digits = |part: &str, length| part.len() == length && part.bytes().all(|b| b.is_ascii_digit());
        if !(digits(year, 4) && digits(month, 2) && digits(day, 2)) {
            return Err(wrong());
        }
        let number = |part: &str| part.parse::<u16>().map_err(|_| wrong());
        let (year, month, day) = (number(year)?, number(month)?, number(day)?);
        let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
        let days = match month {
            2 => 28 + u16::from(leap),
            4 | 6 | 9 | 11 => 30,
            1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
            _ => return Err(wrong()),
        };
        if !(1..=days).contains(&day) {
            return Err(UnitError(format!("`{text}` is no date: there is no such day")));
        }
        Ok(Date { year: i32::from(year), month: month as u8, day: day as u8 })
    }
}

impl fmt::Display for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04}-{:02}-{:02}", self.year, self.month, self.day)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_date_is_the_day_that_the_calendar_says() {
        let days = |text: &str| text.parse::<Date>().unwrap().days();
        assert_eq!(days("1970-01-01"), 0);
        assert_eq!(days("2000-03-01"), 11_017);
        assert_eq!(days("2024-02-29"), 19_782);
        assert_eq!(days("2026-12-31") - days("2025-12-31"), 365);
        assert_eq!("2026-07-04".parse::<Date>().unwrap().to_string(), "2026-07-04");
        for text in
            ["", "2026", "2026-13-01", "2026-1-1", "2100-02-29", "2026-04-31", "31.12.2026", "2026-12-31T00"]
        {
            assert!(text.parse::<Date>().is_err(), "{text}");
        }
    }
}

//! A timestamp some seconds earlier, written as it was: RFC 3339, or Unix time.
//!
//! Only date and time of day are written anew; the fraction and the offset of an RFC 3339 time stay as they
//! are, so no precision is lost and no time zone is guessed.

use crate::wire::Value;

/// The JSON of a timestamp that is `seconds` earlier; `None` if it is no timestamp.
pub(super) fn earlier(value: &Value, seconds: i64) -> Option<String> {
    match value {
        Value::Text(text) => serde_json::to_string(&rfc3339(text, seconds)?).ok(),
        Value::Int(unix) => {
            let unit = match unix.unsigned_abs() {
                0..100_000_000_000 => 1,
                100_000_000_000..100_000_000_000_000 => 1_000,
                100_000_000_000_000..100_000_000_000_000_000 => 1_000_000,
                _ => 1_000_000_000,
            };
            Some(unix.checked_sub(seconds.checked_mul(unit)?)?.to_string())
        }
        Value::Float(unix) if unix.is_finite() => Some(format!("{:?}", unix - seconds as f64)),
        Value::Float(_) | Value::Null | Value::Bool(_) => None,
    }
}

fn rfc3339(text: &str, seconds: i64) -> Option<String> {
    let (date_time, rest) = text.split_at_checked(19)?;
    let zone = rest.trim_start_matches(|c: char| c == '.' || c.is_ascii_digit());
    let is_offset = |zone: &str| {
        zone.len() == 6
            && zone.starts_with(['+', '-'])
            && zone[1..].split(':').all(|part| part.parse::<u8>().is_ok())
    };
    let separators = date_time.bytes().enumerate().all(|(i, byte)| match i {
        4 | 7 => byte == b'-',
        10 => matches!(byte, b'T' | b't' | b' '),
        13 | 16 => byte == b':',
        _ => byte.is_ascii_digit(),
    });
    if !separators || !(matches!(zone, "" | "Z" | "z") || is_offset(zone)) {
        return None;
    }
    let number = |from: usize, to: usize| date_time[from..to].parse::<i64>().ok();
    let (year, month, day) = (number(0, 4)?, number(5, 7)?, number(8, 10)?);
    let (hour, minute, second) = (number(11, 13)?, number(14, 16)?, number(17, 19)?);
    if !(1..=12).contains(&month) || !(1..=31).contains(&day) || hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    let then = days(year, month, day) * 86_400 + hour * 3600 + minute * 60 + second - seconds;
    let (year, month, day) = civil(then.div_euclid(86_400));
    let time = then.rem_euclid(86_400);
    let (hour, minute, second) = (time / 3600, time / 60 % 60, time % 60);
    let t = &date_time[10..11];
    (0..=9999)
        .contains(&year)
        .then(|| format!("{year:04}-{month:02}-{day:02}{t}{hour:02}:{minute:02}:{second:02}{rest}"))
}

/// Days from 1970-01-01 to a date of the Gregorian calendar (Hinnant, "chrono-compatible low-level date
/// algorithms", `days_from_civil`).
fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}

/// The date so many days after 1970-01-01 (`civil_from_days`).
fn civil(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let (era, day_of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let (day, month) = (day_of_year - (153 * shifted + 2) / 5 + 1, (shifted + 2) % 12 + 1);
    (era * 400 + year_of_era + i64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn dates_go_there_and_back(day in -719_000_i64..2_900_000) {
            let (year, month, date) = civil(day);
            prop_assert_eq!(days(year, month, date), day);
        }

        #[test]
        fn any_text_is_a_time_or_is_not(text in any::<String>(), seconds in 0_i64..100_000) {
            let _ = earlier(&Value::Text(text), seconds);
        }
    }

    #[test]
    fn a_time_keeps_its_format() {
        for (before, seconds, after) in [
            ("2026-01-01T00:00:00Z", 1, "2025-12-31T23:59:59Z"),
            ("2024-03-01T12:30:05.123456+05:30", 86_400, "2024-02-29T12:30:05.123456+05:30"),
            ("2026-07-09 08:00:00", 3600, "2026-07-09 07:00:00"),
            ("2026-07-09t08:00:00z", 172_800, "2026-07-07t08:00:00z"),
        ] {
            let json = serde_json::to_string(after).unwrap();
            assert_eq!(earlier(&Value::Text(before.into()), seconds), Some(json));
        }
        for (unix, after) in [
            (1_767_225_600, "1767225599"),
            (1_767_225_600_000, "1767225599000"),
            (1_767_225_600_000_000, "1767225599000000"),
            (1_767_225_600_000_000_000, "1767225599000000000"),
        ] {
            assert_eq!(earlier(&Value::Int(unix), 1).as_deref(), Some(after));
        }
        assert_eq!(earlier(&Value::Float(1_767_225_600.5), 1).as_deref(), Some("1767225599.5"));
    }

    #[test]
    fn what_is_no_time_is_none() {
        for text in [
            "",
            "yesterday",
            "2026-13-01T00:00:00Z",
            "2026-01-01T00:00:00+05",
            "2026-01-01",
            "2026-01-01T25:00:00Z",
            "é026-01-01T00:00:00Z",
        ] {
            assert_eq!(earlier(&Value::Text(text.into()), 1), None, "{text}");
        }
        assert_eq!(earlier(&Value::Null, 1), None);
        assert_eq!(earlier(&Value::Int(i64::MIN), 1), None);
    }
}

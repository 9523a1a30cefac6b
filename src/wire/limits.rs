//! What providers tell about limits and retries beside an error: durations, moments, ids.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use http::{HeaderMap, HeaderName, HeaderValue, header::RETRY_AFTER};
use xxhash_rust::xxh3::xxh3_128;

use crate::clock::Timestamp;

/// Sets a header whose value is made of plain ASCII.
pub(super) fn set(headers: &mut HeaderMap, name: &'static str, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.insert(HeaderName::from_static(name), value);
    }
}

/// `Retry-After` in whole seconds, rounded up so that nobody comes too early.
pub(super) fn retry_after(headers: &mut HeaderMap, after: Option<Duration>) {
    if let Some(after) = after {
        let seconds = after.as_secs() + u64::from(after.subsec_nanos() > 0);
        headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
    }
}

/// A duration as Go prints it and OpenAI sends it: `12ms`, `1s`, `1.5s`, `6m0s`.
pub(super) fn go_duration(duration: Duration) -> String {
    let (minutes, millis) = (duration.as_secs() / 60, duration.as_millis() % 60_000);
    let (seconds, fraction) = (millis / 1000, millis % 1000);
    let tail = match fraction {
        0 => format!("{seconds}s"),
        _ => format!("{seconds}.{fraction:03}").trim_end_matches('0').to_owned() + "s",
    };
    match (minutes, seconds) {
        (0, 0) if fraction > 0 => format!("{fraction}ms"),
        (0, _) => tail,
        (m, _) if m < 60 => format!("{m}m{tail}"),
        (m, _) => format!("{}h{}m{tail}", m / 60, m % 60),
    }
}

/// A moment in RFC 3339, in UTC and whole seconds: `2026-01-31T12:00:00Z`.
///
/// The date of a day number is by Howard Hinnant's `civil_from_days`.
pub(super) fn rfc3339(moment: Timestamp) -> String {
    let seconds = moment.unix_s().max(0.0) as u64;
    let (days, time) = (seconds / 86_400 + 719_468, seconds % 86_400);
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    let (hour, minute, second) = (time / 3600, time / 60 % 60, time % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}

/// An id that no other answer of this process has, as providers put on each.
pub(super) fn unique_id() -> String {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    let seed = crate::clock::now().unix_s().to_bits();
    format!("{:032x}", xxh3_128(&[count.to_le_bytes(), seed.to_le_bytes()].concat()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_written_as_go_writes_them() {
        for (millis, text) in [
            (12, "12ms"),
            (1000, "1s"),
            (1500, "1.5s"),
            (1012, "1.012s"),
            (59_999, "59.999s"),
            (60_000, "1m0s"),
            (360_000, "6m0s"),
            (86_400_000, "24h0m0s"),
            (0, "0s"),
        ] {
            assert_eq!(go_duration(Duration::from_millis(millis)), text);
        }
    }

    #[test]
    fn moments_are_written_by_rfc_3339() {
        for (unix, text) in [
            (0.0, "1970-01-01T00:00:00Z"),
            (951_782_400.0, "2000-02-29T00:00:00Z"),
            (1_767_225_599.9, "2025-12-31T23:59:59Z"),
            (4_107_542_400.0, "2100-03-01T00:00:00Z"),
        ] {
            assert_eq!(rfc3339(Timestamp::from_unix_s(unix)), text);
        }
    }

    #[test]
    fn nobody_is_told_to_come_back_too_early() {
        let mut headers = HeaderMap::new();
        retry_after(&mut headers, Some(Duration::from_millis(1001)));
        assert_eq!(headers[RETRY_AFTER], "2");
        assert_ne!(unique_id(), unique_id());
    }
}

//! How far a monitor's clock is from canard's.
//!
//! Each answer bounds it. A server that says "it is `s`" in an answer to a request sent at `a` and answered at
//! `b` (canard's clock) said so between the two, so its clock minus canard's lies between `s − b` and `s − a`
//! (Cristian, *Distributed Computing* 3, 1989). A `Date` header is cut to the second: `s` is anything up to one
//! second more, so one answer is good for ±(0.5 s + half the round trip). The bounds of successive answers are
//! cut with one another, which narrows them; when they contradict, a clock was set, and the newer one holds.

use crate::clock::Timestamp;

/// Uncertainty without any bound: clocks kept by NTP agree far better than this.
const UNKNOWN_S: f64 = 5.0;
/// How fast two kept clocks may drift apart: the largest slew of NTP, 500 ppm.
const DRIFT: f64 = 500e-6;

/// The monitor's clock minus canard's, in seconds, between two bounds.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Skew {
    bounds: Option<(f64, f64, Timestamp)>,
}

impl Skew {
    /// The monitor's clock read at least `from` and at most `to` at some moment between `sent` and `answered`.
    pub(super) fn observe(
        &mut self,
        (from, to): (Timestamp, Timestamp),
        sent: Timestamp,
        answered: Timestamp,
    ) {
        let (mut low, mut high) = (from.since(answered), to.since(sent));
        if let Some((old_low, old_high, at)) = self.bounds {
            let drifted = DRIFT * answered.since(at).max(0.0);
            let (cut_low, cut_high) = (low.max(old_low - drifted), high.min(old_high + drifted));
            if cut_low <= cut_high {
                (low, high) = (cut_low, cut_high);
            }
        }
        self.bounds = Some((low, high, answered));
    }

    /// The best guess.
    pub(super) fn seconds(&self) -> f64 {
        self.bounds.map_or(0.0, |(low, high, _)| (low + high) / 2.0)
    }

    /// The true value lies within so many seconds of it.
    pub(super) fn uncertainty_s(&self) -> f64 {
        self.bounds.map_or(UNKNOWN_S, |(low, high, _)| (high - low) / 2.0)
    }
}

/// The bounds of the time that a `Date` header tells.
pub(super) fn date(headers: &http::HeaderMap) -> Option<(Timestamp, Timestamp)> {
    let text = headers.get(http::header::DATE)?.to_str().ok()?;
    let date = jiff::fmt::rfc2822::DateTimeParser::new().parse_timestamp(text).ok()?;
    let from = Timestamp::from_unix_s(date.as_second() as f64);
    Some((from, from.plus_s(1.0)))
}

/// An RFC 3339 time; `None` for Go's zero time, which means never.
pub(super) fn rfc3339(text: &str) -> Result<Option<Timestamp>, jiff::Error> {
    let time: jiff::Timestamp = text.parse()?;
    let seconds = time.as_second() as f64 + f64::from(time.subsec_nanosecond()) * 1e-9;
    Ok((seconds > 0.0).then_some(Timestamp::from_unix_s(seconds)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn t(seconds: f64) -> Timestamp {
        Timestamp::from_unix_s(seconds)
    }

    #[test]
    fn one_date_is_good_for_half_a_second_and_half_the_round_trip() {
        let mut skew = Skew::default();
        skew.observe((t(110.0), t(111.0)), t(100.0), t(100.2));
        assert!((skew.seconds() - 10.4).abs() < 1e-9);
        assert!((skew.uncertainty_s() - 0.6).abs() < 1e-9);
    }

    #[test]
    fn more_answers_narrow_it_and_a_set_clock_starts_again() {
        let mut skew = Skew::default();
        // The true skew is 10.0; the requests come at different parts of the second.
        for at in [100.05, 101.3, 102.6, 103.95] {
            let date: f64 = at + 10.0;
            skew.observe((t(date.floor()), t(date.floor() + 1.0)), t(at - 0.01), t(at + 0.01));
        }
        assert!((skew.seconds() - 10.0).abs() < skew.uncertainty_s());
        assert!(skew.uncertainty_s() < 0.1, "{}", skew.uncertainty_s());
        skew.observe((t(50.0), t(51.0)), t(105.0), t(105.0));
        assert!((skew.seconds() + 54.5).abs() < 1e-9);
    }

    #[test]
    fn reads_the_dates_of_http_and_of_go() {
        let mut headers = http::HeaderMap::new();
        headers.insert("date", http::HeaderValue::from_static("Mon, 23 Nov 2026 05:47:07 GMT"));
        let (from, to) = date(&headers).unwrap();
        assert_eq!((from.unix_s(), to.since(from)), (1_795_412_827.0, 1.0));
        let active = rfc3339("2026-11-23T05:46:54.25236888Z").unwrap().unwrap();
        assert!((active.unix_s() - 1_795_412_814.252_369).abs() < 1e-6);
        assert_eq!(rfc3339("0001-01-01T00:00:00Z").unwrap(), None);
        assert!(rfc3339("yesterday").is_err());
        headers.insert("date", http::HeaderValue::from_static("soon"));
        assert_eq!(date(&headers), None);
    }
}

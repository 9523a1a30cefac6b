//! A span of time, written `250ms`, `30s`, `5m`, `1h` or a sum such as `1m30s`.

use std::{fmt, str::FromStr, time::Duration};

use serde::{Deserialize, Serialize};

use super::{UnitError, as_text};

/// A length of time that is at least zero.
///
/// ```
/// use canard::unit::Span;
/// let span: Span = "1m30s".parse()?;
/// assert_eq!(span.as_secs_f64(), 90.0);
/// assert_eq!(span.to_string(), "1m30s");
/// # Ok::<(), canard::unit::UnitError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Span(Duration);

as_text!(Span, r"^([0-9]+(\.[0-9]+)?(us|ms|s|m|h))+$", "30s");

const SUFFIXES: [(&str, f64); 5] = [("us", 1e-6), ("ms", 1e-3), ("s", 1.0), ("m", 60.0), ("h", 3600.0)];
const LONGEST_S: f64 = 366.0 * 86_400.0;

impl Span {
    /// No time at all.
    pub const ZERO: Span = Span(Duration::ZERO);

    /// A span of so many milliseconds.
    pub const fn from_millis(millis: u64) -> Span {
        Span(Duration::from_millis(millis))
    }

    /// A span of so many whole seconds.
    pub const fn from_secs(seconds: u64) -> Span {
        Span(Duration::from_secs(seconds))
    }

    /// The same as a [`Duration`].
    pub const fn duration(self) -> Duration {
        self.0
    }

    /// In seconds.
    pub fn as_secs_f64(self) -> f64 {
        self.0.as_secs_f64()
    }

    /// Is it nothing?
    pub const fn is_zero(self) -> bool {
        self.0.is_zero()
    }
}

impl From<Duration> for Span {
    fn from(duration: Duration) -> Span {
        Span(duration)
    }
}

impl FromStr for Span {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Span, UnitError> {
        let wrong =
            || UnitError(format!("`{text}` is no span of time; write it like 250ms, 30s, 5m or 1m30s"));
        let mut seconds = 0.0;
        let mut rest = text.trim();
        if rest.is_empty() {
            return Err(wrong());
        }
        while !rest.is_empty() {
            let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.').ok_or_else(wrong)?;
            let number: f64 = rest[..digits].parse().map_err(|_| wrong())?;
            rest = &rest[digits..];
            let letters = rest.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(rest.len());
            let (_, scale) = SUFFIXES.iter().find(|(s, _)| *s == &rest[..letters]).ok_or_else(wrong)?;
            seconds += number * scale;
            rest = &rest[letters..];
        }
        if seconds > LONGEST_S {
            return Err(UnitError(format!("`{text}` is longer than a year; a run is minutes or hours")));
        }
        // To the nearest microsecond: 0.1 s and 100 ms are the same span.
        Ok(Span(Duration::from_micros((seconds * 1e6).round() as u64)))
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut micros = self.0.as_micros();
        if micros == 0 {
            return f.write_str("0s");
        }
        for (size, suffix) in [(3_600_000_000, "h"), (60_000_000, "m")] {
            if micros >= size {
                write!(f, "{}{suffix}", micros / size)?;
                micros %= size;
            }
        }
        match micros {
            0 => Ok(()),
            m if m >= 1_000_000 => write!(f, "{}s", m as f64 / 1e6),
            m if m >= 1_000 => write!(f, "{}ms", m as f64 / 1e3),
            m => write!(f, "{m}us"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_it_prints() {
        for text in ["250ms", "30s", "5m", "1m30s", "1h", "1.5s", "40us", "0s"] {
            let span: Span = text.parse().unwrap();
            assert_eq!(span.to_string(), text);
        }
        assert_eq!("90s".parse::<Span>().unwrap(), "1m30s".parse().unwrap());
    }

    #[test]
    fn refuses_what_is_no_span() {
        for text in ["", "30", "s", "30 s", "5 minutes", "-1s", "1d", "1..2s", "400h400h9000h"] {
            assert!(text.parse::<Span>().is_err(), "{text}");
        }
    }
}

//! Shares, rates, statuses and comparisons.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use super::{UnitError, as_text};

/// A share of a whole, from 0 % to 100 %, written `25%`.
///
/// ```
/// use canard::unit::Share;
/// assert_eq!("25%".parse::<Share>()?.fraction(), 0.25);
/// assert!("120%".parse::<Share>().is_err());
/// # Ok::<(), canard::unit::UnitError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Share(f64);

as_text!(Share, r"^(100(\.0+)?|[0-9]{1,2}(\.[0-9]+)?)%$", "25%");

impl Share {
    /// Everything.
    pub const ALL: Share = Share(1.0);
    /// Nothing.
    pub const NONE: Share = Share(0.0);

    /// A share from a fraction of one; `None` outside 0..=1.
    pub fn new(fraction: f64) -> Option<Share> {
        (0.0..=1.0).contains(&fraction).then_some(Share(fraction))
    }

    /// As a fraction of one.
    pub const fn fraction(self) -> f64 {
        self.0
    }

    /// Both together, to twelve digits, so that slices written side by side meet exactly; `None` over 100 %.
    pub fn plus(self, other: Share) -> Option<Share> {
        if self == Share::NONE || other == Share::NONE {
            return Some(if self == Share::NONE { other } else { self });
        }
        Share::new(((self.0 + other.0) * 1e12).round() / 1e12)
    }

    /// The share that is left when this one is scaled by `intensity` (0..=1, a ramp).
    pub fn scaled(self, intensity: f64) -> Share {
        Share(self.0 * intensity.clamp(0.0, 1.0))
    }
}

impl FromStr for Share {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Share, UnitError> {
        let Some(percent) = text.trim().strip_suffix('%').and_then(|t| t.trim().parse::<f64>().ok()) else {
            return Err(UnitError(format!("`{text}` is no share; write it in percent, like 25%")));
        };
        Share::new(percent / 100.0).ok_or_else(|| UnitError(format!("`{text}` is not between 0% and 100%")))
    }
}

impl fmt::Display for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Twelve digits hide the last bit of a division by 100 and keep every share a person writes.
        let percent = (self.0 * 100.0 * 1e10).round() / 1e10;
        write!(f, "{percent}%")
    }
}

/// Events per second, written `200/s`, `30/m` or `5/h`.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Rate(f64);

as_text!(Rate, r"^[0-9]+(\.[0-9]+)?/(s|m|h)$", "200/s");

impl Rate {
    /// How many a second.
    pub const fn per_second(self) -> f64 {
        self.0
    }
}

impl FromStr for Rate {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Rate, UnitError> {
        let wrong = || UnitError(format!("`{text}` is no rate; write it like 200/s, 30/m or 5/h"));
        let (count, per) = text.trim().split_once('/').ok_or_else(wrong)?;
        let seconds = match per.trim() {
            "s" => 1.0,
            "m" => 60.0,
            "h" => 3600.0,
            _ => return Err(wrong()),
        };
        let rate = count.trim().parse::<f64>().map_err(|_| wrong())? / seconds;
        if !(rate > 0.0 && rate <= 1e6) {
            return Err(UnitError(format!("`{text}` is not above 0/s and at most 1000000/s")));
        }
        Ok(Rate(rate))
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // As it is written most shortly; `1/m` is not `0.016666666666666666/s`. What is shown reads as the same rate.
        let round = |seconds: f64| (self.0 * seconds * 1e3).round() / 1e3;
        let units = [("s", 1.0), ("m", 60.0), ("h", 3600.0)];
        match units.into_iter().find(|(_, seconds)| round(*seconds) / seconds == self.0) {
            Some((unit, seconds)) => write!(f, "{}/{unit}", round(seconds)),
            None => write!(f, "{}/s", self.0),
        }
    }
}

/// An HTTP status that says something went wrong, 400 to 599.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "u16", into = "u16")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Status(#[cfg_attr(feature = "schema", schemars(range(min = 400, max = 599)))] u16);

impl Status {
    /// The number.
    pub const fn code(self) -> u16 {
        self.0
    }
}

impl TryFrom<u16> for Status {
    type Error = UnitError;

    fn try_from(code: u16) -> Result<Status, UnitError> {
        if (400..=599).contains(&code) {
            Ok(Status(code))
        } else {
            Err(UnitError(format!("{code} is no error status; those are 400 to 599")))
        }
    }
}

impl From<Status> for http::StatusCode {
    fn from(status: Status) -> http::StatusCode {
        http::StatusCode::from_u16(status.0).unwrap_or(http::StatusCode::INTERNAL_SERVER_ERROR)
    }
}

impl From<Status> for u16 {
    fn from(status: Status) -> u16 {
        status.0
    }
}

/// Which way a [`Comparison`] looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ordering {
    /// More than the limit.
    Above,
    /// Less than the limit.
    Below,
}

/// A limit on a measured number, written `> 20%`, `> 250ms` or `< 0.5`.
///
/// The unit is read away: `20%` is 0.2 and `250ms` is 0.25 (seconds).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Comparison {
    ordering: Ordering,
    limit: f64,
    text: String,
}

as_text!(Comparison, r"^\s*[<>]\s*[0-9.]+\s*(%|us|ms|s|m|h)?$", "> 20%");

impl Comparison {
    /// Does `value` break the limit?
    pub fn holds(&self, value: f64) -> bool {
        match self.ordering {
            Ordering::Above => value > self.limit,
            Ordering::Below => value < self.limit,
        }
    }

    /// The limit, in the base unit (fraction or seconds).
    pub const fn limit(&self) -> f64 {
        self.limit
    }

    /// Which side of the limit it asks about.
    pub const fn ordering(&self) -> Ordering {
        self.ordering
    }
}

impl FromStr for Comparison {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Comparison, UnitError> {
        let wrong =
            || UnitError(format!("`{text}` is no limit; write it like \"> 20%\", \"> 250ms\" or \"< 0.5\""));
        let trimmed = text.trim();
        let ordering = match trimmed.chars().next() {
            Some('>') => Ordering::Above,
            Some('<') => Ordering::Below,
            Some('0'..='9') => {
                let message = format!("`{text}` does not say whether above or below; write \"> {trimmed}\"");
                return Err(UnitError(message));
            }
            _ => return Err(wrong()),
        };
        let number = trimmed[1..].trim();
        if !number.starts_with(|c: char| c.is_ascii_digit() || "+-.".contains(c)) {
            return Err(wrong());
        }
        let limit = if number.ends_with('%') {
            number.parse::<Share>()?.fraction()
        } else if number.ends_with(|c: char| c.is_ascii_alphabetic()) {
            number.parse::<super::Span>()?.as_secs_f64()
        } else {
            number.parse::<f64>().map_err(|_| wrong())?
        };
        if !limit.is_finite() {
            return Err(wrong());
        }
        Ok(Comparison { ordering, limit, text: trimmed.to_owned() })
    }
}

impl fmt::Display for Comparison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_shown_as_it_is_written_and_reads_as_itself() {
        for (written, shown) in
            [("200/s", "200/s"), ("1/m", "1/m"), ("5/h", "5/h"), ("60/m", "1/s"), ("0.5/s", "0.5/s")]
        {
            let rate: Rate = written.parse().unwrap();
            assert_eq!(rate.to_string(), shown);
        }
        for written in ["0.0001234567/s", "7/h", "333.333333333/m", "1000000/s"] {
            let rate: Rate = written.parse().unwrap();
            assert_eq!(rate.to_string().parse::<Rate>().unwrap(), rate, "{written}");
        }
    }

    #[test]
    fn a_limit_says_on_which_side() {
        let wrong = |text: &str| text.parse::<Comparison>().unwrap_err().to_string();
        assert_eq!(wrong("60%"), "`60%` does not say whether above or below; write \"> 60%\"");
        assert!(wrong("> sixty").contains("is no limit"));
    }

    #[test]
    fn a_share_reads_what_it_prints() {
        for text in ["0%", "1%", "25%", "33.3%", "0.001%", "100%"] {
            assert_eq!(text.parse::<Share>().unwrap().to_string(), text);
        }
        for text in ["", "25", "101%", "-1%", "NaN%", "a%"] {
            assert!(text.parse::<Share>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_rate_is_per_second() {
        assert_eq!("30/m".parse::<Rate>().unwrap().per_second(), 0.5);
        for text in ["", "5", "0/s", "5/d", "-1/s", "inf/s"] {
            assert!(text.parse::<Rate>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_comparison_knows_its_units() {
        assert!("> 20%".parse::<Comparison>().unwrap().holds(0.21));
        assert!(!"> 250ms".parse::<Comparison>().unwrap().holds(0.25));
        assert!("< 0.5".parse::<Comparison>().unwrap().holds(0.4));
        for text in ["20%", "= 3", "> x", ">", "> NaN"] {
            assert!(text.parse::<Comparison>().is_err(), "{text}");
        }
    }
}

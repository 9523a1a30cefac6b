//! A range of sizes to be searched, `1%..50%`: its unit, its scale, and what is written at a position of it.
//!
//! Positions go from 0, the mild end, which is written first, to 1; so a range may fall (`1..0.3` for a temperature that
//! does more harm the lower it is). What is written is rounded to three digits, and positions are those of what is written,
//! never of what was meant.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use super::{Rate, Share, Span, UnitError};

/// What a setting is counted in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Quantity {
    /// `25%`
    Share,
    /// `250ms`, in seconds
    Span,
    /// `200/s`
    Rate,
    /// `3`
    Whole,
    /// `0.5`
    Number,
}

impl Quantity {
    /// Reads a value in whatever unit it is written.
    ///
    /// # Errors
    /// If it is no number with a unit that settings have.
    pub fn read(text: &str) -> Result<(Quantity, f64), UnitError> {
        let text = text.trim();
        if text.ends_with('%') {
            return Ok((Quantity::Share, Share::from_str(text)?.fraction()));
        }
        if text.contains('/') {
            return Ok((Quantity::Rate, Rate::from_str(text)?.per_second()));
        }
        if let Ok(whole) = text.parse::<i32>() {
            return Ok((Quantity::Whole, f64::from(whole)));
        }
        match text.parse::<f64>() {
            Ok(number) if number.is_finite() => Ok((Quantity::Number, number)),
            _ if text.starts_with(|c: char| c.is_ascii_digit())
                && text.ends_with(|c: char| c.is_ascii_alphabetic()) =>
            {
                Ok((Quantity::Span, Span::from_str(text)?.as_secs_f64()))
            }
            _ => Err(UnitError(format!("`{text}` is no size; sizes are written 25%, 250ms, 200/s or 0.5"))),
        }
    }

    /// Writes a value, in a form that [`read`](Quantity::read) reads.
    fn write(self, value: f64) -> String {
        match self {
            Quantity::Share => {
                Share::new(value.clamp(0.0, 1.0)).map_or_else(String::new, |share| share.to_string())
            }
            Quantity::Span => Span::from(std::time::Duration::from_secs_f64(value.max(0.0))).to_string(),
            Quantity::Rate => format!("{value}/s"),
            Quantity::Whole => format!("{}", value.round()),
            Quantity::Number if value.fract() == 0.0 => format!("{value:.1}"),
            Quantity::Number => format!("{value}"),
        }
    }

    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Quantity::Share => "a share, such as 25%",
            Quantity::Span => "a span of time, such as 250ms",
            Quantity::Rate => "a rate, such as 200/s",
            Quantity::Whole => "a whole number",
            Quantity::Number => "a number",
        }
    }

    /// Can a setting that is written in this quantity take values of another one?
    pub const fn takes(self, other: Quantity) -> bool {
        use Quantity::{Number, Whole};
        matches!((self, other), (Whole | Number, Whole | Number)) || self as u8 == other as u8
    }
}

/// How sizes lie in a range.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "cli", derive(clap::ValueEnum))]
#[serde(rename_all = "kebab-case")]
pub enum Scale {
    /// Equal steps multiply
    Log,
    /// Equal steps add
    Linear,
}

/// Sizes from a mild one to a severe one.
///
/// ```
/// use canard::unit::SizeRange;
/// let range = SizeRange::new("1%..100%", None)?;
/// assert_eq!((range.written(0.0).as_str(), range.written(0.5).as_str()), ("1%", "10%"));
/// assert_eq!(range.position("10%"), Some(0.5));
/// # Ok::<(), canard::unit::UnitError>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct SizeRange {
    quantity: Quantity,
    from: f64,
    to: f64,
    scale: Scale,
    ends: [String; 2],
}

impl SizeRange {
    /// Reads `FROM..TO`. Without a scale it is logarithmic where both ends are above 0.
    ///
    /// # Errors
    /// If an end is no size, or the ends don't go together, with each other or with the scale.
    pub fn new(text: &str, scale: Option<Scale>) -> Result<SizeRange, UnitError> {
        let (mild, severe) = text.split_once("..").ok_or_else(|| {
            UnitError(format!("`{text}` is no range of sizes; write it like 1%..50%, 50ms..2s or 0.1..2"))
        })?;
        let ends = [mild.trim().to_owned(), severe.trim().to_owned()];
        let [(mild, from), (severe, to)] = [Quantity::read(mild)?, Quantity::read(severe)?];
        if !mild.takes(severe) {
            let words = format!("`{}` is {} and `{}` is {}", ends[0], mild.name(), ends[1], severe.name());
            return Err(UnitError(format!("the ends of a range have one unit, but {words}")));
        }
        if from == to {
            return Err(UnitError(format!("`{text}` holds one size; a range has two different ends")));
        }
        let above_zero = from > 0.0 && to > 0.0;
        let scale = scale.unwrap_or(if above_zero { Scale::Log } else { Scale::Linear });
        if scale == Scale::Log && !above_zero {
            return Err(UnitError(format!("on a log scale both ends of `{text}` have to be above 0")));
        }
        let quantity = if mild == severe { mild } else { Quantity::Number };
        Ok(SizeRange { quantity, from, to, scale, ends })
    }

    /// What its sizes are counted in.
    pub const fn quantity(&self) -> Quantity {
        self.quantity
    }

    /// Its scale.
    pub const fn scale(&self) -> Scale {
        self.scale
    }

    /// The value at a position, in the base unit.
    pub fn value(&self, position: f64) -> f64 {
        match self.scale {
            Scale::Log => self.from * (self.to / self.from).powf(position),
            Scale::Linear => self.from + (self.to - self.from) * position,
        }
    }

    /// The size at a position, as it is written. Positions outside 0 to 1 are those of the ends.
    pub fn written(&self, position: f64) -> String {
        if position <= 0.0 {
            return self.ends[0].clone();
        }
        if position >= 1.0 {
            return self.ends[1].clone();
        }
        let value = self.value(position);
        let size = match self.scale {
            Scale::Log => value,
            Scale::Linear => self.to - self.from,
        };
        // Three digits of the value, or of the range.
        let digits = usize::try_from(2 - size.abs().log10().floor() as i32).unwrap_or(0);
        let text = format!("{value:.digits$}");
        self.quantity.write(text.parse().unwrap_or(value))
    }

    /// The position of a size that is written so; `None` if it is not of this unit, or has no place on the scale.
    pub fn position(&self, written: &str) -> Option<f64> {
        let (quantity, value) = Quantity::read(written).ok()?;
        let at = match self.scale {
            Scale::Log => (value / self.from).ln() / (self.to / self.from).ln(),
            Scale::Linear => (value - self.from) / (self.to - self.from),
        };
        (self.quantity.takes(quantity) && at.is_finite()).then_some(at)
    }
}

impl fmt::Display for SizeRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}..{}", self.ends[0], self.ends[1])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_position_is_written_so_that_it_reads_as_that_position() {
        for text in ["1%..50%", "50ms..2s", "0.1..2", "200/s..5/s", "1..0.3", "0%..40%", "-2.0..2", "1ms..1h"]
        {
            let range = SizeRange::new(text, None).unwrap();
            assert_eq!(range.to_string(), text);
            for step in 0..=32 {
                let position = f64::from(step) / 32.0;
                let written = range.written(position);
                let read = range.position(&written).unwrap();
                assert!((read - position).abs() < 0.01, "{text}: {position} is {written}, {read}");
            }
        }
        let whole = SizeRange::new("1..20", None).unwrap();
        assert_eq!(
            (0..=4).map(|n| whole.written(f64::from(n) / 4.0)).collect::<Vec<_>>(),
            ["1", "2", "4", "9", "20"]
        );
    }

    #[test]
    fn the_scale_is_logarithmic_where_it_can_be() {
        assert_eq!(SizeRange::new("1%..50%", None).unwrap().scale(), Scale::Log);
        assert_eq!(SizeRange::new("0%..50%", None).unwrap().scale(), Scale::Linear);
        let linear = SizeRange::new("10%..20%", Some(Scale::Linear)).unwrap();
        assert_eq!(linear.written(0.5), "15%");
        assert_eq!(SizeRange::new("10ms..1s", None).unwrap().written(0.5), "100ms");
        assert_eq!(SizeRange::new("1..100", None).unwrap().written(0.25), "3");
        assert_eq!(SizeRange::new("1.0..100", None).unwrap().written(0.25), "3.16");
    }

    #[test]
    fn what_is_no_range_is_told() {
        let wrong = |text: &str, scale| SizeRange::new(text, scale).unwrap_err().to_string();
        assert!(wrong("1%", None).contains("is no range of sizes; write it like 1%..50%"));
        assert!(wrong("1%..2s", None).contains("`1%` is a share, such as 25% and `2s` is a span"));
        assert!(wrong("1%..1%", None).contains("two different ends"));
        assert!(wrong("0%..1%", Some(Scale::Log)).contains("have to be above 0"));
        assert!(wrong("1%..200%", None).contains("not between 0% and 100%"));
        assert!(wrong("a..b", None).contains("`a` is no size"));
    }
}

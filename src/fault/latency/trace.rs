//! Recorded delays, replayed: drawn from at random or in their order.
//!
//! A scenario names a file; compiling it reads the delays into the document, so that a sidecar on another
//! machine needs no file. That is why their number is bounded.

use std::{fs, path::Path};

use serde::{Deserialize, Serialize};

use crate::{fault::Problem, unit::Span};

/// Delays in a trace.
const MOST: usize = 10_000;

/// Bytes of a file with a trace.
const LARGEST: u64 = 4 << 20;

/// Recorded delays. `file` or `delays` is given; a checked scenario holds `delays`.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct Trace {
    /// A text file beside the scenario: one delay a line, or CSV. A number counts in `unit`, and `250ms` is
    /// taken as it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// The column of a CSV file, by its name in the first line.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub column: Option<String>,
    /// What plain numbers in the file count.
    #[serde(skip_serializing_if = "is_default")]
    pub unit: TraceUnit,
    /// The delays themselves, at most 10000.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub delays: Vec<Span>,
    /// Which delay a request gets.
    #[serde(skip_serializing_if = "is_default")]
    pub order: TraceOrder,
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// What plain numbers count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum TraceUnit {
    /// Microseconds.
    Us,
    /// Milliseconds.
    #[default]
    Ms,
    /// Seconds.
    S,
}

/// Which delay a request gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum TraceOrder {
    /// The one that the request's own draw falls on: the same everywhere, in any order of arrival.
    #[default]
    Drawn,
    /// The next one, and from the start again behind the last: bursts stay bursts. Depends on the order of
    /// arrival, and each sidecar replays on its own.
    Recorded,
}

impl Trace {
    /// The delay at a uniform number, or of the request with this number.
    pub(super) fn delay_s(&self, u: f64, number: impl FnOnce() -> u64) -> f64 {
        let Some(last) = self.delays.len().checked_sub(1) else { return 0.0 };
        let index = match self.order {
            TraceOrder::Drawn => ((u * self.delays.len() as f64) as usize).min(last),
            TraceOrder::Recorded => (number() % self.delays.len() as u64) as usize,
        };
        self.delays[index].as_secs_f64()
    }

    pub(super) fn describe(&self) -> String {
        let mut sorted = self.delays.clone();
        sorted.sort_unstable();
        let at = |part: usize| sorted.get((sorted.len() * part / 100).min(sorted.len().saturating_sub(1)));
        let (median, p99) = (at(50).copied().unwrap_or_default(), at(99).copied().unwrap_or_default());
        let order = if self.order == TraceOrder::Recorded { " in their order" } else { "" };
        format!("+{median} median, {p99} p99: {} recorded delays{order}", sorted.len())
    }

    /// Reads the file, if one is named, into `delays`.
    ///
    /// # Errors
    /// What is wrong with the file, and in which line.
    pub(super) fn embed(&mut self, folder: &Path) -> Result<(), Problem> {
        let Some(file) = self.file.take() else { return Ok(()) };
        let read = self.read(&folder.join(&file)).map_err(|message| {
            let help = "a text file with one delay a line, such as 12.5 (milliseconds) or 250ms; of a CSV file, \
                        name the `column`; its path starts at the scenario's folder";
            Problem::new("trace.file", format!("`{file}` {message}")).help(help)
        });
        (self.column, self.unit) = (None, TraceUnit::default());
        // One that stands in for those that could not be read is not complained of a second time.
        let (delays, read) = match read {
            Ok(delays) => (delays, Ok(())),
            Err(problem) => (vec![Span::from_secs(1)], Err(problem)),
        };
        self.delays = delays;
        read
    }

    fn read(&self, path: &Path) -> Result<Vec<Span>, String> {
        let unreadable = |error: std::io::Error| format!("can't be read: {error}");
        let size = fs::metadata(path).map_err(unreadable)?.len();
        if size > LARGEST {
            return Err(format!("has {size} bytes, more than {LARGEST}"));
        }
        self.parse(&fs::read_to_string(path).map_err(unreadable)?)
    }

    fn parse(&self, text: &str) -> Result<Vec<Span>, String> {
        let mut lines = text.lines().enumerate().filter(|(_, line)| {
            let line = line.trim();
            !line.is_empty() && !line.starts_with('#')
        });
        let place = match &self.column {
            None => None,
            Some(column) => {
                let (_, header) = lines.next().ok_or("is empty")?;
                let place = cells(header).position(|cell| cell == column);
                Some(place.ok_or_else(|| format!("has no column `{column}` in its first line"))?)
            }
        };
        let mut delays = Vec::new();
        for (index, line) in lines {
            let cell = match place {
                None => line.trim(),
                Some(place) => cells(line).nth(place).unwrap_or_default(),
            };
            delays.push(self.delay(cell).ok_or_else(|| format!("says `{cell}` in line {}", index + 1))?);
            if delays.len() > MOST {
                return Err(format!("has more than {MOST} delays; a sample of them says the same"));
            }
        }
        match delays.is_empty() {
            true => Err("has no delays".to_owned()),
            false => Ok(delays),
        }
    }

    fn delay(&self, cell: &str) -> Option<Span> {
        let Ok(number) = cell.parse::<f64>() else { return cell.parse().ok() };
        let scale = match self.unit {
            TraceUnit::Us => 1e-6,
            TraceUnit::Ms => 1e-3,
            TraceUnit::S => 1.0,
        };
        let seconds = number * scale;
        let sane = (0.0..=super::LONGEST_S).contains(&seconds);
        // To the microsecond, as every span that travels as text.
        sane.then(|| Span::from(std::time::Duration::from_micros((seconds * 1e6).round() as u64)))
    }

    pub(super) fn check(&self) -> Option<Problem> {
        let wrong = |key, message: String, help: &str| Some(Problem::new(key, message).help(help));
        if self.file.is_some() {
            let message = "the delays of this file did not travel with the scenario".to_owned();
            return wrong(
                "trace.file",
                message,
                "send what `canard check` compiles, or write the `delays` themselves",
            );
        }
        if self.delays.is_empty() {
            let help = "name a `file` with one delay a line, or write `delays: [80ms, 120ms, 2s]`";
            return wrong("trace", "the trace has no delays".to_owned(), help);
        }
        if self.delays.len() > MOST {
            let message = format!("the trace has {} delays, more than {MOST}", self.delays.len());
            return wrong("trace.delays", message, "a sample of them says the same");
        }
        let none = self.delays.iter().all(|delay| delay.is_zero());
        none.then(|| Problem::new("trace.delays", "every delay of the trace is 0s"))
    }
}

/// The cells of a line of CSV, without blanks and quotes around them.
fn cells(line: &str) -> impl Iterator<Item = &str> {
    line.split(',').map(|cell| cell.trim().trim_matches('"'))
}

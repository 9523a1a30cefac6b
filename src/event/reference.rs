//! When a fault could have been noticed, whatever the monitoring did.

use serde::{Deserialize, Serialize};

use super::Measured;

/// What a reference detector made of the traffic that the monitors saw: a sequential test of what the service showed,
/// against what it showed before the first fault.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Reference {
    /// When it noticed, from the start of the phase; none if it did not while it watched.
    pub noticed: Option<Measured>,
    /// What showed the change most, such as `failed requests`.
    pub signal: Option<String>,
    /// How long it watched, in seconds.
    pub watched_s: f64,
    /// What it looked at, such as `failures`: of what a fault changes beside that it knows nothing.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub looked_at: Vec<String>,
    /// It raises at most one false alarm in so many days.
    pub false_alarm_days: f64,
    /// By how much the alert was behind it, part by part; empty for an alert that was not, or did not fire.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub behind: Vec<Delay>,
}

/// A part of the time by which an alert was behind the reference detector.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Delay {
    /// What took it.
    pub part: Part,
    /// How long.
    pub seconds: f64,
}

/// What takes an alert its time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Part {
    /// The rule's `for`.
    For,
    /// Until the metrics were scraped and the rule was evaluated: at most one interval of each.
    ScrapeAndEvaluation,
    /// Until the rule's window was full enough for its threshold.
    WindowAndThreshold,
    /// All of it, where the monitor does not tell when its condition became true.
    Rule,
}

//! What alerts did, and what is concluded from that.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Cause, Reference};
use crate::clock::Timestamp;

/// The state of an alert, as its monitor tells it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum AlertState {
    /// Not true.
    Inactive,
    /// True, but not yet for long enough.
    Pending,
    /// Firing.
    Firing,
    /// Firing, but silenced: nobody hears it.
    Silenced,
    /// Firing, but inhibited by another alert: nobody hears it.
    Inhibited,
}

/// A step in the life of an alert.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct AlertChange {
    /// The monitor's name in the stage.
    pub monitor: String,
    /// The alert's name.
    pub alert: String,
    /// Its labels, without the name.
    pub labels: BTreeMap<String, String>,
    /// The new state.
    pub state: AlertState,
    /// Did this come as a notification (a webhook call)? Then it is the end of the chain.
    pub notification: bool,
    /// When, on canard's clock: the monitor's own timestamp, corrected for the skew of its clock, where it
    /// has one.
    pub at: Timestamp,
    /// The true time lies within this many seconds of `at`.
    pub uncertainty_s: f64,
}

/// How an expectation ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// As expected, in time.
    Met,
    /// Fired or cleared, but after its time.
    Late,
    /// The fault was there and nothing fired.
    Missed,
    /// Fired where it had to be silent.
    FalseAlarm,
    /// Never cleared.
    Stuck,
    /// Can't be told; the reason says why.
    Inconclusive,
}

/// What lies behind a verdict, where it needs saying.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Reason {
    /// It was firing before the fault began.
    AlreadyFiring,
    /// The fault did not take effect on enough traffic.
    NotDelivered,
    /// The monitor did not answer when it mattered.
    MonitorUnreachable,
    /// No monitor knows such an alert.
    NoSuchAlert,
    /// The run ended before this could be told.
    Aborted,
    /// Too little traffic for any monitor to see it.
    Underpowered,
    /// Silenced or inhibited.
    Suppressed,
    /// Fired, but with other labels than asked for.
    WrongLabels,
    /// Fired, but no receiver got it.
    NotNotified,
    /// Another alert fired instead.
    CrossTalk,
    /// The rule is unhealthy or not evaluated, or has no data.
    MonitorBlind,
    /// It never fired, so there was nothing to clear.
    NeverFired,
    /// A condition with `holds` was not true.
    ConditionFalse,
}

/// What an expectation asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Asked {
    /// An alert fires.
    Fires,
    /// An alert stays silent.
    Silent,
    /// An alert clears.
    Clears,
    /// A query holds.
    Holds,
}

/// A time with its uncertainty.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Measured {
    /// Seconds since the fault began (time to detect) or ended (time to clear).
    pub seconds: f64,
    /// The true time lies within this many seconds.
    pub uncertainty_s: f64,
}

/// How one expectation of one phase ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Outcome {
    /// The phase.
    pub phase: String,
    /// What was asked.
    pub asked: Asked,
    /// The alert, or the query of a `holds`.
    pub subject: String,
    /// The monitor that decided it, if one did.
    pub monitor: Option<String>,
    /// Within how long.
    pub within_s: Option<f64>,
    /// Line of the expectation in the scenario, if it was written there.
    pub line: Option<usize>,
    /// The verdict.
    pub verdict: Verdict,
    /// What lies behind it.
    pub reason: Option<Reason>,
    /// Time to detect or to clear.
    pub time: Option<Measured>,
    /// Seconds from the fault's start to each stage, where the source tells: `pending`, `firing`, `notified`.
    pub stages_s: BTreeMap<String, f64>,
    /// One sentence: what was seen.
    pub detail: String,
    /// One sentence: what to do about it.
    pub advice: Option<String>,
    /// Of an alert that should fire: when a reference detector noticed, on the traffic that the monitors saw.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reference: Option<Reference>,
    /// Why it was missed or late, where the monitoring told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cause: Option<Box<Cause>>,
}

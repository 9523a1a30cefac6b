//! Is there enough traffic for the faults of a scenario to be seen?

use serde::{Deserialize, Serialize};

use super::FaultOutline;

/// What the faults of a scenario need: `canard power --format json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Power {
    /// Name of the scenario.
    pub scenario: String,
    /// Probability of finding something where there is nothing.
    pub alpha: f64,
    /// Probability of finding what is there.
    pub power: f64,
    /// Requests per second, if they are known.
    pub rate_per_s: Option<f64>,
    /// What is taken for granted of the service without faults.
    pub baselines: Baselines,
    /// The faults, phase by phase.
    pub faults: Vec<FaultPower>,
}

/// What is taken for granted of the service without faults.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Baselines {
    /// Share of the requests that fail anyway.
    pub error_share: f64,
    /// Standard deviation of the latency.
    pub latency_deviation_s: f64,
    /// Rate of positive predictions, for gaps between groups.
    pub positive_rate: f64,
    /// Share of the predictions that are right.
    pub accuracy: f64,
}

/// No errors, a deviation of 50 ms, as many positives as not, an accuracy of 0.9.
impl Default for Baselines {
    fn default() -> Baselines {
        Baselines { error_share: 0.0, latency_deviation_s: 0.05, positive_rate: 0.5, accuracy: 0.9 }
    }
}

/// What one fault of one phase needs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct FaultPower {
    /// The phase.
    pub phase: String,
    /// How long it lasts.
    pub lasts_s: f64,
    /// The fault, with its shares.
    pub fault: FaultOutline,
    /// What it promises, in words.
    pub promise: String,
    /// Does the phase expect an alert to fire?
    pub expected: bool,
    /// By canard's own evidence: the treated against the control.
    pub own: Sight,
    /// By a monitor that can't tell them apart: everybody in the phase against as many before it.
    pub monitor: Sight,
}

/// What it takes to see a fault.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Sight {
    /// The test and the change that it looks for, in words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub test: Option<String>,
    /// Of what it wants so many: `requests`, `labelled predictions`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub of: String,
    /// So many with the fault: of the treated, or of everybody in the phase.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub with: Option<u64>,
    /// So many without it: of the control, or before the phase.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub without: Option<u64>,
    /// Where everybody is treated: those without it are of so long before the first fault.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before_s: Option<f64>,
    /// So long that takes within the phase, at the rate of the traffic.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub needs_s: Option<f64>,
    /// Is the phase long enough?
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub enough: Option<bool>,
    /// Why a number is not known from the scenario.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unknown: Option<String>,
}

//! A sweep over the sizes of a fault: what was tried, and from what size on the monitoring notices.
//!
//! It is the document that `canard sweep` keeps after each probe and goes on from; what was found follows from the
//! probes alone, so that a reader can do the sums again.

use serde::{Deserialize, Serialize};

use super::Reason;
use crate::unit::Scale;

/// A sweep: `sweep.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Sweep {
    /// Version of the format.
    pub format_version: u32,
    /// Version of canard.
    pub canard_version: String,
    /// What is searched.
    pub search: Search,
    /// The probes, in the order in which they ran.
    pub probes: Vec<Probe>,
    /// Why it ended.
    pub ending: SweepEnding,
    /// The same in a sentence.
    pub ending_detail: String,
    /// Sizes up to this one could not be told: with so little of a fault nobody could see that it was there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub untold_up_to: Option<String>,
    /// From what size on the monitoring notices.
    pub monitoring: SizeCurve,
    /// From what size on the reference detector does, on the same traffic.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reference: Option<SizeCurve>,
    /// The exit code that goes with this.
    pub exit_code: u8,
}

/// What a sweep searches, which stays the same when it goes on later.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Search {
    /// Name of the scenario.
    pub scenario: String,
    /// XXH3 of the scenario's text, 16 hexadecimal digits.
    pub scenario_hash: String,
    /// XXH3 of the stage's text, if there is a stage.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stage_hash: Option<String>,
    /// Path of the setting, such as `faults.mislabel.rate`.
    pub setting: String,
    /// Its sizes, such as `1%..50%`: the mild end first.
    pub range: String,
    /// How sizes lie in the range.
    pub scale: Scale,
    /// Seed of the sweep; that of each probe follows from it and from the probe's number.
    pub seed: u64,
    /// The one alert that counts; left out, all that the phases with the setting expect.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alert: Option<String>,
    /// The expectations that count, `phase/alert`. A size is detected when all of them are met.
    pub expectations: Vec<String>,
}

/// One run of a sweep.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Probe {
    /// Its number, from 1.
    pub number: u32,
    /// The folder of its report, beside `sweep.json`.
    pub folder: String,
    /// The size that was injected, as it is written.
    pub size: String,
    /// Its seed.
    pub seed: u64,
    /// Was it detected in time?
    pub seen: Seen,
    /// Time until the last of the alerts fired, if all did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time_s: Option<f64>,
    /// Why it can't be told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Reason>,
    /// What was seen, in a sentence.
    pub detail: String,
    /// Did the reference detector notice it in time?
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reference: Option<Seen>,
    /// Time until it did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reference_s: Option<f64>,
}

/// Was a size detected in time?
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Seen {
    /// In time.
    Detected,
    /// Late, or not at all.
    Missed,
    /// Can't be told; it counts for neither.
    Inconclusive,
}

/// Why a sweep ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum SweepEnding {
    /// It has not.
    GoingOn,
    /// Everything is known as well as was asked for.
    Known,
    /// Its number of runs was used up.
    Runs,
    /// Its runs can't tell.
    CantTell,
    /// A guard ended a run, or it was not permitted any more.
    Aborted,
    /// Ctrl-C or SIGTERM.
    Interrupted,
}

/// A psychometric function, as far as it is known.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct SizeCurve {
    /// The size that is detected every second time.
    pub half: Threshold,
    /// The size that is detected nine times in ten.
    pub most: Threshold,
    /// The curve, from the mild end of the range to the severe one, in equal steps on its scale.
    pub points: Vec<CurvePoint>,
}

/// The size that is detected with some probability.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Threshold {
    /// The probability.
    pub probability: f64,
    /// Probability that the true size lies in the interval.
    pub level: f64,
    /// What is known of it.
    pub known: Known,
    /// The estimate; left out if it is outside what was searched.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<String>,
    /// The mild end of its interval; left out if it is outside what was searched.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// The severe end of its interval; left out if it is outside what was searched.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
    /// Length of the interval as a share of the range, on its scale, if both ends are known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub width_share: Option<f64>,
}

/// What is known of a threshold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Known {
    /// It lies in its interval, which lies in the range.
    Within,
    /// It is milder than everything that was searched: even the mild end is detected.
    Milder,
    /// It is more severe than everything that was searched: even the severe end is not detected.
    Severer,
    /// Its interval reaches beyond the range.
    Open,
}

/// A point of a curve.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct CurvePoint {
    /// The size.
    pub size: String,
    /// Probability that it is detected in time: the mean of what may be.
    pub probability: f64,
}

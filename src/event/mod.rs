//! Everything that a run can say.
//!
//! Events are the only interface between a run and its reports, its dashboard and its telemetry. They are
//! plain, serialisable data; `canard run --format json` prints one a line. Keys carry their unit (`_s`,
//! `_share`); times are seconds since the epoch.

mod cause;
mod effect;
mod matrix;
mod power;
mod reference;
mod report;
#[cfg(feature = "cli")]
mod sweep;
mod verdict;

use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;

pub use cause::{Cause, CauseKind, Closest, Observation};
pub use effect::{
    Compared, Comparison, ConfusionByArm, Delivered, Delivery, Effect, MonitorTraffic, Promised, Shadowed,
};
pub use matrix::{
    AlertRow, BaselineDifference, CampaignRun, Catch, Curve, Expected, FaultRow, Matrix, MatrixCell, Portion,
};
pub use power::{Baselines, FaultPower, Power, Sight};
pub use reference::{Delay, Part, Reference};
pub use report::{Ending, LedgerFiles, PhaseRecord, Report};
#[cfg(feature = "cli")]
pub use sweep::{CurvePoint, Known, Probe, Search, Seen, SizeCurve, Sweep, SweepEnding, Threshold};
pub use verdict::{AlertChange, AlertState, Asked, Measured, Outcome, Reason, Verdict};

/// Version of the event and report format; it grows when a field changes its meaning or goes.
pub const FORMAT_VERSION: u32 = 1;

/// Something that happened in a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Event {
    /// When.
    pub at: Timestamp,
    /// What.
    #[serde(flatten)]
    pub kind: Kind,
}

/// The kinds of event.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(tag = "event", rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Kind {
    /// The plan is compiled and about to be armed.
    RunStarted(Outline),
    /// A phase begins.
    PhaseStarted {
        /// Its name.
        phase: String,
        /// Its number, from 0.
        index: usize,
        /// How long it will last.
        lasts_s: f64,
    },
    /// A phase is over.
    PhaseEnded {
        /// Its name.
        phase: String,
        /// Was everything decided before its time was up?
        early: bool,
    },
    /// Numbers of the moment, about once a second.
    Progress(Progress),
    /// A monitor's alert changed its state.
    AlertChanged(AlertChange),
    /// A monitor does not answer.
    MonitorUnreachable {
        /// Its name in the stage.
        monitor: String,
        /// What went wrong.
        error: String,
    },
    /// A monitor answers again.
    MonitorRecovered {
        /// Its name in the stage.
        monitor: String,
    },
    /// An expectation is decided.
    Decided(Outcome),
    /// A guard ended the run.
    GuardTripped {
        /// The guard, as written.
        guard: String,
        /// What it read.
        reading: String,
    },
    /// Something the reader should know that is no verdict.
    Notice {
        /// One line.
        message: String,
    },
    /// Nothing is injected any more.
    Disarmed,
    /// The run is over: its last event.
    RunEnded(Box<Report>),
    /// All runs of a campaign are over: the last event of `canard run` with several.
    CampaignEnded(Box<Matrix>),
}

/// What a run is going to do.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Outline {
    /// Name of the scenario.
    pub scenario: String,
    /// What it is meant to show.
    pub hypothesis: String,
    /// Seed of every decision.
    pub seed: u64,
    /// Where it runs, in words.
    pub stage: String,
    /// Names of the monitors watched.
    pub monitors: Vec<String>,
    /// Share of units that are treated.
    pub exposure_share: f64,
    /// Do faults act on copies of requests only, so that callers get the true answer?
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub shadow: bool,
    /// The release that is rehearsed, in words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub release: Option<String>,
    /// The phases in order.
    pub phases: Vec<PhaseOutline>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn no_unit(listed: &usize) -> bool {
    *listed == 0
}

/// One phase of an [`Outline`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct PhaseOutline {
    /// Its name.
    pub phase: String,
    /// Start, from the start of the run.
    pub starts_s: f64,
    /// Length.
    pub lasts_s: f64,
    /// Monitoring may neither fire in it nor be trusted to keep silent.
    #[serde(default, skip_serializing_if = "is_false")]
    pub warm_up: bool,
    /// Share of units that are treated in it, where it is not the exposure's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub share: Option<f64>,
    /// Units beside them that are treated in it because the scenario lists them.
    #[serde(default, skip_serializing_if = "no_unit")]
    pub listed: usize,
    /// What it injects.
    pub faults: Vec<FaultOutline>,
}

const fn is_false(flag: &bool) -> bool {
    !*flag
}

const fn throughout() -> f64 {
    1.0
}

/// One fault of a [`PhaseOutline`], with the three shares that must never be mixed up.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct FaultOutline {
    /// Its identity in this run, `phase/fault`.
    pub id: String,
    /// Name of the fault.
    pub fault: String,
    /// Its size in words.
    pub size: String,
    /// Share of units that get it, as far as shares and groups decide.
    pub exposure_share: f64,
    /// The group of the treated that gets it, if not all of them do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// How often it acts on what the treated get.
    pub rate: f64,
    /// What its ramp or shape leaves of that, in the mean over its phase; 1 at full size throughout, and for the
    /// shapes that count requests, where it depends on the traffic.
    #[serde(default = "throughout")]
    pub over_time: f64,
    /// Their product: the effect on everybody.
    pub overall_share: f64,
}

/// Numbers of the moment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Progress {
    /// Time since the start.
    pub elapsed_s: f64,
    /// Planned length of the run.
    pub total_s: f64,
    /// The phase.
    pub phase: String,
    /// What the treated saw in this phase.
    pub treated: ArmNumbers,
    /// What the control group saw in this phase.
    pub control: ArmNumbers,
    /// Alerts that are firing, `monitor/alert`.
    pub firing: Vec<String>,
}

/// What one arm saw.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ArmNumbers {
    /// Requests answered.
    pub requests: u64,
    /// Share that failed.
    pub error_share: Option<f64>,
    /// Median latency.
    pub p50_s: Option<f64>,
    /// 99th percentile of latency.
    pub p99_s: Option<f64>,
}

//! What is left of a run.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{AlertChange, Comparison, Delivery, Outcome, Outline, Shadowed};
use crate::clock::Timestamp;

/// Why a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Ending {
    /// Its time was up, or everything was decided.
    Completed,
    /// A guard ended it.
    Guard,
    /// Ctrl-C or SIGTERM.
    Interrupted,
    /// What permitted it ended: the consent or a limit of its stage, or a window of the calendar.
    Withdrawn,
    /// canard or a sidecar failed.
    Failed,
}

/// When a phase really ran.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct PhaseRecord {
    /// Its name.
    pub phase: String,
    /// When it began.
    pub started: Timestamp,
    /// When it ended.
    pub ended: Timestamp,
    /// Did it end before its time, everything being decided?
    pub early: bool,
}

/// What a run found: the one document that every report format is made from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Report {
    /// Version of the format of events and reports.
    pub format_version: u32,
    /// Version of canard.
    pub canard_version: String,
    /// What was planned.
    pub outline: Outline,
    /// When the run began.
    pub started: Timestamp,
    /// When it ended.
    pub ended: Timestamp,
    /// Why it ended.
    pub ending: Ending,
    /// What ended it, in a sentence, if it did not complete.
    pub ending_detail: Option<String>,
    /// When the phases really ran.
    pub phases: Vec<PhaseRecord>,
    /// The delivery check of each fault.
    pub deliveries: Vec<Delivery>,
    /// What shadows answered, in each phase that has any (`release: shadow`).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub shadows: Vec<Shadowed>,
    /// Versions compared, phase by phase, if a release was rehearsed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub comparisons: Vec<Comparison>,
    /// The verdicts.
    pub outcomes: Vec<Outcome>,
    /// Every change of every alert.
    pub alerts: Vec<AlertChange>,
    /// Alerts that each monitor has a rule for, of the monitors that tell their rules, as of the end of the run.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub rules: BTreeMap<String, Vec<String>>,
    /// Requests that no arm could be told for, by reason.
    pub not_assigned: BTreeMap<String, u64>,
    /// Share of delivered faults whose alerts fired in time; none if no fault had an expectation.
    pub score: Option<f64>,
    /// The exit code that goes with this.
    pub exit_code: u8,
    /// Notices of the run.
    pub notices: Vec<String>,
    /// Where the ledger is; none when it is with the sidecars that stood in the traffic already.
    #[serde(default)]
    pub ledger: Option<LedgerFiles>,
}

/// The files of a run's ledger. Earlier runs with the same report folder have lines in them too.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct LedgerFiles {
    /// Their names, from the folder of the report, oldest first.
    pub files: Vec<String>,
    /// Older ones that rotation has removed.
    pub removed: u64,
}

//! The detection matrix: what several runs say about the monitoring as a whole, faults down, alerts across.
//!
//! Counts stand beside every share and every rate, so that a reader can check the intervals. What could not be told
//! (the fault was not delivered, the monitor was away) is counted apart and is in no denominator.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::Ending;
use crate::{
    clock::Timestamp,
    stats::{Interval, KaplanMeier, TimeQuantile, exact_proportion},
};

/// What a campaign of runs found: `matrix.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Matrix {
    /// Version of the format of events and reports.
    pub format_version: u32,
    /// Version of canard.
    pub canard_version: String,
    /// The runs in the order in which they were played.
    pub runs: Vec<CampaignRun>,
    /// The faults: each phase that injects something, of each scenario.
    pub faults: Vec<FaultRow>,
    /// The alerts that were expected or that fired, by name.
    pub alerts: BTreeMap<String, AlertRow>,
    /// Alerts that a monitor has a rule for, or that a scenario expects, and that never fired in any run.
    pub never_fired: Vec<String>,
    /// Faults that were delivered and that no alert told anybody of: none that should fire did in any run, and no other
    /// fired in half of the runs.
    pub unseen: Vec<String>,
    /// Share of the delivered faults that were detected in time, over all runs; none if no fault had an expectation.
    pub score: Option<Portion>,
    /// How it differs from the baseline, if it was compared with one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub baseline: Option<BaselineDifference>,
    /// The exit code that goes with this.
    pub exit_code: u8,
}

/// What became of a baseline in a campaign.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct BaselineDifference {
    /// Caught then, and not now.
    pub lost: Vec<Catch>,
    /// Caught then; now it can't be told, or a scenario that was played no longer has the fault.
    pub untold: Vec<Catch>,
    /// Caught now, and not then.
    pub gained: Vec<Catch>,
    /// Faults of the baseline that this campaign does not have.
    pub absent: Vec<String>,
}

/// An alert that catches a fault in time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Catch {
    /// The fault, by its row: `scenario: phase/fault`.
    pub fault: String,
    /// The alert.
    pub alert: String,
}

/// One run of a campaign.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct CampaignRun {
    /// Its folder, from that of the matrix.
    pub run: String,
    /// Name of its scenario.
    pub scenario: String,
    /// Its seed: `--repeat 1 --null-runs 0 --seed`, with `--shuffle` where its faults were put into another order, plays the
    /// run again. A null run is not played alone.
    pub seed: u64,
    /// Was nothing injected, by design?
    pub null: bool,
    /// Were its faults put into an order drawn by the seed? None where only its report is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shuffled: Option<bool>,
    /// How it ended; none if it could not begin.
    pub ending: Option<Ending>,
    /// Why, if it did not complete.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// Its exit code.
    pub exit_code: u8,
    /// When it began; none if it could not.
    pub started: Option<Timestamp>,
    /// How long it took.
    pub lasted_s: f64,
}

/// So many of so many.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Portion {
    /// How many.
    pub hits: u64,
    /// Of how many; never 0.
    pub of: u64,
    /// The share with its 95% interval (exact: Clopper and Pearson's).
    pub share: Interval,
}

/// One row: the faults that act together in one phase.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct FaultRow {
    /// The scenario.
    pub scenario: String,
    /// The faults of the phase, `phase/fault`, joined by ` + `: together with the scenario the row's identity.
    pub fault: String,
    /// Their sizes in words.
    pub size: String,
    /// Runs that reached the phase.
    pub runs: u64,
    /// Runs in which every one of them was delivered.
    pub delivered: u64,
    /// Of those that were delivered and of which it can be told: where everything that should fire did so in time.
    pub detected: Option<Portion>,
    /// What each alert did; those that are not here did nothing and were not expected to.
    pub cells: BTreeMap<String, MatrixCell>,
}

/// What a scenario asks of an alert during a fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Expected {
    /// Nothing.
    #[default]
    Nothing,
    /// That it stays silent.
    Silence,
    /// That it fires.
    Fires,
}

/// One alert during one fault, over all runs.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct MatrixCell {
    /// What was asked of it.
    pub expected: Expected,
    /// Runs in which it fired in time.
    pub detected: u64,
    /// Runs in which it fired too late.
    pub late: u64,
    /// Runs in which the fault was there and it did not fire, or nobody was told.
    pub missed: u64,
    /// Runs of which it can't be told.
    pub inconclusive: u64,
    /// Runs in which it fired without being asked to.
    pub cross_talk: u64,
    /// What lay behind misses, by reason.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub missed_because: BTreeMap<String, u64>,
    /// Why it can't be told, by reason.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub inconclusive_because: BTreeMap<String, u64>,
    /// Probability of being detected in time by it, where it was expected to fire and that could be told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub probability: Option<Portion>,
    /// Time to detect, where it was expected to fire.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time_to_detect: Option<Curve>,
}

/// One alert over all faults and runs.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct AlertRow {
    /// Recall: share of the delivered faults that it should detect and did, in time.
    pub recall: Option<Portion>,
    /// Precision: share of its firings that were the answer, in time or late, to a fault that expects it; the others
    /// are false alarms and cross-talk.
    pub precision: Option<Portion>,
    /// Firings during faults that do not expect it.
    pub cross_talk: u64,
    /// Firings while nothing was injected that no fault explains.
    pub false_alarms: u64,
    /// Time during which it was watched with nothing injected, without that of warming up.
    pub quiet_s: f64,
    /// False alarms an hour, with their 95% interval (exact, of a Poisson count); none without any such time.
    pub false_alarms_per_hour: Option<Interval>,
    /// Time to detect, over all faults that expect it.
    pub time_to_detect: Option<Curve>,
}

/// How long it took, where some runs ended before it came to that.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Curve {
    /// The median with its 95% interval.
    pub median_s: TimeQuantile,
    /// The share that is still undetected, by seconds since the fault began. Runs in which it was never detected are
    /// censored at the end of what was watched.
    pub undetected: KaplanMeier,
}

impl Portion {
    /// So many of so many, with the interval at 95%; `None` of none.
    pub fn new(hits: u64, of: u64) -> Option<Portion> {
        Some(Portion { hits, of, share: exact_proportion(hits, of, 0.95)? })
    }
}

impl Curve {
    /// Of (seconds, was it detected then?); `None` without any.
    pub fn new(times: &[(f64, bool)]) -> Option<Curve> {
        let undetected = KaplanMeier::of(times, 0.95)?;
        Some(Curve { median_s: undetected.quantile(0.5), undetected })
    }
}

impl MatrixCell {
    /// Runs in which it could be told what became of an alert that should fire.
    pub fn told(&self) -> u64 {
        self.detected + self.late + self.missed
    }
}

impl FaultRow {
    /// The row's identity, as baselines write it.
    pub fn name(&self) -> String {
        format!("{}: {}", self.scenario, self.fault)
    }
}

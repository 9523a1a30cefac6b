//! Everything that a run can say.
//!
//! Events are the only interface between a run and its reports, its dashboard and its telemetry. They are
//! plain, serialisable data; `canard run --format json` prints one a line. Keys carry their unit (`_s`,
//! `_share`); times are seconds since the epoch.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{clock::Timestamp, stats::Interval};

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
    /// The run is over: the last event.
    RunEnded(Box<Report>),
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
    /// The release that is rehearsed, in words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub release: Option<String>,
    /// The phases in order.
    pub phases: Vec<PhaseOutline>,
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
    /// Share of units that are treated in it, where it is not the exposure's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub share: Option<f64>,
    /// What it injects.
    pub faults: Vec<FaultOutline>,
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
    /// Share of units that are treated.
    pub exposure_share: f64,
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
}

/// One measure of what a fault did: treated against control.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Effect {
    /// What was measured, such as `error share` or `mean latency`.
    pub measure: String,
    /// `share`, `s` or nothing.
    pub unit: String,
    /// Control arm.
    pub control: f64,
    /// Treated arm.
    pub treated: f64,
    /// Treated minus control, with its confidence interval where one can be given.
    pub difference: Option<Interval>,
}

/// Did a fault take effect?
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Delivered {
    /// The evidence shows it.
    Yes,
    /// The evidence shows that it did not.
    No,
    /// Too little traffic to tell.
    TooLittleTraffic,
}

/// The delivery check of one fault.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Delivery {
    /// The phase.
    pub phase: String,
    /// What was asked for.
    pub fault: FaultOutline,
    /// Requests that the fault could have touched: they matched the target in its phase.
    pub eligible: u64,
    /// Those of treated units.
    pub exposed: u64,
    /// Those that the fault changed.
    pub perturbed: u64,
    /// Those that it changed because they asked for it (`x-canard-fault`); none of the others counts them.
    #[serde(default)]
    pub asked_for: u64,
    /// Those that it should have changed and did not, by reason.
    pub skipped: BTreeMap<String, u64>,
    /// What treated and control callers saw.
    pub effects: Vec<Effect>,
    /// The verdict on the delivery.
    pub delivered: Delivered,
    /// What kinds of monitor should see this fault.
    pub seen_by: String,
}

/// What shadows answered in one phase beside what their callers got: the true answer.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default)]
pub struct Shadowed {
    /// The phase.
    pub phase: String,
    /// Requests that were answered twice: to the caller, and by the shadow.
    pub pairs: u64,
    /// Treated requests that got no shadow, by reason.
    pub left_out: BTreeMap<String, u64>,
    /// Pairs with different statuses: the caller's, then the shadow's.
    pub statuses: BTreeMap<String, BTreeMap<String, u64>>,
    /// The shadow's latency minus the caller's, in the mean.
    pub latency_s: Option<Interval>,
    /// Predictions that were set side by side.
    pub predictions: u64,
    /// Pairs whose predictions could not be, by reason.
    pub not_compared: BTreeMap<String, u64>,
    /// Share of their labels that differ.
    pub relabelled_share: Option<Interval>,
    /// Labels that differ: the caller's, then the shadow's.
    pub confusion: BTreeMap<String, BTreeMap<String, u64>>,
    /// The shadow's highest score minus the caller's, in the mean.
    pub score_difference: Option<Interval>,
    /// The largest of those differences, whatever its sign.
    pub largest_score_difference: Option<f64>,
}

/// Two versions of a release compared in one phase.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Comparison {
    /// The phase.
    pub phase: String,
    /// What is compared with.
    pub baseline: Compared,
    /// What is compared.
    pub candidate: Compared,
    /// Is the baseline what everybody saw in the phases before, because too few were left on it?
    #[serde(default)]
    pub before: bool,
    /// What callers of both saw: `control` is the baseline's, `treated` the candidate's.
    pub effects: Vec<Effect>,
}

/// One side of a [`Comparison`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Compared {
    /// Its version.
    pub version: String,
    /// The group that has it, in an A/B test.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// Its requests.
    pub requests: u64,
}

impl Comparison {
    /// The measures that differ beyond doubt: their interval leaves out zero.
    pub fn differing(&self) -> impl Iterator<Item = &Effect> {
        self.effects.iter().filter(|effect| effect.difference.is_some_and(Interval::excludes_zero))
    }
}

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
    /// [`FORMAT_VERSION`].
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

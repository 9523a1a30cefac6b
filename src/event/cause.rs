//! Why an alert was missed or late, with what shows it.
//!
//! The kinds are a closed set, so that a suite can count them; the sentence and the evidence say the rest. A cause
//! never changes a verdict: it is looked for afterwards, and where nothing can be found out there is none.

use serde::{Deserialize, Serialize};

use super::Reason;
use crate::clock::Timestamp;

/// Which link of the chain from the series to the receiver did not hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum CauseKind {
    /// No monitor has a rule of that name.
    RuleAbsent,
    /// The rule fails when it is evaluated.
    RuleUnhealthy,
    /// The rule was not evaluated while the fault was there.
    NotEvaluated,
    /// What the rule selects has no series.
    SeriesEmpty,
    /// What the rule selects had values, but none while the fault was there.
    SeriesStale,
    /// The same, because what exposes it could not be scraped.
    TargetDown,
    /// A window of the built-in monitor held too few requests to say anything.
    TooFewSamples,
    /// The rule's value did not reach its threshold.
    ThresholdNotReached,
    /// The parts of the rule's condition were true, but not together, or its `unless` was true as well.
    NotTogether,
    /// The condition was true, but for less than the rule's `for`.
    ForTooLong,
    /// The condition was true again and again, never for long enough.
    PendingOnly,
    /// It fired, under a silence or in a muted time.
    Silenced,
    /// It fired, and another alert inhibits it.
    Inhibited,
    /// It fired, and waited in its group.
    Grouped,
    /// It fired, and its route leads to a receiver without any integration.
    RoutedToNobody,
    /// It fired, and its route leads to a receiver that canard does not hear.
    RoutedElsewhere,
    /// It fired with other labels.
    WrongLabels,
    /// It fired, and its notification failed.
    NotificationFailed,
    /// It fired, and the evaluator has no Alertmanager, or can't reach it.
    AlertmanagerUnreachable,
    /// The condition became true late: scrape, evaluation and the rule's window took their time.
    SlowCondition,
}

/// Something that a monitor answered.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Observation {
    /// What was asked: a query, an address of its API, a setting.
    pub asked: String,
    /// What it answered.
    pub answer: String,
    /// Of which moment, on canard's clock.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<Timestamp>,
}

/// How close a rule's value came to its threshold.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Closest {
    /// The comparison, such as `>`.
    pub op: String,
    /// The threshold.
    pub threshold: f64,
    /// The value nearest to it while the fault was there.
    pub value: f64,
    /// When that was, in seconds from the start of the phase.
    pub at_s: f64,
    /// The value nearest to it before the fault, if it had any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<f64>,
    /// A threshold up to which (for `>`; down to which for `<`) the rule would have fired, its `for` included.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub would_have_fired_at: Option<f64>,
}

/// Why an alert was missed or late.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Cause {
    /// The link that did not hold.
    pub kind: CauseKind,
    /// The monitor that told, if one did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub monitor: Option<String>,
    /// One sentence: what was found.
    pub summary: String,
    /// One sentence: what would have caught it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remedy: Option<String>,
    /// How close the rule's value came to its threshold, where that was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub closest: Option<Closest>,
    /// What shows it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub evidence: Vec<Observation>,
}

impl CauseKind {
    /// The reason that a verdict gives for the same, where it has one.
    pub fn reason(self) -> Option<Reason> {
        Some(match self {
            CauseKind::RuleAbsent => Reason::NoSuchAlert,
            CauseKind::RuleUnhealthy
            | CauseKind::NotEvaluated
            | CauseKind::SeriesEmpty
            | CauseKind::SeriesStale
            | CauseKind::TargetDown
            | CauseKind::TooFewSamples => Reason::MonitorBlind,
            CauseKind::Silenced | CauseKind::Inhibited => Reason::Suppressed,
            CauseKind::WrongLabels => Reason::WrongLabels,
            CauseKind::Grouped
            | CauseKind::RoutedToNobody
            | CauseKind::RoutedElsewhere
            | CauseKind::NotificationFailed
            | CauseKind::AlertmanagerUnreachable => Reason::NotNotified,
            CauseKind::ThresholdNotReached
            | CauseKind::NotTogether
            | CauseKind::ForTooLong
            | CauseKind::PendingOnly
            | CauseKind::SlowCondition => return None,
        })
    }
}

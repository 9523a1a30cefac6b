//! What a scenario may say about guards, and about what has to hold.
//!
//! A guard is looked at once a second, before the first fault too. It ends the run when it is broken so many looks in
//! a row as its `after` says, or when it can't be read three looks in a row: flying blind is not safe.

use std::num::{NonZeroU32, NonZeroU64};

use serde::{Deserialize, Serialize};

use crate::unit::{Comparison, Share, Span};

/// When to give up: disarm first, report after. No run starts while one of them holds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
#[non_exhaustive]
pub enum Guard {
    /// A PromQL query is true.
    Query(QueryGuard),
    /// What callers saw in the last seconds breaks a limit.
    Observed(Observed),
    /// An alert is firing.
    Alert(AlertGuard),
    /// What a probe of the stage answers is not as it should be.
    Probe(ProbeGuard),
    /// So many requests have been perturbed.
    Budget(Budget),
}

/// A PromQL query that must not be true.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct QueryGuard {
    /// Name of a `prometheus` monitor in the stage.
    pub monitor: String,
    /// The query; true when it returns anything other than nothing or zeros.
    pub promql: String,
    /// Looks in a row that have to find it true; 1 if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<NonZeroU32>,
}

/// Limits on what callers saw over the last ten seconds. They say nothing about fewer than 20 requests.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Observed {
    /// Whose requests; everybody's if left out.
    #[serde(skip_serializing_if = "Whose::is_everybody")]
    pub of: Whose,
    /// Share of requests that failed (5xx, 429 or a broken connection), such as `> 20%`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error_rate: Option<Comparison>,
    /// 99th percentile of latency, such as `> 2s`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub latency_p99: Option<Comparison>,
    /// Any quantile of latency.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub latency: Option<QuantileLimit>,
    /// Looks in a row that have to find a limit broken; 1 if left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after: Option<NonZeroU32>,
}

/// Whose requests a limit is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Whose {
    /// All of them.
    #[default]
    Everybody,
    /// Those of treated units.
    Treated,
    /// Those of the control group.
    Control,
    /// What the treated saw minus what the control group saw: the harm that the faults do, whatever else is wrong.
    Difference,
}

impl Whose {
    fn is_everybody(&self) -> bool {
        *self == Whose::Everybody
    }
}

/// A limit on a quantile of latency.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct QuantileLimit {
    /// Which quantile, such as `95%`.
    pub quantile: Share,
    /// The limit, such as `> 500ms`.
    pub limit: Comparison,
}

/// An alert that must not fire.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct AlertGuard {
    /// Name of the alert.
    pub name: String,
    /// From which state on it counts.
    #[serde(default)]
    pub state: GuardState,
    /// The monitor to ask; left out, any, and all of them have to answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub monitor: Option<String>,
    /// Readings in a row that have to find it in that state; 1 if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<NonZeroU32>,
}

/// The state of an alert that breaks a guard.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum GuardState {
    /// It fires, silenced or not.
    #[default]
    Firing,
    /// Its condition is true, though not for long enough to fire; or it fires.
    Pending,
}

/// What a probe has to answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct ProbeGuard {
    /// Name of a probe of the stage.
    pub name: String,
    /// CEL over `status` and `body` (the answer's JSON) that is true while all is well, such as
    /// `body.status == "ok"`: the run ends unless it holds. An answer that is no 2xx breaks it too, unless the
    /// expression reads `status`.
    pub unless: String,
    /// Looks in a row that have to find it false; 1 if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<NonZeroU32>,
}

/// The most that a run may harm.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Budget {
    /// Requests that may be perturbed in the whole run; one that two faults change counts twice. It is looked at
    /// once a second, so what is perturbed within that second comes on top.
    pub requests: NonZeroU64,
}

impl Guard {
    /// Looks in a row that have to find it broken.
    pub fn after(&self) -> u32 {
        let after = match self {
            Guard::Query(guard) => guard.after,
            Guard::Observed(guard) => guard.after,
            Guard::Alert(guard) => guard.after,
            Guard::Probe(guard) => guard.after,
            Guard::Budget(_) => None,
        };
        after.map_or(1, NonZeroU32::get)
    }
}

/// A question whose answer has to be true: PromQL (`monitor` and `promql`) or a probe (`probe` and `cel`).
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Holds {
    /// Name of a `prometheus` monitor in the stage.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub monitor: Option<String>,
    /// The query; true when it returns anything other than nothing or zeros.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub promql: Option<String>,
    /// Name of a probe of the stage.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub probe: Option<String>,
    /// CEL over `status` and `body` (the answer's JSON), such as `body.phase == "rolled-back"`. An answer that is
    /// no 2xx is not true, unless the expression reads `status`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cel: Option<String>,
    /// Has to become true within this time from the start of the phase; left out, it has to be true at every look
    /// during the phase.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub within: Option<Span>,
}

/// Who is asked what.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Question<'a> {
    /// PromQL.
    Promql {
        /// The monitor.
        monitor: &'a str,
        /// The query.
        promql: &'a str,
    },
    /// A probe.
    Probe {
        /// Its name.
        probe: &'a str,
        /// What has to be true of its answer.
        cel: &'a str,
    },
}

impl Holds {
    /// What it asks; `None` if it says both, neither or half, which no plan has.
    pub fn question(&self) -> Option<Question<'_>> {
        match (&self.monitor, &self.promql, &self.probe, &self.cel) {
            (Some(monitor), Some(promql), None, None) => Some(Question::Promql { monitor, promql }),
            (None, None, Some(probe), Some(cel)) => Some(Question::Probe { probe, cel }),
            _ => None,
        }
    }

    /// The query or expression.
    pub fn subject(&self) -> &str {
        self.promql.as_deref().or(self.cel.as_deref()).unwrap_or_default()
    }

    /// The monitor or probe that is asked.
    pub fn asked(&self) -> Option<&str> {
        self.monitor.as_deref().or(self.probe.as_deref())
    }
}

impl Guard {
    /// Who is asked, if somebody has to be.
    pub fn question(&self) -> Option<Question<'_>> {
        match self {
            Guard::Query(guard) => Some(Question::Promql { monitor: &guard.monitor, promql: &guard.promql }),
            Guard::Probe(guard) => Some(Question::Probe { probe: &guard.name, cel: &guard.unless }),
            Guard::Observed(_) | Guard::Alert(_) | Guard::Budget(_) => None,
        }
    }
}

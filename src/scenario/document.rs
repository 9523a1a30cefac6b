//! What a scenario file may say. Field docs become the JSON Schema's descriptions.

use std::{collections::BTreeMap, path::PathBuf};

use serde::{Deserialize, Serialize};

use super::{
    exposure::ExposureDocument,
    guard::{Guard, Holds},
    release::ReleaseDocument,
    shape::Shape,
};
use crate::{
    fault::Fault,
    unit::{Rate, Share, Span},
    wire::{Outputs, Protocol},
};

/// A canard scenario: what to break, for whom, for how long, and which alerts should notice.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Document {
    /// Name of the scenario: letters, digits, `-`, `_` and `.`.
    pub name: String,
    /// What the run is meant to show, in a sentence that can turn out false.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub hypothesis: String,
    /// Seed of every decision; the same seed touches the same units in the same way.
    #[serde(default)]
    pub seed: u64,
    /// How often `canard run` plays it, each time with a seed of its own and the faults in an order that this draws: from
    /// 1 to 1000, and once if left out. `--repeat` goes before it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(range(min = 1, max = 1000)))]
    pub repeat: Option<u32>,
    /// Runs among those with nothing injected: what fires in them is a false alarm. From 0 to 1000, and none if left
    /// out. `--null-runs` goes before it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(range(max = 1000)))]
    pub null_runs: Option<u32>,
    /// Which requests may be touched, and which protocol they speak.
    pub target: TargetDocument,
    /// Who is treated.
    #[serde(default)]
    pub exposure: ExposureDocument,
    /// A release that is rehearsed: which versions there are, and who has which.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub release: Option<ReleaseDocument>,
    /// Traffic that canard generates, where no real traffic flows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub traffic: Option<TrafficDocument>,
    /// The phases, one after another.
    pub phases: Vec<PhaseDocument>,
    /// Where it may run, as stages name their `environment`; anywhere if left out.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub environments: Vec<String>,
    /// Guards: when one holds, the run disarms and ends, or does not start at all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub abort: Vec<Guard>,
    /// Whether perturbed responses carry `x-canard: <scenario>/<fault>`.
    #[serde(default)]
    pub mark: Mark,
}

/// Whether perturbed responses are marked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Mark {
    /// They carry `x-canard`.
    #[default]
    On,
    /// They don't: a blind exercise.
    Off,
}

/// Which requests may be touched.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct TargetDocument {
    /// The inference protocol that reads the predictions.
    pub protocol: Protocol,
    /// CEL over `request.method`, `request.path`, `request.headers["…"]` and `request.body`; everything
    /// if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub when: Option<String>,
    /// Class names in the order of the class indices, for servers that answer with numbers.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub labels: Vec<String>,
    /// Which outputs hold the prediction, where the protocol leaves a choice.
    #[serde(default, skip_serializing_if = "is_default")]
    pub outputs: Outputs,
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// Traffic that canard generates.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct TrafficDocument {
    /// Requests per second, open loop: a slow answer does not slow the generator.
    pub rate: Rate,
    /// Recorded requests, one JSON object a line; a path beside the scenario file.
    pub requests: PathBuf,
}

/// One phase.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct PhaseDocument {
    /// Name of the phase, unique in the scenario.
    pub name: String,
    /// When it begins, from the start of the run; left out, when the one before it ends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<Span>,
    /// How long it lasts.
    pub lasts: Span,
    /// Monitoring still gathers the past that it compares with, so that it may neither fire nor be trusted to keep silent:
    /// what fires in this phase is no false alarm, and its time is none in which one could have been. Nothing is injected
    /// or expected in it.
    #[serde(default, skip_serializing_if = "is_false")]
    pub warm_up: bool,
    /// Share of units that are treated in this phase, at most the exposure's share: the step of a ramp over phases.
    /// A larger one only adds units. It bounds the shares of segments too; units under `always` stay treated,
    /// but for 0%, which treats nobody.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub share: Option<Share>,
    /// Faults that act together during this phase, whatever their order in this list, as a request meets them: its
    /// features change, it is delayed, refused or routed; then the predictions, the text, the timing of the stream
    /// change, the response is held back, the connection breaks. Those of one such stage act in the order of the list.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub inject: Vec<InjectionDocument>,
    /// What the monitoring should do.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub expect: Vec<Expectation>,
}

const fn is_false(flag: &bool) -> bool {
    !*flag
}

/// One fault of a phase.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct InjectionDocument {
    /// The fault and its settings; `canard faults` lists them.
    pub fault: Fault,
    /// Time over which its size grows from nothing to full.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ramp: Option<Span>,
    /// How its size goes with time, in place of a ramp.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shape: Option<Shape>,
    /// CEL that tells which of the treated's predictions it may touch, over `request.…` and
    /// `features["age"]`; everything if left out.
    #[serde(default, rename = "where", skip_serializing_if = "Option::is_none")]
    pub only: Option<String>,
    /// Share of units that get this fault, at most the exposure's share (they are among the treated).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub share: Option<Share>,
    /// The group of the treated that gets it, one of the exposure's; left out, all of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
}

/// What the monitoring should do.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Expectation {
    /// An alert fires, in time.
    Fires(AlertFires),
    /// An alert stays silent during the phase.
    Silent(AlertSilent),
    /// An alert that fired before clears, in time.
    Clears(AlertClears),
    /// A PromQL query, or a condition on the answer of a probe, is true: at every look during the phase, or
    /// within a time.
    Holds(Holds),
}

/// An alert that should fire.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct AlertFires {
    /// Name of the alert.
    pub alert: String,
    /// Time to detect that is good enough, from the start of the phase.
    pub within: Span,
    /// The monitor that should tell; left out, any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub monitor: Option<String>,
    /// Labels that it has to carry, such as `severity: page`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
}

/// An alert that should stay silent.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct AlertSilent {
    /// Name of the alert.
    pub alert: String,
    /// The monitor to ask; left out, any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub monitor: Option<String>,
}

/// An alert that should clear.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct AlertClears {
    /// Name of the alert.
    pub alert: String,
    /// Time to clear that is good enough, from the start of the phase (the end of the fault).
    pub within: Span,
    /// The monitor that should tell; left out, any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub monitor: Option<String>,
}

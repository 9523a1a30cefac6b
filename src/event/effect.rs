//! What faults did to callers.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::FaultOutline;
use crate::stats::Interval;

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
    /// Probability of a difference at least as large by chance alone, for the measures that are a test (χ²,
    /// Kolmogorov-Smirnov).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub p: Option<f64>,
}

/// Did a fault take effect?
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Delivered {
    /// The evidence shows it, and does not rule out that it was as large as promised.
    Yes,
    /// The evidence shows it, and that it was less than promised: see [`Delivery::achieved`].
    Partly,
    /// The evidence shows that it did not.
    No,
    /// Too little traffic to tell.
    TooLittleTraffic,
}

impl Delivered {
    /// Was there an effect, whole or in part? A monitor can be asked about that much, and no more.
    pub fn took_effect(self) -> bool {
        matches!(self, Delivered::Yes | Delivered::Partly)
    }
}

/// What a fault's settings promise here, as the difference between the arms by which it is judged: at the size that
/// its requests met (its ramp), and diluted where it acts on a part of the treated only.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Promised {
    /// The promise at full size, in words.
    pub what: String,
    /// The measure that tells whether it was kept, one of the delivery's effects.
    pub measure: String,
    /// `share`, `s` or nothing.
    pub unit: String,
    /// Treated minus control, as promised.
    pub amount: f64,
    /// Does the promise speak of parts of a request (words, vectors, values)? Then of requests this is the least that
    /// has to be touched, and more is as promised.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub at_least: bool,
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
    /// True classes and what callers were told of them, where the truth is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confusion: Option<ConfusionByArm>,
    /// What the fault promised, where its settings and the control arm tell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub promised: Option<Promised>,
    /// The measured difference as a share of the promised one, with its confidence interval.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub achieved: Option<Interval>,
    /// What a monitor had to see it by, where that can be told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub monitor: Option<MonitorTraffic>,
    /// The verdict on the delivery.
    pub delivered: Delivered,
    /// What kinds of monitor should see this fault.
    pub seen_by: String,
}

/// The traffic by which a monitor of all callers could have seen a fault.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct MonitorTraffic {
    /// `requests`, `predictions` or `answers`.
    pub of: String,
    /// So many came in the phase, treated or not.
    pub had: u64,
    /// So many show a fault of this size to a sound test with probability 0.9, at level 0.05, over as many before it.
    pub needed: u64,
}

/// Confusion matrices of both arms: counts by the true class, then the predicted. The 64 first combinations are told
/// apart; the rest count as `(other)`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ConfusionByArm {
    /// Control arm.
    pub control: BTreeMap<String, BTreeMap<String, u64>>,
    /// Treated arm.
    pub treated: BTreeMap<String, BTreeMap<String, u64>>,
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

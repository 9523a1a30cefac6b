//! The words of arming: limits, the identity of a lease, refusals, what is armed.

use std::{path::PathBuf, time::Duration};

use serde::{Deserialize, Serialize};

use crate::{evidence::Rotation, scenario::Overlap, unit::Share};

/// Limits of everything that could grow.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Limits {
    /// Largest body that is buffered for a fault; a larger one passes untouched. Bytes.
    pub body: usize,
    /// Longest time to live of a lease that is granted.
    pub lease: Duration,
    /// Lines that wait for the ledger's writer.
    pub ledger_queue: usize,
    /// How large the ledger's files grow, and how many are kept.
    #[serde(default)]
    pub ledger_rotation: Rotation,
    /// Distinct labels that evidence keeps apart.
    pub labels: usize,
    /// Share of units that no scenario touches, whatever it says: the hold-out. Drawn by unit where a scenario names
    /// one, else by request.
    pub holdout: Share,
    /// Shadows that are on their way at once; a treated request beyond them gets none.
    #[serde(default = "shadows")]
    pub shadows: usize,
    /// What all of them together hold of the bodies of requests and answers. Bytes.
    ///
    /// What counts, each with 64 bytes for every piece: the copy of the request, of every caller whose unit stands in
    /// it and of the treated; the copy of the caller's answer, while it passes if it is to be played again, else once
    /// it has passed; what a mirror answers, as it comes; what the shadow was answered, if it is a prediction; and the
    /// request once more where payloads are logged. It is given back when evidence and the payload log have read it.
    /// What does not fit gives its shadow up (`memory`), a copy over `body` too (`too-large`). Heads of messages do
    /// not count, nor does what a fault has in hand while it edits, at most `body` for each shadow.
    #[serde(default = "shadow_bytes")]
    pub shadow_bytes: usize,
}

const fn shadows() -> usize {
    1024
}

const fn shadow_bytes() -> usize {
    64 << 20
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            body: 4 << 20,
            lease: Duration::from_secs(300),
            ledger_queue: 65_536,
            ledger_rotation: Rotation::default(),
            labels: 128,
            holdout: Share::NONE,
            shadows: shadows(),
            shadow_bytes: shadow_bytes(),
        }
    }
}

/// Identity of a lease.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(transparent)]
pub struct LeaseId(pub(super) u64);

impl std::fmt::Display for LeaseId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

impl std::str::FromStr for LeaseId {
    type Err = std::num::ParseIntError;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse().map(LeaseId)
    }
}

/// Why a lease is not granted, renewed or found.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ArmError {
    /// Another scenario is armed.
    #[error("scenario `{0}` is armed already; disarm it or wait until its lease runs out")]
    AlreadyArmed(String),
    /// Another scenario is armed, and one of the two names no layer.
    #[error(
        "scenario `{0}` is armed already, and two are armed at once only if each names its `exposure.layer`; \
         disarm it, wait until its lease runs out, or give both a layer"
    )]
    NoLayer(String),
    /// Another scenario of the same layer is armed, and they may share units.
    #[error("scenario `{scenario}` is armed already and may share units with this one in their layer: {why}")]
    Overlaps {
        /// The one that is armed.
        scenario: String,
        /// Why they may.
        why: Overlap,
    },
    /// As many scenarios are armed as there is room for.
    #[error("{0} scenarios are armed already, and there is room for no more")]
    Full(usize),
    /// The lease ran out or was ended.
    #[error("no such lease: it ran out, or was ended")]
    NoSuchLease,
    /// No phase of that name.
    #[error("the plan has no phase `{0}`")]
    NoSuchPhase(String),
    /// A release needs another upstream that was not named to this program.
    #[error(
        "the release needs the upstream `{0}`, and nobody has told where it is: give the stage `candidates`, or the \
         sidecar `--candidate {0}=URL`"
    )]
    NoSuchUpstream(String),
    /// A plan that is armed can't be replaced by one of another structure.
    #[error("the plan that is armed can't be replaced: {0}")]
    OtherStructure(String),
    /// The kill file exists.
    #[error("the kill file `{}` exists: nothing can be armed until it is removed", .0.display())]
    Killed(PathBuf),
    /// The plan is for shadows, and nothing here makes any.
    #[error("`release: shadow` needs a `ShadowLayer` around the faults; this program has none")]
    NoShadows,
    /// The plan names a mirror that is not among the candidates.
    #[error("there is no upstream `{0}` to mirror to; name it as a candidate")]
    NoMirror(String),
    /// The time to live is zero or over the limit.
    #[error("a lease lives from 1ms to {0:?}")]
    TimeToLive(Duration),
}

/// What is armed.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Status {
    /// The lease in force.
    pub lease: Option<LeaseStatus>,
    /// Lines that an in-memory ledger had to let go; none are ever lost from a file.
    #[serde(default)]
    pub ledger_evicted: u64,
}

/// A lease in force.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct LeaseStatus {
    /// Its identity.
    pub id: LeaseId,
    /// The scenario.
    pub scenario: String,
    /// Seconds until it runs out.
    pub expires_in_s: f64,
    /// The phase; none in a gap and after the end.
    pub phase: Option<String>,
    /// Time since arming on the plan's timeline (skips count).
    pub position_s: f64,
    /// Faults that act now, `phase/fault`.
    pub faults: Vec<String>,
}

//! Arm, renew, disarm: a lease, never a switch.

use std::{sync::Arc, time::Duration};

use serde::{Deserialize, Serialize};

use crate::{evidence::Evidence, scenario::Plan};

/// Limits of everything that could grow.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Limits {
    /// Largest body that is buffered for a fault; a larger one passes untouched. Bytes.
    pub body: usize,
    /// Longest time to live of a lease that is granted.
    pub lease: Duration,
    /// Lines that wait for the ledger's writer.
    pub ledger_queue: usize,
    /// Distinct labels that evidence keeps apart.
    pub labels: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Limits { body: 4 << 20, lease: Duration::from_secs(300), ledger_queue: 65_536, labels: 128 }
    }
}

/// Identity of a lease.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(transparent)]
pub struct LeaseId(u64);

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
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ArmError {
    /// Another scenario is armed.
    #[error("scenario `{0}` is armed already; disarm it or wait until its lease runs out")]
    AlreadyArmed(String),
    /// The lease ran out or was ended.
    #[error("no such lease: it ran out, or was ended")]
    NoSuchLease,
    /// No phase of that name.
    #[error("the plan has no phase `{0}`")]
    NoSuchPhase(String),
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

/// Arms and disarms every [`ChaosLayer`](super) that was made from it. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Handle {}

impl Handle {
    /// A handle with limits of its own.
    pub fn new(_limits: Limits) -> Handle {
        Handle {}
    }

    /// Arms a plan for a time to live.
    ///
    /// # Errors
    /// If a lease is in force already, or `ttl` is out of range.
    pub fn arm(&self, _plan: Arc<Plan>, _ttl: Duration) -> Result<LeaseId, ArmError> {
        Err(ArmError::NoSuchLease)
    }

    /// Extends a lease: it now lives `ttl` from now.
    ///
    /// # Errors
    /// If the lease is over: it must be armed again, on purpose.
    pub fn renew(&self, _lease: LeaseId, _ttl: Duration) -> Result<(), ArmError> {
        Err(ArmError::NoSuchLease)
    }

    /// Jumps to the start of a phase (when the one before it is decided early).
    ///
    /// # Errors
    /// If the lease is over or the plan has no such phase.
    pub fn skip_to(&self, _lease: LeaseId, _phase: &str) -> Result<(), ArmError> {
        Err(ArmError::NoSuchLease)
    }

    /// Ends a lease: new requests pass at once, sleeping ones wake up.
    ///
    /// # Errors
    /// If the lease is over already.
    pub fn disarm(&self, _lease: LeaseId) -> Result<(), ArmError> {
        Err(ArmError::NoSuchLease)
    }

    /// Ends whatever is armed. Never fails.
    pub fn stop(&self) {}

    /// What is armed.
    pub fn status(&self) -> Status {
        Status::default()
    }

    /// What callers saw under the lease in force, or under the last one.
    pub fn evidence(&self) -> Option<Evidence> {
        None
    }
}

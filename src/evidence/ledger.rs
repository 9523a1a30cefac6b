//! The ledger: no injection without a record.

use serde::{Deserialize, Serialize};

use crate::{clock::Timestamp, draw::UnitHash};

/// One perturbed response.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Line {
    /// When.
    pub at: Timestamp,
    /// The request's own id (`x-request-id`, `traceparent`), if it has one.
    pub request: Option<String>,
    /// Hash of the unit.
    pub unit: UnitHash,
    /// Identity of the injection, `phase/fault`.
    pub fault: String,
    /// What changed, in words without values: `delayed 0.25 s`, `status 503`, `2 predictions`.
    pub change: String,
}

/// Why an injection may not happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum LedgerError {
    /// The writer can't keep up.
    #[error("the ledger's queue is full")]
    Full,
    /// The file can't be written (a full disk).
    #[error("the ledger can't be written")]
    Broken,
}

/// Where lines go.
#[derive(Debug, Clone, Default)]
pub struct Ledger {}

/// A reserved line: the right to perturb one response.
#[derive(Debug)]
pub struct Permit {}

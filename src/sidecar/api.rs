//! What travels between a controller and a sidecar's admin API; `docs/openapi.json` describes it.

use serde::{Deserialize, Serialize};

use crate::{
    clock::Timestamp,
    layer::{LeaseId, LeaseStatus},
    scenario::Document,
};

/// Version of the admin API. A controller refuses a sidecar that speaks another.
pub const API_VERSION: u32 = 1;

/// `POST /v1/leases`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ArmRequest {
    /// The scenario, as a document: the sidecar checks and compiles it itself.
    pub scenario: Document,
    /// Time to live of the lease in seconds.
    pub ttl_s: f64,
}

/// The answer to `POST /v1/leases` and to `PUT /v1/leases/{id}`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Granted {
    /// The lease.
    pub id: LeaseId,
    /// Seconds until it runs out.
    pub expires_in_s: f64,
}

/// `PUT /v1/leases/{id}`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RenewRequest {
    /// The lease now lives for so many seconds from now.
    pub ttl_s: f64,
    /// Jump to the start of this phase.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub skip_to: Option<String>,
    /// Put this scenario in the place of the one that is armed: of the same structure, or it is refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scenario: Option<Box<Document>>,
}

/// The answer to `GET /v1/status`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SidecarStatus {
    /// [`API_VERSION`].
    pub api_version: u32,
    /// Version of canard.
    pub canard_version: String,
    /// The sidecar's clock.
    pub now: Timestamp,
    /// The model server.
    pub upstream: String,
    /// Where callers come in.
    pub listen: String,
    /// Is it about to end?
    pub draining: bool,
    /// The kill file that forbids arming, while it exists.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub killed_by: Option<String>,
    /// The environment that it stands in, if it was told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub environment: Option<String>,
    /// What is armed.
    #[serde(default)]
    pub leases: Vec<LeaseStatus>,
}

/// The body of every answer that is an error.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// What is wrong.
    pub error: String,
    /// Every mistake of a scenario that can't be armed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub problems: Vec<String>,
}

//! Asks the admin API of a sidecar: arm, renew, disarm, evidence.

use std::time::Duration;

use bytes::Bytes;
use http::{Method, StatusCode};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::{
    evidence::Evidence,
    layer::{LeaseId, Status},
    monitor::{HttpClient, HttpError, HttpResponse},
    scenario::Document,
};

/// A sidecar that takes longer does not answer.
const DEADLINE: Duration = Duration::from_secs(3);
const LEASES: &str = "/v1/leases";

/// Why a sidecar did not do what it was asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AdminError {
    /// It gave no answer, or none of canard's; it may later.
    #[error("{0}")]
    Unreachable(String),
    /// It refused.
    #[error("{0}")]
    Refused(String),
}

impl AdminError {
    /// May the same request succeed later?
    pub const fn is_transient(&self) -> bool {
        matches!(self, AdminError::Unreachable(_))
    }
}

impl From<HttpError> for AdminError {
    fn from(error: HttpError) -> AdminError {
        AdminError::Unreachable(error.to_string())
    }
}

/// Body of `POST /v1/leases`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ArmRequest {
    /// The scenario, as JSON.
    pub scenario: Document,
    /// Time to live, in seconds.
    pub ttl_s: f64,
}

/// Body of `PUT /v1/leases/{id}`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RenewRequest {
    /// Time to live from now, in seconds.
    pub ttl_s: f64,
    /// Jump to the start of this phase.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub skip_to: Option<String>,
}

/// Answer to `POST /v1/leases`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Granted {
    /// The lease.
    pub id: LeaseId,
    /// Seconds until it runs out.
    pub expires_in_s: f64,
}

/// A client of one sidecar's admin API. Cheap to clone.
#[derive(Debug, Clone)]
pub struct AdminClient(HttpClient);

impl AdminClient {
    /// A client for the admin API at `url`, such as `http://127.0.0.1:9900`.
    ///
    /// # Errors
    /// If the address is none, or the token can't be sent.
    pub fn new(url: &str, token: Option<String>) -> Result<AdminClient, AdminError> {
        let client =
            HttpClient::new(url, token.as_deref()).map_err(|e| AdminError::Refused(e.to_string()))?;
        Ok(AdminClient(client.with_deadline(DEADLINE)))
    }

    /// Its address.
    pub fn url(&self) -> &str {
        self.0.base()
    }

    /// What is armed.
    ///
    /// # Errors
    /// If the sidecar does not answer, or refuses.
    pub async fn status(&self) -> Result<Status, AdminError> {
        let answer = self.0.get("/v1/status").await?;
        Ok(granted(answer)?.json()?)
    }

    /// Arms a scenario.
    ///
    /// # Errors
    /// As [`status`](Self::status); among the refusals: the scenario is wrong, another is armed.
    pub async fn arm(&self, scenario: &Document, ttl: Duration) -> Result<LeaseId, AdminError> {
        let request = ArmRequest { scenario: scenario.clone(), ttl_s: ttl.as_secs_f64() };
        let granted: Granted = self.send(Method::POST, LEASES, &request).await?;
        Ok(granted.id)
    }

    /// Renews a lease, and jumps to a phase if one is named.
    ///
    /// # Errors
    /// As [`status`](Self::status); among the refusals: the lease is over.
    pub async fn renew(
        &self,
        lease: LeaseId,
        ttl: Duration,
        skip_to: Option<&str>,
    ) -> Result<(), AdminError> {
        let request = RenewRequest { ttl_s: ttl.as_secs_f64(), skip_to: skip_to.map(str::to_owned) };
        let body = Some(("application/json", json(&request)?));
        granted(self.0.send(Method::PUT, &format!("{LEASES}/{lease}"), body).await?).map(drop)
    }

    /// Ends a lease.
    ///
    /// # Errors
    /// As [`renew`](Self::renew).
    pub async fn disarm(&self, lease: LeaseId) -> Result<(), AdminError> {
        granted(self.0.send(Method::DELETE, &format!("{LEASES}/{lease}"), None).await?).map(drop)
    }

    /// What callers saw under the lease in force or the last one; `None` before the first.
    ///
    /// # Errors
    /// As [`status`](Self::status).
    pub async fn evidence(&self) -> Result<Option<Evidence>, AdminError> {
        let answer = granted(self.0.get("/v1/evidence").await?)?;
        if answer.status == StatusCode::NO_CONTENT { Ok(None) } else { Ok(Some(answer.json()?)) }
    }

    async fn send<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: &impl Serialize,
    ) -> Result<T, AdminError> {
        let answer = self.0.send(method, path, Some(("application/json", json(body)?))).await?;
        Ok(granted(answer)?.json()?)
    }
}

fn json(body: &impl Serialize) -> Result<Bytes, AdminError> {
    serde_json::to_vec(body).map(Bytes::from).map_err(|error| AdminError::Refused(error.to_string()))
}

/// A 5xx may pass; any other answer that is no success is final.
fn granted(answer: HttpResponse) -> Result<HttpResponse, AdminError> {
    let may_pass = answer.status.is_server_error();
    answer.success().map_err(|error| {
        if may_pass {
            AdminError::Unreachable(error.to_string())
        } else {
            AdminError::Refused(error.to_string())
        }
    })
}

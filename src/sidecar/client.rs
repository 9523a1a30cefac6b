//! Asks the admin API of a sidecar: arm, renew, disarm, evidence.

use std::time::Duration;

use bytes::Bytes;
use http::{Method, StatusCode};
use serde::{Serialize, de::DeserializeOwned};

use super::api::{API_VERSION, ArmRequest, Granted, Problem, RenewRequest, SidecarStatus};
use crate::{
    evidence::Evidence,
    layer::LeaseId,
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

    /// What it is, and what is armed.
    ///
    /// # Errors
    /// If it does not answer, refuses, is no sidecar, or speaks another version of the API.
    pub async fn status(&self) -> Result<SidecarStatus, AdminError> {
        let status: SidecarStatus = granted(self.0.get("/v1/status").await?)?.json()?;
        if status.api_version != API_VERSION {
            let (url, theirs, version) = (self.url(), status.api_version, &status.canard_version);
            let message = format!(
                "{url}: canard {version} speaks version {theirs} of the admin API, this canard version {API_VERSION}; \
                 run the same canard on both sides"
            );
            return Err(AdminError::Refused(message));
        }
        Ok(status)
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
        let skip_to = skip_to.map(str::to_owned);
        self.put(lease, &RenewRequest { ttl_s: ttl.as_secs_f64(), skip_to, scenario: None }).await
    }

    /// Renews a lease, and puts another scenario of the same structure in the place of the one that is armed.
    ///
    /// # Errors
    /// As [`renew`](Self::renew); among the refusals: the scenario is wrong, or of another structure.
    pub async fn replace(
        &self,
        lease: LeaseId,
        scenario: &Document,
        ttl: Duration,
    ) -> Result<(), AdminError> {
        let scenario = Some(Box::new(scenario.clone()));
        self.put(lease, &RenewRequest { ttl_s: ttl.as_secs_f64(), skip_to: None, scenario }).await
    }

    async fn put(&self, lease: LeaseId, request: &RenewRequest) -> Result<(), AdminError> {
        let body = Some(("application/json", json(request)?));
        granted(self.0.send(Method::PUT, &format!("{LEASES}/{lease}"), body).await?).map(drop)
    }

    /// Ends a lease.
    ///
    /// # Errors
    /// As [`renew`](Self::renew).
    pub async fn disarm(&self, lease: LeaseId) -> Result<(), AdminError> {
        granted(self.0.send(Method::DELETE, &format!("{LEASES}/{lease}"), None).await?).map(drop)
    }

    /// Ends whatever is armed.
    ///
    /// # Errors
    /// As [`status`](Self::status).
    pub async fn stop(&self) -> Result<(), AdminError> {
        granted(self.0.send(Method::POST, "/v1/stop", None).await?).map(drop)
    }

    /// What callers saw under a lease: one in force, or one of the last few that ended.
    ///
    /// # Errors
    /// As [`status`](Self::status); among the refusals: the sidecar does not know the lease any more.
    pub async fn evidence(&self, lease: LeaseId) -> Result<Evidence, AdminError> {
        Ok(granted(self.0.get(&format!("{LEASES}/{lease}/evidence")).await?)?.json()?)
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

/// A 5xx may pass; any other answer that is no success is final. What a sidecar says is told in full.
fn granted(answer: HttpResponse) -> Result<HttpResponse, AdminError> {
    let status = answer.status;
    let told = serde_json::from_slice::<Problem>(&answer.body).ok().filter(|_| !status.is_success());
    let error = match answer.success() {
        Ok(answer) => return Ok(answer),
        Err(error) => error,
    };
    let mut message = error.to_string();
    if let Some(Problem { error, problems }) = told {
        message = [vec![error], problems].concat().join("; ");
    }
    if status == StatusCode::UNAUTHORIZED {
        message.push_str("; set the sidecar's token in the stage, as token: ${CANARD_TOKEN}");
    }
    match status.is_server_error() {
        true => Err(AdminError::Unreachable(message)),
        false => Err(AdminError::Refused(message)),
    }
}

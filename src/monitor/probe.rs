//! A probe: an address of the stage that answers with JSON, for guards and expectations that no monitor knows of.
//!
//! It is not an alert source: it has no alerts, only an answer of the moment.

use std::sync::Arc;

use http::Uri;

use super::{BoxFuture, HttpClient, HttpError, MonitorError};
use crate::scenario::ProbeSettings;

/// Largest answer of a probe, in bytes.
const LIMIT: usize = 1 << 20;

/// What a probe answered.
#[derive(Debug, Clone, PartialEq)]
pub struct ProbeAnswer {
    /// The HTTP status, whatever it is.
    pub status: u16,
    /// The body as JSON; as a text if it is none.
    pub body: serde_json::Value,
}

/// Asks a probe once.
pub type ProbeSource = Arc<dyn Fn() -> BoxFuture<'static, Result<ProbeAnswer, MonitorError>> + Send + Sync>;

/// A probe over HTTP. Nothing is connected yet; a server that is down is no error here (its answers tell).
///
/// # Errors
/// [`MonitorError::Setup`] if the address is none, or the token can't be sent.
pub fn probe(settings: &ProbeSettings) -> Result<ProbeSource, MonitorError> {
    let setup = |why: String| MonitorError::Setup(why);
    let uri: Uri = settings.url.parse().map_err(|error| setup(format!("`{}`: {error}", settings.url)))?;
    let path = uri.path_and_query().map_or_else(String::new, |path| path.as_str().to_owned());
    let base = settings.url.strip_suffix(path.as_str()).unwrap_or(&settings.url);
    let http = HttpClient::new(base, settings.token.as_deref()).map_err(|HttpError(why)| setup(why))?;
    let http = http.with_deadline(settings.timeout.duration()).with_limit(LIMIT);
    Ok(Arc::new(move || {
        let (http, path) = (http.clone(), path.clone());
        Box::pin(async move {
            let answer = http.get(&path).await.map_err(|HttpError(why)| MonitorError::Unreachable(why))?;
            let text = || serde_json::Value::String(String::from_utf8_lossy(&answer.body).into_owned());
            let body = serde_json::from_slice(&answer.body).unwrap_or_else(|_| text());
            Ok(ProbeAnswer { status: answer.status.as_u16(), body })
        })
    }))
}

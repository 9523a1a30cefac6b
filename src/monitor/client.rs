//! A small HTTP client with limits: time, size, TLS.
//!
//! It serves the monitors and whatever else asks a server of the stage. An answer is whole or an error; an
//! error is one line that says what happened and, where that is known, what to do. Redirects are not followed:
//! a login page must not pass for an answer. Credentials never show in an error.

use std::{error::Error, fmt::Write as _, io, sync::Arc, time::Duration};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Request, StatusCode, Uri, header};
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::{TokioExecutor, TokioTimer},
};
use serde::de::DeserializeOwned;

use crate::clock::{self, Timestamp};

/// Time for a whole exchange, from connecting to the last byte.
const DEADLINE: Duration = Duration::from_secs(5);
/// Largest answer, in bytes.
const LIMIT: usize = 16 << 20;
/// Characters of an answer that an error quotes.
const QUOTED: usize = 160;

/// Why there is no answer, in one line.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct HttpError(pub String);

/// An answer, whole.
#[derive(Debug, Clone)]
pub struct HttpResponse {
    /// Its status, whatever it is.
    pub status: StatusCode,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body.
    pub body: Bytes,
    /// When the request was about to be sent, on canard's clock.
    pub sent_at: Timestamp,
    /// When the headers of the answer had come.
    pub answered_at: Timestamp,
    /// When the whole answer had come.
    pub received_at: Timestamp,
    url: String,
}

/// Asks one server; cheap to clone, keeps its connections.
#[derive(Debug, Clone)]
pub struct HttpClient {
    client: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
    base: String,
    authorization: Option<HeaderValue>,
    deadline: Duration,
    limit: usize,
}

impl HttpClient {
    /// A client of the server at `base`, such as `http://127.0.0.1:9090` or `https://host/prefix`, that sends
    /// `token` as a bearer token. Nothing is connected yet. Deadline 5 s, answers up to 16 MiB.
    ///
    /// # Errors
    /// The address is none, or the token can't be a header.
    pub fn new(base: &str, token: Option<&str>) -> Result<HttpClient, HttpError> {
        let base = base.trim().trim_end_matches('/').to_owned();
        let wrong = |why: &str| {
            HttpError(format!("`{}` is no address: {why}; write it like http://127.0.0.1:9090", shown(&base)))
        };
        let uri: Uri = base.parse().map_err(|_| wrong("it can't be read"))?;
        let authority = uri.authority().ok_or_else(|| wrong("it needs http:// or https:// and a host"))?;
        if authority.as_str().contains('@') {
            return Err(wrong("credentials don't belong there but into `token: ${VARIABLE}`"));
        }
        if uri.query().is_some() {
            return Err(wrong("it must have no query"));
        }
        let secure = match uri.scheme_str() {
            Some("http") => false,
            Some("https") => true,
            _ => return Err(wrong("only http and https are spoken")),
        };
        let authorization = token.map(bearer).transpose()?;
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(Duration::from_secs(30))
            .build(connector(secure)?);
        Ok(HttpClient { client, base, authorization, deadline: DEADLINE, limit: LIMIT })
    }

    /// The same with another deadline for a whole exchange.
    #[must_use]
    pub fn with_deadline(mut self, deadline: Duration) -> HttpClient {
        self.deadline = deadline;
        self
    }

    /// The same with another limit for the bytes of an answer.
    #[must_use]
    pub fn with_limit(mut self, bytes: usize) -> HttpClient {
        self.limit = bytes;
        self
    }

    /// The address that it asks.
    pub fn base(&self) -> &str {
        &self.base
    }

    /// `GET` of a path (with its query) below the base address.
    ///
    /// # Errors
    /// No whole answer in time. A status such as 500 is an answer; see [`HttpResponse::success`].
    pub async fn get(&self, path: &str) -> Result<HttpResponse, HttpError> {
        self.send(Method::GET, path, None).await
    }

    /// `POST` of form fields.
    ///
    /// # Errors
    /// As [`HttpClient::get`].
    pub async fn post_form(&self, path: &str, fields: &[(&str, &str)]) -> Result<HttpResponse, HttpError> {
        let pairs: Vec<String> =
            fields.iter().map(|(k, v)| format!("{}={}", encoded(k), encoded(v))).collect();
        let body = Bytes::from(pairs.join("&"));
        self.send(Method::POST, path, Some(("application/x-www-form-urlencoded", body))).await
    }

    /// Any request; a body comes with its content type.
    ///
    /// # Errors
    /// As [`HttpClient::get`].
    pub async fn send(
        &self,
        method: Method,
        path: &str,
        body: Option<(&str, Bytes)>,
    ) -> Result<HttpResponse, HttpError> {
        let url = format!("{}{path}", self.base);
        let shown = url.split('?').next().unwrap_or_default().to_owned();
        let mut request =
            Request::builder().method(method).uri(&url).header(header::ACCEPT, "application/json");
        request = request.header(header::USER_AGENT, concat!("canard/", env!("CARGO_PKG_VERSION")));
        if let Some(authorization) = &self.authorization {
            request = request.header(header::AUTHORIZATION, authorization);
        }
        let body = match body {
            Some((content_type, body)) => {
                request = request.header(header::CONTENT_TYPE, content_type);
                body
            }
            None => Bytes::new(),
        };
        let request = request
            .body(Full::new(body))
            .map_err(|error| HttpError(format!("{shown}: no request: {error}")))?;
        match tokio::time::timeout(self.deadline, self.exchange(request, shown.clone())).await {
            Ok(answer) => answer,
            Err(_) => {
                let seconds = self.deadline.as_secs_f64();
                Err(HttpError(format!("{shown}: timed out, no whole answer within {seconds} s")))
            }
        }
    }

    async fn exchange(&self, request: Request<Full<Bytes>>, url: String) -> Result<HttpResponse, HttpError> {
        let sent_at = clock::now();
        let answer = self.client.request(request).await;
        let (head, body) =
            answer.map_err(|error| HttpError(format!("{url}: {}", explain(&error))))?.into_parts();
        let answered_at = clock::now();
        let body = Limited::new(body, self.limit).collect().await.map_err(|error| {
            if error.is::<LengthLimitError>() {
                return HttpError(format!("{url}: answered more than {} bytes, refused", self.limit));
            }
            HttpError(format!("{url}: the answer broke off: {}", innermost(error.as_ref())))
        })?;
        Ok(HttpResponse {
            status: head.status,
            headers: head.headers,
            body: body.to_bytes(),
            sent_at,
            answered_at,
            received_at: clock::now(),
            url,
        })
    }
}

impl HttpResponse {
    /// The answer itself if its status is 2xx.
    ///
    /// # Errors
    /// Any other status, with the first line of the body.
    pub fn success(self) -> Result<HttpResponse, HttpError> {
        if self.status.is_success() {
            return Ok(self);
        }
        let hint = match self.status.as_u16() {
            401 | 403 => "; does it want a token (`token: ${VARIABLE}` in the stage)?".to_owned(),
            404 => "; is this the right address?".to_owned(),
            300..=399 => {
                let to =
                    self.headers.get(header::LOCATION).and_then(|to| to.to_str().ok()).unwrap_or("elsewhere");
                format!("; it redirects to {}, which is not followed", shown(to))
            }
            _ => String::new(),
        };
        let said = if self.is_html() { "an HTML page".to_owned() } else { self.first_line() };
        let said = if said.is_empty() { said } else { format!(": {said}") };
        Err(HttpError(format!("{}: answered {}{said}{hint}", self.url, self.status)))
    }

    /// The body as JSON.
    ///
    /// # Errors
    /// It is HTML, cut off, or not what was expected.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, HttpError> {
        if self.is_html() {
            return Err(HttpError(format!(
                "{}: answered HTML, not JSON: is this the right address?",
                self.url
            )));
        }
        let mut reader = serde_json::Deserializer::from_slice(&self.body);
        let value = serde_path_to_error::deserialize(&mut reader).map_err(|error| {
            let (path, error) = (error.path().to_string(), error.into_inner());
            let what = match (error.is_eof(), error.is_data()) {
                (true, _) => "the JSON is cut off".to_owned(),
                (_, true) => format!("not the JSON expected (at `{path}`): {error}"),
                _ => format!("no JSON ({error}): {}", self.first_line()),
            };
            HttpError(format!("{}: {what}", self.url))
        })?;
        reader.end().map_err(|_| HttpError(format!("{}: more follows after the JSON", self.url)))?;
        Ok(value)
    }

    fn is_html(&self) -> bool {
        self.body.trim_ascii_start().starts_with(b"<")
    }

    fn first_line(&self) -> String {
        let start = self.body.trim_ascii_start();
        let text = String::from_utf8_lossy(&start[..start.len().min(4 * QUOTED)]);
        shown(text.lines().next().unwrap_or_default())
    }
}

/// Text for one line: no control characters, not too long, nothing that stands before an `@`.
fn shown(text: &str) -> String {
    let text = match text.split_once("://") {
        Some((scheme, rest)) => match rest.split_once('@') {
            Some((_, host)) => format!("{scheme}://…@{host}"),
            None => text.to_owned(),
        },
        None => text.to_owned(),
    };
    let mut line: String = text.chars().filter(|c| !c.is_control()).take(QUOTED).collect();
    if text.chars().nth(QUOTED).is_some() {
        line.push('…');
    }
    line
}

fn bearer(token: &str) -> Result<HeaderValue, HttpError> {
    let mut value = HeaderValue::from_str(&format!("Bearer {}", token.trim()))
        .map_err(|_| HttpError("the token holds characters that no header may hold".into()))?;
    value.set_sensitive(true);
    Ok(value)
}

fn connector(secure: bool) -> Result<HttpsConnector<HttpConnector>, HttpError> {
    let mut roots = rustls::RootCertStore::empty();
    if secure {
        let found = rustls_native_certs::load_native_certs();
        roots.add_parsable_certificates(found.certs);
        if roots.is_empty() {
            return Err(HttpError("no root certificates on this machine; install ca-certificates".into()));
        }
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let tls = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| HttpError(format!("TLS can't be set up: {error}")))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(HttpsConnectorBuilder::new().with_tls_config(tls).https_or_http().enable_http1().build())
}

fn explain(error: &(dyn Error + 'static)) -> String {
    let mut cause = Some(error);
    while let Some(this) = cause {
        if let Some(io) = this.downcast_ref::<io::Error>() {
            if let Some(tls) = io.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
                return format!("TLS failed: {tls}");
            }
            match io.kind() {
                io::ErrorKind::ConnectionRefused => return "connection refused; is it running there?".into(),
                io::ErrorKind::ConnectionReset => return "the connection was reset".into(),
                _ => {}
            }
        }
        if let Some(hyper) = this.downcast_ref::<hyper::Error>() {
            if hyper.is_parse() {
                return format!("does not speak HTTP/1 ({hyper}); is it the right port, http or https?");
            }
            if hyper.is_incomplete_message() {
                return "closed the connection without an answer".into();
            }
        }
        cause = this.source();
    }
    format!("no answer: {}", innermost(error))
}

fn innermost(error: &(dyn Error + 'static)) -> String {
    let mut last = error;
    while let Some(next) = last.source() {
        last = next;
    }
    shown(&last.to_string())
}

fn encoded(text: &str) -> String {
    text.bytes().fold(String::with_capacity(text.len()), |mut out, byte| {
        if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
        out
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_that_is_none_is_refused_without_its_password() {
        for bad in ["", "127.0.0.1:9090", "ftp://host", "http://", "not an address", "http://h?x=1"] {
            assert!(HttpClient::new(bad, None).is_err(), "{bad}");
        }
        let error = HttpClient::new("http://me:hunter2@host:9090", None).unwrap_err().to_string();
        assert!(error.contains("token") && !error.contains("hunter2"), "{error}");
        assert!(HttpClient::new("http://host", Some("a\nb")).is_err());
    }

    #[test]
    fn a_token_does_not_show() {
        let client = HttpClient::new("http://host:1/prefix/", Some("hunter2")).unwrap();
        assert_eq!(client.base(), "http://host:1/prefix");
        assert!(!format!("{client:?}").contains("hunter2"));
    }

    #[test]
    fn fields_are_percent_encoded() {
        assert_eq!(encoded("sum(up{job=\"a\"}) > 1"), "sum%28up%7Bjob%3D%22a%22%7D%29%20%3E%201");
    }
}

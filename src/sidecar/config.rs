//! What a sidecar is started with, and every limit in one place.

use std::{fmt, net::SocketAddr, path::PathBuf, str::FromStr, sync::Arc, time::Duration};

use arc_swap::ArcSwap;
use http::uri::{Authority, Scheme};

use super::PayloadLogSettings;
use crate::{
    layer,
    scenario::StageDocument,
    wire::{Outputs, Protocol},
};

/// What a sidecar is started with.
#[derive(Debug, Clone)]
pub struct Config {
    /// The model server. The sidecar can reach no other.
    pub upstream: Upstream,
    /// Other upstreams that faults may send requests to. A scenario can name no others.
    pub candidates: Vec<Candidate>,
    /// Whether single requests may ask for faults by `x-canard-fault`, for tests.
    pub request_control: bool,
    /// Where callers come in; port 0 takes a free one.
    pub listen: SocketAddr,
    /// Where the admin API and `/metrics` listen; none for a sidecar that only its own process drives.
    pub admin: Option<SocketAddr>,
    /// Bearer token that every `/v1/` call has to carry. Required where `admin` is not on loopback.
    pub admin_token: Option<Token>,
    /// File that disarms: while it exists, nothing is armed and nothing can be.
    pub kill_file: Option<PathBuf>,
    /// The stage that it stands in: what is forbidden there can't be armed, whoever asks. It may be exchanged while the
    /// sidecar runs.
    pub stage: Option<Arc<ArcSwap<StageDocument>>>,
    /// File of the ledger, JSON lines, appended to; in memory (bounded) if left out.
    pub ledger: Option<PathBuf>,
    /// Sampled and summarised copies of what callers asked and got; none if left out.
    pub payload_log: Option<PayloadLogSettings>,
    /// The protocol in which the service view reads predictions.
    pub protocol: Protocol,
    /// Which outputs hold the prediction, where the protocol leaves a choice.
    pub outputs: Outputs,
    /// Class names in the order of the class indices, for servers that answer with numbers.
    pub labels: Vec<String>,
    /// Whether the service view reads predictions at all.
    pub observe: bool,
    /// Whether the service view tells the treated from the control arm (`canard_arm`); off for blind
    /// exercises, in which the monitoring must not be able to see who is treated.
    pub arm_label: bool,
    /// Threads that serve callers; one per core if left out.
    pub workers: Option<usize>,
    /// Speak HTTP/2 with prior knowledge to the upstream, whatever the caller speaks.
    pub upstream_http2: bool,
    /// More certificate authorities (PEM) to trust for an `https` upstream.
    pub upstream_ca: Option<PathBuf>,
    /// Which `Host` the upstream gets.
    pub host: HostHeader,
    /// Limits.
    pub limits: Limits,
    /// Limits of the layer: bodies, leases, labels.
    pub layer_limits: layer::Limits,
}

impl Config {
    /// The defaults: callers and admin API on free ports of loopback, protocols told by routes.
    pub fn new(upstream: Upstream) -> Config {
        let loopback = SocketAddr::from(([127, 0, 0, 1], 0));
        Config {
            upstream,
            candidates: Vec::new(),
            request_control: false,
            listen: loopback,
            admin: Some(loopback),
            admin_token: None,
            kill_file: None,
            stage: None,
            ledger: None,
            payload_log: None,
            protocol: Protocol::Auto,
            outputs: Outputs::default(),
            labels: Vec::new(),
            observe: true,
            arm_label: true,
            workers: None,
            upstream_http2: false,
            upstream_ca: None,
            host: HostHeader::Keep,
            limits: Limits::default(),
            layer_limits: layer::Limits::default(),
        }
    }
}

/// Which `Host` the upstream gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum HostHeader {
    /// The caller's: the sidecar stands in front of one service, which should not notice that it does.
    #[default]
    Keep,
    /// The upstream's own: for upstreams that route by name.
    Upstream,
}

/// Limits of a sidecar.
#[derive(Debug, Clone, PartialEq)]
pub struct Limits {
    /// Connections of callers over all workers, upgraded ones included; more of them wait in the kernel.
    pub connections: usize,
    /// Bytes of a request's head, and of a response's.
    pub header_bytes: usize,
    /// Header fields of a request, and of a response.
    pub headers: usize,
    /// Time that a caller may take for a request's head, and that a connection may stay idle (with HTTP/2 up
    /// to twice as long).
    pub header_read: Duration,
    /// Streams that a caller may have open on one HTTP/2 connection.
    pub streams: u32,
    /// Time to connect to the upstream, TLS included.
    pub connect: Duration,
    /// Idle connections to the upstream that each worker keeps.
    pub idle_connections: usize,
    /// Time that an idle connection to the upstream is kept.
    pub idle: Duration,
    /// Time that requests in flight have to end when the sidecar drains.
    pub drain: Duration,
    /// Time in which a draining sidecar still takes requests on idle keep-alive connections, answering with
    /// `Connection: close`: a request that was on its way when the drain began is not lost.
    pub linger: Duration,
    /// Bytes of a body sent to the admin API.
    pub admin_body: usize,
    /// Bytes of a response that the service view copies to read its predictions.
    pub view_body: usize,
    /// Series of each kind that each worker's service view keeps apart.
    pub view_series: usize,
    /// Copies that wait for the service view in each worker; more are dropped and counted.
    pub view_queue: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            connections: 10_000,
            header_bytes: 64 << 10,
            headers: 128,
            header_read: Duration::from_secs(75),
            streams: 250,
            connect: Duration::from_secs(5),
            idle_connections: 128,
            idle: Duration::from_secs(60),
            drain: Duration::from_secs(30),
            linger: Duration::from_millis(500),
            admin_body: 1 << 20,
            view_body: 256 << 10,
            view_series: 1_000,
            view_queue: 256,
        }
    }
}

/// The address of a model server: `http://host[:port]` or `https://host[:port]`.
///
/// ```
/// use canard::sidecar::Upstream;
/// let upstream: Upstream = "http://127.0.0.1:8080".parse()?;
/// assert_eq!(upstream.to_string(), "http://127.0.0.1:8080");
/// assert!("http://127.0.0.1:8080/v1".parse::<Upstream>().is_err());
/// # Ok::<(), canard::sidecar::UpstreamError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Upstream {
    pub(super) authority: Authority,
    pub(super) tls: bool,
}

/// Why a text is no upstream.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is no upstream: {why}")]
pub struct UpstreamError {
    text: String,
    why: &'static str,
}

impl Upstream {
    /// Its host, without the brackets of an IPv6 address.
    pub fn host(&self) -> &str {
        self.authority.host().trim_start_matches('[').trim_end_matches(']')
    }

    /// Its port: the one named, or that of its scheme.
    pub fn port(&self) -> u16 {
        self.authority.port_u16().unwrap_or(if self.tls { 443 } else { 80 })
    }

    /// Is this its address?
    pub(super) fn is(&self, uri: &http::Uri) -> bool {
        uri.scheme() == Some(&self.scheme()) && uri.authority() == Some(&self.authority)
    }

    pub(super) fn scheme(&self) -> Scheme {
        if self.tls { Scheme::HTTPS } else { Scheme::HTTP }
    }
}

impl FromStr for Upstream {
    type Err = UpstreamError;

    fn from_str(text: &str) -> Result<Upstream, UpstreamError> {
        let wrong = |why| UpstreamError { text: text.to_owned(), why };
        let uri: http::Uri = text
            .trim()
            .parse()
            .map_err(|_| wrong("write it like http://127.0.0.1:8080 or https://models.example"))?;
        let tls = match uri.scheme_str() {
            Some("http") => false,
            Some("https") => true,
            Some(_) => return Err(wrong("its scheme must be http or https")),
            None => return Err(wrong("it needs a scheme, as in http://127.0.0.1:8080")),
        };
        let authority = uri.authority().ok_or_else(|| wrong("it names no host"))?;
        if authority.as_str().contains('@') {
            return Err(wrong("credentials don't belong into an address"));
        }
        if uri.path() != "/" || uri.query().is_some() {
            return Err(wrong("it must end after the port; paths pass from the caller as they are"));
        }
        Ok(Upstream { authority: authority.clone(), tls })
    }
}

impl fmt::Display for Upstream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", self.scheme(), self.authority)
    }
}

/// Another upstream that faults may send requests to: `http://host[:port]`, or `name=http://host[:port]`.
///
/// ```
/// use canard::sidecar::Candidate;
/// let candidate: Candidate = "last-year=http://127.0.0.1:8081".parse()?;
/// assert_eq!(candidate.name.as_deref(), Some("last-year"));
/// # Ok::<(), canard::sidecar::UpstreamError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// What scenarios may call it; they may also give its address.
    pub name: Option<String>,
    /// Its address.
    pub upstream: Upstream,
}

impl FromStr for Candidate {
    type Err = UpstreamError;

    fn from_str(text: &str) -> Result<Candidate, UpstreamError> {
        let (name, address) = match text.split_once('=') {
            Some((name, address)) if !name.contains('/') => (Some(name.trim().to_owned()), address),
            _ => (None, text),
        };
        if name.as_deref().is_some_and(str::is_empty) {
            return Err(UpstreamError { text: text.to_owned(), why: "its name is empty" });
        }
        Ok(Candidate { name, upstream: address.parse()? })
    }
}

impl From<&Candidate> for layer::Candidate {
    fn from(candidate: &Candidate) -> layer::Candidate {
        let upstream = &candidate.upstream;
        let address = http::Uri::builder().scheme(upstream.scheme()).authority(upstream.authority.clone());
        let address = address.path_and_query("/").build().unwrap_or_default();
        layer::Candidate { name: candidate.name.clone(), address }
    }
}

/// A bearer token: compared in constant time, never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Token(String);

impl Token {
    /// A token; `None` if it is empty.
    pub fn new(token: impl Into<String>) -> Option<Token> {
        let token = token.into();
        (!token.is_empty()).then_some(Token(token))
    }

    /// Is `offered` this token? Takes the same time wherever they differ.
    pub(super) fn matches(&self, offered: &str) -> bool {
        let (mine, theirs) = (self.0.as_bytes(), offered.as_bytes());
        let differences =
            mine.iter().zip(theirs).fold(0_u8, |all, (a, b)| std::hint::black_box(all | (a ^ b)));
        mine.len() == theirs.len() && differences == 0
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_upstream_is_scheme_host_and_port() {
        for text in ["http://localhost", "https://models.example:8443", "http://[::1]:8080"] {
            assert_eq!(text.parse::<Upstream>().unwrap().to_string(), text);
        }
        assert_eq!("http://[::1]:8080".parse::<Upstream>().unwrap().host(), "::1");
        for text in ["", "localhost:8080", "ftp://x", "http://", "http://u:p@x", "http://x/v1", "http://x/?q"]
        {
            assert!(text.parse::<Upstream>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_token_is_compared_whole_and_never_printed() {
        let token = Token::new("s3cret").unwrap();
        assert!(token.matches("s3cret"));
        for wrong in ["", "s3cre", "s3cret ", "S3cret"] {
            assert!(!token.matches(wrong), "{wrong}");
        }
        assert!(!format!("{token:?}").contains("s3cret"));
        assert!(Token::new("").is_none());
    }
}

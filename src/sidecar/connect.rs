//! New connections to the upstream: TCP with `TCP_NODELAY`, TLS where asked for.

use std::{io, path::PathBuf, sync::Arc, time::Duration};

use rustls::{
    CertificateError, ClientConfig, RootCertStore,
    pki_types::{CertificateDer, InvalidDnsNameError, ServerName, pem::PemObject},
};
use tokio::net::TcpStream;
use tokio_rustls::{TlsConnector, client::TlsStream};

use super::config::{Config, Upstream};

/// Why the upstream could not be reached.
#[derive(Debug, thiserror::Error)]
pub(super) enum ConnectError {
    #[error("can't connect: {0}")]
    Tcp(io::Error),
    #[error("no TLS: {0}")]
    Tls(io::Error),
    #[error("its certificate is not trusted: {}", distrust(.0))]
    Untrusted(CertificateError),
    #[error("did not accept a connection within {0:?}")]
    TimedOut(Duration),
    #[error("no HTTP: {0}")]
    Http(#[from] hyper::Error),
}

/// What a handshake failed with.
fn refusal(error: io::Error) -> ConnectError {
    match error.get_ref().and_then(|cause| cause.downcast_ref()) {
        Some(rustls::Error::InvalidCertificate(why)) => ConnectError::Untrusted(why.clone()),
        _ => ConnectError::Tls(error),
    }
}

fn distrust(why: &CertificateError) -> String {
    match why {
        // A stranger of the same name has signed it: to the person it is the same mistake.
        CertificateError::UnknownIssuer | CertificateError::BadSignature => {
            "no authority known here has signed it; name the authority's PEM file with --upstream-ca".into()
        }
        other => other.to_string(),
    }
}

/// Why TLS to the upstream can't be set up.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// The file of `upstream_ca` can't be used.
    #[error("can't read certificate authorities from {path}: {why}")]
    Authorities {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// No certificate authority is known at all.
    #[error("the system has no certificate authorities, and none were given")]
    NoAuthorities,
    /// The upstream's name can't be one of a certificate.
    #[error("the upstream's name can't be checked: {0}")]
    Name(#[from] InvalidDnsNameError),
    /// rustls refuses the settings.
    #[error(transparent)]
    Settings(#[from] rustls::Error),
}

/// Opens connections to one upstream.
#[derive(Clone)]
pub(super) struct Connector {
    upstream: Upstream,
    tls: Option<Tls>,
    timeout: Duration,
}

#[derive(Clone)]
struct Tls {
    negotiated: TlsConnector,
    http2: TlsConnector,
    name: ServerName<'static>,
}

/// A fresh connection.
pub(super) enum Connection {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

impl Connection {
    /// Did TLS settle on HTTP/2?
    pub(super) fn negotiated_http2(&self) -> bool {
        match self {
            Connection::Plain(_) => false,
            Connection::Tls(stream) => stream.get_ref().1.alpn_protocol() == Some(b"h2"),
        }
    }
}

impl Connector {
    pub(super) fn new(upstream: &Upstream, config: &Config) -> Result<Connector, TlsError> {
        let tls = upstream.tls.then(|| Tls::new(upstream, config)).transpose()?;
        Ok(Connector { upstream: upstream.clone(), tls, timeout: config.limits.connect })
    }

    pub(super) fn is_tls(&self) -> bool {
        self.tls.is_some()
    }

    /// Connects; `http2` offers nothing else where TLS negotiates.
    pub(super) async fn connect(&self, http2: bool) -> Result<Connection, ConnectError> {
        match tokio::time::timeout(self.timeout, self.attempt(http2)).await {
            Ok(result) => result,
            Err(_) => Err(ConnectError::TimedOut(self.timeout)),
        }
    }

    async fn attempt(&self, http2: bool) -> Result<Connection, ConnectError> {
        let address = (self.upstream.host(), self.upstream.port());
        let stream = TcpStream::connect(address).await.map_err(ConnectError::Tcp)?;
        stream.set_nodelay(true).map_err(ConnectError::Tcp)?;
        let Some(tls) = &self.tls else { return Ok(Connection::Plain(stream)) };
        let connector = if http2 { &tls.http2 } else { &tls.negotiated };
        let stream = connector.connect(tls.name.clone(), stream).await.map_err(refusal)?;
        Ok(Connection::Tls(Box::new(stream)))
    }
}

impl Tls {
    fn new(upstream: &Upstream, config: &Config) -> Result<Tls, TlsError> {
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        if let Some(path) = &config.upstream_ca {
            let failed = |why: String| TlsError::Authorities { path: path.clone(), why };
            let file = CertificateDer::pem_file_iter(path).map_err(|e| failed(e.to_string()))?;
            let mut found = 0;
            for certificate in file {
                let certificate = certificate.map_err(|e| failed(e.to_string()))?;
                roots.add(certificate).map_err(|e| failed(e.to_string()))?;
                found += 1;
            }
            if found == 0 {
                return Err(failed("it holds no PEM certificate".into()));
            }
        }
        if roots.is_empty() {
            return Err(TlsError::NoAuthorities);
        }
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let base = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_no_client_auth();
        let speaking = |protocols: &[&[u8]]| {
            let mut settings = base.clone();
            settings.alpn_protocols = protocols.iter().map(|p| p.to_vec()).collect();
            TlsConnector::from(Arc::new(settings))
        };
        Ok(Tls {
            negotiated: speaking(&[b"h2", b"http/1.1"]),
            http2: speaking(&[b"h2"]),
            name: ServerName::try_from(upstream.host().to_owned())?,
        })
    }
}

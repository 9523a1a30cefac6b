//! An upstream behind TLS: who is trusted, what is negotiated, and what a mistake says.

use std::{convert::Infallible, net::SocketAddr, sync::Arc};

use axum::{Router, extract::Request, routing::any};
use canard::sidecar::{Config, Sidecar, SidecarError};
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto,
    service::TowerToHyperService,
};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use tempfile::NamedTempFile;
use tokio::net::TcpListener;
use tokio_rustls::{
    TlsAcceptor,
    rustls::{
        ServerConfig,
        crypto::ring,
        pki_types::{CertificateDer, PrivateKeyDer},
    },
};

use super::{grpc, support::*};

const GET: &str = "GET / HTTP/1.1\r\nHost: m\r\nConnection: close\r\n\r\n";

struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    fn new(name: &str) -> Authority {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Authority(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    fn file(&self) -> NamedTempFile {
        pem(&self.0.pem())
    }

    fn certify(&self, name: &str) -> (CertificateDer<'static>, PrivateKeyDer<'static>) {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new([name.to_owned()]).unwrap();
        let certificate = params.signed_by(&key, &self.0).unwrap();
        (certificate.der().clone(), PrivateKeyDer::try_from(key.serialize_der()).unwrap())
    }
}

fn pem(text: &str) -> NamedTempFile {
    let file = NamedTempFile::new().unwrap();
    std::fs::write(file.path(), text).unwrap();
    file
}

/// Serves `router` behind TLS, with a certificate for `name`, offering `protocols`.
async fn upstream(authority: &Authority, name: &str, protocols: &[&str], router: Router) -> SocketAddr {
    let (certificate, key) = authority.certify(name);
    let mut tls = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .unwrap();
    tls.alpn_protocols = protocols.iter().map(|protocol| protocol.as_bytes().to_vec()).collect();
    let acceptor = TlsAcceptor::from(Arc::new(tls));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (acceptor, router) = (acceptor.clone(), router.clone());
            tokio::spawn(async move {
                // A caller that does not trust us goes away in the handshake.
                let Ok(stream) = acceptor.accept(stream).await else { return };
                let service = TowerToHyperService::new(router);
                let server = auto::Builder::new(TokioExecutor::new());
                let _ = server.serve_connection(TokioIo::new(stream), service).await;
            });
        }
    });
    address
}

/// A sidecar in front of `https://localhost`, so that names are checked too.
fn secured(upstream: SocketAddr, authorities: &NamedTempFile) -> Config {
    let mut config = config(upstream);
    config.upstream = format!("https://localhost:{}", upstream.port()).parse().unwrap();
    config.upstream_ca = Some(authorities.path().to_owned());
    config
}

fn versions() -> Router {
    Router::new().fallback(any(|request: Request| async move { format!("{:?}", request.version()) }))
}

#[tokio::test]
async fn a_trusted_upstream_answers_in_what_was_negotiated() {
    let authority = Authority::new("ours");
    let cases: [(&[&str], &str); 4] = [
        (&["h2", "http/1.1"], "HTTP/2.0"),
        (&["h2"], "HTTP/2.0"),
        (&["http/1.1"], "HTTP/1.1"),
        (&[], "HTTP/1.1"),
    ];
    for (protocols, version) in cases {
        let upstream = upstream(&authority, "localhost", protocols, versions()).await;
        let sidecar = Sidecar::start(secured(upstream, &authority.file())).unwrap();
        for _ in 0..3 {
            let response = exchange(sidecar.listen_addr(), GET).await;
            assert!(response.starts_with("HTTP/1.1 200 OK\r\n"), "{protocols:?}: {response}");
            assert_eq!(body(&response), version, "{protocols:?}");
        }
    }
}

#[tokio::test]
async fn an_upstream_that_is_not_trusted_is_502_and_says_so() {
    let authority = Authority::new("ours");
    let upstream = upstream(&authority, "localhost", &["h2", "http/1.1"], versions()).await;
    for stranger in [Authority::new("theirs"), Authority::new("ours")] {
        let sidecar = Sidecar::start(secured(upstream, &stranger.file())).unwrap();
        let response = exchange(sidecar.listen_addr(), GET).await;
        assert!(response.starts_with("HTTP/1.1 502"), "{response}");
        for words in ["https://localhost:", "certificate is not trusted", "--upstream-ca"] {
            assert!(body(&response).contains(words), "{response}");
        }
    }
}

#[tokio::test]
async fn a_certificate_for_another_name_is_not_trusted() {
    let authority = Authority::new("ours");
    let upstream = upstream(&authority, "models.example", &["http/1.1"], versions()).await;
    let sidecar = Sidecar::start(secured(upstream, &authority.file())).unwrap();
    let response = exchange(sidecar.listen_addr(), GET).await;
    assert!(response.starts_with("HTTP/1.1 502"), "{response}");
    for words in ["certificate is not trusted", "models.example"] {
        assert!(body(&response).contains(words), "{response}");
    }
}

#[tokio::test]
async fn an_upstream_without_tls_is_502_and_says_so() {
    let upstream = serve(versions()).await;
    let sidecar = Sidecar::start(secured(upstream, &Authority::new("ours").file())).unwrap();
    let response = exchange(sidecar.listen_addr(), GET).await;
    assert!(response.starts_with("HTTP/1.1 502"), "{response}");
    assert!(body(&response).contains("no TLS"), "{response}");
}

#[tokio::test]
async fn grpc_passes_over_tls() {
    let authority = Authority::new("ours");
    let router =
        Router::new().fallback(any(|request| async move { Ok::<_, Infallible>(grpc::infer(request).await) }));
    let upstream = upstream(&authority, "localhost", &["h2"], router).await;
    let sidecar = Sidecar::start(secured(upstream, &authority.file())).unwrap();
    let channel = grpc::channel(&sidecar).await;
    for number in 1..5 {
        assert_eq!(grpc::call(channel.clone(), number).await.unwrap().into_inner(), number * 2);
    }
    assert_eq!(grpc::call(channel, 0).await.unwrap_err().code(), tonic::Code::InvalidArgument);
}

#[tokio::test]
async fn a_file_without_authorities_is_an_error_at_start() {
    let garbled = "-----BEGIN CERTIFICATE-----\nMIIB!!!!\n-----END CERTIFICATE-----\n";
    let no_certificate = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    let missing = NamedTempFile::new().unwrap();
    std::fs::remove_file(missing.path()).unwrap();
    for file in [pem(""), pem("no PEM at all"), pem(garbled), pem(no_certificate), missing] {
        let error = Sidecar::start(secured(([127, 0, 0, 1], 1).into(), &file)).unwrap_err();
        let SidecarError::Tls(why) = &error else { panic!("{error}") };
        assert!(why.to_string().contains(file.path().to_str().unwrap()), "{why}");
        assert!(error.remedy().contains("--upstream-ca"), "{}", error.remedy());
    }
}

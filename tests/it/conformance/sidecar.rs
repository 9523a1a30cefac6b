//! The sidecar conforms.

use std::net::SocketAddr;

use axum::Router;
use bytes::Bytes;
use canard::{
    layer::Rack,
    sidecar::{Config, Sidecar},
};
use http::{Request, Response, Uri, header};
use http_body_util::{BodyExt, Full};
use hyper_util::{client::legacy::Client, rt::TokioExecutor};

use super::{Runner, assert_conforms, upstream};

struct Proxied(Sidecar);

impl Runner for Proxied {
    fn rack(&self) -> Rack {
        self.0.rack().clone()
    }

    async fn call(&self, mut request: Request<Bytes>) -> Result<Response<Bytes>, String> {
        let target = format!("http://{}{}", self.0.listen_addr(), request.uri());
        *request.uri_mut() = target.parse::<Uri>().unwrap();
        let client = Client::builder(TokioExecutor::new()).build_http();
        let response = client.request(request.map(Full::new)).await.map_err(|error| error.to_string())?;
        let (parts, body) = response.into_parts();
        let body = body.collect().await.map_err(|error| error.to_string())?.to_bytes();
        Ok(Response::from_parts(parts, body))
    }
}

async fn serve() -> SocketAddr {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let answer = async |request: axum::extract::Request| {
        let (parts, body) = request.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        let mut response = upstream(&Request::from_parts(parts, body));
        if response.body().is_empty() {
            // An HTTP server knows the length of what it does not send; the table leaves it to the server.
            response.headers_mut().remove(header::CONTENT_LENGTH);
        }
        response.map(axum::body::Body::from)
    };
    let router = Router::new().fallback(axum::routing::any(answer));
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    address
}

#[tokio::test]
async fn the_sidecar_conforms() {
    let mut config = Config::new(format!("http://{}", serve().await).parse().unwrap());
    config.workers = Some(2);
    config.request_control = true;
    assert_conforms(&Proxied(Sidecar::start(config).unwrap())).await;
}

#[tokio::test]
async fn a_fault_asks_another_upstream_that_the_sidecar_was_started_with() {
    let mut config = Config::new(format!("http://{}", serve().await).parse().unwrap());
    let old = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = old.local_addr().unwrap();
    let model = Router::new().fallback(async || "the old model");
    tokio::spawn(async move { axum::serve(old, model).await.unwrap() });
    config.candidates = vec![format!("old=http://{address}").parse().unwrap()];
    let sidecar = Proxied(Sidecar::start(config).unwrap());
    let ask = |upstream: &str| {
        let fault = format!("{{ stale-model: {{ upstream: '{upstream}' }} }}");
        let scenario = super::cases::inject("open-inference", &fault);
        let sidecar = &sidecar;
        async move {
            super::under(sidecar, &scenario, async {
                let response = sidecar.call(super::cases::post(super::cases::INFER)).await.unwrap();
                let skipped = sidecar.rack().last_evidence().unwrap().phases[0].faults[0].skipped.clone();
                (response.into_body(), skipped)
            })
            .await
        }
    };
    for known in [format!("http://{address}"), "old".to_owned()] {
        assert_eq!(ask(&known).await, (Bytes::from_static(b"the old model"), [].into()), "{known}");
    }
    let (body, skipped) = ask("http://127.0.0.1:9").await;
    assert_eq!((body, skipped), (super::cases::IRIS.into(), [("no-such-upstream".to_owned(), 1)].into()));
}

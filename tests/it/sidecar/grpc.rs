//! gRPC passes: tonic on both sides, trailers and errors included.

use std::convert::Infallible;

use axum::{Router, routing::any};
use http::uri::PathAndQuery;
use tonic::{Code, Request, Response, Status, transport::Channel};
use tonic_prost::ProstCodec;

use super::support::*;

/// The services that a model server would generate from its `.proto`.
#[derive(Clone)]
struct Double;

impl tonic::server::UnaryService<u32> for Double {
    type Response = u32;
    type Future = std::future::Ready<Result<Response<u32>, Status>>;

    fn call(&mut self, request: Request<u32>) -> Self::Future {
        let asked = request.into_inner();
        std::future::ready(match asked {
            0 => Err(Status::invalid_argument("zero has no double")),
            _ => {
                let mut response = Response::new(asked * 2);
                response.metadata_mut().insert("x-model", "double".parse().unwrap());
                Ok(response)
            }
        })
    }
}

async fn infer(request: axum::extract::Request) -> http::Response<tonic::body::Body> {
    tonic::server::Grpc::new(ProstCodec::<u32, u32>::default()).unary(Double, request).await
}

async fn call(channel: Channel, number: u32) -> Result<Response<u32>, Status> {
    let mut client = tonic::client::Grpc::new(channel);
    client.ready().await.unwrap();
    let path = PathAndQuery::from_static("/inference.GRPCInferenceService/Double");
    client.unary(Request::new(number), path, ProstCodec::<u32, u32>::default()).await
}

async fn channel(sidecar: &canard::sidecar::Sidecar) -> Channel {
    let uri = format!("http://{}", sidecar.listen_addr());
    Channel::from_shared(uri).unwrap().connect().await.unwrap()
}

#[tokio::test]
async fn unary_calls_and_their_status_pass() {
    let router =
        Router::new().fallback(any(|request| async move { Ok::<_, Infallible>(infer(request).await) }));
    let upstream = serve(router).await;
    let sidecar = start(upstream);
    let channel = channel(&sidecar).await;
    let answers = (1..50).map(|number| call(channel.clone(), number));
    for (number, answer) in (1..50).zip(futures_util::future::join_all(answers).await) {
        let answer = answer.unwrap();
        assert_eq!(answer.metadata().get("x-model").unwrap(), "double");
        assert_eq!(answer.into_inner(), number * 2);
    }
    let error = call(channel, 0).await.unwrap_err();
    assert_eq!((error.code(), error.message()), (Code::InvalidArgument, "zero has no double"));
}

#[tokio::test]
async fn an_upstream_that_is_down_is_unavailable() {
    let upstream = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let sidecar = start(upstream);
    let error = call(channel(&sidecar).await, 1).await.unwrap_err();
    assert_eq!(error.code(), Code::Unavailable, "{error}");
    assert!(error.message().contains(&upstream.to_string()), "{error}");
}

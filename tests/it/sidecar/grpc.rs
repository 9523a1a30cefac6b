//! gRPC passes: tonic on both sides, trailers and errors included.

use std::{convert::Infallible, net::SocketAddr, sync::Arc};

use axum::{Router, routing::any};
use http::uri::PathAndQuery;
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto,
    service::TowerToHyperService,
};
use tokio::{
    net::TcpListener,
    sync::{Mutex, mpsc},
    task::JoinSet,
};
use tokio_stream::wrappers::ReceiverStream;
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

pub(super) async fn infer(request: axum::extract::Request) -> http::Response<tonic::body::Body> {
    tonic::server::Grpc::new(ProstCodec::<u32, u32>::default()).unary(Double, request).await
}

pub(super) async fn call(channel: Channel, number: u32) -> Result<Response<u32>, Status> {
    let mut client = tonic::client::Grpc::new(channel);
    client.ready().await.unwrap();
    let path = PathAndQuery::from_static("/inference.GRPCInferenceService/Double");
    client.unary(Request::new(number), path, ProstCodec::<u32, u32>::default()).await
}

pub(super) async fn channel(sidecar: &canard::sidecar::Sidecar) -> Channel {
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

type Answers = mpsc::Receiver<Result<u32, Status>>;

/// Streams what the test sends.
#[derive(Clone)]
struct Tokens(Arc<Mutex<Option<Answers>>>);

impl tonic::server::ServerStreamingService<u32> for Tokens {
    type Response = u32;
    type ResponseStream = ReceiverStream<Result<u32, Status>>;
    type Future = std::future::Ready<Result<Response<Self::ResponseStream>, Status>>;

    fn call(&mut self, _request: Request<u32>) -> Self::Future {
        let tokens = self.0.try_lock().unwrap().take().unwrap();
        std::future::ready(Ok(Response::new(ReceiverStream::new(tokens))))
    }
}

async fn stream(channel: Channel) -> tonic::Streaming<u32> {
    let mut client = tonic::client::Grpc::new(channel);
    client.ready().await.unwrap();
    let path = PathAndQuery::from_static("/inference.GRPCInferenceService/Tokens");
    let call = client.server_streaming(Request::new(1), path, ProstCodec::<u32, u32>::default());
    call.await.unwrap().into_inner()
}

/// An upstream that streams, and what it is to stream.
async fn streaming() -> (mpsc::Sender<Result<u32, Status>>, SocketAddr) {
    let (sender, receiver) = mpsc::channel(1);
    let tokens = Tokens(Arc::new(Mutex::new(Some(receiver))));
    let router = Router::new().fallback(any(move |request: axum::extract::Request| {
        let tokens = tokens.clone();
        async move {
            let mut server = tonic::server::Grpc::new(ProstCodec::<u32, u32>::default());
            Ok::<_, Infallible>(server.server_streaming(tokens, request).await)
        }
    }));
    (sender, serve(router).await)
}

#[tokio::test]
async fn a_stream_passes_message_by_message_and_ends_with_its_status() {
    let (sender, upstream) = streaming().await;
    let sidecar = start(upstream);
    let mut stream = stream(channel(&sidecar).await).await;
    for token in 1..=5 {
        // The next one is sent only once this one has arrived.
        sender.send(Ok(token)).await.unwrap();
        assert_eq!(stream.message().await.unwrap(), Some(token));
    }
    sender.send(Err(Status::resource_exhausted("out of tokens"))).await.unwrap();
    let error = stream.message().await.unwrap_err();
    assert_eq!((error.code(), error.message()), (Code::ResourceExhausted, "out of tokens"));
}

#[tokio::test]
async fn a_caller_that_cancels_a_stream_ends_it_upstream() {
    let (sender, upstream) = streaming().await;
    let sidecar = start(upstream);
    let mut stream = stream(channel(&sidecar).await).await;
    sender.send(Ok(1)).await.unwrap();
    assert_eq!(stream.message().await.unwrap(), Some(1));
    drop(stream);
    tokio::time::timeout(std::time::Duration::from_secs(10), sender.closed()).await.unwrap();
}

/// An upstream whose connections the test can break.
async fn mortal(router: Router) -> (SocketAddr, Arc<Mutex<JoinSet<()>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let connections = Arc::new(Mutex::new(JoinSet::new()));
    let served = connections.clone();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let service = TowerToHyperService::new(router.clone());
            served.lock().await.spawn(async move {
                let server = auto::Builder::new(TokioExecutor::new());
                let _ = server.serve_connection(TokioIo::new(stream), service).await;
            });
        }
    });
    (address, connections)
}

#[tokio::test]
async fn an_upstream_connection_that_died_is_replaced_for_the_next_call() {
    let router = Router::new()
        .route("/health", axum::routing::get(|| async { "up" }))
        .fallback(any(|request| async move { Ok::<_, Infallible>(infer(request).await) }));
    let (upstream, connections) = mortal(router).await;
    let sidecar = start(upstream);
    let channel = channel(&sidecar).await;
    for number in 1..=3 {
        assert_eq!(call(channel.clone(), number).await.unwrap().into_inner(), number * 2);
        connections.lock().await.shutdown().await;
        // A round trip through the one worker: by then it has seen the end of the connection.
        let health =
            exchange(sidecar.listen_addr(), "GET /health HTTP/1.1\r\nHost: m\r\nConnection: close\r\n\r\n");
        assert_eq!(body(&health.await), "up");
    }
}

#[tokio::test]
async fn a_call_whose_upstream_connection_dies_is_told() {
    let (asked, mut was_asked) = mpsc::channel(1);
    let router = Router::new().fallback(any(move || {
        let asked = asked.clone();
        async move {
            asked.send(()).await.unwrap();
            std::future::pending::<&'static str>().await
        }
    }));
    let (upstream, connections) = mortal(router).await;
    let sidecar = start(upstream);
    let calling = tokio::spawn(call(channel(&sidecar).await, 1));
    was_asked.recv().await.unwrap();
    connections.lock().await.shutdown().await;
    let error = calling.await.unwrap().unwrap_err();
    assert_eq!(error.code(), Code::Unavailable, "{error}");
}

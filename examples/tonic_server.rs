//! A gRPC model server (tonic, `inference.GRPCInferenceService/ModelInfer`) that embeds canard.
//!
//! The messages are written by hand, so that the example needs no protoc. `cargo run --example tonic_server`
//! serves on a free port, calls itself, prints what callers see, and ends. An injected error arrives as what
//! gRPC makes of it: UNAVAILABLE, not HTTP 503.
#![expect(clippy::print_stdout, reason = "an example that shows what happens")]

use std::{convert::Infallible, error::Error, future, path::Path, pin::Pin, sync::Arc, time::Duration};

use canard::{
    layer::{ChaosLayer, Handle},
    scenario::{Source, compile},
};
use tonic::{
    Request, Response, Status,
    body::Body,
    server::NamedService,
    transport::{Channel, Server, server::TcpIncoming},
};
use tonic_prost::ProstCodec;
use tower::Service;

#[derive(Clone, PartialEq, prost::Message)]
struct ModelInferRequest {
    #[prost(string, tag = "1")]
    model_name: String,
    #[prost(message, repeated, tag = "5")]
    inputs: Vec<Tensor>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct ModelInferResponse {
    #[prost(string, tag = "1")]
    model_name: String,
    #[prost(message, repeated, tag = "5")]
    outputs: Vec<Tensor>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Tensor {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(string, tag = "2")]
    datatype: String,
    #[prost(int64, repeated, tag = "3")]
    shape: Vec<i64>,
    #[prost(message, optional, tag = "5")]
    contents: Option<Contents>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Contents {
    #[prost(int64, repeated, tag = "3")]
    int64: Vec<i64>,
    #[prost(double, repeated, tag = "7")]
    fp64: Vec<f64>,
}

fn tensor(name: &str, datatype: &str, contents: Contents) -> Tensor {
    let rows = contents.int64.len().max(contents.fp64.len()) as i64;
    Tensor { name: name.into(), datatype: datatype.into(), shape: vec![rows], contents: Some(contents) }
}

/// A classifier of one rule: the length of the petal, in centimetres, tells most irises apart.
fn infer(request: &ModelInferRequest) -> ModelInferResponse {
    let petals = request.inputs.iter().filter_map(|input| input.contents.as_ref()).flat_map(|c| &c.fp64);
    let int64 = petals.map(|cm| i64::from(*cm > 2.45) + i64::from(*cm > 4.75)).collect();
    let outputs = vec![tensor("predict", "INT64", Contents { int64, fp64: Vec::new() })];
    ModelInferResponse { model_name: request.model_name.clone(), outputs }
}

#[derive(Clone)]
struct Inference;

impl NamedService for Inference {
    const NAME: &'static str = "inference.GRPCInferenceService";
}

struct ModelInfer;

impl Service<Request<ModelInferRequest>> for ModelInfer {
    type Response = Response<ModelInferResponse>;
    type Error = Status;
    type Future = future::Ready<Result<Self::Response, Status>>;

    fn poll_ready(&mut self, _: &mut std::task::Context<'_>) -> std::task::Poll<Result<(), Status>> {
        std::task::Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<ModelInferRequest>) -> Self::Future {
        future::ready(Ok(Response::new(infer(request.get_ref()))))
    }
}

impl Service<http::Request<Body>> for Inference {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut std::task::Context<'_>) -> std::task::Poll<Result<(), Infallible>> {
        std::task::Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        Box::pin(async move {
            match request.uri().path() {
                "/inference.GRPCInferenceService/ModelInfer" => {
                    let codec = ProstCodec::<ModelInferResponse, ModelInferRequest>::default();
                    Ok(tonic::server::Grpc::new(codec).unary(ModelInfer, request).await)
                }
                path => Ok(Status::unimplemented(path).into_http()),
            }
        })
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let handle = Handle::default();
    let incoming = TcpIncoming::bind("127.0.0.1:0".parse()?)?;
    let address = incoming.local_addr()?;
    let server = Server::builder().layer(ChaosLayer::new(handle.clone())).add_service(Inference);
    let server = tokio::spawn(server.serve_with_incoming(incoming));

    let source = Source::read(&Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/embedded.yaml"))?;
    let lease = handle.arm(Arc::new(compile(&source)?), Duration::from_secs(60))?;
    let channel = Channel::from_shared(format!("http://{address}"))?.connect().await?;
    for i in 0..12 {
        ask(channel.clone(), i).await?;
    }
    handle.disarm(lease)?;
    let evidence = handle.evidence().ok_or("nothing was armed")?;
    for fault in &evidence.phases[0].faults {
        println!("{}: {} of {} exposed calls perturbed", fault.id, fault.perturbed, fault.exposed);
        for (reason, count) in &fault.skipped {
            println!("  {count} left alone: {reason}");
        }
    }
    server.abort();
    Ok(())
}

async fn ask(channel: Channel, i: u32) -> Result<(), Box<dyn Error>> {
    let petals = Contents { int64: Vec::new(), fp64: vec![1.4, 4.2] };
    let inputs = vec![tensor("petal", "FP64", petals)];
    let mut request = Request::new(ModelInferRequest { model_name: "iris".into(), inputs });
    request.metadata_mut().insert("x-request-id", format!("r{i}").parse()?);
    request.metadata_mut().insert("x-user-id", format!("user-{}", i % 6).parse()?);
    let mut client = tonic::client::Grpc::new(channel);
    client.ready().await?;
    let path = http::uri::PathAndQuery::from_static("/inference.GRPCInferenceService/ModelInfer");
    let codec = ProstCodec::<ModelInferRequest, ModelInferResponse>::default();
    match client.unary(request, path, codec).await {
        Ok(response) => {
            let marks: Vec<_> = response.metadata().get_all("x-canard").iter().collect();
            let classes = response.get_ref().outputs[0].contents.clone().unwrap_or_default().int64;
            println!("r{i} OK {classes:?} {marks:?}");
        }
        Err(status) => println!("r{i} {:?} {}", status.code(), status.message()),
    }
    Ok(())
}

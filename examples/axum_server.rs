//! A model server (axum, Open Inference Protocol) that embeds canard.
//!
//! `cargo run --example axum_server` arms `examples/embedded.yaml`, asks itself a few questions, and prints
//! who got what; with `-- --serve` it keeps serving on 127.0.0.1:8080 until Ctrl-C or the end of the lease.
#![expect(clippy::print_stdout, reason = "an example that shows what happens")]

use std::{error::Error, path::Path, sync::Arc, time::Duration};

use axum::{Json, Router, body::Body, http::Request, routing::post};
use canard::{
    layer::{ChaosLayer, Exposed, Handle},
    scenario::{Source, compile},
};
use serde::{Deserialize, Serialize};
use tower::ServiceExt as _;

#[derive(Deserialize)]
struct Inference {
    inputs: Vec<Tensor<f64>>,
}

#[derive(Deserialize, Serialize)]
struct Tensor<T> {
    name: String,
    shape: Vec<usize>,
    datatype: String,
    data: Vec<T>,
}

#[derive(Serialize)]
struct Answer {
    model_name: &'static str,
    outputs: Vec<Tensor<i64>>,
}

/// A classifier of one rule: the length of the petal, in centimetres, tells most irises apart.
async fn infer(Json(inference): Json<Inference>) -> Json<Answer> {
    let petals = inference.inputs.iter().flat_map(|tensor| &tensor.data);
    let classes: Vec<i64> = petals.map(|cm| i64::from(*cm > 2.45) + i64::from(*cm > 4.75)).collect();
    let (name, datatype) = ("predict".to_owned(), "INT64".to_owned());
    let output = Tensor { name, shape: vec![classes.len()], datatype, data: classes };
    Json(Answer { model_name: "iris", outputs: vec![output] })
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    // One handle arms and disarms every layer made from it. Nothing outside this program can reach it.
    let handle = Handle::default();
    let app =
        Router::new().route("/v2/models/iris/infer", post(infer)).layer(ChaosLayer::new(handle.clone()));

    let source = Source::read(&Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/embedded.yaml"))?;
    let plan = Arc::new(compile(&source)?);
    // A lease, never a switch: unless it is renewed, the faults are gone in a minute.
    let lease = handle.arm(plan, Duration::from_secs(60))?;

    if std::env::args().any(|argument| argument == "--serve") {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:8080").await?;
        println!("serving on http://{}, armed for a minute", listener.local_addr()?);
        axum::serve(listener, app)
            .with_graceful_shutdown(async { drop(tokio::signal::ctrl_c().await) })
            .await?;
        return Ok(());
    }
    for i in 0..12 {
        ask(&app, i).await?;
    }
    handle.disarm(lease)?;
    println!("disarmed:");
    ask(&app, 0).await?;

    let evidence = handle.evidence().ok_or("nothing was armed")?;
    for fault in &evidence.phases[0].faults {
        println!("{}: {} of {} exposed requests perturbed", fault.id, fault.perturbed, fault.exposed);
    }
    println!("{} lines in the ledger", handle.ledger().lines().len());
    Ok(())
}

async fn ask(app: &Router, i: u32) -> Result<(), Box<dyn Error>> {
    let question = r#"{"inputs": [{"name": "petal", "shape": [2], "datatype": "FP64", "data": [1.4, 4.2]}]}"#;
    let request = Request::post("/v2/models/iris/infer")
        .header("content-type", "application/json")
        .header("x-request-id", format!("r{i}"))
        .header("x-user-id", format!("user-{}", i % 6))
        .body(Body::from(question))?;
    let response = app.clone().oneshot(request).await?;
    let arm = response.extensions().get::<Exposed>().map_or("-", |exposed| exposed.arm.name());
    let status = response.status();
    let marks = response.headers().get_all("x-canard").iter().filter_map(|mark| mark.to_str().ok());
    let marks: Vec<_> = marks.map(str::to_owned).collect();
    let body = axum::body::to_bytes(response.into_body(), 1 << 20).await?;
    println!("r{i} {arm:8} {} {} {}", status.as_u16(), String::from_utf8_lossy(&body), marks.join(" "));
    Ok(())
}

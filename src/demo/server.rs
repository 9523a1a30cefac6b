//! Open Inference Protocol V2 over REST, for one model.
//!
//! Answers as a strict server would: whatever is not the protocol gets a status and `{"error": why}`, never
//! a guess.

use axum::{
    Json, Router,
    extract::{DefaultBodyLimit, Path, rejection::BytesRejection},
    response::{IntoResponse, Response},
    routing::{get, post},
    serve::ListenerExt,
};
use bytes::Bytes;
use http::{StatusCode, Uri};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::{Classifier, FEATURES, MODEL};

const VERSION: &str = "1";
/// Largest request: 1 MiB.
const MAX_BODY: usize = 1 << 20;
/// Most rows of a request.
const MAX_ROWS: usize = 10_000;

/// Serves until stopped; requests under way are answered first.
pub(super) async fn serve(listener: TcpListener, stop: CancellationToken) {
    let listener = listener.tap_io(|stream| {
        // Without it, an answer can wait 40 ms for the acknowledgement of its own head.
        let _ = stream.set_nodelay(true);
    });
    let server = axum::serve(listener, router()).with_graceful_shutdown(stop.cancelled_owned());
    // Its only error would come from accepting, which axum retries.
    let _ = server.await;
}

fn router() -> Router {
    Router::new()
        .route(
            "/v2",
            get(|| async { Json(json!({"name": "canard-demo", "version": VERSION, "extensions": []})) }),
        )
        .route("/v2/health/live", get(|| async { Json(json!({"live": true})) }))
        .route("/v2/health/ready", get(|| async { Json(json!({"ready": true})) }))
        .route("/v2/models/{model}", get(metadata))
        .route("/v2/models/{model}/ready", get(ready))
        .route("/v2/models/{model}/infer", post(infer))
        .route("/v2/models/{model}/versions/{version}", get(metadata))
        .route("/v2/models/{model}/versions/{version}/ready", get(ready))
        .route("/v2/models/{model}/versions/{version}/infer", post(infer))
        .merge(super::tables::router())
        .merge(super::text::router())
        .fallback(|uri: Uri| async move { not_found(format!("no route {}", uri.path())) })
        .method_not_allowed_fallback(|| async {
            Refusal(StatusCode::METHOD_NOT_ALLOWED, "this route does not have this method".to_owned())
        })
        .layer(DefaultBodyLimit::max(MAX_BODY))
}

/// Why a request is not answered with a prediction.
#[derive(Debug)]
struct Refusal(StatusCode, String);

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        (self.0, Json(json!({ "error": self.1 }))).into_response()
    }
}

fn bad_request(why: impl Into<String>) -> Refusal {
    Refusal(StatusCode::BAD_REQUEST, why.into())
}

fn not_found(why: impl Into<String>) -> Refusal {
    Refusal(StatusCode::NOT_FOUND, why.into())
}

#[derive(Deserialize)]
struct Name {
    model: String,
    version: Option<String>,
}

impl Name {
    fn check(&self) -> Result<(), Refusal> {
        if self.model != MODEL {
            return Err(not_found(format!("no model `{}`; this server has `{MODEL}`", self.model)));
        }
        match self.version.as_deref() {
            None | Some(VERSION) => Ok(()),
            Some(other) => Err(not_found(format!("no version `{other}` of `{MODEL}`; it has `{VERSION}`"))),
        }
    }
}

async fn metadata(Path(name): Path<Name>) -> Result<Json<Value>, Refusal> {
    name.check()?;
    let classes = Classifier::iris().labels().len();
    Ok(Json(json!({
        "name": MODEL,
        "versions": [VERSION],
        "platform": "canard_logistic_regression",
        "inputs": [{"name": "features", "datatype": "FP64", "shape": [-1, FEATURES]}],
        "outputs": [
            {"name": "label", "datatype": "BYTES", "shape": [-1]},
            {"name": "probabilities", "datatype": "FP64", "shape": [-1, classes]},
        ],
    })))
}

async fn ready(Path(name): Path<Name>) -> Result<Json<Value>, Refusal> {
    name.check()?;
    Ok(Json(json!({"name": MODEL, "ready": true})))
}

#[derive(Deserialize)]
struct InferRequest {
    id: Option<String>,
    inputs: Vec<InputTensor>,
    outputs: Option<Vec<RequestedOutput>>,
}

#[derive(Deserialize)]
struct InputTensor {
    shape: Vec<usize>,
    datatype: String,
    data: Value,
}

#[derive(Deserialize)]
struct RequestedOutput {
    name: String,
}

#[derive(Serialize)]
struct InferResponse {
    model_name: &'static str,
    model_version: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<String>,
    outputs: Vec<OutputTensor>,
}

#[derive(Serialize)]
struct OutputTensor {
    name: &'static str,
    shape: Vec<usize>,
    datatype: &'static str,
    data: OutputData,
}

#[derive(Serialize)]
#[serde(untagged)]
enum OutputData {
    Bytes(Vec<&'static str>),
    Fp64(Vec<f64>),
}

async fn infer(
    Path(name): Path<Name>,
    body: Result<Bytes, BytesRejection>,
) -> Result<Json<InferResponse>, Refusal> {
    name.check()?;
    let body = body.map_err(|rejected| Refusal(rejected.status(), rejected.body_text()))?;
    let request: InferRequest = serde_json::from_slice(&body)
        .map_err(|error| bad_request(format!("no inference request: {error}")))?;
    let [input] = &request.inputs[..] else {
        return Err(bad_request(format!("one input is expected, not {}", request.inputs.len())));
    };
    let rows = rows_of(input)?;
    let wanted = |name: &str| request.outputs.as_ref().is_none_or(|all| all.iter().any(|o| o.name == name));
    let outputs: Vec<OutputTensor> = predict(&rows).into_iter().filter(|o| wanted(o.name)).collect();
    if let Some(asked) = request.outputs.as_ref()
        && let Some(unknown) = asked.iter().find(|a| !outputs.iter().any(|o| o.name == a.name))
    {
        return Err(bad_request(format!(
            "no output `{}`; there are `label` and `probabilities`",
            unknown.name
        )));
    }
    Ok(Json(InferResponse { model_name: MODEL, model_version: VERSION, id: request.id, outputs }))
}

fn predict(rows: &[[f64; FEATURES]]) -> [OutputTensor; 2] {
    let model = Classifier::iris();
    let (labels, probabilities): (Vec<_>, Vec<_>) =
        rows.iter().map(|row| model.predict(*row)).map(|p| (p.label, p.probabilities)).unzip();
    [
        OutputTensor {
            name: "label",
            shape: vec![rows.len()],
            datatype: "BYTES",
            data: OutputData::Bytes(labels),
        },
        OutputTensor {
            name: "probabilities",
            shape: vec![rows.len(), model.labels().len()],
            datatype: "FP64",
            data: OutputData::Fp64(probabilities.concat()),
        },
    ]
}

/// The rows of a tensor of shape `[n, 4]`; its data may be nested or flat, row by row.
fn rows_of(input: &InputTensor) -> Result<Vec<[f64; FEATURES]>, Refusal> {
    let [rows, FEATURES] = input.shape[..] else {
        return Err(bad_request(format!("shape is {:?}, not [n, {FEATURES}]", input.shape)));
    };
    if !(1..=MAX_ROWS).contains(&rows) {
        return Err(bad_request(format!("{rows} rows; 1 to {MAX_ROWS} are served at once")));
    }
    let narrow = match input.datatype.as_str() {
        "FP64" => false,
        "FP32" => true,
        other => return Err(bad_request(format!("datatype is {other}, not FP64 or FP32"))),
    };
    let mut numbers = Vec::with_capacity(rows * FEATURES);
    flatten(&input.data, &mut numbers)?;
    if numbers.len() != rows * FEATURES {
        let wanted = rows * FEATURES;
        return Err(bad_request(format!("{} numbers, but the shape says {wanted}", numbers.len())));
    }
    if narrow {
        numbers.iter_mut().for_each(|x| *x = f64::from(*x as f32));
    }
    if numbers.iter().any(|x| !x.is_finite()) {
        return Err(bad_request("a number is too large for its datatype"));
    }
    Ok(numbers.as_chunks().0.to_vec())
}

fn flatten(data: &Value, into: &mut Vec<f64>) -> Result<(), Refusal> {
    match data {
        Value::Array(items) => items.iter().try_for_each(|item| flatten(item, into)),
        other => {
            into.push(
                other.as_f64().ok_or_else(|| bad_request(format!("data has {other}, which is no number")))?,
            );
            Ok(())
        }
    }
}

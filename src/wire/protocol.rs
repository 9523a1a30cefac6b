//! The protocols by the names that scenarios use, and the codec of each.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{
    Codec, Content, JsonPath, PathError, anthropic, auto, bentoml, cohere, json_api, kserve_v1, litserve,
    mlflow, ollama, open_inference, openai, ray_serve, sagemaker, tei, tf_serving, tgi, torchserve,
    triton_generate,
};

/// Which protocol a target speaks, as a scenario names it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
#[non_exhaustive]
pub enum Protocol {
    /// Open Inference Protocol V2 over REST (KServe, MLServer, Triton).
    OpenInference,
    /// KServe V1 and TensorFlow Serving row format: `{"predictions": […]}`.
    KserveV1,
    /// TensorFlow Serving over REST (predict in rows and columns, classify, regress) and gRPC.
    TfServing,
    /// MLflow's scoring server, `/invocations`.
    Mlflow,
    /// OpenAI's API: chat, completions, embeddings, Responses; vLLM, llama.cpp and others serve it too.
    #[serde(rename = "openai")]
    OpenAi,
    /// Anthropic's Messages API.
    Anthropic,
    /// Ollama's own API, and OpenAI's beside it.
    Ollama,
    /// Hugging Face's Text Generation Inference, and OpenAI's API beside it.
    Tgi,
    /// Hugging Face's Text Embeddings Inference.
    Tei,
    /// Cohere's rerank, which vLLM, Jina and others serve too.
    Cohere,
    /// Triton's generate extension.
    TritonGenerate,
    /// TorchServe, `/predictions/M`.
    #[serde(rename = "torchserve")]
    TorchServe,
    /// Amazon SageMaker, `/invocations`: JSON and CSV.
    #[serde(rename = "sagemaker")]
    SageMaker,
    /// BentoML: a bare JSON value on any route.
    #[serde(rename = "bentoml")]
    BentoMl,
    /// Ray Serve: any JSON on any route.
    RayServe,
    /// LitServe: any JSON, and OpenAI's API.
    #[serde(rename = "litserve")]
    LitServe,
    /// Told by route, content type and body, for each route by itself.
    Auto,
    /// Any JSON API, with paths to its predictions. Every request by `POST` or `PUT` counts as asking for
    /// predictions; `when` of the target narrows them.
    Json(JsonApi),
    /// No predictions to read: transport faults only.
    Http,
}

/// Where a JSON API keeps its predictions, as JSONPath (RFC 9535: names, indices and `[*]`).
///
/// Requests by `POST` and `PUT` count as asking for predictions; `when` of the target narrows them.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(try_from = "JsonApiPaths")]
pub struct JsonApi {
    /// Path to the predicted class of each row, such as `$.results[*].label`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub label: Option<JsonPath>,
    /// Path to the scores of each row: a number, or an array of numbers, for each.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scores: Option<JsonPath>,
}

/// [`JsonApi`] before it is known that it names anything.
#[derive(Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct JsonApiPaths {
    /// Path to the predicted class of each row, such as `$.results[*].label`.
    label: Option<JsonPath>,
    /// Path to the scores of each row: a number, or an array of numbers, for each.
    scores: Option<JsonPath>,
}

impl TryFrom<JsonApiPaths> for JsonApi {
    type Error = PathError;

    fn try_from(JsonApiPaths { label, scores }: JsonApiPaths) -> Result<JsonApi, PathError> {
        if label.is_none() && scores.is_none() {
            let message = "protocol `json` needs a path to `label`, to `scores`, or to both";
            return Err(PathError(message.to_owned()));
        }
        Ok(JsonApi { label, scores })
    }
}

/// Names of the outputs (or columns) that hold the prediction, where the protocol leaves a choice.
///
/// Left out, datatypes and shapes tell them apart in the Open Inference Protocol. In lists of objects (KServe
/// V1, MLflow) the first of `label`, `class`, `prediction`, `predicted_label`, `predicted_class`, `labels`,
/// `classes` is the label,
/// the first of `scores`, `probabilities`, `score`, `probability`, `proba`, `confidence` the scores.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Outputs {
    /// The output that names the predicted class.
    pub label: Option<String>,
    /// The output that holds the scores.
    pub scores: Option<String>,
}

impl Protocol {
    /// The name that a scenario uses.
    pub const fn name(&self) -> &'static str {
        match self {
            Protocol::OpenInference => "open-inference",
            Protocol::KserveV1 => "kserve-v1",
            Protocol::TfServing => "tf-serving",
            Protocol::Mlflow => "mlflow",
            Protocol::OpenAi => "openai",
            Protocol::Anthropic => "anthropic",
            Protocol::Ollama => "ollama",
            Protocol::Tgi => "tgi",
            Protocol::Tei => "tei",
            Protocol::Cohere => "cohere",
            Protocol::TritonGenerate => "triton-generate",
            Protocol::TorchServe => "torchserve",
            Protocol::SageMaker => "sagemaker",
            Protocol::BentoMl => "bentoml",
            Protocol::RayServe => "ray-serve",
            Protocol::LitServe => "litserve",
            Protocol::Auto => "auto",
            Protocol::Json(_) => "json",
            Protocol::Http => "http",
        }
    }

    /// Can its bodies carry such content?
    pub const fn carries(&self, content: Content) -> bool {
        use Content::{Embeddings, Features, Predictions, Ranking, Text};
        match self {
            Protocol::Http => false,
            Protocol::Auto => true,
            Protocol::Json(_) => matches!(content, Predictions),
            Protocol::OpenInference | Protocol::KserveV1 | Protocol::TfServing | Protocol::Mlflow => {
                matches!(content, Predictions | Features)
            }
            Protocol::OpenAi | Protocol::Ollama | Protocol::Tgi => {
                matches!(content, Text | Embeddings | Features)
            }
            Protocol::Anthropic | Protocol::TritonGenerate => matches!(content, Text | Features),
            Protocol::Tei => matches!(content, Predictions | Embeddings | Ranking | Features),
            Protocol::Cohere => matches!(content, Ranking | Features),
            Protocol::TorchServe | Protocol::SageMaker => matches!(content, Predictions | Text | Features),
            Protocol::BentoMl | Protocol::RayServe | Protocol::LitServe => {
                matches!(content, Predictions | Embeddings | Text | Features)
            }
        }
    }

    /// The codec that reads and edits this protocol.
    pub fn codec(&self, outputs: &Outputs) -> Arc<dyn Codec> {
        match self {
            Protocol::OpenInference => Arc::new(open_inference::OpenInference::new(outputs.clone())),
            Protocol::TfServing => Arc::new(tf_serving::TfServing::new(outputs.clone())),
            Protocol::KserveV1 => Arc::new(kserve_v1::KserveV1::new(outputs.clone())),
            Protocol::Mlflow => Arc::new(mlflow::Mlflow::new(outputs.clone())),
            Protocol::OpenAi => Arc::new(openai::OpenAi),
            Protocol::Anthropic => Arc::new(anthropic::Anthropic),
            Protocol::Ollama => Arc::new(ollama::Ollama),
            Protocol::Tgi => Arc::new(tgi::Tgi),
            Protocol::Tei => Arc::new(tei::Tei),
            Protocol::Cohere => Arc::new(cohere::Cohere),
            Protocol::TritonGenerate => Arc::new(triton_generate::TritonGenerate),
            Protocol::TorchServe => Arc::new(torchserve::TorchServe::new(outputs.clone())),
            Protocol::SageMaker => Arc::new(sagemaker::SageMaker::new(outputs.clone())),
            Protocol::BentoMl => Arc::new(bentoml::BentoMl::new(outputs.clone())),
            Protocol::RayServe => Arc::new(ray_serve::RayServe::new(outputs.clone())),
            Protocol::LitServe => Arc::new(litserve::LitServe::new(outputs.clone())),
            Protocol::Auto => Arc::new(auto::Auto::new(outputs)),
            Protocol::Json(api) => Arc::new(json_api::JsonCodec::new(api.clone())),
            Protocol::Http => Arc::new(json_api::NoPredictions),
        }
    }
}

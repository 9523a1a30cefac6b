//! Where predictions lie in the bytes of each inference protocol.
//!
//! A [`Codec`] finds the predictions of a response and remembers where each value stands; a fault changes
//! the [`Row`]s; [`Reading::splice`] writes only the changed values back into the original bytes. Nothing
//! else moves: key order, number formatting, unknown fields and white space stay as the server sent them.
//!
//! Why not parse, change and print? Printing would reformat every number and lose what the parser did not
//! know, and `serde_json` refuses the bare `NaN` that real servers send.
//!
//! ```
//! use canard::wire::{Head, Outputs, Protocol, Value};
//! let body = br#"{"predictions": [ {"label": "cat", "score": 0.90, "extra": NaN} ]}"#;
//! let codec = Protocol::KserveV1.codec(&Outputs::default());
//! let head = Head { path: "/v1/models/pets:predict", headers: &http::HeaderMap::new() };
//! let reading = codec.read(head, body)?;
//! let mut answer = reading.answer();
//! answer.rows[0].label = Some(Value::Text("dog".into()));
//! let edited = reading.splice(body, &answer)?.expect("a value differs");
//! assert_eq!(edited.body, br#"{"predictions": [ {"label": "dog", "score": 0.90, "extra": NaN} ]}"#);
//! # Ok::<(), canard::wire::WireError>(())
//! ```

mod answer;
pub mod encoding;
mod failure;
mod framing;
mod generation;
mod json_api;
mod kserve_v1;
mod list;
mod mlflow;
mod open_inference;
mod path;
mod reading;
mod scan;

use std::{borrow::Cow, fmt, sync::Arc};

use bytes::Bytes;
use http::{HeaderMap, Method};
use serde::{Deserialize, Serialize};

pub use answer::{Answer, Content, Declared};
pub use failure::{ErrorResponse, Failure, FailureKind};
pub use framing::{Chunk, Framing};
pub use generation::{Generation, Moment, Part, Role};
pub use path::{JsonPath, PathError};
pub use reading::{Format, Length, LengthField, Reading, Render, RenderPacked, Slot, Spliced};
pub use scan::{Kind, Node, ScanError, Tree, scan};

/// One value of a prediction.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Value {
    /// Absent, JSON `null`.
    Null,
    /// True or false.
    Bool(bool),
    /// A whole number, as class indices are.
    Int(i64),
    /// Any other number, not-a-number and the infinities among them.
    Float(f64),
    /// A text, as class names are.
    Text(String),
}

impl Value {
    /// The number, if it is one.
    pub fn as_f64(&self) -> Option<f64> {
        match self {
            Value::Int(i) => Some(*i as f64),
            Value::Float(f) => Some(*f),
            _ => None,
        }
    }

    /// Equality that takes not-a-number for itself, and -0.0 for another than 0.0.
    pub fn is_same(&self, other: &Value) -> bool {
        match (self, other) {
            (Value::Float(a), Value::Float(b)) => a.to_bits() == b.to_bits(),
            _ => self == other,
        }
    }
}

/// One prediction: the answer for one input of a batch.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Row {
    /// The predicted class, if the answer names one.
    pub label: Option<Value>,
    /// The scores: one for each class, or a single number (a positive-class probability, a regression).
    pub scores: Vec<Value>,
}

impl Row {
    /// Has it a label, and as many scores, as the other has?
    pub fn is_alike(&self, other: &Row) -> bool {
        self.label.is_some() == other.label.is_some() && self.scores.len() == other.scores.len()
    }

    /// Why it is no usable value: `null`, `nan`, `infinite`, or `out-of-range` for a score that is none of 0 to 1.
    /// A lone score without a label may be a regression, which has no range.
    pub fn invalid(&self) -> Option<&'static str> {
        let bounded = self.scores.len() > 1 || self.label.is_some();
        let mut values = self.label.iter().chain(&self.scores);
        let wrong = values.find_map(|value| match value {
            Value::Null => Some("null"),
            Value::Float(x) if x.is_nan() => Some("nan"),
            Value::Float(x) if x.is_infinite() => Some("infinite"),
            _ => None,
        });
        wrong.or_else(|| {
            let mut scores = self.scores.iter().filter_map(Value::as_f64);
            (bounded && scores.any(|score| !(0.0..=1.0).contains(&score))).then_some("out-of-range")
        })
    }

    /// Is each value the same, as [`Value::is_same`] sees it?
    pub fn is_same(&self, other: &Row) -> bool {
        let mut pairs = self.label.iter().chain(&self.scores).zip(other.label.iter().chain(&other.scores));
        self.is_alike(other) && pairs.all(|(a, b)| a.is_same(b))
    }
}

/// The class names of a classifier, so that a scenario can say `virginica` where the wire says `2`.
///
/// ```
/// use canard::wire::{Labels, Row, Value};
/// let labels = Labels::new(["ham", "spam"].map(String::from));
/// let row = Row { label: None, scores: vec![Value::Float(0.2), Value::Float(0.8)] };
/// assert_eq!(labels.of(&row).as_deref(), Some("spam"));
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Labels(Arc<[String]>);

impl Labels {
    /// Names in the order of the class indices.
    pub fn new(names: impl IntoIterator<Item = String>) -> Labels {
        Labels(names.into_iter().collect())
    }

    /// The names.
    pub fn names(&self) -> &[String] {
        &self.0
    }

    /// The index of a class name.
    pub fn index_of(&self, name: &str) -> Option<usize> {
        self.0.iter().position(|n| n == name)
    }

    /// The class that a row predicts: its label's name, or that of its highest score.
    pub fn of<'a>(&'a self, row: &'a Row) -> Option<Cow<'a, str>> {
        match &row.label {
            Some(Value::Text(name)) => Some(Cow::Borrowed(name)),
            Some(Value::Int(index)) => Some(self.name(*index)),
            Some(Value::Float(number)) if number.fract() == 0.0 && number.abs() < 1e15 => {
                Some(self.name(*number as i64))
            }
            Some(Value::Bool(truth)) => Some(Cow::Borrowed(self.truth(*truth))),
            Some(Value::Null | Value::Float(_)) => None,
            None => self.argmax(row).map(|index| self.name(index as i64)),
        }
    }

    /// Two names are those of false and true.
    fn truth(&self, truth: bool) -> &str {
        match &*self.0 {
            [no, yes] => {
                if truth {
                    yes
                } else {
                    no
                }
            }
            _ => {
                if truth {
                    "true"
                } else {
                    "false"
                }
            }
        }
    }

    fn name(&self, index: i64) -> Cow<'_, str> {
        match usize::try_from(index).ok().and_then(|i| self.0.get(i)) {
            Some(name) => Cow::Borrowed(name),
            None => Cow::Owned(index.to_string()),
        }
    }

    fn argmax(&self, row: &Row) -> Option<usize> {
        let scores = row.scores.iter().map(Value::as_f64).collect::<Option<Vec<f64>>>()?;
        match scores.as_slice() {
            // One score is the probability of class 1.
            [p] if (0.0..=1.0).contains(p) => Some(usize::from(*p >= 0.5)),
            [] | [_] => None,
            many if many.iter().any(|score| score.is_nan()) => None,
            many => many.iter().enumerate().max_by(|a, b| a.1.total_cmp(b.1)).map(|(i, _)| i),
        }
    }
}

/// Why the predictions of a body could not be read or written. Such a body passes untouched.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WireError {
    /// The bytes are not what the protocol says.
    #[error("the body is not what the protocol says: {0}")]
    Malformed(String),
    /// The body holds no prediction (an error body, another route's answer).
    #[error("the body holds no prediction")]
    NoPrediction,
    /// The protocol allows this form, and canard does not read it.
    #[error("this form is not read: {0}")]
    Unsupported(&'static str),
    /// The body is coded in a way canard does not read.
    #[error("content-encoding `{0}` is not read")]
    Encoding(String),
    /// The body is larger than the limit, as sent or once decompressed.
    #[error("the body is over the limit of {limit} bytes")]
    TooLarge {
        /// The limit.
        limit: usize,
    },
    /// A changed value can't be written where the original stood.
    #[error("{0}")]
    Unwritable(String),
}

impl WireError {
    /// A short, stable name for counters and reports.
    pub const fn reason(&self) -> &'static str {
        match self {
            WireError::Malformed(_) => "malformed-body",
            WireError::NoPrediction => "no-prediction",
            WireError::Unsupported(_) => "unsupported-form",
            WireError::Encoding(_) => "content-encoding",
            WireError::TooLarge { .. } => "body-too-large",
            WireError::Unwritable(_) => "unwritable",
        }
    }
}

impl From<ScanError> for WireError {
    fn from(error: ScanError) -> WireError {
        WireError::Malformed(error.to_string())
    }
}

/// What goes with the bytes of a body.
#[derive(Debug, Clone, Copy)]
pub struct Head<'a> {
    /// The path of the request.
    pub path: &'a str,
    /// The headers of the message that the body belongs to.
    pub headers: &'a HeaderMap,
}

/// An inference protocol, as far as canard needs to know it. Bodies are decoded; of a gRPC call a body is one
/// message without its prefix.
pub trait Codec: fmt::Debug + Send + Sync {
    /// Does a request to this route ask for predictions (or embeddings, a ranking, a text)?
    fn is_prediction(&self, method: &Method, path: &str) -> bool;

    /// The model that a path names.
    fn model<'a>(&self, path: &'a str) -> Option<&'a str>;

    /// Finds the predictions, embeddings or ranked items of a whole response body, or of one chunk of a stream.
    ///
    /// # Errors
    /// If the body is not what the protocol says, or holds none.
    fn read(&self, head: Head<'_>, body: &[u8]) -> Result<Reading, WireError>;

    /// Finds the features in a whole request body.
    ///
    /// # Errors
    /// If the body is not what the protocol says, or its features are not read.
    fn features(&self, _head: Head<'_>, _body: &[u8]) -> Result<Reading, WireError> {
        Err(WireError::Unsupported("features of this protocol's requests"))
    }

    /// Finds the parts of a generated text, in a whole response body or in the payload of one chunk.
    ///
    /// # Errors
    /// If the bytes are not what the protocol says, or hold no text.
    fn generation(&self, _head: Head<'_>, _payload: &[u8]) -> Result<Generation, WireError> {
        Err(WireError::NoPrediction)
    }

    /// How a response body is cut into chunks.
    fn framing(&self, head: Head<'_>) -> Framing {
        Framing::of(head.headers)
    }

    /// An error, as this protocol's servers answer it on this route.
    fn error(&self, path: &str, failure: &Failure) -> ErrorResponse;

    /// An error inside a stream that began with a 200, complete with its delimiters; `None` where the protocol
    /// has no such thing.
    fn stream_error(&self, _path: &str, _framing: Framing, _failure: &Failure) -> Option<Bytes> {
        None
    }
}

/// `{"error": "…"}`, as most model servers put it.
fn error_field(failure: &Failure) -> ErrorResponse {
    ErrorResponse::json(failure.status, &serde_json::json!({ "error": failure.message }))
}

/// Which protocol a target speaks, as a scenario names it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Protocol {
    /// Open Inference Protocol V2 over REST (KServe, MLServer, Triton).
    OpenInference,
    /// KServe V1 and TensorFlow Serving row format: `{"predictions": […]}`.
    KserveV1,
    /// MLflow's scoring server, `/invocations`.
    Mlflow,
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
/// V1, MLflow) the first of `label`, `class`, `prediction`, `predicted_label`, `predicted_class` is the label,
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
            Protocol::Mlflow => "mlflow",
            Protocol::Json(_) => "json",
            Protocol::Http => "http",
        }
    }

    /// Can its bodies carry such content?
    pub const fn carries(&self, content: Content) -> bool {
        match self {
            Protocol::Http => false,
            Protocol::Json(_) => matches!(content, Content::Predictions),
            Protocol::OpenInference | Protocol::KserveV1 | Protocol::Mlflow => {
                matches!(content, Content::Predictions | Content::Features)
            }
        }
    }

    /// The codec that reads and edits this protocol.
    pub fn codec(&self, outputs: &Outputs) -> Arc<dyn Codec> {
        match self {
            Protocol::OpenInference => Arc::new(open_inference::OpenInference::new(outputs.clone())),
            Protocol::KserveV1 => Arc::new(kserve_v1::KserveV1::new(outputs.clone())),
            Protocol::Mlflow => Arc::new(mlflow::Mlflow::new(outputs.clone())),
            Protocol::Json(api) => Arc::new(json_api::JsonCodec::new(api.clone())),
            Protocol::Http => Arc::new(json_api::NoPredictions),
        }
    }
}

#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;

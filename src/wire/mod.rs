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
mod anthropic;
mod any_json;
mod auto;
mod bentoml;
mod codec;
mod cohere;
mod csv;
pub mod encoding;
mod error;
mod failure;
mod framing;
mod generation;
mod grpc_error;
mod grpc_status;
mod json_api;
mod kserve_v1;
mod limits;
mod list;
mod litserve;
mod mlflow;
mod ollama;
mod open_inference;
mod open_inference_grpc;
mod openai;
mod parts;
mod path;
mod protobuf;
mod protocol;
mod quoted;
mod ranked;
mod ray_serve;
mod reading;
mod row;
mod sagemaker;
mod scan;
mod tei;
mod tensor;
mod tf_serving;
mod tf_serving_grpc;
mod tgi;
mod torchserve;
mod triton_generate;
mod value;
mod vector;

pub use answer::{Answer, Content, Declared};
pub use codec::{Codec, Head};
pub use error::WireError;
pub use failure::{ErrorResponse, Failure, FailureKind};
pub use framing::{Chunk, Framer, Framing};
pub use generation::{Generation, Moment, Part, Role};
pub use grpc_error::grpc_error;
pub use grpc_status::{ErrorInfo, GrpcCode, GrpcStatus};
pub use path::{JsonPath, PathError};
pub use protocol::{JsonApi, Outputs, Protocol};
pub use reading::{Format, Length, LengthField, Reading, Render, RenderPacked, Slot, Spliced};
pub use row::{Labels, Row};
pub use scan::{Kind, Node, ScanError, Tree, scan};
pub use value::Value;

use codec::error_field;

#[cfg(test)]
mod recorded;
#[cfg(test)]
mod surgical;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;

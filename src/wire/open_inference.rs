//! Open Inference Protocol V2 over REST: KServe, MLServer, Triton, and other servers of `/v2/models`.
//!
//! A response lists tensors; `tensor` tells which of them is the prediction. A tensor's values stand in the JSON,
//! or, in the binary extension, behind it: then `Inference-Header-Content-Length` tells where the JSON ends, and
//! each tensor's `binary_data_size` how many of the bytes after it are its own, in the order of the outputs. Both
//! follow an edit that makes a text longer. Requests are built alike, of inputs.

use http::{HeaderMap, HeaderName, Method};

use super::{
    Codec, Declared, ErrorResponse, Failure, Framing, Head, Outputs, Reading, Value, WireError, error_field,
    open_inference_grpc as grpc,
    reading::{Declaration, Format, Length, LengthField, Slot},
    scan::{Kind, Node, scan},
    tensor::{self, Data, Datatype, Shape, Tensor},
};

/// Tells where the JSON ends.
const HEAD_LENGTH: HeaderName = HeaderName::from_static("inference-header-content-length");

#[derive(Debug)]
pub(super) struct OpenInference(Outputs);

impl OpenInference {
    pub(super) fn new(outputs: Outputs) -> OpenInference {
        OpenInference(outputs)
    }
}

impl Codec for OpenInference {
    fn is_prediction(&self, method: &Method, path: &str) -> bool {
        method == Method::POST && (route(path).is_some() || grpc::is_route(path))
    }

    fn model<'a>(&self, path: &'a str) -> Option<&'a str> {
        route(path)
    }

    fn read(&self, head: Head<'_>, body: &[u8]) -> Result<Reading, WireError> {
        if grpc::is_route(head.path) {
            return grpc::read(head.path, body, &self.0);
        }
        let message = Message::of(head.headers, body)?;
        let tree = scan(message.json())?;
        let outputs = tree.root().get("outputs").ok_or(WireError::NoPrediction)?;
        let tensors = message.tensors(outputs, "output")?;
        let reading = message.cover(tensor::predictions(&tensors, &self.0)?);
        let version = tree.root().get("model_version").and_then(|node| Some((node.value()?, node.span())));
        Ok(match version {
            Some((version, span)) => reading.with_version(version, Slot { span, format: Format::default() }),
            None => reading,
        })
    }

    fn features(&self, head: Head<'_>, body: &[u8]) -> Result<Reading, WireError> {
        if grpc::is_route(head.path) {
            return grpc::features(body);
        }
        let message = Message::of(head.headers, body)?;
        let tree = scan(message.json())?;
        let inputs = tree.root().get("inputs").ok_or(WireError::NoPrediction)?;
        let tensors = message.tensors(inputs, "input")?;
        Ok(message.cover(tensor::features(tensors)?))
    }

    fn error(&self, _path: &str, failure: &Failure) -> ErrorResponse {
        error_field(failure)
    }

    fn stream_error(&self, path: &str, framing: Framing, failure: &Failure) -> Option<bytes::Bytes> {
        (framing == Framing::Grpc).then(|| grpc::stream_error(path, failure)).flatten()
    }
}

/// The model of an inference route, `…/v2/models/M[/versions/V]/infer`; gateways put a prefix before it.
fn route(path: &str) -> Option<&str> {
    let (_, rest) = path.split_once("/v2/models/")?;
    let mut parts = rest.split('/');
    let model = parts.next().filter(|model| !model.is_empty())?;
    let mut verb = parts.next()?;
    if verb == "versions" {
        parts.next().filter(|version| !version.is_empty())?;
        verb = parts.next()?;
    }
    (verb == "infer" && parts.next().is_none()).then_some(model)
}

/// A body with its JSON, and binary tensors behind it.
struct Message<'b> {
    body: &'b [u8],
    json: usize,
    has_binary: bool,
}

impl<'b> Message<'b> {
    fn of(headers: &HeaderMap, body: &'b [u8]) -> Result<Message<'b>, WireError> {
        let Some(length) = headers.get(HEAD_LENGTH) else {
            return Ok(Message { body, json: body.len(), has_binary: false });
        };
        let json = length.to_str().ok().and_then(|text| text.parse().ok());
        let json = json.filter(|json| *json <= body.len());
        let wrong = || WireError::Malformed(format!("`{HEAD_LENGTH}` is no length of a part of the body"));
        Ok(Message { body, json: json.ok_or_else(wrong)?, has_binary: true })
    }

    fn json(&self) -> &'b [u8] {
        &self.body[..self.json]
    }

    fn cover(&self, mut reading: Reading) -> Reading {
        if self.has_binary {
            reading.cover(Length { covers: 0..self.json, field: LengthField::Header(HEAD_LENGTH) });
        }
        reading
    }

    fn tensors<'t>(&self, list: Node<'t>, kind: &'static str) -> Result<Vec<Tensor<'t>>, WireError>
    where
        'b: 't,
    {
        let mut tensors = Vec::new();
        let mut at = self.json;
        for node in list.elements() {
            let mut tensor = declared(node, kind)?;
            let parameters = node.get("parameters");
            let size = parameters.and_then(|parameters| parameters.get("binary_data_size"));
            let data = node.get("data");
            if let (None, Some(size)) = (data, size) {
                let length = match size.value() {
                    Some(Value::Int(length)) => usize::try_from(length).ok(),
                    _ => None,
                };
                let end =
                    length.and_then(|length| at.checked_add(length)).filter(|end| *end <= self.body.len());
                let end = end.ok_or_else(|| tensor.malformed("is longer than the bytes behind the JSON"))?;
                tensor.data = Data::Raw(self.body, at..end);
                let field = LengthField::Decimal(size.span());
                tensor.lengths.push(Length { covers: at..end, field });
                at = end;
            }
            tensors.push(tensor);
        }
        if at != self.body.len() {
            return Err(WireError::Malformed("there are bytes behind the last tensor".into()));
        }
        Ok(tensors)
    }
}

/// What JSON says of a tensor, with its data if they stand there.
fn declared<'t>(node: Node<'t>, kind: &'static str) -> Result<Tensor<'t>, WireError> {
    let name = node.get("name").and_then(Node::text);
    let name = name.ok_or_else(|| WireError::Malformed(format!("an {kind} has no name")))?;
    let datatype = node.get("datatype");
    let spelling = datatype.and_then(Node::text).unwrap_or_default();
    let malformed = |what: &str| WireError::Malformed(format!("{kind} `{name}` {what}"));
    let dimensions = node.get("shape").filter(|shape| shape.kind() == Kind::Array);
    let dimensions = dimensions.ok_or_else(|| malformed("has no shape"))?;
    let sizes = dimensions.elements().map(|size| match size.value() {
        Some(Value::Int(size)) => Some(size),
        _ => None,
    });
    let sizes = sizes.collect::<Option<Vec<i64>>>().ok_or_else(|| malformed("has an impossible shape"))?;
    let shape = Shape::of(&sizes).ok_or_else(|| malformed("has an impossible shape"))?;
    let slot = |node: Node<'_>| Slot { span: node.span(), format: Format::Whole };
    let declaration = Declaration {
        declared: Declared { shape: sizes, datatype: spelling.clone().into_owned() },
        shape: dimensions.elements().map(slot).collect(),
        datatype: datatype.map(slot),
        separator: Some(","),
    };
    let data = node.get("data").map_or_else(|| Data::Missing(malformed("has no data")), Data::Json);
    let (datatype, declaration) = (Datatype::named(&spelling), Some(declaration));
    Ok(Tensor { kind, name, datatype, shape, data, declaration, lengths: Vec::new() })
}

#[cfg(test)]
mod tests;

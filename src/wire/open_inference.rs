//! Open Inference Protocol V2 over REST: KServe, MLServer, Triton, and other servers of `/v2/models`.
//!
//! A response lists tensors; which of them is the prediction is told by their datatypes and shapes:
//!
//! | tensor | taken as |
//! | --- | --- |
//! | `BYTES`, `BOOL`, `INT*`, `UINT*` of shape `[n]` or `[n,1]` | label |
//! | `FP*` or `BF16` of shape `[n,k]`, k ≥ 2 | scores, one for each class |
//! | `FP*` of shape `[n]` or `[n,1]` | a single score; beside scores for each class, the label if it holds class numbers (Triton's forests) |
//!
//! The first that fits is taken; `outputs` of the target names others. Tensors in binary form and Triton's
//! classification strings are refused, never guessed.

use std::borrow::Cow;

use http::Method;

use super::{
    Codec, ErrorResponse, Failure, Head, Outputs, Reading, Row, Value, WireError, error_field,
    reading::{Format, Slot},
    scan::{Kind, Node, scan},
};

const BINARY_HEADER: &str = "inference-header-content-length";
const BINARY: WireError = WireError::Unsupported("tensors in binary form");
const CLASSIFICATION: WireError = WireError::Unsupported("Triton's classification strings, `value:index`");

#[derive(Debug)]
pub(super) struct OpenInference(Outputs);

impl OpenInference {
    pub(super) fn new(outputs: Outputs) -> OpenInference {
        OpenInference(outputs)
    }

    /// The tensors that hold the label and the scores.
    fn choose<'a, 't>(&self, tensors: &'a [Tensor<'t>]) -> (Option<&'a Tensor<'t>>, Option<&'a Tensor<'t>>) {
        let named = |name: &Option<String>| {
            let wanted = name.as_deref()?;
            tensors.iter().find(|tensor| tensor.name == wanted)
        };
        // An output that is named for one half is no candidate for the other.
        let free = |tensor: &&Tensor<'_>| {
            let name = Some(&*tensor.name);
            name != self.0.label.as_deref() && name != self.0.scores.as_deref()
        };
        let first = |fits: fn(&Tensor<'_>) -> bool| tensors.iter().filter(free).find(|tensor| fits(tensor));
        let mut label =
            named(&self.0.label).or_else(|| first(|t| t.family == Family::Discrete && t.width == 1));
        let scores = named(&self.0.scores).or_else(|| first(|t| t.family == Family::Real && t.width > 1));
        let single = first(|t| t.family == Family::Real && t.width == 1);
        match (label, scores, single) {
            (None, Some(scores), Some(single)) if single.holds_indices(scores.width) => label = Some(single),
            (label, None, single) => return (label, single),
            _ => {}
        }
        (label, scores)
    }
}

impl Codec for OpenInference {
    fn is_prediction(&self, method: &Method, path: &str) -> bool {
        method == Method::POST && route(path).is_some()
    }

    fn model<'a>(&self, path: &'a str) -> Option<&'a str> {
        route(path)
    }

    fn read(&self, head: Head<'_>, body: &[u8]) -> Result<Reading, WireError> {
        if head.headers.contains_key(BINARY_HEADER) {
            return Err(BINARY);
        }
        let tree = scan(body)?;
        let outputs = tree.root().get("outputs").ok_or(WireError::NoPrediction)?;
        let tensors = outputs.elements().map(Tensor::read).collect::<Result<Vec<_>, _>>()?;
        let (label, scores) = self.choose(&tensors);
        join(label, scores)
    }

    fn error(&self, _path: &str, failure: &Failure) -> ErrorResponse {
        error_field(failure)
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

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Family {
    Discrete,
    Real,
    Other,
}

#[derive(Debug)]
struct Tensor<'t> {
    name: Cow<'t, str>,
    family: Family,
    format: Format,
    rows: usize,
    /// Values for each row; 0 for images and the like, which are no predictions.
    width: usize,
    node: Node<'t>,
}

impl<'t> Tensor<'t> {
    fn read(node: Node<'t>) -> Result<Tensor<'t>, WireError> {
        let name = node.get("name").and_then(Node::text);
        let name = name.ok_or_else(|| WireError::Malformed("an output has no name".into()))?;
        let datatype = node.get("datatype").and_then(Node::text).unwrap_or_default();
        let (family, format) = match &*datatype {
            "BYTES" | "BOOL" => (Family::Discrete, Format::Whole),
            t if t.starts_with("INT") || t.starts_with("UINT") => (Family::Discrete, Format::Whole),
            "FP64" => (Family::Real, Format::Double),
            "FP16" | "FP32" | "BF16" => (Family::Real, Format::Single),
            _ => (Family::Other, Format::Double),
        };
        let shape = node.get("shape").filter(|shape| shape.kind() == Kind::Array);
        let shape = shape.ok_or_else(|| WireError::Malformed(format!("output `{name}` has no shape")))?;
        let (rows, width) = rows_and_width(shape)
            .ok_or_else(|| WireError::Malformed(format!("output `{name}` has an impossible shape")))?;
        Ok(Tensor { name, family, format, rows, width, node })
    }

    /// Its values, as many as its shape says.
    fn values(&self) -> Result<impl Iterator<Item = Node<'t>> + Clone, WireError> {
        let malformed = |what: &str| WireError::Malformed(format!("output `{}` {what}", self.name));
        let Some(data) = self.node.get("data") else {
            let parameters = self.node.get("parameters");
            let binary = parameters.is_some_and(|parameters| parameters.get("binary_data_size").is_some());
            return Err(if binary { BINARY } else { malformed("has no data") });
        };
        let values = data.leaves().ok_or_else(|| malformed("holds an object"))?;
        if Some(values.clone().count()) != self.rows.checked_mul(self.width) {
            return Err(malformed("has more or fewer values than its shape says"));
        }
        Ok(values)
    }

    fn holds_indices(&self, classes: usize) -> bool {
        let is_index = |node: Node<'_>| {
            let number = node.value().and_then(|value| value.as_f64());
            number.is_some_and(|n| n.fract() == 0.0 && (0.0..classes as f64).contains(&n))
        };
        self.values().is_ok_and(|mut values| values.all(is_index))
    }

    fn slot(&self, value: Node<'_>) -> Slot {
        Slot { span: value.span(), format: self.format }
    }
}

/// The batch and what each of its rows holds; `None` when a dimension is no size.
fn rows_and_width(shape: Node<'_>) -> Option<(usize, usize)> {
    let (mut rows, mut width, mut wide) = (1, 1, 0);
    for (axis, dimension) in shape.elements().enumerate() {
        let Some(Value::Int(size)) = dimension.value() else { return None };
        let size = usize::try_from(size).ok()?;
        if axis == 0 {
            rows = size;
        } else {
            wide += usize::from(size != 1);
            width = size.checked_mul(width)?;
        }
    }
    Some((rows, if wide > 1 { 0 } else { width }))
}

fn join(label: Option<&Tensor<'_>>, scores: Option<&Tensor<'_>>) -> Result<Reading, WireError> {
    let count = match (label, scores) {
        (None, None) => return Err(WireError::NoPrediction),
        (Some(label), Some(scores)) if label.rows != scores.rows => {
            let (a, b) = (&label.name, &scores.name);
            return Err(WireError::Malformed(format!(
                "outputs `{a}` and `{b}` differ in their number of rows"
            )));
        }
        (Some(tensor), _) | (None, Some(tensor)) => tensor.rows,
    };
    if let Some(label) = label.filter(|label| label.width != 1) {
        let message = format!("output `{}` is no label: it has not one value for each row", label.name);
        return Err(WireError::Malformed(message));
    }
    if let Some(scores) = scores.filter(|scores| scores.width == 0) {
        let message = format!("output `{}` holds no scores: its shape is not [rows, classes]", scores.name);
        return Err(WireError::Malformed(message));
    }
    let mut labels = label.map(|tensor| Ok::<_, WireError>((tensor, tensor.values()?))).transpose()?;
    let mut numbers = scores.map(|tensor| Ok::<_, WireError>((tensor, tensor.values()?))).transpose()?;
    let mut reading = Reading::default();
    for _ in 0..count {
        let mut row = Row::default();
        let mut label_slot = None;
        if let Some((tensor, value)) = labels.as_mut().and_then(|(t, values)| Some((t, values.next()?))) {
            row.label = Some(label_value(value)?);
            label_slot = Some(tensor.slot(value));
        }
        let mut slots = Vec::new();
        if let Some((tensor, values)) = &mut numbers {
            row.scores.reserve_exact(tensor.width);
            slots.reserve_exact(tensor.width);
            for value in values.take(tensor.width) {
                row.scores.push(value.score()?);
                slots.push(tensor.slot(value));
            }
        }
        reading.push(row, label_slot, slots);
    }
    if reading.rows().is_empty() { Err(WireError::NoPrediction) } else { Ok(reading) }
}

fn label_value(node: Node<'_>) -> Result<Value, WireError> {
    let value = node.label()?;
    let is_classification = |text: &str| {
        let mut parts = text.splitn(3, ':');
        let number = parts.next().is_some_and(|value| value.parse::<f64>().is_ok());
        number && parts.next().is_some_and(|index| index.parse::<u32>().is_ok())
    };
    match &value {
        Value::Text(text) if is_classification(text) => Err(CLASSIFICATION),
        _ => Ok(value),
    }
}

#[cfg(test)]
mod tests;

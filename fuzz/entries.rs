//! What is fuzzed, through canard's public interface: `fuzz_targets/` runs it under libFuzzer, and
//! `tests/allocations/hostile.rs` runs it on stable Rust over generated and mutated bodies, and counts the memory.
//!
//! Each function takes any bytes. It panics when something does not hold: what can be read is left alone by an
//! edit that changes nothing, is written when values change, is read again with as many rows, and grows by no
//! more than the new values.

use bytes::Bytes;
use canard::wire::{
    Answer, Codec, Framer, Framing, Generation, Head, Moment, Outputs, Protocol, Reading, Value, WireError,
    encoding::{Decoder, Encoding},
    scan as scan_json,
};
use http::{HeaderMap, HeaderName, HeaderValue};

/// Every codec, with a route of each kind of body that it reads.
pub(crate) fn routes() -> Vec<(Protocol, &'static str)> {
    let json = |label: &str, scores: &str| {
        let (label, scores) = (Some(label.parse().unwrap()), Some(scores.parse().unwrap()));
        Protocol::Json(canard::wire::JsonApi { label, scores })
    };
    vec![
        (Protocol::OpenInference, "/v2/models/m/infer"),
        (Protocol::OpenInference, "/inference.GRPCInferenceService/ModelInfer"),
        (Protocol::OpenInference, "/inference.GRPCInferenceService/ModelStreamInfer"),
        (Protocol::KserveV1, "/v1/models/m:predict"),
        (Protocol::TfServing, "/v1/models/m:predict"),
        (Protocol::TfServing, "/tensorflow.serving.PredictionService/Predict"),
        (Protocol::TfServing, "/tensorflow.serving.PredictionService/Classify"),
        (Protocol::TfServing, "/tensorflow.serving.PredictionService/Regress"),
        (Protocol::Mlflow, "/invocations"),
        (json("$[*].label", "$[*].scores"), "/predict"),
        (Protocol::TritonGenerate, "/v2/models/m/generate"),
        (Protocol::OpenAi, "/v1/chat/completions"),
        (Protocol::OpenAi, "/v1/completions"),
        (Protocol::OpenAi, "/v1/embeddings"),
        (Protocol::OpenAi, "/v1/responses"),
        (Protocol::Anthropic, "/v1/messages"),
        (Protocol::Ollama, "/api/chat"),
        (Protocol::Ollama, "/api/generate"),
        (Protocol::Ollama, "/api/embed"),
        (Protocol::Tgi, "/generate"),
        (Protocol::Tei, "/embed"),
        (Protocol::Tei, "/rerank"),
        (Protocol::Tei, "/predict"),
        (Protocol::Cohere, "/v2/rerank"),
        (Protocol::TorchServe, "/predictions/m"),
        (Protocol::SageMaker, "/invocations"),
        (Protocol::BentoMl, "/predict"),
        (Protocol::RayServe, "/"),
        (Protocol::LitServe, "/predict"),
        (Protocol::Auto, "/"),
    ]
}

/// One byte names a route, one the content type, or else the end of the JSON before binary tensors; the rest is a
/// body of each kind.
pub(crate) fn codecs(data: &[u8]) {
    let [route, head, body @ ..] = data else { return };
    let routes = routes();
    let (protocol, path) = &routes[usize::from(*route) % routes.len()];
    let mut headers = HeaderMap::new();
    if head & 3 == 2 {
        headers.insert(http::header::CONTENT_TYPE, HeaderValue::from_static("text/csv"));
    }
    if head & 1 == 1 {
        let name = HeaderName::from_static("inference-header-content-length");
        headers.insert(name, HeaderValue::from(body.len() * usize::from(*head) / 256));
    }
    of_a_body(protocol, path, &headers, body);
}

/// A body as a response, as a request, and as generated text.
pub(crate) fn of_a_body(protocol: &Protocol, path: &str, headers: &HeaderMap, body: &[u8]) {
    let codec = protocol.codec(&Outputs::default());
    rows(body, headers, &|headers, body| codec.read(Head { path, headers }, body));
    rows(body, headers, &|headers, body| codec.features(Head { path, headers }, body));
    if let Ok(generation) = codec.generation(Head { path, headers }, body) {
        text(&generation, body);
    }
}

type Read<'a> = &'a dyn Fn(&HeaderMap, &[u8]) -> Result<Reading, WireError>;

fn rows(body: &[u8], headers: &HeaderMap, read: Read<'_>) {
    let Ok(reading) = read(headers, body) else { return };
    let before = reading.answer();
    assert_eq!(reading.splice(body, &before), Ok(None), "an edit that changes nothing");
    let mut after = before.clone();
    let mut values = 0;
    for row in &mut after.rows {
        for value in row.label.iter_mut().chain(&mut row.scores) {
            values += 1;
            *value = other(value);
        }
    }
    edited(&reading, body, headers, &after, values, Some(read));
    // Each edit of structure is carried out or refused.
    let structures: [fn(&mut Answer); 5] = [
        |answer| answer.rows.iter_mut().for_each(|row| row.scores.push(Value::Float(0.5))),
        |answer| answer.rows.iter_mut().for_each(|row| drop(row.scores.pop())),
        |answer| answer.order = Some((0..answer.rows.len()).rev().collect()),
        |answer| answer.order = Some(vec![0; answer.rows.len().min(8)]),
        |answer| {
            if let Some(declared) = &mut answer.declared {
                declared.shape.push(7);
                declared.datatype.push('X');
            }
        },
    ];
    for change in structures {
        let mut after = before.clone();
        change(&mut after);
        edited(&reading, body, headers, &after, after.rows.len(), None);
    }
}

fn edited(
    reading: &Reading,
    body: &[u8],
    headers: &HeaderMap,
    after: &Answer,
    values: usize,
    again: Option<Read<'_>>,
) {
    let Ok(Some(out)) = reading.splice(body, after) else { return };
    // A byte that JSON wants escaped takes six; an item of a list may be asked for eight times.
    let most = body.len() * if after.order.is_some() { 8 } else { 6 } + 64 * values + 64;
    assert!(out.body.len() <= most, "it grew without bound");
    let Some(again) = again else { return };
    let mut headers = headers.clone();
    for (name, value) in out.headers {
        headers.insert(name, value);
    }
    match again(&headers, &out.body) {
        Ok(again) => assert_eq!(again.rows().len(), after.rows.len(), "rows came or went"),
        // Where no datatype is told, other values may be taken for nothing.
        Err(WireError::NoPrediction | WireError::Unsupported(_)) => {}
        Err(error) => panic!("what was written can't be read: {error}"),
    }
}

/// Another value of the same kind.
fn other(value: &Value) -> Value {
    match value {
        Value::Null => Value::Null,
        Value::Bool(truth) => Value::Bool(!truth),
        Value::Int(number) => Value::Int(i64::from(*number != 1)),
        // Whole numbers over 63 bits.
        Value::Float(number) if number.fract() == 0.0 && number.abs() > 1e18 => Value::Int(1),
        Value::Float(_) => Value::Float(0.375),
        Value::Text(text) => Value::Text(format!("{text}x")),
    }
}

fn text(generation: &Generation, body: &[u8]) {
    let values: Vec<Value> = generation.parts.iter().map(|part| part.value.clone()).collect();
    assert_eq!(generation.splice(body, &values), Ok(None), "an edit that changes nothing");
    let changed: Vec<Value> = values.iter().map(other).collect();
    if let Ok(Some(out)) = generation.splice(body, &changed) {
        assert!(out.len() <= body.len() * 6 + 64 * values.len() + 64, "it grew without bound");
    }
}

/// One byte names framing and coding, one the size of the pieces; the rest is a stream.
pub(crate) fn streams(data: &[u8]) {
    let [kind, size, stream @ ..] = data else { return };
    let framing = [Framing::Whole, Framing::Sse, Framing::Ndjson, Framing::Grpc][usize::from(kind & 3)];
    let limit = 1 << 12;
    let mut framer = Framer::new(framing, limit);
    let mut length = 0;
    let mut failed = false;
    for piece in stream.chunks(usize::from(*size).max(1)) {
        framer.push(Bytes::copy_from_slice(piece));
        while let Some(chunk) = framer.next() {
            match chunk {
                Ok(chunk) => {
                    length += chunk.bytes().len();
                    let codec = Protocol::OpenInference.codec(&Outputs::default());
                    moment(codec.as_ref(), chunk.payload());
                }
                Err(_) => {
                    failed = true;
                    break;
                }
            }
        }
        if failed {
            break;
        }
    }
    length += framer.rest().len();
    assert!(length <= stream.len(), "bytes came from nowhere");
    for encoding in [Encoding::Gzip, Encoding::Identity] {
        if let Ok(decoded) = encoding.decode(stream, limit) {
            assert!(decoded.len() <= limit);
        }
        let mut decoder = Decoder::new(encoding, limit);
        let pieces = stream.chunks(usize::from(*size).max(1)).map(|piece| decoder.push(piece).ok());
        let decoded: usize = pieces.map_while(|piece| piece).map(|piece| piece.len()).sum();
        assert!(decoded <= limit.max(stream.len()), "{decoded}");
    }
}

fn moment(codec: &dyn Codec, payload: &[u8]) -> Option<Moment> {
    let headers = HeaderMap::new();
    let head = Head { path: "/v2/models/m/generate_stream", headers: &headers };
    codec.generation(head, payload).ok().map(|generation| generation.moment)
}

/// Any bytes as JSON, and any text as a path into them.
pub(crate) fn scan(data: &[u8]) {
    let Ok(tree) = scan_json(data) else { return };
    let root = tree.root();
    assert!(root.span().end <= data.len());
    let mut nodes: Vec<_> = root.elements().collect();
    nodes.extend(root.members().map(|(_, value)| value));
    for node in nodes {
        let (span, outer) = (node.span(), root.span());
        assert!(outer.start < span.start && span.end < outer.end, "a value outside of its container");
        let _ = (node.value(), node.text(), node.leaves().map(Iterator::count));
    }
    if let Ok(text) = std::str::from_utf8(data) {
        let _ = text.parse::<canard::wire::JsonPath>();
    }
}

//! What is fuzzed, through canard's public interface: `fuzz_targets/` runs it under libFuzzer, and
//! `tests/allocations/hostile.rs` runs it on stable Rust over generated and mutated bodies, and counts the memory.
//!
//! Each function takes any bytes. It panics when something does not hold: what can be read is left alone by an
//! edit that changes nothing, is written when values change, is read again with as many rows, and grows by no
//! more than the new values.

use bytes::Bytes;
use canard::wire::{
    Answer, Chunk, Codec, Framer, Framing, Generation, Head, Outputs, Protocol, Reading, Value, WireError,
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
        (Protocol::TfServing, "/v1/models/m:classify"),
        (Protocol::TfServing, "/v1/models/m:regress"),
        (Protocol::TritonGenerate, "/v2/models/m/generate_stream"),
        (Protocol::Tgi, "/"),
        (Protocol::Tei, "/similarity"),
        (Protocol::Tei, "/embed_sparse"),
        (Protocol::SageMaker, "/endpoints/m/invocations"),
        (Protocol::LitServe, "/v1/chat/completions"),
        (Protocol::Auto, "/invocations"),
        (Protocol::Auto, "/v1/responses"),
        (Protocol::Auto, "/v2/models/m/infer"),
        (Protocol::Auto, "/predict"),
        (Protocol::Auto, "/classify"),
        (Protocol::Http, "/"),
    ]
}

/// One byte names a route, one the content type, or else the end of the JSON before binary tensors; the rest is a
/// body of each kind.
pub(crate) fn codecs(data: &[u8]) {
    let [route, head, body @ ..] = data else { return };
    let routes = routes();
    let (protocol, path) = &routes[usize::from(*route) % routes.len()];
    let mut headers = labelled(FRAMINGS[usize::from(head >> 2 & 3)]);
    if head & 3 == 2 {
        headers.insert(http::header::CONTENT_TYPE, HeaderValue::from_static("text/csv"));
    }
    if head & 1 == 1 {
        let name = HeaderName::from_static("inference-header-content-length");
        headers.insert(name, HeaderValue::from(body.len() * usize::from(*head) / 256));
    }
    of_a_body(protocol, path, &headers, body);
}

const FRAMINGS: [Framing; 5] = [Framing::Whole, Framing::Sse, Framing::Ndjson, Framing::Grpc, Framing::Text];

/// Headers that tell how a body is cut into chunks.
fn labelled(framing: Framing) -> HeaderMap {
    let media = match framing {
        Framing::Sse | Framing::Text => "text/event-stream",
        Framing::Ndjson => "application/x-ndjson",
        Framing::Grpc => "application/grpc",
        _ => return HeaderMap::new(),
    };
    [(http::header::CONTENT_TYPE, HeaderValue::from_static(media))].into_iter().collect()
}

/// A body as a response, as a request, and as generated text.
pub(crate) fn of_a_body(protocol: &Protocol, path: &str, headers: &HeaderMap, body: &[u8]) {
    let codec = protocol.codec(&Outputs::default());
    rows(body, headers, &|headers, body| codec.read(Head { path, headers }, body));
    rows(body, headers, &|headers, body| codec.features(Head { path, headers }, body));
    if let Ok(generation) = codec.generation(Head { path, headers }, body) {
        let _ = text(&generation, body);
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

/// The body with every part of its text changed.
fn text(generation: &Generation, body: &[u8]) -> Option<Vec<u8>> {
    let values: Vec<Value> = generation.parts.iter().map(|part| part.value.clone()).collect();
    assert_eq!(generation.splice(body, &values), Ok(None), "an edit that changes nothing");
    let changed: Vec<Value> = values.iter().map(other).collect();
    let out = generation.splice(body, &changed).ok().flatten()?;
    assert!(out.len() <= body.len() * 6 + 64 * values.len() + 64, "it grew without bound");
    Some(out)
}

/// One byte names framing and coding, one the size of the pieces, one the route; the rest is a stream.
pub(crate) fn streams(data: &[u8]) {
    let [kind, size, route, stream @ ..] = data else { return };
    let framing = FRAMINGS[usize::from(kind & 7) % FRAMINGS.len()];
    let coding = encoding(usize::from(kind >> 3)).unwrap_or(Encoding::Identity);
    let size = usize::from(*size).max(1);
    let routes = routes();
    let (protocol, path) = &routes[usize::from(*route) % routes.len()];
    let codec = protocol.codec(&Outputs::default());
    let headers = labelled(framing);
    let mut framer = Framer::new(framing, LIMIT).with_messages(coding);
    let mut passed = Vec::new();
    for piece in stream.chunks(size) {
        framer.push(Bytes::copy_from_slice(piece));
        while let Some(Ok(chunk)) = framer.next() {
            passed.extend_from_slice(chunk.bytes());
            event(codec.as_ref(), Head { path, headers: &headers }, framing, &chunk);
        }
    }
    if let Some(chunk) = framer.last() {
        passed.extend_from_slice(chunk.bytes());
        event(codec.as_ref(), Head { path, headers: &headers }, framing, &chunk);
    }
    passed.extend_from_slice(&framer.rest());
    assert_eq!(passed, stream, "chunks are the stream");
    for coding in (0..CODINGS.len()).filter_map(encoding) {
        if let Ok(decoded) = coding.decode(stream, LIMIT) {
            assert!(decoded.len() <= LIMIT);
        }
        let mut decoder = Decoder::new(coding, LIMIT);
        for piece in stream.chunks(size) {
            let Ok(decoded) = decoder.push(piece) else { break };
            assert!(decoded.len() <= LIMIT, "{}", decoded.len());
        }
        let _ = decoder.finish();
    }
}

/// Most bytes of a chunk, and of what a piece is decoded to.
const LIMIT: usize = 1 << 12;

const CODINGS: [&str; 5] = ["identity", "gzip", "deflate", "br", "zstd"];

/// `None`: canard was built without it.
fn encoding(index: usize) -> Option<Encoding> {
    let name = HeaderValue::from_static(CODINGS[index % CODINGS.len()]);
    let headers = [(http::header::CONTENT_ENCODING, name)].into_iter().collect();
    Encoding::of(&headers).ok()
}

/// One message of a stream: read, edited and put back.
fn event(codec: &dyn Codec, head: Head<'_>, framing: Framing, chunk: &Chunk) {
    let payload = chunk.payload();
    // A compressed message is compressed anew.
    if framing != Framing::Grpc {
        assert_eq!(chunk.with_payload(payload.to_vec()).bytes(), chunk.bytes(), "the same payload");
    }
    rows(payload, head.headers, &|headers, body| codec.read(Head { path: head.path, headers }, body));
    let Some(edited) = codec.generation(head, payload).ok().and_then(|found| text(&found, payload)) else {
        return;
    };
    let again = chunk.with_payload(edited.clone());
    if framing == Framing::Ndjson || framing == Framing::Whole {
        assert_eq!(again.payload(), edited, "what was written");
    }
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

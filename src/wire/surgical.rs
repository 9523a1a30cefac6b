//! Every codec on what real servers sent (`tests/fixtures/wire`): it is read, an edit moves no byte but those of
//! the edited values and their lengths, and reads back as it was meant.

use std::{fs, path::Path, sync::Arc};

use http::{HeaderMap, HeaderName, HeaderValue, Method};
use proptest::prelude::*;

use super::{encoding::Encoding, *};

/// One recorded message, decoded: of a gRPC body one of its messages.
pub(crate) struct Message {
    /// `server/case`, and which side or message it is.
    pub(crate) name: String,
    pub(crate) path: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
    pub(crate) codec: Arc<dyn Codec>,
    pub(crate) is_request: bool,
}

impl Message {
    pub(crate) fn head(&self) -> Head<'_> {
        Head { path: &self.path, headers: &self.headers }
    }

    /// Is it generated text, or a stream, which is not read as rows?
    fn is_text(&self) -> bool {
        self.codec.framing(self.head()) != Framing::Whole && !self.name.contains("grpc")
            || self.codec.generation(self.head(), &self.body).is_ok()
    }

    fn read(&self) -> Result<Reading, WireError> {
        self.read_body(self.head(), &self.body)
    }

    fn read_body(&self, head: Head<'_>, body: &[u8]) -> Result<Reading, WireError> {
        match self.is_request {
            true => self.codec.features(head, body),
            false => self.codec.read(head, body),
        }
    }
}

fn protocol(server: &str, case: &str, path: &str) -> Protocol {
    match (server, case.split('-').next().unwrap_or_default()) {
        ("kserve", _) if path.starts_with("/v1/") => Protocol::KserveV1,
        ("triton", "generate") => Protocol::TritonGenerate,
        ("mlserver" | "triton" | "kserve", _) => Protocol::OpenInference,
        ("mlflow", _) => Protocol::Mlflow,
        ("bentoml", _) => Protocol::BentoMl,
        ("litserve", _) => Protocol::LitServe,
        (_, "tf") => Protocol::TfServing,
        (_, "tei") => Protocol::Tei,
        (_, "tgi") => Protocol::Tgi,
        (_, "cohere") => Protocol::Cohere,
        (_, "ollama") => Protocol::Ollama,
        (_, "anthropic") => Protocol::Anthropic,
        (_, "openai") => Protocol::OpenAi,
        _ => Protocol::Auto,
    }
}

/// All messages of requests that were answered well, where predictions are read.
pub(crate) fn messages() -> Vec<Message> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/wire");
    let folders = |path: &Path| {
        let entries = fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path());
        let mut folders: Vec<_> = entries.filter(|path| path.is_dir()).collect();
        folders.sort();
        folders
    };
    let name = |path: &Path| path.file_name().unwrap().to_str().unwrap().to_owned();
    let mut messages = Vec::new();
    for server in folders(&root) {
        for case in folders(&server) {
            let text = |file: &str| fs::read_to_string(case.join(file)).unwrap();
            let request = text("request.head");
            let response = text("response.head");
            let path = match request.lines().find_map(|line| line.strip_prefix(":path: ")) {
                Some(path) => path.to_owned(),
                None => request.split(' ').nth(1).unwrap().to_owned(),
            };
            let codec = protocol(&name(&server), &name(&case), &path).codec(&Outputs::default());
            if !response.lines().next().unwrap().contains("200") || !codec.is_prediction(&Method::POST, &path)
            {
                continue;
            }
            for (head, side) in [(&request, "request"), (&response, "response")] {
                let headers = headers(head);
                let body = fs::read(case.join(format!("{side}.body"))).unwrap();
                let bodies = match head.starts_with(':') {
                    true => grpc_messages(&body),
                    false => vec![Encoding::of(&headers).unwrap().decode(&body, 1 << 24).unwrap()],
                };
                for (index, body) in bodies.into_iter().enumerate() {
                    messages.push(Message {
                        name: format!("{}/{} {side} {index}", name(&server), name(&case)),
                        path: path.clone(),
                        headers: headers.clone(),
                        body,
                        codec: codec.clone(),
                        is_request: side == "request",
                    });
                }
            }
        }
    }
    messages
}

fn headers(head: &str) -> HeaderMap {
    let lines = head.lines().filter(|line| !line.starts_with(':')).filter_map(|line| line.split_once(": "));
    lines
        .map(|(name, value)| {
            let name: HeaderName = name.to_ascii_lowercase().parse().unwrap();
            (name, HeaderValue::from_str(value).unwrap())
        })
        .collect()
}

fn grpc_messages(mut body: &[u8]) -> Vec<Vec<u8>> {
    let mut messages = Vec::new();
    while let Some((prefix, rest)) = body.split_first_chunk::<5>() {
        assert_eq!(prefix[0], 0, "a compressed message");
        let length = u32::from_be_bytes(prefix[1..].try_into().unwrap()) as usize;
        messages.push(rest[..length].to_vec());
        body = &rest[length..];
    }
    messages
}

/// Another value of the same kind, one that every datatype can hold.
pub(crate) fn other(value: &Value, draw: u64) -> Value {
    let quarters = (draw % 64) as f64 / 64.0;
    match value {
        Value::Null => Value::Null,
        Value::Bool(truth) => Value::Bool(!truth),
        Value::Int(number) => Value::Int(if *number == 1 { (draw % 2 * 2).cast_signed() } else { 1 }),
        Value::Float(number) if number.fract() == 0.0 && number.abs() > 1e18 => Value::Int(1),
        Value::Float(number) if *number == quarters => Value::Float(quarters + 1.0),
        Value::Float(_) => Value::Float(quarters),
        Value::Text(text) => Value::Text(format!("{text}é\"{}", "x".repeat((draw % 300) as usize))),
    }
}

/// Edits the values that the bits of `draw` point at, writes and reads again.
pub(crate) fn is_surgical(message: &Message, draw: u64) -> Result<(), TestCaseError> {
    let name = &message.name;
    let reading = message.read().unwrap();
    let before = reading.answer();
    prop_assert_eq!(reading.splice(&message.body, &before), Ok(None), "{}", name);
    let mut after = before.clone();
    let mut place = 0;
    // Scores that move a class to another place of a list that is sorted by them are tested with that list.
    let sorted = name.contains("classification") || before.content == Content::Ranking;
    for row in &mut after.rows {
        let scores = if sorted { &mut [] } else { row.scores.as_mut_slice() };
        for value in row.label.iter_mut().chain(scores) {
            place += 1;
            if draw.rotate_left(place) & 1 == 1 {
                *value = other(value, draw.rotate_right(place));
            }
        }
    }
    let Some(spliced) = reading.splice(&message.body, &after).unwrap() else { return Ok(()) };
    let mut headers = message.headers.clone();
    for (name, value) in spliced.headers {
        headers.insert(name, value);
    }
    let again = message.read_body(Head { headers: &headers, ..message.head() }, &spliced.body).unwrap();
    prop_assert_eq!(format!("{:?}", again.rows()), format!("{:?}", &after.rows), "{}", name);
    let untouched = reading.masked(&message.body, &before, &after);
    prop_assert_eq!(again.masked(&spliced.body, &before, &after), untouched, "{}", name);
    Ok(())
}

#[test]
fn what_servers_sent_is_read() {
    let messages = messages();
    let unread: Vec<String> = messages
        .iter()
        .filter(|message| message.is_request || !message.is_text())
        .filter_map(|message| Some(format!("{}: {}", message.name, message.read().err()?)))
        .collect();
    let known = [
        // Named by JSON paths, which tell no features; and a route that streams text.
        "bentoml/",
        // The error is in the trailers, or in the message.
        "kserve/grpc-unknown-model response",
        "kserve/grpc-wrong-shape response",
        "mlserver/grpc-unknown-model response",
        "mlserver/grpc-wrong-shape response",
        "triton/grpc-stream-error response",
        "triton/grpc-unknown-model response",
        "triton/grpc-wrong-shape response",
    ];
    let unknown = |error: &&String| !known.iter().any(|known| error.starts_with(known));
    assert_eq!(unread.iter().filter(unknown).collect::<Vec<_>>(), Vec::<&String>::new());
    assert!(messages.len() - unread.len() > 60, "{} of {}", unread.len(), messages.len());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn an_edit_of_what_servers_sent_is_surgical(draw: u64) {
        for message in messages().iter().filter(|message| message.read().is_ok()) {
            is_surgical(message, draw)?;
        }
    }
}

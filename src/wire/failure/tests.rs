//! Each provider's words for each kind of failure.

use std::{fmt::Write as _, time::Duration};

use super::*;
use crate::wire::{Framing, Outputs, Protocol};

const KINDS: [FailureKind; 9] = [
    FailureKind::RateLimited,
    FailureKind::Overloaded,
    FailureKind::ContextLength,
    FailureKind::ModelNotFound,
    FailureKind::InvalidRequest,
    FailureKind::Authentication,
    FailureKind::Unavailable,
    FailureKind::Timeout,
    FailureKind::Internal,
];

/// Without what differs from one answer to the next.
fn masked(text: &str) -> String {
    let is_id = |c: char| c.is_ascii_digit() || ('a'..='f').contains(&c);
    let mut out = String::new();
    let mut rest = text;
    while let Some(start) = rest.find(is_id) {
        let length = rest[start..].find(|c| !is_id(c)).unwrap_or(rest.len() - start);
        out.push_str(&rest[..start]);
        out.push_str(if length == 32 { "<id>" } else { &rest[start..start + length] });
        rest = &rest[start + length..];
    }
    out + rest
}

fn header(name: &str, value: &str) -> String {
    let value = match name {
        "x-amzn-requestid" => "<id>".to_owned(),
        _ if name.starts_with("anthropic") && name.ends_with("reset") => "<moment>".to_owned(),
        _ => masked(value),
    };
    format!("  {name}: {value}\n")
}

fn shown(protocol: &Protocol, path: &str) -> String {
    let codec = protocol.codec(&Outputs::default());
    let mut out = format!("== {} {path}\n", protocol.name());
    let mut last = Vec::new();
    for kind in KINDS {
        let retry_after = (kind == FailureKind::RateLimited).then_some(Duration::from_millis(1500));
        let failure = Failure { kind: Some(kind), retry_after, ..Failure::new(kind.status(), "no") };
        let error = codec.error(path, &failure);
        let body = masked(&String::from_utf8_lossy(&error.body));
        let _ = writeln!(out, "{kind:?} {} {}", error.status.as_u16(), body.trim_end().replace('\n', "⏎"));
        let headers: Vec<_> = error
            .headers
            .iter()
            .map(|(name, value)| header(name.as_str(), value.to_str().unwrap()))
            .collect();
        // Told once, where they are new.
        out.extend(headers.iter().filter(|header| !last.contains(*header)).map(String::as_str));
        last = headers;
    }
    for framing in [Framing::Sse, Framing::Ndjson] {
        let failure = Failure { kind: Some(FailureKind::Overloaded), ..Failure::new(StatusCode::OK, "no") };
        if let Some(bytes) = codec.stream_error(path, framing, &failure) {
            let _ = writeln!(out, "in {framing:?}: {:?}", String::from_utf8_lossy(&bytes));
        }
    }
    out + "\n"
}

#[tokio::test(start_paused = true)]
async fn every_provider_has_its_own_words() {
    let all: String = [
        (Protocol::OpenAi, "/v1/chat/completions"),
        (Protocol::OpenAi, "/v1/responses"),
        (Protocol::Anthropic, "/v1/messages"),
        (Protocol::Ollama, "/api/chat"),
        (Protocol::Tgi, "/generate_stream"),
        (Protocol::Tei, "/embed"),
        (Protocol::Tei, "/v1/embeddings"),
        (Protocol::Cohere, "/v2/rerank"),
        (Protocol::TritonGenerate, "/v2/models/m/generate_stream"),
        (Protocol::OpenInference, "/v2/models/m/infer"),
        (Protocol::KserveV1, "/v1/models/m:predict"),
        (Protocol::TfServing, "/v1/models/m:classify"),
        (Protocol::Mlflow, "/invocations"),
        (Protocol::TorchServe, "/predictions/m"),
        (Protocol::SageMaker, "/endpoints/m/invocations"),
        (Protocol::BentoMl, "/classify"),
        (Protocol::RayServe, "/"),
        (Protocol::LitServe, "/predict"),
    ]
    .iter()
    .map(|(protocol, path)| shown(protocol, path))
    .collect();
    insta::assert_snapshot!(all);
}

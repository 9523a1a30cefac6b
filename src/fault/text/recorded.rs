//! What real servers sent (`tests/fixtures/wire`): an edit of a recorded stream is the edit of its joined texts,
//! its repetitions agree with its pieces, and chunks that did not change keep their bytes.

use std::{collections::BTreeMap, path::Path};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};

use super::Role;
use crate::{
    fault::{
        Piece,
        text_testing::{fault, piece, run},
    },
    wire::{Codec, Framer, Head, Moment, Outputs, Protocol, Value},
};

fn recordings() -> Vec<(&'static str, Protocol)> {
    let of = |names: &'static [&'static str], protocol: Protocol| {
        names.iter().map(move |name| (*name, protocol.clone())).collect::<Vec<_>>()
    };
    [
        of(
            &[
                "faithful/openai-responses",
                "faithful/openai-responses-stream",
                "fakellm/openai-success",
                "fakellm/openai-success-stream",
                "fakellm/openai-number-stream",
                "fakellm/openai-tool",
                "fakellm/openai-tool-stream",
                "litserve/openai-chat",
                "litserve/openai-chat-stream",
            ],
            Protocol::OpenAi,
        ),
        of(
            &[
                "fakellm/anthropic-success",
                "fakellm/anthropic-success-stream",
                "fakellm/anthropic-number-stream",
                "fakellm/anthropic-tool",
                "fakellm/anthropic-tool-stream",
            ],
            Protocol::Anthropic,
        ),
        of(
            &[
                "faithful/ollama-chat",
                "faithful/ollama-chat-stream",
                "faithful/ollama-generate",
                "faithful/ollama-generate-stream",
            ],
            Protocol::Ollama,
        ),
        of(&["faithful/tgi-generate", "faithful/tgi-generate-stream"], Protocol::Tgi),
        of(&["triton/generate", "triton/generate-stream"], Protocol::TritonGenerate),
    ]
    .concat()
}

/// The path of the request, the headers of the response and its body.
fn load(name: &str) -> (String, HeaderMap, Bytes) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/wire").join(name);
    let read = |file: &str| std::fs::read(folder.join(file)).unwrap_or_else(|e| panic!("{name}/{file}: {e}"));
    let head = |file: &str| String::from_utf8(read(file)).unwrap();
    let path = head("request.head").split_whitespace().nth(1).unwrap().to_owned();
    let response = head("response.head");
    let lines = response.lines().skip(1).filter_map(|line| line.split_once(": "));
    let header = |(name, value): (&str, &str)| {
        (name.parse::<HeaderName>().unwrap(), HeaderValue::from_str(value.trim()).unwrap())
    };
    (path, lines.map(header).collect(), read("response.body").into())
}

/// The pieces of a body that comes in chunks of so many bytes.
fn pieces(codec: &dyn Codec, head: Head<'_>, body: &Bytes, size: usize) -> Vec<Piece> {
    let mut framer = Framer::new(codec.framing(head), 1 << 20);
    let mut chunks = Vec::new();
    for start in (0..body.len()).step_by(size) {
        framer.push(body.slice(start..body.len().min(start + size)));
        while let Some(chunk) = framer.next() {
            chunks.push(chunk.unwrap());
        }
    }
    chunks.extend(framer.last());
    let read = |chunk: crate::wire::Chunk| match codec.generation(head, chunk.payload()) {
        Ok(generation) => Piece::new(chunk, generation),
        Err(_) => Piece::opaque(chunk.into_bytes()),
    };
    chunks.into_iter().map(read).collect()
}

/// The joined texts of a role by their number, and what the wire repeats of them.
fn texts(pieces: &[Piece], role: Role) -> (BTreeMap<u32, String>, Vec<(u32, String)>) {
    let (mut joined, mut repeated) = (BTreeMap::<u32, String>::new(), Vec::new());
    for piece in pieces {
        for (index, part) in piece.parts().iter().enumerate().filter(|(_, part)| part.role == role) {
            let Value::Text(text) = piece.value(index) else { continue };
            match part.repeats {
                true => repeated.push((part.text, text.clone())),
                false => joined.entry(part.text).or_default().push_str(text),
            }
        }
    }
    joined.retain(|_, text| !text.is_empty());
    (joined, repeated)
}

#[test]
fn recorded_answers_are_edited_as_their_joined_texts() {
    let (mut edited, mut repetitions) = (0, 0);
    for (name, protocol) in recordings() {
        let codec = protocol.codec(&Outputs::default());
        let (path, headers, body) = load(name);
        let head = Head { path: &path, headers: &headers };
        for (yaml, role) in super::tests::FAULTS {
            let fault = fault(yaml);
            for size in [1, 7, 1 << 20] {
                let before = pieces(codec.as_ref(), head, &body, size);
                let (joined, _) = texts(&before, role);
                let said: Vec<_> =
                    joined.iter().map(|(n, text)| (role, *n, false, Value::Text(text.clone()))).collect();
                let want =
                    texts(&run(&fault, 5, 1.0, vec![piece(Moment::Whole, &said)]).unwrap().sent, role).0;

                let ran = run(&fault, 5, 1.0, before.clone()).unwrap();
                assert_eq!(ran.sent.len(), before.len(), "{name} {yaml}");
                for (before, after) in before.iter().zip(&ran.sent).filter(|(_, after)| !after.is_changed()) {
                    assert_eq!(before.chunk().bytes(), after.chunk().bytes(), "{name} {yaml}");
                }
                edited += usize::from(ran.edited.changed > 0);
                // What can't stand there (arguments that are an object on this wire) is told by the splice.
                if ran.sent.iter().any(|piece| piece.clone().into_chunk().is_err()) {
                    assert!(name.contains("tool") && yaml.contains("malformed"), "{name} {yaml}");
                    continue;
                }
                let out: Bytes = ran.bytes().concat().into();
                let (got, repeated) = texts(&pieces(codec.as_ref(), head, &out, 1 << 20), role);
                assert_eq!(got, want, "{name} {yaml}");
                for (number, text) in repeated {
                    assert_eq!(Some(&text), got.get(&number).or(Some(&String::new())), "{name} {yaml}");
                    repetitions += 1;
                }
            }
        }
    }
    assert!(edited > 300 && repetitions > 100, "{edited} edits, {repetitions} repetitions");
}

#[test]
fn recorded_answers_tell_why_they_end_and_what_they_count() {
    for (name, protocol) in recordings() {
        let codec = protocol.codec(&Outputs::default());
        let (path, headers, body) = load(name);
        let head = Head { path: &path, headers: &headers };
        for yaml in
            ["{ finish-reason: { to: unknown } }", "{ missing-done: { what: both } }", "{ refusal: {} }"]
        {
            let before = pieces(codec.as_ref(), head, &body, 1 << 20);
            let told = texts(&before, Role::FinishReason).0;
            let ran = run(&fault(yaml), 5, 1.0, before).unwrap();
            if !told.is_empty() && !yaml.contains("refusal") {
                assert!(ran.edited.changed > 0, "{name} {yaml}: {:?}", ran.edited);
                let now = texts(&ran.sent, Role::FinishReason).0;
                assert!(now != told, "{name} {yaml}: {now:?}");
            }
        }
    }
}

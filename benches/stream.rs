//! What it costs to edit a stream of 10,000 server-sent events, beside a `serde_json` parse-and-print of the same
//! events and beside copying them; and one event alone, which is the time added to each.
//!
//! `cargo bench --bench stream`. The stream comes in pieces of 16 KiB, as a connection brings it.

use bytes::Bytes;
use canard::wire::{Codec, Framer, Framing, Head, Outputs, Protocol, Role, Value};
use divan::{Bencher, black_box, counter::BytesCount};
use http::{HeaderMap, HeaderValue, header::CONTENT_TYPE};

const EVENTS: usize = 10_000;
const PIECE: usize = 16 << 10;
const LIMIT: usize = 1 << 20;

fn main() {
    divan::main();
}

fn event(number: usize) -> String {
    format!(
        "data: {{\"id\":\"chatcmpl-9x\",\"object\":\"chat.completion.chunk\",\"created\":1767323045,\"model\":\"gpt-4o-mini\",\
         \"choices\":[{{\"index\":0,\"delta\":{{\"content\":\" word {number}\"}},\"logprobs\":null,\"finish_reason\":null}}]}}\n\n"
    )
}

fn stream() -> Vec<u8> {
    (0..EVENTS).map(event).collect::<String>().into_bytes()
}

fn headers() -> HeaderMap {
    [(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"))].into_iter().collect()
}

/// Frames, reads and writes a stream; `change` edits each piece of text.
fn pass(codec: &dyn Codec, headers: &HeaderMap, stream: &Bytes, change: impl Fn(&Value) -> Value) -> usize {
    let head = Head { path: "/v1/chat/completions", headers };
    let mut framer = Framer::new(Framing::Sse, LIMIT);
    let mut sent = 0;
    for start in (0..stream.len()).step_by(PIECE) {
        framer.push(stream.slice(start..stream.len().min(start + PIECE)));
        while let Some(Ok(chunk)) = framer.next() {
            let Ok(generation) = codec.generation(head, chunk.payload()) else { continue };
            let value = |part: &canard::wire::Part| match part.role {
                Role::Text => change(&part.value),
                _ => part.value.clone(),
            };
            let values: Vec<Value> = generation.parts.iter().map(value).collect();
            let chunk = match generation.splice(chunk.payload(), &values) {
                Ok(Some(payload)) => chunk.with_payload(payload),
                _ => chunk,
            };
            sent += black_box(chunk.into_bytes()).len();
        }
    }
    sent
}

fn measure(bencher: Bencher<'_, '_>, stream: Vec<u8>, change: fn(&Value) -> Value) {
    let (codec, headers) = (Protocol::OpenAi.codec(&Outputs::default()), headers());
    let stream = Bytes::from(stream);
    bencher
        .counter(BytesCount::new(stream.len()))
        .bench_local(|| pass(codec.as_ref(), &headers, black_box(&stream), change));
}

/// Every text becomes another.
#[divan::bench]
fn edit_10000_events(bencher: Bencher<'_, '_>) {
    measure(bencher, stream(), |value| match value {
        Value::Text(text) => Value::Text(text.replace("word", "bird")),
        other => other.clone(),
    });
}

/// Every text is read and none is changed.
#[divan::bench]
fn read_10000_events(bencher: Bencher<'_, '_>) {
    measure(bencher, stream(), Value::clone);
}

/// The time added to one event.
#[divan::bench]
fn edit_one_event(bencher: Bencher<'_, '_>) {
    measure(bencher, event(1).into_bytes(), |_| Value::Text(" bird 1".to_owned()));
}

#[divan::bench]
fn serde_json_parse_and_print(bencher: Bencher<'_, '_>) {
    let stream = stream();
    bencher.counter(BytesCount::new(stream.len())).bench_local(|| {
        let mut out = Vec::with_capacity(stream.len());
        for event in black_box(&stream).split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
            let value: serde_json::Value = serde_json::from_slice(&event[6..]).expect("an event");
            out.extend_from_slice(b"data: ");
            serde_json::to_writer(&mut out, &value).expect("memory");
            out.extend_from_slice(b"\n\n");
        }
        out
    });
}

#[divan::bench]
fn memcpy(bencher: Bencher<'_, '_>) {
    let stream = stream();
    bencher.counter(BytesCount::new(stream.len())).bench_local(|| black_box(&stream).clone());
}

//! Chat, completions and Responses, whole and streamed; edits move nothing else.

use http::{HeaderMap, HeaderValue, header::CONTENT_TYPE};
use proptest::prelude::*;

use super::*;
use crate::wire::{Framer, Part, testing::at};

fn whole(body: &str) -> Generation {
    OpenAi.generation(at("/v1/x"), body.as_bytes()).unwrap()
}

fn event(data: &str) -> Generation {
    let headers: HeaderMap =
        [(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"))].into_iter().collect();
    OpenAi.generation(Head { path: "/v1/x", headers: &headers }, data.as_bytes()).unwrap()
}

/// Role, number, repetition and value of each part.
fn parts(generation: &Generation) -> Vec<(Role, u32, bool, String)> {
    let text = |part: &Part| match &part.value {
        Value::Text(text) => text.clone(),
        other => serde_json::to_string(other).unwrap(),
    };
    generation.parts.iter().map(|part| (part.role, part.text, part.repeats, text(part))).collect()
}

fn one(role: Role, number: u32, repeats: bool, text: &str) -> (Role, u32, bool, String) {
    (role, number, repeats, text.to_owned())
}

#[test]
fn choices_are_texts_of_their_own() {
    let body = r#"{"choices":[{"index":1,"text":"b"},{"index":0,"text":"a","finish_reason":"stop"}]}"#;
    let generation = whole(body);
    assert_eq!(generation.moment, Moment::Whole);
    let told = [
        one(Role::Text, 1, false, "b"),
        one(Role::Text, 0, false, "a"),
        one(Role::FinishReason, 0, false, "stop"),
    ];
    assert_eq!(parts(&generation), told);
}

#[test]
fn calls_are_told_by_choice_and_index() {
    let delta = r#"{"choices":[{"index":2,"delta":{"tool_calls":[{"index":1,"function":{"name":"f","arguments":"{\""}}]}}]}"#;
    let generation = event(delta);
    assert_eq!(generation.moment, Moment::Delta);
    let number = 2 << 16 | 1;
    assert_eq!(
        parts(&generation),
        [one(Role::ToolName, number, false, "f"), one(Role::ToolArguments, number, false, "{\"")]
    );
}

#[test]
fn moments_of_a_stream() {
    for (data, moment) in [
        (r#"{"choices":[{"delta":{"role":"assistant","content":""}}]}"#, Moment::Start),
        (r#"{"choices":[{"delta":{"role":"assistant","content":"a"}}]}"#, Moment::Delta),
        (r#"{"choices":[{"delta":{"refusal":"no"}}]}"#, Moment::Delta),
        (r#"{"choices":[{"delta":{},"finish_reason":"stop"}]}"#, Moment::Finish),
        (
            r#"{"choices":[],"usage":{"prompt_tokens":1,"completion_tokens":2,"total_tokens":3}}"#,
            Moment::Usage,
        ),
        (r#"{"choices":[{"delta":{}}]}"#, Moment::Other),
        (r#"{"error":{"message":"no"}}"#, Moment::Error),
        ("[DONE]", Moment::Done),
        ("", Moment::Ping),
        (r#"{"type":"error","message":"no"}"#, Moment::Error),
        (r#"{"type":"response.failed","response":{}}"#, Moment::Error),
        (r#"{"type":"response.output_text.annotation.added"}"#, Moment::Other),
    ] {
        assert_eq!(event(data).moment, moment, "{data}");
    }
    assert!(OpenAi.generation(at("/"), br#"{"object":"list","data":[]}"#).is_err());
    assert!(OpenAi.generation(at("/"), b"<html>").is_err());
}

#[test]
fn every_repetition_has_the_number_of_its_pieces() {
    // The second content of the third item, before anything of the first.
    let number = 2 << 16 | 1;
    let told = [
        // It fails with what was said until then.
        (
            r#"{"type":"response.failed","response":{"status":"failed","output":[{},{},{"type":"message","content":[{},{"type":"output_text","text":"x"}]}],"error":{"code":"server_error"}}}"#,
            true,
        ),
        (r#"{"type":"response.output_text.delta","output_index":2,"content_index":1,"delta":"x"}"#, false),
        (r#"{"type":"response.output_text.done","content_index":1,"output_index":2,"text":"x"}"#, true),
        (
            r#"{"type":"response.content_part.done","output_index":2,"content_index":1,"part":{"type":"output_text","text":"x"}}"#,
            true,
        ),
        (
            r#"{"type":"response.output_item.done","output_index":2,"item":{"type":"message","content":[{"type":"reasoning","text":"-"},{"text":"x","type":"output_text"}]}}"#,
            true,
        ),
        (
            r#"{"type":"response.completed","response":{"output":[{"type":"reasoning"},{"type":"function_call","name":"f","arguments":"{}"},{"type":"message","content":[{"type":"refusal","refusal":"r"},{"type":"output_text","text":"x"}]}]}}"#,
            true,
        ),
    ];
    for (data, repeats) in told {
        let parts = parts(&event(data));
        assert!(parts.contains(&one(Role::Text, number, repeats, "x")), "{data}: {parts:?}");
        assert_eq!(parts.iter().filter(|part| part.0 == Role::Text).count(), 1, "{data}");
    }
    let last = parts(&event(told[5].0));
    for part in [
        one(Role::Refusal, 2 << 16, true, "r"),
        one(Role::ToolName, 1 << 16, true, "f"),
        one(Role::ToolArguments, 1 << 16, true, "{}"),
    ] {
        assert!(last.contains(&part), "{part:?}");
    }
    let call = r#"{"type":"response.function_call_arguments.delta","output_index":1,"delta":"{}"}"#;
    assert_eq!(parts(&event(call)), [one(Role::ToolArguments, 1 << 16, false, "{}")]);
}

#[test]
fn prompts_are_cells() {
    let read = |body: &str| OpenAi.features(at("/"), body.as_bytes()).unwrap();
    let cells = |reading: &Reading| reading.rows().iter().map(|row| row.scores.clone()).collect::<Vec<_>>();
    let text = |text: &str| Value::Text(text.to_owned());
    let chat = read(
        r#"{"messages":[{"role":"system","content":"s"},{"role":"user","content":[{"type":"text","text":"u"},{"type":"image_url"}]},{"role":"user","content":"v"}]}"#,
    );
    assert_eq!(cells(&chat), [[text("s"), text("u"), text("v")]]);
    assert_eq!(chat.answer().columns, ["system", "user", "user-2"]);
    let embeddings = read(r#"{"input":["a","b"]}"#);
    assert_eq!(cells(&embeddings), [[text("a")], [text("b")]]);
    assert_eq!(embeddings.answer().columns, ["input"]);
    assert!(OpenAi.features(at("/"), br#"{"input":[1,2]}"#).is_err());
}

#[test]
fn routes_are_known_by_their_ends() {
    for path in ["/v1/chat/completions", "/openai/v1/completions", "/v1/embeddings", "/v1/responses"] {
        assert!(OpenAi.is_prediction(&Method::POST, path), "{path}");
    }
    for path in ["/v1/models", "/v1/responses/resp_1/cancel", "/v1/files"] {
        assert!(!OpenAi.is_prediction(&Method::POST, path), "{path}");
    }
    assert_eq!(OpenAi.model("/openai/deployments/gpt/chat/completions"), Some("gpt"));
}

/// A text, and how a server spells it in JSON.
fn spelt() -> impl Strategy<Value = (String, String)> {
    (r#"[a-c "\\\n€é😀]{0,6}"#, any::<bool>()).prop_map(|(text, ascii)| {
        let json = serde_json::to_string(&text).unwrap();
        let escape = |c: char| match c.is_ascii() {
            true => c.to_string(),
            false => c.encode_utf16(&mut [0; 2]).iter().map(|unit| format!("\\u{unit:04x}")).collect(),
        };
        (text, if ascii { json.chars().map(escape).collect() } else { json })
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn an_edited_stream_differs_in_the_edited_texts_alone(
        texts in prop::collection::vec((spelt(), prop::option::of("[x-z\"é]{0,5}")), 1..12),
        blank in prop_oneof![Just(""), Just(" ")],
        end in prop_oneof![Just("\n"), Just("\r\n")],
        size in 1_usize..60,
    ) {
        let frame = |json: &str| format!(
            "data:{blank}{{\"x\":[1.50,\"\\u00e9\"],\"choices\":[{{\"delta\":{{\"content\":{blank}{json}}},\"n\":NaN}}]}}{end}{end}"
        );
        let stream: String = texts.iter().map(|((_, json), _)| frame(json)).collect();
        let headers: HeaderMap = [(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"))].into_iter().collect();
        let head = Head { path: "/v1/chat/completions", headers: &headers };
        let mut framer = Framer::new(Framing::Sse, 1000);
        let (mut out, mut place) = (Vec::new(), 0);
        for piece in stream.as_bytes().chunks(size) {
            framer.push(Bytes::copy_from_slice(piece));
            while let Some(chunk) = framer.next() {
                let chunk = chunk.unwrap();
                let generation = OpenAi.generation(head, chunk.payload()).unwrap();
                let ((text, json), edit) = &texts[place];
                place += 1;
                prop_assert_eq!(&generation.parts[0].value, &Value::Text(text.clone()));
                let after = edit.as_ref().unwrap_or(text);
                let spliced = generation.splice(chunk.payload(), &[Value::Text(after.clone())]).unwrap();
                let sent = spliced.map_or(chunk.clone(), |payload| chunk.with_payload(payload));
                let sent = std::str::from_utf8(sent.bytes()).unwrap();
                // Around the text not a byte has changed, and inside stands what was meant.
                let (before, behind) = frame("\0").split_once('\0').map(|(a, b)| (a.to_owned(), b.to_owned())).unwrap();
                let inside = sent.strip_prefix(&before).and_then(|rest| rest.strip_suffix(&behind));
                prop_assert_eq!(serde_json::from_str::<String>(inside.unwrap()).unwrap(), after.clone());
                if after == text {
                    prop_assert_eq!(inside.unwrap(), json);
                }
                out.extend_from_slice(sent.as_bytes());
            }
        }
        prop_assert_eq!(place, texts.len());
        if texts.iter().all(|(_, edit)| edit.is_none()) {
            prop_assert_eq!(out, stream.as_bytes());
        }
    }

    #[test]
    fn hostile_bytes_never_panic(body in prop::collection::vec(any::<u8>(), 0..200), shape in "[\\[\\]{}:,\"a-z0-9]{0,60}") {
        use crate::wire::{Outputs, Protocol};
        for protocol in [
            Protocol::OpenAi, Protocol::Anthropic, Protocol::Ollama, Protocol::Tgi, Protocol::Tei, Protocol::Cohere,
            Protocol::TritonGenerate, Protocol::TorchServe, Protocol::SageMaker, Protocol::BentoMl, Protocol::RayServe,
            Protocol::LitServe, Protocol::Auto,
        ] {
            let codec = protocol.codec(&Outputs::default());
            for bytes in [body.as_slice(), shape.as_bytes(), &[b"{\"choices\":[{\"delta\":{\"content\":", shape.as_bytes()].concat()] {
                for path in ["/v1/chat/completions", "/", "/rerank", "/api/chat", "/predict", "/v2/models/m/generate"] {
                    if let Ok(generation) = codec.generation(at(path), bytes) {
                        let values: Vec<_> = generation.parts.iter().map(|part| part.value.clone()).collect();
                        prop_assert_eq!(generation.splice(bytes, &values), Ok(None));
                    }
                    if let Ok(reading) = codec.read(at(path), bytes) {
                        prop_assert_eq!(reading.splice(bytes, &reading.answer()), Ok(None));
                    }
                    let _ = codec.features(at(path), bytes);
                }
            }
        }
    }
}

/// Hostile numbers of messages cost a multiple of themselves, not their square.
#[test]
fn names_of_cells_are_told_apart() {
    let names = |names: &[&str]| numbered(names.iter().map(|name| (*name).to_owned()).collect());
    assert_eq!(names(&["user", "system", "user", "user"]), ["user", "system", "user-2", "user-3"]);
    let many = r#"{"role":"user","content":""},"#.repeat(100_000);
    let body = format!(r#"{{"messages":[{}]}}"#, many.trim_end_matches(','));
    let reading = OpenAi.features(at("/v1/chat/completions"), body.as_bytes()).unwrap();
    assert_eq!(reading.rows()[0].scores.len(), 100_000);
}

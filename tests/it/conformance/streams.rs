//! Cases of streams: generated text, predictions in messages.

use super::cases::{Case, Wanted, inject, marked, post, with};

/// What the upstream streams as a chat.
pub(super) const CHAT: &str = concat!(
    "data: {\"object\":\"chat.completion.chunk\",\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"\"},\"finish_reason\":null}]}\n\n",
    "data: {\"object\":\"chat.completion.chunk\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"The ca\"},\"finish_reason\":null}]}\n\n",
    "data: {\"object\":\"chat.completion.chunk\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"t sat\"},\"finish_reason\":null}], \"x\": 1.50}\n\n",
    ": a comment\n\n",
    "data: {\"object\":\"chat.completion.chunk\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\" down.\"},\"finish_reason\":null}]}\n\n",
    "data: {\"object\":\"chat.completion.chunk\",\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n",
    "data: [DONE]\n\n",
);

pub(super) const CHATS: &str = "/v1/chat/completions";
pub(super) const MODEL_INFER: &str = "/inference.GRPCInferenceService/ModelInfer";

/// `ModelInferResponse { outputs: [{ name: "predict", datatype: "INT64", shape: [2], contents: { int64: `classes` } }] }`
/// in a gRPC message.
pub(super) fn infer_response(classes: [u8; 2]) -> String {
    let [first, second] = classes;
    let output =
        [&b"\x0a\x07predict\x12\x05INT64\x1a\x01\x02\x2a\x04\x1a\x02"[..], &[first, second]].concat();
    let message = [&[0x2a, output.len() as u8][..], &output].concat();
    let framed = [&[0, 0, 0, 0, message.len() as u8][..], &message].concat();
    String::from_utf8(framed).unwrap()
}

pub(super) fn cases() -> Vec<Case> {
    let mut cases = texts();
    cases.extend(endings());
    cases.extend(messages());
    cases
}

/// The contents of a chat's chunks joined.
fn words(from: &str) -> String {
    let content = |event: &str| {
        let data: serde_json::Value = serde_json::from_str(event.trim().strip_prefix("data: ")?).ok()?;
        data["choices"][0]["delta"]["content"].as_str().map(str::to_owned)
    };
    from.split("\n\n").filter_map(content).collect()
}

fn texts() -> Vec<Case> {
    let cat_to_dog = |said: &str| {
        assert_eq!(words(said), "The dog sat down.", "{said}");
        // A keep-alive does not wait for text that is held back.
        assert!(said.contains("\n\n: a comment\n\n"), "{said}");
        assert!(said.contains("\"x\": 1.50}\n\n"), "other bytes stay: {said}");
        assert!(said.ends_with("\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n"), "{said}");
    };
    let gzip = with(post(CHATS), "accept-encoding", "gzip");
    vec![Case {
        name: "a word that is split over two events is changed",
        scenario: inject("openai", "{ text-substitute: { rate: 100%, pairs: { cat: dog } } }"),
        exchanges: vec![
            (post(CHATS), Wanted::Checked { mark: "case/text-substitute", check: cat_to_dog }),
            (gzip, Wanted::Checked { mark: "case/text-substitute", check: cat_to_dog }),
            (post("/elsewhere"), Wanted::Untouched),
        ],
    }]
}

fn endings() -> Vec<Case> {
    let begun = &CHAT[..CHAT.match_indices("\n\n").nth(1).unwrap().0 + 2];
    vec![
        Case {
            name: "a stall changes nothing else",
            scenario: inject("openai", "{ stream-stall: { lasts: 20ms, at-chunk: 2 } }"),
            exchanges: vec![(post(CHATS), marked(200, "case/stream-stall", CHAT))],
        },
        Case {
            name: "delays between tokens change nothing else",
            scenario: inject("openai", "{ stream-latency: { first-token: { median: 5ms, p99: 9ms } } }"),
            exchanges: vec![(post(CHATS), marked(200, "case/stream-latency", CHAT))],
        },
        Case {
            name: "a clean cut is a stream that ends well, too early",
            scenario: inject("openai", "{ stream-cut: { at-chunk: 1 } }"),
            exchanges: vec![(
                post(CHATS),
                Wanted::Checked {
                    mark: "case/stream-cut",
                    check: |said| {
                        assert!(
                            CHAT.starts_with(said) && said.len() < CHAT.len() && !said.is_empty(),
                            "{said}"
                        );
                    },
                },
            )],
        },
        Case {
            name: "a stream is reset",
            scenario: inject("openai", "{ stream-cut: { at-chunk: 2, how: reset } }"),
            exchanges: vec![(post(CHATS), Wanted::Broken)],
        },
        Case {
            name: "an error inside a stream that began with a 200",
            scenario: inject("openai", "{ stream-error: { kind: overloaded, at-chunk: 2 } }"),
            exchanges: vec![(
                post(CHATS),
                Wanted::Checked {
                    mark: "case/stream-error",
                    check: |said| {
                        let error = said.trim_end().rsplit("\n\n").next().unwrap();
                        assert!(error.starts_with("data: {\"error\":{"), "{said}");
                        assert!(!said.contains("[DONE]"), "{said}");
                    },
                },
            )],
        },
        Case {
            name: "a body ends early, and its framing says so",
            scenario: inject("http", "{ truncate: { after-bytes: 10, clean: true } }"),
            exchanges: vec![
                (post("/v2/models/iris/infer"), marked(200, "case/truncate", &super::cases::IRIS[..10])),
                (post(CHATS), marked(200, "case/truncate", &begun[..10])),
            ],
        },
        Case {
            name: "a body ends early, against its promise",
            scenario: inject("http", "{ truncate: { after-bytes: 10 } }"),
            exchanges: vec![(post("/v2/models/iris/infer"), Wanted::Broken), (post(CHATS), Wanted::Broken)],
        },
        Case {
            name: "a slow body is the same",
            scenario: inject("http", "{ bandwidth: { bytes-per-second: 20000 } }"),
            exchanges: vec![
                (post(CHATS), marked(200, "case/bandwidth", CHAT)),
                (post("/v2/models/iris/infer"), marked(200, "case/bandwidth", super::cases::IRIS)),
            ],
        },
    ]
}

fn messages() -> Vec<Case> {
    let grpc = || with(post(MODEL_INFER), "content-type", "application/grpc");
    vec![
        Case {
            name: "predictions in gRPC messages",
            scenario: inject("open-inference", "{ mislabel: { rate: 100%, to: '0' } }"),
            exchanges: vec![(
                grpc(),
                marked(200, "case/mislabel", infer_response([0, 0]) + &infer_response([0, 0])),
            )],
        },
        Case {
            name: "a connection that is refused",
            scenario: inject("http", "{ refuse: {} }"),
            exchanges: vec![(post("/v2/models/iris/infer"), Wanted::Broken)],
        },
    ]
}

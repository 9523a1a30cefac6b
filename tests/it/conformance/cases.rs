//! The cases.

use bytes::Bytes;
use http::{Method, Request};
use serde::Deserialize;

use super::{Runner, requests, streams, under};

pub(super) const IRIS: &str = r#"{"model_name":"iris","id":"7", "unknown": [1.50, {"a":null}],
  "outputs":[{"name":"predict","shape":[3],"datatype":"INT64","data":[2, 1,  0]}]}"#;

/// A scenario, and what comes back for each request under it.
pub(crate) struct Case {
    pub(crate) name: &'static str,
    pub(crate) scenario: String,
    pub(crate) exchanges: Vec<(Request<Bytes>, Wanted)>,
}

/// What should come back.
#[derive(Debug)]
pub(crate) enum Wanted {
    /// What the upstream said, byte for byte, without a mark.
    Untouched,
    /// Something else, marked. The body is compared decoded.
    Marked { status: u16, mark: &'static str, body: String },
    /// A marked 200 whose decoded body a function looks at.
    Checked { mark: &'static str, check: fn(&str) },
    /// No whole response.
    Broken,
}

pub(super) fn marked(status: u16, mark: &'static str, body: impl Into<String>) -> Wanted {
    Wanted::Marked { status, mark, body: body.into() }
}

/// A scenario that injects one fault, for everybody.
pub(super) fn inject(protocol: &str, fault: &str) -> String {
    scenario(&format!("{{ protocol: {protocol} }}"), "{ share: 100% }", fault)
}

fn scenario(target: &str, exposure: &str, fault: &str) -> String {
    format!(
        "name: case\nseed: 7\ntarget: {target}\nexposure: {exposure}\nphases:\n  - name: broken\n    lasts: 10m\n    \
         inject:\n      - fault: {fault}\n"
    )
}

pub(super) fn post(path: &str) -> Request<Bytes> {
    Request::post(path).header("x-request-id", "r1").body(Bytes::from_static(b"{}")).unwrap()
}

pub(super) fn with(mut request: Request<Bytes>, name: &'static str, value: &'static str) -> Request<Bytes> {
    request.headers_mut().insert(name, http::HeaderValue::from_static(value));
    request
}

pub(super) fn with_body(request: Request<Bytes>, body: &'static str) -> Request<Bytes> {
    request.map(|_| Bytes::from_static(body.as_bytes()))
}

pub(super) const INFER: &str = "/v2/models/iris/infer";

pub(super) fn all() -> Vec<Case> {
    let mut cases = errors();
    cases.extend(predictions());
    cases.extend(values());
    cases.extend(targets());
    cases.extend(transport());
    cases.extend(streams::cases());
    cases.extend(requests::cases());
    cases
}

fn errors() -> Vec<Case> {
    vec![
        Case {
            name: "an error has the protocol's own shape",
            scenario: inject("open-inference", "{ error: { status: 503 } }"),
            exchanges: vec![(post(INFER), marked(503, "case/error", r#"{"error":"Service Unavailable"}"#))],
        },
        Case {
            name: "an error of MLflow carries a code",
            scenario: inject("mlflow", "{ error: { status: 429, message: slow down } }"),
            exchanges: vec![(
                post("/invocations"),
                marked(429, "case/error", r#"{"error_code":"REQUEST_LIMIT_EXCEEDED","message":"slow down"}"#),
            )],
        },
        Case {
            name: "a gRPC call gets its status in the head",
            scenario: inject("http", "{ error: { status: 503 } }"),
            exchanges: vec![(
                with(post("/x.Service/Call"), "content-type", "application/grpc"),
                marked(200, "case/error", ""),
            )],
        },
    ]
}

fn predictions() -> Vec<Case> {
    let zeros = || IRIS.replace("[2, 1,  0]", "[0, 0,  0]");
    vec![
        Case {
            name: "an edit changes the values that the fault names and no other byte",
            scenario: inject("open-inference", "{ mislabel: { rate: 100%, to: '0' } }"),
            exchanges: vec![
                (post(INFER), marked(200, "case/mislabel", zeros())),
                (with(post(INFER), "accept-encoding", "gzip"), marked(200, "case/mislabel", zeros())),
            ],
        },
        Case {
            name: "KServe V1",
            scenario: inject("kserve-v1", "{ mislabel: { rate: 100%, to: '0' } }"),
            exchanges: vec![(
                post("/v1/models/iris:predict"),
                marked(200, "case/mislabel", r#"{"predictions": [0, 0], "took": 1.50}"#),
            )],
        },
        Case {
            name: "MLflow",
            scenario: inject("mlflow", "{ mislabel: { rate: 100%, to: setosa } }"),
            exchanges: vec![(
                post("/invocations"),
                marked(200, "case/mislabel", r#"{"predictions": ["setosa", "setosa"]}"#),
            )],
        },
        Case {
            name: "what is no prediction passes as it came",
            scenario: inject("open-inference", "{ mislabel: { rate: 100%, to: '0' } }"),
            exchanges: vec![
                (post("/v2/models/broken/infer"), Wanted::Untouched),
                (with(post("/v2/models/broken/infer"), "accept-encoding", "gzip"), Wanted::Untouched),
                (post("/v2/models/failing/infer"), Wanted::Untouched),
                (post("/elsewhere"), Wanted::Untouched),
                (method(INFER, Method::HEAD), Wanted::Untouched),
                (method(INFER, Method::GET), Wanted::Untouched),
            ],
        },
    ]
}

fn values() -> Vec<Case> {
    let scored = "{ json: { label: '$.results[*].label', scores: '$.results[*].p' } }";
    let api =
        |label: &str, p: &str| format!(r#"{{"results": [{{"label": {label}, "p": {p}, "extra": NaN}}]}}"#);
    vec![
        Case {
            name: "a JSON API, with a bare NaN that stays",
            scenario: inject(scored, "{ mislabel: { rate: 100%, to: dog } }"),
            exchanges: vec![
                (post("/api"), marked(200, "case/mislabel", api("\"dog\"", "0.90"))),
                (
                    with(post("/api"), "accept-encoding", "gzip"),
                    marked(200, "case/mislabel", api("\"dog\"", "0.90")),
                ),
            ],
        },
        Case {
            name: "a corrupted score is a bare NaN",
            scenario: inject(scored, "{ corrupt: { rate: 100%, with: nan } }"),
            exchanges: vec![(post("/api"), marked(200, "case/corrupt", api("\"cat\"", "NaN")))],
        },
        Case {
            name: "a corrupted score is null",
            scenario: inject(scored, "{ corrupt: { rate: 100%, with: 'null' } }"),
            exchanges: vec![(post("/api"), marked(200, "case/corrupt", api("\"cat\"", "null")))],
        },
        Case {
            name: "a frozen class",
            scenario: inject("kserve-v1", "{ freeze: { value: '1' } }"),
            exchanges: vec![(
                post("/v1/models/iris:predict"),
                marked(200, "case/freeze", r#"{"predictions": [1, 1], "took": 1.50}"#),
            )],
        },
    ]
}

fn method(path: &str, method: Method) -> Request<Bytes> {
    let request = Request::builder().method(method).uri(path).header("x-request-id", "r1");
    request.body(Bytes::new()).unwrap()
}

fn targets() -> Vec<Case> {
    let error = "{ error: { status: 503 } }";
    let failed = || marked(503, "case/error", r#"{"error":"Service Unavailable"}"#);
    vec![
        Case {
            name: "only requests of the target are touched",
            scenario: scenario(
                r#"{ protocol: open-inference, when: 'request.path.startsWith("/v2/models/iris/")' }"#,
                "{ share: 100% }",
                error,
            ),
            exchanges: vec![(post(INFER), failed()), (post("/v2/models/other/infer"), Wanted::Untouched)],
        },
        Case {
            name: "a condition on the body reads it and passes it on",
            scenario: scenario(
                r#"{ protocol: open-inference, when: 'request.body.id == "b"' }"#,
                "{ share: 100% }",
                error,
            ),
            exchanges: vec![
                (with_body(post(INFER), r#"{"id": "b"}"#), failed()),
                (with_body(post(INFER), r#"{"id": "a"}"#), Wanted::Untouched),
                (with_body(post(INFER), "no json"), Wanted::Untouched),
            ],
        },
        Case {
            name: "a request without a unit belongs to no arm",
            scenario: scenario(
                "{ protocol: open-inference }",
                r#"{ share: 100%, unit: 'request.headers["x-user-id"]' }"#,
                error,
            ),
            exchanges: vec![
                (post(INFER), Wanted::Untouched),
                (with(post(INFER), "x-user-id", "u1"), failed()),
            ],
        },
    ]
}

fn transport() -> Vec<Case> {
    vec![
        Case {
            name: "a delay changes nothing else",
            scenario: inject("http", "{ latency: { fixed: 20ms } }"),
            exchanges: vec![(post(INFER), marked(200, "case/latency", IRIS))],
        },
        Case {
            name: "a delay of the response changes nothing else",
            scenario: inject("http", "{ latency: { fixed: 20ms, when: after } }"),
            exchanges: vec![(post(INFER), marked(200, "case/latency", IRIS))],
        },
        Case {
            name: "a hang that is over asks the upstream",
            scenario: inject("http", "{ hang: { for: 20ms } }"),
            exchanges: vec![(post(INFER), marked(200, "case/hang", IRIS))],
        },
        Case {
            name: "a reset breaks the connection",
            scenario: inject("http", "{ reset: {} }"),
            exchanges: vec![(post(INFER), Wanted::Broken), (post("/elsewhere"), Wanted::Broken)],
        },
        Case {
            name: "a reset in the body breaks the connection",
            scenario: inject("http", "{ reset: { after-bytes: 10 } }"),
            exchanges: vec![(post(INFER), Wanted::Broken)],
        },
    ]
}

#[derive(Deserialize)]
struct Published {
    decisions: Vec<Decision>,
}

#[derive(Deserialize)]
struct Decision {
    user: String,
    request: String,
    treated: bool,
    fails: bool,
}

/// The decisions of a whole scenario are those that another implementation has published.
pub(super) async fn assert_published_decisions(runner: &impl Runner) {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/vectors/draw.json");
    let published: Published = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let scenario = scenario(
        "{ protocol: http }",
        r#"{ share: 50%, unit: 'request.headers["x-user-id"]', layer: serving }"#,
        "{ error: { status: 503, rate: 50% } }",
    );
    let treated = published.decisions.iter().filter(|d| d.treated).count() as u64;
    let evidence = under(runner, &scenario, async {
        // Backwards, because the order of arrival must not matter.
        for Decision { user, request, fails, .. } in published.decisions.iter().rev() {
            let sent = Request::post(INFER).header("x-user-id", user).header("x-request-id", request);
            let response = runner.call(sent.body(Bytes::new()).unwrap()).await.unwrap();
            assert_eq!(response.status() == 503, *fails, "{user} {request}");
        }
        runner.rack().last_evidence().unwrap()
    });
    let evidence = evidence.await;
    assert_eq!(evidence.phases[0].treated.requests(), treated);
    assert_eq!(evidence.everybody().requests(), published.decisions.len() as u64);
}

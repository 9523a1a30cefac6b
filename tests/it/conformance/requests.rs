//! Cases of requests: what is changed on its way to the model, which rows, and what a request asks for.

use bytes::Bytes;
use http::Request;

use super::{
    Runner,
    cases::{Case, INFER, IRIS, Wanted, inject, marked, post, with, with_body},
    under,
};

const FEATURES: &str = r#"{"inputs": [{"name": "x", "shape": [3, 2], "datatype": "FP64",
  "data": [1.50, 2.5, 30.0, 4.5,  5.0, 6.5]}], "id": "7"}"#;

fn ask(path: &str) -> Request<Bytes> {
    with(with_body(post(path), FEATURES), "content-type", "application/json")
}

pub(super) fn cases() -> Vec<Case> {
    let echo = "/v2/models/echo/infer";
    let first_is = |classes: &str| IRIS.replace("[2, 1,  0]", classes);
    let rows = |condition: &str| {
        let all = inject("open-inference", "{ mislabel: { rate: 100%, to: '0' } }");
        format!("{all}        where: '{condition}'\n")
    };
    vec![
        Case {
            name: "the model is asked about other features",
            scenario: inject("open-inference", "{ feature-zero: { columns: [0], rate: 100% } }"),
            exchanges: vec![
                (
                    ask(echo),
                    marked(
                        200,
                        "case/feature-zero",
                        FEATURES.replace("1.50", "0.0").replace("30.0", "0.0").replace(" 5.0", " 0.0"),
                    ),
                ),
                (with(ask(echo), "content-digest", "sha-256=:x:"), Wanted::Untouched),
                (with_body(ask(echo), "no json"), Wanted::Untouched),
            ],
        },
        Case {
            name: "only the rows that a condition on features holds for",
            scenario: rows("features[0] > 2.0"),
            exchanges: vec![
                (ask(INFER), marked(200, "case/mislabel", first_is("[2, 0,  0]"))),
                // Nobody can tell which rows these are.
                (with_body(ask(INFER), "{}"), Wanted::Untouched),
            ],
        },
        Case {
            name: "only the requests that a condition holds for",
            scenario: rows(r#"request.headers["x-tier"] == "gold""#),
            exchanges: vec![
                (with(ask(INFER), "x-tier", "gold"), marked(200, "case/mislabel", first_is("[0, 0,  0]"))),
                (ask(INFER), Wanted::Untouched),
            ],
        },
    ]
}

/// Faults that a request asks for act on it and on no other, whatever the phase; the header goes no further.
pub(super) async fn assert_request_control(runner: &impl Runner) {
    let scenario = "name: case\nseed: 7\ntarget: { protocol: open-inference, when: 'request.path.startsWith(\"/v2/\")' }\n\
                    exposure: { share: 1% }\nphases:\n  - name: steady\n    lasts: 10m\n  - name: broken\n    lasts: 10m\n    \
                    inject:\n      - fault: { error: { status: 503, rate: 1% } }\n      - fault: { mislabel: { rate: 1%, to: '0' } }\n";
    let call = async |path: &str, asks: &'static str| {
        runner.call(with(post(path), "x-canard-fault", asks)).await.unwrap()
    };
    let unarmed = call(INFER, "error").await;
    assert_eq!(
        (unarmed.body().as_ref(), &unarmed.headers()["x-canard-fault-unknown"]),
        (IRIS.as_bytes(), &"error".parse().unwrap())
    );
    let evidence = under(runner, scenario, async {
        let failed = call(INFER, "error").await;
        assert_eq!(
            (failed.status().as_u16(), &failed.headers()["x-canard"]),
            (503, &"case/error".parse().unwrap())
        );
        let edited = call(INFER, "broken/mislabel, nonsense").await;
        assert_eq!(edited.body(), IRIS.replace("[2, 1,  0]", "[0, 0,  0]").as_bytes());
        assert_eq!(edited.headers()["x-canard-fault-unknown"], "nonsense");
        let unknown = call(INFER, "nonsense").await;
        assert_eq!((unknown.body().as_ref(), unknown.headers().get("x-canard")), (IRIS.as_bytes(), None));
        assert_eq!(unknown.headers()["x-canard-fault-unknown"], "nonsense");
        let outside = call("/elsewhere", "error").await;
        assert_eq!(
            (outside.status(), outside.headers().get("x-canard-fault-unknown")),
            (http::StatusCode::OK, None)
        );
        let other = runner.call(post(INFER)).await.unwrap();
        assert_eq!(other.body(), IRIS);
        runner.rack().last_evidence().unwrap()
    });
    let evidence = evidence.await;
    let [error, mislabel] = &evidence.phases[1].faults[..] else { panic!("two faults") };
    assert_eq!((error.asked_for, mislabel.asked_for, error.perturbed, error.exposed), (1, 1, 0, 0));
    assert_eq!(evidence.not_assigned["asked"], 2);
    assert_eq!(evidence.not_assigned["unknown-fault"], 2);
    assert_eq!(evidence.everybody().requests(), 1, "those that ask are in no arm");
}

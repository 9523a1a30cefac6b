//! Errors: a status with a body in the protocol's own shape.

use serde::{Deserialize, Serialize};

use super::{
    Action, Behaviour, CheckContext, Decide, Entry, Parameter, Problem, Stage, prediction::check_rate,
};
use crate::{
    unit::{Share, Span, Status},
    wire::Failure,
};

/// Answers with an error.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Error {
    /// The status, 400 to 599.
    pub status: Status,
    /// How often it acts on what the treated get.
    #[serde(default = "all")]
    pub rate: Share,
    /// `Retry-After`, in whole seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after: Option<Span>,
    /// The message inside the error body; left out, the status' own phrase.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// Ask the upstream first: it does the work, and the caller gets the error all the same.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<After>,
}

fn all() -> Share {
    Share::ALL
}

/// After what an error is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum After {
    /// After the upstream answered.
    Upstream,
}

static ENTRY: Entry = Entry {
    name: "error",
    summary: "Answers with an error status and a body in the protocol's own error shape.",
    effect: "The share `rate` of treated requests fails with `status`; the upstream is not asked, unless \
             `after: upstream`. A gRPC call gets HTTP 200 with the grpc-status that gRPC's own table \
             (http-grpc-status-mapping.md) gives for the status; 502, 503, 504 and 429 are 14, UNAVAILABLE. A \
             ramp scales the rate. Clients that retry n times turn a share p into about pⁿ⁺¹ only if each retry \
             carries a new request id: one that keeps its `x-request-id` (or `traceparent`) is the same request \
             to the draw, gets the same answer each time, and the share stays p.",
    parameters: &[
        Parameter { name: "status", values: "400 to 599", default: "required", meaning: "the status" },
        Parameter {
            name: "rate",
            values: "share, 0% to 100%",
            default: "100%",
            meaning: "how often it acts on what the treated get",
        },
        Parameter {
            name: "retry-after",
            values: "span of whole seconds, 1s or more",
            default: "none",
            meaning: "when the caller is told to try again",
        },
        Parameter {
            name: "message",
            values: "text",
            default: "the status' phrase",
            meaning: "the message inside the error body",
        },
        Parameter {
            name: "after",
            values: "upstream",
            default: "none",
            meaning: "ask the upstream first: it does the work, the caller gets the error all the same",
        },
    ],
    example: "- fault: { error: { status: 503, rate: 20%, retry-after: 1s } }",
    seen_by: "Error-rate alerts of the caller or the gateway, service-level burn rates, retry counters.",
    blind: "The model server's own error metrics, when canard stands in front of it; rules on 5xx, when the \
            status is 4xx or the call is gRPC; anything about predictions (failed requests have none).",
};

impl Behaviour for Error {
    fn entry() -> &'static Entry {
        &ENTRY
    }

    fn stage(&self) -> Stage {
        Stage::Refuse
    }

    fn rate(&self) -> Share {
        self.rate
    }

    fn describe(&self) -> String {
        let after = if self.after.is_some() { " after the upstream answered" } else { "" };
        format!("{} status {}{after}", self.rate, self.status.code())
    }

    fn check(&self, _target: &CheckContext<'_>) -> Vec<Problem> {
        let whole = |span: &Span| !span.is_zero() && span.duration().subsec_nanos() == 0;
        let retry = self.retry_after.filter(|span| !whole(span)).map(|span| {
            let message = format!("`retry-after` counts whole seconds, and {span} is not that");
            Problem::new("retry-after", message).help("write 1s or more")
        });
        check_rate(self.rate).into_iter().chain(retry).collect()
    }

    fn decide(&self, context: &Decide<'_>) -> Option<Action> {
        let acts = context.acts(self.rate);
        acts.then(|| Action::Respond {
            failure: Failure {
                retry_after: self.retry_after.map(Span::duration),
                ..Failure::new(
                    self.status.into(),
                    self.message.clone().unwrap_or_else(|| phrase(self.status)),
                )
            },
            after_upstream: self.after == Some(After::Upstream),
        })
    }
}

fn phrase(status: Status) -> String {
    let known = http::StatusCode::from_u16(status.code()).ok();
    known.and_then(|status| status.canonical_reason()).unwrap_or("Error").to_owned()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;
    use crate::{
        draw::{Dice, Key, UnitHash},
        fault::testing::{check, decide},
        wire::{Labels, Protocol},
    };

    fn parse(text: &str) -> Error {
        serde_json::from_str(text).unwrap()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]

        #[test]
        fn it_acts_as_often_as_its_rate_and_ramp(seed: u64, rate in 0.0_f64..=1.0, intensity in 0.0_f64..=1.0) {
            let mut fault = parse(r#"{"status": 503}"#);
            fault.rate = Share::new(rate).unwrap();
            let (key, n) = (Key::new(seed, "broken/0/error"), 10_000);
            let acted = (0..n).filter(|i| decide(&fault, Dice::new(key, UnitHash::from_u64(*i)), intensity).is_some());
            let (share, want) = (acted.count() as f64 / n as f64, rate * intensity);
            prop_assert!((share - want).abs() <= 4.5 * (want * (1.0 - want) / n as f64).sqrt() + 1e-9);
        }
    }

    #[test]
    fn says_what_it_answers() {
        let fault = parse(r#"{"status": 429, "retry-after": "2s", "after": "upstream"}"#);
        let action = decide(&fault, Dice::new(Key::new(0, "r"), UnitHash::from_u64(1)), 1.0);
        let message = "Too Many Requests".to_owned();
        let want = Action::Respond {
            failure: Failure {
                retry_after: Some(Duration::from_secs(2)),
                ..Failure::new(http::StatusCode::TOO_MANY_REQUESTS, message)
            },
            after_upstream: true,
        };
        assert_eq!(action, Some(want));
        assert_eq!(fault.describe(), "100% status 429 after the upstream answered");
    }

    #[test]
    fn retry_after_counts_whole_seconds() {
        let check = |text| check(&parse(text), &Protocol::Http, &Labels::default()).len();
        assert_eq!(check(r#"{"status": 503, "retry-after": "1m"}"#), 0);
        assert_eq!(check(r#"{"status": 503, "retry-after": "500ms"}"#), 1);
        assert_eq!(check(r#"{"status": 503, "retry-after": "0s"}"#), 1);
        assert!(serde_json::from_str::<Error>(r#"{"status": 200}"#).is_err());
    }

    #[test]
    fn its_page_can_be_pasted() {
        crate::fault::testing::assert_page("error");
    }
}

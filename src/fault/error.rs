//! Errors: by status, by gRPC code, or by what went wrong, in the provider's own words.

use serde::{Deserialize, Serialize};

use super::{
    Action, Behaviour, CheckContext, Decide, Entry, Fault, Parameter, Problem, Promise, Stage,
    exclusion::one_takes_all, prediction::check_rate,
};
use crate::{
    unit::{Share, Span, Status},
    wire::{ErrorInfo, Failure, FailureKind, GrpcCode, GrpcStatus},
};

/// Answers with an error. Exactly one of `status`, `kind` and `grpc` is given.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Error {
    /// The status, 400 to 599.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<Status>,
    /// What went wrong: status, headers and body are those that the target's provider answers then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<FailureKind>,
    /// A gRPC status code, such as `UNAVAILABLE`; a call that is no gRPC gets the HTTP status that stands for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grpc: Option<GrpcCode>,
    /// What went wrong for programs to read, in the details of a gRPC status.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub details: Option<ErrorInfo>,
    /// How often it acts on what the treated get.
    #[serde(default = "all")]
    pub rate: Share,
    /// When the caller is told to try again, in whole seconds: `Retry-After`, and `google.rpc.RetryInfo` in the
    /// details of a gRPC status.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after: Option<Span>,
    /// The message inside the error body; left out, the phrase of the status or kind.
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
    summary: "Answers with an error, by status, gRPC code or what went wrong, in the protocol's own shape.",
    effect: "The share `rate` of treated requests fails; the upstream is not asked, unless `after: upstream`. \
             `status` is answered with a body in the protocol's own error shape; a gRPC call gets HTTP 200 with \
             the grpc-status that gRPC's own table (http-grpc-status-mapping.md) gives for it; 502, 503, 504 and \
             429 are 14, UNAVAILABLE. `grpc` names the code itself, with `google.rpc.ErrorInfo` (from `details`) \
             and `RetryInfo` (from `retry-after`) in grpc-status-details-bin; a caller that speaks no gRPC gets \
             the HTTP status of google/rpc/code.proto. `kind` is answered as the target's provider does: with \
             its status, headers and body. A ramp scales the rate. Clients that retry n times turn a share p \
             into about pⁿ⁺¹ only if each retry carries a new request id: one that keeps its `x-request-id` (or \
             `traceparent`) is the same request to the draw, gets the same answer each time, and the share \
             stays p.",
    parameters: &[
        Parameter { name: "status", values: "400 to 599", default: "—", meaning: "the status" },
        Parameter {
            name: "kind",
            values: "rate-limited | overloaded | context-length | model-not-found | invalid-request | \
                     authentication | unavailable | timeout | internal",
            default: "—",
            meaning: "what went wrong, answered in the words of the target's provider",
        },
        Parameter {
            name: "grpc",
            values: "CANCELLED | UNKNOWN | INVALID_ARGUMENT | DEADLINE_EXCEEDED | NOT_FOUND | … | UNAUTHENTICATED",
            default: "—",
            meaning: "the gRPC status code",
        },
        Parameter {
            name: "details",
            values: "{ reason, domain }, with `grpc`",
            default: "none",
            meaning: "google.rpc.ErrorInfo in the details of the status",
        },
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
            default: "the phrase of the status or kind",
            meaning: "the message inside the error body",
        },
        Parameter {
            name: "after",
            values: "upstream",
            default: "none",
            meaning: "ask the upstream first: it does the work, the caller gets the error all the same",
        },
    ],
    example: "- fault: { error: { status: 503, rate: 20%, retry-after: 1s } }\n\
              - fault: { error: { kind: overloaded, rate: 5% } }",
    seen_by: "Error-rate alerts of the caller or the gateway, service-level burn rates, retry counters.",
    blind: "The model server's own error metrics, when canard stands in front of it; rules on 5xx, when the \
            status is 4xx or the call is gRPC; anything about predictions (failed requests have none).",
};

impl Error {
    /// The error that the caller gets.
    pub fn failure(&self) -> Failure {
        let grpc = self.grpc.map(|code| GrpcStatus { code, info: self.details.clone() });
        let status = match (self.status, self.kind, &grpc) {
            (Some(status), ..) => status.into(),
            (_, Some(kind), _) => kind.status(),
            (_, _, Some(grpc)) => grpc.code.http(),
            _ => http::StatusCode::INTERNAL_SERVER_ERROR,
        };
        let phrase = || match (self.kind, self.grpc) {
            (Some(kind), _) => kind.phrase().to_owned(),
            (_, Some(code)) => code.name().to_owned(),
            _ => status.canonical_reason().unwrap_or("Error").to_owned(),
        };
        let message = self.message.clone().unwrap_or_else(phrase);
        let retry_after = self.retry_after.map(Span::duration);
        Failure { kind: self.kind, retry_after, grpc, ..Failure::new(status, message) }
    }

    fn what(&self) -> String {
        match self {
            Error { status: Some(status), .. } => format!("status {}", status.code()),
            Error { kind: Some(kind), .. } => kind.name().to_owned(),
            Error { grpc: Some(code), .. } => code.name().to_owned(),
            _ => "no error".to_owned(),
        }
    }
}

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

    fn promise(&self) -> Promise {
        Promise::Failed { status: self.status.map(Status::code), share: self.rate.fraction() }
    }

    fn describe(&self) -> String {
        let after = if self.after.is_some() { " after the upstream answered" } else { "" };
        format!("{} {}{after}", self.rate, self.what())
    }

    fn check(&self, _target: &CheckContext<'_>) -> Vec<Problem> {
        let given = [self.status.is_some(), self.kind.is_some(), self.grpc.is_some()];
        let message = match given.into_iter().filter(|given| *given).count() {
            1 => None,
            0 => Some("`error` does not say which error"),
            _ => Some("`error` is given more than one of `status`, `kind` and `grpc`"),
        };
        let which = message.map(|message| {
            let help = "give exactly one, such as `status: 503`, `kind: overloaded` or `grpc: UNAVAILABLE`";
            Problem::new("", message).help(help)
        });
        let details = self.details.as_ref().filter(|_| self.grpc.is_none()).map(|_| {
            let help = "name the code, such as `grpc: RESOURCE_EXHAUSTED`, or leave `details` out";
            Problem::new("details", "only a gRPC status has details").help(help)
        });
        let whole = |span: &Span| !span.is_zero() && span.duration().subsec_nanos() == 0;
        let retry = self.retry_after.filter(|span| !whole(span)).map(|span| {
            let message = format!("`retry-after` counts whole seconds, and {span} is not that");
            Problem::new("retry-after", message).help("write 1s or more")
        });
        [check_rate(self.rate), which, details, retry].into_iter().flatten().collect()
    }

    fn excludes(&self, other: &Fault) -> Option<&'static str> {
        one_takes_all(self.rate, other)
    }

    fn decide(&self, context: &Decide<'_>) -> Option<Action> {
        let after_upstream = self.after == Some(After::Upstream);
        context.acts(self.rate).then(|| Action::Respond { failure: self.failure(), after_upstream })
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use http::StatusCode;
    use proptest::prelude::*;

    use super::*;
    use crate::{
        fault::testing::{assert_rate, check, decide, dice},
        wire::{Labels, Protocol},
    };

    fn parse(text: &str) -> Error {
        serde_json::from_str(text).unwrap()
    }

    fn failure(text: &str) -> Failure {
        match decide(&parse(text), dice(0, 1), 1.0) {
            Some(Action::Respond { failure, .. }) => failure,
            other => panic!("{other:?}"),
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]

        #[test]
        fn it_acts_as_often_as_its_rate_and_ramp(seed: u64, rate in 0.0_f64..=1.0, intensity in 0.0_f64..=1.0) {
            let fault = Error { rate: Share::new(rate).unwrap(), ..parse(r#"{"status": 503}"#) };
            let acted = (0..10_000).filter(|i| decide(&fault, dice(seed, *i), intensity).is_some()).count();
            assert_rate(acted, 10_000, rate * intensity);
        }
    }

    #[test]
    fn says_what_it_answers() {
        let fault = parse(r#"{"status": 429, "retry-after": "2s", "after": "upstream"}"#);
        let failure = Failure {
            retry_after: Some(Duration::from_secs(2)),
            ..Failure::new(StatusCode::TOO_MANY_REQUESTS, "Too Many Requests")
        };
        assert_eq!(decide(&fault, dice(0, 1), 1.0), Some(Action::Respond { failure, after_upstream: true }));
        assert_eq!(fault.describe(), "100% status 429 after the upstream answered");
    }

    #[test]
    fn a_kind_and_a_code_know_their_status() {
        let overloaded = failure(r#"{"kind": "overloaded", "message": "later"}"#);
        assert_eq!((overloaded.kind, overloaded.message.as_str()), (Some(FailureKind::Overloaded), "later"));
        assert_eq!(overloaded.status, StatusCode::SERVICE_UNAVAILABLE);
        let code =
            failure(r#"{"grpc": "RESOURCE_EXHAUSTED", "details": {"reason": "QUOTA", "domain": "iris"}}"#);
        let info = Some(ErrorInfo { reason: "QUOTA".to_owned(), domain: "iris".to_owned() });
        assert_eq!(code.grpc, Some(GrpcStatus { code: GrpcCode::ResourceExhausted, info }));
        assert_eq!(
            (code.status, code.message.as_str()),
            (StatusCode::TOO_MANY_REQUESTS, "RESOURCE_EXHAUSTED")
        );
        assert_eq!(parse(r#"{"grpc": "UNAVAILABLE", "rate": "5%"}"#).describe(), "5% UNAVAILABLE");
    }

    #[test]
    fn what_can_not_work_is_told() {
        let keys = |text| {
            let found = check(&parse(text), &Protocol::Http, &Labels::default());
            found.into_iter().map(|problem| problem.key).collect::<Vec<_>>()
        };
        for fine in
            [r#"{"status": 503, "retry-after": "1m"}"#, r#"{"kind": "timeout"}"#, r#"{"grpc": "ABORTED"}"#]
        {
            assert!(keys(fine).is_empty(), "{fine}");
        }
        assert_eq!(keys(r#"{"status": 503, "retry-after": "500ms"}"#), ["retry-after"]);
        assert_eq!(keys(r#"{"status": 503, "retry-after": "0s"}"#), ["retry-after"]);
        assert_eq!(keys(r#"{"status": 503, "details": {"reason": "A"}}"#), ["details"]);
        assert_eq!(keys("{}"), [""]);
        assert_eq!(keys(r#"{"status": 503, "kind": "timeout"}"#), [""]);
        for wrong in [r#"{"status": 200}"#, r#"{"grpc": "OK"}"#, r#"{"kind": "sad"}"#] {
            assert!(serde_json::from_str::<Error>(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn its_page_can_be_pasted() {
        crate::fault::testing::assert_page("error");
    }
}

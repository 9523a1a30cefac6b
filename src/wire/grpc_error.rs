//! A failed gRPC call: its status in headers ("trailers-only") under HTTP 200, with `google.rpc.Status` details.
//!
//! A failure that names its code gets it; one of a known kind gets the code that gRPC's own documentation gives for it; one with a bare HTTP status
//! the code of gRPC's `http-grpc-status-mapping.md`. `RetryInfo` tells clients when to come back, `ErrorInfo` why.

use base64::{Engine as _, engine::general_purpose::STANDARD_NO_PAD};
use bytes::Bytes;
use http::{HeaderValue, StatusCode};

use super::{ErrorResponse, Failure, FailureKind, limits::set, protobuf::write_varint};

/// The response of a gRPC call that failed.
///
/// ```
/// use canard::wire::{Failure, grpc_error};
/// let error = grpc_error(&Failure::new(http::StatusCode::SERVICE_UNAVAILABLE, "no worker"));
/// assert_eq!((error.status.as_u16(), &error.headers["grpc-status"]), (200, &"14".parse().unwrap()));
/// ```
pub fn grpc_error(failure: &Failure) -> ErrorResponse {
    let code = code(failure);
    let mut response = ErrorResponse::new(StatusCode::OK, "application/grpc", Bytes::new());
    response.headers.insert("grpc-status", HeaderValue::from(code));
    set(&mut response.headers, "grpc-message", &percent_encoded(&failure.message));
    if info(failure).is_some() || failure.retry_after.is_some() {
        let details = STANDARD_NO_PAD.encode(status(code, failure));
        set(&mut response.headers, "grpc-status-details-bin", &details);
    }
    response
}

fn code(failure: &Failure) -> u16 {
    if let Some(grpc) = &failure.grpc {
        return grpc.code.number();
    }
    match (failure.kind, failure.status.as_u16()) {
        (Some(FailureKind::RateLimited), _) => 8,
        (Some(FailureKind::Overloaded | FailureKind::Unavailable), _) => 14,
        (Some(FailureKind::ContextLength | FailureKind::InvalidRequest), _) => 3,
        (Some(FailureKind::ModelNotFound), _) => 5,
        (Some(FailureKind::Authentication), _) => 16,
        (Some(FailureKind::Timeout), _) => 4,
        (Some(FailureKind::Internal), _) => 13,
        (None, 400) => 13,
        (None, 401) => 16,
        (None, 403) => 7,
        (None, 404) => 12,
        (None, 429 | 502 | 503 | 504) => 14,
        (None, _) => 2,
    }
}

/// `google.rpc.Status`.
fn status(code: u16, failure: &Failure) -> Vec<u8> {
    let mut status = Vec::new();
    number(1, u64::from(code), &mut status);
    bytes(2, failure.message.as_bytes(), &mut status);
    if let Some((reason, domain)) = info(failure) {
        let mut info = Vec::new();
        bytes(1, reason.as_bytes(), &mut info);
        bytes(2, domain.as_bytes(), &mut info);
        detail("google.rpc.ErrorInfo", &info, &mut status);
    }
    if let Some(after) = failure.retry_after {
        let mut delay = Vec::new();
        number(1, after.as_secs(), &mut delay);
        number(2, after.subsec_nanos().into(), &mut delay);
        let mut info = Vec::new();
        bytes(1, &delay, &mut info);
        detail("google.rpc.RetryInfo", &info, &mut status);
    }
    status
}

/// Reason and domain of `ErrorInfo`.
fn info(failure: &Failure) -> Option<(&str, &str)> {
    let own = failure.grpc.as_ref().and_then(|grpc| grpc.info.as_ref());
    let own = own.map(|info| (info.reason.as_str(), info.domain.as_str()));
    own.or_else(|| failure.kind.map(|kind| (reason(kind), "canard")))
}

const fn reason(kind: FailureKind) -> &'static str {
    match kind {
        FailureKind::RateLimited => "RATE_LIMIT_EXCEEDED",
        FailureKind::Overloaded => "OVERLOADED",
        FailureKind::ContextLength => "CONTEXT_LENGTH_EXCEEDED",
        FailureKind::ModelNotFound => "MODEL_NOT_FOUND",
        FailureKind::InvalidRequest => "INVALID_REQUEST",
        FailureKind::Authentication => "UNAUTHENTICATED",
        FailureKind::Unavailable => "UNAVAILABLE",
        FailureKind::Timeout => "DEADLINE_EXCEEDED",
        FailureKind::Internal => "INTERNAL",
    }
}

/// A `google.protobuf.Any` among the details.
fn detail(name: &str, message: &[u8], status: &mut Vec<u8>) {
    let mut any = Vec::new();
    bytes(1, format!("type.googleapis.com/{name}").as_bytes(), &mut any);
    bytes(2, message, &mut any);
    bytes(3, &any, status);
}

fn number(field: u64, value: u64, out: &mut Vec<u8>) {
    if value != 0 {
        write_varint(field << 3, out);
        write_varint(value, out);
    }
}

fn bytes(field: u64, value: &[u8], out: &mut Vec<u8>) {
    write_varint(field << 3 | 2, out);
    write_varint(value.len() as u64, out);
    out.extend_from_slice(value);
}

/// Percent-encoding as gRPC wants it for `grpc-message`: printable ASCII stays, except `%`.
fn percent_encoded(message: &str) -> String {
    let mut out = String::with_capacity(message.len());
    for byte in message.bytes() {
        match byte {
            b'%' | 0..0x20 | 0x7f.. => out.push_str(&format!("%{byte:02X}")),
            printable => out.push(printable as char),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use prost::Message;

    use super::*;
    use crate::wire::{ErrorInfo, GrpcCode, GrpcStatus};

    #[derive(Clone, PartialEq, Message)]
    struct Status {
        #[prost(int32, tag = "1")]
        code: i32,
        #[prost(string, tag = "2")]
        message: String,
        #[prost(message, repeated, tag = "3")]
        details: Vec<Any>,
    }

    #[derive(Clone, PartialEq, Message)]
    struct Any {
        #[prost(string, tag = "1")]
        type_url: String,
        #[prost(bytes = "vec", tag = "2")]
        value: Vec<u8>,
    }

    #[derive(Clone, PartialEq, Message)]
    struct Delay {
        #[prost(message, optional, tag = "1")]
        delay: Option<Span>,
    }

    #[derive(Clone, PartialEq, Message)]
    struct Span {
        #[prost(int64, tag = "1")]
        seconds: i64,
        #[prost(int32, tag = "2")]
        nanos: i32,
    }

    #[test]
    fn details_are_read_by_protobuf_s_own_decoder() {
        let failure = Failure {
            kind: Some(FailureKind::RateLimited),
            retry_after: Some(Duration::from_millis(1500)),
            ..Failure::new(StatusCode::TOO_MANY_REQUESTS, "50% é")
        };
        let error = grpc_error(&failure);
        assert_eq!((error.status, &error.body[..]), (StatusCode::OK, &b""[..]));
        assert_eq!(error.headers["grpc-status"], "8");
        assert_eq!(error.headers["grpc-message"], "50%25 %C3%A9");
        let details = STANDARD_NO_PAD.decode(&error.headers["grpc-status-details-bin"]).unwrap();
        let status = Status::decode(details.as_slice()).unwrap();
        assert_eq!((status.code, status.message.as_str()), (8, "50% é"));
        let types: Vec<_> = status.details.iter().map(|any| any.type_url.as_str()).collect();
        assert_eq!(
            types,
            ["type.googleapis.com/google.rpc.ErrorInfo", "type.googleapis.com/google.rpc.RetryInfo"]
        );
        let delay = Delay::decode(status.details[1].value.as_slice()).unwrap().delay.unwrap();
        assert_eq!((delay.seconds, delay.nanos), (1, 500_000_000));
    }

    #[test]
    fn a_code_of_its_own_is_told_with_its_reason() {
        let info = Some(ErrorInfo { reason: "QUOTA".to_owned(), domain: "iris".to_owned() });
        let grpc = Some(GrpcStatus { code: GrpcCode::ResourceExhausted, info });
        let retry_after = Some(Duration::from_secs(2));
        let failure =
            Failure { grpc, retry_after, ..Failure::new(StatusCode::TOO_MANY_REQUESTS, "slow down") };
        let error = grpc_error(&failure);
        assert_eq!(error.headers["grpc-status"], "8");
        // As `googleapis-common-protos` writes them.
        assert_eq!(
            error.headers["grpc-status-details-bin"],
            "CAgSCXNsb3cgZG93bho5Cih0eXBlLmdvb2dsZWFwaXMuY29tL2dvb2dsZS5ycGMuRXJyb3JJbmZvEg0KBVFVT1RBEgRpcmlz\
             GjAKKHR5cGUuZ29vZ2xlYXBpcy5jb20vZ29vZ2xlLnJwYy5SZXRyeUluZm8SBAoCCAI"
        );
        let bare = GrpcStatus { code: GrpcCode::NotFound, info: None };
        let error = grpc_error(&Failure { grpc: Some(bare), ..Failure::new(StatusCode::NOT_FOUND, "no") });
        assert_eq!(error.headers["grpc-status"], "5");
        assert!(!error.headers.contains_key("grpc-status-details-bin"));
    }

    #[test]
    fn a_bare_status_has_a_code_and_no_details() {
        for (status, code) in
            [(503, "14"), (429, "14"), (401, "16"), (404, "12"), (500, "2"), (400, "13"), (403, "7")]
        {
            let error = grpc_error(&Failure::new(StatusCode::from_u16(status).unwrap(), "no"));
            assert_eq!(error.headers["grpc-status"], code, "{status}");
            assert!(!error.headers.contains_key("grpc-status-details-bin"));
        }
    }
}

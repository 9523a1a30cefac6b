//! gRPC status codes, as a scenario names them.

use http::StatusCode;
use serde::{Deserialize, Serialize};

/// A gRPC status that says something went wrong (grpc/doc/statuscodes.md).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[expect(missing_docs, reason = "the names are the standard's")]
pub enum GrpcCode {
    Cancelled = 1,
    Unknown = 2,
    InvalidArgument = 3,
    DeadlineExceeded = 4,
    NotFound = 5,
    AlreadyExists = 6,
    PermissionDenied = 7,
    ResourceExhausted = 8,
    FailedPrecondition = 9,
    Aborted = 10,
    OutOfRange = 11,
    Unimplemented = 12,
    Internal = 13,
    Unavailable = 14,
    DataLoss = 15,
    Unauthenticated = 16,
}

impl GrpcCode {
    /// The number on the wire.
    pub const fn number(self) -> u16 {
        self as u16
    }

    /// As the standard writes it.
    pub const fn name(self) -> &'static str {
        match self {
            GrpcCode::Cancelled => "CANCELLED",
            GrpcCode::Unknown => "UNKNOWN",
            GrpcCode::InvalidArgument => "INVALID_ARGUMENT",
            GrpcCode::DeadlineExceeded => "DEADLINE_EXCEEDED",
            GrpcCode::NotFound => "NOT_FOUND",
            GrpcCode::AlreadyExists => "ALREADY_EXISTS",
            GrpcCode::PermissionDenied => "PERMISSION_DENIED",
            GrpcCode::ResourceExhausted => "RESOURCE_EXHAUSTED",
            GrpcCode::FailedPrecondition => "FAILED_PRECONDITION",
            GrpcCode::Aborted => "ABORTED",
            GrpcCode::OutOfRange => "OUT_OF_RANGE",
            GrpcCode::Unimplemented => "UNIMPLEMENTED",
            GrpcCode::Internal => "INTERNAL",
            GrpcCode::Unavailable => "UNAVAILABLE",
            GrpcCode::DataLoss => "DATA_LOSS",
            GrpcCode::Unauthenticated => "UNAUTHENTICATED",
        }
    }

    /// The HTTP status that stands for it where no gRPC is spoken (google/rpc/code.proto).
    pub fn http(self) -> StatusCode {
        let code = match self {
            GrpcCode::Cancelled => 499,
            GrpcCode::InvalidArgument | GrpcCode::FailedPrecondition | GrpcCode::OutOfRange => 400,
            GrpcCode::DeadlineExceeded => 504,
            GrpcCode::NotFound => 404,
            GrpcCode::AlreadyExists | GrpcCode::Aborted => 409,
            GrpcCode::PermissionDenied => 403,
            GrpcCode::ResourceExhausted => 429,
            GrpcCode::Unimplemented => 501,
            GrpcCode::Unavailable => 503,
            GrpcCode::Unauthenticated => 401,
            GrpcCode::Unknown | GrpcCode::Internal | GrpcCode::DataLoss => 500,
        };
        StatusCode::from_u16(code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }
}

/// What went wrong, for programs to read (`google.rpc.ErrorInfo`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct ErrorInfo {
    /// Why, as a constant such as `RATE_LIMIT_EXCEEDED`.
    pub reason: String,
    /// What the reason belongs to, such as `serving.example.com`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub domain: String,
}

/// A gRPC status, in place of the one that an HTTP status stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GrpcStatus {
    /// Its code.
    pub code: GrpcCode,
    /// What went wrong.
    pub info: Option<ErrorInfo>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_have_their_names_numbers_and_http_statuses() {
        for (name, number, http) in [
            ("CANCELLED", 1, 499),
            ("RESOURCE_EXHAUSTED", 8, 429),
            ("UNAVAILABLE", 14, 503),
            ("UNAUTHENTICATED", 16, 401),
        ] {
            let code: GrpcCode = serde_json::from_value(name.into()).unwrap();
            assert_eq!((code.name(), code.number(), code.http().as_u16()), (name, number, http));
        }
    }
}

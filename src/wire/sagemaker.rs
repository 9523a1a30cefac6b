//! Amazon SageMaker: `/invocations` of a container, `/endpoints/E/invocations` of its runtime.
//!
//! Bodies are JSON or CSV, as the content types say. A caller of the runtime sees a container's failure as 424
//! `ModelError`; a container is asked by SageMaker itself and fails in any words.

use http::{HeaderMap, Method, StatusCode, header::CONTENT_TYPE};
use serde_json::json;

use super::{
    Codec, ErrorResponse, Failure, FailureKind, Framing, Generation, Head, Outputs, Reading, WireError,
    any_json, csv,
    limits::{set, unique_id},
    openai,
    tgi::Tgi,
};

#[derive(Debug)]
pub(super) struct SageMaker(Outputs);

impl SageMaker {
    pub(super) fn new(outputs: Outputs) -> SageMaker {
        SageMaker(outputs)
    }
}

impl Codec for SageMaker {
    fn is_prediction(&self, method: &Method, path: &str) -> bool {
        method == Method::POST && path.ends_with("/invocations")
    }

    fn model<'a>(&self, path: &'a str) -> Option<&'a str> {
        let (_, rest) = path.split_once("/endpoints/")?;
        rest.strip_suffix("/invocations").filter(|endpoint| !endpoint.is_empty())
    }

    fn read(&self, head: Head<'_>, body: &[u8]) -> Result<Reading, WireError> {
        if is_csv(head.headers) { csv::predictions(body) } else { any_json::read(body, &self.0) }
    }

    fn features(&self, head: Head<'_>, body: &[u8]) -> Result<Reading, WireError> {
        if is_csv(head.headers) { csv::features(body) } else { any_json::features(body) }
    }

    /// Hugging Face's containers answer like Text Generation Inference, others like OpenAI.
    fn generation(&self, head: Head<'_>, payload: &[u8]) -> Result<Generation, WireError> {
        let is_stream = Framing::of(head.headers) != Framing::Whole;
        Tgi.generation(head, payload)
            .or_else(|error| openai::generation(payload, is_stream).map_err(|_| error))
    }

    fn error(&self, path: &str, failure: &Failure) -> ErrorResponse {
        if !path.contains("/endpoints/") {
            return ErrorResponse::new(failure.status, "text/plain; charset=utf-8", failure.message.clone());
        }
        let (status, kind) = runtime_error(failure);
        let (code, message) = (failure.status.as_u16(), &failure.message);
        let body = match kind {
            "ModelError" => json!({
                "ErrorCode": "CLIENT_ERROR_FROM_MODEL",
                "LogStreamArn": "",
                "Message": format!("Received server error ({code}) from primary with message \"{message}\"."),
                "OriginalMessage": message,
                "OriginalStatusCode": code,
            }),
            _ => json!({ "Message": message }),
        };
        let mut response = ErrorResponse::json(status, &body);
        set(&mut response.headers, "x-amzn-errortype", kind);
        set(&mut response.headers, "x-amzn-requestid", &uuid(&unique_id()));
        response
    }
}

/// The exception of `InvokeEndpoint` and its status.
fn runtime_error(failure: &Failure) -> (StatusCode, &'static str) {
    match failure.kind {
        Some(FailureKind::RateLimited) => (StatusCode::BAD_REQUEST, "ThrottlingException"),
        Some(FailureKind::Overloaded | FailureKind::Unavailable) => {
            (StatusCode::SERVICE_UNAVAILABLE, "ServiceUnavailable")
        }
        Some(FailureKind::ModelNotFound) => (StatusCode::BAD_REQUEST, "ValidationError"),
        Some(FailureKind::Authentication) => (StatusCode::FORBIDDEN, "AccessDeniedException"),
        _ => (StatusCode::FAILED_DEPENDENCY, "ModelError"),
    }
}

fn uuid(hex: &str) -> String {
    let part = |from: usize, to: usize| hex.get(from..to).unwrap_or_default();
    [part(0, 8), part(8, 12), part(12, 16), part(16, 20), part(20, 32)].join("-")
}

fn is_csv(headers: &HeaderMap) -> bool {
    let media = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    media.split(';').next().is_some_and(|media| media.trim().eq_ignore_ascii_case("text/csv"))
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;
    use crate::wire::{Row, Value};

    fn codec() -> SageMaker {
        SageMaker::new(Outputs::default())
    }

    #[test]
    fn json_and_csv_are_told_by_the_content_type() {
        let csv: HeaderMap =
            [(CONTENT_TYPE, HeaderValue::from_static("text/csv; charset=utf-8"))].into_iter().collect();
        let json = HeaderMap::new();
        let path = "/invocations";
        let row = Row { label: None, scores: vec![Value::Float(0.5)] };
        let read = |headers, body: &[u8]| codec().read(Head { path, headers }, body).unwrap().rows().to_vec();
        assert_eq!(read(&csv, b"0.5\n"), [row]);
        let both = read(&json, br#"{"predictions":[{"score":0.98,"predicted_label":1}]}"#);
        assert_eq!(both, [Row { label: Some(Value::Int(1)), scores: vec![Value::Float(0.98)] }]);
        let cells = codec().features(Head { path, headers: &csv }, b"1,2\n").unwrap();
        assert_eq!(cells.rows()[0].scores, [Value::Int(1), Value::Int(2)]);
    }

    #[test]
    fn a_caller_of_the_runtime_sees_a_model_error() {
        let failure = Failure::new(StatusCode::INTERNAL_SERVER_ERROR, "out of memory");
        let seen = codec().error("/endpoints/iris/invocations", &failure);
        assert_eq!(seen.status, 424);
        assert_eq!(seen.headers["x-amzn-errortype"], "ModelError");
        assert!(seen.body.starts_with(br#"{"ErrorCode":"CLIENT_ERROR_FROM_MODEL","#), "{:?}", seen.body);
        assert_eq!(codec().error("/invocations", &failure).body, "out of memory");
        assert_eq!(codec().model("/endpoints/iris/invocations"), Some("iris"));
    }
}

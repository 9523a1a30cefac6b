//! OpenInference.

use http::{HeaderMap, Method, StatusCode};

use super::{Codec, ErrorBody, Outputs, Reading, WireError, json_api::NoPredictions};

#[derive(Debug)]
pub(super) struct OpenInference(#[expect(dead_code, reason = "stub")] Outputs);

impl OpenInference {
    pub(super) fn new(outputs: Outputs) -> OpenInference {
        OpenInference(outputs)
    }
}

impl Codec for OpenInference {
    fn is_prediction(&self, method: &Method, _path: &str) -> bool {
        method == Method::POST
    }
    fn model<'a>(&self, _path: &'a str) -> Option<&'a str> {
        None
    }
    fn read(&self, _headers: &HeaderMap, _body: &[u8]) -> Result<Reading, WireError> {
        Err(WireError::NoPrediction)
    }
    fn error(&self, status: StatusCode, message: &str) -> ErrorBody {
        NoPredictions.error(status, message)
    }
}

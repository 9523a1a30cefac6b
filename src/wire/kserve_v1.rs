//! KserveV1.

use http::{HeaderMap, Method, StatusCode};

use super::{Codec, ErrorBody, Outputs, Reading, WireError, json_api::NoPredictions};

#[derive(Debug)]
pub(super) struct KserveV1(#[expect(dead_code, reason = "stub")] Outputs);

impl KserveV1 {
    pub(super) fn new(outputs: Outputs) -> KserveV1 {
        KserveV1(outputs)
    }
}

impl Codec for KserveV1 {
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

//! Any JSON API, with paths to its predictions.

use http::{HeaderMap, HeaderValue, Method, StatusCode};

use super::{Codec, ErrorBody, JsonApi, Reading, WireError};

#[derive(Debug)]
pub(super) struct JsonCodec(#[expect(dead_code, reason = "stub")] JsonApi);

impl JsonCodec {
    pub(super) fn new(api: JsonApi) -> JsonCodec {
        JsonCodec(api)
    }
}

impl Codec for JsonCodec {
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

/// Plain HTTP: nothing to read.
#[derive(Debug)]
pub(super) struct NoPredictions;

impl Codec for NoPredictions {
    fn is_prediction(&self, _method: &Method, _path: &str) -> bool {
        false
    }
    fn model<'a>(&self, _path: &'a str) -> Option<&'a str> {
        None
    }
    fn read(&self, _headers: &HeaderMap, _body: &[u8]) -> Result<Reading, WireError> {
        Err(WireError::NoPrediction)
    }
    fn error(&self, _status: StatusCode, message: &str) -> ErrorBody {
        ErrorBody {
            content_type: HeaderValue::from_static("text/plain; charset=utf-8"),
            body: message.to_owned().into(),
        }
    }
}

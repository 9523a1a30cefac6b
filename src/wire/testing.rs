//! What the tests of the codecs share.

use std::sync::LazyLock;

use http::{HeaderMap, StatusCode};

use super::{Answer, Codec, ErrorResponse, Failure, Head, Reading, Row, WireError};

static NO_HEADERS: LazyLock<HeaderMap> = LazyLock::new(HeaderMap::new);

/// A path, and no headers.
pub(crate) fn at(path: &str) -> Head<'_> {
    Head { path, headers: &NO_HEADERS }
}

/// Reads a body whose route does not matter.
pub(crate) fn read(codec: &dyn Codec, body: &[u8]) -> Result<Reading, WireError> {
    codec.read(at("/"), body)
}

/// The body with other rows.
pub(crate) fn splice(reading: &Reading, body: &[u8], rows: &[Row]) -> Result<Option<Vec<u8>>, WireError> {
    let edited = Answer { rows: rows.to_vec(), ..reading.answer() };
    Ok(reading.splice(body, &edited)?.map(|spliced| spliced.body))
}

/// An error on a route that does not matter.
pub(crate) fn error(codec: &dyn Codec, status: StatusCode, message: &str) -> ErrorResponse {
    codec.error("/", &Failure::new(status, message))
}

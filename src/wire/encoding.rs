//! Content codings: a body is decoded before it is read, and coded alike after it was edited.
//!
//! Decoding stops at a limit, so a small body that unpacks to gigabytes costs no more than the limit. A whole
//! body goes through the same [`Decoder`] and [`Encoder`] as a stream, whose every piece comes out as soon as
//! it went in: nothing is held back for a better ratio. `br` and `zstd` need the `compression` feature.

mod stream;

use http::{HeaderMap, HeaderName, header::CONTENT_ENCODING};

use super::WireError;

pub use stream::{Decoder, Encoder};

/// The coding of the messages of a gRPC call.
const GRPC_ENCODING: HeaderName = HeaderName::from_static("grpc-encoding");

/// The content coding of a body.
///
/// ```
/// use canard::wire::encoding::Encoding;
/// let packed = Encoding::Gzip.encode(b"[1]".to_vec());
/// assert_eq!(Encoding::Gzip.decode(&packed, 1024)?, b"[1]");
/// # Ok::<(), canard::wire::WireError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Encoding {
    /// As it is.
    Identity,
    /// gzip (RFC 1952).
    Gzip,
    /// zlib (RFC 1950), which is what HTTP calls `deflate`.
    Deflate,
    /// Deflate without a wrapping (RFC 1951), which some servers call `deflate`; see [`Encoding::as_sent`].
    RawDeflate,
    /// Brotli (RFC 7932).
    #[cfg(feature = "compression")]
    Brotli,
    /// Zstandard (RFC 8878), in windows of up to 8 MiB (RFC 9659).
    #[cfg(feature = "compression")]
    Zstd,
}

impl Encoding {
    /// What `Content-Encoding` says.
    ///
    /// # Errors
    /// [`WireError::Encoding`] for any other coding, and for several on top of each other.
    pub fn of(headers: &HeaderMap) -> Result<Encoding, WireError> {
        Encoding::named_by(headers, &CONTENT_ENCODING)
    }

    /// What `grpc-encoding` says of the messages of a gRPC call that are marked as compressed.
    ///
    /// # Errors
    /// [`WireError::Encoding`] for any other coding.
    pub fn of_messages(headers: &HeaderMap) -> Result<Encoding, WireError> {
        Encoding::named_by(headers, &GRPC_ENCODING)
    }

    fn named_by(headers: &HeaderMap, header: &HeaderName) -> Result<Encoding, WireError> {
        let mut found = Encoding::Identity;
        for value in headers.get_all(header) {
            let text = value.to_str().map_err(|_| WireError::Encoding("not ASCII".into()))?;
            for coding in text.split(',').map(str::trim).filter(|coding| !coding.is_empty()) {
                match (found, Encoding::named(coding)) {
                    (_, Some(Encoding::Identity)) => {}
                    (Encoding::Identity, Some(encoding)) => found = encoding,
                    _ => return Err(WireError::Encoding(text.to_owned())),
                }
            }
        }
        Ok(found)
    }

    fn named(coding: &str) -> Option<Encoding> {
        Some(match coding.to_ascii_lowercase().as_str() {
            "identity" => Encoding::Identity,
            "gzip" | "x-gzip" => Encoding::Gzip,
            "deflate" => Encoding::Deflate,
            #[cfg(feature = "compression")]
            "br" => Encoding::Brotli,
            #[cfg(feature = "compression")]
            "zstd" => Encoding::Zstd,
            _ => return None,
        })
    }

    /// The same, but for a `deflate` whose first byte shows that it has no zlib wrapping.
    ///
    /// An edited body is to be coded as the original was, since a client may read one form only.
    #[must_use]
    pub fn as_sent(self, body: &[u8]) -> Encoding {
        match (self, body) {
            (Encoding::Deflate, &[first, ..]) if !is_zlib(first) => Encoding::RawDeflate,
            _ => self,
        }
    }

    /// Decodes, never to more than `limit` bytes.
    ///
    /// # Errors
    /// [`WireError::TooLarge`] over the limit, [`WireError::Malformed`] for what is not coded like that.
    pub fn decode(self, body: &[u8], limit: usize) -> Result<Vec<u8>, WireError> {
        if body.len() > limit {
            return Err(WireError::TooLarge { limit });
        }
        if self == Encoding::Identity || body.is_empty() {
            return Ok(body.to_vec());
        }
        let mut decoder = Decoder::new(self, limit);
        let mut decoded = decoder.push(body)?;
        decoded.append(&mut decoder.finish()?);
        if decoded.len() > limit { Err(WireError::TooLarge { limit }) } else { Ok(decoded) }
    }

    /// Encodes again.
    pub fn encode(self, body: Vec<u8>) -> Vec<u8> {
        if self == Encoding::Identity {
            return body;
        }
        Encoder::new(self).finish_with(&body)
    }

    const fn name(self) -> &'static str {
        match self {
            Encoding::Identity => "identity",
            Encoding::Gzip => "gzip",
            Encoding::Deflate | Encoding::RawDeflate => "deflate",
            #[cfg(feature = "compression")]
            Encoding::Brotli => "br",
            #[cfg(feature = "compression")]
            Encoding::Zstd => "zstd",
        }
    }
}

/// The low half of zlib's first byte names the method, 8 for deflate. In a bare deflate it would be a stored
/// block with padding that is not zero, which no encoder writes.
const fn is_zlib(first: u8) -> bool {
    first & 0x0f == 8
}

#[cfg(test)]
mod tests;

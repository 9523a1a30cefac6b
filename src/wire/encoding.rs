//! Content codings: a body is decoded before it is read, and coded alike after it was edited.
//!
//! Decoding stops at a limit, so a small body that unpacks to gigabytes costs no more than the limit.

use std::io::{Read, Write as _};

use flate2::{Compression, read::MultiGzDecoder, write::GzEncoder};
use http::{HeaderMap, header::CONTENT_ENCODING};

use super::WireError;

/// The content coding of a body.
///
/// ```
/// use canard::wire::encoding::Encoding;
/// let packed = Encoding::Gzip.encode(b"[1]".to_vec());
/// assert_eq!(Encoding::Gzip.decode(&packed, 1024)?, b"[1]");
/// # Ok::<(), canard::wire::WireError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
    /// As it is.
    Identity,
    /// gzip (RFC 1952).
    Gzip,
}

impl Encoding {
    /// What `Content-Encoding` says.
    ///
    /// # Errors
    /// [`WireError::Encoding`] for any other coding, and for several on top of each other.
    pub fn of(headers: &HeaderMap) -> Result<Encoding, WireError> {
        let mut found = Encoding::Identity;
        for value in headers.get_all(CONTENT_ENCODING) {
            let text = value.to_str().map_err(|_| WireError::Encoding("not ASCII".into()))?;
            for coding in text.split(',').map(str::trim) {
                let is = |name: &str| coding.eq_ignore_ascii_case(name);
                if coding.is_empty() || is("identity") {
                    continue;
                }
                if found != Encoding::Identity || !(is("gzip") || is("x-gzip")) {
                    return Err(WireError::Encoding(text.to_owned()));
                }
                found = Encoding::Gzip;
            }
        }
        Ok(found)
    }

    /// Decodes, never to more than `limit` bytes.
    ///
    /// # Errors
    /// [`WireError::TooLarge`] over the limit, [`WireError::Malformed`] for what is no gzip.
    pub fn decode(self, body: &[u8], limit: usize) -> Result<Vec<u8>, WireError> {
        if body.len() > limit {
            return Err(WireError::TooLarge { limit });
        }
        if self == Encoding::Identity || body.is_empty() {
            return Ok(body.to_vec());
        }
        let mut decoded = Vec::with_capacity((body.len() * 4).min(limit));
        let most = u64::try_from(limit).unwrap_or(u64::MAX).saturating_add(1);
        let read = MultiGzDecoder::new(body).take(most).read_to_end(&mut decoded);
        // A body that is over the limit before it goes wrong is over the limit.
        if decoded.len() > limit {
            return Err(WireError::TooLarge { limit });
        }
        read.map_err(|error| WireError::Malformed(format!("invalid gzip: {error}")))?;
        Ok(decoded)
    }

    /// Encodes again.
    pub fn encode(self, body: Vec<u8>) -> Vec<u8> {
        match self {
            Encoding::Identity => body,
            Encoding::Gzip => {
                let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
                encoder
                    .write_all(&body)
                    .and_then(|()| encoder.finish())
                    .expect("writing to memory does not fail")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn headers(values: &[&'static str]) -> HeaderMap {
        values.iter().map(|value| (CONTENT_ENCODING, HeaderValue::from_static(value))).collect()
    }

    #[test]
    fn codings_are_known_by_their_header() {
        for (values, encoding) in [
            (&[][..], Encoding::Identity),
            (&["identity"], Encoding::Identity),
            (&[""], Encoding::Identity),
            (&["gzip"], Encoding::Gzip),
            (&["X-GZip"], Encoding::Gzip),
            (&["identity, gzip"], Encoding::Gzip),
        ] {
            assert_eq!(Encoding::of(&headers(values)), Ok(encoding), "{values:?}");
        }
        for values in
            [&["br"][..], &["gzip, gzip"], &["gzip", "gzip"], &["deflate"], &["zstd, gzip"], &["gzip;q=1"]]
        {
            assert!(matches!(Encoding::of(&headers(values)), Err(WireError::Encoding(_))), "{values:?}");
        }
    }

    #[test]
    fn gzip_there_and_back() {
        let body = br#"{"outputs":[]}"#.repeat(100);
        let packed = Encoding::Gzip.encode(body.clone());
        assert!(packed.len() < body.len());
        assert_eq!(Encoding::Gzip.decode(&packed, body.len()), Ok(body.clone()));
        assert_eq!(
            Encoding::Gzip.decode(&packed, body.len() - 1),
            Err(WireError::TooLarge { limit: body.len() - 1 })
        );
        let twice = [packed.clone(), packed].concat();
        assert_eq!(Encoding::Gzip.decode(&twice, usize::MAX).unwrap().len(), 2 * body.len());
        assert_eq!(Encoding::Gzip.decode(b"", 10), Ok(vec![]));
    }

    #[test]
    fn identity_has_the_same_limit() {
        assert_eq!(Encoding::Identity.decode(b"1234", 4), Ok(b"1234".to_vec()));
        assert_eq!(Encoding::Identity.decode(b"12345", 4), Err(WireError::TooLarge { limit: 4 }));
        assert_eq!(Encoding::Identity.encode(b"1".to_vec()), b"1");
    }

    #[test]
    fn a_bomb_costs_no_more_than_the_limit() {
        let bomb = Encoding::Gzip.encode(vec![0; 64 << 20]);
        assert!(bomb.len() < 1 << 20);
        assert_eq!(Encoding::Gzip.decode(&bomb, 1 << 20), Err(WireError::TooLarge { limit: 1 << 20 }));
    }

    #[test]
    fn what_is_no_gzip_is_told() {
        let packed = Encoding::Gzip.encode(b"[1,2,3]".to_vec());
        let mut wrong_sum = packed.clone();
        wrong_sum[packed.len() - 6] ^= 1;
        for body in [
            &b"{\"outputs\":[]}"[..],
            &packed[..packed.len() - 3],
            &packed[..5],
            &wrong_sum,
            &[&packed[..], b"x"].concat(),
        ] {
            let error = Encoding::Gzip.decode(body, 1000).unwrap_err();
            assert!(error.to_string().contains("invalid gzip: "), "{error}");
            assert_eq!(error.reason(), "malformed-body");
        }
    }
}

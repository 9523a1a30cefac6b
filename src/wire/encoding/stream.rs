//! Decoding and encoding piece by piece.
//!
//! What one piece decodes to is bounded, and it all comes out with that piece. An encoder ends each piece
//! with a flush, so that a caller sees an event of a stream as soon as the server sent it.

use std::{
    fmt,
    io::{self, Write},
    mem,
};

use flate2::{Compression, write as flate};

use super::Encoding;
use crate::wire::WireError;

/// The largest window of `zstd` that is read: 8 MiB, the most that RFC 9659 allows.
#[cfg(feature = "compression")]
const WINDOW_LOG: u32 = 23;

/// Where decoded bytes gather; refuses more than it has room for.
#[derive(Debug, Default)]
struct Tray {
    bytes: Vec<u8>,
    limit: usize,
    overflowed: bool,
}

impl Write for Tray {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if bytes.len() > self.limit - self.bytes.len() {
            self.overflowed = true;
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.bytes.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Decodes a stream, piece by piece.
///
/// ```
/// use canard::wire::encoding::{Decoder, Encoder, Encoding};
/// let mut encoder = Encoder::new(Encoding::Gzip);
/// let mut decoder = Decoder::new(Encoding::Gzip, 1024);
/// assert_eq!(decoder.push(&encoder.push(b"data: 1\n\n"))?, b"data: 1\n\n");
/// assert_eq!(decoder.push(&encoder.push(b"data: 2\n\n"))?, b"data: 2\n\n");
/// assert_eq!(decoder.push(&encoder.finish())?, b"");
/// assert_eq!(decoder.finish()?, b"");
/// # Ok::<(), canard::wire::WireError>(())
/// ```
pub struct Decoder {
    encoding: Encoding,
    limit: usize,
    unpack: Unpack,
    /// Has anything come? Nothing at all is no stream that is cut off.
    begun: bool,
}

/// Unlike `zstd::stream::write::Decoder` it tells when a frame is cut off.
#[cfg(feature = "compression")]
type ZstdWriter = zstd::stream::zio::Writer<Tray, zstd::stream::raw::Decoder<'static>>;

enum Unpack {
    Identity,
    Gzip(Box<flate::MultiGzDecoder<Tray>>),
    /// `deflate` before its first byte, which tells which kind it is.
    Deflate,
    Zlib(Box<flate::ZlibDecoder<Tray>>),
    Raw(Box<flate::DeflateDecoder<Tray>>),
    #[cfg(feature = "compression")]
    Brotli(Box<brotli::DecompressorWriter<Tray>>),
    #[cfg(feature = "compression")]
    Zstd(Box<ZstdWriter>),
    Failed,
}

impl Decoder {
    /// A decoder that gives at most `limit` bytes for a piece.
    pub fn new(encoding: Encoding, limit: usize) -> Decoder {
        let tray = Tray { limit, ..Tray::default() };
        let unpack = match encoding {
            Encoding::Identity => Unpack::Identity,
            Encoding::Gzip => Unpack::Gzip(Box::new(flate::MultiGzDecoder::new(tray))),
            Encoding::Deflate => Unpack::Deflate,
            Encoding::RawDeflate => Unpack::Raw(Box::new(flate::DeflateDecoder::new(tray))),
            #[cfg(feature = "compression")]
            Encoding::Brotli => Unpack::Brotli(Box::new(brotli::DecompressorWriter::new(tray, 4096))),
            #[cfg(feature = "compression")]
            Encoding::Zstd => {
                zstd_decoder(tray).map_or(Unpack::Failed, |decoder| Unpack::Zstd(Box::new(decoder)))
            }
        };
        Decoder { encoding, limit, unpack, begun: false }
    }

    /// The coding as the server really uses it, once something of it has come; see [`Encoding::as_sent`].
    pub fn encoding(&self) -> Encoding {
        match self.unpack {
            Unpack::Raw(_) => Encoding::RawDeflate,
            _ => self.encoding,
        }
    }

    /// Decodes the next piece: all that can be told from the bytes so far.
    ///
    /// # Errors
    /// [`WireError::TooLarge`] if it is more than the limit, [`WireError::Malformed`] for what is not coded like
    /// that. Nothing can be decoded after an error.
    pub fn push(&mut self, piece: &[u8]) -> Result<Vec<u8>, WireError> {
        if piece.is_empty() {
            return Ok(Vec::new());
        }
        self.begun = true;
        if matches!(self.unpack, Unpack::Deflate) {
            let tray = Tray { limit: self.limit, ..Tray::default() };
            self.unpack = match self.encoding.as_sent(piece) {
                Encoding::RawDeflate => Unpack::Raw(Box::new(flate::DeflateDecoder::new(tray))),
                _ => Unpack::Zlib(Box::new(flate::ZlibDecoder::new(tray))),
            };
        }
        let done = match &mut self.unpack {
            Unpack::Identity if piece.len() > self.limit => Err(io::ErrorKind::StorageFull.into()),
            Unpack::Identity => return Ok(piece.to_vec()),
            Unpack::Gzip(decoder) => write(decoder, piece),
            Unpack::Zlib(decoder) => write(decoder, piece),
            Unpack::Raw(decoder) => write(decoder, piece),
            #[cfg(feature = "compression")]
            Unpack::Brotli(decoder) => write(decoder, piece),
            #[cfg(feature = "compression")]
            Unpack::Zstd(decoder) => write(decoder, piece),
            Unpack::Deflate | Unpack::Failed => Err(io::ErrorKind::InvalidData.into()),
        };
        self.take(done)
    }

    /// Ends the stream: what was left, if it ended where it may.
    ///
    /// # Errors
    /// As [`Decoder::push`], and [`WireError::Malformed`] for a stream that is cut off.
    pub fn finish(mut self) -> Result<Vec<u8>, WireError> {
        let done = match &mut self.unpack {
            _ if !self.begun => return Ok(Vec::new()),
            Unpack::Identity | Unpack::Deflate => return Ok(Vec::new()),
            Unpack::Gzip(decoder) => decoder.try_finish(),
            Unpack::Zlib(decoder) => decoder.try_finish(),
            Unpack::Raw(decoder) => decoder.try_finish(),
            #[cfg(feature = "compression")]
            Unpack::Brotli(decoder) => decoder.close(),
            #[cfg(feature = "compression")]
            Unpack::Zstd(decoder) => decoder.finish(),
            Unpack::Failed => Err(io::ErrorKind::InvalidData.into()),
        };
        self.take(done)
    }

    fn take(&mut self, done: io::Result<()>) -> Result<Vec<u8>, WireError> {
        let tray = match &mut self.unpack {
            Unpack::Gzip(decoder) => Some(decoder.get_mut()),
            Unpack::Zlib(decoder) => Some(decoder.get_mut()),
            Unpack::Raw(decoder) => Some(decoder.get_mut()),
            #[cfg(feature = "compression")]
            Unpack::Brotli(decoder) => Some(decoder.get_mut()),
            #[cfg(feature = "compression")]
            Unpack::Zstd(decoder) => Some(decoder.writer_mut()),
            Unpack::Identity | Unpack::Deflate | Unpack::Failed => None,
        };
        let error = match (done, tray) {
            (Ok(()), Some(tray)) => return Ok(mem::take(&mut tray.bytes)),
            (Ok(()), None) => return Ok(Vec::new()),
            // Bytes that are over the limit before they go wrong are over the limit.
            (Err(error), tray) => {
                match tray.is_some_and(|tray| tray.overflowed) || error.kind() == io::ErrorKind::StorageFull {
                    true => WireError::TooLarge { limit: self.limit },
                    false => WireError::Malformed(format!("invalid {}: {error}", self.encoding.name())),
                }
            }
        };
        self.encoding = self.encoding();
        self.unpack = Unpack::Failed;
        Err(error)
    }
}

/// Writes all of it, and has all that it decodes to written out.
fn write(decoder: &mut impl Write, piece: &[u8]) -> io::Result<()> {
    decoder.write_all(piece)?;
    decoder.flush()
}

#[cfg(feature = "compression")]
fn zstd_decoder(tray: Tray) -> io::Result<ZstdWriter> {
    let mut decoder = zstd::stream::raw::Decoder::new()?;
    decoder.set_parameter(zstd::stream::raw::DParameter::WindowLogMax(WINDOW_LOG))?;
    Ok(ZstdWriter::new(tray, decoder))
}

impl fmt::Debug for Decoder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Decoder")
            .field("encoding", &self.encoding())
            .field("limit", &self.limit)
            .finish_non_exhaustive()
    }
}

/// Encodes a stream, piece by piece; see [`Decoder`].
pub struct Encoder(Pack);

enum Pack {
    Identity,
    Gzip(Box<flate::GzEncoder<Vec<u8>>>),
    Zlib(Box<flate::ZlibEncoder<Vec<u8>>>),
    Raw(Box<flate::DeflateEncoder<Vec<u8>>>),
    #[cfg(feature = "compression")]
    Brotli(Box<brotli::CompressorWriter<Vec<u8>>>),
    #[cfg(feature = "compression")]
    Zstd(Box<zstd::stream::write::Encoder<'static, Vec<u8>>>),
}

impl Encoder {
    /// An encoder that favours speed over size.
    pub fn new(encoding: Encoding) -> Encoder {
        let (out, level) = (Vec::new(), Compression::fast());
        Encoder(match encoding {
            Encoding::Identity => Pack::Identity,
            Encoding::Gzip => Pack::Gzip(Box::new(flate::GzEncoder::new(out, level))),
            Encoding::Deflate => Pack::Zlib(Box::new(flate::ZlibEncoder::new(out, level))),
            Encoding::RawDeflate => Pack::Raw(Box::new(flate::DeflateEncoder::new(out, level))),
            #[cfg(feature = "compression")]
            Encoding::Brotli => Pack::Brotli(Box::new(brotli::CompressorWriter::new(out, 4096, 4, 19))),
            #[cfg(feature = "compression")]
            Encoding::Zstd => Pack::Zstd(Box::new(
                zstd::stream::write::Encoder::new(out, 1).expect("level 1 exists, and memory for it"),
            )),
        })
    }

    /// Encodes the next piece, to its end.
    pub fn push(&mut self, piece: &[u8]) -> Vec<u8> {
        if piece.is_empty() {
            return Vec::new();
        }
        let written = self.write(piece).and_then(|()| match &mut self.0 {
            Pack::Identity => Ok(()),
            Pack::Gzip(encoder) => encoder.flush(),
            Pack::Zlib(encoder) => encoder.flush(),
            Pack::Raw(encoder) => encoder.flush(),
            #[cfg(feature = "compression")]
            Pack::Brotli(encoder) => encoder.flush(),
            #[cfg(feature = "compression")]
            Pack::Zstd(encoder) => encoder.flush(),
        });
        debug_assert!(written.is_ok(), "writing to memory does not fail");
        mem::take(match &mut self.0 {
            Pack::Identity => return piece.to_vec(),
            Pack::Gzip(encoder) => encoder.get_mut(),
            Pack::Zlib(encoder) => encoder.get_mut(),
            Pack::Raw(encoder) => encoder.get_mut(),
            #[cfg(feature = "compression")]
            Pack::Brotli(encoder) => encoder.get_mut(),
            #[cfg(feature = "compression")]
            Pack::Zstd(encoder) => encoder.get_mut(),
        })
    }

    /// Ends the stream.
    pub fn finish(self) -> Vec<u8> {
        self.finish_with(&[])
    }

    /// Encodes the last piece and ends the stream, without a flush between the two.
    pub fn finish_with(mut self, piece: &[u8]) -> Vec<u8> {
        let written = self.write(piece);
        debug_assert!(written.is_ok(), "writing to memory does not fail");
        let finished = match self.0 {
            Pack::Identity => Ok(piece.to_vec()),
            Pack::Gzip(encoder) => encoder.finish(),
            Pack::Zlib(encoder) => encoder.finish(),
            Pack::Raw(encoder) => encoder.finish(),
            #[cfg(feature = "compression")]
            Pack::Brotli(encoder) => Ok(encoder.into_inner()),
            #[cfg(feature = "compression")]
            Pack::Zstd(encoder) => encoder.finish(),
        };
        finished.expect("writing to memory does not fail")
    }

    fn write(&mut self, piece: &[u8]) -> io::Result<()> {
        match &mut self.0 {
            Pack::Identity => Ok(()),
            Pack::Gzip(encoder) => encoder.write_all(piece),
            Pack::Zlib(encoder) => encoder.write_all(piece),
            Pack::Raw(encoder) => encoder.write_all(piece),
            #[cfg(feature = "compression")]
            Pack::Brotli(encoder) => encoder.write_all(piece),
            #[cfg(feature = "compression")]
            Pack::Zstd(encoder) => encoder.write_all(piece),
        }
    }
}

impl fmt::Debug for Encoder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Encoder").finish_non_exhaustive()
    }
}

//! The content coding of a stream, undone before it is read and done again after.
//!
//! An edited stream is coded anew from its first byte, each piece to its end, so that the caller can read it
//! as soon as it comes. Bytes that turn out not to be coded as the head says pass as they came, unless some were
//! decoded already: then what they said goes out, and the stream breaks, as it would have for the caller.

use bytes::Bytes;

use crate::wire::{
    WireError,
    encoding::{Decoder, Encoder, Encoding},
};

/// Coded bytes that are decoded at once; what they decode to is bounded.
const BITE: usize = 1024;

/// The coding of one stream.
#[derive(Debug)]
pub(super) enum Coder {
    /// None, or nobody looks.
    Plain,
    /// Undone and done again.
    Coded {
        decoder: Decoder,
        encoder: Option<Encoder>,
        /// Was anything decoded?
        begun: bool,
    },
    /// Undone for good: the stream has ended, or can't be decoded any more.
    Ended,
}

impl Coder {
    pub(super) fn new(encoding: Encoding, limit: usize) -> Coder {
        match encoding {
            Encoding::Identity => Coder::Plain,
            coding => Coder::Coded { decoder: Decoder::new(coding, limit), encoder: None, begun: false },
        }
    }

    /// Takes some bytes off `raw` and decodes them. An error after which `raw` is as it was means that the
    /// stream may pass as it came.
    pub(super) fn decode(&mut self, raw: &mut Bytes) -> Result<Bytes, WireError> {
        let Coder::Coded { decoder, begun, .. } = self else { return Ok(std::mem::take(raw)) };
        let bite = raw.slice(..raw.len().min(BITE));
        let plain = decoder.push(&bite)?;
        *begun = true;
        *raw = raw.slice(bite.len()..);
        Ok(plain.into())
    }

    /// May the stream still pass as it came?
    pub(super) fn is_fresh(&self) -> bool {
        matches!(self, Coder::Plain | Coder::Coded { begun: false, .. })
    }

    /// Codes a piece.
    pub(super) fn encode(&mut self, plain: Bytes) -> Bytes {
        let Coder::Coded { decoder, encoder, .. } = self else { return plain };
        encoder.get_or_insert_with(|| Encoder::new(decoder.encoding())).push(&plain).into()
    }

    /// The end of the coded stream, if what came was whole or `cut` says that the rest is not wanted.
    pub(super) fn finish(&mut self, cut: bool) -> Bytes {
        match std::mem::replace(self, Coder::Ended) {
            Coder::Coded { decoder, encoder, .. } => {
                let encoding = decoder.encoding();
                match decoder.finish() {
                    Ok(_) => {}
                    Err(_) if cut => {}
                    Err(_) => return Bytes::new(),
                }
                encoder.unwrap_or_else(|| Encoder::new(encoding)).finish().into()
            }
            Coder::Plain | Coder::Ended => Bytes::new(),
        }
    }
}

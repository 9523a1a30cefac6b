//! What a chunk of a stream carries: the payload of an event, or a gRPC message that may be compressed.

use std::borrow::Cow;

use crate::{
    layer::{rows::RowEdits, victim::Victim},
    wire::{Chunk, Codec, Framing, Generation, Head, WireError, encoding::Encoding},
};

/// A gRPC message that is compressed has this bit in its first byte.
const COMPRESSED: u8 = 1;

/// The coding of a chunk's payload.
fn coding(head: Head<'_>, chunk: &Chunk, framing: Framing) -> Result<Encoding, WireError> {
    match (framing, chunk.bytes().first()) {
        (Framing::Grpc, Some(flags)) if flags & COMPRESSED != 0 => Encoding::of_messages(head.headers),
        _ => Ok(Encoding::Identity),
    }
}

fn plain<'a>(coding: Encoding, chunk: &'a Chunk, limit: usize) -> Result<Cow<'a, [u8]>, WireError> {
    Ok(match coding {
        Encoding::Identity => Cow::Borrowed(chunk.payload()),
        coding => Cow::Owned(coding.decode(chunk.payload(), limit)?),
    })
}

/// The chunk with its rows edited.
pub(super) fn edit(
    rows: &mut RowEdits,
    victim: &Victim,
    head: Head<'_>,
    chunk: Chunk,
    framing: Framing,
    limit: usize,
) -> Chunk {
    if chunk.payload().is_empty() {
        return chunk;
    }
    let coding = coding(head, &chunk, framing);
    let message = coding.and_then(|coding| Ok((coding, plain(coding, &chunk, limit)?)));
    let edited = match &message {
        Ok((coding, message)) => {
            rows.message(victim, head, message).map(|spliced| coding.encode(spliced.body))
        }
        Err(error) => {
            rows.miss(error.reason());
            None
        }
    };
    match edited {
        Some(payload) => chunk.with_payload(payload),
        None => chunk,
    }
}

/// What a chunk says.
pub(super) fn generation(
    codec: &dyn Codec,
    head: Head<'_>,
    chunk: &Chunk,
    framing: Framing,
) -> Result<Generation, WireError> {
    match coding(head, chunk, framing)? {
        Encoding::Identity => codec.generation(head, chunk.payload()),
        _ => Err(WireError::Unsupported("texts in compressed messages")),
    }
}

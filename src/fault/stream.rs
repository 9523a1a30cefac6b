//! Editing a stream on its way: pieces come in, steps go out.
//!
//! The faults of a request form a chain, each seeing the pieces that the one before it sends. A piece that
//! nobody changed goes out byte for byte. A body that is no stream is a stream of one piece.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;

use super::{Edited, Memory};
use crate::{
    draw::Dice,
    wire::{Chunk, Codec, Framing, Generation, Moment, Part, Value, WireError},
};

/// What a fault may use while it edits one stream.
#[derive(Debug, Clone)]
pub struct StreamContext {
    /// This rule's draws for this request.
    pub dice: Dice,
    /// How large the fault is now, 0 to 1 of its full size.
    pub intensity: f64,
    /// The protocol.
    pub codec: Arc<dyn Codec>,
    /// The path of the request.
    pub path: String,
    /// How the stream is cut into chunks.
    pub framing: Framing,
    /// What this fault remembers for as long as it is armed.
    pub memory: Memory,
}

/// Edits one stream.
pub trait StreamEdit: Send {
    /// Takes the next piece; what the caller gets in its place goes to `out`. It may be held back, for as long
    /// as is needed to know what it becomes.
    fn piece(&mut self, piece: Piece, out: &mut Vec<Step>);

    /// The stream has ended, or the fault may act no longer: what was held back goes to `out`.
    fn end(&mut self, _out: &mut Vec<Step>) {}

    /// What it did so far.
    fn edited(&self) -> Edited;
}

/// What happens next on the way to the caller.
#[derive(Debug)]
pub enum Step {
    /// A piece goes out.
    Send(Piece),
    /// Nothing, for so long.
    Wait(Duration),
    /// The body ends here, well framed.
    End,
    /// The connection breaks.
    Break,
}

/// One chunk of a stream, with what its protocol says in it.
#[derive(Debug, Clone)]
pub struct Piece {
    chunk: Chunk,
    generation: Generation,
    /// One for each part, once one was changed.
    values: Option<Vec<Value>>,
}

impl Piece {
    /// A chunk that was read.
    pub const fn new(chunk: Chunk, generation: Generation) -> Piece {
        Piece { chunk, generation, values: None }
    }

    /// Bytes that nobody looks into.
    pub const fn opaque(bytes: Bytes) -> Piece {
        let generation = Generation { moment: Moment::Other, parts: Vec::new() };
        Piece { chunk: Chunk::opaque(bytes), generation, values: None }
    }

    /// The chunk as it came.
    pub const fn chunk(&self) -> &Chunk {
        &self.chunk
    }

    /// What kind of chunk it is.
    pub const fn moment(&self) -> Moment {
        self.generation.moment
    }

    /// What it says, as it came.
    pub fn parts(&self) -> &[Part] {
        &self.generation.parts
    }

    /// The value of a part, as it is now.
    pub fn value(&self, part: usize) -> &Value {
        match &self.values {
            Some(values) => &values[part],
            None => &self.generation.parts[part].value,
        }
    }

    /// Changes the value of a part.
    pub fn set(&mut self, part: usize, value: Value) {
        let parts = &self.generation.parts;
        self.values.get_or_insert_with(|| parts.iter().map(|part| part.value.clone()).collect())[part] =
            value;
    }

    /// Does any value differ from what came?
    pub fn is_changed(&self) -> bool {
        let Some(values) = &self.values else { return false };
        self.generation.parts.iter().zip(values).any(|(part, value)| !part.value.is_same(value))
    }

    /// The chunk as it goes out.
    ///
    /// # Errors
    /// When a changed value can't be written where it stood.
    pub fn into_chunk(self) -> Result<Chunk, WireError> {
        let Some(values) = self.values else { return Ok(self.chunk) };
        match self.generation.splice(self.chunk.payload(), &values)? {
            Some(payload) => Ok(self.chunk.with_payload(payload)),
            None => Ok(self.chunk),
        }
    }
}

//! Generated text: where its pieces lie in a whole body or in one chunk of a stream.

use super::{
    Value, WireError,
    reading::{Slot, splice_values},
};

/// What one body, or one chunk of a stream, says.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Generation {
    /// What kind of chunk it is.
    pub moment: Moment,
    /// The values that a fault may change, in the order of their places.
    pub parts: Vec<Part>,
}

/// What kind of chunk it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum Moment {
    /// The stream opens; no text yet.
    Start,
    /// The next piece of a text.
    Delta,
    /// A whole answer.
    Whole,
    /// A text ends: its reason stands here.
    Finish,
    /// Token counts alone.
    Usage,
    /// The end of the stream, such as `data: [DONE]`.
    Done,
    /// Keeps the connection alive.
    Ping,
    /// An error inside the stream.
    Error,
    /// Anything else.
    #[default]
    Other,
}

/// One value of a generation.
#[derive(Debug, Clone, PartialEq)]
pub struct Part {
    /// What it is.
    pub role: Role,
    /// Parts of one role and number join to one text: a choice, a content block, a tool call.
    pub text: u32,
    /// It is the whole joined text once more, not its next piece.
    pub repeats: bool,
    /// The value.
    pub value: Value,
    /// Where it stands.
    pub slot: Slot,
}

/// What a part is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Role {
    /// The answer's text.
    Text,
    /// The text of a refusal, where the protocol keeps it apart.
    Refusal,
    /// The name of the tool that is called.
    ToolName,
    /// Its arguments, as JSON text.
    ToolArguments,
    /// Why the text ended.
    FinishReason,
    /// The model that is said to have answered.
    Model,
    /// The answer's id.
    Id,
    /// Tokens of the prompt.
    PromptTokens,
    /// Tokens of the answer.
    CompletionTokens,
    /// Both together.
    TotalTokens,
}

impl Generation {
    /// The bytes with `edited` in place of the parts' values, one for each part; only those that differ are
    /// written. `None` when nothing differs.
    ///
    /// # Errors
    /// When there are more or fewer values than parts, or one can't be written where it stood.
    pub fn splice(&self, bytes: &[u8], edited: &[Value]) -> Result<Option<Vec<u8>>, WireError> {
        if edited.len() != self.parts.len() {
            return Err(WireError::Unwritable("a fault must not add or drop parts of a text".into()));
        }
        let pairs = self.parts.iter().zip(edited);
        let differing = pairs.filter(|(part, value)| !part.value.is_same(value));
        splice_values(bytes, differing.map(|(part, value)| (&part.slot, value)).collect())
    }
}

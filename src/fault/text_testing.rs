//! What the tests of the faults on generated text share: answers cut into chunks, and what becomes of them.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use http::Method;

use super::{
    Action, Decide, Edited, Fault, Memory, Piece, Step, StreamContext,
    testing::{dice, iris, parse},
};
use crate::{
    draw::{Dice, UnitHash},
    fault::CheckContext,
    wire::{
        Chunk, Codec, ErrorResponse, Failure, Format, Framing, Generation, Head, Moment, Part, Protocol,
        Reading, Role, Slot, Value, WireError,
    },
};

pub(super) const PROSE: &str = "The quick brown fox didn't jump over 12 lazy dogs, nor over 3.50 walls; it paid \
    1,000 francs in Paris on 2024-05-17 and went home.";

/// A protocol with errors inside its streams.
#[derive(Debug)]
struct Tiny;

impl Codec for Tiny {
    fn is_prediction(&self, _: &Method, _: &str) -> bool {
        true
    }
    fn model<'a>(&self, _: &'a str) -> Option<&'a str> {
        None
    }
    fn read(&self, _: Head<'_>, _: &[u8]) -> Result<Reading, WireError> {
        Err(WireError::NoPrediction)
    }
    fn error(&self, _: &str, failure: &Failure) -> ErrorResponse {
        ErrorResponse::json(failure.status, &serde_json::json!({ "error": failure.message }))
    }
    fn stream_error(&self, _: &str, framing: Framing, failure: &Failure) -> Option<Bytes> {
        let line = format!("{{\"error\":{:?}}}\n", failure.message);
        (framing == Framing::Ndjson).then(|| line.into())
    }
}

/// A role, the number of its text, whether it repeats, and what it says.
pub(super) type Said = (Role, u32, bool, Value);

pub(super) fn says(role: Role, text: &str) -> Said {
    (role, 0, false, Value::Text(text.to_owned()))
}

pub(super) fn counts(role: Role, count: i64) -> Said {
    (role, 0, false, Value::Int(count))
}

/// A chunk with a line `{"says": [ … ]}`.
pub(super) fn piece(moment: Moment, said: &[Said]) -> Piece {
    let mut bytes = b"{\"says\": [".to_vec();
    let mut parts = Vec::new();
    for (index, (role, text, repeats, value)) in said.iter().cloned().enumerate() {
        bytes.extend_from_slice(if index == 0 { b" " } else { b" , " });
        let start = bytes.len();
        serde_json::to_writer(&mut bytes, &value).unwrap();
        let slot = Slot { span: start..bytes.len(), format: Format::Double };
        parts.push(Part { role, text, repeats, value, slot });
    }
    bytes.extend_from_slice(b"]}");
    Piece::new(Chunk::whole(bytes.into()), Generation { moment, parts })
}

/// A text as a stream, cut at these places (of its characters), with a reason, counts, an end mark, and the text
/// once more.
pub(super) fn stream(role: Role, text: &str, cuts: &[usize]) -> Vec<Piece> {
    let chars: Vec<char> = text.chars().collect();
    let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut % (chars.len() + 1)).collect();
    cuts.sort_unstable();
    cuts.dedup();
    let ends = cuts.iter().copied().chain([chars.len()]);
    let mut pieces = vec![piece(Moment::Start, &[says(Role::Model, "tiny"), says(role, "")])];
    let mut start = 0;
    for end in ends {
        let delta: String = chars[start..end].iter().collect();
        pieces.push(piece(Moment::Delta, &[says(Role::Model, "tiny"), says(role, &delta)]));
        start = end;
    }
    pieces.push(piece(Moment::Finish, &[says(Role::FinishReason, "stop")]));
    pieces.push(piece(Moment::Other, &[(role, 0, true, Value::Text(text.to_owned()))]));
    pieces.push(piece(Moment::Usage, &[counts(Role::PromptTokens, 7), counts(Role::CompletionTokens, 100)]));
    pieces.push(piece(Moment::Done, &[]));
    pieces
}

/// A text in chunks of so many characters.
pub(super) fn even(text: &str, size: usize) -> Vec<Piece> {
    let cuts: Vec<usize> = (1..text.chars().count().div_ceil(size)).map(|i| i * size).collect();
    stream(Role::Text, text, &cuts)
}

/// A text as a whole body.
pub(super) fn whole(text: &str) -> Vec<Piece> {
    let said = [
        says(Role::Model, "tiny"),
        says(Role::Text, text),
        says(Role::FinishReason, "stop"),
        counts(Role::CompletionTokens, 100),
    ];
    vec![piece(Moment::Whole, &said)]
}

/// What became of an answer.
#[derive(Debug)]
pub(super) struct Ran {
    pub(super) sent: Vec<Piece>,
    pub(super) waits: Vec<(usize, Duration)>,
    /// `Some(true)`: clean; `Some(false)`: broken.
    pub(super) ended_early: Option<bool>,
    pub(super) edited: Edited,
}

impl Ran {
    /// The joined text of a role.
    pub(super) fn joined(&self, role: Role) -> String {
        self.texts(role, false).concat()
    }

    /// The text as the wire repeats it.
    pub(super) fn repeated(&self, role: Role) -> String {
        self.texts(role, true).concat()
    }

    fn texts(&self, role: Role, repeats: bool) -> Vec<String> {
        let parts = self.sent.iter().flat_map(|piece| {
            let parts = piece.parts().iter().enumerate();
            parts
                .filter(|(_, part)| part.role == role && part.repeats == repeats)
                .map(|(i, _)| piece.value(i))
        });
        let text = |value: &Value| match value {
            Value::Text(text) => text.clone(),
            _ => String::new(),
        };
        parts.map(text).collect()
    }

    /// What the bytes on the wire say, in the order of the parts.
    pub(super) fn bytes(self) -> Vec<Bytes> {
        self.sent.into_iter().map(|piece| piece.into_chunk().unwrap().bytes().clone()).collect()
    }
}

/// Runs an answer through a fault; `None` when it does not act on this request.
pub(super) fn run(fault: &Fault, request: u64, intensity: f64, pieces: Vec<Piece>) -> Option<Ran> {
    run_with(fault, &fault.behaviour().memory(), request, intensity, pieces)
}

/// The same with what the fault remembers.
pub(super) fn run_with(
    fault: &Fault,
    memory: &Memory,
    request: u64,
    intensity: f64,
    pieces: Vec<Piece>,
) -> Option<Ran> {
    let dice = dice(7, request);
    let action = fault.behaviour().decide(&decision(dice, intensity, memory))?;
    assert_eq!(action, Action::Stream);
    let framing = match pieces.first().map(Piece::moment) {
        Some(Moment::Whole) => Framing::Whole,
        _ => Framing::Ndjson,
    };
    let context = StreamContext { framing, ..context(request, intensity, memory) };
    let mut edit = fault.behaviour().stream(context).unwrap();
    let mut ran = Ran { sent: Vec::new(), waits: Vec::new(), ended_early: None, edited: Edited::default() };
    let mut steps = Vec::new();
    for piece in pieces {
        edit.piece(piece, &mut steps);
        carry_out(steps.drain(..), &mut ran);
    }
    if ran.ended_early.is_none() {
        edit.end(&mut steps);
        carry_out(steps.drain(..), &mut ran);
    }
    ran.edited = edit.edited();
    Some(ran)
}

/// What a fault is given for a stream of lines.
pub(super) fn context(request: u64, intensity: f64, memory: &Memory) -> StreamContext {
    let (codec, path, memory) = (Arc::new(Tiny), "/chat".to_owned(), memory.clone());
    StreamContext { dice: dice(7, request), intensity, codec, path, framing: Framing::Ndjson, memory }
}

fn carry_out(steps: impl Iterator<Item = Step>, ran: &mut Ran) {
    for step in steps {
        match step {
            _ if ran.ended_early.is_some() => {}
            Step::Send(piece) => ran.sent.push(piece),
            Step::Wait(time) => ran.waits.push((ran.sent.len(), time)),
            Step::End => ran.ended_early = Some(true),
            Step::Break => ran.ended_early = Some(false),
        }
    }
}

fn decision(dice: Dice, intensity: f64, memory: &Memory) -> Decide<'_> {
    Decide { unit: UnitHash::from_u64(0), ..Decide::of(dice, intensity, memory) }
}

pub(super) fn fault(yaml: &str) -> Fault {
    parse(yaml).unwrap_or_else(|error| panic!("{yaml}: {error}"))
}

/// The messages of everything that is wrong with a fault's settings.
pub(super) fn wrong(yaml: &str) -> Vec<String> {
    let target = CheckContext { protocol: &Protocol::OpenInference, labels: &iris() };
    fault(yaml).behaviour().check(&target).into_iter().map(|problem| problem.message).collect()
}

/// In how many of `n` answers does a fault change something?
pub(super) fn changed(fault: &Fault, n: u64, intensity: f64, pieces: impl Fn() -> Vec<Piece>) -> usize {
    let changes =
        |request: &u64| run(fault, *request, intensity, pieces()).is_some_and(|ran| ran.edited.changed > 0);
    (0..n).filter(changes).count()
}

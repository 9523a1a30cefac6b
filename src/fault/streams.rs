//! What the faults on answers that pass as streams share.
//!
//! A whole body is a stream of one piece, so an edit of text, names or counts need not ask which it has. A fault
//! of timing or of order has nothing to do there and says so.

use super::{
    Action, Decide, Edited, Piece, Problem, Step, StreamEdit,
    unfit::{NO_TEXT, NOT_A_STREAM},
};
use crate::{
    draw::{Dice, Draw},
    unit::Share,
    wire::{Moment, Part, Role, Value},
};

/// Purpose of the draws: does it act on this word or chunk? (The index counts them.)
const EACH: u32 = 2;
/// Purpose of the draws: what comes in its place, or how large is it there?
const WHICH: u32 = 3;

pub(super) fn all() -> Share {
    Share::ALL
}

/// The decision of a fault that acts on a share of the answers.
pub(super) fn acts(rate: Share, context: &Decide<'_>) -> Option<Action> {
    context.acts(rate).then_some(Action::Stream)
}

/// The decision of a fault that acts on a share of what is in an answer.
pub(super) fn acts_within(rate: Share, context: &Decide<'_>) -> Option<Action> {
    (rate.scaled(context.intensity) > Share::NONE).then_some(Action::Stream)
}

/// `30% ` before what a fault does to a share of the answers, or nothing when it does it to all.
pub(super) fn share_of_answers(rate: Share) -> String {
    if rate == Share::ALL { "every answer".to_owned() } else { format!("{rate} of answers") }
}

/// Counts from one: there is no chunk or word zero.
pub(super) fn check_count(key: &'static str, count: Option<u32>, most: u32) -> Option<Problem> {
    let wrong = count.filter(|count| !(1..=most).contains(count))?;
    let message = format!("`{key}` is {wrong}; it is 1 to {most}");
    Some(Problem::new(key, message))
}

/// The draws of one text or stream: for each word or chunk, whether the fault acts on it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Picks {
    dice: Dice,
    rate: Share,
    next: u32,
}

impl Picks {
    /// The draws of text number `text`.
    pub(super) fn new(dice: Dice, rate: Share, text: u32) -> Picks {
        Picks { dice, rate, next: text << 20 }
    }

    /// Is the next one picked? If so, the draw for what comes in its place.
    pub(super) fn pick(&mut self) -> Option<Draw> {
        let index = self.next;
        self.next = self.next.wrapping_add(1);
        self.dice.at(EACH, index).within(self.rate).then(|| self.dice.at(WHICH, index))
    }
}

/// The draw for how large something is at chunk `index`.
pub(super) fn size_at(dice: Dice, index: u32) -> Draw {
    dice.at(WHICH, index)
}

/// Does a piece bring text, or arguments of a tool call, that the caller had not seen?
pub(super) fn brings_text(piece: &Piece) -> bool {
    let parts = piece.parts().iter().enumerate();
    parts
        .filter(|(_, part)| !part.repeats && is_text(part.role))
        .any(|(index, _)| !is_blank(piece.value(index)))
}

/// Characters of text that a piece brings.
pub(super) fn text_length(piece: &Piece) -> u64 {
    let parts = piece.parts().iter().enumerate().filter(|(_, part)| !part.repeats && is_text(part.role));
    let chars = parts.map(|(index, _)| match piece.value(index) {
        Value::Text(text) => text.chars().count() as u64,
        _ => 0,
    });
    chars.sum()
}

const fn is_text(role: Role) -> bool {
    matches!(role, Role::Text | Role::Refusal | Role::ToolArguments)
}

fn is_blank(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Text(text) => text.is_empty(),
        _ => false,
    }
}

/// Hands everything on and says why.
pub(super) struct Pass(pub(super) &'static str);

impl StreamEdit for Pass {
    fn piece(&mut self, piece: Piece, out: &mut Vec<Step>) {
        out.push(Step::Send(piece));
    }

    fn edited(&self) -> Edited {
        Edited { changed: 0, unfit: Some(self.0) }
    }
}

/// Edits single parts: `edit` gives what a part says from now on, or `None` to leave it.
pub(super) struct PartEditor<F> {
    edit: F,
    missing: &'static str,
    met: bool,
    changed: usize,
}

impl<F: FnMut(Moment, &Part, &Value) -> Option<Value> + Send> PartEditor<F> {
    /// `missing`: why nothing was edited, if no part was met that the edit is for.
    pub(super) fn new(missing: &'static str, edit: F) -> PartEditor<F> {
        PartEditor { edit, missing, met: false, changed: 0 }
    }
}

impl<F: FnMut(Moment, &Part, &Value) -> Option<Value> + Send> StreamEdit for PartEditor<F> {
    fn piece(&mut self, mut piece: Piece, out: &mut Vec<Step>) {
        let moment = piece.moment();
        for index in 0..piece.parts().len() {
            let Some(new) = (self.edit)(moment, &piece.parts()[index], piece.value(index)) else { continue };
            self.met = true;
            if !piece.value(index).is_same(&new) {
                piece.set(index, new);
                self.changed += 1;
            }
        }
        out.push(Step::Send(piece));
    }

    fn edited(&self) -> Edited {
        Edited { changed: self.changed, unfit: (!self.met).then_some(self.missing) }
    }
}

/// Two edits of the same answer, one after the other.
pub(super) struct Both<A, B>(pub(super) A, pub(super) B);

impl<A: StreamEdit, B: StreamEdit> Both<A, B> {
    fn second(&mut self, steps: Vec<Step>, out: &mut Vec<Step>) {
        for step in steps {
            match step {
                Step::Send(piece) => self.1.piece(piece, out),
                other => out.push(other),
            }
        }
    }
}

impl<A: StreamEdit, B: StreamEdit> StreamEdit for Both<A, B> {
    fn piece(&mut self, piece: Piece, out: &mut Vec<Step>) {
        let mut steps = Vec::new();
        self.0.piece(piece, &mut steps);
        self.second(steps, out);
    }

    fn end(&mut self, out: &mut Vec<Step>) {
        let mut steps = Vec::new();
        self.0.end(&mut steps);
        self.second(steps, out);
        self.1.end(out);
    }

    fn edited(&self) -> Edited {
        let (first, second) = (self.0.edited(), self.1.edited());
        let changed = first.changed + second.changed;
        Edited { changed, unfit: first.unfit.or(second.unfit).filter(|_| changed == 0) }
    }
}

/// Where in a stream of text chunks a fault is.
#[derive(Debug, Default)]
pub(super) struct Chunks {
    /// Text chunks so far.
    pub(super) seen: u32,
    whole: bool,
}

impl Chunks {
    /// Counts a piece: the number of the text chunk that it is, from one; `None` if it is none.
    pub(super) fn count(&mut self, piece: &Piece) -> Option<u32> {
        self.whole |= piece.moment() == Moment::Whole;
        let counts = !self.whole && brings_text(piece);
        self.seen = self.seen.saturating_add(u32::from(counts));
        counts.then_some(self.seen)
    }

    /// Why a fault that acts at a chunk did not.
    pub(super) fn why(&self, too_short: &'static str) -> &'static str {
        match (self.whole, self.seen) {
            (true, _) => NOT_A_STREAM,
            (false, 0) => NO_TEXT,
            (false, _) => too_short,
        }
    }
}

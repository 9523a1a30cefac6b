//! A stream that ends without saying so.

use serde::{Deserialize, Serialize};

use super::{
    Action, Behaviour, CheckContext, Decide, Edited, Entry, Parameter, Piece, Problem, Stage, Step,
    StreamContext, StreamEdit,
    prediction::check_rate,
    streams::{acts, all, brings_text, share_of_answers},
    unfit::{NO_END_MARK, NOT_A_STREAM},
};
use crate::{
    unit::Share,
    wire::{Moment, Role, Value},
};

/// Leaves out what tells that a stream is over.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct MissingDone {
    /// What is left out.
    #[serde(default)]
    pub what: EndMark,
    /// Share of the answers that it acts on.
    #[serde(default = "all")]
    pub rate: Share,
}

/// What tells that a stream is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum EndMark {
    /// The last event: `[DONE]`, `message_stop`, `response.completed`, the line with `"done": true`.
    #[default]
    Done,
    /// The chunk with the finish reason.
    Finish,
    /// Both.
    Both,
}

static ENTRY: Entry = Entry {
    name: "missing-done",
    summary: "Leaves out the end mark or the finish reason of a stream.",
    effect: "In a share `rate` of the streams the end mark, the chunk with the finish reason, or both are left \
             out; everything else passes, and the connection ends cleanly. A chunk that brings text with the \
             finish reason keeps its text and has null for a reason. In a whole body `finish` and `both` make the \
             finish reason null, and `done` is skipped as `not-a-stream`; a protocol that has no such mark is \
             skipped as `no-end-mark`. A ramp scales the rate.",
    parameters: &[
        Parameter {
            name: "what",
            values: "`done`, `finish` or `both`",
            default: "done",
            meaning: "what is left out",
        },
        Parameter {
            name: "rate",
            values: "share, above 0% to 100%",
            default: "100%",
            meaning: "how many of the answers lack it",
        },
    ],
    example: "- fault: { missing-done: { what: both, rate: 10% } }",
    seen_by: "Rate of missing finish reasons; clients that wait for the end mark and time out.",
    blind: "Error rates and latency: the openai and anthropic clients take the truncation in silence.",
};

impl Behaviour for MissingDone {
    fn entry() -> &'static Entry {
        &ENTRY
    }

    fn stage(&self) -> Stage {
        Stage::Timing
    }

    fn rate(&self) -> Share {
        self.rate
    }

    fn describe(&self) -> String {
        let what = match self.what {
            EndMark::Done => "its end mark",
            EndMark::Finish => "its finish reason",
            EndMark::Both => "its finish reason and end mark",
        };
        format!("{} lacks {what}", share_of_answers(self.rate))
    }

    fn check(&self, _target: &CheckContext<'_>) -> Vec<Problem> {
        check_rate(self.rate).into_iter().collect()
    }

    fn decide(&self, context: &Decide<'_>) -> Option<Action> {
        acts(self.rate, context)
    }

    fn stream(&self, _context: StreamContext) -> Option<Box<dyn StreamEdit>> {
        Some(Box::new(LeaveOut { what: self.what, left_out: 0, whole: false }))
    }
}

struct LeaveOut {
    what: EndMark,
    left_out: usize,
    whole: bool,
}

impl StreamEdit for LeaveOut {
    fn piece(&mut self, mut piece: Piece, out: &mut Vec<Step>) {
        let moment = piece.moment();
        self.whole |= moment == Moment::Whole;
        let reasons: Vec<usize> = piece
            .parts()
            .iter()
            .enumerate()
            .filter(|(index, part)| part.role == Role::FinishReason && *piece.value(*index) != Value::Null)
            .map(|(index, _)| index)
            .collect();
        let leaves_reason = self.what != EndMark::Done && (moment == Moment::Finish || !reasons.is_empty());
        let leaves_done = self.what != EndMark::Finish && moment == Moment::Done;
        if !leaves_reason && !leaves_done {
            return out.push(Step::Send(piece));
        }
        if self.whole || brings_text(&piece) {
            if reasons.is_empty() {
                return out.push(Step::Send(piece));
            }
            reasons.into_iter().for_each(|index| piece.set(index, Value::Null));
            out.push(Step::Send(piece));
        }
        self.left_out += 1;
    }

    fn edited(&self) -> Edited {
        let why = if self.whole && self.what == EndMark::Done { NOT_A_STREAM } else { NO_END_MARK };
        Edited { changed: self.left_out, unfit: (self.left_out == 0).then_some(why) }
    }
}

#[cfg(test)]
mod tests;

//! A stream that ends without saying so.

use serde::{Deserialize, Serialize};

use super::{
    Action, Answers, Behaviour, CheckContext, Decide, Edited, Entry, Fault, Parameter, Piece, Problem,
    Promise, Stage, Step, StreamContext, StreamEdit, Touched,
    prediction::check_rate,
    streams::{acts, all, brings_text, share_of_answers},
    unfit::{NO_END_MARK, NOT_A_STREAM},
};
use crate::{
    unit::Share,
    wire::{Moment, Part, Role, Value},
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
    /// The last event: `[DONE]`, `message_stop`; where there is none, the last chunk with a finish reason
    /// (`response.completed`, the line with `"done": true`).
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
             finish reason null, and `done` is skipped as `not-a-stream`; where nothing follows the chunk with \
             the reason (Ollama, Responses, TGI), that is the end mark. A protocol that has no such mark is \
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

    fn promise(&self) -> Promise {
        match self.what {
            EndMark::Done => Promise::Touch { of: Touched::Answers, share: self.rate.fraction() },
            _ => Promise::Answers { are: Answers::WithoutReason, share: self.rate.fraction() },
        }
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

    fn excludes(&self, other: &Fault) -> Option<&'static str> {
        let left_out = self.what != EndMark::Done && self.rate == Share::ALL;
        let is_told = matches!(other, Fault::FinishReason(_));
        (left_out && is_told).then_some("a finish reason that is left out can't be a wrong one")
    }

    fn decide(&self, context: &Decide<'_>) -> Option<Action> {
        acts(self.rate, context)
    }

    fn stream(&self, _context: StreamContext) -> Option<Box<dyn StreamEdit>> {
        Some(Box::new(LeaveOut { what: self.what, left_out: 0, whole: false, last: None }))
    }
}

struct LeaveOut {
    what: EndMark,
    left_out: usize,
    whole: bool,
    /// The end mark, unless something follows it.
    last: Option<Piece>,
}

impl LeaveOut {
    /// Drops a piece, or what it says of the end if it says more than that.
    fn leave_out(&mut self, mut piece: Piece, out: &mut Vec<Step>) {
        let reasons = reasons(&piece);
        if self.whole || brings_text(&piece) {
            self.left_out += usize::from(!reasons.is_empty());
            reasons.into_iter().for_each(|index| piece.set(index, Value::Null));
            return out.push(Step::Send(piece));
        }
        self.left_out += 1;
    }
}

/// The parts that tell why a text ended.
fn reasons(piece: &Piece) -> Vec<usize> {
    let parts = piece.parts().iter().enumerate();
    let given = |(index, part): &(usize, &Part)| {
        part.role == Role::FinishReason && *piece.value(*index) != Value::Null
    };
    parts.filter(given).map(|(index, _)| index).collect()
}

impl StreamEdit for LeaveOut {
    fn piece(&mut self, piece: Piece, out: &mut Vec<Step>) {
        out.extend(self.last.take().map(Step::Send));
        let moment = piece.moment();
        self.whole |= moment == Moment::Whole;
        let ends_text = moment == Moment::Finish || !reasons(&piece).is_empty();
        match self.what {
            EndMark::Finish | EndMark::Both if ends_text => self.leave_out(piece, out),
            EndMark::Done | EndMark::Both if moment == Moment::Done => self.leave_out(piece, out),
            EndMark::Done if moment == Moment::Finish => self.last = Some(piece),
            _ => out.push(Step::Send(piece)),
        }
    }

    fn end(&mut self, out: &mut Vec<Step>) {
        if let Some(last) = self.last.take() {
            self.leave_out(last, out);
        }
    }

    fn edited(&self) -> Edited {
        let why = if self.whole && self.what == EndMark::Done { NOT_A_STREAM } else { NO_END_MARK };
        Edited { changed: self.left_out, unfit: (self.left_out == 0).then_some(why) }
    }
}

#[cfg(test)]
mod tests;

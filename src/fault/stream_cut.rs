//! A stream that ends too early, cleanly or with a broken connection.
//!
//! How long a stream will be is known when it is over. A cut at a fraction of the text therefore goes by the
//! mean length of the streams that this fault let pass whole: those that its rate leaves alone, and with a rate
//! of 100 % the first [`LEARNT_FROM`]. A stream that was cut tells no length, and counting it would pull the mean
//! down with each cut.

use std::sync::{Mutex, PoisonError};

use serde::{Deserialize, Serialize};

use super::{
    Action, Answers, Behaviour, CheckContext, Decide, Edited, Entry, Memory, Parameter, Piece, Problem,
    Promise, Stage, Step, StreamContext, StreamEdit,
    prediction::check_rate,
    purpose,
    stream_stall::MOST_CHUNKS,
    streams::{Chunks, acts_within, all, check_count, share_of_answers, text_length},
    unfit::{LEARNING_LENGTH, NOT_A_STREAM, TOO_SHORT},
};
use crate::{
    unit::Share,
    wire::{Moment, Role, Value},
};

/// Streams that pass whole before a fraction of their mean length is known.
const LEARNT_FROM: u32 = 5;
/// The mean forgets: a new length counts at least one part in so many.
const REMEMBERED: u32 = 200;

/// Ends streams before their time. Exactly one of `at-chunk` and `at` is given.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct StreamCut {
    /// Chunks of text that still pass, plus one: the number of the first that does not, from 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at_chunk: Option<u32>,
    /// Share of the text that still passes; of a stream, the share of the mean length so far.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<Share>,
    /// How it ends.
    #[serde(default)]
    pub how: Ending,
    /// Share of the answers that it acts on.
    #[serde(default = "all")]
    pub rate: Share,
}

/// How a stream ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Ending {
    /// As a stream that is over, but without its finish reason and its end mark.
    #[default]
    Clean,
    /// With a broken connection.
    Reset,
}

static ENTRY: Entry = Entry {
    name: "stream-cut",
    summary: "Ends a stream too early: cleanly, or with a broken connection.",
    effect: "A share `rate` of the streams ends before chunk of text number `at-chunk`, or as soon as the share \
             `at` of the mean length (in characters) has passed; nothing after it is sent, neither finish reason \
             nor end mark. The mean is an online estimate over the streams that the rate leaves alone, and over \
             the first 5 in any case, which pass (`learning-length`); it forgets by 1/200 a stream. The cut comes \
             at a chunk border, so it is up to one chunk late. A whole body keeps the share `at` of its text, \
             exact to a character, when the end is clean; everything else is no cut of a stream there: skipped as \
             `not-a-stream` (use `reset` with `after-bytes`). A shorter stream is skipped as `too-short`. A ramp \
             scales the rate.",
    parameters: &[
        Parameter {
            name: "at-chunk",
            values: "1 to 1000000",
            default: "—",
            meaning: "the first chunk of text that does not come",
        },
        Parameter {
            name: "at",
            values: "share, above 0% and below 100%",
            default: "—",
            meaning: "how much of the text still comes",
        },
        Parameter {
            name: "how",
            values: "`clean` or `reset`",
            default: "clean",
            meaning: "as a stream that is over, or with a broken connection",
        },
        Parameter {
            name: "rate",
            values: "share, above 0% to 100%",
            default: "100%",
            meaning: "how many of the answers are cut",
        },
    ],
    example: "- fault: { stream-cut: { at: 40%, how: clean, rate: 20% } }",
    seen_by: "Rate of missing finish reasons, length of answers, gap of the token counters; with `reset` connection \
              errors at callers.",
    blind: "A clean end raises no error in the openai and anthropic clients: error rates, latency and retries stay \
            as they are. The model server's own metrics, in which the request succeeded.",
};

/// The mean length of streams in characters.
#[derive(Debug, Default)]
struct Lengths(Mutex<(u32, f64)>);

impl Lengths {
    fn learn(&self, length: u64) {
        let mut lengths = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        lengths.0 = (lengths.0 + 1).min(REMEMBERED);
        lengths.1 += (length as f64 - lengths.1) / f64::from(lengths.0);
    }

    fn mean(&self) -> Option<f64> {
        let (count, mean) = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        (count >= LEARNT_FROM).then_some(mean)
    }
}

impl Behaviour for StreamCut {
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
        let are = if self.how == Ending::Reset { Answers::Broken } else { Answers::CutOff };
        Promise::Answers { are, share: self.rate.fraction() }
    }

    fn describe(&self) -> String {
        let how = match self.how {
            Ending::Clean => "ends",
            Ending::Reset => "breaks",
        };
        let place = match (self.at_chunk, self.at) {
            (Some(chunk), _) => format!("before chunk {chunk}"),
            (None, at) => format!("after {} of the text", at.unwrap_or(Share::ALL)),
        };
        format!("{} {how} {place}", share_of_answers(self.rate))
    }

    fn check(&self, _target: &CheckContext<'_>) -> Vec<Problem> {
        let mut problems: Vec<Problem> = check_rate(self.rate).into_iter().collect();
        problems.extend(check_count("at-chunk", self.at_chunk, MOST_CHUNKS));
        if self.at_chunk.is_some() == self.at.is_some() {
            let message = "`stream-cut` needs either `at-chunk` or `at`";
            problems.push(Problem::new("", message).help("write `at-chunk: 5`, or `at: 40%` of the text"));
        }
        if self.at.is_some_and(|at| at == Share::NONE || at == Share::ALL) {
            let help = "write a share above 0% and below 100%; `at-chunk: 1` cuts before the first chunk";
            problems.push(Problem::new("at", "a cut at 0% or 100% of the text is none").help(help));
        }
        problems
    }

    fn memory(&self) -> Memory {
        Memory::of(Lengths::default())
    }

    /// It watches every stream, to learn how long they are, and cuts its share of them.
    fn decide(&self, context: &Decide<'_>) -> Option<Action> {
        acts_within(self.rate, context)
    }

    fn stream(&self, context: StreamContext) -> Option<Box<dyn StreamEdit>> {
        let acts = context.dice.at(purpose::ACT, 0).within(self.rate.scaled(context.intensity));
        let limit = match self.at {
            None => None,
            Some(at) => {
                context.memory.get::<Lengths>().and_then(Lengths::mean).map(|mean| mean * at.fraction())
            }
        };
        Some(Box::new(Cut {
            fault: self.clone(),
            acts,
            limit,
            memory: context.memory,
            chunks: Chunks::default(),
            length: 0,
            state: State::Whole,
        }))
    }
}

struct Cut {
    fault: StreamCut,
    acts: bool,
    /// Characters that pass, if that is known.
    limit: Option<f64>,
    memory: Memory,
    chunks: Chunks,
    length: u64,
    state: State,
}

#[derive(PartialEq)]
enum State {
    Whole,
    Cut,
    /// It can't be cut, and this is why.
    Unfit(&'static str),
}

impl Cut {
    fn is_due(&self, chunk: u32) -> bool {
        match self.fault.at_chunk {
            Some(at) => chunk >= at,
            None => self.limit.is_some_and(|limit| self.length as f64 >= limit),
        }
    }

    /// A whole body has its length: its texts keep their share.
    fn shorten(&mut self, piece: &mut Piece) {
        let (Some(at), Ending::Clean) = (self.fault.at, self.fault.how) else {
            self.state = State::Unfit(NOT_A_STREAM);
            return;
        };
        for index in 0..piece.parts().len() {
            if piece.parts()[index].role != Role::Text {
                continue;
            }
            let Value::Text(text) = piece.value(index) else { continue };
            let kept = (text.chars().count() as f64 * at.fraction()).floor() as usize;
            if let Some((end, _)) = text.char_indices().nth(kept) {
                let text = Value::Text(text[..end].to_owned());
                piece.set(index, text);
                self.state = State::Cut;
            }
        }
    }
}

impl StreamEdit for Cut {
    fn piece(&mut self, mut piece: Piece, out: &mut Vec<Step>) {
        let is_whole = piece.moment() == Moment::Whole;
        let chunk = self.chunks.count(&piece);
        if self.acts && is_whole {
            self.shorten(&mut piece);
        } else if self.state == State::Cut {
            return;
        } else if self.acts && chunk.is_some_and(|chunk| self.is_due(chunk)) {
            self.state = State::Cut;
            return out.push(match self.fault.how {
                Ending::Clean => Step::End,
                Ending::Reset => Step::Break,
            });
        }
        self.length += text_length(&piece);
        out.push(Step::Send(piece));
    }

    fn end(&mut self, _out: &mut Vec<Step>) {
        let learns = self.fault.at.is_some() && (!self.acts || self.limit.is_none());
        if learns
            && self.length > 0
            && self.state == State::Whole
            && let Some(lengths) = self.memory.get::<Lengths>()
        {
            lengths.learn(self.length);
        }
    }

    fn edited(&self) -> Edited {
        match self.state {
            State::Cut => Edited { changed: 1, unfit: None },
            State::Unfit(why) => Edited { changed: 0, unfit: Some(why) },
            State::Whole if !self.acts => Edited::default(),
            State::Whole => {
                let learning = self.fault.at.is_some() && self.limit.is_none() && self.chunks.seen > 0;
                let why = if learning { LEARNING_LENGTH } else { self.chunks.why(TOO_SHORT) };
                Edited { changed: 0, unfit: Some(why) }
            }
        }
    }
}

#[cfg(test)]
mod tests;

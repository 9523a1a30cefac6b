//! Chunks that come twice, or in the wrong order.

use serde::{Deserialize, Serialize};

use super::{
    Action, Behaviour, CheckContext, Decide, Edited, Entry, Parameter, Piece, Problem, Promise, Stage, Step,
    StreamContext, StreamEdit, Touched,
    prediction::check_rate,
    streams::{Chunks, Picks, acts_within, all},
    unfit::TOO_SHORT,
};
use crate::{unit::Share, wire::Moment};

/// Sends chunks of text twice, or after the one that follows them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct ChunkOrder {
    /// What happens to a chunk.
    #[serde(default)]
    pub how: Disorder,
    /// Share of the chunks of text that it acts on.
    #[serde(default = "all")]
    pub rate: Share,
}

/// What happens to a chunk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Disorder {
    /// It comes twice.
    #[default]
    Duplicate,
    /// It changes places with the next one.
    Swap,
}

static ENTRY: Entry = Entry {
    name: "chunk-order",
    summary: "Sends chunks of a stream twice, or in the wrong order.",
    effect: "A share `rate` of the chunks of text comes twice (`duplicate`), or after the chunk of text that follows \
             it (`swap`; the second of a pair is not drawn for again, so a share rate / (1 + rate) of all chunks \
             starts a swap; the last chunk has none to change places with). The bytes of each chunk stay. A whole \
             body is skipped as `not-a-stream`. A ramp scales the rate.",
    parameters: &[
        Parameter {
            name: "how",
            values: "`duplicate` or `swap`",
            default: "duplicate",
            meaning: "what happens to a chunk",
        },
        Parameter {
            name: "rate",
            values: "share, above 0% to 100%",
            default: "100%",
            meaning: "how many of the chunks of text",
        },
    ],
    example: "- fault: { chunk-order: { how: swap, rate: 5% } }",
    seen_by: "Repetition ratio, perplexity or judge scores of the text, gap between counted and reported tokens, \
              parse failures of streamed tool arguments.",
    blind: "Latency, error rates and finish reasons; length of the text, when chunks only change places. Clients \
            join chunks as they come and notice nothing.",
};

impl Behaviour for ChunkOrder {
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
        Promise::Touch { of: Touched::Pieces, share: self.rate.fraction() }
    }

    fn describe(&self) -> String {
        match self.how {
            Disorder::Duplicate => format!("{} of chunks twice", self.rate),
            Disorder::Swap => format!("{} of chunks swapped with the next", self.rate),
        }
    }

    fn check(&self, _target: &CheckContext<'_>) -> Vec<Problem> {
        check_rate(self.rate).into_iter().collect()
    }

    fn decide(&self, context: &Decide<'_>) -> Option<Action> {
        acts_within(self.rate, context)
    }

    fn stream(&self, context: StreamContext) -> Option<Box<dyn StreamEdit>> {
        let picks = Picks::new(context.dice, self.rate.scaled(context.intensity), 0);
        Some(Box::new(Shuffle { how: self.how, picks, chunks: Chunks::default(), held: None, changed: 0 }))
    }
}

struct Shuffle {
    how: Disorder,
    picks: Picks,
    chunks: Chunks,
    held: Option<Piece>,
    changed: usize,
}

impl StreamEdit for Shuffle {
    fn piece(&mut self, piece: Piece, out: &mut Vec<Step>) {
        let is_chunk = self.chunks.count(&piece).is_some() && piece.moment() == Moment::Delta;
        if let Some(held) = self.held.take() {
            if is_chunk {
                self.changed += 1;
                return out.extend([Step::Send(piece), Step::Send(held)]);
            }
            // Nothing but text overtakes.
            out.push(Step::Send(held));
        }
        match self.how {
            Disorder::Duplicate if is_chunk && self.picks.pick().is_some() => {
                self.changed += 1;
                out.extend([Step::Send(piece.clone()), Step::Send(piece)]);
            }
            Disorder::Swap if is_chunk && self.picks.pick().is_some() => self.held = Some(piece),
            _ => out.push(Step::Send(piece)),
        }
    }

    fn end(&mut self, out: &mut Vec<Step>) {
        out.extend(self.held.take().map(Step::Send));
    }

    fn edited(&self) -> Edited {
        // A draw that picked no chunk is no obstacle.
        let unfit = (self.changed == 0 && self.chunks.seen < 2).then(|| self.chunks.why(TOO_SHORT));
        Edited { changed: self.changed, unfit }
    }
}

#[cfg(test)]
mod tests;

//! A chunk whose JSON does not parse.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::{
    Action, Answers, Behaviour, CheckContext, Decide, Edited, Entry, Parameter, Piece, Problem, Promise,
    Stage, Step, StreamContext, StreamEdit,
    prediction::check_rate,
    stream_stall::{MOST_CHUNKS, first},
    streams::{Chunks, Pass, acts, all, check_count, share_of_answers},
    unfit::{NO_JSON, TOO_SHORT},
};
use crate::{
    unit::Share,
    wire::{Framing, Moment},
};

/// Breaks the JSON of one chunk.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct StreamMalformed {
    /// Number of the chunk of text that is broken, from 1.
    #[serde(default = "first")]
    pub at_chunk: u32,
    /// Share of the answers that it acts on.
    #[serde(default = "all")]
    pub rate: Share,
}

static ENTRY: Entry = Entry {
    name: "stream-malformed",
    summary: "Breaks one chunk of a stream, so that its JSON does not parse.",
    effect: "In a share `rate` of the streams, chunk of text number `at-chunk` loses its last closing brace: no \
             reader of JSON takes it. Its framing stays, and the stream goes on after it. A whole body loses its \
             last brace likewise. A stream with fewer chunks is skipped as `too-short`, gRPC and bare text as `no-json`. A ramp \
             scales the rate.",
    parameters: &[
        Parameter {
            name: "at-chunk",
            values: "1 to 1000000",
            default: "1",
            meaning: "the chunk of text that is broken",
        },
        Parameter {
            name: "rate",
            values: "share, above 0% to 100%",
            default: "100%",
            meaning: "how many of the answers have one",
        },
    ],
    example: "- fault: { stream-malformed: { at-chunk: 3, rate: 5% } }",
    seen_by: "Parse errors at callers (`json.JSONDecodeError` in the openai client for Python), unfinished answers.",
    blind: "HTTP statuses, latency, tokens per second; the model server's own metrics.",
};

impl Behaviour for StreamMalformed {
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
        Promise::Answers { are: Answers::Malformed, share: self.rate.fraction() }
    }

    fn describe(&self) -> String {
        format!("{} has a broken chunk {}", share_of_answers(self.rate), self.at_chunk)
    }

    fn check(&self, _target: &CheckContext<'_>) -> Vec<Problem> {
        let count = check_count("at-chunk", Some(self.at_chunk), MOST_CHUNKS);
        check_rate(self.rate).into_iter().chain(count).collect()
    }

    fn decide(&self, context: &Decide<'_>) -> Option<Action> {
        acts(self.rate, context)
    }

    fn stream(&self, context: StreamContext) -> Option<Box<dyn StreamEdit>> {
        Some(match context.framing {
            Framing::Grpc | Framing::Text => Box::new(Pass(NO_JSON)),
            _ => Box::new(Break { at: self.at_chunk, chunks: Chunks::default(), broken: false }),
        })
    }
}

struct Break {
    at: u32,
    chunks: Chunks,
    broken: bool,
}

impl StreamEdit for Break {
    fn piece(&mut self, piece: Piece, out: &mut Vec<Step>) {
        let chunk = self.chunks.count(&piece);
        let is_due = chunk == Some(self.at) || piece.moment() == Moment::Whole;
        if !is_due || self.broken {
            return out.push(Step::Send(piece));
        }
        let bytes = piece.clone().into_chunk().map(|chunk| chunk.bytes().clone()).unwrap_or_default();
        let Some(brace) = bytes.iter().rposition(|byte| *byte == b'}') else {
            return out.push(Step::Send(piece));
        };
        self.broken = true;
        out.push(Step::Send(Piece::opaque(Bytes::from([&bytes[..brace], &bytes[brace + 1..]].concat()))));
    }

    fn edited(&self) -> Edited {
        let why = if self.chunks.seen >= self.at { NO_JSON } else { self.chunks.why(TOO_SHORT) };
        Edited { changed: usize::from(self.broken), unfit: (!self.broken).then_some(why) }
    }
}

#[cfg(test)]
mod tests;

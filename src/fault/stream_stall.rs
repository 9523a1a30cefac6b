//! A stream that stops in the middle and goes on later.

use serde::{Deserialize, Serialize};

use super::{
    Action, Behaviour, CheckContext, Decide, Edited, Entry, Parameter, Piece, Problem, Promise, Stage, Step,
    StreamContext, StreamEdit,
    prediction::check_rate,
    streams::{Chunks, acts, all, check_count, share_of_answers},
    unfit::TOO_SHORT,
};
use crate::unit::{Share, Span};

const LONGEST: Span = Span::from_secs(3600);
pub(super) const MOST_CHUNKS: u32 = 1_000_000;

/// Holds a stream back for a time before one of its chunks.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct StreamStall {
    /// How long nothing comes, above 0s to 1h.
    pub lasts: Span,
    /// Number of the chunk of text that comes late, from 1.
    #[serde(default = "first")]
    pub at_chunk: u32,
    /// Share of the answers that it acts on.
    #[serde(default = "all")]
    pub rate: Share,
}

pub(super) const fn first() -> u32 {
    1
}

static ENTRY: Entry = Entry {
    name: "stream-stall",
    summary: "Stops a stream before one of its chunks, and lets it go on later.",
    effect: "In a share `rate` of the streams nothing is sent for `lasts` before chunk of text number `at-chunk`; \
             with chunk 1 the time to first token grows by `lasts`, later the longest gap between tokens does. A \
             stream with fewer chunks is skipped as `too-short`, a whole body as `not-a-stream`. A ramp scales \
             the rate. A client whose read time-out is shorter gives up (openai: APITimeoutError).",
    parameters: &[
        Parameter {
            name: "lasts",
            values: "span of time, above 0s to 1h",
            default: "none; it is needed",
            meaning: "how long nothing comes",
        },
        Parameter {
            name: "at-chunk",
            values: "1 to 1000000",
            default: "1",
            meaning: "the chunk of text that comes late",
        },
        Parameter {
            name: "rate",
            values: "share, above 0% to 100%",
            default: "100%",
            meaning: "how many of the answers stall",
        },
    ],
    example: "- fault: { stream-stall: { lasts: 20s, at-chunk: 5, rate: 10% } }",
    seen_by: "Largest gap or p99 of inter-token latency, read time-outs and retries of callers, streams in flight.",
    blind: "Time to first token, when the stall comes later; error rates, unless callers give up; mean \
            inter-token latency over long answers, which one gap hardly moves.",
};

impl Behaviour for StreamStall {
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
        Promise::Stall { lasts_s: self.lasts.as_secs_f64(), share: self.rate.fraction() }
    }

    fn describe(&self) -> String {
        format!("{} stalls {} before chunk {}", share_of_answers(self.rate), self.lasts, self.at_chunk)
    }

    fn check(&self, _target: &CheckContext<'_>) -> Vec<Problem> {
        let long = (self.lasts.is_zero() || self.lasts > LONGEST)
            .then(|| Problem::new("lasts", format!("a stall of {} is not above 0s to 1h", self.lasts)));
        let count = check_count("at-chunk", Some(self.at_chunk), MOST_CHUNKS);
        check_rate(self.rate).into_iter().chain(long).chain(count).collect()
    }

    fn decide(&self, context: &Decide<'_>) -> Option<Action> {
        acts(self.rate, context)
    }

    fn stream(&self, _context: StreamContext) -> Option<Box<dyn StreamEdit>> {
        Some(Box::new(Stall { fault: self.clone(), chunks: Chunks::default(), stalled: false }))
    }
}

struct Stall {
    fault: StreamStall,
    chunks: Chunks,
    stalled: bool,
}

impl StreamEdit for Stall {
    fn piece(&mut self, piece: Piece, out: &mut Vec<Step>) {
        if self.chunks.count(&piece) == Some(self.fault.at_chunk) {
            self.stalled = true;
            out.push(Step::Wait(self.fault.lasts.duration()));
        }
        out.push(Step::Send(piece));
    }

    fn edited(&self) -> Edited {
        let unfit = (!self.stalled).then(|| self.chunks.why(TOO_SHORT));
        Edited { changed: usize::from(self.stalled), unfit }
    }
}

#[cfg(test)]
mod tests;

//! An error in the middle of an answer that began with HTTP 200.

use http::StatusCode;
use serde::{Deserialize, Serialize};

use super::{
    Action, Answers, Behaviour, CheckContext, Decide, Edited, Entry, Parameter, Piece, Problem, Promise,
    Stage, Step, StreamContext, StreamEdit,
    prediction::check_rate,
    stream_stall::{MOST_CHUNKS, first},
    streams::{Chunks, acts, all, check_count, share_of_answers},
    unfit::{NO_STREAM_ERROR, TOO_SHORT},
};
use crate::{
    unit::Share,
    wire::{Failure, FailureKind, Moment},
};

/// Ends streams with an error in the provider's own words, under the status 200 that was sent before.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct StreamError {
    /// What went wrong.
    #[serde(default = "overloaded")]
    pub kind: FailureKind,
    /// Number of the chunk of text in whose place the error comes, from 1.
    #[serde(default = "first")]
    pub at_chunk: u32,
    /// The message inside the error; left out, one that goes with the kind.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// Share of the answers that it acts on.
    #[serde(default = "all")]
    pub rate: Share,
}

fn overloaded() -> FailureKind {
    FailureKind::Overloaded
}

static ENTRY: Entry = Entry {
    name: "stream-error",
    summary: "Puts an error into an answer that began with HTTP 200.",
    effect: "In a share `rate` of the streams the error, in the shape that the protocol's own servers use inside a \
             stream (OpenAI `data: {\"error\": …}`, Anthropic `event: error`, Ollama a line `{\"error\": …}`), comes \
             in the place of chunk of text number `at-chunk`, and nothing after it. A stream with fewer chunks is \
             skipped as `too-short`. A whole body becomes the error body, under the status that it had. A ramp \
             scales the rate.",
    parameters: &[
        Parameter {
            name: "kind",
            values: "`overloaded`, `rate-limited`, `internal`, `unavailable`, `timeout`, `context-length`, \
                     `model-not-found`, `invalid-request` or `authentication`",
            default: "overloaded",
            meaning: "what went wrong",
        },
        Parameter {
            name: "at-chunk",
            values: "1 to 1000000",
            default: "1",
            meaning: "the chunk of text that the error replaces",
        },
        Parameter {
            name: "message",
            values: "text",
            default: "one that goes with the kind",
            meaning: "the message inside the error",
        },
        Parameter {
            name: "rate",
            values: "share, above 0% to 100%",
            default: "100%",
            meaning: "how many of the answers fail",
        },
    ],
    example: "- fault: { stream-error: { kind: overloaded, at-chunk: 8, rate: 10% } }",
    seen_by: "Errors that callers count (openai: APIError; anthropic: APIStatusError with status 200), missing finish \
              reasons, unfinished answers.",
    blind: "Everything that counts HTTP statuses: gateways, load balancers, service meshes, uptime probes. They saw \
            a 200.",
};

/// The status that the failure would have had, its name and what it says.
const fn words(kind: FailureKind) -> (u16, &'static str, &'static str) {
    match kind {
        FailureKind::RateLimited => (429, "rate-limited", "Rate limit reached"),
        FailureKind::Overloaded => (529, "overloaded", "Overloaded"),
        FailureKind::ContextLength => (400, "context-length", "The maximum context length was exceeded"),
        FailureKind::ModelNotFound => (404, "model-not-found", "The model does not exist"),
        FailureKind::InvalidRequest => (400, "invalid-request", "The request is invalid"),
        FailureKind::Authentication => (401, "authentication", "The key is not valid"),
        FailureKind::Unavailable => (503, "unavailable", "Service unavailable"),
        FailureKind::Timeout => (504, "timeout", "The request timed out"),
        FailureKind::Internal => (500, "internal", "The server had an error"),
    }
}

impl StreamError {
    fn failure(&self) -> Failure {
        let (status, _, message) = words(self.kind);
        let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let message = self.message.clone().unwrap_or_else(|| message.to_owned());
        Failure { kind: Some(self.kind), ..Failure::new(status, message) }
    }
}

impl Behaviour for StreamError {
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
        Promise::Answers { are: Answers::Failed, share: self.rate.fraction() }
    }

    fn describe(&self) -> String {
        let (_, kind, _) = words(self.kind);
        format!("{} fails at chunk {}, {kind}", share_of_answers(self.rate), self.at_chunk)
    }

    fn check(&self, _target: &CheckContext<'_>) -> Vec<Problem> {
        let count = check_count("at-chunk", Some(self.at_chunk), MOST_CHUNKS);
        check_rate(self.rate).into_iter().chain(count).collect()
    }

    fn decide(&self, context: &Decide<'_>) -> Option<Action> {
        acts(self.rate, context)
    }

    fn stream(&self, context: StreamContext) -> Option<Box<dyn StreamEdit>> {
        let fault = self.clone();
        Some(Box::new(InBand { fault, context, chunks: Chunks::default(), state: State::Passing }))
    }
}

struct InBand {
    fault: StreamError,
    context: StreamContext,
    chunks: Chunks,
    state: State,
}

#[derive(PartialEq)]
enum State {
    Passing,
    Failed,
    /// It can't fail, and this is why.
    Unfit(&'static str),
}

impl StreamEdit for InBand {
    fn piece(&mut self, piece: Piece, out: &mut Vec<Step>) {
        let is_due = self.chunks.count(&piece).is_some_and(|chunk| chunk >= self.fault.at_chunk);
        match self.state {
            State::Passing if is_due || piece.moment() == Moment::Whole => {}
            State::Failed => return,
            State::Passing | State::Unfit(_) => return out.push(Step::Send(piece)),
        }
        let StreamContext { codec, path, framing, .. } = &self.context;
        let failure = self.fault.failure();
        let error = match piece.moment() {
            Moment::Whole => Some(codec.error(path, &failure).body),
            _ => codec.stream_error(path, *framing, &failure),
        };
        let Some(error) = error else {
            self.state = State::Unfit(NO_STREAM_ERROR);
            return out.push(Step::Send(piece));
        };
        self.state = State::Failed;
        out.extend([Step::Send(Piece::opaque(error)), Step::End]);
    }

    fn edited(&self) -> Edited {
        let unfit = match self.state {
            State::Failed => None,
            State::Unfit(why) => Some(why),
            State::Passing => Some(self.chunks.why(TOO_SHORT)),
        };
        Edited { changed: usize::from(unfit.is_none()), unfit }
    }
}

#[cfg(test)]
mod tests;

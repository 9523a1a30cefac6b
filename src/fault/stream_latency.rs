//! Slow tokens: the time to the first one, and the time between them.
//!
//! Each delay is the quantile of its lognormal at the draw of the request and the chunk, so the same stream is
//! slowed alike everywhere. A pace is kept by a schedule and not by adding up delays: a chunk that the upstream
//! was late with is not delayed once more.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use super::{
    Action, Behaviour, CheckContext, Decide, Edited, Entry, Lognormal, Parameter, Piece, Problem, Promise,
    Scales, Stage, Step, StreamContext, StreamEdit,
    prediction::check_rate,
    streams::{Chunks, acts, all, share_of_answers, size_at},
    unfit::TOO_SHORT,
};
use crate::{
    draw::{Dice, Draw},
    stats::normal_quantile,
    unit::{Share, Span},
};

/// No delay is longer, whatever the tail of the distribution says.
const LONGEST_S: f64 = 600.0;
const FASTEST: f64 = 10_000.0;

/// Delays the chunks of a stream. At least one of the three sizes is given.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct StreamLatency {
    /// What is added before the first token, lognormal by median and 99th percentile.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_token: Option<Lognormal>,
    /// What is added before each later chunk of text, lognormal by median and 99th percentile.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub between_tokens: Option<Lognormal>,
    /// Chunks of text a second at most, above 0 to 10000. Not together with `between-tokens`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tokens_per_second: Option<f64>,
    /// Share of the answers that it acts on.
    #[serde(default = "all")]
    pub rate: Share,
}

static ENTRY: Entry = Entry {
    name: "stream-latency",
    summary: "Slows a stream of tokens down: its first, those after it, or the pace of all.",
    effect: "Before the first chunk of text, and before each later one, passes an added delay \
             median·exp(σ·z(u)) with σ = ln(p99 / median) / z(0.99), where z is the standard normal quantile and \
             u the draw of the request and the chunk; none is longer than 10 min. The time to first token grows \
             by `first-token`. The time between tokens is `between-tokens` where the upstream is faster (what it \
             sent meanwhile waits in the connection), and at most that much more than the upstream's own. With \
             `tokens-per-second: r` no two chunks are less than 1/r apart. Most servers send one token a chunk; \
             a server that joins n has n tokens in each step. A ramp scales the delays. A whole body has no \
             tokens to slow down: skipped as `not-a-stream`; use `latency` there.",
    parameters: &[
        Parameter {
            name: "first-token",
            values: "{ median, p99 }, spans with median above 0s and below p99",
            default: "none",
            meaning: "what is added to the time to the first token",
        },
        Parameter {
            name: "between-tokens",
            values: "{ median, p99 }, spans with median above 0s and below p99",
            default: "none",
            meaning: "what is added before each later chunk of text",
        },
        Parameter {
            name: "tokens-per-second",
            values: "number, above 0 to 10000",
            default: "no limit",
            meaning: "chunks of text a second at most",
        },
        Parameter {
            name: "rate",
            values: "share, above 0% to 100%",
            default: "100%",
            meaning: "how many of the answers are slowed down",
        },
    ],
    example: "- fault: { stream-latency: { first-token: { median: 2s, p99: 6s }, between-tokens: { median: 80ms, p99: 400ms } } }",
    seen_by: "p99 of time to first token and of inter-token latency at the caller or the gateway \
              (`gen_ai_server_time_to_first_token_seconds`, `gen_ai_server_time_per_output_token_seconds`), \
              tokens per second, read time-outs.",
    blind: "The model server's own TTFT and ITL (`vllm:time_to_first_token_seconds`), when canard stands in \
            front of it; error rates; request latency alone, which can't tell a long answer from a slow one.",
};

impl StreamLatency {
    fn check_size(key: &'static str, size: Option<Lognormal>) -> Option<Problem> {
        let Lognormal { median, p99 } =
            size.filter(|size| size.median.is_zero() || size.median >= size.p99)?;
        let message = format!("`median` ({median}) is not above 0s and below `p99` ({p99})");
        Some(Problem::new(key, message).help("the 99th percentile is the larger of the two"))
    }
}

fn delay(size: Lognormal, draw: Draw) -> f64 {
    let [median, p99] = [size.median, size.p99].map(Span::as_secs_f64);
    let sigma = (p99 / median).ln() / normal_quantile(0.99);
    (median * (sigma * normal_quantile(draw.uniform())).exp()).min(LONGEST_S)
}

impl Behaviour for StreamLatency {
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
        let both = |of: Lognormal| (of.median.as_secs_f64(), of.p99.as_secs_f64());
        Promise::TokenDelay {
            first_token_s: self.first_token.map(both),
            between_tokens_s: self.between_tokens.map(both),
            tokens_per_s: self.tokens_per_second,
            share: self.rate.fraction(),
        }
    }

    fn scales(&self) -> Scales {
        Scales::Size
    }

    fn describe(&self) -> String {
        let size = |what: &str, size: Option<Lognormal>| {
            size.map(|Lognormal { median, p99 }| format!("{what} +{median} median, {p99} p99"))
        };
        let pace = self.tokens_per_second.map(|rate| format!("at most {rate} tokens/s"));
        let sizes =
            [size("first token", self.first_token), size("between tokens", self.between_tokens), pace];
        let sizes: Vec<String> = sizes.into_iter().flatten().collect();
        format!("{} on {}", sizes.join(", "), share_of_answers(self.rate))
    }

    fn check(&self, _target: &CheckContext<'_>) -> Vec<Problem> {
        let sizes = [("first-token", self.first_token), ("between-tokens", self.between_tokens)];
        let mut problems: Vec<Problem> = check_rate(self.rate).into_iter().collect();
        problems.extend(sizes.into_iter().filter_map(|(key, size)| Self::check_size(key, size)));
        if self.tokens_per_second.is_some_and(|rate| !(rate > 0.0 && rate <= FASTEST)) {
            problems.push(Problem::new("tokens-per-second", "`tokens-per-second` is above 0 to 10000"));
        }
        if self.between_tokens.is_some() && self.tokens_per_second.is_some() {
            let message = "`between-tokens` and `tokens-per-second` both say how fast tokens come";
            problems.push(Problem::new("tokens-per-second", message).help("leave one of them out"));
        }
        if self.first_token.or(self.between_tokens).is_none() && self.tokens_per_second.is_none() {
            let help = "give `first-token: { median: 2s, p99: 6s }`, `between-tokens: { median: 80ms, p99: 400ms }` \
                        or `tokens-per-second: 5`";
            problems.push(Problem::new("", "`stream-latency` does not say how slow").help(help));
        }
        problems
    }

    fn decide(&self, context: &Decide<'_>) -> Option<Action> {
        if context.intensity <= 0.0 {
            return None;
        }
        // A ramp scales the delays, not how many answers have them.
        acts(self.rate, &Decide { intensity: 1.0, ..*context })
    }

    fn stream(&self, context: StreamContext) -> Option<Box<dyn StreamEdit>> {
        let StreamContext { dice, intensity, .. } = context;
        Some(Box::new(Slow {
            fault: self.clone(),
            dice,
            intensity,
            chunks: Chunks::default(),
            last: None,
            changed: 0,
        }))
    }
}

struct Slow {
    fault: StreamLatency,
    dice: Dice,
    intensity: f64,
    chunks: Chunks,
    /// When the last chunk of text goes out.
    last: Option<Instant>,
    changed: usize,
}

impl Slow {
    /// How long a chunk of text waits.
    fn wait(&mut self, number: u32) -> Duration {
        let size = if number == 1 { self.fault.first_token } else { self.fault.between_tokens };
        let added = size.map_or(0.0, |size| delay(size, size_at(self.dice, number)));
        let now = Instant::now();
        // What was read ahead waits for what was read before it.
        let turn = self.last.map_or(now, |last| last.max(now));
        let gap = self.fault.tokens_per_second.map_or(0.0, |rate| self.intensity / rate);
        let due = self.last.map_or(now, |last| last + Duration::from_secs_f64(gap));
        let wait = Duration::from_secs_f64(added * self.intensity) + due.saturating_duration_since(turn);
        self.last = Some(turn + wait);
        wait
    }
}

impl StreamEdit for Slow {
    fn piece(&mut self, piece: Piece, out: &mut Vec<Step>) {
        if let Some(number) = self.chunks.count(&piece) {
            let wait = self.wait(number);
            if !wait.is_zero() {
                self.changed += 1;
                out.push(Step::Wait(wait));
            }
        }
        out.push(Step::Send(piece));
    }

    fn edited(&self) -> Edited {
        let slowed = self.changed > 0 || (self.chunks.seen > 0 && self.fault.first_token.is_none());
        let unfit = (!slowed).then(|| self.chunks.why(TOO_SHORT));
        Edited { changed: self.changed, unfit }
    }
}

#[cfg(test)]
mod tests;

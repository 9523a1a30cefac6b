//! Generated text as monitors see it: times to tokens, and why answers ended.

use std::{collections::BTreeMap, time::Duration};

use super::Arms;
use crate::evidence::{NO_REASON, OTHER_LABEL, TextReading};

/// Upper bounds of the buckets of times to first token in seconds, as OpenTelemetry's conventions for generative
/// AI advise.
pub const FIRST_TOKEN_BOUNDS_S: [f64; 16] =
    [0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0];
/// Upper bounds of the buckets of times per output token in seconds, by the same conventions.
pub const OUTPUT_TOKEN_BOUNDS_S: [f64; 13] =
    [0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1.0, 2.5];
/// Upper bounds of the buckets of durations of requests for text in seconds, by the same conventions.
pub const GENERATION_BOUNDS_S: [f64; 14] =
    [0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92];

/// What tells one series of generated text from another.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct TextKey {
    /// The model.
    pub model: String,
    /// The side.
    pub arm: Arms,
    /// The version in a release that is rehearsed; empty if none is.
    pub version: String,
}

/// Times of generated text, and why it ended.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct TextSeries {
    /// Of streams: from the request's arrival to the first chunk of text, see [`FIRST_TOKEN_BOUNDS_S`].
    pub first_token: Buckets<17>,
    /// Of streams: the mean time between chunks of text, see [`OUTPUT_TOKEN_BOUNDS_S`].
    pub output_token: Buckets<14>,
    /// From the request's arrival to the last byte, see [`GENERATION_BOUNDS_S`].
    pub request: Buckets<15>,
    /// Answers by finish reason; `(none)` for those that did not say.
    pub reasons: BTreeMap<String, u64>,
    /// Characters of text.
    pub characters: u64,
    /// Completion tokens, as answers report them.
    pub tokens: u64,
    /// Answers that are no usable text, by reason: `empty`, `error`, `malformed`.
    pub invalid: BTreeMap<&'static str, u64>,
}

/// A histogram with fixed bounds; the last bucket has none.
#[derive(Debug, Clone, PartialEq)]
pub struct Buckets<const N: usize> {
    /// Count in each bucket.
    pub counts: [u64; N],
    /// Sum of the values.
    pub sum: f64,
}

impl<const N: usize> Default for Buckets<N> {
    fn default() -> Buckets<N> {
        Buckets { counts: [0; N], sum: 0.0 }
    }
}

impl<const N: usize> Buckets<N> {
    fn record(&mut self, bounds: &[f64], span: Duration) {
        let seconds = span.as_secs_f64();
        let bucket = bounds.partition_point(|bound| *bound < seconds);
        self.counts[bucket.min(N - 1)] += 1;
        self.sum += seconds;
    }

    fn merge(&mut self, other: &Buckets<N>) {
        self.counts.iter_mut().zip(other.counts).for_each(|(a, b)| *a += b);
        self.sum += other.sum;
    }
}

impl TextSeries {
    /// Counts one answer; at most `reasons` reasons are told apart.
    pub(super) fn record(&mut self, reading: &TextReading, latency: Duration, reasons: usize) {
        if let Some(first) = reading.first {
            self.first_token.record(&FIRST_TOKEN_BOUNDS_S, first);
        }
        if let Some(mean) = reading.time_per_output_token() {
            self.output_token.record(&OUTPUT_TOKEN_BOUNDS_S, mean);
        }
        self.request.record(&GENERATION_BOUNDS_S, latency);
        let reason = reading.reason.as_deref().unwrap_or(NO_REASON);
        let known = self.reasons.contains_key(reason) || self.reasons.len() < reasons;
        *self.reasons.entry(if known { reason } else { OTHER_LABEL }.to_owned()).or_default() += 1;
        self.characters += reading.characters;
        self.tokens = self.tokens.saturating_add(reading.tokens.unwrap_or_default());
        if let Some(reason) = reading.invalid() {
            *self.invalid.entry(reason).or_default() += 1;
        }
    }

    /// Adds another's counts.
    pub fn merge(&mut self, other: &TextSeries) {
        self.first_token.merge(&other.first_token);
        self.output_token.merge(&other.output_token);
        self.request.merge(&other.request);
        for (reason, count) in &other.reasons {
            *self.reasons.entry(reason.clone()).or_default() += count;
        }
        self.characters += other.characters;
        self.tokens = self.tokens.saturating_add(other.tokens);
        for (reason, count) in &other.invalid {
            *self.invalid.entry(reason).or_default() += count;
        }
    }
}

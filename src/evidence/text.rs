//! What callers saw of generated text: its timing, how it ended, how long it was.
//!
//! A [`TextReading`] is read from the copy of an answer that its caller already has, with the time at which each
//! chunk of it passed. Only sizes and names are kept, never text. Everything is of bounded size.

use std::{collections::BTreeMap, time::Duration};

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::{
    stats::Histogram,
    wire::{Chunk, Codec, Framer, Framing, Generation, Head, Moment, Part, Role, Value, WireError},
};

/// The finish reason of an answer that has none.
pub const NO_REASON: &str = "(none)";
/// Finish reasons beyond so many count together.
const REASONS: usize = 16;
/// Longest name of a reason or a model that is kept, in bytes.
const LONGEST_NAME: usize = 64;

/// What one arm saw of generated text.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default)]
pub struct TextEvidence {
    /// Answers that were read.
    pub answers: u64,
    /// Of streams: from the request's arrival to the first chunk of text.
    pub time_to_first_token: Histogram,
    /// Of streams: between one chunk of text and the next.
    pub between_tokens: Histogram,
    /// Of each stream with two chunks or more: the mean time between them.
    pub time_per_output_token: Histogram,
    /// Of each stream: the longest time without a chunk of text, that before the first included.
    pub longest_gap: Histogram,
    /// Characters of text of each answer.
    pub characters: Sums,
    /// Completion tokens of each answer, as the server reports them.
    pub tokens: Sums,
    /// Why answers ended; `(none)` for those that did not say.
    pub finish_reasons: BTreeMap<String, u64>,
    /// Answers without text and without a tool call.
    pub empty: u64,
    /// Answers with an error under a status of success.
    pub failed: u64,
    /// Answers with a chunk that is not what the protocol says.
    pub malformed: u64,
    /// Answers that report no tokens.
    pub uncounted: u64,
}

/// A count of numbers, their sum and the sum of their squares.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default)]
pub struct Sums {
    /// How many.
    pub count: u64,
    /// Their sum.
    pub sum: f64,
    /// The sum of their squares.
    pub sum_of_squares: f64,
}

impl Sums {
    /// Counts one number.
    pub fn record(&mut self, x: f64) {
        self.count += 1;
        self.sum += x;
        self.sum_of_squares += x * x;
    }

    /// Mean, variance and count; `None` when empty.
    pub fn moments(&self) -> Option<(f64, f64, u64)> {
        let n = self.count as f64;
        let mean = self.sum / n;
        let variance = (self.sum_of_squares - n * mean * mean).max(0.0) / (n - 1.0).max(1.0);
        (self.count > 0).then_some((mean, variance, self.count))
    }

    pub(super) fn merge(&mut self, other: &Sums) {
        self.count += other.count;
        self.sum += other.sum;
        self.sum_of_squares += other.sum_of_squares;
    }

    fn since(&self, earlier: &Sums) -> Sums {
        Sums {
            count: self.count.saturating_sub(earlier.count),
            sum: self.sum - earlier.sum,
            sum_of_squares: self.sum_of_squares - earlier.sum_of_squares,
        }
    }
}

impl TextEvidence {
    /// Counts one answer.
    pub fn record(&mut self, reading: &TextReading) {
        self.answers += 1;
        if let Some(first) = reading.first {
            self.time_to_first_token.record(first);
            let longest = reading.gaps.iter().fold(first, |longest, gap| longest.max(*gap));
            self.longest_gap.record(longest);
        }
        reading.gaps.iter().for_each(|gap| self.between_tokens.record(*gap));
        if let Some(mean) = reading.time_per_output_token() {
            self.time_per_output_token.record(mean);
        }
        self.characters.record(reading.characters as f64);
        match reading.tokens {
            Some(tokens) => self.tokens.record(tokens as f64),
            None => self.uncounted += 1,
        }
        self.empty += u64::from(reading.is_empty());
        self.failed += u64::from(reading.failed);
        self.malformed += u64::from(reading.malformed);
        let reason = reading.reason.as_deref().unwrap_or(NO_REASON);
        let known = self.finish_reasons.contains_key(reason) || self.finish_reasons.len() < REASONS;
        let reason = if known { reason } else { super::OTHER_LABEL };
        *self.finish_reasons.entry(reason.to_owned()).or_default() += 1;
    }

    /// Answers that did not say why they ended.
    pub fn without_reason(&self) -> u64 {
        self.finish_reasons.get(NO_REASON).copied().unwrap_or(0)
    }

    pub(super) fn merge(&mut self, other: &TextEvidence) {
        self.answers += other.answers;
        self.time_to_first_token.merge(&other.time_to_first_token);
        self.between_tokens.merge(&other.between_tokens);
        self.time_per_output_token.merge(&other.time_per_output_token);
        self.longest_gap.merge(&other.longest_gap);
        self.characters.merge(&other.characters);
        self.tokens.merge(&other.tokens);
        super::add(&mut self.finish_reasons, &other.finish_reasons);
        self.empty += other.empty;
        self.failed += other.failed;
        self.malformed += other.malformed;
        self.uncounted += other.uncounted;
    }

    pub(super) fn since(&self, earlier: &TextEvidence) -> TextEvidence {
        TextEvidence {
            answers: self.answers.saturating_sub(earlier.answers),
            time_to_first_token: self.time_to_first_token.since(&earlier.time_to_first_token),
            between_tokens: self.between_tokens.since(&earlier.between_tokens),
            time_per_output_token: self.time_per_output_token.since(&earlier.time_per_output_token),
            longest_gap: self.longest_gap.since(&earlier.longest_gap),
            characters: self.characters.since(&earlier.characters),
            tokens: self.tokens.since(&earlier.tokens),
            finish_reasons: super::subtract(&self.finish_reasons, &earlier.finish_reasons),
            empty: self.empty.saturating_sub(earlier.empty),
            failed: self.failed.saturating_sub(earlier.failed),
            malformed: self.malformed.saturating_sub(earlier.malformed),
            uncounted: self.uncounted.saturating_sub(earlier.uncounted),
        }
    }
}

/// What one answer said of itself, without its text.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct TextReading {
    /// Of a stream: when its first chunk of text had passed, from the request's arrival.
    pub first: Option<Duration>,
    /// Of a stream: from each chunk of text to the next.
    pub gaps: Vec<Duration>,
    /// Characters of text.
    pub characters: u64,
    /// Completion tokens that the server reports.
    pub tokens: Option<u64>,
    /// Why it ended.
    pub reason: Option<String>,
    /// The model that it names.
    pub model: Option<String>,
    /// Does it call a tool?
    pub calls_tool: bool,
    /// Is there an error in it?
    pub failed: bool,
    /// Is a chunk of it not what the protocol says?
    pub malformed: bool,
}

impl TextReading {
    /// Reads an answer, given as the chunks of its body and the time at which each of them had passed.
    ///
    /// # Errors
    /// If it is no generated text.
    pub(super) fn read(
        codec: &dyn Codec,
        head: Head<'_>,
        chunks: impl IntoIterator<Item = (Bytes, Option<Duration>)>,
        limit: usize,
    ) -> Result<TextReading, WireError> {
        let framing = codec.framing(head);
        let mut reading = TextReading::default();
        let mut framer = Framer::new(framing, limit);
        let (mut met, mut now, mut last) = (false, None, None);
        for (bytes, at) in chunks {
            framer.push(bytes);
            now = at.filter(|_| framing != Framing::Whole);
            while let Some(chunk) = framer.next() {
                met |= reading.read_chunk(codec, head, &chunk?, now, &mut last)?;
            }
        }
        if let Some(chunk) = framer.last() {
            met |= reading.read_chunk(codec, head, &chunk, now, &mut last)?;
        }
        if met { Ok(reading) } else { Err(WireError::NoPrediction) }
    }

    /// Tells whether it was a chunk of generated text.
    fn read_chunk(
        &mut self,
        codec: &dyn Codec,
        head: Head<'_>,
        chunk: &Chunk,
        at: Option<Duration>,
        last: &mut Option<Duration>,
    ) -> Result<bool, WireError> {
        match codec.generation(head, chunk.payload()) {
            Ok(generation) => self.note(&generation, at, last),
            Err(WireError::Malformed(_)) => self.malformed = true,
            Err(WireError::NoPrediction | WireError::Unsupported(_)) => return Ok(false),
            Err(error) => return Err(error),
        }
        Ok(true)
    }

    /// Why it is no usable text, if it is none: the first of `error`, `malformed` and `empty` that holds.
    pub const fn invalid(&self) -> Option<&'static str> {
        match self {
            _ if self.failed => Some("error"),
            _ if self.malformed => Some("malformed"),
            _ if self.is_empty() => Some("empty"),
            _ => None,
        }
    }

    /// Has it neither text nor a tool call?
    const fn is_empty(&self) -> bool {
        self.characters == 0 && !self.calls_tool
    }

    /// From one chunk of text to the next, on the mean.
    pub fn time_per_output_token(&self) -> Option<Duration> {
        let count = u32::try_from(self.gaps.len()).ok().filter(|count| *count > 0)?;
        Some(self.gaps.iter().sum::<Duration>() / count)
    }

    fn note(&mut self, generation: &Generation, at: Option<Duration>, last: &mut Option<Duration>) {
        self.failed |= generation.moment == Moment::Error;
        let before = self.characters;
        let mut called = false;
        for part in &generation.parts {
            called |= self.note_part(part);
        }
        if let Some(at) = at.filter(|_| self.characters > before || called) {
            match last.replace(at) {
                None => self.first = Some(at),
                Some(last) => self.gaps.push(at.saturating_sub(last)),
            }
        }
    }

    /// Tells whether it was a piece of a tool call.
    fn note_part(&mut self, part: &Part) -> bool {
        let name = |text: &str| Some(text[..text.floor_char_boundary(LONGEST_NAME)].to_owned());
        match (part.role, &part.value) {
            (Role::Text | Role::Refusal, Value::Text(text)) if !part.repeats => {
                self.characters += text.chars().count() as u64;
            }
            (Role::ToolName | Role::ToolArguments, value) if !part.repeats && *value != Value::Null => {
                self.calls_tool = true;
                return *value != Value::Text(String::new());
            }
            (Role::FinishReason, Value::Text(reason)) => self.reason = name(reason),
            (Role::Model, Value::Text(model)) => self.model = name(model),
            (Role::CompletionTokens, value) => {
                self.tokens = value.as_f64().map(|tokens| tokens as u64).or(self.tokens);
            }
            _ => {}
        }
        false
    }
}

#[cfg(test)]
mod tests;

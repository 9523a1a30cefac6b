//! Timing, ends and lengths are read from copies of answers, however their chunks were cut.

use std::sync::LazyLock;

use http::{HeaderMap, Method, header::CONTENT_TYPE};

use super::*;
use crate::wire::{ErrorResponse, Failure, Format, Reading, Slot};

/// Lines such as `+text`, `=reason`, `#7` (tokens), `!` (an error), `t` (a tool call), `~` (malformed); with a
/// content type of its own for streams.
#[derive(Debug)]
struct Lines;

impl Codec for Lines {
    fn is_prediction(&self, _: &Method, _: &str) -> bool {
        true
    }
    fn model<'a>(&self, _: &'a str) -> Option<&'a str> {
        None
    }
    fn read(&self, _: Head<'_>, _: &[u8]) -> Result<Reading, WireError> {
        Err(WireError::NoPrediction)
    }
    fn generation(&self, _: Head<'_>, payload: &[u8]) -> Result<Generation, WireError> {
        let text = std::str::from_utf8(payload).map_err(|_| WireError::NoPrediction)?;
        let mut generation = Generation::default();
        for line in text.lines() {
            let rest = Value::Text(line.get(1..).unwrap_or_default().to_owned());
            let (role, value) = match line.chars().next() {
                Some('+') => (Role::Text, rest),
                Some('=') => (Role::FinishReason, rest),
                Some('#') => (Role::CompletionTokens, Value::Int(line[1..].parse().unwrap())),
                Some('m') => (Role::Model, rest),
                Some('t') => (Role::ToolName, rest),
                Some('!') => {
                    generation.moment = Moment::Error;
                    continue;
                }
                Some('~') => return Err(WireError::Malformed("a tilde".into())),
                _ => return Err(WireError::NoPrediction),
            };
            let slot = Slot { span: 0..0, format: Format::Double };
            generation.parts.push(Part { role, text: 0, repeats: false, value, slot });
        }
        Ok(generation)
    }
    fn error(&self, _: &str, _: &Failure) -> ErrorResponse {
        unreachable!()
    }
}

static STREAM: LazyLock<HeaderMap> =
    LazyLock::new(|| [(CONTENT_TYPE, "application/x-ndjson".parse().unwrap())].into_iter().collect());
static WHOLE: LazyLock<HeaderMap> = LazyLock::new(HeaderMap::new);

fn read(headers: &HeaderMap, chunks: &[(&'static str, u64)]) -> Result<TextReading, WireError> {
    let head = Head { path: "/", headers };
    let timed = chunks.iter().map(|(bytes, ms)| (Bytes::from(*bytes), Some(Duration::from_millis(*ms))));
    TextReading::read(&Lines, head, timed, 1 << 10)
}

fn ms(spans: &[u64]) -> Vec<Duration> {
    spans.iter().copied().map(Duration::from_millis).collect()
}

#[test]
fn a_token_counts_when_its_chunk_is_complete() {
    let chunks =
        [("mtiny\n+", 100), ("\n+He", 200), ("llo\n", 300), ("+ you\n+!\n", 450), ("=stop\n#3\n", 500)];
    let reading = read(&STREAM, &chunks).unwrap();
    assert_eq!(reading.first, Some(Duration::from_millis(300)), "an empty text is no token");
    assert_eq!(reading.gaps, ms(&[150, 0]));
    assert_eq!(reading.time_per_output_token(), Some(Duration::from_millis(75)));
    assert_eq!((reading.characters, reading.tokens), (10, Some(3)));
    assert_eq!((reading.reason.as_deref(), reading.model.as_deref()), (Some("stop"), Some("tiny")));
}

#[test]
fn a_whole_body_has_no_times_between_tokens() {
    let reading = read(&WHOLE, &[("+Hello\n=st", 100), ("op", 200)]).unwrap();
    assert_eq!((reading.first, reading.gaps.len(), reading.characters), (None, 0, 5));
    assert_eq!(reading.reason.as_deref(), Some("stop"));
}

#[test]
fn a_last_line_without_an_end_counts() {
    assert_eq!(read(&STREAM, &[("+a\n", 1), ("=stop", 2)]).unwrap().reason.as_deref(), Some("stop"));
}

#[test]
fn what_is_no_text_is_told() {
    assert_eq!(read(&STREAM, &[("?\n?\n", 1)]), Err(WireError::NoPrediction));
    assert_eq!(read(&WHOLE, &[("?", 1)]), Err(WireError::NoPrediction));
    assert_eq!(read(&STREAM, &[]), Err(WireError::NoPrediction));
}

#[test]
fn answers_add_up_and_subtract() {
    let readings = [
        read(&STREAM, &[("+ab\n", 100), ("+c\n", 130), ("=stop\n#2\n", 140)]).unwrap(),
        read(&STREAM, &[("+a\n", 400), ("!\n", 500)]).unwrap(),
        read(&STREAM, &[("+a\n~\n", 200), ("=length\n#4\n", 300)]).unwrap(),
        read(&WHOLE, &[("=stop\n#0", 1)]).unwrap(),
        read(&WHOLE, &[("tweather\n=tool_calls", 1)]).unwrap(),
    ];
    let mut seen = TextEvidence::default();
    readings.iter().for_each(|reading| seen.record(reading));
    assert_eq!((seen.answers, seen.empty, seen.failed, seen.malformed, seen.uncounted), (5, 1, 1, 1, 2));
    assert_eq!((seen.without_reason(), seen.finish_reasons["stop"]), (1, 2));
    assert_eq!((seen.time_to_first_token.count(), seen.between_tokens.count()), (3, 1));
    assert!((seen.longest_gap.quantile(1.0).unwrap() - 0.4).abs() < 0.01);
    assert_eq!(seen.characters.moments().unwrap().0, 1.0);
    assert_eq!(seen.tokens, Sums { count: 3, sum: 6.0, sum_of_squares: 20.0 });
    let mut twice = seen.clone();
    twice.merge(&seen);
    assert_eq!(twice.since(&seen), seen);
}

#[test]
fn reasons_are_bounded() {
    let mut seen = TextEvidence::default();
    for reason in 0..100 {
        seen.record(&TextReading { reason: Some(reason.to_string()), ..TextReading::default() });
    }
    assert_eq!(seen.finish_reasons.len(), REASONS + 1);
    assert_eq!(seen.finish_reasons.values().sum::<u64>(), 100);
}

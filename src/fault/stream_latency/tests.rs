//! The named quantiles are reached, on a paused clock and under any chunking.

use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::fault::{
    testing::{assert_page, assert_rate},
    text_testing::{PROSE, Ran, changed, even, fault, run, whole, wrong},
    unfit::NOT_A_STREAM,
};

const REQUESTS: u64 = 2_000;

/// The delay before the first chunk of text, and before each later one, of many streams.
fn delays(yaml: &str, intensity: f64, size: usize) -> (Vec<f64>, Vec<f64>) {
    let (fault, mut first, mut later) = (fault(yaml), Vec::new(), Vec::new());
    for request in 0..REQUESTS {
        let Ran { waits, .. } = run(&fault, request, intensity, even(PROSE, size)).unwrap();
        for (sent, wait) in waits {
            // The opening piece goes first.
            if sent == 1 { &mut first } else { &mut later }.push(wait.as_secs_f64());
        }
    }
    first.sort_by(f64::total_cmp);
    later.sort_by(f64::total_cmp);
    (first, later)
}

/// Is the quantile `q` of the sorted delays within four standard errors of that of the lognormal?
fn assert_quantile(sorted: &[f64], q: f64, want: f64, sigma: f64) {
    let z = normal_quantile(q);
    let density = (-z * z / 2.0).exp() / (2.0 * std::f64::consts::PI).sqrt();
    let error = 4.0 * sigma * (q * (1.0 - q) / sorted.len() as f64).sqrt() / density;
    let found = sorted[(q * (sorted.len() - 1) as f64) as usize];
    assert!((found / want).ln().abs() < error, "p{} is {found}, not {want}", q * 100.0);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(6))]

    #[test]
    fn quantiles_of_first_and_later_tokens_are_reached(
        median in 10_u64..3_000, factor in 1.5_f64..10.0, size in 1_usize..20,
    ) {
        let p99 = Span::from(Duration::from_millis(median).mul_f64(factor));
        let size_of = format!("{{ median: {median}ms, p99: {p99} }}");
        let yaml = format!("{{ stream-latency: {{ first-token: {size_of}, between-tokens: {size_of} }} }}");
        let (first, later) = delays(&yaml, 1.0, size);
        let sigma = factor.ln() / normal_quantile(0.99);
        let median = median as f64 / 1e3;
        prop_assert_eq!(first.len() as u64, REQUESTS);
        for sorted in [&first, &later] {
            assert_quantile(sorted, 0.5, median, sigma);
            assert_quantile(sorted, 0.99, median * factor, sigma);
        }
    }
}

#[test]
fn a_ramp_scales_the_delays() {
    let yaml = "{ stream-latency: { first-token: { median: 1s, p99: 3s } } }";
    let ((full, none), (half, _)) = (delays(yaml, 1.0, 5), delays(yaml, 0.5, 5));
    assert!(none.is_empty(), "later tokens are not delayed");
    assert!(full.iter().zip(&half).all(|(full, half)| (full - 2.0 * half).abs() < 1e-6));
    assert!(run(&fault(yaml), 1, 0.0, even(PROSE, 5)).is_none());
}

/// Runs one stream on the clock: each piece comes `every`, and what goes out is timed.
async fn paced(yaml: &str, every: Duration, at_once: bool) -> Vec<f64> {
    let memory = crate::fault::Memory::none();
    let fault = fault(yaml);
    let context = crate::fault::text_testing::context(1, 1.0, &memory);
    let mut edit = fault.behaviour().stream(context).unwrap();
    let (mut times, mut steps) = (Vec::new(), Vec::new());
    let start = Instant::now();
    for piece in even(PROSE, 5) {
        tokio::time::sleep(every).await;
        let is_text = crate::fault::streams::brings_text(&piece);
        edit.piece(piece, &mut steps);
        if at_once {
            continue;
        }
        for step in steps.drain(..) {
            match step {
                Step::Wait(time) => tokio::time::sleep(time).await,
                _ if is_text => times.push(start.elapsed().as_secs_f64()),
                _ => {}
            }
        }
    }
    for step in steps {
        match step {
            Step::Wait(time) => tokio::time::sleep(time).await,
            Step::Send(piece) if crate::fault::streams::brings_text(&piece) => {
                times.push(start.elapsed().as_secs_f64());
            }
            _ => {}
        }
    }
    times
}

fn gaps(times: &[f64]) -> Vec<f64> {
    times.windows(2).map(|pair| pair[1] - pair[0]).collect()
}

#[tokio::test(start_paused = true)]
async fn a_pace_is_kept_and_never_made_slower_than_it_is() {
    let yaml = "{ stream-latency: { tokens-per-second: 20 } }";
    // The clock of tests has steps of a millisecond.
    let near = |gap: &f64, want: f64| (gap - want).abs() < 0.002;
    for at_once in [false, true] {
        let gaps = gaps(&paced(yaml, Duration::from_millis(1), at_once).await);
        assert!(gaps.len() > 20 && gaps.iter().all(|gap| near(gap, 0.05)), "{gaps:?}");
    }
    let gaps = gaps(&paced(yaml, Duration::from_millis(200), false).await);
    assert!(gaps.iter().all(|gap| near(gap, 0.2)), "the upstream is slower: {gaps:?}");
}

#[tokio::test(start_paused = true)]
async fn tokens_that_waited_come_as_far_apart_as_was_asked() {
    let yaml = "{ stream-latency: { between-tokens: { median: 50ms, p99: 51ms } } }";
    for at_once in [false, true] {
        let gaps = gaps(&paced(yaml, Duration::ZERO, at_once).await);
        assert!(gaps.iter().all(|gap| (0.048..0.054).contains(gap)), "{gaps:?}");
    }
}

#[test]
fn it_acts_on_its_share_of_the_answers() {
    let slow = fault("{ stream-latency: { first-token: { median: 1s, p99: 3s }, rate: 30% } }");
    for intensity in [1.0, 0.5] {
        assert_rate(changed(&slow, REQUESTS, intensity, || even(PROSE, 9)), REQUESTS as usize, 0.3);
    }
}

#[test]
fn a_whole_body_has_no_tokens_to_slow_down() {
    let slow = fault("{ stream-latency: { tokens-per-second: 5 } }");
    let ran = run(&slow, 1, 1.0, whole(PROSE)).unwrap();
    assert_eq!((ran.edited, ran.waits.len()), (Edited { changed: 0, unfit: Some(NOT_A_STREAM) }, 0));
}

#[test]
fn settings_that_cannot_be_are_told() {
    for (yaml, message) in [
        ("{ stream-latency: {} }", "`stream-latency` does not say how slow"),
        ("{ stream-latency: { tokens-per-second: 0 } }", "`tokens-per-second` is above 0 to 10000"),
        ("{ stream-latency: { tokens-per-second: 5, rate: 0% } }", "a rate of 0% never acts"),
        (
            "{ stream-latency: { first-token: { median: 2s, p99: 2s } } }",
            "`median` (2s) is not above 0s and below `p99` (2s)",
        ),
        (
            "{ stream-latency: { between-tokens: { median: 1s, p99: 2s }, tokens-per-second: 5 } }",
            "`between-tokens` and `tokens-per-second` both say how fast tokens come",
        ),
    ] {
        assert_eq!(wrong(yaml), [message], "{yaml}");
    }
    assert_page("stream-latency");
    let yaml =
        "{ stream-latency: { first-token: { median: 2s, p99: 6s }, tokens-per-second: 5, rate: 30% } }";
    let words = "first token +2s median, 6s p99, at most 5 tokens/s on 30% of answers";
    assert_eq!(fault(yaml).describe(), words);
}

use std::fs;

use proptest::prelude::*;

use super::*;
use crate::{
    fault::{
        testing::{assert_page, assert_rate, check, decide, dice},
        text_testing::{self, PROSE},
    },
    unit::Share,
    wire::{Labels, Protocol, Role},
};

const N: u64 = 20_000;

fn parse(yaml: &str) -> Latency {
    serde_saphyr::from_str(yaml).unwrap()
}

fn delays(fault: &Latency, seed: u64, n: u64) -> Vec<f64> {
    let delay = |i| match decide(fault, dice(seed, i), 1.0) {
        Some(Action::DelayBefore(delay)) => delay.as_secs_f64(),
        None => 0.0,
        other => panic!("{other:?}"),
    };
    (0..n).map(delay).collect()
}

/// How many of the delays are at most `quantile` is binomial with p = q, exactly: the order statistics of the
/// sample are where they should be, but for one case in a million.
fn assert_quantile(delays: &[f64], q: f64, quantile: Span) {
    // Delays are durations in nanoseconds.
    let limit = quantile.as_secs_f64() + 1e-9;
    assert_rate(delays.iter().filter(|delay| **delay <= limit).count(), delays.len(), q);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn a_lognormal_has_the_median_and_the_p99_that_it_names(
        seed: u64, median in 1_u64..2_000, factor in 1.2_f64..20.0,
    ) {
        let p99 = Span::from(Duration::from_millis(median).mul_f64(factor));
        let median = Span::from_millis(median);
        let fault = Latency { lognormal: Some(Lognormal { median, p99 }), ..parse("{}") };
        let delays = delays(&fault, seed, N);
        assert_quantile(&delays, 0.5, median);
        assert_quantile(&delays, 0.99, p99);
    }

    #[test]
    fn a_pareto_has_the_percentiles_that_it_names(seed: u64, p50 in 1_u64..2_000, factor in 1.2_f64..50.0) {
        let p99 = Span::from(Duration::from_millis(p50).mul_f64(factor));
        let p50 = Span::from_millis(p50);
        let pareto = Some(Pareto { p50: Some(p50), p99: Some(p99), ..Pareto::default() });
        let delays = delays(&Latency { pareto, ..parse("{}") }, seed, N);
        assert_quantile(&delays, 0.5, p50);
        assert_quantile(&delays, 0.99, p99);
    }

    #[test]
    fn a_pareto_has_the_tail_of_its_shape(seed: u64, scale in 1_u64..200, shape in 0.8_f64..5.0, x in 1.1_f64..20.0) {
        let scale = Span::from_millis(scale);
        let pareto = Some(Pareto { scale: Some(scale), shape: Some(shape), ..Pareto::default() });
        let delays = delays(&Latency { pareto, ..parse("{}") }, seed, N);
        let limit = scale.as_secs_f64() * x;
        assert_rate(delays.iter().filter(|delay| **delay > limit).count(), delays.len(), x.powf(-shape));
        prop_assert!(delays.iter().all(|delay| *delay >= scale.as_secs_f64() - 1e-9));
    }

    #[test]
    fn every_percentile_is_met(
        seed: u64, points in prop::collection::btree_map(1_u32..1000, 1_u64..5_000, 2..8),
    ) {
        let rising = points.values().scan(0, |sum, more| { *sum += more; Some(Span::from_millis(*sum)) });
        let percents = points.keys().map(|tenths| f64::from(*tenths) / 10.0);
        let wanted: Vec<(f64, Span)> = percents.zip(rising).collect();
        let listed: Vec<String> = wanted.iter().map(|(percent, span)| format!("p{percent}: {span}")).collect();
        let fault = parse(&format!("percentiles: {{ {} }}", listed.join(", ")));
        prop_assert_eq!(problems(&fault), Vec::<&str>::new());
        let delays = delays(&fault, seed, N);
        for (percent, span) in wanted {
            assert_quantile(&delays, percent / 100.0, span);
        }
    }

    #[test]
    fn a_drawn_trace_gives_each_delay_as_often_as_the_others(seed: u64, n in 2_u64..50) {
        let all: Vec<Span> = (1..=n).map(Span::from_millis).collect();
        let fault = Latency { trace: Some(Trace { delays: all.clone(), ..Trace::default() }), ..parse("{}") };
        let delays = delays(&fault, seed, N);
        for (place, span) in all.iter().enumerate() {
            assert_quantile(&delays, (place + 1) as f64 / n as f64, *span);
        }
    }

    #[test]
    fn a_text_takes_its_tokens_however_it_is_cut(cuts in prop::collection::vec(0_usize..200, 0..20)) {
        let fault = text_testing::fault("latency: { per: { token: 20ms } }");
        let wait = |pieces| {
            let ran = text_testing::run(&fault, 1, 1.0, pieces).unwrap();
            (ran.joined(Role::Text), ran.waits.iter().map(|(_, wait)| *wait).sum::<Duration>())
        };
        let want = Duration::from_millis(20) * PROSE.chars().count().div_ceil(4) as u32;
        let streamed = wait(text_testing::stream(Role::Text, PROSE, &cuts));
        prop_assert_eq!(&streamed, &(PROSE.to_owned(), want));
        prop_assert_eq!(wait(text_testing::whole(PROSE)), streamed);
    }

    #[test]
    fn it_acts_as_often_as_its_rate(seed: u64, rate in 0.0_f64..=1.0) {
        let fault = Latency { rate: Share::new(rate).unwrap(), ..parse("fixed: 5ms") };
        let delayed = delays(&fault, seed, 10_000).into_iter().filter(|delay| *delay > 0.0);
        assert_rate(delayed.count(), 10_000, rate);
    }
}

#[test]
fn uniform_and_normal_have_their_quantiles() {
    let uniform = delays(&parse("uniform: { min: 100ms, max: 300ms }"), 1, N);
    assert!(uniform.iter().all(|delay| (0.1..=0.3).contains(delay)));
    assert_quantile(&uniform, 0.25, Span::from_millis(150));
    let normal = delays(&parse("normal: { mean: 300ms, sd: 50ms }"), 1, N);
    assert_quantile(&normal, 0.5, Span::from_millis(300));
    assert_quantile(&normal, 0.841_344_746, Span::from_millis(350));
}

#[test]
fn beyond_the_outermost_percentiles_their_pieces_go_on_up_to_the_bounds() {
    let quantile = |yaml: &str, u: f64| {
        let Latency { percentiles: Some(percentiles), .. } = parse(yaml) else { panic!("{yaml}") };
        percentiles.quantile_s(u)
    };
    let open = "percentiles: { p50: 80ms, p99: 900ms, p99.9: 4s }";
    for (u, seconds) in [(0.5, 0.08), (0.99, 0.9), (0.999, 4.0)] {
        assert!((quantile(open, u) / seconds - 1.0).abs() < 1e-9, "{u}");
    }
    // The first piece is the lognormal through p50 and p99: symmetric in the logarithm.
    assert!((quantile(open, 0.01) - 0.08 * 0.08 / 0.9).abs() < 1e-9);
    assert!(quantile(open, 0.9999) > 8.0);
    let bound = "percentiles: { p0: 20ms, p50: 80ms, p99: 900ms, p99.9: 4s, p100: 5s }";
    assert_eq!([quantile(bound, 1e-6), quantile(bound, 1.0 - 1e-9)], [0.02, 5.0]);
    assert!((quantile(bound, 0.99) - 0.9).abs() < 1e-9);
    assert_eq!(parse(bound).describe(), "+20ms p0, 80ms p50, 900ms p99, 4s p99.9, 5s p100");
}

#[test]
fn a_recorded_trace_is_replayed_in_its_order() {
    let fault = parse("trace: { delays: [10ms, 0s, 30ms], order: recorded }");
    let memory = fault.memory();
    let next = |i| match fault.decide(&Decide::of(dice(1, i), 1.0, &memory)) {
        Some(Action::DelayBefore(delay)) => delay.as_millis(),
        None => 0,
        other => panic!("{other:?}"),
    };
    assert_eq!((0..7).map(next).collect::<Vec<_>>(), [10, 0, 30, 10, 0, 30, 10]);
    assert_eq!(fault.describe(), "+10ms median, 30ms p99: 3 recorded delays in their order");
}

#[test]
fn a_trace_is_read_from_lines_or_a_column_and_travels_without_its_file() {
    let folder = tempfile::tempdir().unwrap();
    let embed = |name: &str, text: &str, settings: &str| {
        fs::write(folder.path().join(name), text).unwrap();
        let mut fault = parse(&format!("trace: {{ file: {name}{settings} }}"));
        let told = fault.embed(folder.path()).map_err(|problem| problem.message);
        (told, fault.trace.unwrap())
    };
    let (told, trace) = embed("a.txt", "# ms\n12.5\n\n250ms\n1s\n", "");
    assert_eq!(told, Ok(()));
    let spans = ["12.5ms", "250ms", "1s"].map(|text| text.parse().unwrap());
    assert_eq!(trace, Trace { delays: spans.to_vec(), ..Trace::default() });
    let sent = serde_json::to_string(&trace).unwrap();
    assert_eq!(sent, r#"{"delays":["12.5ms","250ms","1s"]}"#);
    let (_, trace) = embed("b.csv", "route, \"took\"\n/a,0.5\n/b, \"2\" \n", ", column: took, unit: s");
    assert_eq!(trace.delays, [Span::from_millis(500), Span::from_secs(2)]);
    for (text, settings, message) in [
        ("", "", "`c.csv` has no delays"),
        ("1\nfast\n", "", "`c.csv` says `fast` in line 2"),
        ("1\n-3\n", "", "`c.csv` says `-3` in line 2"),
        ("a,b\n1,2\n", ", column: c", "`c.csv` has no column `c` in its first line"),
        ("a,b\n1,2\n1\n", ", column: b", "`c.csv` says `` in line 3"),
    ] {
        let (told, trace) = embed("c.csv", text, settings);
        assert_eq!(told, Err(message.to_owned()));
        assert_eq!(trace.check(), None, "one mistake is told once");
    }
    let long = "1\n".repeat(10_001);
    assert!(embed("d.txt", &long, "").0.unwrap_err().contains("more than 10000 delays"));
    let mut gone = parse("trace: { file: gone.txt }");
    assert_eq!(problems(&gone), ["trace.file"]);
    assert!(gone.embed(folder.path()).unwrap_err().message.contains("can't be read"));
}

#[test]
fn per_kibibyte_the_delay_goes_with_the_length_of_the_request() {
    let fault = parse("per: { kibibyte: 2ms }");
    let memory = fault.memory();
    let at = |request_bytes| fault.decide(&Decide { request_bytes, ..Decide::of(dice(1, 1), 0.5, &memory) });
    assert_eq!(at(Some(10 * 1024)), Some(Action::DelayBefore(Duration::from_millis(10))));
    assert_eq!([at(Some(0)), at(None)], [None, None]);
    assert_eq!((fault.stage(), fault.needs()), (Stage::Before, None));
    assert_eq!(fault.describe(), "+2ms per kibibyte");
}

#[test]
fn per_row_and_token_it_is_known_with_the_answer() {
    let row = parse("per: { row: 5ms }");
    assert_eq!(decide(&row, dice(1, 1), 0.5), Some(Action::DelayPerRow(Duration::from_micros(2500))));
    assert_eq!((row.stage(), row.needs()), (Stage::After, Some(Content::Predictions)));
    let token = parse("per: { token: 20ms }");
    assert_eq!(decide(&token, dice(1, 1), 0.5), Some(Action::Stream));
    assert_eq!(decide(&token, dice(1, 1), 0.0), None);
    assert_eq!((token.stage(), token.needs()), (Stage::Timing, Some(Content::Text)));
    assert!(!Protocol::Http.carries(Content::Text));
    assert_eq!(problems(&parse("per: { token: 0s }")), ["per"]);
}

#[test]
fn a_ramp_scales_the_delay() {
    let fault = parse("{ fixed: 200ms, when: after }");
    assert_eq!(decide(&fault, dice(0, 1), 0.5), Some(Action::DelayAfter(Duration::from_millis(100))));
    assert_eq!(decide(&fault, dice(0, 1), 0.0), None);
}

fn problems(fault: &Latency) -> Vec<&'static str> {
    let found = check(fault, &Protocol::Http, &Labels::default());
    found.into_iter().map(|problem| problem.key).collect()
}

#[test]
fn exactly_one_sensible_distribution() {
    for good in [
        "fixed: 1ms",
        "normal: { mean: 300ms, sd: 100ms }",
        "lognormal: { median: 1ms, p99: 2ms }",
        "pareto: { scale: 50ms, shape: 1.5 }",
        "pareto: { p50: 80ms, p99: 900ms }",
        "percentiles: { p0: 1ms, p50: 80ms, p99: 80ms }",
    ] {
        assert_eq!(problems(&parse(good)), Vec::<&str>::new(), "{good}");
    }
    for (bad, key) in [
        ("{}", ""),
        ("fixed: 0s", "fixed"),
        ("{ fixed: 1s, uniform: { min: 1s, max: 2s } }", ""),
        ("uniform: { min: 2s, max: 1s }", "uniform"),
        ("normal: { mean: 1s, sd: 400ms }", "normal"),
        ("lognormal: { median: 0s, p99: 2ms }", "lognormal"),
        ("lognormal: { median: 2s, p99: 2s }", "lognormal"),
        ("pareto: { scale: 50ms, p99: 1s }", "pareto"),
        ("pareto: {}", "pareto"),
        ("pareto: { scale: 0s, shape: 1.5 }", "pareto"),
        ("pareto: { scale: 50ms, shape: 0.1 }", "pareto"),
        ("pareto: { p50: 2s, p99: 2s }", "pareto"),
        ("pareto: { p50: 1ms, p99: 100h }", "pareto"),
        ("percentiles: { p50: 80ms }", "percentiles"),
        ("percentiles: { p0: 1ms, p50: 80ms, p100: 1s }", "percentiles"),
        ("percentiles: { p50: 80ms, p99: 70ms }", "percentiles"),
        ("percentiles: { p50: 0s, p99: 70ms }", "percentiles"),
        ("percentiles: { p50: 80ms, p99: 90ms, p100: 85ms }", "percentiles"),
        ("trace: {}", "trace"),
        ("trace: { delays: [0s, 0s] }", "trace.delays"),
    ] {
        assert_eq!(problems(&parse(bad)), [key], "{bad}");
    }
    for unread in
        ["percentiles: { p101: 80ms }", "percentiles: { 99: 80ms }", "percentiles: { p50: 1s, p50.0: 2s }"]
    {
        assert!(serde_saphyr::from_str::<Latency>(unread).is_err(), "{unread}");
    }
}

#[test]
fn its_page_can_be_pasted() {
    assert_page("latency");
}

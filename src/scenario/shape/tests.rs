use proptest::prelude::*;

use super::{tally::MOST_UNITS, *};
use crate::draw::UnitHash;

fn parse(yaml: &str) -> Shape {
    serde_saphyr::from_str(yaml).unwrap()
}

fn at(shape: &Shape, seconds: f64) -> f64 {
    shape.intensity(Duration::from_secs_f64(seconds))
}

fn problems(yaml: &str, has_units: bool) -> Vec<(&'static str, String)> {
    let found = parse(yaml).check(Span::from_secs(60), has_units);
    found.into_iter().map(|problem| (problem.key, problem.message)).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_square_wave_is_on_for_its_duty(period in 1_u64..100, duty in 0.01_f64..0.99, turns in 1_u32..20) {
        let duty = Share::new(duty).unwrap();
        let shape = Shape::Square(Square { period: Span::from_secs(period), duty });
        let mean = shape.mean(Duration::from_secs(period) * turns).unwrap();
        // Each edge is known to one step of the integral, and there are two edges in a turn.
        prop_assert!((mean - duty.fraction()).abs() <= 2.0 * f64::from(turns) / 10_000.0 + 1e-9, "{mean}");
    }

    #[test]
    fn a_sine_is_between_its_ends_and_its_mean_is_half_way(
        period in 1_u64..100, low in 0.0_f64..0.5, high in 0.5_f64..1.0, turns in 1_u32..20, t in 0.0_f64..1e6,
    ) {
        let (low, high) = (Share::new(low).unwrap(), Share::new(high).unwrap());
        let shape = Shape::Sine(Sine { period: Span::from_secs(period), low, high });
        let mean = shape.mean(Duration::from_secs(period) * turns).unwrap();
        prop_assert!((mean - (low.fraction() + high.fraction()) / 2.0).abs() < 1e-3, "{mean}");
        prop_assert!((low.fraction() - 1e-9..=high.fraction() + 1e-9).contains(&at(&shape, t)));
        prop_assert!((at(&shape, period as f64 * 2.5) - high.fraction()).abs() < 1e-9);
    }

    #[test]
    fn a_spike_has_half_its_width_as_integral_and_its_peak_in_the_middle(
        peak in 50_u64..100, width in 1_u64..100,
    ) {
        let (lasts, at_peak) = (Duration::from_secs(200), Duration::from_secs(peak));
        let shape = Shape::Spike(Spike { at: Span::from(at_peak), width: Span::from_secs(width) });
        let integral = shape.mean(lasts).unwrap() * 200.0;
        prop_assert!((integral - width as f64 / 2.0).abs() < 0.1, "{integral}");
        prop_assert_eq!(shape.intensity(at_peak), 1.0);
        prop_assert_eq!(shape.grows_for(), at_peak);
    }

    #[test]
    fn a_ramp_is_level_before_and_after_and_straight_between(
        from in 0.0_f64..=1.0, to in 0.0_f64..=1.0, over in 1_u64..100, begin in 0_u64..100, part in 0.0_f64..=1.0,
    ) {
        let (from, to) = (Share::new(from).unwrap(), Share::new(to).unwrap());
        let (begin, over) = (Span::from_secs(begin), Span::from_secs(over));
        let shape = Shape::Ramp(Ramp { over, at: begin, from, to });
        let (start, length) = (begin.as_secs_f64(), over.as_secs_f64());
        let want = from.fraction() + (to.fraction() - from.fraction()) * part;
        prop_assert!((at(&shape, start + part * length) - want).abs() < 1e-6);
        prop_assert_eq!(at(&shape, start * part), from.fraction());
        prop_assert!((at(&shape, start + length * (1.0 + part)) - to.fraction()).abs() < 1e-9);
    }

    #[test]
    fn a_drift_grows_by_the_hour_and_ends_at_full_size(per_hour in 0.001_f64..=1.0, hours in 0.0_f64..48.0) {
        let shape = Shape::Drift(Drift { per_hour: Share::new(per_hour).unwrap(), from: Share::NONE });
        let want = (per_hour * hours).min(1.0);
        prop_assert!((at(&shape, hours * 3600.0) - want).abs() < 1e-6);
    }

    #[test]
    fn every_shape_stays_between_nothing_and_full_size(t in 0.0_f64..1e7) {
        for shape in all_shapes() {
            let size = at(&shape, t);
            prop_assert!((0.0..=1.0).contains(&size), "{shape:?}: {size}");
        }
    }
}

fn all_shapes() -> Vec<Shape> {
    [
        "step: { at: 10s }",
        "step: { at: 10s, until: 20s }",
        "ramp: { over: 15s }",
        "ramp: { over: 15s, at: 5s, from: 80%, to: 20% }",
        "square: { period: 20s }",
        "square: { period: 20s, duty: 30% }",
        "sine: { period: 40s }",
        "spike: { at: 30s, width: 10s }",
        "drift: { per-hour: 20% }",
        "first-n: { n: 3 }",
        "first-n: { n: 3, per: unit }",
        "n-then-recover: { n: 3, pause: 7 }",
    ]
    .map(parse)
    .to_vec()
}

#[test]
fn every_shape_reads_what_it_writes_passes_its_check_and_tells_itself() {
    let mut told = Vec::new();
    for shape in all_shapes() {
        assert_eq!(serde_json::from_str::<Shape>(&serde_json::to_string(&shape).unwrap()).unwrap(), shape);
        assert_eq!(shape.check(Span::from_secs(60), true), [], "{shape:?}");
        told.push(shape.describe());
    }
    insta::assert_snapshot!(told.join("\n"), @"
    from 10s on
    from 10s to 20s
    0% to 100% over 15s
    80% to 20% over 15s from 5s on
    on for 50% of each 20s
    on for 30% of each 20s
    a wave of 40s between 0% and 100%
    a spike at 30s, 10s wide
    0% and 20% more each hour
    the first 3 requests
    the first 3 requests of each unit
    3 requests, then none for 7, again and again
    ");
}

#[test]
fn a_step_is_exact_at_its_ends() {
    let shape = parse("step: { at: 10s, until: 20s }");
    assert_eq!([9.999, 10.0, 19.999, 20.0].map(|t| at(&shape, t)), [0.0, 1.0, 1.0, 0.0]);
    let square = parse("square: { period: 20s, duty: 30% }");
    assert_eq!([0.0, 5.999, 6.0, 19.999, 20.0, 26.0].map(|t| at(&square, t)), [1.0, 1.0, 0.0, 0.0, 1.0, 0.0]);
}

#[test]
fn it_grows_until_its_largest_size_was_first_seen() {
    for shape in all_shapes() {
        let grown = shape.grows_for();
        let largest = (0..=60_000).map(|ms| shape.intensity(Duration::from_millis(ms))).fold(0.0, f64::max);
        assert!(shape.intensity(grown) >= largest - 1e-9, "{shape:?}: {grown:?} is not at {largest}");
    }
    assert_eq!(parse("drift: { per-hour: 20% }").grows_for(), Duration::from_secs(18_000));
}

#[test]
fn a_ramp_has_a_short_form() {
    assert_eq!(Shape::from_ramp(Some(Span::from_secs(15))), parse("ramp: { over: 15s }"));
    for none in [None, Some(Span::ZERO)] {
        assert_eq!(Shape::from_ramp(none), parse("step: { at: 0s }"));
        assert_eq!(at(&Shape::from_ramp(none), 0.0), 1.0);
    }
    assert_eq!(Shape::default().describe(), "at full size");
    let plain = |yaml: &str| parse(yaml).is_plain();
    assert!(plain("step: { at: 0s }") && plain("ramp: { over: 15s }"));
    assert!(
        !plain("step: { at: 1s }")
            && !plain("ramp: { over: 15s, to: 50% }")
            && !plain("sine: { period: 9s }")
    );
}

#[test]
fn what_can_not_work_is_refused_with_the_reason() {
    for shape in all_shapes() {
        assert_eq!(shape.check(Span::from_secs(60), true), []);
    }
    let unit = "every request is its own unit here, and each would be the first of its own";
    for (yaml, key, message) in [
        ("step: { at: 1m }", "step.at", "1m is not within its phase of 1m"),
        ("step: { at: 9s, until: 8s }", "step.until", "`until` (8s) is not after `at` (9s)"),
        ("ramp: { over: 0s }", "ramp.over", "a ramp of no length is none"),
        ("ramp: { over: 50s, at: 20s }", "ramp.over", "the ramp ends 10s after its phase does"),
        ("ramp: { over: 5s, from: 100% }", "ramp.to", "a ramp from 100% to 100% is level"),
        ("square: { period: 0s }", "square.period", "a period of 0s is none"),
        ("square: { period: 61s }", "square.period", "one period of 1m1s is longer than its phase of 1m"),
        ("square: { period: 9s, duty: 100% }", "square.duty", "a duty of 100% never switches"),
        ("sine: { period: 3m }", "sine.period", "half a wave of 3m is longer than its phase of 1m"),
        ("sine: { period: 9s, low: 100% }", "sine.low", "`low` (100%) is not below `high` (100%)"),
        ("spike: { at: 2m, width: 1s }", "spike.at", "2m is not within its phase of 1m"),
        ("spike: { at: 2s, width: 0s }", "spike.width", "a spike of no width is none"),
        ("drift: { per-hour: 0% }", "drift.per-hour", "a drift of 0% an hour is none"),
        ("first-n: { n: 0 }", "first-n.n", "the first 0 requests are none"),
        ("n-then-recover: { n: 0, pause: 1 }", "n-then-recover.n", "0 requests are none"),
        ("n-then-recover: { n: 1, pause: 0 }", "n-then-recover.pause", "without a pause nothing recovers"),
        ("first-n: { n: 1, per: unit }", "first-n.per", unit),
        ("n-then-recover: { n: 1, pause: 1, per: unit }", "n-then-recover.per", unit),
    ] {
        assert_eq!(problems(yaml, false), [(key, message.to_owned())], "{yaml}");
    }
    assert!(serde_saphyr::from_str::<Shape>("square: { period: 9s, dutty: 1% }").is_err());
}

#[test]
fn a_tally_counts_all_or_each_unit() {
    let (one, two) = (UnitHash::of(b"one"), UnitHash::of(b"two"));
    let admitted = |yaml: &str, order: &[UnitHash]| {
        let (shape, tally) = (parse(yaml), Tally::default());
        order.iter().map(|unit| tally.admits(&shape, *unit)).collect::<Vec<_>>()
    };
    let order = [one, one, two, one, two, one];
    assert_eq!(admitted("first-n: { n: 2 }", &order), [true, true, false, false, false, false]);
    assert_eq!(admitted("first-n: { n: 1, per: unit }", &order), [true, false, true, false, false, false]);
    assert_eq!(
        admitted("n-then-recover: { n: 1, pause: 2 }", &order),
        [true, false, false, true, false, false]
    );
    assert_eq!(
        admitted("n-then-recover: { n: 1, pause: 1, per: unit }", &order),
        [true, false, true, true, false, false]
    );
    assert_eq!(admitted("square: { period: 1s }", &order), [true; 6]);
}

#[test]
fn a_tally_is_bounded_and_leaves_later_units_alone() {
    let (shape, tally) = (parse("first-n: { n: 1, per: unit }"), Tally::default());
    assert!((0..MOST_UNITS as u64).all(|unit| tally.admits(&shape, UnitHash::from_u64(unit))));
    assert!(!tally.admits(&shape, UnitHash::from_u64(u64::MAX)));
    assert!(!tally.admits(&shape, UnitHash::from_u64(0)));
    assert_eq!(tally.units.lock().unwrap().len(), MOST_UNITS);
}

#[test]
fn the_overall_share_goes_by_the_shape() {
    let overall = |inject: &str| {
        let text = format!(
            "name: t\ntarget: {{ protocol: http }}\nexposure: {{ share: 50% }}\n\
             phases:\n  - name: broken\n    lasts: 100s\n    inject:\n      - {{ {inject} }}\n"
        );
        let plan = crate::scenario::compile(&crate::scenario::Source::new("t.yaml", text)).unwrap();
        plan.outline()[0].faults[0].clone()
    };
    let error = "fault: { error: { status: 503, rate: 40% } }";
    for (shape, mean) in [
        ("", 1.0),
        (", ramp: 40s", 0.8),
        (", shape: { square: { period: 10s, duty: 30% } }", 0.3),
        (", shape: { step: { at: 25s, until: 50s } }", 0.25),
        // How often it acts is the traffic's affair: at most always.
        (", shape: { first-n: { n: 3 } }", 1.0),
    ] {
        let outline = overall(&format!("{error}{shape}"));
        assert!((outline.over_time - mean).abs() < 0.001, "{shape}: {outline:?}");
        assert!((outline.overall_share - 0.2 * mean).abs() < 0.001, "{shape}: {outline:?}");
    }
    // A ramp makes delays shorter, not fewer.
    let slow = "fault: { latency: { fixed: 1s } }";
    assert!(overall(&format!("{slow}, ramp: 40s")).over_time > 0.999);
    let flapping = overall(&format!("{slow}, shape: {{ square: {{ period: 10s, duty: 30% }} }}"));
    assert!((flapping.overall_share - 0.15).abs() < 0.001);
}

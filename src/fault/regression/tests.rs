//! Mean and variance of the residuals are the promised ones.

use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::{
    draw::{Dice, Key, UnitHash},
    fault::{
        testing::{assert_page, assert_rate, edit_one, iris, problems, row},
        traffic::{Stream, run, run_at},
    },
    stats::Welford,
    wire::Labels,
};

const N: usize = 20_000;

fn fault(yaml: &str) -> Regression {
    serde_saphyr::from_str(yaml).unwrap()
}

fn numbers(seed: u64) -> Vec<Row> {
    let mut stream = Stream::new(seed);
    (0..N).map(|_| row(None, &[100.0 + 10.0 * stream.normal()])).collect()
}

fn number(row: &Row) -> f64 {
    row.scores[0].as_f64().unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]
    #[test]
    fn residuals_are_as_promised(seed: u64, scale in 0.5..2.0, offset in -20.0..20.0, noise in 0.5..20.0, half: bool) {
        let fault = Regression { scale: Some(scale), offset: Some(offset), noise: Some(noise), ..fault("{}") };
        let rows = numbers(seed);
        let intensity = if half { 0.5 } else { 1.0 };
        let run = run_at(&fault, &rows, &[], &Labels::default(), seed, intensity);
        let mut residuals = Welford::default();
        for (before, after) in rows.iter().zip(&run.rows) {
            let scale = 1.0 + (scale - 1.0) * intensity;
            residuals.record(number(after) - number(before) * scale);
        }
        let (mean, deviation) = (offset * intensity, noise * intensity);
        prop_assert!((residuals.mean() - mean).abs() < 5.0 * deviation / (N as f64).sqrt());
        prop_assert!((residuals.deviation().unwrap() / deviation - 1.0).abs() < 5.0 / (2.0 * N as f64).sqrt());
    }
}

#[test]
fn a_rate_goes_wrong() {
    let run = run_at(&fault("{ scale: 1000, rate: 5% }"), &numbers(3), &[], &Labels::default(), 3, 0.5);
    assert_rate(run.changed, N, 0.05);
}

#[test]
fn a_clip_holds_and_a_drift_grows() {
    let run = run(&fault("{ clip: [95, 105] }"), &numbers(3), &[], &Labels::default(), 3);
    assert!(run.changed > N / 2 && run.rows.iter().all(|row| (95.0..=105.0).contains(&number(row))));

    let drift = fault("{ drift-per-hour: 6 }");
    let (labels, memory) = (Labels::default(), drift.memory());
    let dice = Dice::new(Key::new(1, "x"), UnitHash::from_u64(1));
    for (minutes, told) in [(0, 100.0), (10, 101.0), (60, 106.0)] {
        let since_phase = Duration::from_secs(minutes * 60);
        let context = EditContext { since_phase, ..EditContext::new(dice, 1.0, &labels, &memory) };
        let mut answer = Answer::of_rows(vec![row(None, &[100.0])]);
        drift.edit(&mut answer, &context);
        assert!((number(&answer.rows[0]) - told).abs() < 1e-9);
    }
}

#[test]
fn what_is_no_regression_is_left_alone() {
    let labels = Labels::default();
    for row in [row(None, &[0.5, 0.5]), row(Value::Int(1), &[0.5]), row(None, &[f64::NAN]), row(None, &[])] {
        assert_eq!(edit_one(&fault("{ offset: 1 }"), &row, &labels).unfit, Some(NO_NUMBER), "{row:?}");
    }
    assert_eq!(edit_one(&fault("{ offset: 1 }"), &row(Value::Int(3), &[]), &labels).changed, 1);
}

#[test]
fn what_cannot_be_is_told() {
    for (yaml, message) in [
        ("{}", "`regression` needs to know what goes wrong"),
        ("{ scale: 1 }", "`scale` of 1 makes no sense"),
        ("{ offset: .inf }", "`offset` of inf makes no sense"),
        ("{ noise: -1 }", "a standard deviation of -1 is not possible"),
        ("{ clip: [5, 5] }", "there is nothing between 5 and 5"),
        ("{ offset: 1, rate: 0% }", "a rate of 0% never acts"),
    ] {
        assert_eq!(problems(&format!("{{ regression: {yaml} }}"), &iris()), [message], "{yaml}");
    }
}

#[test]
fn it_says_what_it_does() {
    assert_page("regression");
    let all = "{ scale: 2, offset: -1, drift-per-hour: 0.5, noise: 3, clip: [0, 9], rate: 5% }";
    assert_eq!(fault(all).describe(), "× 2, -1, +0.5 per hour, noise of 3, clipped to 0 to 9 on 5%");
}

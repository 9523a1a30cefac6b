//! The wanted matrix is reached, and one that can't be is refused with its entry.

use proptest::prelude::*;

use super::*;
use crate::{
    fault::{
        testing::{assert_page, assert_rate, edit_one, iris, problems, row},
        traffic::{Stream, class, run, told},
    },
    wire::{Labels, Value},
};

fn matrix(rows: &[Vec<f64>]) -> Confusion {
    let share = |x: &f64| Share::new(x.clamp(0.0, 1.0)).unwrap();
    let row = |row: &Vec<f64>| row.iter().enumerate().map(|(j, x)| (j.to_string(), share(x))).collect();
    rows.iter().enumerate().map(|(i, own)| (i.to_string(), row(own))).collect()
}

/// A row-stochastic matrix with this much on its diagonal at least.
fn stochastic(stream: &mut Stream, n: usize, diagonal: f64) -> Vec<Vec<f64>> {
    let mut row = |i: usize| -> Vec<f64> {
        let rest = stream.probabilities(n, 1.0);
        (0..n).map(|j| rest[j] * (1.0 - diagonal) + if i == j { diagonal } else { 0.0 }).collect()
    };
    (0..n).map(&mut row).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]
    #[test]
    fn the_wanted_matrix_is_reached(seed: u64, n in 2_usize..5) {
        let mut stream = Stream::new(seed);
        let (now, turn) = (stochastic(&mut stream, n, 0.7), stochastic(&mut stream, n, 0.4));
        let entry = |row: &Vec<f64>, j: usize| row.iter().zip(&turn).map(|(x, t)| x * t[j]).sum::<f64>();
        let wanted: Vec<Vec<f64>> = now.iter().map(|row| (0..n).map(|j| entry(row, j)).collect()).collect();
        let fault = TargetConfusion { now: matrix(&now), wanted: matrix(&wanted), turn: Derived::default() };
        let labels = Labels::new((0..n).map(|class| class.to_string()));
        prop_assert_eq!(crate::fault::testing::check(&fault, &crate::wire::Protocol::OpenInference, &labels), []);
        let each = 5_000;
        let truth: Vec<usize> = (0..n * each).map(|i| i % n).collect();
        let rows = told(truth.iter().map(|truth| stream.pick(&now[*truth])).collect::<Vec<_>>());
        let run = run(&fault, &rows, &[], &labels, seed);
        for (i, row) in wanted.iter().enumerate() {
            for (j, share) in row.iter().enumerate() {
                let told = run.rows.iter().zip(&truth).filter(|(row, truth)| **truth == i && class(row) == j);
                assert_rate(told.count(), each, share.min(1.0));
            }
        }
    }
}

fn told_problems(now: &str, wanted: &str) -> Vec<String> {
    problems(&format!("{{ target-confusion: {{ now: {now}, wanted: {wanted} }} }}"), &Labels::default())
}

#[test]
fn what_cannot_be_reached_is_refused_with_its_entry() {
    let good = "{ a: { a: 90%, b: 10% }, b: { a: 20%, b: 80% } }";
    for (now, wanted, message) in [
        (
            good,
            "{ a: { a: 100% }, b: { a: 20%, b: 80% } }",
            "it can't be reached: of the predictions of `a`, -11.43% would have to be told as `b`",
        ),
        (
            "{ a: { a: 50%, b: 50% }, b: { a: 50%, b: 50% } }",
            good,
            "`now` is singular: the row of one class is a mixture of those of others",
        ),
        (good, good, "the wanted matrix is the one that the model has"),
        (good, "{ a: { a: 90%, b: 10% } }", "class `b` has no row"),
        (good, "{ a: { a: 90% }, b: { b: 100% } }", "the shares of `a` are 90% in all, not 100%"),
    ] {
        assert_eq!(told_problems(now, wanted), [message]);
    }
    assert!(told_problems(good, "{ a: { a: 50%, b: 50% }, b: { a: 40%, b: 60% } }").is_empty());
}

#[test]
fn what_tells_no_class_is_unfit() {
    let example: Vec<serde_json::Value> = serde_saphyr::from_str(ENTRY.example).unwrap();
    let fault: TargetConfusion =
        serde_json::from_value(example[0]["fault"]["target-confusion"].clone()).unwrap();
    let all = (0..50).map(|_| edit_one(&fault, &row(Value::Null, &[]), &iris()).unfit);
    assert!(all.flatten().all(|reason| reason == crate::fault::unfit::UNKNOWN_CLASS));
    assert_eq!(edit_one(&fault, &row(Value::Int(0), &[]), &iris()), Edited::default());
}

#[test]
fn it_says_what_it_does() {
    assert_page("target-confusion");
}

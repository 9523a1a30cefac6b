//! The step is the one of the recursion, and the loop runs away.

use proptest::prelude::*;

use super::*;
use crate::{
    fault::{
        testing::{assert_page, iris, parse, problems, row},
        traffic::{Stream, count, run},
    },
    wire::{Labels, Row, Value},
};

fn fault(yaml: &str) -> FeedbackLoop {
    serde_saphyr::from_str(yaml).unwrap()
}

fn scores(seed: u64, n: usize) -> Vec<Row> {
    let mut stream = Stream::new(seed);
    (0..n).map(|_| row(None, &[stream.uniform()])).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]
    #[test]
    fn each_step_adds_the_gain_times_the_excess(seed: u64, base in 0.1..0.9, gain in 0.05..2.0) {
        let rows = scores(seed, 2_000);
        let share = Share::new(base).unwrap();
        let fault = FeedbackLoop { base: share, gain, every: 100, class: None };
        let run = run(&fault, &rows, &[], &Labels::default(), seed);
        let mut delta = 0.0_f64;
        for (before, after) in rows.chunks(100).zip(run.rows.chunks(100)) {
            for (before, after) in before.iter().zip(after) {
                let (before, after) = (probabilities(before).unwrap()[0], probabilities(after).unwrap()[0]);
                let odds = before / (1.0 - before) * delta.exp();
                prop_assert!((after - odds / (1.0 + odds)).abs() < 1e-9);
            }
            delta = (delta + gain * (count(after, 1) as f64 / 100.0 - base)).clamp(-20.0, 20.0);
        }
    }
}

#[test]
fn it_runs_away_from_the_base() {
    let rows = scores(4, 20_000);
    let told = |base: &str| {
        let fault = fault(&format!("{{ base: {base}, gain: 0.5 }}"));
        let run = run(&fault, &rows, &[], &Labels::default(), 4);
        count(&run.rows[18_000..], 1) as f64 / 2_000.0
    };
    assert!(told("40%") > 0.95 && told("60%") < 0.05);
}

#[test]
fn the_label_follows_the_scores() {
    let mut stream = Stream::new(9);
    let rows: Vec<Row> = (0..5_000)
        .map(|_| {
            let p = stream.probabilities(3, 1.0);
            let told = highest(&p);
            row(Value::Text(iris().names()[told].clone()), &p)
        })
        .collect();
    let run = run(&fault("{ base: 10%, gain: 2, class: virginica }"), &rows, &[], &iris(), 4);
    assert!(run.rows.iter().all(|row| iris().of(row) == iris().of(&Row { label: None, ..row.clone() })));
    let virginica = run.rows.iter().filter(|row| iris().of(row).as_deref() == Some("virginica")).count();
    assert!(virginica > 4_000, "{virginica}");
}

#[test]
fn what_cannot_be_is_told() {
    for yaml in ["{ base: 30%, gain: 0 }", "{ base: 30%, gain: 21 }", "{ base: 30%, gain: 1, every: 0 }"] {
        assert!(parse(&format!("{{ feedback-loop: {yaml} }}")).is_err(), "{yaml}");
    }
    let unknown = "{ feedback-loop: { base: 30%, gain: 1, class: rose } }";
    assert_eq!(problems(unknown, &iris()), ["`rose` is none of the target's labels"]);
    assert_eq!(problems(unknown, &Labels::default()), ["the place of `rose` among the scores is not known"]);
}

#[test]
fn it_says_what_it_does() {
    assert_page("feedback-loop");
}

//! Accuracy falls by what was asked for, whatever the model's mistakes look like.

use proptest::prelude::*;

use super::*;
use crate::{
    fault::{
        testing::{assert_page, assert_rate, edit_one, iris, problems, row},
        traffic::{Stream, class, run, run_at, told},
    },
    wire::Value,
};

fn names(classes: usize) -> Labels {
    Labels::new((0..classes).map(|class| class.to_string()))
}

/// Rows of a model with this accuracy that is always wrong in the same way, and the truth.
fn model(seed: u64, n: usize, classes: usize, accuracy: f64) -> (Vec<crate::wire::Row>, Vec<usize>) {
    let mut stream = Stream::new(seed);
    let truth: Vec<usize> = (0..n).map(|_| stream.draw().index(classes)).collect();
    let said = |truth: &usize| if stream.uniform() < accuracy { *truth } else { (truth + 1) % classes };
    (told(truth.iter().map(said).collect::<Vec<_>>()), truth)
}

fn right(rows: &[crate::wire::Row], truth: &[usize]) -> usize {
    rows.iter().zip(truth).filter(|(row, truth)| class(row) == **truth).count()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn accuracy_falls_by_the_drop(seed: u64, classes in 2_usize..7, accuracy in 0.6..0.98, part in 0.05..1.0) {
        let most = accuracy - (1.0 - accuracy) / (classes as f64 - 1.0);
        let share = |x: f64| Share::new(x).unwrap();
        let fault = AccuracyDrop { drop: share(most * part), accuracy: share(accuracy) };
        let labels = names(classes);
        prop_assert_eq!(crate::fault::testing::check(&fault, &crate::wire::Protocol::OpenInference, &labels), []);
        let (rows, truth) = model(seed, 10_000, classes, accuracy);
        let run = run(&fault, &rows, &[], &labels, seed);
        assert_rate(right(&run.rows, &truth), rows.len(), accuracy - most * part);
    }
}

#[test]
fn on_large_samples_it_is_within_two_thousandths() {
    let fault: AccuracyDrop = serde_saphyr::from_str("{ drop: 10%, accuracy: 92% }").unwrap();
    let (rows, truth) = model(5, 200_000, 3, 0.92);
    let before = right(&rows, &truth) as f64 / rows.len() as f64;
    for (intensity, drop) in [(1.0, 0.1), (0.5, 0.05)] {
        let run = run_at(&fault, &rows, &[], &iris(), 11, intensity);
        let named = |row: &crate::wire::Row, truth: &usize| row.label == Some(Value::Int(*truth as i64));
        let after = run.rows.iter().zip(&truth).filter(|(row, truth)| named(row, truth)).count();
        let after = after as f64 / rows.len() as f64;
        assert!((before - after - drop).abs() < 0.002, "{before} {after}");
    }
}

#[test]
fn a_truth_value_has_two_classes() {
    let fault: AccuracyDrop = serde_saphyr::from_str("{ drop: 20%, accuracy: 90% }").unwrap();
    let rows = vec![row(Value::Bool(true), &[]); 20_000];
    let run = run(&fault, &rows, &[], &Labels::default(), 3);
    assert_rate(run.changed, rows.len(), 0.2 / 0.8);
}

#[test]
fn what_cannot_be_is_told() {
    let none = Labels::default();
    for (yaml, labels, message) in [
        ("{ drop: 0%, accuracy: 90% }", &iris(), "a drop of 0% changes nothing"),
        ("{ drop: 10%, accuracy: 90% }", &none, "the other classes must be known, and how many there are"),
        (
            "{ drop: 10%, accuracy: 33% }",
            &iris(),
            "an accuracy of 33% is no better than guessing among 3 classes (33.3333%)",
        ),
        ("{ drop: 86%, accuracy: 90% }", &iris(), "with 3 classes, flips can take at most 85% from 90%"),
    ] {
        assert_eq!(problems(&format!("{{ accuracy-drop: {yaml} }}"), labels), [message], "{yaml}");
    }
    let fault: AccuracyDrop = serde_saphyr::from_str("{ drop: 85%, accuracy: 90% }").unwrap();
    assert_eq!(edit_one(&fault, &row(Value::Null, &[]), &iris()).unfit, Some(UNKNOWN_CLASS));
    assert_eq!(edit_one(&fault, &row(Value::Int(1), &[]), &none).unfit, Some(UNKNOWN_CLASS));
}

#[test]
fn it_says_what_it_does() {
    assert_page("accuracy-drop");
}

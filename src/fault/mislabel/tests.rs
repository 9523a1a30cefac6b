//! The promised shares of classes are reached, and settings that can't be are refused.

use super::*;
use crate::fault::testing::{assert_page, assert_rate, edit, iris, parse, problems, row, text};
use crate::wire::Value;
use crate::{draw::Dice, fault::testing::decide};

const N: usize = 30_000;

fn fault(yaml: &str) -> Mislabel {
    serde_saphyr::from_str(yaml).unwrap()
}

/// As many rows of each class, by number, with a score for each class.
fn balanced() -> Vec<Row> {
    let scores = [[0.8, 0.15, 0.05], [0.2, 0.7, 0.1], [0.0, 0.3, 0.7]];
    (0..N).map(|i| row(Value::Int(i as i64 % 3), &scores[i % 3])).collect()
}

fn told(before: &[Row], after: &[Row], from: i64, to: i64) -> usize {
    let is = |row: &Row, class| row.label == Some(Value::Int(class));
    before.iter().zip(after).filter(|(b, a)| is(b, from) && is(a, to)).count()
}

#[test]
fn a_rate_of_one_class_is_told_as_another() {
    let mislabel = fault("{ rate: 30%, from: virginica, to: versicolor }");
    for (intensity, rate) in [(1.0, 0.3), (0.5, 0.15), (0.0, 0.0)] {
        let before = balanced();
        let mut after = before.clone();
        let changed = edit(&mislabel, &mut after, &iris(), intensity);
        assert_eq!(changed, told(&before, &after, 2, 1));
        assert_eq!(changed, before.iter().zip(&after).filter(|(b, a)| b != a).count());
        assert_rate(changed, N / 3, rate);
    }
}

#[test]
fn the_rows_at_half_intensity_are_among_those_at_full() {
    let mislabel = fault("{ rate: 30% }");
    let before = balanced();
    let [mut half, mut full] = [before.clone(), before.clone()];
    edit(&mislabel, &mut half, &iris(), 0.5);
    edit(&mislabel, &mut full, &iris(), 1.0);
    let changed = (0..N).filter(|i| half[*i] != before[*i]).collect::<Vec<_>>();
    assert!(!changed.is_empty() && changed.iter().all(|i| half[*i] == full[*i]));
}

#[test]
fn without_a_target_the_other_classes_are_alike() {
    let before = balanced();
    let mut after = before.clone();
    let changed = edit(&fault("{ rate: 40% }"), &mut after, &iris(), 1.0);
    assert_rate(changed, N, 0.4);
    for from in 0..3 {
        for to in (0..3).filter(|to| *to != from) {
            assert_rate(told(&before, &after, from, to), N / 3, 0.2);
        }
    }
}

#[test]
fn without_a_source_every_class_becomes_the_target() {
    let before = balanced();
    let mut after = before.clone();
    let changed = edit(&fault("{ rate: 50%, to: setosa }"), &mut after, &iris(), 1.0);
    assert_rate(changed, 2 * N / 3, 0.5);
    assert_eq!(changed, told(&before, &after, 1, 0) + told(&before, &after, 2, 0));
}

#[test]
fn a_confusion_matrix_is_reached() {
    let yaml = "{ confusion: { setosa: { setosa: 70%, versicolor: 10%, virginica: 20% }, virginica: { virginica: 50%, versicolor: 50% } } }";
    let mislabel = fault(yaml);
    assert_eq!(mislabel.rate().to_string(), "50%");
    for intensity in [1.0, 0.5] {
        let before = balanced();
        let mut after = before.clone();
        edit(&mislabel, &mut after, &iris(), intensity);
        for (from, to, rate) in [(0, 1, 0.1), (0, 2, 0.2), (2, 1, 0.5), (2, 0, 0.0), (1, 0, 0.0), (1, 2, 0.0)]
        {
            assert_rate(told(&before, &after, from, to), N / 3, rate * intensity);
        }
    }
}

#[test]
fn accuracy_falls_as_the_catalogue_says() {
    // Nine in ten right; the wrong ones are spread over the other two classes.
    let truth: Vec<i64> = (0..N).map(|i| i as i64 % 3).collect();
    let said = |i: usize| {
        if (i / 3).is_multiple_of(10) { (truth[i] + 1 + (i as i64 / 30) % 2) % 3 } else { truth[i] }
    };
    let mut rows: Vec<Row> = (0..N).map(|i| row(Value::Int(said(i)), &[])).collect();
    let right =
        |rows: &[Row]| rows.iter().zip(&truth).filter(|(r, t)| r.label == Some(Value::Int(**t))).count();
    assert_eq!(right(&rows), N * 9 / 10);
    let (acc, classes, drop) = (0.9, 3.0, 0.2);
    let rate = drop / (acc - (1.0 - acc) / (classes - 1.0));
    let mislabel = Mislabel { rate: Share::new(rate), ..Mislabel::default() };
    edit(&mislabel, &mut rows, &iris(), 1.0);
    assert_rate(right(&rows), N, acc - drop);
}

#[test]
fn a_matrix_turns_the_marginal_as_the_catalogue_says() {
    // q = (1/2, 1/4, 1/4), q·T = (.4, .35, .25).
    let mut rows: Vec<Row> = (0..N).map(|i| row(Value::Int([0, 0, 1, 2][i % 4]), &[])).collect();
    let swap = "{ confusion: { setosa: { setosa: 70%, versicolor: 30% }, versicolor: { versicolor: 80%, setosa: 20% } } }";
    edit(&fault(swap), &mut rows, &iris(), 1.0);
    for (class, share) in [(0, 0.4), (1, 0.35), (2, 0.25)] {
        let count = rows.iter().filter(|row| row.label == Some(Value::Int(class))).count();
        assert_rate(count, N, share);
    }
}

#[test]
fn scores_tell_what_the_label_tells() {
    let mut rows = balanced();
    edit(&fault("{ rate: 50% }"), &mut rows, &iris(), 1.0);
    for row in rows {
        let by_score = Row { label: None, scores: row.scores.clone() };
        assert_eq!(iris().of(&row), iris().of(&by_score));
    }
}

#[test]
fn scores_alone_and_unnamed_classes_are_carried() {
    let mut rows = vec![row(None, &[0.9]); N];
    let changed = edit(&fault("{ rate: 25%, from: 1, to: 0 }"), &mut rows, &Labels::default(), 1.0);
    assert_rate(changed, N, 0.25);
    assert_eq!(rows.iter().filter(|row| row.scores[0].as_f64() < Some(0.5)).count(), changed);

    let mut rows = vec![row(text("cat"), &[]); N];
    let changed = edit(&fault("{ rate: 100%, to: dog }"), &mut rows, &Labels::default(), 1.0);
    assert_eq!((changed, &rows[0].label), (N, &Some(text("dog"))));

    let mut rows = vec![row(Value::Bool(true), &[]); N];
    assert_eq!(edit(&fault("{ rate: 100% }"), &mut rows, &Labels::default(), 1.0), N);
    assert_eq!(rows[0].label, Some(Value::Bool(false)));
}

#[test]
fn settings_that_cannot_be_are_told() {
    let none = Labels::default();
    for (yaml, labels, message) in [
        ("{ mislabel: {} }", &none, "`mislabel` needs a rate or a confusion matrix"),
        ("{ mislabel: { rate: 3%, confusion: {} } }", &none, "either a rate or a confusion matrix, not both"),
        ("{ mislabel: { rate: 0%, to: b } }", &none, "a rate of 0% never acts"),
        ("{ mislabel: { rate: 3% } }", &none, "without `to`, the other classes must be known"),
        ("{ mislabel: { rate: 3%, from: b, to: b } }", &none, "`from` and `to` are the same class"),
        ("{ mislabel: { rate: 3%, to: rose } }", &iris(), "`rose` is none of the target's labels"),
        ("{ mislabel: { confusion: {} } }", &none, "the matrix tells no class as another"),
        ("{ mislabel: { confusion: { a: { a: 100% } } } }", &none, "the matrix tells no class as another"),
        (
            "{ mislabel: { confusion: { a: { b: 30% } } } }",
            &none,
            "the shares of `a` are 30% in all, not 100%",
        ),
        (
            "{ mislabel: { to: a, confusion: { a: { b: 100% } } } }",
            &none,
            "`to` goes with `rate`, not with `confusion`",
        ),
    ] {
        assert_eq!(problems(yaml, labels), [message], "{yaml}");
    }
    let wrong =
        problems("{ mislabel: { confusion: { setosa: { rose: 100% }, lily: { setosa: 100% } } } }", &iris());
    assert_eq!(wrong, ["`lily` is none of the target's labels", "`rose` is none of the target's labels"]);
    for yaml in ["{ mislabel: { rate: 130% } }", "{ mislabel: { ratio: 3% } }", "{ mislabel: 3% }"] {
        assert!(parse(yaml).is_err(), "{yaml}");
    }
}

#[test]
fn thirds_add_up() {
    let yaml = "{ mislabel: { confusion: { a: { a: 33.3333333%, b: 33.3333333%, c: 33.3333334% }, 0: { 1: 100% } } } }";
    assert!(problems(yaml, &Labels::default()).is_empty());
}

#[test]
fn it_says_what_it_does() {
    assert_page("mislabel");
    for (yaml, words) in [
        ("{ rate: 30%, from: virginica, to: versicolor }", "30% virginica → versicolor"),
        ("{ rate: 30% }", "30% every class → another class"),
        ("{ confusion: { a: { a: 90%, b: 10% } } }", "confusion of a, at most 10% of a class"),
    ] {
        assert_eq!(fault(yaml).describe(), words);
    }
}

#[test]
fn it_acts_only_when_it_can() {
    let dice = Dice::new(crate::draw::Key::new(1, "x"), crate::draw::UnitHash::from_u64(1));
    assert_eq!(decide(&fault("{ rate: 30% }"), dice, 0.1), Some(Action::Edit));
    assert_eq!(decide(&fault("{ rate: 30% }"), dice, 0.0), None);
    assert_eq!(decide(&fault("{ rate: 0% }"), dice, 1.0), None);
    assert_eq!(decide(&fault("{ confusion: { a: { a: 100% } } }"), dice, 1.0), None);
}

#[test]
fn what_cannot_be_told_wrong_is_unfit() {
    use crate::fault::testing::edit_one;
    let none = Labels::default();
    let unknown = Edited { changed: 0, unfit: Some(UNKNOWN_CLASS) };
    let to_name = "{ rate: 100%, to: versicolor }";
    let matrix = "{ confusion: { virginica: { versicolor: 100% } } }";
    for (yaml, row, labels) in [
        (to_name, row(Value::Int(2), &[]), &none),
        (to_name, row(Value::Float(2.0), &[]), &none),
        (to_name, row(Value::Bool(true), &[]), &none),
        (to_name, row(Value::Null, &[]), &iris()),
        (to_name, row(None, &[7.25]), &iris()),
        (to_name, row(None, &[f64::NAN, 0.5]), &iris()),
        ("{ rate: 100%, from: virginica, to: setosa }", row(Value::Int(2), &[]), &none),
        ("{ rate: 100% }", row(Value::Int(2), &[]), &none),
        ("{ rate: 100%, to: 5 }", row(None, &[0.2, 0.8]), &none),
        (matrix, row(Value::Int(2), &[]), &none),
        (matrix, row(Value::Null, &[]), &iris()),
    ] {
        assert_eq!(edit_one(&fault(yaml), &row, labels), unknown, "{yaml} {row:?}");
    }
    for (yaml, row, labels) in [
        (to_name, row(Value::Int(1), &[]), &iris()),
        ("{ rate: 100%, from: virginica, to: setosa }", row(Value::Int(1), &[]), &iris()),
        (matrix, row(Value::Int(0), &[]), &iris()),
        (matrix, row(text("rose"), &[]), &none),
    ] {
        assert_eq!(edit_one(&fault(yaml), &row, labels), Edited::default(), "{yaml} {row:?}");
    }
}

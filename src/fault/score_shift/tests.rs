//! The step in logits is exactly the one that was asked for.

use proptest::prelude::*;

use super::*;
use crate::fault::testing::{assert_page, assert_rate, edit, edit_one, iris, parse, problems, row, text};
use crate::wire::Value;

fn fault(yaml: &str) -> ScoreShift {
    serde_saphyr::from_str(yaml).unwrap()
}

fn shifted(fault: &ScoreShift, before: &Row, labels: &Labels, intensity: f64) -> Row {
    let mut rows = [before.clone()];
    edit(fault, &mut rows, labels, intensity);
    let [after] = rows;
    after
}

fn numbers(row: &Row) -> Vec<f64> {
    row.scores.iter().map(|score| score.as_f64().unwrap()).collect()
}

fn logit(p: f64) -> f64 {
    (p / (1.0 - p)).ln()
}

proptest! {
    #[test]
    fn a_single_probability_moves_by_delta(p in 0.001..0.999, delta in -4.0..4.0, intensity in 0.0..=1.0) {
        prop_assume!(delta != 0.0);
        let fault = ScoreShift { delta, class: None, rate: Share::ALL };
        let after = numbers(&shifted(&fault, &row(None, &[p]), &Labels::default(), intensity))[0];
        prop_assert!((logit(after) - logit(p) - delta * intensity).abs() < 1e-9);
        let other = ScoreShift { class: Some("0".into()), ..fault };
        let after = numbers(&shifted(&other, &row(None, &[p]), &Labels::default(), intensity))[0];
        prop_assert!((logit(after) - logit(p) + delta * intensity).abs() < 1e-9);
    }

    #[test]
    fn the_odds_of_a_class_are_multiplied(
        weights in prop::collection::vec(0.01..1.0, 2..6), delta in -4.0..4.0, class in 0_usize..6,
    ) {
        prop_assume!(delta != 0.0);
        let class = class % weights.len();
        let total: f64 = weights.iter().sum();
        let before: Vec<f64> = weights.iter().map(|w| w / total).collect();
        let fault = ScoreShift { delta, class: Some(class.to_string()), rate: Share::ALL };
        let after = numbers(&shifted(&fault, &row(text("x"), &before), &Labels::default(), 1.0));
        prop_assert!((after.iter().sum::<f64>() - 1.0).abs() < 1e-9);
        prop_assert!((logit(after[class]) - logit(before[class]) - delta).abs() < 1e-8);
        for (k, (a, b)) in after.iter().zip(&before).enumerate().filter(|(k, _)| *k != class) {
            let (moved, stayed) = (after[class] / a, before[class] / b);
            prop_assert!(((moved / stayed).ln() - delta).abs() < 1e-8, "class {k}");
        }
    }
}

#[test]
fn the_last_class_moves_unless_one_is_named() {
    let before = row(text("setosa"), &[0.5, 0.25, 0.25]);
    let after = shifted(&fault("{ delta: 1.0 }"), &before, &iris(), 1.0);
    assert_eq!(after.label, before.label);
    assert!(numbers(&after)[2] > 0.4 && numbers(&after)[1] < 0.25);
    let named = fault("{ delta: -2, class: setosa }");
    assert!(numbers(&shifted(&named, &before, &iris(), 1.0))[0] < 0.2);
}

#[test]
fn what_is_no_probability_is_left_alone() {
    let fault = fault("{ delta: 2 }");
    for scores in
        [&[3.5][..], &[-0.1], &[0.0], &[1.0], &[f64::NAN], &[0.9, 0.9], &[2.0, -1.0], &[f64::NAN, 1.0], &[]]
    {
        let before = row(text("x"), scores);
        let mut rows = [before.clone()];
        assert_eq!(edit(&fault, &mut rows, &Labels::default(), 1.0), 0, "{scores:?}");
        assert_eq!(format!("{rows:?}"), format!("{:?}", [before]));
    }
    let null = Row { label: None, scores: vec![Value::Null] };
    assert_eq!(shifted(&fault, &null, &Labels::default(), 1.0), null);
    let whole = Row { label: None, scores: vec![Value::Int(0), Value::Int(1)] };
    assert_eq!(shifted(&fault, &whole, &Labels::default(), 1.0), whole);
}

#[test]
fn rounded_probabilities_still_are_some() {
    let after = numbers(&shifted(&fault("{ delta: 1 }"), &row(None, &[0.33, 0.33, 0.33]), &iris(), 1.0));
    assert!((after.iter().sum::<f64>() - 0.99).abs() < 1e-12);
}

#[test]
fn a_rate_of_the_predictions_moves() {
    let mut rows = vec![row(None, &[0.5]); 20_000];
    let changed = edit(&fault("{ delta: 1, rate: 20% }"), &mut rows, &Labels::default(), 0.5);
    assert_rate(changed, 20_000, 0.2);
    assert_eq!(rows.iter().filter(|row| row.scores[0] != Value::Float(0.5)).count(), changed);
}

#[test]
fn settings_that_cannot_be_are_told() {
    for delta in ["0", "21", "-20.5", ".nan", ".inf"] {
        let error = parse(&format!("{{ score-shift: {{ delta: {delta} }} }}")).unwrap_err();
        assert!(error.contains("a number of logits from -20 to 20 other than 0"), "{error}");
    }
    assert!(parse("{ score-shift: {} }").is_err());
    let none = Labels::default();
    for (yaml, labels, message) in [
        ("{ score-shift: { delta: 1, rate: 0% } }", &none, "a rate of 0% never acts"),
        ("{ score-shift: { delta: 1, class: b } }", &none, "the place of `b` among the scores is not known"),
        ("{ score-shift: { delta: 1, class: b } }", &iris(), "`b` is none of the target's labels"),
    ] {
        assert_eq!(problems(yaml, labels), [message], "{yaml}");
    }
    assert!(problems("{ score-shift: { delta: 1, class: 2 } }", &none).is_empty());
}

#[test]
fn it_says_what_it_does() {
    assert_page("score-shift");
    assert_eq!(fault("{ delta: 1.0 }").describe(), "+1 logits on 100%");
    assert_eq!(fault("{ delta: -0.5, class: a, rate: 10% }").describe(), "-0.5 logits for a on 10%");
}

#[test]
fn what_cannot_be_shifted_is_unfit() {
    use crate::fault::testing::edit_one;
    let unfit = Edited { changed: 0, unfit: Some(NOT_A_PROBABILITY) };
    for scores in [&[3.5][..], &[f64::NAN], &[0.9, 0.9], &[]] {
        assert_eq!(edit_one(&fault("{ delta: 2 }"), &row(text("x"), scores), &iris()), unfit, "{scores:?}");
    }
    let beyond = fault("{ delta: 2, class: 2 }");
    for scores in [&[0.5][..], &[0.5, 0.5]] {
        assert_eq!(edit_one(&beyond, &row(None, scores), &Labels::default()), unfit, "{scores:?}");
    }
    assert_eq!(edit_one(&fault("{ delta: 2 }"), &row(None, &[1.0]), &iris()), Edited::default());
}

#[test]
fn a_confidence_goes_up_with_its_own_class_and_down_with_the_other() {
    let two = Labels::new(["ham", "spam"].map(str::to_owned));
    let told = |label: &str| row(text(label), &[0.8]);
    for (label, labels, wanted) in [
        ("spam", &two, logit(0.8) + 1.0),
        ("ham", &two, logit(0.8) - 1.0),
        ("virginica", &iris(), logit(0.8) + 1.0),
    ] {
        let after = shifted(&fault("{ delta: 1.0 }"), &told(label), labels, 1.0);
        assert!((logit(numbers(&after)[0]) - wanted).abs() < 1e-9, "{label}");
    }
    let unfit = edit_one(&fault("{ delta: 1.0 }"), &told("setosa"), &iris()).unfit;
    assert_eq!(unfit, Some(NOT_A_PROBABILITY));
}

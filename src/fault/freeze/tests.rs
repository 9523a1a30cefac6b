//! What is held is held, and only in rows that can hold it.

use super::*;
use crate::draw::Dice;
use crate::fault::testing::{assert_page, assert_rate, edit, iris, problems, row, text};

const N: usize = 20_000;

fn fault(yaml: &str) -> Freeze {
    serde_saphyr::from_str(yaml).unwrap()
}

fn varied() -> Vec<Row> {
    (0..N).map(|i| row(Value::Int(i as i64 % 3), &[i as f64, 0.5])).collect()
}

#[test]
fn the_first_prediction_is_held() {
    let before = varied();
    let mut after = before.clone();
    assert_eq!(edit(&fault("{}"), &mut after, &Labels::default(), 1.0), N - 1);
    assert!(after.iter().all(|row| *row == before[0]));
}

#[test]
fn a_share_is_held_and_a_ramp_scales_it() {
    for (intensity, rate) in [(1.0, 0.4), (0.5, 0.2)] {
        let mut rows = varied();
        let changed = edit(&fault("{ rate: 40% }"), &mut rows, &Labels::default(), intensity);
        assert_rate(changed, N - 1, rate);
    }
}

#[test]
fn a_row_of_another_shape_is_left_alone() {
    let mut rows = [row(text("a"), &[0.1]), row(text("b"), &[]), row(None, &[0.2]), row(text("c"), &[0.3])];
    let before = rows.clone();
    assert_eq!(edit(&fault("{}"), &mut rows, &Labels::default(), 1.0), 1);
    assert_eq!(rows[1..3], before[1..3]);
    assert_eq!(rows[3], before[0]);
}

#[test]
fn a_class_or_a_number_can_be_told() {
    let mut rows = [row(Value::Int(2), &[0.1, 0.2, 0.7]), row(Value::Int(0), &[0.8, 0.1, 0.1])];
    assert_eq!(edit(&fault("{ value: setosa }"), &mut rows, &iris(), 1.0), 1);
    assert_eq!(rows[0], row(Value::Int(0), &[0.7, 0.2, 0.1]));
    let mut rows = [row(None, &[7.25]), row(None, &[3.5])];
    assert_eq!(edit(&fault("{ value: 3.5 }"), &mut rows, &Labels::default(), 1.0), 1);
    assert_eq!(rows[0], rows[1]);
}

#[test]
fn a_held_nan_is_the_same_again() {
    let mut rows = [row(text("a"), &[f64::NAN]), row(text("a"), &[f64::NAN]), row(text("a"), &[0.5])];
    assert_eq!(edit(&fault("{}"), &mut rows, &Labels::default(), 1.0), 1);
}

#[test]
fn nothing_to_hold_is_fine() {
    assert_eq!(edit(&fault("{}"), &mut [], &Labels::default(), 1.0), 0);
    assert_eq!(edit(&fault("{ value: a }"), &mut [row(None, &[])], &Labels::default(), 1.0), 0);
}

/// The classes that requests at these seconds are told, each seen by `observe` before it is edited.
fn told(fault: &Freeze, at: &[(u64, &str)]) -> Vec<String> {
    let (memory, labels) = (fault.memory(), Labels::default());
    let dice = Dice::new(crate::draw::Key::new(1, "x"), crate::draw::UnitHash::from_u64(1));
    let ask = |(second, class): &(u64, &str)| {
        let mut answer = Answer::of_rows(vec![row(text(class), &[])]);
        fault.observe(&answer.rows, Members::All, &labels, &memory);
        let since_phase = Duration::from_secs(*second);
        let context = EditContext { since_phase, ..EditContext::new(dice, 1.0, &labels, &memory) };
        fault.edit(&mut answer, &context);
        labels.of(&answer.rows[0]).unwrap().into_owned()
    };
    at.iter().map(ask).collect()
}

#[test]
fn what_is_held_is_taken_anew() {
    let requests = [(0, "a"), (9, "b"), (10, "c"), (19, "d"), (35, "e"), (36, "f")];
    assert_eq!(told(&fault("{ every: 10s }"), &requests), ["a", "a", "c", "c", "e", "e"]);
    assert_eq!(told(&fault("{ every: 10s, hold: last }"), &requests), ["a", "a", "b", "b", "d", "d"]);
    assert_eq!(told(&fault("{ hold: last }"), &requests), ["a"; 6]);
}

#[test]
fn the_last_prediction_is_one_that_came_before() {
    let fault = fault("{ hold: last }");
    let (memory, labels) = (fault.memory(), Labels::default());
    for class in ["a", "b", "c"] {
        fault.observe(&[row(text(class), &[])], Members::All, &labels, &memory);
    }
    let dice = Dice::new(crate::draw::Key::new(1, "x"), crate::draw::UnitHash::from_u64(1));
    let mut answer = Answer::of_rows(vec![row(text("c"), &[])]);
    fault.edit(&mut answer, &EditContext::new(dice, 1.0, &labels, &memory));
    assert_eq!(answer.rows[0], row(text("b"), &[]));
}

#[test]
fn it_says_what_it_does() {
    assert_page("freeze");
    assert_eq!(fault("{}").describe(), "100% held at the first prediction");
    assert_eq!(fault("{ rate: 5%, value: a }").describe(), "5% held at a");
    assert_eq!(
        problems("{ freeze: { value: setosb } }", &iris()),
        ["`setosb` is none of the target's labels"]
    );
    assert_eq!(problems("{ freeze: { rate: 0% } }", &iris()), ["a rate of 0% never acts"]);
    assert_eq!(
        fault("{ hold: last, every: 30s }").describe(),
        "100% held at the last prediction, anew every 30s"
    );
    for (yaml, message) in [
        ("{ freeze: { every: 0s } }", "nothing is held for no time"),
        ("{ freeze: { value: setosa, every: 5s } }", "`every` does not go with a fixed `value`"),
        ("{ freeze: { value: setosa, hold: last } }", "`hold` does not go with a fixed `value`"),
    ] {
        assert_eq!(problems(yaml, &iris()), [message]);
    }
}

#[test]
fn it_holds_what_the_model_made_and_tells_what_has_another_shape() {
    let memory = fault("{}").memory();
    let dice = Dice::new(crate::draw::Key::new(1, "x"), crate::draw::UnitHash::from_u64(1));
    let (labels, first) = (Labels::default(), row(text("a"), &[0.9]));
    let edit = |rows: &mut [Row], first| {
        let context = EditContext { first, ..EditContext::new(dice, 1.0, &labels, &memory) };
        let mut answer = Answer::of_rows(rows.to_vec());
        let edited = fault("{}").edit(&mut answer, &context);
        rows.clone_from_slice(&answer.rows);
        edited
    };
    let mut edited = [row(text("b"), &[0.9])];
    assert_eq!(edit(&mut edited, Some(&first)), Edited { changed: 1, unfit: None });
    assert_eq!(edited[0], first);
    let mut other = [row(text("c"), &[0.1, 0.9])];
    let before = other.clone();
    assert_eq!(edit(&mut other, None), Edited { changed: 0, unfit: Some(OTHER_SHAPE) });
    assert_eq!(other, before);
}

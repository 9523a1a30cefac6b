//! The rate of invalid predictions is the one that was asked for, and each kind of label gets what it can carry.

use super::*;
use crate::fault::testing::{assert_page, assert_rate, edit, iris, parse, problems, row, text};

const N: usize = 20_000;

fn fault(with: Corruption) -> Corrupt {
    Corrupt { rate: Share::ALL, with, positions: None }
}

fn corrupted(with: Corruption, mut row: Row) -> String {
    edit(&fault(with), std::slice::from_mut(&mut row), &iris(), 1.0);
    format!("{:?} {:?}", row.label, row.scores)
}

#[test]
fn a_rate_is_corrupted_and_a_ramp_scales_it() {
    for (intensity, rate) in [(1.0, 0.1), (0.5, 0.05)] {
        let mut rows = vec![row(Value::Int(1), &[0.5, 0.5]); N];
        let corrupt = Corrupt { rate: Share::new(0.1).unwrap(), with: Corruption::Nan, positions: None };
        let changed = edit(&corrupt, &mut rows, &Labels::default(), intensity);
        assert_rate(changed, N, rate);
        let is_nan = |value: &Value| value.as_f64().is_some_and(f64::is_nan);
        assert_eq!(rows.iter().filter(|row| row.scores.iter().all(is_nan)).count(), changed);
        assert!(rows.iter().all(|row| row.label == Some(Value::Int(1))));
    }
}

#[test]
fn scores_go_before_labels() {
    for (with, scores) in [
        (Corruption::Nan, "[Float(NaN), Float(NaN)]"),
        (Corruption::Null, "[Null, Null]"),
        (Corruption::Infinity, "[Float(inf), Float(inf)]"),
        (Corruption::OutOfRange, "[Float(-999.0), Float(-999.0)]"),
    ] {
        assert_eq!(corrupted(with, row(text("a"), &[0.5, 0.5])), format!("Some(Text(\"a\")) {scores}"));
    }
}

#[test]
fn a_label_gets_what_its_kind_can_carry() {
    use Corruption::{Infinity, Nan, Null, OutOfRange};
    for (with, label, wanted) in [
        (Nan, Value::Int(1), "Float(NaN)"),
        (Nan, text("a"), "Null"),
        (Null, Value::Int(1), "Null"),
        (Infinity, Value::Float(1.0), "Float(inf)"),
        (Infinity, Value::Bool(true), "Null"),
        (OutOfRange, Value::Int(1), "Int(999)"),
        (OutOfRange, text("a"), "Text(\"__unknown__\")"),
        (OutOfRange, Value::Bool(true), "Null"),
    ] {
        assert_eq!(corrupted(with, row(label, &[])), format!("Some({wanted}) []"));
    }
    assert_eq!(corrupted(Nan, Row::default()), "None []");
}

#[test]
fn what_was_wrong_before_is_no_change() {
    let mut rows = [row(text("a"), &[f64::NAN]), row(Value::Null, &[]), row(None, &[f64::NAN, 0.5])];
    assert_eq!(edit(&fault(Corruption::Nan), &mut rows, &iris(), 1.0), 1);
}

#[test]
fn every_name_is_read() {
    for (name, with) in [
        ("nan", Corruption::Nan),
        ("null", Corruption::Null),
        ("infinity", Corruption::Infinity),
        ("out-of-range", Corruption::OutOfRange),
    ] {
        let wanted = crate::fault::Fault::Corrupt(Corrupt { rate: Share::ALL, with, positions: None });
        assert_eq!(
            parse(&format!("{{ corrupt: {{ rate: 100%, with: {name} }} }}")),
            Ok(wanted.clone()),
            "{name}"
        );
        assert_eq!(parse(&serde_json::to_string(&wanted).unwrap()), Ok(wanted));
    }
    for yaml in
        ["{ corrupt: { rate: 10% } }", "{ corrupt: { with: nan } }", "{ corrupt: { rate: 1%, with: zero } }"]
    {
        assert!(parse(yaml).is_err(), "{yaml}");
    }
}

#[test]
fn it_says_what_it_does() {
    assert_page("corrupt");
    assert_eq!(
        Corrupt { rate: Share::ALL.scaled(0.1), with: Corruption::Nan, positions: None }.describe(),
        "10% NaN"
    );
    assert_eq!(problems("{ corrupt: { rate: 0%, with: nan } }", &iris()), ["a rate of 0% never acts"]);
}

#[test]
fn a_row_without_a_value_is_unfit() {
    let edited = crate::fault::testing::edit_one(&fault(Corruption::Nan), &Row::default(), &iris());
    assert_eq!(edited, Edited { changed: 0, unfit: Some(NO_VALUE) });
}

#[test]
fn only_the_positions_are_replaced() {
    let fault: Corrupt = serde_saphyr::from_str("{ rate: 100%, with: null, positions: [2, 0, 7] }").unwrap();
    assert_eq!(fault.describe(), "100% null at 2, 0, 7");
    let mut rows = [row(text("a"), &[0.1, 0.2, 0.7])];
    assert_eq!(edit(&fault, &mut rows, &iris(), 1.0), 1);
    assert_eq!(rows[0].scores, [Value::Null, Value::Float(0.2), Value::Null]);
    assert_eq!(rows[0].label, Some(text("a")));
    let edited = crate::fault::testing::edit_one(&fault, &row(text("a"), &[]), &iris());
    assert_eq!(edited.unfit, Some(NO_VALUE));
    let none = Labels::default();
    for (yaml, message) in [
        ("{ corrupt: { rate: 5%, with: nan, positions: [] } }", "no position is replaced"),
        (
            "{ corrupt: { rate: 5%, with: wrong-shape, positions: [1] } }",
            "a wrong shape is that of a whole tensor, not of positions",
        ),
    ] {
        assert_eq!(problems(yaml, &none), [message]);
    }
}

#[test]
fn what_is_declared_is_wrong_at_the_rate() {
    use crate::wire::Declared;
    let labels = Labels::default();
    for (with, shape, datatype) in
        [(Corruption::WrongShape, vec![2, 4], "FP32"), (Corruption::WrongDatatype, vec![2, 3], "INT64")]
    {
        let fault = Corrupt { rate: Share::new(0.2).unwrap(), with, positions: None };
        let memory = fault.memory();
        let mut wrong = 0;
        for request in 0..N as u64 {
            let declared = Declared { shape: vec![2, 3], datatype: "FP32".to_owned() };
            let rows = vec![row(None, &[0.1, 0.2, 0.7]); 2];
            let mut answer = Answer { declared: Some(declared), ..Answer::of_rows(rows.clone()) };
            let dice = crate::fault::testing::dice(7, request);
            let edited = fault.edit(&mut answer, &EditContext::new(dice, 1.0, &labels, &memory));
            assert_eq!(answer.rows, rows);
            if edited.changed > 0 {
                wrong += 1;
                assert_eq!(
                    answer.declared,
                    Some(Declared { shape: shape.clone(), datatype: datatype.to_owned() })
                );
            }
        }
        assert_rate(wrong, N, 0.2);
        let edited = crate::fault::testing::edit_one(
            &super::Corrupt { rate: Share::ALL, ..fault },
            &row(None, &[0.5]),
            &labels,
        );
        assert_eq!(edited.unfit, Some(NOT_DECLARED));
    }
}

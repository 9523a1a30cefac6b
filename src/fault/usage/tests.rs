//! Counts are false by the factor that was asked for, or are not there.

use super::*;
use crate::fault::{
    testing::{assert_page, assert_rate},
    text_testing::{PROSE, changed, counts, even, fault, piece, run, whole, wrong},
};

fn tokens(pieces: &[Piece]) -> Vec<Value> {
    let parts = pieces.iter().flat_map(|piece| {
        let parts = piece.parts().iter().enumerate();
        parts
            .filter(|(_, part)| part.role == Role::CompletionTokens)
            .map(|(index, _)| piece.value(index).clone())
    });
    parts.collect()
}

#[test]
fn counts_are_multiplied() {
    for (factor, want) in [(2.5, 250), (0.0, 0), (0.333, 33), (1000.0, 100_000)] {
        let fault = fault(&format!("{{ usage: {{ factor: {factor:?} }} }}"));
        for pieces in [even(PROSE, 9), whole(PROSE)] {
            assert_eq!(tokens(&run(&fault, 1, 1.0, pieces).unwrap().sent), [Value::Int(want)]);
        }
    }
}

#[test]
fn counts_are_left_out() {
    let fault = fault("{ usage: { missing: true } }");
    let ran = run(&fault, 1, 1.0, even(PROSE, 9)).unwrap();
    assert_eq!((tokens(&ran.sent), ran.edited.changed), (vec![], 2));
    assert!(ran.sent.iter().all(|piece| piece.moment() != Moment::Usage));
    let ran = run(&fault, 1, 1.0, whole(PROSE)).unwrap();
    assert_eq!(tokens(&ran.sent), [Value::Null]);
    let last = vec![piece(Moment::Finish, &[counts(Role::CompletionTokens, 5)])];
    assert_eq!(tokens(&run(&fault, 1, 1.0, last).unwrap().sent), [Value::Null]);
    let ran = run(&fault, 1, 1.0, vec![piece(Moment::Delta, &[])]).unwrap();
    assert_eq!(ran.edited.unfit, Some(NO_USAGE));
}

#[test]
fn it_acts_on_its_share_of_the_answers() {
    let fault = fault("{ usage: { factor: 2, rate: 20% } }");
    for (intensity, rate) in [(1.0, 0.2), (0.5, 0.1), (0.0, 0.0)] {
        assert_rate(changed(&fault, 3_000, intensity, || whole("a b")), 3_000, rate);
    }
}

#[test]
fn settings_that_cannot_be_are_told() {
    let one = "`usage` needs either `missing` or `factor`";
    for (yaml, message) in [
        ("{ usage: {} }", one),
        ("{ usage: { missing: true, factor: 2 } }", one),
        ("{ usage: { factor: 1 } }", "`factor` is 1; it is 0 to 1000 and not 1"),
        ("{ usage: { factor: -1 } }", "`factor` is -1; it is 0 to 1000 and not 1"),
    ] {
        assert_eq!(wrong(yaml), [message], "{yaml}");
    }
    assert_page("usage");
    assert_eq!(fault("{ usage: { missing: true, rate: 5% } }").describe(), "5% of answers counts no tokens");
}

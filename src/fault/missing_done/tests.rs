//! What tells that a stream is over is left out, and nothing else.

use super::*;
use crate::fault::{
    testing::{assert_page, assert_rate},
    text_testing::{PROSE, changed, even, fault, piece, run, says, whole},
};

#[test]
fn the_marks_that_are_named_are_left_out() {
    for (what, missing) in [
        ("done", vec![Moment::Done]),
        ("finish", vec![Moment::Finish]),
        ("both", vec![Moment::Finish, Moment::Done]),
    ] {
        let fault = fault(&format!("{{ missing-done: {{ what: {what} }} }}"));
        let ran = run(&fault, 1, 1.0, even(PROSE, 5)).unwrap();
        let passes = |piece: &Piece| !missing.contains(&piece.moment());
        let want: Vec<Moment> = even(PROSE, 5).iter().filter(|p| passes(p)).map(Piece::moment).collect();
        assert_eq!(ran.sent.iter().map(Piece::moment).collect::<Vec<_>>(), want);
        assert_eq!((ran.edited.changed, ran.ended_early), (missing.len(), None));
        assert_eq!(ran.joined(Role::Text), PROSE);
    }
}

#[test]
fn text_beside_the_reason_stays() {
    let last = piece(Moment::Finish, &[says(Role::Text, "end"), says(Role::FinishReason, "stop")]);
    let ran = run(&fault("{ missing-done: { what: finish } }"), 1, 1.0, vec![last]).unwrap();
    assert_eq!(ran.bytes(), [r#"{"says": [ "end" , null]}"#]);
    let ran = run(&fault("{ missing-done: { what: both } }"), 1, 1.0, whole(PROSE)).unwrap();
    assert_eq!((ran.joined(Role::Text).as_str(), ran.sent[0].value(2)), (PROSE, &Value::Null));
    let ran = run(&fault("{ missing-done: {} }"), 1, 1.0, whole(PROSE)).unwrap();
    assert_eq!(ran.edited.unfit, Some(NOT_A_STREAM));
    let ran = run(&fault("{ missing-done: {} }"), 1, 1.0, vec![piece(Moment::Delta, &[])]).unwrap();
    assert_eq!(ran.edited.unfit, Some(NO_END_MARK));
}

#[test]
fn where_nothing_follows_the_reason_it_is_the_end_mark() {
    let delta = || piece(Moment::Delta, &[says(Role::Text, "a")]);
    let finish = || piece(Moment::Finish, &[says(Role::Text, ""), says(Role::FinishReason, "stop")]);
    let moments = |pieces: Vec<Piece>| {
        let ran = run(&fault("{ missing-done: {} }"), 1, 1.0, pieces).unwrap();
        (ran.sent.iter().map(Piece::moment).collect::<Vec<_>>(), ran.edited.changed)
    };
    assert_eq!(moments(vec![delta(), finish()]), (vec![Moment::Delta], 1));
    // One of two choices is over; the other goes on.
    let both = vec![delta(), finish(), delta(), finish()];
    assert_eq!(moments(both), (vec![Moment::Delta, Moment::Finish, Moment::Delta], 1));
}

#[test]
fn it_acts_on_its_share_of_the_answers() {
    let fault = fault("{ missing-done: { rate: 20% } }");
    for (intensity, rate) in [(1.0, 0.2), (0.5, 0.1), (0.0, 0.0)] {
        assert_rate(changed(&fault, 5_000, intensity, || even(PROSE, 9)), 5_000, rate);
    }
    assert_page("missing-done");
    assert_eq!(fault.describe(), "20% of answers lacks its end mark");
}

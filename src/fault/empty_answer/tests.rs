//! The text goes, and nothing else.

use super::*;
use crate::fault::{
    testing::{assert_page, assert_rate},
    text_testing::{PROSE, changed, even, fault, run, whole},
};

#[test]
fn the_text_goes_and_the_chunks_stay() {
    let fault = fault("{ empty-answer: {} }");
    for pieces in [even(PROSE, 3), whole(PROSE)] {
        let before = pieces.len();
        let ran = run(&fault, 1, 1.0, pieces).unwrap();
        assert_eq!((ran.joined(Role::Text).as_str(), ran.sent.len()), ("", before));
        assert_eq!(ran.joined(Role::FinishReason), "stop");
    }
}

#[test]
fn it_acts_on_its_share_of_the_answers() {
    let fault = fault("{ empty-answer: { rate: 20% } }");
    for (intensity, rate) in [(1.0, 0.2), (0.5, 0.1), (0.0, 0.0)] {
        assert_rate(changed(&fault, 3_000, intensity, || whole("a b")), 3_000, rate);
    }
    assert_page("empty-answer");
    assert_eq!(fault.describe(), "20% of answers is empty");
}

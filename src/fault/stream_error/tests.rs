//! The error stands where it was asked for, in the protocol's shape, and nothing after it.

use super::*;
use crate::{
    fault::{
        testing::{assert_page, assert_rate},
        text_testing::{PROSE, changed, even, fault, run, whole, wrong},
    },
    wire::Role,
};

#[test]
fn it_comes_in_place_of_the_chunk_that_is_named() {
    let error = fault("{ stream-error: { at-chunk: 4, message: Too busy } }");
    let ran = run(&error, 1, 1.0, even(PROSE, 5)).unwrap();
    assert_eq!((ran.joined(Role::Text).as_str(), ran.ended_early), (&PROSE[..15], Some(true)));
    assert_eq!(ran.edited, Edited { changed: 1, unfit: None });
    assert_eq!(ran.bytes().pop().unwrap(), "{\"error\":\"Too busy\"}\n");
}

#[test]
fn a_whole_body_becomes_the_error() {
    let ran = run(&fault("{ stream-error: { kind: internal } }"), 1, 1.0, whole(PROSE)).unwrap();
    assert_eq!(ran.bytes(), ["{\"error\":\"The server had an error\"}"]);
}

#[test]
fn it_acts_on_its_share_of_the_answers() {
    let error = fault("{ stream-error: { at-chunk: 2, rate: 20% } }");
    for (intensity, rate) in [(1.0, 0.2), (0.5, 0.1), (0.0, 0.0)] {
        assert_rate(changed(&error, 5_000, intensity, || even(PROSE, 9)), 5_000, rate);
    }
    let ran = run(&fault("{ stream-error: { at-chunk: 99 } }"), 1, 1.0, even(PROSE, 9)).unwrap();
    assert_eq!((ran.edited.unfit, ran.ended_early), (Some(TOO_SHORT), None));
}

#[test]
fn settings_that_cannot_be_are_told() {
    assert_eq!(wrong("{ stream-error: { at-chunk: 0 } }"), ["`at-chunk` is 0; it is 1 to 1000000"]);
    assert_page("stream-error");
    let words = "10% of answers fails at chunk 8, overloaded";
    assert_eq!(fault("{ stream-error: { at-chunk: 8, rate: 10% } }").describe(), words);
}

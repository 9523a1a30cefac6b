//! The stream stands still where it was asked to, for as long, and as often.

use std::time::Duration;

use super::*;
use crate::fault::{
    testing::{assert_page, assert_rate},
    text_testing::{PROSE, changed, even, fault, run, whole, wrong},
    unfit::{NO_TEXT, NOT_A_STREAM},
};

#[test]
fn it_waits_before_the_chunk_that_is_named() {
    for (chunk, size) in [(1, 5), (4, 5), (4, 1), (2, 60)] {
        let stall = fault(&format!("{{ stream-stall: {{ lasts: 20s, at-chunk: {chunk} }} }}"));
        let ran = run(&stall, 1, 1.0, even(PROSE, size)).unwrap();
        // One opening piece, and the chunks before it.
        assert_eq!(ran.waits, [(chunk as usize, Duration::from_secs(20))]);
        assert_eq!((ran.joined(crate::wire::Role::Text).as_str(), ran.edited.changed), (PROSE, 1));
    }
}

#[test]
fn it_acts_on_its_share_of_the_streams() {
    let stall = fault("{ stream-stall: { lasts: 1s, rate: 20% } }");
    for (intensity, rate) in [(1.0, 0.2), (0.5, 0.1), (0.0, 0.0)] {
        assert_rate(changed(&stall, 5_000, intensity, || even(PROSE, 9)), 5_000, rate);
    }
}

#[test]
fn what_has_no_such_chunk_is_told() {
    let late = fault("{ stream-stall: { lasts: 1s, at-chunk: 99 } }");
    for (pieces, why) in [(even(PROSE, 9), TOO_SHORT), (whole(PROSE), NOT_A_STREAM), (even("", 9), NO_TEXT)] {
        let ran = run(&late, 1, 1.0, pieces).unwrap();
        assert_eq!((ran.edited, ran.waits.len()), (Edited { changed: 0, unfit: Some(why) }, 0));
    }
}

#[test]
fn settings_that_cannot_be_are_told() {
    for (yaml, message) in [
        ("{ stream-stall: { lasts: 0s } }", "a stall of 0s is not above 0s to 1h"),
        ("{ stream-stall: { lasts: 2h } }", "a stall of 2h is not above 0s to 1h"),
        ("{ stream-stall: { lasts: 1s, at-chunk: 0 } }", "`at-chunk` is 0; it is 1 to 1000000"),
    ] {
        assert_eq!(wrong(yaml), [message], "{yaml}");
    }
    assert_page("stream-stall");
    let yaml = "{ stream-stall: { lasts: 20s, at-chunk: 5, rate: 10% } }";
    assert_eq!(fault(yaml).describe(), "10% of answers stalls 20s before chunk 5");
}

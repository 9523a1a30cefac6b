//! One chunk does not parse, and only that one.

use super::*;
use crate::fault::{
    testing::{assert_page, assert_rate},
    text_testing::{PROSE, changed, even, fault, run, whole, wrong},
};

fn unparsable(bytes: &[Bytes]) -> Vec<usize> {
    let fails = |bytes: &Bytes| serde_json::from_slice::<serde_json::Value>(bytes).is_err();
    bytes.iter().enumerate().filter(|(_, bytes)| fails(bytes)).map(|(index, _)| index).collect()
}

#[test]
fn the_chunk_that_is_named_does_not_parse() {
    for (chunk, size) in [(1, 5), (4, 5), (30, 1)] {
        let broken = fault(&format!("{{ stream-malformed: {{ at-chunk: {chunk} }} }}"));
        let ran = run(&broken, 1, 1.0, even(PROSE, size)).unwrap();
        assert_eq!(ran.edited, Edited { changed: 1, unfit: None });
        assert_eq!(unparsable(&ran.bytes()), [chunk], "after one opening piece");
    }
    let ran = run(&fault("{ stream-malformed: {} }"), 1, 1.0, whole(PROSE)).unwrap();
    assert_eq!(unparsable(&ran.bytes()), [0]);
}

#[test]
fn it_acts_on_its_share_of_the_answers() {
    let broken = fault("{ stream-malformed: { at-chunk: 2, rate: 20% } }");
    for (intensity, rate) in [(1.0, 0.2), (0.5, 0.1), (0.0, 0.0)] {
        assert_rate(changed(&broken, 5_000, intensity, || even(PROSE, 9)), 5_000, rate);
    }
    let ran = run(&fault("{ stream-malformed: { at-chunk: 99 } }"), 1, 1.0, even(PROSE, 9)).unwrap();
    assert_eq!(ran.edited.unfit, Some(TOO_SHORT));
}

#[test]
fn settings_that_cannot_be_are_told() {
    assert_eq!(wrong("{ stream-malformed: { at-chunk: 0 } }"), ["`at-chunk` is 0; it is 1 to 1000000"]);
    assert_page("stream-malformed");
    assert_eq!(
        fault("{ stream-malformed: { at-chunk: 3, rate: 5% } }").describe(),
        "5% of answers has a broken chunk 3"
    );
}

//! The last words come again, as often as was asked.

use super::*;
use crate::fault::{
    Edited,
    testing::{assert_page, assert_rate},
    text_testing::{PROSE, changed, even, fault, run, whole, wrong},
};

#[test]
fn the_words_before_the_place_come_again() {
    let fault = fault("{ text-loop: { from-word: 4, words: 2, repeats: 3 } }");
    for pieces in [even("one two, three  four five six", 4), whole("one two, three  four five six")] {
        let ran = run(&fault, 1, 1.0, pieces).unwrap();
        let want = "one two, three  four three  four three  four three  four five six";
        assert_eq!((ran.joined(Role::Text).as_str(), ran.edited.changed), (want, 1));
    }
}

#[test]
fn the_share_of_repeated_words_is_what_the_catalogue_says() {
    let fault = fault("{ text-loop: { from-word: 8, words: 4, repeats: 20 } }");
    let before = PROSE.split_whitespace().count();
    let ran = run(&fault, 1, 1.0, even(PROSE, 3)).unwrap();
    let joined = ran.joined(Role::Text);
    let words: Vec<&str> = joined.split_whitespace().collect();
    assert_eq!(words.len(), before + 4 * 20);
    let looped = &words[4..4 + 4 * 21];
    let distinct: std::collections::BTreeSet<_> = looped.chunks(4).collect();
    assert_eq!(distinct.len(), 1, "1 − 1/21 of the loop's rounds are repeats");
}

#[test]
fn a_short_text_is_left_alone() {
    let ran = run(&fault("{ text-loop: { from-word: 9 } }"), 1, 1.0, even("one two three", 4)).unwrap();
    assert_eq!(ran.edited, Edited { changed: 0, unfit: Some(TOO_SHORT) });
    assert_eq!(ran.joined(Role::Text), "one two three");
}

#[test]
fn it_acts_on_its_share_of_the_answers() {
    let fault = fault("{ text-loop: { rate: 20% } }");
    for (intensity, rate) in [(1.0, 0.2), (0.5, 0.1), (0.0, 0.0)] {
        assert_rate(changed(&fault, 3_000, intensity, || whole(PROSE)), 3_000, rate);
    }
}

#[test]
fn settings_that_cannot_be_are_told() {
    for (yaml, message) in [
        ("{ text-loop: { from-word: 2, words: 3 } }", "there are no 3 words up to word 2"),
        ("{ text-loop: { words: 0 } }", "`words` is 0; it is 1 to 50"),
        ("{ text-loop: { repeats: 2000 } }", "`repeats` is 2000; it is 1 to 1000"),
    ] {
        assert_eq!(wrong(yaml), [message], "{yaml}");
    }
    assert_page("text-loop");
    let words = "every answer repeats 4 words 20 times from word 8";
    assert_eq!(fault("{ text-loop: {} }").describe(), words);
}

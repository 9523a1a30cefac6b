//! Letters are written in the script that was asked for, and nothing but letters.

use super::*;
use crate::fault::{
    Edited,
    testing::{assert_page, assert_rate},
    text_testing::{PROSE, changed, even, fault, run, whole, wrong},
};

#[test]
fn every_latin_letter_is_written_in_the_other_script() {
    for (script, text, want) in [
        ("cyrillic", "Paris, 12 X!", "Парис, 12 КС!"),
        ("greek", "Paris, 12 é", "Παρισ, 12 é"),
        ("arabic", "dar 3", "دار 3"),
        ("fullwidth", "Az 9", "Ａｚ 9"),
    ] {
        let fault = fault(&format!("{{ text-script: {{ script: {script} }} }}"));
        for pieces in [even(text, 2), whole(text)] {
            assert_eq!(run(&fault, 1, 1.0, pieces).unwrap().joined(Role::Text), want);
        }
        let ran = run(&fault, 1, 1.0, even(PROSE, 5)).unwrap();
        assert!(!ran.joined(Role::Text).contains(|c: char| c.is_ascii_alphabetic()));
    }
}

#[test]
fn another_language_is_a_sentence_of_it() {
    let fault = fault("{ text-script: { answer: Ich weiß es nicht. } }");
    for pieces in [even(PROSE, 3), whole(PROSE)] {
        assert_eq!(run(&fault, 1, 1.0, pieces).unwrap().joined(Role::Text), "Ich weiß es nicht.");
    }
}

#[test]
fn a_text_without_latin_letters_is_told() {
    let ran = run(&fault("{ text-script: { script: greek } }"), 1, 1.0, whole("12 漢字 да")).unwrap();
    assert_eq!(ran.edited, Edited { changed: 0, unfit: Some(NO_LATIN) });
}

#[test]
fn it_acts_on_its_share_of_the_answers() {
    let fault = fault("{ text-script: { script: greek, rate: 20% } }");
    for (intensity, rate) in [(1.0, 0.2), (0.5, 0.1), (0.0, 0.0)] {
        assert_rate(changed(&fault, 3_000, intensity, || whole("a b")), 3_000, rate);
    }
}

#[test]
fn settings_that_cannot_be_are_told() {
    let one = "`text-script` needs either `script` or `answer`";
    for (yaml, message) in [
        ("{ text-script: {} }", one),
        ("{ text-script: { script: greek, answer: x } }", one),
        ("{ text-script: { answer: ' ' } }", "an empty answer has no language"),
    ] {
        assert_eq!(wrong(yaml), [message], "{yaml}");
    }
    assert_page("text-script");
    let words = "10% of answers in Cyrillic letters";
    assert_eq!(fault("{ text-script: { script: cyrillic, rate: 10% } }").describe(), words);
}

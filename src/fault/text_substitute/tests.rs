//! As many words as were asked for are others, and the others are as they were.

use super::*;
use crate::fault::{
    testing::{assert_page, assert_rate},
    text_testing::{PROSE, even, fault, run, whole, wrong},
};

fn words(text: &str) -> Vec<&str> {
    text.split_whitespace().collect()
}

/// How many words differ, of how many, over many answers.
fn differing(yaml: &str, text: &str, intensity: f64) -> (usize, usize) {
    let fault = fault(yaml);
    let (mut differ, mut all) = (0, 0);
    for request in 0..1_000 {
        let ran = run(&fault, request, intensity, even(text, 1 + request as usize % 9)).unwrap();
        let joined = ran.joined(Role::Text);
        let (before, after) = (words(text), words(&joined));
        assert_eq!(before.len(), after.len());
        let changed = before.iter().zip(&after).filter(|(b, a)| b != a).count();
        assert_eq!(changed, ran.edited.changed);
        differ += changed;
        all += before.len();
    }
    (differ, all)
}

#[test]
fn the_rate_of_words_is_reached() {
    let text = "seven words stand here without any punctuation or short ones among them";
    for yaml in [
        "{ text-substitute: { rate: 10%, shuffle: true } }",
        "{ text-substitute: { rate: 10%, words: [apple, pear] } }",
        "{ text-substitute: { rate: 10%, words: [seven] } }",
    ] {
        for (intensity, rate) in [(1.0, 0.1), (0.5, 0.05)] {
            let (differ, all) = differing(yaml, text, intensity);
            // The word that is one of the list already has nothing to become.
            let able = if yaml.contains("seven") { all - all / words(text).len() } else { all };
            assert_rate(differ, able, rate);
        }
    }
    assert!(run(&fault("{ text-substitute: { rate: 10%, shuffle: true } }"), 1, 0.0, whole(text)).is_none());
}

#[test]
fn pairs_act_on_the_words_that_they_name() {
    let yaml = "{ text-substitute: { rate: 30%, pairs: { Paris: Lyon, fox: dog } } }";
    let (differ, _) = differing(yaml, "Paris is no fox but PARIS may be a Fox", 1.0);
    assert_rate(differ, 4_000, 0.3);
    let all = fault("{ text-substitute: { rate: 100%, pairs: { paris: lyon, fox: dog } } }");
    let ran = run(&all, 1, 1.0, even("In Paris, PARIS, paris; the Foxes and the fox.", 3)).unwrap();
    assert_eq!(ran.joined(Role::Text), "In Lyon, LYON, lyon; the Foxes and the dog.");
}

#[test]
fn a_request_is_always_told_the_same() {
    let fault = fault("{ text-substitute: { rate: 30%, shuffle: true } }");
    let of = |request| run(&fault, request, 1.0, whole(PROSE)).unwrap().joined(Role::Text);
    assert_eq!(of(3), of(3));
    assert!((0..20).any(|request| of(request) != of(3)));
}

#[test]
fn settings_that_cannot_be_are_told() {
    let one = "`text-substitute` needs one way to replace words";
    for (yaml, message) in [
        ("{ text-substitute: { rate: 5% } }", one),
        ("{ text-substitute: { rate: 5%, shuffle: true, words: [a] } }", one),
        ("{ text-substitute: { rate: 0%, shuffle: true } }", "a rate of 0% never acts"),
        ("{ text-substitute: { rate: 5%, pairs: { a: A } } }", "`a` becomes itself"),
        ("{ text-substitute: { rate: 5%, pairs: { New York: Rome } } }", "`New York` is no single word"),
    ] {
        assert_eq!(wrong(yaml), [message], "{yaml}");
    }
    assert_page("text-substitute");
    for (yaml, words) in [
        ("{ rate: 5%, shuffle: true }", "5% of words, letters shuffled"),
        ("{ rate: 5%, words: [a, b] }", "5% of words, one of 2"),
        ("{ rate: 5%, pairs: { a: b } }", "5% of 1 words by their pairs"),
    ] {
        assert_eq!(fault(&format!("{{ text-substitute: {yaml} }}")).describe(), words);
    }
}

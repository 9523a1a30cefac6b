//! Streams end where they were asked to, whether that is a chunk or a share of a length nobody told.

use super::*;
use crate::fault::{
    testing::{assert_page, assert_rate},
    text_testing::{PROSE, changed, even, fault, run, run_with, whole, wrong},
};

#[test]
fn it_ends_before_the_chunk_that_is_named() {
    for (how, clean) in [("clean", true), ("reset", false)] {
        for (chunk, size) in [(1, 5), (4, 5), (30, 1)] {
            let cut = fault(&format!("{{ stream-cut: {{ at-chunk: {chunk}, how: {how} }} }}"));
            let ran = run(&cut, 1, 1.0, even(PROSE, size)).unwrap();
            let text: String = PROSE.chars().take((chunk - 1) * size).collect();
            assert_eq!((ran.joined(Role::Text), ran.ended_early), (text, Some(clean)));
            assert_eq!(ran.edited, Edited { changed: 1, unfit: None });
            assert!(ran.sent.iter().all(|piece| !matches!(piece.moment(), Moment::Finish | Moment::Done)));
        }
    }
}

#[test]
fn a_share_of_the_text_is_one_of_the_mean_length() {
    let cut = fault("{ stream-cut: { at: 40% } }");
    let memory = cut.behaviour().memory();
    let mean = 2_000.0;
    for request in 0..200 {
        // Lengths between half and one and a half of the mean.
        let length = 1_000 + (request as usize * 617) % 2_000;
        let ran = run_with(&cut, &memory, request, 1.0, even(&"x ".repeat(length / 2), 10)).unwrap();
        if request < u64::from(LEARNT_FROM) {
            assert_eq!(ran.edited.unfit, Some(LEARNING_LENGTH));
            continue;
        }
        let learnt = memory.get::<Lengths>().unwrap().mean().unwrap();
        assert!((0.5 * mean..1.5 * mean).contains(&learnt), "{learnt}");
        let (passed, want) = (ran.joined(Role::Text).len() as f64, 0.4 * learnt);
        assert!(
            ran.ended_early == Some(true) && (want..want + 10.0).contains(&passed),
            "{passed} for {want}"
        );
    }
}

#[test]
fn those_that_pass_teach_it_the_length() {
    let cut = fault("{ stream-cut: { at: 50%, rate: 30% } }");
    let memory = cut.behaviour().memory();
    let (mut cuts, n) = (0, 2_000);
    for request in 0..n {
        // Texts grow from 500 to 1500 characters on the way.
        let length = if request < n / 2 { 500 } else { 1_500 };
        let ran = run_with(&cut, &memory, request, 1.0, even(&"x".repeat(length), 10)).unwrap();
        cuts += usize::from(ran.ended_early.is_some());
    }
    let mean = memory.get::<Lengths>().unwrap().mean().unwrap();
    assert!((mean - 1_500.0).abs() < 60.0, "it forgets: {mean}");
    assert_rate(cuts, n as usize, 0.3);
}

#[test]
fn a_whole_body_keeps_its_share() {
    let ran = run(&fault("{ stream-cut: { at: 25% } }"), 1, 1.0, whole(&"ä".repeat(400))).unwrap();
    assert_eq!((ran.joined(Role::Text), ran.ended_early), ("ä".repeat(100), None));
    for yaml in ["{ stream-cut: { at: 25%, how: reset } }", "{ stream-cut: { at-chunk: 2 } }"] {
        let ran = run(&fault(yaml), 1, 1.0, whole(PROSE)).unwrap();
        assert_eq!((ran.edited.unfit, ran.sent.len()), (Some(NOT_A_STREAM), 1), "{yaml}");
    }
}

#[test]
fn it_acts_on_its_share_of_the_streams() {
    let cut = fault("{ stream-cut: { at-chunk: 3, rate: 20% } }");
    for (intensity, rate) in [(1.0, 0.2), (0.5, 0.1), (0.0, 0.0)] {
        assert_rate(changed(&cut, 5_000, intensity, || even(PROSE, 9)), 5_000, rate);
    }
    let ran = run(&fault("{ stream-cut: { at-chunk: 99 } }"), 1, 1.0, even(PROSE, 9)).unwrap();
    assert_eq!(ran.edited.unfit, Some(TOO_SHORT));
}

#[test]
fn settings_that_cannot_be_are_told() {
    let one = "`stream-cut` needs either `at-chunk` or `at`";
    for (yaml, message) in [
        ("{ stream-cut: {} }", one),
        ("{ stream-cut: { at: 20%, at-chunk: 3 } }", one),
        ("{ stream-cut: { at: 0% } }", "a cut at 0% or 100% of the text is none"),
        ("{ stream-cut: { at-chunk: 0 } }", "`at-chunk` is 0; it is 1 to 1000000"),
    ] {
        assert_eq!(wrong(yaml), [message], "{yaml}");
    }
    assert_page("stream-cut");
    let words = "20% of answers ends after 40% of the text";
    assert_eq!(fault("{ stream-cut: { at: 40%, rate: 20% } }").describe(), words);
}

//! The refusal is all that is said, and stands where the provider puts it.

use super::*;
use crate::fault::{
    Edited,
    testing::{assert_page, assert_rate},
    text_testing::{PROSE, changed, even, fault, piece, run, says, whole, wrong},
    unfit::NO_TEXT,
};
use crate::wire::Moment;

#[test]
fn it_is_all_that_is_said() {
    for pieces in [even(PROSE, 3), even(PROSE, 1), whole(PROSE)] {
        let ran = run(&fault("{ refusal: {} }"), 1, 1.0, pieces).unwrap();
        assert_eq!(ran.joined(Role::Text), APOLOGY);
    }
    let ran = run(&fault("{ refusal: { text: No. } }"), 1, 1.0, even(PROSE, 3)).unwrap();
    assert_eq!((ran.joined(Role::Text).as_str(), ran.repeated(Role::Text).as_str()), ("No.", "No."));
}

#[test]
fn it_stands_where_the_provider_puts_it() {
    let reason = |how: &str, reason: &str| {
        let answer = vec![piece(Moment::Whole, &[says(Role::Text, PROSE), says(Role::FinishReason, reason)])];
        let ran =
            run(&fault(&format!("{{ refusal: {{ how: {how}, text: No. }} }}")), 1, 1.0, answer).unwrap();
        String::from_utf8(ran.bytes()[0].to_vec()).unwrap()
    };
    assert_eq!(reason("provider", "end_turn"), r#"{"says": [ "No." , "refusal"]}"#);
    assert_eq!(reason("provider", "stop"), r#"{"says": [ "No." , "stop"]}"#);
    assert_eq!(reason("text", "end_turn"), r#"{"says": [ "No." , "end_turn"]}"#);
}

#[test]
fn a_tool_call_is_no_text() {
    let call =
        vec![piece(Moment::Whole, &[says(Role::ToolArguments, "{}"), says(Role::FinishReason, "tool_use")])];
    let ran = run(&fault("{ refusal: {} }"), 1, 1.0, call).unwrap();
    assert_eq!(ran.edited, Edited { changed: 0, unfit: Some(NO_TEXT) });
}

#[test]
fn it_acts_on_its_share_of_the_answers() {
    let fault = fault("{ refusal: { rate: 20% } }");
    for (intensity, rate) in [(1.0, 0.2), (0.5, 0.1), (0.0, 0.0)] {
        assert_rate(changed(&fault, 3_000, intensity, || whole("a b")), 3_000, rate);
    }
    assert_page("refusal");
    assert_eq!(fault.describe(), "20% of answers refuses");
    assert_eq!(wrong("{ refusal: { text: '' } }"), ["a refusal says something"]);
}

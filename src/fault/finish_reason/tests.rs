//! The reason is another, in the words of the provider.

use super::*;
use crate::{
    fault::{
        Edited,
        testing::{assert_page, assert_rate},
        text_testing::{PROSE, changed, even, fault, piece, run, says, whole},
    },
    wire::Moment,
};

#[test]
fn each_provider_has_its_own_words() {
    for (original, to, want) in [
        ("stop", "length", Some("length")),
        ("length", "tool-calls", Some("tool_calls")),
        ("tool_calls", "content-filter", Some("content_filter")),
        ("end_turn", "length", Some("max_tokens")),
        ("tool_use", "stop", Some("end_turn")),
        ("end_turn", "content-filter", Some("refusal")),
        ("eos_token", "length", Some("length")),
        ("eos_token", "tool-calls", None),
        ("completed", "length", Some("incomplete")),
        ("completed", "tool-calls", None),
        ("max_output_tokens", "content-filter", Some("content_filter")),
        ("max_output_tokens", "stop", None),
        ("stop_sequence", "stop", None),
        ("end_turn", "unknown", Some("unknown")),
    ] {
        let answer = vec![piece(Moment::Finish, &[says(Role::FinishReason, original)])];
        let ran = run(&fault(&format!("{{ finish-reason: {{ to: {to} }} }}")), 1, 1.0, answer).unwrap();
        assert_eq!(ran.joined(Role::FinishReason), want.unwrap_or(original));
        let unfit = want.is_none().then_some(NO_FINISH_REASON);
        assert_eq!(ran.edited, Edited { changed: usize::from(want.is_some()), unfit });
    }
}

#[test]
fn what_is_that_reason_already_is_no_change() {
    let ran = run(&fault("{ finish-reason: { to: stop } }"), 1, 1.0, whole(PROSE)).unwrap();
    assert_eq!(ran.edited, Edited::default());
}

#[test]
fn a_null_on_the_way_is_no_reason() {
    let null = (Role::FinishReason, 0, false, Value::Null);
    let ran = run(&fault("{ finish-reason: { to: length } }"), 1, 1.0, vec![piece(Moment::Delta, &[null])])
        .unwrap();
    assert_eq!((ran.edited.unfit, ran.sent[0].is_changed()), (Some(NO_FINISH_REASON), false));
}

#[test]
fn it_acts_on_its_share_of_the_answers() {
    let fault = fault("{ finish-reason: { to: length, rate: 20% } }");
    for (intensity, rate) in [(1.0, 0.2), (0.5, 0.1), (0.0, 0.0)] {
        assert_rate(changed(&fault, 3_000, intensity, || even("a b", 2)), 3_000, rate);
    }
    assert_page("finish-reason");
    assert_eq!(fault.describe(), "20% of answers ends with length");
}

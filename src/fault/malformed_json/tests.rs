//! JSON stops to parse, inside an envelope that goes on parsing.

use proptest::prelude::*;
use serde_json::Value as Json;

use super::*;
use crate::fault::{
    Edited,
    testing::{assert_page, assert_rate},
    text_testing::{PROSE, changed, fault, run, stream, whole},
};

const FLAWS: [&str; 4] = ["truncated", "trailing-comma", "single-quotes", "chatter"];

fn documents() -> impl Strategy<Value = String> {
    let text = || "[a-z ,:{}\\[\\]\"\\\\ü]{0,8}".prop_map(Json::String);
    let leaf =
        prop_oneof![text(), any::<i32>().prop_map(Json::from), Just(Json::Bool(true)), Just(Json::Null)];
    let object = proptest::collection::btree_map("[a-z:,\"]{1,4}", leaf, 1..4);
    object.prop_map(|object| serde_json::to_string_pretty(&object).unwrap())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn no_flawed_document_parses(
        document in documents(), cuts in proptest::collection::vec(0_usize..200, 0..20),
    ) {
        for flaw in FLAWS {
            for (place, role) in [("text", Role::Text), ("tool-arguments", Role::ToolArguments)] {
                let fault = fault(&format!("{{ malformed-json: {{ with: {flaw}, in: {place} }} }}"));
                let ran = run(&fault, 1, 1.0, stream(role, &document, &cuts)).unwrap();
                let joined = ran.joined(role);
                prop_assert!(serde_json::from_str::<Json>(&joined).is_err(), "{} {}", flaw, joined);
                prop_assert_eq!(&joined, &ran.repeated(role));
                for bytes in ran.bytes() {
                    prop_assert!(serde_json::from_slice::<Json>(&bytes).is_ok());
                }
            }
        }
    }
}

#[test]
fn flaws_are_those_that_models_make() {
    let document = r#"{"a": "x, \"y\"", "b": [1, 2]}"#;
    for (flaw, want) in [
        ("truncated", r#"{"a":"#),
        ("trailing-comma", r#"{"a": "x, \"y\"", "b": [1, 2,]}"#),
        ("single-quotes", r#"{'a': 'x, \"y\"', 'b': [1, 2]}"#),
        ("chatter", "Sure! Here is the JSON that you asked for:\n\n{\"a\": \"x, \\\"y\\\"\", \"b\": [1, 2]}"),
    ] {
        let fault = fault(&format!("{{ malformed-json: {{ with: {flaw} }} }}"));
        assert_eq!(run(&fault, 1, 1.0, whole(document)).unwrap().joined(Role::Text), want);
    }
}

#[test]
fn prose_and_documents_without_a_place_are_told() {
    for (flaw, text) in [("chatter", PROSE), ("truncated", "[1]"), ("single-quotes", "[1, 2]")] {
        let fault = fault(&format!("{{ malformed-json: {{ with: {flaw} }} }}"));
        let ran = run(&fault, 1, 1.0, whole(text)).unwrap();
        assert_eq!(ran.edited, Edited { changed: 0, unfit: Some(NO_JSON) });
    }
}

#[test]
fn it_acts_on_its_share_of_the_answers() {
    let fault = fault("{ malformed-json: { with: trailing-comma, rate: 20% } }");
    for (intensity, rate) in [(1.0, 0.2), (0.5, 0.1), (0.0, 0.0)] {
        assert_rate(changed(&fault, 3_000, intensity, || whole("[1]")), 3_000, rate);
    }
    assert_page("malformed-json");
    assert_eq!(fault.describe(), "JSON of 20% of answers with a trailing comma");
}

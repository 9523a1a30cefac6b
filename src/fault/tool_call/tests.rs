//! Calls are wrong as was asked, and go on being JSON of the same shape.

use proptest::prelude::*;
use serde_json::{Value as Json, json};

use super::*;
use crate::{
    fault::{
        Edited, Piece,
        testing::{assert_page, assert_rate},
        text_testing::{PROSE, changed, even, fault, piece, run, says, stream, wrong},
    },
    wire::Moment,
};

const ARGUMENTS: &str =
    r#"{"city": "New York", "days": 3, "at": [40.71, -74.0], "exact": true, "q\"x": "a\nb"}"#;

fn call() -> Vec<Piece> {
    vec![piece(Moment::Whole, &[says(Role::ToolName, "weather"), says(Role::ToolArguments, ARGUMENTS)])]
}

fn shape(json: &Json) -> Json {
    match json {
        Json::Object(members) => members.iter().map(|(key, value)| (key.clone(), shape(value))).collect(),
        Json::Array(items) => items.iter().map(shape).collect(),
        Json::String(text) => json!(text.len()),
        Json::Number(_) => json!("number"),
        Json::Bool(_) => json!("bool"),
        Json::Null => Json::Null,
    }
}

proptest! {
    #[test]
    fn wrong_values_keep_their_keys_and_types(cuts in proptest::collection::vec(0_usize..200, 0..20), request: u64) {
        let before: Json = serde_json::from_str(ARGUMENTS).unwrap();
        let wrong = fault("{ tool-call: { arguments: values } }");
        let ran = run(&wrong, request, 1.0, stream(Role::ToolArguments, ARGUMENTS, &cuts)).unwrap();
        let after: Json = serde_json::from_str(&ran.joined(Role::ToolArguments)).unwrap();
        prop_assert_eq!(shape(&before), shape(&after));
        for key in ["city", "days", "at", "exact"] {
            prop_assert_ne!(&before[key], &after[key]);
        }
    }

    #[test]
    fn wrong_keys_keep_the_values(cuts in proptest::collection::vec(0_usize..200, 0..20), request: u64) {
        let wrong = fault("{ tool-call: { arguments: keys } }");
        let ran = run(&wrong, request, 1.0, stream(Role::ToolArguments, ARGUMENTS, &cuts)).unwrap();
        let after: Json = serde_json::from_str(&ran.joined(Role::ToolArguments)).unwrap();
        let after = after.as_object().unwrap();
        prop_assert!(!after.contains_key("city") && !after.contains_key("days"));
        prop_assert!(after.values().any(|value| *value == json!("New York")));
    }
}

#[test]
fn another_tool_is_named_and_arguments_are_emptied() {
    let both = fault("{ tool-call: { name: delete_account, arguments: empty } }");
    let ran = run(&both, 1, 1.0, call()).unwrap();
    assert_eq!(ran.edited, Edited { changed: ran.edited.changed, unfit: None });
    assert_eq!(ran.bytes(), [r#"{"says": [ "delete_account" , "{}"]}"#]);
    let name = fault("{ tool-call: { name: delete_account } }");
    let ran = run(&name, 1, 1.0, call()).unwrap();
    assert_eq!((ran.edited.changed, ran.joined(Role::ToolArguments).as_str()), (1, ARGUMENTS));
}

#[test]
fn an_answer_without_a_call_is_told() {
    for yaml in ["{ tool-call: { name: x } }", "{ tool-call: { arguments: keys } }"] {
        let ran = run(&fault(yaml), 1, 1.0, even(PROSE, 5)).unwrap();
        assert_eq!(ran.edited, Edited { changed: 0, unfit: Some(NO_TOOL_CALL) });
    }
}

#[test]
fn it_acts_on_its_share_of_the_answers() {
    let fault = fault("{ tool-call: { arguments: empty, rate: 20% } }");
    for (intensity, rate) in [(1.0, 0.2), (0.5, 0.1), (0.0, 0.0)] {
        assert_rate(changed(&fault, 3_000, intensity, call), 3_000, rate);
    }
}

#[test]
fn settings_that_cannot_be_are_told() {
    assert_eq!(wrong("{ tool-call: {} }"), ["`tool-call` does not say what is wrong"]);
    assert_eq!(wrong("{ tool-call: { name: '' } }"), ["a tool has a name"]);
    assert_page("tool-call");
    let words = "30% of answers calls x and calls with wrong values";
    assert_eq!(fault("{ tool-call: { name: x, arguments: values, rate: 30% } }").describe(), words);
}

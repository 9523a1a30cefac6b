//! Every edit of text is one of the joined text: no chunking changes it, and nothing else moves.

use proptest::prelude::*;

use super::*;
use crate::fault::text_testing::{PROSE, fault, piece, run, says, stream, whole};

/// Faults that rewrite texts, each acting on every answer.
pub(super) const FAULTS: [(&str, Role); 14] = [
    ("{ text-substitute: { rate: 40%, shuffle: true } }", Role::Text),
    ("{ text-substitute: { rate: 40%, words: [apple, pear] } }", Role::Text),
    ("{ text-substitute: { rate: 100%, pairs: { fox: dog, a: the } } }", Role::Text),
    ("{ number-substitute: { rate: 60% } }", Role::Text),
    ("{ text-loop: { from-word: 3, words: 2, repeats: 3 } }", Role::Text),
    ("{ text-script: { script: cyrillic } }", Role::Text),
    ("{ text-script: { answer: Non capisco. } }", Role::Text),
    ("{ refusal: {} }", Role::Text),
    ("{ empty-answer: {} }", Role::Text),
    ("{ malformed-json: { with: trailing-comma } }", Role::Text),
    ("{ malformed-json: { with: single-quotes } }", Role::Text),
    ("{ malformed-json: { with: truncated, in: tool-arguments } }", Role::ToolArguments),
    ("{ tool-call: { arguments: values } }", Role::ToolArguments),
    ("{ tool-call: { arguments: empty } }", Role::ToolArguments),
];

fn texts() -> impl Strategy<Value = String> {
    let words = prop_oneof![
        4 => "[a-zA-Z]{1,9}", 1 => "[0-9]{1,4}([.,][0-9]{1,3}){0,2}", 1 => "[a-z]{1,4}['’][a-z]{1,2}",
        1 => "[а-яäöü漢字かな]{1,5}", 1 => "[a-z]{60,70}", 1 => "[\\PC]{1,4}",
    ];
    let gaps =
        prop_oneof![6 => Just(" "), 1 => Just(", "), 1 => Just(". "), 1 => Just("\n\n"), 1 => Just("\"")];
    let prose = proptest::collection::vec((words, gaps), 0..30).prop_map(|words| {
        words.into_iter().flat_map(|(word, gap)| [word, gap.to_owned()]).collect::<String>()
    });
    let json = "\\{\"[a-z]{1,5}\": \"[a-z ]{0,9}\", \"n\": \\[[0-9]{1,3}, true\\]\\}";
    prop_oneof![3 => prose, 1 => json]
}

fn cuts() -> impl Strategy<Value = Vec<usize>> {
    prop_oneof![proptest::collection::vec(0_usize..500, 0..30), Just((0..150).collect()), Just(Vec::new()),]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn no_chunking_changes_an_edit(text in texts(), first in cuts(), second in cuts(), request: u64) {
        for (yaml, role) in FAULTS {
            let fault = fault(yaml);
            let of = |cuts: &[usize]| run(&fault, request, 1.0, stream(role, &text, cuts)).unwrap();
            let (one, other) = (of(&first), of(&second));
            prop_assert_eq!(one.joined(role), other.joined(role), "{}", yaml);
            prop_assert_eq!(one.joined(role), one.repeated(role), "{}", yaml);
            prop_assert_eq!(one.edited, other.edited, "{}", yaml);
            prop_assert_eq!(one.edited.changed > 0, one.joined(role) != text, "{}", yaml);
            prop_assert_eq!(one.sent.len(), stream(role, &text, &first).len());
        }
    }

    #[test]
    fn what_is_not_changed_goes_out_byte_for_byte(text in texts(), places in cuts(), request: u64) {
        for (yaml, role) in FAULTS {
            let before: Vec<_> = stream(role, &text, &places);
            let ran = run(&fault(yaml), request, 1.0, before.clone()).unwrap();
            let same: Vec<bool> = ran.sent.iter().map(|piece| !piece.is_changed()).collect();
            for ((before, after), same) in before.into_iter().zip(ran.bytes()).zip(same) {
                let before = before.into_chunk().unwrap();
                prop_assert_eq!(same, before.bytes() == &after, "{}", yaml);
                prop_assert!(serde_json::from_slice::<serde_json::Value>(&after).is_ok());
            }
        }
    }

    #[test]
    fn tokens_are_the_text(text in "\\PC{0,200}") {
        let (mut words, mut joined, mut longest) = (Words::default(), String::new(), 0);
        let mut settle = |token: Token<'_>| {
            joined.push_str(token.as_str());
            longest = longest.max(token.as_str().chars().count());
        };
        text.chars().for_each(|c| words.push(c, &mut settle));
        words.end(&mut settle);
        prop_assert_eq!(joined, text);
        prop_assert!(longest <= LONGEST_WORD);
    }
}

fn words_of(text: &str) -> Vec<String> {
    struct Collect(Vec<String>);
    impl Rewrite for Collect {
        fn token(&mut self, token: Token<'_>, _: &mut String) {
            if let Token::Word(word) = token {
                self.0.push(word.to_owned());
            }
        }
    }
    let mut collect = Collect(Vec::new());
    rewritten(&mut collect, text);
    collect.0
}

#[test]
fn words_and_numbers() {
    for (text, words) in [
        ("I don't, 3.50 or 1,000.", vec!["I", "don't", "3.50", "or", "1,000"]),
        ("a.b 1.b v1.2 'quoted'", vec!["a", "b", "1", "b", "v1.2", "quoted"]),
        ("2024-05-17 -7 30kg", vec!["2024", "05", "17", "7", "30kg"]),
        ("漢字 and かな", vec!["漢", "字", "and", "か", "な"]),
        ("", vec![]),
    ] {
        assert_eq!(words_of(text), words, "{text}");
    }
}

/// Doubles every word, so that each piece has to wait for the end of its word.
struct Double;

impl Rewrite for Double {
    fn token(&mut self, token: Token<'_>, out: &mut String) {
        out.push_str(token.as_str());
        if let Token::Word(word) = token {
            out.push_str(word);
        }
    }
}

fn sent(steps: &mut Vec<Step>) -> Vec<String> {
    let text = |piece: &Piece| match piece.parts().first().map(|_| piece.value(0)) {
        Some(Value::Text(text)) => text.clone(),
        _ => format!("{:?}", piece.moment()),
    };
    let pieces = steps.drain(..).map(|step| match step {
        Step::Send(piece) => text(&piece),
        other => format!("{other:?}"),
    });
    pieces.collect()
}

fn delta(number: u32, text: &str) -> Piece {
    piece(Moment::Delta, &[(Role::Text, number, false, Value::Text(text.to_owned()))])
}

#[test]
fn a_piece_waits_for_the_end_of_its_last_word_and_no_longer() {
    let mut editor = TextEditor::new(Role::Text, |_| Double, None);
    let mut steps = Vec::new();
    let mut feed = |piece: Piece| {
        editor.piece(piece, &mut steps);
        sent(&mut steps)
    };
    let nothing: [&str; 0] = [];
    assert_eq!(feed(delta(0, "Hel")), nothing);
    assert_eq!(feed(piece(Moment::Ping, &[])), ["Ping"], "a ping overtakes");
    assert_eq!(feed(delta(0, "lo")), nothing);
    assert_eq!(feed(delta(0, " wor")), ["HelloHello", ""]);
    assert_eq!(feed(delta(1, "Other")), nothing, "another choice does not end the word");
    assert_eq!(feed(delta(0, "ld")), nothing);
    let finish = (Role::FinishReason, 0, false, Value::Text("stop".into()));
    assert_eq!(feed(piece(Moment::Finish, &[finish])), [" worldworld"], "the other choice goes on");
    assert_eq!(feed(delta(1, " one.")), ["OtherOther", "", "stop", " oneone."]);
    assert_eq!(feed(delta(0, "un")), nothing);
    assert_eq!(feed(Piece::opaque(": a comment".into())), nothing, "which says nothing, and keeps its place");
    let call = piece(Moment::Delta, &[says(Role::ToolName, "weather")]);
    assert_eq!(feed(delta(0, "til")), nothing);
    assert_eq!(feed(call), ["untiluntil", "Other", "", "weather"]);
    assert_eq!(feed(delta(0, "end")), nothing);
    assert_eq!(feed(piece(Moment::Other, &[])), ["endend", "Other"], "the end of a block");
    assert_eq!(feed(piece(Moment::Done, &[])), ["Done"]);
}

#[test]
fn a_stream_that_breaks_off_loses_nothing() {
    let mut editor = TextEditor::new(Role::Text, |_| Double, None);
    let mut steps = Vec::new();
    editor.piece(delta(0, "wo"), &mut steps);
    editor.piece(delta(0, "rd"), &mut steps);
    assert!(steps.is_empty());
    editor.end(&mut steps);
    assert_eq!(sent(&mut steps), ["wordword", ""]);
}

#[test]
fn what_is_held_is_bounded() {
    let mut editor = TextEditor::new(Role::Text, |_| Double, None);
    let mut steps = Vec::new();
    editor.piece(delta(0, "word"), &mut steps);
    for _ in 0..1_000 {
        editor.piece(delta(1, ""), &mut steps);
    }
    assert!(editor.shelf.held.len() <= MOST_HELD);
    assert!(steps.len() >= 1_000 - MOST_HELD);
    let mut editor = TextEditor::new(Role::Text, |_| Double, None);
    for _ in 0..10_000 {
        editor.piece(delta(0, "x"), &mut steps);
        assert!(editor.shelf.held.len() <= LONGEST_WORD);
    }
}

#[test]
fn a_whole_body_is_a_stream_of_one_piece() {
    let fault = fault("{ text-substitute: { rate: 100%, shuffle: true } }");
    let one = run(&fault, 3, 1.0, whole(PROSE)).unwrap();
    let many = run(&fault, 3, 1.0, stream(Role::Text, PROSE, &[1, 2, 3, 50])).unwrap();
    assert_ne!(one.joined(Role::Text), PROSE);
    assert_eq!(one.joined(Role::Text), many.joined(Role::Text));
}

#[test]
fn faults_that_contradict_each_other_are_told() {
    for (one, other, excluded) in [
        ("{ empty-answer: {} }", "{ text-loop: {} }", true),
        ("{ empty-answer: { rate: 50% } }", "{ text-loop: {} }", false),
        ("{ empty-answer: {} }", "{ finish-reason: { to: length } }", false),
        ("{ refusal: {} }", "{ text-script: { answer: Non. } }", true),
        ("{ refusal: {} }", "{ text-script: { script: greek } }", false),
        ("{ missing-done: { what: both } }", "{ finish-reason: { to: length } }", true),
        ("{ missing-done: {} }", "{ finish-reason: { to: length } }", false),
        ("{ usage: { missing: true } }", "{ usage: { factor: 2 } }", true),
    ] {
        let told = fault(one).behaviour().excludes(&fault(other));
        assert_eq!(told.is_some(), excluded, "{one} {other}");
    }
}

#[test]
fn other_roles_and_texts_are_left_alone() {
    let fault = fault("{ empty-answer: {} }");
    let answer =
        || vec![piece(Moment::Whole, &[says(Role::ToolArguments, "{\"a\": 1}"), says(Role::Model, "m")])];
    let ran = run(&fault, 1, 1.0, answer()).unwrap();
    assert_eq!(ran.edited, Edited { changed: 0, unfit: Some(NO_TEXT) });
    assert!(!ran.sent[0].is_changed());
}

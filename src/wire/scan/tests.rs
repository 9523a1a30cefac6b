//! Reads as `serde_json` does what both take; never panics; refuses guesses.

use proptest::prelude::*;

use super::{scanner::MAX_DEPTH, *};

fn kinds(body: &str) -> Vec<Kind> {
    scan(body.as_bytes()).unwrap().items.iter().map(|item| item.kind).collect()
}

#[test]
fn every_value_knows_its_bytes() {
    let body = br#" { "a" : [1, -2.5e3, "x\"y"], "b":{}, "a\u0062":null } "#;
    let tree = scan(body).unwrap();
    let root = tree.root();
    assert_eq!(root.raw(), &body[1..body.len() - 1]);
    let a: Vec<_> = root.get("a").unwrap().elements().map(|n| n.value().unwrap()).collect();
    assert_eq!(a, [Value::Int(1), Value::Float(-2500.0), Value::Text("x\"y".into())]);
    assert_eq!(root.get("b").unwrap().raw(), b"{}");
    assert_eq!(root.get("ab").unwrap().kind(), Kind::Null);
    assert!(root.get("c").is_none());
    assert_eq!(root.members().count(), 3);
}

#[test]
fn the_last_of_equal_names_counts() {
    let tree = scan(br#"{"a":1,"a":2}"#).unwrap();
    assert_eq!(tree.root().get("a").unwrap().value(), Some(Value::Int(2)));
}

#[test]
fn what_servers_send_beyond_json_is_read() {
    let tree = scan(b"[NaN,nan,-nan,Infinity,-Infinity,inf,-inf,INF]").unwrap();
    let values: Vec<f64> = tree.root().elements().filter_map(|n| n.value()?.as_f64()).collect();
    assert!(values[..3].iter().all(|v| v.is_nan()));
    let inf = f64::INFINITY;
    assert_eq!(values[3..], [inf, -inf, inf, -inf, inf]);
}

#[test]
fn numbers_keep_their_kind() {
    for (text, value) in [
        ("0", Value::Int(0)),
        ("-7", Value::Int(-7)),
        ("-0", Value::Float(-0.0)),
        ("1.0", Value::Float(1.0)),
        ("1e2", Value::Float(100.0)),
        ("9223372036854775808", Value::Float(9_223_372_036_854_775_808.0)),
    ] {
        assert_eq!(scan(text.as_bytes()).unwrap().root().value(), Some(value), "{text}");
    }
}

#[test]
fn what_would_be_a_guess_is_refused() {
    let bodies = r#" |[1] 2|[1 2]|[1,]|{"a"}|{"a":}|{a:1}|{"a":1,}|[1}|{"a":1]|01|1.|.5|+1|1e|--1|nul|"|"\"|[|{|]|'a'|0x1"#;
    for body in bodies.split('|').chain(["", "\u{feff}1"]) {
        assert!(scan(body.as_bytes()).is_err(), "{body}");
    }
    assert_eq!(scan(b"[1 2]").unwrap_err().to_string(), "byte 3: expected `,` or `]`");
}

#[test]
fn depth_is_bounded() {
    let nested = |depth: usize| "[".repeat(depth) + &"]".repeat(depth);
    assert_eq!(kinds(&nested(MAX_DEPTH)).len(), MAX_DEPTH);
    assert_eq!(scan(nested(MAX_DEPTH + 1).as_bytes()).unwrap_err().message, "nested too deep");
    assert!(scan("[".repeat(1 << 20).as_bytes()).is_err());
}

#[test]
fn a_text_that_is_not_unicode_has_no_value() {
    assert_eq!(scan(b"\"\xff\"").unwrap().root().value(), None);
    assert_eq!(scan(br#""\ud800""#).unwrap().root().value(), None);
}

fn json() -> impl Strategy<Value = serde_json::Value> {
    let leaf = prop_oneof![
        Just(serde_json::Value::Null),
        any::<bool>().prop_map(Into::into),
        any::<i64>().prop_map(Into::into),
        any::<f64>().prop_map(Into::into),
        ".*".prop_map(Into::into),
    ];
    leaf.prop_recursive(4, 40, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Into::into),
            prop::collection::btree_map(".*", inner, 0..6)
                .prop_map(|m| serde_json::Value::Object(m.into_iter().collect())),
        ]
    })
}

fn agrees(node: Node<'_>, json: &serde_json::Value) {
    match json {
        serde_json::Value::Array(elements) => {
            assert_eq!(node.elements().count(), elements.len());
            node.elements().zip(elements).for_each(|(node, json)| agrees(node, json));
        }
        serde_json::Value::Object(members) => {
            assert_eq!(node.members().count(), members.len());
            members.iter().for_each(|(name, json)| agrees(node.get(name).unwrap(), json));
        }
        scalar => {
            assert_eq!(scalar.as_f64(), node.value().unwrap().as_f64());
            assert_eq!(scalar.as_str(), node.text().as_deref());
        }
    }
}

proptest! {
    #[test]
    fn any_json_is_read_as_serde_json_reads_it(json in json()) {
        agrees(scan(serde_json::to_string(&json).unwrap().as_bytes()).unwrap().root(), &json);
        agrees(scan(serde_json::to_string_pretty(&json).unwrap().as_bytes()).unwrap().root(), &json);
    }

    #[test]
    fn hostile_bytes_never_panic(body in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = scan(&body).map(|tree| tree.root().value());
    }

    #[test]
    fn hostile_json_never_panics(body in r#"[\[\]{}:,"\\0-9.eE+\-ntfaNI ]{0,60}"#) {
        if let Ok(tree) = scan(body.as_bytes()) {
            for index in 0..tree.items.len() {
                let node = Node { index, ..tree.root() };
                let _ = (node.value(), node.text(), node.get("a"), node.leaves().map(Iterator::count));
                prop_assert!(node.elements().count() <= tree.items.len());
            }
        }
    }
}

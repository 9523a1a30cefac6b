use super::*;

fn headers(pairs: &[(&str, &str)]) -> HeaderMap {
    let mut map = HeaderMap::new();
    for (name, value) in pairs {
        map.append(name.parse::<HeaderName>().unwrap(), value.parse().unwrap());
    }
    map
}

fn ask(text: &str, path: &str, pairs: &[(&str, &str)], body: Option<&str>) -> Result<bool, ExpressionError> {
    let body = body.map(|b| serde_json::from_str::<serde_json::Value>(b).unwrap());
    let headers = headers(pairs);
    let request = RequestView { method: &Method::POST, path, headers: &headers, body: body.as_ref() };
    Condition::compile(text)?.matches(request)
}

fn unit(text: &str, pairs: &[(&str, &str)]) -> Result<Option<String>, ExpressionError> {
    let headers = headers(pairs);
    let request = RequestView { method: &Method::POST, path: "/a", headers: &headers, body: None };
    UnitExpression::compile(text)?.evaluate(request, |bytes| String::from_utf8(bytes.to_vec()).unwrap())
}

#[test]
fn common_shapes_need_no_interpreter() {
    for text in [
        "true",
        "false",
        r#"request.path.startsWith("/v2/")"#,
        r#"request.path == "/v2/""#,
        r#""POST" == request.method"#,
        r#"request.headers["X-Tenant"] == "a""#,
        r#"request.path.startsWith("/v2") && (request.method == "POST" && true)"#,
    ] {
        assert!(Condition::compile(text).unwrap().cel.is_none(), "{text}");
    }
    assert!(Condition::compile(r#"request.path.endsWith("/infer")"#).unwrap().cel.is_some());
}

#[test]
fn a_comparison_says_what_cel_would_say() {
    for (text, path, pairs) in [
        (r#"request.path.startsWith("/v2/")"#, "/v2/models", &[][..]),
        (r#"request.path == "/v2/""#, "/v2", &[]),
        (r#"request.method == "POST""#, "/", &[]),
        (r#"request.headers["X-Tenant"] == "a""#, "/", &[("x-tenant", "a")]),
        (r#"request.headers["x-tenant"] == "a""#, "/", &[("x-tenant", "b")]),
        (r#"request.headers["x-tenant"] == "a""#, "/", &[]),
        ("false", "/", &[]),
    ] {
        let slow = format!("({text}) && size(request.path) > 0");
        assert!(Condition::compile(&slow).unwrap().cel.is_some());
        assert_eq!(ask(text, path, pairs, None).unwrap(), ask(&slow, path, pairs, None).unwrap(), "{text}");
    }
}

#[test]
fn header_names_are_case_insensitive_and_the_first_value_counts() {
    let pairs = [("X-User", "ada"), ("x-user", "bob")];
    for text in [
        r#"request.headers["x-USER"] == "ada""#,
        r#"request.headers["x-USER"].startsWith("ad")"#,
        r#""X-User" in request.headers && true || false"#,
        r#"request.headers.exists(name, name == "x-user")"#,
    ] {
        assert!(ask(text, "/", &pairs, None).unwrap(), "{text}");
    }
}

#[test]
fn what_is_absent_does_not_match() {
    for text in [
        r#"request.headers["x"] == "a""#,
        r#"request.headers["x"] != "a""#,
        r#"!(request.headers["x"] == "a")"#,
        r#"size(request.headers["x"]) > 0"#,
        r#""x" in request.headers"#,
    ] {
        assert!(!ask(text, "/", &[], None).unwrap(), "{text}");
    }
    assert!(ask(r#"request.headers["x"] == "a" || request.path == "/""#, "/", &[], None).unwrap());
    assert!(ask(r#"!("x" in request.headers)"#, "/", &[], None).unwrap());
    assert!(!ask(r#"request.body.user == 7"#, "/", &[], Some(r#"{"id": 7}"#)).unwrap());
    assert!(!ask(r#"request.body.user == 7"#, "/", &[], None).unwrap());
}

#[test]
fn the_body_is_asked_for_only_if_it_is_named() {
    let text = r#"request.body.inputs[0].shape == [1, 4] && has(request.body.id)"#;
    assert!(Condition::compile(text).unwrap().needs_body());
    assert!(!Condition::compile(r#"request.path.contains("body")"#).unwrap().needs_body());
    assert!(ask(text, "/", &[], Some(r#"{"id": "x", "inputs": [{"shape": [1, 4]}]}"#)).unwrap());
}

#[test]
fn a_unit_falls_back() {
    let text = r#""x-user" in request.headers ? request.headers["x-user"] : request.headers["x-session"]"#;
    assert_eq!(unit(text, &[("x-user", "ada"), ("x-session", "s")]).unwrap().as_deref(), Some("ada"));
    assert_eq!(unit(text, &[("x-session", "s")]).unwrap().as_deref(), Some("s"));
    assert_eq!(unit(text, &[]).unwrap(), None);
    assert_eq!(unit(r#"request.headers["x-user"]"#, &[("X-USER", "ada")]).unwrap().as_deref(), Some("ada"));
    assert_eq!(unit(r#"request.headers["x-user"]"#, &[("X-USER", "")]).unwrap(), None);
    assert_eq!(unit("size(request.path)", &[]).unwrap().as_deref(), Some("2"));
}

#[test]
fn what_can_not_be_meant_is_refused_with_its_place() {
    let refused = |text: &str| {
        let error = Condition::compile(text).unwrap_err();
        format!("{} @{:?}", error.message, error.offset)
    };
    insta::assert_snapshot!(
        [
            "",
            "request.path ==",
            r#"request.path = "/""#,
            r#"request.headrs["x"] == "a""#,
            "true && path == \"/\"",
            "size(request) > 1",
            r#"request.path.startWith("/")"#,
            r#"request.path.matches("a+")"#,
            "request.path",
            "request.path > 5",
            "ü == request.host",
            "request.method == \"ü\" && request.host == \"a\"",
        ]
        .map(refused)
        .join("\n"),
        @r#"
it is empty @None
it ends too early @Some(15)
`=` means nothing here; `==` compares @Some(13)
a request has no `headrs`; did you mean `request.headers`? @Some(8)
nothing is called `path`; there is only `request` @Some(8)
say which part of the request: `request.method`, `request.path`, `request.headers` or `request.body` @Some(5)
there is no function `startWith`; did you mean `startsWith`? @Some(22)
there is no function `matches`, only `bool`, `bytes`, `contains`, `double`, `dyn`, `endsWith`, `int`, `size`, `startsWith`, `string`, `type` or `uint` @Some(20)
this is a text, and not true or false @Some(0)
found no matching overload for '_>_' applied to '(string, int)' @Some(0)
'ü' means nothing here @Some(0)
a request has no `host`, only `request.method`, `request.path`, `request.headers` or `request.body` @Some(33)
"#
    );
    for text in ["1", "request.headers", "[request.path]"] {
        assert!(UnitExpression::compile(text).is_err(), "{text}");
    }
}

#[test]
fn a_failure_at_run_time_is_an_error() {
    assert!(ask(r#"int(request.path) > 5"#, "/a", &[], None).is_err());
    assert!(ask(r#"request.body"#, "/a", &[], Some("7")).is_err());
    assert!(ask(r#"request.body.items[3] == 1"#, "/a", &[], Some(r#"{"items": []}"#)).is_err());
}

#[test]
fn expressions_are_shared_between_threads() {
    fn shared<T: Send + Sync>() {}
    shared::<Condition>();
    shared::<UnitExpression>();
}

#[test]
fn long_and_deep_expressions_are_refused_or_work() {
    let deep = [
        "(".repeat(400) + "true" + &")".repeat(400),
        "(".repeat(99) + "true" + &")".repeat(99),
        "[".repeat(99) + "true" + &"]".repeat(99),
        "size(".repeat(38) + "\"\"" + &")".repeat(38),
        "[[1].map(a, a)].all(a, a.all(b, true)) && ".repeat(12) + "true",
        "!".repeat(1000) + "true",
        vec!["true"; 100].join(" || "),
        "request.path".to_owned() + &" + \"a\"".repeat(160) + " == \"\"",
        "request.body".to_owned() + &".a".repeat(400) + " == 1",
        "[".repeat(500),
        "true ? ".repeat(100),
        "-".repeat(1000),
        "a".repeat(5000),
    ];
    for text in deep {
        if let Ok(condition) = Condition::compile(&text) {
            let body = serde_json::json!({});
            let request = RequestView {
                method: &Method::GET,
                path: "/",
                headers: &HeaderMap::new(),
                body: Some(&body),
            };
            let _ = condition.matches(request);
        }
    }
}

/// The answers for rows of `age`, `sex` and a column without a name.
fn rows(text: &str) -> Result<Vec<bool>, ExpressionError> {
    use crate::wire::Value as Wire;
    let condition = Condition::compile_for_rows(text)?;
    let columns = ["age", "sex"].map(str::to_owned);
    let row = |age: Wire, sex: &str, last: Wire| Row {
        label: None,
        scores: vec![age, Wire::Text(sex.to_owned()), last],
    };
    let rows = [
        row(Wire::Int(70), "f", Wire::Float(-1.5)),
        row(Wire::Float(20.5), "m", Wire::Null),
        row(Wire::Float(f64::NAN), "f", Wire::Bool(true)),
    ];
    let headers = headers(&[("x-tenant", "a")]);
    let request = RequestView { method: &Method::POST, path: "/a", headers: &headers, body: None };
    let members = condition.members(request, &columns, &rows)?;
    for (row, member) in rows.iter().zip(&members) {
        assert_eq!(condition.matches_row(request, &columns, row)?, *member);
    }
    Ok(members)
}

#[test]
fn rows_are_told_apart_by_their_features() {
    for (text, expected, fast) in [
        (r#"features["age"] >= 65"#, [true, false, false], true),
        ("features.age < 65", [false, true, false], true),
        ("features[0] == 70", [true, false, false], true),
        ("features[0] != 70", [false, true, false], true),
        ("features[2] > -2 && features[0] <= 70.0", [true, false, false], true),
        (r#"features["sex"] == "f""#, [true, false, true], true),
        (r#"features["sex"] != "f" && request.path == "/a""#, [false, true, false], true),
        (r#"features["sex"] == "f" && request.headers["x-tenant"] == "b""#, [false; 3], true),
        (r#"features["sex"] == "f" || features["age"] > 20"#, [true; 3], false),
        (r#"features["age"] / 2.0 > 30"#, [true, false, false], false),
        (r#""age" in features"#, [true, true, false], false),
        ("has(features.age) && !(features.age > 30)", [false, true, false], false),
        (r#"features["sex"].startsWith("m")"#, [false, true, false], false),
        (r#"features["height"] > 1"#, [false; 3], true),
        (r#"features["height"] > 1 || true"#, [true; 3], false),
        ("features[7] > 1 || features[7] < 1", [false; 3], false),
        ("request.headers.exists(features, features == \"x-tenant\")", [true; 3], false),
        ("true", [true; 3], true),
    ] {
        assert_eq!(rows(text).unwrap(), expected, "{text}");
        assert_eq!(Condition::compile_for_rows(text).unwrap().cel.is_none(), fast, "{text}");
    }
}

#[test]
fn a_comparison_of_features_says_what_cel_would_say() {
    for operator in ["<", "<=", "==", "!=", ">=", ">"] {
        for (feature, with) in
            [("0", "70"), ("0", "20.5"), ("2", "-1.5"), ("\"age\"", "-1"), ("\"height\"", "1")]
        {
            let fast = format!("features[{feature}] {operator} {with}");
            // A truth value has no order in CEL, which would be an error.
            let slow = format!("{fast} && size(request.path) > 0");
            if feature != "2" {
                assert_eq!(rows(&fast).unwrap(), rows(&slow).unwrap(), "{fast}");
            }
        }
    }
}

#[test]
fn features_are_asked_for_only_if_they_are_named() {
    let needs = |text: &str| Condition::compile_for_rows(text).unwrap().needs_features();
    assert!(needs("features[0] > 1") && needs("features[0] > 1 || false") && needs("has(features.age)"));
    assert!(!needs("true") && !needs(r#"request.path.contains("features")"#));
}

#[test]
fn features_that_can_not_be_meant_are_refused() {
    let refused = |text: &str| {
        let error = Condition::compile_for_rows(text).unwrap_err();
        format!("{} @{:?}", error.message, error.offset)
    };
    insta::assert_snapshot!(
        ["size(features) > 1", "features[-1] > 1", "features[request.path] > 1", "features[0]", "feature[0] > 1"]
            .map(refused)
            .join("\n"),
        @r#"
say which feature: `features["age"]` or `features[0]` @Some(5)
name the feature: a text, or its place from 0 @Some(10)
name the feature: a text, or its place from 0 @Some(17)
this is a number, and not true or false @Some(0)
nothing is called `feature`; there are only `request` and `features` @Some(0)
"#
    );
    let error = Condition::compile("features[0] > 1").unwrap_err();
    assert!(error.message.contains("row by row"), "{error}");
    assert!(UnitExpression::compile("features[0]").is_err());
    assert!(rows(r#"features["sex"] + 1.0 > 2.0"#).is_err());
}

proptest::proptest! {
    #[test]
    fn no_text_makes_the_compiler_panic(text in r#"[a-z\.\[\]\(\)"'=!&|<>?: 0-9ü\\+*/{},-]{0,40}"#) {
        let _ = Condition::compile(&text);
        let _ = UnitExpression::compile(&format!("request.{text}"));
        let _ = Condition::compile_for_rows(&format!("features{text}"));
    }
}

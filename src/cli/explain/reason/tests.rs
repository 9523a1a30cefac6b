use http::{HeaderMap, Method};

use super::*;
use crate::scenario::{Source, compile};

const SCENARIO: &str = r#"
name: slow
seed: 7
target: { protocol: http, when: 'request.path == "/infer"' }
exposure:
  unit: request.headers["x-user-id"]
  share: 25%
  always: [ada]
  never: [bob]
  holdout: 5%
  segments: [{ segment: beta, when: 'request.headers["x-beta"] == "1"', share: 50% }]
  groups: { a: 50%, b: 50% }
  caps: { rate: 50/s, per-unit-per-hour: 3 }
phases:
  - { name: steady, lasts: 30s }
  - name: slow
    lasts: 1m
    inject:
      - { fault: { latency: { fixed: 300ms, rate: 40% } }, ramp: 30s, group: a }
      - { fault: { error: { status: 503, rate: 10% } }, share: 5%, where: 'request.path == "/infer"' }
"#;

fn explain(unit: &str, beta: bool) -> String {
    let plan = compile(&Source::new("slow.yaml", SCENARIO)).unwrap_or_else(|errors| panic!("{errors}"));
    let mut headers = HeaderMap::new();
    if beta {
        headers.insert("x-beta", "1".parse().unwrap());
    }
    let request = RequestView { method: &Method::POST, path: "/", headers: &headers, body: None };
    let hash = UnitHash::of(unit.as_bytes());
    let asked = Asked { unit: Some(unit.to_owned()), hash, holdout: Share::NONE, request };
    Explanation::of(&plan, &asked).unwrap().in_words()
}

#[test]
fn each_rule_is_told_with_its_draw() {
    let who = [("ada", false), ("bob", false), ("user-1", true), ("user-3", true), ("user-3", false)];
    insta::assert_snapshot!(who.map(|(unit, beta)| explain(unit, beta)).join("\n"));
}

const CANARY: &str = r#"
name: canary
target: { protocol: http }
exposure: { unit: 'request.headers["x-user-id"]', share: 40%, never: [bob] }
release: { canary: { baseline: v1, candidate: v2, upstream: new } }
phases:
  - { name: steady, lasts: 10s, share: 0% }
  - { name: one, lasts: 10s, share: 5% }
  - { name: two, lasts: 10s, share: 40% }
"#;

#[test]
fn the_version_is_told_by_phase() {
    let plan = compile(&Source::new("canary.yaml", CANARY)).unwrap_or_else(|errors| panic!("{errors}"));
    let headers = HeaderMap::new();
    let request = RequestView { method: &Method::POST, path: "/", headers: &headers, body: None };
    let told = |unit: &str| {
        let hash = UnitHash::of(unit.as_bytes());
        let asked = Asked { unit: Some(unit.to_owned()), hash, holdout: Share::NONE, request };
        Explanation::of(&plan, &asked).unwrap()
    };
    let early = (0..).map(|n| format!("u{n}")).find(|unit| told(unit).draw.share < 0.05).unwrap();
    let late =
        (0..).map(|n| format!("u{n}")).find(|unit| (0.05..0.4).contains(&told(unit).draw.share)).unwrap();
    let versions = |unit: &str| -> Vec<Option<String>> {
        told(unit).phases.into_iter().map(|phase| phase.version).collect()
    };
    let all = |names: [&str; 3]| names.map(|name| Some(name.to_owned())).to_vec();
    assert_eq!(versions(&early), all(["v1", "v2", "v2"]));
    assert_eq!(versions(&late), all(["v1", "v1", "v2"]));
    assert_eq!(versions("bob"), all(["v1", "v1", "v1"]));
    insta::assert_snapshot!(told(&late).in_words());
}

//! A release: who carries which version, whose requests go where, and what is counted for whom.

use std::collections::{BTreeMap, BTreeSet};

use super::{exposure::from, *};
use crate::scenario::{Source, compile};

const UNIT: &str = "unit: 'request.headers[\"x-user-id\"]'";
const CANDIDATE: &str = "http://127.0.0.1:7";

fn scenario(exposure: &str, release: &str, phases: &str) -> Plan {
    let text = format!(
        "name: t\ntarget: {{ protocol: open-inference }}\nexposure: {{ {UNIT}, {exposure} }}\nrelease: {release}\nphases: {phases}"
    );
    compile(&Source::new("t.yaml", text)).unwrap_or_else(|errors| panic!("{errors}"))
}

fn candidates() -> [Candidate; 1] {
    [Candidate { name: Some("new".into()), address: CANDIDATE.parse().unwrap() }]
}

fn armed_with(plan: Plan) -> Handle {
    let handle = Handle::default().with_request_control().with_candidates(candidates());
    handle.arm(Arc::new(plan), Duration::from_secs(300)).unwrap();
    handle
}

fn version<B>(response: &Response<B>) -> Option<String> {
    let told = response.headers().get("x-model-version").map(|value| value.to_str().unwrap().to_owned());
    let seen = response.extensions().get::<Exposed>().and_then(|exposed| exposed.version.clone());
    assert_eq!(told.as_deref(), seen.as_deref(), "the header says what the service view hears");
    told
}

/// The version that each of a hundred users is told.
async fn versions(handle: &Handle) -> BTreeMap<u32, Option<String>> {
    let mut versions = BTreeMap::new();
    for user in 0..100 {
        let (response, _) = call(handle, from(&format!("u{user}"), &format!("r{user}"))).await;
        versions.insert(user, version(&response));
        text(response).await;
    }
    versions
}

fn with(versions: &BTreeMap<u32, Option<String>>, name: &str) -> BTreeSet<u32> {
    versions.iter().filter(|(_, version)| version.as_deref() == Some(name)).map(|(user, _)| *user).collect()
}

const STEPS: &str = "[ { name: steady, lasts: 10s, share: 0% },\
    { name: one, lasts: 10s, share: 5%, inject: [{ fault: { error: { status: 503 } } }] },\
    { name: two, lasts: 10s, share: 40% }, { name: back, lasts: 10s, share: 0% } ]";

#[tokio::test(start_paused = true)]
async fn a_canary_grows_from_step_to_step_and_nobody_goes_back_until_the_rollback() {
    let handle = armed_with(scenario("share: 40%", "{ canary: { baseline: v1, candidate: v2 } }", STEPS));
    let mut steps = Vec::new();
    for _ in 0..4 {
        let versions = versions(&handle).await;
        assert_eq!(with(&versions, "v1").len() + with(&versions, "v2").len(), 100, "everybody has a version");
        steps.push(with(&versions, "v2"));
        tokio::time::advance(Duration::from_secs(10)).await;
    }
    let sizes: Vec<usize> = steps.iter().map(BTreeSet::len).collect();
    assert_eq!((sizes[0], sizes[3]), (0, 0), "{sizes:?}");
    assert!((1..15).contains(&sizes[1]) && (25..55).contains(&sizes[2]), "{sizes:?}");
    assert!(steps[1].is_subset(&steps[2]));
    let evidence = handle.evidence().unwrap();
    let treated: Vec<u64> = evidence.phases.iter().map(|phase| phase.treated.requests()).collect();
    assert_eq!(treated, sizes.iter().map(|size| *size as u64).collect::<Vec<_>>());
    assert_eq!(evidence.phases[1].faults[0].perturbed, treated[1], "the fault is the candidate's");
    assert_eq!((evidence.phases[1].treated.failed(), evidence.phases[1].control.failed()), (treated[1], 0));
    handle.stop();
    assert_eq!(version(&call(&handle, from("u1", "r")).await.0), None, "disarmed, nothing is said");
}

#[tokio::test(start_paused = true)]
async fn groups_have_versions_and_evidence_of_their_own() {
    let phases = "[{ name: p, lasts: 1m, inject: [{ fault: { error: { status: 503 } }, group: b }] }]";
    let release = "{ ab: { versions: { a: v1, b: v2 } } }";
    let handle = armed_with(scenario("share: 80%, groups: { a: 50%, b: 50% }", release, phases));
    let versions = versions(&handle).await;
    let [a, b] = ["v1", "v2"].map(|name| with(&versions, name).len() as u64);
    let phase = handle.evidence().unwrap().phases.remove(0);
    assert!(a > 20 && b > 20 && a + b < 95, "{a} and {b}, and the rest has no version");
    assert_eq!([&phase.groups["a"], &phase.groups["b"]].map(ArmEvidence::requests), [a, b]);
    assert_eq!([&phase.groups["a"], &phase.groups["b"]].map(ArmEvidence::failed), [0, b]);
    assert_eq!((phase.treated.requests(), phase.control.requests()), (a + b, 100 - a - b));
    assert_eq!(phase.groups["a"].predictions, 2 * a, "what was read counts for the group, too");
    let mut twice = handle.evidence().unwrap();
    twice.merge(&handle.evidence().unwrap());
    assert_eq!(twice.phases[0].groups["b"].requests(), 2 * b, "over sidecars");
}

/// Where each of a hundred users' requests went.
async fn routed(handle: &Handle) -> (BTreeSet<u32>, BTreeMap<u32, Option<String>>) {
    let (mut routed, mut versions) = (BTreeSet::new(), BTreeMap::new());
    for user in 0..100 {
        let to = Mutex::new(None);
        let service = service_fn(|request: Request<RequestBody<Full<Bytes>>>| {
            *to.lock().unwrap() = request.extensions().get::<RouteTo>().cloned();
            async { Ok::<_, Infallible>(answer(ANSWER)) }
        });
        let asks = from(&format!("u{user}"), &format!("r{user}"));
        let response = ChaosLayer::new(handle.clone()).layer(service).oneshot(asks).await.unwrap();
        versions.insert(user, version(&response));
        if let Some(RouteTo(address)) = to.into_inner().unwrap() {
            assert_eq!(address, CANDIDATE);
            routed.insert(user);
        }
    }
    (routed, versions)
}

const ROUTED: &str = "{ canary: { baseline: v1, candidate: v2, upstream: new } }";

#[tokio::test(start_paused = true)]
async fn a_candidate_with_an_upstream_is_asked_by_its_own_units_and_no_others() {
    let plan = scenario("share: 30%", ROUTED, "[{ name: p, lasts: 1m, share: 30% }]");
    let handle = armed_with(plan);
    let (first, versions) = routed(&handle).await;
    assert_eq!(first, with(&versions, "v2"));
    assert!((15..45).contains(&first.len()), "{first:?}");
    assert_eq!(routed(&handle).await.0, first, "the same units again");
    let lines = handle.ledger().lines();
    assert_eq!(lines.len(), 2 * first.len());
    assert_eq!(
        (lines[0].fault.as_str(), lines[0].change.as_str()),
        ("p/release", "asked http://127.0.0.1:7/")
    );
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_request_that_could_not_go_to_its_version_does_not_claim_it() {
    let plan = scenario("share: 30%", ROUTED, "[{ name: p, lasts: 1m, share: 30% }]");
    let ledger = Ledger::file(std::path::Path::new("/dev/full"), 8).unwrap();
    let handle = Handle::with_ledger(Limits::default(), ledger.clone()).with_candidates(candidates());
    handle.arm(Arc::new(plan), Duration::from_secs(300)).unwrap();
    routed(&handle).await;
    assert!(ledger.flush().await.is_err(), "the disk is full");
    let (routed, versions) = routed(&handle).await;
    let told = with(&versions, "v2");
    assert_eq!((told.len(), routed.len()), (0, 0), "nothing goes where it is not recorded");
    assert!(versions.values().filter(|version| version.is_none()).count() > 15);
}

#[tokio::test(start_paused = true)]
async fn an_upstream_that_nobody_knows_is_refused_when_arming() {
    let handle = Handle::default();
    let plan = Arc::new(scenario("share: 30%", ROUTED, "[{ name: p, lasts: 1m, share: 30% }]"));
    let refused = handle.arm(plan, Duration::from_secs(1)).unwrap_err();
    assert_eq!(refused, ArmError::NoSuchUpstream("new".into()));
    assert!(refused.to_string().contains("--candidate new=URL"), "{refused}");
    assert!(!handle.is_armed());
}

#[tokio::test(start_paused = true)]
async fn a_request_that_asks_for_a_fault_has_no_version() {
    let handle = armed_with(scenario("share: 40%", "{ canary: { baseline: v1, candidate: v2 } }", STEPS));
    let mut asks = from("u1", "r1");
    asks.headers_mut().insert("x-canard-fault", "error".parse().unwrap());
    let (response, _) = call(&handle, asks).await;
    assert_eq!((response.status().as_u16(), version(&response)), (503, None));
}

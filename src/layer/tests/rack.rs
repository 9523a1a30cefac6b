//! Several plans in force at once.

use std::collections::BTreeSet;

use super::*;
use crate::{
    evidence::Evidence,
    scenario::{Overlap, Source, compile},
};

/// A plan of one phase: its exposure and its fault, as YAML.
fn scenario(name: &str, exposure: &str, fault: &str) -> Arc<Plan> {
    let text = format!(
        "name: {name}\nseed: 7\ntarget: {{ protocol: open-inference }}\n\
         exposure: {{ unit: 'request.headers[\"x-user-id\"]', {exposure} }}\n\
         phases: [{{ name: broken, lasts: 2h, inject: [{{ fault: {fault} }}] }}]"
    );
    Arc::new(compile(&Source::new("t.yaml", text)).unwrap_or_else(|errors| panic!("{errors}")))
}

fn slow(name: &str, exposure: &str) -> Arc<Plan> {
    scenario(name, exposure, "{ latency: { fixed: 10ms } }")
}

fn from(user: &str) -> Request<Full<Bytes>> {
    let request = Request::post(INFER).header("x-request-id", user).header("x-user-id", user);
    request.body(Full::from("{}")).unwrap()
}

/// What the caller of a service under the rack gets: status, marks, body.
async fn ask(rack: &Rack, request: Request<Full<Bytes>>) -> (StatusCode, Vec<String>, String) {
    let service = service_fn(|request: Request<RackBody<RequestBody<Full<Bytes>>>>| async {
        let asked = request.into_body().collect().await.unwrap().to_bytes();
        assert_eq!(asked, "{}", "what the upstream is asked");
        Ok::<_, Infallible>(answer(ANSWER))
    });
    let response = RackLayer::new(rack.clone()).layer(service).oneshot(request).await.unwrap();
    let marks = response.headers().get_all("x-canard").iter().map(|mark| mark.to_str().unwrap().to_owned());
    let (status, marks) = (response.status(), marks.collect());
    (status, marks, text(response).await)
}

fn perturbed(evidence: &Evidence) -> u64 {
    evidence.phases[0].faults[0].perturbed
}

#[tokio::test(start_paused = true)]
async fn plans_of_different_layers_act_on_one_request_and_end_one_by_one() {
    let rack = Rack::new(Limits::default());
    let (status, marks, plain) = ask(&rack, from("ada")).await;
    assert_eq!((status, marks.len(), plain.as_str()), (StatusCode::OK, 0, ANSWER));

    let late = rack.arm(slow("late", "share: 100%, layer: serving"), TTL).unwrap();
    let wrong = "{ freeze: { value: 0 } }";
    let stuck = rack.arm(scenario("stuck", "share: 100%, layer: model", wrong), TTL).unwrap();
    let down = "{ error: { status: 503 } }";
    let third = rack.arm(scenario("down", "share: 50%, layer: edge", down), TTL).unwrap();
    let named: Vec<_> = rack.status().into_iter().map(|lease| (lease.id, lease.scenario)).collect();
    assert_eq!(named, [(late, "late".into()), (stuck, "stuck".into()), (third, "down".into())]);

    let mut failed = 0;
    for user in 0..200 {
        let (status, marks, body) = ask(&rack, from(&format!("u{user}"))).await;
        if status == 503 {
            // What the innermost plan answers is what the others find.
            assert_eq!(marks, ["down/error", "late/latency"]);
            failed += 1;
        } else {
            assert_eq!(marks, ["stuck/freeze", "late/latency"]);
            assert_eq!(body, ANSWER.replace("[2, 1]", "[0, 0]"));
        }
    }
    let of = |lease| rack.evidence(lease).unwrap();
    assert!((70..=130).contains(&failed), "{failed}");
    assert_eq!((perturbed(&of(late)), perturbed(&of(third))), (200, failed));
    assert_eq!(perturbed(&of(stuck)), 200 - failed);
    assert_eq!(rack.ledger().lines().len() as u64, 400);

    rack.disarm(late).unwrap();
    assert_eq!(ask(&rack, from("ada")).await.1.len(), 1, "the others go on");
    rack.stop();
    assert!(rack.status().is_empty() && !rack.is_armed());
    assert_eq!(ask(&rack, from("ada")).await.2, ANSWER);
    assert_eq!(perturbed(&of(late)), 200, "its evidence stays readable");
    assert_eq!(rack.disarm(stuck), Err(ArmError::NoSuchLease));
    assert_eq!(rack.totals().injections["latency"], 200);
}

#[tokio::test(start_paused = true)]
async fn each_lease_runs_out_by_itself() {
    let rack = Rack::new(Limits::default());
    let first = rack.arm(slow("first", "share: 100%, layer: a"), Duration::from_secs(1)).unwrap();
    let second = rack.arm(slow("second", "share: 100%, layer: b"), Duration::from_secs(3)).unwrap();
    let armed = || rack.status().iter().map(|lease| lease.id).collect::<Vec<_>>();
    tokio::time::advance(Duration::from_secs(2)).await;
    assert_eq!(armed(), [second]);
    // The slot is free for another, and the ids of leases never come again.
    let third = rack.arm(slow("third", "share: 100%, layer: a"), TTL).unwrap();
    assert_eq!(armed(), [third, second]);
    assert!(third != first && third != second);
    rack.renew(second, TTL).unwrap();
    assert_eq!(rack.renew(first, TTL), Err(ArmError::NoSuchLease));
    tokio::time::advance(TTL).await;
    assert!(armed().is_empty());
    assert_eq!(ask(&rack, from("ada")).await.1.len(), 0);
}

#[tokio::test(start_paused = true)]
async fn what_may_share_units_is_not_armed_beside() {
    let rack = Rack::new(Limits::default());
    let arm = |name: &str, exposure: &str| rack.arm(slow(name, exposure), TTL);
    arm("one", "share: 30%, from: 10%, layer: serving").unwrap();
    let refused = |name: &str, exposure: &str| arm(name, exposure).unwrap_err();
    assert_eq!(refused("bare", "share: 1%"), ArmError::NoLayer("one".into()));
    let why = |name: &str, exposure: &str| match refused(name, exposure) {
        ArmError::Overlaps { scenario, why } => (scenario, why),
        other => panic!("{other}"),
    };
    assert_eq!(why("whole", "share: 1%, layer: serving"), ("one".into(), Overlap::Draws));
    let (_, slices) = why("next", "share: 1%, from: 39%, layer: serving");
    assert!(matches!(slices, Overlap::Slices(_)), "{slices}");

    arm("beside", "share: 60%, from: 40%, layer: serving").unwrap();
    for layer in 2..SLOTS {
        arm(&format!("s{layer}"), &format!("share: 1%, layer: l{layer}")).unwrap();
    }
    assert_eq!(refused("more", "share: 1%, layer: more"), ArmError::Full(SLOTS));
    let one: Rack = Handle::default().into();
    one.arm(slow("one", "share: 1%, layer: a"), TTL).unwrap();
    assert_eq!(one.arm(slow("two", "share: 1%, layer: b"), TTL), Err(ArmError::Full(1)));
}

#[tokio::test(start_paused = true)]
async fn units_overlap_as_promised() {
    let rack = Rack::new(Limits { ledger_queue: 1 << 16, ..Limits::default() });
    rack.arm(slow("a", "share: 20%, from: 0%, layer: one"), TTL).unwrap();
    rack.arm(slow("b", "share: 30%, from: 20%, layer: one"), TTL).unwrap();
    rack.arm(slow("c", "share: 40%, layer: two"), TTL).unwrap();
    let users = 3000;
    for user in 0..users {
        ask(&rack, from(&format!("user-{user}"))).await;
        if user % 100 == 0 {
            rack.status().iter().for_each(|lease| rack.renew(lease.id, TTL).unwrap());
        }
    }
    let lines = rack.ledger().lines();
    let touched = |name: &str| -> BTreeSet<_> {
        lines.iter().filter(|line| line.scenario == name).map(|line| line.unit).collect()
    };
    let (a, b, c) = (touched("a"), touched("b"), touched("c"));
    assert_eq!(a.intersection(&b).count(), 0, "one layer never shares a unit");
    let near = |count: usize, share: f64| {
        let (mean, spread) = (f64::from(users) * share, (f64::from(users) * share * (1.0 - share)).sqrt());
        assert!((count as f64 - mean).abs() < 5.0 * spread, "{count} of {users}, {share} expected");
    };
    near(a.len(), 0.2);
    near(b.len(), 0.3);
    near(c.len(), 0.4);
    near(a.intersection(&c).count(), 0.08);
    near(b.intersection(&c).count(), 0.12);
}

#[tokio::test(start_paused = true)]
async fn a_request_asks_every_plan() {
    let rack = Rack::new(Limits::default()).with_request_control();
    let down = "{ error: { status: 503 } }";
    let asking = |names: &str| {
        let mut request = from("ada");
        request.headers_mut().insert("x-canard-fault", names.parse().unwrap());
        request
    };
    let unknown = async |names: &str| {
        let service = service_fn(|request: Request<RackBody<RequestBody<Full<Bytes>>>>| async move {
            assert!(!request.headers().contains_key("x-canard-fault"), "it never reaches the upstream");
            Ok::<_, Infallible>(answer(ANSWER))
        });
        let response = RackLayer::new(rack.clone()).layer(service).oneshot(asking(names)).await.unwrap();
        let header = response.headers().get("x-canard-fault-unknown");
        (response.status().as_u16(), header.map(|names| names.to_str().unwrap().to_owned()))
    };
    rack.arm(slow("late", "share: 1%, layer: a"), TTL).unwrap();
    assert_eq!(unknown("error").await, (200, Some("error".into())));
    rack.arm(scenario("down", "share: 1%, layer: b", down), TTL).unwrap();
    assert_eq!(unknown("latency, nothing").await, (200, Some("nothing".into())));
    assert_eq!(unknown("latency, error").await, (503, None));
    let asked: Vec<_> =
        rack.ledger().lines().into_iter().map(|line| (line.scenario, line.asked_for)).collect();
    assert_eq!(asked, [("late".into(), true), ("late".into(), true), ("down".into(), true)]);
}

#[tokio::test(start_paused = true)]
async fn slots_keep_apart_whoever_arms_them() {
    let rack = Rack::new(Limits::default());
    rack.arm(slow("one", "share: 30%, from: 0%, layer: l"), TTL).unwrap();
    let slot = rack.slot(1).unwrap();
    let refused = slot.arm(slow("two", "share: 30%, from: 10%, layer: l"), TTL).unwrap_err();
    assert!(matches!(refused, ArmError::Overlaps { .. }), "{refused}");
    assert_eq!(slot.arm(slow("bare", "share: 1%"), TTL), Err(ArmError::NoLayer("one".into())));
    slot.arm(slow("beside", "share: 30%, from: 30%, layer: l"), TTL).unwrap();
    assert!(rack.slot(SLOTS).is_none());
}

#[tokio::test(start_paused = true)]
async fn a_request_without_an_id_is_the_same_unit_for_every_plan() {
    let by_request = |name: &str, from: &str| {
        let text = format!(
            "name: {name}\ntarget: {{ protocol: open-inference }}\n\
             exposure: {{ share: 50%, from: {from}, layer: l }}\n\
             phases: [{{ name: broken, lasts: 2h, inject: [{{ fault: {{ latency: {{ fixed: 1ms }} }} }}] }}]"
        );
        Arc::new(compile(&Source::new("t.yaml", text)).unwrap())
    };
    let rack = Rack::new(Limits::default());
    let ask_without_id = async || ask(&rack, Request::post(INFER).body(Full::from("{}")).unwrap()).await.1;
    rack.arm(by_request("low", "0%"), TTL).unwrap();
    for _ in 0..7 {
        ask_without_id().await;
    }
    rack.arm(by_request("high", "50%"), TTL).unwrap();
    for _ in 0..200 {
        assert_eq!(ask_without_id().await.len(), 1, "in one of the two slices, and never in both");
    }
}

#[tokio::test(start_paused = true)]
async fn who_asked_one_plan_is_in_no_arm_of_another() {
    let rack = Rack::new(Limits::default()).with_request_control();
    let late = rack.arm(slow("late", "share: 100%, layer: a"), TTL).unwrap();
    let down = "{ error: { status: 503 } }";
    let down = rack.arm(scenario("down", "share: 1%, layer: b", down), TTL).unwrap();
    let mut request = from("ada");
    request.headers_mut().insert("x-canard-fault", "error".parse().unwrap());
    let (status, marks, _) = ask(&rack, request).await;
    assert_eq!((status.as_u16(), marks), (503, vec!["down/error".to_owned()]));
    for lease in [late, down] {
        let evidence = rack.evidence(lease).unwrap();
        assert_eq!(evidence.not_assigned, [("asked".to_owned(), 1)].into());
        assert_eq!(evidence.phases[0].treated.statuses.len() + evidence.phases[0].control.statuses.len(), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn a_change_that_is_refused_changes_nothing() {
    let rack = Rack::new(Limits::default());
    let lease = rack.arm(slow("one", "share: 100%, layer: l"), TTL).unwrap();
    let never = || Some(slow("one", "share: 1%, layer: l"));
    assert_eq!(
        rack.update(lease, TTL, never(), Some("nowhere")),
        Err(ArmError::NoSuchPhase("nowhere".into()))
    );
    let too_long = rack.update(lease, Duration::from_secs(3600), never(), None);
    assert!(matches!(too_long, Err(ArmError::TimeToLive(_))), "{too_long:?}");
    assert_eq!(ask(&rack, from("ada")).await.1.len(), 1, "the old plan goes on");
    assert!((rack.status()[0].expires_in_s - TTL.as_secs_f64()).abs() < 0.1);
    rack.update(lease, TTL, never(), Some("broken")).unwrap();
    let mut touched = 0;
    for user in 0..100 {
        touched += ask(&rack, from(&format!("u{user}"))).await.1.len();
    }
    assert!(touched < 10, "{touched}");
}

#[tokio::test(start_paused = true)]
async fn a_request_is_routed_once() {
    let to = |name: &str| Candidate {
        name: Some(name.to_owned()),
        address: format!("http://{name}.example").parse().unwrap(),
    };
    let rack = Rack::new(Limits::default()).with_candidates([to("old"), to("next")]);
    let stale = |name: &str, layer: &str| {
        let fault = format!("{{ stale-model: {{ upstream: {name} }} }}");
        scenario(name, &format!("share: 100%, layer: {layer}"), &fault)
    };
    rack.arm(stale("old", "a"), TTL).unwrap();
    let second = rack.arm(stale("next", "b"), TTL).unwrap();
    let service = service_fn(|request: Request<RackBody<RequestBody<Full<Bytes>>>>| async move {
        assert_eq!(request.extensions().get::<RouteTo>().unwrap().0.host(), Some("old.example"));
        Ok::<_, Infallible>(answer(ANSWER))
    });
    let response = RackLayer::new(rack.clone()).layer(service).oneshot(from("ada")).await.unwrap();
    drop(response);
    assert_eq!(rack.ledger().lines().len(), 1);
    let fault = rack.evidence(second).unwrap().phases[0].faults[0].clone();
    assert_eq!((fault.perturbed, fault.skipped), (0, [("superseded".to_owned(), 1)].into()));
}

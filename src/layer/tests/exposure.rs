//! Who is touched, and what caps take away, through the layer.

use super::*;
use crate::{
    draw::UnitHash,
    exposure::is_held_out,
    scenario::{Source, compile},
    unit::Share,
};

fn armed_with(exposure: &str, limits: Limits) -> Handle {
    let text = format!(
        "name: t\ntarget: {{ protocol: http }}\nexposure: {exposure}\n\
         phases: [{{ name: broken, lasts: 2h, inject: [{{ fault: {{ error: {{ status: 503 }} }} }}] }}]"
    );
    let plan = compile(&Source::new("t.yaml", text)).unwrap_or_else(|errors| panic!("{errors}"));
    let handle = Handle::new(limits).with_request_control();
    handle.arm(Arc::new(plan), Duration::from_secs(300)).unwrap();
    handle
}

pub(super) fn from(user: &str, id: &str) -> Request<Full<Bytes>> {
    let request = Request::post(INFER).header("x-request-id", id).header("x-user-id", user);
    request.body(Full::from("{}")).unwrap()
}

async fn fails(handle: &Handle, request: Request<Full<Bytes>>) -> bool {
    call(handle, request).await.0.status() == 503
}

#[tokio::test(start_paused = true)]
async fn what_a_cap_takes_away_is_skipped_and_the_ledger_has_the_rest() {
    let handle = armed_with("{ share: 100%, caps: { total: 3 } }", Limits::default());
    let mut failed = 0;
    for number in 0..10 {
        failed += u64::from(fails(&handle, request(&format!("r{number}"))).await);
    }
    let fault = fault(&handle);
    assert_eq!((failed, fault.perturbed, fault.exposed), (3, 3, 10));
    assert_eq!(fault.skipped, [("cap-total".to_owned(), 7)].into());
    assert_eq!(handle.ledger().lines().len(), 3);
    assert_eq!(handle.totals().skipped, [(("error".to_owned(), "cap-total".to_owned()), 7)].into());
}

#[tokio::test(start_paused = true)]
async fn a_unit_is_harmed_k_times_an_hour() {
    let unit = "unit: 'request.headers[\"x-user-id\"]'";
    let handle = armed_with(
        &format!("{{ {unit}, share: 100%, caps: {{ per-unit-per-hour: 2 }} }}"),
        Limits { lease: Duration::from_secs(7200), ..Limits::default() },
    );
    let lease = handle.status().lease.unwrap().id;
    handle.renew(lease, Duration::from_secs(7200)).unwrap();
    let mut failed = [0; 2];
    for number in 0..5 {
        for (user, failed) in ["ada", "bob"].into_iter().zip(&mut failed) {
            *failed += u32::from(fails(&handle, from(user, &format!("{user}{number}"))).await);
        }
    }
    assert_eq!(failed, [2, 2]);
    tokio::time::advance(Duration::from_secs(3_602)).await;
    assert!(fails(&handle, from("ada", "later")).await);
}

#[tokio::test(start_paused = true)]
async fn a_fault_has_its_place_until_the_response_has_passed() {
    let handle = armed_with("{ share: 100%, caps: { concurrent: 1 } }", Limits::default());
    let (held, _) = call(&handle, request("first")).await;
    assert_eq!(held.status(), 503);
    assert!(!fails(&handle, request("second")).await, "the first is still on its way");
    drop(held);
    assert!(fails(&handle, request("third")).await);
    assert_eq!(fault(&handle).skipped, [("cap-concurrent".to_owned(), 1)].into());
}

#[tokio::test(start_paused = true)]
async fn what_is_held_out_is_touched_by_nobody_not_even_on_request() {
    let holdout = "50%".parse::<Share>().unwrap();
    let unit = "unit: 'request.headers[\"x-user-id\"]'";
    let handle = armed_with(&format!("{{ {unit}, share: 100% }}"), Limits { holdout, ..Limits::default() });
    for number in 0..50 {
        let user = format!("u{number}");
        let held_out = is_held_out(UnitHash::of(user.as_bytes()), holdout);
        assert_eq!(fails(&handle, from(&user, &user)).await, !held_out);
        let mut asking = from(&user, &user);
        asking.headers_mut().insert("x-canard-fault", "error".parse().unwrap());
        assert_eq!(fails(&handle, asking).await, !held_out, "a request that asks for it");
    }
    assert!(handle.evidence().unwrap().not_assigned["denied"] > 10);
}

#[tokio::test(start_paused = true)]
async fn what_a_request_asks_for_is_on_record_under_its_unit() {
    let unit = "unit: 'request.headers[\"x-user-id\"]'";
    let handle =
        armed_with(&format!("{{ {unit}, share: 1%, caps: {{ per-unit-per-hour: 2 }} }}"), Limits::default());
    let mut failed = 0;
    for number in 0..4 {
        let mut asking = from("ada", &format!("r{number}"));
        asking.headers_mut().insert("x-canard-fault", "error".parse().unwrap());
        failed += u32::from(fails(&handle, asking).await);
    }
    assert_eq!(failed, 2, "the unit's cap holds for what is asked for, too");
    let units: Vec<_> = handle.ledger().lines().iter().map(|line| line.unit).collect();
    assert_eq!(units, [UnitHash::of(b"ada"); 2]);
}

//! Arming, renewing, skipping and disarming.

use super::*;

#[tokio::test]
async fn disarmed_everything_passes_and_nothing_is_cloned() {
    struct NoClone;
    impl Clone for NoClone {
        fn clone(&self) -> Self {
            panic!("a disarmed layer clones its service")
        }
    }
    impl Service<Request<RequestBody<Full<Bytes>>>> for NoClone {
        type Response = Response<Full<Bytes>>;
        type Error = Infallible;
        type Future = std::future::Ready<Result<Self::Response, Infallible>>;
        fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
            Poll::Ready(Ok(()))
        }
        fn call(&mut self, _: Request<RequestBody<Full<Bytes>>>) -> Self::Future {
            std::future::ready(Ok(answer(ANSWER)))
        }
    }
    let handle = Handle::default();
    let mut service = ChaosLayer::new(handle.clone()).layer(NoClone);
    let response = service.ready().await.unwrap().call(request("a")).await.unwrap();
    assert!(response.headers().get("x-canard").is_none());
    assert!(response.extensions().get::<Exposed>().is_none());
    assert_eq!(text(response).await, ANSWER);
    assert_eq!(handle.evidence(), None);
}

#[tokio::test(start_paused = true)]
async fn a_sleeper_wakes_when_the_lease_runs_out_and_not_before() {
    for (fault, asked_after) in
        [(r#"{"hang": {}}"#, 30), (r#"{"latency": {"fixed": "40s"}}"#, 30), (r#"{"hang": {"for": "3s"}}"#, 3)]
    {
        let (handle, _) = armed(&[fault]);
        let start = Instant::now();
        let (response, asked) = call(&handle, request("a")).await;
        assert_eq!((start.elapsed().as_secs(), asked), (asked_after, 1), "{fault}");
        assert_eq!(text(response).await, ANSWER);
        assert_eq!(handle.status().lease.is_none(), asked_after == 30);
        assert_eq!(handle.is_armed(), asked_after != 30);
    }
}

#[tokio::test(start_paused = true)]
async fn a_renewed_lease_keeps_sleepers_asleep_until_their_phase_ends() {
    let (handle, lease) = armed(&[r#"{"hang": {}}"#]);
    let start = Instant::now();
    let renewals = async {
        for _ in 0..10 {
            tokio::time::sleep(Duration::from_secs(20)).await;
            if handle.renew(lease, TTL).is_err() {
                break;
            }
        }
    };
    let held = async {
        let (response, _) = call(&handle, request("a")).await;
        (start.elapsed().as_secs(), response)
    };
    let (_, (seconds, response)) = tokio::join!(renewals, held);
    // The hang is over with its phase (60 s), not with the first lease (30 s).
    assert_eq!(seconds, 60);
    assert_eq!(text(response).await, ANSWER);
}

#[tokio::test(start_paused = true)]
async fn a_hang_ends_with_its_phase_and_a_delay_keeps_its_length() {
    let (handle, lease) = armed(&[r#"{"hang": {}}"#]);
    handle.renew(lease, Duration::from_secs(300)).unwrap();
    let start = Instant::now();
    call(&handle, request("a")).await;
    assert_eq!(start.elapsed().as_secs(), 60, "recovery is recovery");
    let (_, asked) = call(&handle, request("b")).await;
    assert_eq!(asked, 1, "nothing acts after the end");
    for fault in [r#"{"latency": {"fixed": "90s"}}"#, r#"{"hang": {"for": "90s"}}"#] {
        let (handle, lease) = armed(&[fault]);
        handle.renew(lease, Duration::from_secs(300)).unwrap();
        let start = Instant::now();
        call(&handle, request("a")).await;
        assert_eq!(start.elapsed().as_secs(), 90, "{fault}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_hang_ends_when_its_phase_is_skipped() {
    let (handle, lease) = armed(&[r#"{"hang": {}}"#]);
    let start = Instant::now();
    let skip = async {
        tokio::time::sleep(Duration::from_secs(5)).await;
        handle.skip_to(lease, "recovery").unwrap();
    };
    let (_, (response, asked)) = tokio::join!(skip, call(&handle, request("a")));
    assert_eq!((start.elapsed().as_secs(), asked), (5, 1));
    assert_eq!(text(response).await, ANSWER);
}

#[tokio::test(start_paused = true)]
async fn a_hang_whose_turn_comes_after_its_phase_passes() {
    let (handle, lease) = armed(&[r#"{"latency": {"fixed": "70s"}}"#, r#"{"hang": {}}"#]);
    handle.renew(lease, Duration::from_secs(300)).unwrap();
    let start = Instant::now();
    let (_, asked) = call(&handle, request("a")).await;
    assert_eq!((start.elapsed().as_secs(), asked), (70, 1));
    let faults = handle.evidence().unwrap().phases[0].faults.clone();
    assert_eq!((faults[1].perturbed, &faults[1].skipped), (0, &[("phase-over".to_owned(), 1)].into()));
}

#[tokio::test(start_paused = true)]
async fn disarm_wakes_sleepers_at_once() {
    let (handle, lease) = armed(&[r#"{"hang": {}}"#]);
    let start = Instant::now();
    let disarm = async {
        tokio::time::sleep(Duration::from_millis(1500)).await;
        handle.disarm(lease).unwrap();
    };
    let (_, (response, asked)) = tokio::join!(disarm, call(&handle, request("a")));
    assert_eq!((start.elapsed().as_millis(), asked), (1500, 1));
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(handle.disarm(lease), Err(ArmError::NoSuchLease));
}

#[tokio::test(start_paused = true)]
async fn one_lease_at_a_time_and_only_sane_times_to_live() {
    let (handle, lease) = armed(&[]);
    let second = || handle.arm(Arc::new(plan(&[])), TTL);
    assert_eq!(second(), Err(ArmError::AlreadyArmed("test".into())));
    let longest = handle.limits().lease;
    for ttl in [Duration::ZERO, longest + Duration::from_secs(1)] {
        assert_eq!(handle.renew(lease, ttl), Err(ArmError::TimeToLive(longest)));
    }
    tokio::time::advance(TTL).await;
    assert_eq!(handle.renew(lease, TTL), Err(ArmError::NoSuchLease));
    let next = second().unwrap();
    assert_ne!(next, lease);
    assert_eq!(handle.disarm(lease), Err(ArmError::NoSuchLease), "an old lease ends nothing");
    handle.stop();
    assert!(handle.status().lease.is_none());
}

#[tokio::test(start_paused = true)]
async fn a_skip_moves_the_timeline() {
    let (handle, lease) = armed(&[r#"{"error": {"status": 503}}"#]);
    assert_eq!(call(&handle, request("a")).await.0.status(), 503);
    tokio::time::advance(Duration::from_secs(5)).await;
    handle.skip_to(lease, "recovery").unwrap();
    let status = handle.status().lease.unwrap();
    assert_eq!((status.phase.as_deref(), status.position_s), (Some("recovery"), 60.0));
    assert!(status.faults.is_empty());
    assert_eq!(call(&handle, request("a")).await.0.status(), 200);
    assert_eq!(handle.skip_to(lease, "x"), Err(ArmError::NoSuchPhase("x".into())));
}

#[tokio::test(start_paused = true)]
async fn totals_go_on_from_lease_to_lease_and_hold_no_lease() {
    let handle = Handle::default();
    assert_eq!(handle.totals(), Totals::default());
    let broken = Arc::new(plan(&[r#"{"error": {"status": 503}}"#]));
    for _ in 0..3 {
        let lease = handle.arm(broken.clone(), TTL).unwrap();
        assert_eq!(call(&handle, request("a")).await.0.status(), 503);
        handle.disarm(lease).unwrap();
    }
    // Nobody read anything in between.
    assert_eq!(handle.totals().injections, [("error".to_owned(), 3)].into());
    assert_eq!(Arc::strong_count(&broken), 2, "only the last lease is kept");
}

#[tokio::test(start_paused = true)]
async fn what_a_request_counts_after_its_lease_is_in_the_totals() {
    let handle = Handle::default();
    let slow = Arc::new(plan(&[r#"{"latency": {"fixed": "10s"}}"#, r#"{"error": {"status": 503}}"#]));
    handle.arm(slow.clone(), TTL).unwrap();
    let rearm = async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        handle.stop();
        handle.arm(Arc::new(plan(&[])), TTL).unwrap();
        assert_eq!(handle.totals().skipped, [].into());
    };
    let ((), (response, _)) = tokio::join!(rearm, call(&handle, request("a")));
    assert_eq!(response.status(), 200);
    drop(response);
    let totals = handle.totals();
    assert_eq!(totals.injections, [("error".to_owned(), 0), ("latency".to_owned(), 1)].into());
    assert_eq!(totals.skipped.values().sum::<u64>(), 1, "{totals:?}");
    assert_eq!(Arc::strong_count(&slow), 1, "nobody is left under it");
}

/// The plan of these tests with caps.
fn capped(faults: &[&str], caps: &str) -> Arc<Plan> {
    let mut plan = plan(faults);
    plan.document.exposure.caps = serde_json::from_str(caps).unwrap();
    Arc::new(plan)
}

#[tokio::test(start_paused = true)]
async fn a_plan_is_replaced_without_a_hole_in_lease_position_evidence_or_totals() {
    let (handle, lease) = armed(&[r#"{"error": {"status": 503}}"#]);
    handle.skip_to(lease, "broken").unwrap();
    text(call(&handle, request("a")).await.0).await;
    tokio::time::sleep(Duration::from_secs(7)).await;
    let before = handle.status().lease.unwrap();
    handle.replace(lease, Arc::new(plan(&[r#"{"error": {"status": 429}}"#]))).unwrap();
    assert_eq!(handle.status().lease.unwrap(), before, "the same lease, at the same place");
    let (response, _) = call(&handle, request("b")).await;
    assert_eq!(response.status(), 429);
    text(response).await;
    let statuses = treated(&handle).statuses;
    assert_eq!((statuses[&503], statuses[&429], fault(&handle).perturbed), (1, 1, 2));
    assert_eq!(handle.totals().injections["error"], 2, "nothing counts twice");
    tokio::time::sleep(Duration::from_secs(24)).await;
    assert!(handle.status().lease.is_none(), "it ends when it was to end");
    assert_eq!((fault(&handle).perturbed, handle.totals().injections["error"]), (2, 2));
}

#[tokio::test(start_paused = true)]
async fn a_request_under_way_keeps_to_the_plan_that_was_replaced_and_still_counts() {
    let (handle, lease) = armed(&[r#"{"latency": {"fixed": "10s"}}"#]);
    let start = Instant::now();
    let replace = async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        handle.replace(lease, Arc::new(plan(&[r#"{"latency": {"fixed": "20s"}}"#]))).unwrap();
        let replaced = Instant::now();
        call(&handle, request("b")).await;
        replaced.elapsed().as_secs()
    };
    let old = async {
        call(&handle, request("a")).await;
        start.elapsed().as_secs()
    };
    assert_eq!(tokio::join!(replace, old), (20, 10));
    assert_eq!(fault(&handle).perturbed, 2);
    // One that sleeps under a replaced plan wakes up with the lease.
    let disarm = async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        handle.replace(lease, Arc::new(plan(&[r#"{"latency": {"fixed": "1s"}}"#]))).unwrap();
        handle.disarm(lease).unwrap();
    };
    let start = Instant::now();
    tokio::join!(disarm, call(&handle, request("c")));
    assert_eq!(start.elapsed().as_secs(), 1);
    handle.arm(Arc::new(plan(&[])), TTL).unwrap();
    assert_eq!(handle.totals().injections["latency"], 3);
}

#[tokio::test(start_paused = true)]
async fn caps_count_on_when_a_plan_is_replaced() {
    let error = [r#"{"error": {"status": 503}}"#];
    let handle = Handle::default();
    let lease = handle.arm(capped(&error, r#"{ "total": 2, "per-unit-per-hour": 2 }"#), TTL).unwrap();
    call(&handle, request("a")).await;
    call(&handle, request("a")).await;
    handle.replace(lease, capped(&error, r#"{ "total": 3, "per-unit-per-hour": 2 }"#)).unwrap();
    call(&handle, request("a")).await;
    assert_eq!(fault(&handle).perturbed, 2, "the unit had its two");
    call(&handle, request("b")).await;
    call(&handle, request("c")).await;
    assert_eq!(fault(&handle).perturbed, 3, "and three in all are enough");
    // A cap that is new counts what was injected before; one on the rate begins with nothing left.
    handle.replace(lease, Arc::new(plan(&error))).unwrap();
    call(&handle, request("d")).await;
    handle.replace(lease, capped(&error, r#"{ "total": 5, "rate": "1/s" }"#)).unwrap();
    call(&handle, request("e")).await;
    assert_eq!(fault(&handle).perturbed, 4);
    tokio::time::sleep(Duration::from_secs(2)).await;
    call(&handle, request("f")).await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    call(&handle, request("g")).await;
    assert_eq!(fault(&handle).perturbed, 5);
}

#[tokio::test(start_paused = true)]
async fn what_can_not_be_replaced_stays_as_it_was() {
    let (handle, lease) = armed(&[r#"{"error": {"status": 503}}"#]);
    let other = Arc::new(plan(&[r#"{"hang": {}}"#]));
    let refused = handle.replace(lease, other.clone()).unwrap_err();
    assert!(matches!(&refused, ArmError::OtherStructure(why) if why.contains("other faults")), "{refused}");
    assert_eq!(call(&handle, request("a")).await.0.status(), 503);
    handle.disarm(lease).unwrap();
    assert_eq!(handle.replace(lease, other), Err(ArmError::NoSuchLease));
}

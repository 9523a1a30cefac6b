//! What is ordered while a run goes on: another plan, or its end.

use super::{
    targets::{Odd, Replaces},
    *,
};

const FAILING: &str = r#"
phases:
  - name: failing
    lasts: 40s
    inject: [{ fault: { error: { status: 503, rate: 10% } } }]
"#;

#[tokio::test(start_paused = true)]
async fn a_plan_is_replaced_while_it_is_armed_and_one_of_another_structure_is_not() {
    let callers = callers();
    let (mut run, mut events) = run_of(plan(FAILING), local(&callers.handle)).await;
    let (giver, orders) = orders();
    run.orders = orders;
    let orders = async {
        sleep(Duration::from_secs(10)).await;
        giver.replace(plan(&FAILING.replace("40s", "50s")));
        sleep(Duration::from_secs(10)).await;
        giver.replace(plan(&FAILING.replace("10%", "100%")));
        std::future::pending::<()>().await;
    };
    let report = tokio::select! { report = play(run, std::future::pending()) => report, () = orders => unreachable!() };
    assert_eq!(report.ending, Ending::Completed, "{report:#?}");
    let delivery = &report.deliveries[0];
    let share = delivery.perturbed as f64 / delivery.exposed as f64;
    assert!((0.45..0.65).contains(&share), "half the time 10%, half 100%: {share}");
    assert_eq!(delivery.fault.rate, 1.0, "told by the plan that was armed last");
    assert_eq!(report.outline.phases[0].faults[0].rate, 1.0);
    let mut notices = Vec::new();
    while let Ok(event) = events.try_recv() {
        if let Kind::Notice { message } = event.kind {
            notices.push(message);
        }
    }
    let has = |words: &str| assert!(notices.iter().any(|notice| notice.contains(words)), "{notices:?}");
    has("takes effect at the next run, the plan that is armed goes on: phase `failing` begins or ends");
    has("the plan was replaced during phase `failing`");
}

#[tokio::test(start_paused = true)]
async fn a_run_that_is_not_permitted_any_more_disarms_and_exits_with_4() {
    let callers = callers();
    let (mut run, _events) = run_of(plan(FAILING), local(&callers.handle)).await;
    let (giver, orders) = orders();
    run.orders = orders;
    let withdraw = async {
        sleep(Duration::from_secs(10)).await;
        giver.withdraw("the consent is gone");
        giver.withdraw("not this one");
        std::future::pending::<()>().await;
    };
    let report = tokio::select! { report = play(run, std::future::pending()) => report, () = withdraw => unreachable!() };
    assert_eq!((report.exit_code, report.ending), (4, Ending::Withdrawn));
    assert_eq!(report.ending_detail.as_deref(), Some("the consent is gone"));
    assert!(report.ended.since(report.started) < 15.0);
    assert!(!callers.handle.is_armed());
}

#[tokio::test]
async fn a_fleet_replaces_its_plan_everywhere_or_nowhere() {
    let (old, new) = (plan(FAILING), plan(&FAILING.replace("10%", "100%")));
    let answers: [(fn() -> TargetError, bool); 2] = [
        (|| TargetError::Refused("no".into()), false),
        (|| TargetError::Unreachable("silence".into()), true),
    ];
    for (answer, splits) in answers {
        let (one, other) = (Handle::default(), Handle::default());
        let stubborn = Odd { replaces: Replaces::Never(answer), ..Odd::of(&other) };
        let fleet = Fleet::new(vec![Box::new(Local(one.clone().into())), Box::new(stubborn)]);
        let ttl = Duration::from_secs(10);
        fleet.arm(&old, ttl).await.unwrap();
        let error = fleet.replace(&old, &new, ttl).await.unwrap_err();
        assert_eq!(matches!(error, ReplaceError::Split(_)), splits, "{error}");
        assert!(error.to_string().contains("odd: "), "{error}");
        let model = service_fn(|_: Request<RequestBody<Full<Bytes>>>| async {
            Ok::<_, Infallible>(Response::new(Full::new(Bytes::from_static(b"{}"))))
        });
        let service = ChaosLayer::new(one).layer(model);
        let mut failed = 0;
        for n in 0..200 {
            let request = Request::post("/v2/models/m/infer").header("x-user-id", format!("u{n}"));
            let request = request.header("x-request-id", n.to_string()).body(Full::default()).unwrap();
            let Ok(response) = service.clone().oneshot(request).await;
            failed += u32::from(response.status() == 503);
        }
        assert!((1..30).contains(&failed), "the old plan is back: {failed} of 200");
    }
}

#[tokio::test(start_paused = true)]
async fn phases_that_were_over_are_told_of_by_the_plan_that_they_had() {
    const TWO: &str = r#"
phases:
  - { name: first, lasts: 20s, inject: [{ fault: { error: { status: 503, rate: 10% } } }] }
  - { name: second, lasts: 20s, inject: [{ fault: { error: { status: 503, rate: 10% } } }] }
"#;
    let callers = callers();
    let (mut run, _events) = run_of(plan(TWO), local(&callers.handle)).await;
    let (giver, orders) = orders();
    run.orders = orders;
    let change = async {
        sleep(Duration::from_secs(25)).await;
        giver.replace(plan(&TWO.replace("10%", "100%")));
        std::future::pending::<()>().await;
    };
    let report = tokio::select! { report = play(run, std::future::pending()) => report, () = change => unreachable!() };
    let rates: Vec<f64> = report.outline.phases.iter().map(|phase| phase.faults[0].rate).collect();
    assert_eq!(rates, [0.1, 1.0]);
    let rates: Vec<f64> = report.deliveries.iter().map(|delivery| delivery.fault.rate).collect();
    assert_eq!(rates, [0.1, 1.0], "{report:#?}");
    assert!(report.deliveries.iter().all(|d| d.delivered == crate::event::Delivered::Yes), "{report:#?}");
}

#[tokio::test(start_paused = true)]
async fn a_lost_lease_does_not_wait_for_a_plan_on_its_way() {
    let callers = callers();
    let slow = Odd { replaces: Replaces::After(Duration::from_secs(25)), ..Odd::of(&callers.handle) };
    let (mut run, _events) = run_of(plan(FAILING), Fleet::new(vec![Box::new(slow)])).await;
    let (giver, orders) = orders();
    run.orders = orders;
    let change = async {
        sleep(Duration::from_secs(5)).await;
        giver.replace(plan(&FAILING.replace("10%", "100%")));
        sleep(Duration::from_secs(5)).await;
        callers.handle.stop();
        std::future::pending::<()>().await;
    };
    let report = tokio::select! { report = play(run, std::future::pending()) => report, () = change => unreachable!() };
    assert!(report.ending_detail.as_deref().is_some_and(|why| why.contains("lost the lease")), "{report:#?}");
    assert!(report.phases[0].ended.since(report.started) < 15.0, "{report:#?}");
}

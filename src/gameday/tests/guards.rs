//! Guards and what has to hold: before the first fault, and during the run.

use std::sync::atomic::AtomicBool;

use serde_json::json;

use super::*;
use crate::{
    clock,
    event::AlertState,
    monitor::{AlertInstance, ProbeAnswer, ProbeSource, Rule},
};

/// A probe that answers as its script says, look by look (from 0).
fn scripted(
    script: impl Fn(u64) -> Result<serde_json::Value, MonitorError> + Send + Sync + 'static,
) -> Vec<(String, ProbeSource)> {
    let looks = AtomicU64::new(0);
    let ask: ProbeSource = Arc::new(move || {
        let answer = script(looks.fetch_add(1, Ordering::Relaxed));
        Box::pin(async move { answer.map(|body| ProbeAnswer { status: 200, body }) })
    });
    vec![("shop".into(), ask)]
}

fn status(ok: bool) -> Result<serde_json::Value, MonitorError> {
    Ok(json!({ "status": if ok { "ok" } else { "down" } }))
}

fn guarded(guard: &str) -> String {
    format!("{SLOW}\nabort: [{{ {guard} }}]\n")
}

const PROBE: &str = r#"probe: { name: shop, unless: 'body.status == "ok"', after: 3 }"#;

/// Plays a scenario under probes; with the report comes whether anything was ever armed.
async fn under_probe(phases: &str, probes: Vec<(String, ProbeSource)>) -> (Report, bool) {
    let callers = callers();
    let (mut run, _events) = run_of(plan(phases), local(&callers.handle)).await;
    run.probes = probes;
    let report = play(run, std::future::pending()).await;
    assert!(!callers.handle.is_armed());
    (report, callers.handle.evidence().is_some())
}

#[tokio::test(start_paused = true)]
async fn a_run_does_not_start_on_an_unhealthy_system() {
    let (report, armed) = under_probe(&guarded(PROBE), scripted(|_| status(false))).await;
    assert_eq!((report.exit_code, report.ending), (4, Ending::Guard));
    let detail = report.ending_detail.as_deref().unwrap();
    assert!(
        detail.starts_with("nothing was armed: answered 200 {\"status\":\"down\"} (3 looks in a row)"),
        "{detail}"
    );
    assert!(detail.contains(r#"(guard `probe shop unless body.status == "ok"`)"#), "{detail}");
    assert!(!armed, "no lease was ever granted");
    assert!(report.phases.is_empty());
    assert_eq!(verdicts(&report), [(Verdict::Inconclusive, Some(Reason::Aborted)); 2]);
}

#[tokio::test(start_paused = true)]
async fn a_system_that_recovers_before_the_threshold_is_healthy() {
    let (report, armed) = under_probe(&guarded(PROBE), scripted(|look| status(look >= 2))).await;
    assert_eq!((report.exit_code, armed), (0, true), "{:?}", report.ending_detail);
}

#[tokio::test(start_paused = true)]
async fn a_guard_trips_at_its_third_broken_look_in_a_row_and_not_before() {
    let twice = |look: u64| status(look.is_multiple_of(3));
    assert_eq!(under_probe(&guarded(PROBE), scripted(twice)).await.0.exit_code, 0);
    let (report, armed) = under_probe(&guarded(PROBE), scripted(|look| status(look < 12))).await;
    assert_eq!((report.exit_code, report.ending, armed), (4, Ending::Guard, true));
    let lasted = report.ended.since(report.started);
    assert!((14.0..15.0).contains(&lasted), "looks 12, 13 and 14 are broken: {lasted}");
}

#[tokio::test(start_paused = true)]
async fn a_probe_that_can_not_be_read_trips_before_the_first_fault() {
    let down = || Err(MonitorError::Unreachable("connection refused".into()));
    let (report, armed) = under_probe(&guarded(PROBE), scripted(move |_| down())).await;
    assert_eq!((report.exit_code, armed), (4, false));
    assert!(report.ending_detail.unwrap().contains("it can't be read: connection refused"));
    let (report, armed) =
        under_probe(&guarded(PROBE), scripted(move |look| if look < 12 { status(true) } else { down() }))
            .await;
    assert_eq!((report.exit_code, armed), (4, true), "and after it");
}

/// A monitor with one rule, which fires from a time on.
fn firing_from(seconds: f64) -> Box<dyn AlertSource> {
    let started = clock::now();
    Box::new(Script(Box::new(move || {
        let now = clock::now();
        let fires = now.since(started) >= seconds;
        let instance = AlertInstance {
            alert: "CheckoutDown".into(),
            labels: Default::default(),
            state: AlertState::Firing,
            since: None,
            notification: false,
            ended: None,
        };
        let rule = Rule {
            alert: "CheckoutDown".into(),
            healthy: true,
            last_error: None,
            last_evaluation: Some(now),
            interval: None,
            hold: None,
            query: String::new(),
            has_data: None,
            labels: Default::default(),
        };
        Some(Ok(Reading {
            taken_at: now,
            skew_s: 0.0,
            scrape_interval: None,
            clock_uncertainty_s: 0.0,
            alerts: if fires { vec![instance] } else { Vec::new() },
            rules: Some(vec![rule]),
        }))
    })))
}

async fn under_alert(guard: &str, seconds: f64) -> (Report, bool) {
    let callers = callers();
    let (mut run, _events) = run_of(plan(&guarded(guard)), local(&callers.handle)).await;
    run.monitors.push(("pager".into(), firing_from(seconds)));
    let report = play(run, std::future::pending()).await;
    (report, callers.handle.evidence().is_some())
}

#[tokio::test(start_paused = true)]
async fn an_alert_ends_the_run_and_one_that_fires_already_forbids_it() {
    let guard = "alert: { name: CheckoutDown, state: firing, monitor: pager }";
    let (report, armed) = under_alert(guard, 0.0).await;
    assert_eq!((report.exit_code, armed), (4, false));
    let detail = report.ending_detail.unwrap();
    assert!(detail.contains("pager says it is firing (guard `alert pager/CheckoutDown`)"), "{detail}");
    let (report, armed) = under_alert(guard, 12.0).await;
    assert_eq!((report.exit_code, armed), (4, true));
    assert!(report.ended.since(report.started) < 13.5);
    assert_eq!(under_alert(guard, 1e6).await.0.exit_code, 0);
    let (report, _) = under_alert("alert: { name: CheckoutDown }", 12.0).await;
    assert_eq!(report.exit_code, 4, "in any monitor");
}

#[tokio::test(start_paused = true)]
async fn a_guard_on_an_alert_that_nobody_knows_guards_nothing() {
    for guard in ["alert: { name: Misspelt, monitor: pager }", "alert: { name: Misspelt }"] {
        let (report, armed) = under_alert(guard, 1e6).await;
        assert_eq!((report.exit_code, armed), (4, false), "{guard}");
        assert!(report.ending_detail.unwrap().contains("no monitor knows `Misspelt`"));
    }
}

const FAILING: &str = r#"
phases:
  - { name: steady, lasts: 15s }
  - name: failing
    lasts: 60s
    inject: [{ fault: { error: { rate: 30%, status: 503 } } }]
"#;

async fn failing(guard: &str) -> Report {
    let callers = callers();
    let (run, _events) =
        run_of(plan(&format!("{FAILING}\nabort: [{{ {guard} }}]\n")), local(&callers.handle)).await;
    play(run, std::future::pending()).await
}

#[tokio::test(start_paused = true)]
async fn what_the_treated_see_more_than_the_control_group_is_guarded() {
    let report = failing(r#"observed: { of: difference, error-rate: "> 10%" }"#).await;
    assert_eq!(report.exit_code, 4);
    assert!(report.ending_detail.unwrap().starts_with("error rate, treated minus control, was 0."));
    let control = failing(
        r#"observed: { of: control, error-rate: "> 1%", latency: { quantile: 95%, limit: "> 1s" } }"#,
    );
    assert_eq!(control.await.ending, Ending::Completed, "the control group is well");
    let quantile = guarded(r#"observed: { of: treated, latency: { quantile: 90%, limit: "> 300ms" } }"#);
    let detail = under_probe(&quantile, Vec::new()).await.0.ending_detail.unwrap();
    assert!(detail.starts_with("90% latency in seconds of the treated was 0."), "{detail}");
}

#[tokio::test(start_paused = true)]
async fn a_budget_ends_the_run_within_a_second_of_being_spent() {
    let report = failing("budget: { requests: 100 }").await;
    assert_eq!((report.exit_code, report.ending), (4, Ending::Guard));
    let perturbed = report.deliveries[0].perturbed;
    // A hundred requests a second, half of them treated, three tenths of those fail: 15 a second.
    assert!((100..=120).contains(&perturbed), "{perturbed}");
    assert!(
        report.ending_detail.unwrap().contains("requests were perturbed (guard `budget of 100 requests`)")
    );
}

#[tokio::test(start_paused = true)]
async fn a_scenario_that_injects_at_once_is_told_that_a_guard_is_late() {
    let phases = r#"
phases: [{ name: slow, lasts: 5s, inject: [{ fault: { latency: { fixed: 1ms } } }] }]
abort: [{ observed: { error-rate: "> 50%" } }]
"#;
    let (report, _) = under_probe(phases, Vec::new()).await;
    assert!(report.notices.iter().any(|notice| notice.contains("nothing to read before the first fault")));
}

fn holds(within: &str) -> String {
    format!(
        "phases: [{{ name: slow, lasts: 20s, inject: [{{ fault: {{ latency: {{ fixed: 1ms }} }} }}], \
         expect: [{{ holds: {{ probe: shop, cel: 'body.phase == \"rolled-back\"'{within} }} }}] }}]"
    )
}

#[tokio::test(start_paused = true)]
async fn a_condition_on_a_probe_becomes_true_in_time_or_late_or_never() {
    let back_at = |at: u64| {
        scripted(move |look| Ok(json!({ "phase": if look >= at { "rolled-back" } else { "canary" } })))
    };
    let (report, _) = under_probe(&holds(", within: 10s"), back_at(6)).await;
    let outcome = &report.outcomes[0];
    assert_eq!((outcome.verdict, report.exit_code), (Verdict::Met, 0), "{outcome:?}");
    assert!(
        (5.5..6.5).contains(&outcome.time.unwrap().seconds) && outcome.time.unwrap().uncertainty_s <= 1.1
    );
    assert_eq!((outcome.monitor.as_deref(), outcome.within_s), (Some("shop"), Some(10.0)));
    assert_eq!(verdicts(&under_probe(&holds(", within: 10s"), back_at(14)).await.0), [(Verdict::Late, None)]);
    let never = under_probe(&holds(", within: 10s"), back_at(1000)).await.0;
    assert_eq!(verdicts(&never), [(Verdict::Missed, Some(Reason::ConditionFalse))]);
    assert!(never.outcomes[0].detail.contains("\"canary\""), "{:?}", never.outcomes[0]);
    assert_eq!(verdicts(&under_probe(&holds(""), back_at(0)).await.0), [(Verdict::Met, None)]);
    let throughout = under_probe(&holds(""), back_at(6)).await.0;
    assert_eq!(verdicts(&throughout), [(Verdict::Missed, Some(Reason::ConditionFalse))]);
}

#[tokio::test(start_paused = true)]
async fn an_interrupt_while_the_guards_are_read_arms_nothing() {
    let callers = callers();
    let (mut run, _events) = run_of(plan(&guarded(PROBE)), local(&callers.handle)).await;
    let asked = Arc::new(AtomicBool::new(false));
    let seen = asked.clone();
    let hangs: ProbeSource = Arc::new(move || {
        seen.store(true, Ordering::Relaxed);
        Box::pin(std::future::pending())
    });
    run.probes = vec![("shop".into(), hangs)];
    let report = play(run, sleep(Duration::from_secs(2))).await;
    assert_eq!(report.exit_code, 130);
    assert!(asked.load(Ordering::Relaxed) && callers.handle.evidence().is_none());
}

#[tokio::test(start_paused = true)]
async fn consent_runs_out_on_canards_clock() {
    let tomorrow = jiff::Timestamp::from_second(clock::now().unix_s() as i64 + 86_400).unwrap().to_string();
    let until = &tomorrow[..10];
    let text = format!(
        "upstream: http://127.0.0.1:1\nproduction: {{ consent: {{ by: Ada, share: 50%, lasts: 10m, until: {until} }} }}"
    );
    let document = compile_stage(&Source::new("stage.yaml", text), &|_| None).unwrap();
    let plan = plan(SLOW);
    let staging = || Staging {
        plan: plan.clone(),
        stage: Some(document.clone()),
        sidecars: Vec::new(),
        traffic_to: None,
        truth: Arc::new(Truth::new(plan.clone())),
        ledger: None,
    };
    assert!(matches!(stage(staging()).await, Err(StageError::UpstreamDown { .. })), "it is allowed");
    tokio::time::advance(Duration::from_secs(3 * 86_400)).await;
    let error = stage(staging()).await.unwrap_err();
    assert!(
        matches!(&error, StageError::Forbidden(why) if why.contains("the consent of Ada ended")),
        "{error}"
    );
}

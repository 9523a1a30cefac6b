//! Whole runs on a paused clock: the real layer, the real built-in monitor, callers without sockets.

mod guards;
mod orders;
mod targets;

use std::{
    convert::Infallible,
    sync::atomic::{AtomicU64, Ordering},
};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use tokio::{task::JoinHandle, time::sleep};
use tower::{ServiceExt, service_fn};
use tower_layer::Layer;

use self::targets::Odd;
use super::*;
use crate::{
    event::{Reason, Verdict},
    evidence::Evidence,
    layer::{ChaosLayer, Handle, LeaseId, RequestBody},
    monitor::{self, BoxFuture, MonitorError, Reading},
    scenario::{Monitor, Source, compile, compile_stage},
};

const RULES: &str = r#"{ "builtin": { "rules": {
    "HighLatency": { "signal": { "latency": "95%" }, "fires": "> 150ms", "window": "5s", "for": "1s" },
    "HighErrorRate": { "signal": "error-share", "fires": "> 5%", "window": "5s", "for": "1s" }
} } }"#;

fn plan(phases: &str) -> Arc<Plan> {
    let text = format!(
        "name: t\nseed: 3\ntarget: {{ protocol: open-inference }}\n\
         exposure: {{ unit: 'request.headers[\"x-user-id\"]', share: 50% }}\n{phases}"
    );
    let source = Source { name: "t.yaml".into(), text: text.into(), folder: ".".into() };
    Arc::new(compile(&source).unwrap_or_else(|errors| panic!("{errors}")))
}

const SLOW: &str = r#"
phases:
  - { name: steady, lasts: 10s }
  - name: slow
    lasts: 30s
    inject: [{ fault: { latency: { fixed: 400ms } } }]
    expect: [{ fires: { alert: HighLatency, within: 15s } }]
  - name: recovery
    lasts: 30s
    expect: [{ clears: { alert: HighLatency, within: 20s } }]
"#;

/// Callers that ask a hundred times a second, through a layer, for as long as they are kept.
struct Callers {
    handle: Handle,
    asked: Arc<AtomicU64>,
    task: JoinHandle<()>,
}

impl Drop for Callers {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn callers() -> Callers {
    let handle = Handle::default();
    let asked = Arc::new(AtomicU64::new(0));
    let model = service_fn(|_: Request<RequestBody<Full<Bytes>>>| async {
        Ok::<_, Infallible>(Response::new(Full::new(Bytes::from_static(b"{}"))))
    });
    let service = ChaosLayer::new(handle.clone()).layer(model);
    let count = asked.clone();
    let task = tokio::spawn(async move {
        loop {
            let n = count.fetch_add(1, Ordering::Relaxed);
            let request = Request::post("/v2/models/m/infer")
                .header("x-user-id", format!("u{}", n % 97))
                .header("x-request-id", n.to_string());
            let request = request.body(Full::default()).unwrap();
            let service = service.clone();
            tokio::spawn(async move {
                let Ok(response) = service.oneshot(request).await;
                let _ = response.into_body().collect().await;
            });
            sleep(Duration::from_millis(10)).await;
        }
    });
    Callers { handle, asked, task }
}

async fn run_of(plan: Arc<Plan>, fleet: Fleet) -> (Run, mpsc::UnboundedReceiver<Event>) {
    let settings: Monitor = serde_json::from_str(RULES).unwrap();
    let evidence = {
        let fleet = fleet.clone();
        Arc::new(move || -> BoxFuture<'static, Option<Evidence>> {
            let fleet = fleet.clone();
            Box::pin(async move { Some(fleet.evidence().await.0) })
        })
    };
    let monitor = monitor::connect(&settings, evidence).await.unwrap();
    let (events, receiver) = Events::channel();
    let run = Run {
        truth: Arc::new(Truth::new(plan.clone())),
        plan,
        stage: "test".into(),
        fleet,
        monitors: vec![("builtin".into(), monitor)],
        probes: Vec::new(),
        options: Options::default(),
        events,
        orders: Orders::default(),
    };
    (run, receiver)
}

fn local(handle: &Handle) -> Fleet {
    Fleet::new(vec![Box::new(Local(handle.clone().into()))])
}

fn verdicts(report: &Report) -> Vec<(Verdict, Option<Reason>)> {
    report.outcomes.iter().map(|outcome| (outcome.verdict, outcome.reason)).collect()
}

#[tokio::test(start_paused = true)]
async fn a_fault_is_noticed_and_clears_and_the_run_ends_early() {
    let callers = callers();
    let (run, mut events) = run_of(plan(SLOW), local(&callers.handle)).await;
    let report = play(run, std::future::pending()).await;
    assert_eq!(verdicts(&report), [(Verdict::Met, None), (Verdict::Met, None)], "{report:#?}");
    assert_eq!((report.exit_code, report.score), (0, Some(1.0)));
    assert!(report.ended.since(report.started) < 45.0, "everything is decided long before 70 s");
    let detected = report.outcomes[0].time.unwrap().seconds;
    assert!((1.0..8.0).contains(&detected), "{detected}");
    let delivery = &report.deliveries[0];
    let effect = &delivery.effects[0];
    assert_eq!(effect.measure, "mean latency");
    assert!((effect.treated - effect.control - 0.4).abs() < 0.02, "{effect:?}");
    assert!(!callers.handle.is_armed());
    let mut last = None;
    while let Ok(event) = events.try_recv() {
        last = Some(event.kind);
    }
    assert_eq!(last, Some(Kind::RunEnded(Box::new(report))), "the report is the last event");
}

#[tokio::test(start_paused = true)]
async fn without_early_stop_it_keeps_to_the_full_time() {
    let callers = callers();
    let (mut run, _events) = run_of(plan(SLOW), local(&callers.handle)).await;
    run.options.early_stop = false;
    let report = play(run, std::future::pending()).await;
    let lasted = report.ended.since(report.started);
    assert!((70.0..76.0).contains(&lasted), "{lasted}");
    assert_eq!(report.exit_code, 0);
    assert!(callers.asked.load(Ordering::Relaxed) > 6900, "callers were never held up");
}

#[tokio::test(start_paused = true)]
async fn an_interrupt_disarms_first_and_still_reports() {
    let callers = callers();
    let (run, mut events) = run_of(plan(SLOW), local(&callers.handle)).await;
    let report = play(run, sleep(Duration::from_millis(11_500))).await;
    assert_eq!((report.exit_code, report.ending), (130, Ending::Interrupted));
    assert_eq!(verdicts(&report)[1], (Verdict::Inconclusive, Some(Reason::Aborted)));
    assert!(!callers.handle.is_armed());
    assert!((11.0..13.0).contains(&report.ended.since(report.started)));
    let mut kinds = Vec::new();
    while let Ok(event) = events.try_recv() {
        kinds.push(event.kind);
    }
    let disarmed = kinds.iter().position(|kind| *kind == Kind::Disarmed).unwrap();
    assert!(matches!(kinds[disarmed + 1..], [Kind::Decided(_), Kind::Decided(_), Kind::RunEnded(_)]));
}

#[tokio::test(start_paused = true)]
async fn a_guard_ends_the_run_with_code_4() {
    let callers = callers();
    let phases = r#"
phases:
  - { name: steady, lasts: 5s }
  - name: failing
    lasts: 60s
    inject: [{ fault: { error: { status: 503 } } }]
    expect: [{ silent: { alert: HighLatency } }]
abort: [{ observed: { error-rate: "> 20%" } }]
"#;
    let (run, _events) = run_of(plan(phases), local(&callers.handle)).await;
    let report = play(run, std::future::pending()).await;
    assert_eq!((report.exit_code, report.ending), (4, Ending::Guard));
    assert!(report.ending_detail.as_deref().unwrap().starts_with("error rate was 0."), "{report:?}");
    assert!(report.ended.since(report.started) < 15.0);
    assert!(!callers.handle.is_armed());
}

#[tokio::test(start_paused = true)]
async fn a_lease_that_is_taken_away_ends_the_run() {
    let callers = callers();
    let (run, _events) = run_of(plan(SLOW), local(&callers.handle)).await;
    let handle = callers.handle.clone();
    tokio::spawn(async move {
        sleep(Duration::from_secs(12)).await;
        handle.stop();
    });
    let report = play(run, std::future::pending()).await;
    assert_eq!((report.exit_code, report.ending), (3, Ending::Failed));
    assert!(report.ending_detail.unwrap().starts_with("lost the lease"));
}

#[tokio::test(start_paused = true)]
async fn what_is_armed_already_stays_armed_and_the_run_says_so() {
    let callers = callers();
    let other = callers.handle.arm(plan(SLOW), Duration::from_secs(60)).unwrap();
    let (run, _events) = run_of(plan(SLOW), local(&callers.handle)).await;
    let report = play(run, std::future::pending()).await;
    assert_eq!(report.exit_code, 3);
    assert!(report.ending_detail.unwrap().contains("armed already"));
    assert!(callers.handle.renew(other, Duration::from_secs(1)).is_ok(), "the other lease is untouched");
}

/// A monitor that does as it is told.
struct Script(Box<dyn FnMut() -> Option<Result<Reading, MonitorError>> + Send>);

impl AlertSource for Script {
    fn poll(&mut self) -> BoxFuture<'_, Result<Reading, MonitorError>> {
        match (self.0)() {
            Some(answer) => Box::pin(async { answer }),
            None => Box::pin(std::future::pending()),
        }
    }
    fn knows_rules(&self) -> bool {
        true
    }
}

async fn under(script: impl FnMut() -> Option<Result<Reading, MonitorError>> + Send + 'static) -> Report {
    let callers = callers();
    let (mut run, _events) = run_of(plan(SLOW), local(&callers.handle)).await;
    run.monitors = vec![("prometheus".into(), Box::new(Script(Box::new(script))))];
    let report = play(run, std::future::pending()).await;
    assert!(!callers.handle.is_armed());
    report
}

#[tokio::test(start_paused = true)]
async fn a_monitor_that_is_down_or_hangs_is_neither_a_miss_nor_an_all_clear() {
    let down = under(|| Some(Err(MonitorError::Unreachable("connection refused".into())))).await;
    let hangs = under(|| None).await;
    for report in [down, hangs] {
        assert_eq!(report.exit_code, 3, "{report:#?}");
        assert_eq!(verdicts(&report)[0], (Verdict::Inconclusive, Some(Reason::MonitorUnreachable)));
    }
}

#[tokio::test(start_paused = true)]
async fn a_monitor_that_panics_ends_the_run_disarmed() {
    let report = under(|| panic!("as a test asks")).await;
    assert_eq!((report.exit_code, report.ending), (3, Ending::Failed));
    assert!(report.ending_detail.unwrap().contains("the watch of a monitor failed"));
}

#[tokio::test(start_paused = true)]
async fn a_panic_disarms_and_still_reports() {
    let callers = callers();
    let fleet = Fleet::new(vec![Box::new(Odd { panics: true, ..Odd::of(&callers.handle) })]);
    let (mut run, _events) = run_of(plan(SLOW), fleet).await;
    run.monitors.clear();
    let report = play(run, std::future::pending()).await;
    assert_eq!((report.exit_code, report.ending), (3, Ending::Failed));
    assert!(report.ending_detail.as_deref().unwrap().contains("as a test asks"));
    assert_eq!(verdicts(&report), [(Verdict::Inconclusive, Some(Reason::Aborted)); 2]);
    assert!(!callers.handle.is_armed());
}

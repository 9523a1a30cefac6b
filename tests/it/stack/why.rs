//! Why was it missed? Set-ups of Prometheus and Alertmanager that are broken on purpose, each in another way, under one
//! fault that each of their alerts should have noticed.
//!
//! One Prometheus has a broken rule for each cause, one Alertmanager a route for each; a second Prometheus can't reach
//! its Alertmanager, and evaluates one group too rarely.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Duration,
};

use axum::{Router, http::StatusCode};
use canard::{
    demo::Demo,
    event::{CauseKind, Outcome, Report, Verdict},
    sidecar::{Config, Sidecar},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
    task::JoinHandle,
};

use super::{Alertmanager, Prometheus, free_addr, http::json, turn};
use crate::run::{Site, shown};

/// The share of failed requests; half of the treated half fail.
const ERRORS: &str = "sum(rate(http_server_request_duration_seconds_count{http_response_status_code=~\"5..\"}[5s])) \
                      / sum(rate(http_server_request_duration_seconds_count[5s]))";

fn rules() -> String {
    let rule =
        |alert: &str, expr: &str, more: &str| format!("      - {{ alert: {alert}, expr: '{expr}'{more} }}\n");
    let seen = format!("{ERRORS} > 0.05");
    let counts = "http_server_request_duration_seconds_count";
    let rules = [
        rule("HighErrorRate", &seen, ""),
        rule("Fails", &format!("({counts} * on () {counts}) > 0"), ""),
        rule("Misspelt", "sum(rate(http_server_request_duration_seconds_counts[5s])) > 1", ""),
        rule("Unlabelled", &format!("sum(rate({counts}{{http_response_status_code=\"5xx\"}}[5s])) > 1"), ""),
        rule("Gone", "exporter_queue > 100", ""),
        rule("Vanished", "vanishing_queue > 100", ""),
        rule("Deaf", &format!("{ERRORS} > 0.9"), ""),
        rule("Diluted", &format!("sum(rate({counts}{{http_response_status_code=\"503\"}}[10m])) > 10"), ""),
        rule("Patient", &seen, ", for: 5m"),
        rule("Flapping", &format!("flapping > 0 and on () {seen}"), ", for: 8s"),
        rule("Hushed", &seen, ""),
        rule("Inhibited", &seen, ", labels: { severity: minor }"),
        rule("Grouped", &seen, ""),
        rule("ForNobody", &seen, ""),
        rule("Muted", &seen, ""),
        rule("Mislabelled", &seen, ", labels: { severity: ticket }"),
        rule("Undelivered", &seen, ""),
        // Beside these, what is another one's cause is there as well.
        rule("Faded", "sum(rate(exporter_total[1m])) > 100", ""),
        rule("Returned", &seen, ", for: 4s"),
        rule("Held", &seen, ", for: 9s"),
        rule("OneOfTwo", "load > 10", ", for: 5m"),
        rule("Excused", &format!("{seen} unless on () maintenance == 1"), ""),
        rule("Unmatched", "load > quota", ""),
    ];
    format!("groups:\n  - name: broken\n    rules:\n{}", rules.concat())
}

fn routes(pager: &str, refusing: SocketAddr) -> String {
    format!(
        r#"
route:
  receiver: pager
  group_by: [alertname]
  group_wait: 1s
  group_interval: 1s
  repeat_interval: 1h
  routes:
    - {{ receiver: pager, matchers: ['alertname="Grouped"'], group_wait: 5m }}
    - {{ receiver: nobody, matchers: ['alertname=~"ForNobod."'] }}
    - {{ receiver: refusing, matchers: ['alertname=~"Undelivered|Returned"'] }}
    - {{ receiver: refusing, matchers: ['alertname="Held"'], group_wait: 6s }}
    - {{ receiver: pager, matchers: ['alertname="Muted"'], mute_time_intervals: [always] }}
receivers:
  - {{ name: pager, webhook_configs: [{{ url: "http://{pager}/" }}] }}
  - {{ name: nobody }}
  - {{ name: refusing, webhook_configs: [{{ url: "http://{refusing}/" }}] }}
inhibit_rules:
  - {{ source_matchers: ['alertname="HighErrorRate"'], target_matchers: ['severity="minor"'] }}
mute_time_intervals:
  - {{ name: always, time_intervals: [{{ years: ['2000:2999'] }}] }}
"#
    )
}

/// Serves metrics, one connection a scrape, until it is stopped.
struct Exporter {
    addr: SocketAddr,
    task: JoinHandle<()>,
}

impl Exporter {
    async fn start(metrics: impl Fn() -> String + Send + 'static) -> Exporter {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let task = tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let _ = stream.read(&mut [0; 4096]).await;
                let body = metrics();
                let head = format!(
                    "HTTP/1.1 200 OK\r\ncontent-type: text/plain; version=0.0.4\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
                    body.len()
                );
                let _ = stream.write_all((head + &body).as_bytes()).await;
            }
        });
        Exporter { addr, task }
    }

    async fn stop(self) {
        self.task.abort();
        let _ = self.task.await;
    }
}

/// A receiver that refuses every notification.
async fn refusing() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    let app = Router::new().fallback(|| async { StatusCode::INTERNAL_SERVER_ERROR });
    tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
    addr
}

fn scenario(expected: &str, again: &str) -> String {
    format!(
        r#"
name: why
seed: 5
target:
  protocol: open-inference
  when: request.path.startsWith("/v2/models/iris/")
  labels: [setosa, versicolor, virginica]
exposure: {{ unit: 'request.headers["x-user-id"]', share: 50% }}
traffic: {{ rate: 60/s, requests: iris.jsonl }}
phases:
  - {{ name: steady, lasts: 6s }}
  - name: failing
    lasts: 16s
    inject: [{{ fault: {{ error: {{ status: 503, rate: 100% }} }} }}]
    expect:
{expected}
  - {{ name: recovery, lasts: 6s }}
  # Another fault, a smaller one: what was not heard of the first until now is not waited for any more.
  - name: after
    lasts: 5s
    inject: [{{ fault: {{ error: {{ status: 503, rate: 50% }} }} }}]
{again}
"#
    )
}

async fn run(site: &Site, sidecar: &Sidecar) -> (Report, String) {
    let admin = format!("http://{}", sidecar.admin_addr().unwrap());
    let callers = format!("http://{}", sidecar.listen_addr());
    let args = ["--stage", "stage.yaml", "--sidecar", &admin, "--traffic-to", &callers];
    let (output, report) = site.run(&args).await;
    (report, shown(&output))
}

fn of<'a>(report: &'a Report, alert: &str) -> &'a Outcome {
    in_phase(report, "failing", alert)
}

fn in_phase<'a>(report: &'a Report, phase: &str, alert: &str) -> &'a Outcome {
    report.outcomes.iter().find(|outcome| outcome.subject == alert && outcome.phase == phase).unwrap()
}

/// The cause that was named, and its sentence.
fn named(report: &Report, alert: &str) -> (Option<CauseKind>, String) {
    let cause = of(report, alert).cause.as_deref();
    (cause.map(|cause| cause.kind), cause.map_or(String::new(), |cause| cause.summary.clone()))
}

#[tokio::test]
async fn every_broken_set_up_is_named() {
    let _turn = turn().await;
    let hook = free_addr().to_string();
    let alertmanager = Alertmanager::configured(&routes(&hook, refusing().await)).await;
    let prometheus = Prometheus::start(&rules(), Some(&alertmanager)).await;
    let demo = Demo::start().await.unwrap();
    let sidecar = Sidecar::start(Config::new(demo.url().parse().unwrap())).unwrap();
    let vanished = Arc::new(AtomicBool::new(false));
    let gone = vanished.clone();
    let flapping = Exporter::start(move || {
        let beat = u8::from((canard::clock::now().unix_s() as u64 / 3).is_multiple_of(2));
        let vanishing = if gone.load(Relaxed) { "" } else { "vanishing_queue 3\n" };
        let load = "load{service=\"a\"} 1\nload{service=\"b\"} 20\nquota{service=\"c\"} 5\n";
        format!("flapping {beat}\nmaintenance 1\n{load}{vanishing}")
    })
    .await;
    let began = canard::clock::now();
    let count = move || canard::clock::now().since(began).floor();
    let exporter = Exporter::start(move || format!("exporter_queue 3\nexporter_total {}\n", count())).await;
    let targets =
        [("canard", sidecar.admin_addr().unwrap()), ("flapping", flapping.addr), ("exporter", exporter.addr)];
    prometheus.scrape(&targets).await;
    prometheus.until("rate(exporter_total[1m])", Duration::from_secs(20)).await;
    alertmanager.silence("Hushed", Duration::from_secs(600)).await;
    exporter.stop().await;
    vanished.store(true, Relaxed);

    let alerts = [
        "HighErrorRate",
        "Fails",
        "Misspelt",
        "Unlabelled",
        "Gone",
        "Vanished",
        "Deaf",
        "Diluted",
        "Patient",
        "Flapping",
        "Hushed",
        "Inhibited",
        "Grouped",
        "ForNobody",
        "Muted",
        "Undelivered",
        "Faded",
        "Returned",
        "Held",
        "Excused",
        "Unmatched",
    ];
    let mut expected: String =
        alerts.iter().map(|alert| format!("      - fires: {{ alert: {alert}, within: 14s }}\n")).collect();
    expected.push_str("      - fires: { alert: Mislabelled, within: 14s, labels: { severity: page } }\n");
    expected.push_str("      - fires: { alert: OneOfTwo, within: 14s, labels: { service: a } }\n");
    expected.push_str("      - fires: { alert: HighErorRate, within: 14s, monitor: prometheus }\n");
    let stage = format!(
        "environment: test\nmonitors:\n  prometheus: {{ prometheus: {{ url: {} }} }}\n  \
         alertmanager: {{ alertmanager: {{ url: {} }} }}\n  pager: {{ webhook: {{ listen: \"{hook}\" }} }}\n",
        prometheus.url(),
        alertmanager.url()
    );
    let again = "    expect: [{ fires: { alert: Deaf, within: 4s } }]";
    let site = Site::new(&scenario(&expected, again), Some(&stage));
    // A silence of the first seconds of the fault; it is over when its alert fires.
    let brief = async {
        prometheus.until("sum(canard_injections_total) > 0", Duration::from_secs(60)).await;
        alertmanager.silence("Returned", Duration::from_secs(1)).await;
    };
    let ((report, text), ()) = tokio::join!(run(&site, &sidecar), brief);

    assert_eq!(
        (of(&report, "HighErrorRate").verdict, &of(&report, "HighErrorRate").cause),
        (Verdict::Met, &None),
        "{text}"
    );
    let table = [
        ("HighErorRate", CauseKind::RuleAbsent, "there is `HighErrorRate`"),
        ("Fails", CauseKind::RuleUnhealthy, "many-to-many"),
        ("Misspelt", CauseKind::SeriesEmpty, "there is `http_server_request_duration_seconds_count`"),
        ("Unlabelled", CauseKind::SeriesEmpty, "none with these labels"),
        ("Gone", CauseKind::TargetDown, "job `exporter` is down"),
        ("Vanished", CauseKind::SeriesStale, "`vanishing_queue` had its last value"),
        ("Deaf", CauseKind::ThresholdNotReached, "and it fires > 0.9"),
        ("Diluted", CauseKind::ThresholdNotReached, "and it fires > 10"),
        ("Patient", CauseKind::ForTooLong, "of its `for` of 5m"),
        ("Flapping", CauseKind::PendingOnly, "the condition flaps"),
        ("Hushed", CauseKind::Silenced, "tests silenced alertname=\"Hushed\""),
        ("Inhibited", CauseKind::Inhibited, "`HighErrorRate` inhibits it"),
        ("Grouped", CauseKind::Grouped, "`group_wait` of 5m"),
        ("ForNobody", CauseKind::RoutedToNobody, "routed to `nobody`"),
        ("Muted", CauseKind::Silenced, "time interval `always`"),
        (
            "Mislabelled",
            CauseKind::WrongLabels,
            "`severity` is `ticket`, not `page` (set by the rule itself)",
        ),
        ("Undelivered", CauseKind::NotificationFailed, "notifying `refusing` failed"),
        ("Faded", CauseKind::TargetDown, "job `exporter` is down"),
        ("Returned", CauseKind::NotificationFailed, "notifying `refusing` failed"),
        ("Held", CauseKind::NotificationFailed, "notifying `refusing` failed"),
        ("OneOfTwo", CauseKind::ThresholdNotReached, "its value came up to 1 "),
        ("Excused", CauseKind::NotTogether, "`unless on () maintenance == 1`"),
        ("Unmatched", CauseKind::SeriesEmpty, "not for the same labels"),
    ];
    let wrong: Vec<String> = table
        .iter()
        .filter(|(alert, kind, words)| {
            let (found, summary) = named(&report, alert);
            found != Some(*kind) || !summary.contains(words)
        })
        .map(|(alert, kind, _)| format!("{alert}: {kind:?}, but {:?}", of(&report, alert)))
        .collect();
    assert!(wrong.is_empty(), "{}\n{text}", wrong.join("\n"));
    for (alert, _, _) in table {
        let outcome = of(&report, alert);
        let cause = outcome.cause.as_deref().unwrap();
        assert!(!cause.evidence.is_empty(), "{outcome:?}");
        // This Alertmanager does not tell of muted times: for the verdict, the alert was not notified.
        let agrees = |reason| alert == "Muted" || cause.kind.reason() == Some(reason);
        assert!(outcome.reason.is_none_or(agrees), "{outcome:?}");
    }
    let deaf = of(&report, "Deaf").cause.as_deref().unwrap().closest.clone().unwrap();
    assert!(deaf.threshold == 0.9 && (0.3..0.7).contains(&deaf.value), "half of the requests fail: {deaf:?}");
    assert!(deaf.would_have_fired_at.is_some_and(|at| at <= deaf.value), "{deaf:?}");
    let diluted = of(&report, "Diluted").cause.as_deref().unwrap();
    assert!(diluted.remedy.as_deref().is_some_and(|remedy| remedy.contains("window")), "{diluted:?}");
    assert!(text.contains("target-down: target"), "one line for each: {text}");
    // What was before the second fault is not what the first one did.
    let again = in_phase(&report, "after", "Deaf");
    let cause = again.cause.as_deref().unwrap();
    assert_eq!(
        (cause.kind, cause.closest.as_ref().unwrap().before),
        (CauseKind::ThresholdNotReached, None),
        "{again:?}"
    );
    assert!(!cause.remedy.as_ref().is_some_and(|remedy| remedy.contains("did not move")), "{cause:?}");
}

#[tokio::test]
async fn an_alertmanager_out_of_reach_and_a_rule_that_is_not_evaluated_are_named() {
    let _turn = turn().await;
    let mut unreachable = Alertmanager::start(None).await;
    let watched = Alertmanager::start(None).await;
    let rules = format!(
        "groups:\n  - name: quick\n    rules: [{{ alert: HighErrorRate, expr: '{ERRORS} > 0.05' }}]\n  \
         - name: slow\n    interval: 36s\n    rules: [{{ alert: Rare, expr: '{ERRORS} > 0.05' }}]\n"
    );
    let prometheus = Prometheus::start(&rules, Some(&unreachable)).await;
    let demo = Demo::start().await.unwrap();
    let sidecar = Sidecar::start(Config::new(demo.url().parse().unwrap())).unwrap();
    prometheus.scrape(&[("canard", sidecar.admin_addr().unwrap())]).await;
    unreachable.kill().await;
    // The fault goes between two evaluations of the slow group.
    let url = format!("{}/api/v1/rules?type=alert", prometheus.url());
    let evaluated =
        async || json("GET", &url, "").await["data"]["groups"][1]["rules"][0]["lastEvaluation"].clone();
    let before = evaluated().await;
    super::http::until("an evaluation", Duration::from_secs(60), async || {
        (evaluated().await != before).then_some(())
    })
    .await;
    let expected = "      - fires: { alert: HighErrorRate, within: 14s }\n      \
                    - fires: { alert: Rare, within: 14s, monitor: prometheus }\n";
    let stage = format!(
        "environment: test\nmonitors:\n  prometheus: {{ prometheus: {{ url: {} }} }}\n  \
         alertmanager: {{ alertmanager: {{ url: {} }} }}\n",
        prometheus.url(),
        watched.url()
    );
    let site = Site::new(&scenario(expected, ""), Some(&stage));
    let (report, text) = run(&site, &sidecar).await;
    let (kind, summary) = named(&report, "HighErrorRate");
    assert_eq!(kind, Some(CauseKind::AlertmanagerUnreachable), "{:?}\n{text}", of(&report, "HighErrorRate"));
    assert!(summary.contains("could not send to"), "{summary}");
    let (kind, summary) = named(&report, "Rare");
    assert_eq!(kind, Some(CauseKind::NotEvaluated), "{:?}\n{text}", of(&report, "Rare"));
    assert!(summary.contains("every 36 s"), "{summary}");
}

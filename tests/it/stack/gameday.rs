//! Game days on real systems: MLServer behind the sidecar, watched by Prometheus and Alertmanager.
//!
//! The verdicts come from `canard run` as a process; what Prometheus itself recorded is the judge of its times.

use canard::{
    demo::Demo,
    event::{Outcome, Reason, Report, Verdict},
    sidecar::{Config, Sidecar},
};

use super::{MlServer, Stack, free_addr, turn};
use crate::run::{Site, shown};

/// One scrape plus one evaluation.
const TICKS_S: f64 = 2.0;

const RULES: &str = r#"
groups:
  - name: canard
    rules:
      - alert: HighLatency
        expr: histogram_quantile(0.95, sum by (le) (rate(http_server_request_duration_seconds_bucket[5s]))) > 0.3
        for: 2s
      - alert: HighErrorRate
        expr: >
          sum(rate(http_server_request_duration_seconds_count{http_response_status_code=~"5.."}[5s]))
          / sum(rate(http_server_request_duration_seconds_count[5s])) > 0.05
        for: 2s
      - alert: PredictionDrift
        expr: >
          sum(rate(model_predictions_total{label="virginica"}[5s])) / sum(rate(model_predictions_total[5s])) < 0.2
        for: 2s
      # Broken on purpose: a metric that does not exist, and a limit that is never reached.
      - alert: Misspelt
        expr: sum(rate(model_predictionz_total{label="virginica"}[5s])) < 0.2
      - alert: Deaf
        expr: histogram_quantile(0.95, sum by (le) (rate(http_server_request_duration_seconds_bucket[5s]))) > 3000
"#;

fn stage(stack: &Stack, webhook: Option<&str>) -> String {
    let pager = webhook.map(|addr| format!("  pager: {{ webhook: {{ listen: \"{addr}\" }} }}\n"));
    format!(
        "environment: test\nmonitors:\n  prometheus: {{ prometheus: {{ url: {} }} }}\n  \
         alertmanager: {{ alertmanager: {{ url: {} }} }}\n{}",
        stack.prometheus.url(),
        stack.alertmanager.url(),
        pager.unwrap_or_default()
    )
}

fn scenario(rate: &str, phases: &str) -> String {
    format!(
        r#"
name: real
seed: 5
target:
  protocol: open-inference
  when: request.path.startsWith("/v2/models/iris/")
  labels: [setosa, versicolor, virginica]
exposure: {{ unit: 'request.headers["x-user-id"]', share: 50% }}
traffic: {{ rate: {rate}, requests: iris.jsonl }}
phases:
{phases}"#
    )
}

/// A sidecar in front of an upstream, scraped by the stack's Prometheus.
async fn scraped_sidecar(stack: &Stack, upstream: &str) -> Sidecar {
    let sidecar = Sidecar::start(Config::new(upstream.parse().unwrap())).unwrap();
    stack.prometheus.scrape(&[("canard", sidecar.admin_addr().unwrap())]).await;
    sidecar
}

async fn run(site: &Site, sidecar: &Sidecar, more: &[&str]) -> (i32, Report, String) {
    let admin = format!("http://{}", sidecar.admin_addr().unwrap());
    let callers = format!("http://{}", sidecar.listen_addr());
    let mut args = vec!["--stage", "stage.yaml", "--sidecar", &admin, "--traffic-to", &callers];
    args.extend(more);
    let (output, report) = site.run(&args).await;
    (output.status.code().unwrap(), report, shown(&output))
}

fn find<'a>(report: &'a Report, phase: &str, alert: &str) -> &'a Outcome {
    let found = report.outcomes.iter().find(|o| o.phase == phase && o.subject == alert);
    found.unwrap_or_else(|| panic!("no outcome for {alert} in {phase}: {:#?}", report.outcomes))
}

/// Seconds from the start of a phase to the first and from its end to the last sample of an alert that
/// Prometheus recorded as firing.
async fn recorded(stack: &Stack, report: &Report, phase: &str, alert: &str) -> (f64, f64) {
    let record = report.phases.iter().find(|record| record.phase == phase).unwrap();
    let series =
        stack.prometheus.times(&format!("ALERTS{{alertname=\"{alert}\",alertstate=\"firing\"}}")).await;
    let times: Vec<f64> = series.into_iter().flat_map(|(_, times)| times).collect();
    let first = times.iter().copied().fold(f64::INFINITY, f64::min);
    let last = times.iter().copied().fold(0.0, f64::max);
    (first - record.started.unix_s(), last - record.ended.unix_s())
}

#[tokio::test]
async fn real_alerts_notice_latency_errors_and_confusion_when_prometheus_says_so() {
    let _turn = turn().await;
    let hook = free_addr().to_string();
    let to = format!("http://{hook}/");
    let (mlserver, stack) = tokio::join!(MlServer::start(), Stack::start(RULES, Some(&to)));
    let sidecar = scraped_sidecar(&stack, &mlserver.url()).await;
    let phases = r#"
  - { name: steady, lasts: 10s }
  - name: slow
    lasts: 20s
    inject: [{ fault: { latency: { fixed: 700ms } } }]
    expect:
      - fires: { alert: HighLatency, within: 15s }
      - fires: { alert: Deaf, within: 15s }
  - name: failing
    lasts: 20s
    inject: [{ fault: { error: { status: 503, rate: 50% } } }]
    expect:
      - fires: { alert: HighErrorRate, within: 15s }
      - clears: { alert: HighLatency, within: 18s }
  - name: confused
    lasts: 20s
    inject: [{ fault: { mislabel: { rate: 100%, from: virginica, to: versicolor } } }]
    expect:
      - fires: { alert: PredictionDrift, within: 15s }
      - fires: { alert: Misspelt, within: 15s, monitor: prometheus }
      - clears: { alert: HighErrorRate, within: 18s }
  - name: recovery
    lasts: 20s
    expect:
      - clears: { alert: PredictionDrift, within: 18s }
"#;
    let site = Site::new(&scenario("40/s", phases), Some(&stage(&stack, Some(&hook))));
    let (code, report, text) = run(&site, &sidecar, &[]).await;

    assert_eq!(code, 1, "two rules were broken on purpose: {text}");
    for (phase, alert) in
        [("slow", "HighLatency"), ("failing", "HighErrorRate"), ("confused", "PredictionDrift")]
    {
        let outcome = find(&report, phase, alert);
        assert_eq!(outcome.verdict, Verdict::Met, "{alert}: {text}");
        let time = outcome.time.unwrap();
        let (first, _) = recorded(&stack, &report, phase, alert).await;
        assert!((time.seconds - first).abs() <= TICKS_S, "{alert}: {time:?}, Prometheus says {first}");
        let stages = &outcome.stages_s;
        assert!(
            stages["pending"] <= stages["firing"] && stages["firing"] <= stages["notified"] + 1.0,
            "{stages:?}"
        );
        assert!(
            (stages["firing"] - stages["pending"] - 2.0).abs() < 1.1,
            "the rule's `for` is 2 s: {stages:?}"
        );
    }
    for (phase, broken_in, alert) in [
        ("failing", "slow", "HighLatency"),
        ("confused", "failing", "HighErrorRate"),
        ("recovery", "confused", "PredictionDrift"),
    ] {
        let outcome = find(&report, phase, alert);
        assert_eq!(outcome.verdict, Verdict::Met, "{alert} clears: {text}");
        let (_, last) = recorded(&stack, &report, broken_in, alert).await;
        let time = outcome.time.unwrap();
        assert!((time.seconds - last).abs() <= TICKS_S, "{alert} clears: {time:?}, Prometheus says {last}");
    }
    let deaf = find(&report, "slow", "Deaf");
    assert_eq!((deaf.verdict, deaf.reason), (Verdict::Missed, None), "{deaf:?}");
    let misspelt = find(&report, "confused", "Misspelt");
    assert_eq!(
        (misspelt.verdict, misspelt.reason),
        (Verdict::Missed, Some(Reason::MonitorBlind)),
        "{misspelt:?}"
    );
    assert!(report.deliveries.iter().all(|d| d.delivered == canard::event::Delivered::Yes), "{text}");
    let accuracy = report.deliveries[2].effects.iter().find(|effect| effect.measure == "accuracy").unwrap();
    assert!(accuracy.control - accuracy.treated > 0.15, "{accuracy:?}");
}

const ONE_FAULT: &str = r#"
  - { name: steady, lasts: 8s }
  - name: failing
    lasts: 15s
    inject: [{ fault: { error: { status: 503, rate: 50% } } }]
    expect:
      - fires: { alert: HighErrorRate, within: 12s }
"#;

#[tokio::test]
async fn a_silenced_alert_and_a_rule_that_does_not_exist_are_reported_as_what_they_are() {
    let _turn = turn().await;
    let stack = Stack::start(RULES, None).await;
    let demo = Demo::start().await.unwrap();
    let sidecar = scraped_sidecar(&stack, &demo.url()).await;
    stack.alertmanager.silence("HighErrorRate", std::time::Duration::from_secs(600)).await;
    let phases =
        format!("{ONE_FAULT}      - fires: {{ alert: HighErorRate, within: 12s, monitor: prometheus }}\n");
    let site = Site::new(&scenario("60/s", &phases), Some(&stage(&stack, None)));
    let (code, report, text) = run(&site, &sidecar, &[]).await;
    assert_eq!(code, 1, "{text}");
    let silenced = find(&report, "failing", "HighErrorRate");
    assert_eq!(
        (silenced.verdict, silenced.reason),
        (Verdict::Missed, Some(Reason::Suppressed)),
        "{silenced:?}"
    );
    let none = find(&report, "failing", "HighErorRate");
    assert_eq!((none.verdict, none.reason), (Verdict::Inconclusive, Some(Reason::NoSuchAlert)), "{none:?}");
    assert!(none.detail.contains("there is `HighErrorRate`"), "{none:?}");
}

#[tokio::test]
async fn a_prometheus_that_is_down_is_unreachable_not_silent() {
    let _turn = turn().await;
    let mut stack = Stack::start(RULES, None).await;
    let demo = Demo::start().await.unwrap();
    let sidecar = scraped_sidecar(&stack, &demo.url()).await;
    let only =
        format!("monitors: {{ prometheus: {{ prometheus: {{ url: {} }} }} }}\n", stack.prometheus.url());
    let site = Site::new(&scenario("60/s", ONE_FAULT), Some(&only));
    stack.prometheus.kill().await;
    let (code, report, text) = run(&site, &sidecar, &[]).await;
    assert_eq!(code, 3, "{text}");
    let outcome = find(&report, "failing", "HighErrorRate");
    assert_eq!(
        (outcome.verdict, outcome.reason),
        (Verdict::Inconclusive, Some(Reason::MonitorUnreachable)),
        "{text}"
    );
    assert!(text.contains("does not answer"), "{text}");
}

#[tokio::test]
async fn promql_holds_as_a_check_and_ends_a_run_as_a_guard() {
    let _turn = turn().await;
    let stack = Stack::start(RULES, None).await;
    let demo = Demo::start().await.unwrap();
    let sidecar = scraped_sidecar(&stack, &demo.url()).await;
    let phases = r#"
  - name: steady
    lasts: 4s
    expect:
      - holds: { monitor: prometheus, promql: 'up{job="canard"} == 1' }
      - holds: { monitor: prometheus, promql: 'up{job="canard"} == 7' }
  - name: failing
    lasts: 60s
    inject: [{ fault: { error: { status: 503, rate: 100% } } }]
    expect: [{ silent: { alert: HighLatency } }]
abort:
  - query:
      monitor: prometheus
      promql: 'sum(rate(http_server_request_duration_seconds_count{http_response_status_code="503"}[5s])) > 5'
"#;
    let site = Site::new(&scenario("60/s", phases), Some(&stage(&stack, None)));
    let (code, report, text) = run(&site, &sidecar, &[]).await;
    assert_eq!(code, 4, "{text}");
    let conditions: Vec<_> =
        report.outcomes.iter().filter(|o| o.phase == "steady").map(|o| o.verdict).collect();
    assert_eq!(conditions, [Verdict::Met, Verdict::Missed], "{text}");
    assert!(!sidecar.rack().is_armed());

    // The same guard, true before the first fault: the run does not start.
    let i = phases.find("abort:").unwrap();
    let guard = "abort: [{ query: { monitor: prometheus, promql: 'up{job=\"canard\"} == 1', after: 3 } }]\n";
    let unhealthy = format!("{}{guard}", &phases[..i]);
    let site = Site::new(&scenario("60/s", &unhealthy), Some(&stage(&stack, None)));
    let (code, report, text) = run(&site, &sidecar, &[]).await;
    assert_eq!((code, report.phases.len()), (4, 0), "{text}");
    let detail = report.ending_detail.unwrap();
    assert!(detail.starts_with("nothing was armed: 1 (3 looks in a row) (guard `prometheus: up"), "{detail}");
}

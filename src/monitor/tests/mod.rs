//! Sources against servers that speak recorded answers of Prometheus 2.42 and Alertmanager 0.25, and against
//! servers that speak nonsense. Whatever a server says wrong, it is an error, never an all-clear.

mod examine;
mod server;
mod webhook;

use super::*;
use crate::{
    clock,
    scenario::{AlertmanagerSettings, PrometheusSettings},
    unit::Span,
};
use server::{Seen, answer, json, serve};

macro_rules! recorded {
    ($name:literal) => {
        include_str!(concat!("../../../tests/fixtures/monitor/", $name, ".json"))
    };
}
use recorded;

fn nothing() -> EvidenceSource {
    Arc::new(|| Box::pin(async { None }))
}

async fn prometheus(url: &str) -> Box<dyn AlertSource> {
    let settings =
        PrometheusSettings { url: url.to_owned(), token: Some("s3cret".into()), poll: Span::from_secs(1) };
    connect(&Monitor::Prometheus(settings), nothing()).await.unwrap()
}

async fn alertmanager(url: &str) -> Box<dyn AlertSource> {
    let settings = AlertmanagerSettings { url: url.to_owned(), token: None, poll: Span::from_secs(1) };
    connect(&Monitor::Alertmanager(settings), nothing()).await.unwrap()
}

/// A Prometheus with these rules, whose clock is an hour ahead and which has series of `up` alone.
async fn prometheus_with(rules: &'static str) -> (Box<dyn AlertSource>, Seen) {
    let (url, seen) = serve(move |request| {
        if request.starts_with("GET /api/v1/rules?type=alert ") {
            return json(rules);
        }
        if request.contains("query=time%28%29") {
            let now = clock::now().unix_s() + 3600.0;
            return json(&format!(
                r#"{{"status":"success","data":{{"resultType":"scalar","result":[{now:.3},"{now:.3}"]}}}}"#
            ));
        }
        json(r#"{"status":"success","data":{"resultType":"vector","result":[{"metric":{"__name__":"up"},"value":[1,"2"]}]}}"#)
    })
    .await;
    (prometheus(&url).await, seen)
}

fn rule<'a>(reading: &'a Reading, alert: &str) -> &'a Rule {
    reading.rules.iter().flatten().find(|rule| rule.alert == alert).unwrap()
}

#[tokio::test]
async fn prometheus_tells_rules_and_alerts() {
    let (mut source, seen) = prometheus_with(recorded!("prometheus-rules")).await;
    let reading = source.poll().await.unwrap();
    let states: Vec<_> = reading.alerts.iter().map(|alert| (alert.alert.as_str(), alert.state)).collect();
    let expected = [
        ("AlwaysFiring", AlertState::Firing),
        ("AlwaysPending", AlertState::Pending),
        ("Broken", AlertState::Firing),
        ("TargetDown", AlertState::Firing),
    ];
    assert_eq!(states, expected);
    let first = &reading.alerts[0];
    assert_eq!(
        (first.labels.get("severity").map(String::as_str), first.labels.get("alertname")),
        (Some("page"), None)
    );
    let (since, active) = first.since.unwrap();
    assert_eq!((since, format!("{active}").as_str()), (AlertState::Pending, "1795412814.252"));
    assert_eq!(reading.rules.as_ref().unwrap().len(), 7);

    let (always, broken) = (rule(&reading, "AlwaysFiring"), rule(&reading, "Broken"));
    assert_eq!((always.hold, always.interval), (Some(Duration::from_secs(3)), Some(Duration::from_secs(1))));
    assert!(always.healthy && always.has_data == Some(true) && always.query == "up{job=\"self\"} == 1");
    assert!(!broken.healthy && broken.last_error.as_ref().unwrap().contains("many-to-many"));
    let starting = prometheus_with(recorded!("prometheus-rules-starting")).await.0.poll().await.unwrap();
    let never = rule(&starting, "NotYetEvaluated");
    assert_eq!((never.healthy, never.last_evaluation, never.has_data), (false, None, Some(false)));
    assert_eq!(rule(&reading, "NoSeries").has_data, Some(false));
    assert!(seen.lock().unwrap().iter().all(|request| request.contains("authorization: Bearer s3cret")));

    // The clock is known by `time()`, an hour ahead, to milliseconds.
    assert!((reading.skew_s - 3600.0).abs() <= reading.clock_uncertainty_s, "{}", reading.skew_s);
    assert!(reading.clock_uncertainty_s < 0.4, "{}", reading.clock_uncertainty_s);
}

#[tokio::test]
async fn a_date_alone_gives_the_clock_to_half_a_second() {
    let (url, _) = serve(|request| match request.starts_with("GET") {
        true => json(recorded!("prometheus-rules-after")),
        false => answer("503 Service Unavailable", "text/plain", "busy"),
    })
    .await;
    let mut source = prometheus(&url).await;
    let reading = source.poll().await.unwrap();
    assert!(reading.skew_s.abs() <= reading.clock_uncertainty_s && reading.clock_uncertainty_s >= 0.5);
    assert_eq!(rule(&reading, "NoSeries").has_data, None);
    assert_eq!(rule(&reading, "AlwaysFiring").last_error, None);
}

#[tokio::test]
async fn the_recorded_readings_make_a_history() {
    let mut history = History::new();
    for (rules, expected) in [
        (recorded!("prometheus-rules-starting"), &[][..]),
        (recorded!("prometheus-rules"), &["p/AlwaysFiring", "p/Broken", "p/TargetDown"]),
        (recorded!("prometheus-rules-after"), &["p/Broken", "p/TargetDown"]),
    ] {
        let mut reading = prometheus_with(rules).await.0.poll().await.unwrap();
        // Recorded in the past: the clock is set so that the last evaluation was just now.
        let last = reading.rules.iter().flatten().filter_map(|rule| rule.last_evaluation);
        let last = last.map(Timestamp::unix_s).fold(0.0, f64::max);
        reading.skew_s = last - reading.taken_at.unix_s();
        history.apply("p", &reading);
        assert_eq!(history.firing_now(), expected);
    }
    let life = history.lives("AlwaysFiring", Some("p"))[0];
    let (pending, firing) = (life.pending.unwrap().0, life.firing.unwrap().0);
    assert!((firing.since(pending) - 3.0).abs() < 1e-3 && life.ended.is_some());
}

#[tokio::test]
async fn prometheus_answers_queries() {
    let (url, seen) = serve(|request| {
        let body = request.split_once("\r\n\r\n").map(|(_, body)| body);
        match body {
            Some("query=up%7Bjob%3D%22a%22%7D") => json(recorded!("prometheus-query-vector")),
            Some("query=scalar") => json(recorded!("prometheus-query-scalar")),
            Some("query=matrix") => json(recorded!("prometheus-query-matrix")),
            Some("query=bad") => answer("400 Bad Request", "application/json", recorded!("prometheus-query-bad-data")),
            Some("query=clash") => {
                answer("422 Unprocessable Entity", "application/json", recorded!("prometheus-query-execution"))
            }
            Some("query=nan") => json(
                r#"{"status":"success","data":{"resultType":"vector","result":[{"metric":{},"value":[1.1,"NaN"]},{"metric":{},"value":[1.1,"+Inf"]}]}}"#,
            ),
            _ => answer(
                "503 Service Unavailable",
                "application/json",
                r#"{"status":"error","errorType":"timeout","error":"query timed out"}"#,
            ),
        }
    })
    .await;
    let source = prometheus(&url).await;
    let values = source.query("up{job=\"a\"}").await.unwrap();
    let values: Vec<_> = values.iter().map(|value| (value.labels["job"].as_str(), value.value)).collect();
    assert_eq!(values, [("gone", 0.0), ("self", 1.0)]);
    assert!(seen.lock().unwrap()[0].starts_with("POST /api/v1/query HTTP/1.1\r\n"));
    assert_eq!(source.query("scalar").await.unwrap()[0].value, 1.0);
    let odd = source.query("nan").await.unwrap();
    assert!(odd[0].value.is_nan() && odd[1].value == f64::INFINITY);
    for (query, part) in
        [("bad", "unclosed left parenthesis"), ("clash", "many-to-many"), ("matrix", "rate(…)")]
    {
        match source.query(query).await {
            Err(MonitorError::BadQuery(error)) => assert!(error.contains(part), "{error}"),
            other => panic!("{other:?}"),
        }
    }
    assert!(matches!(source.query("slow").await, Err(MonitorError::Unreachable(_))));
}

#[tokio::test]
async fn alertmanager_tells_silenced_and_inhibited_from_firing() {
    let (url, seen) = serve(|_| json(recorded!("alertmanager-alerts"))).await;
    let mut source = alertmanager(&url).await;
    let reading = source.poll().await.unwrap();
    let states: Vec<_> = reading.alerts.iter().map(|alert| (alert.alert.as_str(), alert.state)).collect();
    let expected = [
        ("AlwaysFiring", AlertState::Firing),
        ("Broken", AlertState::Silenced),
        ("TargetDown", AlertState::Inhibited),
    ];
    assert_eq!(states, expected);
    let (since, started) = reading.alerts[0].since.unwrap();
    assert_eq!((since, format!("{started}").as_str()), (AlertState::Firing, "1795412817.252"));
    assert!(reading.rules.is_none() && !source.knows_rules() && !source.is_notification());
    assert!(reading.clock_uncertainty_s >= 0.5 && reading.skew_s.abs() <= reading.clock_uncertainty_s);
    assert!(
        seen.lock().unwrap()[0].starts_with("GET /api/v2/alerts?active=true&silenced=true&inhibited=true")
    );
    assert!(matches!(source.query("up").await, Err(MonitorError::Unsupported(_))));
}

/// Answers that are none, and what the error must say.
fn nonsense() -> Vec<(Vec<u8>, &'static str)> {
    let cut = |body: &str| json(body)[..200].to_vec();
    vec![
        (answer("200 OK", "text/html", "<!doctype html><title>Sign in</title>"), "HTML, not JSON"),
        (
            answer("500 Internal Server Error", "text/plain", "out of memory\nstack"),
            "500 Internal Server Error: out of memory",
        ),
        (answer("404 Not Found", "text/plain", "404 page not found"), "right address"),
        (answer("401 Unauthorized", "text/html", "<html>"), "token"),
        (answer("302 Found", "text/html", "<html>"), "redirects"),
        (json("[{\"labels\": {\"alertname\""), ""),
        (json("{\"status\":\"success\",\"data\":{\"groups\":[{\"name\""), ""),
        (json(""), "cut off"),
        (json("null"), "not the JSON expected"),
        (json("{}"), "not the JSON expected"),
        (json("[] []"), ""),
        (json("{\"status\":\"success\",\"data\":{}}"), "not the JSON expected"),
        (json("{\"status\":\"success\"}"), "not the JSON expected"),
        (json("{\"status\":\"success\",\"data\":{\"groups\":null}}"), "not the JSON expected"),
        (json("hello"), "no JSON"),
        (cut(recorded!("prometheus-rules")), "broke off"),
        (b"SSH-2.0-OpenSSH_9.2\r\n".to_vec(), "HTTP/1"),
        (Vec::new(), "closed the connection"),
    ]
}

#[tokio::test]
async fn nonsense_is_an_error_that_says_what_is_wrong() {
    for (bytes, says) in nonsense() {
        let shown = String::from_utf8_lossy(&bytes).into_owned();
        let (url, _) = serve(move |_| bytes.clone()).await;
        for mut source in [prometheus(&url).await, alertmanager(&url).await] {
            match source.poll().await {
                Err(MonitorError::Unreachable(error)) => {
                    assert!(error.contains(says), "{error:?} of {shown:?}");
                    assert_eq!(error.lines().count(), 1, "{error:?}");
                }
                other => panic!("{other:?} of {shown:?}"),
            }
        }
    }
}

#[tokio::test]
async fn a_state_or_time_that_nobody_knows_is_no_silence() {
    let rules: &'static str = recorded!("prometheus-rules");
    for (from, to) in
        [("\"state\":\"pending\",\"activeAt\"", "\"state\":\"odd\",\"activeAt\""), ("2026-11-23T", "soon")]
    {
        let (url, _) = serve(move |_| json(&rules.replace(from, to))).await;
        assert!(matches!(prometheus(&url).await.poll().await, Err(MonitorError::Unreachable(_))), "{to}");
    }
    let alerts: &'static str = recorded!("alertmanager-alerts");
    for (from, to) in [("\"active\"", "\"odd\""), ("\"startsAt\":\"2026", "\"startsAt\":\"soon")] {
        let (url, _) = serve(move |_| json(&alerts.replace(from, to))).await;
        assert!(matches!(alertmanager(&url).await.poll().await, Err(MonitorError::Unreachable(_))), "{to}");
    }
    // Firing, but not told which: an instance without labels.
    let bare = r#"{"status":"success","data":{"groups":[{"interval":1,"rules":[{"type":"alerting","name":"A","state":"firing","query":"up","health":"ok","lastEvaluation":"2026-11-23T05:46:54Z"}]}]}}"#;
    let reading = prometheus_with(bare).await.0.poll().await.unwrap();
    assert_eq!((reading.alerts[0].alert.as_str(), reading.alerts[0].state), ("A", AlertState::Firing));
}

#[tokio::test]
async fn a_server_that_is_down_or_too_talkative() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let error = prometheus(&url).await.poll().await.unwrap_err().to_string();
    assert_eq!(error, format!("{url}/api/v1/rules: connection refused; is it running there?"));

    let (url, _) = serve(|_| json(&"x".repeat(2000))).await;
    let client = HttpClient::new(&url, None).unwrap().with_limit(1000);
    assert!(client.get("/").await.unwrap_err().to_string().contains("more than 1000 bytes"));
    // Without a length, it is cut off while it comes.
    let (url, _) = serve(|_| [b"HTTP/1.1 200 OK\r\n\r\n".to_vec(), vec![b'x'; 17 << 20]].concat()).await;
    let error = alertmanager(&url).await.poll().await.unwrap_err().to_string();
    assert!(error.contains("more than 16777216 bytes"), "{error}");
}

#[tokio::test]
async fn a_server_that_hangs_is_given_up() {
    // Before the head, and in mid-body.
    for begun in ["", "HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n["] {
        let url = server::stall_after(begun).await;
        let client = HttpClient::new(&url, None).unwrap().with_deadline(Duration::from_millis(50));
        let error = client.get("/x?secret=1").await.unwrap_err().to_string();
        assert!(error.starts_with(&format!("{url}/x: timed out")), "{error}");
    }
}

#[tokio::test]
async fn json_that_is_cut_off_is_told_as_such() {
    let (rules, alerts) = (recorded!("prometheus-rules"), recorded!("alertmanager-alerts"));
    for at in [20, 300, rules.len() - 3] {
        let (url, _) = serve(move |_| json(&rules[..at])).await;
        let error = prometheus(&url).await.poll().await.unwrap_err().to_string();
        assert!(error.ends_with("the JSON is cut off"), "{error}");
    }
    for at in [1, 200, alerts.trim_end().len() - 1] {
        let (url, _) = serve(move |_| json(&alerts[..at])).await;
        let error = alertmanager(&url).await.poll().await.unwrap_err().to_string();
        assert!(error.ends_with("the JSON is cut off"), "{error}");
    }
}

#[tokio::test]
async fn an_address_that_is_none_fails_at_once() {
    let settings =
        AlertmanagerSettings { url: "localhost:9093".into(), token: None, poll: Span::from_secs(1) };
    let error = connect(&Monitor::Alertmanager(settings), nothing()).await.err().unwrap();
    assert!(matches!(&error, MonitorError::Setup(why) if why.contains("http://")), "{error}");
}

//! What Prometheus and Alertmanager tell of an alert afterwards, from servers that say one thing and hold another.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use super::{server::Seen, *};
use crate::{
    clock::Timestamp,
    monitor::findings::{Condition, Findings, Question, Routing, RuleFinding, SeriesState},
};

type Labels = BTreeMap<String, String>;

fn labels(text: &str) -> Labels {
    let pairs = text.split_whitespace().filter_map(|pair| pair.split_once('='));
    pairs.map(|(key, value)| (key.into(), value.into())).collect()
}

fn json_of(labels: &Labels) -> String {
    serde_json::to_string(labels).unwrap()
}

/// A fault that began 60 s ago and lasted 40 s.
fn asked() -> Question {
    let now = clock::now();
    Question {
        alert: "Slow".into(),
        wanted: Labels::new(),
        from: now.plus_s(-60.0),
        ended: now.plus_s(-20.0),
        to: now.plus_s(-20.0),
        fired: None,
        until: now,
        quiet_from: now.plus_s(-120.0),
        faulted_before: false,
    }
}

/// A series with a value each second between two moments, seen from the start of the fault.
fn series(labels: &str, question: &Question, from: f64, to: f64, value: f64) -> String {
    let at = |second: i32| question.from.plus_s(f64::from(second)).unix_s();
    let points = (from as i32..=to as i32).map(|second| format!("[{:.3},\"{value}\"]", at(second)));
    let points = points.collect::<Vec<_>>().join(",");
    format!("{{\"metric\":{},\"values\":[{points}]}}", json_of(&self::labels(labels)))
}

fn sample(labels: &str, value: f64) -> String {
    format!("{{\"metric\":{},\"value\":[1,\"{value}\"]}}", json_of(&self::labels(labels)))
}

/// A field of a form.
fn field(request: &str, name: &str) -> Option<String> {
    let (_, body) = request.split_once("\r\n\r\n")?;
    let value = body.split('&').find_map(|pair| pair.strip_prefix(&format!("{name}=")))?.replace('+', " ");
    let mut parts = value.split('%');
    let mut out = parts.next()?.to_owned();
    for part in parts {
        out.push(char::from(u8::from_str_radix(&part[..2], 16).ok()?));
        out.push_str(&part[2..]);
    }
    Some(out)
}

/// What a Prometheus with one rule finds out, which answers queries by `answer`; what is not asked for is empty.
async fn of_prometheus(
    rule: &str,
    question: &Question,
    answer: impl Fn(&str) -> Option<String> + Send + Sync + 'static,
) -> (Findings, Seen) {
    let rule = serde_json::to_string(rule).unwrap();
    let rules = format!(
        r#"{{"status":"success","data":{{"groups":[{{"name":"g","file":"f","interval":1,"rules":[{{"type":"alerting",
        "name":"Slow","query":{rule},"duration":0,"labels":{{"severity":"page"}},"alerts":[],"health":"ok",
        "state":"inactive","lastEvaluation":"2030-01-01T00:00:00Z"}}]}}]}}}}"#
    );
    let (url, seen) = serve(move |request| {
        if request.starts_with("GET /api/v1/rules") {
            return json(&rules);
        }
        if request.starts_with("GET /api/v1/label/") {
            return json(r#"{"status":"success","data":[]}"#);
        }
        if request.starts_with("GET ") {
            return json(r#"{"status":"success","data":{"activeTargets":[],"activeAlertmanagers":[]}}"#);
        }
        let kind = if request.contains("/query_range ") { "matrix" } else { "vector" };
        let result = field(request, "query").and_then(|query| answer(&query)).unwrap_or_default();
        json(&format!(r#"{{"status":"success","data":{{"resultType":"{kind}","result":[{result}]}}}}"#))
    })
    .await;
    let mut source = prometheus(&url).await;
    (source.examine(question).await, seen)
}

fn comparison(findings: &Findings) -> &crate::monitor::findings::Comparison {
    match findings.condition.as_ref().unwrap() {
        Condition::Compare(one) => one,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn what_a_window_looks_at_is_looked_at_too() {
    let question = asked();
    let of = question.clone();
    let (found, _) = of_prometheus("rate(x[5m]) > 1", &question, move |query| match query {
        "rate(x[5m])" => Some(series("job=j instance=i", &of, -50.0, 40.0, 0.5)),
        "count(x)" => Some(series("", &of, -50.0, -30.0, 1.0)),
        _ if query.starts_with("count by (job, instance) (last_over_time(x[") => {
            Some([sample("job=j instance=i", 1.0), sample("job=j instance=other", 1.0)].join(","))
        }
        // The target is back by now.
        "avg_over_time(up[40s])" => {
            Some([sample("job=j instance=i", 0.1), sample("job=j instance=other", 1.0)].join(","))
        }
        _ => None,
    })
    .await;
    let one = comparison(&found);
    assert_eq!(one.held_since(question.from), Some(false), "it has its values");
    let SeriesState::Stale { last, down } = &one.series[0].state else { panic!("{one:?}") };
    assert!((last.since(question.from) + 30.0).abs() < 1.0, "{one:?}");
    let down: Vec<_> = down.iter().map(|target| (target.instance.as_str(), target.error.as_str())).collect();
    assert_eq!(down, [("i", "it is back now")]);
}

#[tokio::test]
async fn series_with_other_labels_are_left_out() {
    let question = Question { wanted: labels("service=a severity=ticket cluster=eu"), ..asked() };
    let of = question.clone();
    let rule = "x > 1 unless on () m == 1";
    let (found, _) = of_prometheus(rule, &question, move |query| match query {
        "x" => Some(
            [series("service=a", &of, -9.0, 40.0, 2.0), series("service=b", &of, 0.0, 40.0, 3.0)].join(","),
        ),
        "x > 1" => Some(series("service=a", &of, 0.0, 40.0, 2.0)),
        "x > 1 unless on () m == 1" => Some(series("service=b", &of, 0.0, 40.0, 3.0)),
        _ if query.starts_with("ALERTS{") => Some(series("service=b alertstate=pending", &of, 3.0, 9.0, 1.0)),
        _ => None,
    })
    .await;
    let tracks: Vec<_> = comparison(&found).tracks.iter().map(|track| track.labels.clone()).collect();
    assert_eq!(tracks, [labels("service=a")], "the rule sets the severity, and a cluster may be added later");
    assert!(found.pending.is_empty(), "{found:?}");
    let together = found.together.unwrap();
    assert_eq!((together.held, together.but_for), (false, Some(("on () m == 1".to_owned(), true))));

    let of = question.clone();
    let (found, _) = of_prometheus("x > 1", &question, move |query| {
        (query == "x").then(|| series("service=b", &of, 0.0, 40.0, 3.0))
    })
    .await;
    assert!(comparison(&found).other_labels && comparison(&found).tracks.is_empty(), "{found:?}");
    assert_eq!(found.together, None, "one part");
}

#[tokio::test]
async fn both_sides_are_looked_at() {
    let question = asked();
    let ask = async |matched: bool, right: bool| {
        let of = question.clone();
        let (found, _) = of_prometheus("a > on (job) b", &question, move |query| match query {
            "a" => Some(series("s=1", &of, -9.0, 40.0, 2.0)),
            "b" if right => {
                Some([series("t=1", &of, 0.0, 40.0, 2.0), series("t=2", &of, 0.0, 40.0, 2.0)].join(","))
            }
            "count(a)" => Some(series("", &of, -9.0, 40.0, 1.0)),
            "count(b)" if right => Some(series("", &of, -9.0, 40.0, 2.0)),
            "count((a) * 0 + on (job) (b))" if matched => Some(series("", &of, 0.0, 40.0, 1.0)),
            _ => None,
        })
        .await;
        comparison(&found).clone()
    };
    let one = ask(false, true).await;
    assert_eq!(one.unmatched.as_deref(), Some("b"), "{one:?}");
    assert_eq!(ask(true, true).await.unmatched, None, "Prometheus matches them");
    // A single series with other labels is no threshold, unless the matching says so.
    for (rule, held) in [("a > b", None), ("a > on () b", Some(true))] {
        let of = question.clone();
        let answer = move |query: &str| match query {
            "a" => Some(series("s=1", &of, -9.0, 40.0, 2.0)),
            "b" => Some(series("t=1", &of, -9.0, 40.0, 1.0)),
            _ => None,
        };
        let (found, _) = of_prometheus(rule, &question, answer).await;
        assert_eq!(comparison(&found).held_since(question.from), held, "{rule}");
    }
    let one = ask(false, false).await;
    assert!(one.unmatched.is_none() && one.series[1].selector == "b", "{one:?}");
    assert!(matches!(one.series[1].state, SeriesState::Empty { .. }), "{one:?}");
}

#[tokio::test]
async fn a_long_phase_asks_for_no_more_points_than_there_may_be() {
    let now = clock::now();
    let question = Question { from: now.plus_s(-100_000.0), quiet_from: now.plus_s(-100_600.0), ..asked() };
    let (_, seen) = of_prometheus("rate(x[5m]) > 1", &question, |_| None).await;
    let number = |request: &str, name| field(request, name).unwrap().parse::<f64>().unwrap();
    let seen = seen.lock().unwrap();
    let ranges: Vec<f64> = seen
        .iter()
        .filter(|request| request.contains("/query_range "))
        .map(|request| (number(request, "end") - number(request, "start")) / number(request, "step"))
        .collect();
    assert!(ranges.len() >= 3 && ranges.iter().all(|points| *points < 11_000.0), "{ranges:?}");
}

#[tokio::test]
async fn a_rule_of_unknown_health_is_not_yet_evaluated() {
    let (url, _) = serve(|_| {
        json(
            r#"{"status":"success","data":{"groups":[{"name":"g","interval":600,"rules":[{"type":"alerting","name":"Slow",
            "query":"x > 1","health":"unknown","lastEvaluation":"0001-01-01T00:00:00Z","state":"inactive"}]}]}}"#,
        )
    })
    .await;
    let found = prometheus(&url).await.examine(&asked()).await;
    let RuleFinding::Present(rule) = found.rule else { panic!("{found:?}") };
    assert_eq!((rule.last_evaluation, rule.last_error), (None, None));
}

/// An Alertmanager whose answers change.
#[derive(Default)]
struct Told {
    alerts: String,
    silences: String,
    /// Failed requests of its webhooks; `None` while it does not tell.
    failed: Option<u64>,
}

const CONFIG: &str = "route: { receiver: pager, routes: [{ receiver: audit, matchers: ['audit=\"yes\"'] }] }\n\
                      receivers: [{ name: pager, webhook_configs: [{ url: 'http://x/' }] }, { name: audit }]\n\
                      inhibit_rules: [{ source_matchers: ['alertname=\"Down\"'], target_matchers: ['alertname=\"Slow\"'] }]\n";

async fn telling(told: &Arc<Mutex<Told>>) -> Box<dyn AlertSource> {
    let told = Arc::clone(told);
    let (url, _) = serve(move |request| {
        let told = told.lock().unwrap();
        let path = request.split(' ').nth(1).unwrap();
        match path.split('?').next().unwrap() {
            "/api/v2/alerts" => json(&format!("[{}]", told.alerts)),
            "/api/v2/silences" => json(&format!("[{}]", told.silences)),
            "/api/v2/status" => {
                json(&format!(r#"{{"config":{{"original":{}}}}}"#, serde_json::to_string(CONFIG).unwrap()))
            }
            _ => match told.failed {
                Some(failed) => {
                    let metric = "alertmanager_notification_requests_failed_total";
                    answer("200 OK", "text/plain", &format!("{metric}{{integration=\"webhook\"}} {failed}\n"))
                }
                None => answer("503 Service Unavailable", "text/plain", ""),
            },
        }
    })
    .await;
    alertmanager(&url).await
}

fn rfc3339(at: Timestamp) -> String {
    jiff::Timestamp::from_microsecond((at.unix_s() * 1e6) as i64).unwrap().to_string()
}

/// An alert as it is told; `by` holds the ids of silences.
fn told(of: &str, since: Timestamp, silenced_by: &str) -> String {
    let state = if silenced_by.is_empty() { "active" } else { "suppressed" };
    let by = if silenced_by.is_empty() { String::new() } else { format!("\"{silenced_by}\"") };
    format!(
        r#"{{"labels":{},"startsAt":"{}","fingerprint":"{of}","status":{{"state":"{state}","silencedBy":[{by}],"inhibitedBy":[],"mutedBy":[]}}}}"#,
        json_of(&labels(of)),
        rfc3339(since)
    )
}

fn silence(id: &str, from: Timestamp, to: Timestamp) -> String {
    format!(
        r#"{{"id":"{id}","matchers":[{{"name":"alertname","value":"Slow","isRegex":false,"isEqual":true}}],"startsAt":"{}","endsAt":"{}","createdBy":"ann","comment":"","status":{{"state":"active"}},"updatedAt":"{}"}}"#,
        rfc3339(from),
        rfc3339(to),
        rfc3339(from)
    )
}

/// It fires since now, with these labels.
fn fired(of: &str) -> Question {
    let now = clock::now();
    Question { from: now.plus_s(-10.0), fired: Some((labels(of), now)), until: now.plus_s(30.0), ..asked() }
}

async fn routing(source: &mut Box<dyn AlertSource>, question: &Question) -> Routing {
    source.examine(question).await.routing.unwrap()
}

#[tokio::test]
async fn what_alertmanager_said_in_its_time_decides() {
    let state = Arc::new(Mutex::new(Told::default()));
    let mut source = telling(&state).await;
    let now = clock::now();
    let of = "alertname=Slow service=a";
    let question = fired("service=a");
    // Silenced at first, then not any more, while a silence that has ended and another inhibitor are there.
    state.lock().unwrap().silences = [
        silence("one", now.plus_s(-60.0), now.plus_s(-8.0)),
        silence("two", now.plus_s(-1.0), now.plus_s(600.0)),
    ]
    .join(",");
    state.lock().unwrap().alerts = told(of, now, "one");
    source.poll().await.unwrap();
    let ids =
        |routing: &Routing| routing.silences.iter().map(|one| one.id.clone()).collect::<Vec<_>>().join(" ");
    assert_eq!(ids(&routing(&mut source, &question).await), "one");
    state.lock().unwrap().alerts = [told(of, now, ""), told("alertname=Down", now, "")].join(",");
    source.poll().await.unwrap();
    let found = routing(&mut source, &question).await;
    assert!(found.known && found.silences.is_empty() && found.inhibited_by.is_empty(), "{found:?}");
    // Of one that it never told of, what held when it fired.
    let other = Question { fired: Some((labels("service=b"), now)), ..question.clone() };
    let found = routing(&mut source, &other).await;
    assert_eq!(
        (found.known, ids(&found).as_str()),
        (false, "two"),
        "another instance is another alert: {found:?}"
    );
    let later = Question { fired: Some((labels("service=b"), now.plus_s(5.0))), ..question.clone() };
    assert!(routing(&mut source, &later).await.inhibited_by.is_empty(), "nobody knows whether `Down` lasts");
    // A label that was dropped on the way makes no other alert of it.
    let more = Question { fired: Some((labels("service=a replica=1"), now)), ..question };
    assert!(routing(&mut source, &more).await.known);
}

#[tokio::test]
async fn what_it_said_in_another_phase_does_not_count() {
    let state = Arc::new(Mutex::new(Told::default()));
    let mut source = telling(&state).await;
    let now = clock::now();
    state.lock().unwrap().alerts = told("alertname=Slow", now.plus_s(-500.0), "one");
    source.poll().await.unwrap();
    let past = Question { from: now.plus_s(-600.0), until: now.plus_s(-400.0), ..fired("") };
    assert!(!routing(&mut source, &past).await.known, "it was told of later");
    assert!(routing(&mut source, &fired("")).await.known);
}

#[tokio::test]
async fn only_alerts_of_its_route_are_in_its_group() {
    let state = Arc::new(Mutex::new(Told::default()));
    let mut source = telling(&state).await;
    let now = clock::now();
    let joined = async |source: &mut Box<dyn AlertSource>, other: &str| {
        let (other, slow) = (told(other, now.plus_s(-5.0), ""), told("alertname=Slow", now, ""));
        state.lock().unwrap().alerts = [other, slow].join(",");
        source.poll().await.unwrap();
        routing(source, &fired("")).await.routes[0].joined
    };
    assert!(!joined(&mut source, "alertname=Other audit=yes").await, "another receiver");
    assert!(joined(&mut source, "alertname=Other").await, "one group for all of the route");
}

#[tokio::test]
async fn what_failed_before_is_known_from_the_first_look_that_succeeds() {
    let state = Arc::new(Mutex::new(Told::default()));
    let mut source = telling(&state).await;
    state.lock().unwrap().alerts = told("alertname=Slow", clock::now(), "");
    source.poll().await.unwrap();
    state.lock().unwrap().failed = Some(90);
    assert!(routing(&mut source, &fired("")).await.counters.is_empty(), "90 since when?");
    source.poll().await.unwrap();
    state.lock().unwrap().failed = Some(93);
    let found = routing(&mut source, &fired("")).await;
    assert_eq!(found.counters.values().map(|count| count.refused).collect::<Vec<_>>(), [3]);
}

#[tokio::test]
async fn an_inbox_tells_whom_it_heard() {
    let settings = crate::scenario::WebhookSettings { listen: "127.0.0.1:0".into() };
    let mut inbox = connect(&Monitor::Webhook(settings), nothing()).await.unwrap();
    assert!(inbox.examine(&asked()).await.heard_from.is_empty());
    let client = HttpClient::new(&format!("http://{}", inbox.address().unwrap()), None).unwrap();
    let body = bytes::Bytes::from_static(recorded!("webhook-alertmanager-firing").as_bytes());
    client.send(http::Method::POST, "/", Some(("application/json", body))).await.unwrap();
    assert_eq!(Vec::from_iter(inbox.examine(&asked()).await.heard_from), ["hook"]);
}

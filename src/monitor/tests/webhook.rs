//! Notifications, recorded from Alertmanager and written after Grafana's documentation.

use http::Method;

use super::*;
use crate::scenario::WebhookSettings;

async fn listening() -> (Box<dyn AlertSource>, HttpClient) {
    let settings = WebhookSettings { listen: "127.0.0.1:0".into() };
    let source = connect(&Monitor::Webhook(settings), nothing()).await.unwrap();
    let client = HttpClient::new(&format!("http://{}", source.address().unwrap()), None).unwrap();
    (source, client)
}

async fn post(client: &HttpClient, body: &str) -> u16 {
    let body = ("application/json", bytes::Bytes::copy_from_slice(body.as_bytes()));
    client.send(Method::POST, "/any/path", Some(body)).await.unwrap().status.as_u16()
}

#[tokio::test]
async fn a_notification_counts_from_when_it_came() {
    let (mut source, client) = listening().await;
    assert!(source.is_notification() && !source.knows_rules());
    let mut history = History::new();
    history.apply("pager", &source.poll().await.unwrap());
    let before = clock::now();
    assert_eq!(post(&client, recorded!("webhook-alertmanager-firing")).await, 200);
    let reading = source.poll().await.unwrap();
    let alert = &reading.alerts[0];
    assert_eq!(
        (alert.alert.as_str(), alert.state, alert.notification),
        ("AlwaysFiring", AlertState::Firing, true)
    );
    let (_, at) = alert.since.unwrap();
    assert!(at >= before && at <= clock::now());
    history.apply("pager", &reading);
    // Told again, as every `repeat_interval`: the same alert, since the same time.
    assert_eq!(post(&client, recorded!("webhook-alertmanager-firing")).await, 200);
    assert!(history.apply("pager", &source.poll().await.unwrap()).is_empty());
    assert_eq!(history.firing_now(), ["pager/AlwaysFiring"]);
    assert_eq!(post(&client, recorded!("webhook-alertmanager-resolved")).await, 200);
    let changes = history.apply("pager", &source.poll().await.unwrap());
    assert_eq!((changes.len(), changes[0].state, changes[0].notification), (1, AlertState::Inactive, true));
    assert!(source.poll().await.unwrap().alerts.is_empty() && source.take_notices().is_empty());
}

#[tokio::test]
async fn fired_resolved_and_fired_again_between_two_looks() {
    let (mut source, client) = listening().await;
    let mut history = History::new();
    let firing = recorded!("webhook-alertmanager-firing");
    let again = firing.replace("2026-11-23T05:46:57.252Z", "2026-11-23T05:56:57.252Z");
    for body in [firing, recorded!("webhook-alertmanager-resolved"), &again] {
        post(&client, body).await;
    }
    let states: Vec<_> =
        history.apply("pager", &source.poll().await.unwrap()).iter().map(|change| change.state).collect();
    assert_eq!(states, [AlertState::Firing, AlertState::Inactive, AlertState::Firing]);
    // Another `startsAt` without a word about the end (`send_resolved: false`) is another alert too.
    post(&client, firing).await;
    let states: Vec<_> =
        history.apply("pager", &source.poll().await.unwrap()).iter().map(|change| change.state).collect();
    assert_eq!(states, [AlertState::Inactive, AlertState::Firing]);
}

#[tokio::test]
async fn grafana_has_the_same_shape_and_more() {
    let (mut source, client) = listening().await;
    let body = r#"{"receiver":"pager","status":"firing","orgId":1,"title":"[FIRING:1]","state":"alerting","message":"m",
        "alerts":[{"status":"firing","labels":{"alertname":"HighLatency","grafana_folder":"ml"},"annotations":{},
        "startsAt":"2026-11-23T12:00:00+01:00","endsAt":"0001-01-01T00:00:00Z","values":{"B":22.98},
        "valueString":"[ var='B' value=22.98 ]","generatorURL":"","fingerprint":"c6eadffa33fcdf37","silenceURL":""}],
        "groupLabels":{},"commonLabels":{},"commonAnnotations":{},"externalURL":"","version":"1","groupKey":"{}",
        "truncatedAlerts":0}"#;
    assert_eq!(post(&client, body).await, 200);
    let reading = source.poll().await.unwrap();
    assert_eq!(reading.alerts[0].alert, "HighLatency");
    assert_eq!(reading.alerts[0].labels["grafana_folder"], "ml");
}

#[tokio::test]
async fn a_call_that_can_not_be_read_is_refused_and_changes_nothing() {
    let (mut source, client) = listening().await;
    post(&client, recorded!("webhook-alertmanager-firing")).await;
    for bad in
        ["", "{", "[]", "{\"alerts\":3}", "{\"alerts\":[{\"status\":\"odd\",\"labels\":{}}]}", "<html>"]
    {
        assert_eq!(post(&client, bad).await, 400, "{bad}");
    }
    assert_eq!(post(&client, &" ".repeat(5 << 20)).await, 413);
    assert_eq!(client.get("/").await.unwrap().status, 405);
    let notices = source.take_notices();
    assert_eq!(notices.len(), 7);
    assert!(notices[6].contains("(7 so far)"), "{notices:?}");
    assert!(source.take_notices().is_empty());
    assert_eq!(source.poll().await.unwrap().alerts.len(), 1);
}

#[tokio::test]
async fn too_many_alerts_are_refused_not_forgotten() {
    let (mut source, client) = listening().await;
    let alerts = |range: std::ops::Range<usize>| {
        let alerts: Vec<String> = range
            .map(|i| {
                format!(r#"{{"status":"firing","labels":{{"alertname":"A","i":"{i}"}},"fingerprint":"{i}"}}"#)
            })
            .collect();
        format!(r#"{{"alerts":[{}]}}"#, alerts.join(","))
    };
    assert_eq!(post(&client, &alerts(0..9_999)).await, 200);
    assert_eq!(post(&client, &alerts(9_999..10_001)).await, 503);
    assert_eq!(post(&client, &alerts(0..10)).await, 200); // known ones
    assert_eq!(source.poll().await.unwrap().alerts.len(), 9_999);
    assert!(source.take_notices()[0].contains("10000 alerts"));
}

#[tokio::test]
async fn a_port_in_use_names_the_address_and_the_remedy() {
    let (source, _) = listening().await;
    let taken = source.address().unwrap().to_string();
    for (listen, says) in [(taken.as_str(), "in use"), ("nonsense", "127.0.0.1:9911")] {
        let settings = WebhookSettings { listen: listen.to_owned() };
        match connect(&Monitor::Webhook(settings), nothing()).await {
            Err(MonitorError::Setup(why)) => assert!(why.contains(listen) && why.contains(says), "{why}"),
            other => panic!("{:?}", other.err()),
        }
    }
    // Free again when it is dropped.
    drop(source);
    tokio::task::yield_now().await;
    let settings = WebhookSettings { listen: taken };
    assert!(connect(&Monitor::Webhook(settings), nothing()).await.is_ok());
}

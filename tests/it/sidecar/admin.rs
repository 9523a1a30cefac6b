//! The admin API: what it documents, who may call, and how a lease lives.

use std::{collections::BTreeSet, net::SocketAddr, time::Duration};

use axum::{Router, routing::any};
use bytes::Bytes;
use canard::{
    evidence::Line,
    layer::LeaseId,
    monitor::HttpClient,
    scenario::{Document, Source, compile},
    sidecar::{
        OPENAPI, Sidecar, SidecarError, Token,
        client::{AdminClient, AdminError},
    },
};
use http::{Method, StatusCode};
use serde_json::{Value, json};

use super::support::*;

const SCENARIO: &str = r#"
name: down
seed: 7
target: { protocol: http }
exposure: { share: 100% }
phases:
  - { name: steady, lasts: 30s }
  - { name: broken, lasts: 30s, inject: [{ fault: { error: { status: 503 } } }] }
"#;

fn scenario() -> Document {
    compile(&Source::new("down.yaml", SCENARIO)).unwrap().document
}

async fn upstream() -> SocketAddr {
    serve(Router::new().fallback(any(|| async { "fine" }))).await
}

fn client(sidecar: &Sidecar, token: Option<&str>) -> AdminClient {
    AdminClient::new(&format!("http://{}", sidecar.admin_addr().unwrap()), token.map(str::to_owned)).unwrap()
}

async fn status(sidecar: &Sidecar) -> u16 {
    let get =
        "POST /v2/models/iris/infer HTTP/1.1\r\nHost: m\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
    let response = exchange(sidecar.listen_addr(), get).await;
    response.split(' ').nth(1).unwrap().parse().unwrap()
}

#[tokio::test]
async fn a_lease_is_armed_renewed_skipped_and_ended() {
    let sidecar = start(upstream().await);
    let admin = client(&sidecar, None);
    let lease = admin.arm(&scenario(), Duration::from_secs(30)).await.unwrap();
    assert_eq!(status(&sidecar).await, 200);
    let armed = admin.status().await.unwrap().leases.remove(0);
    assert_eq!((armed.id, armed.scenario.as_str(), armed.phase.as_deref()), (lease, "down", Some("steady")));

    let again = admin.arm(&scenario(), Duration::from_secs(30)).await.unwrap_err();
    assert!(matches!(&again, AdminError::Refused(why) if why.contains("`down` is armed")), "{again}");
    admin.renew(lease, Duration::from_secs(60), Some("broken")).await.unwrap();
    assert_eq!(status(&sidecar).await, 503);
    let missing = admin.renew(lease, Duration::from_secs(60), Some("nowhere")).await.unwrap_err();
    assert!(missing.to_string().contains("nowhere"), "{missing}");
    let evidence = admin.evidence(lease).await.unwrap();
    assert_eq!(evidence.phases[1].treated.statuses[&503], 1);

    admin.disarm(lease).await.unwrap();
    assert_eq!(status(&sidecar).await, 200);
    for over in [admin.renew(lease, Duration::from_secs(1), None).await, admin.disarm(lease).await] {
        assert!(matches!(&over, Err(AdminError::Refused(why)) if why.contains("no such lease")), "{over:?}");
    }
    admin.arm(&scenario(), Duration::from_secs(30)).await.unwrap();
    admin.stop().await.unwrap();
    assert_eq!(admin.status().await.unwrap().leases, []);
}

#[tokio::test]
async fn an_armed_scenario_is_replaced_by_one_of_its_structure() {
    let sidecar = start(upstream().await);
    let admin = client(&sidecar, None);
    let lease = admin.arm(&scenario(), Duration::from_secs(30)).await.unwrap();
    admin.renew(lease, Duration::from_secs(30), Some("broken")).await.unwrap();
    assert_eq!(status(&sidecar).await, 503);
    let of = |text: String| compile(&Source::new("down.yaml", text)).unwrap().document;
    admin.replace(lease, &of(SCENARIO.replace("503", "429")), Duration::from_secs(60)).await.unwrap();
    assert_eq!(status(&sidecar).await, 429);
    let armed = admin.status().await.unwrap().leases.remove(0);
    assert_eq!((armed.id, armed.phase.as_deref()), (lease, Some("broken")));
    assert!(armed.expires_in_s > 31.0, "renewed as well: {}", armed.expires_in_s);
    let evidence = admin.evidence(lease).await.unwrap();
    let statuses = &evidence.phases[1].treated.statuses;
    assert_eq!((statuses[&503], statuses[&429]), (1, 1));

    let other = of(SCENARIO.replace("seed: 7", "seed: 8"));
    let refused = admin.replace(lease, &other, Duration::from_secs(60)).await.unwrap_err();
    assert!(matches!(&refused, AdminError::Refused(why) if why.contains("`seed` changed")), "{refused}");
    assert_eq!(status(&sidecar).await, 429);
    admin.disarm(lease).await.unwrap();
    let over = admin.replace(lease, &scenario(), Duration::from_secs(60)).await.unwrap_err();
    assert!(over.to_string().contains("no such lease"), "{over}");
}

#[tokio::test]
async fn a_lease_that_nobody_renews_runs_out() {
    let sidecar = start(upstream().await);
    let admin = client(&sidecar, None);
    let lease = admin.arm(&scenario(), Duration::from_millis(300)).await.unwrap();
    admin.renew(lease, Duration::from_millis(300), Some("broken")).await.unwrap();
    let ended = async {
        while !admin.status().await.unwrap().leases.is_empty() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), ended).await.unwrap();
    assert_eq!(status(&sidecar).await, 200);
}

#[tokio::test]
async fn a_scenario_that_is_wrong_is_refused_with_every_mistake() {
    let sidecar = start(upstream().await);
    let mut document = scenario();
    document.phases[1].lasts = canard::unit::Span::ZERO;
    document.phases[0].name = "broken".into();
    let error = client(&sidecar, None).arm(&document, Duration::from_secs(1)).await.unwrap_err();
    let AdminError::Refused(why) = &error else { panic!("{error}") };
    assert!(why.contains("phases[1].lasts") && why.contains("phases[1].name"), "{why}");
    assert_eq!(sidecar.rack().status(), []);
}

#[tokio::test]
async fn with_a_token_every_call_needs_it() {
    let mut config = config(upstream().await);
    config.admin_token = Token::new("s3cret");
    let sidecar = Sidecar::start(config).unwrap();
    for token in [None, Some("wrong"), Some("s3cret2")] {
        let error = client(&sidecar, token).status().await.unwrap_err();
        assert!(matches!(&error, AdminError::Refused(why) if why.contains("token")), "{error}");
    }
    assert!(client(&sidecar, Some("s3cret")).status().await.is_ok());
    let open = HttpClient::new(&format!("http://{}", sidecar.admin_addr().unwrap()), None).unwrap();
    for path in ["/healthz", "/readyz", "/metrics", "/openapi.json"] {
        assert_eq!(open.get(path).await.unwrap().status, StatusCode::OK, "{path}");
    }
}

#[tokio::test]
async fn an_admin_api_that_others_can_reach_needs_a_token() {
    let mut config = config(upstream().await);
    config.admin = Some("0.0.0.0:0".parse().unwrap());
    let error = Sidecar::start(config.clone()).unwrap_err();
    assert!(matches!(error, SidecarError::TokenRequired(_)), "{error}");
    config.admin_token = Token::new("s3cret");
    assert!(Sidecar::start(config).is_ok());
}

#[tokio::test]
async fn a_web_page_cannot_call() {
    let sidecar = start(upstream().await);
    let admin = sidecar.admin_addr().unwrap();
    for fields in ["Host: evil.example".to_owned(), format!("Host: {admin}\r\nOrigin: http://evil.example")] {
        let request = format!("POST /v1/stop HTTP/1.1\r\n{fields}\r\nConnection: close\r\n\r\n");
        let response = exchange(admin, &request).await;
        assert!(response.starts_with("HTTP/1.1 403"), "{response}");
    }
}

#[tokio::test]
async fn the_client_tells_what_it_met() {
    let html = serve(Router::new().fallback(any(|| async { axum::response::Html("<h1>Log in</h1>") }))).await;
    let other = serve(Router::new().fallback(any(|| async {
        axum::Json(
            json!({"api_version": 2, "canard_version": "9.0.0", "now": 1.0, "upstream": "", "listen": "",
            "draining": false}),
        )
    })))
    .await;
    let nobody = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let ask = async |address| {
        AdminClient::new(&format!("http://{address}"), None).unwrap().status().await.unwrap_err()
    };
    assert!(matches!(ask(html).await, AdminError::Unreachable(_)));
    assert!(matches!(ask(nobody).await, AdminError::Unreachable(_)));
    let version = ask(other).await;
    assert!(matches!(&version, AdminError::Refused(why) if why.contains("9.0.0")), "{version}");
}

type Call = (Method, &'static str, String, Option<(&'static str, Vec<u8>)>);

/// One call for each documented answer that needs no special sidecar.
async fn answers(client: &HttpClient, document: &Document) -> Vec<(Method, &'static str, u16)> {
    let json = "application/json";
    let arm = serde_json::to_vec(&json!({"scenario": document, "ttl_s": 30.0})).unwrap();
    let mut wrong = json!({"scenario": document, "ttl_s": 30.0});
    wrong["scenario"]["phases"] = json!([]);
    let calls: Vec<Call> = vec![
        (Method::GET, "/v1/evidence", "/v1/evidence".into(), None),
        (Method::POST, "/v1/leases", "/v1/leases".into(), Some((json, b"{".to_vec()))),
        (Method::POST, "/v1/leases", "/v1/leases".into(), Some((json, b"{}".to_vec()))),
        (Method::POST, "/v1/leases", "/v1/leases".into(), Some(("text/plain", arm.clone()))),
        (Method::POST, "/v1/leases", "/v1/leases".into(), Some((json, vec![b' '; 5_000]))),
        (Method::POST, "/v1/leases", "/v1/leases".into(), Some((json, wrong.to_string().into_bytes()))),
        (Method::POST, "/v1/leases", "/v1/leases".into(), Some((json, arm.clone()))),
        (Method::POST, "/v1/leases", "/v1/leases".into(), Some((json, arm))),
        (Method::GET, "/v1/status", "/v1/status".into(), None),
        (Method::GET, "/v1/evidence", "/v1/evidence".into(), None),
        (Method::GET, "/v1/leases/{id}/evidence", "/v1/leases/1/evidence".into(), None),
        (Method::GET, "/v1/leases/{id}/evidence", "/v1/leases/2/evidence".into(), None),
        (Method::GET, "/v1/ledger", "/v1/ledger".into(), None),
        (Method::GET, "/v1/ledger", "/v1/ledger?limit=many".into(), None),
        (Method::GET, "/v1/ledger", "/v1/ledger?limit=65537".into(), None),
        (Method::PUT, "/v1/leases/{id}", "/v1/leases/1".into(), Some((json, br#"{"ttl_s": 5}"#.to_vec()))),
        (Method::PUT, "/v1/leases/{id}", "/v1/leases/1".into(), Some((json, br#"{"ttl_s": -5}"#.to_vec()))),
        (Method::PUT, "/v1/leases/{id}", "/v1/leases/1".into(), Some((json, br#"{"ttl_s": 1e9}"#.to_vec()))),
        (Method::PUT, "/v1/leases/{id}", "/v1/leases/x".into(), Some((json, br#"{"ttl_s": 5}"#.to_vec()))),
        (Method::DELETE, "/v1/leases/{id}", "/v1/leases/1".into(), None),
        (Method::DELETE, "/v1/leases/{id}", "/v1/leases/1".into(), None),
        (Method::POST, "/v1/stop", "/v1/stop".into(), None),
        (Method::GET, "/healthz", "/healthz".into(), None),
        (Method::GET, "/readyz", "/readyz".into(), None),
        (Method::GET, "/metrics", "/metrics".into(), None),
        (Method::GET, "/openapi.json", "/openapi.json".into(), None),
    ];
    let mut answers = Vec::new();
    for (method, route, path, body) in calls {
        let body = body.map(|(kind, bytes)| (kind, Bytes::from(bytes)));
        let answer = client.send(method.clone(), &path, body).await.unwrap();
        answers.push((method, route, answer.status.as_u16()));
    }
    answers
}

#[tokio::test]
async fn every_route_answers_as_documented() {
    let mut config = config(upstream().await);
    // So small that the server has read what it refuses; else the answer may be lost in a reset.
    config.limits.admin_body = 4_000;
    let sidecar = Sidecar::start(config).unwrap();
    let client = HttpClient::new(&format!("http://{}", sidecar.admin_addr().unwrap()), None).unwrap();
    let served = client.get("/openapi.json").await.unwrap();
    assert_eq!(served.body, OPENAPI);
    let document: Value = serde_json::from_str(OPENAPI).unwrap();
    let mut seen = BTreeSet::new();
    for (method, route, status) in answers(&client, &scenario()).await {
        let operation = &document["paths"][route][method.as_str().to_ascii_lowercase()];
        assert!(operation["responses"].get(status.to_string()).is_some(), "{method} {route}: {status}");
        seen.insert((route.to_owned(), method.as_str().to_ascii_lowercase()));
    }
    seen.insert(("/v1/events".into(), "get".into()));
    let paths = document["paths"].as_object().unwrap();
    let documented: BTreeSet<_> = paths
        .iter()
        .flat_map(|(path, operations)| {
            operations.as_object().unwrap().keys().map(|method| (path.clone(), method.clone()))
        })
        .collect();
    assert_eq!(seen, documented);
    assert_eq!(client.get("/v1/nothing").await.unwrap().status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn the_newest_lines_of_the_ledger_are_read_from_memory_and_from_a_file() {
    let folder = tempfile::tempdir().unwrap();
    for file in [None, Some(folder.path().join("ledger.jsonl"))] {
        let mut config = config(upstream().await);
        config.ledger = file;
        let sidecar = Sidecar::start(config).unwrap();
        let admin = client(&sidecar, None);
        let http = HttpClient::new(admin.url(), None).unwrap();
        let newest = async |limit: &str| -> Vec<Line> {
            let answer = http.get(&format!("/v1/ledger{limit}")).await.unwrap();
            assert_eq!(answer.status, StatusCode::OK);
            let text = String::from_utf8(answer.body.to_vec()).unwrap();
            text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
        };
        assert_eq!(newest("").await, []);
        let lease = admin.arm(&scenario(), Duration::from_secs(30)).await.unwrap();
        admin.renew(lease, Duration::from_secs(30), Some("broken")).await.unwrap();
        for _ in 0..3 {
            assert_eq!(status(&sidecar).await, 503);
        }
        let all = newest("").await;
        assert!(all.len() == 3 && all.iter().all(|line| line.fault == "broken/error"), "{all:?}");
        assert_eq!(newest("?limit=2").await, all[1..]);
    }
}

/// Each `.route(…)` of the router, as written.
#[test]
fn every_route_of_the_router_is_documented() {
    let router = include_str!("../../../src/sidecar/admin/mod.rs");
    let document: Value = serde_json::from_str(OPENAPI).unwrap();
    let routed: BTreeSet<&str> =
        router.split(".route(\"").skip(1).map(|rest| rest.split_once('"').unwrap().0).collect();
    let documented: BTreeSet<&str> =
        document["paths"].as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(routed, documented);
}

#[tokio::test]
async fn metrics_are_unbroken_from_lease_to_lease() {
    let sidecar = start(upstream().await);
    let admin = client(&sidecar, None);
    let http = HttpClient::new(admin.url(), None).unwrap();
    let injected = async || {
        let page = String::from_utf8(http.get("/metrics").await.unwrap().body.to_vec()).unwrap();
        well_formed(&page);
        let line = page.lines().find_map(|l| l.strip_prefix("canard_injections_total{fault=\"error\"} "));
        line.map_or(0, |count| count.parse::<u64>().unwrap())
    };
    assert_eq!(injected().await, 0);
    for round in 1..=3 {
        let lease: LeaseId = admin.arm(&scenario(), Duration::from_secs(30)).await.unwrap();
        admin.renew(lease, Duration::from_secs(30), Some("broken")).await.unwrap();
        assert_eq!(status(&sidecar).await, 503);
        assert_eq!(injected().await, round);
        admin.disarm(lease).await.unwrap();
        assert_eq!(injected().await, round);
    }
}

#[tokio::test]
async fn metrics_count_leases_that_began_and_ended_between_two_scrapes() {
    let sidecar = start(upstream().await);
    let (admin, http) = (
        client(&sidecar, None),
        HttpClient::new(&format!("http://{}", sidecar.admin_addr().unwrap()), None).unwrap(),
    );
    for _ in 0..3 {
        let lease = admin.arm(&scenario(), Duration::from_secs(30)).await.unwrap();
        admin.renew(lease, Duration::from_secs(30), Some("broken")).await.unwrap();
        assert_eq!(status(&sidecar).await, 503);
        admin.disarm(lease).await.unwrap();
    }
    let page = String::from_utf8(http.get("/metrics").await.unwrap().body.to_vec()).unwrap();
    assert!(page.contains("canard_injections_total{fault=\"error\"} 3\n"), "{page}");
}

/// The text format's grammar: every sample belongs to the family declared last, no series comes twice.
fn well_formed(page: &str) {
    let mut family = String::new();
    let (mut families, mut series) = (BTreeSet::new(), BTreeSet::new());
    for line in page.lines() {
        if let Some(rest) = line.strip_prefix("# TYPE ") {
            family = rest.split(' ').next().unwrap().to_owned();
            assert!(families.insert(family.clone()), "{family} is declared twice");
        } else if !line.starts_with("# HELP ") {
            let (name, value) = line.rsplit_once(' ').unwrap();
            assert!(value.parse::<f64>().is_ok(), "{line}");
            let bare = name.split('{').next().unwrap();
            let suffixes = ["", "_bucket", "_sum", "_count"];
            assert!(suffixes.iter().any(|s| bare == format!("{family}{s}")), "{line} is no {family}");
            assert!(series.insert(name.to_owned()), "{name} comes twice");
        }
    }
    assert!(page.ends_with('\n'));
}

#[tokio::test]
async fn what_the_stage_of_a_sidecar_forbids_is_not_armed_there_whoever_asks() {
    let mut config = config(upstream().await);
    let text = "environment: production\nlimits: { share: 100% }\n\
                production:\n  consent: { by: Ada, share: 5%, lasts: 10m, until: 2099-12-31 }\n";
    let stage = canard::scenario::compile_stage(&Source::new("stage.yaml", text), &|_| None).unwrap();
    let stage = std::sync::Arc::new(arc_swap::ArcSwap::from_pointee(stage));
    config.stage = Some(stage.clone());
    let sidecar = Sidecar::start(config).unwrap();
    let admin = client(&sidecar, None);
    assert_eq!(admin.status().await.unwrap().environment.as_deref(), Some("production"));

    let mut document = scenario();
    let refused = admin.arm(&document, Duration::from_secs(30)).await.unwrap_err();
    assert!(matches!(&refused, AdminError::Refused(why) if why.contains("Ada agreed to: 5%")), "{refused}");
    document.exposure.share = Some("5%".parse().unwrap());
    document.environments = vec!["staging".into()];
    let refused = admin.arm(&document, Duration::from_secs(30)).await.unwrap_err();
    assert!(matches!(&refused, AdminError::Refused(why) if why.contains("`staging` only")), "{refused}");
    assert!(!sidecar.rack().is_armed());
    document.environments.clear();
    document.exposure.layer = Some("one".into());
    let lease = admin.arm(&document, Duration::from_secs(30)).await.unwrap();
    // Ada agreed to 5% of all, not to 5% of each.
    let mut other = document.clone();
    (other.name, other.exposure.layer) = ("other".into(), Some("two".into()));
    other.exposure.share = Some("1%".parse().unwrap());
    let refused = admin.arm(&other, Duration::from_secs(30)).await.unwrap_err();
    assert!(matches!(&refused, AdminError::Refused(why) if why.contains("6% of units")), "{refused}");

    // What is not permitted any more is not renewed, and so ends with its lease.
    admin.renew(lease, Duration::from_secs(30), None).await.unwrap();
    let mut lowered = stage.load().as_ref().clone();
    lowered.production.as_mut().unwrap().consent.as_mut().unwrap().share = "1%".parse().unwrap();
    stage.store(lowered.into());
    let refused = admin.renew(lease, Duration::from_secs(30), None).await.unwrap_err();
    assert!(matches!(&refused, AdminError::Refused(why) if why.contains("Ada agreed to: 1%")), "{refused}");

    // And a run that names no stage, or another, is told before anything is touched.
    let run = tokio::process::Command::new(env!("CARGO_BIN_EXE_canard"))
        .args(["run", "scenarios/quickstart.yaml", "--sidecar", admin.url()])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output();
    let output = run.await.unwrap();
    let text = String::from_utf8_lossy(&output.stderr).split_whitespace().collect::<Vec<_>>().join(" ");
    assert_eq!(output.status.code(), Some(2), "{text}");
    assert!(text.contains("stands in `production`, and no stage is named"), "{text}");
}

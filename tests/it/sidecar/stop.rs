//! The global stop and the kill file: both win over every lease, at once.

use std::{
    path::Path,
    process::Command,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use axum::{Router, routing::any};
use canard::{
    layer::{ArmError, ChaosLayer, Handle, RequestBody},
    monitor::HttpClient,
    scenario::{Document, Source, compile},
    sidecar::{
        Sidecar,
        client::{AdminClient, AdminError},
    },
};
use http::{Request, Response, StatusCode};
use http_body_util::Full;
use tokio::time::{Instant, sleep, timeout};
use tower::{ServiceExt, service_fn};
use tower_layer::Layer;

use super::support::*;

/// From a stop to the last perturbed new request.
const AT_ONCE: Duration = Duration::from_millis(100);
const SLEEPERS: usize = 20;
const TTL: Duration = Duration::from_secs(60);

const SCENARIO: &str = r#"
name: down
target: { protocol: http }
exposure: { share: 100% }
phases:
  - name: broken
    lasts: 1m
    inject:
      - { fault: { error: { status: 503 } }, where: 'request.path == "/new"' }
      - { fault: { latency: { fixed: 30s } }, where: 'request.path == "/asleep"' }
"#;

fn document() -> Document {
    compile(&Source::new("down.yaml", SCENARIO)).unwrap().document
}

async fn sidecar(kill_file: Option<&Path>) -> Sidecar {
    let upstream = serve(Router::new().fallback(any(|| async { "fine" }))).await;
    let mut config = config(upstream);
    config.kill_file = kill_file.map(Path::to_path_buf);
    Sidecar::start(config).unwrap()
}

fn admin(sidecar: &Sidecar) -> AdminClient {
    AdminClient::new(&format!("http://{}", sidecar.admin_addr().unwrap()), None).unwrap()
}

/// Callers that ask one request after another until told to stop: when each was sent, and what came back.
struct Callers {
    over: Arc<AtomicBool>,
    seen: Arc<Mutex<Vec<(Instant, StatusCode)>>>,
    tasks: Vec<tokio::task::JoinHandle<()>>,
}

impl Callers {
    fn of(base: &str) -> Callers {
        let (over, seen) = (Arc::new(AtomicBool::new(false)), Arc::new(Mutex::new(Vec::new())));
        let tasks = (0..4).map(|_| {
            let (client, over, seen) = (HttpClient::new(base, None).unwrap(), over.clone(), seen.clone());
            tokio::spawn(async move {
                while !over.load(Ordering::Relaxed) {
                    let sent = Instant::now();
                    let status = client.get("/new").await.unwrap().status;
                    seen.lock().unwrap().push((sent, status));
                }
            })
        });
        let tasks = tasks.collect();
        Callers { over, seen, tasks }
    }

    async fn end(self) -> Vec<(Instant, StatusCode)> {
        self.over.store(true, Ordering::Relaxed);
        for task in self.tasks {
            task.await.unwrap();
        }
        std::mem::take(&mut *self.seen.lock().unwrap())
    }
}

/// Under callers and sleepers, `stop` is called: everybody is passed through within a tenth of a second.
async fn ends_at_once(sidecar: &Sidecar, stop: impl AsyncFnOnce()) {
    let base = format!("http://{}", sidecar.listen_addr());
    admin(sidecar).arm(&document(), TTL).await.unwrap();
    let asleep: Vec<_> = (0..SLEEPERS)
        .map(|_| {
            let client = HttpClient::new(&base, None).unwrap().with_deadline(TTL);
            tokio::spawn(async move { (client.get("/asleep").await.unwrap().status, Instant::now()) })
        })
        .collect();
    let callers = Callers::of(&base);
    let exposed = || sidecar.rack().last_evidence().unwrap().phases[0].faults[1].exposed;
    timeout(TTL, async {
        while exposed() < SLEEPERS as u64 {
            sleep(Duration::from_millis(5)).await;
        }
        sleep(Duration::from_millis(50)).await;
    })
    .await
    .unwrap();
    assert!(asleep.iter().all(|sleeper| !sleeper.is_finished()));

    let stopped = Instant::now();
    stop().await;
    for sleeper in asleep {
        let (status, released) = sleeper.await.unwrap();
        assert_eq!(status, 200);
        assert!(released - stopped < 10 * AT_ONCE, "released {:?} after the stop", released - stopped);
    }
    sleep(2 * AT_ONCE).await;
    let seen = callers.end().await;
    let broken = |(_, status): &&(Instant, StatusCode)| *status == 503;
    let last = seen.iter().filter(broken).map(|(sent, _)| *sent).max().unwrap();
    let after = last.saturating_duration_since(stopped);
    assert!(after < AT_ONCE, "a new request was perturbed {after:?} after the stop");
    assert!(seen.iter().any(|(sent, status)| *sent > stopped && *status == 200));
    assert!(!sidecar.rack().is_armed());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stop_ends_what_is_armed_within_a_tenth_of_a_second_and_wakes_sleepers() {
    let sidecar = sidecar(None).await;
    let client = admin(&sidecar);
    ends_at_once(&sidecar, async || client.stop().await.unwrap()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_kill_file_ends_what_is_armed_within_a_tenth_of_a_second_and_wakes_sleepers() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("stop");
    let sidecar = sidecar(Some(&file)).await;
    ends_at_once(&sidecar, async || std::fs::write(&file, b"").unwrap()).await;
}

#[tokio::test]
async fn while_the_kill_file_exists_nothing_can_be_armed_and_the_sidecar_says_why() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("stop");
    std::fs::write(&file, b"").unwrap();
    let sidecar = sidecar(Some(&file)).await;
    let client = admin(&sidecar);
    let refused = client.arm(&document(), TTL).await.unwrap_err();
    assert!(
        matches!(&refused, AdminError::Refused(why) if why.contains("/stop` exists: nothing can be armed")),
        "{refused}"
    );
    assert_eq!(client.status().await.unwrap().killed_by, Some(file.display().to_string()));
    std::fs::remove_file(&file).unwrap();
    assert_eq!(client.status().await.unwrap().killed_by, None);
    let lease = client.arm(&document(), TTL).await.unwrap();
    std::fs::write(&file, b"").unwrap();
    let refused = client.renew(lease, TTL, None).await.unwrap_err();
    assert!(refused.to_string().contains("nothing can be armed until it is removed"), "{refused}");
    timeout(TTL, async {
        while sidecar.rack().is_armed() {
            sleep(Duration::from_millis(5)).await;
        }
    })
    .await
    .unwrap();
}

#[tokio::test]
async fn an_embedded_layer_obeys_a_kill_file_too() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("stop");
    let handle = Handle::default().with_kill_file(&file).unwrap();
    let plan = Arc::new(compile(&Source::new("down.yaml", SCENARIO)).unwrap());
    handle.arm(plan.clone(), TTL).unwrap();
    let model = service_fn(|_: Request<RequestBody<Full<bytes::Bytes>>>| async {
        Ok::<_, std::convert::Infallible>(Response::new(Full::new(bytes::Bytes::new())))
    });
    let service = ChaosLayer::new(handle.clone()).layer(model);
    let request = Request::post("/asleep").body(Full::<bytes::Bytes>::default()).unwrap();
    let sleeper = tokio::spawn(service.oneshot(request));
    sleep(Duration::from_millis(100)).await;
    assert!(!sleeper.is_finished() && handle.is_armed());
    std::fs::write(&file, b"").unwrap();
    assert_eq!(timeout(Duration::from_secs(5), sleeper).await.unwrap().unwrap().unwrap().status(), 200);
    assert!(!handle.is_armed());
    assert_eq!(handle.arm(plan, TTL), Err(ArmError::Killed(file)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_stop_command_tells_every_sidecar_and_says_whom_it_could_not() {
    let (one, other) = (sidecar(None).await, sidecar(None).await);
    let mut urls = Vec::new();
    for sidecar in [&one, &other] {
        admin(sidecar).arm(&document(), TTL).await.unwrap();
        urls.push(format!("http://{}", sidecar.admin_addr().unwrap()));
    }
    let stop = |args: Vec<String>| async move {
        let run = move || Command::new(env!("CARGO_BIN_EXE_canard")).arg("stop").args(args).output().unwrap();
        let output = tokio::task::spawn_blocking(run).await.unwrap();
        let text = String::from_utf8(output.stdout).unwrap() + &String::from_utf8(output.stderr).unwrap();
        (output.status.code(), text)
    };
    let named = |urls: &[String]| urls.iter().flat_map(|url| ["--sidecar".to_owned(), url.clone()]).collect();
    let (code, text) = stop(named(&urls)).await;
    assert_eq!(code, Some(0), "{text}");
    assert_eq!(text, format!("{}: disarmed\n{}: disarmed\n", urls[0], urls[1]));
    assert!(!one.rack().is_armed() && !other.rack().is_armed());

    admin(&one).arm(&document(), TTL).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let stage = folder.path().join("stage.yaml");
    // Consent that is over forbids runs; it must not forbid their end.
    let text = format!(
        "production: {{ consent: {{ by: Ada, share: 1%, lasts: 1m, until: 2020-01-01 }} }}\n\
         sidecars: [{{ url: {} }}, {{ url: http://127.0.0.1:1 }}]\n",
        urls[0]
    );
    std::fs::write(&stage, text).unwrap();
    let (code, text) = stop(vec!["--stage".to_owned(), stage.display().to_string()]).await;
    assert_eq!(code, Some(3), "{text}");
    assert!(
        text.contains("http://127.0.0.1:1 could not be told") && text.contains("ends with its lease"),
        "{text}"
    );
    assert!(!one.rack().is_armed(), "the other is told nevertheless");
}

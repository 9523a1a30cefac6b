//! `/v1/events`: a line for each change, for those who may see it.

use std::{net::SocketAddr, time::Duration};

use axum::{Router, routing::any};
use canard::{
    scenario::{Source, compile},
    sidecar::{Sidecar, Token, api::SidecarStatus},
};
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    net::TcpStream,
};

use super::support::*;

const SCENARIO: &str = "name: down\ntarget: { protocol: http }\nexposure: { share: 100% }\n\
    phases:\n  - { name: broken, lasts: 60s, inject: [{ fault: { error: { status: 503 } } }] }\n";

/// A caller that follows the events.
struct Follower(BufReader<TcpStream>);

impl Follower {
    async fn new(admin: SocketAddr, fields: &str) -> Follower {
        let mut stream = TcpStream::connect(admin).await.unwrap();
        let request =
            format!("GET /v1/events HTTP/1.1\r\nHost: {admin}\r\nConnection: close\r\n{fields}\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        Follower(BufReader::new(stream))
    }

    /// The next line that begins with `prefix`, without it; `None` at the end.
    async fn line(&mut self, prefix: &str) -> Option<String> {
        let mut line = String::new();
        loop {
            line.clear();
            let read = tokio::time::timeout(Duration::from_secs(10), self.0.read_line(&mut line));
            if read.await.unwrap().unwrap() == 0 {
                return None;
            }
            if let Some(rest) = line.trim_end().strip_prefix(prefix) {
                return Some(rest.to_owned());
            }
        }
    }

    async fn status(&mut self) -> Option<SidecarStatus> {
        self.line("event: status").await?;
        Some(serde_json::from_str(&self.line("data: ").await?).unwrap())
    }
}

async fn upstream() -> SocketAddr {
    serve(Router::new().fallback(any(|| async { "fine" }))).await
}

fn arm(sidecar: &Sidecar) {
    let plan = compile(&Source::new("down.yaml", SCENARIO)).unwrap();
    sidecar.rack().arm(plan.into(), Duration::from_secs(60)).unwrap();
}

#[tokio::test]
async fn a_follower_sees_arming_disarming_and_the_end() {
    let mut sidecar = start(upstream().await);
    let admin = sidecar.admin_addr().unwrap();
    let mut follower = Follower::new(admin, "").await;
    assert_eq!(follower.line("content-type: ").await.unwrap(), "text/event-stream");
    let at_first = follower.status().await.unwrap();
    assert_eq!((at_first.leases, at_first.draining), (vec![], false));
    assert_eq!(at_first.listen, sidecar.listen_addr().to_string());
    arm(&sidecar);
    let lease = follower.status().await.unwrap().leases.remove(0);
    assert_eq!((lease.scenario.as_str(), lease.phase.as_deref()), ("down", Some("broken")));
    assert_eq!(lease.faults, ["broken/error"]);
    // Who comes later sees the present state first.
    let mut late = Follower::new(admin, "").await;
    assert_eq!(late.status().await.unwrap().leases.remove(0).id, lease.id);
    sidecar.rack().stop();
    for follower in [&mut follower, &mut late] {
        assert_eq!(follower.status().await.unwrap().leases, []);
    }
    sidecar.drain().await;
    for mut follower in [follower, late] {
        assert!(follower.status().await.unwrap().draining);
        assert_eq!(follower.status().await, None, "the end");
    }
}

#[tokio::test]
async fn with_a_token_events_need_it() {
    let mut config = config(upstream().await);
    config.admin_token = Token::new("s3cret");
    let sidecar = Sidecar::start(config).unwrap();
    let admin = sidecar.admin_addr().unwrap();
    for fields in ["", "Authorization: Bearer wrong\r\n"] {
        let mut follower = Follower::new(admin, fields).await;
        assert_eq!(follower.line("HTTP/1.1 ").await.unwrap(), "401 Unauthorized");
    }
    let mut follower = Follower::new(admin, "Authorization: Bearer s3cret\r\n").await;
    assert_eq!(follower.line("HTTP/1.1 ").await.unwrap(), "200 OK");
    assert!(follower.status().await.is_some());
}

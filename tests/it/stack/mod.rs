//! The real servers that game days are tested against.
//!
//! Each runs as a child process on a port that the system picks. Monitors keep their data in a temporary folder
//! and are killed when their value is dropped; inference servers are started once and serve the whole suite
//! (`server`). If a test fails, what its servers logged is printed. A test that needs a server which is not
//! installed fails and names the script that installs it.
//!
//! Such tests take turns, because together they would starve each other on a small machine.
//!
//! ```ignore
//! let _turn = stack::turn().await;
//! let stack = Stack::start(RULES, Some("http://127.0.0.1:9911/")).await;
//! stack.prometheus.scrape(&[("canard", sidecar_admin_addr)]).await;
//! // … run a scenario with stack.prometheus.url() and stack.alertmanager.url() …
//! ```

mod alertmanager;
mod driver;
mod effects;
mod gameday;
mod http;
mod message;
mod mlserver;
mod payloads;
mod process;
mod prometheus;
mod release;
mod rules;
mod server;
mod shadow;
mod smoke;
mod tap;
mod transparency;
mod why;

pub(crate) use alertmanager::Alertmanager;
pub(crate) use mlserver::MlServer;
pub(crate) use prometheus::Prometheus;

/// Waits until no other test of this process runs real servers. Taken first in a test, it is held until its
/// servers are gone. (Where each test is a process, `.config/nextest.toml` does the same.)
pub(crate) async fn turn() -> tokio::sync::MutexGuard<'static, ()> {
    static TURN: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());
    TURN.lock().await
}

/// Prometheus and Alertmanager, wired together.
pub(crate) struct Stack {
    pub(crate) prometheus: Prometheus,
    pub(crate) alertmanager: Alertmanager,
}

impl Stack {
    /// Starts both. `rules` is a Prometheus rules file; notifications go to `webhook`.
    pub(crate) async fn start(rules: &str, webhook: Option<&str>) -> Stack {
        let alertmanager = Alertmanager::start(webhook).await;
        let prometheus = Prometheus::start(rules, Some(&alertmanager)).await;
        Stack { prometheus, alertmanager }
    }
}

/// A port that nobody listens on, for a program that must be told one. Another process could take it
/// before that program does; where a server can pick its own port, let it.
pub(crate) fn free_addr() -> std::net::SocketAddr {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap()
}

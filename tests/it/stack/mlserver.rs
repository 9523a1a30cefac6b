//! MLServer with the iris model as a scikit-learn object.

use std::net::SocketAddr;

use tempfile::TempDir;
use tokio::process::Command;

use super::{
    http::get,
    process::{Process, not_installed, stack_dir},
};

pub(crate) struct MlServer {
    _process: Process,
    addr: SocketAddr,
    metrics: SocketAddr,
    _dir: TempDir,
}

impl MlServer {
    /// Starts a server with one model, `iris`.
    pub(crate) async fn start() -> MlServer {
        let stack = stack_dir();
        let program = stack.join("venv/bin/mlserver");
        if !program.is_file() || !stack.join("installed").is_file() {
            not_installed("MLServer");
        }
        let dir = tempfile::tempdir().unwrap();
        let mut command = Command::new(program);
        command.arg("start").arg(stack.join("mlserver")).current_dir(&dir);
        let mut process = Process::spawn("mlserver", command);
        let listening = process.logged(2, listening).await;
        let ready = get(&format!("http://{}/v2/health/ready", listening[0])).await;
        let first_is_rest = ready.is_ok_and(|(status, _)| status.is_success());
        let [addr, metrics] =
            if first_is_rest { [listening[0], listening[1]] } else { [listening[1], listening[0]] };
        MlServer { _process: process, addr, metrics, _dir: dir }
    }

    /// Where the Open Inference Protocol is served.
    pub(crate) fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Its base URL.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.addr)
    }

    /// Where its own `/metrics` are.
    pub(crate) fn metrics(&self) -> SocketAddr {
        self.metrics
    }
}

/// REST and metrics are two uvicorns; both say where they run, in either order.
fn listening(line: &str) -> Option<SocketAddr> {
    let rest = line.split("Uvicorn running on http://").nth(1)?;
    rest.split_whitespace().next()?.parse().ok()
}

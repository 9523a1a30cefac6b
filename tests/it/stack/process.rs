//! A server as a child process: its log, its death.

use std::{
    collections::VecDeque,
    path::{Path, PathBuf},
    process::Stdio,
    sync::{Arc, Mutex},
    time::Duration,
};

use tokio::{
    io::{AsyncBufReadExt, AsyncRead, BufReader},
    process::{Child, ChildStdin, Command},
    sync::watch,
    time::timeout,
};

use super::http::{POLL, get};

/// How long a server may take to get ready. Most import half of PyPI first, on a busy machine.
pub(super) const START: Duration = Duration::from_secs(120);
/// Lines of log that are kept.
const KEPT: usize = 2000;

pub(super) struct Process {
    name: &'static str,
    child: Child,
    /// What a guard reads; closed, it ends the server. (`Child::wait` would close it too.)
    _stdin: Option<ChildStdin>,
    log: Log,
}

impl Process {
    pub(super) fn spawn(name: &'static str, mut command: Command) -> Process {
        command.stdin(Stdio::null());
        Process::guarded(name, command)
    }

    /// Starts a command that has its standard input already.
    pub(super) fn guarded(name: &'static str, mut command: Command) -> Process {
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        let mut child = command.spawn().unwrap_or_else(|error| panic!("{name} does not start: {error}"));
        let log = Log::default();
        log.follow(child.stdout.take().unwrap());
        log.follow(child.stderr.take().unwrap());
        let stdin = child.stdin.take();
        Process { name, child, _stdin: stdin, log }
    }

    /// Waits until the log has `count` lines from which `read` takes something.
    pub(super) async fn logged<T>(&mut self, count: usize, read: impl Fn(&str) -> Option<T>) -> Vec<T> {
        let mut changes = self.log.changes.subscribe();
        let wait = async {
            loop {
                let found: Vec<T> = self.log.read(&read);
                if found.len() >= count {
                    return found;
                }
                tokio::select! {
                    _ = changes.changed() => {}
                    status = self.child.wait() => panic!("{} ended: {status:?}\n{}", self.name, self.log.text()),
                }
            }
        };
        let found = timeout(START, wait).await;
        found.unwrap_or_else(|_| panic!("{} is not up after {START:?}\n{}", self.name, self.log.text()))
    }

    /// Waits until a GET of `url` succeeds.
    pub(super) async fn ready(&mut self, url: &str) {
        let wait = async {
            while !get(url).await.is_ok_and(|(status, _)| status.is_success()) {
                tokio::time::sleep(POLL).await;
            }
        };
        tokio::select! {
            ready = timeout(START, wait) => ready
                .unwrap_or_else(|_| panic!("{} is not up after {START:?}\n{}", self.name, self.log.text())),
            status = self.child.wait() => panic!("{} ended: {status:?}\n{}", self.name, self.log.text()),
        }
    }

    /// Ends it the hard way, and waits until it is gone.
    pub(super) async fn kill(&mut self) {
        self.child.kill().await.unwrap();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("--- log of {} ---\n{}", self.name, self.log.text());
        }
    }
}

#[derive(Clone)]
struct Log {
    lines: Arc<Mutex<VecDeque<String>>>,
    changes: watch::Sender<()>,
}

impl Default for Log {
    fn default() -> Log {
        Log { lines: Arc::default(), changes: watch::Sender::new(()) }
    }
}

impl Log {
    fn follow(&self, stream: impl AsyncRead + Unpin + Send + 'static) {
        let log = self.clone();
        tokio::spawn(async move {
            let mut lines = BufReader::new(stream).lines();
            while let Ok(Some(line)) = lines.next_line().await {
                let mut kept = log.lines.lock().unwrap();
                if kept.len() == KEPT {
                    kept.pop_front();
                }
                kept.push_back(line);
                log.changes.send_replace(());
            }
        });
    }

    fn read<T>(&self, read: impl Fn(&str) -> Option<T>) -> Vec<T> {
        self.lines.lock().unwrap().iter().filter_map(|line| read(line)).collect()
    }

    fn text(&self) -> String {
        self.read(|line| Some(line.to_owned())).join("\n")
    }
}

/// The address that a server of the Prometheus family logs when it listens.
pub(super) fn prometheus_addr(line: &str) -> Option<String> {
    let address = line.split("msg=\"Listening on\" address=").nth(1)?;
    Some(address.split_whitespace().next()?.to_owned())
}

/// Where the install script puts what it does not leave to the system.
pub(super) fn stack_dir() -> PathBuf {
    let default = || Path::new(env!("CARGO_MANIFEST_DIR")).join("target/test-stack");
    std::env::var_os("CANARD_TEST_STACK").map_or_else(default, PathBuf::from)
}

/// A command for a program on the PATH or in the folders of system programs.
pub(super) fn program(name: &str) -> Command {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let system = ["/usr/local/bin", "/usr/bin", "/usr/sbin"].map(PathBuf::from);
    let found = std::env::split_paths(&path).chain(system).map(|dir| dir.join(name)).find(|p| p.is_file());
    Command::new(found.unwrap_or_else(|| not_installed(name)))
}

pub(super) fn not_installed(what: &str) -> ! {
    panic!("{what} is not installed; run ./scripts/install-test-stack.sh (or ./scripts/test.sh)")
}

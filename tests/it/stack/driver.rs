//! The real client libraries, each in a Python process that stays up for the suite.
//!
//! A test asks for an operation (`tests/stack/clients`) in a line of JSON and gets a line back: what the
//! library returned, or the exception that the caller of the library would see.

use std::{process::Stdio, sync::Arc, time::Duration};

use serde_json::Value;
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines},
    process::{Child, ChildStdin, ChildStdout},
    sync::{Mutex, OnceCell},
    time::timeout,
};

use super::server::{RUNTIME, guarded};
use crate::run::repo;

/// Longest that a client may take for one operation, its start included.
const ANSWER: Duration = Duration::from_secs(60);

/// The clients that there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Client {
    OpenAi,
    Anthropic,
    Triton,
    Ollama,
    Cohere,
    Requests,
}

impl Client {
    fn script(self) -> &'static str {
        match self {
            Client::OpenAi => "with_openai.py",
            Client::Anthropic => "with_anthropic.py",
            Client::Triton => "with_triton.py",
            Client::Ollama => "with_ollama.py",
            Client::Cohere => "with_cohere.py",
            Client::Requests => "with_requests.py",
        }
    }

    /// Runs one operation: `{"value": …}` or `{"error": {"type": …}}`, with `seconds`.
    pub(crate) async fn ask(self, operation: &Value) -> Value {
        static DRIVERS: [OnceCell<Arc<Mutex<Driver>>>; 6] = [const { OnceCell::const_new() }; 6];
        let started = async || RUNTIME.spawn(async move { Driver::start(self) }).await.unwrap();
        let driver = DRIVERS[self as usize].get_or_init(started).await.clone();
        let line = operation.to_string();
        // On the runtime that outlives the test, so that a test which gives up leaves no half a line behind.
        let asked = RUNTIME.spawn(async move { driver.lock().await.ask(&line).await });
        let answer = timeout(ANSWER, asked).await;
        answer.unwrap_or_else(|_| panic!("{self:?} takes longer than {ANSWER:?}: {operation}")).unwrap()
    }
}

struct Driver {
    _child: Child,
    to: ChildStdin,
    from: Lines<BufReader<ChildStdout>>,
}

impl Driver {
    fn start(client: Client) -> Arc<Mutex<Driver>> {
        // Its standard input ends with the tests, and it ends with that: no guard is needed.
        let mut command = guarded("clients", "python");
        let python = command.as_std().get_program().to_owned();
        command = tokio::process::Command::new(python);
        command.env("PYTHONDONTWRITEBYTECODE", "1").arg(repo("tests/stack/clients").join(client.script()));
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true);
        let mut child = command.spawn().unwrap();
        let (to, from) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        Arc::new(Mutex::new(Driver { _child: child, to, from: BufReader::new(from).lines() }))
    }

    async fn ask(&mut self, line: &str) -> Value {
        self.to.write_all(format!("{line}\n").as_bytes()).await.unwrap();
        let answer = self.from.next_line().await.unwrap();
        let answer = answer.unwrap_or_else(|| panic!("the client's process ended on {line}"));
        serde_json::from_str(&answer).unwrap_or_else(|error| panic!("{error}: {answer}"))
    }
}

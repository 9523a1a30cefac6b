//! The inference servers: each is started when a test first asks for it, and serves the rest of the suite.
//!
//! A guard process ends a server, and all that it started, once the tests are gone, however they went. Its log
//! is followed on a runtime of its own, because a test's runtime ends with the test.

use std::{net::SocketAddr, path::PathBuf, process::Stdio, sync::LazyLock};

use tokio::{process::Command, runtime::Runtime, sync::OnceCell};

use super::{
    free_addr,
    process::{Process, not_installed, stack_dir},
};
use crate::run::repo;

/// Where everything that outlives a test runs.
pub(super) static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    builder.worker_threads(1).thread_name("stack").enable_all().build().unwrap()
});

/// An inference server that runs.
pub(crate) struct Server {
    _process: Process,
    http: SocketAddr,
    grpc: SocketAddr,
    metrics: SocketAddr,
}

impl Server {
    /// Where it serves HTTP.
    pub(crate) fn http(&self) -> SocketAddr {
        self.http
    }

    /// Where it serves gRPC, if it does.
    pub(crate) fn grpc(&self) -> SocketAddr {
        self.grpc
    }

    /// Where its own metrics are, if they have a port of their own.
    pub(crate) fn metrics(&self) -> SocketAddr {
        self.metrics
    }
}

/// The servers that there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    MlServer,
    KServe,
    Mlflow,
    Triton,
    BentoMl,
    LitServe,
    FakeLlm,
    /// A server of our own, for protocols whose servers no registry has.
    Faithful,
    /// llama.cpp's, with a random model: only where it was built.
    Llama,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Kind::MlServer => "mlserver",
            Kind::KServe => "kserve",
            Kind::Mlflow => "mlflow",
            Kind::Triton => "triton",
            Kind::BentoMl => "bentoml",
            Kind::LitServe => "litserve",
            Kind::FakeLlm => "fakellm",
            Kind::Faithful => "clients",
            Kind::Llama => "llama",
        }
    }

    /// A path that answers 200 once everything is loaded.
    fn ready(self) -> &'static str {
        match self {
            Kind::MlServer | Kind::KServe => "/v2/models/iris/ready",
            Kind::Triton => "/v2/models/stream/ready",
            Kind::Mlflow => "/ping",
            Kind::BentoMl => "/readyz",
            Kind::LitServe | Kind::Llama => "/health",
            Kind::FakeLlm => "/_fakellm/stats",
            Kind::Faithful => "/ready",
        }
    }

    fn installed(self) -> bool {
        stack_dir().join("venvs").join(self.name()).join("stamp").is_file()
    }

    /// The server, started if it is not up yet.
    pub(crate) async fn get(self) -> &'static Server {
        static SERVERS: [OnceCell<Server>; 9] = [const { OnceCell::const_new() }; 9];
        SERVERS[self as usize].get_or_init(|| async move { RUNTIME.spawn(start(self)).await.unwrap() }).await
    }

    /// llama.cpp's server, where it was built.
    pub(crate) async fn llama() -> Option<&'static Server> {
        match Kind::Llama.installed() {
            true => Some(Kind::Llama.get().await),
            false => None,
        }
    }
}

/// The Python of an environment, under the guard.
pub(super) fn guarded(environment: &str, program: &str) -> Command {
    let venv = stack_dir().join("venvs").join(environment);
    if !venv.join("stamp").is_file() {
        not_installed(environment);
    }
    let mut command = Command::new(venv.join("bin/python"));
    let path = std::env::var_os("PATH").unwrap_or_default();
    let path =
        std::env::join_paths([venv.join("bin")].into_iter().chain(std::env::split_paths(&path))).unwrap();
    command.env("PATH", path).env("PYTHONDONTWRITEBYTECODE", "1").env("PYTHONUNBUFFERED", "1");
    command.stdin(Stdio::piped()).arg(repo("tests/stack/guard.py")).arg(venv.join("bin").join(program));
    command
}

async fn start(kind: Kind) -> Server {
    let [http, grpc, metrics] = [(); 3].map(|()| free_addr());
    let command = command(kind, [http, grpc, metrics].map(|addr| addr.port().to_string()));
    let mut process = Process::guarded(kind.name(), command);
    process.ready(&format!("http://{http}{}", kind.ready())).await;
    Server { _process: process, http, grpc, metrics }
}

fn command(kind: Kind, [http, grpc, metrics]: [String; 3]) -> Command {
    let script = |name: &str| -> PathBuf { repo("tests/stack/servers").join(name) };
    let python = |name: &str| {
        let mut command = guarded(kind.name(), "python");
        command.arg(script(name));
        command
    };
    match kind {
        Kind::MlServer => {
            let mut command = guarded(kind.name(), "mlserver");
            command.arg("start").arg(stack_dir().join("models/mlserver"));
            command.env("MLSERVER_HTTP_PORT", http).env("MLSERVER_GRPC_PORT", grpc);
            command.env("MLSERVER_METRICS_PORT", metrics).current_dir(stack_dir());
            command
        }
        Kind::Mlflow => {
            let mut command = guarded(kind.name(), "mlflow");
            command.args([
                "models",
                "serve",
                "--env-manager",
                "local",
                "--workers",
                "1",
                "--port",
                &http,
                "-m",
            ]);
            command.arg(stack_dir().join("models/mlflow"));
            command.env("CANARD_IRIS", repo("src/demo/coefficients.json"));
            command
        }
        Kind::BentoMl => {
            let mut command = guarded(kind.name(), "bentoml");
            command.args(["serve", "bentoml_server:Iris", "--host", "127.0.0.1", "--port", &http]);
            command.current_dir(repo("tests/stack/servers")).env("BENTOML_HOME", stack_dir().join("bentoml"));
            command.env("BENTOML_DO_NOT_TRACK", "true");
            command
        }
        Kind::FakeLlm => {
            let mut command = guarded(kind.name(), "fakellm");
            command.args(["serve", "--port", &http, "--config"]).arg(script("fakellm.yaml"));
            command
        }
        Kind::KServe => {
            let mut command = python("kserve_server.py");
            command.args([http, grpc]);
            command
        }
        Kind::Triton => {
            let mut command = python("triton_server.py");
            command.args([http, grpc, metrics]);
            command
        }
        Kind::LitServe => {
            let mut command = python("litserve_server.py");
            command.arg(http);
            command
        }
        Kind::Faithful => {
            let mut command = python("faithful_server.py");
            command.arg(http);
            command
        }
        Kind::Llama => {
            let mut command = python("llama_server.py");
            command.arg(http).arg(stack_dir().join("models/random.gguf"));
            command
        }
    }
}

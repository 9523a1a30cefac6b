//! `canard sidecar`.

mod stage;
#[cfg(test)]
mod tests;

use std::{net::SocketAddr, path::PathBuf};

use clap::{Args, ValueEnum};
use tokio::signal::unix::{Signal, SignalKind, signal};

use self::stage::Stage;
use super::{Exit, Failure, output};
use crate::{
    sidecar::{Candidate, Config, HostHeader, PayloadLogSettings, Sidecar, SidecarError, Token, Upstream},
    telemetry,
    unit::{Share, UnitError, meet},
    wire::{JsonApi, JsonPath, Protocol},
};

/// Stand in front of a model server as a reverse proxy that can be armed.
///
/// With nothing armed it passes every byte as it came. `canard run --sidecar http://<admin>` arms it; when
/// the run ends or dies, the sidecar disarms itself. SIGTERM and Ctrl-C drain: no request in flight is
/// lost, and it exits 0. A second signal ends it at once, and it exits 130.
#[derive(Debug, Args)]
pub(super) struct SidecarArgs {
    /// The model server, such as http://127.0.0.1:8080; the sidecar can reach no other but candidates
    #[arg(long, value_name = "URL")]
    upstream: Upstream,
    /// Another upstream that faults may send requests to, with a name for scenarios; repeatable
    #[arg(long, value_name = "[NAME=]URL")]
    candidate: Vec<Candidate>,
    /// Let single requests ask for faults of the armed plan by `x-canard-fault: NAME`, for tests
    #[arg(long)]
    request_control: bool,
    /// Share of units that no scenario ever touches, such as 5%, by unit where the scenario names one
    #[arg(long, value_name = "SHARE", value_parser = holdout)]
    holdout: Option<Share>,
    /// Where callers come in
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:9000", value_parser = address)]
    listen: SocketAddr,
    /// Admin API and /metrics; elsewhere than on loopback it needs a token
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:9900", value_parser = address)]
    admin: SocketAddr,
    /// Bearer token of the admin API; rather set CANARD_TOKEN, because arguments show in process lists
    #[arg(long, value_name = "TOKEN", env = "CANARD_TOKEN", hide_env_values = true)]
    admin_token: Option<String>,
    /// File that disarms: while it exists, nothing is armed and nothing can be
    #[arg(long, value_name = "FILE")]
    kill_file: Option<PathBuf>,
    /// Stage file that says where this sidecar stands and what may run there (`environment`, `limits`, `production`): what
    /// it forbids can't be armed here, whoever asks and whatever stage they name. It is read again when it changes
    #[arg(long, value_name = "FILE")]
    stage: Option<PathBuf>,
    /// Append a line for each perturbed response to this file (JSON lines); in memory if left out
    #[arg(long, value_name = "FILE")]
    ledger: Option<PathBuf>,
    /// Size at which the ledger's file gets a number (FILE.1.jsonl, ...) and a new one begins: 64MiB, 1GiB
    #[arg(long, value_name = "SIZE", requires = "ledger", value_parser = size)]
    ledger_size: Option<u64>,
    /// Older files of the ledger that are kept; the oldest beyond them are removed [default: 16]
    #[arg(long, value_name = "N", requires = "ledger", value_parser = clap::value_parser!(u32).range(1..))]
    ledger_keep: Option<u32>,
    /// Protocol in which /metrics reads predictions
    #[arg(long, value_enum, default_value_t = ViewProtocol::Auto)]
    protocol: ViewProtocol,
    /// With --protocol json: JSONPath to the predicted class of each row, such as '$.results[*].label'
    #[arg(long, value_name = "PATH")]
    label_path: Option<JsonPath>,
    /// With --protocol json: JSONPath to the scores of each row, such as '$.results[*].scores'
    #[arg(long, value_name = "PATH")]
    scores_path: Option<JsonPath>,
    /// Class names in the order of the class indices, for servers that answer with numbers
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    labels: Vec<String>,
    /// Whether /metrics counts predictions; off: no body is looked at
    #[arg(long, value_enum, default_value_t = Switch::On)]
    observe: Switch,
    /// Whether /metrics tells treated from control; off for blind exercises
    #[arg(long, value_enum, default_value_t = Switch::On)]
    arm_label: Switch,
    /// Append what callers asked and got to this file, sampled and summarised, as CloudEvents in the form of KServe's
    /// inference logger (JSON lines): what drift monitors read. A file of 64 MiB gets a number (FILE.1.jsonl, ...), and
    /// 16 of these are kept
    #[arg(long, value_name = "FILE")]
    payload_log: Option<PathBuf>,
    /// Share of the exchanges that the payload log keeps; rare classes are kept more often, with weights
    #[arg(long, value_name = "SHARE", default_value = "10%", requires = "payload_log")]
    payload_rate: Share,
    /// Features that the payload log leaves out, by name or by number from 0; repeatable. Where a name is not among
    /// those of a request, none of its features are told
    #[arg(long, value_name = "COLUMN", requires = "payload_log")]
    payload_redact: Vec<String>,
    /// Put the bodies of requests and responses in the payload log, too
    #[arg(long, requires = "payload_log", conflicts_with = "payload_redact")]
    payload_raw: bool,
    /// Threads that serve callers; one per core if left out
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    workers: Option<u16>,
    /// Speak HTTP/2 with prior knowledge to the upstream, whatever callers speak (gRPC always does)
    #[arg(long)]
    upstream_http2: bool,
    /// Certificate authorities (PEM) to trust for an https upstream, besides the system's
    #[arg(long, value_name = "FILE")]
    upstream_ca: Option<PathBuf>,
    /// Send the upstream its own Host instead of the caller's
    #[arg(long)]
    upstream_host: bool,
    /// Log filter, such as info or canard=debug; RUST_LOG if left out
    #[arg(long, value_name = "FILTER")]
    log: Option<String>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum ViewProtocol {
    Auto,
    OpenInference,
    KserveV1,
    TfServing,
    Mlflow,
    #[value(name = "openai")]
    OpenAi,
    Anthropic,
    Ollama,
    Tgi,
    Tei,
    Cohere,
    TritonGenerate,
    #[value(name = "torchserve")]
    TorchServe,
    #[value(name = "sagemaker")]
    SageMaker,
    #[value(name = "bentoml")]
    BentoMl,
    RayServe,
    #[value(name = "litserve")]
    LitServe,
    Json,
    Http,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Switch {
    On,
    Off,
}

pub(super) fn run(args: SidecarArgs) -> miette::Result<Exit> {
    let log = args.log.clone();
    let stage = args.stage.as_deref().map(Stage::read).transpose()?;
    let mut config = args.config()?;
    config.stage = stage.as_ref().map(|stage| stage.document.clone());
    telemetry::log(log.as_deref()).map_err(|error| Failure::new(error.to_string()))?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Failure::new(format!("can't start: {error}")))?;
    runtime.block_on(async {
        stage.map(|stage| tokio::spawn(stage.follow()));
        serve(config).await
    })
}

impl SidecarArgs {
    fn config(self) -> Result<Config, Failure> {
        let protocol = self.protocol()?;
        self.apart()?;
        let mut config = Config::new(self.upstream);
        config.candidates = self.candidate;
        config.request_control = self.request_control;
        config.layer_limits.holdout = self.holdout.unwrap_or(Share::NONE);
        config.listen = self.listen;
        config.admin = Some(self.admin);
        config.admin_token = self.admin_token.and_then(Token::new);
        config.kill_file = self.kill_file;
        config.ledger = self.ledger;
        config.payload_log = self.payload_log.map(|path| PayloadLogSettings {
            path,
            rate: self.payload_rate,
            redact: self.payload_redact,
            raw: self.payload_raw,
            rotation: crate::evidence::Rotation::default(),
        });
        let rotation = &mut config.layer_limits.ledger_rotation;
        rotation.bytes = self.ledger_size.unwrap_or(rotation.bytes);
        rotation.keep = self.ledger_keep.map_or(rotation.keep, |keep| keep as usize);
        config.protocol = protocol;
        config.labels = self.labels;
        config.observe = self.observe == Switch::On;
        config.arm_label = self.arm_label == Switch::On;
        config.workers = self.workers.map(usize::from);
        config.upstream_http2 = self.upstream_http2;
        config.upstream_ca = self.upstream_ca;
        config.host = if self.upstream_host { HostHeader::Upstream } else { HostHeader::Keep };
        Ok(config)
    }

    /// Callers, admin API and upstreams need addresses of their own: what comes in must not come back.
    fn apart(&self) -> Result<(), Failure> {
        if meet(self.listen, self.admin) {
            let failure = Failure::new(format!("--listen and --admin are both {}", self.listen));
            return Err(failure.help("give each a port of its own, such as --admin 127.0.0.1:9900"));
        }
        let candidates = self.candidate.iter().map(|candidate| ("--candidate", &candidate.upstream));
        for (option, upstream) in std::iter::once(("--upstream", &self.upstream)).chain(candidates) {
            let host = if upstream.host() == "localhost" { "127.0.0.1" } else { upstream.host() };
            let Ok(host) = host.parse() else { continue };
            let there = SocketAddr::new(host, upstream.port());
            for (own, address) in [("--listen", self.listen), ("--admin", self.admin)] {
                if meet(address, there) {
                    let message =
                        format!("{option} {upstream} is the address of {own}: the sidecar would ask itself");
                    return Err(Failure::new(message)
                        .help("name the port of the model server, or let the sidecar listen on another"));
                }
            }
        }
        Ok(())
    }

    fn protocol(&self) -> Result<Protocol, Failure> {
        let api = JsonApi { label: self.label_path.clone(), scores: self.scores_path.clone() };
        let given = api != JsonApi::default();
        let protocol = match self.protocol {
            ViewProtocol::Json if !given => {
                return Err(Failure::new("--protocol json does not say where the predictions are").help(
                    "add --label-path '$.results[*].label', --scores-path '$.results[*].scores', or both",
                ));
            }
            ViewProtocol::Json => return Ok(Protocol::Json(api)),
            ViewProtocol::OpenInference => Protocol::OpenInference,
            ViewProtocol::Auto => Protocol::Auto,
            ViewProtocol::KserveV1 => Protocol::KserveV1,
            ViewProtocol::TfServing => Protocol::TfServing,
            ViewProtocol::Mlflow => Protocol::Mlflow,
            ViewProtocol::OpenAi => Protocol::OpenAi,
            ViewProtocol::Anthropic => Protocol::Anthropic,
            ViewProtocol::Ollama => Protocol::Ollama,
            ViewProtocol::Tgi => Protocol::Tgi,
            ViewProtocol::Tei => Protocol::Tei,
            ViewProtocol::Cohere => Protocol::Cohere,
            ViewProtocol::TritonGenerate => Protocol::TritonGenerate,
            ViewProtocol::TorchServe => Protocol::TorchServe,
            ViewProtocol::SageMaker => Protocol::SageMaker,
            ViewProtocol::BentoMl => Protocol::BentoMl,
            ViewProtocol::RayServe => Protocol::RayServe,
            ViewProtocol::LitServe => Protocol::LitServe,
            ViewProtocol::Http => Protocol::Http,
        };
        if given {
            let message =
                format!("--label-path and --scores-path have no use with --protocol {}", protocol.name());
            return Err(Failure::new(message).help("add --protocol json, or leave the paths out"));
        }
        Ok(protocol)
    }
}

/// An address to listen on; `localhost` is the loopback address.
fn address(text: &str) -> Result<SocketAddr, String> {
    let numbers = text.strip_prefix("localhost:").map(|port| format!("127.0.0.1:{port}"));
    numbers.as_deref().unwrap_or(text).parse().map_err(|_| {
        "it takes an IP address and a port, such as 127.0.0.1:9000, 0.0.0.0:9000 or [::1]:9000".to_owned()
    })
}

/// A number of bytes: `65536`, `512KiB`, `64MiB`, `1GiB`.
fn size(text: &str) -> Result<u64, String> {
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let unit = match &text[digits..] {
        "" => Some(1),
        "KiB" => Some(1 << 10),
        "MiB" => Some(1 << 20),
        "GiB" => Some(1 << 30),
        _ => None,
    };
    let bytes =
        text[..digits].parse::<u64>().ok().zip(unit).and_then(|(number, unit)| number.checked_mul(unit));
    match bytes {
        None => Err("write it like 65536, 512KiB, 64MiB or 1GiB".into()),
        Some(bytes) if bytes < 4 << 10 => Err("a file smaller than 4KiB holds next to nothing".into()),
        Some(bytes) => Ok(bytes),
    }
}

/// A share that leaves somebody.
fn holdout(text: &str) -> Result<Share, String> {
    let share: Share = text.parse().map_err(|error: UnitError| error.to_string())?;
    if share == Share::ALL { Err("a hold-out of 100% leaves nobody".to_owned()) } else { Ok(share) }
}

async fn serve(config: Config) -> miette::Result<Exit> {
    // Before the ports open: a signal that comes early must drain too.
    let (mut interrupt, mut terminate) = (listen(SignalKind::interrupt())?, listen(SignalKind::terminate())?);
    let upstream = config.upstream.clone();
    let mut sidecar = Sidecar::start(config).map_err(|error| failure(&error))?;
    say(&format!("callers   http://{} -> {upstream}", sidecar.listen_addr()));
    if let Some(admin) = sidecar.admin_addr() {
        say(&format!("admin     http://{admin} (API, /metrics)"));
        say(&format!("arm it    canard run SCENARIO --sidecar http://{admin}"));
    }
    if let Some(file) = sidecar.rack().killed_by() {
        say(&format!("disarmed  {} exists: nothing can be armed until it is removed", file.display()));
    }
    tokio::select! {
        () = signalled(&mut interrupt, &mut terminate) => {}
        error = sidecar.lost() => return Err(failure(&error).into()),
    }
    // In this order: once it says so, it is draining.
    let second = async {
        say("draining; once more ends it at once");
        signalled(&mut interrupt, &mut terminate).await;
    };
    tokio::select! {
        biased;
        () = sidecar.drain() => {
            say("drained");
            Ok(Exit::Met)
        }
        () = second => {
            say("ended; what was in flight is lost");
            Ok(Exit::Interrupted)
        }
    }
}

/// A line for whoever started it. A reader that has gone must not stop a drain.
fn say(line: &str) {
    let _ = output::print(&format!("{line}\n"));
}

fn failure(error: &SidecarError) -> Failure {
    Failure::new(chain(error)).help(error.remedy())
}

async fn signalled(interrupt: &mut Signal, terminate: &mut Signal) {
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
}

fn listen(kind: SignalKind) -> Result<Signal, Failure> {
    signal(kind).map_err(|error| Failure::new(format!("can't listen for signals: {error}")))
}

/// An error with its causes.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(deeper) = cause {
        let deeper_text = deeper.to_string();
        if !text.contains(&deeper_text) {
            text = format!("{text}: {deeper_text}");
        }
        cause = deeper.source();
    }
    text
}

//! The sidecar: a reverse proxy with [`RackLayer`](crate::layer::RackLayer) in it, and its admin API.
//!
//! Each worker is a thread with a current-thread runtime, a listener of its own (`SO_REUSEPORT`) and its own
//! pool of upstream connections, so that a request never crosses a thread. Why not one multi-threaded
//! runtime? Measured, it costs a sixth more CPU per request.

pub mod api;
pub mod client;

mod admin;
mod body;
mod config;
mod connect;
mod crew;
mod forward;
mod headers;
mod io;
mod listen;
mod payload;
mod pool;
mod respond;
mod stack;
mod worker;

use std::{convert::Infallible, net::SocketAddr, sync::Arc, thread::JoinHandle, time::Duration};

use tokio::sync::{Semaphore, mpsc};
use tokio_util::sync::CancellationToken;

pub use admin::OPENAPI;
pub use config::{Candidate, Config, HostHeader, Limits, Token, Upstream, UpstreamError};
pub use connect::TlsError;
pub use payload::PayloadLogSettings;

use self::{
    admin::Admin,
    connect::Connector,
    crew::Crew,
    forward::{Lane, Route},
    payload::PayloadLog,
    pool::Pool,
    worker::{Ending, Server},
};
use crate::{
    evidence::Ledger,
    layer::{
        Rack,
        shadow::ShadowLayer,
        view::{Payloads, View, ViewSettings},
    },
    wire::Labels,
};

/// Time for the last lines of the ledger once nothing is injected any more.
const LAST_LINES: Duration = Duration::from_secs(5);
/// Time to read the last predictions once the last caller has gone.
const LAST_READINGS: Duration = Duration::from_secs(1);

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Why a sidecar does not start.
#[derive(Debug, thiserror::Error)]
pub enum SidecarError {
    /// A port can't be had.
    #[error("can't listen on {address}: {source}")]
    Listen {
        /// Where.
        address: SocketAddr,
        /// Why not.
        source: std::io::Error,
    },
    /// TLS to the upstream can't be set up.
    #[error("no TLS to the upstream")]
    Tls(#[from] TlsError),
    /// The admin API would be open to the network.
    #[error("the admin API on {0} can be reached by others, so it needs a token")]
    TokenRequired(SocketAddr),
    /// The ledger can't be opened.
    #[error("can't open the ledger {path}: {source}")]
    Ledger {
        /// The file.
        path: std::path::PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// The payload log can't be opened.
    #[error("can't open the payload log {path}: {source}")]
    PayloadLog {
        /// The file.
        path: std::path::PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// The system grants no thread or runtime.
    #[error("can't start a worker: {0}")]
    Worker(std::io::Error),
    /// Every worker ended by an error or a panic while it ran.
    #[error("no worker is left: {0}")]
    Lost(String),
}

impl SidecarError {
    /// What to do about it.
    pub fn remedy(&self) -> String {
        match self {
            SidecarError::Listen { source, .. } if source.kind() == std::io::ErrorKind::AddrInUse => {
                "something listens there already, perhaps another sidecar: stop it, or choose another port"
                    .into()
            }
            SidecarError::Listen { source, .. } if source.kind() == std::io::ErrorKind::PermissionDenied => {
                "ports below 1024 need a privilege; choose a higher one".into()
            }
            SidecarError::Listen { .. } => {
                "the address must be one of this machine's, as in 127.0.0.1:9000".into()
            }
            SidecarError::Tls(TlsError::Authorities { .. }) => {
                "--upstream-ca takes a PEM file with certificates (-----BEGIN CERTIFICATE-----)".into()
            }
            SidecarError::Tls(TlsError::Name(_)) => {
                "write the upstream's name as its certificate does: https://models.example".into()
            }
            SidecarError::Tls(_) => "name the authority's PEM file with --upstream-ca".into(),
            SidecarError::TokenRequired(_) => {
                "set CANARD_TOKEN (or --admin-token), or listen on loopback: --admin 127.0.0.1:9900".into()
            }
            SidecarError::Ledger { source, .. } if source.kind() == std::io::ErrorKind::ResourceBusy => {
                "each sidecar writes a file of its own: name another, or stop the other sidecar or run".into()
            }
            SidecarError::Ledger { .. } | SidecarError::PayloadLog { .. } => {
                "name a file that can be written, in a folder that exists".into()
            }
            SidecarError::Worker(_) => {
                "allow the process more threads, or ask for fewer with --workers".into()
            }
            SidecarError::Lost(_) => "start it anew; the log says more".into(),
        }
    }
}

/// A running sidecar, on threads of its own. Dropped, it ends at once; [`shutdown`](Self::shutdown) drains.
#[derive(Debug)]
pub struct Sidecar {
    listen: SocketAddr,
    admin: Option<SocketAddr>,
    rack: Rack,
    ending: Ending,
    /// The admin API outlives the workers, to say that they drain.
    admin_end: CancellationToken,
    threads: Vec<JoinHandle<()>>,
    crew: Crew,
    alive: mpsc::Receiver<Infallible>,
    payloads: Option<Arc<PayloadLog>>,
}

impl Sidecar {
    /// Starts one. Returns when callers can connect.
    ///
    /// # Errors
    /// If a port, the ledger or TLS can't be had, or the admin API would be open to the network.
    pub fn start(config: Config) -> Result<Sidecar, SidecarError> {
        let lanes = lanes(&config)?;
        let count = config
            .workers
            .unwrap_or_else(|| std::thread::available_parallelism().map_or(1, std::num::NonZero::get))
            .max(1);
        let listeners = listen::bind(config.listen, count)?;
        let listen = listeners.first().and_then(|l| l.local_addr().ok()).unwrap_or(config.listen);
        let admin = match config.admin {
            Some(address) if !address.ip().is_loopback() && config.admin_token.is_none() => {
                return Err(SidecarError::TokenRequired(address));
            }
            Some(address) => listen::bind(address, 1)?.pop(),
            None => None,
        };
        let rack = rack(&config)?;
        let payloads = payloads(&config, listen)?;
        let view = view(&config, payloads.clone());
        let (life, alive) = mpsc::channel(1);
        let ending = Ending::default();
        let mut sidecar = Sidecar {
            listen,
            admin: None,
            rack,
            ending,
            admin_end: CancellationToken::new(),
            threads: Vec::new(),
            crew: Crew::default(),
            alive,
            payloads,
        };
        if let Some(listener) = admin {
            sidecar.admin = listener.local_addr().ok();
            let admin = Arc::new(Admin::new(&config, &sidecar, view.clone()));
            sidecar.start_admin(listener, admin)?;
        }
        let connections = Arc::new(Semaphore::new(config.limits.connections));
        let shadows = ShadowLayer::new(sidecar.rack.clone());
        for (index, listener) in listeners.into_iter().enumerate() {
            let mut open = lanes.iter().map(|(connector, route)| Lane {
                pool: Arc::new(Pool::new(connector.clone(), config.limits.clone())),
                route: route.clone(),
            });
            let Some(upstream) = open.next() else { break };
            let candidates: Vec<_> = open.collect();
            let pools: Vec<_> =
                std::iter::once(&upstream).chain(&candidates).map(|lane| lane.pool.clone()).collect();
            let (layer, reader) = view.layer();
            let server = Server {
                stack: stack::stack(upstream, candidates, &sidecar.rack, &shadows, &layer),
                limits: config.limits.clone(),
                connections: connections.clone(),
                ending: sidecar.ending.clone(),
            };
            let runtime = runtime()?;
            sidecar.start_worker(index, life.clone(), move || {
                runtime.block_on(async {
                    for pool in pools {
                        tokio::spawn(pool::sweep_forever(pool));
                    }
                    let reading = tokio::spawn(reader.run());
                    let ended = server.run(listener).await;
                    // What was answered last is read too, unless that takes long.
                    let _ = tokio::time::timeout(LAST_READINGS, reading).await;
                    ended
                })
            })?;
        }
        Ok(sidecar)
    }

    fn start_worker(
        &mut self,
        index: usize,
        life: mpsc::Sender<Infallible>,
        work: impl FnOnce() -> std::io::Result<()> + Send + 'static,
    ) -> Result<(), SidecarError> {
        let (crew, name) = (self.crew.clone(), format!("canard-worker-{index}"));
        self.spawn(name.clone(), move || {
            let _life = life;
            crew.watch(&name, work);
        })
    }

    fn start_admin(
        &mut self,
        listener: std::net::TcpListener,
        admin: Arc<Admin>,
    ) -> Result<(), SidecarError> {
        let (runtime, end) = (runtime()?, self.admin_end.clone());
        self.spawn("canard-admin".into(), move || {
            if let Err(error) = runtime.block_on(admin::serve(listener, admin, end)) {
                tracing::error!(%error, "admin API ended");
            }
        })
    }

    fn spawn(&mut self, name: String, work: impl FnOnce() + Send + 'static) -> Result<(), SidecarError> {
        let thread = std::thread::Builder::new().name(name).spawn(work).map_err(SidecarError::Worker)?;
        self.threads.push(thread);
        Ok(())
    }

    /// Where callers come in.
    pub fn listen_addr(&self) -> SocketAddr {
        self.listen
    }

    /// Where the admin API listens.
    pub fn admin_addr(&self) -> Option<SocketAddr> {
        self.admin
    }

    /// Arms and disarms it.
    pub fn rack(&self) -> &Rack {
        &self.rack
    }

    /// Waits until no worker is left, and tells why. A worker that is lost is logged; the others go on.
    pub async fn lost(&mut self) -> SidecarError {
        // Every worker holds a sender; none is ever used.
        let _ = self.alive.recv().await;
        SidecarError::Lost(self.crew.lost().unwrap_or_else(|| "all have ended".into()))
    }

    /// Disarms, finishes what is in flight (at most [`Limits::drain`]), and ends.
    pub async fn shutdown(mut self) {
        self.drain().await;
    }

    /// As [`shutdown`](Self::shutdown), but can be given up: what is dropped ends at once.
    pub async fn drain(&mut self) {
        self.rack.stop();
        self.ending.drain();
        let _ = self.alive.recv().await;
        if !matches!(tokio::time::timeout(LAST_LINES, self.rack.ledger().flush()).await, Ok(Ok(()))) {
            tracing::error!("the ledger is not complete: its last lines could not be written");
        }
    }
}

impl Drop for Sidecar {
    fn drop(&mut self) {
        self.rack.stop();
        self.ending.halt();
        self.admin_end.cancel();
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
        if let Err(error) = self.rack.ledger().flush_within(LAST_LINES) {
            tracing::error!(%error, "the ledger is not complete: its last lines could not be written");
        }
        if self.payloads.as_ref().is_some_and(|payloads| !payloads.flush_within(LAST_LINES)) {
            tracing::error!("the payload log is not complete: its last lines could not be written");
        }
    }
}

/// The way to the upstream, and to each candidate.
fn lanes(config: &Config) -> Result<Vec<(Connector, Arc<Route>)>, TlsError> {
    let upstreams = std::iter::once(&config.upstream).chain(config.candidates.iter().map(|c| &c.upstream));
    let lane = |upstream: &Upstream| {
        let route = Route { upstream: upstream.clone(), host: config.host, http2: config.upstream_http2 };
        Ok((Connector::new(upstream, config)?, Arc::new(route)))
    };
    upstreams.map(lane).collect()
}

fn rack(config: &Config) -> Result<Rack, SidecarError> {
    let limits = config.layer_limits.clone();
    let rack = match &config.ledger {
        None => Rack::new(limits),
        Some(path) => {
            let ledger = Ledger::rotated(path, limits.ledger_queue, limits.ledger_rotation)
                .map_err(|source| SidecarError::Ledger { path: path.clone(), source })?;
            Rack::with_ledger(limits, ledger)
        }
    };
    let rack = rack.with_candidates(config.candidates.iter().map(Into::into));
    let rack = match &config.kill_file {
        Some(file) => rack.with_kill_file(file).map_err(SidecarError::Worker)?,
        None => rack,
    };
    Ok(if config.request_control { rack.with_request_control() } else { rack })
}

fn payloads(config: &Config, listen: SocketAddr) -> Result<Option<Arc<PayloadLog>>, SidecarError> {
    let open = |settings: &PayloadLogSettings| {
        PayloadLog::open(settings, format!("canard/{listen}"))
            .map(Arc::new)
            .map_err(|source| SidecarError::PayloadLog { path: settings.path.clone(), source })
    };
    config.payload_log.as_ref().map(open).transpose()
}

fn view(config: &Config, payloads: Option<Arc<PayloadLog>>) -> View {
    View::new(ViewSettings {
        codec: config.protocol.codec(&config.outputs),
        labels: Labels::new(config.labels.iter().cloned()),
        observe: config.observe && config.protocol != crate::wire::Protocol::Http,
        body: config.limits.view_body,
        queue: config.limits.view_queue,
        series: config.limits.view_series,
        payloads: payloads.map(|log| log as Arc<dyn Payloads>),
    })
}

fn runtime() -> Result<tokio::runtime::Runtime, SidecarError> {
    tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(SidecarError::Worker)
}

#[cfg(test)]
mod tests;

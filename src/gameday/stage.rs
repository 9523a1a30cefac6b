//! Sets the stage: finds or starts everything that a run needs.
//!
//! With no stage file, everything runs in this process: the demo model, a sidecar in front of it, generated
//! traffic and the built-in monitor.

use std::{collections::BTreeMap, net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};

use tokio::{net::TcpStream, time::timeout};

use super::{
    Truth,
    fleet::{Fleet, Local, Remote, Target},
    truth::LabelledRequest,
};
use crate::{
    demo::Demo,
    evidence::Rotation,
    monitor::{self, AlertSource, EvidenceSource, MonitorError, ProbeSource},
    scenario::{
        Plan, SidecarAddress, SidecarSettings, StageDocument, Switch, default_stage, forbidden, unnamed_stage,
    },
    sidecar::{
        Candidate, Config, PayloadLogSettings, Sidecar, SidecarError, Upstream, UpstreamError,
        client::{AdminClient, AdminError},
    },
    traffic::{Generator, Outcome, Recording, TrafficError},
};

/// What a stage is set from.
#[derive(Debug)]
pub struct Staging {
    /// The scenario.
    pub plan: Arc<Plan>,
    /// The stage file; `None` for the embedded defaults.
    pub stage: Option<StageDocument>,
    /// Sidecars named on the command line; they take the place of the stage's.
    pub sidecars: Vec<SidecarAddress>,
    /// Where generated traffic goes when sidecars are named.
    pub traffic_to: Option<String>,
    /// What the traffic compares answers with.
    pub truth: Arc<Truth>,
    /// Where a hosted sidecar writes its ledger.
    pub ledger: Option<PathBuf>,
}

/// A stage that is set.
pub struct Staged {
    /// In words.
    pub description: String,
    /// The sidecars.
    pub fleet: Fleet,
    /// The monitors by name.
    pub monitors: Vec<(String, Box<dyn AlertSource>)>,
    /// The probes by name.
    pub probes: Vec<(String, ProbeSource)>,
    /// Generated traffic, ready to start.
    pub traffic: Option<Generator>,
    /// What the reader should know.
    pub notices: Vec<String>,
    /// What was started here.
    pub site: Site,
}

impl std::fmt::Debug for Staged {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Staged").field("description", &self.description).finish_non_exhaustive()
    }
}

/// What a run started itself and has to end.
#[derive(Debug, Default)]
pub struct Site {
    sidecar: Option<Sidecar>,
    demo: Option<Demo>,
}

impl Site {
    /// Drains the sidecar, then ends the demo model.
    pub async fn close(self) {
        if let Some(sidecar) = self.sidecar {
            sidecar.shutdown().await;
        }
        drop(self.demo);
    }
}

/// Why a stage can't be set.
#[derive(Debug, thiserror::Error)]
pub enum StageError {
    /// The stage does not let the scenario run.
    #[error("{0}")]
    Forbidden(String),
    /// The embedded default stage has no callers of its own.
    #[error("the scenario brings no traffic, and without a stage there are no other callers")]
    NoTraffic,
    /// Neither an upstream nor sidecars.
    #[error("the stage names neither an `upstream` nor `sidecars`")]
    NoTarget,
    /// The demo model can't listen.
    #[error("the demo model can't listen: {0}")]
    Demo(std::io::Error),
    /// The upstream's address is wrong.
    #[error(transparent)]
    Upstream(#[from] UpstreamError),
    /// Nobody answers at the upstream's address.
    #[error("the upstream {url} does not answer: {why}")]
    UpstreamDown {
        /// Its address.
        url: String,
        /// Why not.
        why: String,
    },
    /// An address to listen on is wrong.
    #[error("`{0}` is no address to listen on; write it like 127.0.0.1:9000")]
    Listen(String),
    /// The sidecar does not start.
    #[error("{0}")]
    Sidecar(#[from] SidecarError),
    /// A named sidecar does not answer.
    #[error("the sidecar {url} can't be used: {why}")]
    Remote {
        /// Its admin address.
        url: String,
        /// Why not.
        why: AdminError,
    },
    /// A monitor can't work at all.
    #[error("monitor `{name}`: {why}")]
    Monitor {
        /// Its name in the stage.
        name: String,
        /// Why not.
        why: MonitorError,
    },
    /// A probe can't work at all.
    #[error("probe `{name}`: {why}")]
    Probe {
        /// Its name in the stage.
        name: String,
        /// Why not.
        why: MonitorError,
    },
    /// The recorded requests can't be used.
    #[error("{0}")]
    Traffic(#[from] TrafficError),
}

impl StageError {
    /// What to do about it, if that is not plain from the message.
    pub fn remedy(&self) -> Option<String> {
        Some(match self {
            StageError::NoTraffic => "add `traffic:` to the scenario, or name a stage with --stage FILE".into(),
            StageError::NoTarget => "add `upstream: http://…`, or `sidecars:`, or --sidecar URL".into(),
            StageError::UpstreamDown { .. } => "start the model server first, or mend `upstream` in the stage".into(),
            StageError::Sidecar(error) => error.remedy(),
            StageError::Remote { .. } => {
                "is it the admin address (`canard sidecar --admin`), and is CANARD_TOKEN set where it wants one?".into()
            }
            _ => return None,
        })
    }
}

/// Sets the stage.
///
/// # Errors
/// If anything that the run can't do without is missing; nothing is armed then.
pub async fn stage(staging: Staging) -> Result<Staged, StageError> {
    let Staging { plan, stage, mut sidecars, traffic_to, truth, ledger } = staging;
    let embedded = stage.is_none() && sidecars.is_empty();
    let document = stage.unwrap_or_else(if embedded { default_stage } else { unnamed_stage });
    match forbidden(&plan.document, &document) {
        none if none.is_empty() => {}
        some => return Err(StageError::Forbidden(some.join("; "))),
    }
    if sidecars.is_empty() {
        sidecars.clone_from(&document.sidecars);
    }
    let (mut site, mut notices) = (Site::default(), Vec::new());
    notices.extend(unmarked(&document));
    let (fleet, description, target) = if sidecars.is_empty() {
        let upstream = if embedded || document.has_demo() {
            plan.traffic.as_ref().ok_or(StageError::NoTraffic)?;
            let demo = site.demo.insert(Demo::start().await.map_err(StageError::Demo)?);
            demo.url()
        } else {
            let upstream = document.upstream.clone().ok_or(StageError::NoTarget)?;
            answers(&upstream).await?;
            upstream
        };
        let settings = document.sidecar.clone().unwrap_or_default();
        let sidecar = site.sidecar.insert(host(&plan, &upstream, &document.candidates, &settings, ledger)?);
        let callers = format!("http://{}", sidecar.listen_addr());
        if !embedded {
            notices.push(format!("callers come in at {callers}; the sidecar passes them to {upstream}"));
            if let Some(admin) = sidecar.admin_addr() {
                notices.push(format!("metrics for your monitors: http://{admin}/metrics"));
            }
        }
        let description =
            if embedded { "the embedded demo model".to_owned() } else { name_of(&document, &upstream) };
        (Fleet::new(vec![Box::new(Local(sidecar.rack().clone()))]), description, Some(callers))
    } else {
        let remotes = connect_all(&sidecars, document.environment.as_deref()).await?;
        let description = name_of(
            &document,
            &match sidecars.len() {
                1 => "one sidecar".to_owned(),
                many => format!("{many} sidecars"),
            },
        );
        (Fleet::new(remotes), description, traffic_to)
    };
    if plan.traffic.is_some() && target.is_none() {
        notices.push(
            "the scenario's traffic is not sent: sidecars get real traffic; --traffic-to URL sends it".into(),
        );
    }
    let traffic = match target {
        Some(target) => traffic(&plan, &target, truth)?,
        None => None,
    };
    let mut monitors = Vec::new();
    for (name, settings) in document.monitors {
        let source = monitor::connect(&settings, evidence_of(&fleet)).await;
        monitors.push((name.clone(), source.map_err(|why| StageError::Monitor { name, why })?));
    }
    let mut probes = Vec::new();
    for (name, settings) in document.probes {
        let source = monitor::probe(&settings);
        probes.push((name.clone(), source.map_err(|why| StageError::Probe { name, why })?));
    }
    Ok(Staged { description, fleet, monitors, probes, traffic, notices, site })
}

/// An environment that sounds like production and is not marked so has no consent to keep to.
fn unmarked(document: &StageDocument) -> Option<String> {
    let name = document.environment.as_ref().filter(|_| document.production.is_none())?;
    let parts = name.split(|c: char| !c.is_ascii_alphanumeric()).map(str::to_ascii_lowercase);
    parts.into_iter().any(|part| ["production", "prod", "prd", "live"].contains(&part.as_str())).then(|| {
        format!(
            "the stage is called `{name}`; mark it with `production: {{ consent: … }}` if that is what it is"
        )
    })
}

fn name_of(document: &StageDocument, what: &str) -> String {
    document.environment.as_ref().map_or_else(|| what.to_owned(), |name| format!("{name} ({what})"))
}

fn evidence_of(fleet: &Fleet) -> EvidenceSource {
    let fleet = fleet.clone();
    Arc::new(move || {
        let fleet = fleet.clone();
        Box::pin(async move {
            let (evidence, silent) = fleet.evidence().await;
            silent.is_empty().then_some(evidence)
        })
    })
}

/// A sidecar in this process.
fn host(
    plan: &Plan,
    upstream: &str,
    candidates: &BTreeMap<String, String>,
    settings: &SidecarSettings,
    ledger: Option<PathBuf>,
) -> Result<Sidecar, StageError> {
    let address = |text: &Option<String>| -> Result<SocketAddr, StageError> {
        let text = text.as_deref().unwrap_or("127.0.0.1:0");
        text.parse().map_err(|_| StageError::Listen(text.to_owned()))
    };
    let mut config = Config::new(upstream.parse::<Upstream>()?);
    config.listen = address(&settings.listen)?;
    config.admin = Some(address(&settings.admin)?);
    config.candidates = candidates
        .iter()
        .map(|(name, address)| Ok(Candidate { name: Some(name.clone()), upstream: address.parse()? }))
        .collect::<Result<_, UpstreamError>>()?;
    config.request_control = settings.request_control == Switch::On;
    config.kill_file.clone_from(&settings.kill_file);
    config.payload_log = settings.payload_log.as_ref().map(|log| PayloadLogSettings {
        path: log.file.clone(),
        rate: log.rate,
        redact: log.redact.clone(),
        raw: log.raw == Switch::On,
        rotation: Rotation::default(),
    });
    config.admin_token = std::env::var("CANARD_TOKEN").ok().and_then(crate::sidecar::Token::new);
    config.protocol = plan.target.protocol.clone();
    config.labels.clone_from(&plan.document.target.labels);
    config.outputs = plan.document.target.outputs.clone();
    config.ledger = ledger;
    Ok(Sidecar::start(config)?)
}

/// Does anybody listen at an upstream?
async fn answers(url: &str) -> Result<(), StageError> {
    let upstream: Upstream = url.parse()?;
    let down = |why: String| StageError::UpstreamDown { url: url.to_owned(), why };
    match timeout(Duration::from_secs(5), TcpStream::connect((upstream.host(), upstream.port()))).await {
        Ok(Ok(_)) => Ok(()),
        Ok(Err(error)) => Err(down(error.to_string())),
        Err(_) => Err(down("no connection within 5 s".into())),
    }
}

/// The sidecars elsewhere, each asked once whether it is there.
async fn connect_all(
    sidecars: &[SidecarAddress],
    environment: Option<&str>,
) -> Result<Vec<Box<dyn Target>>, StageError> {
    let mut remotes: Vec<Box<dyn Target>> = Vec::new();
    for address in sidecars {
        let failed = |why| StageError::Remote { url: address.url.clone(), why };
        let client = AdminClient::new(&address.url, address.token.clone()).map_err(failed)?;
        let status = client.status().await.map_err(failed)?;
        if let Some(there) = status.environment.filter(|there| environment != Some(there.as_str())) {
            let here = environment
                .map_or_else(|| "no stage is named".to_owned(), |name| format!("the stage is `{name}`"));
            let why = format!("the sidecar {} stands in `{there}`, and {here}", address.url);
            return Err(StageError::Forbidden(format!("{why}; name the stage of `{there}` with --stage")));
        }
        remotes.push(Box::new(Remote(client)));
    }
    Ok(remotes)
}

/// The scenario's traffic; answers with a known label are compared with the truth.
fn traffic(plan: &Plan, target: &str, truth: Arc<Truth>) -> Result<Option<Generator>, StageError> {
    let Some((rate, requests)) = &plan.traffic else { return Ok(None) };
    let seed = plan.document.seed;
    let generator = Generator::new(Recording::load(requests)?, *rate, target, seed)?;
    let compare = move |answer: &crate::traffic::Answer<'_>| {
        if let (Some(label), Outcome::Answered(response)) = (&answer.request.label, answer.outcome)
            && response.status.is_success()
        {
            let request = LabelledRequest {
                method: &answer.request.method,
                path: answer.request.path.path(),
                headers: &answer.request.headers,
                id: &format!("{seed}-{}", answer.number),
                label,
            };
            truth.compare(&request, &response.headers, &response.body);
        }
    };
    Ok(Some(generator.on_answer(Arc::new(compare))))
}

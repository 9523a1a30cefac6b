//! What a stage file may say: where things are. Secrets come through `${VARIABLE}` only.

use std::{collections::BTreeMap, fmt, path::PathBuf};

use serde::{Deserialize, Serialize};

use super::permit::{Production, RunLimits};
use crate::unit::{Comparison, Share, Span};

/// A canard stage: the upstream, the sidecars and the monitors of one environment.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct StageDocument {
    /// What this environment is called; scenarios may name the `environments` that they run in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub environment: Option<String>,
    /// Marks the environment as production: a run there needs the consent that is written here.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub production: Option<Production>,
    /// The most that a run may do here.
    #[serde(skip_serializing_if = "RunLimits::is_default")]
    pub limits: RunLimits,
    /// The model server; `run` puts a sidecar in front of it. `demo` is the demo model, which `run` then hosts as well.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub upstream: Option<String>,
    /// Other upstreams that faults may send requests to, by the name that scenarios use.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub candidates: BTreeMap<String, String>,
    /// Sidecars that already stand in the traffic, instead of `upstream`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub sidecars: Vec<SidecarAddress>,
    /// The sidecar that `run` hosts when it is given an upstream.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sidecar: Option<SidecarSettings>,
    /// Segments of the traffic, by the name that scenarios use: CEL over `request.…`, such as
    /// `beta: request.headers["x-beta"] == "1"`. They are written into a scenario before it goes to a sidecar.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub segments: BTreeMap<String, String>,
    /// Share of units that no scenario ever touches here, drawn apart from every scenario.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub holdout: Option<Share>,
    /// The monitors, by the name that scenarios use.
    pub monitors: BTreeMap<String, Monitor>,
    /// Addresses that answer with JSON and that guards and expectations may ask, by the name that scenarios use.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub probes: BTreeMap<String, ProbeSettings>,
}

/// What a stage calls the demo model.
const DEMO: &str = "demo";

impl StageDocument {
    /// Is its upstream the demo model that `run` hosts?
    pub(crate) fn has_demo(&self) -> bool {
        self.upstream.as_deref() == Some(DEMO)
    }
}

/// An address that answers with JSON.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct ProbeSettings {
    /// The whole address, such as `http://10.0.0.7:8080/healthz?full=1`.
    pub url: String,
    /// Bearer token, as `${VARIABLE}`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<String>,
    /// Time that an answer may take.
    #[serde(default = "second")]
    pub timeout: Span,
}

/// A sidecar that already stands in the traffic.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct SidecarAddress {
    /// Its admin address, such as `http://10.0.0.7:9900`.
    pub url: String,
    /// Bearer token, as `${VARIABLE}`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<String>,
}

/// The sidecar that `run` hosts.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct SidecarSettings {
    /// Where callers come in, `address:port`; any free port of loopback if left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub listen: Option<String>,
    /// Admin API and `/metrics`, `address:port`; any free port of loopback if left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub admin: Option<String>,
    /// Whether single requests may ask for faults of the armed plan by `x-canard-fault`, for tests; `off` if
    /// left out.
    pub request_control: Switch,
    /// File that disarms: while it exists, nothing is armed and nothing can be.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kill_file: Option<PathBuf>,
    /// Sampled and summarised copies of what callers asked and got, for drift monitors; none if left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub payload_log: Option<PayloadLogDocument>,
}

/// Where the payload log goes, and what it holds: CloudEvents in the form of KServe's inference logger, JSON lines.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct PayloadLogDocument {
    /// The file, appended to; one of 64 MiB gets a number, and 16 of these are kept.
    pub file: PathBuf,
    /// Share of the exchanges that it keeps; rare classes are kept more often, with weights.
    #[serde(default = "tenth")]
    pub rate: Share,
    /// Features that it leaves out, by name or by number from 0. Where a name is not among those of a request, none of
    /// its features are told.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub redact: Vec<String>,
    /// Whether it holds the bodies of requests and responses, too; not together with `redact`.
    #[serde(default)]
    pub raw: Switch,
}

fn tenth() -> Share {
    Share::ALL.scaled(0.1)
}

/// On or off.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Switch {
    /// Yes.
    On,
    /// No.
    #[default]
    Off,
}

/// A source of alerts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
#[non_exhaustive]
pub enum Monitor {
    /// Prometheus' rules API; also answers PromQL.
    Prometheus(PrometheusSettings),
    /// Alertmanager's v2 API.
    Alertmanager(AlertmanagerSettings),
    /// Receives notifications of Alertmanager or Grafana.
    Webhook(WebhookSettings),
    /// Thresholds on what callers saw, evaluated by canard itself.
    Builtin(BuiltinSettings),
}

/// How to reach Prometheus.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct PrometheusSettings {
    /// Base address, such as `http://127.0.0.1:9090`.
    pub url: String,
    /// Bearer token, as `${VARIABLE}`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<String>,
    /// Time between looks.
    #[serde(default = "second")]
    pub poll: Span,
}

/// How to reach Alertmanager.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct AlertmanagerSettings {
    /// Base address, such as `http://127.0.0.1:9093`.
    pub url: String,
    /// Bearer token, as `${VARIABLE}`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<String>,
    /// Time between looks.
    #[serde(default = "second")]
    pub poll: Span,
}

/// Where notifications come in.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct WebhookSettings {
    /// `address:port` to listen on.
    pub listen: String,
}

/// The built-in monitor.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct BuiltinSettings {
    /// Rules by the name of their alert.
    pub rules: BTreeMap<String, BuiltinRule>,
}

/// One rule of the built-in monitor.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct BuiltinRule {
    /// What is watched.
    pub signal: BuiltinSignal,
    /// The limit, such as `> 250ms`, `> 5%` or `> 0.2`.
    pub fires: Comparison,
    /// The window that the signal is computed over.
    #[serde(default = "ten_seconds")]
    pub window: Span,
    /// How long the limit has to be broken before the alert fires (pending until then).
    #[serde(default, rename = "for")]
    pub hold: Span,
    /// Requests (or predictions) that a window needs to say anything.
    #[serde(default = "twenty")]
    pub at_least: u64,
}

/// What a built-in rule watches: what callers saw, all arms together, as a real monitor would.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum BuiltinSignal {
    /// A quantile of latency, in seconds: `latency: 95%`.
    Latency(Share),
    /// Share of requests that failed (5xx or a broken connection).
    ErrorShare,
    /// Population stability index of the predicted classes against the first phase.
    PredictionPsi,
    /// Population stability index of the scores against the first phase.
    ScorePsi,
    /// Share of predictions with this label: `label-share: virginica`.
    LabelShare(String),
    /// Number of distinct predicted classes.
    DistinctPredictions,
    /// Share of predictions that are no usable value (null, NaN, out of range).
    InvalidShare,
    /// A quantile of the time to the first token of a stream, in seconds: `time-to-first-token: 95%`.
    TimeToFirstToken(Share),
    /// A quantile of the mean time between the tokens of a stream, in seconds: `time-per-output-token: 95%`.
    TimePerOutputToken(Share),
    /// Share of generated texts with this finish reason, `(none)` for those without one:
    /// `finish-reason-share: stop`.
    FinishReasonShare(String),
    /// Share of generated texts that are empty.
    EmptyShare,
}

/// `Debug` without the token.
macro_rules! debug_without_token {
    ($type:ident { $($field:ident),+ }) => {
        impl fmt::Debug for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                let mut shown = f.debug_struct(stringify!($type));
                $(shown.field(stringify!($field), &self.$field);)+
                shown.field("token", &self.token.as_ref().map(|_| "…")).finish()
            }
        }
    };
}

debug_without_token!(SidecarAddress { url });
debug_without_token!(ProbeSettings { url, timeout });
debug_without_token!(PrometheusSettings { url, poll });
debug_without_token!(AlertmanagerSettings { url, poll });

fn second() -> Span {
    Span::from_secs(1)
}

fn ten_seconds() -> Span {
    Span::from_secs(10)
}

fn twenty() -> u64 {
    20
}

/// The stage that applies where none is given: the built-in monitor with three rules, in front of whatever
/// `run` hosts itself.
pub fn default_stage() -> StageDocument {
    let rule = |signal, fires: &str, window, at_least| BuiltinRule {
        signal,
        fires: fires.parse().unwrap_or_else(|_| unreachable!("a limit that a test reads")),
        window: Span::from_secs(window),
        hold: Span::from_secs(1),
        at_least,
    };
    let rules = BTreeMap::from([
        (
            "HighLatency".to_owned(),
            rule(BuiltinSignal::Latency(Share::ALL.scaled(0.95)), "> 150ms", 5, twenty()),
        ),
        ("HighErrorRate".to_owned(), rule(BuiltinSignal::ErrorShare, "> 5%", 5, twenty())),
        ("PredictionDrift".to_owned(), rule(BuiltinSignal::PredictionPsi, "> 0.2", 6, 100)),
        ("InvalidPredictions".to_owned(), rule(BuiltinSignal::InvalidShare, "> 5%", 5, twenty())),
        (
            "SlowFirstToken".to_owned(),
            rule(BuiltinSignal::TimeToFirstToken(Share::ALL.scaled(0.95)), "> 300ms", 5, twenty()),
        ),
        (
            "MissingFinishReason".to_owned(),
            rule(BuiltinSignal::FinishReasonShare("(none)".to_owned()), "> 5%", 5, twenty()),
        ),
        ("EmptyAnswers".to_owned(), rule(BuiltinSignal::EmptyShare, "> 5%", 5, twenty())),
    ]);
    StageDocument {
        environment: Some("built-in".to_owned()),
        // Nobody real is touched.
        limits: RunLimits { share: Share::ALL, lasts: Span::from_secs(24 * 3600) },
        monitors: BTreeMap::from([("builtin".to_owned(), Monitor::Builtin(BuiltinSettings { rules }))]),
        ..StageDocument::default()
    }
}

/// The stage that applies where sidecars are named and no stage is: the built-in monitor, in an environment that nobody
/// knows, with the limits of any other.
pub fn unnamed_stage() -> StageDocument {
    StageDocument { environment: None, limits: RunLimits::default(), ..default_stage() }
}

//! What real clients make of each fault: which raise, which retry, which accept it in silence.
//!
//! A [`Pair`] is a client in front of canard in front of a server; each [`Row`] arms one fault for everybody,
//! lets the client do one thing, and compares what its caller gets with what is expected and with what the
//! same call gives without the fault. What was measured is also the table in `docs/clients.md`; each test
//! compares its section with the file, and `CANARD_BLESS=1` writes it.

mod generated;
mod page;
mod predictions;

use std::{sync::Arc, time::Duration};

use canard::{
    evidence::Evidence,
    scenario::{Plan, Source, compile},
    sidecar::Sidecar,
};
use serde_json::{Value, json};
use tokio::time::timeout;

use super::{driver::Client, http::POLL, server::Kind, tap::Tap, transparency::sidecar};

/// How long it may take until the evidence knows of a fault that acted.
const ACTED: Duration = Duration::from_secs(10);

/// A client of a server, with what is done to it.
pub(super) struct Pair {
    /// The distribution whose version the page names.
    pub(super) client: (Client, &'static str),
    pub(super) server: (Kind, &'static str),
    pub(super) grpc: bool,
    /// As `target.protocol` of a scenario.
    pub(super) protocol: &'static str,
    /// More of the target, as YAML in braces.
    pub(super) target: &'static str,
    pub(super) rows: Vec<Row>,
}

/// One fault, and what the client should make of it.
pub(super) struct Row {
    /// The fault as a scenario names it, and what else stands beside it.
    fault: &'static str,
    beside: &'static str,
    operation: Value,
    wants: Wants,
}

pub(super) enum Wants {
    /// An exception, after so many requests.
    Raises(&'static str, usize),
    /// What there is without the fault, after so many requests.
    Recovers(usize),
    /// What there is without the fault, at once.
    Same,
    /// No exception, and something else than without the fault (first) is taken for good (second).
    Accepts(&'static str, fn(&Value, &Value) -> bool),
}

use Wants::{Accepts, Raises, Recovers, Same};

fn row(fault: &'static str, operation: &Value, wants: Wants) -> Row {
    Row { fault, beside: "", operation: operation.clone(), wants }
}

impl Row {
    /// With a shape, or whatever else belongs to the injection.
    fn beside(mut self, beside: &'static str) -> Row {
        self.beside = beside;
        self
    }

    /// With more arguments of the operation.
    fn with(mut self, more: Value) -> Row {
        self.operation.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        self
    }
}

/// What was measured for a row.
pub(super) struct Line {
    fault: String,
    requests: String,
    outcome: String,
}

/// Plays every row, then compares the page's section; every row that surprises is told, not just the first.
async fn play(pair: Pair) {
    let server = pair.server.0.get().await;
    let sidecar = sidecar(if pair.grpc { server.grpc() } else { server.http() });
    let tap = Tap::before(sidecar.listen_addr()).await;
    let (mut lines, mut surprises) = (Vec::new(), Vec::new());
    for row in &pair.rows {
        let (line, surprise) = measure(&pair, row, &sidecar, &tap).await;
        surprises.extend(surprise);
        lines.push(line);
    }
    let stale = page::compare(&page::title(&pair), &lines);
    assert!(surprises.is_empty(), "{}\n{}", surprises.join("\n\n"), page::table(&lines));
    assert!(stale.is_none(), "{}", stale.unwrap_or_default());
}

async fn measure(pair: &Pair, row: &Row, sidecar: &Sidecar, tap: &Tap) -> (Line, Option<String>) {
    let ask = async || {
        let mut operation = row.operation.clone();
        operation["url"] = tap.url().into();
        pair.client.0.ask(&operation).await
    };
    let clean = ask().await;
    assert_eq!(clean["error"], Value::Null, "{}: without a fault: {clean}", row.operation);
    let _ = tap.requests();
    let plan = compile(&Source::new("row.yaml", scenario(pair, row)));
    let plan: Plan = plan.unwrap_or_else(|errors| panic!("{}: {errors}", row.fault));
    let lease = sidecar.rack().arm(Arc::new(plan), Duration::from_secs(120)).unwrap();
    let got = ask().await;
    let requests = tap.requests();
    // An exchange counts once it is over, which a client that gave up does not wait for.
    let acted = timeout(ACTED, async {
        while sidecar.rack().last_evidence().is_some_and(|evidence| !acted(&evidence)) {
            tokio::time::sleep(POLL).await;
        }
    });
    let acted = acted.await.is_ok();
    let evidence = sidecar.rack().last_evidence().unwrap();
    sidecar.rack().disarm(lease).unwrap();
    let outcome = outcome(row, &clean, &got, requests);
    let fits = match &row.wants {
        Raises(kind, times) => got["error"]["type"] == *kind && (pair.grpc || requests == *times),
        Recovers(times) => {
            let waited = !row.fault.contains("retry-after: 1s") || got["seconds"].as_f64() >= Some(1.0);
            got["value"] == clean["value"] && requests == *times && waited
        }
        Same => got["value"] == clean["value"],
        Accepts(_, check) => {
            got["error"].is_null() && got["value"] != clean["value"] && check(&clean["value"], &got["value"])
        }
    };
    let line = Line {
        fault: [row.fault, row.beside].join(if row.beside.is_empty() { "" } else { ", " }),
        requests: if pair.grpc { "—".to_owned() } else { requests.to_string() },
        outcome,
    };
    let surprise = (!fits || !acted).then(|| {
        let acted = if acted { "" } else { " (the fault did not act)" };
        let faults = &evidence.phases[0].faults;
        format!("{}{acted}, {requests} requests\n  clean {clean}\n  got   {got}\n  {faults:?}", row.fault)
    });
    (line, surprise)
}

fn acted(evidence: &Evidence) -> bool {
    evidence.phases[0].faults.iter().any(|fault| fault.perturbed + fault.asked_for > 0)
}

fn scenario(pair: &Pair, row: &Row) -> String {
    let beside = if row.beside.is_empty() { String::new() } else { format!(", {}", row.beside) };
    let more = if pair.target.is_empty() { String::new() } else { format!(", {}", pair.target) };
    format!(
        "name: client\nseed: 7\ntarget: {{ protocol: {}{more} }}\nexposure: {{ share: 100% }}\nphases:\n  \
         - name: fault\n    lasts: 10m\n    inject:\n      - {{ fault: {{ {} }}{beside} }}\n",
        pair.protocol, row.fault
    )
}

/// In words, for the page.
fn outcome(row: &Row, clean: &Value, got: &Value, requests: usize) -> String {
    if let Some(kind) = got["error"]["type"].as_str() {
        let status = match &got["error"]["status"] {
            Value::Null => String::new(),
            Value::String(status) => format!(", status {status}"),
            status => format!(", status {status}"),
        };
        let partial = got["error"]["partial"].as_str().is_some_and(|text| !text.is_empty());
        let partial = if partial { ", after a part of the text" } else { "" };
        return format!("raises `{kind}`{status}{partial}");
    }
    match (&row.wants, got["value"] == clean["value"]) {
        (_, true) if requests > 1 => "retries, then succeeds".to_owned(),
        (_, true) => "sees no difference".to_owned(),
        (Accepts(what, _), false) => format!("**accepts** {what}"),
        (_, false) => "**accepts** another answer".to_owned(),
    }
}

fn flowers() -> Value {
    json!([[5.1, 3.5, 1.4, 0.2], [6.1, 2.8, 4.7, 1.2], [6.9, 3.1, 5.4, 2.1]])
}

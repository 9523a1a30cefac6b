//! `canard explain`.

mod reason;

use std::path::PathBuf;

use clap::Args;
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use serde_json::Value;

use self::reason::{Asked, Explanation};
use super::{
    Exit, Failure, load,
    output::{self, Shown},
};
use crate::{
    draw::UnitHash,
    scenario::{RequestView, StageDocument},
    unit::Share,
};

/// Tell whether, when and why a scenario touches a unit.
///
/// Every decision is a pure function of the scenario and the unit, so what is told here is what every sidecar does,
/// and what any did: the ledger holds the hash of each unit, which --unit-hash takes. Segments are told by
/// requests: describe one with --header, --path, --method and --body.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  canard explain --unit u123 scenario.yaml
  canard explain --unit u123 --header 'x-beta: 1' scenario.yaml --stage staging.yaml
  canard explain --unit-hash 7c7615c11438e5c9 scenario.yaml --format json

Exit codes: 0 it is told, whatever the answer; 2 the scenario, the stage or the command line is wrong.")]
pub(super) struct ExplainArgs {
    /// The scenario file; `-` reads standard input
    scenario: PathBuf,
    /// The unit, as the scenario's `unit` gives it; without one, the id of a request
    #[arg(long, value_name = "UNIT", required_unless_present = "unit_hash", conflicts_with = "unit_hash")]
    unit: Option<String>,
    /// The hash of the unit, as the ledger has it
    #[arg(long, value_name = "HASH", value_parser = hash)]
    unit_hash: Option<UnitHash>,
    /// The stage file, for its segments and its hold-out
    #[arg(long, value_name = "FILE")]
    stage: Option<PathBuf>,
    /// The hold-out that a sidecar was started with, such as 5%
    #[arg(long, value_name = "SHARE")]
    holdout: Option<Share>,
    /// A header of the unit's request, for segments; repeatable
    #[arg(long, value_name = "NAME: VALUE", value_parser = header)]
    header: Vec<(HeaderName, HeaderValue)>,
    /// Path of the unit's request, for segments
    #[arg(long, value_name = "PATH", default_value = "/")]
    path: String,
    /// Method of the unit's request, for segments
    #[arg(long, value_name = "METHOD", default_value = "POST")]
    method: Method,
    /// Body of the unit's request, JSON, for segments
    #[arg(long, value_name = "JSON", value_parser = json)]
    body: Option<Value>,
    /// What is printed
    #[arg(long, value_enum, default_value_t, value_name = "FORMAT")]
    format: Shown,
}

pub(super) fn run(args: ExplainArgs) -> miette::Result<Exit> {
    // What was injected once can be explained when it may not run any more.
    let stage = match &args.stage {
        Some(path) => load::stage_as_it_is(path)?,
        None => StageDocument::default(),
    };
    let plan = load::scenario_as_it_is(&load::source(&args.scenario)?, &stage)?;
    let mut headers: HeaderMap = args.header.into_iter().collect();
    if let (Some(name), Some(unit)) = (plan.exposure.unit.as_ref().and_then(|unit| unit.header()), &args.unit)
        && !headers.contains_key(name)
        && let Ok(value) = HeaderValue::from_str(unit)
    {
        headers.insert(name.clone(), value);
    }
    let named = args.unit.as_ref().map(|unit| UnitHash::of(unit.as_bytes()));
    let asked = Asked {
        unit: args.unit,
        // The command line takes exactly one of the two.
        hash: named.or(args.unit_hash).unwrap_or(UnitHash::from_u64(0)),
        holdout: args.holdout.unwrap_or(Share::NONE),
        request: RequestView {
            method: &args.method,
            path: &args.path,
            headers: &headers,
            body: args.body.as_ref(),
        },
    };
    let told = Explanation::of(&plan, &asked).map_err(|error| {
        Failure::new(format!("a segment can't be told for this request: {error}"))
            .help("describe the request with --header, --path, --method and --body")
    })?;
    output::print(&match args.format {
        Shown::Text => told.in_words(),
        Shown::Json => serde_json::to_string_pretty(&told).unwrap_or_default() + "\n",
    })?;
    Ok(Exit::Met)
}

fn hash(text: &str) -> Result<UnitHash, String> {
    serde_json::from_value(Value::String(text.to_owned())).map_err(|error| error.to_string())
}

fn header(text: &str) -> Result<(HeaderName, HeaderValue), String> {
    let wrong = || "write it as `name: value`".to_owned();
    let (name, value) = text.split_once(':').ok_or_else(wrong)?;
    Ok((name.trim().parse().map_err(|_| wrong())?, value.trim().parse().map_err(|_| wrong())?))
}

fn json(text: &str) -> Result<Value, String> {
    serde_json::from_str(text).map_err(|error| error.to_string())
}

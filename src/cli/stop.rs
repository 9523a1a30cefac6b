//! `canard stop`.

use std::{path::PathBuf, time::Duration};

use clap::Args;
use futures_util::future::join_all;

use super::{Exit, Failure, load, output};
use crate::{scenario::SidecarAddress, sidecar::client::AdminClient};

/// A sidecar that does not answer is told so many times.
const TRIES: u32 = 3;
/// Time between tries.
const PAUSE: Duration = Duration::from_millis(200);

/// Disarm sidecars at once, whoever armed them.
///
/// It wins over every lease: new requests pass as they came, requests asleep in a fault wake up, and the run that held
/// the lease ends. All sidecars are told at the same time.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  canard stop --sidecar http://10.0.0.7:9900 --sidecar http://10.0.0.8:9900
  canard stop --stage staging.yaml

To keep them disarmed, start sidecars with --kill-file FILE and create that file.

Exit codes: 0 all are disarmed; 2 the command line or the stage is wrong; 3 a sidecar could not be told: its lease ends it.")]
pub(super) struct StopArgs {
    /// The admin address of a sidecar; may be repeated. Its token comes from CANARD_TOKEN
    #[arg(long, value_name = "URL", required_unless_present = "stage")]
    sidecar: Vec<String>,
    /// The stage file whose sidecars are stopped
    #[arg(long, value_name = "FILE")]
    stage: Option<PathBuf>,
}

pub(super) fn run(args: StopArgs) -> miette::Result<Exit> {
    let clients = clients(&args)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Failure::new(format!("no runtime could be started: {error}")))?;
    let told = runtime.block_on(join_all(clients.iter().map(stop)));
    let mut exit = Exit::Met;
    for (client, told) in clients.iter().zip(told) {
        match told {
            Ok(()) => output::print(&format!("{}: disarmed\n", client.url()))?,
            Err(why) => {
                exit = Exit::Inconclusive;
                let failure = Failure::new(format!("{} could not be told: {why}", client.url()));
                let failure = failure.help("what is armed there ends with its lease; tell it once more");
                anstream::eprintln!("{:?}", miette::Report::new(failure));
            }
        }
    }
    Ok(exit)
}

fn clients(args: &StopArgs) -> miette::Result<Vec<AdminClient>> {
    let token = std::env::var("CANARD_TOKEN").ok();
    let named = |url: String| SidecarAddress { url, token: token.clone() };
    let mut sidecars: Vec<SidecarAddress> = args.sidecar.iter().cloned().map(named).collect();
    if let Some(file) = &args.stage {
        let stage = load::stage_as_it_is(file)?;
        let hosted = stage.sidecar.and_then(|sidecar| sidecar.admin).filter(|admin| !admin.ends_with(":0"));
        sidecars.extend(stage.sidecars);
        sidecars.extend(hosted.map(|admin| named(format!("http://{admin}"))));
    }
    if sidecars.is_empty() {
        let failure = Failure::new("the stage names no sidecar whose admin address is known");
        return Err(failure.help("name them with --sidecar URL").into());
    }
    let client = |SidecarAddress { url, token }| {
        AdminClient::new(&url, token).map_err(|error| Failure::new(error.to_string()))
    };
    Ok(sidecars.into_iter().map(client).collect::<Result<_, Failure>>()?)
}

async fn stop(client: &AdminClient) -> Result<(), String> {
    let mut tries = 1;
    loop {
        match client.stop().await {
            Ok(()) => return Ok(()),
            Err(error) if error.is_transient() && tries < TRIES => tries += 1,
            Err(error) => return Err(error.to_string()),
        }
        tokio::time::sleep(PAUSE).await;
    }
}

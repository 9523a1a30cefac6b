//! Every scenario of the catalogue is run as its reader would run it: each fault takes effect, and the built-in
//! monitor behaves as the scenario says.

use std::{collections::BTreeMap, path::PathBuf, sync::Arc, time::Duration};

use canard::event::{Delivered, Report};
use tokio::{process::Command, sync::Semaphore, task::JoinSet, time::timeout};

use crate::run::{repo, shown};

/// Longest that one run may take.
const DEADLINE: Duration = Duration::from_secs(90);
/// Runs side by side: they mostly wait, and even a slow machine of two cores has room for so many.
const AT_ONCE: usize = 3;

/// Faults that a short scenario can deliver in part only: of most users nothing is known that is old enough to be stale.
const PARTLY: [&str; 1] = ["feature-stale"];

fn scenarios() -> Vec<PathBuf> {
    let folder = repo("scenarios/catalogue");
    let entries = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<PathBuf> =
        entries.filter(|path| path.extension().is_some_and(|e| e == "yaml")).collect();
    files.sort();
    files
}

/// Runs one; tells what is wrong with how it ended.
async fn play(scenario: PathBuf) -> Result<(), String> {
    let out = tempfile::tempdir().unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_canard"));
    command.current_dir(repo("")).arg("run").arg(&scenario).arg("--report").arg(out.path());
    let output = timeout(DEADLINE, command.kill_on_drop(true).output()).await;
    let output = output.map_err(|_| "takes too long".to_owned())?.unwrap();
    if output.status.code() != Some(0) {
        return Err(format!("ended with {}\n{}", output.status, shown(&output)));
    }
    let report =
        std::fs::read_to_string(out.path().join("report.json")).map_err(|error| error.to_string())?;
    let report: Report = serde_json::from_str(&report).map_err(|error| error.to_string())?;
    let missing = report.deliveries.iter().filter(|delivery| match delivery.delivered {
        Delivered::Yes => false,
        Delivered::Partly => !PARTLY.contains(&delivery.fault.fault.as_str()),
        Delivered::No | Delivered::TooLittleTraffic => true,
    });
    let missing: Vec<String> = missing
        .map(|d| format!("{} was not delivered: {:?}, skipped {:?}", d.fault.id, d.delivered, d.skipped))
        .collect();
    if missing.is_empty() { Ok(()) } else { Err(format!("{}\n{}", missing.join("\n"), shown(&output))) }
}

/// Runs them side by side; returns those that did not end as they should, and why.
async fn play_all(scenarios: Vec<PathBuf>) -> BTreeMap<PathBuf, String> {
    let places = Arc::new(Semaphore::new(AT_ONCE));
    let mut runs = JoinSet::new();
    for scenario in scenarios {
        let places = places.clone();
        runs.spawn(async move {
            let _place = places.acquire().await.unwrap();
            play(scenario.clone()).await.err().map(|why| (scenario, why))
        });
    }
    runs.join_all().await.into_iter().flatten().collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_scenario_runs_as_it_says() -> Result<(), &'static str> {
    let _turn = crate::stack::turn().await;
    let scenarios = scenarios();
    let few = scenarios.len() / 4;
    let doubtful = play_all(scenarios).await;
    assert!(doubtful.len() <= few, "{doubtful:#?}");
    // These runs are in real time: a pause of the machine is latency, and HighLatency is right to tell. What may be
    // that is run once more, with nothing beside it, and then has to hold.
    let mut failed = false;
    for (scenario, first) in doubtful {
        println!("{} failed beside the others: {first}", scenario.display());
        if let Err(second) = play(scenario.clone()).await {
            println!("{} failed alone: {second}", scenario.display());
            failed = true;
        }
    }
    if failed { Err("scenarios of the catalogue failed twice, see above") } else { Ok(()) }
}

//! `canard schedule` as its user runs it: a process that keeps to a calendar until it is stopped.

use std::{path::Path, time::Duration};

use canard::event::{Ending, Report};
use serde_json::Value;
use tokio::{
    io::{AsyncBufReadExt as _, BufReader, Lines},
    process::{Child, ChildStdout, Command},
    time::timeout,
};

use crate::run::{Site, shown, signal};

/// Longest that one of these tests may take.
const DEADLINE: Duration = Duration::from_secs(120);

const SHORT: &str = "
name: short
target: { protocol: open-inference }
exposure: { share: 50% }
traffic: { rate: 50/s, requests: iris.jsonl }
phases:
  - { name: slow, lasts: 1s, inject: [{ fault: { latency: { fixed: 20ms } } }] }
";

/// Every second, everywhere.
const ALWAYS: &str = "time-zone: Europe/Berlin\nruns: [{ scenario: scenario.yaml, cron: '* * * * * *' }]\n";

fn command(site: &Site, args: &[&str]) -> Command {
    std::fs::write(site.dir.path().join("calendar.yaml"), ALWAYS).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_canard"));
    command.current_dir(&site.dir).args(["schedule", "calendar.yaml", "--report", "out"]).args(args);
    command.env_remove("CANARD_TOKEN").kill_on_drop(true);
    command
}

/// Reports by the name of their folder.
fn reports(folder: &Path) -> Vec<(String, Report)> {
    let folders = std::fs::read_dir(folder.join("out")).unwrap().map(|entry| entry.unwrap().path());
    let mut reports: Vec<(String, Report)> = folders
        .filter_map(|folder| {
            let text = std::fs::read_to_string(folder.join("report.json")).ok()?;
            let name = folder.file_name()?.to_string_lossy().into_owned();
            Some((name, serde_json::from_str(&text).unwrap()))
        })
        .collect();
    reports.sort_by(|one, other| one.0.cmp(&other.0));
    reports
}

fn lines(child: &mut Child) -> Lines<BufReader<ChildStdout>> {
    BufReader::new(child.stdout.take().unwrap()).lines()
}

/// The first JSON line from here on with this event.
async fn until(lines: &mut Lines<BufReader<ChildStdout>>, event: &str) -> Value {
    let found = async {
        while let Some(line) = lines.next_line().await.unwrap() {
            let line: Value = serde_json::from_str(&line).unwrap_or_else(|why| panic!("{why}: {line}"));
            if line["event"] == event {
                return line;
            }
        }
        panic!("the schedule ended before `{event}`");
    };
    timeout(DEADLINE, found).await.unwrap_or_else(|_| panic!("waited in vain for `{event}`"))
}

#[tokio::test]
async fn a_schedule_runs_again_and_again_and_sigterm_disarms_what_runs() {
    let site = Site::new(SHORT, None);
    let mut child =
        command(&site, &["--format", "json"]).stdout(std::process::Stdio::piped()).spawn().unwrap();
    let mut lines = lines(&mut child);
    let first = until(&mut lines, "slot-taken").await["run"].clone();
    assert_eq!(until(&mut lines, "run-ended").await["run"], first, "events say which run they are of");
    let ended = until(&mut lines, "slot-ended").await;
    assert_eq!((&ended["run"], &ended["exit_code"]), (&first, &Value::from(0)));
    // Read anew for each run.
    let longer = SHORT.replace("lasts: 1s", "lasts: 60s");
    std::fs::write(site.dir.path().join("scenario.yaml"), longer).unwrap();
    let phase = loop {
        let phase = until(&mut lines, "phase-started").await;
        if phase["lasts_s"] == 60.0 {
            break phase;
        }
    };
    // A calendar that can't be used is told, and what runs goes on; so it does under one that can.
    std::fs::write(site.dir.path().join("calendar.yaml"), "time-zone: [").unwrap();
    until(&mut lines, "reload-refused").await;
    std::fs::write(site.dir.path().join("calendar.yaml"), ALWAYS.replace("Berlin", "Paris")).unwrap();
    until(&mut lines, "reloaded").await;
    signal(&child, "TERM").await;
    let output = timeout(DEADLINE, async {
        while lines.next_line().await.unwrap().is_some() {}
        child.wait_with_output().await.unwrap()
    });
    assert_eq!(output.await.unwrap().status.code(), Some(130));
    let reports = reports(site.dir.path());
    let report =
        |name: &Value| &reports.iter().find(|(folder, _)| folder == name.as_str().unwrap()).unwrap().1;
    assert_eq!(report(&first).ending, Ending::Completed);
    assert_eq!(report(&phase["run"]).ending, Ending::Interrupted);
}

#[tokio::test]
async fn one_run_ends_with_its_own_exit_code() {
    let never = "    expect: [{ fires: { alert: HighLatency, within: 1s } }]\n";
    let site = Site::new(&format!("{}  - name: p\n    lasts: 1s\n{never}", SHORT), None);
    let output = timeout(DEADLINE, command(&site, &["--once"]).output()).await.unwrap().unwrap();
    let reports = reports(site.dir.path());
    assert_eq!(reports.len(), 1, "{}", shown(&output));
    assert_eq!(output.status.code(), Some(reports[0].1.exit_code.into()), "{}", shown(&output));
    assert_ne!(output.status.code(), Some(0), "{}", shown(&output));
}

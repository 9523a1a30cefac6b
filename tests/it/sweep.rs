//! `canard sweep` as its user runs it: probes, what is kept of them, going on later.

use std::{path::Path, process::Output, time::Duration};

use canard::event::{Reason, Report, Seen, Sweep, SweepEnding};
use tokio::{process::Command, time::timeout};

use crate::run::{Site, shown, signal, until};

/// Longest that one of these commands may take.
const DEADLINE: Duration = Duration::from_secs(120);

/// HighLatency fires above 150 ms.
const SCENARIO: &str = "
name: slow
seed: 3
target: { protocol: open-inference }
exposure: { share: 50% }
traffic: { rate: 100/s, requests: iris.jsonl }
phases:
  - { name: steady, lasts: 1s }
  - name: slow
    lasts: 4s
    inject: [{ fault: { latency: { fixed: 400ms } } }]
    expect: [{ fires: { alert: HighLatency, within: 4s } }]
";

fn command(site: &Site, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_canard"));
    command.current_dir(&site.dir).args(["sweep", "scenario.yaml", "--report", "out"]).args(args);
    command.env_remove("CANARD_TOKEN").kill_on_drop(true);
    command
}

async fn sweep(site: &Site, args: &[&str]) -> (Output, Option<Sweep>) {
    let output = timeout(DEADLINE, command(site, args).output()).await.expect("in time").unwrap();
    (output, kept(site.dir.path()))
}

fn kept(folder: &Path) -> Option<Sweep> {
    let text = std::fs::read_to_string(folder.join("out/sweep.json")).ok()?;
    Some(serde_json::from_str(&text).unwrap())
}

fn report(folder: &Path, probe: &str) -> Report {
    let text = std::fs::read_to_string(folder.join("out").join(probe).join("report.json")).unwrap();
    serde_json::from_str(&text).unwrap()
}

const OVER: [&str; 2] = ["--over", "faults.latency.fixed=5ms..2s"];

#[tokio::test]
async fn a_sweep_plays_runs_of_other_sizes_and_goes_on_where_it_ended() {
    let _turn = crate::stack::turn().await;
    let site = Site::new(SCENARIO, None);
    let (output, first) = sweep(&site, &[OVER[0], OVER[1], "--runs", "3"]).await;
    let (text, first) = (shown(&output), first.unwrap());
    assert_eq!((output.status.code(), first.exit_code), (Some(i32::from(first.exit_code)), 3), "{text}");
    assert_eq!((first.probes.len(), first.ending), (3, SweepEnding::Runs), "{text}");
    assert!(text.contains("probe 3 of at most 3") && text.contains("3 runs are used up"), "{text}");
    for probe in &first.probes {
        let report = report(site.dir.path(), &probe.folder);
        let fault = &report.outline.phases[1].faults[0];
        assert!(fault.size.contains(&probe.size), "{} is not {}", fault.size, probe.size);
        assert_eq!(
            (report.outline.seed, report.outcomes[0].line),
            (probe.seed, Some(12)),
            "its place is the file's"
        );
        let slow = probe.size.ends_with("s") && !probe.size.ends_with("ms");
        // On a busy machine it may fire before the fault begins, which tells nothing.
        let told = probe.seen == Seen::Detected || probe.reason == Some(Reason::AlreadyFiring);
        assert!(!slow || told, "{probe:?}");
    }

    let (output, second) =
        sweep(&site, &[OVER[0], OVER[1], "--runs", "4", "--resume", "--format", "json"]).await;
    let second = second.unwrap();
    assert_eq!(second.probes[..3], first.probes[..], "{}", shown(&output));
    assert_eq!(second.probes.len(), 4);
    let printed: Sweep = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(printed, second, "what is printed is what is kept");

    for (args, words) in [
        (&[OVER[0], OVER[1]][..], "there is a sweep in `out` already"),
        (&[OVER[0], OVER[1], "--resume", "--seed", "4"], "its seed is 3"),
        (&["--over", "faults.latency.fixed=5ms..3s", "--resume"], "its range is 5ms..2s"),
        (&[OVER[0], OVER[1], "--resume", "--alert", "HighLatency"], "its alert is not named"),
    ] {
        let (output, left) = sweep(&site, args).await;
        assert_eq!(output.status.code(), Some(2));
        assert!(shown(&output).contains(words), "{}", shown(&output));
        assert_eq!(left.unwrap(), second, "nothing is lost");
    }
    std::fs::write(site.dir.path().join("scenario.yaml"), SCENARIO.replace("100/s", "90/s")).unwrap();
    let (output, _) = sweep(&site, &[OVER[0], OVER[1], "--resume"]).await;
    assert!(shown(&output).contains("the scenario has changed since"), "{}", shown(&output));
}

#[tokio::test]
async fn an_interrupt_disarms_and_keeps_what_is_known() {
    let _turn = crate::stack::turn().await;
    let site = Site::new(&SCENARIO.replace("lasts: 4s", "lasts: 6s"), None);
    let child = command(&site, &OVER).stdout(std::process::Stdio::piped()).spawn().unwrap();
    until("the first probe", || kept(site.dir.path()).is_some()).await;
    signal(&child, "INT").await;
    let output = timeout(DEADLINE, child.wait_with_output()).await.expect("in time").unwrap();
    let text = shown(&output);
    assert_eq!(output.status.code(), Some(130), "{text}");
    assert!(text.contains("interrupted; everything is disarmed"), "{text}");
    let kept = kept(site.dir.path()).unwrap();
    assert_eq!(kept.ending, SweepEnding::Interrupted);
    assert!(
        !kept.probes.is_empty() && kept.probes.iter().all(|probe| probe.reason != Some(Reason::Aborted)),
        "{kept:?}"
    );
}

#[tokio::test]
async fn what_can_not_be_swept_over_is_told_in_its_place() {
    let site = Site::new(SCENARIO, None);
    for (args, words) in [
        (&["--over", "faults.latency.fixd=5ms..2s"][..], "did you mean `fixed`?"),
        (&["--over", "faults.latency.fixed=1%..2%"], "this is a span of time"),
        (&["--over", "faults.latency=5ms..2s"], "name `faults.latency.fixed`"),
        (&["--over", "faults.latency.fixed"], "names no sizes"),
        (&["--over", "phases.steady.lasts=1s..2s"], "nothing in phase `steady` expects"),
        (&[OVER[0], OVER[1], "--alert", "HighErrorRate"], "expects that `HighErrorRate` fires"),
    ] {
        let (output, kept) = sweep(&site, &[args, &["--dry-run"]].concat()).await;
        assert_eq!(output.status.code(), Some(2), "{args:?}: {}", shown(&output));
        assert!(shown(&output).contains(words) && kept.is_none(), "{args:?}: {}", shown(&output));
    }
    let (output, kept) = sweep(&site, &[OVER[0], OVER[1], "--dry-run"]).await;
    let text = shown(&output);
    assert!(output.status.success() && kept.is_none(), "{text}");
    assert!(text.contains("probe 1: ") && text.contains("slow/HighLatency"), "{text}");
    assert!(!text.contains("warning"), "{text}");
    let rare = Site::new(&SCENARIO.replace("100/s", "2/s"), None);
    let (output, _) = sweep(&rare, &[OVER[0], OVER[1], "--dry-run"]).await;
    let text = shown(&output);
    assert!(output.status.success() && text.contains("warning: `slow/latency` lasts 4s"), "{text}");
}

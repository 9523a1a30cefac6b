//! `canard ledger` as its user runs it.

use std::{fs, path::Path, process::Command};

use canard::event::{LedgerFiles, Report};

/// `canard ledger`: what it prints, what it says beside it, its exit code.
pub(crate) fn ledger(folder: &Path, args: &[&str]) -> (String, String, Option<i32>) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_canard"));
    let command = command.arg("ledger").args(args).current_dir(folder);
    let output = command.env("COLUMNS", "100").env("NO_COLOR", "1").output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (text(output.stdout), text(output.stderr), output.status.code())
}

const EARLIER: &str = r#"{"at":1,"scenario":"quickstart","lease":1,"request":"r","unit":"7c7615c11438e5c9","fault":"slow/latency","change":"x"}"#;

/// An older file, and one that grows whose only line a crash cut off.
pub(crate) fn left_by_an_earlier_run(folder: &Path) {
    fs::write(folder.join("ledger.3.jsonl"), format!("{EARLIER}\n")).unwrap();
    fs::write(folder.join("ledger.jsonl"), &EARLIER[..50]).unwrap();
}

/// The report names every file; the counts agree; and what is tampered with does not go unseen.
pub(crate) fn holds_against(report: &Report, folder: &Path) {
    let files = vec!["ledger.3.jsonl".to_owned(), "ledger.jsonl".to_owned()];
    assert_eq!(report.ledger, Some(LedgerFiles { files, removed: 2 }));
    let verify = || ledger(folder, &["--verify", "report.json"]);
    let (text, notes, code) = verify();
    assert_eq!((code, notes.as_str()), (Some(0), ""), "{text}");
    assert!(text.contains("The ledger and the report agree: 3 faults"), "{text}");

    let grows = folder.join("ledger.jsonl");
    let whole = fs::read_to_string(&grows).unwrap();
    let (first, others) = whole.split_once('\n').unwrap();
    fs::write(&grows, format!("{whole}{first}\n")).unwrap();
    let (text, _, code) = verify();
    assert!(code == Some(1) && text.contains("1 line beyond the counters"), "{text}");
    fs::write(&grows, whole.replacen("\"change\"", "\"asked_for\":true,\"change\"", 1)).unwrap();
    let (text, _, code) = verify();
    assert!(code == Some(1) && text.contains("1 perturbed response without a line, 1 line beyond"), "{text}");
    // Files are missing that may hold what is missing.
    fs::write(&grows, others).unwrap();
    let (text, _, code) = verify();
    assert!(code == Some(3) && text.contains("It can't be told: 1 of"), "{text}");
    // None is.
    fs::remove_file(folder.join("ledger.3.jsonl")).unwrap();
    let (text, _, code) = verify();
    assert!(code == Some(1) && text.contains("1 perturbed response without a line, 0 lines"), "{text}");
    fs::write(&grows, whole).unwrap();
}

#[test]
fn what_is_written_is_whole_or_not_at_all() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("ledger.jsonl"), format!("{EARLIER}\nbroken\n{EARLIER}\n")).unwrap();
    let (_, told, code) = ledger(folder.path(), &["ledger.jsonl", "-o", "out.csv"]);
    assert_eq!(code, Some(2));
    assert!(told.contains("ledger.jsonl:2: this is no line of a ledger: expected value"), "{told}");
    let there = || fs::read_dir(folder.path()).unwrap().count();
    assert_eq!(there(), 1, "nothing is left behind");
    let (_, told, code) = ledger(folder.path(), &["ledger.jsonl", "-o", "out.csv", "--skip-broken"]);
    assert!(code == Some(0) && told.contains("2 of 2 lines written to `out.csv`"), "{told}");
    assert_eq!((there(), fs::read_to_string(folder.path().join("out.csv")).unwrap().lines().count()), (2, 3));
    #[cfg(target_os = "linux")]
    {
        let (_, told, code) = ledger(folder.path(), &["ledger.jsonl", "-o", "/dev/full", "--skip-broken"]);
        assert!(code == Some(2) && told.contains("`/dev/full` can't be written: No space left"), "{told}");
    }
}

#[test]
fn a_report_of_sidecars_elsewhere_wants_their_ledgers() {
    let folder = tempfile::tempdir().unwrap();
    let (_, told, code) = ledger(folder.path(), &["--verify", "report.json"]);
    assert!(code == Some(2) && told.contains("`report.json` can't be read"), "{told}");
    fs::write(folder.path().join("report.json"), "{\n\n}").unwrap();
    let (_, told, code) = ledger(folder.path(), &["--verify", "report.json"]);
    assert!(code == Some(2) && told.contains("report.json:3: this is no report: missing field"), "{told}");
}

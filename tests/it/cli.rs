//! The commands that need no server, as a person would call them.

use std::{fs, path::Path, process::Command};

fn canard(folder: &Path, args: &[&str]) -> (String, Option<i32>) {
    let output = Command::new(env!("CARGO_BIN_EXE_canard"))
        .args(args)
        .current_dir(folder)
        .env("COLUMNS", "100")
        .env("NO_COLOR", "1")
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap() + &String::from_utf8(output.stderr).unwrap();
    (text, output.status.code())
}

/// Compares a committed file with what the program writes; `CANARD_BLESS=1` writes it anew.
fn committed(path: &str, args: &[&str]) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let (text, code) = canard(root, args);
    assert_eq!(code, Some(0), "{text}");
    if std::env::var_os("CANARD_BLESS").is_some() {
        fs::write(root.join(path), &text).unwrap();
    }
    let there = fs::read_to_string(root.join(path)).unwrap_or_default();
    assert!(there == text, "`{path}` is stale: run the tests once with CANARD_BLESS=1");
}

#[test]
fn generated_files_are_up_to_date() {
    committed("scenarios/scenario.schema.json", &["schema"]);
    committed("scenarios/stage.schema.json", &["schema", "stage"]);
    committed("scenarios/calendar.schema.json", &["schema", "calendar"]);
    committed("scenarios/report.schema.json", &["schema", "report"]);
    committed("scenarios/matrix.schema.json", &["schema", "matrix"]);
    committed("scenarios/sweep.schema.json", &["schema", "sweep"]);
    committed("docs/faults.md", &["faults", "--format", "markdown"]);
}

#[test]
fn help_and_plain_output_stay_as_they_are() {
    trycmd::TestCases::new().env("COLUMNS", "100").env("NO_COLOR", "1").case("tests/cmd/*.trycmd").run();
}

#[test]
fn a_starter_passes_check_and_is_never_overwritten_unasked() {
    let folder = tempfile::tempdir().unwrap();
    assert_eq!(canard(folder.path(), &["init"]).1, Some(0));
    let (text, code) = canard(folder.path(), &["check", "scenario.yaml", "stage.yaml"]);
    assert_eq!(code, Some(0), "{text}");
    let scenario = folder.path().join("scenario.yaml");
    assert!(fs::read_to_string(&scenario).unwrap().starts_with("# yaml-language-server: $schema="));
    fs::write(&scenario, "mine").unwrap();
    fs::remove_file(folder.path().join("stage.yaml")).unwrap();
    let (text, code) = canard(folder.path(), &["init"]);
    assert_eq!(code, Some(2));
    assert!(text.contains("already there") && text.contains("--force"), "{text}");
    assert_eq!(fs::read_to_string(&scenario).unwrap(), "mine");
    assert!(!folder.path().join("stage.yaml").exists());
    assert_eq!(canard(folder.path(), &["init", "--force"]).1, Some(0));
    assert_ne!(fs::read_to_string(&scenario).unwrap(), "mine");
}

#[test]
fn unreadable_files_are_told_apart() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("latin.yaml"), b"name: a\nhypothesis: caf\xe9\n").unwrap();
    let (text, code) = canard(folder.path(), &["check", "latin.yaml", ".", "none.yaml"]);
    assert_eq!(code, Some(2));
    for words in ["not UTF-8 text (byte 0xe9 in line 2)", "a folder, not a file", "No such file"] {
        assert!(text.contains(words), "{text}");
    }
    assert!(text.contains("3 files checked, 3 mistakes in 3 files"), "{text}");
}

#[test]
fn mistakes_are_shown_in_their_place() {
    let folder = tempfile::tempdir().unwrap();
    let scenario = "name: a\ntarget: { protocol: http }\nphases:\n  - name: steady\n    last: 30s\n    expect:\n      - silent: { alert: HighLatncy }\n";
    fs::write(folder.path().join("a.yaml"), scenario).unwrap();
    fs::write(folder.path().join("b.yaml"), scenario.replace("last:", "lasts:")).unwrap();
    let (text, code) = canard(folder.path(), &["check", "a.yaml", "b.yaml"]);
    assert_eq!(code, Some(2));
    assert!(text.is_ascii(), "{text}");
    insta::assert_snapshot!(text, @r#"
2 files checked, 2 mistakes in 2 files
  x a.yaml has 1 mistake

Error: 
  x unknown key `last`
   ,-[a.yaml:5:5]
 4 |   - name: steady
 5 |     last: 30s
   :     ^^|^
   :       `-- did you mean `lasts`?
 6 |     expect:
   `----
  help: here can stand `name`, `at`, `lasts`, `warm-up`, `share`, `inject` or `expect`

  x b.yaml has 1 mistake

Error: 
  x no monitor of the stage `built-in` knows `HighLatncy`
   ,-[b.yaml:7:26]
 6 |     expect:
 7 |       - silent: { alert: HighLatncy }
   :                          ^^^^^|^^^^
   :                               `-- did you mean `HighLatency`?
   `----
  help: its rules are `EmptyAnswers`, `HighErrorRate`, `HighLatency`, `InvalidPredictions`,
        `MissingFinishReason`, `PredictionDrift` or `SlowFirstToken`
"#);
}

#[cfg(target_os = "linux")]
#[test]
fn output_that_can_not_be_written_is_an_error_and_a_closed_pipe_is_none() {
    let folder = tempfile::tempdir().unwrap();
    for args in [&["schema"][..], &["faults"], &["completions", "bash"], &["init"], &["check", "stage.yaml"]]
    {
        let mut command = Command::new(env!("CARGO_BIN_EXE_canard"));
        let command = command.args(args).current_dir(folder.path());
        let full = fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
        let output = command.stdout(full).output().unwrap();
        let told = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{args:?}: {told}");
        assert!(told.contains("standard output can't be written: No space left"), "{args:?}: {told}");
        assert!(!told.contains("panicked"), "{args:?}: {told}");
        if args == ["init"] {
            assert_eq!(canard(folder.path(), &["init", "--force"]).1, Some(0));
            continue;
        }
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let output = command.stdout(writer).output().unwrap();
        assert_eq!((output.status.code(), output.stderr), (Some(0), Vec::new()), "{args:?}");
    }
}

#[test]
fn scenario_and_stage_in_each_others_place_are_one_clear_mistake() {
    let folder = tempfile::tempdir().unwrap();
    assert_eq!(canard(folder.path(), &["init"]).1, Some(0));
    for (args, words) in [
        (&["run", "stage.yaml"][..], "this is a stage file, not a scenario"),
        (&["run", "scenario.yaml", "--stage", "scenario.yaml"], "is a scenario, not a stage"),
        (&["run", "scenario.yaml", "--stage", "nope.yaml"], "the stage `nope.yaml` does not exist"),
        (&["check", "."], "name the files in it"),
    ] {
        let (text, code) = canard(folder.path(), args);
        assert_eq!(code, Some(2), "{text}");
        assert!(text.contains(words), "{text}");
        assert_eq!(text.contains("takes the scenario first"), words.contains("not a"), "{text}");
        assert!(!text.contains("unknown key") && !text.contains("writes a scenario"), "{text}");
    }
}

#[test]
fn completions_are_written_for_every_shell() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let (text, code) = canard(Path::new("."), &["completions", shell]);
        assert!(code == Some(0) && text.contains("canard"), "{shell}");
        let names = ["bash", "zsh", "fish"].contains(&shell);
        assert!(!names || text.contains("feature-stale"), "{shell} completes no faults");
    }
}

#[test]
fn a_run_is_refused_where_it_may_not_be_and_told_where_it_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
    write(
        "scenario.yaml",
        "name: a\nenvironments: [staging, ci]\ntarget: { protocol: http }\nexposure: { share: 20% }\nphases:\n  \
         - { name: steady, lasts: 30s }\n",
    );
    let stage = "upstream: http://127.0.0.1:1\nenvironment: live-eu\nproduction:\n  \
                 consent: { by: Ada, share: 5%, lasts: 10m, until: 2099-12-31 }\n";
    write("live.yaml", stage);
    write("old.yaml", &stage.replace("2099", "2020"));
    let (text, code) = canard(folder.path(), &["run", "scenario.yaml", "--stage", "live.yaml"]);
    assert_eq!(code, Some(2));
    for words in [
        "scenario.yaml:2:1",
        "this scenario may run in `staging` or `ci` only, and this is `live-eu`",
        "name another stage with --stage",
        "a share of 20% is more than Ada agreed to: 5%",
    ] {
        assert!(text.contains(words), "{text}");
    }
    let (text, code) = canard(folder.path(), &["run", "scenario.yaml", "--stage", "old.yaml", "--dry-run"]);
    assert_eq!(code, Some(2));
    assert!(
        text.contains("the consent of Ada ended with 2020-12-31") && text.contains("old.yaml:4:"),
        "{text}"
    );
    let (text, code) = canard(folder.path(), &["run", "scenario.yaml", "--sidecar", "http://127.0.0.1:1"]);
    assert_eq!(code, Some(2));
    assert!(text.contains("the stage has no name") && text.contains("scenario.yaml:2:"), "{text}");
    assert!(!folder.path().join("canard-report").exists(), "nothing was begun");
}

#[test]
fn a_stage_that_is_not_there_is_one_mistake_and_the_scenario_is_no_stage() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let (text, code) = canard(root, &["check", "--stage", "absent.yaml", "scenarios/quickstart.yaml"]);
    assert_eq!(code, Some(2), "{text}");
    for words in ["`absent.yaml` can't be read", "quickstart.yaml: fine (scenario", "1 mistake in 1 file"] {
        assert!(text.contains(words), "{text}");
    }
}

#[test]
fn an_upstream_that_a_run_can_not_have_is_refused_at_its_line_before_anything_is_begun() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
    write("stage.yaml", "upstream: http://127.0.0.1:1\ncandidates: { next: 'http://127.0.0.1:2' }\n");
    let refused = |release: &str, more: &[&str]| {
        let phases = "phases: [{ name: p, lasts: 1s, share: 5% }]";
        let text = format!("name: a\ntarget: {{ protocol: http }}\nrelease: {release}\n{phases}\n");
        write("scenario.yaml", &text);
        let (text, code) = canard(folder.path(), &[&["run", "scenario.yaml", "--dry-run"], more].concat());
        assert_eq!(
            code == Some(2),
            text.contains("has no candidate") && text.contains("scenario.yaml:3:"),
            "{text}"
        );
        code == Some(2)
    };
    let canary = "{ canary: { baseline: v1, candidate: v2, upstream: nowhere } }";
    let (stage, sidecar) = (["--stage", "stage.yaml"], ["--sidecar", "http://127.0.0.1:1"]);
    assert!(refused("{ shadow: { mirror: next } }", &[]));
    assert!(refused(canary, &[]) && refused(canary, &stage));
    assert!(refused("{ shadow: { mirror: 'http://10.0.0.9:1' } }", &stage));
    assert!(!refused("{ shadow: { mirror: 'http://127.0.0.1:2' } }", &stage));
    assert!(!refused("{ shadow: { mirror: next } }", &stage));
    // Those that stand elsewhere have candidates of their own.
    assert!(!refused(canary, &sidecar) && !refused(canary, &[stage, sidecar].concat()));
}

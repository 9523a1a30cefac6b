use clap::Parser;

use super::*;
use crate::cli::watched::LOOK;

#[derive(Debug, Parser)]
struct Line {
    #[command(flatten)]
    args: SidecarArgs,
}

fn config(line: &str) -> Result<Config, String> {
    let line = Line::try_parse_from(line.split(' ')).map_err(|error| error.to_string())?;
    line.args.config().map_err(|failure| failure.to_string())
}

#[test]
fn a_sidecar_is_not_its_own_upstream_nor_its_own_admin_api() {
    for (line, why) in [
        (
            "canard --upstream http://127.0.0.1:9000",
            "--upstream http://127.0.0.1:9000 is the address of --listen",
        ),
        ("canard --upstream http://localhost:9900", "is the address of --admin"),
        ("canard --upstream http://127.0.0.1:1 --candidate old=http://127.0.0.1:9000", "--candidate"),
        ("canard --upstream http://127.0.0.1:7 --listen 0.0.0.0:7", "is the address of --listen"),
        ("canard --upstream http://127.0.0.1:1 --listen 127.0.0.1:9900", "--listen and --admin are both"),
        ("canard --upstream http://127.0.0.1:1 --listen 9000", "such as 127.0.0.1:9000"),
    ] {
        let told = config(line).expect_err(line);
        assert!(told.contains(why), "{line}: {told}");
    }
}

#[test]
fn the_ledgers_files_have_a_size_and_a_number() {
    let line = "canard --upstream http://127.0.0.1:1 --ledger l.jsonl";
    let rotation =
        |more: &str| config(&format!("{line}{more}")).map(|config| config.layer_limits.ledger_rotation);
    let default = crate::evidence::Rotation::default();
    assert_eq!(rotation(""), Ok(default));
    let set = crate::evidence::Rotation { bytes: 512 << 10, keep: 3 };
    assert_eq!(rotation(" --ledger-size 512KiB --ledger-keep 3"), Ok(set));
    assert_eq!(rotation(" --ledger-size 65536").map(|rotation| rotation.bytes), Ok(65_536));
    for (wrong, why) in [
        ("--ledger-size 64M", "64MiB or 1GiB"),
        ("--ledger-size 100", "4KiB"),
        ("--ledger-size 99999999999GiB", "1GiB"),
        ("--ledger-keep 0", "1.."),
    ] {
        let told = rotation(&format!(" {wrong}")).expect_err(wrong);
        assert!(told.contains(why), "{told}");
    }
    assert!(config("canard --upstream http://127.0.0.1:1 --ledger-keep 3").is_err());
}

#[test]
fn addresses_apart_and_localhost_are_fine() {
    let config = config("canard --upstream http://10.0.0.7:9000 --listen localhost:9000 --admin 127.0.0.1:0");
    assert_eq!(config.map(|config| config.listen.to_string()), Ok("127.0.0.1:9000".to_owned()));
    assert!(
        super::tests::config("canard --upstream http://127.0.0.1:1 --listen 127.0.0.1:0 --admin 127.0.0.1:0")
            .is_ok()
    );
}

#[tokio::test(start_paused = true)]
async fn the_stage_is_read_again_and_one_that_can_not_be_used_is_left() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("stage.yaml");
    std::fs::write(&file, "environment: ci\n").unwrap();
    let stage = Stage::read(&file).unwrap();
    let document = stage.document.clone();
    tokio::spawn(stage.follow());
    let lasts = async |text: &str| {
        std::fs::write(&file, text).unwrap();
        tokio::time::sleep(3 * LOOK).await;
        document.load().limits.lasts.to_string()
    };
    assert_eq!(lasts("environment: ci\nlimits: { lasts: 5m }\n").await, "5m");
    assert_eq!(lasts("environment: ci\nlimits: { lasts: -1m }\n").await, "5m");
    assert_eq!(lasts("environment: ci\nlimits: { lasts: 6m }\n").await, "6m");
}

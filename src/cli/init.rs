//! `canard init`.

use std::{fs, io::Write, path::PathBuf};

use clap::Args;

use super::{
    Exit, Failure, output,
    schema::{self, Described},
};

const SCENARIO: &str = include_str!("init/scenario.yaml");
const STAGE: &str = include_str!("init/stage.yaml");
const TRAFFIC: &str = include_str!("init/traffic.jsonl");

/// Write a commented starter scenario and stage.
///
/// Writes scenario.yaml, stage.yaml, traffic.jsonl and the JSON Schemas that let an editor complete the first
/// two. A file that is there already is never overwritten without --force.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  canard init
  canard init chaos/ && canard check chaos/*.yaml")]
pub(super) struct InitArgs {
    /// Folder to write into; made if it is not there
    #[arg(default_value = ".", value_name = "DIR")]
    folder: PathBuf,
    /// Overwrite files that are there
    #[arg(long)]
    force: bool,
}

pub(super) fn run(args: InitArgs) -> miette::Result<Exit> {
    let files = [
        ("scenario.yaml", SCENARIO.to_owned()),
        ("stage.yaml", STAGE.to_owned()),
        ("traffic.jsonl", TRAFFIC.to_owned()),
        ("scenario.schema.json", schema::text(Described::Scenario)?),
        ("stage.schema.json", schema::text(Described::Stage)?),
    ];
    let there: Vec<&str> =
        files.iter().map(|(name, _)| *name).filter(|name| args.folder.join(name).exists()).collect();
    if !args.force && !there.is_empty() {
        let message = format!("already there in `{}`: {}", args.folder.display(), there.join(", "));
        let failure =
            Failure::new(message).help("nothing was written; name another folder, or overwrite with --force");
        return Err(failure.into());
    }
    let failed = |path: &PathBuf, error: std::io::Error| {
        Failure::new(format!("`{}` can't be written: {error}", path.display()))
    };
    fs::create_dir_all(&args.folder).map_err(|error| failed(&args.folder, error))?;
    for (name, text) in &files {
        let path = args.folder.join(name);
        let mut options = fs::OpenOptions::new();
        let options = options.write(true).create(true).truncate(true).create_new(!args.force);
        let mut file = options.open(&path).map_err(|error| failed(&path, error))?;
        file.write_all(text.as_bytes()).map_err(|error| failed(&path, error))?;
        output::print(&format!("wrote {}\n", path.display()))?;
    }
    let at = |name| args.folder.join(name).display().to_string();
    output::print(&format!("next: canard check {} {}\n", at("scenario.yaml"), at("stage.yaml")))?;
    Ok(Exit::Met)
}

//! What is kept of a sweep: `sweep.json`, written whole after each probe.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use crate::{
    cli::{
        Failure,
        play::{ANOTHER_FOLDER, writable, write_whole},
    },
    event::{FORMAT_VERSION, Probe, Search, Sweep, SweepEnding},
    verify::{Findings, sweep_exit_code},
};

/// Its name.
pub(super) const FILE: &str = "sweep.json";

pub(super) struct Keep {
    path: PathBuf,
    search: Search,
    pub(super) probes: Vec<Probe>,
}

impl Keep {
    /// A new sweep in a folder, or the one that is there.
    pub(super) fn open(folder: &Path, resume: bool, search: Search) -> Result<Keep, Failure> {
        let path = folder.join(FILE);
        let there = match fs::read_to_string(&path) {
            Ok(text) => Some(text),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(Failure::new(format!("`{}` can't be read: {error}", path.display()))),
        };
        let probes = match (there, resume) {
            (None, false) => Vec::new(),
            (None, true) => {
                let failure =
                    Failure::new(format!("there is no sweep in `{}` to go on with", folder.display()));
                return Err(failure.help("start it without --resume"));
            }
            (Some(_), false) => {
                let failure = Failure::new(format!("there is a sweep in `{}` already", folder.display()));
                return Err(failure.help("go on with it: --resume; or name another folder: --report DIR"));
            }
            (Some(text), true) => {
                let sweep: Sweep = serde_json::from_str(&text).map_err(|error| {
                    Failure::new(format!("`{}` can't be read: {error}", path.display())).help(ANOTHER_FOLDER)
                })?;
                same(&sweep, &search, &path)?;
                sweep.probes
            }
        };
        writable(folder, ANOTHER_FOLDER)?;
        Ok(Keep { path, search, probes })
    }

    /// Keeps what is known so far.
    pub(super) fn write(
        &self,
        findings: &Findings,
        ending: SweepEnding,
        ending_detail: String,
    ) -> Result<Sweep, Failure> {
        let monitoring = findings.monitoring();
        let sweep = Sweep {
            format_version: FORMAT_VERSION,
            canard_version: env!("CARGO_PKG_VERSION").to_owned(),
            search: self.search.clone(),
            probes: self.probes.clone(),
            ending,
            ending_detail,
            untold_up_to: findings.untold_up_to(),
            exit_code: sweep_exit_code(ending, &monitoring),
            monitoring,
            reference: findings.reference(),
        };
        let folder = self.path.parent().unwrap_or(Path::new("."));
        write_whole(folder, FILE, &Keep::text(&sweep), "free some space, and go on with --resume")?;
        Ok(sweep)
    }

    /// A sweep as it is kept.
    pub(super) fn text(sweep: &Sweep) -> String {
        serde_json::to_string_pretty(sweep).unwrap_or_default() + "\n"
    }
}

/// Is it the same search? Runs of different ones can't be counted together.
fn same(sweep: &Sweep, search: &Search, path: &Path) -> Result<(), Failure> {
    let (old, new) = (&sweep.search, search);
    let differs = [
        (sweep.format_version != FORMAT_VERSION, "it has another format", String::new()),
        (old.scenario_hash != new.scenario_hash, "the scenario has changed since", String::new()),
        (old.stage_hash != new.stage_hash, "the stage has changed since", String::new()),
        (old.setting != new.setting, "its setting is", old.setting.clone()),
        (
            old.range != new.range || old.scale != new.scale,
            "its range is",
            format!("{} ({:?})", old.range, old.scale),
        ),
        (old.seed != new.seed, "its seed is", old.seed.to_string()),
        (old.alert != new.alert, "its alert is", old.alert.clone().unwrap_or_else(|| "not named".to_owned())),
    ];
    match differs.into_iter().find(|(differs, ..)| *differs) {
        None => Ok(()),
        Some((_, what, is)) => {
            let message = format!("the sweep in `{}` is another one: {what} {is}", path.display());
            Err(Failure::new(message.trim_end()).help(ANOTHER_FOLDER))
        }
    }
}

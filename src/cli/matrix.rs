//! The detection matrix of runs that are over.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs, io,
    path::{Path, PathBuf},
};

use clap::Args;

use super::{
    Exit, Failure, live, output,
    play::{writable, write_whole},
};
use crate::{
    event::{Outline, PhaseOutline, Report},
    report,
    verify::{self, Played},
};

/// Make the detection matrix of runs that are over.
///
/// Reads their reports, wherever and however they were played (one after another, side by side, on several days), and
/// writes `matrix.json` and `matrix.md`, as a campaign of `canard run` does. A run with no faults counts as a null run:
/// what fired in it is a false alarm. Reports of one scenario have to inject the same.
///
/// Exit codes: those of a campaign; 2 where a report can't be read.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  canard matrix canard-report/
  canard matrix monday/ tuesday/ --out week/")]
pub(super) struct MatrixArgs {
    /// Folders with reports, in themselves or in the folders right in them; or reports.
    #[arg(required = true, value_name = "REPORT")]
    reports: Vec<PathBuf>,
    /// Where `matrix.json` and `matrix.md` go.
    #[arg(long, value_name = "DIR", default_value = "canard-report")]
    out: PathBuf,
}

pub(super) fn run(args: MatrixArgs) -> miette::Result<Exit> {
    let files = files(&args.reports)?;
    let played: Vec<Played> = files.iter().map(|file| read(file)).collect::<Result<_, _>>()?;
    alike(&files, &played)?;
    let mut known = BTreeSet::new();
    let reports = played.iter().filter(|run| !run.null).filter_map(|run| run.report.as_ref().ok());
    let scenarios: Vec<Outline> =
        reports.map(|report| &report.outline).filter(|o| known.insert(&o.scenario)).cloned().collect();
    let mut matrix = verify::matrix(&scenarios, &played, 0);
    matrix.exit_code = verify::campaign_exit_code(&played, &matrix, None);
    let remedy = "name another folder with --out DIR";
    writable(&args.out, remedy)?;
    write_whole(&args.out, "matrix.json", &report::matrix_json(&matrix), remedy)?;
    write_whole(&args.out, "matrix.md", &report::matrix_markdown(&matrix), remedy)?;
    let path = args.out.join("matrix.json");
    output::print(&format!("{}\nmatrix: {}\n", report::matrix(&matrix, live::width()), path.display()))?;
    Ok(Exit::of_code(matrix.exit_code))
}

/// Every report that is meant, in the order of their names.
fn files(named: &[PathBuf]) -> Result<Vec<PathBuf>, Failure> {
    let mut files = BTreeSet::new();
    for path in named {
        if !path.is_dir() {
            files.insert(path.clone());
            continue;
        }
        let cannot = |error: io::Error| Failure::new(format!("`{}` can't be read: {error}", path.display()));
        let entries = fs::read_dir(path).map_err(cannot)?;
        let folders: Vec<PathBuf> =
            entries.map(|entry| entry.map(|entry| entry.path())).collect::<Result<_, _>>().map_err(cannot)?;
        let before = files.len();
        let places = folders.iter().map(PathBuf::as_path).chain([path.as_path()]);
        files.extend(places.map(|folder| folder.join("report.json")).filter(|file| file.is_file()));
        if files.len() == before {
            let failure = Failure::new(format!("no report is in `{}`", path.display()));
            return Err(failure.help("`canard run` leaves a report.json in the folder of --report"));
        }
    }
    Ok(files.into_iter().collect())
}

/// Runs are counted together by the name of their scenario, so those of one name have to inject the same.
fn alike(files: &[PathBuf], played: &[Played]) -> Result<(), Failure> {
    let injecting = |outline: &Outline| -> BTreeMap<String, PhaseOutline> {
        let phases = outline.phases.iter().filter(|phase| !phase.faults.is_empty());
        phases.map(|phase| (phase.phase.clone(), PhaseOutline { starts_s: 0.0, ..phase.clone() })).collect()
    };
    let mut first: BTreeMap<&str, (&PathBuf, BTreeMap<String, PhaseOutline>)> = BTreeMap::new();
    for (file, run) in files.iter().zip(played).filter(|(_, run)| !run.null) {
        let Ok(report) = &run.report else { continue };
        let phases = injecting(&report.outline);
        let (other, known) = first.entry(&run.scenario).or_insert_with(|| (file, phases.clone()));
        let names = known.keys().chain(phases.keys());
        if let Some(phase) = names.into_iter().find(|phase| known.get(*phase) != phases.get(*phase)) {
            return Err(Failure::new(format!(
                "`{}` and `{}` are both of `{}`, and differ in its phase `{phase}`",
                other.display(),
                file.display(),
                run.scenario
            ))
            .help("make a matrix of each; what the sizes of a sweep came to stands in its sweep.json"));
        }
    }
    Ok(())
}

fn read(file: &Path) -> Result<Played, Failure> {
    let cannot = |error: String| Failure::new(format!("`{}` can't be read: {error}", file.display()));
    let text = fs::read_to_string(file).map_err(|error| cannot(error.to_string()))?;
    let report: Report = serde_json::from_str(&text)
        .map_err(|error| cannot(error.to_string()).help("it has to be the report.json of a run"))?;
    let folder = file.parent().and_then(Path::file_name).unwrap_or_default();
    Ok(Played {
        run: folder.to_string_lossy().into_owned(),
        scenario: report.outline.scenario.clone(),
        seed: report.outline.seed,
        null: report.outline.phases.iter().all(|phase| phase.faults.is_empty()),
        shuffled: None,
        report: Ok(report),
    })
}

#[cfg(test)]
mod tests;

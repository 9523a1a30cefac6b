//! The files of a campaign: those that are named, and the scenarios in folders that are.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use crate::{
    cli::{Failure, load},
    scenario::{FileKind, Plan, Source, StageDocument},
};

/// Reads and checks all scenarios; `None` if one can't be used, when each mistake has been told.
pub(in crate::cli) fn scenarios(
    named: &[PathBuf],
    stage: &StageDocument,
) -> Result<Option<Vec<Arc<Plan>>>, Failure> {
    let sources = sources(named)?;
    let mut plans = Vec::new();
    for source in &sources {
        match load::scenario(source, stage) {
            Ok(plan) => plans.push(Arc::new(plan)),
            Err(mistakes) => anstream::eprintln!("{:?}", miette::Report::new(mistakes)),
        }
    }
    if plans.len() < sources.len() {
        return Ok(None);
    }
    let mut files = BTreeMap::new();
    for (plan, source) in plans.iter().zip(&sources) {
        let name = &plan.document.name;
        if let Some(other) = files.insert(name, &source.name) {
            let message = format!("`{other}` and `{}` are both called `{name}`", source.name);
            let help = "give each scenario a name of its own: the rows of the matrix are told apart by it";
            return Err(Failure::new(message).help(help));
        }
    }
    Ok(Some(plans))
}

fn sources(named: &[PathBuf]) -> Result<Vec<Source>, Failure> {
    let mut sources = Vec::new();
    let mut known: Vec<PathBuf> = Vec::new();
    // A file that is named beside its folder is one.
    let mut fresh = |path: &Path| {
        let place = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
        let fresh = !known.contains(&place);
        known.push(place);
        fresh
    };
    for path in named {
        if !path.is_dir() {
            if fresh(path) {
                sources.push(load::source(path)?);
            }
            continue;
        }
        let before = sources.len();
        let files = in_folder(path)?;
        for file in files {
            let source = load::source(&file)?;
            let scenario = match FileKind::told(&source) {
                Some(kind) => kind == FileKind::Scenario,
                // Rules, manifests; but a scenario that can't be read as YAML has to be told.
                None => !FileKind::is_a_mapping(&source),
            };
            if scenario && fresh(&file) {
                sources.push(source);
            }
        }
        if sources.len() == before {
            let failure = Failure::new(format!("no scenario is in `{}`", path.display()));
            return Err(failure
                .help("scenarios are files that end in .yaml or .yml; folders in it are not looked at"));
        }
    }
    Ok(sources)
}

/// The YAML files of a folder, in the order of their names.
fn in_folder(folder: &Path) -> Result<Vec<PathBuf>, Failure> {
    let cannot = |error| Failure::new(format!("`{}` can't be read: {error}", folder.display()));
    let yaml = |path: &PathBuf| path.extension().is_some_and(|end| end == "yaml" || end == "yml");
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).map_err(cannot)? {
        let path = entry.map_err(cannot)?.path();
        if yaml(&path) && path.is_file() {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

//! The baseline file of a campaign.

use std::path::Path;

use crate::{
    cli::{Failure, load, play::write_whole},
    verify::{BASELINE_VERSION, Baseline},
};

/// Reads a baseline.
pub(in crate::cli) fn read(path: &Path) -> Result<Baseline, Failure> {
    let help = "`canard run SCENARIO... --write-baseline FILE` writes one";
    if !path.exists() {
        return Err(Failure::new(format!("the baseline `{}` does not exist", path.display())).help(help));
    }
    let source = load::source(path)?;
    let wrong = |why: String| Failure::new(format!("`{}` is no baseline: {why}", path.display())).help(help);
    let baseline: Baseline =
        serde_saphyr::from_str(&source.text).map_err(|error| wrong(error.to_string()))?;
    match baseline.version {
        BASELINE_VERSION => Ok(baseline),
        other => Err(wrong(format!("its version is {other}, and this canard reads {BASELINE_VERSION}"))),
    }
}

/// Writes it whole or not at all.
pub(super) fn write(path: &Path, baseline: &Baseline) -> Result<(), Failure> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned());
    let name = name.ok_or_else(|| Failure::new(format!("`{}` names no file", path.display())))?;
    write_whole(folder, &name, &baseline.text())
}

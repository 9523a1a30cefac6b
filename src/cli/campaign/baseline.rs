//! The baseline file of a campaign.

use std::path::Path;

use crate::{
    cli::{
        Failure, load,
        play::{writable, write_whole},
    },
    event::Matrix,
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

/// Finds out before the first run whether it can be written; what is there now comes back.
pub(in crate::cli) fn there(path: &Path) -> Result<Option<Baseline>, Failure> {
    let before = path.exists().then(|| read(path)).transpose()?;
    let (folder, _) = place(path)?;
    writable(folder, ANOTHER)?;
    Ok(before)
}

/// Writes what was caught, whole or not at all. What could not be told stays as it was before; and nothing is written over
/// a loss that has just been told, or the next campaign would know nothing of it.
pub(super) fn write(
    path: &Path,
    before: Option<&Baseline>,
    matrix: &Matrix,
    required: f64,
) -> Result<(), Failure> {
    if matrix.baseline.as_ref().is_some_and(|difference| !difference.lost.is_empty()) {
        anstream::eprintln!(
            "`{}` is not written: something is no longer caught; without --baseline it is written all the same",
            path.display()
        );
        return Ok(());
    }
    let caught = Baseline::of(matrix, required);
    let caught = before.map_or(caught.clone(), |before| caught.keeping(before, matrix));
    for pair in caught.unknown(matrix) {
        let (fault, alert) = (pair.fault, pair.alert);
        anstream::eprintln!("warning: the baseline says nothing of {fault} by {alert}: it could not be told");
    }
    let (folder, name) = place(path)?;
    write_whole(folder, name, &caught.text(), ANOTHER)
}

const ANOTHER: &str = "name another file with --write-baseline FILE";

fn place(path: &Path) -> Result<(&Path, &str), Failure> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let name = path.file_name().and_then(|name| name.to_str());
    let no_file = || Failure::new(format!("`{}` names no file", path.display())).help(ANOTHER);
    Ok((folder, name.filter(|_| !path.is_dir()).ok_or_else(no_file)?))
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeMap, fs};

    use super::*;
    use crate::event::{BaselineDifference, Expected, FORMAT_VERSION, FaultRow, MatrixCell, Portion};

    /// An alert that was in time in so many of so many runs.
    fn matrix(detected: u64, told: u64) -> Matrix {
        let cell = MatrixCell {
            expected: Expected::Fires,
            probability: Portion::new(detected, told),
            ..Default::default()
        };
        let row = FaultRow {
            scenario: "s".into(),
            fault: "slow/latency".into(),
            size: String::new(),
            runs: 1,
            delivered: 1,
            detected: None,
            cells: BTreeMap::from([(
                "Slow".to_owned(),
                MatrixCell { detected, missed: told - detected, ..cell },
            )]),
        };
        Matrix {
            format_version: FORMAT_VERSION,
            canard_version: String::new(),
            runs: vec![],
            faults: vec![row],
            alerts: BTreeMap::new(),
            never_fired: vec![],
            unseen: vec![],
            score: None,
            baseline: None,
            exit_code: 0,
        }
    }

    #[test]
    fn a_file_never_forgets_what_it_can_not_tell_or_has_just_lost() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("new/baseline.yaml");
        assert_eq!(there(&path).unwrap(), None);
        write(&path, None, &matrix(1, 1), 0.5).unwrap();
        let caught = there(&path).unwrap().unwrap();
        assert_eq!(caught, Baseline::of(&matrix(1, 1), 0.5));
        write(&path, Some(&caught), &matrix(0, 0), 0.5).unwrap();
        assert_eq!(read(&path).unwrap(), caught, "what could not be told stays");
        let mut lost = matrix(0, 1);
        lost.baseline = Some(caught.compare(&lost, 0.5));
        write(&path, Some(&caught), &lost, 0.5).unwrap();
        assert_eq!(read(&path).unwrap(), caught, "what was lost is lost in the next campaign too");
        lost.baseline = Some(BaselineDifference::default());
        write(&path, Some(&caught), &lost, 0.5).unwrap();
        assert!(read(&path).unwrap().catches["s: slow/latency"].is_empty(), "asked for without --baseline");
    }

    #[test]
    fn what_can_not_become_a_baseline_is_told_before_the_first_run() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("file");
        fs::write(&file, "no baseline").unwrap();
        for path in [file.clone(), file.join("baseline.yaml"), dir.path().to_owned()] {
            assert!(there(&path).is_err(), "{}", path.display());
        }
    }
}

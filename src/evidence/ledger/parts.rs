//! The files of a ledger: one that grows, and older ones with a number.
//!
//! `ledger.jsonl` is the file that grows. When the next line would take it over its size, it becomes
//! `ledger.1.jsonl`, the next time `ledger.2.jsonl`, and so on. Why not the other way round, as logrotate
//! does it, the newest always `.1`? A file then keeps its name for good: a report can name it, a reader that
//! is half way through it is not confused, and one rename is all that a crash can interrupt. The numbers tell what
//! was removed, too: they begin at one.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

/// How large a ledger's files grow, and how many are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Rotation {
    /// Size that a file does not exceed, unless a single line does. Bytes.
    pub bytes: u64,
    /// Older files that are kept beside the one that grows; the oldest beyond that are removed.
    pub keep: usize,
}

impl Default for Rotation {
    /// 64 MiB and 16 older files: about four million lines, in about a gibibyte.
    fn default() -> Rotation {
        Rotation { bytes: 64 << 20, keep: 16 }
    }
}

/// The files of one ledger.
///
/// ```
/// use canard::evidence::LedgerParts;
/// let folder = std::env::temp_dir().join("canard-no-ledger-here");
/// std::fs::create_dir_all(&folder)?;
/// let parts = LedgerParts::of(&folder.join("ledger.jsonl"))?;
/// assert!(parts.files.is_empty() && parts.removed == 0);
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LedgerParts {
    /// Those that are there, oldest first; the one that grows is the last.
    pub files: Vec<PathBuf>,
    /// Older ones that are no longer there.
    pub removed: u64,
}

impl LedgerParts {
    /// Finds the files of the ledger that grows at `path`.
    ///
    /// # Errors
    /// If its folder can't be read.
    pub fn of(path: &Path) -> io::Result<LedgerParts> {
        let older = older(path)?;
        let removed = older.last().map_or(0, |(last, _)| last - older.len() as u64);
        let grows = path.exists().then(|| path.to_owned());
        Ok(LedgerParts { files: older.into_iter().map(|(_, file)| file).chain(grows).collect(), removed })
    }
}

/// The older files with their numbers, oldest first.
pub(super) fn older(path: &Path) -> io::Result<Vec<(u64, PathBuf)>> {
    let folder = match path.parent() {
        Some(folder) if folder != Path::new("") => folder,
        _ => Path::new("."),
    };
    let mut found = Vec::new();
    for entry in fs::read_dir(folder)? {
        let name = entry?.file_name();
        if let Some(number) = name.to_str().and_then(|name| number(path, name)) {
            found.push((number, path.with_file_name(name)));
        }
    }
    found.sort();
    Ok(found)
}

/// The name of the older file with this number.
pub(super) fn part(path: &Path, number: u64) -> PathBuf {
    let (stem, extension) = split(path);
    path.with_file_name(format!("{stem}.{number}{extension}"))
}

/// The number of a file by its name, if it is an older file of this ledger.
fn number(path: &Path, name: &str) -> Option<u64> {
    let (stem, extension) = split(path);
    let digits = name.strip_prefix(&stem)?.strip_prefix('.')?.strip_suffix(&extension)?;
    let number = digits.parse().ok().filter(|number| *number > 0)?;
    // Not `+1`, not `01`.
    (format!("{number}") == digits).then_some(number)
}

/// `ledger` and `.jsonl`.
fn split(path: &Path) -> (String, String) {
    let text = |part: Option<&std::ffi::OsStr>| part.map(|part| part.to_string_lossy().into_owned());
    let extension = text(path.extension()).map_or(String::new(), |extension| format!(".{extension}"));
    (text(path.file_stem()).unwrap_or_default(), extension)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_found_by_number_and_gaps_are_told() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ledger.jsonl");
        for name in ["ledger.10.jsonl", "ledger.9.jsonl", "ledger.jsonl", "ledger.7.jsonl"] {
            fs::write(folder.path().join(name), "").unwrap();
        }
        for name in ["ledger.x.jsonl", "ledger.07.jsonl", "ledger.0.jsonl", "other.1.jsonl", "ledger.1.json"]
        {
            fs::write(folder.path().join(name), "").unwrap();
        }
        let parts = LedgerParts::of(&path).unwrap();
        let names: Vec<_> = parts.files.iter().map(|file| file.file_name().unwrap()).collect();
        assert_eq!(names, ["ledger.7.jsonl", "ledger.9.jsonl", "ledger.10.jsonl", "ledger.jsonl"]);
        assert_eq!(parts.removed, 7);
    }

    #[test]
    fn a_name_without_an_extension_has_parts_too() {
        assert_eq!(part(Path::new("a/ledger"), 3), Path::new("a/ledger.3"));
        assert_eq!(number(Path::new("ledger"), "ledger.3"), Some(3));
        assert_eq!(number(Path::new("ledger.jsonl"), "ledger.jsonl"), None);
    }
}

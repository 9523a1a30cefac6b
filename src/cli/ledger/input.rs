//! The files of ledgers, read one after another.

use std::{
    collections::BTreeSet,
    fs::File,
    io::{self, BufRead, BufReader, IsTerminal, Read},
    path::{Path, PathBuf},
};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::{Ended, Failure, cannot, say};
use crate::{
    cli::diagnostics::count,
    evidence::{Entry, LedgerParts, LedgerReader, ReadError},
};

/// Bytes from which on reading takes long enough to be shown.
const LARGE: u64 = 16 << 20;
const BUFFER: usize = 256 << 10;

/// What is read, and what was passed over.
pub(super) struct Input {
    files: Vec<PathBuf>,
    /// Older files that are no longer there.
    pub(super) removed: u64,
    skip_broken: bool,
    bar: ProgressBar,
    notes: Vec<String>,
    /// Lines that were cut off or passed over.
    pub(super) unread: u64,
}

impl Input {
    /// Finds the files: those that are named, each with its older parts, each once.
    pub(super) fn open(named: &[PathBuf], default: &Path, skip_broken: bool) -> Result<Input, Failure> {
        let (mut files, mut removed, mut seen) = (Vec::new(), 0, BTreeSet::new());
        let given = if named.is_empty() { std::slice::from_ref(&default) } else { &[] };
        for path in named.iter().map(PathBuf::as_path).chain(given.iter().copied()) {
            if path == Path::new("-") {
                files.push(path.to_owned());
                continue;
            }
            let path = if path.is_dir() { path.join("ledger.jsonl") } else { path.to_owned() };
            let missing = |error: &io::Error| {
                let failure = cannot("read", &path, error);
                match named.is_empty() {
                    true => failure
                        .help("name the file of a ledger; `canard run` writes one into its --report DIR"),
                    false => failure
                        .help("name a ledger that `canard run` or `canard sidecar --ledger` has written"),
                }
            };
            let parts = match LedgerParts::of(&path) {
                Ok(parts) if !parts.files.is_empty() => parts,
                Ok(_) => {
                    return Err(missing(&io::Error::new(io::ErrorKind::NotFound, "there is no such file")));
                }
                Err(error) => return Err(missing(&error)),
            };
            removed += parts.removed;
            for file in parts.files {
                if seen.insert(file.canonicalize().unwrap_or_else(|_| file.clone())) {
                    files.push(file);
                }
            }
        }
        let (bar, notes) = (ProgressBar::hidden(), Vec::new());
        Ok(Input { files, removed, skip_broken, bar, notes, unread: 0 })
    }

    /// Is it one of the files that are read?
    pub(super) fn contains(&self, path: &Path) -> bool {
        let there = |path: &Path| path.canonicalize().ok();
        there(path).is_some_and(|path| self.files.iter().any(|file| there(file).as_ref() == Some(&path)))
    }

    /// Shows how far it is, where somebody looks and no lines are written between.
    pub(super) fn show_progress(&mut self, quiet_output: bool) {
        let size = |file: &PathBuf| file.metadata().map_or(0, |metadata| metadata.len());
        let total: u64 = self.files.iter().map(size).sum();
        if total < LARGE || !io::stderr().is_terminal() || !quiet_output && io::stdout().is_terminal() {
            return;
        }
        self.bar = ProgressBar::with_draw_target(Some(total), ProgressDrawTarget::stderr());
        let style = ProgressStyle::with_template("{bar:30.cyan/dim} {bytes} of {total_bytes}, {eta} left");
        self.bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    }

    /// Reads every line of every file.
    pub(super) fn each(&mut self, mut take: impl FnMut(Entry<'_>) -> Result<(), Ended>) -> Result<(), Ended> {
        let files = self.files.clone();
        let read = files.iter().try_for_each(|file| self.each_of(file, &mut take));
        self.bar.finish_and_clear();
        read
    }

    fn each_of(
        &mut self,
        path: &Path,
        take: &mut impl FnMut(Entry<'_>) -> Result<(), Ended>,
    ) -> Result<(), Ended> {
        let name = if path == Path::new("-") { "standard input".into() } else { path.display().to_string() };
        let from: Box<dyn Read> = if path == Path::new("-") {
            Box::new(io::stdin().lock())
        } else {
            Box::new(File::open(path).map_err(|error| cannot("read", path, &error))?)
        };
        let mut reader = LedgerReader::new(counted(from, self.bar.clone()));
        let mut skipped = 0_u64;
        loop {
            match reader.read() {
                Ok(Some(entry)) => take(entry)?,
                Ok(None) => break,
                Err(ReadError::Line { .. }) if self.skip_broken => skipped += 1,
                Err(ReadError::Line { number, why }) => return Err(broken(&name, number, &why).into()),
                Err(ReadError::Io(error)) => return Err(cannot("read", path, &error).into()),
            }
        }
        self.unread += skipped + u64::from(reader.torn().is_some());
        if skipped > 0 {
            self.notes.push(format!(
                "note: {name}: {} passed over that can't be read",
                count(skipped as usize, "line")
            ));
        }
        if let Some(number) = reader.torn() {
            self.notes.push(format!(
                "note: {name}:{number}: the last line is cut off (a crash, or it is being written); passed over"
            ));
        }
        Ok(())
    }

    /// Says what was passed over.
    pub(super) fn tell_notes(&self) {
        self.notes.iter().for_each(|note| say(note));
    }
}

fn broken(name: &str, number: u64, why: &str) -> Failure {
    Failure::new(format!("{name}:{number}: this is no line of a ledger: {why}"))
        .help("is it the right file? --skip-broken passes over lines that can't be read")
}

/// A buffered reader that moves the bar.
fn counted(from: Box<dyn Read>, bar: ProgressBar) -> impl BufRead {
    BufReader::with_capacity(BUFFER, bar.wrap_read(from))
}

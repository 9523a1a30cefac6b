//! A source text and what is wrong with it, each mistake with its place.

use std::{
    cmp::Ordering,
    fmt, fs, io,
    ops::Range,
    path::{Path, PathBuf},
    sync::Arc,
};

use super::tree::{Kind, Node};

/// A file as it was read.
#[derive(Debug, Clone)]
pub struct Source {
    /// Its name, for messages.
    pub name: String,
    /// Its text.
    pub text: Arc<str>,
    /// The folder that relative paths inside it start from.
    pub folder: PathBuf,
}

impl Source {
    /// A text that is at hand; relative paths start from the current folder.
    pub fn new(name: impl Into<String>, text: impl Into<Arc<str>>) -> Source {
        Source { name: name.into(), text: text.into(), folder: PathBuf::from(".") }
    }

    /// Reads a file, or standard input for `-`.
    ///
    /// # Errors
    /// If the file can't be read, is larger than 1 MiB or is not UTF-8 (then the error says where).
    pub fn read(path: &Path) -> io::Result<Source> {
        let mut bytes = Vec::new();
        let limit = super::tree::LARGEST as u64 + 1;
        let (name, folder) = if path == Path::new("-") {
            io::Read::read_to_end(&mut io::Read::take(io::stdin().lock(), limit), &mut bytes)?;
            ("<stdin>".to_owned(), PathBuf::from("."))
        } else {
            if path.is_dir() {
                return Err(io::Error::new(io::ErrorKind::IsADirectory, "it is a folder, not a file"));
            }
            io::Read::read_to_end(&mut io::Read::take(fs::File::open(path)?, limit), &mut bytes)?;
            (path.display().to_string(), path.parent().map(Path::to_path_buf).unwrap_or_default())
        };
        match String::from_utf8(bytes) {
            Ok(text) => Ok(Source { name, text: text.into(), folder }),
            Err(error) => {
                let before = &error.as_bytes()[..error.utf8_error().valid_up_to()];
                let line = before.iter().filter(|b| **b == b'\n').count() + 1;
                let byte = error.as_bytes()[before.len()];
                let message = format!("it is not UTF-8 text (byte 0x{byte:02x} in line {line})");
                Err(io::Error::new(io::ErrorKind::InvalidData, message))
            }
        }
    }

    /// A mistake at a place.
    pub(super) fn diagnostic(
        &self,
        span: Range<usize>,
        message: impl Into<String>,
        label: impl Into<String>,
    ) -> Diagnostic {
        let mut start = span.start.min(self.text.len());
        while !self.text.is_char_boundary(start) {
            start -= 1;
        }
        let mut end = span.end.clamp(start, self.text.len());
        while !self.text.is_char_boundary(end) {
            end += 1;
        }
        let line_start = self.text[..start].rfind('\n').map_or(0, |i| i + 1);
        Diagnostic {
            message: message.into(),
            line: self.text[..start].matches('\n').count() + 1,
            column: self.text[line_start..start].chars().count() + 1,
            span: start..end,
            label: label.into(),
            help: None,
        }
    }
}

/// What a file is, told by its keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileKind {
    /// A scenario; also what can't be told.
    Scenario,
    /// A stage.
    Stage,
    /// A calendar.
    Calendar,
}

impl FileKind {
    /// What a source is.
    pub fn of(source: &Source) -> FileKind {
        FileKind::told(source).unwrap_or(FileKind::Scenario)
    }

    /// Is it YAML with keys, whatever they are?
    #[cfg(feature = "cli")]
    pub(crate) fn is_a_mapping(source: &Source) -> bool {
        matches!(Node::parse(source), Ok(Node { kind: Kind::Map(_), .. }))
    }

    /// What a source surely is.
    pub(crate) fn told(source: &Source) -> Option<FileKind> {
        let Ok(Node { kind: Kind::Map(map), .. }) = Node::parse(source) else { return None };
        let among = |keys: &[&str]| map.iter().filter(|e| keys.contains(&e.key.as_str())).count();
        let scenario = among(&[
            "name",
            "hypothesis",
            "seed",
            "repeat",
            "null-runs",
            "target",
            "exposure",
            "traffic",
            "phases",
            "abort",
            "environments",
        ]);
        let stage = among(&[
            "environment",
            "upstream",
            "sidecars",
            "sidecar",
            "monitors",
            "probes",
            "production",
            "limits",
            "segments",
            "holdout",
        ]);
        let calendar = among(&["time-zone", "stage", "windows", "blackouts", "runs"]);
        if calendar > stage.max(scenario) {
            return Some(FileKind::Calendar);
        }
        match stage.cmp(&scenario) {
            Ordering::Greater => Some(FileKind::Stage),
            Ordering::Equal => None,
            Ordering::Less => Some(FileKind::Scenario),
        }
    }
}

/// One mistake in a source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic {
    /// What is wrong, in one sentence.
    pub message: String,
    /// The bytes it is about.
    pub span: Range<usize>,
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
    /// A short note at the place itself.
    pub label: String,
    /// What would be right.
    pub help: Option<String>,
}

/// All the mistakes of one source (never none).
#[derive(Debug, Clone)]
pub struct Diagnostics {
    /// The source.
    pub source: Source,
    /// The mistakes, in the order of the text.
    pub list: Vec<Diagnostic>,
}

impl Diagnostics {
    pub(super) fn new(source: &Source, mut list: Vec<Diagnostic>) -> Diagnostics {
        list.sort_by_key(|d| (d.span.start, d.span.end));
        Diagnostics { source: source.clone(), list }
    }
}

impl fmt::Display for Diagnostics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for d in &self.list {
            writeln!(f, "{}:{}:{}: {}", self.source.name, d.line, d.column, d.message)?;
        }
        Ok(())
    }
}

impl std::error::Error for Diagnostics {}

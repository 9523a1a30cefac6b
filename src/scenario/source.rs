//! A source text and what is wrong with it, each mistake with its place.

use std::{fmt, ops::Range, path::PathBuf, sync::Arc};

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

impl fmt::Display for Diagnostics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for d in &self.list {
            writeln!(f, "{}:{}:{}: {}", self.source.name, d.line, d.column, d.message)?;
        }
        Ok(())
    }
}

impl std::error::Error for Diagnostics {}

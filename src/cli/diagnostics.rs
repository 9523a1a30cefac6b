//! Errors as people read them: the message, the place in the file, what would be right.
//!
//! On a terminal with colour and box drawing; without a terminal in plain ASCII, so that a log stays legible.
//! `NO_COLOR` and `COLUMNS` are respected.

use std::{io::IsTerminal, sync::Arc};

use miette::{GraphicalTheme, MietteHandlerOpts, NamedSource, SourceSpan};

use crate::scenario::{Diagnostic, Diagnostics, Source};

/// Sets how errors are printed.
pub(super) fn install() {
    let terminal = std::io::stderr().is_terminal();
    // Fails only if a hook is set already, which is just as well.
    let _ = miette::set_hook(Box::new(move |_| {
        let mut options = MietteHandlerOpts::new().context_lines(1).break_words(false);
        if !terminal {
            options = options.graphical_theme(GraphicalTheme::none()).color(false).unicode(false).width(100);
        }
        if let Some(columns) = columns() {
            options = options.width(columns);
        }
        Box::new(options.build())
    }));
}

/// Columns that the environment asks for.
pub(super) fn columns() -> Option<usize> {
    std::env::var("COLUMNS").ok()?.parse().ok().filter(|columns| (20..=500).contains(columns))
}

/// One mistake, with the file around it.
#[derive(Debug, thiserror::Error, miette::Diagnostic)]
#[error("{message}")]
pub(super) struct Mistake {
    message: String,
    #[source_code]
    text: NamedSource<Arc<str>>,
    #[label("{label}")]
    span: SourceSpan,
    label: String,
    #[help]
    help: Option<String>,
}

impl Mistake {
    fn new(source: &Source, diagnostic: Diagnostic) -> Mistake {
        Mistake {
            message: diagnostic.message,
            text: NamedSource::new(&source.name, Arc::clone(&source.text)),
            span: diagnostic.span.into(),
            label: diagnostic.label,
            help: diagnostic.help,
        }
    }
}

/// All the mistakes of a file.
#[derive(Debug, thiserror::Error, miette::Diagnostic)]
#[error("{name} has {}", count(*.total, "mistake"))]
pub(super) struct Mistakes {
    name: String,
    pub(super) total: usize,
    #[related]
    list: Vec<Mistake>,
}

impl From<Diagnostics> for Mistakes {
    fn from(Diagnostics { source, list }: Diagnostics) -> Mistakes {
        let list: Vec<Mistake> = list.into_iter().map(|d| Mistake::new(&source, d)).collect();
        Mistakes { name: source.name, total: list.len(), list }
    }
}

/// "1 file", "2 files".
pub(super) fn count(number: usize, what: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{number} {what}{plural}")
}

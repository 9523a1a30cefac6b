//! Errors as people read them: the message, the place in the file, what would be right.
//!
//! On a terminal with colour and box drawing; without a terminal in plain ASCII, so that a log stays legible.
//! `NO_COLOR` and `COLUMNS` are respected.

use std::{io::IsTerminal, ops::Range, sync::Arc};

use miette::{
    GraphicalTheme, MietteError, MietteHandlerOpts, MietteSpanContents, SourceCode, SourceSpan, SpanContents,
};

use crate::scenario::{Diagnostic, Diagnostics, Source};

/// Bytes of a line that are shown; a body of a kilobyte in one line is no help.
const LONGEST_LINE: usize = 160;

/// Sets how errors are printed.
pub(super) fn install() {
    let terminal = std::io::stderr().is_terminal();
    // Fails only if a hook is set already, which is just as well.
    let _ = miette::set_hook(Box::new(move |_| {
        let whole = textwrap::WordSplitter::NoHyphenation;
        let mut options = MietteHandlerOpts::new().context_lines(1).break_words(false).word_splitter(whole);
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
    text: Excerpt,
    #[label("{label}")]
    span: SourceSpan,
    label: String,
    #[help]
    help: Option<String>,
}

impl Mistake {
    fn new(source: &Source, diagnostic: Diagnostic) -> Mistake {
        let (text, span) = Excerpt::of(source, diagnostic.span);
        Mistake {
            message: diagnostic.message,
            text,
            span: span.into(),
            label: diagnostic.label,
            help: diagnostic.help,
        }
    }
}

/// A source of which no line is too long to be shown.
#[derive(Debug)]
struct Excerpt {
    name: String,
    text: Arc<str>,
    /// Bytes that were cut away before the place on its own line.
    cut: usize,
}

impl Excerpt {
    /// A source around a place, and where the place is in it.
    fn of(source: &Source, span: Range<usize>) -> (Excerpt, Range<usize>) {
        let (name, text) = (source.name.clone(), &source.text);
        let begin = text[..span.start].rfind('\n').map_or(0, |at| at + 1);
        let first = text[..begin.saturating_sub(1)].rfind('\n').map_or(0, |at| at + 1);
        let last = text[span.end..].match_indices('\n').nth(1).map_or(text.len(), |(at, _)| span.end + at);
        if text[first..last].lines().all(|line| line.len() <= LONGEST_LINE) {
            return (Excerpt { name, text: Arc::clone(text), cut: 0 }, span);
        }
        let (before, after) = (text[..first].to_owned(), &text[last..]);
        let (mut shown, mut place, mut cut) = (before, span.clone(), 0);
        for line in text[first..last].split_inclusive('\n') {
            let start = line.as_ptr() as usize - text.as_ptr() as usize;
            let (line, end) = match line.strip_suffix('\n') {
                Some(line) => (line, "\n"),
                None => (line, ""),
            };
            let here = start == begin;
            let from = if here && line.len() > LONGEST_LINE {
                (span.start - start).saturating_sub(LONGEST_LINE / 2)
            } else {
                0
            };
            let from = line.floor_char_boundary(from);
            let to = line.floor_char_boundary((from + LONGEST_LINE).min(line.len()));
            let mark = if from > 0 { "…" } else { "" };
            if here {
                let at = shown.len() + mark.len() + (span.start - start - from).min(to - from);
                cut = from - mark.len().min(from);
                place = at..at + span.len().min(start + to - span.start.min(start + to));
            }
            shown.push_str(mark);
            shown.push_str(&line[from..to]);
            shown.push_str(if to < line.len() { "…" } else { "" });
            shown.push_str(end);
        }
        shown.push_str(after);
        (Excerpt { name, text: shown.into(), cut }, place)
    }
}

impl SourceCode for Excerpt {
    fn read_span<'a>(
        &'a self,
        span: &SourceSpan,
        before: usize,
        after: usize,
    ) -> Result<Box<dyn SpanContents<'a> + 'a>, MietteError> {
        let inner = self.text.read_span(span, before, after)?;
        let column = if inner.column() > 0 { inner.column() + self.cut } else { 0 };
        let name = self.name.clone();
        let (data, span, line, lines) = (inner.data(), *inner.span(), inner.line(), inner.line_count());
        Ok(Box::new(MietteSpanContents::new_named(name, data, span, line, column, lines)))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_line_is_shown_around_the_place_that_is_meant() {
        let text =
            format!("a: 1\nb: {{ c: '{}', wrong: 2, d: '{}' }}\ne: 3\n", "é".repeat(400), "y".repeat(900));
        let at = text.find("wrong").unwrap_or_default();
        let (excerpt, span) = Excerpt::of(&Source::new("long.yaml", text.as_str()), at..at + 5);
        assert_eq!(&excerpt.text[span.clone()], "wrong");
        assert!(excerpt.text.lines().all(|line| line.len() <= LONGEST_LINE + 8), "{}", excerpt.text);
        assert!(excerpt.text.starts_with("a: 1\n") && excerpt.text.ends_with("\ne: 3\n"), "{}", excerpt.text);
        let short = Source::new("short.yaml", "a: 1\n");
        assert_eq!(Excerpt::of(&short, 0..1).0.text, short.text);
    }

    #[test]
    fn a_place_beyond_what_is_shown_of_its_line_stays_inside_the_text() {
        let text = format!("a: '{}'", "x".repeat(2_000));
        for span in [3..text.len(), text.len()..text.len(), 0..1, 1_000..1_500] {
            let (excerpt, place) = Excerpt::of(&Source::new("t", text.as_str()), span);
            assert!(excerpt.text.get(place.clone()).is_some(), "{place:?} in {}", excerpt.text);
        }
    }
}

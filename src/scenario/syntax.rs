//! What is wrong with a text that is no YAML: where, why, and what would be right.
//!
//! The parser names the place by line and column only, and speaks of scalars and simple keys; here that
//! becomes bytes of the source, and words for somebody who has never read the YAML specification.

use std::ops::Range;

use serde_saphyr::{Error, Location};

use super::{
    source::{Diagnostic, Source},
    tree::bytes,
};

/// Why the parser stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stop {
    /// At a key that stands twice: what follows may be fine.
    Twice,
    /// For any other reason.
    Other,
}

/// The mistake that made the parser stop.
pub(super) fn explain(source: &Source, error: &Error) -> (Diagnostic, Stop) {
    let plain = error.without_snippet();
    let text = plain.render_with_formatter(&serde_saphyr::UserMessageFormatter);
    // The place is shown beside the message.
    let text = text.split(" at line ").next().unwrap_or_default();
    let mut span = error.location().map_or(0..0, |location| place(&source.text, location));
    let (message, label, help) = match plain {
        Error::Eof { .. } => ("the document ends too early".to_owned(), "nothing follows", ""),
        Error::MultipleDocuments { .. } => (
            "the file holds more than one YAML document".to_owned(),
            "another one begins here",
            "one file, one document: split it at `---`",
        ),
        Error::DuplicateMappingKey { .. } => {
            let key = source.text.get(span.clone()).unwrap_or("a key");
            (format!("`{key}` stands twice in one mapping"), "the second one", "keep one of the two")
        }
        _ if matches!(plain, Error::Budget { .. }) || text.contains("limit exceeded") => (
            "the document is too large, too deep, or grows too much through its anchors".to_owned(),
            "reading stops here",
            "at most 32 levels, 20000 values and 100 anchors; write repeated parts out or leave them out",
        ),
        _ => match indenting_tab(&source.text, span.start) {
            Some(tab) => {
                span = tab..tab + 1;
                let help = "YAML is indented with spaces, never with tabs";
                ("this line is indented with a tab".to_owned(), "a tab", help)
            }
            None if text.contains("flow") && unquoted(&source.text, span.start) => {
                let help = "inside `{ … }` or `[ … ]`, a text with brackets of its own goes in single quotes: \
                            'request.headers[\"x-user-id\"]'";
                ("this text has to be quoted".to_owned(), "the text goes on here", help)
            }
            None => (format!("this is not YAML: {text}"), "here", remedy(text)),
        },
    };
    let mut diagnostic = source.diagnostic(span, message, label);
    diagnostic.help = (!help.is_empty()).then(|| help.to_owned());
    let twice = matches!(plain, Error::DuplicateMappingKey { .. });
    (diagnostic, if twice { Stop::Twice } else { Stop::Other })
}

/// Does a bracket or a quote stand in the middle of a plain text here, as in `headers["x"]`?
fn unquoted(text: &str, at: usize) -> bool {
    let opens = text[at..].starts_with(['[', '{', '"', '\'']);
    opens && text[..at].ends_with(|before: char| before.is_alphanumeric() || before == '_' || before == ')')
}

/// The bytes of a location; syntax errors have only a line and a column.
fn place(text: &str, location: Location) -> Range<usize> {
    if location.span().byte_offset().is_some() {
        return bytes(location);
    }
    let line = text.split_inclusive('\n').nth((location.line() as usize).saturating_sub(1));
    let Some(line) = line else { return text.len()..text.len() };
    let before = line.as_ptr() as usize - text.as_ptr() as usize;
    let mut characters = line.trim_end_matches(['\r', '\n']).char_indices();
    match characters.nth((location.column() as usize).saturating_sub(1)) {
        Some((at, character)) => before + at..before + at + character.len_utf8(),
        None => {
            let end = before + line.trim_end_matches(['\r', '\n']).len();
            end..end
        }
    }
}

/// What to do about an error of the parser, known by its words.
fn remedy(text: &str) -> &'static str {
    let known = [
        ("unclosed bracket", "close it with `]` or `}`, or put the text in quotes"),
        ("misplaced bracket", "nothing was opened that this closes; a text that holds it goes in quotes"),
        ("flow sequence", "separate entries by `,` and close the list with `]`"),
        ("flow mapping", "separate entries by `,` and close the mapping with `}`"),
        ("tag", "a text that begins with `!` goes in quotes"),
        ("anchor", "a text that begins with `&` or `*` goes in quotes"),
        (
            "unknown value",
            "a text that begins with `*` goes in quotes; an alias needs its `&anchor` before it",
        ),
        ("alias", "a text that begins with `*` goes in quotes; an alias needs its `&anchor` before it"),
        ("unexpected character", "a text that begins with this character goes in quotes"),
        ("escape", "`\\` in double quotes begins an escape: write `\\\\`, or use single quotes"),
        ("quoted scalar", "is the quote closed? a text needs the same quote at its beginning and its end"),
        ("mapping values", "a text with `: ` in it goes in quotes; keys of one mapping are indented alike"),
        ("simple key", "a key is followed by `: ` and its value"),
        ("expected key", "keys of one mapping are indented alike"),
        ("block", "entries of one list or mapping are indented alike"),
        ("indent", "entries of one list or mapping are indented alike"),
    ];
    known.iter().find(|(words, _)| text.contains(words)).map_or("", |(_, help)| help)
}

/// A tab that indents the line of `at` or the one before it.
fn indenting_tab(text: &str, at: usize) -> Option<usize> {
    let end = text[at..].find('\n').map_or(text.len(), |length| at + length);
    text[..end].rsplit('\n').take(2).find_map(|line| {
        let indent = &line[..line.len() - line.trim_start_matches([' ', '\t']).len()];
        Some(line.as_ptr() as usize - text.as_ptr() as usize + indent.find('\t')?)
    })
}

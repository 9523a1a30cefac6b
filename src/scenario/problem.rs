//! A mistake at a path of a document, before it is known where that path stands in a text.

use super::{
    source::{Diagnostic, Source},
    tree::{Kind, Node, Path, Step},
};

/// One mistake.
#[derive(Debug, Clone)]
pub(super) struct Problem {
    pub(super) path: Path,
    pub(super) message: String,
    label: String,
    help: Option<String>,
    /// Point at the key, not at its value.
    key: bool,
    /// Point at the key of a mapping that the path ends at: an unknown variant.
    variant: bool,
    /// Told beside mistakes in what it is about.
    always: bool,
    /// A place inside the text that stands at the path: the text, and a byte offset in it.
    inside: Option<(String, usize)>,
}

impl Problem {
    pub(super) fn at(path: Path, message: impl Into<String>) -> Problem {
        Problem {
            path,
            message: message.into(),
            label: "here".to_owned(),
            help: None,
            key: false,
            variant: false,
            always: false,
            inside: None,
        }
    }

    pub(super) fn label(mut self, label: impl Into<String>) -> Problem {
        self.label = label.into();
        self
    }

    pub(super) fn help(mut self, help: impl Into<String>) -> Problem {
        self.help = Some(help.into());
        self
    }

    pub(super) fn maybe_help(mut self, help: Option<String>) -> Problem {
        self.help = help.or(self.help);
        self
    }

    pub(super) fn at_key(mut self) -> Problem {
        self.key = true;
        self
    }

    pub(super) fn at_variant(mut self) -> Problem {
        self.variant = true;
        self
    }

    pub(super) fn always(mut self, always: bool) -> Problem {
        self.always = always;
        self
    }

    pub(super) fn inside(mut self, text: &str, offset: Option<usize>) -> Problem {
        self.inside = offset.map(|offset| (text.to_owned(), offset));
        self
    }

    /// Is it about a mapping as a whole (what it lacks, what it says together) in which a mistake was repaired?
    /// Then it would most likely only repeat that mistake: `fixed: 300` is no latency without a length.
    pub(super) fn repeats(&self, tree: &Node) -> bool {
        /// Nearer to the root, one mistake would hide too many others.
        const DEEP: usize = 2;
        let found = tree.find(&self.path);
        !self.always
            && found.depth >= DEEP
            && matches!(found.node.kind, Kind::List(_) | Kind::Map(_))
            && found.node.repaired()
    }

    /// With its place in a source; `None` if it is about something that a repair made up.
    pub(super) fn place(self, source: &Source, tree: &Node) -> Option<Diagnostic> {
        let found = tree.find(&self.path);
        if found.made_up && found.whole {
            return None;
        }
        let mut span = found.span;
        if self.key
            && let Some((Step::Key(key), owner)) = self.path.0.split_last()
        {
            let owner = tree.find(&Path(owner.to_vec())).node;
            if let Kind::Map(map) = &owner.kind
                && let Some(entry) = map.iter().find(|e| e.key == *key)
            {
                span = entry.key_span.clone();
            }
        }
        if self.variant
            && let Kind::Map(map) = &found.node.kind
            && found.whole
        {
            span = map.first().map_or(span, |entry| entry.key_span.clone());
        }
        if let Some((text, offset)) = &self.inside
            && found.whole
            && let Some(start) = source.text.get(span.clone()).and_then(|written| written.find(text.as_str()))
        {
            let from = span.start + start + (*offset).min(text.len());
            span = from..(from + 1).min(span.start + start + text.len()).max(from);
        }
        let message = match &found.node.kind {
            Kind::Text(secret) if found.node.hidden => self.message.replace(secret.as_str(), "…"),
            _ => self.message,
        };
        let mut diagnostic = source.diagnostic(span, message, self.label);
        diagnostic.help = self.help;
        Some(diagnostic)
    }

    /// In words, for a document without a text.
    pub(super) fn in_words(self) -> String {
        let path = self.path.to_string();
        let mut words = if path.is_empty() { self.message } else { format!("{path}: {}", self.message) };
        if let Some(help) = self.help {
            words.push_str(" (");
            words.push_str(&help);
            words.push(')');
        }
        words
    }
}

/// The name among `valid` that `wrong` was most likely meant to be.
pub(crate) fn nearest<'a, S: AsRef<str>>(wrong: &str, valid: &'a [S]) -> Option<&'a str> {
    let plain = |text: &str| text.to_lowercase().replace(['_', ' '], "-");
    let wrong = plain(wrong);
    let close = |name: &&str| strsim::damerau_levenshtein(&wrong, &plain(name));
    let best = valid.iter().map(AsRef::as_ref).min_by_key(close)?;
    let allowed = (wrong.chars().count().max(3) / 3).max(1);
    let begins = wrong.len() >= 3 && plain(best).starts_with(&wrong);
    (close(&best) <= allowed || begins).then_some(best)
}

/// "`a`, `b` or `c`".
pub(crate) fn one_of<S: AsRef<str>>(names: &[S]) -> String {
    let quoted: Vec<String> = names.iter().map(|n| format!("`{}`", n.as_ref())).collect();
    match quoted.as_slice() {
        [] => "nothing".to_owned(),
        [only] => only.clone(),
        [first @ .., last] => format!("{} or {last}", first.join(", ")),
    }
}

//! A file that may change while the program goes on.
//!
//! It is read anew by its path at each look, instead of being watched through the operating system: so a new file
//! under the old name, a rename, a rewrite in place and the `..data` link of a Kubernetes ConfigMap are all seen, and
//! nothing depends on what a file system tells. What was the same in two looks, a second apart, is a whole file.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use tokio::time::Instant;

use super::{Failure, load};
use crate::scenario::Source;

/// Time between looks.
pub(super) const LOOK: Duration = Duration::from_secs(1);

/// What a look found.
pub(super) type Content = Result<Source, Failure>;

/// A file and what it says.
#[derive(Debug)]
pub(super) struct Watched {
    path: PathBuf,
    /// What applies.
    text: String,
    /// What the last look found, if it was not what applies, and whether that was handed out.
    found: Option<(Result<String, String>, bool)>,
    next: Instant,
}

impl Watched {
    /// A file that said this when it was read.
    pub(super) fn new(path: &Path, source: &Source) -> Watched {
        let text = source.text.to_string();
        Watched { path: path.to_owned(), text, found: None, next: Instant::now() + LOOK }
    }

    /// Its path.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Looks, unless the last look was just now. Answers once with each new content, as soon as it was the same twice;
    /// also with why it can't be read.
    pub(super) fn look(&mut self) -> Option<Content> {
        if Instant::now() < self.next {
            return None;
        }
        self.next = Instant::now() + LOOK;
        let content = load::source(&self.path);
        let found = match &content {
            Ok(source) => Ok(source.text.to_string()),
            Err(failure) => Err(failure.to_string()),
        };
        if found.as_ref() == Ok(&self.text) {
            self.found = None;
            return None;
        }
        match &mut self.found {
            Some((before, told)) if *before == found => (!std::mem::replace(told, true)).then_some(content),
            _ => {
                self.found = Some((found, false));
                None
            }
        }
    }

    /// Did the last look find something that it has to find once more?
    pub(super) fn is_unsettled(&self) -> bool {
        matches!(self.found, Some((_, false)))
    }

    /// What was handed out and does not apply, if the file still says it.
    pub(super) fn refused(&self) -> Option<Source> {
        let Some((Ok(text), true)) = &self.found else { return None };
        load::source(&self.path).ok().filter(|source| *source.text == **text)
    }

    /// This applies from now on.
    pub(super) fn accept(&mut self, source: &Source) {
        self.text = source.text.to_string();
        self.found = None;
    }
}

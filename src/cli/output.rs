//! Standard output, which may be a full disk or a pipe that nobody reads any more.

use std::io::{ErrorKind, Write};

use clap::ValueEnum;

use super::Failure;

/// How a result is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub(super) enum Shown {
    /// For reading here
    #[default]
    Text,
    /// For programs: one JSON document
    Json,
}

/// Writes to standard output. A reader that has gone (`canard faults | head`) is no failure: the command
/// ends with its own exit code.
///
/// # Errors
/// If standard output can't be written for another reason.
pub(super) fn print(text: &str) -> Result<(), Failure> {
    let mut stdout = anstream::stdout().lock();
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            Err(Failure::new(format!("standard output can't be written: {error}")))
        }
        _ => Ok(()),
    }
}

//! One exporter per format, pure: a report or an event in, bytes out.
//!
//! None of these opens a file or asks what terminal it is on; the command line does. Adding one: write its
//! file, call it where `cli::run` writes the report folder.

mod json;
mod junit;
mod lines;
mod reference;
mod shadows;
mod table;
mod words;
#[cfg(test)]
mod tests;

pub use json::json;
pub use junit::junit;
pub use lines::line;
pub use table::{plan, summary, verdicts};

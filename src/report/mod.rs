//! One exporter per format, pure: a report or an event in, bytes out.
//!
//! None of these opens a file or asks what terminal it is on; the command line does. Adding one: write its
//! file, call it where `cli::run` writes the report folder.

mod json;
mod junit;
mod lines;
mod matrix;
mod power;
mod reference;
mod shadows;
mod sweep;
mod table;
mod words;
mod words_matrix;
#[cfg(test)]
mod tests;

pub use json::{json, matrix_json};
pub use junit::{junit, junit_of_all};
pub use lines::line;
pub use matrix::{difference, matrix, matrix_markdown};
pub use power::{power, too_short};
pub use sweep::{probe, sweep};
pub use table::{plan, summary, verdicts};

//! `report.json`, after the schema in `scenarios/report.schema.json`.

use crate::event::{Matrix, Report};

/// The report as indented JSON with a final line break.
pub fn json(report: &Report) -> String {
    // Plain data with string keys: there is nothing in it that JSON can't say.
    serde_json::to_string_pretty(report).unwrap_or_default() + "\n"
}

/// The detection matrix, in the same way (`scenarios/matrix.schema.json`).
pub fn matrix_json(matrix: &Matrix) -> String {
    serde_json::to_string_pretty(matrix).unwrap_or_default() + "\n"
}

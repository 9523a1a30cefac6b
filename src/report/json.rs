//! `report.json`, after the schema in `scenarios/report.schema.json`.

use crate::event::Report;

/// The report as indented JSON with a final line break.
pub fn json(report: &Report) -> String {
    // Plain data with string keys: there is nothing in it that JSON can't say.
    serde_json::to_string_pretty(report).unwrap_or_default() + "\n"
}

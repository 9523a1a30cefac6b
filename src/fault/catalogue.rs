//! What the catalogue says of a fault: the source of `canard faults` and of `docs/faults.md`.

use serde::Serialize;

/// A fault's page.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Entry {
    /// As a scenario names it.
    pub name: &'static str,
    /// What it does, in one sentence.
    pub summary: &'static str,
    /// How its size is stated and reached; sources of formulas.
    pub effect: &'static str,
    /// Its settings.
    pub parameters: &'static [Parameter],
    /// A phase entry that can be pasted into a scenario.
    pub example: &'static str,
    /// What kinds of monitor should see it.
    pub seen_by: &'static str,
    /// What kinds of monitor can't see it, and why.
    pub blind: &'static str,
}

/// One setting of a fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Parameter {
    /// Its key.
    pub name: &'static str,
    /// Type, unit and range.
    pub values: &'static str,
    /// What holds when it is left out.
    pub default: &'static str,
    /// What it means.
    pub meaning: &'static str,
}

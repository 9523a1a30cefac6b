//! stub

use serde::{Deserialize, Serialize};

use super::{Action, Behaviour, Entry, Stage};
use crate::{draw::Dice, unit::Share};

/// Stub.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Error {
    /// How often it acts.
    #[serde(default = "all")]
    pub rate: Share,
}

fn all() -> Share {
    Share::ALL
}

static ENTRY: Entry = Entry {
    name: "error",
    summary: "stub",
    effect: "stub",
    parameters: &[],
    example: "stub",
    seen_by: "stub",
    blind: "stub",
};

impl Behaviour for Error {
    fn entry() -> &'static Entry {
        &ENTRY
    }
    fn stage(&self) -> Stage {
        Stage::Refuse
    }
    fn rate(&self) -> Share {
        self.rate
    }
    fn describe(&self) -> String {
        String::new()
    }
    fn decide(&self, _dice: Dice, _intensity: f64) -> Option<Action> {
        None
    }
}

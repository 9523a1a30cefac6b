//! One line of the ledger. It holds no bodies and no raw unit ids.

use serde::{Deserialize, Serialize};

use crate::{clock::Timestamp, draw::UnitHash};

/// Bytes of a request's id that a line keeps.
const LONGEST_ID: usize = 128;

/// One perturbed response.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Line {
    /// When.
    pub at: Timestamp,
    /// Name of the scenario.
    #[serde(default)]
    pub scenario: String,
    /// Number of the lease that it was armed under.
    #[serde(default)]
    pub lease: u64,
    /// The request's own id (`x-request-id`, `traceparent`), if it has one; its first 128 bytes.
    pub request: Option<String>,
    /// Hash of the unit.
    pub unit: UnitHash,
    /// Identity of the injection, `phase/fault`.
    pub fault: String,
    /// The request asked for the fault (`x-canard-fault`); left out of the text when it did not.
    #[serde(default, skip_serializing_if = "is_false")]
    pub asked_for: bool,
    /// A shadow's answer was changed, and its caller got the true one; left out of the text when callers saw it.
    #[serde(default, skip_serializing_if = "is_false")]
    pub shadow: bool,
    /// What changed, in words without values: `delayed up to 0.250 s`, `status 503`, `2 predictions`.
    pub change: String,
}

fn is_false(flag: &bool) -> bool {
    !*flag
}

impl Line {
    /// As much of a request's id as a line keeps.
    pub fn kept(request: &str) -> &str {
        &request[..request.floor_char_boundary(LONGEST_ID)]
    }

    /// The fault's name, without its phase and its number: `mislabel` of `confused/mislabel#2`.
    pub fn fault_name(&self) -> &str {
        let name = self.fault.rsplit_once('/').map_or(self.fault.as_str(), |(_, name)| name);
        name.split_once('#').map_or(name, |(name, _)| name)
    }
}

#[cfg(test)]
pub(super) fn line(n: u64) -> Line {
    Line {
        at: Timestamp::from_unix_s(n as f64),
        scenario: "s".into(),
        lease: 1,
        request: Some(format!("r{n}")),
        unit: UnitHash::from_u64(n),
        fault: "broken/error".into(),
        asked_for: false,
        shadow: false,
        change: "status 503".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_older_versions_and_of_newer_ones_are_read() {
        let old = r#"{"at":1.5,"request":null,"unit":"000000000000000a","fault":"p/error#2","change":"x"}"#;
        let read: Line = serde_json::from_str(old).unwrap();
        assert_eq!((read.lease, read.scenario.as_str(), read.fault_name()), (0, "", "error"));
        let new = old.replace("\"at\"", "\"later\":{},\"at\"");
        assert_eq!(serde_json::from_str::<Line>(&new).unwrap(), read);
        assert!(!serde_json::to_string(&line(1)).unwrap().contains("asked_for"));
        let asked = Line { asked_for: true, ..line(1) };
        let text = serde_json::to_string(&asked).unwrap();
        assert_eq!(serde_json::from_str::<Line>(&text).unwrap(), asked);
    }
}

//! What a scenario file may say about who is treated. Field docs become the JSON Schema's descriptions.
//!
//! The rules, strongest first: the hold-out, `never`, `always`, the first segment that holds, `share`. Each is a
//! threshold on the same draw of the unit, so that a larger share only adds units.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::unit::{Rate, Share};

/// Who is treated.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct ExposureDocument {
    /// CEL that names the unit, such as `request.headers["x-user-id"]`: the same unit is always on the same
    /// side. Left out, every request is its own unit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unit: Option<String>,
    /// Share of units that are treated: the blast radius. 10% if left out; with `segments` or `always`, then
    /// nobody else.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub share: Option<Share>,
    /// What the draw of a unit is salted with. Scenarios with one salt treat the same units first, whatever their
    /// seeds; left out, the seed and the name of the scenario (or its layer) are the salt.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub salt: Option<String>,
    /// Scenarios in one layer never share a unit if each says where its slice begins (`from`); scenarios in
    /// different layers are independent. Left out, the scenario is alone in its layer, and runs with no other beside
    /// it: a sidecar arms several at once only if each names its layer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub layer: Option<String>,
    /// Where the scenario's slice of its layer begins: with `from: 20%` and `share: 10%` it has the units from 20%
    /// to 30%. The draw of a layer with slices goes by the layer's name alone, so that all its scenarios agree.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<Share>,
    /// Units that are always treated, by what `unit` gives for them; every fault acts on them, whatever its share.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub always: Vec<String>,
    /// Units that are never treated, whatever else is said.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub never: Vec<String>,
    /// Shares for some of the requests; the first segment that holds decides in place of `share`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub segments: Vec<SegmentDocument>,
    /// Splits the treated into groups by weighted choice, such as `{ a: 50%, b: 50% }`; an injection may name the
    /// `group` that it is for. The shares add up to 100%.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub groups: BTreeMap<String, Share>,
    /// Splits the treated into groups of one size by uniform choice, such as `[a, b, c]`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub equal_groups: Vec<String>,
    /// Share of units that no scenario ever touches, drawn apart from every scenario. The stage's and the sidecar's
    /// own hold-outs count too: the largest does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub holdout: Option<Share>,
    /// Limits on injections beside the share. A cap only ever takes an injection away; what it took is counted as
    /// skipped (`cap-rate`, `cap-concurrent`, `cap-total`, `cap-per-unit`, `cap-unit-table`).
    #[serde(skip_serializing_if = "CapsDocument::is_none")]
    pub caps: CapsDocument,
}

impl ExposureDocument {
    /// Share of the units that no segment decides about.
    pub fn rest(&self) -> Share {
        let alone = self.segments.is_empty() && self.always.is_empty();
        self.share.unwrap_or(if alone { Share::ALL.scaled(0.1) } else { Share::NONE })
    }

    /// The largest share of any rule but `always`.
    pub fn widest(&self) -> Share {
        let segments = self.segments.iter().map(|segment| segment.share);
        segments.fold(self.rest(), |most, share| if share > most { share } else { most })
    }
}

/// A share of some of the requests: `{ when: CEL, share: 50% }`, or by a name that the stage defines:
/// `{ segment: beta, share: 50% }`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct SegmentDocument {
    /// Its name. Without a `when` beside it, the stage says under `segments` what it means, and that is written
    /// into `when` before the scenario goes to a sidecar.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub segment: Option<String>,
    /// CEL over `request.…` that tells which requests belong to it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub when: Option<String>,
    /// Share of its units that are treated.
    pub share: Share,
}

/// Limits on injections beside the share. Each sidecar (each handle) counts by itself, from arming on.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct CapsDocument {
    /// Injections in any second, such as `50/s`; below one a second (`2/m`) one in any window so long.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rate: Option<Rate>,
    /// Injections at once: from the decision until the response has passed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub concurrent: Option<u64>,
    /// Injections in the whole run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub total: Option<u64>,
    /// Injections on one unit in any hour, at most 255; the count begins anew an hour after the last. 65536 units are
    /// kept apart; a unit for which there is no room passes untouched (`cap-unit-table`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub per_unit_per_hour: Option<u8>,
}

impl CapsDocument {
    /// Is nothing capped?
    pub fn is_none(&self) -> bool {
        *self == CapsDocument::default()
    }
}

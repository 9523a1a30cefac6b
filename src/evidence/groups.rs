//! What a group and the others were told, per arm: how a gap between them is measured.
//!
//! Four counters an arm, whatever the traffic. Counted as the callers got it, of those whose group is known.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use serde::{Deserialize, Serialize};

use crate::exposure::Arm;

/// What a fault's group and the others were told, in both arms.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Groups {
    /// Units that nothing acts on.
    pub control: Compared,
    /// Units that faults may act on.
    pub treated: Compared,
}

/// A group and the others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Compared {
    /// The group.
    pub group: Side,
    /// Everybody else.
    pub others: Side,
}

/// How many predictions one side got, and how many of them were positive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Side {
    /// Predictions of the positive class.
    pub positive: u64,
    /// All of them.
    pub seen: u64,
}

impl Groups {
    fn sides(&mut self) -> [&mut Side; 4] {
        let Groups { control, treated } = self;
        [&mut control.group, &mut control.others, &mut treated.group, &mut treated.others]
    }

    /// Adds another's counts.
    pub(super) fn merge(&mut self, mut other: Groups) {
        for (mine, theirs) in self.sides().into_iter().zip(other.sides()) {
            mine.positive += theirs.positive;
            mine.seen += theirs.seen;
        }
    }
}

/// Counts them.
#[derive(Debug, Default)]
pub(super) struct GroupCells([[AtomicU64; 2]; 4]);

impl GroupCells {
    pub(super) fn told(&self, arm: Arm, member: bool, positive: bool) {
        let [positives, seen] = &self.0[2 * usize::from(arm == Arm::Treated) + usize::from(!member)];
        positives.fetch_add(u64::from(positive), Relaxed);
        seen.fetch_add(1, Relaxed);
    }

    pub(super) fn read(&self) -> Groups {
        let mut groups = Groups::default();
        for (side, [positives, seen]) in groups.sides().into_iter().zip(&self.0) {
            *side = Side { positive: positives.load(Relaxed), seen: seen.load(Relaxed) };
        }
        groups
    }
}

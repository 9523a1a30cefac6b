//! Who is treated: units, layers, shares.

use crate::{
    draw::{Draw, UnitHash},
    scenario::{Exposure, ExpressionError, RequestView},
    unit::Share,
};

/// Which side a unit is on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Arm {
    /// Faults may act.
    Treated,
    /// Nothing acts; what this arm sees is the comparison.
    Control,
}

impl Arm {
    /// As metrics and evidence name it.
    pub const fn name(self) -> &'static str {
        match self {
            Arm::Treated => "treated",
            Arm::Control => "control",
        }
    }
}

/// The side of one request, and what it was decided from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Assignment {
    /// The side.
    pub arm: Arm,
    /// Hash of the unit.
    pub unit: UnitHash,
    draw: Draw,
}

impl Assignment {
    /// Assigns a unit. The same unit under the same seed and layer is always on the same side, and a larger
    /// share only adds units, it never swaps them.
    pub fn of(exposure: &Exposure, unit: UnitHash) -> Assignment {
        let draw = exposure.key.draw(unit, 0);
        let arm = if draw.within(exposure.share) { Arm::Treated } else { Arm::Control };
        Assignment { arm, unit, draw }
    }

    /// Is this unit among the `share` that gets a fault with a share of its own?
    pub fn gets(&self, share: Share) -> bool {
        self.arm == Arm::Treated && self.draw.within(share)
    }
}

/// Assigns a request; `request_id` is its own identity, used when the scenario names no unit.
///
/// `Ok(None)`: the request has no unit (the header that names it is missing), so it belongs to no arm.
pub fn assign(
    exposure: &Exposure,
    request: RequestView<'_>,
    request_id: UnitHash,
) -> Result<Option<Assignment>, ExpressionError> {
    let unit = match &exposure.unit {
        Some(expression) => expression.evaluate(request, UnitHash::of)?,
        None => Some(request_id),
    };
    Ok(unit.map(|unit| Assignment::of(exposure, unit)))
}

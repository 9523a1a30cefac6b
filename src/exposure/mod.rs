//! Who is treated: units, layers, shares.
//!
//! A decision is a pure function of the plan, the unit and (for segments) the request; no two places have to talk to
//! agree. The rules, strongest first:
//!
//! | rule | decides for | says |
//! | --- | --- | --- |
//! | hold-out | units whose draw under the rule `holdout` is within the share that no scenario touches | control |
//! | `never` | the units listed | control |
//! | `always` | the units listed | treated |
//! | the first segment that holds | requests that its condition matches | treated within the segment's share |
//! | `share` | all others | treated within the share |
//!
//! A unit has one draw per scenario (or per layer), against which every share is a threshold: `from <= draw < from +
//! share`. A larger share therefore only adds units. A phase with a share of its own is one more threshold on the same
//! draw ([`Assignment::in_phase`]): 1%, 5%, 25% treat ever more units, and nobody changes sides on the way. The group of a treated unit is its draw number 1 under the same
//! key. The hold-out is drawn under a key of its own with seed 0, so that it is the same units for every scenario and
//! independent of each one's choice.

#[cfg(test)]
mod tests;

use std::sync::LazyLock;

use crate::{
    draw::{Draw, Key, UnitHash},
    scenario::{Exposure, ExpressionError, Injection, Phase, Release, RequestView, Version, Versions},
    unit::Share,
};

/// The draw that a unit's group goes by.
const GROUP: u64 = 1;

/// Rule of the hold-out's draw, under seed 0.
pub const HOLDOUT: &str = "holdout";

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

/// The rule that decided about a unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Rule {
    /// No scenario touches it.
    Holdout,
    /// It is listed under `never`.
    Never,
    /// It is listed under `always`.
    Always,
    /// The segment with this number.
    Segment(usize),
    /// The share of the rest.
    Share,
}

/// The side of one request, and what it was decided from.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Assignment {
    /// The side.
    pub arm: Arm,
    /// Hash of the unit.
    pub unit: UnitHash,
    /// What decided.
    pub rule: Rule,
    /// Number of its group, if the treated are split.
    pub group: Option<usize>,
    draw: Draw,
    from: Share,
}

impl Assignment {
    /// Assigns a unit that is in no segment. The same unit under the same key is always on the same side, and a larger
    /// share only adds units, it never swaps them. `holdout` is that of the place, which counts if it is
    /// larger than the exposure's own.
    pub fn of(exposure: &Exposure, holdout: Share, unit: UnitHash) -> Assignment {
        Assignment::in_segment(exposure, holdout, unit, None)
    }

    fn in_segment(exposure: &Exposure, holdout: Share, unit: UnitHash, segment: Option<usize>) -> Assignment {
        let draw = exposure.key.draw(unit, 0);
        let within = |share| Assignment::within(draw, exposure.from, share);
        let (rule, treated) = match Rule::certain(exposure, holdout, unit) {
            Some(rule) => (rule, rule == Rule::Always),
            None => match segment.and_then(|number| Some((number, exposure.segments.get(number)?))) {
                Some((number, segment)) => (Rule::Segment(number), within(segment.share)),
                None => (Rule::Share, within(exposure.share)),
            },
        };
        let arm = if treated { Arm::Treated } else { Arm::Control };
        let group = match exposure.groups.as_slice() {
            [] => None,
            groups => {
                let draw = exposure.key.draw(unit, GROUP);
                groups.iter().position(|group| draw.within(group.until))
            }
        };
        Assignment { arm, unit, rule, group, draw, from: exposure.from }
    }

    fn within(draw: Draw, from: Share, share: Share) -> bool {
        let until = from.plus(share).unwrap_or(Share::ALL);
        draw.within(until) && !draw.within(from)
    }

    /// The same unit in a phase, which may treat fewer units than the exposure does: those whose draw is within the
    /// phase's share too, whatever rule decided, and those that are `always` treated. A share of 0% treats nobody.
    #[must_use]
    pub fn in_phase(mut self, phase: &Phase) -> Assignment {
        if let Some(share) = phase.share
            && (share == Share::NONE || !self.gets(share))
        {
            self.arm = Arm::Control;
        }
        self
    }

    /// The version that it has in a release, if it has any.
    pub fn version(self, release: &Release) -> Option<&Version> {
        match (&release.versions, self.arm) {
            (Versions::Arms { baseline, .. }, Arm::Control) => Some(baseline),
            (Versions::Arms { candidate, .. }, Arm::Treated) => Some(candidate),
            (Versions::Groups(versions), Arm::Treated) => versions.get(self.group?),
            (Versions::Groups(_), Arm::Control) => None,
        }
    }

    /// Is this unit among the `share` that gets a fault with a share of its own?
    pub fn gets(&self, share: Share) -> bool {
        self.arm == Arm::Treated
            && (self.rule == Rule::Always || Assignment::within(self.draw, self.from, share))
    }

    /// Does an injection act on this unit, by its share and its group?
    pub fn is_in(&self, injection: &Injection) -> bool {
        injection.for_group.is_none_or(|group| self.group == Some(group)) && self.gets(injection.share)
    }

    /// May nothing touch it, even if it asks?
    pub fn is_denied(&self) -> bool {
        matches!(self.rule, Rule::Holdout | Rule::Never)
    }

    /// The draw that shares were compared with.
    pub const fn draw(&self) -> Draw {
        self.draw
    }
}

impl Rule {
    /// What decides without a look at the request, if anything does.
    fn certain(exposure: &Exposure, holdout: Share, unit: UnitHash) -> Option<Rule> {
        let holdout = if holdout > exposure.holdout { holdout } else { exposure.holdout };
        let listed = |units: &[UnitHash]| units.binary_search(&unit).is_ok();
        if is_held_out(unit, holdout) {
            Some(Rule::Holdout)
        } else if listed(&exposure.never) {
            Some(Rule::Never)
        } else if listed(&exposure.always) {
            Some(Rule::Always)
        } else {
            None
        }
    }
}

/// Is a unit among those that no scenario touches?
pub fn is_held_out(unit: UnitHash, holdout: Share) -> bool {
    holdout > Share::NONE && holdout_draw(unit).within(holdout)
}

/// The draw that a hold-out is compared with.
pub fn holdout_draw(unit: UnitHash) -> Draw {
    static KEY: LazyLock<Key> = LazyLock::new(|| Key::new(0, HOLDOUT));
    KEY.draw(unit, 0)
}

/// Assigns a request; `request_id` is its own identity, used when the scenario names no unit. `holdout` as in
/// [`Assignment::of`].
///
/// `Ok(None)`: the request has no unit (the header that names it is missing), so it belongs to no arm.
///
/// # Errors
/// If the unit's expression, or a segment's condition, fails on this request.
pub fn assign(
    exposure: &Exposure,
    holdout: Share,
    request: RequestView<'_>,
    request_id: UnitHash,
) -> Result<Option<Assignment>, ExpressionError> {
    let unit = match &exposure.unit {
        Some(expression) => expression.evaluate(request, UnitHash::of)?,
        None => Some(request_id),
    };
    unit.map(|unit| assign_unit(exposure, holdout, request, unit)).transpose()
}

/// Assigns a unit that is known; the request tells its segment.
///
/// # Errors
/// If a segment's condition fails on this request.
pub fn assign_unit(
    exposure: &Exposure,
    holdout: Share,
    request: RequestView<'_>,
    unit: UnitHash,
) -> Result<Assignment, ExpressionError> {
    let mut decided = None;
    if !exposure.segments.is_empty() && Rule::certain(exposure, holdout, unit).is_none() {
        for (number, segment) in exposure.segments.iter().enumerate() {
            if segment.when.matches(request)? {
                decided = Some(number);
                break;
            }
        }
    }
    Ok(Assignment::in_segment(exposure, holdout, unit, decided))
}

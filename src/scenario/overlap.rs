//! Do two scenarios of one layer keep apart?
//!
//! Nobody coordinates slices: each scenario says which part of its layer it takes. Where two are known at once (checked
//! together, armed together), it can be told whether they could ever touch the same unit.

use std::fmt;

use super::{
    check::path,
    plan::{Exposure, Plan},
    problem::Problem,
    source::{Diagnostic, Source},
    tree::Node,
};
use crate::unit::Share;

/// Why two scenarios of one layer may share units.
#[derive(Debug, Clone, PartialEq)]
pub enum Overlap {
    /// Their slices, each from a share to a share, have a part in common.
    Slices([(Share, Share); 2]),
    /// They don't draw alike (one has no `from`, and so draws by its own seed), so that their slices mean different
    /// units.
    Draws,
    /// They name their units by different expressions.
    Units,
}

/// Could two exposures treat one unit although they are in one layer? `None` if they can't, or are in different
/// layers.
pub fn overlap(one: &Exposure, other: &Exposure) -> Option<Overlap> {
    if one.layer.is_none() || one.layer != other.layer {
        return None;
    }
    if one.key != other.key {
        return Some(Overlap::Draws);
    }
    let slice = |of: &Exposure| (of.from, of.from.plus(of.widest()).unwrap_or(Share::ALL));
    let (mine, theirs) = (slice(one), slice(other));
    if mine.0 < theirs.1 && theirs.0 < mine.1 {
        return Some(Overlap::Slices([mine, theirs]));
    }
    let unit = |of: &Exposure| of.unit.as_ref().map(|unit| unit.text().to_owned());
    (unit(one) != unit(other)).then_some(Overlap::Units)
}

impl fmt::Display for Overlap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Overlap::Slices([(a, b), (c, d)]) => {
                write!(f, "one has {a} to {b} of the layer, the other {c} to {d}")
            }
            Overlap::Draws => f.write_str("they don't draw alike: each needs a `from`"),
            Overlap::Units => f.write_str("they name different units: each needs the same `unit`"),
        }
    }
}

/// What is wrong with a scenario beside another that is known to be used with it: they have slices of one layer, and
/// may share units. Scenarios that name a layer and no slice take turns, and are fine.
pub fn check_beside(plan: &Plan, source: &Source, other: &Plan, name: &str) -> Option<Diagnostic> {
    let sliced = |plan: &Plan| plan.document.exposure.from.is_some();
    let why = overlap(&plan.exposure, &other.exposure).filter(|_| sliced(plan) || sliced(other))?;
    let layer = plan.exposure.layer.as_deref().unwrap_or_default();
    let at = path(["exposure", if sliced(plan) { "from" } else { "layer" }]);
    let message = format!("this scenario and `{name}` may share units of the layer `{layer}`: {why}");
    let problem = Problem::at(at, message).at_key().label("overlaps");
    let problem = problem.help("give each a slice of its own with `from` and `share`, or another layer");
    problem.place(source, &Node::parse(source).ok()?)
}

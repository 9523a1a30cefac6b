//! The mix of predicted labels, and how it differs between a group and the others.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    Arms, LABEL_SHIFT, LABELS, LEVEL,
    shares::{effect, proportions},
};
use crate::{
    event::Effect,
    evidence::{Groups, Side},
    stats,
};

impl Arms<'_> {
    /// Total variation distance, with its interval and the p of χ².
    pub(in crate::verify) fn label_shift(&self) -> Option<Effect> {
        moved(LABEL_SHIFT, &self.control.labels, &self.treated.labels)
    }

    /// Population stability index, without its finite-sample bias.
    pub(in crate::verify) fn label_psi(&self) -> Option<Effect> {
        let (control, treated) = aligned(&self.control.labels, &self.treated.labels)?;
        let index = stats::unbiased_psi(&control, &treated, LEVEL)?;
        Some(effect("label distribution (PSI)", "", 0.0, index.estimate, Some(index)))
    }

    /// The share of each predicted label.
    pub(in crate::verify) fn label_shares(&self) -> Vec<Effect> {
        let (control, treated) = (&self.control.labels, &self.treated.labels);
        let mut seen: BTreeMap<&String, u64> = BTreeMap::new();
        control.iter().chain(treated).for_each(|(label, count)| *seen.entry(label).or_default() += count);
        let mut labels: Vec<(&String, u64)> = seen.into_iter().collect();
        labels.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
        labels.truncate(LABELS);
        labels.sort();
        let of = |arm: &BTreeMap<String, u64>, label: &String| {
            (arm.get(label).copied().unwrap_or(0), arm.values().sum::<u64>())
        };
        let share = |(label, _): (&String, u64)| {
            proportions(&format!("share of `{label}`"), of(control, label), of(treated, label))
        };
        labels.into_iter().filter_map(share).collect()
    }
}

/// Total variation distance of two mixes of named things, with its interval and the p of χ².
pub(in crate::verify) fn moved(
    measure: &str,
    control: &BTreeMap<String, u64>,
    treated: &BTreeMap<String, u64>,
) -> Option<Effect> {
    let (control, treated) = aligned(control, treated)?;
    let apart = stats::total_variation_interval(&control, &treated, LEVEL)?;
    let p = stats::chi_squared(&control, &treated, stats::FEWEST_EXPECTED).map(|test| test.p);
    Some(Effect { p, ..effect(measure, "share", 0.0, apart.estimate, Some(apart)) })
}

/// Counts by name, in the same order for both; `None` where one has none.
fn aligned(control: &BTreeMap<String, u64>, treated: &BTreeMap<String, u64>) -> Option<(Vec<u64>, Vec<u64>)> {
    let names = control.keys().chain(treated.keys()).collect::<BTreeSet<_>>();
    let counts = |arm: &BTreeMap<String, u64>| -> Vec<u64> {
        names.iter().map(|name| arm.get(*name).copied().unwrap_or(0)).collect()
    };
    let (control, treated) = (counts(control), counts(treated));
    (control.iter().sum::<u64>() > 0 && treated.iter().sum::<u64>() > 0).then_some((control, treated))
}

/// The gap between the others' rate of positives and the group's.
pub(in crate::verify) fn gap(groups: &Groups) -> Option<Effect> {
    let side = |side: Side| (side.positive, side.seen);
    let (control, treated) = (groups.control, groups.treated);
    let control = stats::difference_of_proportions(side(control.group), side(control.others), LEVEL)?;
    let treated = stats::difference_of_proportions(side(treated.group), side(treated.others), LEVEL)?;
    let grew = stats::difference_of_differences(control, treated);
    Some(effect("parity gap", "share", control.estimate, treated.estimate, Some(grew)))
}

/// The group's rate of positives.
pub(in crate::verify) fn positives(groups: &Groups) -> Option<Effect> {
    let side = |side: Side| (side.positive, side.seen);
    proportions("positives in the group", side(groups.control.group), side(groups.treated.group))
}

/// The gap that there is without the fault.
pub(in crate::verify) fn control_gap(groups: &Groups) -> Option<f64> {
    let Groups { control, .. } = groups;
    Some(rate(control.others)? - rate(control.group)?)
}

/// The group's rate of positives without the fault.
pub(in crate::verify) fn control_positives(groups: &Groups) -> Option<f64> {
    rate(groups.control.group)
}

fn rate(side: Side) -> Option<f64> {
    (side.seen > 0).then(|| side.positive as f64 / side.seen as f64)
}

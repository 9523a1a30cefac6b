//! The mix of predicted labels, and how it differs between a group and the others.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    Arms, LABEL_SHIFT, LABELS, LEVEL,
    shares::{effect, proportions},
};
use crate::{
    event::Effect,
    evidence::{Groups, OTHER_LABEL, Side},
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
        labels.retain(|(label, _)| told_apart(control, treated, label));
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

/// Was it counted by its name on both sides? Where names were too many, one that a side does not know may be among its
/// others.
fn told_apart(control: &BTreeMap<String, u64>, treated: &BTreeMap<String, u64>, name: &str) -> bool {
    let cut = control.contains_key(OTHER_LABEL) || treated.contains_key(OTHER_LABEL);
    !cut || (control.contains_key(name) && treated.contains_key(name))
}

/// Counts by name, in the same order for both; `None` where one has none. Names that are not told apart count as
/// others.
fn aligned(control: &BTreeMap<String, u64>, treated: &BTreeMap<String, u64>) -> Option<(Vec<u64>, Vec<u64>)> {
    let under = |name: &str| -> String {
        if told_apart(control, treated, name) { name } else { OTHER_LABEL }.to_owned()
    };
    let names = control.keys().chain(treated.keys()).map(|name| under(name)).collect::<BTreeSet<_>>();
    let counts = |arm: &BTreeMap<String, u64>| -> Vec<u64> {
        let mut counts: BTreeMap<String, u64> = names.iter().map(|name| (name.clone(), 0)).collect();
        arm.iter().for_each(|(name, n)| *counts.entry(under(name)).or_default() += n);
        counts.into_values().collect()
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_labels_than_are_told_apart_do_not_look_like_a_shift() {
        // 200 classes alike, of which each side knows 128 by name, not the same.
        let side = |first: u64| {
            let mut all: BTreeMap<String, u64> = BTreeMap::new();
            for class in 0..200 {
                let place = (class + first) % 200;
                let name = if place < 128 { format!("c{class}") } else { OTHER_LABEL.to_owned() };
                *all.entry(name).or_default() += 25;
            }
            all
        };
        let (control, treated) = (side(0), side(60));
        let shift = moved(LABEL_SHIFT, &control, &treated).unwrap();
        assert!(shift.treated < 1e-9 && shift.p.unwrap() > 0.9, "{shift:?}");
        assert!(
            moved(LABEL_SHIFT, &control, &BTreeMap::from([("c1".to_owned(), 100)])).unwrap().treated > 0.9
        );
    }
}

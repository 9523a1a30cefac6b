//! The reference detectors of a run: one for each phase that injects, put beside the alerts that should fire in it.

use std::collections::{BTreeMap, btree_map::Entry};

use super::conductor::LOOK;
use crate::{
    clock,
    event::{Asked, Outcome},
    evidence::Evidence,
    scenario::Plan,
    verify::{MonitorFacts, ReferenceWatch, Waits, Window},
};

#[derive(Debug, Default)]
pub(super) struct References(BTreeMap<usize, ReferenceWatch>);

impl References {
    /// Lets the one of the phase that runs look.
    pub(super) fn look(&mut self, plan: &Plan, windows: &[Window], evidence: &Evidence) {
        let Some((index, window)) = windows.iter().enumerate().next_back() else { return };
        let Some(seen) = evidence.phases.get(index).filter(|_| window.ended.is_none()) else { return };
        let watch = match self.0.entry(index) {
            Entry::Occupied(watch) => watch.into_mut(),
            Entry::Vacant(place) => {
                let Some(watch) = ReferenceWatch::begin(plan, index, evidence, LOOK) else { return };
                place.insert(watch)
            }
        };
        watch.look(clock::now().since(window.started), &seen.everybody());
    }

    /// An outcome of a phase, beside what was noticed in it.
    pub(super) fn beside(
        &self,
        index: usize,
        mut outcome: Outcome,
        monitors: &BTreeMap<String, MonitorFacts>,
    ) -> Outcome {
        let watch = self.0.get(&index).filter(|_| outcome.asked == Asked::Fires);
        outcome.reference = watch.map(|watch| {
            let monitor = outcome.monitor.as_ref().and_then(|name| monitors.get(name));
            let mut rules = monitor.iter().flat_map(|monitor| monitor.rules.iter().flatten());
            let rule = rules.find(|rule| rule.alert == outcome.subject);
            let waits = Waits {
                scrape: monitor.and_then(|monitor| monitor.scrape_interval).unwrap_or_default(),
                evaluation: rule.and_then(|rule| rule.interval).unwrap_or_default(),
            };
            watch.beside(&outcome, waits)
        });
        outcome
    }
}

//! What callers saw in the last seconds, and which limits it breaks.

use std::collections::VecDeque;

use crate::{
    clock::Timestamp,
    evidence::{ArmEvidence, Evidence},
    scenario::{Observed, Whose},
    unit::Comparison,
};

/// What an `observed` guard looks at.
const WINDOW_S: f64 = 10.0;
/// It says nothing about fewer requests.
const FEWEST: u64 = 20;

/// What both arms saw since arming.
#[derive(Debug, Default)]
struct Arms {
    treated: ArmEvidence,
    control: ArmEvidence,
    /// All callers; what shadows were answered (then the treated) is not theirs.
    callers: ArmEvidence,
}

/// The readings of the last seconds.
#[derive(Debug, Default)]
pub(super) struct Recent(VecDeque<(Timestamp, Arms)>);

impl Recent {
    /// Something was armed: until now nobody saw anything.
    pub(super) fn begin(&mut self, at: Timestamp) {
        self.push(at, &Evidence::default());
    }

    /// Adds a reading and forgets those that are too old.
    pub(super) fn push(&mut self, at: Timestamp, evidence: &Evidence) {
        let mut arms = Arms::default();
        for phase in &evidence.phases {
            arms.treated.merge(&phase.treated);
            arms.control.merge(&phase.control);
            arms.callers.merge(&phase.everybody());
        }
        self.0.push_back((at, arms));
        while self.0.get(1).is_some_and(|(old, _)| at.since(*old) >= WINDOW_S) {
            self.0.pop_front();
        }
    }

    /// Does the window break a limit? Then which, and what was read.
    pub(super) fn breaks(&self, limits: &Observed) -> Option<String> {
        let (first, last) = (&self.0.front()?.1, &self.0.back()?.1);
        let treated = last.treated.since(&first.treated);
        let control = last.control.since(&first.control);
        let measure = |read: &dyn Fn(&ArmEvidence) -> Option<f64>| {
            let enough = |arm: &ArmEvidence| (arm.requests() >= FEWEST).then(|| read(arm)).flatten();
            match limits.of {
                Whose::Everybody => enough(&last.callers.since(&first.callers)),
                Whose::Treated => enough(&treated),
                Whose::Control => enough(&control),
                Whose::Difference => Some(enough(&treated)? - enough(&control)?),
            }
        };
        let of = match limits.of {
            Whose::Everybody => "",
            Whose::Treated => " of the treated",
            Whose::Control => " of the control group",
            Whose::Difference => ", treated minus control,",
        };
        let read = |name: &str, limit: Option<&Comparison>, value: &dyn Fn(&ArmEvidence) -> Option<f64>| {
            let limit = limit?;
            let value = measure(value)?;
            limit
                .holds(value)
                .then(|| format!("{name}{of} was {value:.3} over the last {WINDOW_S} s (limit {limit})"))
        };
        let quantile = limits.latency.as_ref().map_or(0.0, |latency| latency.quantile.fraction());
        let name = format!(
            "{} latency in seconds",
            limits.latency.as_ref().map(|l| l.quantile.to_string()).unwrap_or_default()
        );
        read("error rate", limits.error_rate.as_ref(), &ArmEvidence::error_share)
            .or_else(|| {
                read("p99 latency in seconds", limits.latency_p99.as_ref(), &|arm| arm.latency.quantile(0.99))
            })
            .or_else(|| {
                let limit = limits.latency.as_ref().map(|latency| &latency.limit);
                read(&name, limit, &|arm| arm.latency.quantile(quantile))
            })
    }
}

//! One number and one exit code for a run.

use super::of_phase;
use crate::event::{Asked, Delivery, Ending, Outcome, Verdict};

/// Share of delivered faults that were detected in time: of the phases whose faults were delivered and that
/// expect an alert, those where every such alert fired in time. Phases where that can't be told are left out.
/// `None` when no phase is left.
pub fn score(outcomes: &[Outcome], deliveries: &[Delivery]) -> Option<f64> {
    let mut phases: Vec<&str> = deliveries.iter().map(|delivery| delivery.phase.as_str()).collect();
    phases.dedup();
    let told: Vec<bool> =
        phases.into_iter().filter_map(|phase| detected(phase, outcomes, deliveries)).collect();
    let in_time = told.iter().filter(|detected| **detected).count();
    (!told.is_empty()).then(|| in_time as f64 / told.len() as f64)
}

/// Was the fault of a phase detected in time, by every alert that should fire? `None` where it was not delivered, where
/// nothing should fire, and where that can't be told.
pub(super) fn detected(phase: &str, outcomes: &[Outcome], deliveries: &[Delivery]) -> Option<bool> {
    let mut here = of_phase(deliveries, phase).peekable();
    let delivered = here.peek().is_some() && here.all(|delivery| delivery.delivered.took_effect());
    let fires = || outcomes.iter().filter(|o| o.phase == phase && o.asked == Asked::Fires);
    let told = fires().count() > 0 && fires().all(|outcome| outcome.verdict != Verdict::Inconclusive);
    (delivered && told).then(|| fires().all(|outcome| outcome.verdict == Verdict::Met))
}

/// 0 all met; 1 the monitoring fell short; 3 inconclusive; 4 ended by a guard, or not permitted any more; 130 interrupted.
pub fn exit_code(outcomes: &[Outcome], ending: Ending) -> u8 {
    match ending {
        Ending::Guard | Ending::Withdrawn => return 4,
        Ending::Interrupted => return 130,
        Ending::Completed | Ending::Failed => {}
    }
    let any = |wanted: fn(Verdict) -> bool| outcomes.iter().any(|outcome| wanted(outcome.verdict));
    if any(|v| matches!(v, Verdict::Late | Verdict::Missed | Verdict::FalseAlarm | Verdict::Stuck)) {
        1
    } else if ending == Ending::Failed || any(|v| v == Verdict::Inconclusive) {
        3
    } else {
        0
    }
}

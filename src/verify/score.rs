//! One number and one exit code for a run.

use crate::event::{Asked, Delivery, Ending, Outcome, Verdict};

/// Share of delivered faults that were detected in time: of the phases whose faults were delivered and that
/// expect an alert, those where every such alert fired in time. Phases where that can't be told are left out.
/// `None` when no phase is left.
pub fn score(outcomes: &[Outcome], deliveries: &[Delivery]) -> Option<f64> {
    let mut phases: Vec<&str> = deliveries.iter().map(|delivery| delivery.phase.as_str()).collect();
    phases.dedup();
    let delivered =
        |phase: &str| deliveries.iter().filter(|d| d.phase == phase).all(|d| d.delivered.took_effect());
    let (mut faults, mut detected) = (0_u32, 0_u32);
    for phase in phases.into_iter().filter(|phase| delivered(phase)) {
        let asked = outcomes.iter().filter(|o| o.phase == phase && o.asked == Asked::Fires);
        let told = asked.clone().all(|outcome| outcome.verdict != Verdict::Inconclusive);
        if told && asked.clone().count() > 0 {
            faults += 1;
            detected += u32::from(asked.clone().all(|outcome| outcome.verdict == Verdict::Met));
        }
    }
    (faults > 0).then(|| f64::from(detected) / f64::from(faults))
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

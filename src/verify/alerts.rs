//! What the lives of alerts say about a window of time.

use crate::{
    clock::Timestamp,
    event::{AlertState, Measured},
    monitor::Life,
};

/// When a life began to be true: pending where the source tells, else firing.
pub(super) fn began(life: &Life) -> Option<(Timestamp, f64)> {
    [life.pending, life.firing].into_iter().flatten().min_by(|a, b| a.0.unix_s().total_cmp(&b.0.unix_s()))
}

/// When a life began to fire, heard or not.
pub(super) fn fired(life: &Life) -> Option<(Timestamp, f64)> {
    life.firing.or_else(|| life.suppressed.map(|(_, at)| (at, 0.0)))
}

/// Was it true at a moment already (beyond the uncertainty of its times)?
pub(super) fn true_before(life: &Life, moment: Timestamp) -> bool {
    let earlier = began(life).is_some_and(|(at, uncertainty)| at.plus_s(uncertainty).since(moment) < 0.0);
    let over = life.ended.is_some_and(|(at, _)| at.since(moment) <= 0.0);
    earlier && !over
}

/// Did it begin to fire within a window (within the uncertainty of its times)?
pub(super) fn fired_within(life: &Life, from: Timestamp, to: Timestamp) -> bool {
    fired(life).is_some_and(|(at, u)| at.plus_s(u).since(from) >= 0.0 && at.plus_s(-u).since(to) <= 0.0)
}

/// The span from a moment to a time with its uncertainty; never below zero.
pub(super) fn measured(from: Timestamp, (at, uncertainty_s): (Timestamp, f64)) -> Measured {
    Measured { seconds: at.since(from).max(0.0), uncertainty_s }
}

/// How a suppressed state is called.
pub(super) fn suppressed_word(state: AlertState) -> &'static str {
    match state {
        AlertState::Inhibited => "inhibited by another alert",
        _ => "silenced",
    }
}

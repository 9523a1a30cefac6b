//! Which faults on predictions contradict each other in one phase.
//!
//! Faults compose in their stated order, and most do so well: a mislabelled prediction can be quantised too. But two that
//! each promise one and the same measure can't both keep their word, and what one holds still the other can't move.

use super::Fault;
use crate::unit::Share;

/// The measure that a fault promises by solving for it.
fn promises(fault: &Fault) -> Option<&'static str> {
    Some(match fault {
        Fault::AccuracyDrop(_) | Fault::TargetConfusion(_) => "confusion",
        Fault::LabelShift(_) => "mix of predictions",
        Fault::PriorShift(_) | Fault::Miscalibrate(_) => "distribution of scores",
        _ => return None,
    })
}

/// The group whose rate of positives a fault solves for.
fn group(fault: &Fault) -> Option<&str> {
    match fault {
        Fault::ParityGap(_) | Fault::OpportunityGap(_) => fault.behaviour().group(),
        _ => None,
    }
}

/// Does a fault move the distribution of scores as a whole, by steps of its own?
fn tilts(fault: &Fault) -> bool {
    matches!(fault, Fault::ScoreShift(_) | Fault::FeedbackLoop(_))
}

/// Does a fault solve for the distribution of scores?
fn solves_scores(fault: &Fault) -> bool {
    matches!(fault, Fault::PriorShift(_) | Fault::Miscalibrate(_))
}

/// Does a fault ask another upstream in the place of every, or of some, requests?
fn routes(fault: &Fault) -> bool {
    matches!(fault, Fault::StaleModel(stale) if stale.upstream.is_some())
}

/// Does every prediction stay at one value under this fault?
fn holds_all(fault: &Fault) -> bool {
    matches!(fault, Fault::Freeze(freeze) if freeze.rate == Share::ALL && freeze.every.is_none())
}

/// Does a fault move classes or scores by their value?
fn moves(fault: &Fault) -> bool {
    let directly = matches!(
        fault,
        Fault::Mislabel(_)
            | Fault::Swap(_)
            | Fault::ParityGap(_)
            | Fault::OpportunityGap(_)
            | Fault::ConceptDrift(_)
            | Fault::LowMargin(_)
            | Fault::ScoreShift(_)
            | Fault::FeedbackLoop(_)
            | Fault::Regression(_)
    );
    directly || promises(fault).is_some()
}

/// Why two faults can't act in one phase, as far as that is about predictions.
pub(super) fn between(one: &Fault, other: &Fault) -> Option<&'static str> {
    let either = |a: fn(&Fault) -> bool, b: fn(&Fault) -> bool| (a(one) && b(other)) || (a(other) && b(one));
    if promises(one).is_some() && promises(one) == promises(other) {
        return Some("both solve for the same measure, and neither would reach it");
    }
    if group(one).is_some() && group(one) == group(other) {
        return Some("both solve for the same group's rate of positives, and neither would reach it");
    }
    if either(|fault| group(fault).is_some(), |fault| matches!(fault, Fault::LabelShift(_))) {
        return Some("one fixes the mix of predictions, the other moves a group's part of it");
    }
    if either(tilts, solves_scores) {
        return Some("one solves for the distribution of scores, the other moves it on");
    }
    if routes(one) && routes(other) && (one.rate() == Share::ALL || other.rate() == Share::ALL) {
        return Some("a request is answered by one model, and one of them takes every request");
    }
    if either(|fault| matches!(fault, Fault::Swap(_)), |fault| matches!(fault, Fault::LabelShift(_))) {
        return Some("one keeps the mix of predictions as it is, the other moves it");
    }
    either(holds_all, moves).then_some("a prediction that is always the same can't move")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fault::testing::parse;

    #[test]
    fn contradictions_are_told_both_ways() {
        let drop = "{ accuracy-drop: { drop: 5%, accuracy: 90% } }";
        let (psi, heat) = ("{ prior-shift: { psi: 0.2 } }", "{ miscalibrate: { temperature: 0.5 } }");
        let (swap, mix) = ("{ swap: { between: [a, b], rate: 5% } }", "{ label-shift: { to: { a: 100% } } }");
        let parity = "{ parity-gap: { group: 'features[0] > 65', gap: 10%, positive: a, negative: b } }";
        let young = "{ parity-gap: { group: 'features[0] < 25', gap: 10%, positive: a, negative: b } }";
        let recall = "{ opportunity-gap: { group: 'features[0] > 65', gap: 10%, true-positive-rate: 80%, positive: a, negative: b } }";
        let tilt = "{ score-shift: { delta: 1.0 } }";
        let (old, part) =
            ("{ stale-model: { upstream: old } }", "{ stale-model: { upstream: older, rate: 10% } }");
        let (frozen, half) = ("{ freeze: {} }", "{ freeze: { rate: 50% } }");
        for (one, other, contradict) in [
            (drop, drop, true),
            (psi, heat, true),
            (swap, mix, true),
            (frozen, drop, true),
            (frozen, swap, true),
            (half, drop, false),
            (drop, psi, false),
            (swap, swap, false),
            (parity, parity, true),
            (parity, recall, true),
            (parity, young, false),
            (parity, mix, true),
            (parity, drop, false),
            (psi, tilt, true),
            (tilt, heat, true),
            (tilt, tilt, false),
            (old, old, true),
            (old, part, true),
            (part, part, false),
            (old, "{ stale-model: { version: 41 } }", false),
            (frozen, "{ corrupt: { rate: 5%, with: nan } }", false),
            (frozen, "{ latency: { fixed: 5ms } }", false),
        ] {
            let (one, other) = (parse(one).unwrap(), parse(other).unwrap());
            assert_eq!(between(&one, &other).is_some(), contradict, "{one:?} {other:?}");
            assert_eq!(between(&one, &other), between(&other, &one));
        }
    }
}

//! What shadows answered beside what their callers got, in numbers for the report.

use super::delivery::LEVEL;
use crate::{
    event::Shadowed,
    evidence::{Evidence, ShadowEvidence},
    stats,
};

/// One for each phase that had shadows, or should have had some.
pub fn shadows(evidence: &Evidence) -> Vec<Shadowed> {
    let seen = |seen: &&ShadowEvidence| seen.pairs > 0 || !seen.left_out.is_empty();
    let phases = evidence.phases.iter();
    phases.filter_map(|phase| Some(shadowed(&phase.phase, phase.shadow.as_ref().filter(seen)?))).collect()
}

fn shadowed(phase: &str, seen: &ShadowEvidence) -> Shadowed {
    Shadowed {
        phase: phase.to_owned(),
        pairs: seen.pairs,
        left_out: seen.left_out.clone(),
        statuses: seen.statuses.clone(),
        latency_s: seen.latency_s.moments().and_then(|moments| stats::mean(moments, LEVEL)),
        predictions: seen.predictions,
        not_compared: seen.not_compared.clone(),
        relabelled_share: stats::proportion(seen.relabelled, seen.labelled, LEVEL),
        confusion: seen.confusion.clone(),
        score_difference: seen.scores.moments().and_then(|moments| stats::mean(moments, LEVEL)),
        largest_score_difference: (seen.scores.count > 0).then_some(seen.largest_score_difference),
    }
}

//! What a built-in rule measures in a window.

use crate::{
    evidence::{ArmEvidence, Evidence},
    scenario::{BuiltinRule, BuiltinSignal},
    stats::{Histogram, SCORE_BINS, psi},
    unit::Share,
};

/// Groups that scores are put into for the stability index: deciles of the reference, as is usual (Siddiqi,
/// *Credit Risk Scorecards*, 2006, ch. 9). Finer ones measure noise.
const SCORE_GROUPS: u64 = 10;

/// What a window says.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Measured {
    /// A number.
    Value(f64),
    /// Too little.
    TooFew,
    /// Nothing yet: the reference is still being taken.
    NotYet,
}

impl Measured {
    pub(super) fn value(self) -> Option<f64> {
        match self {
            Measured::Value(value) => Some(value),
            Measured::TooFew | Measured::NotYet => None,
        }
    }

    pub(super) fn has_data(self) -> Option<bool> {
        match self {
            Measured::Value(_) => Some(true),
            Measured::TooFew => Some(false),
            Measured::NotYet => None,
        }
    }
}

/// What everybody saw in the first phase.
#[derive(Debug)]
pub(super) struct Reference {
    evidence: ArmEvidence,
    /// Is it over? A later phase has been seen.
    complete: bool,
}

impl Reference {
    pub(super) fn of(evidence: &Evidence) -> Reference {
        let later = evidence.phases.iter().skip(1);
        Reference {
            evidence: evidence.phases.first().map(|phase| phase.everybody()).unwrap_or_default(),
            complete: later.map(|phase| phase.everybody().requests()).any(|requests| requests > 0),
        }
    }
}

pub(super) fn measure(rule: &BuiltinRule, window: &ArmEvidence, reference: &Reference) -> Measured {
    let gate = |n: u64| n >= rule.at_least.max(1);
    let value = |n: u64, value: Option<f64>| match value {
        Some(value) if gate(n) => Measured::Value(value),
        _ => Measured::TooFew,
    };
    let time = |seen: &Histogram, quantile: &Share| value(seen.count(), seen.quantile(quantile.fraction()));
    let labelled: u64 = window.labels.values().sum();
    match &rule.signal {
        BuiltinSignal::Latency(quantile) => time(&window.latency, quantile),
        BuiltinSignal::ErrorShare => value(window.requests(), window.error_share()),
        BuiltinSignal::LabelShare(label) => {
            let hits = window.labels.get(label).copied().unwrap_or(0);
            value(labelled, Some(hits as f64 / labelled as f64))
        }
        BuiltinSignal::DistinctPredictions => {
            value(labelled, Some(window.labels.values().filter(|count| **count > 0).count() as f64))
        }
        BuiltinSignal::InvalidShare => {
            let invalid: u64 = window.invalid.values().sum();
            value(window.predictions, Some(invalid as f64 / window.predictions as f64))
        }
        BuiltinSignal::TimeToFirstToken(quantile) => time(&window.text.time_to_first_token, quantile),
        BuiltinSignal::TimePerOutputToken(quantile) => time(&window.text.time_per_output_token, quantile),
        BuiltinSignal::FinishReasonShare(reason) => {
            let hits = window.text.finish_reasons.get(reason).copied().unwrap_or(0);
            value(window.text.answers, Some(hits as f64 / window.text.answers as f64))
        }
        BuiltinSignal::EmptyShare => {
            value(window.text.answers, Some(window.text.empty as f64 / window.text.answers as f64))
        }
        BuiltinSignal::PredictionPsi | BuiltinSignal::ScorePsi if !reference.complete => Measured::NotYet,
        BuiltinSignal::PredictionPsi => {
            let (expected, actual) = label_counts(&reference.evidence, window);
            let smaller = expected.iter().sum::<u64>().min(actual.iter().sum());
            value(smaller, Some(psi(&expected, &actual)))
        }
        BuiltinSignal::ScorePsi => {
            let smaller = reference.evidence.scores.count().min(window.scores.count());
            let (expected, actual) = score_counts(&reference.evidence.scores.bins, &window.scores.bins);
            value(smaller, Some(psi(&expected, &actual)))
        }
    }
}

/// Counts of every class that either side has.
fn label_counts(expected: &ArmEvidence, actual: &ArmEvidence) -> (Vec<u64>, Vec<u64>) {
    let mut labels: Vec<&String> = expected.labels.keys().chain(actual.labels.keys()).collect();
    labels.sort_unstable();
    labels.dedup();
    let count = |side: &ArmEvidence, label: &String| side.labels.get(label).copied().unwrap_or(0);
    labels.iter().map(|label| (count(expected, label), count(actual, label))).unzip()
}

/// Counts in neighbouring bins put together until each group holds a tenth of the reference.
fn score_counts(expected: &[u64; SCORE_BINS], actual: &[u64; SCORE_BINS]) -> (Vec<u64>, Vec<u64>) {
    let total: u64 = expected.iter().sum();
    let mut groups: Vec<(u64, u64)> = vec![(0, 0)];
    for (bin, other) in expected.iter().zip(actual) {
        if let Some(last) = groups.last_mut() {
            last.0 += bin;
            last.1 += other;
            if last.0 * SCORE_GROUPS >= total {
                groups.push((0, 0));
            }
        }
    }
    // What is left over at the end is no tenth.
    if groups.len() > 1
        && let Some((expected, actual)) = groups.pop()
        && let Some(last) = groups.last_mut()
    {
        last.0 += expected;
        last.1 += actual;
    }
    groups.into_iter().unzip()
}

/// The rule in words, in place of an expression.
pub(super) fn describe(rule: &BuiltinRule) -> String {
    let signal = match &rule.signal {
        BuiltinSignal::Latency(quantile) => format!("{quantile} quantile of latency"),
        BuiltinSignal::ErrorShare => "error share".to_owned(),
        BuiltinSignal::PredictionPsi => "PSI of predictions against the first phase".to_owned(),
        BuiltinSignal::ScorePsi => "PSI of scores against the first phase".to_owned(),
        BuiltinSignal::LabelShare(label) => format!("share of `{label}`"),
        BuiltinSignal::DistinctPredictions => "distinct predictions".to_owned(),
        BuiltinSignal::InvalidShare => "share of invalid predictions".to_owned(),
        BuiltinSignal::TimeToFirstToken(quantile) => format!("{quantile} quantile of time to first token"),
        BuiltinSignal::TimePerOutputToken(quantile) => {
            format!("{quantile} quantile of time per output token")
        }
        BuiltinSignal::FinishReasonShare(reason) => format!("share of finish reason `{reason}`"),
        BuiltinSignal::EmptyShare => "share of empty texts".to_owned(),
    };
    format!("{signal} {} over {}", rule.fires, rule.window)
}

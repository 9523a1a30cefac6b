//! A reading of the service view: plain data, for whoever encodes it.

use std::collections::BTreeMap;

use super::{DURATION_BOUNDS_S, TextKey, TextSeries};
use crate::{stats::SCORE_BINS, wire::Row};

/// Which side callers were on, as far as is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Arms {
    /// Faults may act.
    Treated,
    /// Nothing acts, or nothing is armed.
    Control,
    /// The exchange ended before a response told.
    Unknown,
}

impl Arms {
    /// As metrics name it.
    pub const fn name(self) -> &'static str {
        match self {
            Arms::Treated => "treated",
            Arms::Control => "control",
            Arms::Unknown => "unknown",
        }
    }
}

/// What tells one series of durations from another.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct DurationKey {
    /// The request's method; `_OTHER` if it is none of the standard ones.
    pub method: String,
    /// Template of the route, such as `/v2/models/{model}/infer`; `other` if it asks for no prediction.
    pub route: String,
    /// The status; 499 when the response did not pass whole.
    pub status: u16,
    /// The model that the path names; empty if none.
    pub model: String,
    /// The side.
    pub arm: Arms,
    /// The version in a release that is rehearsed; empty if none is.
    pub version: String,
}

/// Durations of requests.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Durations {
    /// Count in each bucket of [`DURATION_BOUNDS_S`], and beyond the last.
    pub buckets: [u64; DURATION_BOUNDS_S.len() + 1],
    /// Their sum in seconds.
    pub sum_s: f64,
}

/// What tells one count of predictions from another.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct PredictionKey {
    /// The model.
    pub model: String,
    /// The predicted class, or the reason why a prediction is invalid.
    pub label: String,
    /// The side.
    pub arm: Arms,
    /// The version in a release that is rehearsed; empty if none is.
    pub version: String,
}

/// What tells one series of scores from another.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct ScoreKey {
    /// The model.
    pub model: String,
    /// The side.
    pub arm: Arms,
    /// The version in a release that is rehearsed; empty if none is.
    pub version: String,
}

/// Highest score of each prediction.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ScoreReading {
    /// Count in each bin of 0.05, and above 1.
    pub bins: [u64; SCORE_BINS + 1],
    /// Their sum.
    pub sum: f64,
}

/// Embeddings: how many, and sums over them.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct EmbeddingReading {
    /// How many whose values are all finite.
    pub count: u64,
    /// Sum of their dimensions.
    pub dimensions: u64,
    /// Sum of their Euclidean norms.
    pub norms: f64,
}

/// A reading of the service view.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ViewSnapshot {
    /// Requests.
    pub durations: BTreeMap<DurationKey, Durations>,
    /// Predictions by class.
    pub predictions: BTreeMap<PredictionKey, u64>,
    /// Scores.
    pub scores: BTreeMap<ScoreKey, ScoreReading>,
    /// Embeddings.
    pub embeddings: BTreeMap<ScoreKey, EmbeddingReading>,
    /// Generated text.
    pub texts: BTreeMap<TextKey, TextSeries>,
    /// Predictions that are no usable value, by reason.
    pub invalid: BTreeMap<PredictionKey, u64>,
    /// Prediction responses that were not read, by reason.
    pub unread: BTreeMap<&'static str, u64>,
    /// Requests by the side that the armed plan put them on.
    pub exposed: BTreeMap<Arms, u64>,
}

impl Durations {
    /// How many.
    pub fn count(&self) -> u64 {
        self.buckets.iter().sum()
    }

    /// Adds another's counts.
    pub fn merge(&mut self, other: &Durations) {
        self.buckets.iter_mut().zip(other.buckets).for_each(|(a, b)| *a += b);
        self.sum_s += other.sum_s;
    }
}

impl EmbeddingReading {
    pub(super) fn record(&mut self, row: &Row) {
        let squares = row.scores.iter().map(|value| value.as_f64().map(|x| x * x));
        if let Some(sum) = squares.sum::<Option<f64>>().filter(|sum| sum.is_finite()) {
            self.count += 1;
            self.dimensions += row.scores.len() as u64;
            self.norms += sum.sqrt();
        }
    }

    /// Adds another's counts.
    pub fn merge(&mut self, other: &EmbeddingReading) {
        self.count += other.count;
        self.dimensions += other.dimensions;
        self.norms += other.norms;
    }
}

impl ScoreReading {
    /// How many.
    pub fn count(&self) -> u64 {
        self.bins.iter().sum()
    }

    pub(super) fn record(&mut self, score: f64) {
        let bin = (score * SCORE_BINS as f64).ceil() - 1.0;
        self.bins[(bin.max(0.0) as usize).min(SCORE_BINS)] += 1;
        self.sum += score;
    }

    /// Adds another's counts.
    pub fn merge(&mut self, other: &ScoreReading) {
        self.bins.iter_mut().zip(other.bins).for_each(|(a, b)| *a += b);
        self.sum += other.sum;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::Value;

    #[test]
    fn a_vector_counts_by_its_norm_and_its_dimensions_if_it_is_one() {
        let row =
            |values: &[f64]| Row { label: None, scores: values.iter().copied().map(Value::Float).collect() };
        let mut seen = EmbeddingReading::default();
        for values in [&[3.0, -4.0][..], &[0.0, 0.0, 0.0], &[1.0, f64::NAN], &[1.0, f64::INFINITY]] {
            seen.record(&row(values));
        }
        seen.record(&Row { label: None, scores: vec![Value::Float(1.0), Value::Null] });
        assert_eq!(seen, EmbeddingReading { count: 2, dimensions: 5, norms: 5.0 });
        let mut twice = seen;
        twice.merge(&seen);
        assert_eq!(twice, EmbeddingReading { count: 4, dimensions: 10, norms: 10.0 });
    }
}

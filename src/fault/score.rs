//! What the faults on scores share: probabilities of a row, steps in logit space, and a distribution of logits that
//! is learnt online.

use super::{
    estimate::{ENOUGH, Histogram},
    prediction::index_of,
};
use crate::wire::{Labels, Row, Value};

/// Logits beyond this count as certain; so far a step may go.
pub(super) const LARGEST: f64 = 20.0;
/// Bins of the PSI.
const QUANTILES: usize = 10;

/// The scores, if they are probabilities: one, or one for each class with a sum of 1 but for rounding.
pub(super) fn probabilities(row: &Row) -> Option<Vec<f64>> {
    let scores = row.scores.iter().map(Value::as_f64).collect::<Option<Vec<f64>>>()?;
    let rounding = (0.005 * scores.len() as f64).min(0.05);
    let fits = !scores.is_empty()
        && scores.iter().all(|p| (0.0..=1.0).contains(p))
        && (scores.len() == 1 || (scores.iter().sum::<f64>() - 1.0).abs() <= rounding);
    fits.then_some(scores)
}

/// Writes numbers over the scores of a row; `false` when they were the same.
pub(super) fn rewrite(row: &mut Row, before: &[f64], after: &[f64]) -> bool {
    let moved = before.iter().zip(after).zip(&mut row.scores).filter(|((b, a), _)| b != a);
    moved.map(|((_, p), score)| *score = Value::Float(*p)).count() > 0
}

/// The place of the class that moves: the named one, else the last (class 1 of a single score). `None` when the scores
/// have no such place.
pub(super) fn moving(scores: &[f64], class: Option<&str>, labels: &Labels) -> Option<usize> {
    let places = scores.len().max(2);
    match class {
        Some(name) => index_of(name, labels).filter(|index| *index < places),
        None => Some(places - 1),
    }
}

/// The probability at a place; a single score is that of class 1.
pub(super) fn at(scores: &[f64], place: usize) -> Option<f64> {
    match (scores, place) {
        ([p], 0) => Some(1.0 - p),
        ([p], 1) => Some(*p),
        _ => scores.get(place).copied(),
    }
}

/// p′_k ∝ p_k·e^{δ_k}: multiplies the probability at each place by a weight and normalises to the former sum. A single
/// score has the places 0 and 1.
pub(super) fn tilt(scores: &mut [f64], weight: impl Fn(usize) -> f64) {
    match scores {
        [p] => {
            let (no, yes) = ((1.0 - *p) * weight(0), *p * weight(1));
            *p = yes / (no + yes);
        }
        many => {
            let before: f64 = many.iter().sum();
            many.iter_mut().enumerate().for_each(|(place, p)| *p *= weight(place));
            let after: f64 = many.iter().sum();
            // Rounding must not lift a certainty above 1.
            many.iter_mut().for_each(|p| *p = (*p * (before / after)).min(1.0));
        }
    }
}

/// The log-odds of a probability, at most [`LARGEST`] either way.
pub(super) fn logit(p: f64) -> f64 {
    (p / (1.0 - p)).ln().clamp(-LARGEST, LARGEST)
}

/// How the logits of a class are spread, learnt online.
#[derive(Debug)]
pub(super) struct Logits(Histogram);

impl Default for Logits {
    fn default() -> Logits {
        Logits(Histogram::new(-LARGEST, LARGEST))
    }
}

impl Logits {
    /// Counts the probability of a class.
    pub(super) fn record(&self, p: f64) {
        self.0.record(logit(p));
    }

    /// The step towards `sign` at which a share `rate` of moved scores gives the PSI `wanted` over ten quantile bins
    /// of the scores as they were; `None` before enough was seen, or where no step gives it.
    pub(super) fn step_for(&self, wanted: f64, rate: f64, sign: f64) -> Option<f64> {
        let counts: Vec<f64> = self.0.counts().into_iter().map(|count| count as f64).collect();
        let total: f64 = counts.iter().sum();
        if total < ENOUGH as f64 {
            return None;
        }
        let mut below = Vec::with_capacity(counts.len() + 1);
        below.push(0.0);
        counts.iter().fold(0.0, |sum, count| {
            below.push(sum + count / total);
            sum + count / total
        });
        let edges = quantile_edges(&below);
        let psi = |step: f64| psi_of(&below, &edges, step * sign / self.0.width(), rate);
        let (mut low, mut high) = (0.0, LARGEST);
        if psi(high) < wanted {
            return None;
        }
        for _ in 0..40 {
            let middle = (low + high) / 2.0;
            if psi(middle) < wanted { low = middle } else { high = middle }
        }
        Some(sign * (low + high) / 2.0)
    }
}

/// The places, in bins, at which the cumulated share reaches each tenth; each place once.
fn quantile_edges(below: &[f64]) -> Vec<usize> {
    let place = |tenth: usize| below.partition_point(|share| *share < tenth as f64 / QUANTILES as f64);
    let mut edges: Vec<usize> = (1..QUANTILES).map(place).collect();
    edges.dedup();
    edges
}

/// The PSI between the distribution and a mixture of it with itself moved by `step` bins.
fn psi_of(below: &[f64], edges: &[usize], step: f64, rate: f64) -> f64 {
    // The cumulated share at a place between bins, on the line.
    let cumulated = |place: f64| {
        let place = place.clamp(0.0, (below.len() - 1) as f64);
        let (bin, part) = (place.floor() as usize, place.fract());
        let next = below.get(bin + 1).copied().unwrap_or(1.0);
        below[bin] + part * (next - below[bin])
    };
    let ends = || edges.iter().map(|edge| *edge as f64).chain([f64::INFINITY]);
    let (mut psi, mut before) = (0.0, (0.0, 0.0));
    for edge in ends() {
        let (own, moved) = (cumulated(edge), cumulated(edge - step));
        let moved = if edge.is_infinite() { 1.0 } else { (1.0 - rate) * own + rate * moved };
        // What half a count is to a monitor: an empty bin stays finite.
        let (e, a) = ((own - before.0).max(1e-5), (moved - before.1).max(1e-5));
        psi += (a - e) * (a / e).ln();
        before = (own, moved);
    }
    psi
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tilt_keeps_the_sum_and_the_odds() {
        let mut scores = [0.5, 0.25, 0.25];
        tilt(&mut scores, |place| if place == 2 { 3.0 } else { 1.0 });
        assert!((scores.iter().sum::<f64>() - 1.0).abs() < 1e-12);
        assert!((scores[2] / scores[0] - 1.5).abs() < 1e-12);
        let mut single = [0.2];
        tilt(&mut single, |place| if place == 0 { 0.25 } else { 1.0 });
        assert!((single[0] - 0.5).abs() < 1e-12);
    }

    #[test]
    fn a_certainty_stays_a_probability() {
        for seed in 0..500 {
            let mut scores = crate::fault::traffic::Stream::new(seed).probabilities(3, 4.0);
            tilt(&mut scores, |place| if place == 0 { (LARGEST).exp() } else { 1.0 });
            assert!(scores.iter().all(|p| (0.0..=1.0).contains(p)), "{scores:?}");
        }
    }

    #[test]
    fn the_step_for_a_psi_is_that_of_the_normal_distribution() {
        // Between N(0, 1) and N(δ, 1) in ten quantile bins the PSI is a little below δ² (its limit for small bins).
        let logits = Logits::default();
        assert_eq!(logits.step_for(0.1, 1.0, 1.0), None);
        for i in 0..100_000 {
            let p = (f64::from(i) + 0.5) / 100_000.0;
            logits.0.record(crate::stats::normal_quantile(p));
        }
        let step = logits.step_for(0.25, 1.0, 1.0).unwrap();
        assert!((0.5..0.55).contains(&step), "{step}");
        let down = logits.step_for(0.25, 1.0, -1.0).unwrap();
        assert!((down + step).abs() < 0.01, "{down} {step}");
        assert!(logits.step_for(0.25, 0.5, 1.0).unwrap() > 1.5 * step);
        assert_eq!(logits.step_for(5000.0, 1.0, 1.0), None);
    }
}

//! How large must a fault be to be detected: a psychometric function, measured with few runs.
//!
//! ψ(x) = γ + (1 − γ − λ) F(x) is the probability that a fault of size x is detected in time; F is the logistic function,
//! which on logarithmic sizes is Hill's curve. γ, the guess rate, is an alert that would have fired anyway; λ, the lapse
//! rate, is a large fault that is missed by chance. [`Quest`] keeps the posterior of all four parameters on a grid and
//! proposes the size whose answer is expected to tell most: QUEST+ (Watson, *Journal of Vision* 17(3):10, 2017, eq. 6 to
//! 12), with γ and λ marginalised out of the entropy, since nobody asks for them (Prins, *Journal of Vision* 13(7):3,
//! 2013, eq. 4). λ is at most 6 %, after Wichmann and Hill, *Perception & Psychophysics* 63(8), 2001.
//!
//! Sizes are positions in the range that is searched: 0 its lower end, 1 its upper end, on whatever scale. Why not a
//! staircase or bisection? They give a point and no interval, and one unlucky answer leads them astray for good.

use super::Interval;

/// Steps of the range: sizes that can be proposed, and thresholds that are told apart.
const STEPS: usize = 32;
/// Thresholds beyond each end of the range, in steps: that a fault is never seen, or always, is an answer too.
const BEYOND: usize = 8;
const THRESHOLDS: usize = STEPS + 2 * BEYOND + 1;
const STEP: f64 = 1.0 / STEPS as f64;
/// Spreads, evenly on a logarithmic scale between these.
const SPREADS: usize = 8;
const NARROWEST: f64 = 0.03;
const WIDEST: f64 = 0.6;
/// Guess rates and how likely they are before anything is known.
const GUESSES: [(f64, f64); 5] = [(0.0, 0.4), (0.02, 0.25), (0.05, 0.2), (0.1, 0.1), (0.2, 0.05)];
/// Lapse rates, all as likely.
const LAPSES: [f64; 4] = [0.0, 0.02, 0.04, 0.06];
const NUISANCES: usize = GUESSES.len() * LAPSES.len();
/// Thresholds and spreads less likely than this do not sway what is proposed.
const NEGLIGIBLE: f64 = 1e-9;
/// Halvings in the search for a quantile: finer than any size can be set.
const HALVINGS: u32 = 40;

/// A psychometric function.
///
/// ```
/// let curve = canard::stats::Psychometric { threshold: 0.5, spread: 0.2, guess: 0.0, lapse: 0.0 };
/// assert!((curve.at(0.5) - 0.5).abs() < 1e-12 && (curve.at(0.6) - 0.9).abs() < 1e-12);
/// assert!((curve.reaches(0.9).unwrap() - 0.6).abs() < 1e-12);
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Psychometric {
    /// Where F is a half.
    pub threshold: f64,
    /// From where F is 10 % to where it is 90 %.
    pub spread: f64,
    /// Probability of an alert without a fault.
    pub guess: f64,
    /// Probability of a miss however large the fault.
    pub lapse: f64,
}

impl Psychometric {
    /// Probability that a fault of this size is detected.
    pub fn at(&self, size: f64) -> f64 {
        self.guess + (1.0 - self.guess - self.lapse) * logistic(size, self.threshold, self.spread)
    }

    /// The size that is detected with this probability; `None` where guesses alone reach it, or nothing does.
    pub fn reaches(&self, probability: f64) -> Option<f64> {
        let at = self.threshold + self.spread * spreads_to(probability, self.guess, self.lapse);
        at.is_finite().then_some(at)
    }
}

/// F: a half at the threshold, 10 % and 90 % half a spread to either side.
fn logistic(size: f64, threshold: f64, spread: f64) -> f64 {
    (1.0 + (-2.0 * 9_f64.ln() * (size - threshold) / spread).exp()).recip()
}

/// How many spreads above the threshold ψ reaches a probability; infinite if it always or never does.
fn spreads_to(probability: f64, guess: f64, lapse: f64) -> f64 {
    match (probability - guess) / (1.0 - guess - lapse) {
        f if f <= 0.0 => f64::NEG_INFINITY,
        f if f >= 1.0 => f64::INFINITY,
        f => (f / (1.0 - f)).ln() / (2.0 * 9_f64.ln()),
    }
}

/// The posterior of a psychometric function, given the answers so far. A curve that is steeper than 3 % of the range is taken
/// for one of 3 %, so that more than a dozen answers on a step make its interval too narrow, by about half of that.
///
/// ```
/// let mut quest = canard::stats::Quest::default();
/// for _ in 0..12 {
///     let size = quest.next(0.0);
///     quest.answer(size, size > 0.4); // a monitoring that sees every fault above 0.4
/// }
/// let half = quest.size_detected(0.5, 0.95);
/// assert!(half.low < 0.4 && half.high > 0.4 && half.high - half.low < 0.25, "{half:?}");
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Quest {
    /// Of each threshold, spread and pair of nuisances, in this order; they add up to one.
    posterior: Vec<f64>,
}

impl Default for Quest {
    /// Nothing known but the range: thresholds and (on a logarithmic scale) spreads are all as likely.
    fn default() -> Quest {
        let nuisances = nuisances().map(|(_, _, weight)| weight / (THRESHOLDS * SPREADS) as f64);
        Quest { posterior: nuisances.collect::<Vec<_>>().repeat(THRESHOLDS * SPREADS) }
    }
}

fn nuisances() -> impl Iterator<Item = (f64, f64, f64)> {
    let pairs = GUESSES.iter().flat_map(|guess| LAPSES.iter().map(move |lapse| (guess, lapse)));
    pairs.map(|((guess, weight), lapse)| (*guess, *lapse, weight / LAPSES.len() as f64))
}

fn threshold(number: usize) -> f64 {
    (number as f64 - BEYOND as f64) * STEP
}

fn spread(number: usize) -> f64 {
    NARROWEST * (WIDEST / NARROWEST).powf(number as f64 / (SPREADS - 1) as f64)
}

/// The thresholds and spreads, in the order of the posterior.
fn shapes() -> impl Iterator<Item = (f64, f64)> {
    (0..THRESHOLDS).flat_map(|t| (0..SPREADS).map(move |s| (threshold(t), spread(s))))
}

impl Quest {
    /// Takes up an answer: was a fault of this size detected in time?
    pub fn answer(&mut self, size: f64, detected: bool) {
        let nuisances: Vec<_> = nuisances().collect();
        for (weights, (threshold, spread)) in self.posterior.chunks_mut(NUISANCES).zip(shapes()) {
            let f = logistic(size, threshold, spread);
            for (weight, (guess, lapse, _)) in weights.iter_mut().zip(&nuisances) {
                let seen = guess + (1.0 - guess - lapse) * f;
                *weight *= if detected { seen } else { 1.0 - seen };
            }
        }
        let all: f64 = self.posterior.iter().sum();
        self.posterior.iter_mut().for_each(|weight| *weight /= all);
    }

    /// The size, at least `from`, after whose answer the threshold and the spread are expected to be known best: the
    /// least expected entropy; the smallest of several.
    pub fn next(&self, from: f64) -> f64 {
        let likely = shapes().zip(self.marginal()).filter(|(_, (whole, ..))| *whole > NEGLIGIBLE);
        let shapes: Vec<_> = likely.collect();
        let sizes = (0..=STEPS).map(|number| number as f64 * STEP).filter(|size| *size >= from);
        let entropy = |size: f64| {
            let (mut seen, mut missed) = (Part::default(), Part::default());
            for ((threshold, spread), (whole, guessed, rest)) in &shapes {
                let hit = guessed + rest * logistic(size, *threshold, *spread);
                seen.add(hit);
                missed.add(whole - hit);
            }
            seen.entropy() + missed.entropy()
        };
        let best = sizes.map(|size| (entropy(size), size)).min_by(|a, b| a.0.total_cmp(&b.0));
        best.map_or(1.0, |(_, size)| size)
    }

    /// Of each threshold and spread: its probability, and the parts of the probability of a detection that do not depend
    /// on the size (γ) and that are multiplied by F (1 − γ − λ).
    fn marginal(&self) -> impl Iterator<Item = (f64, f64, f64)> {
        self.posterior.chunks(NUISANCES).map(|weights| {
            weights.iter().zip(nuisances()).fold(
                (0.0, 0.0, 0.0),
                |(whole, guessed, rest), (weight, (g, l, _))| {
                    (whole + weight, guessed + weight * g, rest + weight * (1.0 - g - l))
                },
            )
        })
    }

    /// The size that is detected with this probability: median and credible interval of its posterior. An end below 0 or
    /// above 1 lies outside the range that was searched, nobody knows where; it may be infinite.
    pub fn size_detected(&self, probability: f64, level: f64) -> Interval {
        let columns = self.columns(probability);
        let tail = (1.0 - level) / 2.0;
        let at = |share| quantile(&columns, share);
        Interval { estimate: at(0.5), low: at(tail), high: at(1.0 - tail), level }
    }

    /// The probability that the size which is detected with `probability` is at most `size`.
    pub fn at_most(&self, size: f64, probability: f64) -> f64 {
        self.columns(probability).iter().map(|column| column.below(size)).sum()
    }

    /// The posterior mean of the curve at a size.
    pub fn mean(&self, size: f64) -> f64 {
        let shapes = shapes().zip(self.marginal());
        shapes.map(|((t, s), (_, guessed, rest))| guessed + rest * logistic(size, t, s)).sum()
    }

    /// The posterior of the threshold, for each spread and pair of nuisances, and how far above it the wanted size lies.
    fn columns(&self, probability: f64) -> Vec<Column> {
        let kinds = (0..SPREADS).flat_map(|s| nuisances().map(move |(g, l, _)| (s, g, l)));
        let column = |(index, (s, guess, lapse)): (usize, (usize, f64, f64))| {
            let weights = self.posterior.iter().skip(index).step_by(SPREADS * NUISANCES);
            let mut sum = 0.0;
            let before = std::iter::once(0.0).chain(weights.map(|weight| {
                sum += weight;
                sum
            }));
            let above = spreads_to(probability, guess, lapse);
            Column { before: before.collect(), above: spread(s) * above }
        };
        kinds.enumerate().map(column).collect()
    }
}

/// Sums for the entropy of a part of a distribution.
#[derive(Default)]
struct Part {
    whole: f64,
    logs: f64,
}

impl Part {
    fn add(&mut self, weight: f64) {
        if weight > 0.0 {
            self.whole += weight;
            self.logs += weight * weight.ln();
        }
    }

    /// The entropy, in nats, of the part made whole, times how likely the part is.
    fn entropy(&self) -> f64 {
        if self.whole > 0.0 { self.whole * self.whole.ln() - self.logs } else { 0.0 }
    }
}

/// Each threshold stands for its surroundings, half a step to either side.
struct Column {
    /// Weight of all thresholds before each, and of all.
    before: Vec<f64>,
    /// From the threshold to the size.
    above: f64,
}

impl Column {
    /// Weight of the sizes below.
    fn below(&self, size: f64) -> f64 {
        let place = (size - self.above - threshold(0)) / STEP + 0.5;
        if place.is_nan() || place <= 0.0 {
            return 0.0;
        }
        let whole = (place as usize).min(THRESHOLDS);
        let next = self.before.get(whole + 1).unwrap_or(&self.before[THRESHOLDS]);
        self.before[whole] + (next - self.before[whole]) * (place - whole as f64).min(1.0)
    }
}

fn quantile(columns: &[Column], share: f64) -> f64 {
    let below = |size: f64| columns.iter().map(|column| column.below(size)).sum::<f64>();
    let (mut low, mut high) = (-3.0, 4.0);
    if below(low) >= share {
        return f64::NEG_INFINITY;
    }
    if below(high) < share {
        return f64::INFINITY;
    }
    for _ in 0..HALVINGS {
        let middle = f64::midpoint(low, high);
        if below(middle) < share { low = middle } else { high = middle }
    }
    high
}

#[cfg(test)]
mod tests;

//! What faults learn from the traffic that they see: online estimates in bounded memory.
//!
//! Every prediction counts as the model made it: those of the control arm when the evidence reads them, those of
//! the treated before any fault edits them, from the first phase on. An estimate depends on what arrived so far,
//! so a fault that uses one is an exception from "same seed, same decision"; given the estimate its draws are as
//! stable as any. Until [`ENOUGH`] predictions were seen it does not act, and says
//! [`STILL_LEARNING`](super::unfit::STILL_LEARNING).

use std::{
    collections::BTreeMap,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

use super::{Members, Problem, prediction::check_class};
use crate::{
    unit::Share,
    wire::{Labels, Row},
};

/// Predictions that an estimate needs.
pub(super) const ENOUGH: u64 = 200;
/// Classes that are counted; what comes after is counted in the total alone.
const MOST_CLASSES: usize = 1000;
/// Bins of a [`Histogram`].
const BINS: usize = 2048;

/// Shares of classes as a scenario gives them.
pub type Marginals = BTreeMap<String, Share>;

/// What is wrong with shares that a scenario gives.
pub(super) fn check_marginals(
    key: &'static str,
    marginals: &Marginals,
    labels: &Labels,
    whole: bool,
) -> Vec<Problem> {
    let mut problems: Vec<Problem> =
        marginals.keys().filter_map(|name| check_class(key, name, labels)).collect();
    let total: f64 = marginals.values().map(|share| share.fraction()).sum();
    let off = if whole { (total - 1.0).abs() } else { (total - 1.0).max(0.0) };
    if off > 1e-6 {
        let percent = (total * 1e6).round() / 1e4;
        let right = if whole { "not 100%" } else { "more than 100%" };
        let message = format!("the shares are {percent}% in all, {right}");
        problems.push(Problem::new(key, message).help("these are shares of all predictions, by their class"));
    }
    problems
}

/// The shares of the classes among the predictions.
#[derive(Debug, Default)]
pub(super) struct Marginal(Mutex<Counts>);

#[derive(Debug, Default)]
struct Counts {
    total: u64,
    classes: BTreeMap<String, u64>,
}

impl Marginal {
    pub(super) fn record(&self, rows: &[Row], labels: &Labels) {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for class in rows.iter().filter_map(|row| labels.of(row)) {
            counts.total += 1;
            if let Some(count) = counts.classes.get_mut(&*class) {
                *count += 1;
            } else if counts.classes.len() < MOST_CLASSES {
                counts.classes.insert(class.into_owned(), 1);
            }
        }
    }

    /// The share of each class; `None` before enough was seen.
    pub(super) fn shares(&self) -> Option<BTreeMap<String, f64>> {
        let counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let share = |count: &u64| *count as f64 / counts.total as f64;
        let shares = counts.classes.iter().map(|(class, count)| (class.clone(), share(count)));
        (counts.total >= ENOUGH).then(|| shares.collect())
    }
}

/// How many of a group, and of the others, are told the positive class.
#[derive(Debug, Default)]
pub(super) struct GroupRates {
    group: Tally,
    others: Tally,
}

#[derive(Debug, Default)]
struct Tally {
    seen: AtomicU64,
    positive: AtomicU64,
}

/// Rates of the positive class.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Rates {
    /// In the group.
    pub(super) group: f64,
    /// Among the others.
    pub(super) others: f64,
    /// The group's share of all.
    pub(super) size: f64,
}

impl GroupRates {
    pub(super) fn record(
        &self,
        rows: &[Row],
        members: Members<'_>,
        is_positive: impl Fn(&Row) -> Option<bool>,
    ) {
        for (index, row) in rows.iter().enumerate() {
            let Some(positive) = is_positive(row) else { continue };
            let tally = if members.contains(index) { &self.group } else { &self.others };
            tally.positive.fetch_add(u64::from(positive), Relaxed);
            tally.seen.fetch_add(1, Relaxed);
        }
    }

    /// The rates; `None` before enough was seen of both.
    pub(super) fn rates(&self) -> Option<Rates> {
        let counts = |tally: &Tally| (tally.positive.load(Relaxed) as f64, tally.seen.load(Relaxed) as f64);
        let [(g, n_g), (o, n_o)] = [&self.group, &self.others].map(counts);
        let enough = n_g.min(n_o) >= ENOUGH as f64 / 2.0;
        enough.then(|| Rates { group: g / n_g, others: o / n_o, size: n_g / (n_g + n_o) })
    }
}

/// Counts of numbers between two ends, in equal bins; what lies beyond counts in the last ones.
#[derive(Debug)]
pub(super) struct Histogram {
    low: f64,
    high: f64,
    bins: Box<[AtomicU64]>,
}

impl Histogram {
    pub(super) fn new(low: f64, high: f64) -> Histogram {
        Histogram { low, high, bins: (0..BINS).map(|_| AtomicU64::new(0)).collect() }
    }

    fn bin(&self, x: f64) -> usize {
        let place = (x - self.low) / (self.high - self.low) * BINS as f64;
        (place.max(0.0) as usize).min(BINS - 1)
    }

    /// Counts a number; not-a-number is not counted.
    pub(super) fn record(&self, x: f64) {
        if !x.is_nan() {
            self.bins[self.bin(x)].fetch_add(1, Relaxed);
        }
    }

    pub(super) fn counts(&self) -> Vec<u64> {
        self.bins.iter().map(|bin| bin.load(Relaxed)).collect()
    }

    /// Width of a bin.
    pub(super) fn width(&self) -> f64 {
        (self.high - self.low) / BINS as f64
    }

    /// The distribution as it is now; `None` before enough was seen.
    pub(super) fn ranks(&self) -> Option<Ranks<'_>> {
        let counts = self.counts();
        let total: u64 = counts.iter().sum();
        (total >= ENOUGH).then_some(Ranks { of: self, counts, total })
    }
}

/// Where numbers stand in a distribution.
#[derive(Debug)]
pub(super) struct Ranks<'a> {
    of: &'a Histogram,
    counts: Vec<u64>,
    total: u64,
}

impl Ranks<'_> {
    /// The share of all that lies in lower bins than `x`, and the share that lies in its bin.
    pub(super) fn of(&self, x: f64) -> (f64, f64) {
        let bin = self.of.bin(x);
        let share = |count: u64| count as f64 / self.total as f64;
        (share(self.counts[..bin].iter().sum()), share(self.counts[bin]))
    }
}

/// The last rows that were seen, so many at most.
#[derive(Debug)]
pub(super) struct Recent<T> {
    kept: Vec<T>,
    seen: u64,
    most: usize,
}

impl<T> Recent<T> {
    pub(super) fn new(most: usize) -> Recent<T> {
        Recent { kept: Vec::new(), seen: 0, most }
    }

    pub(super) fn push(&mut self, value: T) {
        if self.kept.len() < self.most {
            self.kept.push(value);
        } else {
            self.kept[(self.seen % self.most as u64) as usize] = value;
        }
        self.seen += 1;
    }

    pub(super) fn seen(&self) -> u64 {
        self.seen
    }

    pub(super) fn kept(&self) -> &[T] {
        &self.kept
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::Value;

    fn row(class: &str) -> Row {
        Row { label: Some(Value::Text(class.to_owned())), scores: Vec::new() }
    }

    #[test]
    fn a_marginal_needs_enough_and_is_bounded() {
        let (marginal, labels) = (Marginal::default(), Labels::default());
        marginal.record(&vec![row("a"); 50], &labels);
        assert_eq!(marginal.shares(), None);
        marginal.record(&vec![row("b"); 150], &labels);
        assert_eq!(marginal.shares().unwrap()["a"], 0.25);
        for i in 0..2 * MOST_CLASSES {
            marginal.record(&[row(&i.to_string())], &labels);
        }
        let shares = marginal.shares().unwrap();
        assert_eq!(shares.len(), MOST_CLASSES);
        assert_eq!(shares["a"], 50.0 / 2200.0);
    }

    #[test]
    fn a_rank_counts_what_lies_below() {
        let histogram = Histogram::new(0.0, 1.0);
        assert!(histogram.ranks().is_none());
        (0..1000).for_each(|i| histogram.record(f64::from(i) / 1000.0));
        let (below, here) = histogram.ranks().unwrap().of(0.5);
        assert!((below - 0.5).abs() <= 0.001 && here <= 0.001, "{below} {here}");
        assert_eq!(histogram.ranks().unwrap().of(f64::NEG_INFINITY).0, 0.0);
        histogram.record(f64::NAN);
        assert_eq!(histogram.counts().iter().sum::<u64>(), 1000);
    }

    #[test]
    fn only_the_last_are_kept() {
        let mut recent = Recent::new(3);
        (0..5).for_each(|i| recent.push(i));
        assert_eq!((recent.kept(), recent.seen()), (&[3, 4, 2][..], 5));
    }

    #[test]
    fn shares_that_cannot_be_are_told() {
        let shares = |all: &[(&str, f64)]| -> Marginals {
            all.iter().map(|(name, share)| ((*name).to_owned(), Share::new(*share).unwrap())).collect()
        };
        let none = Labels::default();
        let messages = |marginals: &Marginals, whole| -> Vec<String> {
            check_marginals("to", marginals, &none, whole).into_iter().map(|p| p.message).collect()
        };
        assert_eq!(messages(&shares(&[("a", 0.3)]), true), ["the shares are 30% in all, not 100%"]);
        assert!(messages(&shares(&[("a", 0.3)]), false).is_empty());
        assert_eq!(
            messages(&shares(&[("a", 0.8), ("b", 0.4)]), false),
            ["the shares are 120% in all, more than 100%"]
        );
    }
}

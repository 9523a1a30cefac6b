//! Proof by simulation, seeded: intervals cover what they say, tests have the power that they promise.

use super::{vectors::assert_near, *};
use crate::draw::{Key, UnitHash};

const TRIALS: u64 = 2_000;
const LEVEL: f64 = 0.95;

/// A stream of random numbers.
struct Stream {
    key: Key,
    drawn: u64,
}

impl Stream {
    fn new(name: &str) -> Stream {
        Stream { key: Key::new(20_261_123, name), drawn: 0 }
    }

    fn uniform(&mut self) -> f64 {
        self.drawn += 1;
        self.key.draw(UnitHash::from_u64(self.drawn), 0).uniform()
    }

    fn normal(&mut self) -> f64 {
        normal_quantile(self.uniform())
    }

    fn hits(&mut self, n: u64, p: f64) -> u64 {
        (0..n).filter(|_| self.uniform() < p).count() as u64
    }

    fn counts(&mut self, n: u64, shares: &[f64]) -> Vec<u64> {
        let mut counts = vec![0; shares.len()];
        for _ in 0..n {
            let mut left = self.uniform();
            let bin = shares
                .iter()
                .take_while(|share| {
                    left -= **share;
                    left >= 0.0
                })
                .count();
            counts[bin.min(shares.len() - 1)] += 1;
        }
        counts
    }

    fn moments(&mut self, n: u64, mean: f64, deviation: f64) -> (f64, f64, u64) {
        let mut of = Welford::default();
        (0..n).for_each(|_| of.record(mean + deviation * self.normal()));
        (of.mean(), of.variance().unwrap(), n)
    }
}

/// Bounds that a binomial share of [`TRIALS`] leaves once in a thousand times.
fn bounds(p: f64) -> (f64, f64) {
    let reach = 3.29 * (p * (1.0 - p) / TRIALS as f64).sqrt();
    (p - reach, p + reach)
}

/// The share of trials whose interval holds the truth.
fn covered(name: &str, truth: f64, mut trial: impl FnMut(&mut Stream) -> Option<Interval>) -> f64 {
    let mut stream = Stream::new(name);
    let held = (0..TRIALS).filter(|_| {
        let interval = trial(&mut stream).unwrap();
        interval.low <= truth && truth <= interval.high
    });
    held.count() as f64 / TRIALS as f64
}

/// Covers at its level.
fn covers(name: &str, truth: f64, trial: impl FnMut(&mut Stream) -> Option<Interval>) {
    let share = covered(name, truth, trial);
    let (low, high) = bounds(LEVEL);
    assert!(low <= share && share <= high, "{name}: {share} is outside {low:.4} to {high:.4}");
}

/// Conservative: covers at its level or above.
fn covers_at_least(name: &str, truth: f64, trial: impl FnMut(&mut Stream) -> Option<Interval>) {
    let share = covered(name, truth, trial);
    assert!(share >= bounds(LEVEL).0, "{name}: {share}");
}

/// Rejects as often as `power` says.
fn rejects(name: &str, power: f64, at_least: bool, mut trial: impl FnMut(&mut Stream) -> bool) {
    let mut stream = Stream::new(name);
    let share = (0..TRIALS).filter(|_| trial(&mut stream)).count() as f64 / TRIALS as f64;
    let (low, high) = bounds(power);
    assert!(low <= share && (at_least || share <= high), "{name}: {share}, promised {power}");
}

#[test]
fn intervals_of_shares_cover() {
    covers("wilson", 0.3, |s| proportion(s.hits(210, 0.3), 210, LEVEL));
    covers("newcombe", 0.1, |s| {
        difference_of_proportions((s.hits(150, 0.2), 150), (s.hits(250, 0.3), 250), LEVEL)
    });
    covers("difference of differences", 0.1, |s| {
        let control = difference_of_proportions((s.hits(150, 0.5), 150), (s.hits(150, 0.5), 150), LEVEL)?;
        let treated = difference_of_proportions((s.hits(150, 0.4), 150), (s.hits(150, 0.5), 150), LEVEL)?;
        Some(difference_of_differences(control, treated))
    });
    covers_at_least("clopper-pearson", 0.07, |s| exact_proportion(s.hits(40, 0.07), 40, LEVEL));
    covers_at_least("garwood", 4.0, |s| {
        // A Poisson count of 4 by its waiting times.
        let mut left = 4.0;
        let events = std::iter::repeat_with(|| -s.uniform().ln()).take_while(|wait| {
            left -= wait;
            left > 0.0
        });
        exact_rate(events.count() as u64, 1.0, LEVEL)
    });
    covers("tango", 0.1, |s| {
        let cells = s.counts(150, &[0.4, 0.1, 0.2, 0.3]);
        Pairs { both: cells[0], first: cells[1], second: cells[2], neither: cells[3] }.difference(LEVEL)
    });
}

#[test]
fn intervals_of_means_cover() {
    covers("student", 1.0, |s| mean(s.moments(12, 1.0, 2.0), LEVEL));
    covers("welch", 0.5, |s| welch(s.moments(15, 0.0, 1.0), s.moments(30, 0.5, 2.0), LEVEL));
    covers("logs", 2.0, |s| {
        ratio_of_geometric_means(s.moments(40, 0.0, 0.5), s.moments(20, 2_f64.ln(), 0.9), LEVEL)
    });
    covers("paired mean", 0.2, |s| {
        let (mean, variance, n) = s.moments(25, 0.2, 1.0);
        let sum = mean * n as f64;
        paired_mean(n, sum, variance * (n - 1) as f64 + sum * mean, LEVEL)
    });
}

/// Order statistics are discrete and the ends are recovered from two intervals: conservative.
#[test]
fn intervals_of_quantiles_cover() {
    for (q, n) in [(0.5, 150), (0.9, 200)] {
        let at = |q: f64| (0.5 * normal_quantile(q)).exp();
        covers_at_least(&format!("quantile {q}"), 0.2 * at(q), |s| {
            let mut arm = |scale: f64| {
                let mut arm = Histogram::default();
                (0..n).for_each(|_| {
                    arm.record(std::time::Duration::from_secs_f64(scale * (0.5 * s.normal()).exp()));
                });
                arm
            };
            difference_of_quantiles(&arm(0.2), &arm(0.4), q, LEVEL)
        });
    }
}

/// Sums of absolute gaps: conservative by construction, most of all where nothing differs.
#[test]
fn intervals_of_distances_cover() {
    let (before, after) = ([0.5, 0.3, 0.2], [0.4, 0.3, 0.3]);
    let (even, tilted) = ([0.1; 10], [0.05, 0.06, 0.07, 0.08, 0.09, 0.11, 0.12, 0.13, 0.14, 0.15]);
    let area: f64 =
        (1..10).map(|i| (tilted[..i].iter().sum::<f64>() - even[..i].iter().sum::<f64>()).abs()).sum();
    covers_at_least("total variation", 0.1, |s| {
        total_variation_interval(&s.counts(200, &before), &s.counts(300, &after), LEVEL)
    });
    covers_at_least("no total variation", 0.0, |s| {
        total_variation_interval(&s.counts(200, &before), &s.counts(300, &before), LEVEL)
    });
    covers_at_least("wasserstein", 0.1 * area, |s| {
        wasserstein(&s.counts(200, &even), &s.counts(150, &tilted), 0.1, LEVEL)
    });
    covers_at_least("no wasserstein", 0.0, |s| {
        wasserstein(&s.counts(200, &even), &s.counts(150, &even), 0.1, LEVEL)
    });
    for (bias, name) in [(0.0, "calibrated"), (0.15, "overconfident")] {
        covers_at_least(name, bias, |s| {
            let mut bins = [CalibrationBin::default(); 10];
            for _ in 0..400 {
                let confidence = 0.5 + 0.5 * s.uniform();
                let bin = &mut bins[((confidence * 10.0) as usize).min(9)];
                bin.count += 1;
                bin.confidence += confidence;
                bin.right += u64::from(s.uniform() < confidence - bias);
            }
            calibration_error_interval(&bins, LEVEL)
        });
    }
}

/// At PSI = 0, the end of its range, only the lower end can be wrong: 97.5 %.
#[test]
fn intervals_of_the_stability_index_cover() {
    let even = [0.1; 10];
    for (name, after) in [
        ("small shift", [0.08, 0.08, 0.09, 0.09, 0.1, 0.1, 0.11, 0.11, 0.12, 0.12]),
        ("large shift", [0.04, 0.05, 0.06, 0.08, 0.09, 0.11, 0.12, 0.14, 0.15, 0.16]),
    ] {
        let truth: f64 = after.iter().map(|a| (a - 0.1) * (a / 0.1_f64).ln()).sum();
        covers(name, truth, |s| unbiased_psi(&s.counts(800, &even), &s.counts(600, &after), LEVEL));
    }
    covers_at_least("no shift", 0.0, |s| unbiased_psi(&s.counts(300, &even), &s.counts(400, &even), LEVEL));
}

#[test]
fn intervals_of_the_area_under_the_curve_cover() {
    let (negatives, positives) = ([0.4, 0.3, 0.2, 0.1], [0.1, 0.2, 0.3, 0.4]);
    covers_at_least("few", 0.75, |s| {
        area_under_roc(&s.counts(80, &negatives), &s.counts(3, &positives), LEVEL)
    });
    covers("delong", 0.75, |s| area_under_roc(&s.counts(80, &negatives), &s.counts(60, &positives), LEVEL));
}

#[test]
fn survival_curves_cover() {
    // Exponential times of mean 20, runs that end at any time up to 60.
    let times = |s: &mut Stream| -> Vec<(f64, bool)> {
        (0..60)
            .map(|_| {
                let (event, end) = (-20.0 * s.uniform().ln(), 60.0 * s.uniform());
                (event.min(end), event <= end)
            })
            .collect()
    };
    covers("kaplan-meier", (-0.5_f64).exp(), |s| {
        let curve = KaplanMeier::of(&times(s), LEVEL)?;
        let step = curve.steps.iter().take_while(|step| step.time <= 10.0).last()?;
        Some(Interval { estimate: step.survival, low: step.low?, high: step.high?, level: LEVEL })
    });
    covers("brookmeyer-crowley", 20.0 * 2_f64.ln(), |s| {
        let median = KaplanMeier::of(&times(s), LEVEL)?.quantile(0.5);
        let high = median.high.unwrap_or(f64::INFINITY);
        Some(Interval { estimate: median.estimate?, low: median.low?, high, level: LEVEL })
    });
}

#[test]
fn tests_have_the_power_that_is_promised() {
    let shares = Contrast::Shares { first: 0.3, second: 0.45, sides: Sides::Two };
    let (n, m) = shares.needed(0.05, 0.9, 0.5).unwrap();
    let (n, m) = (n.ceil() as u64, m.ceil() as u64);
    assert!(shares.power((n as f64, m as f64), 0.05).unwrap() >= 0.9);
    rejects("shares", 0.9, false, |s| {
        let (a, b) = (s.hits(n, 0.3), s.hits(m, 0.45));
        chi_squared(&[a, n - a], &[b, m - b], 0.0).unwrap().p < 0.05
    });
    let means = Contrast::Means { difference: 0.6, deviation: 1.0, sides: Sides::Two };
    let power = means.power((40.0, 60.0), 0.05).unwrap();
    rejects("means", power, false, |s| {
        welch(s.moments(40, 0.0, 1.0), s.moments(60, 0.6, 1.0), 0.95).unwrap().excludes_zero()
    });
    let (before, after) = ([0.25; 4], [0.18, 0.22, 0.28, 0.32]);
    let mixes = Contrast::Mixes { first: before.to_vec(), second: after.to_vec() };
    let power = mixes.power((300.0, 200.0), 0.05).unwrap();
    rejects("mixes", power, false, |s| {
        chi_squared(&s.counts(300, &before), &s.counts(200, &after), 5.0).unwrap().p < 0.05
    });
    let shifted = Contrast::Distributions { distance: 0.2 };
    let (n, m) = shifted.needed(0.05, 0.8, 1.0).unwrap();
    // A lower bound: uniform scores against scores moved up by 0.2, in fine bins.
    rejects("distributions", 0.8, true, |s| {
        let mut arm = |n: f64, by: f64| {
            let mut bins = vec![0; 240];
            (0..n.ceil() as u64).for_each(|_| bins[((s.uniform() + by) * 200.0) as usize] += 1);
            bins
        };
        kolmogorov_smirnov_binned(&arm(n, 0.0), &arm(m, 0.2)).unwrap().p < 0.05
    });
    assert_near(shifted.power((n, m), 0.05).unwrap(), 0.8, 1e-9, "the bound at its own size");
}

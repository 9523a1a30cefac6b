//! Confidence intervals of differences between two groups.

use serde::{Deserialize, Serialize};
use statrs::distribution::{ContinuousCDF, Normal, StudentsT};

use super::Histogram;

/// An estimate with its confidence interval.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Interval {
    /// The estimate.
    pub estimate: f64,
    /// Lower end.
    pub low: f64,
    /// Upper end.
    pub high: f64,
    /// Confidence level, such as 0.95.
    pub level: f64,
}

impl Interval {
    /// Does the whole interval lie above `value`?
    pub fn above(self, value: f64) -> bool {
        self.low > value
    }

    /// Does the interval leave out zero?
    pub fn excludes_zero(self) -> bool {
        self.low > 0.0 || self.high < 0.0
    }
}

/// A mean with Student's t interval, from its mean, variance and count. `None` for fewer than two.
///
/// ```
/// // scipy.stats.t.interval(0.95, 9, loc=2, scale=(4 / 10) ** 0.5): 0.5693, 3.4307.
/// let mean = canard::stats::mean((2.0, 4.0, 10), 0.95).unwrap();
/// assert!((mean.low - 0.5693).abs() < 1e-4 && (mean.high - 3.4307).abs() < 1e-4);
/// ```
pub fn mean((mean, variance, n): (f64, f64, u64), level: f64) -> Option<Interval> {
    let t = StudentsT::new(0.0, 1.0, n.checked_sub(1)? as f64).ok()?.inverse_cdf(0.5 + level / 2.0);
    let half = t * (variance / n as f64).sqrt();
    Some(Interval { estimate: mean, low: mean - half, high: mean + half, level })
}

/// The standard normal quantile of `p`.
pub(crate) fn normal_quantile(p: f64) -> f64 {
    Normal::standard().inverse_cdf(p)
}

/// Wilson's score interval of a proportion (Wilson, JASA 22, 1927).
fn wilson(hits: u64, n: u64, z: f64) -> (f64, f64) {
    let (p, n) = (hits as f64 / n as f64, n as f64);
    let centre = (p + z * z / (2.0 * n)) / (1.0 + z * z / n);
    let half = z / (1.0 + z * z / n) * (p * (1.0 - p) / n + z * z / (4.0 * n * n)).sqrt();
    (centre - half, centre + half)
}

/// A proportion with Wilson's score interval (Wilson, JASA 22, 1927). `None` without trials.
///
/// ```
/// // scipy.stats.binomtest(8, 20).proportion_ci(method="wilson"): 0.2188, 0.6134.
/// let p = canard::stats::proportion(8, 20, 0.95).unwrap();
/// assert!((p.low - 0.2188).abs() < 1e-4 && (p.high - 0.6134).abs() < 1e-4);
/// ```
pub fn proportion(hits: u64, n: u64, level: f64) -> Option<Interval> {
    (n > 0).then(|| {
        let (low, high) = wilson(hits, n, normal_quantile(0.5 + level / 2.0));
        Interval { estimate: hits as f64 / n as f64, low, high, level }
    })
}

/// Difference of two proportions, second minus first, with Newcombe's hybrid score interval (Newcombe,
/// *Statistics in Medicine* 17, 1998, method 10). `None` when a group is empty.
///
/// ```
/// // Newcombe's example (a): 56/70 against 48/80, 95 %: 0.2000, 0.0524 to 0.3339.
/// let d = canard::stats::difference_of_proportions((48, 80), (56, 70), 0.95).unwrap();
/// assert!((d.low - 0.0524).abs() < 1e-4 && (d.high - 0.3339).abs() < 1e-4);
/// ```
pub fn difference_of_proportions(first: (u64, u64), second: (u64, u64), level: f64) -> Option<Interval> {
    if first.1 == 0 || second.1 == 0 {
        return None;
    }
    let z = normal_quantile(0.5 + level / 2.0);
    let (p1, p2) = (second.0 as f64 / second.1 as f64, first.0 as f64 / first.1 as f64);
    let (l1, u1) = wilson(second.0, second.1, z);
    let (l2, u2) = wilson(first.0, first.1, z);
    let estimate = p1 - p2;
    Some(Interval {
        estimate,
        low: estimate - ((p1 - l1).powi(2) + (u2 - p2).powi(2)).sqrt(),
        high: estimate + ((u1 - p1).powi(2) + (p2 - l2).powi(2)).sqrt(),
        level,
    })
}

/// Difference of two differences, second minus first, with the interval that follows from theirs (method of variance
/// estimates recovery: Zou and Donner, *Statistics in Medicine* 27, 2008). Both have to be of one level.
///
/// ```
/// use canard::stats::{difference_of_differences, difference_of_proportions};
/// // A gap of 0 among the control, of 0.2 among the treated, 1000 of each side.
/// let control = difference_of_proportions((500, 1000), (500, 1000), 0.95).unwrap();
/// let treated = difference_of_proportions((300, 1000), (500, 1000), 0.95).unwrap();
/// let grew = difference_of_differences(control, treated);
/// assert!((grew.estimate - 0.2).abs() < 1e-12 && (grew.low - 0.139).abs() < 1e-3);
/// ```
pub fn difference_of_differences(first: Interval, second: Interval) -> Interval {
    let estimate = second.estimate - first.estimate;
    let below = (second.estimate - second.low).hypot(first.high - first.estimate);
    let above = (second.high - second.estimate).hypot(first.estimate - first.low);
    Interval { estimate, low: estimate - below, high: estimate + above, level: second.level }
}

/// Means that differ by less than this part of them do not differ.
const ROUNDING: f64 = 1e-12;

/// Difference of two means, second minus first, from (mean, variance, n) of each group, with Welch's
/// interval (Welch, *Biometrika* 34, 1947). `None` with fewer than two values in a group.
pub fn welch(first: (f64, f64, u64), second: (f64, f64, u64), level: f64) -> Option<Interval> {
    let ((m1, v1, n1), (m2, v2, n2)) = (first, second);
    if n1 < 2 || n2 < 2 {
        return None;
    }
    let (e1, e2) = (v1 / n1 as f64, v2 / n2 as f64);
    let error = (e1 + e2).sqrt();
    let freedom = (e1 + e2).powi(2) / (e1 * e1 / (n1 - 1) as f64 + e2 * e2 / (n2 - 1) as f64);
    // Means of equal values differ by rounding.
    let apart = m2 - m1;
    let estimate = if apart.abs() <= ROUNDING * m1.abs().max(m2.abs()) { 0.0 } else { apart };
    let t = match StudentsT::new(0.0, 1.0, freedom) {
        Ok(t) => t.inverse_cdf(0.5 + level / 2.0),
        Err(_) => 0.0, // no variance in either group
    };
    Some(Interval { estimate, low: estimate - t * error, high: estimate + t * error, level })
}

/// Difference of the quantile `q` of two groups, second minus first, in seconds. The interval of each quantile
/// is that of its order statistics (Conover, *Practical Nonparametric Statistics*, 1999, ch. 3.2), and that of
/// the difference recovers the variances from them (Zou and Donner, *Statistics in Medicine* 27, 2008). `None`
/// when a group has too few values for the interval.
///
/// ```
/// use std::time::Duration;
/// let arm = |from: u64| {
///     let mut arm = canard::stats::Histogram::default();
///     (0..200).for_each(|ms| arm.record(Duration::from_millis(from + ms)));
///     arm
/// };
/// let d = canard::stats::difference_of_quantiles(&arm(100), &arm(150), 0.5, 0.95).unwrap();
/// assert!((d.estimate - 0.05).abs() < 0.005 && d.excludes_zero());
/// ```
pub fn difference_of_quantiles(
    first: &Histogram,
    second: &Histogram,
    q: f64,
    level: f64,
) -> Option<Interval> {
    let z = normal_quantile(0.5 + level / 2.0);
    let of = |arm: &Histogram| {
        let n = arm.count() as f64;
        let (middle, spread) = (n * q, z * (n * q * (1.0 - q)).sqrt());
        let (low, high) = (middle - spread, middle + spread + 1.0);
        let at = |rank: f64| arm.at_rank(rank.ceil() as u64);
        (low >= 1.0 && high <= n).then(|| Some((at(middle)?, at(low)?, at(high)?))).flatten()
    };
    let ((m1, l1, h1), (m2, l2, h2)) = (of(first)?, of(second)?);
    let estimate = m2 - m1;
    Some(Interval {
        estimate,
        low: estimate - ((m2 - l2).powi(2) + (h1 - m1).powi(2)).sqrt(),
        high: estimate + ((h2 - m2).powi(2) + (m1 - l1).powi(2)).sqrt(),
        level,
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    /// Quantiles of a lognormal at evenly spread draws, scaled.
    fn arm(n: u64, scale: f64) -> Histogram {
        let mut arm = Histogram::default();
        for i in 0..n {
            let u = (i as f64 + 0.5) / n as f64;
            arm.record(Duration::from_secs_f64(scale * (0.5 * normal_quantile(u)).exp()));
        }
        arm
    }

    #[test]
    fn a_shifted_quantile_is_seen_and_an_unshifted_one_is_not() {
        for (q, n) in [(0.5, 200), (0.9, 500), (0.99, 5_000)] {
            let shifted = difference_of_quantiles(&arm(n, 0.1), &arm(n, 0.2), q, 0.95).unwrap();
            let want = 0.1 * (0.5 * normal_quantile(q)).exp();
            assert!(shifted.excludes_zero() && (shifted.estimate - want).abs() < 0.05 * want, "{shifted:?}");
            let same = difference_of_quantiles(&arm(n, 0.1), &arm(n, 0.1), q, 0.95).unwrap();
            assert!(same.low < 0.0 && same.high > 0.0, "{same:?}");
        }
    }

    #[test]
    fn equal_values_do_not_differ_by_rounding() {
        for (n, m) in [(100_u64, 117_u64), (3, 7), (1000, 999)] {
            for score in [0.1, 0.7, 0.9] {
                let arm = |count: u64| {
                    let mut arm = crate::stats::Scores::default();
                    (0..count).for_each(|_| arm.record(score));
                    arm.moments().map(|(mean, variance)| (mean, variance, count)).unwrap()
                };
                let same = welch(arm(n), arm(m), 0.95).unwrap();
                assert!(!same.excludes_zero(), "{score} {n} {m}: {same:?}");
            }
        }
    }

    #[test]
    fn the_ends_are_values_of_the_order() {
        // Of 1 to 25 ms the interval of the median is that from the 7th to the 18th or so (Conover, table A3).
        let mut arm = Histogram::default();
        (1..=25).for_each(|ms| arm.record(Duration::from_millis(ms)));
        for rank in 1..=25 {
            let want = rank as f64 / 1e3;
            assert!((arm.at_rank(rank).unwrap() / want - 1.0).abs() < 0.03, "{rank}");
        }
        assert_eq!(arm.at_rank(26), None);
    }

    #[test]
    fn few_values_tell_no_tail() {
        assert_eq!(difference_of_quantiles(&arm(100, 0.1), &arm(100, 0.2), 0.99, 0.95), None);
        assert_eq!(difference_of_quantiles(&arm(0, 0.1), &arm(100, 0.2), 0.5, 0.95), None);
    }
}

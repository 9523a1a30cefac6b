//! Ratios of skewed numbers, compared on their logarithms.

use super::{Histogram, Interval, welch};

/// Ratio of the geometric means of two groups, second over first, from (mean, variance, n) of the logarithms of each:
/// Welch's interval ([`welch`]) of their difference, raised from the logarithm (Zhou, Gao and Hui, *Biometrics* 53,
/// 1997). No effect is a ratio of 1. For skewed times it needs far fewer values than a difference of means; it
/// is of the middle of the distribution, and says less of its tail. `None` with fewer than two values in a group.
///
/// ```
/// // exp(t.test(log(c(2, 4, 8)), log(c(1, 2, 4)))$conf.int) in R: 0.4156, 9.6250.
/// let ln2 = 2_f64.ln();
/// let ratio = canard::stats::ratio_of_geometric_means((ln2, ln2 * ln2, 3), (2.0 * ln2, ln2 * ln2, 3), 0.95).unwrap();
/// assert!((ratio.estimate - 2.0).abs() < 1e-12 && (ratio.low - 0.4156).abs() < 1e-3);
/// ```
pub fn ratio_of_geometric_means(
    first: (f64, f64, u64),
    second: (f64, f64, u64),
    level: f64,
) -> Option<Interval> {
    let Interval { estimate, low, high, level } = welch(first, second, level)?;
    Some(Interval { estimate: estimate.exp(), low: low.exp(), high: high.exp(), level })
}

/// [`ratio_of_geometric_means`] of two histograms of times; what took less than a microsecond counts as half of one.
pub fn ratio_of_times(first: &Histogram, second: &Histogram, level: f64) -> Option<Interval> {
    let of = |arm: &Histogram| {
        let (mean, variance) = arm.moments(|seconds| seconds.max(0.5e-6).ln())?;
        Some((mean, variance, arm.count()))
    };
    ratio_of_geometric_means(of(first)?, of(second)?, level)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn twice_as_slow_is_a_ratio_of_two() {
        let arm = |scale: u64| {
            let mut arm = Histogram::default();
            (1..200).for_each(|i| arm.record(Duration::from_micros(i * i * scale)));
            arm
        };
        let ratio = ratio_of_times(&arm(10), &arm(20), 0.95).unwrap();
        assert!((ratio.estimate - 2.0).abs() < 0.02 && ratio.above(1.0), "{ratio:?}");
        let mut none = Histogram::default();
        none.record(Duration::ZERO);
        assert_eq!(ratio_of_times(&none, &arm(1), 0.95), None);
    }
}

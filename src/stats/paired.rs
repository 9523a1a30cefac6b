//! Differences between the answers of a pair: the same request, once with the fault and once without.

use super::{
    Interval,
    homogeneity::{Test, chi_squared_above},
    mean, normal_quantile,
    root::boundary,
};

/// Pairs by what both sides answered, yes or no.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Pairs {
    /// Yes on both sides.
    pub both: u64,
    /// Yes on the first side alone.
    pub first: u64,
    /// Yes on the second side alone.
    pub second: u64,
    /// No on both sides.
    pub neither: u64,
}

impl Pairs {
    /// How many pairs.
    pub const fn count(&self) -> u64 {
        self.both + self.first + self.second + self.neither
    }

    /// McNemar's test, without correction for continuity (McNemar, *Psychometrika* 12, 1947): do both sides say yes
    /// equally often? `None` when they never differ.
    ///
    /// ```
    /// // mcnemar.test(matrix(c(30, 12, 5, 53), 2), correct = FALSE) in R: 2.8824, p-value = 0.08956.
    /// let test = canard::stats::Pairs { both: 30, first: 12, second: 5, neither: 53 }.mcnemar().unwrap();
    /// assert!((test.statistic - 2.8824).abs() < 1e-4 && (test.p - 0.08956).abs() < 1e-5);
    /// ```
    pub fn mcnemar(&self) -> Option<Test> {
        let (b, c) = (self.first as f64, self.second as f64);
        let statistic = (b - c).powi(2) / (b + c);
        (b + c > 0.0).then(|| Test { statistic, freedom: Some(1), p: chi_squared_above(statistic, 1.0) })
    }

    /// Difference of the shares of yes, second minus first, with Tango's score interval (*Statistics in Medicine* 17,
    /// 1998, eq. 7). It leaves out zero exactly when [`mcnemar`](Pairs::mcnemar) is significant. `None`
    /// without pairs.
    pub fn difference(&self, level: f64) -> Option<Interval> {
        let n = self.count() as f64;
        (n > 0.0).then_some(())?;
        let (b, c) = (self.second as f64, self.first as f64);
        let z = normal_quantile(0.5 + level / 2.0);
        let score = |difference: f64| {
            // The share of pairs in `c` that is most likely given the difference: the root of a quadratic.
            let linear = -b - c + (2.0 * n - b + c) * difference;
            let constant = -c * difference * (1.0 - difference);
            let q = ((linear * linear - 8.0 * n * constant).sqrt() - linear) / (4.0 * n);
            let variance = n * (2.0 * q + difference * (1.0 - difference));
            (b - c - n * difference) / variance.max(f64::MIN_POSITIVE).sqrt()
        };
        let estimate = (b - c) / n;
        let low = if estimate <= -1.0 { -1.0 } else { boundary(-1.0, estimate, |d| score(d) > z) };
        let high = if estimate >= 1.0 { 1.0 } else { boundary(estimate, 1.0, |d| score(d) > -z) };
        Some(Interval { estimate, low, high, level })
    }
}

/// Mean difference of pairs with Student's interval, from how many there are, the sum of their differences and that of the
/// squares of these. `None` with fewer than two pairs.
///
/// ```
/// // t.test(c(1, 2, 4)) in R: mean 2.3333, 95 % from -1.4612 to 6.1279.
/// let mean = canard::stats::paired_mean(3, 7.0, 21.0, 0.95).unwrap();
/// assert!((mean.low + 1.4612).abs() < 1e-4 && (mean.high - 6.1279).abs() < 1e-4);
/// ```
pub fn paired_mean(n: u64, sum: f64, sum_of_squares: f64, level: f64) -> Option<Interval> {
    let pairs = n as f64;
    let variance = (sum_of_squares - sum * sum / pairs).max(0.0) / (pairs - 1.0);
    if n < 2 { None } else { mean((sum / pairs, variance, n), level) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_that_never_differ() {
        let same = Pairs { both: 50, neither: 50, ..Pairs::default() };
        assert_eq!(same.mcnemar(), None);
        let difference = same.difference(0.95).unwrap();
        // z²/(n + z²), where the quadratic has one root at zero.
        assert!(difference.estimate == 0.0 && (difference.high - 0.036_994).abs() < 1e-6, "{difference:?}");
        assert!((difference.low + difference.high).abs() < 1e-9);
        assert_eq!(Pairs::default().difference(0.95), None);
        assert_eq!(paired_mean(1, 1.0, 1.0, 0.95), None);
    }

    #[test]
    fn the_interval_and_the_test_agree() {
        for (first, second) in [(5, 12), (5, 14), (5, 15), (5, 16), (0, 3), (0, 4), (40, 60), (40, 57)] {
            let pairs = Pairs { both: 30, first, second, neither: 30 };
            let significant = pairs.mcnemar().unwrap().p < 0.05;
            assert_eq!(pairs.difference(0.95).unwrap().excludes_zero(), significant, "{pairs:?}");
        }
        let always = Pairs { second: 10, ..Pairs::default() }.difference(0.95).unwrap();
        assert!(always.high == 1.0 && always.low > 0.3, "{always:?}");
    }
}

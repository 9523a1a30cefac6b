//! Distances between two samples with their intervals.

use super::{
    Interval,
    absolute::{cumulative_gaps, sum_of_gaps},
    divergence::{psi, total_variation},
    noncentral, normal_quantile,
};

/// [`total_variation`] of two vectors of counts by category with a conservative interval: that of a sum of absolute
/// gaps, as the module `absolute` derives it. The estimate is the plain distance, which is above zero for two
/// samples of one distribution too; the lower end tells whether they differ. `None` when a sample is empty.
///
/// ```
/// use canard::stats::total_variation_interval;
/// let moved = total_variation_interval(&[500, 300, 200], &[300, 300, 400], 0.95).unwrap();
/// assert!((moved.estimate - 0.2).abs() < 1e-12 && moved.low > 0.13 && moved.high < 0.25);
/// assert_eq!(total_variation_interval(&[50, 30, 20], &[48, 33, 19], 0.95).unwrap().low, 0.0);
/// ```
pub fn total_variation_interval(first: &[u64], second: &[u64], level: f64) -> Option<Interval> {
    let (n, m) = (first.iter().sum::<u64>() as f64, second.iter().sum::<u64>() as f64);
    if n == 0.0 || m == 0.0 {
        return None;
    }
    let at = |counts: &[u64], i: usize| counts.get(i).copied().unwrap_or(0) as f64;
    let categories = || (0..first.len().max(second.len())).map(|i| (at(first, i), at(second, i)));
    // Shares are drawn a little to the middle (Agresti and Coull, The American Statistician 52, 1998), so that the
    // error of an empty category is not taken for none.
    let z2 = normal_quantile(0.5 + level / 2.0).powi(2);
    let variance = |hits: f64, n: f64| {
        let p = (hits + z2 / 2.0) / (n + z2);
        p * (1.0 - p) / n
    };
    let gaps = categories().filter(|(a, b)| a + b > 0.0).map(|(a, b)| {
        let error = (a * (n - a) / n.powi(3) + b * (m - b) / m.powi(3)).sqrt();
        ((b / m - a / n) / 2.0, error / 2.0)
    });
    // Where the second has more: the distance is the gap of the share of this set.
    let more = categories().filter(|(a, b)| b / m > a / n).fold((0.0, 0.0), |s, c| (s.0 + c.0, s.1 + c.1));
    let deviation = (variance(more.0, n) + variance(more.1, m)).sqrt();
    let most = |counts: &[u64], n: f64| {
        let largest = counts.iter().copied().max().unwrap_or(0) as f64;
        variance(largest.max(n / 2.0), n)
    };
    let widest = (most(first, n) + most(second, m)).sqrt();
    let interval = sum_of_gaps(gaps, deviation, widest, level);
    let estimate = total_variation(first, second);
    Some(Interval { estimate, high: interval.high.min(1.0), ..interval })
}

/// Wasserstein distance of order 1 (earth mover's) between two samples of scores in the same bins, each `width` wide:
/// the area between the distribution functions (Vallender, *Theory of Probability and its Applications* 18, 1974),
/// with a conservative interval as of [`total_variation_interval`]. Scores count as being in the middle of
/// their bin, so a shift by less than `width` may not show. `None` when a sample is empty.
///
/// ```
/// let moved = canard::stats::wasserstein(&[500, 300, 200, 0], &[0, 500, 300, 200], 0.25, 0.95).unwrap();
/// assert!((moved.estimate - 0.25).abs() < 1e-12 && moved.low > 0.2);
/// ```
pub fn wasserstein(first: &[u64], second: &[u64], width: f64, level: f64) -> Option<Interval> {
    let signs: Vec<f64> = cumulative_gaps(first, second)?.map(f64::signum).collect();
    let share = |counts: &[u64], i: usize, n: f64| counts.get(i).copied().unwrap_or(0) as f64 / n;
    let (n, m) = (first.iter().sum::<u64>() as f64, second.iter().sum::<u64>() as f64);
    // The sum with signs s is the difference of the means of h, whose slope is s; Sheppard's w²/12 for what the
    // bins hide keeps a sample of one bin from looking sure.
    let variance = |counts: &[u64], n: f64, sign: &dyn Fn(usize) -> f64| {
        let (mut h, mut mean, mut square) = (0.0, 0.0, 0.0);
        for i in 0..signs.len() {
            mean += share(counts, i, n) * h;
            square += share(counts, i, n) * h * h;
            h += width * sign(i);
        }
        ((square - mean * mean).max(0.0) + width * width / 12.0) / n
    };
    let error = |sign: &dyn Fn(usize) -> f64| (variance(first, n, sign) + variance(second, m, sign)).sqrt();
    let cumulative = |counts: &[u64], n: f64| -> Vec<f64> {
        let add = |sum: &mut f64, i| {
            *sum += share(counts, i, n);
            Some(*sum * (1.0 - *sum).max(0.0) / n)
        };
        (0..signs.len()).scan(0.0, add).collect()
    };
    let errors =
        cumulative(first, n).into_iter().zip(cumulative(second, m)).map(|(a, b)| width * (a + b).sqrt());
    let gaps = cumulative_gaps(first, second)?.map(|gap| width * gap).zip(errors);
    // Cumulative shares vary together, so that no signs are more variable than all alike.
    Some(sum_of_gaps(gaps, error(&|i| signs[i]), error(&|_| 1.0), level))
}

/// Population stability index without its finite-sample bias, about (B − 1)(1/N + 1/M) over B categories (Yurdakul
/// and Naranjo, *Journal of Risk Model Validation* 14, 2020), not below 0; B counts the categories that
/// either sample has. `None` when a sample is empty or there is but one category.
///
/// The interval: PSI·NM/(N+M) is nearly noncentral χ² with B − 1 degrees of freedom where the two are near
/// (ibid.), and nearly normal, by the delta method, where they are far apart. A noncentral χ² scaled to the variance
/// of the latter is both; its noncentrality is bounded by inverting its distribution function, as
/// Venables does (*JRSS B* 37, 1975).
///
/// ```
/// use canard::stats::{psi, unbiased_psi};
/// let (before, after) = ([30, 25, 20, 15, 10], [25, 30, 18, 14, 13]);
/// assert!(psi(&before, &after) > 0.02); // of one distribution, but small samples
/// assert_eq!(unbiased_psi(&before, &after, 0.95).unwrap().low, 0.0);
/// ```
pub fn unbiased_psi(expected: &[u64], actual: &[u64], level: f64) -> Option<Interval> {
    let at = |counts: &[u64], i: usize| counts.get(i).copied().unwrap_or(0);
    let seen = (0..expected.len().max(actual.len())).map(|i| (at(expected, i), at(actual, i)));
    let (expected, actual): (Vec<u64>, Vec<u64>) = seen.filter(|(e, a)| e + a > 0).unzip();
    let (n, m) = (expected.iter().sum::<u64>() as f64, actual.iter().sum::<u64>() as f64);
    let freedom = expected.len().checked_sub(1).filter(|f| *f > 0 && n > 0.0 && m > 0.0)? as f64;
    let index = psi(&expected, &actual);
    let size = n * m / (n + m);
    let half = |count: u64, n: f64| (count as f64 + 0.5) / (n + 0.5 * (freedom + 1.0));
    let shares = || expected.iter().zip(&actual).map(|(e, a)| (half(*e, n), half(*a, m)));
    // Slopes of the index in each share, and the variance of their sum over one draw.
    let variance = |slope: fn(f64, f64) -> f64, of: fn((f64, f64)) -> f64| {
        let mean: f64 = shares().map(|pair| of(pair) * slope(pair.0, pair.1)).sum();
        shares().map(|pair| of(pair) * (slope(pair.0, pair.1) - mean).powi(2)).sum::<f64>()
    };
    let in_actual = variance(|e, a| (a / e).ln() + 1.0 - e / a, |(_, a)| a) / m;
    let in_expected = variance(|e, a| (e / a).ln() + 1.0 - a / e, |(e, _)| e) / n;
    let spread = (in_actual + in_expected) * size / (4.0 * index);
    let scale = if spread.is_finite() { spread.max(0.5) } else { 1.0 };
    let observed = index * size / scale;
    let (low, high) = noncentral::noncentrality(observed, freedom, level)?;
    let estimate = (index - freedom / size).max(0.0);
    let (low, high) = (low * scale / size, high * scale / size);
    Some(Interval { estimate: estimate.clamp(low, high.max(low)), low, high, level })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_has_no_distance() {
        assert_eq!(total_variation_interval(&[], &[3], 0.95), None);
        assert_eq!(wasserstein(&[0, 0], &[1, 2], 0.1, 0.95), None);
        assert_eq!(unbiased_psi(&[3, 4], &[0, 0], 0.95), None);
        assert_eq!(unbiased_psi(&[3, 0], &[4, 0], 0.95), None);
    }

    #[test]
    fn opposites_are_as_far_apart_as_can_be() {
        let all = total_variation_interval(&[100, 0], &[0, 100], 0.95).unwrap();
        assert!(all.estimate == 1.0 && all.high == 1.0 && all.low > 0.8, "{all:?}");
        let moved = wasserstein(&[50, 0, 0], &[0, 0, 50], 0.5, 0.95).unwrap();
        assert!((moved.estimate - 1.0).abs() < 1e-12 && moved.low > 0.5, "{moved:?}");
        let index = unbiased_psi(&[1000, 0], &[0, 1000], 0.95).unwrap();
        assert!(index.low > 5.0 && index.high.is_finite(), "{index:?}");
    }

    #[test]
    fn the_same_counts_leave_zero_in() {
        let psi = unbiased_psi(&[10, 20, 30], &[10, 20, 30], 0.95).unwrap();
        assert_eq!((psi.estimate, psi.low), (0.0, 0.0));
        let area = wasserstein(&[10, 20, 30], &[10, 20, 30], 0.1, 0.95).unwrap();
        assert!(area.estimate == 0.0 && area.low == 0.0 && area.high > 0.0);
    }
}

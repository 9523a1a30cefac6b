//! Distances that are sums of absolute gaps, D = Σ wᵢ·|dᵢ|: total variation, Wasserstein, calibration error.
//!
//! Each dᵢ is estimated without bias and nearly normal, but |dᵢ| is not: the estimate of D is too large, most of
//! all where nothing differs, and neither the delta method nor the bootstrap holds there. Used instead: D is
//! the largest of the linear sums Σ wᵢ·sᵢ·dᵢ over all signs sᵢ = ±1.
//!
//! - Upper end: D̂ is at least the sum with the true signs, which is normal around D, so D̂ + z·σ(ŝ).
//! - Lower end: D̂ varies no more than the most variable of the sums (Borell-TIS inequality: Adler and Taylor,
//!   *Random Fields and Geometry*, 2007, th. 2.1.1), around a mean that is above D by at most the excess of each
//!   |d̂ᵢ|, a folded normal (Leone, Nelson and Nottingham, *Technometrics* 3, 1961). So D̂ − excess − z·σ_max.
//!
//! Both are conservative: they cover at least at their level, in large samples.

use statrs::function::erf::erfc;

use super::{Interval, normal_quantile};

/// The interval of Σ |gap| from pairs of a gap and its standard error; `deviation` is the standard error of
/// the sum with the signs as estimated, `widest` a bound of it for any signs.
pub(super) fn sum_of_gaps(
    gaps: impl Iterator<Item = (f64, f64)>,
    deviation: f64,
    widest: f64,
    level: f64,
) -> Interval {
    let z = normal_quantile(0.5 + level / 2.0);
    let (estimate, excess) = gaps.fold((0.0, 0.0), |(sum, excess), (gap, error)| {
        (sum + gap.abs(), excess + folded_excess((gap.abs() - z * error).max(0.0), error))
    });
    let low = (estimate - excess - z * widest).max(0.0);
    Interval { estimate, low, high: estimate + z * deviation, level }
}

/// E|X| − d for X normal around d ≥ 0.
fn folded_excess(d: f64, error: f64) -> f64 {
    if error <= 0.0 {
        return 0.0;
    }
    let z = d / error;
    let below = erfc(z / std::f64::consts::SQRT_2) / 2.0;
    error * ((2.0 / std::f64::consts::PI).sqrt() * (-z * z / 2.0).exp() - 2.0 * z * below)
}

/// Gaps of the two cumulative shares after each bin; `None` when a sample is empty.
pub(super) fn cumulative_gaps<'a>(
    first: &'a [u64],
    second: &'a [u64],
) -> Option<impl Iterator<Item = f64> + 'a> {
    let (n, m) = (first.iter().sum::<u64>(), second.iter().sum::<u64>());
    let at = |counts: &[u64], i: usize| counts.get(i).copied().unwrap_or(0);
    let bins = 0..first.len().max(second.len());
    (n > 0 && m > 0).then(|| {
        bins.scan((0, 0), move |(a, b), i| {
            *a += at(first, i);
            *b += at(second, i);
            Some(*b as f64 / m as f64 - *a as f64 / n as f64)
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_excess_of_a_folded_normal() {
        assert!((folded_excess(0.0, 2.0) - 2.0 * (2.0 / std::f64::consts::PI).sqrt()).abs() < 1e-12);
        assert!(folded_excess(10.0, 1.0).abs() < 1e-12);
        assert_eq!(folded_excess(1.0, 0.0), 0.0);
    }
}

//! The noncentral χ² distribution, which tells the power of tests of counts.

use statrs::function::{
    erf::erfc,
    gamma::{checked_gamma_lr, ln_gamma},
};

use super::root::{beyond, boundary};

/// Terms smaller than this, next to a sum of at most 1, no longer count.
const SMALL: f64 = 1e-17;
/// Most terms of a series.
pub(super) const TERMS: usize = 100_000;

/// The standard normal distribution function.
pub(super) fn normal_below(x: f64) -> f64 {
    erfc(-x / std::f64::consts::SQRT_2) / 2.0
}

/// P(X ≤ x) of the noncentral χ²: a Poisson mixture of central ones, summed from its largest term outwards
/// (Benton and Krishnamoorthy, *Computational Statistics & Data Analysis* 43, 2003, algorithm 7.3). Past a
/// noncentrality of 10⁶ by Sankaran's normal approximation (*Biometrika* 50, 1963).
pub(super) fn chi_squared_below(x: f64, freedom: f64, noncentrality: f64) -> f64 {
    if x <= 0.0 {
        return 0.0;
    }
    if noncentrality > 1e6 {
        return sankaran(x, freedom, noncentrality);
    }
    let (half, half_x) = (noncentrality / 2.0, x / 2.0);
    let start = half.floor();
    let weight = |k: f64| {
        if half == 0.0 { -ln_gamma(k + 1.0) } else { k * half.ln() - half - ln_gamma(k + 1.0) }.exp()
    };
    let central = |k: f64| checked_gamma_lr(freedom / 2.0 + k, half_x).unwrap_or(0.0);
    // What one degree more takes away from the central distribution function.
    let step = |k: f64| {
        let a = freedom / 2.0 + k;
        (a * half_x.ln() - half_x - ln_gamma(a + 1.0)).exp()
    };
    let (first_weight, first, first_step) = (weight(start), central(start), step(start));
    let mut sum = first_weight * first;
    let (mut w, mut c, mut s, mut k) = (first_weight, first, first_step, start);
    for _ in 0..TERMS {
        c -= s;
        k += 1.0;
        w *= half / k;
        s *= half_x / (freedom / 2.0 + k);
        sum += w * c.max(0.0);
        if w * c.max(0.0) < SMALL {
            break;
        }
    }
    (w, c, s, k) = (first_weight, first, first_step, start);
    while k > 0.0 {
        s *= (freedom / 2.0 + k) / half_x;
        w *= k / half;
        k -= 1.0;
        c = (c + s).min(1.0);
        sum += w * c;
        if w < SMALL {
            break;
        }
    }
    sum.clamp(0.0, 1.0)
}

fn sankaran(x: f64, freedom: f64, noncentrality: f64) -> f64 {
    let (mean, twice) = (freedom + noncentrality, freedom + 2.0 * noncentrality);
    let h = 1.0 - 2.0 * mean * (freedom + 3.0 * noncentrality) / (3.0 * twice * twice);
    let p = twice / (mean * mean);
    let m = (h - 1.0) * (1.0 - 3.0 * h);
    let centre = 1.0 + h * p * (h - 1.0 - (2.0 - h) * m * p / 2.0);
    let spread = h * (2.0 * p).sqrt() * (1.0 + m * p / 2.0);
    normal_below(((x / mean).powf(h) - centre) / spread)
}

/// The interval of the noncentrality of a noncentral χ² that was seen as `x`: all that do not make it too large or
/// too small at `level`.
pub(super) fn noncentrality(x: f64, freedom: f64, level: f64) -> Option<(f64, f64)> {
    let tail = (1.0 - level) / 2.0;
    let end = |p: f64| {
        let before = |candidate: f64| chi_squared_below(x, freedom, candidate) > p;
        if !before(0.0) {
            return Some(0.0);
        }
        Some(boundary(0.0, beyond(x.max(1.0), before)?, before))
    };
    x.is_finite().then_some(())?;
    Some((end(1.0 - tail)?, end(tail)?))
}

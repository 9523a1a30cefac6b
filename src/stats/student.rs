//! Student's t and its noncentral kin, for the power of tests of means.

use statrs::{
    distribution::{ContinuousCDF, StudentsT},
    function::{beta::checked_beta_reg, gamma::ln_gamma},
};

use super::{
    noncentral::{TERMS, normal_below},
    root::{beyond, boundary},
};

/// P(T ≤ t) of the noncentral t, by AS 243 (Lenth, *Applied Statistics* 38, 1989), and beyond 4·10⁵ degrees of
/// freedom by the normal approximation of Abramowitz and Stegun 26.7.10, both as in R.
pub(super) fn t_below(t: f64, freedom: f64, noncentrality: f64) -> f64 {
    if t < 0.0 {
        return 1.0 - t_below(-t, freedom, -noncentrality);
    }
    if freedom > 4e5 || noncentrality.powi(2) > 1400.0 {
        let s = 1.0 / (4.0 * freedom);
        return normal_below((t * (1.0 - s) - noncentrality) / (1.0 + t * t * 2.0 * s).sqrt());
    }
    let below = normal_below(-noncentrality);
    let (x, y) = (t * t / (freedom + t * t), freedom / (freedom + t * t));
    let lambda = noncentrality * noncentrality;
    if x <= 0.0 {
        return below.clamp(0.0, 1.0);
    }
    let pi = std::f64::consts::PI;
    let (mut a, b) = (0.5, 0.5 * freedom);
    let mut p = 0.5 * (-0.5 * lambda).exp();
    let mut q = (2.0 / pi).sqrt() * p * noncentrality;
    let mut s = -0.5 * (-0.5 * lambda).exp_m1();
    let y_to_b = y.powf(b);
    let beta = 0.5 * pi.ln() + ln_gamma(b) - ln_gamma(a + b);
    let mut odd = checked_beta_reg(a, b, x).unwrap_or(1.0);
    let mut odd_step = 2.0 * y_to_b * (a * x.ln() - beta).exp();
    let mut even = 1.0 - y_to_b;
    let mut even_step = b * x * y_to_b;
    let mut sum = p * odd + q * even;
    for term in 1..TERMS {
        a += 1.0;
        odd -= odd_step;
        even -= even_step;
        odd_step *= x * (a + b - 1.0) / a;
        even_step *= x * (a + b - 0.5) / (a + 0.5);
        p *= lambda / (2 * term) as f64;
        q *= lambda / (2 * term + 1) as f64;
        sum += p * odd + q * even;
        s -= p;
        if (s <= 0.0 && term > 1) || (2.0 * s * (odd - odd_step)).abs() < 1e-14 {
            break;
        }
    }
    (sum + below).clamp(0.0, 1.0)
}

/// The t that is exceeded with probability `p`, below one half.
pub(super) fn t_above(p: f64, freedom: f64) -> Option<f64> {
    let t = StudentsT::new(0.0, 1.0, freedom).ok()?;
    let before = |x: f64| t.sf(x) > p;
    Some(boundary(0.0, beyond(1.0, before)?, before))
}

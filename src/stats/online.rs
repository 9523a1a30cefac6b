//! Estimates from a stream of numbers, in memory that does not grow.

/// Mean and variance, one number at a time (Welford, *Technometrics* 4, 1962).
///
/// ```
/// let mut moments = canard::stats::Welford::default();
/// [1.0, 2.0, 3.0].into_iter().for_each(|x| moments.record(x));
/// assert_eq!((moments.mean(), moments.variance()), (2.0, Some(1.0)));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Welford {
    n: u64,
    mean: f64,
    squares: f64,
}

impl Welford {
    /// Counts a number; what is not finite is not counted.
    pub fn record(&mut self, x: f64) {
        if x.is_finite() {
            self.n += 1;
            let before = x - self.mean;
            self.mean += before / self.n as f64;
            self.squares += before * (x - self.mean);
        }
    }

    /// How many were counted.
    pub const fn count(&self) -> u64 {
        self.n
    }

    /// The mean; 0 when empty.
    pub const fn mean(&self) -> f64 {
        self.mean
    }

    /// The sample variance; `None` with fewer than two numbers.
    pub fn variance(&self) -> Option<f64> {
        (self.n > 1).then(|| self.squares / (self.n - 1) as f64)
    }

    /// The sample standard deviation; `None` with fewer than two numbers.
    pub fn deviation(&self) -> Option<f64> {
        self.variance().map(f64::sqrt)
    }
}

/// One quantile from five numbers: the P² algorithm (Jain and Chlamtac, *Communications of the ACM* 28,
/// 1985, box 1). Exact for up to five numbers.
///
/// ```
/// let mut median = canard::stats::P2::new(0.5);
/// (0..1001).for_each(|i| median.record(f64::from(i * 7919 % 1001)));
/// assert!((median.estimate().unwrap() - 500.0).abs() < 15.0);
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct P2 {
    q: f64,
    n: u64,
    heights: [f64; 5],
    places: [f64; 5],
}

impl P2 {
    /// An estimate of the quantile `q`, 0 to 1.
    pub fn new(q: f64) -> P2 {
        P2 { q: q.clamp(0.0, 1.0), n: 0, heights: [0.0; 5], places: [1.0, 2.0, 3.0, 4.0, 5.0] }
    }

    /// How many numbers were counted.
    pub const fn count(&self) -> u64 {
        self.n
    }

    /// The quantile; `None` when empty.
    pub fn estimate(&self) -> Option<f64> {
        match self.n {
            0 => None,
            n @ 1..=5 => {
                let mut sorted = self.heights;
                let sorted = &mut sorted[..n as usize];
                sorted.sort_unstable_by(f64::total_cmp);
                Some(sorted[((self.q * n as f64).ceil().max(1.0) as usize - 1).min(n as usize - 1)])
            }
            _ => Some(self.heights[2]),
        }
    }

    /// Counts a number; what is not finite is not counted.
    pub fn record(&mut self, x: f64) {
        if !x.is_finite() {
            return;
        }
        self.n += 1;
        if self.n <= 5 {
            self.heights[self.n as usize - 1] = x;
            if self.n == 5 {
                self.heights.sort_unstable_by(f64::total_cmp);
            }
            return;
        }
        self.heights[0] = self.heights[0].min(x);
        self.heights[4] = self.heights[4].max(x);
        let cell = (1..4).take_while(|i| self.heights[*i] <= x).count();
        self.places[cell + 1..].iter_mut().for_each(|place| *place += 1.0);
        let last = (self.n - 1) as f64;
        for (i, share) in [(1, self.q / 2.0), (2, self.q), (3, (1.0 + self.q) / 2.0)] {
            let off = 1.0 + last * share - self.places[i];
            let room = if off > 0.0 {
                self.places[i + 1] - self.places[i]
            } else {
                self.places[i] - self.places[i - 1]
            };
            if off.abs() >= 1.0 && room > 1.0 {
                self.heights[i] = self.moved(i, off.signum());
                self.places[i] += off.signum();
            }
        }
    }

    /// The height of a marker that moves one place: by the parabola through three, or else by the line.
    fn moved(&self, i: usize, step: f64) -> f64 {
        let (h, n) = (&self.heights, &self.places);
        let up = (n[i] - n[i - 1] + step) * (h[i + 1] - h[i]) / (n[i + 1] - n[i]);
        let down = (n[i + 1] - n[i] - step) * (h[i] - h[i - 1]) / (n[i] - n[i - 1]);
        let parabola = h[i] + step / (n[i + 1] - n[i - 1]) * (up + down);
        if h[i - 1] < parabola && parabola < h[i + 1] {
            return parabola;
        }
        let other = if step > 0.0 { i + 1 } else { i - 1 };
        h[i] + step * (h[other] - h[i]) / (n[other] - n[i])
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn moments_are_those_of_all_numbers(numbers in prop::collection::vec(-1e3..1e3, 2..200)) {
            let mut moments = Welford::default();
            numbers.iter().for_each(|x| moments.record(*x));
            moments.record(f64::NAN);
            let n = numbers.len() as f64;
            let mean = numbers.iter().sum::<f64>() / n;
            let variance = numbers.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / (n - 1.0);
            prop_assert!((moments.mean() - mean).abs() < 1e-9);
            prop_assert!((moments.variance().unwrap() - variance).abs() < 1e-6);
        }

        #[test]
        fn a_quantile_is_near(seed in 0_u64..1000, q in 0.05..0.95) {
            let key = crate::draw::Key::new(seed, "p2");
            let draw = |i| key.draw(crate::draw::UnitHash::from_u64(i), 0).uniform();
            let mut estimate = P2::new(q);
            (0..5000).for_each(|i| estimate.record(draw(i)));
            // Six standard errors of a quantile of 5,000 uniform numbers.
            prop_assert!((estimate.estimate().unwrap() - q).abs() < 0.045);
        }
    }

    #[test]
    fn few_numbers_are_exact() {
        let mut quantile = P2::new(0.5);
        assert_eq!(quantile.estimate(), None);
        for (x, median) in [(3.0, 3.0), (1.0, 1.0), (2.0, 2.0), (9.0, 2.0), (8.0, 3.0)] {
            quantile.record(x);
            assert_eq!(quantile.estimate(), Some(median));
        }
        assert_eq!(Welford::default().deviation(), None);
    }

    #[test]
    fn the_same_number_again_and_again() {
        let mut quantile = P2::new(0.9);
        (0..100).for_each(|_| quantile.record(4.0));
        assert_eq!(quantile.estimate(), Some(4.0));
    }
}

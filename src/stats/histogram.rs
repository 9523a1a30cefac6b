//! Histograms of bounded size that add up: latencies on a logarithmic scale, scores on a linear one.

use std::{collections::BTreeMap, time::Duration};

use serde::{Deserialize, Deserializer, Serialize, de::Error as _};

/// Each power of two is cut into so many buckets: a quantile is within 1.6 % of the true value.
const CUTS: u64 = 64;
const CUT_BITS: u32 = CUTS.trailing_zeros();
/// Number of buckets: microseconds up to 2³², 71 minutes; longer spans count in the last one.
pub(crate) const LATENCY_BUCKETS: usize = ((32 - CUT_BITS as usize) + 1) * CUTS as usize;

/// The bucket of a span of time.
pub(crate) fn latency_bucket(span: Duration) -> usize {
    let micros = u64::try_from(span.as_micros()).unwrap_or(u64::MAX);
    if micros < CUTS {
        return micros as usize;
    }
    let exponent = micros.ilog2() - CUT_BITS;
    let index = (u64::from(exponent) + 1) * CUTS + ((micros >> exponent) - CUTS);
    (index as usize).min(LATENCY_BUCKETS - 1)
}

/// The middle of a bucket, in seconds.
fn bucket_middle_s(index: usize) -> f64 {
    let width = if (index as u64) < CUTS { 0 } else { 1_u64 << (index as u64 / CUTS - 1) };
    bucket_low_s(index) + width as f64 / 2.0 * 1e-6
}

/// The lower end of a bucket, in seconds.
fn bucket_low_s(index: usize) -> f64 {
    let index = index as u64;
    let low = if index < CUTS { index } else { (CUTS + index % CUTS) << (index / CUTS - 1) };
    low as f64 * 1e-6
}

/// Latencies in logarithmic buckets (as HdrHistogram has them), at most 1.6 % off.
///
/// ```
/// use std::time::Duration;
/// let mut histogram = canard::stats::Histogram::default();
/// for ms in 1..=100 {
///     histogram.record(Duration::from_millis(ms));
/// }
/// assert!((histogram.quantile(0.5).unwrap() - 0.050).abs() < 0.001);
/// ```
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(transparent)]
pub struct Histogram {
    /// Bucket → count; empty buckets are left out.
    #[serde(deserialize_with = "known_buckets")]
    buckets: BTreeMap<u32, u64>,
}

/// Refuses buckets that there are not: what comes from elsewhere may be anything.
fn known_buckets<'de, D: Deserializer<'de>>(from: D) -> Result<BTreeMap<u32, u64>, D::Error> {
    let buckets = BTreeMap::<u32, u64>::deserialize(from)?;
    match buckets.last_key_value() {
        Some((last, _)) if *last as usize >= LATENCY_BUCKETS => {
            Err(D::Error::custom(format!("a histogram has no bucket {last}, only {LATENCY_BUCKETS} of them")))
        }
        _ if buckets.values().try_fold(0_u64, |sum, n| sum.checked_add(*n)).is_none() => {
            Err(D::Error::custom("the counts of a histogram overflow"))
        }
        _ => Ok(buckets),
    }
}

impl Histogram {
    /// Counts one span.
    pub fn record(&mut self, span: Duration) {
        *self.buckets.entry(latency_bucket(span) as u32).or_default() += 1;
    }

    pub(crate) fn from_counts(counts: impl Iterator<Item = (usize, u64)>) -> Histogram {
        Histogram { buckets: counts.filter(|(_, n)| *n > 0).map(|(i, n)| (i as u32, n)).collect() }
    }

    /// How many were counted.
    pub fn count(&self) -> u64 {
        self.buckets.values().sum()
    }

    /// The value in seconds below which a share `q` (0..=1) lies; `None` when empty.
    pub fn quantile(&self, q: f64) -> Option<f64> {
        let total = self.count();
        self.at_rank((q.clamp(0.0, 1.0) * total as f64).ceil() as u64)
    }

    /// The value in seconds at a place in the order, the smallest at 1; `None` beyond the last.
    pub(super) fn at_rank(&self, rank: u64) -> Option<f64> {
        let rank = rank.max(1);
        let mut seen = 0;
        self.buckets.iter().find_map(|(index, count)| {
            seen += count;
            (seen >= rank).then(|| bucket_middle_s(*index as usize))
        })
    }

    /// How many lie at or above each of so many evenly spread cuts of every power of two microseconds (1, 2, 4 and so
    /// on to 64), the lowest first; see [`cut`](Histogram::cut).
    pub fn above_cuts(&self, per_octave: usize) -> Vec<u64> {
        let step = CUTS as usize / per_octave;
        let mut left = self.count();
        let mut buckets = self.buckets.iter().peekable();
        let above = |cut: usize| {
            while let Some((_, count)) = buckets.next_if(|(bucket, _)| (**bucket as usize) < cut * step) {
                left -= count;
            }
            left
        };
        (1..LATENCY_BUCKETS / step).map(above).collect()
    }

    /// Where a cut of [`above_cuts`](Histogram::above_cuts) lies, by its number, in seconds.
    pub fn cut(number: usize, per_octave: usize) -> f64 {
        bucket_low_s((number + 1) * (CUTS as usize / per_octave))
    }

    /// Mean in seconds; `None` when empty.
    pub fn mean(&self) -> Option<f64> {
        self.moments(|s| s).map(|(mean, _)| mean)
    }

    /// Mean and variance of `f(seconds)`; `None` when empty.
    pub fn moments(&self, f: impl Fn(f64) -> f64) -> Option<(f64, f64)> {
        let n = self.count() as f64;
        let values = || self.buckets.iter().map(|(i, c)| (f(bucket_middle_s(*i as usize)), *c as f64));
        let mean = values().map(|(v, c)| v * c).sum::<f64>() / n;
        let variance = values().map(|(v, c)| c * (v - mean).powi(2)).sum::<f64>() / (n - 1.0).max(1.0);
        (n > 0.0).then_some((mean, variance))
    }

    /// Adds another's counts.
    pub fn merge(&mut self, other: &Histogram) {
        for (bucket, count) in &other.buckets {
            *self.buckets.entry(*bucket).or_default() += count;
        }
    }

    /// What was counted since `earlier`, a former reading of the same histogram.
    pub fn since(&self, earlier: &Histogram) -> Histogram {
        let before = |bucket: &u32| earlier.buckets.get(bucket).copied().unwrap_or(0);
        let left = self.buckets.iter().map(|(b, n)| (*b as usize, n.saturating_sub(before(b))));
        Histogram::from_counts(left)
    }
}

/// Number of bins of [`Scores`], each 0.05 wide.
pub const SCORE_BINS: usize = 20;

/// Scores between 0 and 1 in equal bins, with their sum and sum of squares.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Scores {
    /// Count of scores in each bin of 0.05.
    pub bins: [u64; SCORE_BINS],
    /// Sum of the scores.
    pub sum: f64,
    /// Sum of their squares.
    pub sum_of_squares: f64,
}

impl Scores {
    /// Counts one score; one outside 0..=1 is not counted.
    pub fn record(&mut self, score: f64) {
        if (0.0..=1.0).contains(&score) {
            self.bins[((score * SCORE_BINS as f64) as usize).min(SCORE_BINS - 1)] += 1;
            self.sum += score;
            self.sum_of_squares += score * score;
        }
    }

    /// How many were counted.
    pub fn count(&self) -> u64 {
        self.bins.iter().sum()
    }

    /// Mean and variance; `None` when empty.
    pub fn moments(&self) -> Option<(f64, f64)> {
        let n = self.count() as f64;
        let mean = self.sum / n;
        let variance = (self.sum_of_squares - n * mean * mean).max(0.0) / (n - 1.0).max(1.0);
        (n > 0.0).then_some((mean, variance))
    }

    /// Adds another's counts.
    pub fn merge(&mut self, other: &Scores) {
        self.bins.iter_mut().zip(other.bins).for_each(|(a, b)| *a += b);
        self.sum += other.sum;
        self.sum_of_squares += other.sum_of_squares;
    }

    /// What was counted since `earlier`, a former reading of the same scores.
    pub fn since(&self, earlier: &Scores) -> Scores {
        let mut bins = self.bins;
        bins.iter_mut().zip(earlier.bins).for_each(|(a, b)| *a = a.saturating_sub(b));
        Scores {
            bins,
            sum: self.sum - earlier.sum,
            sum_of_squares: self.sum_of_squares - earlier.sum_of_squares,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_bucket_holds_its_own_middle() {
        for index in 0..LATENCY_BUCKETS - 1 {
            let middle = Duration::from_secs_f64(bucket_middle_s(index) + 1e-9);
            assert_eq!(latency_bucket(middle), index);
        }
        assert_eq!(latency_bucket(Duration::from_secs(1_000_000)), LATENCY_BUCKETS - 1);
    }

    #[test]
    fn a_bucket_that_there_is_not_is_refused() {
        let read = |text: &str| serde_json::from_str::<Histogram>(text).map_err(|error| error.to_string());
        let last = LATENCY_BUCKETS - 1;
        assert!(read(&format!("{{\"{last}\": 3}}")).unwrap().quantile(1.0).is_some());
        assert!(read("{\"4294967295\": 1}").unwrap_err().contains("no bucket 4294967295"));
        assert!(read(&format!("{{\"0\": 1, \"{LATENCY_BUCKETS}\": 1}}")).is_err());
        assert!(read(&format!("{{\"0\": {}, \"1\": 1}}", u64::MAX)).unwrap_err().contains("overflow"));
    }

    #[test]
    fn what_came_since_is_the_difference() {
        let mut early = Histogram::default();
        early.record(Duration::from_millis(5));
        let mut late = early.clone();
        late.record(Duration::from_millis(500));
        let since = late.since(&early);
        assert_eq!(since.count(), 1);
        assert!(since.mean().unwrap() > 0.49);
    }
}

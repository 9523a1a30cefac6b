//! Times until something happens, where some runs end before it does: leaving those out, or counting them as
//! long, would make every alert look quicker, or slower, than it is.

use serde::{Deserialize, Serialize};

use super::normal_quantile;

/// The product-limit estimate of the share that is still without the event (Kaplan and Meier, *JASA* 53,
/// 1958), a step at each time at which something happened.
///
/// ```
/// use canard::stats::KaplanMeier;
/// // Four runs: detected after 3, 5 and 9 s, and one that ended after 6 s undetected.
/// let curve = KaplanMeier::of(&[(3.0, true), (5.0, true), (6.0, false), (9.0, true)], 0.95).unwrap();
/// assert_eq!(curve.at(5.0), 0.5);
/// assert_eq!(curve.quantile(0.5).estimate, Some(7.0)); // one half from 5 to 9 s: the middle, as R has it
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct KaplanMeier {
    /// How many were followed.
    pub n: u64,
    /// How many had the event; the others are censored.
    pub events: u64,
    /// Confidence level of the intervals, of each step by itself.
    pub level: f64,
    /// The steps, in order of time.
    pub steps: Vec<SurvivalStep>,
}

/// One step of a [`KaplanMeier`] curve.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct SurvivalStep {
    /// The time.
    pub time: f64,
    /// How many were still followed, and without the event, just before it.
    pub at_risk: u64,
    /// How many had the event at this time.
    pub events: u64,
    /// Share without the event from here on.
    pub survival: f64,
    /// Variance of that share (Greenwood, *Reports on Public Health and Medical Subjects* 33, 1926).
    pub variance: f64,
    /// Lower end of its interval, on the scale of log(−log S) (Kalbfleisch and Prentice, *The Statistical
    /// Analysis of Failure Time Data*, 1980, § 1.3); none where the share is 0, where there is no such scale.
    pub low: Option<f64>,
    /// Upper end of its interval.
    pub high: Option<f64>,
}

/// A time by which a share had the event, with its interval; an end that the curve does not reach is none.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct TimeQuantile {
    /// The time; none if too few had the event.
    pub estimate: Option<f64>,
    /// Lower end.
    pub low: Option<f64>,
    /// Upper end; none if it may be any time later.
    pub high: Option<f64>,
    /// Confidence level.
    pub level: f64,
}

impl KaplanMeier {
    /// The curve of (time, did the event happen then?). What is censored at the time of an event was still
    /// followed at it. Times that are not finite, or below zero, are left out; `None` without any.
    pub fn of(times: &[(f64, bool)], level: f64) -> Option<KaplanMeier> {
        let usable = times.iter().copied().filter(|(time, _)| time.is_finite() && *time >= 0.0);
        let mut times: Vec<(f64, bool)> = usable.collect();
        times.sort_unstable_by(|a, b| a.0.total_cmp(&b.0));
        let n = times.len() as u64;
        let z = normal_quantile(0.5 + level / 2.0);
        let (mut left, mut survival, mut greenwood) = (n, 1.0, 0.0);
        let mut steps = Vec::new();
        for group in times.chunk_by(|a, b| a.0 == b.0) {
            let events = group.iter().filter(|(_, event)| *event).count() as u64;
            if events > 0 {
                survival *= (left - events) as f64 / left as f64;
                greenwood += events as f64 / (left as f64 * (left - events) as f64);
                let (low, high) = log_log(survival, greenwood, z).unzip();
                let variance = if survival > 0.0 { survival * survival * greenwood } else { 0.0 };
                let (time, at_risk) = (group[0].0, left);
                steps.push(SurvivalStep { time, at_risk, events, survival, variance, low, high });
            }
            left -= group.len() as u64;
        }
        let events = steps.iter().map(|step| step.events).sum();
        (n > 0).then_some(KaplanMeier { n, events, level, steps })
    }

    /// Share without the event after `time`.
    pub fn at(&self, time: f64) -> f64 {
        self.steps.iter().take_while(|step| step.time <= time).last().map_or(1.0, |step| step.survival)
    }

    /// The time by which a share `q` had the event, with the interval of all times that the curve's own
    /// intervals do not exclude (Brookmeyer and Crowley, *Biometrics* 38, 1982). Where the curve is flat at
    /// 1 − q it is the middle of the flat part, as in R's `survival`.
    pub fn quantile(&self, q: f64) -> TimeQuantile {
        let reached = |share: fn(&SurvivalStep) -> Option<f64>| {
            let known = self.steps.iter().filter_map(|step| Some((step.time, share(step)?)));
            let mut below = known.skip_while(|(_, share)| *share >= 1.0 - q + FLAT);
            let (time, share) = below.next()?;
            let next = below.find(|(_, later)| *later < share).filter(|_| (share - (1.0 - q)).abs() < FLAT);
            Some(next.map_or(time, |(later, _)| f64::midpoint(time, later)))
        };
        TimeQuantile {
            estimate: reached(|step| Some(step.survival)),
            low: reached(|step| step.low),
            high: reached(|step| step.high),
            level: self.level,
        }
    }
}

/// Two shares that differ by less are the same: R's tolerance, the root of the machine's precision.
const FLAT: f64 = 1.490_116_119_384_765_6e-8;

fn log_log(survival: f64, greenwood: f64, z: f64) -> Option<(f64, f64)> {
    let log = survival.ln();
    let reach = (z * greenwood.sqrt() / log.abs()).exp();
    (survival > 0.0).then(|| (survival.powf(reach), survival.powf(1.0 / reach)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_and_nobody_detected() {
        assert_eq!(KaplanMeier::of(&[], 0.95), None);
        assert_eq!(KaplanMeier::of(&[(f64::NAN, true), (-1.0, true)], 0.95), None);
        let curve = KaplanMeier::of(&[(3.0, false), (4.0, false)], 0.95).unwrap();
        assert_eq!((curve.n, curve.events, curve.at(10.0)), (2, 0, 1.0));
        let median = curve.quantile(0.5);
        assert_eq!((median.estimate, median.low, median.high), (None, None, None));
    }

    #[test]
    fn all_detected_at_once() {
        let curve = KaplanMeier::of(&[(2.0, true); 3], 0.95).unwrap();
        assert_eq!((curve.at(1.9), curve.at(2.0)), (1.0, 0.0));
        assert_eq!(curve.quantile(0.5).estimate, Some(2.0));
        assert_eq!((curve.steps[0].low, curve.steps[0].high), (None, None));
    }
}

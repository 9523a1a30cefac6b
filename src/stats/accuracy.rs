//! How well scores rank and what they promise: area under the ROC curve and calibration error, with intervals, from
//! binned scores.

use serde::{Deserialize, Serialize};

use super::{Interval, absolute::sum_of_gaps, normal_quantile, root::boundary};

/// Of fewer the variance is not known.
const FEWEST: f64 = 5.0;

/// Area under the ROC curve of scores in bins, from the counts of the negative and of the positive class: the
/// probability that a positive stands above a negative, ties counting one half (Mann-Whitney). The interval is DeLong's
/// (DeLong, DeLong and Clarke-Pearson, *Biometrics* 44, 1988) on the logit (Pepe, *The Statistical Evaluation of
/// Medical Tests*, 2003, § 5.2.4); where that has no width, because the classes do not overlap, or a class has fewer than 5, it is the one of
/// Hanley and McNeil's variance by Wilson's method (Newcombe, *Statistics in Medicine* 25, 2006, method 5). `None`
/// when a class is empty.
///
/// ```
/// let area = canard::stats::area_under_roc(&[40, 30, 20, 10], &[10, 20, 30, 40], 0.95).unwrap();
/// assert!((area.estimate - 0.75).abs() < 1e-12 && area.low > 0.67 && area.high < 0.82);
/// ```
pub fn area_under_roc(negatives: &[u64], positives: &[u64], level: f64) -> Option<Interval> {
    let (n, p) = (negatives.iter().sum::<u64>() as f64, positives.iter().sum::<u64>() as f64);
    if n == 0.0 || p == 0.0 {
        return None;
    }
    let at = |counts: &[u64], i: usize| counts.get(i).copied().unwrap_or(0) as f64;
    // Placement of each bin's members among the other class; a pass each for the mean and the squares.
    let (mut below_n, mut below_p) = (0.0, 0.0);
    let (mut area, mut squares_p, mut squares_n) = (0.0, 0.0, 0.0);
    for i in 0..negatives.len().max(positives.len()) {
        let (in_n, in_p) = (at(negatives, i), at(positives, i));
        let positive_above = (below_n + in_n / 2.0) / n;
        let negative_below = 1.0 - (below_p + in_p / 2.0) / p;
        area += in_p * positive_above / p;
        squares_p += in_p * positive_above * positive_above;
        squares_n += in_n * negative_below * negative_below;
        below_n += in_n;
        below_p += in_p;
    }
    let spread =
        |squares: f64, count: f64| (squares - count * area * area).max(0.0) / (count - 1.0).max(1.0) / count;
    let variance = spread(squares_p, p) + spread(squares_n, n);
    let z = normal_quantile(0.5 + level / 2.0);
    let inside = area * (1.0 - area);
    if n.min(p) >= FEWEST && variance > 0.0 && inside > 1e-12 {
        let (logit, reach) = ((area / (1.0 - area)).ln(), z * variance.sqrt() / inside);
        let back = |x: f64| 1.0 / (1.0 + (-x).exp());
        return Some(Interval { estimate: area, low: back(logit - reach), high: back(logit + reach), level });
    }
    let half = f64::midpoint(n, p) - 1.0;
    let error = |a: f64| {
        let more = half * ((1.0 - a) / (2.0 - a) + a / (1.0 + a));
        (a * (1.0 - a) * (1.0 + more) / (n * p)).sqrt()
    };
    let low = boundary(0.0, area, |a| area - a > z * error(a));
    let high = boundary(area, 1.0, |a| a - area < z * error(a));
    let (low, high) = (if area > 0.0 { low } else { 0.0 }, if area < 1.0 { high } else { 1.0 });
    Some(Interval { estimate: area, low, high, level })
}

/// Predictions whose confidence lies in one bin.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct CalibrationBin {
    /// How many.
    pub count: u64,
    /// How many of them were right.
    pub right: u64,
    /// Sum of their confidences.
    pub confidence: f64,
}

/// Expected calibration error ([`calibration_error`](super::calibration_error)) of binned predictions, with a
/// conservative interval: that of a sum of absolute gaps, as the module `absolute` derives it. The estimate of a
/// well calibrated model is above zero too (Roelofs and others, AISTATS 2022); the lower end tells. `None` without
/// predictions.
///
/// ```
/// use canard::stats::{CalibrationBin, calibration_error_interval};
/// let sure = [CalibrationBin { count: 1000, right: 700, confidence: 900.0 }];
/// let error = calibration_error_interval(&sure, 0.95).unwrap();
/// assert!((error.estimate - 0.2).abs() < 1e-12 && error.low > 0.16 && error.high < 0.24);
/// ```
pub fn calibration_error_interval(bins: &[CalibrationBin], level: f64) -> Option<Interval> {
    let n = bins.iter().map(|bin| bin.count).sum::<u64>() as f64;
    let usable = bins.iter().all(|bin| bin.right <= bin.count && bin.confidence.is_finite());
    (n > 0.0 && usable).then_some(())?;
    let z2 = normal_quantile(0.5 + level / 2.0).powi(2);
    // Mean square of (right − confidence) in a bin, all confidences at their mean; shares drawn a little to the middle.
    let square = |bin: &CalibrationBin| {
        let count = bin.count as f64;
        let right = (bin.right as f64 + z2 / 2.0) / (count + z2);
        let gap = (bin.right as f64 - bin.confidence) / count;
        gap * gap + right * (1.0 - right)
    };
    let occupied = || bins.iter().filter(|bin| bin.count > 0);
    let gaps = occupied().map(|bin| {
        let share = bin.count as f64 / n;
        let gap = (bin.right as f64 - bin.confidence) / n;
        (gap, ((share * square(bin) - gap * gap).max(0.0) / n).sqrt())
    });
    let squares: f64 = occupied().map(|bin| bin.count as f64 / n * square(bin)).sum();
    let sum: f64 = occupied().map(|bin| (bin.right as f64 - bin.confidence).abs() / n).sum();
    let deviation = ((squares - sum * sum).max(0.0) / n).sqrt();
    let interval = sum_of_gaps(gaps, deviation, (squares / n).sqrt(), level);
    Some(Interval { high: interval.high.min(1.0), ..interval })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_that_do_not_overlap() {
        let area = area_under_roc(&[20, 0], &[0, 20], 0.95).unwrap();
        assert!(area.estimate == 1.0 && area.high == 1.0 && area.low > 0.8 && area.low < 0.99, "{area:?}");
        let inverted = area_under_roc(&[0, 20], &[20, 0], 0.95).unwrap();
        assert!(
            inverted.estimate == 0.0
                && inverted.low == 0.0
                && (inverted.high - (1.0 - area.low)).abs() < 1e-9
        );
        let tied = area_under_roc(&[20], &[20], 0.95).unwrap();
        assert!(tied.estimate == 0.5 && tied.low < 0.4 && tied.high > 0.6, "{tied:?}");
        assert_eq!(area_under_roc(&[], &[1], 0.95), None);
    }

    #[test]
    fn calibration_of_nothing_and_of_one_bin() {
        assert_eq!(calibration_error_interval(&[], 0.95), None);
        assert_eq!(calibration_error_interval(&[CalibrationBin::default()], 0.95), None);
        let wrong = CalibrationBin { count: 1, right: 2, confidence: 0.5 };
        assert_eq!(calibration_error_interval(&[wrong], 0.95), None);
        let good = CalibrationBin { count: 100, right: 80, confidence: 80.0 };
        let error = calibration_error_interval(&[good], 0.95).unwrap();
        assert!(error.estimate == 0.0 && error.low == 0.0 && error.high < 0.1, "{error:?}");
    }
}

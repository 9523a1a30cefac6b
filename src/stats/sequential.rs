//! When could a change have been noticed? A test of shares that may be looked at again and again.
//!
//! The evidence against "nothing changed" is an e-process: under that hypothesis it exceeds 1/α with a probability of
//! at most α, however often it is looked at and whenever one stops (Ville's inequality). Here it is the likelihood of
//! the counts before and after a moment, each under a share of its own with Jeffreys' prior, over the largest
//! likelihood under shares that are alike (universal inference: Wasserman, Ramdas and Balakrishnan, *PNAS* 117, 2020,
//! § 7), so that the share before need not be known. A change may begin at any look: the evidence for each beginning
//! is added up, as in the procedure of Shiryaev and Roberts (Shin, Ramdas and Rinaldo, "E-detectors", *NEJSDS* 2,
//! 2024), and the alarm is raised when the sum reaches `looks`. The mean over m beginnings is an e-process itself, so
//! that a watch of m looks raises a false alarm with a probability of at most m / `looks`: one in `looks` looks.
//!
//! Means are tested as shares above thresholds, which asks nothing of the shape of a distribution.

use statrs::function::beta::ln_beta;

/// Beginnings that are kept; when there are more, every second one is let go, and new ones come half as often.
const BEGINNINGS: usize = 64;
/// Jeffreys' prior of a share, Beta(½, ½).
const PRIOR: f64 = 0.5;
/// Evidence that is less than this at best (as a natural log) is not worked out: it leads to no alarm.
const FAINT: f64 = 2.0;

/// How many of so many were so.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// Those that were.
    pub hits: u64,
    /// All of them.
    pub of: u64,
}

impl Counts {
    fn plus(self, more: Counts) -> Counts {
        Counts { hits: self.hits + more.hits, of: self.of + more.of }
    }

    fn since(self, earlier: Counts) -> Counts {
        let of = self.of.saturating_sub(earlier.of);
        Counts { hits: self.hits.saturating_sub(earlier.hits).min(of), of }
    }

    /// Log-odds, infinite at the ends.
    fn log_odds(self) -> f64 {
        (self.hits as f64 / (self.of - self.hits) as f64).ln()
    }

    /// Log-likelihood at log-odds `theta`.
    fn log_likelihood(self, theta: f64) -> f64 {
        self.hits as f64 * theta - self.of as f64 * softplus(theta)
    }

    /// The largest log-likelihood, that of the share that was counted.
    fn largest(self) -> f64 {
        let part =
            |count: u64| if count == 0 { 0.0 } else { count as f64 * (count as f64 / self.of as f64).ln() };
        part(self.hits) + part(self.of - self.hits)
    }

    /// Log of the likelihood in the mean over the prior.
    fn log_marginal(self) -> f64 {
        let (hits, misses) = (self.hits as f64, (self.of - self.hits) as f64);
        ln_beta(PRIOR + hits, PRIOR + misses) - ln_beta(PRIOR, PRIOR)
    }
}

/// ln(1 + eˣ) without overflow.
fn softplus(x: f64) -> f64 {
    x.max(0.0) + (-x.abs()).exp().ln_1p()
}

/// Natural log of the evidence (e-value) that a share changed by more than a factor `tolerance` (1 or more) of its
/// odds, from counts before and after. `None` while the counts are within the tolerance, where there is none.
///
/// ```
/// use canard::stats::{Counts, log_evidence_of_change};
/// let (before, after) = (Counts { hits: 10, of: 1000 }, Counts { hits: 60, of: 200 });
/// assert!(log_evidence_of_change(before, after, 1.0).unwrap() > 50.0);
/// assert_eq!(log_evidence_of_change(before, Counts { hits: 2, of: 200 }, 1.0), None);
/// // Odds of 1 to 99 grew fortyfold: no evidence that they grew more than a hundredfold.
/// assert_eq!(log_evidence_of_change(before, after, 100.0), None);
/// ```
pub fn log_evidence_of_change(before: Counts, after: Counts, tolerance: f64) -> Option<f64> {
    let largest = Alike::of(before, after, tolerance)?.log_likelihood;
    Some(before.log_marginal() + after.log_marginal() - largest)
}

/// What is most likely if nothing changed beyond the tolerance.
struct Alike {
    log_likelihood: f64,
    /// By how much less likely it is than that each share is what was counted.
    behind: f64,
}

impl Alike {
    /// `None` while the counts themselves are within the tolerance.
    fn of(before: Counts, after: Counts, tolerance: f64) -> Option<Alike> {
        let (moved, tolerated) = (after.log_odds() - before.log_odds(), tolerance.max(1.0).ln());
        // Not a number where both are none, all, or of nothing.
        if before.of == 0 || after.of == 0 || moved.is_nan() || moved.abs() <= tolerated {
            return None;
        }
        let step = tolerated.copysign(moved);
        let theta = most_likely(before, after, step);
        let log_likelihood = before.log_likelihood(theta) + after.log_likelihood(theta + step);
        Some(Alike { log_likelihood, behind: before.largest() + after.largest() - log_likelihood })
    }
}

/// The log-odds before at which both counts are most likely, those after being larger by `step`: the slope of the
/// likelihood is 0 where a·x² + b·x + c is, for odds x.
fn most_likely(before: Counts, after: Counts, step: f64) -> f64 {
    let (hits, all) = ((before.hits + after.hits) as f64, (before.of + after.of) as f64);
    let k = step.exp();
    let (a, b, c) = (k * (hits - all), hits * (1.0 + k) - before.of as f64 - k * after.of as f64, hits);
    let root = (b * b - 4.0 * a * c).sqrt();
    // a < 0 < c: one root is positive; of its two forms the one that loses no digits.
    if b > 0.0 { ((b + root) / (-2.0 * a)).ln() } else { (2.0 * c / (root - b)).ln() }
}

/// A yes-or-no question about what passes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Question {
    /// Its part of the evidence; those of all questions add up to 1 at most.
    pub weight: f64,
    /// Changes of the odds by a smaller factor than this are none; 1 or more.
    pub tolerance: f64,
}

/// Watches counts for a change against what was before.
///
/// ```
/// use canard::stats::{ChangeDetector, Counts, Question};
/// let question = Question { weight: 1.0, tolerance: 1.0 };
/// // 1 % errors before; a false alarm at most once in a million looks.
/// let before = vec![Counts { hits: 20, of: 2000 }];
/// let mut detector = ChangeDetector::new(vec![question], before, 1e6);
/// assert_eq!(detector.look(&[Counts { hits: 1, of: 100 }]), None);
/// assert_eq!(detector.look(&[Counts { hits: 31, of: 200 }]), Some(0));
/// ```
#[derive(Debug, Clone)]
pub struct ChangeDetector {
    questions: Vec<Question>,
    before: Vec<Counts>,
    /// What had been counted in the watch when a change may have begun.
    beginnings: Vec<Vec<Counts>>,
    /// Looks from one beginning to the next.
    spacing: u64,
    looks: u64,
    alarm_at: f64,
}

impl ChangeDetector {
    /// A watch that begins now: `before` has the counts of each question until now, and in `looks` looks there is at
    /// most one false alarm.
    pub fn new(questions: Vec<Question>, before: Vec<Counts>, looks: f64) -> ChangeDetector {
        let beginnings = vec![vec![Counts::default(); questions.len()]];
        ChangeDetector { questions, before, beginnings, spacing: 1, looks: 0, alarm_at: looks.ln() }
    }

    /// Looks at the counts since the watch began, one for each question; the number of the question that shows most,
    /// if that is enough for an alarm.
    pub fn look(&mut self, seen: &[Counts]) -> Option<usize> {
        let (mut sum, mut most) = (f64::NEG_INFINITY, (f64::NEG_INFINITY, None));
        for beginning in &self.beginnings {
            for (number, question) in self.questions.iter().enumerate() {
                let (Some(before), Some(then), Some(now)) =
                    (self.before.get(number), beginning.get(number), seen.get(number))
                else {
                    continue;
                };
                let (before, after) = (before.plus(*then), now.since(*then));
                let alike = Alike::of(before, after, question.tolerance);
                let Some(alike) = alike.filter(|alike| alike.behind > FAINT) else { continue };
                let evidence = before.log_marginal() + after.log_marginal() - alike.log_likelihood;
                let evidence = evidence + question.weight.ln();
                sum = log_sum(sum, evidence);
                if evidence > most.0 {
                    most = (evidence, Some(number));
                }
            }
        }
        self.looks += 1;
        if self.looks.is_multiple_of(self.spacing) {
            self.beginnings.push(seen.to_vec());
        }
        if self.beginnings.len() > BEGINNINGS {
            let mut number = 0;
            self.beginnings.retain(|_| {
                number += 1;
                number % 2 == 1
            });
            self.spacing *= 2;
        }
        most.1.filter(|_| sum >= self.alarm_at)
    }
}

/// ln(eᵃ + eᵇ).
fn log_sum(a: f64, b: f64) -> f64 {
    let (low, high) = (a.min(b), a.max(b));
    if low == f64::NEG_INFINITY { high } else { high + (low - high).exp().ln_1p() }
}

#[cfg(test)]
mod tests;

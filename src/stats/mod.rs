//! Statistics: pure functions, each with its source.

mod calibration;
mod divergence;
mod histogram;
mod interval;
mod online;
mod ranking;
mod sequential;

pub use calibration::{calibration_error, entropy};
pub use divergence::{jensen_shannon, kolmogorov_smirnov, psi, total_variation};
pub use histogram::{Histogram, SCORE_BINS, Scores};
pub(crate) use histogram::{LATENCY_BUCKETS, latency_bucket};
pub(crate) use interval::normal_quantile;
pub use interval::{
    Interval, difference_of_differences, difference_of_proportions, difference_of_quantiles, mean,
    proportion, welch,
};
pub use online::{P2, Welford};
pub use ranking::{cosine, dcg, discount, inversions, kendall_tau, ndcg};
pub use sequential::{ChangeDetector, Counts, Question, log_evidence_of_change};

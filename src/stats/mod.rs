//! Statistics: pure functions, each with its source.

mod absolute;
mod accuracy;
mod calibration;
mod distance;
mod divergence;
mod exact;
mod histogram;
mod homogeneity;
mod interval;
mod logs;
mod noncentral;
mod online;
mod paired;
mod power;
mod psychometric;
mod ranking;
mod root;
mod sequential;
#[cfg(test)]
mod simulation;
mod student;
mod survival;
#[cfg(test)]
mod vectors;

pub use accuracy::{CalibrationBin, area_under_roc, calibration_error_interval};
pub use calibration::{calibration_error, entropy};
pub use distance::{total_variation_interval, unbiased_psi, wasserstein};
pub use divergence::{jensen_shannon, kolmogorov_smirnov, psi, total_variation};
pub use exact::{exact_proportion, exact_rate};
pub use histogram::{Histogram, SCORE_BINS, Scores};
pub(crate) use histogram::{LATENCY_BUCKETS, latency_bucket};
pub use homogeneity::{FEWEST_EXPECTED, Test, chi_squared, kolmogorov_smirnov_binned, smirnov_p};
pub(crate) use interval::normal_quantile;
pub use interval::{
    Interval, difference_of_differences, difference_of_proportions, difference_of_quantiles, mean,
    proportion, welch,
};
pub use logs::{ratio_of_geometric_means, ratio_of_times};
pub use online::{P2, Welford};
pub use paired::{Pairs, paired_mean};
pub use power::{Contrast, Sides};
pub use psychometric::{Psychometric, Quest};
pub use ranking::{cosine, dcg, discount, inversions, kendall_tau, ndcg};
pub use sequential::{ChangeDetector, Counts, Question, log_evidence_of_change};
pub use survival::{KaplanMeier, SurvivalStep, TimeQuantile};

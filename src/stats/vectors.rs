//! Agreement with R, on `tests/vectors/stats.json` (written by `scripts/stats_vectors.R`), and with SciPy, on
//! `tests/vectors/smirnov.json` (`scripts/smirnov_vectors.py`).

use serde::{Deserialize, de::DeserializeOwned};

use super::*;

/// All cases of one kind in a file of vectors.
pub(super) fn cases<T: DeserializeOwned>(file: &str, kind: &str) -> Vec<T> {
    let path = format!("{}/tests/vectors/{file}.json", env!("CARGO_MANIFEST_DIR"));
    let mut all: serde_json::Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let cases: Vec<T> = serde_json::from_value(all[kind].take()).unwrap();
    assert!(cases.len() >= 3, "{kind}");
    cases
}

/// The same to within a share `tolerance` of the value, or of 10⁻⁶ where it is smaller than that.
#[track_caller]
pub(super) fn assert_near(found: f64, wanted: f64, tolerance: f64, what: &str) {
    let off = (found - wanted).abs();
    assert!(off <= tolerance * wanted.abs().max(1e-6), "{what}: {found}, R has {wanted}");
}

#[derive(Debug, Deserialize)]
struct Ends {
    #[serde(default)]
    estimate: Option<f64>,
    low: f64,
    high: f64,
    level: f64,
}

#[track_caller]
fn assert_ends(found: Option<Interval>, wanted: &Ends, what: &str) {
    let found = found.unwrap();
    assert_eq!(found.level, wanted.level, "{what}");
    assert_near(found.low, wanted.low, 1e-8, what);
    assert_near(found.high, wanted.high, 1e-8, what);
    assert_near(found.estimate, wanted.estimate.unwrap_or(found.estimate), 1e-12, what);
}

#[test]
fn survival_as_in_r() {
    #[derive(Deserialize)]
    struct Case {
        times: Vec<f64>,
        events: Vec<bool>,
        level: f64,
        steps: Vec<SurvivalStep>,
        quantiles: Vec<Quantile>,
    }
    #[derive(Deserialize)]
    struct Quantile {
        q: f64,
        estimate: Option<f64>,
        low: Option<f64>,
        high: Option<f64>,
    }
    let same = |found: Option<f64>, wanted: Option<f64>, what: &str| {
        assert_eq!(found.is_some(), wanted.is_some(), "{what}: {found:?}, R has {wanted:?}");
        assert_near(found.unwrap_or_default(), wanted.unwrap_or_default(), 1e-9, what);
    };
    for case in cases::<Case>("stats", "survival") {
        let times: Vec<_> = case.times.into_iter().zip(case.events).collect();
        let curve = KaplanMeier::of(&times, case.level).unwrap();
        assert_eq!(curve.steps.len(), case.steps.len());
        for (found, wanted) in curve.steps.iter().zip(&case.steps) {
            let what = format!("{found:?}");
            assert_eq!(
                (found.time, found.at_risk, found.events),
                (wanted.time, wanted.at_risk, wanted.events)
            );
            assert_near(found.survival, wanted.survival, 1e-12, &what);
            assert_near(found.variance, wanted.variance, 1e-9, &what);
            same(found.low, wanted.low, &what);
            same(found.high, wanted.high, &what);
        }
        for wanted in case.quantiles {
            let found = curve.quantile(wanted.q);
            same(found.estimate, wanted.estimate, "quantile");
            same(found.low, wanted.low, "its lower end");
            same(found.high, wanted.high, "its upper end");
        }
    }
}

#[test]
fn tests_of_homogeneity_as_in_r() {
    #[derive(Deserialize)]
    struct Case {
        first: Vec<u64>,
        second: Vec<u64>,
        statistic: f64,
        freedom: Option<u64>,
        p: f64,
    }
    type Find = fn(&Case) -> Option<Test>;
    // R ends the series of Smirnov's p at its first terms below λ = 1; SciPy's does not: see below.
    let kinds: [(&str, f64, Find); 2] = [
        ("chi_squared", 1e-8, |c| chi_squared(&c.first, &c.second, FEWEST_EXPECTED)),
        ("smirnov", 1e-4, |c| kolmogorov_smirnov_binned(&c.first, &c.second)),
    ];
    for (kind, tolerance, find) in kinds {
        for case in cases::<Case>("stats", kind) {
            let found = find(&case).unwrap();
            assert_eq!(found.freedom, case.freedom);
            assert_near(found.statistic, case.statistic, 1e-12, kind);
            assert_near(found.p, case.p, tolerance, kind);
        }
    }
}

#[test]
fn smirnovs_p_as_in_scipy() {
    #[derive(Deserialize)]
    struct Sample {
        first: Vec<u64>,
        second: Vec<u64>,
        p: f64,
    }
    #[derive(Deserialize)]
    struct Limit {
        lambda: f64,
        p: f64,
    }
    for case in cases::<Sample>("smirnov", "samples") {
        let found = kolmogorov_smirnov_binned(&case.first, &case.second).unwrap();
        assert_near(found.p, case.p, 1e-11, "samples");
    }
    for case in cases::<Limit>("smirnov", "limits") {
        // Samples of 2 have an effective size of 1.
        assert_near(smirnov_p(case.lambda, 2, 2), case.p, 1e-12, "limits");
    }
}

#[test]
fn exact_intervals_as_in_r() {
    #[derive(Deserialize)]
    struct Case {
        #[serde(default)]
        hits: u64,
        #[serde(default)]
        n: u64,
        #[serde(default)]
        events: u64,
        #[serde(default)]
        exposure: f64,
        #[serde(flatten)]
        ends: Ends,
    }
    for case in cases::<Case>("stats", "shares") {
        assert_ends(exact_proportion(case.hits, case.n, case.ends.level), &case.ends, "Clopper-Pearson");
    }
    for case in cases::<Case>("stats", "rates") {
        assert_ends(exact_rate(case.events, case.exposure, case.ends.level), &case.ends, "Garwood");
    }
}

#[test]
fn ratios_of_geometric_means_as_in_r() {
    #[derive(Deserialize)]
    struct Case {
        first: (f64, f64, f64),
        second: (f64, f64, f64),
        #[serde(flatten)]
        ends: Ends,
    }
    for case in cases::<Case>("stats", "logs") {
        let group = |(mean, variance, n): (f64, f64, f64)| (mean, variance, n as u64);
        let ratio = ratio_of_geometric_means(group(case.first), group(case.second), case.ends.level);
        assert_ends(ratio, &case.ends, "Welch on logarithms");
    }
}

#[test]
fn pairs_as_in_r() {
    #[derive(Deserialize)]
    struct Case {
        both: u64,
        first: u64,
        second: u64,
        neither: u64,
        statistic: f64,
        p: f64,
        #[serde(flatten)]
        ends: Ends,
    }
    for Case { both, first, second, neither, statistic, p, ends } in cases("stats", "paired") {
        let pairs = Pairs { both, first, second, neither };
        let test = pairs.mcnemar().unwrap();
        assert_near(test.statistic, statistic, 1e-12, "McNemar");
        assert_near(test.p, p, 1e-9, "McNemar");
        assert_ends(pairs.difference(ends.level), &ends, "Tango");
    }
    #[derive(Deserialize)]
    struct Means {
        n: u64,
        sum: f64,
        sum_of_squares: f64,
        #[serde(flatten)]
        ends: Ends,
    }
    for case in cases::<Means>("stats", "paired_means") {
        assert_ends(paired_mean(case.n, case.sum, case.sum_of_squares, case.ends.level), &case.ends, "t");
    }
}

#[test]
fn areas_under_the_roc_curve_as_in_r() {
    #[derive(Deserialize)]
    struct Case {
        negatives: Vec<u64>,
        positives: Vec<u64>,
        #[serde(flatten)]
        ends: Ends,
    }
    for case in cases::<Case>("stats", "roc") {
        assert_ends(area_under_roc(&case.negatives, &case.positives, case.ends.level), &case.ends, "DeLong");
    }
}

#[test]
fn areas_between_distributions_as_in_r() {
    #[derive(Deserialize)]
    struct Case {
        first: Vec<u64>,
        second: Vec<u64>,
        width: f64,
        estimate: f64,
    }
    for case in cases::<Case>("stats", "wasserstein") {
        let found = wasserstein(&case.first, &case.second, case.width, 0.95).unwrap();
        assert_near(found.estimate, case.estimate, 1e-12, "Wasserstein");
    }
}

#[test]
fn the_noncentral_chi_squared_as_in_r() {
    #[derive(Deserialize)]
    struct Case {
        x: f64,
        freedom: f64,
        #[serde(default)]
        noncentrality: f64,
        #[serde(default)]
        below: f64,
        #[serde(default)]
        level: f64,
        #[serde(default)]
        low: f64,
        #[serde(default)]
        high: f64,
    }
    for case in cases::<Case>("stats", "noncentral") {
        let found = noncentral::chi_squared_below(case.x, case.freedom, case.noncentrality);
        assert_near(found, case.below, 1e-10, "noncentral χ²");
    }
    for case in cases::<Case>("stats", "noncentrality") {
        let (low, high) = noncentral::noncentrality(case.x, case.freedom, case.level).unwrap();
        assert_near(low, case.low, 1e-8, "noncentrality");
        assert_near(high, case.high, 1e-8, "noncentrality");
    }
    // Where the series gives way to the approximation.
    let (series, beyond) = [1e6, 1e6 + 1.0].map(|n| noncentral::chi_squared_below(1.0005e6, 9.0, n)).into();
    assert!((series - beyond).abs() < 1e-3, "{series} {beyond}");
}

//! Multinomial logistic regression: softmax over one linear score a class.
//!
//! The coefficients are data (`coefficients.json`), written by the script that fitted them. The same script
//! writes `vectors.json`, what scikit-learn predicts for the held-out rows, and a test holds this file to it.

use std::sync::OnceLock;

use serde::Deserialize;

/// Number of features of a row.
pub const FEATURES: usize = 4;

/// A fitted classifier.
///
/// ```
/// let model = canard::demo::Classifier::iris();
/// assert_eq!(model.predict([5.1, 3.5, 1.4, 0.2]).label, "setosa");
/// ```
#[derive(Debug, Clone, Deserialize)]
pub struct Classifier {
    labels: Vec<String>,
    coefficients: Vec<[f64; FEATURES]>,
    intercepts: Vec<f64>,
}

/// What the model says about one row.
#[derive(Debug, Clone, PartialEq)]
pub struct Prediction<'a> {
    /// The most probable class.
    pub label: &'a str,
    /// Probability of each class, in the order of [`Classifier::labels`]; they sum to one.
    pub probabilities: Vec<f64>,
}

impl Classifier {
    /// The iris model; features are sepal length and width, petal length and width, in centimetres.
    ///
    /// # Panics
    ///
    /// If the coefficients that were compiled in are broken, which a test rules out.
    pub fn iris() -> &'static Classifier {
        static IRIS: OnceLock<Classifier> = OnceLock::new();
        IRIS.get_or_init(|| {
            serde_json::from_str(include_str!("coefficients.json")).expect("the committed coefficients")
        })
    }

    /// The classes.
    pub fn labels(&self) -> &[String] {
        &self.labels
    }

    /// Predicts one row. Features must be finite.
    pub fn predict(&self, features: [f64; FEATURES]) -> Prediction<'_> {
        let score = |(weights, intercept): (&[f64; FEATURES], &f64)| {
            weights.iter().zip(features).map(|(w, x)| w * x).sum::<f64>() + intercept
        };
        let scores: Vec<f64> = self.coefficients.iter().zip(&self.intercepts).map(score).collect();
        // The largest score is taken away first, so that no exponential overflows.
        let largest = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let exponentials: Vec<f64> = scores.iter().map(|s| (s - largest).exp()).collect();
        let sum: f64 = exponentials.iter().sum();
        let best = scores.iter().position(|s| *s == largest).unwrap_or(0);
        Prediction {
            label: &self.labels[best],
            probabilities: exponentials.iter().map(|e| e / sum).collect(),
        }
    }
}

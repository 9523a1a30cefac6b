//! One prediction, and what its class is called.

use std::{borrow::Cow, sync::Arc};

use super::{Content, Value};

/// One prediction: the answer for one input of a batch.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Row {
    /// The predicted class, if the answer names one.
    pub label: Option<Value>,
    /// The scores: one for each class, or a single number (a positive-class probability, a regression).
    pub scores: Vec<Value>,
}

impl Row {
    /// Has it a label, and as many scores, as the other has?
    pub fn is_alike(&self, other: &Row) -> bool {
        self.label.is_some() == other.label.is_some() && self.scores.len() == other.scores.len()
    }

    /// Why it is no usable value of this content: `null`, `nan`, `infinite`, or `out-of-range` for a score that is none of 0 to 1.
    /// A lone score without a label may be a regression, which has no range.
    pub fn invalid(&self, content: Content) -> Option<&'static str> {
        let bounded = match content {
            Content::Predictions => self.scores.len() > 1 || self.label.is_some(),
            _ => false,
        };
        let mut values = self.label.iter().chain(&self.scores);
        let wrong = values.find_map(|value| match value {
            Value::Null => Some("null"),
            Value::Float(x) if x.is_nan() => Some("nan"),
            Value::Float(x) if x.is_infinite() => Some("infinite"),
            _ => None,
        });
        wrong.or_else(|| {
            let mut scores = self.scores.iter().filter_map(Value::as_f64);
            (bounded && scores.any(|score| !(0.0..=1.0).contains(&score))).then_some("out-of-range")
        })
    }

    /// Is each value the same, as [`Value::is_same`] sees it?
    pub fn is_same(&self, other: &Row) -> bool {
        let mut pairs = self.label.iter().chain(&self.scores).zip(other.label.iter().chain(&other.scores));
        self.is_alike(other) && pairs.all(|(a, b)| a.is_same(b))
    }
}

/// The class names of a classifier, so that a scenario can say `virginica` where the wire says `2`.
///
/// ```
/// use canard::wire::{Labels, Row, Value};
/// let labels = Labels::new(["ham", "spam"].map(String::from));
/// let row = Row { label: None, scores: vec![Value::Float(0.2), Value::Float(0.8)] };
/// assert_eq!(labels.of(&row).as_deref(), Some("spam"));
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Labels(Arc<[String]>);

impl Labels {
    /// Names in the order of the class indices.
    pub fn new(names: impl IntoIterator<Item = String>) -> Labels {
        Labels(names.into_iter().collect())
    }

    /// The names.
    pub fn names(&self) -> &[String] {
        &self.0
    }

    /// The index of a class name.
    pub fn index_of(&self, name: &str) -> Option<usize> {
        self.0.iter().position(|n| n == name)
    }

    /// The class that a row predicts: its label's name, or that of its highest score.
    pub fn of<'a>(&'a self, row: &'a Row) -> Option<Cow<'a, str>> {
        match &row.label {
            Some(Value::Text(name)) => Some(Cow::Borrowed(name)),
            Some(Value::Int(index)) => Some(self.name(*index)),
            Some(Value::Float(number)) if number.fract() == 0.0 && number.abs() < 1e15 => {
                Some(self.name(*number as i64))
            }
            Some(Value::Bool(truth)) => Some(Cow::Borrowed(self.truth(*truth))),
            Some(Value::Null | Value::Float(_)) => None,
            None => self.argmax(row).map(|index| self.name(index as i64)),
        }
    }

    /// Two names are those of false and true.
    fn truth(&self, truth: bool) -> &str {
        match &*self.0 {
            [no, yes] => {
                if truth {
                    yes
                } else {
                    no
                }
            }
            _ => {
                if truth {
                    "true"
                } else {
                    "false"
                }
            }
        }
    }

    fn name(&self, index: i64) -> Cow<'_, str> {
        match usize::try_from(index).ok().and_then(|i| self.0.get(i)) {
            Some(name) => Cow::Borrowed(name),
            None => Cow::Owned(index.to_string()),
        }
    }

    fn argmax(&self, row: &Row) -> Option<usize> {
        let scores = row.scores.iter().map(Value::as_f64).collect::<Option<Vec<f64>>>()?;
        match scores.as_slice() {
            // One score is the probability of class 1.
            [p] if (0.0..=1.0).contains(p) => Some(usize::from(*p >= 0.5)),
            [] | [_] => None,
            many if many.iter().any(|score| score.is_nan()) => None,
            many => many.iter().enumerate().max_by(|a, b| a.1.total_cmp(b.1)).map(|(i, _)| i),
        }
    }
}

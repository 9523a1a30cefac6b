//! What a body carries, as a fault edits it: rows of values, without bytes or places.

use super::{Labels, Row, Value};

/// What a body carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum Content {
    /// Predictions of a classifier or a regression: labels and scores.
    #[default]
    Predictions,
    /// Embeddings: the scores of a row are the vector.
    Embeddings,
    /// A ranked list: the label of a row names the item, its only score is the relevance.
    Ranking,
    /// The features of a request: the scores of a row are the cells, texts among them.
    Features,
    /// Generated text, see [`Generation`](super::Generation).
    Text,
}

impl Content {
    /// In words.
    pub const fn name(self) -> &'static str {
        match self {
            Content::Predictions => "predictions",
            Content::Embeddings => "embeddings",
            Content::Ranking => "ranked lists",
            Content::Features => "features",
            Content::Text => "generated text",
        }
    }
}

/// Shape and datatype that the wire declares for the tensor of the prediction.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Declared {
    /// The dimensions.
    pub shape: Vec<i64>,
    /// The datatype, as the protocol spells it.
    pub datatype: String,
}

/// The rows of a body, and what else a fault may change about it.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Answer {
    /// What the rows are.
    pub content: Content,
    /// The rows, in the order of the batch.
    pub rows: Vec<Row>,
    /// Names of the scores of each row (feature names), where the wire tells them; else empty.
    pub columns: Vec<String>,
    /// Is a lone score beside a label the confidence in that label, whichever it is? Where the wire leaves it open,
    /// it may be the probability of class 1.
    pub confidences: bool,
    /// Which of the original rows stands at each place; rows may be left out or come twice. `None`: as they
    /// came. Values that stay with the place and not with the item (a ranking's scores) are the wire's affair.
    pub order: Option<Vec<usize>>,
    /// What the wire declares, if it does.
    pub declared: Option<Declared>,
    /// The version of the model, where the body tells it.
    pub version: Option<Value>,
}

impl Answer {
    /// Predictions and nothing else.
    pub fn of_rows(rows: Vec<Row>) -> Answer {
        Answer { rows, ..Answer::default() }
    }

    /// Class names: those that are given, else those by which the wire calls the scores of predictions.
    ///
    /// ```
    /// use canard::wire::{Answer, Labels, Row, Value};
    /// let row = Row { label: None, scores: vec![Value::Float(0.2), Value::Float(0.8)] };
    /// let answer = Answer { columns: vec!["ham".into(), "spam".into()], ..Answer::of_rows(vec![row.clone()]) };
    /// assert_eq!(answer.labels(&Labels::default()).of(&row).as_deref(), Some("spam"));
    /// assert_eq!(answer.labels(&Labels::new(["no".into(), "yes".into()])).of(&row).as_deref(), Some("yes"));
    /// ```
    pub fn labels(&self, given: &Labels) -> Labels {
        let called = |row: &Row| row.label.is_none() && row.scores.len() == self.columns.len();
        let told = given.names().is_empty()
            && self.content == Content::Predictions
            && self.columns.len() > 1
            && self.rows.iter().all(called);
        if told { Labels::new(self.columns.iter().cloned()) } else { given.clone() }
    }
}

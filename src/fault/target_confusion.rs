//! Target confusion: the matrix of what is true against what is told becomes the wanted one.
//!
//! With C the model's own matrix and C′ the wanted one (rows: the true class, columns: the told class), a prediction
//! is told anew by a row-stochastic T with C′ = C·T, so T = C⁻¹·C′. Not every C′ can be reached so: T may have an
//! entry below 0 (it would have to mend what the model gets wrong, and canard does not know the truth), and then the
//! scenario is refused with the entry that can't be.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::{
    Action, Behaviour, CheckContext, Confusion, Decide, EditContext, Edited, Entry, Parameter, Problem,
    Promise, Stage,
    prediction::{Derived, check_class, each, edits},
    turn::{Turn, Unturnable},
};
use crate::{unit::Share, wire::Answer};

/// Turns the model's confusion matrix into a wanted one.
///
/// ```
/// use canard::fault::Fault;
/// let fault: Fault = serde_json::from_str(r#"{ "target-confusion": {
///     "now": { "ham": { "ham": "90%", "spam": "10%" }, "spam": { "ham": "20%", "spam": "80%" } },
///     "wanted": { "ham": { "ham": "90%", "spam": "10%" }, "spam": { "ham": "55%", "spam": "45%" } } } }"#)?;
/// assert_eq!(fault.describe(), "confusion of 2 classes to the wanted matrix, at most 45% of a class");
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct TargetConfusion {
    /// The model's own matrix: for each true class the shares in which it is told as each class, 100% in all.
    pub now: Confusion,
    /// The wanted matrix, of the same classes.
    pub wanted: Confusion,
    #[serde(skip)]
    turn: Derived<Option<Turn>>,
}

static ENTRY: Entry = Entry {
    name: "target-confusion",
    summary: "Turns the model's confusion matrix into a wanted one.",
    effect: "Of each true class as many predictions are told as each class as `wanted` says, if `now` is the model's \
             matrix. T = C⁻¹·C′ is computed by Gaussian elimination with partial pivoting, and a prediction of class \
             i is told as j with probability T_ij (label noise as a transition matrix: Patrini, Rozza, Menon, Nock \
             and Qu, CVPR 2017, section 2). Where C is singular, or T has an entry below 0 or a row that is not 1, \
             the scenario is refused and the entry named: predictions that are alike can't be told apart, and canard \
             can't mend what the model gets wrong. Scores for each class follow: those of the old and the new class \
             change places. A ramp goes from the model's matrix to the wanted one in a straight line.",
    parameters: &[
        Parameter {
            name: "now",
            values: "for each class, shares for classes, 100% in all: { a: { a: 90%, b: 10% }, … }",
            default: "none; it is needed",
            meaning: "the model's matrix, from its own evaluation; rows are the true classes",
        },
        Parameter {
            name: "wanted",
            values: "as `now`, of the same classes",
            default: "none; it is needed",
            meaning: "the matrix that labels will show",
        },
    ],
    example: "- fault:\n    target-confusion:\n      now:\n        setosa: { setosa: 100% }\n        versicolor: { versicolor: \
              94%, virginica: 6% }\n        virginica: { versicolor: 4%, virginica: 96% }\n      wanted:\n        \
              setosa: { setosa: 100% }\n        versicolor: { versicolor: 70%, virginica: 30% }\n        virginica: { \
              versicolor: 20%, virginica: 80% }",
    seen_by: "Precision and recall of each class on delayed labels; χ² and PSI of the predicted labels if the marginal \
              moves.",
    blind: "Latency and error monitors; drift monitors of labels where q·T = q; overall accuracy where one class gains \
            what another loses.",
};

impl TargetConfusion {
    fn turn(&self) -> Option<&Turn> {
        self.turn.get_or_init(|| Turn::between(&self.now, &self.wanted).ok()).as_ref()
    }
}

impl Behaviour for TargetConfusion {
    fn entry() -> &'static Entry {
        &ENTRY
    }

    fn stage(&self) -> Stage {
        Stage::Prediction
    }

    /// The share told anew of the class that changes most.
    fn rate(&self) -> Share {
        self.turn().map_or(Share::ALL, Turn::most)
    }

    fn promise(&self) -> Promise {
        Promise::Unknown { because: "which share of the predictions is of each class depends on the model" }
    }

    fn describe(&self) -> String {
        let (classes, most) = (self.now.len(), self.rate());
        format!("confusion of {classes} classes to the wanted matrix, at most {most} of a class")
    }

    fn check(&self, target: &CheckContext<'_>) -> Vec<Problem> {
        let mut problems = Vec::new();
        for (key, matrix) in [("now", &self.now), ("wanted", &self.wanted)] {
            for (class, row) in matrix {
                let names = std::iter::once(class).chain(row.keys().filter(|name| *name != class));
                problems.extend(names.filter_map(|name| check_class(key, name, target.labels)));
                let total: f64 = row.values().map(|share| share.fraction()).sum();
                if (total - 1.0).abs() > 1e-6 {
                    let percent = (total * 1e6).round() / 1e4;
                    let message = format!("the shares of `{class}` are {percent}% in all, not 100%");
                    problems.push(Problem::new(key, message));
                }
            }
        }
        let classes = |matrix: &Confusion| -> BTreeSet<String> {
            let told = matrix.values().flat_map(|row| row.keys());
            matrix.keys().chain(told).cloned().collect()
        };
        let all: BTreeSet<String> = &classes(&self.now) | &classes(&self.wanted);
        for (key, matrix) in [("now", &self.now), ("wanted", &self.wanted)] {
            let missing = all.iter().filter(|class| !matrix.contains_key(*class));
            problems.extend(missing.map(|class| {
                let help = format!("a class that is always right is `{class}: {{ {class}: 100% }}`");
                Problem::new(key, format!("class `{class}` has no row")).help(help)
            }));
        }
        if !problems.is_empty() {
            return problems;
        }
        match Turn::between(&self.now, &self.wanted) {
            Ok(turn) if turn.most() == Share::NONE => {
                vec![Problem::new("wanted", "the wanted matrix is the one that the model has")]
            }
            Ok(_) => Vec::new(),
            Err(Unturnable::Singular) => {
                let help = "a mixture of other rows can't be told apart by what is predicted; measure `now` anew, or \
                            use `mislabel` with a matrix of its own";
                let message = "`now` is singular: the row of one class is a mixture of those of others";
                vec![Problem::new("now", message).help(help)]
            }
            Err(Unturnable::Impossible { from, to, share }) => {
                let percent = (share * 1e4).round() / 100.0;
                let message = format!(
                    "it can't be reached: of the predictions of `{from}`, {percent}% would have to be told as `{to}`"
                );
                let help = "predictions can be made worse and not better: each row of `wanted` has to be a mixture that \
                            the model's errors still leave possible";
                vec![Problem::new("wanted", message).help(help)]
            }
        }
    }

    fn decide(&self, context: &Decide<'_>) -> Option<Action> {
        edits(self.rate(), context)
    }

    fn edit(&self, answer: &mut Answer, context: &EditContext<'_>) -> Edited {
        let Some(turn) = self.turn() else { return Edited::default() };
        each(&mut answer.rows, context, |place, row| turn.tell(row, place, context))
    }
}

#[cfg(test)]
mod tests;

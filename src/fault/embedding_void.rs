//! Embedding void: vectors that say nothing: all zeros, or not numbers.
//!
//! What an encoder returns for an empty or over-long input, or after an overflow in half precision. A zero
//! vector has no cosine with anything, and some indexes take it for near to everything.

use serde::{Deserialize, Serialize};

use super::{
    Action, Behaviour, CheckContext, Decide, EditContext, Edited, Entry, Fault, Parameter, Problem, Stage,
    prediction::{check_rate, edits},
    unfit::NO_VALUE,
};
use crate::{
    unit::Share,
    wire::{Answer, Content, Row, Value},
};

/// What the vector is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Void {
    /// Zeros.
    Zero,
    /// Not-a-numbers.
    Nan,
}

/// Puts vectors that say nothing in the place of embeddings.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct EmbeddingVoid {
    /// Share of the vectors.
    pub rate: Share,
    /// What they are made of.
    pub with: Void,
}

static ENTRY: Entry = Entry {
    name: "embedding-void",
    summary: "Puts zero or not-a-number vectors in the place of embeddings.",
    effect: "Each vector becomes all zeros, or all not-a-number, with probability `rate`, one draw for each; the \
             dimension stays. Not-a-number is the bare token NaN in JSON, as Python writes it. A ramp grows the \
             rate. Faults on embeddings below it in the phase can't act on what it leaves (`no-direction`, \
             `not-a-number`); excludes a second embedding-void.",
    parameters: &[
        Parameter {
            name: "rate",
            values: "share, above 0% to 100%",
            default: "none; it is needed",
            meaning: "how many of the vectors",
        },
        Parameter {
            name: "with",
            values: "zero | nan",
            default: "none; it is needed",
            meaning: "what they are made of",
        },
    ],
    example: "- fault: { embedding-void: { rate: 5%, with: zero } }",
    seen_by: "Share of vectors with norm 0, rate of invalid values, parse errors at the caller (NaN).",
    blind: "Latency and status-code monitors, dimension checks; the mean cosine in systems that leave out what \
            is not a number.",
};

impl EmbeddingVoid {
    fn empty(&self, row: &mut Row) -> Result<bool, &'static str> {
        if row.scores.is_empty() {
            return Err(NO_VALUE);
        }
        let void = if self.with == Void::Zero { 0.0 } else { f64::NAN };
        let differs = |value: &Value| match self.with {
            Void::Zero => value.as_f64() != Some(0.0),
            Void::Nan => !value.is_same(&Value::Float(void)),
        };
        let differing = row.scores.iter_mut().filter(|value| differs(value));
        Ok(differing.map(|value| *value = Value::Float(void)).count() > 0)
    }
}

impl Behaviour for EmbeddingVoid {
    fn entry() -> &'static Entry {
        &ENTRY
    }

    fn stage(&self) -> Stage {
        Stage::Prediction
    }

    fn needs(&self) -> Option<Content> {
        Some(Content::Embeddings)
    }

    fn rate(&self) -> Share {
        self.rate
    }

    fn describe(&self) -> String {
        let with = if self.with == Void::Zero { "zero" } else { "NaN" };
        format!("{} of the vectors {with}", self.rate)
    }

    fn check(&self, _target: &CheckContext<'_>) -> Vec<Problem> {
        check_rate(self.rate).into_iter().collect()
    }

    fn excludes(&self, other: &Fault) -> Option<&'static str> {
        matches!(other, Fault::EmbeddingVoid(_)).then_some("both replace the same vectors")
    }

    fn decide(&self, context: &Decide<'_>) -> Option<Action> {
        edits(self.rate, context)
    }

    fn edit(&self, answer: &mut Answer, context: &EditContext<'_>) -> Edited {
        let rate = self.rate.scaled(context.intensity);
        context.chosen(rate, &mut answer.rows).map(|(_, row)| self.empty(row)).collect()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{
        fault::{
            feature::testing::{assert_listed, edit_list, exclusion, vectors},
            testing::{assert_rate, problems},
        },
        wire::Labels,
    };

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]
        #[test]
        fn a_share_of_the_vectors_says_nothing(seed: u64, rate in 0.01..=1.0, ramp in 0.1..=1.0, nan: bool) {
            let with = if nan { Void::Nan } else { Void::Zero };
            let fault = EmbeddingVoid { rate: Share::new(rate).unwrap(), with };
            let mut answer = vectors(seed, 2000, 6);
            let changed = edit_list(&fault, &mut answer, seed, 1, ramp).changed;
            assert_rate(changed, 2000, rate * ramp);
            let is_void = |value: &Value| value.as_f64().is_some_and(|x| if nan { x.is_nan() } else { x == 0.0 });
            let void = answer.rows.iter().filter(|row| row.scores.iter().all(is_void)).count();
            prop_assert_eq!(void, changed);
            prop_assert!(answer.rows.iter().all(|row| row.scores.len() == 6));
            let whole = answer.rows.iter().filter(|row| !row.scores.iter().any(is_void)).count();
            prop_assert_eq!(whole + void, 2000);
        }
    }

    #[test]
    fn it_says_what_it_does() {
        assert_listed("embedding-void");
        let found = problems("{ embedding-void: { rate: 0%, with: zero } }", &Labels::default());
        assert!(found.contains(&"a rate of 0% never acts".to_owned()), "{found:?}");
        let (zero, nan) =
            ("{ embedding-void: { rate: 1%, with: zero } }", "{ embedding-void: { rate: 1%, with: nan } }");
        assert!(exclusion(zero, nan).is_some());
        let fault = EmbeddingVoid { rate: Share::ALL, with: Void::Zero };
        assert_eq!(
            edit_list(&fault, &mut Answer::of_rows(vec![Row::default()]), 1, 0, 1.0).unfit,
            Some(NO_VALUE)
        );
    }
}

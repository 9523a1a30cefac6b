//! Embedding resize: vectors of the wrong dimension.
//!
//! What comes of another model behind the same name, or of a wrong `dimensions` setting: too short (cut, as
//! Matryoshka embeddings are) or too long (padded with zeros). An index refuses it, or worse, takes it.

use serde::{Deserialize, Serialize};

use super::{
    Action, Behaviour, CheckContext, Decide, EditContext, Edited, Entry, Fault, Parameter, Problem, Stage,
    embedding::edit_vectors,
    prediction::{check_rate, edits},
};
use crate::{
    unit::Share,
    wire::{Answer, Content},
};

const LARGEST: usize = 65_536;

/// Gives embeddings another dimension.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct EmbeddingResize {
    /// The dimension, 1 to 65,536: longer vectors are cut, shorter ones padded with zeros.
    #[cfg_attr(feature = "schema", schemars(range(min = 1, max = 65_536)))]
    pub dimension: usize,
    /// Share of the vectors.
    #[serde(default = "all")]
    pub rate: Share,
}

const fn all() -> Share {
    Share::ALL
}

static ENTRY: Entry = Entry {
    name: "embedding-resize",
    summary: "Gives embeddings the wrong dimension: cut, or padded with zeros.",
    effect: "Each vector has exactly `dimension` coordinates with probability `rate`, one draw for each: the first \
             ones of a longer vector, or all of a shorter one and zeros. Norms of padded vectors stay, those of \
             cut ones fall (to √(dimension/d) in the mean where no coordinate is special). A vector of that \
             dimension already counts as unchanged. Where the wire can't carry \
             another dimension it is counted as `unwritable`. A ramp grows the rate. Composes with the \
             other faults on embeddings in the order of the list; excludes a second embedding-resize.",
    parameters: &[
        Parameter {
            name: "dimension",
            values: "whole number, 1 to 65536",
            default: "none; it is needed",
            meaning: "how many coordinates the vectors have",
        },
        Parameter {
            name: "rate",
            values: "share, above 0% to 100%",
            default: "100%",
            meaning: "how many of the vectors",
        },
    ],
    example: "- fault: { embedding-resize: { dimension: 16, rate: 10% } }",
    seen_by: "Dimension checks, errors of the index, rate of failed insertions and queries.",
    blind: "Norm monitors where vectors are padded; latency and status-code monitors of the encoder itself.",
};

impl Behaviour for EmbeddingResize {
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
        format!("{} of the vectors with dimension {}", self.rate, self.dimension)
    }

    fn check(&self, _target: &CheckContext<'_>) -> Vec<Problem> {
        let dimension = (!(1..=LARGEST).contains(&self.dimension))
            .then(|| Problem::new("dimension", format!("{} is not between 1 and {LARGEST}", self.dimension)));
        check_rate(self.rate).into_iter().chain(dimension).collect()
    }

    fn excludes(&self, other: &Fault) -> Option<&'static str> {
        matches!(other, Fault::EmbeddingResize(_)).then_some("a vector has one dimension")
    }

    fn decide(&self, context: &Decide<'_>) -> Option<Action> {
        edits(self.rate, context)
    }

    fn edit(&self, answer: &mut Answer, context: &EditContext<'_>) -> Edited {
        edit_vectors(answer, self.rate.scaled(context.intensity), context, |x, _| {
            let zeros = std::iter::repeat(0.0);
            Ok(x.iter().copied().chain(zeros).take(self.dimension).collect())
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{
        fault::{
            embedding::vector,
            feature::testing::{assert_listed, edit_list, exclusion, vectors},
            testing::{assert_rate, problems},
        },
        wire::Labels,
    };

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]
        #[test]
        fn a_share_of_the_vectors_has_the_dimension(
            seed: u64, dimension in 1_usize..60, rate in 0.01..=1.0, ramp in 0.1..=1.0,
        ) {
            prop_assume!(dimension != 30);
            let fault = EmbeddingResize { dimension, rate: Share::new(rate).unwrap() };
            let before = vectors(seed, 1000, 30);
            let mut after = before.clone();
            let changed = edit_list(&fault, &mut after, seed, 1, ramp).changed;
            assert_rate(changed, 1000, rate * ramp);
            for (before, after) in before.rows.iter().zip(&after.rows) {
                let (before, after) = (vector(before).unwrap(), vector(after).unwrap());
                prop_assert!(after.len() == 30 || after.len() == dimension);
                let common = before.len().min(after.len());
                prop_assert_eq!(&before[..common], &after[..common]);
                prop_assert!(after[common..].iter().all(|x| *x == 0.0));
            }
        }
    }

    #[test]
    fn settings_that_cannot_be_are_told() {
        assert_listed("embedding-resize");
        let found = problems("{ embedding-resize: { dimension: 0 } }", &Labels::default());
        assert!(found.contains(&"0 is not between 1 and 65536".to_owned()), "{found:?}");
        let one = "{ embedding-resize: { dimension: 3 } }";
        assert!(exclusion(one, one).is_some());
        let same = EmbeddingResize { dimension: 4, rate: Share::ALL };
        assert_eq!(edit_list(&same, &mut vectors(1, 3, 4), 1, 0, 1.0), Edited::default());
    }
}

//! Embedding scale: vectors of the wrong length.
//!
//! A normalisation that was left out, or done twice. Cosines stay; an index that takes the inner product for
//! the cosine ranks by length instead.

use serde::{Deserialize, Deserializer, Serialize};

use super::{
    Action, Behaviour, CheckContext, Decide, EditContext, Edited, Entry, Parameter, Problem, Scales, Stage,
    embedding::edit_vectors,
    prediction::{check_rate, edits},
};
use crate::{
    unit::Share,
    wire::{Answer, Content},
};

/// Gives embeddings another norm.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct EmbeddingScale {
    /// What the norm is multiplied by, 1e-6 to 1e6, not 1.
    #[serde(deserialize_with = "factor")]
    #[cfg_attr(feature = "schema", schemars(range(min = 1e-6, max = 1e6)))]
    pub factor: f64,
    /// Share of the vectors.
    #[serde(default = "all")]
    pub rate: Share,
}

const fn all() -> Share {
    Share::ALL
}

fn factor<'de, D: Deserializer<'de>>(from: D) -> Result<f64, D::Error> {
    let factor = f64::deserialize(from)?;
    let wrong =
        || format!("a factor of {factor} is not possible; it is a number from 1e-6 to 1e6 other than 1");
    if (1e-6..=1e6).contains(&factor) && factor != 1.0 {
        Ok(factor)
    } else {
        Err(serde::de::Error::custom(wrong()))
    }
}

static ENTRY: Entry = Entry {
    name: "embedding-scale",
    summary: "Gives embeddings the wrong norm.",
    effect: "A vector x becomes factor·x: its norm is factor times what it was, its cosine with every other stays \
             exactly. A ramp grows the factor from 1, as factor^intensity, not the rate. Composes with the other \
             faults on embeddings in the order of the list; excludes nothing.",
    parameters: &[
        Parameter {
            name: "factor",
            values: "number, 1e-6 to 1e6, not 1",
            default: "none; it is needed",
            meaning: "what the norm is multiplied by",
        },
        Parameter {
            name: "rate",
            values: "share, above 0% to 100%",
            default: "100%",
            meaning: "how many of the vectors",
        },
    ],
    example: "- fault: { embedding-scale: { factor: 7.5 } }",
    seen_by: "Norm of the vectors (share that is not 1), inner products of a canary with its stored vector, recall \
              in an index by inner product.",
    blind: "Cosine monitors of any kind, dimension checks, latency and error monitors.",
};

impl Behaviour for EmbeddingScale {
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

    fn scales(&self) -> Scales {
        Scales::Size
    }

    fn describe(&self) -> String {
        format!("norm ×{} on {} of the vectors", self.factor, self.rate)
    }

    fn check(&self, _target: &CheckContext<'_>) -> Vec<Problem> {
        check_rate(self.rate).into_iter().collect()
    }

    fn decide(&self, context: &Decide<'_>) -> Option<Action> {
        edits(self.rate, context)
    }

    fn edit(&self, answer: &mut Answer, context: &EditContext<'_>) -> Edited {
        let factor = self.factor.powf(context.intensity);
        edit_vectors(answer, self.rate, context, |x, _| Ok(x.iter().map(|x| factor * x).collect()))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{
        fault::{
            embedding::{norm, vector},
            feature::testing::{assert_listed, edit_list, vectors},
            testing::{assert_rate, parse, problems},
        },
        stats::cosine,
        wire::Labels,
    };

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]
        #[test]
        fn the_norm_is_the_promised_one_and_the_direction_stays(
            seed: u64, factor in 0.01..50.0, rate in 0.05..=1.0, dimension in 1_usize..50,
        ) {
            prop_assume!(f64::abs(factor - 1.0) > 1e-3);
            let fault = EmbeddingScale { factor, rate: Share::new(rate).unwrap() };
            let before = vectors(seed, 2000, dimension);
            let mut after = before.clone();
            let changed = edit_list(&fault, &mut after, seed, 1, 1.0).changed;
            assert_rate(changed, 2000, rate);
            for (before, after) in before.rows.iter().zip(&after.rows) {
                let (before, after) = (vector(before).unwrap(), vector(after).unwrap());
                let growth = norm(&after) / norm(&before);
                prop_assert!((growth - factor).abs() < 1e-9 * factor || (growth - 1.0).abs() < 1e-12);
                prop_assert!((cosine(&before, &after).unwrap() - 1.0).abs() < 1e-12);
            }
        }
    }

    #[test]
    fn settings_that_cannot_be_are_told() {
        assert_listed("embedding-scale");
        for factor in ["0", "1", "-2", "1e7", ".nan"] {
            let error = parse(&format!("{{ embedding-scale: {{ factor: {factor} }} }}")).unwrap_err();
            assert!(error.contains("a number from 1e-6 to 1e6 other than 1"), "{error}");
        }
        let found = problems("{ embedding-scale: { factor: 2, rate: 0% } }", &Labels::default());
        assert!(found.contains(&"a rate of 0% never acts".to_owned()), "{found:?}");
    }
}

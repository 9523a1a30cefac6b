//! Embedding version: another coordinate system, as a new version of an encoder has.
//!
//! Every vector is multiplied by one fixed orthogonal matrix Q. Among themselves the new vectors are exactly as
//! far apart as the old ones, so everything that looks at one version is content; a query of one version
//! against an index of the other is lost.
//!
//! Why not a product of Householder reflections alone? k of them leave d − k dimensions as they are, so they
//! would hardly move anything until k is near d. Q = H·R·Hᵀ does with k of them: R turns every one of d/2
//! planes by the same angle, so the cosine of x and Q·x is the same for *every* x, and H makes the planes
//! point anywhere. It takes O(d·k) and not d².

use std::sync::{Arc, Mutex, PoisonError};

use serde::{Deserialize, Serialize};

use super::{
    Action, Behaviour, CheckContext, Decide, EditContext, Edited, Entry, Fault, Memory, Parameter, Problem,
    Promise, Scales, Stage,
    embedding::{direction, dot, edit_vectors, norm},
    prediction::{check_rate, edits},
    purpose,
    unfit::OTHER_SHAPE,
};
use crate::{
    draw::{Dice, UnitHash},
    unit::Share,
    wire::{Answer, Content},
};

/// Reflections that make the planes point anywhere.
const MIRRORS: u64 = 4;
/// Dimensions of which a matrix is remembered; models have one.
const MOST_DIMENSIONS: usize = 8;

/// Gives embeddings another coordinate system.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct EmbeddingVersion {
    /// Cosine of the two versions' vectors of the same text, -1 to below 1.
    #[serde(default)]
    #[cfg_attr(feature = "schema", schemars(range(min = -1.0, max = 1.0)))]
    pub cosine: f64,
    /// Share of the vectors that are of the other version.
    #[serde(default = "all")]
    pub rate: Share,
}

const fn all() -> Share {
    Share::ALL
}

static ENTRY: Entry = Entry {
    name: "embedding-version",
    summary: "Gives embeddings the coordinate system of another version of the encoder.",
    effect: "A vector x becomes Q·x, with one orthogonal Q for each dimension d, the same in every process: \
             Q = H·R·Hᵀ, H a product of 4 Householder reflections (Householder 1958) and a permutation from the \
             seed, R a rotation of d/2 orthogonal planes by θ = arccos `cosine`. Cosines and norms among vectors \
             of the new version stay exactly, and the cosine of x and Q·x is `cosine` for every x (d odd: one \
             direction of d stays, so up to 1/d off in the mean). At 0, recall of a query of one version in an \
             index of the other is that of chance; with `rate` below 100% both versions are answered side by \
             side. O(4·d) for each vector. A ramp grows θ: while it does, vectors of different moments are of \
             different versions. Composes with the other faults on embeddings in the order of the list; excludes \
             a second embedding-version.",
    parameters: &[
        Parameter {
            name: "cosine",
            values: "number, -1 to below 1",
            default: "0",
            meaning: "cosine of the two versions' vectors of the same text",
        },
        Parameter {
            name: "rate",
            values: "share, above 0% to 100%",
            default: "100%",
            meaning: "how many of the vectors are of the other version",
        },
    ],
    example: "- fault: { embedding-version: { cosine: 0 } }",
    seen_by: "Cosine of a canary text with its stored vector, recall of known queries in the index, drift of the \
              mean vector.",
    blind: "Everything that looks at one version alone: pairwise cosines, norms, dimension, clustering quality; \
            latency and error monitors.",
};

/// The orthogonal matrix of one dimension, without its angle.
#[derive(Debug)]
struct Turn {
    /// The planes: each two coordinates that follow each other here span one.
    coordinates: Vec<usize>,
    /// Unit vectors at right angles to the mirrors.
    mirrors: Vec<Vec<f64>>,
}

impl Turn {
    fn new(dimension: usize, dice: Dice) -> Turn {
        let dice =
            |part: u64| dice.of(UnitHash::of(&[dimension as u64, part].map(u64::to_le_bytes).concat()));
        let mut coordinates: Vec<usize> = (0..dimension).collect();
        for last in (1..dimension).rev() {
            let draw = dice(0).at(purpose::SIZE, last as u32);
            coordinates.swap(last, draw.index(last + 1));
        }
        let mirror = |part| {
            let normal = direction(dice(part), dimension);
            let length = norm(&normal);
            normal.into_iter().map(|x| x / length).collect()
        };
        Turn { coordinates, mirrors: (1..=MIRRORS).map(mirror).collect() }
    }

    fn apply(&self, x: &[f64], angle: f64) -> Vec<f64> {
        let mut x = x.to_vec();
        self.mirrors.iter().rev().for_each(|normal| reflect(&mut x, normal));
        let (sin, cos) = angle.sin_cos();
        for plane in self.coordinates.chunks_exact(2) {
            let (a, b) = (x[plane[0]], x[plane[1]]);
            (x[plane[0]], x[plane[1]]) = (cos * a - sin * b, sin * a + cos * b);
        }
        self.mirrors.iter().for_each(|normal| reflect(&mut x, normal));
        x
    }
}

fn reflect(x: &mut [f64], normal: &[f64]) {
    let twice = 2.0 * dot(x, normal);
    x.iter_mut().zip(normal).for_each(|(x, n)| *x -= twice * n);
}

/// The matrices that were needed so far.
#[derive(Debug, Default)]
struct Turns(Mutex<Vec<(usize, Arc<Turn>)>>);

impl Turns {
    fn of(&self, dimension: usize, dice: Dice) -> Arc<Turn> {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, turn)) = known.iter().find(|(d, _)| *d == dimension) {
            return turn.clone();
        }
        let turn = Arc::new(Turn::new(dimension, dice));
        if known.len() < MOST_DIMENSIONS {
            known.push((dimension, turn.clone()));
        }
        turn
    }
}

impl Behaviour for EmbeddingVersion {
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

    fn promise(&self) -> Promise {
        Promise::Cosine { cosine: self.cosine, share: self.rate.fraction() }
    }

    fn scales(&self) -> Scales {
        Scales::Size
    }

    fn describe(&self) -> String {
        format!("{} of the vectors of another version, cosine {}", self.rate, self.cosine)
    }

    fn check(&self, _target: &CheckContext<'_>) -> Vec<Problem> {
        let cosine = (!(-1.0..1.0).contains(&self.cosine)).then(|| {
            let help = "give a number from -1 to below 1; 0 is how unrelated versions are";
            Problem::new("cosine", format!("no other version has a cosine of {}", self.cosine)).help(help)
        });
        check_rate(self.rate).into_iter().chain(cosine).collect()
    }

    fn excludes(&self, other: &Fault) -> Option<&'static str> {
        matches!(other, Fault::EmbeddingVersion(_))
            .then_some("the versions of both would add up to a third, with a cosine that neither asks for")
    }

    fn memory(&self) -> Memory {
        Memory::of(Turns::default())
    }

    fn decide(&self, context: &Decide<'_>) -> Option<Action> {
        edits(self.rate, context)
    }

    fn edit(&self, answer: &mut Answer, context: &EditContext<'_>) -> Edited {
        let angle = self.cosine.acos() * context.intensity;
        let none = Turns::default();
        let turns = context.memory.get::<Turns>().unwrap_or(&none);
        edit_vectors(answer, self.rate, context, |x, _| match x.len() {
            0 | 1 => Err(OTHER_SHAPE),
            dimension => Ok(turns.of(dimension, context.dice).apply(x, angle)),
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
        stats,
        wire::Labels,
    };

    fn all_of(answer: &Answer) -> Vec<Vec<f64>> {
        answer.rows.iter().map(|row| vector(row).unwrap()).collect()
    }

    fn edited(cosine: f64, seed: u64, request: u64, before: &Answer) -> Vec<Vec<f64>> {
        let mut after = before.clone();
        edit_list(&EmbeddingVersion { cosine, rate: Share::ALL }, &mut after, seed, request, 1.0);
        all_of(&after)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]
        #[test]
        fn within_a_version_nothing_changes_and_across_the_cosine_is_exact(
            seed: u64, wanted in -1.0..0.999, half in 1_usize..100,
        ) {
            let answer = vectors(seed, 6, 2 * half);
            let before = all_of(&answer);
            let after = edited(wanted, seed, 1, &answer);
            for (i, (old, new)) in before.iter().zip(&after).enumerate() {
                prop_assert!((stats::cosine(old, new).unwrap() - wanted).abs() < 1e-9);
                prop_assert!((norm(new) / norm(old) - 1.0).abs() < 1e-9);
                for j in 0..i {
                    let (then, now) = (stats::cosine(old, &before[j]), stats::cosine(new, &after[j]));
                    prop_assert!((then.unwrap() - now.unwrap()).abs() < 1e-9);
                }
            }
        }

        #[test]
        fn an_odd_dimension_is_nearly_exact(seed: u64, half in 16_usize..100) {
            let answer = vectors(seed, 20, 2 * half + 1);
            let cosines = all_of(&answer).into_iter().zip(edited(0.0, seed, 1, &answer));
            let mean = cosines.map(|(a, b)| stats::cosine(&a, &b).unwrap()).sum::<f64>() / 20.0;
            prop_assert!((0.0..0.15).contains(&mean), "{mean}");
        }
    }

    #[test]
    fn the_matrix_is_the_same_in_every_request_and_process() {
        let answer = vectors(3, 2, 32);
        assert_eq!(edited(0.0, 7, 1, &answer), edited(0.0, 7, 2, &answer));
        assert_ne!(edited(0.0, 7, 1, &answer), edited(0.0, 8, 1, &answer));
    }

    #[test]
    fn retrieval_across_versions_is_lost_and_within_one_is_kept() {
        let index = vectors(1, 100, 64);
        let documents = all_of(&index);
        let queries: Vec<Vec<f64>> = edited(0.0, 7, 1, &index);
        let nearest = |query: &[f64], among: &[Vec<f64>]| {
            let cosines = among.iter().map(|d| stats::cosine(query, d).unwrap()).enumerate();
            cosines.max_by(|a, b| a.1.total_cmp(&b.1)).unwrap().0
        };
        let found = |among: &[Vec<f64>]| (0..100).filter(|i| nearest(&queries[*i], among) == *i).count();
        assert!(found(&documents) <= 5, "{}", found(&documents));
        assert_eq!(found(&queries), 100);
    }

    #[test]
    fn a_share_of_the_vectors_is_of_the_other_version() {
        let fault = EmbeddingVersion { cosine: 0.0, rate: Share::new(0.4).unwrap() };
        let changed: usize =
            (0..500).map(|request| edit_list(&fault, &mut vectors(1, 8, 4), 7, request, 1.0).changed).sum();
        assert_rate(changed, 4000, 0.4);
    }

    #[test]
    fn settings_that_cannot_be_are_told() {
        assert_listed("embedding-version");
        let found = problems("{ embedding-version: { cosine: 1 } }", &Labels::default());
        assert!(found.contains(&"no other version has a cosine of 1".to_owned()), "{found:?}");
        let version = "{ embedding-version: {} }";
        assert!(exclusion(version, version).is_some());
        assert!(exclusion(version, "{ embedding-rotate: { cosine: 0.5 } }").is_none());
    }
}

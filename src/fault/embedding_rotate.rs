//! Embedding rotate: each vector is turned away from where it pointed, by an exact angle.
//!
//! What a retrained, quantised or truncated encoder does to the vectors of the same text, in one number: the
//! cosine with what it was. The plane of the turn holds the vector itself, so that the angle is the one asked
//! for; a rotation in a plane that is drawn without it would hardly move a vector of many dimensions.

use serde::{Deserialize, Serialize};

use super::{
    Action, Behaviour, CheckContext, Decide, EditContext, Edited, Entry, Parameter, Problem, Promise, Scales,
    Stage,
    embedding::{direction, dot, edit_vectors, norm},
    prediction::{check_rate, edits},
    unfit::{NO_DIRECTION, OTHER_SHAPE},
};
use crate::{
    draw::{Dice, UnitHash},
    unit::Share,
    wire::{Answer, Content},
};

/// Which way a vector is turned.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Plane {
    /// Any way, another for each vector: noise.
    #[default]
    Random,
    /// Towards the same direction, in every answer: a bias.
    Fixed,
}

/// Turns embeddings by an angle. Exactly one of `cosine` and `degrees` is given.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct EmbeddingRotate {
    /// Cosine with the original, -1 to below 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(range(min = -1.0, max = 1.0)))]
    pub cosine: Option<f64>,
    /// The angle in degrees, above 0 to 180.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(range(min = 0.0, max = 180.0)))]
    pub degrees: Option<f64>,
    /// Which way.
    #[serde(default)]
    pub plane: Plane,
    /// Share of the vectors.
    #[serde(default = "all")]
    pub rate: Share,
}

const fn all() -> Share {
    Share::ALL
}

static ENTRY: Entry = Entry {
    name: "embedding-rotate",
    summary: "Turns embeddings away from where they pointed, by an exact angle.",
    effect: "A vector x becomes cos θ·x + sin θ·|x|·u, where u is a unit vector at right angles to x: the part of \
             a random direction (normal coordinates, Muller 1959) that is orthogonal to x (Gram-Schmidt). Its \
             cosine with the original is cos θ exactly, to 1e-6 where the wire has 32-bit numbers, and its norm \
             stays. Plane `random`: u is another for each vector, so two vectors with cosine c have c·cos²θ in \
             the mean; `fixed`: all turn towards one direction, the same in every process, and grow alike. \
             Vectors of dimension 1 are `other-shape`, those without length `no-direction`. A ramp grows the \
             angle, not the rate. Composes in the order of the list; excludes nothing.",
    parameters: &[
        Parameter {
            name: "cosine",
            values: "number, -1 to below 1",
            default: "none; either `cosine` or `degrees` is needed",
            meaning: "cosine with the original",
        },
        Parameter {
            name: "degrees",
            values: "number, above 0 to 180",
            default: "none",
            meaning: "the angle",
        },
        Parameter {
            name: "plane",
            values: "random | fixed",
            default: "random",
            meaning: "another way for each vector, or the same for all",
        },
        Parameter {
            name: "rate",
            values: "share, above 0% to 100%",
            default: "100%",
            meaning: "how many of the vectors",
        },
    ],
    example: "- fault: { embedding-rotate: { cosine: 0.8 } }\n  ramp: 15s",
    seen_by: "Cosine of a canary text with its known vector, recall of a known query, distances to the nearest \
              neighbour, drift of the mean vector (`fixed`).",
    blind: "Monitors of norm and dimension, latency and error monitors; with plane `random` also the mean and the \
            deviation of each coordinate.",
};

impl EmbeddingRotate {
    /// The angle in radians.
    fn angle(&self) -> f64 {
        self.cosine.map(f64::acos).or(self.degrees.map(f64::to_radians)).unwrap_or_default()
    }

    fn turned(&self, x: &[f64], angle: f64, dice: Dice) -> Result<Vec<f64>, &'static str> {
        let length = norm(x);
        if x.len() < 2 {
            return Err(OTHER_SHAPE);
        }
        if length == 0.0 {
            return Err(NO_DIRECTION);
        }
        let mut u = direction(dice, x.len());
        // Twice, so that rounding leaves nothing of x (Kahan's "twice is enough").
        for _ in 0..2 {
            let along = dot(&u, x) / (length * length);
            u.iter_mut().zip(x).for_each(|(u, x)| *u -= along * x);
        }
        let across = norm(&u);
        if across <= length * f64::EPSILON {
            return Err(NO_DIRECTION);
        }
        let (sin, cos) = angle.sin_cos();
        Ok(x.iter().zip(&u).map(|(x, u)| cos * x + sin * length / across * u).collect())
    }
}

impl Behaviour for EmbeddingRotate {
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
        Promise::Cosine { cosine: self.angle().cos(), share: self.rate.fraction() }
    }

    fn scales(&self) -> Scales {
        Scales::Size
    }

    fn describe(&self) -> String {
        let size = match (self.cosine, self.degrees) {
            (Some(cosine), _) => format!("to a cosine of {cosine}"),
            (None, degrees) => format!("by {}°", degrees.unwrap_or_default()),
        };
        format!("{} of the vectors turned {size}", self.rate)
    }

    fn check(&self, _target: &CheckContext<'_>) -> Vec<Problem> {
        let size = match (self.cosine, self.degrees) {
            (Some(cosine), None) => (!(-1.0..1.0).contains(&cosine)).then(|| {
                let help = "give a number from -1 (opposite) to below 1 (as it was)";
                Problem::new("cosine", format!("no other direction has a cosine of {cosine}")).help(help)
            }),
            (None, Some(degrees)) => (!(degrees > 0.0 && degrees <= 180.0)).then(|| {
                let help = "give an angle above 0 and up to 180";
                Problem::new("degrees", format!("two vectors are not {degrees}° apart")).help(help)
            }),
            (None, None) | (Some(_), Some(_)) => {
                let help = "write `cosine: 0.8`, or `degrees: 30`";
                Some(Problem::new("", "either `cosine` or `degrees` says how far").help(help))
            }
        };
        check_rate(self.rate).into_iter().chain(size).collect()
    }

    fn decide(&self, context: &Decide<'_>) -> Option<Action> {
        edits(self.rate, context)
    }

    fn edit(&self, answer: &mut Answer, context: &EditContext<'_>) -> Edited {
        let angle = self.angle() * context.intensity;
        let fixed = context.dice.of(UnitHash::of(b"plane"));
        edit_vectors(answer, self.rate, context, |x, own| {
            let dice = if self.plane == Plane::Fixed { fixed } else { own };
            if angle == 0.0 { Ok(x.to_vec()) } else { self.turned(x, angle, dice) }
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
            feature::testing::{assert_listed, edit_list, vectors},
            testing::{assert_rate, problems},
        },
        stats::cosine,
        wire::Labels,
    };

    fn turn(cosine: f64, plane: Plane) -> EmbeddingRotate {
        EmbeddingRotate { cosine: Some(cosine), degrees: None, plane, rate: Share::ALL }
    }

    proptest! {
        #[test]
        fn the_cosine_is_exact_and_the_norm_stays(
            seed: u64, wanted in -1.0..0.9999, dimension in 2_usize..200, fixed: bool, ramp in 0.1..=1.0,
        ) {
            let plane = if fixed { Plane::Fixed } else { Plane::Random };
            let before = vectors(seed, 5, dimension);
            let mut after = before.clone();
            edit_list(&turn(wanted, plane), &mut after, seed, 1, ramp);
            let promised = (f64::acos(wanted) * ramp).cos();
            for (before, after) in before.rows.iter().zip(&after.rows) {
                let (before, after) = (vector(before).unwrap(), vector(after).unwrap());
                prop_assert!((cosine(&before, &after).unwrap() - promised).abs() < 1e-9);
                prop_assert!((norm(&after) / norm(&before) - 1.0).abs() < 1e-9);
                let single: Vec<f64> = after.iter().map(|x| f64::from(*x as f32)).collect();
                prop_assert!((cosine(&before, &single).unwrap() - promised).abs() < 1e-6);
            }
        }
    }

    #[test]
    fn a_fixed_plane_turns_towards_one_direction_and_a_random_one_does_not() {
        for (plane, alike) in [(Plane::Fixed, true), (Plane::Random, false)] {
            let shift = |request| {
                let before = vectors(request, 1, 64);
                let mut after = before.clone();
                edit_list(&turn(0.2, plane), &mut after, 7, request, 1.0);
                let (before, after) = (vector(&before.rows[0]).unwrap(), vector(&after.rows[0]).unwrap());
                after.iter().zip(before).map(|(a, b)| a - 0.2 * b).collect::<Vec<f64>>()
            };
            let cosine = cosine(&shift(1), &shift(2)).unwrap();
            assert_eq!(cosine > 0.9, alike, "{cosine}");
        }
    }

    #[test]
    fn a_share_of_the_vectors_turns() {
        let fault = EmbeddingRotate { rate: Share::new(0.25).unwrap(), ..turn(0.5, Plane::Random) };
        let changed: usize =
            (0..500).map(|request| edit_list(&fault, &mut vectors(1, 8, 4), 7, request, 1.0).changed).sum();
        assert_rate(changed, 4000, 0.25);
    }

    #[test]
    fn what_has_no_direction_is_told() {
        let fault = turn(0.5, Plane::Random);
        for (scores, unfit) in [
            (&[0.0, 0.0][..], NO_DIRECTION),
            (&[1.0], OTHER_SHAPE),
            (&[1.0, f64::NAN], "not-a-number"),
            (&[], "no-value"),
        ] {
            let mut answer = Answer::of_rows(vec![crate::fault::testing::row(None, scores)]);
            let edited = edit_list(&fault, &mut answer, 1, 0, 1.0);
            assert_eq!(edited, Edited { changed: 0, unfit: Some(unfit) });
        }
    }

    #[test]
    fn settings_that_cannot_be_are_told() {
        assert_listed("embedding-rotate");
        for (yaml, message) in [
            ("{}", "either `cosine` or `degrees` says how far"),
            ("{ cosine: 1 }", "no other direction has a cosine of 1"),
            ("{ degrees: 200 }", "two vectors are not 200° apart"),
            ("{ degrees: 20, rate: 0% }", "a rate of 0% never acts"),
        ] {
            let found = problems(&format!("{{ embedding-rotate: {yaml} }}"), &Labels::default());
            assert!(found.contains(&message.to_owned()), "{yaml}: {found:?}");
        }
    }
}

//! Against NumPy, and against functions that are known.

use serde::Deserialize;

use super::*;
use crate::draw::{Key, UnitHash};

/// Numbers between 0 and 1, the same in each run of the tests.
struct Chance(Key, u64);

impl Chance {
    fn new(seed: u64) -> Chance {
        Chance(Key::new(seed, "psychometric"), 0)
    }

    fn uniform(&mut self) -> f64 {
        self.1 += 1;
        self.0.draw(UnitHash::from_u64(self.1), 0).uniform()
    }
}

#[derive(Deserialize)]
struct Vectors {
    plays: Vec<Play>,
}

#[derive(Deserialize)]
struct Play {
    from: f64,
    level: f64,
    steps: Vec<Step>,
}

#[derive(Deserialize)]
struct Step {
    size: f64,
    detected: bool,
    half: [Option<f64>; 3],
    most: [Option<f64>; 3],
    mean_threshold: f64,
    mean_spread: f64,
    curve: [f64; 5],
}

#[test]
fn numpy_finds_the_same_posterior_and_proposes_the_same_sizes() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/vectors/psychometric.json");
    let published: Vectors = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    assert!(published.plays.iter().map(|play| play.steps.len()).sum::<usize>() >= 60);
    for play in published.plays {
        let mut quest = Quest::default();
        for step in play.steps {
            assert_eq!(quest.next(play.from), step.size);
            quest.answer(step.size, step.detected);
            let close = |ours: f64, theirs: f64| assert!((ours - theirs).abs() < 1e-9, "{ours} {theirs}");
            for (probability, [estimate, low, high]) in [(0.5, step.half), (0.9, step.most)] {
                let size = quest.size_detected(probability, play.level);
                for (ours, theirs) in [(size.estimate, estimate), (size.low, low), (size.high, high)] {
                    theirs.map_or_else(|| assert_eq!(ours, f64::INFINITY), |theirs| close(ours, theirs));
                }
            }
            let mean = |of: fn((f64, f64)) -> f64| -> f64 {
                shapes().zip(quest.marginal()).map(|(shape, (weight, ..))| weight * of(shape)).sum()
            };
            close(mean(|(threshold, _)| threshold), step.mean_threshold);
            close(mean(|(_, spread)| spread), step.mean_spread);
            for (size, theirs) in [0.0, 0.25, 0.5, 0.75, 1.0].into_iter().zip(step.curve) {
                close(quest.mean(size), theirs);
            }
        }
    }
}

/// A sweep of so many runs on a monitoring that is known.
fn sweep(curve: Psychometric, runs: usize, chance: &mut Chance) -> Quest {
    let mut quest = Quest::default();
    for _ in 0..runs {
        let size = quest.next(0.0);
        quest.answer(size, chance.uniform() < curve.at(size));
    }
    quest
}

/// In how many of the trials each interval has the true size of each probability in it; in at least as many of `trials`
/// as chance (3.5 standard deviations) leaves of the level.
fn covers(what: &str, trials: u32, mut trial: impl FnMut() -> (Psychometric, Quest)) -> [u32; 2] {
    let mut covered = [0_u32; 2];
    for _ in 0..trials {
        let (curve, quest) = trial();
        for (covered, probability) in covered.iter_mut().zip([0.5, 0.9]) {
            let (size, truth) = (quest.size_detected(probability, 0.95), curve.reaches(probability).unwrap());
            *covered += u32::from(size.low <= truth && truth <= size.high);
        }
    }
    let n = f64::from(trials);
    let least = n * 0.95 - 3.5 * (n * 0.95 * 0.05).sqrt();
    let shares = covered.map(|covered| f64::from(covered) / n);
    println!("{what}: {shares:?}");
    assert!(covered.iter().all(|covered| f64::from(*covered) >= least), "{what}: {shares:?}");
    covered
}

#[test]
fn a_known_function_is_within_its_interval_in_95_of_100_sweeps() {
    let mut chance = Chance::new(1);
    let functions = [(0.5, 0.06), (0.43, 0.2), (0.77, 0.15), (0.21, 0.3)];
    let covered = functions.map(|(threshold, spread)| {
        let curve = Psychometric { threshold, spread, guess: 0.01, lapse: 0.01 };
        covers(&format!("{curve:?}"), 100, || (curve, sweep(curve, 20, &mut chance)))
    });
    for probability in 0..2 {
        let all: u32 = covered.iter().map(|covered| covered[probability]).sum();
        assert!(all >= 95 * functions.len() as u32, "{covered:?}");
    }
}

#[test]
fn intervals_hold_their_level_over_all_functions_that_may_be() {
    let mut chance = Chance::new(2);
    let covered = covers("prior", 300, || {
        let spread = NARROWEST * (WIDEST / NARROWEST).powf(chance.uniform());
        let threshold = -0.265 + 1.53 * chance.uniform();
        let mut left = chance.uniform();
        let guess = GUESSES.iter().find(|(_, weight)| {
            left -= weight;
            left <= 0.0
        });
        let lapse = LAPSES[(chance.uniform() * 4.0) as usize];
        let curve = Psychometric { threshold, spread, guess: guess.unwrap_or(&GUESSES[0]).0, lapse };
        (curve, sweep(curve, 12, &mut chance))
    });
    // Wider than promised would mean more runs than needed.
    assert!(covered.iter().all(|covered| *covered <= 297), "{covered:?}");
}

#[test]
fn what_is_never_seen_or_always_is_a_bound() {
    for (detected, probability) in [(false, 0.5), (true, 0.5), (true, 0.9)] {
        let mut quest = Quest::default();
        for _ in 0..25 {
            quest.answer(quest.next(0.0), detected);
        }
        let size = quest.size_detected(probability, 0.95);
        match detected {
            false => assert!(size.low > 1.0 && quest.at_most(1.0, probability) < 0.025, "{size:?}"),
            true => {
                assert!(quest.at_most(0.0, probability) > 0.9, "{size:?} {}", quest.at_most(0.0, probability))
            }
        }
    }
}

#[test]
fn no_answer_breaks_it() {
    let mut quest = Quest::default();
    for _ in 0..2_000 {
        quest.answer(1.0, false);
        quest.answer(0.0, true);
    }
    assert!(quest.posterior.iter().all(|weight| weight.is_finite()));
    assert!((0.0..=1.0).contains(&quest.next(0.0)) && quest.next(2.0) == 1.0);
}

#[test]
fn a_grid_of_constant_sizes_needs_many_more_runs() {
    let curve = Psychometric { threshold: 0.43, spread: 0.1, guess: 0.01, lapse: 0.01 };
    let mut chance = Chance::new(3);
    let width = |quest: &Quest| {
        let size = quest.size_detected(0.5, 0.95);
        size.high - size.low
    };
    let median = |mut widths: Vec<f64>| {
        widths.sort_by(f64::total_cmp);
        widths[widths.len() / 2]
    };
    let adaptive = median((0..25).map(|_| width(&sweep(curve, 15, &mut chance))).collect());
    let constant = |repeats: usize, chance: &mut Chance| {
        let mut quest = Quest::default();
        for size in (0..=8).map(|number| f64::from(number) / 8.0).flat_map(|size| vec![size; repeats]) {
            quest.answer(size, chance.uniform() < curve.at(size));
        }
        width(&quest)
    };
    let needed = (1..40)
        .find(|repeats| median((0..25).map(|_| constant(*repeats, &mut chance)).collect()) <= adaptive);
    let needed = needed.unwrap_or(40) * 9;
    println!("{adaptive:.3} of the range: 15 runs, {needed} on a grid");
    assert!(needed >= 3 * 15, "{needed}");
}

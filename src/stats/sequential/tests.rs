use rand_like::Stream;
use statrs::distribution::{Binomial, DiscreteCDF};

use super::*;

/// Draws of this crate as a stream of uniform numbers.
mod rand_like {
    use crate::draw::{Key, UnitHash};

    pub(super) struct Stream(Key, u64);

    impl Stream {
        pub(super) fn new(seed: u64) -> Stream {
            Stream(Key::new(seed, "sequential"), 0)
        }

        pub(super) fn hits(&mut self, of: u64, share: f64) -> u64 {
            let mut one = || {
                self.1 += 1;
                u64::from(self.0.draw(UnitHash::from_u64(self.1), 0).uniform() < share)
            };
            (0..of).map(|_| one()).sum()
        }
    }
}

fn counts(hits: u64, of: u64) -> Counts {
    Counts { hits, of }
}

const BEFORE: u64 = 1000;

/// Looks until the alarm, of at most so many.
fn watch(
    stream: &mut Stream,
    shares: &[(f64, f64)],
    tolerance: f64,
    one_in: f64,
    looks: u64,
) -> Option<(u64, usize)> {
    let question = Question { weight: 1.0 / shares.len() as f64, tolerance };
    let before = shares.iter().map(|(before, _)| counts(stream.hits(BEFORE, *before), BEFORE)).collect();
    let mut detector = ChangeDetector::new(vec![question; shares.len()], before, one_in);
    let mut seen = vec![Counts::default(); shares.len()];
    (1..=looks).find_map(|look| {
        for (seen, (_, now)) in seen.iter_mut().zip(shares) {
            *seen = seen.plus(counts(stream.hits(10, *now), 10));
        }
        Some((look, detector.look(&seen)?))
    })
}

/// Watches of a service that does not change beyond the tolerance that ended with an alarm, which may not be more than
/// the stated rate allows.
fn false_alarms(runs: u64, looks: u64, one_in: f64, shares: &[(f64, f64)], tolerance: f64) {
    let stated = looks as f64 / one_in;
    let mut stream = Stream::new(1);
    let alarms = (0..runs).filter(|_| watch(&mut stream, shares, tolerance, one_in, looks).is_some());
    let alarms = alarms.count() as u64;
    let bound = Binomial::new(stated, runs).unwrap().inverse_cdf(0.999);
    assert!(alarms <= bound, "{shares:?}: {alarms} of {runs} watches, stated {stated}, bound {bound}");
}

/// The claim: looked at after each step, and begun at any of them, at most one in `one_in` looks is a false alarm. It is
/// an upper bound, and a wide one: of 30,000 watches one ended with an alarm where 1,500 may. (The largest likelihood
/// under "nothing changed" is dearer than that of the true share.) That such a watch alarms at all shows the other one.
#[test]
fn false_alarms_are_as_rare_as_stated() {
    const LOOKS: u64 = 20;
    const ONE_IN: f64 = 400.0;
    for (shares, tolerance, changed) in [
        (vec![(0.02, 0.02)], 1.0, vec![(0.02, 0.2)]),
        (vec![(0.5, 0.5), (0.1, 0.1)], 1.0, vec![(0.5, 0.5), (0.1, 0.35)]),
        (vec![(0.1, 0.1 / 0.55)], 2.0, vec![(0.1, 0.5)]),
    ] {
        false_alarms(10_000, LOOKS, ONE_IN, &shares, tolerance);
        let mut stream = Stream::new(4);
        let noticed = (0..100).filter(|_| watch(&mut stream, &changed, tolerance, ONE_IN, LOOKS).is_some());
        assert!(noticed.count() >= 90, "{changed:?} at the same rate");
    }
}

/// Where there were more looks than beginnings are kept.
#[test]
fn they_are_as_rare_in_long_watches() {
    const LOOKS: u64 = 4 * BEGINNINGS as u64 + 40;
    false_alarms(200, LOOKS, 10.0 * LOOKS as f64, &[(0.1, 0.1)], 1.0);
}

#[test]
fn a_change_is_noticed_the_sooner_the_larger_it_is() {
    let mut stream = Stream::new(2);
    let mut mean = |now: f64| {
        let looks: u64 = (0..100)
            .map(|_| watch(&mut stream, &[(0.05, now), (0.5, 0.5)], 1.1, 2.6e6, 500))
            .map(|noticed| {
                let (look, question) = noticed.expect("noticed within 500 looks");
                assert_eq!(question, 0, "the one that changed");
                look
            })
            .sum();
        looks as f64 / 100.0
    };
    let (large, middling, small) = (mean(0.5), mean(0.25), mean(0.2));
    assert!(large < 6.0, "{large}");
    assert!(large < middling && middling < small && small < 150.0, "{large} {middling} {small}");
}

/// The change comes late: a test that began with the watch would have to outweigh all that was before.
#[test]
fn a_change_in_the_midst_of_a_watch_is_noticed() {
    let question = Question { weight: 1.0, tolerance: 1.0 };
    let mut stream = Stream::new(3);
    let mut detector = ChangeDetector::new(vec![question], vec![counts(20, 1000)], 2.6e6);
    let mut seen = Counts::default();
    for look in 0..1000 {
        seen = seen.plus(counts(stream.hits(20, 0.02), 20));
        assert_eq!(detector.look(&[seen]), None, "look {look}");
    }
    assert!(detector.beginnings.len() <= BEGINNINGS, "{}", detector.beginnings.len());
    let noticed = (1..60).find(|_| {
        seen = seen.plus(counts(stream.hits(20, 0.4), 20));
        detector.look(&[seen]).is_some()
    });
    assert!(noticed.is_some_and(|looks| looks <= 15), "{noticed:?}");
}

/// Values of an independent implementation (`scripts/sequential_vectors.py`: SciPy's `betaln` and a bounded search).
#[test]
fn the_evidence_is_that_of_scipy() {
    let vectors = include_str!("../../../tests/vectors/sequential.json");
    let vectors: serde_json::Value = serde_json::from_str(vectors).unwrap();
    for vector in vectors.as_array().unwrap() {
        let number = |key: &str| vector[key].as_f64().unwrap();
        let of = |hits: &str, n: &str| counts(number(hits) as u64, number(n) as u64);
        let found = log_evidence_of_change(
            of("hits_before", "before"),
            of("hits_after", "after"),
            number("tolerance"),
        );
        let wanted = vector["log_evidence"].as_f64();
        match (found, wanted) {
            (Some(found), Some(wanted)) => {
                assert!((found - wanted).abs() < 1e-6 * wanted.abs().max(1.0), "{vector}: {found}");
            }
            (found, wanted) => assert_eq!(found, wanted, "{vector}"),
        }
    }
}

#[test]
fn nothing_tells_nothing() {
    for (before, after) in [
        (counts(0, 0), counts(5, 5)),
        (counts(5, 5), counts(0, 0)),
        (counts(0, 10), counts(0, 10)),
        (counts(10, 10), counts(10, 10)),
    ] {
        assert_eq!(log_evidence_of_change(before, after, 1.0), None, "{before:?} {after:?}");
    }
    let all = log_evidence_of_change(counts(0, 1000), counts(1000, 1000), 1.0).unwrap();
    assert!(all.is_finite() && all > 1000.0, "{all}");
    let mut empty = ChangeDetector::new(Vec::new(), Vec::new(), 10.0);
    assert_eq!(empty.look(&[]), None);
}

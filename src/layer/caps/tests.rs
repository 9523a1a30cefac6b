use std::{collections::HashMap, thread};

use super::*;

fn caps(yaml: &str) -> Arc<Caps> {
    let text = format!(
        "name: t\ntarget: {{ protocol: http }}\nexposure: {{ unit: request.path, caps: {yaml} }}\n\
         phases: [{{ name: p, lasts: 1m }}]"
    );
    let plan = crate::scenario::compile(&crate::scenario::Source::new("t", text)).unwrap();
    Caps::new(&plan.document.exposure.caps).unwrap()
}

fn unit(number: u64) -> UnitHash {
    UnitHash::of(&number.to_le_bytes())
}

fn spend(caps: &Arc<Caps>, number: u64, now: Duration) -> Result<(), Cap> {
    caps.claim(unit(number), now).map(|claim| claim.spend(None))
}

const fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

#[test]
fn nothing_capped_is_no_caps() {
    assert!(Caps::new(&CapsDocument::default()).is_none());
}

#[test]
fn no_second_holds_more_than_the_rate() {
    let caps = caps("{ rate: 5/s }");
    // A pause, a rush, and then evenly.
    let times = (0..100).map(|i| 3_000 + i).chain((0..400).map(|i| 3_500 + i * 20));
    let acted: Vec<u64> = times.filter(|at| spend(&caps, 0, ms(*at)).is_ok()).collect();
    for start in &acted {
        let window = acted.iter().filter(|at| (*start..*start + 1000).contains(*at)).count();
        assert!(window <= 5, "{window} from {start} ms");
    }
    assert!(acted.len() >= 5 * 8, "and no fewer than it allows: {}", acted.len());
}

#[test]
fn a_rate_below_one_a_second_waits_longer() {
    let caps = caps("{ rate: 2/m }");
    let acted: Vec<u64> = (0..300).filter(|s| spend(&caps, 0, Duration::from_secs(*s)).is_ok()).collect();
    assert_eq!(acted, [0, 30, 60, 90, 120, 150, 180, 210, 240, 270]);
}

#[test]
fn what_is_not_used_goes_back() {
    let caps = caps("{ rate: 3/s, total: 10, concurrent: 2, per-unit-per-hour: 4 }");
    for _ in 0..1_000 {
        drop(caps.claim(unit(0), ms(0)).unwrap());
    }
    for _ in 0..3 {
        spend(&caps, 0, ms(1)).unwrap();
        drop(caps.claim(unit(0), ms(1)));
    }
    assert_eq!(spend(&caps, 0, ms(1)).unwrap_err(), Cap::Rate);
    spend(&caps, 0, ms(1_001)).unwrap();
    assert_eq!(spend(&caps, 0, ms(5_000)).unwrap_err(), Cap::PerUnit, "the fifth on this unit");
    for at in 6..12 {
        spend(&caps, at, ms(at * 1_000)).unwrap();
    }
    assert_eq!(spend(&caps, 99, ms(20_000)).unwrap_err(), Cap::Total, "the eleventh in all");
}

#[test]
fn a_place_is_taken_until_the_response_has_passed() {
    let caps = caps("{ concurrent: 2 }");
    let slots = Slots::of(&caps);
    caps.claim(unit(0), ms(0)).unwrap().spend(slots.as_ref());
    caps.claim(unit(0), ms(0)).unwrap().spend(slots.as_ref());
    assert_eq!(caps.claim(unit(1), ms(0)).unwrap_err(), Cap::Concurrent);
    drop(slots);
    assert!(caps.claim(unit(1), ms(0)).is_ok());
}

#[test]
fn no_hour_holds_more_than_k_on_one_unit() {
    let caps = caps("{ per-unit-per-hour: 3 }");
    let minutes: Vec<u64> =
        (0..600).filter(|minute| spend(&caps, 7, Duration::from_secs(minute * 60)).is_ok()).collect();
    for start in &minutes {
        assert!(minutes.iter().filter(|at| (*start..start + 60).contains(*at)).count() <= 3, "{minutes:?}");
    }
    assert!(minutes.len() >= 3 * 9, "an hour of quiet begins anew: {minutes:?}");
}

#[test]
fn a_full_table_only_takes_injections_away() {
    let caps = caps("{ per-unit-per-hour: 1 }");
    let (mut acted, mut full) = (0, 0);
    for number in 0..200_000 {
        match spend(&caps, number, ms(0)) {
            Ok(()) => acted += 1,
            Err(Cap::UnitTable) => full += 1,
            // A tag that two units share.
            Err(cap) => assert_eq!(cap, Cap::PerUnit),
        }
        assert!(spend(&caps, number, ms(0)).is_err(), "none gets a second");
    }
    assert!(acted <= 65_536 && acted > 60_000, "{acted}");
    assert!(full > 130_000, "{full}");
    assert!(spend(&caps, 200_000, Duration::from_secs(3_602)).is_ok(), "after an hour there is room");
}

#[test]
fn threads_that_race_never_exceed_a_cap() {
    let caps = caps("{ rate: 1000/s, total: 1500, concurrent: 1200, per-unit-per-hour: 7 }");
    let mut per_unit: HashMap<u64, u32> = HashMap::new();
    let acted = thread::scope(|scope| {
        let workers: Vec<_> = (0..4)
            .map(|_| {
                let caps = caps.clone();
                scope.spawn(move || {
                    let mut acted = Vec::new();
                    for turn in 0..4_000_u64 {
                        let number = turn % 400;
                        match caps.claim(unit(number), ms(turn / 100)) {
                            // Two of three turn out to have nothing to change.
                            Ok(claim) if turn % 3 == 0 => {
                                claim.spend(None);
                                acted.push(number);
                            }
                            other => drop(other),
                        }
                    }
                    acted
                })
            })
            .collect();
        workers.into_iter().flat_map(|worker| worker.join().unwrap()).collect::<Vec<_>>()
    });
    acted.iter().for_each(|number| *per_unit.entry(*number).or_default() += 1);
    assert!(acted.len() <= 1000, "all within a second: {}", acted.len());
    assert!(per_unit.values().all(|count| *count <= 7), "{per_unit:?}");
    assert!(acted.len() > 500, "and they do act: {}", acted.len());
}

#[test]
fn a_claim_that_is_not_used_keeps_no_place_in_the_table_of_units() {
    for yaml in ["{ rate: 1/s, per-unit-per-hour: 3 }", "{ per-unit-per-hour: 3 }"] {
        let caps = caps(yaml);
        (0..200_000).for_each(|number| drop(caps.claim(unit(number), ms(number / 100))));
        for number in 0..100 {
            spend(&caps, 300_000 + number, Duration::from_secs(2_001 + number)).unwrap();
        }
    }
}

#[test]
fn a_rate_with_a_fraction_is_rounded_down_in_any_second() {
    let caps = caps("{ rate: 150/m }");
    let acted: Vec<u64> = (0..200).map(|i| i * 50).filter(|at| spend(&caps, 0, ms(*at)).is_ok()).collect();
    for start in &acted {
        assert!(acted.iter().filter(|at| (*start..*start + 1000).contains(*at)).count() <= 2, "{acted:?}");
    }
    assert_eq!(acted.len(), 20);
}

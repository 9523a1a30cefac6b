//! Ten thousand sidecars and a hundred million units that never talk to each other decide alike.
//!
//! `cargo run --release --example fleet`, or with fewer: `fleet UNITS SIDECARS`.
//!
//! What is exact, and what is a sample: every one of the 10^8 units is assigned (two draws each), so the shares of the
//! slices, the hold-out and the overlaps are counts of all units and are held against binomial bounds. That all sidecars
//! agree on all units would be 10^12 decisions; instead each of the 10^4 sidecars, which got its own copy of the
//! scenarios as a document and compiled it by itself, decides about 1,000 units of its own choice, in its own order
//! (10^7 decisions of each scenario), and each is held against a reference. A sidecar that decided differently about a
//! share p of the units would slip through with probability (1 - p)^1000.

#![expect(clippy::print_stdout, reason = "an example shows what it does")]

use std::{
    error::Error,
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    thread,
};

use canard::{
    draw::{Key, UnitHash},
    exposure::{Arm, Assignment, Rule},
    scenario::{Document, Plan, Source, compile, compile_document},
    unit::Share,
};

const UNITS: u64 = 100_000_000;
const SIDECARS: u64 = 10_000;
/// Units that each sidecar decides about.
const ASKED: u64 = 1_000;

/// Two scenarios in one layer and one in another.
const EXPOSURES: [&str; 3] = [
    "{ layer: serving, from: 0%, share: 20%, groups: { a: 70%, b: 30% } }",
    "{ layer: serving, from: 20%, share: 1% }",
    "{ layer: ranking, from: 0%, share: 25% }",
];

/// What there is to count.
const COUNTS: [&str; 7] =
    ["hold-out", "first", "second", "third", "first, group a", "first and second", "first and third"];

fn plan(number: usize) -> Result<Plan, Box<dyn Error>> {
    let text = format!(
        "name: s{number}\nseed: {number}\ntarget: {{ protocol: http }}\nexposure: {}\n\
         phases: [{{ name: slow, lasts: 1m, inject: [{{ fault: {{ latency: {{ fixed: 1ms }} }} }}] }}]",
        EXPOSURES[number]
    );
    Ok(compile(&Source::new("fleet.yaml", text))?)
}

/// Units are hashed as a sidecar would: by the bytes of their name.
fn unit(number: u64) -> UnitHash {
    UnitHash::of(&number.to_le_bytes())
}

fn decide(plans: &[Plan], holdout: Share, unit: UnitHash) -> [Assignment; 3] {
    std::array::from_fn(|number| Assignment::of(&plans[number].exposure, holdout, unit))
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut numbers = std::env::args().skip(1).map(|number| number.parse::<u64>());
    let units = numbers.next().transpose()?.unwrap_or(UNITS);
    let sidecars = numbers.next().transpose()?.unwrap_or(SIDECARS);
    let holdout: Share = "5%".parse()?;
    let plans = (0..3).map(plan).collect::<Result<Vec<_>, _>>()?;
    let documents =
        plans.iter().map(|plan| serde_json::to_string(&plan.document)).collect::<Result<Vec<_>, _>>()?;
    let threads = thread::available_parallelism()?.get() as u64;

    let counts: [AtomicU64; 7] = Default::default();
    thread::scope(|scope| {
        for worker in 0..threads {
            let (plans, counts) = (&plans, &counts);
            scope.spawn(move || {
                let mut mine = [0; 7];
                for number in (worker..units).step_by(threads as usize) {
                    let all = decide(plans, holdout, unit(number));
                    let [one, two, three] = all.map(|assignment| assignment.arm == Arm::Treated);
                    let held_out = all[0].rule == Rule::Holdout;
                    let in_a = one && all[0].group == Some(0);
                    for (count, holds) in
                        mine.iter_mut().zip([held_out, one, two, three, in_a, one && two, one && three])
                    {
                        *count += u64::from(holds);
                    }
                }
                counts.iter().zip(mine).for_each(|(count, mine)| _ = count.fetch_add(mine, Relaxed));
            });
        }
    });
    let left = 0.95;
    let expected = [0.05, 0.2 * left, 0.01 * left, 0.25 * left, 0.2 * 0.7 * left, 0.0, 0.2 * 0.25 * left];
    let mut fine = true;
    for ((name, count), share) in COUNTS.iter().zip(&counts).zip(expected) {
        let (count, n) = (count.load(Relaxed) as f64, units as f64);
        let deviation = (n * share * (1.0 - share)).sqrt();
        let sigmas = if deviation > 0.0 { (count - n * share) / deviation } else { count };
        fine &= sigmas.abs() < 5.0;
        println!(
            "{name:18} {:9.5}% of {units} units, {sigmas:+.2} standard deviations from {:.3}%",
            count / n * 100.0,
            share * 100.0
        );
    }

    let different = AtomicU64::new(0);
    thread::scope(|scope| {
        for worker in 0..threads {
            let (plans, documents, different) = (&plans, &documents, &different);
            scope.spawn(move || {
                for sidecar in (worker..sidecars).step_by(threads as usize) {
                    different.fetch_add(ask(sidecar, units, documents, plans, holdout), Relaxed);
                }
            });
        }
    });
    let different = different.into_inner();
    println!("{sidecars} sidecars, {ASKED} units each: {different} decisions differ");
    if fine && different == 0 { Ok(()) } else { Err("not as promised".into()) }
}

/// How often one sidecar decides otherwise than the reference, about units of its own choice.
fn ask(sidecar: u64, units: u64, documents: &[String], reference: &[Plan], holdout: Share) -> u64 {
    let read = |text: &String| {
        serde_json::from_str::<Document>(text).ok().and_then(|own| compile_document(own).ok())
    };
    let Some(plans) = documents.iter().map(read).collect::<Option<Vec<_>>>() else { return ASKED };
    let choice = Key::new(sidecar, "units");
    let chosen = (0..ASKED).map(|turn| unit(choice.draw(UnitHash::from_u64(sidecar), turn).bits() % units));
    chosen.filter(|unit| decide(&plans, holdout, *unit) != decide(reference, holdout, *unit)).count() as u64
}

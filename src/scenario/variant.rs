//! Variants of a scenario for runs that are counted together: a repeat, and a null run.
//!
//! A repeat has a seed of its own, so that other units are treated, and its faults in an order that the seed draws, so
//! that no fault always follows the same other. A null run injects nothing: what should fire in it has to stay silent.
//! Both are ordinary documents, compiled anew; only the lines of their expectations come from the file.

use std::collections::BTreeSet;

use super::{
    compile::compile_document,
    document::{AlertSilent, Document, Expectation, PhaseDocument},
    plan::Plan,
};
use crate::{
    draw::{Key, UnitHash},
    unit::Span,
};

/// Orders that are tried before the faults stay as they are written.
const ATTEMPTS: u64 = 32;

/// An expectation with its line in the file.
type Placed = (Expectation, Option<usize>);

/// The seed of repeat number `repeat`, from 0: the scenario's own for the first, then numbers of 32 bits that depend on
/// it and on `repeat` alone.
pub fn seed_of_repeat(seed: u64, repeat: u32) -> u64 {
    match repeat {
        0 => seed,
        _ => Key::new(seed, "repeat").draw(UnitHash::from_u64(u64::from(repeat)), 0).bits() >> 32,
    }
}

impl Plan {
    /// The same scenario under another seed, as written.
    ///
    /// # Errors
    /// As [`compile_document`](super::compile_document); a plan that compiled once compiles again.
    pub fn with_seed(&self, seed: u64) -> Result<Plan, Vec<String>> {
        self.variant(Document { seed, ..self.document.clone() }, self.lines())
    }

    /// The same scenario under another seed, with its faults in an order that the seed draws: the phases that inject
    /// something change places among themselves, with what they expect. `clears` follows the phase that expects its alert
    /// to fire: it stands in the phase after that, and is left out if there is none.
    ///
    /// Phases stay as they are written where their order means something (a release, or phases with shares of their
    /// own), and where no other order was found in which every expectation can be told: that is the answer's flag.
    ///
    /// # Errors
    /// As [`compile_document`](super::compile_document); a plan that compiled once compiles again.
    pub fn shuffled(&self, seed: u64) -> Result<(Plan, bool), Vec<String>> {
        let document = Document { seed, ..self.document.clone() };
        let places = places(&document);
        let ordered =
            document.release.is_some() || places.iter().any(|at| document.phases[*at].share.is_some());
        if !ordered && places.len() > 1 {
            for attempt in 0..ATTEMPTS {
                let order = order(&document, &places, attempt);
                let (phases, lines) = arranged(&document, &self.lines(), &order);
                if tells_apart(&document.phases, &phases)
                    && let Ok(plan) = self.variant(Document { phases, ..document.clone() }, lines)
                {
                    return Ok((plan, true));
                }
            }
        }
        Ok((self.variant(document, self.lines())?, false))
    }

    /// The same scenario with nothing injected: every alert that should fire or clear has to stay silent, so that what
    /// fires is a false alarm. What queries should find during a fault is left out, and so is a release.
    ///
    /// # Errors
    /// As [`compile_document`](super::compile_document).
    pub fn null(&self, seed: u64) -> Result<Plan, Vec<String>> {
        let mut document = Document { seed, release: None, ..self.document.clone() };
        let mut lines = self.lines();
        for (phase, lines) in document.phases.iter_mut().zip(&mut lines) {
            phase.inject.clear();
            let mut known = BTreeSet::new();
            let placed = std::mem::take(&mut phase.expect).into_iter().zip(std::mem::take(lines));
            let silent = placed.filter_map(|(expectation, line)| Some((silent(expectation)?, line)));
            let once =
                silent.filter(|(wanted, _)| known.insert((wanted.alert.clone(), wanted.monitor.clone())));
            (phase.expect, *lines) = once.map(|(wanted, line)| (Expectation::Silent(wanted), line)).unzip();
        }
        self.variant(document, lines)
    }

    /// The line of each expectation.
    fn lines(&self) -> Vec<Vec<Option<usize>>> {
        let of = |phase: &super::Phase| phase.expectations.iter().map(|placed| placed.line).collect();
        self.phases.iter().map(of).collect()
    }

    fn variant(&self, document: Document, lines: Vec<Vec<Option<usize>>>) -> Result<Plan, Vec<String>> {
        let mut plan = compile_document(Document { repeat: None, null_runs: None, ..document })?;
        plan.traffic.clone_from(&self.traffic);
        for (phase, lines) in plan.phases.iter_mut().zip(lines) {
            phase.expectations.iter_mut().zip(lines).for_each(|(placed, line)| placed.line = line);
        }
        Ok(plan)
    }
}

/// The alert that has to stay silent where nothing is injected.
fn silent(expectation: Expectation) -> Option<AlertSilent> {
    match expectation {
        Expectation::Fires(it) => Some(AlertSilent { alert: it.alert, monitor: it.monitor }),
        Expectation::Clears(it) => Some(AlertSilent { alert: it.alert, monitor: it.monitor }),
        Expectation::Silent(it) => Some(it),
        Expectation::Holds(_) => None,
    }
}

/// The phases that inject something.
fn places(document: &Document) -> Vec<usize> {
    let phases = document.phases.iter().enumerate();
    phases.filter(|(_, phase)| !phase.inject.is_empty()).map(|(index, _)| index).collect()
}

/// For each place in the new order, the phase that comes to it.
fn order(document: &Document, places: &[usize], attempt: u64) -> Vec<usize> {
    let key = Key::new(document.seed, &format!("order/{attempt}"));
    let mut moved = places.to_vec();
    moved.sort_by_key(|at| key.draw(UnitHash::of(document.phases[*at].name.as_bytes()), 0).bits());
    let mut order: Vec<usize> = (0..document.phases.len()).collect();
    for (place, from) in places.iter().zip(moved) {
        order[*place] = from;
    }
    order
}

/// The phases in a new order, with the lines of their expectations.
fn arranged(
    document: &Document,
    lines: &[Vec<Option<usize>>],
    order: &[usize],
) -> (Vec<PhaseDocument>, Vec<Vec<Option<usize>>>) {
    let mut phases: Vec<PhaseDocument> = order.iter().map(|from| document.phases[*from].clone()).collect();
    let mut placed: Vec<Vec<Placed>> = vec![Vec::new(); order.len()];
    for (from, (phase, lines)) in document.phases.iter().zip(lines).enumerate() {
        for (expectation, line) in phase.expect.iter().cloned().zip(lines.iter().copied()) {
            let place = |of: usize| order.iter().position(|from| *from == of).unwrap_or(of);
            let place = match owner(&document.phases[..=from], &expectation) {
                Some(owner) => place(owner) + 1,
                None => place(from),
            };
            if let Some(here) = placed.get_mut(place) {
                here.push((expectation, line));
            }
        }
    }
    let mut moved_lines = Vec::new();
    for (phase, placed) in phases.iter_mut().zip(placed) {
        let lines;
        (phase.expect, lines) = placed.into_iter().unzip();
        moved_lines.push(lines);
    }
    timed(&document.phases, &mut phases);
    (phases, moved_lines)
}

/// The phase whose alert a `clears` waits for: the last before its own that expects it to fire.
fn owner(until: &[PhaseDocument], expectation: &Expectation) -> Option<usize> {
    let Expectation::Clears(wanted) = expectation else { return None };
    let (_, before) = until.split_last()?;
    before.iter().rposition(|phase| fires(phase).any(|alert| alert == wanted.alert))
}

fn fires(phase: &PhaseDocument) -> impl Iterator<Item = &str> {
    phase.expect.iter().filter_map(|expectation| match expectation {
        Expectation::Fires(wanted) => Some(wanted.alert.as_str()),
        _ => None,
    })
}

/// Gives places their pauses back: what was written as a time from the start belongs to the place, not to the phase.
fn timed(written: &[PhaseDocument], moved: &mut [PhaseDocument]) {
    let (mut was, mut is) = (Span::ZERO.duration(), Span::ZERO.duration());
    for (old, new) in written.iter().zip(moved) {
        let starts = old.at.map_or(was, Span::duration);
        is += starts.saturating_sub(was);
        new.at = old.at.map(|_| Span::from(is));
        was = starts + old.lasts.duration();
        is += new.lasts.duration();
    }
}

/// Does no fault come right after another that the same alert should notice, but where the author has it so?
fn tells_apart(written: &[PhaseDocument], moved: &[PhaseDocument]) -> bool {
    let clashes = |phases: &[PhaseDocument]| -> BTreeSet<(String, String)> {
        let shared =
            |pair: &&[PhaseDocument]| fires(&pair[0]).any(|alert| fires(&pair[1]).any(|a| a == alert));
        phases.windows(2).filter(shared).map(|pair| (pair[0].name.clone(), pair[1].name.clone())).collect()
    };
    clashes(moved).is_subset(&clashes(written))
}

#[cfg(test)]
mod tests;

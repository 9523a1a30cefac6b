//! How many requests an injection has met: the memory of the counted shapes.

use std::{
    collections::HashMap,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use super::{Per, Shape};
use crate::draw::UnitHash;

/// Units that are counted on their own.
pub(super) const MOST_UNITS: usize = 65_536;

/// Counts the requests of one injection, for the counted shapes: at most 65536 units, about 1 MB.
#[derive(Debug, Default)]
pub struct Tally {
    all: AtomicU64,
    pub(super) units: Mutex<HashMap<UnitHash, u64>>,
}

impl Tally {
    /// Counts a request and tells whether the shape acts on it.
    pub fn admits(&self, shape: &Shape, unit: UnitHash) -> bool {
        let number = match shape.counts() {
            None => return true,
            Some(Per::All) => Some(self.all.fetch_add(1, Ordering::Relaxed)),
            Some(Per::Unit) => self.of_unit(unit),
        };
        number.is_some_and(|number| shape.admits(number))
    }

    fn of_unit(&self, unit: UnitHash) -> Option<u64> {
        let mut units = self.units.lock().unwrap_or_else(PoisonError::into_inner);
        if units.len() >= MOST_UNITS && !units.contains_key(&unit) {
            return None;
        }
        let count = units.entry(unit).or_default();
        let number = *count;
        *count += 1;
        Some(number)
    }
}

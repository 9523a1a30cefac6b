//! At most k injections on one unit in any hour, in bounded memory.
//!
//! A table of 16,384 buckets with four places of one word each (512 KiB, only where this is capped): a tag of the unit,
//! the time of its last injection in seconds, a count. The count begins anew an hour after the last injection, so
//! that no hour ever holds more than k. What the table can't tell apart, or has no place for, is not injected: two units
//! of one tag share a count, and in a full bucket the unit that comes too late passes untouched until another's hour
//! is over.

use std::{
    sync::{
        Arc,
        atomic::{
            AtomicU64,
            Ordering::{AcqRel, Acquire, Release},
        },
    },
    time::Duration,
};

use crate::{draw::UnitHash, evidence::Cap};

const BUCKETS: usize = 1 << 14;
const PLACES: usize = 4;

/// Seconds after the last injection until a count begins anew; one more, because times are cut to seconds.
const HOUR: u64 = 3601;

/// A limit for each unit.
#[derive(Debug)]
pub(super) struct UnitCap {
    limit: u8,
    places: Arc<[AtomicU64]>,
}

/// A word of the table: 32 bits of tag, 24 of time (seconds since arming plus one; 0: never), 8 of count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Word {
    tag: u32,
    last: u64,
    count: u8,
}

impl Word {
    const LATEST: u64 = (1 << 24) - 1;

    fn read(word: u64) -> Word {
        Word { tag: (word >> 32) as u32, last: word >> 8 & Word::LATEST, count: word as u8 }
    }

    fn write(self) -> u64 {
        u64::from(self.tag) << 32 | self.last << 8 | u64::from(self.count)
    }

    fn is_over(self, now: u64) -> bool {
        self.last == 0 || now.saturating_sub(self.last) >= HOUR
    }
}

impl UnitCap {
    pub(super) fn new(limit: u8) -> UnitCap {
        UnitCap { limit, places: (0..BUCKETS * PLACES).map(|_| AtomicU64::new(0)).collect() }
    }

    /// The same counts with another limit.
    pub(super) fn limited_to(&self, limit: u8) -> UnitCap {
        UnitCap { limit, places: self.places.clone() }
    }

    fn bucket(&self, unit: UnitHash) -> (u32, &[AtomicU64]) {
        let first = unit.get() as usize % BUCKETS * PLACES;
        ((unit.get() >> 32) as u32, &self.places[first..first + PLACES])
    }

    /// Counts one injection on a unit; tells when that was, for [`UnitCap::give_back`].
    pub(super) fn take(&self, unit: UnitHash, now: Duration) -> Result<u64, Cap> {
        // After half a year all counts stay: less is injected, never more.
        let now = (now.as_secs() + 1).min(Word::LATEST);
        let (tag, places) = self.bucket(unit);
        loop {
            let words: [u64; PLACES] = std::array::from_fn(|place| places[place].load(Acquire));
            let read = words.map(Word::read);
            let known = read.iter().position(|word| word.tag == tag && word.last > 0);
            let Some(place) = known.or_else(|| read.iter().position(|word| word.is_over(now))) else {
                return Err(Cap::UnitTable);
            };
            let count = if known.is_some() && !read[place].is_over(now) { read[place].count } else { 0 };
            if count >= self.limit {
                return Err(Cap::PerUnit);
            }
            let word = Word { tag, last: now.max(read[place].last), count: count + 1 };
            if places[place].compare_exchange(words[place], word.write(), AcqRel, Acquire).is_err() {
                continue;
            }
            if known.is_some() || places.iter().filter(|at| self.is_of(at, tag)).count() == 1 {
                return Ok(now);
            }
            // Another thread gave the unit a place at the same moment; two counts would allow twice as much.
            places[place].store(0, Release);
            return Err(Cap::PerUnit);
        }
    }

    fn is_of(&self, at: &AtomicU64, tag: u32) -> bool {
        let word = Word::read(at.load(Acquire));
        word.tag == tag && word.last > 0
    }

    /// Takes one off a unit's count, unless that has begun anew since.
    pub(super) fn give_back(&self, unit: UnitHash, taken: u64) {
        let (tag, places) = self.bucket(unit);
        let less = |word| {
            let word = Word::read(word);
            let counted = word.tag == tag && word.count > 0 && word.last < taken + HOUR;
            // A unit that nothing was injected on needs no place.
            counted.then(|| if word.count == 1 { 0 } else { Word { count: word.count - 1, ..word }.write() })
        };
        let _ = places.iter().find(|at| at.fetch_update(AcqRel, Acquire, less).is_ok());
    }
}

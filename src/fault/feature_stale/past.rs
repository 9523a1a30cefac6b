//! What each key's features were, as far back as asked for, in bounded memory.
//!
//! Of a key at most one row for each eighth of the age is kept, and none that is older than needed. When there
//! are too many keys, or too many cells in all, the key that was not seen for longest is forgotten.

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    time::Duration,
};

use crate::{draw::UnitHash, wire::Value};

/// Cells of all keys; a text counts as one for each 32 bytes.
const MOST_CELLS: usize = 2_000_000;
/// How finely time is kept: parts of the age.
const PARTS: u32 = 8;

#[derive(Debug)]
pub(super) struct Past {
    age: Duration,
    most_keys: usize,
    keys: HashMap<UnitHash, Key>,
    /// Keys by when they were last seen.
    seen: BTreeMap<u64, UnitHash>,
    next: u64,
    cells: usize,
    forgotten: u64,
}

#[derive(Debug, Default)]
struct Key {
    seen: u64,
    rows: VecDeque<(Duration, Vec<Value>)>,
}

fn weight(row: &[Value]) -> usize {
    row.iter().map(|value| if let Value::Text(text) = value { 1 + text.len() / 32 } else { 1 }).sum()
}

impl Past {
    pub(super) fn new(age: Duration, most_keys: usize) -> Past {
        let (keys, seen) = (HashMap::new(), BTreeMap::new());
        Past { age, most_keys, keys, seen, next: 0, cells: 0, forgotten: 0 }
    }

    /// How many keys were forgotten for want of room.
    pub(super) const fn forgotten(&self) -> u64 {
        self.forgotten
    }

    #[cfg(test)]
    pub(super) fn rows(&self) -> usize {
        self.keys.values().map(|key| key.rows.len()).sum()
    }

    /// Remembers a key's row; returns the one that it had `age` ago.
    pub(super) fn replace(&mut self, hash: UnitHash, now: Duration, row: Vec<Value>) -> Option<&[Value]> {
        let key = self.keys.entry(hash).or_default();
        self.seen.remove(&key.seen);
        self.next += 1;
        key.seen = self.next;
        self.seen.insert(self.next, hash);
        let spaced = |(at, _): &(Duration, Vec<Value>)| now.saturating_sub(*at) >= self.age / PARTS;
        if key.rows.back().is_none_or(spaced) {
            self.cells += weight(&row);
            key.rows.push_back((now, row));
        }
        if let Some(then) = now.checked_sub(self.age) {
            while key.rows.get(1).is_some_and(|(at, _)| *at <= then) {
                self.cells -= key.rows.pop_front().map_or(0, |(_, row)| weight(&row));
            }
        }
        while self.keys.len() > self.most_keys || (self.cells > MOST_CELLS && self.keys.len() > 1) {
            self.forget();
        }
        let then = now.checked_sub(self.age)?;
        let (at, row) = self.keys.get(&hash)?.rows.front()?;
        (*at <= then).then_some(row.as_slice())
    }

    fn forget(&mut self) {
        let Some((_, hash)) = self.seen.pop_first() else { return };
        let key = self.keys.remove(&hash).unwrap_or_default();
        self.cells -= key.rows.iter().map(|(_, row)| weight(row)).sum::<usize>();
        self.forgotten += 1;
    }
}

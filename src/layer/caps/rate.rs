//! At most so many injections in any window of time.
//!
//! A ring holds the time of each of the last n. A new one may only take the place of one that is a window old, so
//! there are never more than n in any window, whoever wins which race. Why not a token bucket? It lets twice its
//! rate through in the second after a pause.

use std::{
    sync::atomic::{
        AtomicU64,
        Ordering::{AcqRel, Acquire, Release},
    },
    time::Duration,
};

/// Places of unused claims that are remembered. One more is found again when the head comes by, after a window at
/// the latest.
const RETURNED: usize = 16;

/// A limit on injections in a window.
#[derive(Debug)]
pub(super) struct RateCap {
    /// Nanoseconds.
    window: u64,
    /// When each of the last injections was, in nanoseconds from arming plus [`EPOCH`]; 0: never.
    ring: Box<[AtomicU64]>,
    /// The place that is most likely the oldest.
    head: AtomicU64,
    /// Places of the ring, plus one, that were given back.
    returned: [AtomicU64; RETURNED],
}

/// A place that was taken, and what stood there.
#[derive(Debug, Clone, Copy)]
pub(super) struct Taken {
    place: usize,
    before: u64,
    now: u64,
}

impl RateCap {
    /// `per_second` injections in any second, rounded down; below one, one in any window of `1 / per_second` seconds.
    pub(super) fn new(per_second: f64) -> RateCap {
        let many = per_second.floor().max(1.0);
        RateCap {
            window: ((many / per_second).max(if per_second >= 1.0 { 1.0 } else { 0.0 }) * 1e9).ceil() as u64,
            ring: (0..many as usize).map(|_| AtomicU64::new(0)).collect(),
            head: AtomicU64::new(0),
            returned: Default::default(),
        }
    }

    /// The same, all places of which were taken just now.
    pub(super) fn used_up(per_second: f64, now: Duration) -> RateCap {
        let cap = RateCap::new(per_second);
        let now = u64::try_from(now.as_nanos()).unwrap_or(u64::MAX).saturating_add(1);
        cap.ring.iter().for_each(|place| place.store(now, Release));
        cap
    }

    pub(super) fn take(&self, now: Duration) -> Option<Taken> {
        // Zero is for places that were never taken.
        let now = u64::try_from(now.as_nanos()).unwrap_or(u64::MAX).saturating_add(1);
        // First what was given back, or the head would run into places that are still fresh.
        let again = |hint: &AtomicU64| match hint.load(Acquire) {
            0 => None,
            _ => self.take_place((hint.swap(0, AcqRel) as usize).checked_sub(1)?, now),
        };
        if let Some(taken) = self.returned.iter().find_map(again) {
            return Some(taken);
        }
        loop {
            let head = self.head.load(Acquire);
            if let Some(taken) = self.take_place(head as usize % self.ring.len(), now) {
                self.head.fetch_add(1, AcqRel);
                return Some(taken);
            }
            if self.head.load(Acquire) == head {
                return None;
            }
        }
    }

    fn take_place(&self, place: usize, now: u64) -> Option<Taken> {
        let at = &self.ring[place];
        let before = at.load(Acquire);
        let old = before == 0 || now.saturating_sub(before) >= self.window;
        let taken = old && at.compare_exchange(before, now, AcqRel, Acquire).is_ok();
        taken.then_some(Taken { place, before, now })
    }

    pub(super) fn give_back(&self, taken: Taken) {
        let Taken { place, before, now } = taken;
        if self.ring[place].compare_exchange(now, before, AcqRel, Acquire).is_ok() {
            let hint = place as u64 + 1;
            let _ = self.returned.iter().find(|free| free.compare_exchange(0, hint, AcqRel, Acquire).is_ok());
        }
    }
}

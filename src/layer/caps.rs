//! Limits on injections beside the share: how many a second, at once, in all, and for one unit in an hour.
//!
//! A cap can only take an injection away: whoever can't claim passes untouched and is counted. What is claimed and not
//! used goes back. Every limit is strict whatever the order of threads, and none takes a lock: where two threads race,
//! or a table is full, the answer is no. Each process counts by itself and from arming; a fleet of n allows n times as
//! much.

mod rate;
mod units;

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use self::{rate::RateCap, units::UnitCap};
use crate::{draw::UnitHash, evidence::Cap, scenario::CapsDocument};

/// The caps of one lease.
#[derive(Debug)]
pub(super) struct Caps {
    rate: Option<RateCap>,
    concurrent: Option<Limited>,
    total: Option<Limited>,
    units: Option<UnitCap>,
}

/// A count with a limit.
#[derive(Debug)]
struct Limited {
    limit: u64,
    count: Arc<AtomicU64>,
}

impl Limited {
    fn new(limit: u64) -> Limited {
        Limited::from(limit, 0)
    }

    fn from(limit: u64, count: u64) -> Limited {
        Limited { limit, count: Arc::new(AtomicU64::new(count)) }
    }

    /// The same count with another limit.
    fn limited_to(&self, limit: u64) -> Limited {
        Limited { limit, count: self.count.clone() }
    }

    fn take(&self) -> bool {
        self.count.fetch_update(Relaxed, Relaxed, |count| (count < self.limit).then(|| count + 1)).is_ok()
    }

    fn give_back(&self, count: u64) {
        self.count.fetch_sub(count, Relaxed);
    }
}

impl Caps {
    /// `None` if nothing is capped.
    pub(super) fn new(caps: &CapsDocument) -> Option<Arc<Caps>> {
        let CapsDocument { rate, concurrent, total, per_unit_per_hour } = *caps;
        let some = rate.is_some() || concurrent.is_some() || total.is_some() || per_unit_per_hour.is_some();
        some.then(|| {
            Arc::new(Caps {
                rate: rate.map(|rate| RateCap::new(rate.per_second())),
                concurrent: concurrent.map(Limited::new),
                total: total.map(Limited::new),
                units: per_unit_per_hour.map(UnitCap::new),
            })
        })
    }

    /// Caps in the place of others, for the same lease at an age at which so much was injected: what was counted counts
    /// on, what is in use goes back to the same counts, and a new rate begins as if it were used up.
    pub(super) fn replacing(
        old: Option<&Caps>,
        caps: &CapsDocument,
        injected: u64,
        age: Duration,
    ) -> Option<Arc<Caps>> {
        let CapsDocument { rate, concurrent, total, per_unit_per_hour } = *caps;
        if caps.is_none() {
            return None;
        }
        let of = |pick: fn(&Caps) -> Option<&Limited>| old.and_then(pick);
        Some(Arc::new(Caps {
            rate: rate.map(|rate| RateCap::used_up(rate.per_second(), age)),
            concurrent: concurrent.map(|limit| match of(|caps| caps.concurrent.as_ref()) {
                Some(count) => count.limited_to(limit),
                None => Limited::new(limit),
            }),
            total: total.map(|limit| match of(|caps| caps.total.as_ref()) {
                Some(count) => count.limited_to(limit),
                None => Limited::from(limit, injected),
            }),
            units: per_unit_per_hour.map(|limit| match old.and_then(|caps| caps.units.as_ref()) {
                Some(units) => units.limited_to(limit),
                None => UnitCap::new(limit),
            }),
        }))
    }

    /// Claims one injection on a unit at a time since arming; else the cap that forbids it.
    pub(super) fn claim(self: &Arc<Caps>, unit: UnitHash, now: Duration) -> Result<Claim, Cap> {
        let mut claim =
            Claim { caps: self.clone(), unit, units: None, concurrent: false, total: false, rate: None };
        claim.concurrent = take(self.concurrent.as_ref(), Cap::Concurrent)?;
        claim.total = take(self.total.as_ref(), Cap::Total)?;
        if let Some(rate) = &self.rate {
            claim.rate = Some(rate.take(now).ok_or(Cap::Rate)?);
        }
        // Last: a claim that goes back has moved the unit's hour on.
        claim.units = self.units.as_ref().map(|units| units.take(unit, now)).transpose()?;
        Ok(claim)
    }
}

fn take(limited: Option<&Limited>, cap: Cap) -> Result<bool, Cap> {
    match limited {
        None => Ok(false),
        Some(limited) if limited.take() => Ok(true),
        Some(_) => Err(cap),
    }
}

/// A claim on one injection; dropped unused, it goes back.
#[derive(Debug)]
pub(super) struct Claim {
    caps: Arc<Caps>,
    unit: UnitHash,
    /// When it was counted.
    units: Option<u64>,
    concurrent: bool,
    total: bool,
    rate: Option<rate::Taken>,
}

impl Claim {
    /// It was used. Its place among those that act at once stays taken until `slots` is dropped.
    pub(super) fn spend(mut self, slots: Option<&Arc<Slots>>) {
        (self.units, self.total, self.rate) = (None, false, None);
        if let Some(slots) = slots.filter(|_| self.concurrent) {
            self.concurrent = false;
            slots.taken.fetch_add(1, Relaxed);
        }
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        let caps = &self.caps;
        if let (Some(units), Some(taken)) = (&caps.units, self.units) {
            units.give_back(self.unit, taken);
        }
        if self.concurrent {
            caps.concurrent.iter().for_each(|cap| cap.give_back(1));
        }
        if self.total {
            caps.total.iter().for_each(|cap| cap.give_back(1));
        }
        if let (Some(rate), Some(taken)) = (&caps.rate, self.rate) {
            rate.give_back(taken);
        }
    }
}

/// The places that one request has among the faults that act at once, until its response has passed.
#[derive(Debug)]
pub(super) struct Slots {
    caps: Arc<Caps>,
    taken: AtomicU64,
}

impl Slots {
    /// None if that is not capped.
    pub(super) fn of(caps: &Arc<Caps>) -> Option<Arc<Slots>> {
        caps.concurrent.as_ref().map(|_| Arc::new(Slots { caps: caps.clone(), taken: AtomicU64::new(0) }))
    }
}

impl Drop for Slots {
    fn drop(&mut self) {
        let taken = *self.taken.get_mut();
        self.caps.concurrent.iter().for_each(|cap| cap.give_back(taken));
    }
}

#[cfg(test)]
mod tests;

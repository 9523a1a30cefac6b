//! Up to which moment slots are dealt with.
//!
//! The wall clock may jump and the machine may sleep. A slot that is found late by more than [`Agenda::LATE`] is missed;
//! one that comes again because the clock was put back a little is not taken twice.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::slots::{Slot, permits, slots};
use crate::scenario::CalendarDocument;

/// What came of the time that passed.
#[derive(Debug, Clone, PartialEq)]
pub enum Turn {
    /// A slot of a run (by its number in the calendar) is now.
    Due(usize, Slot),
    /// Slots of a run passed unseen: the first, the last and how many.
    Missed(usize, Slot, Slot, usize),
    /// The wall clock was put back, so far that its slots come anew.
    PutBack(SignedDuration),
}

/// The moment up to which slots are dealt with.
#[derive(Debug, Clone)]
pub struct Agenda {
    seen: Timestamp,
}

impl Agenda {
    /// A slot that is found so much later than it was meant is missed.
    pub const LATE: SignedDuration = SignedDuration::from_secs(10);
    /// Put back by less, a clock was only corrected.
    const CORRECTION: SignedDuration = SignedDuration::from_secs(60);
    /// More missed slots of one run are not counted.
    const MOST: usize = 10_000;

    /// What was before now is not missed.
    pub fn new(now: Timestamp) -> Agenda {
        Agenda { seen: now }
    }

    /// Deals with the time until now: the turns, in the order of their time.
    pub fn advance(&mut self, calendar: &CalendarDocument, now: Timestamp) -> Vec<Turn> {
        let ahead = now.duration_since(self.seen);
        if ahead <= SignedDuration::ZERO {
            if -ahead < Agenda::CORRECTION {
                return Vec::new();
            }
            self.seen = now;
            return vec![Turn::PutBack(-ahead)];
        }
        let recent = now - Agenda::LATE;
        let (mut missed, mut due) = (Vec::new(), Vec::new());
        for (index, run) in calendar.runs.iter().enumerate() {
            let passed = |after: Timestamp, until: Timestamp| {
                slots(&calendar.time_zone, &run.cron, after).take_while(move |slot| slot.at <= until)
            };
            if self.seen < recent {
                let mut late = passed(self.seen, recent).take(Agenda::MOST);
                if let Some(first) = late.next() {
                    let (last, slots) = late.fold((first, 1), |(_, count), slot| (slot, count + 1));
                    missed.push(Turn::Missed(index, first, last, slots));
                }
            }
            due.extend(passed(self.seen.max(recent), now).map(|slot| Turn::Due(index, slot)));
        }
        self.seen = now;
        due.sort_by_key(|turn| match turn {
            Turn::Due(_, slot) => slot.at,
            _ => Timestamp::MIN,
        });
        missed.extend(due);
        missed
    }

    /// The next slot, and the number of its run.
    pub fn next(&self, calendar: &CalendarDocument) -> Option<(usize, Slot)> {
        let next =
            |run: &crate::scenario::ScheduledRun| slots(&calendar.time_zone, &run.cron, self.seen).next();
        let all = calendar.runs.iter().enumerate().filter_map(|(index, run)| Some((index, next(run)?)));
        all.min_by_key(|(_, slot)| slot.at)
    }

    /// The next slot in which something may begin; `None` if there is none among the next thousand of each run.
    pub fn next_open(&self, calendar: &CalendarDocument) -> Option<(usize, Slot)> {
        const ENOUGH: usize = 1000;
        let all = calendar.runs.iter().enumerate().filter_map(|(index, run)| {
            let mut slots = slots(&calendar.time_zone, &run.cron, self.seen).take(ENOUGH);
            let open = |slot: &Slot| slot.exists && permits(calendar, slot.at, Duration::ZERO).is_ok();
            Some((index, slots.find(open)?))
        });
        all.min_by_key(|(_, slot)| slot.at)
    }
}

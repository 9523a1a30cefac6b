//! The loop that keeps to a calendar.
//!
//! It looks at the wall clock at least once a second instead of sleeping until the next slot, because a clock may be
//! put forward or back, and a machine may sleep, without tokio's clock noticing.

use std::{pin::pin, time::Duration};

use jiff::{SignedDuration, Timestamp};
use tokio::{task::JoinSet, time::sleep};

use super::{
    agenda::{Agenda, Turn},
    happening::Happening,
    slots::{Skip, Slot, permits},
    together::{Ready, takes_turns},
};
use crate::{
    gameday::{Giver, Orders, orders},
    monitor::BoxFuture,
    scenario::{CalendarDocument, ScheduledRun, Zone},
};

/// Time between looks at the wall clock.
const LOOK: Duration = Duration::from_secs(1);
/// A run that should be over by now may take so long to disarm.
const GRACE: Duration = Duration::from_secs(5);

/// What the loop needs from outside.
pub trait Hands {
    /// The time on the system's clock.
    fn wall(&self) -> Timestamp;
    /// The calendar, if it was changed since the last call and can be used.
    fn reload(&mut self) -> Option<CalendarDocument>;
    /// Reads a scenario and its stage.
    ///
    /// # Errors
    /// Why they can't be used, in words.
    fn read(&self, calendar: &CalendarDocument, run: &ScheduledRun) -> Result<Ready, String>;
    /// Is there a report of this name already?
    fn reported(&self, name: &str) -> bool;
    /// Runs it to its end, or until what stops the loop stops it too; answers with its exit code.
    fn run(&mut self, job: Job) -> BoxFuture<'static, u8>;
    /// Says something.
    fn tell(&mut self, happening: Happening);
}

/// A run that begins.
#[derive(Debug)]
pub struct Job {
    /// Its name, which no other run has: that of its entry in the calendar, and its slot in UTC.
    pub name: String,
    /// What to run.
    pub ready: Ready,
    /// Withdraws it once the calendar does not permit it any more.
    pub orders: Orders,
}

/// How keeping to a calendar ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kept {
    /// It was stopped.
    Stopped,
    /// No slot is left.
    NothingLeft,
    /// The one run that was asked for ended with this exit code.
    Once(u8),
}

/// Runs what a calendar holds until `stop` resolves; with `once`, until the first run has ended. Runs that go on when it
/// is stopped are waited for.
pub async fn keep(
    calendar: CalendarDocument,
    mut hands: impl Hands,
    once: bool,
    stop: impl Future<Output = ()>,
) -> Kept {
    let mut stop = pin!(stop);
    let agenda = Agenda::new(hands.wall());
    let mut clerk = Clerk { calendar, agenda, waiting: Vec::new(), active: Vec::new(), once, told: None };
    let mut running: JoinSet<u8> = JoinSet::new();
    loop {
        if let Some(calendar) = hands.reload() {
            clerk.take(calendar, &mut hands);
        }
        let now = hands.wall();
        clerk.turn(now, &mut hands);
        clerk.withdraw(now);
        clerk.start(now, &mut hands, &mut running);
        let next = clerk.agenda.next(&clerk.calendar);
        if running.is_empty() && clerk.waiting.is_empty() {
            let Some(next) = next else { return Kept::NothingLeft };
            clerk.announce(next.1, &mut hands);
        }
        let until = next.and_then(|(_, slot)| Duration::try_from(slot.at.duration_since(now)).ok());
        tokio::select! {
            biased;
            () = &mut stop => {
                while let Some(ended) = running.join_next_with_id().await {
                    clerk.ended(ended, &mut hands);
                }
                return Kept::Stopped;
            }
            Some(ended) = running.join_next_with_id() => {
                let exit_code = clerk.ended(ended, &mut hands);
                if once {
                    return Kept::Once(exit_code);
                }
            }
            () = sleep(until.unwrap_or(LOOK).min(LOOK)) => {}
        }
    }
}

struct Clerk {
    calendar: CalendarDocument,
    agenda: Agenda,
    waiting: Vec<Waiting>,
    active: Vec<Active>,
    once: bool,
    /// Until this slot, what comes next was said.
    told: Option<Slot>,
}

struct Waiting {
    run: ScheduledRun,
    /// As [`CalendarDocument::names`] calls it.
    name: String,
    slot: Slot,
    ready: Ready,
    /// The run that it was said to wait for.
    behind: Option<String>,
}

struct Active {
    task: tokio::task::Id,
    name: String,
    ready: Ready,
    giver: Giver,
}

impl Clerk {
    /// A calendar in the place of the old one. Its slots count from the last look; what waits and is not in it any more does not
    /// wait any longer.
    fn take(&mut self, calendar: CalendarDocument, hands: &mut impl Hands) {
        let zone = std::mem::replace(&mut self.calendar, calendar).time_zone;
        self.told = None;
        let calendar = &self.calendar;
        let (waiting, dropped) =
            self.waiting.drain(..).partition(|waiting| calendar.runs.contains(&waiting.run));
        self.waiting = waiting;
        dropped
            .into_iter()
            .for_each(|old: Waiting| skipped(hands, &zone, &old.name, old.slot, &Skip::Dropped));
    }

    /// Deals with the slots that came.
    fn turn(&mut self, now: Timestamp, hands: &mut impl Hands) {
        let zone = self.calendar.time_zone.clone();
        let names = self.calendar.names();
        for turn in self.agenda.advance(&self.calendar, now) {
            match turn {
                Turn::PutBack(by) => hands.tell(Happening::ClockPutBack { seconds: by.as_secs() }),
                Turn::Missed(index, first, last, slots) => {
                    let (first, last) = (time(&zone, first), time(&zone, last));
                    let run = names[index].clone();
                    hands.tell(Happening::SlotsMissed { run, first, last, slots });
                }
                Turn::Due(index, slot) => {
                    let (run, name) = (self.calendar.runs[index].clone(), names[index].clone());
                    // A slot that takes over from the last one keeps its place in the queue.
                    let place = self.waiting.iter().position(|waiting| waiting.run == run);
                    if let Some(place) = place {
                        let old = self.waiting.remove(place);
                        skipped(hands, &zone, &old.name, old.slot, &Skip::NextSlotCame);
                    }
                    match self.due(&run, slot, now, hands) {
                        Ok(ready) => {
                            let place = place.unwrap_or(self.waiting.len());
                            self.waiting.insert(place, Waiting { run, name, slot, ready, behind: None });
                        }
                        Err(why) => skipped(hands, &zone, &name, slot, &why),
                    }
                }
            }
        }
    }

    fn due(&self, run: &ScheduledRun, slot: Slot, now: Timestamp, hands: &impl Hands) -> Result<Ready, Skip> {
        if !slot.exists {
            return Err(Skip::NoSuchTime(slot.local, self.calendar.time_zone.clone()));
        }
        // What can't take place anyway need not be read.
        self.permits(slot, now, false, Duration::ZERO)?;
        let ready = hands.read(&self.calendar, run).map_err(Skip::Unusable)?;
        self.permits(slot, now, false, ready.plan.lasts()).map(|()| ready)
    }

    /// May a run begin now? One that begins at its slot begins a moment after it, which takes nothing from its window;
    /// one that is later than that may end as late as a run may before it is withdrawn.
    fn permits(&self, slot: Slot, now: Timestamp, queued: bool, lasts: Duration) -> Result<(), Skip> {
        let grace = SignedDuration::try_from(GRACE).unwrap_or_default();
        if !queued && now.duration_since(slot.at) <= grace {
            return permits(&self.calendar, slot.at, lasts);
        }
        permits(&self.calendar, now, lasts.saturating_sub(GRACE)).map_err(|why| match why {
            Skip::TooLong { closes, .. } => Skip::TooLong { lasts, closes },
            other => other,
        })
    }

    /// What a run has to wait for, and why: one that goes on, or one that waits before it.
    fn blocked(&self, held: &[Waiting], ready: &Ready) -> Option<(String, String)> {
        let active = self.active.iter().map(|active| (&active.name, &active.ready));
        let mut before = active.chain(held.iter().map(|other| (&other.name, &other.ready)));
        before.find_map(|(name, other)| Some((name.clone(), takes_turns(other, ready)?)))
    }

    /// Ends what goes on although the calendar does not permit it any more.
    fn withdraw(&self, now: Timestamp) {
        let permitted = |at| permits(&self.calendar, at, Duration::ZERO);
        if let (Err(_), Err(why)) = (permitted(now - GRACE), permitted(now)) {
            let why = format!("the calendar does not permit it any more: {why}");
            self.active.iter().for_each(|active| active.giver.withdraw(why.as_str()));
        }
    }

    /// Starts what waits and may begin, in the order in which it came.
    fn start(&mut self, now: Timestamp, hands: &mut impl Hands, running: &mut JoinSet<u8>) {
        let mut held: Vec<Waiting> = Vec::new();
        for mut waiting in std::mem::take(&mut self.waiting) {
            if self.once && !self.active.is_empty() {
                held.push(waiting);
                continue;
            }
            match self.may_begin(&mut waiting, &held, now, hands) {
                Err(why) => {
                    skipped(hands, &self.calendar.time_zone, &waiting.name, waiting.slot, &why);
                }
                Ok(Some((behind, why))) => {
                    if waiting.behind.as_ref() != Some(&behind) {
                        let (run, slot) =
                            (waiting.name.clone(), time(&self.calendar.time_zone, waiting.slot));
                        hands.tell(Happening::SlotQueued { run, slot, behind: behind.clone(), why });
                        waiting.behind = Some(behind);
                    }
                    held.push(waiting);
                }
                Ok(None) => self.begin(waiting, hands, running),
            }
        }
        self.waiting = held;
    }

    /// What a run has to wait for, if it may begin at all.
    fn may_begin(
        &self,
        waiting: &mut Waiting,
        held: &[Waiting],
        now: Timestamp,
        hands: &impl Hands,
    ) -> Result<Option<(String, String)>, Skip> {
        let queued = waiting.behind.is_some();
        self.permits(waiting.slot, now, queued, waiting.ready.plan.lasts())?;
        let blocked = self.blocked(held, &waiting.ready);
        if !queued || blocked.is_some() {
            return Ok(blocked);
        }
        // While it waited, its files may have changed.
        waiting.ready = hands.read(&self.calendar, &waiting.run).map_err(Skip::Unusable)?;
        self.permits(waiting.slot, now, queued, waiting.ready.plan.lasts())?;
        Ok(self.blocked(held, &waiting.ready))
    }

    fn begin(&mut self, waiting: Waiting, hands: &mut impl Hands, running: &mut JoinSet<u8>) {
        let Waiting { name, slot, ready, .. } = waiting;
        let zone = &self.calendar.time_zone;
        let name = format!("{name}-{}", slot.at.strftime("%Y%m%dT%H%M%SZ"));
        let taken =
            |name: &String| self.active.iter().any(|active| active.name == *name) || hands.reported(name);
        // A time that comes anew because the clock was put back, say.
        let more = (2..).map(|number: u64| format!("{name}-{number}"));
        let free = std::iter::once(name.clone()).chain(more).find(|name| !taken(name));
        let name = free.unwrap_or(name);
        hands.tell(Happening::SlotTaken { run: name.clone(), slot: time(zone, slot) });
        let (giver, orders) = orders();
        let task = running.spawn(hands.run(Job { name: name.clone(), ready: ready.clone(), orders })).id();
        self.active.push(Active { task, name, ready, giver });
    }

    /// A run is over; answers with its exit code.
    fn ended(
        &mut self,
        ended: Result<(tokio::task::Id, u8), tokio::task::JoinError>,
        hands: &mut impl Hands,
    ) -> u8 {
        /// As of a run of which nothing can be told.
        const INCONCLUSIVE: u8 = 3;
        let (task, exit_code) = ended.unwrap_or_else(|panicked| (panicked.id(), INCONCLUSIVE));
        if let Some(at) = self.active.iter().position(|active| active.task == task) {
            let run = self.active.remove(at).name;
            hands.tell(Happening::SlotEnded { run, exit_code });
        }
        self.told = None;
        exit_code
    }

    /// Says what comes next, once; slots in which nothing may run are passed over.
    fn announce(&mut self, next: Slot, hands: &mut impl Hands) {
        if self.told.is_some_and(|told| next.at <= told.at) {
            return;
        }
        self.told = Some(next);
        if let Some((index, slot)) = self.agenda.next_open(&self.calendar) {
            self.told = Some(slot);
            let (run, slot) =
                (self.calendar.names().swap_remove(index), time(&self.calendar.time_zone, slot));
            hands.tell(Happening::NextSlot { run, slot });
        }
    }
}

fn skipped(hands: &mut impl Hands, zone: &Zone, run: &str, slot: Slot, why: &Skip) {
    let (run, slot, why) = (run.to_owned(), time(zone, slot), why.to_string());
    hands.tell(Happening::SlotSkipped { run, slot, why });
}

/// A slot as a person reads it; one that does not exist, by what the calendar says.
fn time(zone: &Zone, slot: Slot) -> String {
    if slot.exists {
        slot.at.to_zoned(zone.rules().clone()).strftime("%FT%T%:z").to_string()
    } else {
        slot.local.strftime("%FT%T").to_string()
    }
}

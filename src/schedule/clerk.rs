//! The loop that keeps to a calendar.
//!
//! It looks at the wall clock at least once a second instead of sleeping until the next slot, because a clock may be
//! put forward or back, and a machine may sleep, without tokio's clock noticing.

use std::{pin::pin, time::Duration};

use jiff::Timestamp;
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
    /// Runs it to its end, or until what stops the loop stops it too; answers with its exit code.
    fn run(&mut self, job: Job) -> BoxFuture<'static, u8>;
    /// Says something.
    fn tell(&mut self, happening: Happening);
}

/// A run that begins.
#[derive(Debug)]
pub struct Job {
    /// Its name: that of the scenario's file and its slot in UTC.
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
    /// A calendar in the place of the old one. Its slots count from now; what waits and is not in it any more does not
    /// wait any longer.
    fn take(&mut self, calendar: CalendarDocument, hands: &mut impl Hands) {
        let zone = std::mem::replace(&mut self.calendar, calendar).time_zone;
        self.agenda = Agenda::new(hands.wall());
        self.told = None;
        let calendar = &self.calendar;
        let (waiting, dropped) =
            self.waiting.drain(..).partition(|waiting| calendar.runs.contains(&waiting.run));
        self.waiting = waiting;
        dropped
            .into_iter()
            .for_each(|old: Waiting| skipped(hands, &zone, &old.run, old.slot, &Skip::Dropped));
    }

    /// Deals with the slots that came.
    fn turn(&mut self, now: Timestamp, hands: &mut impl Hands) {
        let zone = self.calendar.time_zone.clone();
        for turn in self.agenda.advance(&self.calendar, now) {
            match turn {
                Turn::PutBack(by) => hands.tell(Happening::ClockPutBack { seconds: by.as_secs() }),
                Turn::Missed(index, first, last, slots) => {
                    let (first, last) = (time(&zone, first), time(&zone, last));
                    let run = self.calendar.runs[index].name();
                    hands.tell(Happening::SlotsMissed { run, first, last, slots });
                }
                Turn::Due(index, slot) => {
                    let run = self.calendar.runs[index].clone();
                    match self.due(&run, slot, now, hands) {
                        Ok(ready) => self.waiting.push(Waiting { run, slot, ready, behind: None }),
                        Err(why) => skipped(hands, &zone, &run, slot, &why),
                    }
                }
            }
        }
    }

    fn due(
        &mut self,
        run: &ScheduledRun,
        slot: Slot,
        now: Timestamp,
        hands: &mut impl Hands,
    ) -> Result<Ready, Skip> {
        let zone = &self.calendar.time_zone;
        if let Some(at) = self.waiting.iter().position(|waiting| waiting.run == *run) {
            let old = self.waiting.remove(at);
            skipped(hands, zone, &old.run, old.slot, &Skip::NextSlotCame);
        }
        if !slot.exists {
            return Err(Skip::NoSuchTime(slot.local, zone.clone()));
        }
        // What can't take place anyway need not be read.
        permits(&self.calendar, now, Duration::ZERO)?;
        let ready = hands.read(&self.calendar, run).map_err(Skip::Unusable)?;
        permits(&self.calendar, now, ready.plan.lasts()).map(|()| ready)
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
            let zone = &self.calendar.time_zone;
            if self.once && !self.active.is_empty() {
                held.push(waiting);
                continue;
            }
            let before = self.active.iter().map(|active| (&active.name, &active.ready));
            let queued: Vec<(String, &Ready)> =
                held.iter().map(|other| (other.run.name(), &other.ready)).collect();
            let before = before.chain(queued.iter().map(|(name, ready)| (name, *ready)));
            let blocked =
                before.filter_map(|(name, other)| Some((name, takes_turns(other, &waiting.ready)?)));
            let blocked = blocked.map(|(name, why)| (name.clone(), why)).next();
            if let Err(why) = permits(&self.calendar, now, waiting.ready.plan.lasts()) {
                skipped(hands, zone, &waiting.run, waiting.slot, &why);
            } else if let Some((behind, why)) = blocked {
                if waiting.behind.as_ref() != Some(&behind) {
                    let (run, slot) = (waiting.run.name(), time(zone, waiting.slot));
                    hands.tell(Happening::SlotQueued { run, slot, behind: behind.clone(), why });
                    waiting.behind = Some(behind);
                }
                held.push(waiting);
            } else {
                self.begin(waiting, now, hands, running);
            }
        }
        self.waiting = held;
    }

    fn begin(&mut self, waiting: Waiting, now: Timestamp, hands: &mut impl Hands, running: &mut JoinSet<u8>) {
        let Waiting { run, slot, mut ready, behind } = waiting;
        let zone = &self.calendar.time_zone;
        if behind.is_some() {
            // While it waited, its files may have changed.
            let read = hands.read(&self.calendar, &run).map_err(Skip::Unusable);
            let permitted =
                read.and_then(|ready| permits(&self.calendar, now, ready.plan.lasts()).map(|()| ready));
            match permitted {
                Ok(read) => ready = read,
                Err(why) => return skipped(hands, zone, &run, slot, &why),
            }
        }
        let mut name = format!("{}-{}", run.name(), slot.at.strftime("%Y%m%dT%H%M%SZ"));
        while self.active.iter().any(|active| active.name == name) {
            name.push('+');
        }
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
            let (run, slot) = (self.calendar.runs[index].name(), time(&self.calendar.time_zone, slot));
            hands.tell(Happening::NextSlot { run, slot });
        }
    }
}

fn skipped(hands: &mut impl Hands, zone: &Zone, run: &ScheduledRun, slot: Slot, why: &Skip) {
    let (run, slot, why) = (run.name(), time(zone, slot), why.to_string());
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

//! What will happen to one request: the actions of its faults, sorted by when their turn comes.
//!
//! Everything is decided at arrival, from the request's own identity, so that the layer and the sidecar
//! decide alike. Whether a decided fault still acts when its turn comes is another question: the lease may
//! be over by then, or the ledger may refuse, and then the request passes untouched and is counted.

use std::{sync::Arc, time::Duration};

use tokio::sync::Semaphore;

use super::victim::{Rule, Victim};
use crate::{
    exposure::Assignment,
    fault::{self, Action, Extent},
    wire::Failure,
};

/// What will happen to a request.
#[derive(Debug, Default)]
pub(super) struct Course {
    /// Those that change features.
    pub(super) amends: Vec<Rule>,
    /// Those that change a body without any.
    pub(super) bodies: Vec<Rule>,
    pub(super) before: Vec<(Rule, Duration)>,
    pub(super) enter: Option<(Rule, Gate)>,
    /// One of the actions that answer, or break, in the upstream's place.
    pub(super) refuse: Option<(Rule, Action)>,
    pub(super) route: Option<(Rule, String)>,
    pub(super) edits: Vec<Rule>,
    pub(super) streams: Vec<Rule>,
    pub(super) heads: Vec<Rule>,
    /// Delays for each prediction of the response.
    pub(super) per_row: Vec<(Rule, Duration)>,
    pub(super) after: Vec<(Rule, Duration)>,
    pub(super) corrupt: Option<Rule>,
    pub(super) throttle: Option<(Rule, f64)>,
    pub(super) ending: Option<(Rule, Ending)>,
}

/// What faults may know of a request when they decide.
#[derive(Debug, Clone, Copy)]
pub(super) struct Asking<'a> {
    pub(super) path: &'a str,
    /// Length of its body, if it is told.
    pub(super) bytes: Option<u64>,
}

/// Limited concurrency: a permit for each request that is let in.
#[derive(Debug)]
pub(super) struct Gate {
    pub(super) permits: Arc<Semaphore>,
    pub(super) patience: Duration,
    pub(super) otherwise: Failure,
}

/// How the body of a response ends before its time.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Ending {
    /// The connection breaks, before the head or in the body.
    Reset { after_bytes: Option<u64> },
    /// Nothing more comes; `clean`: and the framing says so.
    Truncate { after: Extent, clean: bool },
}

impl Course {
    /// What each fault of the phase does to this request.
    pub(super) fn drawn(victim: &Victim, assignment: &Assignment, request: Asking<'_>) -> Course {
        let mut course = Course::default();
        for rule in victim.rules() {
            let excluded = victim.masks.excludes(rule);
            if excluded == Some(None) {
                continue;
            }
            victim.cell(rule).eligible();
            if !assignment.is_in(victim.injection(rule)) {
                continue;
            }
            victim.cell(rule).exposed();
            match excluded.flatten() {
                Some(reason) => {
                    victim.note_intensity(rule);
                    victim.skip(rule, reason);
                }
                None => course.add(victim, rule, request),
            }
        }
        course
    }

    /// What the faults do that a request asked for, in the order in which faults compose.
    pub(super) fn asked(victim: &Victim, rules: &[Rule], request: Asking<'_>) -> Course {
        let mut course = Course::default();
        let mut rules = rules.to_vec();
        rules.sort_by_key(|rule| victim.fault(*rule).stage());
        for rule in rules {
            match victim.masks.excludes(rule) {
                None => course.add(victim, rule, request),
                Some(reason) => victim.skip(rule, reason.unwrap_or("where")),
            }
        }
        course
    }

    /// Without what needs a wire.
    pub(super) fn typed(mut self, victim: &Victim) -> Course {
        const NOT_TYPED: &str = "not-typed";
        let lists = [&mut self.amends, &mut self.bodies, &mut self.streams, &mut self.heads];
        let rules = lists.map(std::mem::take);
        victim.skip_all(std::mem::take(&mut self.per_row).into_iter().map(|(rule, _)| rule), NOT_TYPED);
        victim.skip_all(rules.into_iter().flatten(), NOT_TYPED);
        let single = [
            self.enter.take().map(|(rule, _)| rule),
            self.route.take().map(|(rule, _)| rule),
            self.corrupt.take(),
            self.throttle.take().map(|(rule, _)| rule),
            self.ending.take().map(|(rule, _)| rule),
            self.refuse.take_if(|(_, action)| !matches!(action, Action::Hang { .. })).map(|(rule, _)| rule),
        ];
        victim.skip_all(single.into_iter().flatten(), NOT_TYPED);
        self
    }

    fn add(&mut self, victim: &Victim, rule: Rule, request: Asking<'_>) {
        let Some(action) = victim.decide(rule, request.path, request.bytes) else { return };
        match action {
            Action::Amend if victim.fault(rule).needs().is_some() => self.amends.push(rule),
            Action::Amend => self.bodies.push(rule),
            Action::DelayBefore(delay) => self.before.push((rule, delay)),
            Action::DelayAfter(delay) => self.after.push((rule, delay)),
            Action::Edit => self.edits.push(rule),
            Action::Stream => self.streams.push(rule),
            Action::Head => self.heads.push(rule),
            Action::Enter { gate: fault::Gate(permits), patience, otherwise } if self.enter.is_none() => {
                self.enter = Some((rule, Gate { permits, patience, otherwise }));
            }
            Action::Route { upstream } if self.route.is_none() => self.route = Some((rule, upstream)),
            Action::Throttle { bytes_per_second } if self.throttle.is_none() => {
                self.throttle = Some((rule, bytes_per_second));
            }
            Action::Reset { after_bytes } if self.ending.is_none() => {
                self.ending = Some((rule, Ending::Reset { after_bytes }));
            }
            Action::Truncate { after, clean } if self.ending.is_none() => {
                self.ending = Some((rule, Ending::Truncate { after, clean }));
            }
            Action::DelayPerRow(each) => self.per_row.push((rule, each)),
            Action::CorruptCoding if self.corrupt.is_none() => self.corrupt = Some(rule),
            action @ (Action::Respond { .. }
            | Action::Answer { .. }
            | Action::Hang { .. }
            | Action::BlackHole { .. }
            | Action::Refuse)
                if self.refuse.is_none() =>
            {
                self.refuse = Some((rule, action));
            }
            // A request fails, goes elsewhere, ends early once: the first fault that says so has it.
            _ => victim.skip(rule, "superseded"),
        }
    }
}

//! What one reading tells about the moments at which alerts changed.

use std::collections::BTreeMap;

use super::{AlertInstance, SAME_S, severity};
use crate::{
    clock::Timestamp,
    event::AlertState,
    monitor::{Reading, Rule},
};

/// A moment on canard's clock, with its uncertainty.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Moment {
    pub(super) at: Timestamp,
    pub(super) uncertainty_s: f64,
}

/// Something happened in this time.
#[derive(Debug, Clone, Copy)]
struct Window {
    from: Timestamp,
    to: Timestamp,
}

impl Window {
    fn middle(self) -> Moment {
        let half = self.to.since(self.from) / 2.0;
        Moment { at: self.from.plus_s(half), uncertainty_s: half }
    }
}

/// When an instance became pending and firing, as far as it did.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rises {
    pub(super) pending: Option<Moment>,
    pub(super) firing: Option<Moment>,
}

impl Rises {
    pub(super) fn begin(&self) -> Option<Timestamp> {
        self.pending.or(self.firing).map(|begin| begin.at)
    }
}

/// One reading, and when the one before was taken.
#[derive(Debug)]
pub(super) struct Look<'a> {
    reading: &'a Reading,
    before: Option<Timestamp>,
    /// When each rule was evaluated last, as far as was known before, on the monitor's clock.
    evaluated: BTreeMap<String, Timestamp>,
}

impl<'l> Look<'l> {
    pub(super) fn new(
        reading: &'l Reading,
        before: Option<Timestamp>,
        evaluated: BTreeMap<String, Timestamp>,
    ) -> Look<'l> {
        Look { reading, before, evaluated }
    }

    pub(super) fn taken_at(&self) -> Timestamp {
        self.reading.taken_at
    }

    /// When each rule was evaluated last, as far as is known now. Of several rules of one name, the one that
    /// was evaluated first; of one that was not evaluated since a restart, what was known before.
    pub(super) fn evaluations(&self) -> BTreeMap<String, Timestamp> {
        let mut evaluations: BTreeMap<String, Timestamp> = BTreeMap::new();
        for rule in self.reading.rules.iter().flatten() {
            let at = rule.last_evaluation.or(self.evaluated.get(&rule.alert).copied());
            let Some(at) = at else { continue };
            let known = evaluations.entry(rule.alert.clone()).or_insert(at);
            *known = if at < *known { at } else { *known };
        }
        evaluations
    }

    fn rules<'a>(&'a self, alert: &'a str) -> impl Iterator<Item = &'a Rule> {
        self.reading.rules.iter().flatten().filter(move |rule| rule.alert == alert)
    }

    /// A moment on the monitor's clock; never after the reading that tells of it.
    pub(super) fn moment(&self, at: Timestamp) -> Moment {
        let at = at.plus_s(-self.reading.skew_s);
        let at = if at > self.reading.taken_at { self.reading.taken_at } else { at };
        Moment { at, uncertainty_s: self.reading.clock_uncertainty_s }
    }

    /// Some time after `from` and before this reading (or `until`, if that came first).
    pub(super) fn between(&self, from: Option<Timestamp>, until: Option<Timestamp>) -> Moment {
        let to = until.filter(|until| *until < self.reading.taken_at).unwrap_or(self.reading.taken_at);
        let from = from.filter(|from| *from < to).unwrap_or(to);
        Window { from, to }.middle()
    }

    /// When an instance became pending and firing.
    pub(super) fn rises(&self, instance: &AlertInstance) -> Rises {
        let fires = severity(instance.state) >= 2 || instance.ended.is_some();
        let unknown = || self.between(self.before, None);
        match instance.since {
            Some((AlertState::Pending, active)) => {
                let waits =
                    self.rules(&instance.alert).all(|rule| rule.hold.is_none_or(|hold| !hold.is_zero()));
                Rises {
                    pending: (waits || !fires).then(|| self.moment(active)),
                    firing: fires.then(|| self.firing_after(&instance.alert, active)),
                }
            }
            Some((_, fired)) => Rises { pending: None, firing: Some(self.moment(fired)) },
            None if fires => Rises { pending: None, firing: Some(unknown()) },
            None => Rises { pending: Some(unknown()), firing: None },
        }
    }

    /// When an alert that is active since `active` began to fire. Prometheus fires at the first evaluation at
    /// which `for` is over, and evaluates on a fixed grid, of which `active` is a point. The evaluation of the
    /// last reading, which did not see it firing, and that of this one, which did, bound it.
    fn firing_after(&self, alert: &str, active: Timestamp) -> Moment {
        let holds = || self.rules(alert).filter_map(|rule| rule.hold).map(|hold| hold.as_secs_f64());
        let (shortest, longest) = (holds().fold(f64::INFINITY, f64::min), holds().fold(0.0, f64::max));
        let earliest = if shortest.is_finite() { active.plus_s(shortest) } else { active };
        let last = self.rules(alert).filter_map(|rule| rule.last_evaluation).fold(None, later);
        let latest = last.unwrap_or(self.reading.taken_at.plus_s(self.reading.skew_s));
        let unseen = self.evaluated.get(alert).copied().filter(|at| *at < latest);
        let interval =
            self.rules(alert).find_map(|rule| rule.interval).map(|interval| interval.as_secs_f64());
        let on_grid = interval
            .filter(|_| shortest.is_finite())
            .map(|interval| active.plus_s((longest / interval - 1e-9).ceil().max(0.0) * interval));
        let from = later(unseen, earliest).unwrap_or(earliest);
        let window = Window { from: if from > latest { latest } else { from }, to: latest };
        let estimate = match on_grid {
            // The grid is exact; an evaluation that was left out shows as one outside of the window.
            Some(at) if at >= window.from.plus_s(-SAME_S) && at <= window.to.plus_s(SAME_S) => {
                Moment { at, uncertainty_s: if shortest < longest { longest - shortest } else { 0.0 } }
            }
            _ => window.middle(),
        };
        let on_our_clock = self.moment(estimate.at);
        Moment { uncertainty_s: on_our_clock.uncertainty_s + estimate.uncertainty_s, ..on_our_clock }
    }

    /// Does the absence of an alert mean that it ended? Not while its rule has not been evaluated.
    pub(super) fn can_tell_the_end_of(&self, alert: &str) -> bool {
        let mut rules = self.rules(alert).peekable();
        rules.peek().is_none() || rules.any(|rule| rule.last_evaluation.is_some())
    }

    /// When an alert ended that was `seen` last then: at an evaluation between the last of which that reading
    /// knew and the last of which this one knows; exactly then, if there was only one.
    pub(super) fn end_of(&self, alert: &str, seen: Option<Timestamp>) -> Moment {
        let by_poll = self.between(seen, None);
        let mut rules = self.rules(alert);
        let (Some(rule), None) = (rules.next(), rules.next()) else { return by_poll };
        let (Some(to), Some(from), Some(interval)) =
            (rule.last_evaluation, self.evaluated.get(alert), rule.interval)
        else {
            return by_poll;
        };
        let passed = to.since(*from);
        if passed > SAME_S && passed < 1.5 * interval.as_secs_f64() { self.moment(to) } else { by_poll }
    }
}

fn later(a: Option<Timestamp>, b: Timestamp) -> Option<Timestamp> {
    Some(a.filter(|a| *a > b).unwrap_or(b))
}

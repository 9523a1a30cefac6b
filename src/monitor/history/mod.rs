//! Readings → changes on canard's clock, with their uncertainty.
//!
//! A reading says what is, not what happened; the history fills in what happened between two of them from the
//! monitor's own timestamps. `uncertainty_s` is that of the timestamp of the alert's *own state*: skew between
//! the clocks, their resolution, and, where the monitor has no timestamp, half the gap between two looks. How
//! long a condition was true before the monitor saw it (scrape and evaluation interval) is not in it: that is
//! part of the time to detect.
//!
//! What can't be known is not inferred. While a monitor does not answer, or has a rule that it has not
//! evaluated yet (it was restarted), an alert stays as it was last seen; an end that happened in such a gap
//! carries the whole gap as its uncertainty.

mod life;
mod look;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use super::{AlertInstance, Reading};
use crate::{
    clock::Timestamp,
    event::{AlertChange, AlertState},
};

pub use life::Life;
use look::{Look, Rises};

/// Changes that are kept; beyond it the oldest half is only counted.
const MOST_CHANGES: usize = 20_000;
/// Lives that are kept; beyond it the oldest that are over go, and when none is over, new ones are not taken up.
const MOST_LIVES: usize = 20_000;
/// Two timestamps of a monitor that are closer than this are the same.
const SAME_S: f64 = 0.002;
/// Gaps of one monitor that are kept apart; beyond it the last one grows.
const MOST_GAPS: usize = 1_000;

/// The history of every alert of every monitor.
///
/// ```
/// use canard::{clock::Timestamp, event::AlertState, monitor::{AlertInstance, History, Reading}};
/// let at = Timestamp::from_unix_s;
/// let fired = AlertInstance {
///     alert: "HighErrorRate".into(),
///     labels: Default::default(),
///     state: AlertState::Firing,
///     since: Some((AlertState::Firing, at(107.0))), // on the monitor's clock, two seconds ahead
///     notification: false,
///     ended: None,
/// };
/// let reading =
///     Reading {
///         taken_at: at(106.0),
///         skew_s: 2.0,
///         clock_uncertainty_s: 0.1,
///         alerts: vec![fired],
///         scrape_interval: None,
///         rules: None,
///     };
/// let mut history = History::new();
/// let changes = history.apply("alertmanager", &reading);
/// assert_eq!((changes[0].state, changes[0].at), (AlertState::Firing, at(105.0)));
/// assert_eq!(history.firing_now(), ["alertmanager/HighErrorRate"]);
/// ```
#[derive(Debug, Default)]
pub struct History {
    monitors: BTreeMap<String, Watch>,
    lives: BTreeMap<u64, Life>,
    next_life: u64,
    changes: Vec<AlertChange>,
    forgotten: u64,
    refused: u64,
}

/// An instance of one monitor: the alert and its labels.
type Key = (String, BTreeMap<String, String>);

/// What is known of one monitor.
#[derive(Debug, Default)]
struct Watch {
    /// When its last reading was taken.
    seen: Option<Timestamp>,
    /// When each rule was evaluated last, as of the last reading, on the monitor's clock.
    evaluated: BTreeMap<String, Timestamp>,
    /// The latest life of each instance, over or not.
    latest: BTreeMap<Key, u64>,
    gaps: Vec<(Timestamp, Option<Timestamp>)>,
}

impl History {
    /// Nothing known yet.
    pub fn new() -> History {
        History::default()
    }

    /// Takes up a reading of a monitor and returns what changed since the one before, instance by instance in
    /// the order of time; what happened between the two readings (pending, then firing) is told in full.
    ///
    /// What is there in the first reading is told with the monitor's own timestamps, so it may lie before the
    /// run; an alert without any timestamp is told at `taken_at`, which is then the latest possible.
    pub fn apply(&mut self, monitor: &str, reading: &Reading) -> Vec<AlertChange> {
        let watch = self.monitors.entry(monitor.to_owned()).or_default();
        if let Some((_, end @ None)) = watch.gaps.last_mut() {
            *end = Some(reading.taken_at);
        }
        let look = Look::new(reading, watch.seen, std::mem::take(&mut watch.evaluated));
        watch.seen = Some(reading.taken_at);
        watch.evaluated = look.evaluations();
        let mut changes = Changes { monitor, list: Vec::new() };
        for ended in reading.alerts.iter().filter(|instance| instance.ended.is_some()) {
            self.instance(&look, ended, &mut changes);
        }
        let present = worst_of_each(&reading.alerts);
        for instance in present.values() {
            self.instance(&look, instance, &mut changes);
        }
        self.absent(&look, &present, &mut changes);
        self.keep(changes.list)
    }

    /// A look at a monitor failed at `at`. Until one succeeds again, nothing is inferred about its alerts.
    ///
    /// The gap begins at its last reading, or at `at` without one: a look that hangs fails long after the
    /// monitor fell silent.
    pub fn unreachable(&mut self, monitor: &str, at: Timestamp) {
        let Watch { gaps, seen, .. } = self.monitors.entry(monitor.to_owned()).or_default();
        let gaps_full = gaps.len() >= MOST_GAPS;
        match gaps.last_mut() {
            Some((_, None)) => {}
            Some((_, end)) if gaps_full => *end = None,
            _ => gaps.push((seen.unwrap_or(at), None)),
        }
    }

    /// When a monitor's last reading was taken: what happened until then has been heard.
    pub fn last_reading(&self, monitor: &str) -> Option<Timestamp> {
        self.monitors.get(monitor)?.seen
    }

    /// All changes, in the order in which they were found; of one instance in the order of time. At most
    /// 20,000: [`History::forgotten`] counts the older ones.
    pub fn changes(&self) -> &[AlertChange] {
        &self.changes
    }

    /// Changes that are no longer kept, and alerts that were not taken up because too many are alive.
    pub fn forgotten(&self) -> (u64, u64) {
        (self.forgotten, self.refused)
    }

    /// The state of an alert now, in one monitor or in any: that of its worst instance, in the order firing,
    /// silenced or inhibited, pending, inactive.
    pub fn state(&self, monitor: Option<&str>, alert: &str) -> AlertState {
        let states = self.alive().filter(|life| life.is_of(alert, monitor)).map(Life::state);
        states.max_by_key(|state| severity(*state)).unwrap_or(AlertState::Inactive)
    }

    /// The lives of an alert's instances, in one monitor or in any, in the order in which they were found.
    pub fn lives(&self, alert: &str, monitor: Option<&str>) -> Vec<&Life> {
        self.lives.values().filter(|life| life.is_of(alert, monitor)).collect()
    }

    /// The lives of every alert.
    pub fn all_lives(&self) -> impl Iterator<Item = &Life> {
        self.lives.values()
    }

    /// The alerts that are firing and not suppressed, as `monitor/alert`, each once.
    pub fn firing_now(&self) -> Vec<String> {
        let firing = self.alive().filter(|life| life.state() == AlertState::Firing);
        let names: BTreeSet<String> = firing.map(|life| format!("{}/{}", life.monitor, life.alert)).collect();
        names.into_iter().collect()
    }

    /// When a monitor was not heard: from the last reading before a look that failed to the next reading;
    /// `None` as the end of a gap that goes on.
    pub fn gaps(&self, monitor: &str) -> &[(Timestamp, Option<Timestamp>)] {
        self.monitors.get(monitor).map_or(&[], |watch| &watch.gaps)
    }

    fn alive(&self) -> impl Iterator<Item = &Life> {
        let ids = self.monitors.values().flat_map(|watch| watch.latest.values());
        ids.filter_map(|id| self.lives.get(id)).filter(|life| life.ended.is_none())
    }

    fn instance(&mut self, look: &Look<'_>, instance: &AlertInstance, changes: &mut Changes<'_>) {
        let key = (instance.alert.clone(), instance.labels.clone());
        let latest = self.monitors.get(changes.monitor).and_then(|watch| watch.latest.get(&key)).copied();
        let rises = look.rises(instance);
        let latest = latest.and_then(|id| self.lives.get_mut(&id));
        let not_before = match latest {
            Some(life) if life.ended.is_none() && life.goes_on_as(instance) => {
                if let (AlertState::Pending, Some(firing)) = (life.state(), rises.firing) {
                    life.fire(firing, changes);
                }
                life.suppress(instance.state, look.between(life.seen, None), changes);
                if let Some(end) = instance.ended {
                    life.end(look.moment(end), changes);
                }
                life.seen = Some(look.taken_at());
                return;
            }
            Some(life) => {
                if life.ended.is_none() {
                    // It began anew: the old life ended after it was seen and before the new one began.
                    life.end(look.between(life.seen, rises.begin()), changes);
                }
                life.ended.map(|(at, _)| at)
            }
            None => None,
        };
        self.begin(look, key, instance, rises, not_before, changes);
    }

    /// A new life, which begins at `not_before` at the earliest: when the former one of the instance ended.
    fn begin(
        &mut self,
        look: &Look<'_>,
        key: Key,
        instance: &AlertInstance,
        rises: Rises,
        not_before: Option<Timestamp>,
        changes: &mut Changes<'_>,
    ) {
        if self.lives.len() >= MOST_LIVES && !self.forget_a_life() {
            self.refused += 1;
            return;
        }
        let mut life = Life::new(changes.monitor, instance, not_before);
        if let Some(pending) = rises.pending {
            life.wait(pending, changes);
        }
        if let Some(firing) = rises.firing {
            match instance.state {
                // Suppressed when first seen: as far as anybody knows, from the start.
                how @ (AlertState::Silenced | AlertState::Inhibited) => {
                    life.fire_unheard(firing, how, changes)
                }
                _ => life.fire(firing, changes),
            }
        }
        if let Some(end) = instance.ended {
            life.end(look.moment(end), changes);
        }
        life.seen = Some(look.taken_at());
        self.lives.insert(self.next_life, life);
        if let Some(watch) = self.monitors.get_mut(changes.monitor) {
            watch.latest.insert(key, self.next_life);
        }
        self.next_life += 1;
    }

    /// Ends what was there before and is not in this reading, if that means anything.
    fn absent(
        &mut self,
        look: &Look<'_>,
        present: &BTreeMap<(&str, &BTreeMap<String, String>), &AlertInstance>,
        changes: &mut Changes<'_>,
    ) {
        let Some(watch) = self.monitors.get(changes.monitor) else { return };
        for ((alert, labels), id) in &watch.latest {
            if !present.contains_key(&(alert.as_str(), labels))
                && let Some(life) = self.lives.get_mut(id).filter(|life| life.ended.is_none())
                && look.can_tell_the_end_of(alert)
            {
                life.end(look.end_of(alert, life.seen), changes);
            }
        }
    }

    fn forget_a_life(&mut self) -> bool {
        let Some(id) = self.lives.iter().find(|(_, life)| life.ended.is_some()).map(|(id, _)| *id) else {
            return false;
        };
        self.lives.remove(&id);
        for watch in self.monitors.values_mut() {
            watch.latest.retain(|_, latest| *latest != id);
        }
        true
    }

    fn keep(&mut self, changes: Vec<AlertChange>) -> Vec<AlertChange> {
        self.changes.extend_from_slice(&changes);
        if self.changes.len() > MOST_CHANGES {
            let old = self.changes.len() - MOST_CHANGES / 2;
            self.changes.drain(..old);
            self.forgotten += old as u64;
        }
        changes
    }
}

fn severity(state: AlertState) -> u8 {
    match state {
        AlertState::Firing => 3,
        AlertState::Silenced | AlertState::Inhibited => 2,
        AlertState::Pending => 1,
        AlertState::Inactive => 0,
    }
}

/// Changes found in one reading.
struct Changes<'a> {
    monitor: &'a str,
    list: Vec<AlertChange>,
}

/// The instances that are there, each once: two rules of one name may tell of the same one.
fn worst_of_each(alerts: &[AlertInstance]) -> BTreeMap<(&str, &BTreeMap<String, String>), &AlertInstance> {
    let mut worst = BTreeMap::new();
    for instance in alerts.iter().filter(|instance| instance.ended.is_none()) {
        let known = worst.entry((instance.alert.as_str(), &instance.labels)).or_insert(instance);
        if severity(instance.state) > severity(known.state) {
            *known = instance;
        }
    }
    worst
}

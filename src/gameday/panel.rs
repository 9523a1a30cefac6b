//! What each guard read last, and whether that ends the run.
//!
//! A look finds a guard clear, broken or unreadable. Broken so many looks in a row as its `after` says, or unreadable
//! three looks in a row, it trips; a look that can't be read neither adds to a row of broken ones nor ends it.

use std::collections::BTreeMap;

use super::{guards, recent::Recent};
use crate::{
    clock,
    event::AlertState,
    evidence::Evidence,
    monitor::{History, MonitorError, Reading},
    scenario::{AlertGuard, Guard, GuardState},
};

/// A guard that can't be read so many times in a row counts as tripped: flying blind is not safe.
const BLIND_LOOKS: u32 = 3;
/// What a guard reads in this process, and not from a monitor or a probe.
const HERE: &str = "";

/// What a look at a guard found.
enum Sight {
    Clear,
    /// Clear, but its source has no such alert at all.
    Unknown,
    Broken(String),
    Blind(String),
    /// Unreadable, and for good.
    Never(String),
}

#[derive(Debug, Default)]
struct Row {
    broken: u32,
    blind: u32,
    /// Did the last look find it clear?
    clear: bool,
    unknown: bool,
}

/// The guards of a run.
#[derive(Debug)]
pub(super) struct Panel {
    guards: Vec<Guard>,
    /// By guard and by whom it was read from.
    rows: BTreeMap<(usize, String), Row>,
    recent: Recent,
    perturbed: u64,
    /// Looks in a row that gave no whole evidence.
    unseen: u32,
    tripped: Option<String>,
}

impl Panel {
    pub(super) fn new(guards: Vec<Guard>) -> Panel {
        let (rows, recent) = (BTreeMap::new(), Recent::default());
        Panel { guards, rows, recent, perturbed: 0, unseen: 0, tripped: None }
    }

    /// The guard that tripped, as it is written.
    pub(super) fn tripped(&self) -> Option<String> {
        self.tripped.clone()
    }

    /// Is a monitor asked about an alert by a guard?
    pub(super) fn asks_alerts_of(guards: &[Guard], monitor: &str) -> bool {
        guards.iter().any(|guard| matches!(guard, Guard::Alert(alert) if concerns(alert, monitor)))
    }

    /// A question was answered.
    pub(super) fn answered(
        &mut self,
        number: usize,
        result: Result<(bool, String), MonitorError>,
    ) -> Option<String> {
        let broken_when = !matches!(self.guards[number], Guard::Probe(_));
        let sight = match result {
            Ok((truth, reading)) if truth == broken_when => Sight::Broken(reading),
            Ok(_) => Sight::Clear,
            Err(error @ (MonitorError::BadQuery(_) | MonitorError::Unsupported(_))) => {
                Sight::Never(error.to_string())
            }
            Err(error) => Sight::Blind(error.to_string()),
        };
        self.look(number, HERE, sight)
    }

    /// A monitor told of its alerts, or nothing.
    pub(super) fn heard(
        &mut self,
        monitor: &str,
        answer: Result<&Reading, &MonitorError>,
        history: &History,
    ) -> Option<String> {
        let asked = |(number, guard): (usize, &Guard)| match guard {
            Guard::Alert(alert) if concerns(alert, monitor) => {
                Some((number, sight(alert, monitor, answer, history)))
            }
            _ => None,
        };
        let looks: Vec<_> = self.guards.iter().enumerate().filter_map(asked).collect();
        looks.into_iter().find_map(|(number, sight)| self.look(number, monitor, sight))
    }

    /// What callers see counts from now on.
    pub(super) fn armed(&mut self) {
        self.recent.begin(clock::now());
    }

    /// What callers saw until now; `None` if that can't be told whole.
    pub(super) fn see(&mut self, evidence: Option<&Evidence>) -> Option<String> {
        match evidence {
            None => self.unseen += 1,
            Some(evidence) => {
                self.unseen = 0;
                if !evidence.phases.is_empty() {
                    self.recent.push(clock::now(), evidence);
                    // What shadows were answered harmed nobody.
                    let harming = evidence.phases.iter().filter(|phase| phase.shadow.is_none());
                    let faults = harming.flat_map(|phase| &phase.faults);
                    self.perturbed = faults.map(|fault| fault.perturbed).sum();
                }
            }
        }
        for number in 0..self.guards.len() {
            let sight = match &self.guards[number] {
                Guard::Observed(_) | Guard::Budget(_) if self.unseen > 0 => {
                    Sight::Blind("no evidence".to_owned())
                }
                Guard::Observed(limits) => self.recent.breaks(limits).map_or(Sight::Clear, Sight::Broken),
                Guard::Budget(budget) if self.perturbed >= budget.requests.get() => {
                    Sight::Broken(format!("{} requests were perturbed", self.perturbed))
                }
                Guard::Budget(_) => Sight::Clear,
                Guard::Query(_) | Guard::Alert(_) | Guard::Probe(_) => continue,
            };
            if let Some(reading) = self.look(number, HERE, sight) {
                return Some(reading);
            }
        }
        None
    }

    fn look(&mut self, number: usize, source: &str, sight: Sight) -> Option<String> {
        let row = self.rows.entry((number, source.to_owned())).or_default();
        let unreadable = |why: String| format!("it can't be read: {why}");
        (row.clear, row.unknown) =
            (matches!(sight, Sight::Clear | Sight::Unknown), matches!(sight, Sight::Unknown));
        if !matches!(sight, Sight::Blind(_)) {
            row.blind = 0;
        }
        let after = self.guards[number].after();
        let reading = match sight {
            Sight::Clear | Sight::Unknown => {
                row.broken = 0;
                None
            }
            Sight::Broken(reading) => {
                row.broken += 1;
                let times = if after > 1 { format!(" ({after} looks in a row)") } else { String::new() };
                (row.broken >= after).then(|| reading + &times)
            }
            Sight::Blind(why) => {
                row.blind += 1;
                (row.blind >= BLIND_LOOKS).then(|| unreadable(why))
            }
            Sight::Never(why) => Some(unreadable(why)),
        };
        if reading.is_some() {
            self.tripped = Some(guards::in_words(&self.guards[number]));
        }
        reading
    }

    /// May the run start? Not before every guard that can be read now was found clear at its last look. A guard on
    /// an alert that nobody knows guards nothing, and trips.
    pub(super) fn ready(&mut self, monitors: &[String]) -> Result<bool, String> {
        let mut ready = true;
        for (number, guard) in self.guards.iter().enumerate() {
            let row = |source: &str| self.rows.get(&(number, source.to_owned()));
            let clear = |source: &str| row(source).is_some_and(|row| row.clear);
            ready &= match guard {
                Guard::Observed(_) | Guard::Budget(_) => true,
                Guard::Query(_) | Guard::Probe(_) => clear(HERE),
                Guard::Alert(alert) => {
                    let asked: Vec<_> = monitors.iter().filter(|name| concerns(alert, name)).collect();
                    let all_clear = asked.iter().all(|name| clear(name));
                    let unknown = |name: &&String| row(name).is_some_and(|row| row.unknown);
                    if all_clear && asked.iter().all(unknown) {
                        self.tripped = Some(guards::in_words(guard));
                        return Err(format!("it can't be read: no monitor knows `{}`", alert.name));
                    }
                    all_clear
                }
            };
        }
        Ok(ready)
    }

    /// The guards that have nothing to read before something is armed.
    pub(super) fn read_callers(guards: &[Guard]) -> Vec<String> {
        guards.iter().filter(|guard| matches!(guard, Guard::Observed(_))).map(guards::in_words).collect()
    }
}

fn concerns(guard: &AlertGuard, monitor: &str) -> bool {
    guard.monitor.as_deref().is_none_or(|wanted| wanted == monitor)
}

fn sight(
    guard: &AlertGuard,
    monitor: &str,
    answer: Result<&Reading, &MonitorError>,
    history: &History,
) -> Sight {
    let reading = match answer {
        Ok(reading) => reading,
        Err(error) => return Sight::Blind(error.to_string()),
    };
    let state = history.state(Some(monitor), &guard.name);
    let broken = match guard.state {
        GuardState::Firing => !matches!(state, AlertState::Inactive | AlertState::Pending),
        GuardState::Pending => state != AlertState::Inactive,
    };
    let known = reading.rules.as_ref().is_none_or(|rules| rules.iter().any(|rule| rule.alert == guard.name));
    match (broken, known) {
        (true, _) => Sight::Broken(format!("{monitor} says it is {}", in_words(state))),
        (false, true) => Sight::Clear,
        (false, false) => Sight::Unknown,
    }
}

fn in_words(state: AlertState) -> String {
    format!("{state:?}").to_lowercase()
}

//! One span of the life of one instance: pending, firing, suppressed, ended.
//!
//! The steps of a life are in the order of time. Where the bounds of two steps overlap (the clock's skew was
//! estimated anew between them), the later step is moved, and its uncertainty grows by as much.

use std::collections::BTreeMap;

use super::{AlertInstance, Changes, SAME_S, look::Moment};
use crate::{
    clock::Timestamp,
    event::{AlertChange, AlertState},
};

/// The life of one instance of an alert in one monitor; when it comes again, that is another life.
///
/// Each time is on canard's clock, with its uncertainty in seconds.
#[derive(Debug, Clone, PartialEq)]
pub struct Life {
    /// The monitor's name in the stage.
    pub monitor: String,
    /// The alert.
    pub alert: String,
    /// Its labels, without the name.
    pub labels: BTreeMap<String, String>,
    /// When it became pending, if its monitor tells.
    pub pending: Option<(Timestamp, f64)>,
    /// When it fired, whether or not somebody could hear it.
    pub firing: Option<(Timestamp, f64)>,
    /// How and when it was suppressed, if it ever was; it stays when the silence is lifted ([`Life::state`]
    /// tells what is now). Suppressed when first seen counts as from when it fired.
    pub suppressed: Option<(AlertState, Timestamp)>,
    /// When it ended.
    pub ended: Option<(Timestamp, f64)>,
    /// Did it come as a notification?
    pub notification: bool,
    state: AlertState,
    /// When it began, on the monitor's clock, which does not change with the estimate of its skew.
    since: Option<(AlertState, Timestamp)>,
    last: Option<Timestamp>,
    /// The last reading that it was in.
    pub(super) seen: Option<Timestamp>,
}

impl Life {
    pub(super) fn new(monitor: &str, instance: &AlertInstance, not_before: Option<Timestamp>) -> Life {
        Life {
            monitor: monitor.to_owned(),
            alert: instance.alert.clone(),
            labels: instance.labels.clone(),
            pending: None,
            firing: None,
            suppressed: None,
            ended: None,
            notification: instance.notification,
            state: AlertState::Inactive,
            since: instance.since,
            last: not_before,
            seen: None,
        }
    }

    /// Its state now; inactive once it ended.
    pub fn state(&self) -> AlertState {
        self.state
    }

    pub(super) fn is_of(&self, alert: &str, monitor: Option<&str>) -> bool {
        self.alert == alert && monitor.is_none_or(|monitor| self.monitor == monitor)
    }

    /// Is `instance` this life going on, or another one that began since?
    pub(super) fn goes_on_as(&self, instance: &AlertInstance) -> bool {
        let anew = match (self.since, instance.since) {
            (Some((was, before)), Some((is, now))) if was == is => now.since(before) > SAME_S,
            _ => false,
        };
        let fell_back = self.state != AlertState::Pending && instance.state == AlertState::Pending;
        !anew && !fell_back
    }

    pub(super) fn wait(&mut self, at: Moment, changes: &mut Changes<'_>) {
        self.pending = Some(self.step(AlertState::Pending, at, changes));
    }

    pub(super) fn fire(&mut self, at: Moment, changes: &mut Changes<'_>) {
        self.firing = Some(self.step(AlertState::Firing, at, changes));
    }

    /// Fires, and nobody hears it.
    pub(super) fn fire_unheard(&mut self, at: Moment, how: AlertState, changes: &mut Changes<'_>) {
        let fired = self.step(how, at, changes);
        (self.firing, self.suppressed) = (Some(fired), Some((how, fired.0)));
    }

    /// Goes from heard to unheard or back, if `state` says so.
    pub(super) fn suppress(&mut self, state: AlertState, at: Moment, changes: &mut Changes<'_>) {
        if self.state == state || matches!(state, AlertState::Inactive | AlertState::Pending) {
            return;
        }
        let (at, _) = self.step(state, at, changes);
        if state != AlertState::Firing {
            self.suppressed = Some((state, at));
        }
    }

    pub(super) fn end(&mut self, at: Moment, changes: &mut Changes<'_>) {
        self.ended = Some(self.step(AlertState::Inactive, at, changes));
    }

    fn step(&mut self, state: AlertState, moment: Moment, changes: &mut Changes<'_>) -> (Timestamp, f64) {
        let Moment { mut at, mut uncertainty_s } = moment;
        if let Some(last) = self.last.filter(|last| *last > at) {
            uncertainty_s += last.since(at);
            at = last;
        }
        (self.state, self.last) = (state, Some(at));
        changes.list.push(AlertChange {
            monitor: self.monitor.clone(),
            alert: self.alert.clone(),
            labels: self.labels.clone(),
            state,
            notification: self.notification,
            at,
            uncertainty_s,
        });
        (at, uncertainty_s)
    }
}

//! What a monitor can tell, afterwards, of an alert that was missed or late.
//!
//! Plain data: monitors fill in what they know, `verify` concludes. Whatever a monitor can't tell stays empty, and
//! empty never means "all is well". All times are on canard's clock.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use crate::{clock::Timestamp, event::Observation};

/// The alert that is asked about.
#[derive(Debug, Clone, PartialEq)]
pub struct Question {
    /// Its name.
    pub alert: String,
    /// The labels that it should have had.
    pub wanted: BTreeMap<String, String>,
    /// When the fault began.
    pub from: Timestamp,
    /// When the fault ended.
    pub ended: Timestamp,
    /// Until when the alert was waited for.
    pub to: Timestamp,
    /// The labels with which it fired, without its name, and when, if it did.
    pub fired: Option<(BTreeMap<String, String>, Timestamp)>,
    /// Until when somebody could have heard of it: it ended, another fault began, or the run was over.
    pub until: Timestamp,
    /// Since when, before the fault, this run injected nothing: since it began, or some time after an earlier fault.
    pub quiet_from: Timestamp,
    /// Did the run inject anything before?
    pub faulted_before: bool,
}

impl Question {
    /// From when on a value that looks back through a window tells what it was before the fault.
    pub fn quiet_from(&self, window: Option<Duration>) -> Timestamp {
        let looks_back = window.filter(|_| self.faulted_before).unwrap_or_default();
        self.quiet_from.plus_s(looks_back.as_secs_f64())
    }

    /// Was one with these labels meant? A label that is missing may be added on the way.
    pub fn means(&self, labels: &BTreeMap<String, String>, set_by_rule: &BTreeMap<String, String>) -> bool {
        let mut wanted = self.wanted.iter().filter(|(key, _)| !set_by_rule.contains_key(*key));
        wanted.all(|(key, value)| labels.get(key).is_none_or(|has| has == value))
    }
}

/// What a monitor found out.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Findings {
    /// The rule.
    pub rule: RuleFinding,
    /// The rule's condition over the phase, if it could be read.
    pub condition: Option<Condition>,
    /// What its parts were together, if it has several.
    pub together: Option<Together>,
    /// Spans in which the alert was pending, over the phase.
    pub pending: Vec<(Timestamp, Timestamp)>,
    /// Where that was read.
    pub pending_seen: Option<Observation>,
    /// How the evaluator hands its alerts on.
    pub handover: Option<Handover>,
    /// What an Alertmanager did with the alert.
    pub routing: Option<Routing>,
    /// The receivers whose notifications came, of a monitor that gets some.
    pub heard_from: BTreeSet<String>,
}

/// A rule, as far as its monitor tells.
#[derive(Debug, Clone, PartialEq, Default)]
pub enum RuleFinding {
    /// The monitor tells no rules, or did not answer.
    #[default]
    Unknown,
    /// There is none of that name.
    Absent {
        /// Names that are like it.
        near: Vec<String>,
        /// Where that was read.
        seen: Observation,
    },
    /// There is one.
    Present(Box<RuleFacts>),
}

/// A rule that there is.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct RuleFacts {
    /// Its expression.
    pub query: String,
    /// Its `for`.
    pub hold: Duration,
    /// Time between evaluations.
    pub interval: Option<Duration>,
    /// Is it evaluated without error?
    pub healthy: bool,
    /// Its last error.
    pub last_error: Option<String>,
    /// When it was last evaluated; `None` if it never was.
    pub last_evaluation: Option<Timestamp>,
    /// The labels that the rule itself sets.
    pub labels: BTreeMap<String, String>,
    /// The longest window that it looks through.
    pub window: Option<Duration>,
}

/// A rule's condition, taken apart at `and` and `or`.
#[derive(Debug, Clone, PartialEq)]
pub enum Condition {
    /// A value against a threshold.
    Compare(Comparison),
    /// All have to hold.
    All(Vec<Condition>),
    /// One has to hold.
    Any(Vec<Condition>),
}

/// A condition of several parts, as one.
#[derive(Debug, Clone, PartialEq)]
pub struct Together {
    /// Was it ever true in the phase?
    pub held: bool,
    /// What follows its `unless`, and whether the rest was ever true in the phase.
    pub but_for: Option<(String, bool)>,
    /// Where that was read.
    pub seen: Vec<Observation>,
}

/// A value against a threshold.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Comparison {
    /// The value's expression.
    pub expression: String,
    /// How it is compared; `None` if it is true whenever it has a value.
    pub op: Option<Op>,
    /// Each series of it, from some time before the phase to its end.
    pub tracks: Vec<Track>,
    /// Has it values in the phase, but all with other labels than were asked for?
    pub other_labels: bool,
    /// What it is compared with, where both sides have values in the phase, and no labels in common.
    pub unmatched: Option<String>,
    /// What it and its threshold select, looked at only when it does not hold.
    pub series: Vec<Series>,
    /// The same with shorter windows, looked at only when it does not hold.
    pub narrowed: Vec<Narrowed>,
}

/// A comparison.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Op {
    /// `==`
    Equal,
    /// `!=`
    NotEqual,
    /// `>`
    Above,
    /// `>=`
    AtLeast,
    /// `<`
    Below,
    /// `<=`
    AtMost,
}

/// One series of a value.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Track {
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// Its values, oldest first.
    pub points: Vec<Point>,
}

/// A value at a moment, and what it was compared with then.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Point {
    /// When.
    pub at: Timestamp,
    /// The value.
    pub value: f64,
    /// The threshold.
    pub threshold: f64,
}

/// A value with other windows than the rule has.
#[derive(Debug, Clone, PartialEq)]
pub struct Narrowed {
    /// The window.
    pub window: Duration,
    /// The window as PromQL writes it.
    pub written: String,
    /// Each series of the value.
    pub tracks: Vec<Track>,
}

/// What a selector of the rule gave.
#[derive(Debug, Clone, PartialEq)]
pub struct Series {
    /// The selector.
    pub selector: String,
    /// What became of it.
    pub state: SeriesState,
    /// Where that was read.
    pub seen: Observation,
}

/// What became of a selector's series.
#[derive(Debug, Clone, PartialEq)]
pub enum SeriesState {
    /// It has values in the phase.
    Present,
    /// There was none, ever.
    Empty {
        /// Has the metric series with other labels?
        other_labels: bool,
        /// Metrics with a name like it.
        near: Vec<String>,
    },
    /// It had nothing to compare with yet (of the built-in monitor).
    NotYet,
    /// Its window held too few requests (of the built-in monitor).
    TooFew {
        /// How many it needs.
        at_least: u64,
    },
    /// The last value was before the fault began, or so soon after that it saw nothing of it.
    Stale {
        /// When.
        last: Timestamp,
        /// The targets that exposed it and are down.
        down: Vec<Target>,
    },
}

/// A target that could not be scraped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// Its job.
    pub job: String,
    /// Its address.
    pub instance: String,
    /// The error of the last scrape.
    pub error: String,
}

impl Op {
    /// Is it true of a value and a threshold?
    pub fn holds(self, value: f64, threshold: f64) -> bool {
        match self {
            Op::Equal => value == threshold,
            Op::NotEqual => value != threshold,
            Op::Above => value > threshold,
            Op::AtLeast => value >= threshold,
            Op::Below => value < threshold,
            Op::AtMost => value <= threshold,
        }
    }

    /// As PromQL writes it.
    pub fn symbol(self) -> &'static str {
        match self {
            Op::Equal => "==",
            Op::NotEqual => "!=",
            Op::Above => ">",
            Op::AtLeast => ">=",
            Op::Below => "<",
            Op::AtMost => "<=",
        }
    }

    /// The same with its sides changed over.
    #[must_use]
    pub fn flipped(self) -> Op {
        match self {
            Op::Above => Op::Below,
            Op::AtLeast => Op::AtMost,
            Op::Below => Op::Above,
            Op::AtMost => Op::AtLeast,
            same => same,
        }
    }
}

impl Comparison {
    /// Is it true at a point?
    pub fn holds(&self, point: &Point) -> bool {
        self.op.is_none_or(|op| op.holds(point.value, point.threshold))
    }

    /// Was it true at any point since a moment? `None` without any point.
    pub fn held_since(&self, from: Timestamp) -> Option<bool> {
        let points = self.tracks.iter().flat_map(|track| &track.points);
        let since = points.filter(|point| point.at.since(from) >= 0.0);
        since.map(|point| self.holds(point)).reduce(|one, other| one || other)
    }
}

/// What an Alertmanager did with an alert that fired.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Routing {
    /// Did it ever tell of the alert since the fault began?
    pub known: bool,
    /// The silences that held for it.
    pub silences: Vec<Silence>,
    /// The alerts that inhibited it.
    pub inhibited_by: Vec<Inhibitor>,
    /// The time intervals by which it was muted, where Alertmanager tells.
    pub muted_by: Vec<String>,
    /// The routes that it took.
    pub routes: Vec<Route>,
    /// What was sent since the run began; empty if that is not known.
    pub counters: BTreeMap<Sender, Counter>,
    /// The receivers off its routes, by the integrations that they have.
    pub others: BTreeMap<String, BTreeSet<String>>,
    /// Where that was read.
    pub seen: Vec<Observation>,
}

/// A silence.
#[derive(Debug, Clone, PartialEq)]
pub struct Silence {
    /// Its id.
    pub id: String,
    /// Its matchers, as PromQL writes them.
    pub matchers: String,
    /// Who made it.
    pub by: String,
    /// Why.
    pub comment: String,
    /// When it ends.
    pub until: Timestamp,
}

/// An alert that inhibits another.
#[derive(Debug, Clone, PartialEq)]
pub struct Inhibitor {
    /// Its labels, with its name.
    pub labels: BTreeMap<String, String>,
}

/// Where an alert was routed.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Route {
    /// The receiver.
    pub receiver: String,
    /// Its integrations, such as `webhook`; none if it tells nobody.
    pub integrations: Vec<String>,
    /// The labels of the alert's group.
    pub group: BTreeMap<String, String>,
    /// How long a new group waits.
    pub group_wait: Duration,
    /// How long a group waits that was notified before.
    pub group_interval: Duration,
    /// Was its group there before it?
    pub joined: bool,
    /// The time interval that muted it when the alert fired.
    pub muted: Option<String>,
}

/// Of whose notifications Alertmanager keeps count.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Sender {
    /// The integration, such as `webhook`.
    pub integration: String,
    /// The receiver, where Alertmanager tells; else all that have this integration.
    pub receiver: Option<String>,
}

/// Notifications of an integration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counter {
    /// Sent or tried.
    pub sent: u64,
    /// Given up.
    pub failed: u64,
    /// Single requests that failed, and may have been tried again.
    pub refused: u64,
}

/// How an evaluator hands its alerts on.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Handover {
    /// The addresses of the Alertmanagers that it sends to.
    pub alertmanagers: Vec<String>,
    /// The addresses to which sending failed since the run began, and how often.
    pub errors: BTreeMap<String, u64>,
    /// Where that was read.
    pub seen: Vec<Observation>,
}

impl Counter {
    /// What was counted since `before`.
    #[must_use]
    pub fn since(self, before: Counter) -> Counter {
        Counter {
            sent: self.sent.saturating_sub(before.sent),
            failed: self.failed.saturating_sub(before.failed),
            refused: self.refused.saturating_sub(before.refused),
        }
    }
}

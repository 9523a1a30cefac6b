//! What the built-in monitor knows, afterwards, of an alert that was missed or late: how close it came.

use std::collections::{BTreeMap, VecDeque};

use super::{
    Builtin, EVERY, MOST_SAMPLES,
    signal::{self, Measured},
};
use crate::{
    clock::Timestamp,
    event::Observation,
    monitor::findings::{
        Comparison, Condition, Findings, Op, Point, Question, RuleFacts, RuleFinding, Series, SeriesState,
        Track,
    },
    unit::Ordering,
};

/// What each rule measured at each evaluation.
pub(super) type Measurements = BTreeMap<String, VecDeque<(Timestamp, Measured)>>;

/// Keeps what a rule measured.
pub(super) fn keep(all: &mut Measurements, alert: &str, now: Timestamp, measured: Measured) {
    let kept = all.entry(alert.to_owned()).or_default();
    if kept.len() >= MOST_SAMPLES {
        kept.pop_front();
    }
    kept.push_back((now, measured));
}

impl Builtin {
    pub(super) fn findings(&self, question: &Question) -> Findings {
        let Some(rule) = self.settings.rules.get(&question.alert) else { return Findings::default() };
        let query = signal::describe(rule);
        let threshold = rule.fires.limit();
        let op = match rule.fires.ordering() {
            Ordering::Above => Op::Above,
            Ordering::Below => Op::Below,
        };
        let none = VecDeque::new();
        let measured = self.measured.get(&question.alert).unwrap_or(&none);
        let until = measured.iter().filter(|(at, _)| at.since(question.to) <= 0.0);
        let points: Vec<Point> = until
            .clone()
            .filter_map(|(at, measured)| Some(Point { at: *at, value: measured.value()?, threshold }))
            .collect();
        let in_phase = || until.clone().filter(|(at, _)| at.since(question.from) >= 0.0);
        let looks = in_phase().count();
        let few = in_phase().filter(|(_, measured)| *measured == Measured::TooFew).count();
        let not_yet = in_phase().filter(|(_, measured)| *measured == Measured::NotYet).count();
        let at_least = rule.at_least.max(1);
        let state = match (few, not_yet) {
            (0, 0) => None,
            (0, n) => Some((SeriesState::NotYet, format!("no reference yet at {n} of {looks} looks"))),
            (n, _) => {
                let answer = format!("fewer than {at_least} in its window at {n} of {looks} looks");
                Some((SeriesState::TooFew { at_least }, answer))
            }
        };
        let series = state.into_iter().map(|(state, answer)| Series {
            selector: query.clone(),
            state,
            seen: Observation { asked: query.clone(), answer, at: None },
        });
        let series = series.collect();
        let mut pending: Vec<(Timestamp, Timestamp)> = Vec::new();
        let mut open: Option<(Timestamp, Timestamp)> = None;
        for (at, value) in in_phase().map(|(at, measured)| (at, measured.value())) {
            match (value.is_some_and(|value| rule.fires.holds(value)), &mut open) {
                (true, Some((_, end))) => *end = at.plus_s(EVERY.as_secs_f64()),
                (true, None) => open = Some((*at, at.plus_s(EVERY.as_secs_f64()))),
                (false, _) if value.is_some() => pending.extend(open.take()),
                (false, _) => {}
            }
        }
        pending.extend(open);
        let facts = RuleFacts {
            query: query.clone(),
            hold: rule.hold.duration(),
            interval: Some(EVERY),
            healthy: true,
            last_error: None,
            last_evaluation: measured.back().map(|(at, _)| *at).or(Some(question.to)),
            labels: BTreeMap::new(),
            window: Some(rule.window.duration()),
        };
        let track = Track { labels: BTreeMap::new(), points };
        let compare = Comparison {
            expression: query,
            op: Some(op),
            tracks: vec![track],
            series,
            ..Comparison::default()
        };
        Findings {
            rule: RuleFinding::Present(Box::new(facts)),
            condition: Some(Condition::Compare(compare)),
            pending,
            ..Findings::default()
        }
    }
}

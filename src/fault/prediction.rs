//! What the faults on predictions share: class names, and a row that is given another class.
//!
//! A row's label and its scores go on telling the same: with a score for each class, the scores of the old
//! and the new class change places, so that the set of scores, and with it every confidence, stays as the
//! model gave it.

use std::{borrow::Cow, sync::OnceLock};

use super::{Action, Decide, EditContext, Edited, Problem, purpose, unfit::UNKNOWN_CLASS};
use crate::{
    draw::{Dice, Draw},
    unit::Share,
    wire::{Labels, Row, Value},
};

/// The types that a class may be written as: `virginica`, `2`, `true`, all of them read as text.
#[cfg(feature = "schema")]
pub(super) const SCALAR: [&str; 3] = ["string", "number", "boolean"];

/// A row of a batch, and the draws that it has.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    /// Its place among the rows at hand.
    pub(super) index: usize,
    number: u32,
    dice: Dice,
}

impl Place {
    /// A draw of its own.
    pub(super) fn draw(self, purpose: u32) -> Draw {
        self.dice.at(purpose, self.number)
    }

    /// Is it among a share of all rows?
    pub(super) fn acts(self, rate: Share) -> bool {
        self.draw(purpose::ACT).within(rate)
    }
}

/// Edits each row that the injection may touch.
pub(super) fn each(
    rows: &mut [Row],
    context: &EditContext<'_>,
    mut edit: impl FnMut(Place, &mut Row) -> Result<bool, &'static str>,
) -> Edited {
    let rows = rows.iter_mut().enumerate().filter(|(index, _)| context.only.contains(*index));
    let place = |index| Place { index, number: context.index(index), dice: context.dice };
    rows.map(|(index, row)| edit(place(index), row)).collect()
}

/// What is computed from the settings, once. It is no part of them: all are equal, and a copy computes anew.
#[derive(Debug)]
pub(super) struct Derived<T>(OnceLock<T>);

impl<T> Derived<T> {
    pub(super) fn get_or_init(&self, compute: impl FnOnce() -> T) -> &T {
        self.0.get_or_init(compute)
    }
}

impl<T> Default for Derived<T> {
    fn default() -> Derived<T> {
        Derived(OnceLock::new())
    }
}

impl<T> Clone for Derived<T> {
    fn clone(&self) -> Derived<T> {
        Derived::default()
    }
}

impl<T> PartialEq for Derived<T> {
    fn eq(&self, _other: &Derived<T>) -> bool {
        true
    }
}

/// The decision of a fault that edits predictions: it does unless it can't act.
pub(super) fn edits(rate: Share, context: &Decide<'_>) -> Option<Action> {
    (rate.scaled(context.intensity) > Share::NONE).then_some(Action::Edit)
}

/// The decision of a fault that edits features: it does unless it can't act.
pub(super) fn amends(rate: Share, context: &Decide<'_>) -> Option<Action> {
    (rate.scaled(context.intensity) > Share::NONE).then_some(Action::Amend)
}

/// A rate that never acts.
pub(super) fn check_rate(rate: Share) -> Option<Problem> {
    let help = "write a rate above 0%, or leave the fault out";
    (rate == Share::NONE).then(|| Problem::new("rate", "a rate of 0% never acts").help(help))
}

/// A class that the target does not name.
pub(super) fn check_class(key: &'static str, name: &str, labels: &Labels) -> Option<Problem> {
    let names = labels.names();
    if names.is_empty() || labels.index_of(name).is_some() {
        return None;
    }
    let near = names.iter().min_by_key(|known| strsim::damerau_levenshtein(known, name));
    let help = match near.filter(|known| strsim::damerau_levenshtein(known, name) <= 1 + name.len() / 4) {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("the target's labels are {}", names.join(", ")),
    };
    Some(Problem::new(key, format!("`{name}` is none of the target's labels")).help(help))
}

/// The number of a class: its place among the names, or the number that it is written as.
pub(super) fn number_of(name: &str, labels: &Labels) -> Option<i64> {
    labels.index_of(name).and_then(|index| i64::try_from(index).ok()).or_else(|| name.parse().ok())
}

/// The place of a class among scores.
pub(super) fn index_of(name: &str, labels: &Labels) -> Option<usize> {
    number_of(name, labels).and_then(|number| usize::try_from(number).ok())
}

/// The name of the class at a place among scores; its number's text where classes have no names.
pub(super) fn name_at(place: usize, labels: &Labels) -> Cow<'_, str> {
    labels
        .names()
        .get(place)
        .map_or_else(|| Cow::Owned(place.to_string()), |name| Cow::Borrowed(name.as_str()))
}

/// Any class but `class`, uniformly.
pub(super) fn another<'a>(class: &str, row: &Row, draw: Draw, labels: &'a Labels) -> Option<&'a str> {
    let others = || labels.names().iter().filter(|name| *name != class);
    match others().count() {
        0 => match row.label {
            Some(Value::Bool(truth)) => Some(if truth { "false" } else { "true" }),
            _ => None,
        },
        count => others().nth(draw.index(count)).map(String::as_str),
    }
}

/// The positive class of a decision, and the one that is told in its place.
#[derive(Debug, Clone, Copy)]
pub(super) struct Poles<'a> {
    pub(super) positive: Option<&'a str>,
    pub(super) negative: Option<&'a str>,
}

impl Poles<'_> {
    /// Settings that leave a class open.
    pub(super) fn check(self, labels: &Labels) -> Vec<Problem> {
        let named = |key, name: Option<&str>| name.and_then(|name| check_class(key, name, labels));
        let mut problems: Vec<Problem> = [named("positive", self.positive), named("negative", self.negative)]
            .into_iter()
            .flatten()
            .collect();
        if self.positive.is_some() && self.positive == self.negative {
            problems.push(Problem::new("negative", "`positive` and `negative` are the same class"));
        }
        let open = [("positive", self.positive, self.negative), ("negative", self.negative, self.positive)];
        for (key, _, other) in open.into_iter().filter(|(_, name, _)| name.is_none()) {
            if labels.names().len() > 2 {
                let help = format!("the target's labels are {}", labels.names().join(", "));
                let message = format!("with more than two classes, `{key}` has to be named");
                problems.push(Problem::new("", message).help(help));
            } else if labels.names().is_empty() && other.is_some_and(|name| opposite(name).is_none()) {
                let help =
                    format!("name the class with `{key}`, or list the classes under `labels` of the target");
                problems.push(Problem::new("", format!("what `{key}` is, is not known")).help(help));
            }
        }
        problems
    }

    /// Is a row told the positive class? `None` if it tells no class, or could never tell that one.
    pub(super) fn is_positive(self, row: &Row, labels: &Labels) -> Option<bool> {
        let class = labels.of(row)?;
        let positive = self.pole(self.positive, 1, row, labels);
        let positive =
            if class == positive { true } else { can_tell(row, &positive, labels).then_some(false)? };
        Some(positive)
    }

    /// Is a row told the negative class?
    pub(super) fn is_negative(self, row: &Row, labels: &Labels) -> bool {
        let negative = self.pole(self.negative, 0, row, labels);
        labels.of(row).is_some_and(|class| class == negative)
    }

    /// What is told in place of one of both.
    pub(super) fn other(self, row: &Row, positive: bool, labels: &Labels) -> String {
        let (name, place) = if positive { (self.negative, 0) } else { (self.positive, 1) };
        self.pole(name, place, row, labels)
    }

    fn pole(self, name: Option<&str>, place: usize, row: &Row, labels: &Labels) -> String {
        if let Some(name) = name {
            return name.to_owned();
        }
        // Of two classes, whichever was not named.
        let named = if place == 1 { self.negative } else { self.positive };
        match (labels.names(), named) {
            ([first, second], Some(named)) if named == second => first.clone(),
            ([first, second], Some(named)) if named == first => second.clone(),
            ([first, second], None) => if place == 1 { second } else { first }.clone(),
            ([], Some(named)) => opposite(named).unwrap_or("0").to_owned(),
            ([], None) if matches!(row.label, Some(Value::Bool(_))) => (place == 1).to_string(),
            _ => place.to_string(),
        }
    }
}

/// The other one of two classes without names.
fn opposite(name: &str) -> Option<&'static str> {
    Some(match name {
        "0" => "1",
        "1" => "0",
        "false" => "true",
        "true" => "false",
        _ => return None,
    })
}

/// Could a row like this ever tell the class `name`?
pub(super) fn can_tell(row: &Row, name: &str, labels: &Labels) -> bool {
    match &row.label {
        Some(Value::Text(_)) => true,
        Some(Value::Bool(_)) => [false, true].into_iter().any(|value| truth(value, name, labels)),
        Some(Value::Null) => false,
        Some(Value::Int(_) | Value::Float(_)) => number_of(name, labels).is_some(),
        None => index_of(name, labels).is_some_and(|index| index < row.scores.len().max(2)),
    }
}

/// Gives a row the class `to`; `false` when it has it already, an error when it can't carry it.
pub(super) fn relabel(row: &mut Row, to: &str, context: &EditContext<'_>) -> Result<bool, &'static str> {
    let labels = context.labels;
    let from = labels.of(row).ok_or(UNKNOWN_CLASS)?;
    if from == to {
        return Ok(false);
    }
    let places = index_of(&from, labels).zip(index_of(to, labels));
    let Some(label) = &row.label else {
        let (from, to) = places.ok_or(UNKNOWN_CLASS)?;
        return exchange(&mut row.scores, from, to).ok_or(UNKNOWN_CLASS);
    };
    let value = match label {
        Value::Text(_) => Some(Value::Text(to.to_owned())),
        Value::Int(_) => number_of(to, labels).map(Value::Int),
        Value::Float(_) => number_of(to, labels).map(|number| Value::Float(number as f64)),
        Value::Bool(old) => {
            [false, true].into_iter().find(|new| new != old && truth(*new, to, labels)).map(Value::Bool)
        }
        Value::Null => None,
    };
    let value = value.ok_or(UNKNOWN_CLASS)?;
    if let Some((from, to)) = places.filter(|_| !tells_confidence(row, context)) {
        exchange(&mut row.scores, from, to);
    }
    row.label = Some(value);
    Ok(true)
}

/// Is the only score of a row the confidence in its label, whichever that is? So it is beside a text, where the wire
/// says so, and of more than two classes; else it may be the probability of class 1.
pub(super) fn tells_confidence(row: &Row, context: &EditContext<'_>) -> bool {
    row.scores.len() == 1
        && match &row.label {
            Some(Value::Text(_)) => true,
            Some(_) => context.confidences || context.labels.names().len() > 2,
            None => false,
        }
}

/// Is `name` what a truth value stands for?
fn truth(truth: bool, name: &str, labels: &Labels) -> bool {
    let row = Row { label: Some(Value::Bool(truth)), scores: Vec::new() };
    labels.of(&row).is_some_and(|own| own == name)
}

/// Moves the scores so that the class `to` stands where `from` stood; `None` when there is no such place.
fn exchange(scores: &mut [Value], from: usize, to: usize) -> Option<bool> {
    match scores {
        [single] => match single.as_f64() {
            // The probability of class 1, if it agrees with the class that was predicted.
            Some(p) if (0.0..=1.0).contains(&p) && from == usize::from(p >= 0.5) && from + to == 1 => {
                *single = Value::Float(1.0 - p);
                Some(from != usize::from(1.0 - p >= 0.5))
            }
            _ => None,
        },
        many if from < many.len() && to < many.len() => {
            let changes = many[from] != many[to];
            many.swap(from, to);
            Some(changes)
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fault::{Memory, testing::dice};

    fn iris() -> Labels {
        Labels::new(["setosa", "versicolor", "virginica"].map(str::to_owned))
    }

    fn row(label: Option<Value>, scores: &[f64]) -> Row {
        Row { label, scores: scores.iter().copied().map(Value::Float).collect() }
    }

    fn tell(row: &mut Row, to: &str, labels: &Labels) -> Result<bool, &'static str> {
        relabel(row, to, &EditContext::new(dice(7, 1), 1.0, labels, &Memory::none()))
    }

    fn relabelled(label: Option<Value>, scores: &[f64], to: &str, labels: &Labels) -> Option<Row> {
        let mut row = row(label, scores);
        tell(&mut row, to, labels).is_ok_and(|changed| changed).then_some(row)
    }

    #[test]
    fn a_label_keeps_its_kind() {
        let none = Labels::default();
        let text = |name: &str| Some(Value::Text(name.into()));
        for (before, to, labels, after) in [
            (Some(Value::Int(2)), "versicolor", iris(), Some(Value::Int(1))),
            (Some(Value::Float(2.0)), "setosa", iris(), Some(Value::Float(0.0))),
            (Some(Value::Int(1)), "-1", none.clone(), Some(Value::Int(-1))),
            (text("cat"), "dog", none.clone(), text("dog")),
            (Some(Value::Bool(true)), "false", none.clone(), Some(Value::Bool(false))),
            (
                Some(Value::Bool(true)),
                "deny",
                Labels::new(["deny".into(), "approve".into()]),
                Some(Value::Bool(false)),
            ),
        ] {
            assert_eq!(relabelled(before, &[], to, &labels), Some(row(after, &[])));
        }
    }

    #[test]
    fn what_cannot_be_carried_is_left_alone() {
        for (label, to) in [
            (Some(Value::Int(2)), "virginica"),
            (Some(Value::Int(2)), "rose"),
            (Some(Value::Bool(true)), "rose"),
            (Some(Value::Null), "setosa"),
            (None, "setosa"),
        ] {
            let wanted = if to == "virginica" { Ok(false) } else { Err(UNKNOWN_CLASS) };
            assert_eq!(tell(&mut row(label, &[]), to, &iris()), wanted);
        }
        assert_eq!(tell(&mut row(None, &[0.2, 0.8]), "virginica", &iris()), Err(UNKNOWN_CLASS));
        assert_eq!(tell(&mut row(None, &[7.5]), "setosa", &iris()), Err(UNKNOWN_CLASS));
    }

    #[test]
    fn scores_follow_the_label() {
        let scores = [0.1, 0.2, 0.7];
        let after = relabelled(Some(Value::Int(2)), &scores, "versicolor", &iris());
        assert_eq!(after, Some(row(Some(Value::Int(1)), &[0.1, 0.7, 0.2])));
        let after = relabelled(None, &scores, "setosa", &iris());
        assert_eq!(after, Some(row(None, &[0.7, 0.2, 0.1])));
        assert_eq!(relabelled(None, &[0.75], "0", &Labels::default()), Some(row(None, &[0.25])));
        let after = relabelled(Some(Value::Int(0)), &[0.25], "1", &Labels::default());
        assert_eq!(after, Some(row(Some(Value::Int(1)), &[0.75])));
    }

    #[test]
    fn a_confidence_stays() {
        let after = relabelled(Some(Value::Text("setosa".into())), &[0.9], "virginica", &iris());
        assert_eq!(after, Some(row(Some(Value::Text("virginica".into())), &[0.9])));
        let after = relabelled(Some(Value::Int(0)), &[0.9], "1", &Labels::default());
        assert_eq!(after, Some(row(Some(Value::Int(1)), &[0.9])));
    }

    #[test]
    fn the_confidence_of_a_class_without_a_name_stays() {
        let (none, iris) = (Labels::default(), iris());
        let memory = Memory::none();
        for (labels, confidences, score) in [(&none, true, 0.9), (&iris, false, 0.9), (&none, false, 0.1)] {
            let context = EditContext { confidences, ..EditContext::new(dice(7, 1), 1.0, labels, &memory) };
            let mut told = row(Some(Value::Int(1)), &[0.9]);
            assert_eq!(relabel(&mut told, &name_at(0, labels), &context), Ok(true));
            assert!((told.scores[0].as_f64().unwrap() - score).abs() < 1e-12, "{labels:?} {told:?}");
        }
    }

    #[test]
    fn an_unknown_class_is_told_with_the_nearest() {
        let problem = check_class("from", "virginca", &iris()).unwrap();
        assert_eq!(problem.help.as_deref(), Some("did you mean `virginica`?"));
        let problem = check_class("from", "rose", &iris()).unwrap();
        assert_eq!(problem.help.as_deref(), Some("the target's labels are setosa, versicolor, virginica"));
        assert_eq!(check_class("from", "rose", &Labels::default()), None);
        assert_eq!(check_class("from", "setosa", &iris()), None);
    }
}

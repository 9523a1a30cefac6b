//! What can't work about a shape in its phase; every mistake with what would be right.

use super::{Drift, FirstN, NThenRecover, Per, Ramp, Shape, Sine, Spike, Square, Step};
use crate::{
    fault::Problem,
    unit::{Share, Span},
};

impl Shape {
    /// What can't work in a phase of this length, where units are named or each request is its own. The keys
    /// start at the shape's own, such as `square.period`.
    pub fn check(&self, lasts: Span, has_units: bool) -> Vec<Problem> {
        let mut problems = Vec::new();
        let mut wrong = |key: &'static str, message: String, help: &str| {
            problems.push(Problem::new(key, message).help(help));
        };
        let within = |span: &Span| *span < lasts;
        match self {
            Shape::Step(Step { at, until }) => {
                if !within(at) {
                    wrong("step.at", beyond(*at, lasts), "begin the step earlier, or lengthen the phase");
                }
                if let Some(until) = until.filter(|until| until <= at) {
                    wrong("step.until", format!("`until` ({until}) is not after `at` ({at})"), "swap them");
                }
            }
            Shape::Ramp(Ramp { over, at, from, to }) => {
                if over.is_zero() {
                    wrong("ramp.over", "a ramp of no length is none".to_owned(), "write `step` instead");
                } else if at.duration() + over.duration() > lasts.duration() {
                    let message = format!("the ramp ends {} after its phase does", {
                        Span::from(at.duration() + over.duration() - lasts.duration())
                    });
                    wrong("ramp.over", message, "shorten the ramp or lengthen the phase");
                }
                if from == to {
                    let help = "leave the shape out, or give `from` and `to` different sizes";
                    wrong("ramp.to", format!("a ramp from {from} to {to} is level"), help);
                }
            }
            Shape::Square(Square { period, duty }) => {
                if period.is_zero() {
                    wrong("square.period", "a period of 0s is none".to_owned(), "write a time, such as 20s");
                } else if *period > lasts {
                    let message = format!("one period of {period} is longer than its phase of {lasts}");
                    wrong("square.period", message, "shorten the period, or write `step: { at, until }`");
                }
                if *duty == Share::NONE || *duty == Share::ALL {
                    let message = format!("a duty of {duty} never switches");
                    wrong("square.duty", message, "the part of each period that is on, such as 30%");
                }
            }
            Shape::Sine(Sine { period, low, high }) => {
                if period.is_zero() {
                    wrong("sine.period", "a period of 0s is none".to_owned(), "write a time, such as 5m");
                } else if period.duration() / 2 > lasts.duration() {
                    let message = format!("half a wave of {period} is longer than its phase of {lasts}");
                    wrong("sine.period", message, "it never reaches `high`: shorten the period");
                }
                if low >= high {
                    wrong("sine.low", format!("`low` ({low}) is not below `high` ({high})"), "swap them");
                }
            }
            Shape::Spike(Spike { at, width }) => {
                if !within(at) {
                    wrong("spike.at", beyond(*at, lasts), "put the spike earlier, or lengthen the phase");
                }
                if width.is_zero() {
                    wrong(
                        "spike.width",
                        "a spike of no width is none".to_owned(),
                        "write a time, such as 10s",
                    );
                }
            }
            Shape::Drift(Drift { per_hour, from }) => {
                if *per_hour == Share::NONE {
                    wrong(
                        "drift.per-hour",
                        "a drift of 0% an hour is none".to_owned(),
                        "write how much, such as 20%",
                    );
                }
                if *from == Share::ALL {
                    wrong("drift.from", "from 100% nothing can grow".to_owned(), "begin lower");
                }
            }
            Shape::FirstN(FirstN { n: 0, .. }) => {
                wrong("first-n.n", "the first 0 requests are none".to_owned(), "write 1 or more");
            }
            Shape::NThenRecover(NThenRecover { n, pause, .. }) => {
                if *n == 0 {
                    wrong("n-then-recover.n", "0 requests are none".to_owned(), "write 1 or more");
                }
                if *pause == 0 {
                    let help = "write how many requests are left alone; `first-n` never begins again";
                    wrong("n-then-recover.pause", "without a pause nothing recovers".to_owned(), help);
                }
            }
            Shape::FirstN(_) => {}
        }
        if self.counts() == Some(Per::Unit) && !has_units {
            let key = if matches!(self, Shape::FirstN(_)) { "first-n.per" } else { "n-then-recover.per" };
            let help = "name the unit in `exposure.unit`, such as request.headers[\"x-user-id\"], or count `per: all`";
            wrong(
                key,
                "every request is its own unit here, and each would be the first of its own".to_owned(),
                help,
            );
        }
        problems
    }
}

fn beyond(at: Span, lasts: Span) -> String {
    format!("{at} is not within its phase of {lasts}")
}

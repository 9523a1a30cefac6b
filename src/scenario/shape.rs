//! How the size of a fault goes over the time of its phase.
//!
//! Most shapes are pure functions of the time since the phase began, so every sidecar draws the same curve.
//! The two counted ones (`first-n`, `n-then-recover`) go by requests instead: which requests are the first
//! depends on their arrival and on the sidecar that they reach, so a run with these can't be repeated
//! request by request. They count the requests that the fault could have touched, in a [`Tally`].
//!
//! What a size means is the fault's own affair: a shape scales the delay of a latency and the rate of an error.

mod check;
mod tally;

use std::time::Duration;

use serde::{Deserialize, Serialize};

pub use tally::Tally;

use crate::unit::{Share, Span};

/// How the size of a fault goes over the time of its phase; 100% is the size that its settings name.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
#[non_exhaustive]
pub enum Shape {
    /// Nothing, then everything at once.
    Step(Step),
    /// From one size to another in a straight line.
    Ramp(Ramp),
    /// On and off by turns: flapping.
    Square(Square),
    /// Up and down smoothly, as a day does.
    Sine(Sine),
    /// Up to full size and down again, once.
    Spike(Spike),
    /// A slow growth, so much in an hour.
    Drift(Drift),
    /// The first n requests, then none. Depends on the order of arrival.
    FirstN(FirstN),
    /// n requests, then a pause of so many, over and over. Depends on the order of arrival.
    NThenRecover(NThenRecover),
}

/// Nothing, then everything at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Step {
    /// When it begins, from the start of the phase.
    pub at: Span,
    /// When it ends; left out, with the phase.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Span>,
}

/// From one size to another in a straight line; before it the first, after it the second.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Ramp {
    /// How long it takes.
    pub over: Span,
    /// When it begins, from the start of the phase.
    #[serde(default)]
    pub at: Span,
    /// The size before.
    #[serde(default = "none")]
    pub from: Share,
    /// The size after.
    #[serde(default = "all")]
    pub to: Share,
}

/// On and off by turns, on first.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Square {
    /// Length of one turn, on and off.
    pub period: Span,
    /// The part of each turn that is on.
    #[serde(default = "half")]
    pub duty: Share,
}

/// From `low` to `high` and back, once in each period.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Sine {
    /// Length of one wave.
    pub period: Span,
    /// The size at the start of each period.
    #[serde(default = "none")]
    pub low: Share,
    /// The size in the middle of each period.
    #[serde(default = "all")]
    pub high: Share,
}

/// A triangle: from nothing to full size and back to nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Spike {
    /// When it is at full size, from the start of the phase.
    pub at: Span,
    /// From nothing through full size to nothing.
    pub width: Span,
}

/// A slow growth that ends at full size.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Drift {
    /// How much it grows in an hour.
    pub per_hour: Share,
    /// The size at the start of the phase.
    #[serde(default = "none")]
    pub from: Share,
}

/// The first n requests that the fault could touch, at full size; none after them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct FirstN {
    /// How many.
    pub n: u32,
    /// Whose requests are counted together.
    #[serde(default)]
    pub per: Per,
}

/// n requests at full size, then a pause of so many, over and over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct NThenRecover {
    /// How many.
    pub n: u32,
    /// How many requests are left alone before it begins again.
    pub pause: u32,
    /// Whose requests are counted together.
    #[serde(default)]
    pub per: Per,
}

/// Whose requests are counted together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Per {
    /// Those of all units.
    #[default]
    All,
    /// Those of each unit on their own; of the first 65536 units, later ones are left alone.
    Unit,
}

impl Default for Shape {
    /// At full size from the start.
    fn default() -> Shape {
        Shape::Step(Step { at: Span::ZERO, until: None })
    }
}

fn none() -> Share {
    Share::NONE
}

fn half() -> Share {
    Share::ALL.scaled(0.5)
}

fn all() -> Share {
    Share::ALL
}

impl Shape {
    /// The size at a time since the phase began, 0 to 1. For the counted shapes it is what a request gets
    /// that they admit.
    pub fn intensity(&self, since_phase: Duration) -> f64 {
        let t = since_phase.as_secs_f64();
        let s = Span::as_secs_f64;
        let between = |from: Share, to: Share, part: f64| {
            from.fraction() + (to.fraction() - from.fraction()) * part.clamp(0.0, 1.0)
        };
        match self {
            Shape::Step(Step { at, until }) => {
                let on =
                    since_phase >= at.duration() && until.is_none_or(|until| since_phase < until.duration());
                f64::from(u8::from(on))
            }
            Shape::Ramp(Ramp { over, at, from, to }) => between(*from, *to, (t - s(*at)) / s(*over)),
            Shape::Square(Square { period, duty }) => {
                let into = t.rem_euclid(s(*period)) / s(*period);
                f64::from(u8::from(into < duty.fraction()))
            }
            Shape::Sine(Sine { period, low, high }) => {
                let turn = std::f64::consts::TAU * t / s(*period);
                between(*low, *high, (1.0 - turn.cos()) / 2.0)
            }
            Shape::Spike(Spike { at, width }) => (1.0 - (t - s(*at)).abs() / (s(*width) / 2.0)).max(0.0),
            Shape::Drift(Drift { per_hour, from }) => {
                (from.fraction() + per_hour.fraction() * t / 3600.0).min(1.0)
            }
            Shape::FirstN(_) | Shape::NThenRecover(_) => 1.0,
        }
    }

    /// Whose requests a counted shape counts together; `None`: it goes by time.
    pub const fn counts(&self) -> Option<Per> {
        match self {
            Shape::FirstN(FirstN { per, .. }) | Shape::NThenRecover(NThenRecover { per, .. }) => Some(*per),
            _ => None,
        }
    }

    /// Does a counted shape act on the request with this number, from 0? The others act on every request.
    pub const fn admits(&self, number: u64) -> bool {
        match self {
            Shape::FirstN(FirstN { n, .. }) => number < *n as u64,
            Shape::NThenRecover(NThenRecover { n, pause, .. }) => {
                number % (*n as u64 + *pause as u64) < *n as u64
            }
            _ => true,
        }
    }

    /// The short form, `ramp: 15s`; nothing is full size from the start.
    pub fn from_ramp(ramp: Option<Span>) -> Shape {
        let grows = |over| Shape::Ramp(Ramp { over, at: Span::ZERO, from: Share::NONE, to: Share::ALL });
        ramp.filter(|over| !over.is_zero()).map_or_else(Shape::default, grows)
    }

    /// How long it takes to reach its largest size for the first time: a phase can't be judged before.
    pub fn grows_for(&self) -> Duration {
        match self {
            Shape::Step(Step { at, .. }) => at.duration(),
            Shape::Ramp(Ramp { over, at, from, to }) if from < to => at.duration() + over.duration(),
            Shape::Sine(Sine { period, .. }) => period.duration() / 2,
            Shape::Spike(Spike { at, .. }) => at.duration(),
            Shape::Drift(Drift { per_hour, from }) => {
                let hours = (1.0 - from.fraction()) / per_hour.fraction();
                Duration::try_from_secs_f64(hours * 3600.0).unwrap_or(Duration::MAX)
            }
            _ => Duration::ZERO,
        }
    }

    /// Its mean size over a phase of this length, to within 0.001; `None` for the counted shapes, whose mean
    /// depends on the traffic.
    pub fn mean(&self, lasts: Duration) -> Option<f64> {
        self.over(lasts, |intensity| intensity)
    }

    /// The share of a phase of this length in which it has any size, to within 0.001; `None` for the counted
    /// shapes.
    pub fn acts_for(&self, lasts: Duration) -> Option<f64> {
        self.over(lasts, |intensity| f64::from(u8::from(intensity > 0.0)))
    }

    fn over(&self, lasts: Duration, of: impl Fn(f64) -> f64) -> Option<f64> {
        const STEPS: u32 = 10_000;
        let at = |i: u32| of(self.intensity(lasts.mul_f64((f64::from(i) + 0.5) / f64::from(STEPS))));
        self.counts().is_none().then(|| (0..STEPS).map(at).sum::<f64>() / f64::from(STEPS))
    }

    /// Is it full size from the start, or what the short form `ramp: 15s` says?
    pub fn is_plain(&self) -> bool {
        match self {
            Shape::Ramp(Ramp { over, .. }) => *self == Shape::from_ramp(Some(*over)),
            shape => *shape == Shape::default(),
        }
    }

    /// In words, such as `30% of each 20s`.
    pub fn describe(&self) -> String {
        let per = |per: &Per| match per {
            Per::All => "",
            Per::Unit => " of each unit",
        };
        match self {
            Shape::Step(Step { at, until: None }) if at.is_zero() => "at full size".to_owned(),
            Shape::Step(Step { at, until: None }) => format!("from {at} on"),
            Shape::Step(Step { at, until: Some(until) }) => format!("from {at} to {until}"),
            Shape::Ramp(Ramp { over, at, from, to }) => {
                let begin = if at.is_zero() { String::new() } else { format!(" from {at} on") };
                format!("{from} to {to} over {over}{begin}")
            }
            Shape::Square(Square { period, duty }) => format!("on for {duty} of each {period}"),
            Shape::Sine(Sine { period, low, high }) => format!("a wave of {period} between {low} and {high}"),
            Shape::Spike(Spike { at, width }) => format!("a spike at {at}, {width} wide"),
            Shape::Drift(Drift { per_hour, from }) => format!("{from} and {per_hour} more each hour"),
            Shape::FirstN(FirstN { n, per: whose }) => format!("the first {n} requests{}", per(whose)),
            Shape::NThenRecover(NThenRecover { n, pause, per: whose }) => {
                format!("{n} requests{}, then none for {pause}, again and again", per(whose))
            }
        }
    }
}

#[cfg(test)]
mod tests;

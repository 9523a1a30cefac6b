//! The faults: one file each, with its settings, its catalogue entry and what it does.
//!
//! A fault is plain data. Asked about a request it answers with an [`Action`], a pure function of the
//! draws; a fault on predictions is then given the rows to edit. It never sees bytes, sockets or clocks:
//! `layer` carries the action out, `wire` finds the values.
//!
//! Adding one: write its file, add its line to `faults!` below.

mod catalogue;
mod corrupt;
mod error;
mod freeze;
mod hang;
mod latency;
mod mislabel;
mod prediction;
mod reset;
mod score_shift;
#[cfg(test)]
mod testing;

use std::{sync::OnceLock, time::Duration};

use serde::{Deserialize, Serialize};

use crate::{
    draw::Dice,
    wire::{Labels, Protocol, Row},
};

pub use catalogue::{Entry, Parameter};
pub use corrupt::{Corrupt, Corruption};
pub use error::{After, Error};
pub use freeze::Freeze;
pub use hang::Hang;
pub use latency::{Latency, Lognormal, Normal, Uniform, When};
pub use mislabel::{Confusion, Mislabel};
pub use reset::Reset;
pub use score_shift::ScoreShift;

/// When in the life of a request a fault acts; faults of one phase act in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Stage {
    /// The request is delayed before the upstream is asked.
    Before,
    /// The upstream is not asked at all.
    Refuse,
    /// The predictions of the response change.
    Prediction,
    /// The response is held back after the upstream answered.
    After,
    /// The connection breaks.
    Transport,
}

/// What one fault does to one request.
#[derive(Debug, Clone, PartialEq)]
pub enum Action {
    /// Wait before the upstream is asked.
    DelayBefore(Duration),
    /// Wait with the response.
    DelayAfter(Duration),
    /// Answer with an error.
    Respond {
        /// The status.
        status: u16,
        /// `Retry-After`, whole seconds.
        retry_after_s: Option<u64>,
        /// The message inside the protocol's error body.
        message: String,
        /// Ask the upstream first (it does the work, the caller gets the error).
        after_upstream: bool,
    },
    /// Don't answer; hold no upstream connection.
    Hang {
        /// For how long, after which the upstream is asked; `None`: until the phase ends.
        lasts: Option<Duration>,
    },
    /// Break the connection, before the head or in the body.
    Reset {
        /// Bytes of the body that still pass; `None` breaks before the head.
        after_bytes: Option<u64>,
    },
    /// Edit the predictions of the response (the fault's [`Fault::edit`] is called with them).
    Edit,
}

/// What a fault may use while it edits predictions.
#[derive(Debug)]
pub struct EditContext<'a> {
    /// This rule's draws for this request; index = position in the batch.
    pub dice: Dice,
    /// How far the ramp is, 0 to 1.
    pub intensity: f64,
    /// Class names.
    pub labels: &'a Labels,
    /// What this fault remembers for as long as it is armed (the frozen prediction).
    pub memory: &'a OnceLock<Row>,
    /// The first prediction of the response as the model made it, before any other fault's edit.
    pub first: Option<&'a Row>,
}

/// What an edit came to.
///
/// A row that the draw leaves alone, or that is already as the fault would have it, counts as neither.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Edited {
    /// How many rows it changed.
    pub changed: usize,
    /// Why a row that should have changed could not, such as `unknown-class`: the first reason, if any.
    pub unfit: Option<&'static str>,
}

/// Why rows can't be edited; short and stable, for counters and reports.
pub(crate) mod unfit {
    /// The row tells no class, or can't be given the one that is wanted.
    pub(crate) const UNKNOWN_CLASS: &str = "unknown-class";
    /// The scores are no probabilities, or there is none for the class.
    pub(crate) const NOT_A_PROBABILITY: &str = "not-a-probability";
    /// The row has another shape than the one that is held.
    pub(crate) const OTHER_SHAPE: &str = "other-shape";
    /// The row has no value at all.
    pub(crate) const NO_VALUE: &str = "no-value";
}

/// From one result for each row: did it change, or why could it not?
impl FromIterator<Result<bool, &'static str>> for Edited {
    fn from_iter<T: IntoIterator<Item = Result<bool, &'static str>>>(rows: T) -> Edited {
        rows.into_iter().fold(Edited::default(), |edited, row| match row {
            Ok(changed) => Edited { changed: edited.changed + usize::from(changed), ..edited },
            Err(reason) => Edited { unfit: edited.unfit.or(Some(reason)), ..edited },
        })
    }
}

/// A mistake in a fault's settings, found when a scenario is checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Where inside the fault's settings, such as `from`; empty for the whole fault.
    pub key: &'static str,
    /// What is wrong.
    pub message: String,
    /// What would be right.
    pub help: Option<String>,
}

impl Problem {
    /// A problem with one setting.
    pub fn new(key: &'static str, message: impl Into<String>) -> Problem {
        Problem { key, message: message.into(), help: None }
    }

    /// With advice.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Problem {
        self.help = Some(help.into());
        self
    }
}

/// What every fault can say and do.
pub trait Behaviour {
    /// Its page in the catalogue.
    fn entry() -> &'static Entry
    where
        Self: Sized;

    /// When it acts.
    fn stage(&self) -> Stage;

    /// How often it acts on what the treated get (for faults on predictions: on each prediction).
    fn rate(&self) -> crate::unit::Share;

    /// Its size in words, such as `30% virginica → versicolor`.
    fn describe(&self) -> String;

    /// Settings that can't work with this target.
    fn check(&self, _protocol: &Protocol, _labels: &Labels) -> Vec<Problem> {
        Vec::new()
    }

    /// What it does to a request; `None` leaves it alone.
    fn decide(&self, dice: Dice, intensity: f64) -> Option<Action>;

    /// Changes predictions.
    fn edit(&self, _rows: &mut [Row], _context: &EditContext<'_>) -> Edited {
        Edited::default()
    }
}

/// Declares the closed set of faults from one line each.
macro_rules! faults {
    ($($variant:ident),+ $(,)?) => {
        /// A fault and its settings, as a scenario writes it: `{ mislabel: { rate: 30% } }`.
        #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
        #[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
        #[serde(rename_all = "kebab-case", deny_unknown_fields)]
        pub enum Fault {
            $(#[expect(missing_docs, reason = "the type says it")] $variant($variant)),+
        }

        impl Fault {
            fn behaviour(&self) -> &dyn Behaviour {
                match self { $(Fault::$variant(fault) => fault),+ }
            }

            /// Its page in the catalogue.
            pub fn entry(&self) -> &'static Entry {
                match self { $(Fault::$variant(_) => $variant::entry()),+ }
            }

            /// The catalogue: every fault's page.
            pub fn catalogue() -> Vec<&'static Entry> {
                vec![$($variant::entry()),+]
            }
        }
    };
}

faults!(Latency, Error, Mislabel, ScoreShift, Freeze, Corrupt, Hang, Reset);

impl Fault {
    /// The name that a scenario uses.
    pub fn name(&self) -> &'static str {
        self.entry().name
    }

    /// When it acts.
    pub fn stage(&self) -> Stage {
        self.behaviour().stage()
    }

    /// How often it acts on what the treated get.
    pub fn rate(&self) -> crate::unit::Share {
        self.behaviour().rate()
    }

    /// Its size in words.
    pub fn describe(&self) -> String {
        self.behaviour().describe()
    }

    /// Settings that can't work with this target.
    pub fn check(&self, protocol: &Protocol, labels: &Labels) -> Vec<Problem> {
        let mut problems = self.behaviour().check(protocol, labels);
        if self.stage() == Stage::Prediction && !protocol.carries_predictions() {
            let message = format!(
                "`{}` changes predictions, which protocol `{}` does not carry",
                self.name(),
                protocol.name()
            );
            let help = "name the protocol that the model server speaks, or use a transport fault (latency, error, hang, reset)";
            problems.push(Problem::new("", message).help(help));
        }
        problems
    }

    /// What it does to a request; `None` leaves it alone.
    pub fn decide(&self, dice: Dice, intensity: f64) -> Option<Action> {
        self.behaviour().decide(dice, intensity)
    }

    /// Changes predictions; tells how many, and why those that it should have changed could not be.
    pub fn edit(&self, rows: &mut [Row], context: &EditContext<'_>) -> Edited {
        self.behaviour().edit(rows, context)
    }
}

/// The purposes of a fault's draws, see [`Dice`]; part of the documented decision.
pub mod purpose {
    /// Does it act?
    pub const ACT: u32 = 0;
    /// How large, which, where?
    pub const SIZE: u32 = 1;
}

//! What a schedule says beside the events of its runs.

use std::{fmt, path::PathBuf};

use serde::Serialize;

/// Something that happened to a schedule. Times are RFC 3339 with the offset of the calendar's time zone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum Happening {
    /// Nothing runs or waits until then.
    NextSlot {
        /// The name of its run.
        run: String,
        /// When.
        slot: String,
    },
    /// A run begins.
    SlotTaken {
        /// The name of this run and slot, which its events and its report folder have.
        run: String,
        /// When it was meant to.
        slot: String,
    },
    /// A run has to wait.
    SlotQueued {
        /// The name of the run.
        run: String,
        /// When it was meant to begin.
        slot: String,
        /// The run that it waits for.
        behind: String,
        /// Why.
        why: String,
    },
    /// No run takes place.
    SlotSkipped {
        /// The name of the run.
        run: String,
        /// When it was meant to begin.
        slot: String,
        /// Why.
        why: String,
    },
    /// Slots passed unseen: the machine slept, or its clock was put forward.
    SlotsMissed {
        /// The name of the run.
        run: String,
        /// The first of them.
        first: String,
        /// The last.
        last: String,
        /// How many.
        slots: usize,
    },
    /// A run is over.
    SlotEnded {
        /// The name of this run and slot.
        run: String,
        /// What `canard run` would have exited with.
        exit_code: u8,
    },
    /// The wall clock was put back; slots come anew.
    ClockPutBack {
        /// By so much.
        seconds: i64,
    },
    /// A file was changed, and applies.
    Reloaded {
        /// The file.
        file: PathBuf,
    },
    /// A file was changed and can't be used; what it said before applies.
    ReloadRefused {
        /// The file.
        file: PathBuf,
        /// What is wrong with it.
        why: String,
    },
}

impl fmt::Display for Happening {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Happening::NextSlot { run, slot } => write!(f, "next: {run} at {slot}"),
            Happening::SlotTaken { run, slot } => write!(f, "{run} begins, for {slot}"),
            Happening::SlotQueued { run, slot, behind, why } => {
                write!(f, "{run} at {slot} waits for {behind}: {why}")
            }
            Happening::SlotSkipped { run, slot, why } => write!(f, "{run} at {slot} is skipped: {why}"),
            Happening::SlotsMissed { run, first, slots: 1, .. } => {
                write!(f, "{run} at {first} was missed, and is not caught up")
            }
            Happening::SlotsMissed { run, first, last, slots } => {
                write!(f, "{run} missed {slots} slots, {first} to {last}, and does not catch up")
            }
            Happening::SlotEnded { run, exit_code } => write!(f, "{run} ended with exit code {exit_code}"),
            Happening::ClockPutBack { seconds } => {
                write!(f, "the clock was put back by {seconds} s: slots since then come anew")
            }
            Happening::Reloaded { file } => write!(f, "`{}` was changed, and applies", file.display()),
            Happening::ReloadRefused { file, why } => {
                write!(
                    f,
                    "`{}` was changed and can't be used; what it said before applies\n{why}",
                    file.display()
                )
            }
        }
    }
}

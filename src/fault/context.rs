//! What a fault may use: draws, the time, class names, what it remembers.

use std::{any::Any, fmt, sync::Arc, time::Duration};

use tokio::time::Instant;

use super::purpose;
use crate::{
    draw::{Dice, UnitHash},
    unit::Share,
    wire::{Labels, Protocol, Row},
};

/// What a fault is checked against.
#[derive(Debug, Clone, Copy)]
pub struct CheckContext<'a> {
    /// The protocol of the target.
    pub protocol: &'a Protocol,
    /// Class names.
    pub labels: &'a Labels,
}

/// What a fault may use while it decides about a request.
#[derive(Debug, Clone, Copy)]
pub struct Decide<'a> {
    /// This rule's draws for this request.
    pub dice: Dice,
    /// How large the fault is now, 0 to 1 of its full size.
    pub intensity: f64,
    /// What this fault remembers for as long as it is armed.
    pub memory: &'a Memory,
    /// The unit that the request belongs to.
    pub unit: UnitHash,
    /// The path of the request.
    pub path: &'a str,
    /// Now.
    pub now: Instant,
    /// Since the phase began.
    pub since_phase: Duration,
    /// Length of the request's body, if it is told.
    pub request_bytes: Option<u64>,
}

impl<'a> Decide<'a> {
    /// A decision that depends on the draws alone.
    pub fn of(dice: Dice, intensity: f64, memory: &'a Memory) -> Decide<'a> {
        Decide {
            dice,
            intensity,
            memory,
            unit: UnitHash::from_u64(0),
            path: "",
            now: Instant::now(),
            since_phase: Duration::ZERO,
            request_bytes: None,
        }
    }

    /// Is this request among a share of all, scaled by the intensity?
    pub fn acts(&self, rate: Share) -> bool {
        self.dice.at(purpose::ACT, 0).within(rate.scaled(self.intensity))
    }
}

/// What a fault may use while it edits.
#[derive(Debug, Clone, Copy)]
pub struct EditContext<'a> {
    /// This rule's draws for this request; index = position in the batch, see [`offset`](Self::offset).
    pub dice: Dice,
    /// How large the fault is now, 0 to 1 of its full size.
    pub intensity: f64,
    /// The unit that the request belongs to.
    pub unit: UnitHash,
    /// Class names.
    pub labels: &'a Labels,
    /// What this fault remembers for as long as it is armed.
    pub memory: &'a Memory,
    /// The first prediction of the response as the model made it, before any other fault's edit.
    pub first: Option<&'a Row>,
    /// Is a lone score beside a label the confidence in that label ([`Answer::confidences`](crate::wire::Answer))?
    pub confidences: bool,
    /// Rows of earlier chunks of this response: the draws of row `i` have the index `offset + i`.
    pub offset: usize,
    /// The rows that the injection may touch (its `where`).
    pub only: Members<'a>,
    /// The rows of the fault's own group (its [`group`](super::Behaviour::group)).
    pub members: Members<'a>,
    /// Since the phase began.
    pub since_phase: Duration,
}

impl<'a> EditContext<'a> {
    /// An edit of a whole response, all rows of it.
    pub fn new(dice: Dice, intensity: f64, labels: &'a Labels, memory: &'a Memory) -> EditContext<'a> {
        EditContext {
            dice,
            intensity,
            unit: UnitHash::from_u64(0),
            labels,
            memory,
            first: None,
            confidences: false,
            offset: 0,
            only: Members::All,
            members: Members::All,
            since_phase: Duration::ZERO,
        }
    }

    /// The index of a row's draws.
    pub fn index(&self, row: usize) -> u32 {
        u32::try_from(self.offset + row).unwrap_or(u32::MAX)
    }

    /// The rows that the injection may touch, each with the index of its draws.
    pub fn each<'r>(&self, rows: &'r mut [Row]) -> impl Iterator<Item = (u32, &'r mut Row)> {
        let context = *self;
        let rows = rows.iter_mut().enumerate().filter(move |(row, _)| context.only.contains(*row));
        rows.map(move |(row, value)| (context.index(row), value))
    }

    /// Those among a share of them.
    pub fn chosen<'r>(&self, rate: Share, rows: &'r mut [Row]) -> impl Iterator<Item = (u32, &'r mut Row)> {
        let dice = self.dice;
        self.each(rows).filter(move |(index, _)| dice.at(purpose::ACT, *index).within(rate))
    }
}

/// Some of the rows of a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Members<'a> {
    /// Every row.
    All,
    /// No row.
    None,
    /// Those that are true; rows beyond the end are none.
    Rows(&'a [bool]),
}

impl Members<'_> {
    /// Is a row among them?
    pub fn contains(self, row: usize) -> bool {
        match self {
            Members::All => true,
            Members::None => false,
            Members::Rows(rows) => rows.get(row).copied().unwrap_or(false),
        }
    }
}

/// What a fault remembers for as long as it is armed. Cheap to clone; the clones share it.
///
/// It is touched by every request: atomics or short locks, and of bounded size.
///
/// ```
/// use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
/// use canard::fault::Memory;
/// let memory = Memory::of(AtomicU64::new(7));
/// memory.get::<AtomicU64>().unwrap().fetch_add(1, Relaxed);
/// assert_eq!(memory.clone().get::<AtomicU64>().unwrap().load(Relaxed), 8);
/// assert!(Memory::none().get::<AtomicU64>().is_none());
/// ```
#[derive(Clone)]
pub struct Memory(Arc<dyn Any + Send + Sync>);

impl Memory {
    /// Nothing to remember.
    pub fn none() -> Memory {
        Memory::of(())
    }

    /// Remembers in `value`.
    pub fn of<T: Any + Send + Sync>(value: T) -> Memory {
        Memory(Arc::new(value))
    }

    /// What it remembers in, if that is a `T`.
    pub fn get<T: Any + Send + Sync>(&self) -> Option<&T> {
        self.0.downcast_ref()
    }
}

impl fmt::Debug for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Memory").finish_non_exhaustive()
    }
}

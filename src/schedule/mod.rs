//! Runs scenarios by a calendar: when a slot comes, what may run in it, who waits for whom.
//!
//! Three parts, so that a year can be rehearsed in a test: [`slots`] and [`permits`] are pure, [`Agenda`] holds the one
//! moment up to which slots are dealt with, and [`keep`] is the loop. A missed slot is skipped, never caught up: what
//! was safe to inject at half past ten need not be at noon.

mod agenda;
mod clerk;
mod happening;
mod slots;
mod together;
#[cfg(test)]
mod tests;

pub use agenda::{Agenda, Turn};
pub use clerk::{Hands, Job, Kept, keep};
pub use happening::Happening;
pub use slots::{Skip, Slot, permits, slots};
pub use together::{Ready, takes_turns};

//! Open-loop traffic from recorded requests.
//!
//! Requests leave on a schedule that was fixed before the first answer came, and a latency counts from the
//! moment a request was *due*. A closed loop, which waits for an answer before it asks again, slows down
//! with the server that it measures and so hides the very delay that was injected (coordinated omission;
//! see G. Tene, "How NOT to Measure Latency").
//!
//! What the generator can't send it counts: see [`Tally::dropped`].

mod exchange;
mod generator;
mod recording;
mod schedule;
mod tally;

pub use exchange::{Answer, Failure, Outcome, Response};
pub use generator::{Generator, Limits, OnAnswer, Running};
pub use recording::{Recording, Request, TrafficError};
pub use schedule::Schedule;
pub use tally::Tally;

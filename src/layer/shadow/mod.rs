//! Faults on copies: the caller gets the true answer, and a shadow of it is perturbed.
//!
//! Around [`Chaos`](super::Chaos), which lets requests pass while a plan with `release: shadow` is armed. Here they
//! pass too, byte by byte as they come; of a treated one a copy is kept, up to a limit. Once its caller has the whole
//! answer, the copy goes the way of any treated request, through the same faults, in a task that ends with the lease
//! at the latest. Its upstream is the answer that the caller got, played again at its pace, or a mirror.
//!
//! Why after the answer and not beside it? Because nothing that a shadow does may reach its caller: it takes neither
//! a connection nor a turn of the upstream, and what it holds is bounded in number and in bytes. No byte that a caller
//! gets changes, nor the order of them, and none waits for a shadow. But the task runs on the runtime that served the
//! caller: what its faults parse and edit at a stretch stands between other callers' polls, as under any plan.

mod body;
mod caller;
mod ear;
mod layer;
mod pending;
mod room;
mod service;
mod tape;
mod understudy;

pub use body::{CallerBody, ShadowedBody};
pub(super) use ear::{Hold, Twin};
pub use layer::ShadowLayer;
pub use service::{Inner, Shadow, ShadowFuture};

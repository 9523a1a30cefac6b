//! The tower middleware, and the handle that arms and disarms it.
//!
//! [`ChaosLayer`] wraps any HTTP service (streaming bodies, gRPC); [`typed`] wraps services whose requests
//! and responses are plain Rust types. Both do nothing until a plan is armed through their [`Handle`], and
//! stop by themselves when the lease runs out.
//!
//! Faults compose in a fixed order: the request is delayed, refused (error, hang) or passed to the upstream;
//! the predictions of the response are edited; the response is delayed; the connection breaks. Whatever
//! canard can't parse or won't buffer passes as it came and is counted.

mod amend;
mod body;
mod candidates;
mod caps;
mod common;
mod control;
mod course;
mod ear;
mod edit;
mod exchange;
mod extension;
mod finish;
mod future;
mod handle;
mod kill;
#[expect(clippy::module_inception, reason = "the shape of a middleware: layer, service, future, body")]
mod layer;
mod lease;
mod masks;
mod moved;
mod observe;
mod rack;
mod request_body;
mod respond;
mod rows;
mod service;
pub mod shadow;
mod stream;
mod terms;
mod totals;
pub mod typed;
mod victim;
pub mod view;
#[cfg(test)]
mod tests;

pub use body::{BoxError, ConnectionCut, ResponseBody};
pub use candidates::Candidate;
pub use extension::{Abort, Exposed, RouteTo};
pub use future::ResponseFuture;
pub use handle::Handle;
pub use layer::ChaosLayer;
pub use rack::{Others, OthersFuture, Rack, RackBody, RackLayer, SLOTS};
pub use request_body::RequestBody;
pub use service::Chaos;
pub use terms::{ArmError, LeaseId, LeaseStatus, Limits, Status};
pub use totals::Totals;

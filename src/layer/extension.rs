//! What travels in the extensions of requests and responses.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use crate::exposure::Arm;

/// Set on responses while a plan is armed: which side the unit was on; treated, if any of several plans treats it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exposed {
    /// The side.
    pub arm: Arm,
    /// The version that the unit has, if a release is rehearsed.
    pub version: Option<Arc<str>>,
}

/// Set on a request that a fault sends to another upstream than its own: scheme, host and port, one of those
/// that the handle was given ([`Handle::with_candidates`](super::Handle::with_candidates)). The inner service
/// has to honour it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RouteTo(pub http::Uri);

/// Lets a fault cut the connection of a request. A server that can reset its connections puts one into
/// each request's extensions and drops the socket (with a reset) when it is told to; without it a broken
/// response body has to do. Cheap to clone; the clones share one signal.
///
/// ```
/// let abort = canard::layer::Abort::new();
/// abort.clone().abort();
/// assert!(abort.is_aborted());
/// ```
#[derive(Debug, Clone, Default)]
pub struct Abort(CancellationToken);

impl Abort {
    /// A signal that nobody gave yet.
    pub fn new() -> Abort {
        Abort::default()
    }

    /// Asks for the connection to be cut.
    pub fn abort(&self) {
        self.0.cancel();
    }

    /// Has it been asked for?
    pub fn is_aborted(&self) -> bool {
        self.0.is_cancelled()
    }

    /// Waits until it is asked for.
    pub async fn aborted(&self) {
        self.0.cancelled().await;
    }
}

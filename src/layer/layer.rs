//! The [`Layer`] that makes [`Chaos`] services.

use tower_layer::Layer;

use super::{Chaos, Handle};

/// Wraps services so that a plan armed through its [`Handle`] acts on them; until then it passes every
/// request for the price of one atomic load.
///
/// ```
/// use canard::layer::{ChaosLayer, Handle};
/// use tower_layer::Layer;
///
/// let handle = Handle::default();
/// let service = ChaosLayer::new(handle.clone()).layer("any service");
/// # drop(service);
/// ```
#[derive(Debug, Clone)]
pub struct ChaosLayer {
    handle: Handle,
}

impl ChaosLayer {
    /// A layer that `handle` arms and disarms.
    pub const fn new(handle: Handle) -> ChaosLayer {
        ChaosLayer { handle }
    }
}

impl<S> Layer<S> for ChaosLayer {
    type Service = Chaos<S>;

    fn layer(&self, inner: S) -> Chaos<S> {
        Chaos::new(inner, self.handle.clone())
    }
}

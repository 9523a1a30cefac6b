//! The [`Layer`] that makes [`Shadow`] services.

use tower_layer::Layer;

use super::{room::Room, service::Shadow};
use crate::layer::{
    Chaos, Handle,
    view::{Shown, ViewLayer},
};

/// Wraps [`Chaos`] so that plans with `release: shadow` can be armed through their common handle: callers get the true
/// answer, and faults act on copies. Costs one atomic load while no such plan is armed. Clones share the limits
/// [`shadows`](crate::layer::Limits::shadows) and [`shadow_bytes`](crate::layer::Limits::shadow_bytes).
///
/// ```
/// use canard::layer::{ChaosLayer, Handle, shadow::ShadowLayer};
/// use tower_layer::Layer;
///
/// let handle = Handle::default();
/// let service = ChaosLayer::new(handle.clone()).layer("any service");
/// let service = ShadowLayer::new(handle).layer(service);
/// # drop(service);
/// ```
#[derive(Debug, Clone)]
pub struct ShadowLayer {
    pub(super) handle: Handle,
    pub(super) places: Room,
    pub(super) room: Room,
    pub(super) shown: Option<Shown>,
}

impl ShadowLayer {
    /// A layer for the services that `handle` arms and disarms.
    pub fn new(handle: Handle) -> ShadowLayer {
        handle.make_shadows();
        let limits = handle.limits();
        let (places, room) = (Room::new(limits.shadows), Room::new(limits.shadow_bytes));
        ShadowLayer { handle, places, room, shown: None }
    }

    /// Shows what shadows are answered to whoever the view shows payloads to.
    #[must_use]
    pub fn shown_to(self, view: &ViewLayer) -> ShadowLayer {
        ShadowLayer { shown: view.shown(), ..self }
    }
}

impl<S> Layer<Chaos<S>> for ShadowLayer {
    type Service = Shadow<S>;

    fn layer(&self, inner: Chaos<S>) -> Shadow<S> {
        Shadow::new(inner, self.clone())
    }
}

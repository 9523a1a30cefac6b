//! The [`Layer`] that makes [`Shadow`] services.

use tower_layer::Layer;

use super::{room::Room, service::Shadow};
use crate::layer::{
    Chaos, Others, Rack,
    view::{Shown, ViewLayer},
};

/// Wraps the services of a [`RackLayer`](crate::layer::RackLayer) so that plans with `release: shadow` can be armed
/// through their rack (or a handle of it): callers get the true answer, and faults act on copies. Costs one atomic load
/// while no such plan is armed. Clones share the limits [`shadows`](crate::layer::Limits::shadows) and
/// [`shadow_bytes`](crate::layer::Limits::shadow_bytes).
///
/// ```
/// use canard::layer::{Limits, Rack, RackLayer, shadow::ShadowLayer};
/// use tower_layer::Layer;
///
/// let rack = Rack::new(Limits::default());
/// let service = RackLayer::new(rack.clone()).layer("any service");
/// let service = ShadowLayer::new(rack).layer(service);
/// # drop(service);
/// ```
#[derive(Debug, Clone)]
pub struct ShadowLayer {
    pub(super) rack: Rack,
    pub(super) places: Room,
    pub(super) room: Room,
    pub(super) shown: Option<Shown>,
}

impl ShadowLayer {
    /// A layer for the services that `rack` arms and disarms.
    pub fn new(rack: Rack) -> ShadowLayer {
        rack.common.make_shadows();
        let limits = rack.limits();
        let (places, room) = (Room::new(limits.shadows), Room::new(limits.shadow_bytes));
        ShadowLayer { rack, places, room, shown: None }
    }

    /// Shows what shadows are answered to whoever the view shows payloads to.
    #[must_use]
    pub fn shown_to(self, view: &ViewLayer) -> ShadowLayer {
        ShadowLayer { shown: view.shown(), ..self }
    }
}

impl<S> Layer<Chaos<Others<S>>> for ShadowLayer {
    type Service = Shadow<S>;

    fn layer(&self, inner: Chaos<Others<S>>) -> Shadow<S> {
        Shadow::new(inner, self.clone())
    }
}

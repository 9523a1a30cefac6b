//! The service view: what callers saw, counted for monitors, whether or not anything is armed.
//!
//! A sidecar can't move the model server's own metrics, so a monitor that is to see an injected fault needs
//! the same signals as callers got them. Series never break: they go on across arming and disarming, and
//! counters only grow. Predictions are read from a copy of the bytes after the caller has them, by a
//! [`Reader`] with a bounded queue; what does not fit is counted as unread and never waited for.
//!
//! Why a layer of its own and not the evidence of [`Chaos`](super::Chaos)? Evidence begins and ends with a
//! lease; alert rules need what was before and what comes after.

mod payload;
mod reader;
mod series;
mod service;
mod snapshot;
mod text;

use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::mpsc;
use tower_layer::Layer;

use self::series::Shard;
use crate::wire::{Codec, Labels};

pub use payload::{Payload, Payloads, Tapped};
pub use reader::Reader;
pub use service::{Shown, Viewed, ViewedBody};
pub use snapshot::{
    Arms, DurationKey, Durations, EmbeddingReading, PredictionKey, ScoreKey, ScoreReading, ViewSnapshot,
};
pub use text::{
    Buckets, FIRST_TOKEN_BOUNDS_S, GENERATION_BOUNDS_S, OUTPUT_TOKEN_BOUNDS_S, TextKey, TextSeries,
};

/// Upper bounds of the buckets of request durations in seconds, as OpenTelemetry's conventions advise.
pub const DURATION_BOUNDS_S: [f64; 14] =
    [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0];

/// What the view reads and how much it may hold.
#[derive(Debug, Clone)]
pub struct ViewSettings {
    /// The protocol that predictions are read in.
    pub codec: Arc<dyn Codec>,
    /// Class names.
    pub labels: Labels,
    /// Read predictions at all? If not, no byte of a body is looked at.
    pub observe: bool,
    /// Largest body that is copied and read, in bytes.
    pub body: usize,
    /// Copies that wait to be read, for each layer.
    pub queue: usize,
    /// Series of each kind that a layer keeps apart; what comes beyond counts as `(other)`.
    pub series: usize,
    /// Who is shown the exchanges whose predictions were read, if anybody is.
    pub payloads: Option<Arc<dyn Payloads>>,
}

/// The service view of a program: any number of [`ViewLayer`]s count for it. Cheap to clone.
#[derive(Debug, Clone)]
pub struct View {
    settings: Arc<ViewSettings>,
    shards: Arc<Mutex<Vec<Arc<Shard>>>>,
}

/// Counts what callers saw. Outermost, so that it sees what they saw.
#[derive(Debug, Clone)]
pub struct ViewLayer {
    shard: Arc<Shard>,
    queue: mpsc::Sender<reader::Exchange>,
}

impl View {
    /// An empty view.
    pub fn new(settings: ViewSettings) -> View {
        View { settings: Arc::new(settings), shards: Arc::default() }
    }

    /// A layer that counts for this view, and the reader of its predictions, which the caller has to run
    /// (on the same runtime, or wherever reading may cost something).
    pub fn layer(&self) -> (ViewLayer, Reader) {
        let shard = Arc::new(Shard::new(self.settings.clone()));
        self.shards.lock().unwrap_or_else(PoisonError::into_inner).push(shard.clone());
        let (queue, receiver) = mpsc::channel(self.settings.queue.max(1));
        (ViewLayer { shard: shard.clone(), queue }, Reader::new(shard, receiver))
    }

    /// A reading of everything so far.
    pub fn snapshot(&self) -> ViewSnapshot {
        let shards = self.shards.lock().unwrap_or_else(PoisonError::into_inner);
        let mut snapshot = ViewSnapshot::default();
        shards.iter().for_each(|shard| shard.add_to(&mut snapshot));
        snapshot
    }
}

impl ViewLayer {
    /// Shows exchanges that no caller saw to whoever is shown payloads, if anybody is.
    pub(super) fn shown(&self) -> Option<Shown> {
        self.shard.settings.payloads.is_some().then(|| Shown::new(self.clone()))
    }
}

impl<S> Layer<S> for ViewLayer {
    type Service = Viewed<S>;

    fn layer(&self, inner: S) -> Viewed<S> {
        Viewed::new(inner, self.clone())
    }
}

#[cfg(test)]
mod tests;

//! Wall-clock time that follows tokio's clock.
//!
//! The wall is read once; every later reading adds what tokio's clock has moved since. A test that pauses
//! tokio's clock therefore pauses these timestamps too, and a step of the system clock in the middle of a
//! run cannot make an alert fire before its fault.

use std::{fmt, sync::OnceLock, time::Duration};

use serde::{Deserialize, Serialize};
use tokio::time::Instant;

/// A moment, in seconds since 1970-01-01 UTC (with fractions), as Prometheus writes it.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(transparent)]
pub struct Timestamp(f64);

impl Timestamp {
    /// From seconds since the epoch.
    pub const fn from_unix_s(seconds: f64) -> Timestamp {
        Timestamp(seconds)
    }

    /// Seconds since the epoch.
    pub const fn unix_s(self) -> f64 {
        self.0
    }

    /// Seconds from `earlier` to `self`; negative when `self` came first.
    pub fn since(self, earlier: Timestamp) -> f64 {
        self.0 - earlier.0
    }

    /// So many seconds later (or earlier).
    pub fn plus_s(self, seconds: f64) -> Timestamp {
        Timestamp(self.0 + seconds)
    }
}

impl std::ops::Add<Duration> for Timestamp {
    type Output = Timestamp;
    fn add(self, span: Duration) -> Timestamp {
        Timestamp(self.0 + span.as_secs_f64())
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.3}", self.0)
    }
}

/// The time now.
pub fn now() -> Timestamp {
    at(Instant::now())
}

/// The wall-clock time of a moment on tokio's clock.
pub fn at(instant: Instant) -> Timestamp {
    static ANCHOR: OnceLock<(Instant, f64)> = OnceLock::new();
    let (start, wall) = *ANCHOR.get_or_init(|| (Instant::now(), wall_unix_s()));
    match instant.checked_duration_since(start) {
        Some(after) => Timestamp(wall + after.as_secs_f64()),
        None => Timestamp(wall - start.duration_since(instant).as_secs_f64()),
    }
}

/// What the system's clock says, steps and sleeps of the machine included: for a diary, not for measuring. It does not
/// follow tokio's clock.
pub fn wall() -> Timestamp {
    Timestamp(wall_unix_s())
}

#[expect(clippy::disallowed_methods, reason = "the one place that reads the wall clock")]
fn wall_unix_s() -> f64 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).map_or(0.0, |d| d.as_secs_f64())
}

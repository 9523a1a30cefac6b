//! Chaos engineering for machine-learning services.
//!
//! canard makes a served model slow, broken, wrong or unfair, on schedule and under control, and then
//! answers: *would your monitoring have told you?*
//!
//! The embeddable core is [`layer::ChaosLayer`], a [tower](https://docs.rs/tower) middleware that does
//! nothing until a [`scenario::Plan`] is armed through its [`layer::Handle`]. The `cli` feature (default)
//! adds the sidecar, the monitors, generated traffic and the game day that ties them together.
//!
//! Modules are listed lowest first; each imports only from those above it.

pub mod unit;
pub mod clock;
pub mod draw;
pub mod stats;
pub mod event;
pub mod wire;
pub mod fault;
pub mod scenario;
pub mod exposure;
pub mod evidence;
pub mod layer;
#[cfg(feature = "cli")]
pub mod monitor;
#[cfg(feature = "cli")]
pub mod verify;
#[cfg(feature = "cli")]
pub mod sidecar;
#[cfg(feature = "cli")]
pub mod demo;
#[cfg(feature = "cli")]
pub mod traffic;
#[cfg(feature = "cli")]
pub mod gameday;
#[cfg(feature = "cli")]
pub mod schedule;
#[cfg(feature = "cli")]
pub mod report;
#[cfg(feature = "cli")]
pub mod telemetry;
#[cfg(feature = "cli")]
pub mod cli;

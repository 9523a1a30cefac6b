//! Readings → changes on canard's clock.

/// The history of every alert.
#[derive(Debug, Default)]
pub struct History {}

/// The life of one alert in one monitor.
#[derive(Debug)]
pub struct Life {}

//! Prometheus.

use super::{AlertSource, BoxFuture, MonitorError, Reading};
use crate::scenario::PrometheusSettings;

/// Prometheus.
#[derive(Debug)]
pub(super) struct Prometheus {}

impl Prometheus {
    pub(super) fn new(_settings: &PrometheusSettings) -> Result<Prometheus, MonitorError> {
        Ok(Prometheus {})
    }
}

impl AlertSource for Prometheus {
    fn poll(&mut self) -> BoxFuture<'_, Result<Reading, MonitorError>> {
        Box::pin(async { Err(MonitorError::Unreachable("stub".into())) })
    }
    fn knows_rules(&self) -> bool {
        true
    }
}
